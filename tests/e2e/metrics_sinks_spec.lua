-- What the metrics of sinks say, against what their endpoints saw and the disk has.
local h = require "harness"
local kafka = require "kafka"
local numbered = require "numbered"
local receiver = require "receiver"

local POLICY = [[
server { listen = "127.0.0.1:0", workers = 1 }
admin { listen = "127.0.0.1:0" }
null "void" {}
%s
stream "events" { sinks = { "void", %s } }
route "POST /v1/events" { body = "event", stream = "events" }
route "POST /v1/events/batch" { body = "batch", stream = "events" }
]]

local function policy(sink, names) return POLICY:format(sink or "", names or '"out"') end

-- A batch for each event, or for each request.
local function out(url, more, batch)
  return ([[http "out" { url = %q, batch = { %s linger = "20ms" }, %s }]]):format(url,
    batch or "target = 1, max = 1,", more or "")
end

local function size(path) return #(h.read(path) or "") end

describe("the metrics of sinks", function()
  local r, s, m
  after_each(function()
    if s then s:close() s = nil end
    if r then r:close() r = nil end
    if m then m:close() m = nil end
  end)

  local function metric(name, labels)
    return s:metric("sluice_" .. name, labels or 'sink="out"')
  end
  local function becomes(n, name, labels)
    h.wait_for(("%s to become %s"):format(name, n), function()
      return (metric(name, labels) or 0) == n
    end)
  end
  local function serve(more, batch)
    r = receiver.start()
    s = h.server { policy = policy(out(r.url, more, batch)) }
  end
  local function reload(text) numbered.reload(s, text) end
  local function bytes()
    local n = 0
    for _, q in ipairs(r:requests()) do n = n + q.bytes end
    return n
  end
  -- The receiver's connections, by their ports.
  local function connections()
    local seen, n = {}, 0
    for _, q in ipairs(r:requests()) do
      n = n + (seen[q.port] and 0 or 1)
      seen[q.port] = true
    end
    return n
  end

  it("count the connections that the receiver saw, and those who wait for one", function()
    serve "max_in_flight = 4, pool = { max_open = 1, max_idle = 1 }"
    for _, name in ipairs { "open", "active", "idle", "waiting", "opened_total",
      "closed_total", "wait_seconds_count" } do
      local sum = name:find "wait_" and "connection_" or "connections_"
      assert.equal(0, metric("sink_" .. sum .. name), name)
    end
    assert.equal(2, metric "sink_window") -- as many as it begins with
    r:pause()
    local began = h.now()
    s:post("/v1/events/batch", '[{"n":1},{"n":2},{"n":3}]')
    becomes(1, "sink_connections_waiting")
    becomes(1, "sink_connections_active")
    assert.same({ 1, 0 }, { metric "sink_connections_open", metric "sink_connections_idle" })
    r:go_on()
    becomes(3, "insert_rows_total")
    becomes(0, "sink_connections_active")
    assert.same({ 1, 1, 0, 1, 0 }, { metric "sink_connections_open",
      metric "sink_connections_idle", metric "sink_connections_waiting",
      metric "sink_connections_opened_total", metric "sink_connections_closed_total" })
    assert.equal(1, connections())
    assert.equal(3, metric "sink_connection_wait_seconds_count")
    local waited = metric "sink_connection_wait_seconds_sum"
    assert.is_true(waited > 0 and waited < 3 * (h.now() - began), waited)
    -- One that the receiver closes is opened anew.
    r:kill()
    r:run()
    s:post("/v1/events", '{"n":4}')
    becomes(4, "insert_rows_total")
    h.wait_for("the old one to be closed", function()
      return metric "sink_connections_open" == metric "sink_connections_opened_total"
        - metric "sink_connections_closed_total" and metric "sink_connections_idle" == 1
    end)
    h.wait_for("the receiver's note", function() return #r:requests() == 4 end)
    assert.is_true(metric "sink_connections_opened_total" >= connections())
    assert.equal(2, connections())
    assert.equal(0, metric("sink_connections_open", 'sink="void"') or 0)
  end)

  it("are those of the live sink, after a reload and when it was away", function()
    serve "max_in_flight = 4"
    assert.equal(2, metric "sink_window")
    becomes(1, "batch_target")
    s:post("/v1/events", "{}")
    becomes(1, "insert_rows_total")
    assert.equal(2, metric "sink_window") -- 2 + 1/2
    becomes(0, "batch_linger_seconds") -- 20 ms
    reload(policy((out(r.url, "max_in_flight = 1"):gsub('"20ms"', '"90s"'))))
    becomes(1, "sink_window")
    becomes(90, "batch_linger_seconds")
    assert.equal(1, metric "insert_rows_total") -- counters go on
    reload(policy("", ""))
    h.wait_for("the sink to be gone", function()
      return metric "sink_window" == nil and metric "batch_target" == nil
        and metric "sink_connections_open" == nil
    end)
    -- No series of it is left, also of those that are counters.
    assert.is_nil(s:get("/metrics").body:find('sink="out"', 1, true))
    reload(policy(out(r.url, "max_in_flight = 4")))
    becomes(2, "sink_window")
    becomes(1, "batch_target")
    s:post("/v1/events", "{}")
    becomes(2, "insert_rows_total")
    assert.equal(2, metric "delivered_events_total")
  end)

  it("count batches, rows and the bytes of bodies", function()
    serve('compression = "gzip"', "target = 1000, min = 1000,")
    for _, name in ipairs { "batch_events_count", "batch_bytes_sum", "insert_rows_total",
      "sink_wire_bytes_total", "delivery_age_seconds_count", "insert_extra_total" } do
      assert.equal(0, metric(name), name)
    end
    local began, events = h.now(), {}
    for i = 1, 20 do events[i] = ('{"n":%d}'):format(i + 9) end
    s:post("/v1/events/batch", "[" .. table.concat(events, ",") .. "]")
    becomes(20, "insert_rows_total")
    s:post("/v1/events", '{"n":30}')
    becomes(21, "insert_rows_total")
    becomes(2, "delivery_age_seconds_count")
    h.wait_for("the receiver's notes", function() return #r:requests() == 2 end)
    assert.equal(bytes(), metric "sink_wire_bytes_total")
    assert.same({ 2, 21, 2, 21 * #'{"n":10}' + 21 }, { metric "batch_events_count",
      metric "batch_events_sum", metric "batch_bytes_count", metric "batch_bytes_sum" })
    local age = metric "delivery_age_seconds_sum"
    assert.is_true(age >= 0.04 and age < 2 * (h.now() - began), age)
    -- One that was refused went over the wire too, and is no row.
    r:rule "status 503"
    s:post("/v1/events", '{"n":31}')
    h.wait_for("a refusal", function() return #r:requests() > 2 end)
    assert.equal(21, metric "insert_rows_total")
    r:rule ""
    becomes(22, "insert_rows_total")
    h.wait_for("the receiver's notes", function()
      return bytes() == metric "sink_wire_bytes_total"
    end)
    -- Each sink by itself.
    becomes(22, "null_events_total", 'sink="void"')
    assert.equal(22 * #'{"n":10}' + 22, metric("null_bytes_total", 'sink="void"'))
    assert.equal(22, metric("batch_events_sum", 'sink="void"'))
  end)

  it("count what the search for a bad row costs, and its letter's bytes, as the file",
  function()
    serve("", "target = 1000, min = 1000,")
    r:rule "poison"
    assert.equal(0, metric "dead_bytes")
    s:post("/v1/events/batch", '[{"n":1},{"n":2},{"value":"bad"},{"n":4}]')
    becomes(3, "insert_rows_total")
    becomes(1, "dead_events_total")
    local path = s.data .. "/dead/sink-out.ndjson"
    becomes(size(path), "dead_bytes")
    assert.is_true(size(path) > 0)
    h.wait_for("the receiver's notes", function() return r:count "taken" > 1 end)
    assert.equal(#r:requests() - 1, metric "insert_extra_total")
    -- Taken out and put back, the sink has them once.
    reload(policy("", ""))
    becomes(0, "dead_bytes")
    reload(policy(out(r.url, "", "target = 1000, min = 1000,")))
    becomes(size(path), "dead_bytes")
    assert.equal(0, s:stop())
    s:start()
    assert.equal(size(path), metric "dead_bytes")
    os.rename(path, path .. ".taken")
    becomes(0, "dead_bytes")
  end)

  it("count the messages that brokers have, and those that wait for them", function()
    m = kafka.mock()
    s = h.server { policy = policy(([[kafka "out" { brokers = %q, topic = "events",
      batch = { target = 1, min = 1, linger = "1ms" } }]]):format(m.brokers)) }
    local all = ('endpoint="%s"'):format(m.brokers)
    assert.same({ 0, 0, 0, 0 }, { metric "kafka_sent_messages_total",
      metric "kafka_queued_bytes", metric "kafka_queued_messages",
      metric "sink_wire_bytes_total" })
    for i = 1, 3 do s:post("/v1/events", ('{"n":%d}'):format(i)) end
    becomes(3, "kafka_sent_messages_total", all)
    assert.equal(3, kafka.count(m.brokers, "events", 4))
    assert.is_true(metric "sink_wire_bytes_total" > 3 * #'{"n":1}')
    m:down()
    for i = 4, 5 do s:post("/v1/events", ('{"n":%d}'):format(i)) end
    becomes(2, "kafka_queued_messages", all)
    assert.equal(2 * #'{"n":1}', metric("kafka_queued_bytes", all))
    assert.equal(3, metric("kafka_sent_messages_total", all))
    m:say "up 1"
    becomes(5, "kafka_sent_messages_total", all)
    becomes(0, "kafka_queued_bytes", all)
    assert.equal(5, kafka.count(m.brokers, "events", 4))
    -- A sink that retires sends its events; one that is dropped has nothing queued.
    m:down()
    s:post("/v1/events", '{"n":6}')
    becomes(1, "kafka_queued_messages")
    reload(policy("", ""))
    assert.equal(#'{"n":1}', metric "kafka_queued_bytes")
    local a = h.request(s.admin, "POST", "/sinks/out/drop", "")
    assert.equal(200, a.status, a.body)
    h.wait_for("its series to go", function()
      return metric "kafka_queued_bytes" == nil and metric "kafka_queued_messages" == nil
    end)
    assert.equal(1, metric "sink_dropped_events_total")
  end)

  it("show no breaker of brokers that the sink has left", function()
    m = kafka.mock()
    local function goes(endpoint)
      h.wait_for("its series to go", function()
        return metric("breaker_state", endpoint) == nil
          and metric("endpoint_requests_total", endpoint) == nil
          and metric("kafka_sent_messages_total", endpoint) == nil
      end)
    end
    local function bus(brokers)
      return policy(([[kafka "out" { brokers = %q, topic = "events",
        batch = { target = 1, min = 1, linger = "1ms" }, breaker = { timeout = "1m",
        ready_to_trip = function(c) return c.requests > 0 end } }]]):format(brokers))
    end
    local first, nobody = ('endpoint="%s"'):format(m.brokers), 'endpoint="127.0.0.1:1"'
    s = h.server { policy = bus(m.brokers) }
    assert.equal(0, metric("breaker_state", first))
    m:down()
    s:post("/v1/events", "{}")
    becomes(2, "breaker_state", first)
    m:say "up 1"
    becomes(1, "delivered_events_total") -- nothing is in flight that the reload waits for
    assert.equal(2, metric("breaker_state", first))
    reload(bus "127.0.0.1:1")
    goes(first)
    s:post("/v1/events", "{}")
    becomes(2, "breaker_state", nobody)
    reload(policy("", ""))
    assert.equal(200, h.request(s.admin, "POST", "/sinks/out/drop", "").status)
    goes(nobody)
  end)

  it("count a sink's functions that fail", function()
    r = receiver.start()
    s = h.server { policy = policy(([[
      http "out" { url = %q, batch = { target = 1, linger = "1ms",
        adapt = function(stats) error "no" end } }
      http "good" { url = %q, batch = { target = 1, linger = "1ms",
        adapt = function(stats) return 1 end } }]]):format(r.url, r.url),
      '"out", "good"') }
    s:post("/v1/events", "{}")
    h.wait_for("two failures", function() return metric "sink_function_errors_total" >= 2 end)
    assert.equal(0, metric("sink_function_errors_total", 'sink="good"'))
    s:logged("event=policy status=raised sink=out function=batch%.adapt generation=1 errors=%d+ "
      .. "why=[^\n]*p[%w]*%.lua:%d+: no")
  end)

  it("take no word for a batch's target, but count and tell it", function()
    r = receiver.start()
    local function adapts(to)
      return ([[http "out" { url = %q, batch = { target = 7, max = 100, linger = "1ms",
        adapt = function(stats) return %s end } }]]):format(r.url, to)
    end
    s = h.server { policy = policy(adapts "nil", '"out"') }
    becomes(7, "batch_target")
    local before = 0
    for _, bad in ipairs { '"many"', "{}", "true", "0", "-1", "0/0", "1/0" } do
      reload(policy(adapts(bad), '"out"'))
      h.wait_for("a failure of " .. bad, function()
        return metric "sink_function_errors_total" > before
      end)
      assert.equal(7, metric "batch_target", bad)
      s:logged("sink=out function=batch%.adapt [^\n]*why=[^\n]*it returned [^\n]*expected a number")
      before = metric "sink_function_errors_total"
    end
    reload(policy(adapts "12", '"out"'))
    becomes(12, "batch_target")
  end)
end)
