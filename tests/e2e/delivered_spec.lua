local faults = require "faults"
local h = require "harness"
local hanging = require "hanging"
local kafka = require "kafka"
local numbered = require "numbered"

describe("ack = \"delivered\"", function()
  local m, s
  local function policy(o)
    o = o or {}
    return ([[
server { listen = "127.0.0.1:0", workers = %d, max_body = "1MiB" }
admin { listen = "127.0.0.1:0" }
spool { segment = "4MiB" }
kafka "bus" { brokers = %q, topic = "events", batch = { linger = "1ms" }, %s }
file "archive" { dir = "archive", linger = "%s" }
%s
stream "events" { ack = "delivered", timeout = "%s", sinks = { %s } }
route "POST /v1/events" { body = "event", stream = "events" }
route "POST /v1/events/batch" { body = "batch", stream = "events" }
]]):format(o.workers or 2, m.brokers, o.bus or "", o.linger or "5ms", o.top or "",
      o.timeout or "1s", o.sinks or '"bus", "archive"')
  end
  before_each(function() m = kafka.mock() end)
  after_each(function() s:close() m:close() end)

  local function reload(text) numbered.reload(s, text) end

  ---A request that is not waited for.
  local function send(body, path)
    local c = h.connect(s.port)
    c:settimeout(20)
    c:send(("POST %s HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
      .. "Content-Length: %d\r\n\r\n%s"):format(path or "/v1/events", #body, body))
    return c
  end
  local function stored(n)
    h.wait_for(n .. " stored", function()
      return s:metric("sluice_stored_events_total", 'stream="events"') == n
    end)
  end

  it("answers when every sink has the event", function()
    s = h.server { policy = policy { timeout = "10s" } }
    assert.equal(202, s:post("/v1/events", [[{"n":1}]]).status)
    assert.equal(1, kafka.count(m.brokers, "events", 4))
    assert.equal(2, s:metric("sluice_delivered_events_total"))
    local f = h.load_wait(h.load(s.port, { batch = 20, connections = 16,
      seconds = 2, rate = 500 }))
    print(("# delivered: %d events a second, p99 %.1f ms"):format(f.acked / 2,
      f.p99_ms))
    assert.equal(0, f.other + f.broken + f.full)
    assert.equal(f.acked + 1, kafka.count(m.brokers, "events", 4))
    assert.equal(0, s:stop())
  end)

  it("says 504 when one of them does not take it in time, and delivers it later",
  function()
    s = h.server { policy = policy() }
    s:post("/v1/events", [[{"n":0}]])
    m:down()
    local began = h.now()
    local a = s:post("/v1/events", [[{"n":1}]])
    assert.equal(504, a.status)
    assert.is_true(h.now() - began >= 1 and h.now() - began < 3)
    assert.matches("delivery_timeout", a.body)
    assert.matches("kept and will be delivered", a.body)
    m:say "up 1"
    h.wait_for("its delivery", function()
      return kafka.count(m.brokers, "events", 4) == 2
    end)
    h.wait_for("202 again", function()
      return s:post("/v1/events", [[{"n":2}]]).status == 202
    end)
  end)

  it("says 504 only when another stream of the request has synced its part", function()
    local dir = h.folder()
    local f = faults.new(dir)
    s = h.server { dir = dir, wrap = f:wrap(), policy = policy { sinks = '"bus"',
      timeout = "300ms", top = [[
stream "safe" { ack = "synced", sinks = { "archive" } }
route "POST /both" { body = "event", stream = "events",
  on_event = function() return to("events", "safe") end }]] } }
    assert.equal(202, s:post("/both", '{"n":0}').status)
    m:down()
    assert.equal(504, s:post("/both", '{"n":1}').status)
    f:rules "on=sync do=hang path=/spool/safe/"
    local c = send('{"n":2}', "/both")
    c:settimeout(1)
    assert.is_nil(h.answer(c))
    f:rules "on=sync do=EIO path=/spool/safe/"
    c:settimeout(20)
    assert.equal(503, h.answer(c).status)
    f:rules()
    f:close()
  end)

  it("counts what a sink refused for good", function()
    s = h.server { policy = policy {
      bus = [[options = { ["message.max.bytes"] = "1000" },]], timeout = "20s" } }
    local big = ([[{"n":"%s"}]]):format(("x"):rep(1500))
    assert.equal([[{"status":"accepted","accepted":1,"dead":1}]],
      s:post("/v1/events", big).body)
    assert.equal([[{"status":"accepted","accepted":1}]],
      s:post("/v1/events", [[{"n":1}]]).body)
    local a = s:post("/v1/events/batch", ([=[[{"n":2},%s,{"n":3},%s,%s,{"n":4}]]=]
      ):format(big, big, big))
    assert.same({ 202, [[{"status":"accepted","accepted":6,"dead":3}]] },
      { a.status, a.body })
    assert.equal(0, s:stop())
    assert.equal(8, #s:lines())
  end)

  it("counts what a sink skipped, once it has", function()
    s = h.server { policy = policy { workers = 1, timeout = "30s",
      sinks = [[bus = { when_full = "skip", max_lag = "1MiB" }, "archive"]] } }
    m:down()
    local line = ([[{"n":"%s"}]]):format(("x"):rep(8000))
    local lines = {}
    for i = 1, 100 do lines[i] = line end
    local body = "[" .. table.concat(lines, ",") .. "]"
    local waiting = {}
    for i = 1, 14 do
      waiting[i] = send(body, "/v1/events/batch")
      stored(100 * i)
    end
    -- The first two segments of 4 MiB are given up, the third is open.
    for i = 1, 8 do
      local a = h.answer(waiting[i])
      assert.same({ 202, [[{"status":"accepted","accepted":100,"skipped":100}]] },
        { a.status, a.body })
    end
    m:say "up 1"
    for i = 13, 14 do
      local a = h.answer(waiting[i])
      assert.same({ 202, [[{"status":"accepted","accepted":100}]] },
        { a.status, a.body })
    end
    for i = 1, 14 do waiting[i]:close() end
  end)

  it("refuses before the body while a breaker of such a sink is open", function()
    local breaker = [[clickhouse "olap" { urls = { "http://127.0.0.1:1" },
      table = "default.events", batch = { linger = "1ms", min = 1 } }
      stream "other" { sinks = { "olap" } }
      route "POST /other" { body = "event", stream = "other" }]]
    s = h.server { policy = policy { top = breaker, sinks = '"olap", "archive"' }
      :gsub('kafka "bus" %b{}', "") }
    assert.equal(504, s:post("/v1/events", [[{"n":1}]]).status)
    h.request(s.admin, "POST", "/sinks/olap/breaker?open", "")
    h.wait_for("the breaker", function()
      return s:metric("sluice_breaker_state") == 2
    end)
    h.wait_for("503", function()
      local c = h.connect(s.port)
      c:send("POST /v1/events HTTP/1.1\r\nHost: x\r\nContent-Type: application/json"
        .. "\r\nContent-Length: 1000\r\nExpect: 100-continue\r\n\r\n")
      local a = h.answer(c)
      c:close()
      if a.status ~= 503 then return false end
      assert.matches("sink_unavailable", a.body)
      assert.matches("^[1-5]$", a.headers["retry-after"])
      return true
    end)
    assert.equal(202, s:post("/other", [[{"n":2}]]).status)
    reload(policy { top = breaker, sinks = '"archive"' }:gsub('kafka "bus" %b{}',
      ""))
    assert.equal(202, s:post("/v1/events", [[{"n":3}]]).status)
  end)

  it("waits for the sinks that its policy had, but not for those removed since",
  function()
    s = h.server { policy = policy { timeout = "20s" } }
    assert.equal(202, s:post("/v1/events", [[{"n":0}]]).status)
    m:down()
    local c = send [[{"n":1}]]
    stored(2)
    local began = h.now()
    reload((policy { timeout = "20s", sinks = '"archive"' }:gsub(
      'kafka "bus" %b{}', "")))
    assert.equal(202, h.answer(c).status)
    assert.is_true(h.now() - began < 5)
    -- And not for one that is new.
    reload((policy { timeout = "5s", linger = "1s", sinks = '"archive"' }:gsub(
      'kafka "bus" %b{}', "")))
    c:send((([[POST /v1/events HTTP/1.1
Host: x
Content-Type: application/json
Content-Length: 7

{"n":2}]]):gsub("\n", "\r\n")))
    stored(3)
    reload((policy { timeout = "5s", linger = "1s" }):gsub('"bus" {',
      '"new" { from = "oldest",'):gsub('"bus", "archive"', '"new", "archive"'))
    assert.equal(202, h.answer(c).status)
    c:close()
    assert.equal(504, s:post("/v1/events", [[{"n":3}]]).status)
  end)

  local function waits(c, seconds)
    c:settimeout(seconds)
    assert.is_nil(h.answer(c))
    c:settimeout(20)
  end

  -- It is tried again each second.
  it("waits for a sink that can't start", function()
    local dir = h.folder()
    h.shell(("mkdir '%s/data' && : > '%s/data/none'"):format(dir, dir))
    local top = [[file "none" { dir = "none", linger = "5ms" }]]
    s = h.server { dir = dir, policy = policy { top = top, timeout = "20s",
      sinks = '"bus", "none", "archive"' } }
    s:logged "sink=none status=holding"
    local c = send [[{"n":1}]]
    waits(c, 2.5)
    reload(policy { top = top, timeout = "10s",
      sinks = '"bus", "none", "archive"' })
    waits(c, 1.5)
    os.remove(s.data .. "/none")
    assert.equal(202, h.answer(c).status)
    c:close()
    assert.equal(0, s:stop())
    assert.same({ '{"n":1}' }, s:lines "none")
  end)

  it("waits for a sink that gets another name, also by a policy that is refused", function()
    s = h.server { policy = policy { timeout = "20s" } }
    assert.equal(202, s:post("/v1/events", [[{"n":0}]]).status)
    m:down()
    local c = send [[{"n":1}]]
    stored(2)
    local renamed = policy { timeout = "20s", bus = 'was = "bus"' }:gsub('"bus" {', '"new" {')
      :gsub('"bus", "archive"', '"new", "archive"')
    h.write(s.path, (renamed:gsub('\nstream', '\n' .. hanging.sink(hanging.BAD) .. "%0")
      :gsub('"new", "archive"', '%0, "bad"')))
    assert.equal(500, s:reload().status)
    waits(c, 0.5)
    reload(renamed)
    waits(c, 0.5)
    m:say "up 1"
    assert.equal(202, h.answer(c).status)
    c:close()
    assert.equal(2, kafka.count(m.brokers, "events", 4))
    assert.equal(0, s:stop())
  end)

  it("lets at most 10,000 requests of a worker wait", function()
    s = h.server { policy = policy { workers = 1, timeout = "60s" } }
    m:down()
    local one = "POST /v1/events HTTP/1.1\r\nHost: x\r\nContent-Type: "
      .. "application/json\r\nContent-Length: 7\r\n\r\n{\"n\":1}"
    local many, list = one:rep(50), {}
    for i = 1, 200 do
      list[i] = h.connect(s.port)
      list[i]:send(many)
    end
    stored(10000)
    local a = s:post("/v1/events", [[{"n":2}]])
    assert.equal(503, a.status)
    assert.matches("too_many_waiting", a.body)
    assert.matches("^[1-5]$", a.headers["retry-after"])
    m:say "up 1"
    for i = 1, 200 do
      for _ = 1, 50 do assert.equal(202, h.answer(list[i]).status) end
      list[i]:close()
    end
    assert.equal(202, s:post("/v1/events", [[{"n":3}]]).status)
    assert.equal(10001, kafka.count(m.brokers, "events", 4))
  end)
end)
