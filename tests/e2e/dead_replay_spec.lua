-- A sink's dead letters, sent to that sink once more by the running server: each once,
-- and to no other.
local cjson = require "cjson"
local h = require "harness"
local receiver = require "receiver"
local upgrades = require "upgrades"

local function policy(url, well, more)
  return ([[
server { listen = "127.0.0.1:0", workers = 1, max_events = 5000 }
admin { listen = "127.0.0.1:0" }
http "out" { url = %q, batch = { target = 50, max = 50, linger = "5ms" }, timeout = "60s",
  breaker = { timeout = "100ms" }, %s }
http "well" { url = %q, batch = { linger = "5ms" } }
file "archive" { dir = "archive" }
stream "events" { sinks = { "out", "well", "archive" }, dedup = { key = "id" } }
route "POST /v1/events/batch" { body = "batch", stream = "events" }
]]):format(url, more or "", well)
end

describe("dead letters that are sent to their sink once more", function()
  local r, well, s
  before_each(function()
    r, well = receiver.start(), receiver.start()
    s = nil
  end)
  after_each(function()
    if s then s:close() end
    r:close()
    well:close()
  end)

  local function run(more) s = h.server { policy = policy(r.url, well.url, more) } end

  local function file() return s.data .. "/dead/sink-out.ndjson" end

  local function letters()
    local list = {}
    for line in (h.read(file()) or ""):gmatch("[^\n]+") do
      list[#list + 1] = cjson.decode(line).event.id
    end
    return list
  end

  -- Bad ones among good ones, because otherwise the receiver counts as the cause.
  local function die(first, last)
    r:rule "poison"
    local before = s:metric("sluice_dead_events_total") or 0
    for from = first, last, 10 do
      local list = {}
      for i = from, math.min(from + 9, last) do
        list[#list + 1] = ([[{"id":"g%d"}]]):format(i)
        list[#list + 1] = ([[{"id":"b%d","value":"text"}]]):format(i)
      end
      assert.equal(202, s:post("/v1/events/batch",
        "[" .. table.concat(list, ",") .. "]").status)
    end
    h.wait_for("the letters", function()
      return s:metric("sluice_dead_events_total") == before + last - first + 1
    end)
    s:deliver()
  end

  local function replay(...)
    return h.shell(table.concat({ h.binary, "dead replay --sink out --admin",
      "127.0.0.1:" .. s.admin, ... }, " ") .. " 2>&1; echo rc=$?")
  end

  local function state() return cjson.decode(s:get("/sinks/out/replay").body) end

  local function begin(query)
    return h.request(s.admin, "POST", "/sinks/out/replay" .. (query or ""), "")
  end

  ---A replay whose first batch gets no answer.
  local function begin_late()
    r:rule "late 60"
    local taken = r:count("taken")
    assert.equal(202, begin().status)
    h.wait_for("a batch whose answer is late", function()
      return r:count("taken") == taken + 1
    end)
  end

  ---Each event is there once.
  local function once(where, n)
    local seen, list = {}, where:events()
    for _, line in ipairs(list) do
      local id = cjson.decode(line).id
      assert.is_nil(seen[id])
      seen[id] = true
    end
    assert.equal(n, #list)
  end

  it("arrive once, also on a stream with dedup, and in no other sink", function()
    run()
    die(1, 120)
    assert.matches("left=120 unreadable=0\ndry run: nothing was sent\nrc=0",
      replay "--dry-run")
    assert.equal(120, #letters())
    r:rule ""
    local refused = {}
    for _, q in ipairs(r:requests()) do
      refused[q.headers["idempotency-key"]] = q.status == 400 or nil
    end
    local n = #r:requests()
    assert.matches("^replayed=120 dead_again=0 unreadable=0 left_bytes=0\nrc=0",
      replay())
    once(r, 240)
    once(well, 240)
    -- A server that remembers refused batches by name gets another name.
    for i = n + 1, #r:requests() do
      assert.is_nil(refused[r:requests()[i].headers["idempotency-key"]])
    end
    assert.equal(120, s:metric("sluice_dead_replayed_events_total"))
    assert.equal("", h.shell(("ls '%s/dead'"):format(s.data)))
    assert.matches("^replayed=0 dead_again=0 .*\nrc=0", replay())
    -- The next ones are as before.
    die(121, 122)
    r:rule ""
    assert.matches("^replayed=2 ", replay())
    once(r, 244)
    assert.equal(0, s:stop())
  end)

  it("that die again are counted apart, and are letters again", function()
    run()
    die(1, 20)
    -- Half of them are mended by hand: the file is an operator's to edit.
    h.write(file(), (h.read(file()):gsub('("id":"b%d*[02468]"),"value":"text"', "%1")))
    assert.matches("^replayed=10 dead_again=10 unreadable=0 left_bytes=0\nrc=1",
      replay())
    assert.equal(10, #letters())
    assert.equal(30, s:metric("sluice_dead_events_total"))
    once(r, 30)
    -- Also for the next process.
    s:stop("SIGKILL")
    s:start()
    assert.equal(10, #letters())
    r:rule ""
    assert.matches("^replayed=10 dead_again=0 .*\nrc=0", replay())
    once(r, 40)
    once(well, 40)
  end)

  it("keeps lines that are no letters of this sink", function()
    run()
    die(1, 3)
    local whole = h.read(file())
    local f = io.open(file(), "ab")
    f:write("no letter\n", (whole:match("^[^\n]+\n"):gsub('"sink":"out"',
      '"sink":"other"')), '{"event":{"id"')
    f:close()
    r:rule ""
    assert.matches("^replayed=3 dead_again=0 unreadable=3 left_bytes=.*\nrc=1", replay())
    once(r, 6)
    local kept = h.shell(("cat '%s'.replayed-*"):format(file()))
    assert.matches("\nno letter\n", kept, 1, true)
    assert.matches("^replayed=0 .*\nrc=0", replay())
  end)

  it("arrive once over kill -9 while the answer is awaited", function()
    run()
    die(1, 120)
    begin_late()
    assert.equal(409, begin().status)
    assert.matches("runs already", begin().body)
    assert.equal("runs", state().status)
    s:stop("SIGKILL")
    r:kill()
    r:rule "poison"
    r:run()
    s:start()
    assert.equal("none", state().status)
    die(121, 123)
    r:rule ""
    assert.matches("left=123 unreadable=0", replay "--dry-run")
    -- First the letters that were cut off, then the later ones.
    assert.matches("^replayed=120 dead_again=0 .*resumed=true\n"
      .. "replayed=3 dead_again=0 unreadable=0 left_bytes=0\nrc=0", replay())
    assert.equal(1, r:count("copy"))
    once(r, 246)
    once(well, 246)
  end)

  it("arrive once over an upgrade while the answer is awaited", function()
    run()
    die(1, 120)
    r:rule "late 1"
    local taken = r:count("taken")
    assert.equal(202, begin().status)
    h.wait_for("a batch whose answer is late", function()
      return r:count("taken") == taken + 1
    end)
    upgrades.upgrade(s)
    r:rule ""
    assert.equal("none", state().status)
    assert.matches("^replayed=120 dead_again=0 unreadable=0 .*resumed=true\nrc=0", replay())
    once(r, 240)
    once(well, 240)
  end)

  it("wait while the sink can't take them, and hold up nobody", function()
    run()
    die(1, 5)
    r:rule "status 503"
    assert.equal(202, begin().status)
    h.wait_for("the reason", function() return state().why:find("503", 1, true) end)
    assert.equal(202, s:post("/v1/events/batch", [==[[{"id":"x"}]]==]).status)
    h.wait_for("the other sink", function() return #well:events() == 11 end)
    r:rule ""
    h.wait_for("its end", function() return state().status == "done" end)
    assert.equal(5, state().replayed)
    h.wait_for("all", function() return #r:events() == 11 end)
    once(r, 11)
    assert.equal(0, s:stop())
  end)

  it("can be given up: nothing more is sent, nothing is lost", function()
    run()
    die(1, 5)
    r:rule "status 503"
    assert.equal(202, begin().status)
    h.wait_for("the reason", function() return state().why:find("503", 1, true) end)
    local a = h.request(s.admin, "DELETE", "/sinks/out/replay", "",
      { Origin = "http://evil.example" })
    assert.equal(403, a.status)
    assert.matches("^replayed=0 dead_again=0 .*\nthe replay stopped.*\nrc=0",
      replay "--stop")
    assert.equal("stopped", state().status)
    r:rule ""
    assert.equal(202, s:post("/v1/events/batch", [==[[{"id":"x"}]]==]).status)
    h.wait_for("the event", function() return #r:events() > 5 end)
    assert.equal(6, #r:events())
    assert.matches("no replay of this sink runs.*\nrc=1", replay "--stop")
    -- Also while an answer is awaited: the batch in hand goes again as the same batch.
    begin_late()
    assert.matches("^replayed=0 .*\nrc=0", replay "--stop")
    r:rule ""
    assert.matches("^replayed=5 dead_again=0 .*resumed=true\nrc=0", replay())
    assert.equal(1, r:count("copy"))
    once(r, 11)
    assert.equal(0, s:stop())
  end)

  it("can be mended after they were given up, as the refusal of the edit says", function()
    run()
    die(1, 5)
    begin_late()
    assert.matches("rc=0", replay "--stop")
    r:rule "poison"
    h.shell(("sed -i 's/text/a longer text/' '%s.replay'"):format(file()))
    local out = replay()
    local mark = out:match("was edited while it was being replayed: delete (%S+) to send")
    assert.equal(file() .. ".replay-mark", mark, out)
    os.remove(mark)
    h.shell(("sed -i 's/,\"value\":\"a longer text\"//' '%s.replay'"):format(file()))
    assert.matches("^left=5 ", replay "--dry-run")
    assert.matches("^replayed=5 dead_again=0 unreadable=0 left_bytes=0\nrc=0", replay())
    assert.same({}, letters())
    assert.equal(0, s:stop())
  end)

  it("can be mended by the commands that DELIVERY.md shows", function()
    run()
    die(1, 5)
    r:rule ""
    local shown = assert(h.read("conf/DELIVERY.md"):match("\n```\n(%$ mv data/dead.-)```"))
    local n
    shown, n = shown:gsub("%$ ", ""):gsub([["price":"free"/"price":0]], [["text"/"mended"]])
    assert.equal(1, n)
    shown = shown:gsub("data/", s.data .. "/"):gsub("sink%-olap", "sink-out")
      :gsub("mend%.ndjson", s.dir .. "/mend.ndjson"):gsub("sluice ([^\n]+) olap",
        h.binary .. " %1 out --admin 127.0.0.1:" .. s.admin)
    assert.matches("^replayed=5 dead_again=0 unreadable=0 left_bytes=0\nrc=0",
      h.shell("(set -e\n" .. shown .. ") 2>&1; echo rc=$?"))
    assert.equal(5, select(2, h.read(r.dir .. "/events.ndjson"):gsub('"mended"', "")))
    assert.equal(0, s:stop())
  end)

  for _, name in ipairs { "SIGKILL", "SIGTERM" } do
    it("are there after " .. name .. " also if they were mended and put back", function()
      run()
      die(1, 5)
      local away = file() .. ".away"
      assert.is_true(os.rename(file(), away))
      die(6, 8)
      h.shell(("cat '%s' >>'%s'"):format(away, file()))
      s:stop(name)
      s:start()
      local list = letters()
      table.sort(list)
      assert.same({ "b1", "b2", "b3", "b4", "b5", "b6", "b7", "b8" }, list)
      r:rule ""
      assert.matches("^replayed=8 dead_again=0 unreadable=0 left_bytes=0\nrc=0",
        replay())
      once(r, 16)
      assert.equal(0, s:stop())
    end)
  end

  it("can be given up while others wait for what becomes of it", function()
    run()
    die(1, 5)
    r:rule "status 401"
    assert.equal(202, begin().status)
    h.wait_for("the reason", function() return state().why:find("401", 1, true) end)
    local taken = r:count("taken")
    r:rule "late 60"
    h.wait_for("a batch whose answer is late", function()
      return r:count("taken") == taken + 1
    end)
    local there = #well:events()
    assert.equal(202, s:post("/v1/events/batch", [==[[{"id":"x"}]]==]).status)
    h.wait_for("the event elsewhere", function() return #well:events() == there + 1 end)
    r:rule ""
    assert.matches("the replay stopped.*\nrc=0", replay "--stop")
    h.wait_for("the event", function() return r:count("taken") == taken + 2 end)
    assert.equal(0, s:stop())
  end)

  it("go to a sink that has another name now, with its own", function()
    run()
    die(1, 5)
    local before = policy(r.url, well.url)
    h.write(s.path, (before:gsub('http "out" {', 'http "new" { was = "out",')
      :gsub('"out", "well"', '"new", "well"')))
    assert.equal(200, s:reload().status)
    die(6, 8)
    r:rule ""
    local cli = ("%s dead replay --sink new --admin 127.0.0.1:%d "):format(h.binary, s.admin)
    assert.matches("left=8 unreadable=0", h.shell(cli .. "--dry-run"))
    assert.equal("replayed=5 dead_again=0 unreadable=0 left_bytes=0\n"
      .. "replayed=3 dead_again=0 unreadable=0 left_bytes=0\nrc=0\n",
      h.shell(cli .. "; echo rc=$?"))
    once(r, 16)
    assert.equal("", h.shell(("ls '%s/dead'"):format(s.data)))
    assert.equal(0, s:stop())
  end)

  it("in hand when their sink gets another name are sent by that, each once", function()
    run()
    die(1, 60)
    begin_late()
    h.write(s.path, (policy(r.url, well.url):gsub('http "out" {', 'http "new" { was = "out",')
      :gsub('"out", "well"', '"new", "well"')))
    assert.equal(200, s:reload().status)
    r:rule ""
    local cli = ("%s dead replay --sink new --admin 127.0.0.1:%d "):format(h.binary, s.admin)
    assert.matches("left=60 unreadable=0", h.shell(cli .. "--dry-run"))
    assert.matches("^replayed=60 dead_again=0 .*resumed=true\nrc=0\n$",
      h.shell(cli .. "; echo rc=$?"))
    once(r, 120)
    assert.equal(1, r:count("copy"))
    assert.equal("", h.shell(("ls '%s/dead'"):format(s.data)))
    assert.equal(0, s:stop())
  end)

  it("are shown as text that no terminal obeys", function()
    run()
    r:rule "poison"
    assert.equal(202, s:post("/v1/events/batch",
      '[{"id":"g"},{"id":"b","value":"\194\155" }]').status)
    h.wait_for("the letter", function()
      return s:metric("sluice_dead_events_total") == 1
    end)
    local show = ("%s dead show '%s'"):format(h.binary, file())
    for _, seen in ipairs { h.shell(show), h.shell(('script -qec "%s" /dev/null'):format(show)) } do
      assert.matches('"id":"b"', seen, 1, true)
      assert.matches([["value":"\u009b"]], seen, 1, true)
      assert.is_nil(seen:find("\194\155", 1, true))
    end
  end)

  it("are refused with a reason where there is nothing to do it", function()
    run()
    local function answer(path, method)
      local a = h.request(s.admin, method or "POST", path, "")
      return a.status .. " " .. (a.body or "")
    end
    assert.matches("^404 there is no such sink", answer "/sinks/none/replay")
    assert.matches("^409 a file sink refuses no events", answer "/sinks/archive/replay")
    assert.matches("^400 expected nothing or %?dry%-run", answer "/sinks/out/replay?x")
    assert.matches("^405", answer("/sinks/out/replay", "PUT"))
    die(1, 2)
    h.write(file() .. ".replayed", ("0"):rep(32) .. "\n")
    assert.matches("were posted to a route.*\nrc=1", replay())
    assert.equal(2, #letters())
    assert.equal(0, s:stop())
    assert.matches("no server answers at 127.*\nrc=3", replay())
    assert.matches("usage: .*\nrc=2", replay "--what")
  end)
end)
