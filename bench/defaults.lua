-- What the defaults of batches, pools and compression change, beside what many start
-- with: 200 connections open, 20 idle, 5 m; batches of 100, 100 ms fixed; nothing
-- compressed (ClickHouse: gzip, for a plain body that is cut is inserted in part).
--
--   luajit bench/defaults.lua [seconds]     default: 5, for each load and sink
--
-- Prints quantiles of the histograms that /metrics has, and bytes an event on the
-- wire: of bodies and, with Kafka, of all that librdkafka sent.
package.path = "bench/?.lua;" .. package.path
local bench = require "bench"
local clickhouse = require "clickhouse"
local kafka = require "kafka"

local h = bench.h
local SECONDS = tonumber(arg[1]) or 5

local FIXED = [[batch = { target = 100, min = 100, max = 100, linger = "100ms" },]]
local OURS = [[batch = { target = 200, min = 50, max = 500, linger = "50ms" },]]
local OLD_POOL = [[pool = { max_open = 200, max_idle = 20, max_lifetime = "5m",
  max_idle_time = "5m" },]]

local loads = {
  { "100 events/s", { path = "/v1/events", batch = 1, rate = 100, connections = 4 } },
  { "100 k events/s", { batch = 200, rate = 500, connections = 8 } },
}

local function quantiles(s, name, unit, scale)
  local q = {}
  for i, p in ipairs { 0.5, 0.95, 0.99 } do
    local v = bench.quantile(s, name, p)
    q[i] = v and ("%.6g"):format(v * scale) or "-"
  end
  return table.concat(q, " / ") .. unit
end

local function one(name, what, sink, load)
  local s = h.server { policy = bench.policy(sink) }
  load.seconds = SECONDS
  local f = h.load_wait(h.load(s.port, load))
  h.wait_for("delivery", function()
    return s:metric("sluice_delivered_events_total") >= f.acked
  end, 300)
  h.sleep(1.2) -- librdkafka's statistics come each second
  print(("| %s | %s | %s | %s | %s | %s | %.0f |"):format(what, name,
    quantiles(s, "sluice_batch_events", "", 1),
    quantiles(s, "sluice_delivery_age_seconds", " ms", 1000),
    quantiles(s, "sluice_sink_connection_wait_seconds", " ms", 1000),
    ("%d"):format(s:metric("sluice_sink_connections_opened_total") or 0),
    s:metric("sluice_sink_wire_bytes_total") / f.acked))
  s:close()
end

print(("p50 / p95 / p99 as the histograms' buckets have them (their upper ends); batches in "
  .. "events; age: from the spool to the sink's word; %d s each\n"):format(SECONDS))
print("| load | sink | batch | age | wait for a connection | opened | bytes an event |")
print("|---|---|---|---|---|---|---|")
for _, l in ipairs(loads) do
  for _, framing in ipairs { "event", "batch" } do
    for _, o in ipairs { { "as many start", FIXED, "none" }, { "defaults", OURS, "lz4" } } do
      local m = kafka.mock()
      one(("kafka, a message %s %s, %s: %s"):format(framing == "event" and "an" or "a",
        framing, o[3], o[1]), l[1],
        ([[kafka "out" { brokers = %q, topic = "events", %s %s compression = %q }]])
        :format(m.brokers, framing == "event" and [[key = "user_id",]]
          or [[framing = "batch",]], o[2], o[3]), l[2])
      m:close()
    end
  end
  for _, o in ipairs { { "as many start", OLD_POOL .. FIXED, "gzip" },
    { "pool's defaults, batches of 200", OURS, "auto" }, { "defaults", "", "auto" } } do
    -- A server each: the parts of many small inserts are long in going.
    local ch = clickhouse.start()
    ch:events_table("events")
    one("clickhouse, " .. o[3] .. ": " .. o[1], l[1],
      ([[clickhouse "out" { urls = { %q }, table = "default.events", %s
        compression = %q }]]):format(ch.url, o[2], o[3]), l[2])
    ch:close()
  end
end
