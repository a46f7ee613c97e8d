-- sluice status against what clients sent, du and df say; and refusals that a look of a second
-- does not see.
local certificates = require "certificates"
local cjson = require "cjson"
local h = require "harness"
local receiver = require "receiver"

local POLICY = [[
server { listen = "127.0.0.1:0", workers = 2, drain = "100ms", max_body = "1MiB" }
admin { listen = "127.0.0.1:0" }
spool { segment = "4MiB", max_bytes = "128MiB" }
http "out" { url = %q, batch = { linger = "5ms" }, breaker = { timeout = "1s" } }
null "kept" {}
stream "events" { sinks = { "out", "kept" }, max_bytes = "40MiB" }
stream "other" { sinks = { "kept" } }
route "POST /v1/events" { body = "batch", stream = "events", schema = schema { n = int {} } }
route "POST /whole" { body = "batch", stream = "other", partial = false,
  schema = schema { n = int {} } }
route "POST /quiet" { body = "batch", stream = "other", schema = schema { n = int {} } }
route "POST /forty" { body = "batch", stream = "other",
  on_event = function(ev) return reject(("c%%02d"):format(ev.n %% 40), "no") end }
]]

local function shell(args, env)
  local out = h.shell(("{ env -u SLUICE_ADMIN %s %s %s; } 2>&1; echo rc=$?"):format(env or "",
    h.binary, args))
  return (out:gsub("rc=%d+\n$", "")), tonumber(out:match "rc=(%d+)\n$")
end

