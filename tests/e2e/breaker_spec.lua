local h = require "harness"
local clickhouse = require "clickhouse"
local hanging = require "hanging"
local receiver = require "receiver"

local why_not = clickhouse.missing()

local function policy(urls, more, batch)
  return ([[
server { listen = "127.0.0.1:0", workers = 1 }
admin { listen = "127.0.0.1:0" }
clickhouse "olap" { urls = { %s }, table = "default.events",
  batch = { %s linger = "20ms" }, %s }
stream "events" { sinks = { "olap" } }
route "POST /v1/events" { body = "event", stream = "events" }
route "POST /v1/events/batch" { body = "batch", stream = "events" }
]]):format(urls, batch or "target = 100, min = 1, max = 1000,", more)
end

describe("a breaker", function()
  local ch, s
  setup(function() if not why_not then ch = clickhouse.start() end end)
  teardown(function() if ch then ch:close() end end)
  before_each(function() if ch and ch.pid == nil then ch:run() end end)
  after_each(function() if s then s:close() s = nil end end)

  it("opens on a dead server, costs the client nothing, and closes after one "
    .. "timeout of its return", function()
    if why_not then pending(why_not) return end
    ch:events_table("events")
    s = h.server { policy = policy(("%q"):format(ch.url),
      [[breaker = { timeout = "1s" }]]) }
    local load = { batch = 10, connections = 4, seconds = 3, rate = 500 }
    local closed = h.load_wait(h.load(s.port, load))
    ch:kill()
    s:post("/v1/events", "{}")
    s:logged("event=breaker .* state=open", 40)
    -- What the breaker costs shows each time, a busy machine does not.
    local open, acked, tries = { next = closed.next }, closed.acked, 0
    repeat
      load.first, tries = open.next, tries + 1
      open = h.load_wait(h.load(s.port, load))
      acked = acked + open.acked
      assert.is_true(s:metric("sluice_breaker_state") >= 1) -- it is tried again
      assert.is_nil(s:get("/status").body:match('"breaker":%s*"closed"'))
      print(("# breaker: p99 of POST closed = %.2f ms, open = %.2f ms"):format(
        closed.p99_ms, open.p99_ms))
      assert.equal(0, open.other + open.broken + open.full)
    until open.p99_ms < 2 * closed.p99_ms + 3 or tries == 3
    assert.is_true(open.p99_ms < 2 * closed.p99_ms + 3)
    ch:run()
    local began = h.now()
    h.wait_for("all rows", function()
      -- By id: events in flight when the server was killed may be there twice.
      return ch:count("SELECT uniqExact(event_id) FROM events")
        == acked + 1
    end, 30)
    print(("# breaker: all delivered %.2f s after the server's return")
      :format(h.now() - began))
    assert.is_true(h.now() - began < 8)
    assert.equal(0, s:stop())
  end)

  it("asks the policy's ready_to_trip", function()
    if why_not then pending(why_not) return end
    s = h.server { policy = policy([["http://127.0.0.1:1"]], [[
      breaker = { timeout = "100ms", ready_to_trip = function(c)
        return c.requests >= 5 and c.consecutive_failures == c.failures
      end }]]) }
    s:post("/v1/events", "{}")
    s:logged("event=breaker .* state=open")
    assert.is_true(s:metric("sluice_endpoint_requests_total",
      'result="failed"') >= 5)
  end)

  it("is opened and closed by hand", function()
    if why_not then pending(why_not) return end
    ch:events_table("events")
    s = h.server { policy = policy(("%q"):format(ch.url), "") }
    local function force(what)
      return h.request(s.admin, "POST", "/sinks/olap/breaker?" .. what, "").status
    end
    assert.equal(200, force "open")
    h.wait_for("open", function() return s:metric("sluice_breaker_state") == 2 end)
    assert.equal(202, s:post("/v1/events", [[{"event_id":"x"}]]).status)
    h.sleep(0.5)
    assert.equal(0, ch:count("SELECT count() FROM events"))
    assert.equal(200, force "close")
    h.wait_for("the row", function()
      return ch:count("SELECT count() FROM events") == 1
    end)
    assert.equal(400, force "ajar")
    assert.equal(404, h.request(s.admin, "POST", "/sinks/no/breaker?open", "").status)
  end)
end)

