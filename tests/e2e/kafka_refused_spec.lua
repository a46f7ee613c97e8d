-- Brokers that are reached and take nothing, for as long as that lasts: it is said, by
-- name, and nothing is lost. librdkafka keeps such answers to itself.
local h = require "harness"
local kafka = require "kafka"

local function policy(brokers, more)
  return ([[
server { listen = "127.0.0.1:0", workers = 1 }
admin { listen = "127.0.0.1:0" }
kafka "bus" { brokers = %q, topic = "events", batch = { linger = "5ms" },
  breaker = { timeout = "500ms" }, %s }
stream "events" { sinks = { "bus" } }
stream "audit" { sinks = { "bus" } }
route "POST /v1/events" { body = "event", stream = "events" }
route "POST /v1/audit" { body = "event", stream = "audit" }
]]):format(brokers, more or "")
end

---A server and its cluster while fn runs; o as kafka.mock's.
local function with(o, more, fn)
  local m = kafka.mock(o)
  m:say "topic audit 1"
  local s = h.server { policy = policy(m.brokers, more) }
  local c = { m = m, s = s, sent = 0 }
  function c.post(path, event)
    assert.equal(202, s:post(path or "/v1/events", event or "{}").status)
    c.sent = c.sent + 1
  end
  function c.delivered(n, seconds)
    h.wait_for((n or c.sent) .. " delivered", function()
      return s:metric("sluice_delivered_events_total") == (n or c.sent)
    end, seconds or 60)
  end
  function c.state() return s:metric("sluice_breaker_state") end
  ---Posts until the sink holds, and says why.
  function c.failing(name)
    h.wait_for("a sink that holds", function()
      c.post()
      h.sleep(0.2)
      return s:metric("sluice_sink_holding") == 1
        and s:get("/status").body:find(name, 1, true)
    end, 60)
  end
  local ok, why = pcall(function()
    c.post()
    c.delivered()
    fn(c)
    c.delivered()
    assert.is_true(kafka.count(m.brokers, "events", o.partitions)
      + kafka.count(m.brokers, "audit", 1) >= c.sent)
    assert.equal(0, s:stop())
  end)
  s:close()
  m:close()
  if not ok then error(why, 0) end
end

local jobs = {
  ["a partition with too few replicas in sync"] = function()
    -- The mock does not look at sequences: messages after a refused request may pass,
    -- and librdkafka takes that as word that the refused one did. A broker refuses
    -- both.
    with({ partitions = 1 }, [[options = { ["max.in.flight"] = 1 },]], function(c)
      c.m:say "err 0 10000 19"
      c.post()
      c.s:logged('event=kafka_refused sink=bus .*why="NOT_ENOUGH_REPLICAS: .*events %[0%]')
      c.failing "NOT_ENOUGH_REPLICAS"
      c.s:logged "event=breaker .*state=open"
      c.m:say "clear 0"
    end)
  end,
  ["a topic without a leader"] = function()
    with({ partitions = 1 }, "", function(c)
      c.m:say "leader events 0 -1"
      c.failing "LEADER" -- LEADER_NOT_AVAILABLE, or NOT_LEADER_FOR_PARTITION before it
      c.s:logged "event=kafka_refused sink=bus "
      c.m:say "leader events 0 1"
    end)
  end,
  ["a right to write that was taken away"] = function()
    with({ partitions = 1 }, "", function(c)
      c.m:say "err 0 10000 29"
      c.failing "TOPIC_AUTHORIZATION_FAILED"
      c.s:logged "event=breaker .*state=open"
      assert.is_true(c.s:metric("sluice_endpoint_requests_total", 'result="failed"') > 0)
      c.m:say "clear 0"
    end)
  end,
  ["one stream's topic without a leader, and the other stream goes on"] = function()
    with({ partitions = 1 }, [[topic_by = "topic",]], function(c)
      c.m:say "leader audit 0 -1"
      for i = 1, 35 do
        c.post("/v1/audit", [[{"topic":"audit"}]])
        c.post()
        if i % 7 == 0 then c.delivered(i + 1) end
        h.sleep(0.2)
      end
      assert.equal(0, c.state())
      c.m:say "leader audit 0 1"
    end)
  end,
  ["many events of a stream whose topic has no leader, and the other stream goes on"] =
  function()
    with({ partitions = 1 }, [[topic_by = "topic",]], function(c)
      c.m:say "leader audit 0 -1"
      for i = 1, 400 do -- more batches than may be late
        c.post("/v1/audit", [[{"topic":"audit"}]])
        if i % 20 == 0 then c.post() end
        h.sleep(0.015)
      end
      for i = 1, 25 do
        c.post()
        if i % 5 == 0 then c.delivered(21 + i, 4) end
        h.sleep(0.4)
      end
      assert.equal(0, c.state())
      c.m:say "leader audit 0 1"
    end)
  end,
  ["a fatal error while it drains"] = function()
    with({ partitions = 1 }, "", function(c)
      c.m:say "rtt 1 300"
      c.m:say "err 0 1 45" -- OUT_OF_ORDER_SEQUENCE_NUMBER
      for _ = 1, 50 do c.post() end
      assert.equal(0, c.s:stop())
      c.m:say "rtt 1 0"
      c.s:start()
      h.wait_for("all", function()
        return kafka.count(c.m.brokers, "events", 1) >= c.sent
      end, 30)
      c.sent = c.s:metric("sluice_delivered_events_total")
    end)
  end,
}

describe("a Kafka sink whose broker is reached survives, and says so,", function()
  local errors
  setup(function()
    local _
    _, errors = h.together(jobs)
  end)
  for name in pairs(jobs) do
    it(name, function()
      if errors[name] then error(errors[name], 0) end
    end)
  end
end)
