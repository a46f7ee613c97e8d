-- Commands to a running server, as an operator and a script give them.
local cjson = require "cjson"
local h = require "harness"

local policy = [[
server { listen = "127.0.0.1:0", workers = 2, drain = "100ms" }
admin { listen = "127.0.0.1:0", hosts = { "sluice.example" } }
file "archive" { dir = "archive", linger = "20ms" }
http "away" { url = "http://127.0.0.1:1/" }
stream "events" { sinks = { "archive", "away" } }
route "POST /v1/events" { body = "event", stream = "events",
  schema = schema { n = int {} } }
]]

describe("a command to a running server", function()
  local s

  setup(function() s = h.server { policy = policy } end)
  teardown(function() s:close() end)

  local function sluice(args, env)
    local out = h.shell(("{ env -u SLUICE_ADMIN %s %s %s; } 2>&1; echo rc=$?"):format(env or "",
      h.binary, args))
    return out:gsub("rc=%d+\n$", ""), tonumber(out:match("rc=(%d+)\n$"))
  end

  local function here() return "--spool '" .. s.data .. "/spool'" end

  it("finds the server by its spool, its address or the environment", function()
    for _, how in ipairs { here(), "--spool '" .. s.data .. "'",
      "--admin 127.0.0.1:" .. s.admin, "--admin http://localhost:" .. s.admin .. "/" } do
      local out, code = sluice("reload " .. how)
      assert.equal(0, code, out)
      assert.matches("^live: generation %d+ is live\n", out)
    end
    local _, code = sluice("reload", "SLUICE_ADMIN=127.0.0.1:" .. s.admin)
    assert.equal(0, code)
    local out
    out, code = sluice("reload --admin 127.0.0.1:1")
    assert.equal(3, code)
    assert.matches("no server answers at 127.0.0.1:1", out)
    out, code = sluice("reload --spool '" .. s.dir .. "'")
    assert.equal(3, code)
    assert.matches("no spool here: neither EPOCH nor spool/EPOCH", out)
    out, code = sluice("sink repair archive --spool '" .. s.data .. "'")
    assert.equal(0, code, out)
    for _, bad in ipairs { "''", "unix:x", "ftp://x", "'a b'" } do
      out, code = sluice("reload --admin " .. bad)
      assert.equal(3, code)
      assert.matches("is no address: expected HOST:PORT", out)
    end
  end)

  it("says which sink is behind and why, and why events are refused", function()
    for i = 1, 3 do
      assert.equal(202, s:post("/v1/events", ('{"n":%d}'):format(i)).status)
      assert.equal(422, s:post("/v1/events", '{"n":"x"}').status)
    end
    h.wait_for("the sink to hold", function()
      return s:metric("sluice_sink_holding", 'sink="away"') == 1
        and s:metric("sluice_sink_left_events", 'sink="away"') == 3
    end)
    h.wait_for("the time of its failure", function()
      return s:metric("sluice_sink_failing_seconds", 'sink="away"') > 0
    end)
    local away
    for _, x in ipairs(cjson.decode(s:get("/status").body).sinks) do
      away = x.name == "away" and x or away
    end
    assert.is_true(away.failing_since_ms > 0 and away.next_try_ms > away.failing_since_ms)
    assert.matches("onnect", away.last_error)
    assert.is_true(away.last_error_ms >= away.failing_since_ms)
    local text, code
    h.wait_for("the archive to have all", function()
      text, code = sluice("status --during 20ms " .. here())
      return text:find "\n  archive +delivers +%-"
    end)
    assert.equal(1, code)
    assert.matches("\nWRONG  sink away takes nothing, 3 events wait for it, the oldest for ",
      text)
    assert.matches("onnect", text:match "\n      why: ([^\n]+)")
    assert.matches("\n  away +holds ", text)
    assert.matches("\n  archive +delivers +%-", text)
    assert.matches("\n  POST /v1/events +wrong_type +422 +[%d.]+ +3\n", text)
    assert.matches("\n  lost 0, skipped 0,", text)
    assert.falsy(text:find "\27")
    local json
    json, code = sluice("status --json --during 20ms " .. here())
    assert.equal(1, code)
    local facts = cjson.decode(json)
    assert.is_false(facts.ok)
    assert.equal("sink_holds", facts.problems[1].what)
    assert.equal("away", facts.problems[1].subject)
    assert.equal("wrong_type", facts.refusals[1].code)
    assert.equal(3, facts.refusals[1].since_start)
    assert.equal(3, facts.events.since_start.stored)
    assert.equal(0, facts.lost.sinks)
  end)

  it("loads, refuses and takes back policies, and its exit code says which", function()
    local before = h.read(s.path)
    h.write(s.path, before .. "\nroute {")
    local out, code = sluice("reload " .. here())
    assert.equal(1, code)
    assert.matches("^refused: generation %d+ stays live\n", out)
    assert.matches("1 problem", out)
    h.write(s.path, (before:gsub("http .-\n", "")
      :gsub(', "away"', "") .. "\n-- other"))
    out, code = sluice("reload " .. here())
    assert.equal(0, code, out)
    assert.matches("\nretiring: sink away has 3 events %(%d+ bytes%) to deliver", out)
    out, code = sluice("rollback " .. here())
    assert.equal(0, code, out)
    assert.matches("is live\n", out)
    h.write(s.path, before)
    out, code = sluice("promote " .. here())
    assert.equal(1, code)
    assert.matches("^refused: ", out)
    out, code = sluice("reload --json " .. here())
    assert.equal(0, code)
    assert.equal("live", cjson.decode(out).status)
  end)

  it("sends clients elsewhere, says what is left, and takes them back", function()
    local c = h.connect(s.port)
    local request = "POST /v1/events HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
      .. "Content-Length: 7\r\n\r\n" .. '{"n":1}'
    c:send(request)
    assert.is_nil(h.answer(c).headers.connection)
    local out, code = sluice("drain --wait 0ms " .. here())
    assert.equal(1, code, out)
    assert.matches("not drained: %d+ events wait for sinks, 0 for the disk; sink away takes", out)
    s:logged "event=drain cause=POST status=rests"
    assert.is_true(h.closed(c)) -- it is idle
    assert.equal(503, s:get("/readyz").status)
    h.wait_for("answers that close", function()
      c = h.connect(s.port)
      c:send(request)
      local a = h.answer(c)
      c:close()
      return a.status == 202 and a.headers.connection == "close"
    end)
    local text = sluice("status --during 20ms " .. here())
    assert.matches("WRONG  the server drains", text)
    assert.equal(0, select(2, sluice("drain --undo " .. here())))
    assert.equal(200, s:get("/readyz").status)
    h.wait_for("connections that stay", function()
      c = h.connect(s.port)
      c:send(request)
      local kept = h.answer(c).headers.connection == nil
      c:close()
      return kept
    end)
    assert.equal(400, h.request(s.admin, "POST", "/drain?x", "").status)
  end)

  it("logs less or more until the next load", function()
    assert.equal("level=error until the next reload\n", (sluice("loglevel error " .. here())))
    s:logged "event=loglevel cause=POST level_now=error"
    local from = #s:text()
    assert.equal(0, select(2, sluice("reload " .. here())))
    assert.matches("status=live", s:text():sub(from)) -- the load's own level holds
    assert.equal(2, select(2, sluice("loglevel loud " .. here())))
    assert.equal(400, h.request(s.admin, "POST", "/loglevel?loud", "").status)
    local wrong = s:get "/loglevel"
    assert.equal(405, wrong.status)
    assert.matches('"detail":"this path accepts POST"', wrong.body, 1, true)
    assert.equal(400, h.request(s.admin, "POST", "/upgrade?status", "").status)
    assert.is_nil(s:text():find("event=upgrade", 1, true))
  end)

  it("does not believe the note of a server that has ended", function()
    assert.equal(0, s:stop())
    local out, code = sluice("status " .. here())
    assert.equal(3, code)
    assert.matches("no server runs with the spool", out)
    s:start()
    assert.equal(0, select(2, sluice("reload " .. here())))
  end)
end)