describe("a breaker of a sink that can't start", function()
  local r, s, f
  before_each(function() r = receiver.start() end)
  after_each(function()
    hanging.close(s, f)
    r:close()
  end)

  it("is opened and closed by hand, once the sink can", function()
    local text = ([[
server { listen = "127.0.0.1:0", workers = 1 }
admin { listen = "127.0.0.1:0" }
file "archive" { dir = "archive", linger = "5ms" }
http "out" { url = %q, batch = { linger = "5ms" } }
stream "events" { sinks = { "out", "archive" } }
route "POST /v1/events" { body = "event", stream = "events" }
]]):format(r.url)
    s, f = hanging.start(text)
    local function force(what)
      return h.request(s.admin, "POST", "/sinks/" .. what, "")
    end

    ---Until f:rules(), by a policy with another name for it that is refused.
    local function hold()
      f:rules "on=read do=EIO path=/out.journal"
      h.write(s.path, (text:gsub('http "out" {', 'http "new" { was = "out",')
        :gsub('sinks = { "out"', 'sinks = { "new", "bad"')
        :gsub("stream ", hanging.sink(hanging.BAD) .. "\n%0", 1)))
      assert.equal(500, s:reload().status)
      assert.matches("Input/output error", s:get("/status").body)
      h.write(s.path, text)
    end
    local function start()
      local from = #s:text()
      f:rules()
      h.wait_for("its start", function()
        return s:text():find("sink=out status=delivering", from, true)
      end)
    end
    local function arrives(n)
      h.wait_for("the events", function() return #r:events() == n end)
    end
    local function state() return s:metric("sluice_breaker_state", r.url:match "^(.-)/in") end

    assert.same({ 200, "open until it is closed\n" }, { force("out/breaker?open").status,
      force("out/breaker?open").body })
    s:post("/v1/events", '{"n":1}')
    hold()
    local a = force "out/breaker?close"
    assert.same({ 200, "the sink is held; closed once it starts\n" }, { a.status, a.body })
    start()
    arrives(1)
    hold()
    a = force "out/breaker?open"
    assert.same({ 200, "the sink is held; open once it starts, until it is closed\n" },
      { a.status, a.body })
    start()
    s:post("/v1/events", '{"n":2}')
    h.wait_for("open", function() return state() == 2 end)
    h.sleep(0.3)
    arrives(1)
    assert.equal(200, force("out/breaker?close").status)
    arrives(2)
    assert.equal(409, force("archive/breaker?open").status)
  end)
end)

describe("a ClickHouse url whose breaker is opened by hand", function()
  local list, s
  before_each(function()
    list = {}
    for i = 1, 3 do
      list[i] = receiver.start()
      list[i]:rule "clickhouse 26.3"
    end
  end)
  after_each(function()
    if s then s:close() s = nil end
    for _, r in ipairs(list) do r:close() end
  end)

  it("is asked nothing, also when it is new or its sink gets another name", function()
    local function text(n, name, more)
      local urls = {}
      for i = 1, n do urls[i] = ('"http://127.0.0.1:%d"'):format(list[i].port) end
      return (policy(table.concat(urls, ", "), 'check = false, compression = "gzip"')
        :gsub('"olap"', ("%q"):format(name))
        :gsub("table = ", (more or "") .. 'hedge = { after = "1s" }, %0'))
    end
    local function reload(...)
      h.write(s.path, text(...))
      local a = s:reload()
      assert.equal(200, a.status, a.body)
    end
    local function force(what)
      assert.equal(200, h.request(s.admin, "POST", "/sinks/" .. what, "").status)
    end
    local function counts(what)
      local n = {}
      for i, r in ipairs(list) do n[i] = #r[what](r) end
      return n
    end
    local function arrive(n)
      h.wait_for("the rows", function()
        local c = counts "events"
        return c[1] + c[2] + c[3] == n
      end)
    end

    s = h.server { policy = text(2, "olap") }
    s:post("/v1/events", '{"n":1}')
    arrive(1)
    force "olap/breaker?open"
    h.wait_for("open", function() return s:metric "sluice_breaker_state" == 4 end)
    local before = counts "requests"
    h.sleep(6) -- for hedges both are asked about the table each five
    assert.same(before, counts "requests")
    reload(3, "olap")
    reload(3, "new", 'was = "olap", ')
    s:post("/v1/events", '{"n":2}')
    h.sleep(1)
    assert.same(before, counts "requests")
    force "new/breaker?close"
    arrive(2)
    assert.equal(0, s:stop())
  end)
end)
