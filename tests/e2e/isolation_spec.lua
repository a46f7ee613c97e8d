-- One sink that is dead does not hurt another, and one stream that is full does not
-- hurt another.
local h = require "harness"
local clickhouse = require "clickhouse"
local kafka = require "kafka"

local why_not = clickhouse.missing()

local function policy(brokers, url, o)
  return ([[
server { listen = "127.0.0.1:0", workers = 1, max_body = "64KiB" }
admin { listen = "127.0.0.1:0" }
spool { segment = "4MiB", max_bytes = "1GiB" }
kafka "bus" { brokers = %q, topic = "events", batch = { linger = "5ms" } }
clickhouse "olap" { urls = { %q }, table = "default.events",
  batch = { target = 500, min = 10, linger = "50ms" } }
file "archive" { dir = "archive" }
stream "events" { max_bytes = %q, sinks = { %s } }
stream "other" { sinks = { "archive" } }
route "POST /v1/events/batch" { body = "batch", stream = "events" }
route "POST /v1/other" { body = "event", stream = "other" }
]]):format(brokers, url, o.max_bytes or "256MiB", o.sinks)
end

describe("a dead sink", function()
  local ch, m, s
  setup(function() if not why_not then ch = clickhouse.start() end end)
  teardown(function() if ch then ch:close() end end)
  before_each(function()
    if why_not then return end
    if not ch.pid then ch:run() end
    m = kafka.mock()
    ch:events_table("events", "", "Memory")
  end)
  after_each(function()
    if s then s:close() s = nil end
    if m then m:close() m = nil end
  end)

  -- Events that sink has delivered over 2 s of the same load.
  local function rate(sink, first)
    local before = s:metric("sluice_delivered_events_total", ('"%s"'):format(sink))
    local f = h.load_wait(h.load(s.port, { batch = 20, connections = 4, seconds = 2,
      rate = 300, first = first }))
    h.sleep(1)
    return s:metric("sluice_delivered_events_total", ('"%s"'):format(sink)) - before,
      f
  end

  for _, row in ipairs {
    { "Kafka", "olap", function() m:say("down 1") end },
    { "ClickHouse", "bus", function() ch:kill() end } } do
    it("leaves the other its rate: " .. row[1] .. " is down", function()
      if why_not then pending(why_not) return end
      s = h.server { policy = policy(m.brokers, ch.url, {
        sinks = [["bus", "olap"]] }) }
      local before, f = rate(row[2], 1)
      row[3]()
      local after, g = rate(row[2], f.next)
      print(("# isolation: %s is down: %s delivered %d before, %d after"):format(
        row[1], row[2], before, after))
      assert.equal(0, g.other + g.broken + g.full)
      assert.is_true(after >= 0.95 * before)
    end)
  end

  it("with when_full = skip gives up its oldest; POST stays 202", function()
    if why_not then pending(why_not) return end
    s = h.server { policy = policy(m.brokers, ch.url, { max_bytes = "24MiB",
      sinks = [["olap", bus = { when_full = "skip", max_lag = "8MiB" }]] }) }
    local before, f = rate("olap", 1)
    m:say("down 1")
    local l = h.load_wait(h.load(s.port, { batch = 20, connections = 4, seconds = 7,
      rate = 1000, first = f.next }))
    print("# room: skip: " .. l.text)
    assert.equal(0, l.other + l.broken + l.full)
    assert.is_true(s:metric("sluice_sink_skipped_events", "bus") > 0)
    local after = rate("olap", l.next)
    assert.is_true(after >= 0.95 * before)
  end)

  it("with refuse fills its stream: clients get 503, another stream does not",
  function()
    if why_not then pending(why_not) return end
    s = h.server { policy = policy(m.brokers, ch.url, { max_bytes = "24MiB",
      sinks = [["olap", "bus"]] }) }
    m:say("down 1")
    local l = h.load_wait(h.load(s.port, { batch = 20, connections = 4, seconds = 9,
      rate = 1000 }))
    print("# room: refuse: " .. l.text)
    assert.is_true(l.full > 0)
    assert.equal(0, l.other + l.broken)
    for _ = 1, 20 do
      assert.equal(202, s:post("/v1/other", "{}").status)
    end
    m:say("up 1")
    h.wait_for("room", function()
      local g = h.load_wait(h.load(s.port, { batch = 20, connections = 1,
        seconds = 1, rate = 20, first = l.next }))
      l.next = g.next
      return g.full == 0 and g.ok > 0
    end, 120)
  end)
end)
