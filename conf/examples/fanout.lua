-- fanout: one route, several streams. Every event is archived. Purchases also go to
-- Kafka without delay and to the warehouse in large batches. Error reports of
-- clients go to files of their own.
--
-- A stream is a queue with its own safety (ack) and its own sinks, so that each kind
-- of event has the safety that it needs.

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
-- The client gets its answer when the purchase is on stable storage. The warehouse
-- skips events when it is 4 GiB behind; the bus never skips any.
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
