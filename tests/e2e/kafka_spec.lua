local h = require "harness"
local kafka = require "kafka"

local function policy(brokers, o)
  o = o or {}
  return ([[
server { listen = "127.0.0.1:0", workers = 1 }
admin { listen = "127.0.0.1:0" }
kafka "bus" { brokers = %q, topic = "events", %s batch = { linger = "5ms" } }
stream "events" { sinks = { "bus" } }
route "POST /v1/events" { body = "event", stream = "events" }
route "POST /v1/events/batch" { body = "batch", stream = "events" }
]]):format(brokers, o.sink or "")
end

local function delivered(s, n, seconds)
  h.wait_for(n .. " delivered", function()
    return s:metric("sluice_delivered_events_total") == n
  end, seconds or 30)
end

describe("the Kafka sink", function()
  local m, s
  before_each(function() m = kafka.mock() end)
  after_each(function()
    if s then s:close() s = nil end
    m:close()
  end)

  it("sends a message an event, of one key to one partition", function()
    s = h.server { policy = policy(m.brokers, { sink = [[key = "user.id",]] }) }
    local sent = {}
    for i = 1, 300 do
      local text = ([[{"n":%d,"user":{"id":"u\u00e9%d"}}]]):format(i, i % 20)
      sent[text] = true
      assert.equal(202, s:post("/v1/events", text).status)
    end
    delivered(s, 300)
    local home, n = {}, 0
    for _, line in ipairs(kafka.consume(m.brokers, "events", "%p %k %s\\n")) do
      local p, key, text = line:match("^(%d+) (%S+) (.*)$")
      assert.is_true(sent[text], line)
      sent[text] = nil
      n = n + 1
      assert.equal("ué" .. (tonumber(text:match('"n":(%d+)')) % 20), key)
      assert.equal(home[key] or p, p)
      home[key] = p
    end
    assert.equal(300, n)
    assert.equal(0, s:stop())
  end)

  it("sends a batch as one message of lines, with its position", function()
    s = h.server { policy = policy(m.brokers, { sink = [[framing = "batch",]] }) }
    assert.equal(202, s:post("/v1/events/batch",
      [=[[{"n":1},{"n":2},{"n":3}]]=]).status)
    delivered(s, 3)
    local lines = kafka.consume(m.brokers, "events", "%h|%s|\\n")
    assert.matches("^sluice%-position=%x+%-[%x%-]+/events/1%.0/1,sluice%-events=3|",
      lines[1])
    assert.same({ [[{"n":2}]], [[{"n":3}]], "|" }, { lines[2], lines[3], lines[4] })
  end)

  it("gives no two events one position, also of two streams in one topic", function()
    s = h.server { policy = policy(m.brokers, { sink = [[position = "headers",]] }) .. [[
stream "audit" { sinks = { "bus" } }
route "POST /v1/audit" { body = "event", stream = "audit" }
]] }
    for i = 1, 5 do
      assert.equal(202, s:post("/v1/events", ([[{"n":%d}]]):format(i)).status)
      assert.equal(202, s:post("/v1/audit", ([[{"n":%d}]]):format(i)).status)
    end
    delivered(s, 10)
    local seen, n = {}, 0
    for _, line in ipairs(kafka.consume(m.brokers, "events", "%h\\n")) do
      local at = line:match("sluice%-position=([^,]+)")
      assert.is_nil(seen[at], at)
      seen[at], n = true, n + 1
    end
    assert.equal(10, n)
  end)

  it("takes the topic from a field, and the default where it is none", function()
    m:say("topic clicks 1")
    s = h.server { policy = policy(m.brokers, { sink = [[topic_by = "type",]] }) }
    s:post("/v1/events/batch",
      [=[[{"type":"clicks"},{"type":"no topic!"},{"x":1}]]=])
    delivered(s, 3)
    assert.same({ [[{"type":"clicks"}]] }, kafka.consume(m.brokers, "clicks"))
    assert.equal(2, #kafka.consume(m.brokers, "events"))
  end)

  it("takes the topic from a function, and the default where it gives none", function()
    m:say("topic click_home 1")
    m:say("topic by_number 1")
    s = h.server { policy = policy(m.brokers, { sink = [[key = "id",
      topic_by = function(ev)
        if ev.type == "raise" then error("no topic for " .. ev.id) end
        if ev.type == "long" then while true do end end
        if ev.type == "bad" then return "no topic!" end
        if ev.type == "table" then return ev end
        if ev.n then return "by_number" end
        return ev.type and ev.type .. "_" .. ev["properties.page"]
      end,]] }) }
    local events = { [[{"id":"a","type":"click","properties":{"page":"home"}}]],
      [[{"id":"b","n":1.5}]], [[{"id":"c","type":"raise"}]],
      [[{"id":"d","type":"long"}]], [[{"id":"e","type":"bad"}]],
      [[{"id":"f","type":"table"}]], [[{"id":"g"}]],
      [[{"id":"h","type":"click","properties":{"page":"home"}}]] }
    assert.equal(202, s:post("/v1/events/batch",
      "[" .. table.concat(events, ",") .. "]").status)
    delivered(s, 8)
    assert.same({ "a", "h" }, kafka.consume(m.brokers, "click_home", "%k\\n"))
    assert.same({ "b" }, kafka.consume(m.brokers, "by_number", "%k\\n"))
    local rest = kafka.consume(m.brokers, "events", "%k\\n")
    table.sort(rest)
    assert.same({ "c", "d", "e", "f", "g" }, rest)
    assert.equal(5, s:metric("sluice_kafka_topic_defaults_total"))
    s:logged("status=raised .*no topic for c")
    assert.equal(0, s:stop())
  end)

  it("puts a message that is too large among the dead letters", function()
    s = h.server { policy = policy(m.brokers, { sink =
      [[options = { ["message.max.bytes"] = 2000 },]] }) }
    s:post("/v1/events/batch", ([=[[{"n":1},{"n":2,"x":"%s"},{"n":3}]]=]):format(
      ("y"):rep(3000)))
    delivered(s, 2)
    h.wait_for("a dead letter", function()
      return s:metric("sluice_dead_events_total") == 1
    end)
    assert.matches("MSG_SIZE_TOO_LARGE",
      h.read(s.data .. "/dead/sink-bus.ndjson"))
    -- It is taken once it may be so large.
    h.write(s.path, policy(m.brokers))
    assert.equal(200, s:reload().status)
    assert.matches("^replayed=1 dead_again=0 .*\nrc=0", h.shell(
      ("%s dead replay --sink bus --admin 127.0.0.1:%d 2>&1; echo rc=$?"):format(
        h.binary, s.admin)))
    assert.equal(3, kafka.count(m.brokers, "events", 4))
    assert.equal(0, s:stop())
  end)

  it("asks no broker about an event that is too large, and counts no request", function()
    s = h.server { policy = policy(m.brokers, { sink =
      [[options = { ["message.max.bytes"] = 2000 },]] }) }
    s:post("/v1/events", ([[{"x":"%s"}]]):format(("y"):rep(3000)))
    h.wait_for("a dead letter", function()
      return s:metric "sluice_dead_events_total" == 1
    end)
    assert.equal(0, s:metric("sluice_endpoint_requests_total", 'result="ok"'))
    assert.equal(0, s:metric("sluice_endpoint_requests_total", 'result="failed"'))
  end)

  it("sends the messages of a set that is larger than a broker's segment alone, and one that "
    .. "is too large so becomes a dead letter", function()
    s = h.server { policy = policy(m.brokers, { sink = [[key = "id",]] }) }
    s:post("/v1/events/batch", [=[[{"n":1}]]=])
    delivered(s, 1)
    m:say "err 0 2 18" -- RECORD_LIST_TOO_LARGE: the first set, and one message alone
    s:post("/v1/events/batch", [=[[{"id":"a","n":2},{"id":"a","n":3},{"id":"a","n":4}]]=])
    delivered(s, 3)
    h.wait_for("a dead letter", function()
      return s:metric "sluice_dead_events_total" == 1
    end)
    assert.matches("RECORD_LIST_TOO_LARGE", h.read(s.data .. "/dead/sink-bus.ndjson"))
    assert.is_nil(s:text():match "status=holding")
    assert.equal(3, kafka.count(m.brokers, "events", 4))
  end)

  it("holds while a broker refuses the time of arrival, which is no fault of the event", function()
    s = h.server { policy = policy(m.brokers) }
    m:say "err 0 1 32" -- INVALID_TIMESTAMP
    s:post("/v1/events/batch", [=[[{"n":1}]]=])
    s:logged 'status=holding why="INVALID_TIMESTAMP'
    delivered(s, 1)
    assert.equal(0, s:metric "sluice_dead_events_total")
  end)

  it("holds also with a time of the event, where that is the time of arrival", function()
    s = h.server { policy = policy(m.brokers, { sink = [[timestamp = "at",]] }) }
    m:say "err 0 2 32" -- the set, and the message alone
    s:post("/v1/events/batch", ([=[[{"n":1,"at":%d}]]=]):format(h.now() * 1000))
    s:logged 'status=holding why="INVALID_TIMESTAMP'
    delivered(s, 1)
    assert.equal(0, s:metric "sluice_dead_events_total")
    m:say "err 0 2 32"
    s:post("/v1/events/batch", ([=[[{"n":2,"at":%d}]]=]):format(h.now() * 1000 + 7200000))
    h.wait_for("a dead letter", function()
      return s:metric "sluice_dead_events_total" == 1
    end)
  end)

  it("lets go of letters whose replay is given up while no broker is there", function()
    local small = [[options = { ["message.max.bytes"] = 2000 },]]
    s = h.server { policy = policy(m.brokers, { sink = small }) }
    s:post("/v1/events/batch", ([=[[{"n":1},{"n":2,"x":"%s"}]]=]):format(
      ("y"):rep(3000)))
    h.wait_for("a dead letter", function()
      return s:metric("sluice_dead_events_total") == 1
    end)
    delivered(s, 1)
    h.write(s.path, policy(m.brokers))
    assert.equal(200, s:reload().status)
    m:down()
    local function replay(more)
      return h.shell(("%s dead replay --sink bus --admin 127.0.0.1:%d %s 2>&1; echo rc=$?")
        :format(h.binary, s.admin, more or ""))
    end
    assert.equal(202, h.request(s.admin, "POST", "/sinks/bus/replay", "").status)
    h.wait_for("the letter in librdkafka's hands", function()
      return s:metric("sluice_kafka_queued_messages") == 1
    end)
    assert.matches("^replayed=0 .*the replay stopped.*\nrc=0", replay "--stop")
    s:post("/v1/events", [[{"n":3}]])
    m:say("up 1")
    delivered(s, 2)
    assert.matches("^replayed=1 dead_again=0 .*resumed=true\nrc=0", replay())
    assert.equal(0, s:stop())
  end)

  it("keeps all while the cluster is down, and sends it when it is back", function()
    s = h.server { policy = policy(m.brokers) }
    s:post("/v1/events", [[{"n":0}]])
    delivered(s, 1)
    m:say("down 1")
    local f = h.load_wait(h.load(s.port, { batch = 20, connections = 2,
      seconds = 2, rate = 100 }))
    assert.equal(0, f.other + f.broken + f.full)
    m:say("up 1")
    delivered(s, f.acked + 1)
    assert.equal(f.acked + 1, kafka.count(m.brokers, "events", 4))
  end)

  it("replaces a producer with a fatal error, and loses nothing", function()
    s = h.server { policy = policy(m.brokers) }
    s:post("/v1/events", [[{"n":0}]])
    delivered(s, 1)
    m:say("err 0 1 45") -- OUT_OF_ORDER_SEQUENCE_NUMBER
    local f = h.load_wait(h.load(s.port, { batch = 20, connections = 2,
      seconds = 2, rate = 100 }))
    delivered(s, f.acked + 1)
    assert.equal(1, s:metric("sluice_kafka_fatal_errors_total"))
    local n = kafka.count(m.brokers, "events", 4)
    print(("# kafka: fatal error: acked=%d in the topic=%d"):format(f.acked + 1, n))
    assert.is_true(n >= f.acked + 1)
    assert.equal(0, s:stop())
  end)
end)
