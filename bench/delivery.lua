-- Measures delivery beside bare clients, in one run, and says what kept each sink
-- from being faster:
--
--   luajit bench/delivery.lua [events [sink…]]     default: 1000000, and all of
--                                  null file kafka clickhouse
--
-- A backlog of attribution events is made in the spool first (the sink can't reach
-- anything then); the server is started again, and its CPU and time are taken until
-- all is delivered. Kafka is librdkafka's mock cluster, ClickHouse Debian's.
package.path = "bench/?.lua;" .. package.path
local bench = require "bench"
local clickhouse = require "clickhouse"
local kafka = require "kafka"

local h = bench.h
local N = tonumber(arg[1]) or 1000000
local wanted = {}
for i = 2, #arg do wanted[arg[i]] = true end

local function row(name, r, beside, ratio, peer)
  print(("| %s | %.2f CPU s a million, %d k events/s | %s | %s | %s |"):format(name,
    r.cpu, r.rate / 1e3, beside or "", ratio and ("%.2f"):format(ratio) or "",
    bench.bottleneck(r, peer)))
end

-- The lines of the load generator, which bare clients get from memory or a file.
local file = bench.events(20000)

-- Sinks that reach all there is: the backlog is another's, which was dropped.
local function local_sinks()
  for _, sink in ipairs { [[null "out" { from = "oldest" }]],
    [[file "out" { from = "oldest", dir = "out", linger = "20ms" }]],
    [[file "out" { from = "oldest", dir = "out", linger = "20ms",
      compress = "zstd" }]] } do
    local s = bench.backlog([[kafka "nowhere" { brokers = "127.0.0.1:1", topic = "t" }]],
      N, "nowhere")
    h.shell(("rm -f '%s'/spool/sinks/*"):format(s.data))
    row(sink:gsub(' "out" { from = "oldest",?', ""):gsub("%s*}$", ""):gsub("%s+", " "),
      bench.drain(s, sink), nil, nil, "nobody")
    s:close()
  end
end

local function kafkas()
  for _, framing in ipairs { "event", "batch" } do
    local m = kafka.mock()
    local dead = ([[kafka "out" { brokers = "127.0.0.1:1", topic = "events", %s }]])
      :format(framing == "event" and [[key = "user_id"]] or [[framing = "batch"]])
    local s = bench.backlog(dead, N)
    local r = bench.drain(s, (dead:gsub("127.0.0.1:1\"", m.brokers .. "\"")), m.pid)
    s:close()
    local floor = tonumber(h.shell(("%s/bench/kafka_floor %s events %s %s %d 2>/dev/null")
      :format(h.build, m.brokers, file, framing, N)):match("[%d%.]+"))
    row("kafka, a message " .. (framing == "event" and "an event, keyed" or "a batch"),
      r, ("%.2f, bare librdkafka"):format(floor), r.cpu / floor, "mock cluster")
    m:close()
  end
end

local COLUMNS = [[columns = { event_id = "event_id", event_type = "event_type",
  user_id = "user_id", timestamp = "timestamp", value = "value" },]]

local function client_rate(ch)
  ch:events_table("events")
  h.shell(("for i in $(seq %d); do cat %s; done > %s.all"):format(N / 20000, file, file))
  local began = h.now()
  local out = h.shell(("clickhouse-client --port %d --input_format_skip_unknown_fields 1 "
    .. "--query 'INSERT INTO events FORMAT JSONEachRow' < %s.all"):format(ch.tcp, file))
  local rate = ch:count("SELECT count() FROM events") / (h.now() - began)
  os.remove(file .. ".all")
  return rate, out
end

local function clickhouses()
  local ch = clickhouse.start()
  for _, o in ipairs { { "defaults", "" }, { "gzip", [[compression = "gzip",]] },
    { "columns", COLUMNS }, { "columns, batches of 32 MiB",
    COLUMNS .. [[ batch = { max_bytes = "32MiB" },]] } } do
    local dead = ([[clickhouse "out" { urls = { "http://127.0.0.1:1" },
      table = "default.events", breaker = { timeout = "100ms" }, %s }]]):format(o[2])
    local s = bench.backlog(dead, N)
    ch:events_table("events")
    local r = bench.drain(s, (dead:gsub("http://127.0.0.1:1\"", ch.url .. "\"")), ch.pid)
    local inserts = s:metric("sluice_insert_seconds_count")
    s:close()
    local client, out = client_rate(ch)
    row(("clickhouse 18.16, %s; %d inserts, %.2f of its CPU s a million"):format(o[1],
      inserts, r.peer_cpu), r, ("%d k rows/s, clickhouse-client%s"):format(client / 1e3,
      out), r.rate / client, "clickhouse-server")
  end
  ch:close()
end

print("| sink | sluice | beside it | ratio | what bounds it |")
print("|---|---|---|---|---|")
local all = { null = local_sinks, kafka = kafkas, clickhouse = clickhouses }
for _, name in ipairs { "null", "kafka", "clickhouse" } do
  if next(wanted) == nil or wanted[name] then all[name]() end
end
os.remove(file)
