-- A message that no broker has confirmed is sent again, whatever librdkafka says of it.
-- Messages in flight when settings change, a broker falls silent or this process ends
-- is sent once: librdkafka's mock cluster does not tell copies, so they are counted.
local faults = require "faults"
local h = require "harness"
local hanging = require "hanging"
local kafka = require "kafka"

local function policy(brokers, sink)
  return ([[
server { listen = "127.0.0.1:0", workers = 1 }
admin { listen = "127.0.0.1:0" }
kafka "bus" { brokers = %q, topic = "events", position = "headers", %s }
stream "events" { sinks = { "bus" } }
route "POST /v1/events/batch" { body = "batch", stream = "events" }
]]):format(brokers, sink)
end

describe("a reload that needs another producer", function()
  local m, s
  before_each(function() m = kafka.mock() end)
  after_each(function()
    if s then s:close() s = nil end
    m:close()
  end)

  local function all_once(acked)
    h.wait_for("all events", function()
      return s:metric("sluice_delivered_events_total") >= acked
    end, 60)
    assert.equal(acked, kafka.count(m.brokers, "events", 4))
    assert.equal(0, s:metric("sluice_kafka_possible_copies_total"))
  end

  it("waits for what is in flight: ten reloads of linger make no copy", function()
    m:say "rtt 1 60" -- something is always in flight
    s = h.server { policy = policy(m.brokers, [[batch = { linger = "5ms" }]]) }
    local l = h.load(s.port, { batch = 10, connections = 2, seconds = 4, rate = 100 })
    for i = 1, 10 do
      h.sleep(0.3)
      h.write(s.path, policy(m.brokers,
        ([[batch = { linger = "%dms" }]]):format(5 + i)))
      assert.equal(200, s:reload().status)
    end
    local f = h.load_wait(l)
    assert.equal(0, f.other + f.broken + f.full)
    all_once(f.acked)
    assert.equal(0, s:stop())
  end)

  it("is not held up by a linger of 15 minutes", function()
    s = h.server { policy = policy(m.brokers, [[batch = { linger = "15m" }]]) }
    s:post("/v1/events/batch", "[1,2]")
    s:post("/v1/events/batch", [=[[{"n":1},{"n":2}]]=])
    h.write(s.path, policy(m.brokers, [[batch = { linger = "5ms" }]]))
    assert.equal(200, s:reload().status)
    all_once(2)
  end)

  ---With a connection to the broker, and one event there.
  local function start_with_one()
    s = h.server { policy = policy(m.brokers, [[batch = { linger = "5ms" }]]) }
    s:post("/v1/events/batch", "[{}]")
    h.wait_for("an event", function()
      return s:metric "sluice_delivered_events_total" == 1
    end)
  end

  local function write_renamed(more)
    local text = policy(m.brokers, more .. ', was = "bus"'):gsub("%f[%w]bus%f[%W]", "new")
    h.write(s.path, (text:gsub('was = "new"', 'was = "bus"')))
  end

  local function rename(more)
    write_renamed(more)
    assert.equal(200, s:reload().status)
  end

  it("of another name waits for what a broker has, and takes the rest back", function()
    start_with_one()
    m:say "rtt 1 3000" -- of 20 batches, five are on their way at a time
    for i = 1, 20 do
      s:post("/v1/events/batch", ('[{"n":%d}]'):format(i))
      h.sleep(0.02)
    end
    write_renamed [[batch = { linger = "5ms" }]]
    local c = h.connect(s.admin, 60)
    c:send("POST /reload HTTP/1.1\r\nHost: test\r\nContent-Length: 0\r\n\r\n")
    h.wait_for("the new name", function()
      -- What is taken back has not failed.
      assert.equal(0, s:metric("sluice_sink_holding", 'sink="bus"') or 0)
      return s:text():find("status=taken_over", 1, true)
    end)
    assert.equal(200, h.answer(c).status)
    c:close()
    m:say "rtt 1 0"
    h.wait_for("all events", function()
      return s:metric "sluice_sink_left_events" == 0
    end)
    assert.equal(21, kafka.count(m.brokers, "events", 4))
    assert.is_nil(s:text():match "status=holding")
    assert.equal(0, s:stop())
  end)

  it("of another name is not held up by a linger of 15 minutes", function()
    s = h.server { policy = policy(m.brokers, [[batch = { linger = "15m" }]]) }
    s:post("/v1/events/batch", [=[[{"n":1},{"n":2}]]=])
    local began = h.now()
    rename [[batch = { linger = "5ms" }]]
    assert.is_true(h.now() - began < 4)
    all_once(2)
  end)

  it("of another name tells what a silent broker may have", function()
    start_with_one()
    m:say "rtt 1 60000"
    s:post("/v1/events/batch", "[{}]")
    h.sleep(0.5)
    rename [[batch = { linger = "5ms" }]]
    s:logged "event=kafka_resent sink=bus cause=end possible_copies=1"
    m:say "rtt 1 0"
    h.wait_for("the event", function() return s:metric "sluice_sink_left_events" == 0 end)
    assert.equal(0, s:stop())
  end)

  it("of another name tells, too, what a broker may have that is to be asked again",
  function()
    local more = [[batch = { linger = "5ms" }, options = { ["retry.backoff.ms"] = "30000",
      ["socket.timeout.ms"] = "1000", ["request.timeout.ms"] = "1000" }]]
    s = h.server { policy = policy(m.brokers, more) }
    s:post("/v1/events/batch", "[{}]")
    h.wait_for("an event", function()
      return s:metric "sluice_delivered_events_total" == 1
    end)
    m:say "rtt 1 2500"
    s:post("/v1/events/batch", "[{}]")
    h.sleep(2) -- the broker's time is over, and the message waits
    m:say "rtt 1 0"
    rename(more)
    s:logged "event=kafka_resent sink=bus cause=end possible_copies=1"
    h.wait_for("the event", function() return s:metric "sluice_sink_left_events" == 0 end)
    assert.equal(0, s:stop())
  end)

  it("of another name takes events back at once that wait for a topic, with the breaker "
    .. "open", function()
    local more = [[batch = { linger = "5ms" }, topic_by = "to", topic_wait = "1h"]]
    m:say "topic bad 1"
    m:say "terr bad 3" -- UNKNOWN_TOPIC_OR_PART
    s = h.server { policy = policy(m.brokers, more) }
    s:post("/v1/events/batch", [=[[{"to":"bad"},{"to":"bad"}]]=])
    s:logged 'event=kafka_topic sink=bus topic="bad" status=lacking'
    assert.equal(200, h.request(s.admin, "POST", "/sinks/bus/breaker?open", "").status)
    h.sleep(1.2) -- a try that is under way ends
    local began = h.now()
    rename(more)
    assert.is_true(h.now() - began < 4)
    m:say "terr bad 0"
    assert.equal(200, h.request(s.admin, "POST", "/sinks/new/breaker?close", "").status)
    h.wait_for("both", function() return s:metric "sluice_sink_left_events" == 0 end, 30)
    assert.equal(2, kafka.count(m.brokers, "bad", 1))
    assert.equal(0, s:stop())
  end)

  it("gives up a broker that is silent, for one that is named in its place, and counts "
    .. "what may be a copy", function()
    local other = kafka.mock()
    s = h.server { policy = policy(m.brokers, [[batch = { linger = "5ms" }]]) }
    local t = h.server { policy = policy(m.brokers, [[batch = { linger = "5ms" }]]) }
    finally(function()
      h.shell("kill -CONT " .. m.pid)
      t:close()
      other:close()
    end)
    for _, x in ipairs { s, t } do
      x:post("/v1/events/batch", [=[[{"n":1}]]=])
      h.wait_for("the first", function()
        return x:metric("sluice_delivered_events_total") == 1
      end)
    end
    h.shell("kill -STOP " .. m.pid)
    for _, x in ipairs { s, t } do x:post("/v1/events/batch", [=[[{"n":2},{"n":3}]]=]) end
    h.sleep(0.5)
    -- Another setting, while the first change waits, is no reason to wait for ever.
    for _, linger in ipairs { 5, 6 } do
      h.write(t.path, policy(m.brokers, ([[batch = { linger = "%dms" },
        options = { ["client.id"] = "other" }]]):format(linger)))
      assert.equal(200, t:reload().status)
    end
    h.write(s.path, policy(other.brokers, [[batch = { linger = "5ms" }]]))
    assert.equal(200, s:reload().status)
    h.wait_for("the rest", function()
      return s:metric("sluice_delivered_events_total") == 3
    end, 40)
    s:logged "event=kafka_resent sink=bus cause=new_settings possible_copies=2"
    assert.equal(2, s:metric("sluice_kafka_possible_copies_total"))
    assert.equal(2, kafka.count(other.brokers, "events", 4))
    assert.equal(0, s:stop())
    t:logged "event=kafka_resent sink=bus cause=new_settings possible_copies=2"
  end)

  it("keeps that ready, and a new cluster's, while the disk holds the reload up", function()
    local other, dir = kafka.mock(), h.folder()
    local f = faults.new(dir .. "/data")
    local text = policy(m.brokers, [[batch = { linger = "5ms" }]])
    s = h.server { dir = dir, wrap = f:wrap(), policy = text }
    finally(function()
      f:rules()
      f:close()
      other:close()
    end)
    local more = policy(m.brokers, ([[batch = { linger = "6ms" },
      hedge = { brokers = %q, after = "5s", may_duplicate = true }]]):format(other.brokers))
      :gsub('stream "events" { sinks = { ', 'file "n" { dir = "n" }\n%0"n", ')
    local bad = more:gsub('stream "events" { sinks = { ',
      hanging.sink(hanging.BAD) .. '\n%0"bad", ')
    for i, x in ipairs { { bad, 500 }, { more, 200 } } do
      local made = f:made()
      f:rules "do=hang on=create,open path=/n.journal"
      h.write(s.path, x[1])
      local c = h.connect(s.admin, 60)
      c:send("POST /reload HTTP/1.1\r\nHost: test\r\nContent-Length: 0\r\n\r\n")
      h.wait_for("the reload to hang", function() return f:made() > made end)
      h.sleep(2.5) -- librdkafka has statistics each second
      s:post("/v1/events/batch", '[{"n":1}]')
      all_once(2 * i - 1)
      f:rules()
      assert.equal(x[2], h.answer(c).status)
      c:close()
      s:post("/v1/events/batch", '[{"n":2}]')
      all_once(2 * i)
    end
    assert.equal(0, s:stop())
  end)

  it("and is refused leaves what is in flight to the producer that has it", function()
    local other = kafka.mock()
    s = h.server { policy = policy(m.brokers, [[batch = { linger = "5ms" }]]) }
    finally(function()
      h.shell("kill -CONT " .. m.pid)
      other:close()
    end)
    s:post("/v1/events/batch", [=[[{"n":1}]]=])
    h.wait_for("the first", function()
      return s:metric("sluice_delivered_events_total") == 1
    end)
    h.shell("kill -STOP " .. m.pid)
    s:post("/v1/events/batch", [=[[{"n":2},{"n":3}]]=])
    h.sleep(0.5)
    h.write(s.path, (policy(other.brokers, [[batch = { linger = "6ms" }]])
      :gsub('stream "events" { sinks = { ', hanging.sink(hanging.BAD) .. '\n%0"bad", ')))
    assert.equal(500, s:reload().status)
    -- It would give the broker up after 10 s.
    assert.is_false((pcall(s.logged, s, "event=kafka_resent", 12)))
    h.shell("kill -CONT " .. m.pid)
    all_once(3)
    assert.equal(0, kafka.count(other.brokers, "events", 4))
    assert.equal(0, s:stop())
  end)
end)

