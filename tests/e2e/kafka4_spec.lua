-- The newest Kafka, a real broker, with the librdkafka that is installed.
local h = require "harness"
local kafka = require "kafka"
local free_port = require "clickhouse".free_port

local jars, why_not = kafka.jars("4.4.0")

local function policy(brokers, sink)
  return ([[
server { listen = "127.0.0.1:0", workers = 1 }
admin { listen = "127.0.0.1:0" }
kafka "bus" { brokers = %q, batch = { linger = "5ms" }, %s }
stream "events" { sinks = { "bus" } }
route "POST /v1/events/batch" { body = "batch", stream = "events" }
]]):format(brokers, sink)
end

describe("Kafka 4", function()
  local r, s
  setup(function()
    if why_not then return end
    r = kafka.real(jars, free_port(), free_port(), { no_auto = true })
  end)
  teardown(function() if r then r:close() end end)
  after_each(function() if s then s:close() s = nil end end)

  local function delivered(n)
    h.wait_for(n .. " delivered", function()
      return s:metric("sluice_delivered_events_total") == n
    end, 60)
  end

  for _, codec in ipairs { "none", "gzip", "snappy", "lz4", "zstd" } do
    it("takes keys, headers, timestamps and batches, with compression " .. codec,
    function()
      if why_not then pending(why_not) return end
      for _, framing in ipairs { "event", "batch" } do
        local topic = codec .. "-" .. framing
        r:admin(("create %s 4"):format(topic))
        s = h.server { policy = policy(r.brokers, ([[topic = %q, framing = %q,
          position = "headers", compression = %q, %s]]):format(topic, framing, codec,
          framing == "event" and [[key = "id", timestamp = "at",]] or "")) }
        s:post("/v1/events/batch", [=[[{"id":"a","at":1700000000123},{"id":"b"}]]=])
        delivered(2)
        local got = table.concat(kafka.consume(r.brokers, topic, "%k|%T|%h|%s\\n"), "\n")
        assert.matches("sluice%-position=", got)
        if framing == "event" then
          assert.matches("a|1700000000123|", got)
        else
          assert.matches('{"id":"a","at":1700000000123}\n{"id":"b"}', got)
        end
        assert.equal(0, s:stop())
        s:close()
        s = nil
      end
    end)
  end

  it("does not have a topic that events name: they wait apart, and become dead letters "
    .. "that name it, until it is made", function()
    if why_not then pending(why_not) return end
    r:admin "create good 2"
    s = h.server { policy = policy(r.brokers, [[topic = "good", topic_by = "to",
      topic_wait = "8s"]]) }
    for i = 1, 20 do
      s:post("/v1/events/batch", ([=[[{"n":%d},{"n":%d,"to":"bad"}]]=]):format(i, i))
    end
    delivered(20)
    s:logged 'event=kafka_topic sink=bus topic="bad" status=lacking'
    h.wait_for("dead letters", function()
      return s:metric("sluice_dead_events_total") == 20
    end, 40)
    assert.matches('"the brokers do not have the topic %(topic bad%)"',
      h.read(s.data .. "/dead/sink-bus.ndjson"))
    r:admin "create bad 1"
    h.wait_for("the topic", function()
      s:post("/v1/events/batch", [=[[{"to":"bad"}]]=])
      h.sleep(0.3)
      return s:text():find('topic="bad" status=there_again', 1, true)
    end, 40)
    assert.is_true(kafka.count(r.brokers, "bad", 1) > 0)
    assert.equal(0, s:stop())
  end)

  it("refuses a time that is too far off: only that event is a dead letter", function()
    if why_not then pending(why_not) return end
    r:admin "create times 1"
    s = h.server { policy = policy(r.brokers, [[topic = "times", timestamp = "at", ]]) }
    local now = os.time() * 1000
    s:post("/v1/events/batch", ([=[[{"n":1,"at":%d},{"n":2,"at":%d},{"n":3},{"n":4}]]=])
      :format(now, now + 7200000))
    s:post("/v1/events/batch", [=[[{"n":5}]]=])
    delivered(4)
    h.wait_for("a dead letter", function()
      return s:metric "sluice_dead_events_total" == 1
    end)
    assert.matches('"n":2,[^\n]*"why":"INVALID_TIMESTAMP: ',
      h.read(s.data .. "/dead/sink-bus.ndjson"))
    assert.equal(4, kafka.count(r.brokers, "times", 1))
    assert.is_nil(s:text():match "status=holding")
    assert.equal(0, s:metric("sluice_endpoint_requests_total", 'result="failed"') or 0)
    assert.equal(0, s:stop())
  end)

  it("holds the sink while its own topic is missing, loses nothing, and names the topic",
  function()
    if why_not then pending(why_not) return end
    s = h.server { policy = policy(r.brokers, [[topic = "own",
      breaker = { timeout = "500ms" },
      options = { ["topic.metadata.propagation.max.ms"] = 500,
        ["topic.metadata.refresh.interval.ms"] = 1000 }]]) }
    s:post("/v1/events/batch", [=[[{"n":1},{"n":2}]]=])
    s:logged("sink=bus status=holding why=.*topic own", 30)
    r:admin "create own 1"
    delivered(2)
    assert.equal(0, s:metric("sluice_dead_events_total"))
    assert.equal(2, kafka.count(r.brokers, "own", 1))
  end)
end)
