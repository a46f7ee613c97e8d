-- attribution: events of an attribution platform, to Kafka and ClickHouse.
--
--   KAFKA_BROKERS=... CLICKHOUSE_URL=... build/sluice run conf/attribution.lua

server { listen = "0.0.0.0:8080", workers = "auto", max_body = "4MiB", max_events = 10000 }
admin  { listen = env("ADMIN_LISTEN", "127.0.0.1:9100") }
spool  { dir = "spool", segment = "64MiB", max_bytes = "10GiB" }

kafka "bus" {
  brokers     = env("KAFKA_BROKERS", "127.0.0.1:9092"),
  topic       = "attribution_events",
  key         = "user_id",
  compression = "lz4",
  batch       = { target = 200, min = 50, max = 500, linger = "50ms" },
}

-- docker/clickhouse.sql makes the table.
clickhouse "olap" {
  urls     = { env("CLICKHOUSE_URL", "http://127.0.0.1:8123") },
  table    = "attribution.events",
  user     = env("CLICKHOUSE_USER", "default"),
  password = env("CLICKHOUSE_PASSWORD", ""),
  columns  = {
    event_id = "event_id", event_type = "event_type", user_id = "user_id",
    timestamp = "timestamp", received_at = "received_at", value = "value",
    page = "properties.page", raw = "@event",
  },
  pool    = { max_open = 300, max_idle = 50, max_lifetime = "10m", max_idle_time = "30s" },
  batch   = { target = 10000, min = 1000, max = 100000, max_bytes = "8MiB", linger = "1s",
              adapt = "latency" },
  breaker = {
    max_requests = 3, interval = "10s", timeout = "30s",
    ready_to_trip = function(c)
      return c.requests >= 3 and c.failures / c.requests >= 0.6
    end,
  },
  hedge   = { after = "50ms", max_ratio = 0.05 },
}

-- The bus goes on while the warehouse is down; beyond 4 GiB the warehouse skips.
stream "events" {
  ack   = "written",
  sinks = { "bus", olap = { when_full = "skip", max_lag = "4GiB" } },
}

local event = schema {
  event_id   = str  { required = true, min = 1, max = 64 },
  event_type = enum { "click", "impression", "install", "purchase", required = true },
  user_id    = str  { required = true, min = 3, max = 128 },
  timestamp  = time { required = true, max_age = "30d", max_skew = "5m" },
  value      = num  { min = 0 },
  ["properties.page"] = str {},
}

local function on_event(ev, req)
  if ev.event_type == "purchase" and not ev.value then
    return reject("missing_value", "a purchase needs a value")
  end
  ev.timestamp = ev.timestamp -- stored as milliseconds, also when sent as text
  ev.received_at = req.time_ms
end

route "POST /v1/events"       { body = "event", schema = event, on_event = on_event, stream = "events" }
route "POST /v1/events/batch" { body = "batch", schema = event, on_event = on_event, stream = "events" }

example "a click without a user is refused" {
  at      = "2025-11-23T12:13:20Z",
  request = "POST /v1/events",
  body    = [[{"event_id":"e1","event_type":"click","timestamp":1763900000000}]],
  expect  = { status = 422, code = "missing_field", field = "user_id" },
}

example "a purchase with a value is stored with its time in milliseconds" {
  at      = "2025-11-23T12:13:20Z",
  request = "POST /v1/events",
  body    = [[{"event_id":"e1","event_type":"purchase","user_id":"u-1","timestamp":"2025-11-23T12:13:20Z","value":9.90}]],
  expect  = {
    status = 202, accepted = 1,
    stored = [[{"event_id":"e1","event_type":"purchase","user_id":"u-1","timestamp":1763900000000,"value":9.90,"received_at":1763900000000}]],
  },
}