-- A real broker does so when it knows nothing of the producer yet, as the mock cluster always:
-- it refuses a message and takes the next one of the partition, which was under way.
describe("a message of which a broker says nothing", function()
  local m, s, n
  local function start(options)
    m, n = kafka.mock { partitions = 1 }, 0
    s = h.server { policy = policy(m.brokers, [[batch = { linger = "1ms" }, ]] .. options) }
  end
  after_each(function()
    s:close()
    m:close()
  end)

  local function post()
    n = n + 1
    assert.equal(202, s:post("/v1/events/batch", ([=[[{"n":%d}]]=]):format(n)).status)
  end
  local function all()
    h.wait_for("all events", function()
      return s:metric("sluice_delivered_events_total") == n
    end)
    local seen = {}
    for _, line in ipairs(kafka.consume(m.brokers, "events")) do
      seen[line] = (seen[line] or 0) + 1
    end
    for i = 1, n do assert.is_truthy(seen[('{"n":%d}'):format(i)], i .. " is missing") end
  end

  it("while it takes a later one, is sent again, and counted as a possible copy", function()
    start ""
    post()
    all()
    m:say "rtt 1 200" -- later ones are under way when the error comes
    -- On a busy machine a request may have all of them: then none is a later one.
    h.wait_for("a message that librdkafka takes for stored", function()
      m:say "err 0 1 19" -- NOT_ENOUGH_REPLICAS
      for _ = 1, 3 do
        post()
        h.sleep(0.02)
      end
      all()
      return s:metric("sluice_kafka_possible_copies_total") > 0
    end)
    -- A producer that is replaced later is not their cause.
    h.write(s.path, policy(m.brokers, [[batch = { linger = "2ms" }]]))
    assert.equal(200, s:reload().status)
    post()
    all()
    assert.equal(0, s:stop())
    assert.is_nil(s:text():match "event=kafka_resent sink=bus cause=[^\n]*")
  end)

  it("because it is asked for no answer, is sent once", function()
    start [[options = { ["enable.idempotence"] = "false", acks = "0" }]]
    for _ = 1, 20 do post() end
    all()
    assert.equal(20, kafka.count(m.brokers, "events", 1))
    assert.equal(0, s:metric("sluice_kafka_possible_copies_total"))
    assert.equal(0, s:stop())
  end)
end)
