-- Measures delivery beside bare clients, in one run:
--
--   luajit bench/delivery.lua [events]       default: 1000000
--
-- A backlog of attribution events is made in the spool first (the sink can't reach
-- anything then); the server is started again, and its CPU and time are taken until
-- all is delivered. Kafka is librdkafka's mock cluster, ClickHouse Debian's.
package.path = "tests/e2e/?.lua;" .. package.path
local h = require "harness"
local clickhouse = require "clickhouse"
local kafka = require "kafka"

local N = tonumber(arg[1]) or 1000000

local function policy(sink)
  return ([[
server { listen = "127.0.0.1:0", workers = 1 }
admin { listen = "127.0.0.1:0" }
spool { max_bytes = "8GiB" }
%s
stream "events" { sinks = { "out" } }
local event = schema { event_id = str {}, user_id = str {} }
route "POST /v1/events/batch" { body = "batch", schema = event,
  stream = "events" }
]]):format(sink)
end

local function cpu(s)
  local f = h.read("/proc/" .. s.real_pid .. "/stat"):match("%) (.*)$")
  local u, k = f:match(("%S+ "):rep(11) .. "(%d+) (%d+)")
  return (tonumber(u) + tonumber(k)) / 100
end

-- CPU seconds and seconds for N events of a backlog.
local function drain(before, after)
  local s = h.server { policy = policy(before) }
  local l = h.load(s.port, { batch = 200, connections = 8, seconds = 60 })
  h.wait_for("the backlog", function()
    return (s:metric("sluice_stored_events_total") or 0) >= N
  end, 60)
  h.load_stop(l)
  local n = s:metric("sluice_stored_events_total")
  s:stop("SIGKILL")
  h.write(s.path, policy(after))
  s:start()
  local began, used = h.now(), cpu(s)
  h.wait_for("delivery", function()
    h.sleep(0.05)
    return s:metric("sluice_delivered_events_total") >= n
  end, 300)
  local seconds, c = h.now() - began, cpu(s) - used
  s:close()
  return n, seconds, c
end

local function events()
  local path = os.tmpname()
  h.shell(([[%s/bench/gen 100 200 | sed 's/^\[//; s/\]$//;
    s/},{"event_id"/}\n{"event_id"/g' > %s]]):format(h.build, path))
  return path
end

local file = events()
print("| sink | sluice | beside it | ratio |")
print("|---|---|---|---|")
for _, framing in ipairs { "event", "batch" } do
  local m = kafka.mock()
  local dead = ([[kafka "out" { brokers = "127.0.0.1:1", topic = "events",
    key = "user_id", framing = %q }]]):format(framing)
  local n, seconds, c = drain(dead, (dead:gsub("127.0.0.1:1\"", m.brokers .. "\"")))
  local floor = tonumber(h.shell(("%s/bench/kafka_floor %s events %s %s %d 2>/dev/null")
    :format(h.build, m.brokers, file, framing, N)):match("[%d%.]+"))
  print(("| kafka, %s | %.2f CPU s a million, %d events/s | %.2f, bare librdkafka | %.2f |")
    :format(framing, c * 1e6 / n, n / seconds, floor, c * 1e6 / n / floor))
  m:close()
end

local ch = clickhouse.start()
ch:events_table("events")
local dead = [[clickhouse "out" { urls = { "http://127.0.0.1:1" },
  table = "default.events", breaker = { timeout = "100ms" } }]]
local n, seconds = drain(dead, (dead:gsub("http://127.0.0.1:1\"", ch.url .. "\"")))
ch:events_table("events")
h.shell(("for i in $(seq %d); do cat %s; done > %s.all"):format(N / 20000, file, file))
local began = h.now()
local out = h.shell(("clickhouse-client --port %d --input_format_skip_unknown_fields 1 "
  .. "--query 'INSERT INTO events FORMAT JSONEachRow' < %s.all"):format(ch.tcp, file))
local client = ch:count("SELECT count() FROM events") / (h.now() - began)
print(("| clickhouse | %d rows/s | %d, clickhouse-client%s | %.2f |"):format(n / seconds,
  client, out, n / seconds / client))
ch:close()
os.remove(file)
os.remove(file .. ".all")
