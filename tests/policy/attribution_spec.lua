local testing = require "sluice.testing"

describe("conf/attribution.lua", function()
  local policy
  before_each(function()
    policy = assert(testing.load("conf/attribution.lua",
      { time = "2025-11-23T12:13:20Z" }))
  end)

  local function purchase(over)
    local e = { event_id = "e1", event_type = "purchase", user_id = "u-1",
      timestamp = "2025-11-23T12:00:00Z", value = 9.9 }
    for k, v in pairs(over or {}) do e[k] = v end
    return policy:post("/v1/events", e)
  end

  it("sends every event to the bus and to the warehouse", function()
    assert.same({ "events" }, purchase().streams)
    assert.same({ "bus", "olap" }, policy.streams.events.sinks)
  end)

  it("stores times in milliseconds, however they were sent", function()
    local e = testing.decode(purchase().stored.events[1])
    assert.equal(1763899200000, e.timestamp)
    assert.equal(1763900000000, e.received_at)
    assert.equal(9.9, e.value)
  end)

  it("refuses what is older than a month", function()
    assert.equal(202, purchase { timestamp = "2025-10-24T12:13:20Z" }.status)
    assert.equal("too_old", purchase { timestamp = "2025-10-24T12:13:19Z" }.code)
  end)

  it("refuses a time without a zone", function()
    local r = purchase { timestamp = "2025-11-23 12:00:00" }
    assert.same({ 422, "bad_time", "timestamp" }, { r.status, r.code, r.field })
  end)

  it("refuses a purchase without a value, and says so to people", function()
    local r = purchase { value = testing.null }
    assert.same({ "missing_value", "a purchase needs a value" },
      { r.code, r.message })
    assert.is_false(r.events[1].retry)
  end)

  it("finds the page inside the properties", function()
    assert.equal(202, purchase { properties = { page = "/a" } }.status)
    local r = purchase { properties = { page = 7 } }
    assert.same({ "wrong_type", "properties.page" }, { r.code, r.field })
  end)

  describe("the warehouse", function()
    it("is left alone once three of five requests fail", function()
      local trips = policy.sinks.olap.breaker.ready_to_trip
      assert.is_false(trips { requests = 2, failures = 2 })
      assert.is_false(trips { requests = 5, failures = 2 })
      assert.is_true(trips { requests = 5, failures = 3 })
    end)

    it("gets larger batches while events wait, and never more than its most",
    function()
      local adapt = policy.sinks.olap.batch.adapt
      local behind = { bytes = 1e6, backlog_bytes = 1e9 }
      assert.equal(15000, adapt(behind))
      behind.target = 90000
      assert.equal(100000, adapt(behind))
      assert.equal(1000, adapt { target = 1000 })
    end)

    it("is asked for by the environment", function()
      local p = assert(testing.load("conf/attribution.lua", { env = {
        CLICKHOUSE_URL = "http://ch:8123", KAFKA_BROKERS = "k1:9092" } }))
      assert.equal("http://ch:8123", p.sinks.olap.url)
      assert.equal("k1:9092", p.sinks.bus.brokers)
    end)
  end)

  it("delivers small batches to the bus soon", function()
    local b = policy.sinks.bus.batch
    assert.same({ 200, 50, 500, 50 }, { b.target, b.min, b.max, b.linger_ms })
  end)
end)
