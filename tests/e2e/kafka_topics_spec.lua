-- Events that name a topic which the broker does not have, or more topics than there
-- may be; batches larger than a message; timestamps.
local h = require "harness"
local kafka = require "kafka"

local function policy(brokers, sink)
  return ([[
server { listen = "127.0.0.1:0", workers = 1 }
admin { listen = "127.0.0.1:0" }
kafka "bus" { brokers = %q, topic = "events", %s }
stream "events" { sinks = { "bus" } }
route "POST /v1/events" { body = "event", stream = "events" }
route "POST /v1/events/batch" { body = "batch", stream = "events" }
]]):format(brokers, sink)
end

local BATCH = [[batch = { linger = "5ms", target = 10, min = 1, max = 20 },]]

describe("an event that names a topic", function()
  local m, s
  before_each(function() m = kafka.mock() end)
  after_each(function()
    if s then s:close() s = nil end
    m:close()
  end)

  local function delivered(n, seconds)
    h.wait_for(n .. " delivered", function()
      return s:metric("sluice_delivered_events_total") == n
    end, seconds or 30)
  end

  -- The mock makes a topic that it is asked for: it is told to refuse its messages.
  it("that the broker refuses waits apart while all others pass, and becomes a dead "
    .. "letter that names it", function()
    m:say "topic good 1"
    m:say "topic bad 1"
    m:say "terr bad 3" -- UNKNOWN_TOPIC_OR_PART
    s = h.server { policy = policy(m.brokers, BATCH
      .. [[topic_by = "to", topic_wait = "6s", ]]) }
    local began = h.now()
    for i = 1, 40 do
      local list = {}
      for k = 1, 5 do list[k] = ([[{"n":%d,"to":"good"}]]):format(i * 10 + k) end
      list[3] = ([[{"n":%d,"to":"bad"}]]):format(i * 10 + 3)
      assert.equal(202, s:post("/v1/events/batch",
        "[" .. table.concat(list, ",") .. "]").status)
    end
    delivered(160, 20)
    assert.equal(0, s:metric("sluice_dead_events_total"))
    assert.equal(0, s:metric("sluice_sink_holding"))
    s:logged 'event=kafka_topic sink=bus topic="bad" status=lacking'
    h.wait_for("dead letters", function()
      return s:metric("sluice_dead_events_total") == 40
    end)
    assert.is_true(h.now() - began >= 6)
    s:logged 'event=kafka_topic sink=bus topic="bad" status=refused'
    local letters = h.read(s.data .. "/dead/sink-bus.ndjson")
    -- librdkafka's word when it looked again meanwhile, else the broker's.
    local why = letters:match('"why":"([^"]+) %(topic bad%)"')
    assert.is_true(why == "the brokers do not have the topic"
      or why == "UNKNOWN_TOPIC_OR_PART: Broker: Unknown topic or partition", why)
    local _, n = letters:gsub('"to":"bad"', "")
    assert.equal(40, n)
    -- From now on at once, and again taken when the broker takes it.
    s:post("/v1/events", [[{"to":"bad"}]])
    h.wait_for("one more", function()
      return s:metric("sluice_dead_events_total") == 41
    end, 2)
    m:say "terr bad 0"
    h.wait_for("the topic", function()
      s:post("/v1/events", [[{"to":"bad"}]])
      h.sleep(0.2)
      return s:text():find('topic="bad" status=there_again', 1, true)
    end, 30)
    assert.equal(0, s:stop())
  end)

  it("that is missing is waited for by a sink that does not hold, whatever failed before",
  function()
    m:say "topic bad 1"
    m:say "terr bad 3"
    s = h.server { policy = policy(m.brokers, BATCH
      .. [[topic_by = "to", topic_wait = "1h",]]) }
    s:post("/v1/events", "{}")
    delivered(1)
    local function breaker(word)
      assert.equal(200, h.request(s.admin, "POST", "/sinks/bus/breaker?" .. word, "").status)
    end
    breaker "open"
    s:post("/v1/events", [[{"to":"bad"}]])
    s:logged 'sink=bus status=holding why="the breaker was opened by hand"'
    breaker "close"
    s:logged('topic="bad" status=lacking', 30)
    h.wait_for("a sink that goes on", function()
      return s:metric("sluice_sink_holding") == 0
    end, 5)
    -- Each second it is tried again, which is no news.
    h.sleep(2.5)
    local _, n = s:text():gsub("sink=bus status=delivering", "")
    assert.equal(1, n)
    assert.equal(0, s:stop())
  end)

  it("beyond max_topics becomes a dead letter, and the other topics go on", function()
    s = h.server { policy = policy(m.brokers, BATCH
      .. [[topic_by = "to", max_topics = 3,]]) }
    local list = {}
    for i = 1, 6 do list[i] = ([[{"to":"t%d"}]]):format(i) end
    list[7], list[8] = [[{"to":"t1"}]], "{}"
    s:post("/v1/events/batch", "[" .. table.concat(list, ",") .. "]")
    delivered(5)
    h.wait_for("dead letters", function()
      return s:metric("sluice_dead_events_total") == 3
    end)
    assert.matches("more than max_topics = 3 topics",
      h.read(s.data .. "/dead/sink-bus.ndjson"))
    assert.equal(2, #kafka.consume(m.brokers, "t1"))
    assert.equal(1, #kafka.consume(m.brokers, "events"))
    assert.equal(0, s:stop())
  end)

  it("may be one of three hundred topics when the policy says so", function()
    s = h.server { policy = policy(m.brokers, BATCH
      .. [[topic_by = "to", max_topics = 300,]]) }
    for i = 1, 300 do s:post("/v1/events", ([[{"to":"t%d"}]]):format(i)) end
    delivered(300, 60)
    assert.equal(0, s:metric("sluice_dead_events_total"))
  end)
end)

describe("a Kafka message", function()
  local m, s
  before_each(function() m = kafka.mock() end)
  after_each(function()
    if s then s:close() s = nil end
    m:close()
  end)

  it("of a batch is at most what the broker takes: larger batches are split", function()
    s = h.server { policy = policy(m.brokers, [[framing = "batch", compression = "none",
      batch = { linger = "200ms", target = 20000, max = 20000, min = 20000,
        max_bytes = "4MiB" }]]) }
    for k = 1, 3 do
      local list = {}
      for i = 1, 500 do
        list[i] = ([[{"n":%d,"x":"%s"}]]):format(k * 1000 + i, ("y"):rep(2000))
      end
      assert.equal(202, s:post("/v1/events/batch",
        "[" .. table.concat(list, ",") .. "]").status)
    end
    h.wait_for("all", function()
      return s:metric("sluice_delivered_events_total") == 1500
    end)
    assert.equal(0, s:metric("sluice_dead_events_total"))
    local seen, n = {}, 0
    for _, line in ipairs(kafka.consume(m.brokers, "events", "%s")) do
      local number = line:match('"n":(%d+)')
      if number then
        assert.is_nil(seen[number])
        seen[number] = true
        n = n + 1
      end
    end
    assert.equal(1500, n)
  end)

  it("of a batch that the broker finds too large is halved until the large event is "
    .. "alone", function()
    -- Each time the broker is asked: the batch of 8, then its halves.
    s = h.server { policy = policy(m.brokers, [[framing = "batch",
      batch = { linger = "50ms", target = 100, max = 100 }]]) }
    m:say "err 0 3 10" -- MSG_SIZE_TOO_LARGE
    local list = {}
    for i = 1, 8 do list[i] = ([[{"n":%d}]]):format(i) end
    s:post("/v1/events/batch", "[" .. table.concat(list, ",") .. "]")
    h.wait_for("all", function()
      return s:metric("sluice_delivered_events_total")
        + s:metric("sluice_dead_events_total") == 8
    end)
    assert.equal(0, s:metric("sluice_dead_events_total"))
    local counts = table.concat(kafka.consume(m.brokers, "events", "%h\\n"), "\n")
    local n = 0
    for k in counts:gmatch("sluice%-events=(%d+)") do n = n + tonumber(k) end
    assert.equal(8, n)
    assert.is_true(select(2, counts:gsub("sluice%-events", "")) > 1)
  end)

  it("has the time at which its event was accepted, however late it is sent", function()
    s = h.server { policy = policy(m.brokers, BATCH) }
    s:post("/v1/events", [[{"n":0}]])
    h.wait_for("the first", function()
      return s:metric("sluice_delivered_events_total") == 1
    end)
    m:down()
    local before = os.time()
    s:post("/v1/events", [[{"n":1}]])
    local after = os.time()
    h.sleep(3)
    m:say "up 1"
    h.wait_for("all", function()
      return s:metric("sluice_delivered_events_total") == 2
    end)
    local at
    for _, line in ipairs(kafka.consume(m.brokers, "events", "%T %s\\n")) do
      at = line:match('^(%d+) {"n":1}') or at
    end
    at = tonumber(at) / 1000
    assert.is_true(at >= before and at < after + 1.5, at .. " " .. before)
  end)

  it("has the time of a field when the policy names one", function()
    s = h.server { policy = policy(m.brokers, BATCH .. [[timestamp = "at",]]) }
    s:post("/v1/events/batch", [=[[{"n":1,"at":1700000000123},
      {"n":2,"at":"2025-11-23T12:13:20.5Z"},{"n":3,"at":"yesterday"},{"n":4}]]=])
    h.wait_for("all", function()
      return s:metric("sluice_delivered_events_total") == 4
    end)
    local at = {}
    for _, line in ipairs(kafka.consume(m.brokers, "events", "%T %s\\n")) do
      at[tonumber(line:match('"n":(%d)'))] = tonumber(line:match("^%d+"))
    end
    assert.equal(1700000000123, at[1])
    assert.equal(1763900000500, at[2])
    for n = 3, 4 do assert.is_true(math.abs(at[n] / 1000 - os.time()) < 60) end
  end)
end)
