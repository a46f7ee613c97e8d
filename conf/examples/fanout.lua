-- fanout: one route, several ways. Everything is archived; money also goes to Kafka
-- at once and to the warehouse in large batches; what the client's own error
-- reporting sends goes to files of its own, for a week.
--
-- A stream is a queue with its own safety and its own sinks, so that each way has
-- the promise that its events are worth.

file "archive" { dir = "archive", compress = "zstd", rotate = { age = "1h" } }
file "errors"  { dir = "errors",  compress = "zstd", rotate = { age = "24h" } }

kafka "bus" {
  brokers = env("KAFKA_BROKERS", "127.0.0.1:9092"),
  topic   = "purchases",
  key     = "user_id",
}
clickhouse "olap" {
  urls  = { env("CLICKHOUSE_URL", "http://127.0.0.1:8123") },
  table = "shop.purchases",
}

stream "events"    { sinks = { "archive" } }
stream "errors"    { sinks = { "errors" }, max_bytes = "2GiB" }
-- A purchase is answered when it is on stable storage. The warehouse may be down
-- for as long as 4 GiB of purchases last; the bus is never given up.
stream "purchases" {
  ack   = "synced",
  sinks = { "bus", olap = { when_full = "skip", max_lag = "4GiB" } },
}

local event = schema {
  type    = enum { "view", "click", "purchase", "error", required = true },
  user_id = str  { min = 1, max = 128 },
  amount  = num  { min = 0 },
}

local function on_event(ev)
  if ev.type == "error" then return to("errors") end
  if ev.type == "purchase" then
    if not (ev.user_id and ev.amount) then
      return reject("incomplete_purchase", "a purchase needs user_id and amount")
    end
    return to("events", "purchases")
  end
end

route "POST /v1/events" {
  body = "batch", schema = event, on_event = on_event, stream = "events",
}