describe("sluice status", function()
  local s, r
  before_each(function()
    r = receiver.start()
    s = h.server { policy = POLICY:format(r.url) }
  end)
  after_each(function()
    s:close()
    r:close()
  end)

  local function status(args)
    return shell(("status --spool '%s/spool' %s"):format(s.data, args or "--during 20ms"))
  end
  local function events(n, bad)
    local list = {}
    for i = 1, n do list[i] = i <= (bad or 0) and '{"n":"x"}' or ('{"n":%d}'):format(i) end
    return "[" .. table.concat(list, ",") .. "]"
  end
  local MIB = 1048576

  it("has the figures that clients, du and df have", function()
    r:rule "status 503"
    local pad = ("x"):rep(1000)
    local sent, list = 0, {}
    for i = 1, 900 do list[i] = ('{"n":%d,"pad":"%s"}'):format(i, pad) end
    local body = "[" .. table.concat(list, ",") .. "]"
    for _ = 1, 12 do
      assert.equal(202, s:post("/v1/events", body).status)
      sent = sent + 900
    end
    local held = {}
    for i = 1, 3 do held[i] = h.connect(s.port) end
    local out, code
    h.wait_for("the sink to hold and the connections", function()
      out, code = status()
      return out:find "\n  out +holds +[%d.]+ m?s +10.8 k " and out:find "over 3 connections"
    end)
    for _, c in ipairs(held) do c:close() end
    assert.equal(1, code)
    assert.matches("\n  stored +[%d.]+ +10.8 k\n", out)
    -- What the stream takes on the disk, of its own bound and in its unit.
    local mib = tonumber(out:match "\n  events +written +([%d.]+) MiB +40.0 MiB +%d+ %% +10.8 k\n")
    local du = tonumber(h.shell(("du -s --block-size=1 '%s/spool/events'"):format(s.data))
      :match "^%d+")
    assert.is_true(mib ~= nil and math.abs(mib * MIB - du) < 0.2 * MIB, out .. du)
    local used = tonumber(out:match "%((%d+) %% used%), and takes events")
    local df = tonumber(h.shell(("df --output=pcent '%s/spool'"):format(s.data)):match "(%d+)%%")
    assert.is_true(math.abs(used - df) <= 1, out .. df) -- df rounds up
    r:rule ""
    s:deliver()
  end)

  it("says that a stream is full, by its name, while its clients get 503", function()
    r:rule "status 503"
    local pad = ("x"):rep(900000)
    local answer
    for i = 1, 60 do
      answer = s:post("/v1/events", ('[{"n":%d,"pad":"%s"}]'):format(i, pad))
      if answer.status == 503 then break end
    end
    assert.equal(503, answer.status)
    local out, code
    h.wait_for("the stream to be full", function()
      out, code = status()
      return out:find "stream events is 100 %% full"
    end)
    assert.equal(1, code)
    assert.matches("WRONG  stream events is 100 %% full, [%d.]+ MiB of its max_bytes 40.0 MiB "
      .. "are on the disk; /readyz answers 503, and so does a request that has no room\n", out)
    assert.equal(503, s:get("/readyz").status)
    r:rule ""
    s:deliver()
    h.wait_for("room", function()
      out, code = status()
      return code == 0
    end)
  end)

  it("names a route that refuses all it gets, though nothing comes during the look", function()
    assert.equal(422, s:post("/quiet", events(30, 30)).status)
    s:post("/v1/events", events(5000))
    local out, code = status()
    -- The events may have come during the look, if it began too soon after them.
    h.wait_for("a look without them", function()
      out, code = status()
      return out:find("no event just now", 1, true)
    end)
    assert.equal(1, code)
    assert.matches("WRONG  POST /quiet refuses 100 %% of its events with wrong_type: 30 of 30 "
      .. "in the last [%d.]+ m?s, and no event just now\n       do: sluice tap", out)
    -- Another policy may have mended it: it stays a note.
    assert.equal(200, s:reload().status)
    out, code = status()
    assert.equal(0, code, out)
    assert.matches("note   POST /quiet has refused 100 %% of its events with wrong_type in the "
      .. "last [%d.]+ m?i?n?s?: 30 of 30\n", out)
  end)

  it("names a small share that lasts, and does not call it wrong", function()
    for _ = 1, 5 do assert.equal(202, s:post("/v1/events", events(200, 4)).status) end
    local out, code
    h.wait_for("the note", function()
      out, code = status()
      return out:find("note   POST /v1/events", 1, true)
    end)
    assert.equal(0, code, out)
    assert.matches("note   POST /v1/events has refused 2 %% of its events with wrong_type in "
      .. "the last [%d.]+ m?s: 20 of 1.0 k\n", out)
    local json = cjson.decode((status "--during 20ms --json"))
    assert.is_true(json.ok)
    assert.equal("refused", json.notes[1].what)
    assert.equal("wrong_type", json.notes[1].subject)
  end)

  it("counts the good events of a batch that is refused as a whole", function()
    local out
    local _, errors = h.together {
      status = function() out = status "--during 2s" end,
      clients = function()
        while not out do
          assert.equal(422, s:post("/whole", events(100, 1)).status)
          h.sleep(0.02)
        end
      end }
    assert.same({}, errors)
    assert.matches("WRONG  POST /whole refuses 100 %% of its events just now by all codes "
      .. "together, most with wrong_type %(a batch that", out)
  end)

  -- What the page's first lines say of a status and the one before.
  local function page(before, now)
    local file = s.dir .. "/page"
    h.write(file, ("[[%s,%s]]"):format(now, before))
    local x = cjson.decode(h.shell("node --no-warnings tests/clients/admin_words.cjs " .. file))[1]
    return x.state, table.concat(x.more, "\n")
  end

  it("names a route that refuses all by 40 codes that refuse little each, as the page does",
  function()
    local before = s:get("/status").body
    local out, code
    local _, errors = h.together {
      status = function() out, code = status "--during 2s" end,
      clients = function()
        while not out do
          assert.equal(422, s:post("/forty", events(80)).status)
          h.sleep(0.02)
        end
      end }
    assert.same({}, errors)
    assert.equal(1, code)
    assert.matches("WRONG  POST /forty refuses 100 %% of its events just now by all codes "
      .. "together, most with c%d%d\n", out)
    assert.equal(1, select(2, out:gsub("WRONG ", "")), out)
    h.wait_for("a look without them", function()
      out, code = status()
      return out:find("no event just now", 1, true)
    end)
    assert.equal(1, code)
    local count = "WRONG  POST /forty refuses 100 %% of its events by all codes together, most "
      .. "with c%d%d: ([%d.]+ ?k?) of ([%d.]+ ?k?) in the last [%d.]+ m?s, and no event just now\n"
    assert.matches(count, out)
    local part, whole = out:match(count)
    assert.equal(whole, part)
    if h.shell("command -v node") ~= "" then
      local state, more = page(before, s:get("/status").body)
      assert.equal("warn", state)
      assert.matches("POST /forty refused 100 %% of its events in the last [%d.]+ m?s by all codes "
        .. "together, most with c%d%d", more)
    end
  end)

  it("says the same of each fault as the page, the metrics and the log", function()
    if h.shell("command -v node") == "" then
      pending "no node: apt-get install nodejs"
      return
    end
    s:close()
    local dir = h.folder()
    local own = certificates.make(dir, "own", { days = 3, age = 60 })
    local policy = POLICY:format(r.url) .. ([[
listen "127.0.0.1:0" { tls = { cert = "%s.pem", key = "%s.key" } }
route "POST /raises" { body = "event", stream = "other", on_event = function() error "no" end }
]]):format(own, own)
    s = h.server { dir = dir, policy = policy }
    r:rule "status 503"
    assert.equal(202, s:post("/v1/events", events(1)).status)
    h.wait_for("the sink to hold", function() return s:metric "sluice_sink_holding" == 1 end)
    h.write(s.path, policy .. "\nroute {")
    assert.equal(422, s:reload().status)
    local before = s:get("/status").body
    local json
    local _, errors = h.together {
      status = function() json = cjson.decode((status "--during 1s --json")) end,
      clients = function()
        while not json do
          s:post("/raises", "{}")
          h.sleep(0.02)
        end
      end }
    assert.same({}, errors)
    local what = {}
    for _, x in ipairs(json.problems) do what[x.what] = x.text end
    for _, x in ipairs(json.notes) do what[x.what] = what[x.what] or x.text end
    local state, more = page(before, s:get("/status").body)
    assert.equal("bad", state)
    for word, says in pairs {
      sink_holds = { "takes nothing.*503", "The sink out takes nothing now: .*503",
        "event=sink sink=out status=holding", "sluice_sink_holding" },
      certificate = { "expires in [23] d", "The certificate of .* expires in 3 days", "",
        "sluice_tls_certificate_expiry_seconds" },
      load_refused = { "last load of the policy was refused.*a restart would fail",
        "The last load of the policy was refused.*a restart would fail",
        "event=policy generation=2 status=refused", "sluice_policy_load_refused" },
      hook_raises = { "hooks raised an error %d+ times just now, %d+ times since the start, most "
        .. "by on_event of POST /raises", "Hooks raised an error %d+ times in the last minute, "
        .. "%d+ times since the start, most by on_event of POST /raises",
        "event=policy status=raised", "sluice_policy_errors_total" },
    } do
      assert.is_truthy(what[word], word)
      assert.matches(says[1], what[word])
      assert.matches(says[2], more)
      assert.matches(says[3], s:text())
      assert.is_true(s:metric(says[4]) > 0, word)
    end
    r:rule ""
  end)

  it("says nothing false after the clock was set back, or forward", function()
    s:close()
    local dir = h.folder()
    s = h.server { dir = dir, policy = POLICY:format(r.url), wrap = h.own_clock(dir .. "/clock") }
    for _, ms in ipairs { -3600000, 7200000 } do
      h.set_clock(dir .. "/clock", ms)
      assert.equal(202, s:post("/v1/events", events(3)).status)
      s:deliver()
      local out, code
      h.wait_for("no problem", function()
        out, code = status()
        return code == 0
      end)
      assert.matches("up %d+ m?s,", out)
      assert.falsy(out:find("-%d+ m?s"), out)
      assert.falsy(out:find "nan")
    end
    h.set_clock(dir .. "/clock", 0)
  end)

  it("says which server it asked when no argument names one", function()
    local binary = h.shell(("realpath '%s'"):format(h.binary)):match "[^\n]+"
    local out = h.shell(("cd '%s/..' && { env -u SLUICE_ADMIN '%s' reload; } 2>&1"):format(s.data,
      binary))
    assert.matches("\nserver: 127.0.0.1:" .. s.admin .. " %(noted in data/spool%)\n$", out)
    out = shell("reload", "SLUICE_ADMIN=127.0.0.1:" .. s.admin)
    assert.matches("\nserver: 127.0.0.1:" .. s.admin .. " %(SLUICE_ADMIN%)\n$", out)
    out = shell("reload --admin 127.0.0.1:" .. s.admin)
    assert.falsy(out:find "server: ")
  end)
end)
