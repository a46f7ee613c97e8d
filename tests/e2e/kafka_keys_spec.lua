-- The key of each message, whether the spool had noted its place or the event had
-- to be read again.
local h = require "harness"
local kafka = require "kafka"

local LONG = ("k"):rep(70000)

local function policy(brokers, o)
  o = o or {}
  return ([[
server { listen = "127.0.0.1:0", workers = 1 }
admin { listen = "127.0.0.1:0" }
kafka "bus" { brokers = %q, topic = "events", key = %q,
  batch = { linger = "5ms" } }
%s
stream "events" { sinks = { "bus", %s } }
stream "other" { sinks = { "bus" } }
local event = schema { id = str {}, ["user.id"] = any {}, act = str {} }
local function on_event(ev)
  local act = ev.act
  if act == "stamp" then ev.seen = 1
  elseif act == "rename" then ev.id = "by the hook"
  elseif act == "remove" then ev.id = nil
  elseif act == "shift" then ev.act = "a longer text than the one before"
  elseif act == "go" then return to("other", "events") end
end
route "POST /v1/events" { body = "event", schema = event, on_event = on_event,
  stream = "events" }
route "POST /v1/events/batch" { body = "batch", schema = event,
  on_event = on_event, stream = "events" }
route "POST /v1/plain" { body = "event", stream = "events" }
]]):format(brokers, o.key or "id", o.sinks or "", o.names or "")
end

-- The keys of a topic's messages, sorted; "-": the message has none.
local function keys(m, topic)
  local list = kafka.consume(m.brokers, topic, "%K:%k\\n")
  for i, line in ipairs(list) do
    list[i] = line == "-1:" and "-" or line:match(":(.*)")
  end
  table.sort(list)
  return list
end

local function same(want, got)
  table.sort(want)
  assert.same(want, got)
end

describe("a message's key", function()
  local m, s
  before_each(function() m = kafka.mock() end)
  after_each(function()
    if s then s:close() s = nil end
    m:close()
  end)

  local function delivered(n)
    h.wait_for(n .. " delivered", function()
      return s:metric("sluice_delivered_events_total") == n
    end, 30)
  end

  local function post(path, text)
    assert.equal(202, s:post(path, text).status)
  end

  it("is found without reading the event again where the schema names it",
    function()
      s = h.server { policy = policy(m.brokers) }
      post("/v1/events", [[{"id":"one"}]])
      post("/v1/events", "{ \"n\" : [1,\n2] ,\n \"id\"\n:\n \"two\" }")
      post("/v1/events", [[{"act":"stamp","id":"three"}]])
      post("/v1/events", [[{"id":"four \u00e9 \"x\""}]])
      post("/v1/events", [[{"id":""}]])
      post("/v1/events", [[{"n":1}]])
      post("/v1/events/batch", [=[[{"id":"b1"},{"id":"b2"},{"x":1,"id":"b3"}]]=])
      post("/v1/events/batch", [=[{"events":[{"id":"c1"},{"x":{"id":"no"}}]}]=])
      delivered(11)
      same({ "one", "two", "three", "four é \"x\"", "", "-", "b1", "b2", "b3", "c1",
        "-" }, keys(m, "events"))
      assert.equal(0, s:metric("sluice_kafka_scanned_events_total"))
      assert.equal(0, s:stop())
    end)

  it("is read from the event where its place is not known", function()
    s = h.server { policy = policy(m.brokers) }
    post("/v1/events", [[{"id":"was","act":"rename"}]])
    post("/v1/events", [[{"act":"rename"}]])
    post("/v1/events", [[{"id":"was","act":"remove"}]])
    post("/v1/events", [[{"act":"shift","id":"behind"}]])
    post("/v1/events", ([[{"id":"%s"}]]):format(LONG))
    post("/v1/plain", [[{"id":"no schema"}]])
    delivered(6)
    same({ "by the hook", "by the hook", "-", "behind", LONG, "no schema" },
      keys(m, "events"))
    assert.equal(6, s:metric("sluice_kafka_scanned_events_total"))
    assert.equal(0, s:stop())
  end)

  it("may be a number, or lie within an object", function()
    s = h.server { policy = policy(m.brokers, { key = "user.id" }) }
    post("/v1/events", [[{"user":{"id":12.50},"id":"x"}]])
    post("/v1/events", [[{"user":{"name":"a","id":"u1"}}]])
    post("/v1/events", [[{"user":{"id":[1]}}]])
    post("/v1/events", [[{"user":{"id":null}}]])
    post("/v1/events", [[{"user":7}]])
    delivered(5)
    same({ "12.50", "u1", "-", "-", "-" }, keys(m, "events"))
    assert.equal(0, s:metric("sluice_kafka_scanned_events_total"))
  end)

  it("is each sink's own, also of a stream that another policy has filled",
    function()
      m:say("topic others 1")
      s = h.server { policy = policy(m.brokers, { names = [["two"]], sinks = ([[
        kafka "two" { brokers = %q, topic = "others", key = "user.id",
          batch = { linger = "5ms" } }]]):format(m.brokers) }) }
      for i = 1, 5 do
        post("/v1/events", ([[{"user":{"id":"u%d"},"id":"i%d","act":"go"}]])
          :format(i, i))
      end
      delivered(15) -- twice to bus, by both streams, and once to two
      same({ "i1", "i1", "i2", "i2", "i3", "i3", "i4", "i4", "i5", "i5" },
        keys(m, "events"))
      same({ "u1", "u2", "u3", "u4", "u5" }, keys(m, "others"))
      assert.equal(5, s:metric("sluice_kafka_scanned_events_total"))
      -- Events in the spool when the key's name changes.
      m:say("down 1")
      post("/v1/events", [[{"user":{"id":"u6"},"id":"i6"}]])
      h.write(s.path, policy(m.brokers, { key = "act", names = [["two"]],
        sinks = ([[kafka "two" { brokers = %q, topic = "others", key = "user.id",
          batch = { linger = "5ms" } }]]):format(m.brokers) }))
      assert.equal(200, s:reload().status)
      post("/v1/events", [[{"user":{"id":"u7"},"id":"i7","act":"a7"}]])
      m:say("up 1")
      delivered(19)
      local list = keys(m, "events")
      local n = {}
      for _, k in ipairs(list) do n[k] = (n[k] or 0) + 1 end
      assert.equal(1, n.a7)
      assert.is_nil(n.i7)
      assert.equal(0, s:stop())
    end)
end)
