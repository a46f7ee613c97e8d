local cjson = require "cjson"
local h = require "harness"
local mime = require "mime"
local receiver = require "receiver"

local function policy(url, dead)
  return ([[
server { listen = "127.0.0.1:0", workers = 1, max_events = 50, max_body = "4MiB",
  drain = "1s" }
admin { listen = "127.0.0.1:0" }
http "out" { url = %q, batch = { target = 50, max = 50, linger = "5ms" }, %s }
stream "events" { sinks = { "out" } }
route "POST /v1/events/batch" { body = "batch", stream = "events" }
]]):format(url, dead or "")
end

describe("dead letters", function()
  local r, s
  before_each(function() r = receiver.start() end)
  after_each(function()
    if s then s:close() s = nil end
    r:close()
  end)

  local function post(...)
    assert.equal(202, s:post("/v1/events/batch", table.concat({ ... }, "\n"),
      { ["Content-Type"] = "application/x-ndjson" }).status)
  end

  local function file() return s.data .. "/dead/sink-out.ndjson" end

  local function letters()
    local list = {}
    for line in (h.read(file()) or ""):gmatch("[^\n]+") do
      list[#list + 1] = cjson.decode(line).event.n
    end
    table.sort(list)
    return table.concat(list, " ")
  end

  local function dead(...)
    return h.shell(table.concat({ h.binary, "dead", ... }, " ") .. " 2>&1; echo rc=$?")
  end

  it("let the sink go on when a full file of them is taken away", function()
    r:rule "poison"
    s = h.server { policy = policy(r.url, [[dead = { max_bytes = "1KiB" }]]) }
    -- Among good ones, because otherwise the receiver counts as the cause.
    h.wait_for("full letters", function()
      post([[{"n":1}]], [[{"n":2,"value":"text"}]], [[{"n":3}]], [[{"n":4}]])
      return s:text():find("status=holding why=.*have reached max_bytes")
    end)
    os.rename(file(), s.dir .. "/taken")
    h.wait_for("the next letter in a new file", function() return letters() ~= "" end)
    assert.equal(0, s:stop())
  end)

  it("cost a sink that they hold no letter and no new journal while they are full", function()
    r:rule "poison"
    s = h.server { policy = policy(r.url, [[dead = { max_bytes = "1KiB" }]]) }
    h.wait_for("full letters", function()
      post([[{"n":1}]], [[{"n":2,"value":"text"}]], [[{"n":3}]], [[{"n":4}]])
      return s:text():find("status=holding why=.*have reached max_bytes")
    end)
    local journal = ("stat -c %%i '%s/spool/sinks/out.journal'"):format(s.data)
    local before, tries = h.shell(journal), s:metric("sluice_sink_retries_total")
    local full = h.read(file())
    h.wait_for("three more tries", function()
      return s:metric("sluice_sink_retries_total") >= tries + 3
    end)
    assert.equal(before, h.shell(journal))
    assert.equal(full, h.read(file())) -- no letter is taken back
  end)

  it("are replayed each once, and what is left is said", function()
    r:rule "poison"
    s = h.server { policy = policy(r.url) }
    local large = ([[{"n":9,"value":"%s"}]]):format(("x"):rep(1500000))
    local good = [[{"n":1}]]
    post(good, [[{"n":2,"value":"text"}]], good)
    post(good, large, good)
    for i = 10, 69, 2 do
      post(good, ([[{"n":%d,"value":"text"}]]):format(i), good, good,
        ([[{"n":%d,"value":"text"}]]):format(i + 1), good)
    end
    h.wait_for("the letters", function()
      return s:metric("sluice_dead_events_total") == 62
    end)
    local to = ("--to http://127.0.0.1:%d/v1/events/batch"):format(s.port)
    assert.matches("replayed=0 .*before=0 unreadable=0 left=62\ndry run.*rc=0",
      dead("replay", file(), "--dry-run"))
    -- A line that is not a letter is told, and one that is being written is not.
    local f = io.open(file(), "ab")
    f:write("\255 no letter\n", '{"event":{"n":')
    f:close()
    r:rule ""
    -- The first time to a route that is not there.
    assert.matches("answered 404.*rc=1", dead("replay", file(), to .. "x"))
    assert.matches("replayed=62 refused_again=0 too_large=0 before=0 unreadable=1 "
      .. "left=1\nrc=1", dead("replay", file(), to))
    assert.matches("replayed=0 .*before=62 unreadable=1", dead("replay", file(), to))
    s:deliver()
    local n = 0
    for _ in (h.read(r.dir .. "/events.ndjson")):gmatch('"n":%d+') do n = n + 1 end
    assert.equal(62 + 4 + 30 * 4, n)

    -- New letters in another file of that name are not taken for old ones.
    os.rename(file(), s.dir .. "/taken")
    r:rule "poison"
    post(good, [[{"n":71,"value":"text"}]], good)
    h.wait_for("another letter", function() return letters() == "71" end)
    assert.matches("1 letter of .*is not replayed; .*deletes it too.*rc=1", dead("purge", file()))
    -- What an earlier purge left is not known to be away.
    local left = file() .. ".purge"
    h.shell(("ln -s '%s' '%s'"):format(left, left))
    assert.matches("purge: Too many levels.*rc=1", dead("purge", file(), "--all"))
    os.remove(left)
    assert.equal("71", letters())
    r:rule ""
    assert.matches("replayed=1 .*left=0\nrc=0", dead("replay", file(), to))
    assert.matches("purged letters=1 not_replayed=0\nrc=0", dead("purge", file()))
    assert.is_nil(h.read(file()))
    assert.matches("is a folder.*rc=1", dead("replay", s.data .. "/dead", to))
    assert.matches("is a folder.*rc=1", dead("purge", s.data .. "/dead", "--all"))
    assert.is_not_nil(h.shell(("ls '%s'"):format(s.data)):find "dead\n")
  end)

  it("are replayed and purged also if the last line lacks its end, or is cut", function()
    s = h.server { policy = policy(r.url) }
    local to = ("--to http://127.0.0.1:%d/v1/events/batch"):format(s.port)
    local letter = [[{"event":{"n":%d},"sink":"out","reason":"refused"}]]
    local whole = s.dir .. "/whole.ndjson"
    h.write(whole, letter:format(1) .. "\n" .. letter:format(2))
    assert.matches("2 letters of .*are not replayed.*rc=1", dead("purge", whole))
    assert.matches("replayed=2 .*left=0\nrc=0", dead("replay", whole, to))
    assert.matches("purged letters=2 not_replayed=0\nrc=0", dead("purge", whole))
    local cut = s.dir .. "/cut.ndjson"
    h.write(cut, letter:format(3) .. "\n" .. letter:format(4):sub(1, -5))
    assert.matches("replayed=1 .*unreadable=0 left=0\nrc=0", dead("replay", cut, to))
    assert.matches("1 letter of .*is not replayed.*rc=1", dead("purge", cut))
    s:deliver()
    local n = {}
    for i in (h.read(r.dir .. "/events.ndjson")):gmatch('"n":(%d+)') do n[#n + 1] = i end
    assert.same({ "1", "2", "3" }, n)
  end)

  ---n of them, numbered from 1; a good event is between any two.
  local function make(n)
    r:rule "poison"
    for i = 1, n, 20 do
      local list = { '{"n":0}' }
      for k = i, i + 19 do
        list[#list + 1] = ('{"n":%d,"value":"text"}\n{"n":0}'):format(k)
      end
      post(unpack(list))
    end
    h.wait_for(n .. " letters", function()
      return s:metric("sluice_dead_events_total") == n
    end)
    r:rule ""
  end

  local function again()
    local n = 0
    for _ in (h.read(r.dir .. "/events.ndjson")):gmatch('"value"') do n = n + 1 end
    return n
  end

  it("are replayed each once by commands that run at the same time", function()
    s = h.server { policy = policy(r.url, "dead = { searches = 10000 }") }
    make(200)
    local replay = ("%s dead replay %s --to http://127.0.0.1:%d/v1/events/batch 2>&1")
      :format(h.binary, file(), s.port)
    local out = h.shell(("(%s & %s & %s & wait)"):format(replay, replay, replay))
    local n = 0
    for k in out:gmatch("replayed=(%d+)") do n = n + tonumber(k) end
    assert.equal(200, n, out)
    h.wait_for("the replayed events", function() return again() >= 200 end)
    s:deliver()
    assert.equal(200, again())
  end)

  -- Beside good ones, and with an answer that has no place for them.
  it("of events that are no JSON are replayed to a route as they were sent", function()
    local SENT = { '5', '"text"',
      '{"a":nul}', '{"a":1,"a":2}', '{"a":"\\u00e9","a":"\\\\"}',
      '{"a":"\255"}', '{"a":[\n{"n":1}\n,]}', '{"a":"\n"}', '[7]', 'true',
      'null', '-1.5e3', '{"a":"\127\1"}' }
    s = h.server { policy = [[
server { listen = "127.0.0.1:0", workers = 1 }
admin { listen = "127.0.0.1:0" }
null "events" {}
file "refused" { dir = "refused", linger = "1ms" }
stream "events" { sinks = { "events" } }
stream "refused" { sinks = { "refused" } }
route "POST /once" { body = "batch", stream = "events", answer = { status = 200, body = "{}" } }
route "POST /again" { body = "batch", stream = "events", on_refused = { stream = "refused" } }
]] }
    assert.equal(200, s:post("/once", '[{"n":0},' .. table.concat(SENT, ",") .. "]").status)
    s:deliver()
    local list = h.shell(("ls '%s'/dead/dead-*.ndjson*"):format(s.data)):match("[^\n]+")
    local out = dead("replay", list, ("--to http://127.0.0.1:%d/again"):format(s.port))
    assert.matches(("replayed=0 refused_again=%d too_large=0 before=0 unreadable=0 left=%d\n")
      :format(#SENT, #SENT), out)
    s:deliver()
    assert.equal(0, s:stop())
    local got = {}
    for line in h.shell(("cat '%s'/refused/*"):format(s.data)):gmatch("[^\n]+") do
      local e = cjson.decode(line)
      got[#got + 1] = e.raw or mime.unb64(e.raw_base64)
    end
    table.sort(SENT)
    table.sort(got)
    assert.same(SENT, got)
  end)

  it("are replayed to the server named, not to a proxy of the environment", function()
    s = h.server { policy = policy(r.url) }
    make(20)
    local to = ("--to http://127.0.0.1:%d/v1/events/batch"):format(s.port)
    local env = "env http_proxy=http://127.0.0.1:1 ALL_PROXY=http://127.0.0.1:1 "
    assert.matches("replayed=20 ", h.shell(("%s%s dead replay %s %s 2>&1")
      :format(env, h.binary, file(), to)))
    assert.matches("no such sink", h.shell(("%s%s sink drop 'of none' --admin 127.0.0.1:%d 2>&1")
      :format(env, h.binary, s.admin)))
  end)

  it("are replayed to a route that takes one event a request", function()
    s = h.server { policy = policy(r.url) .. [[
route "POST /v1/events" { body = "event", stream = "events", on_event = function(ev)
  if ev.n == 3 then return reject("third", "no third") end
  if ev.big then error("big") end end, schema = schema { n = int { required = true } } }
]] }
    local list = { '{"n":0}' }
    for i = 1, 20 do list[#list + 1] = ('{"n":%d,"value":"text"}\n{"n":0}'):format(i) end
    r:rule "poison"
    post(unpack(list))
    h.wait_for("the letters", function()
      return s:metric("sluice_dead_events_total") == 20
    end)
    r:rule ""
    local to = ("--to http://127.0.0.1:%d/v1/events"):format(s.port)
    assert.matches("replayed=19 refused_again=1 .*left=1\nrc=1", dead("replay", file(), to))
    assert.matches("replayed=0 refused_again=1 .*before=19", dead("replay", file(), to))
    h.wait_for("the replayed events", function() return again() == 19 end)
  end)

  it("are not replayed to a route that may say 200 of what it refuses", function()
    s = h.server { policy = policy(r.url) .. [[
route "POST /v1/own" { body = "event", stream = "events",
  answer = { status = 200, refused = "same" },
  schema = schema { n = int { required = true } } }
]] }
    r:rule "poison"
    post('{"n":0}', '{"value":"text"}', '{"n":0}')
    h.wait_for("the letter", function()
      return s:metric("sluice_dead_events_total") == 1
    end)
    r:rule ""
    local said = dead("replay", file(),
      ("--to http://127.0.0.1:%d/v1/own"):format(s.port))
    assert.matches("answered 200, and not which events it took", said)
    assert.matches("replayed=0 .*left=1\n.*rc=1", said)
  end)

  it("that a route refuses at length are not counted as sent", function()
    s = h.server { policy = policy(r.url) .. [[
route "POST /v1/strict" { body = "batch", stream = "events", on_event = function(ev)
  if ev.n % 50 ~= 1 then return reject("no", ("\1"):rep(512)) end
end }
]] }
    local dir, list = h.folder(), {}
    for i = 1, 150 do
      list[i] = ([[{"event":{"n":%d},"sink":"s","stream":"e","reason":"rejected","why":"no",]]
        .. [["position":"p","code":1,"time":1700000000000}]]):format(i)
    end
    h.write(dir .. "/x.ndjson", table.concat(list, "\n") .. "\n")
    local to = ("--to http://127.0.0.1:%d/v1/strict"):format(s.port)
    for _, taken in ipairs { 3, 0 } do
      assert.matches(("^replayed=%d refused_again=147 too_large=0 before=%d unreadable=0 "
        .. "left=147\nrc=1"):format(taken, 3 - taken), dead("replay", dir .. "/x.ndjson", to))
    end
    assert.matches("147 letters of .*are not replayed.*rc=1", dead("purge", dir .. "/x.ndjson"))
    h.remove(dir)
  end)

  it("of more kinds than are listed one by one are listed all the same", function()
    local dir, list = h.folder(), {}
    for i = 1, 300 do
      list[i] = ([[{"event":{},"sink":"s","stream":"e","reason":"rejected","why":"no",]]
        .. [["position":"p","code":%d,"time":1700000000000}]]):format(i)
    end
    h.write(dir .. "/x.ndjson", table.concat(list, "\n") .. "\n")
    local out = h.shell(("%s dead list '%s'"):format(h.binary, dir))
    assert.matches(" letters=1 from=\"s\" reason=rejected code=255 ", out)
    assert.is_nil(out:find("code=256", 1, true))
    assert.matches(" letters=45 kinds=others first=[^\n]+\n$", out)
    h.remove(dir)
  end)

  it("with any bytes and numbers in them and in their names are listed and shown", function()
    local dir, list = h.folder(), {}
    local odd = { "\194\155", "\\u001b[2J", "\127", '\\"', "\\n", "\\ud800", "x\255y", "%s%n" }
    for _, time in ipairs { "1e300", "-1e300", "1e19", "-62135596800001", "0", '"x"', "null" } do
      for _, x in ipairs(odd) do
        list[#list + 1] = ('{"event":{"a":"%s"},"sink":"%s","stream":"e","reason":"%s",'):format(
          x, x, x) .. ('"why":"%s","position":"%s","code":1e400,"time":%s}'):format(x, x, time)
      end
    end
    local name = dir .. "/a\27]0;title\7\194\155\nb.ndjson"
    h.write(name, table.concat(list, "\n") .. "\n")
    local out = dead("list", "'" .. dir .. "'")
    assert.matches("\nrc=0\n$", out)
    assert.matches("last=1970%-01%-01T00:00:00Z", out)
    assert.is_nil(out:gsub("\n", ""):find "%c")
    assert.is_nil(out:find("\194\155", 1, true))
    for line in out:gmatch "[^\n]+" do assert.matches("^[fr][ic]l?e?=", line) end
    out = dead("show", "'" .. name .. "'")
    assert.matches("\nrc=0\n$", out)
    out = h.shell(([[script -qec "%s dead show %s/*.ndjson" /dev/null]]):format(h.binary, dir))
    assert.matches("1970", out)
    assert.is_nil(out:gsub("[\r\n]", ""):find "%c")
    assert.is_nil(out:find("\194\155", 1, true))
    h.remove(dir)
  end)
end)
