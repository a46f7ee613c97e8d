-- quickstart: accepts events over HTTP and writes them to files.
--
--   curl --json '{"event_id":"e1","event_type":"click","user_id":"u-1",
--     "timestamp":"'$(date -u +%FT%TZ)'"}' localhost:8080/v1/events

server { listen = "0.0.0.0:8080" }
admin  { listen = "127.0.0.1:9100" }

-- Finished files are archive/events-UUID8-NUMBER.ndjson.zst in the data directory.
-- The file that grows ends in .part.
file "archive" {
  dir      = "archive",
  rotate   = { bytes = "256MiB", age = "1h" },
  compress = "zstd",
}

-- "written": an acknowledged event survives kill -9. "synced": also a power cut.
stream "events" { ack = "written", sinks = { "archive" } }

local event = schema {
  event_id   = str  { required = true, min = 1, max = 64 },
  event_type = enum { "click", "impression", "install", "purchase",
                      required = true },
  user_id    = str  { required = true, min = 3, max = 128 },
  timestamp  = time { required = true, max_skew = "5m" },
  value      = num  { min = 0 },
  ["properties.page"] = str {},
}

local function on_event(ev, req)
  if ev.event_type == "purchase" and not ev.value then
    return reject("missing_value", "a purchase needs a value")
  end
  ev.received_at = req.time_ms
end

route "POST /v1/events" {
  body = "event", schema = event, on_event = on_event, stream = "events",
}
route "POST /v1/events/batch" {
  body = "batch", schema = event, on_event = on_event, stream = "events",
}

example "a click without a user is refused" {
  at      = "2025-11-23T12:13:20Z",
  request = "POST /v1/events",
  body    = [[{"event_id":"e1","event_type":"click","timestamp":1763900000000}]],
  expect  = { status = 422, code = "missing_field", field = "user_id" },
}

example "an accepted click says when it came" {
  at      = "2025-11-23T12:13:20Z",
  request = "POST /v1/events",
  body    = [[{"event_id":"e1","event_type":"click","user_id":"u-1","timestamp":1763900000000}]],
  expect  = {
    status = 202, accepted = 1,
    stored = [[{"event_id":"e1","event_type":"click","user_id":"u-1","timestamp":1763900000000,"received_at":1763900000000}]],
  },
}

example "a purchase without a value is refused" {
  at      = "2025-11-23T12:13:20Z",
  request = "POST /v1/events/batch",
  body    = [[{"events":[{"event_id":"e1","event_type":"purchase","user_id":"u-1","timestamp":1763900000000}]}]],
  expect  = { status = 422, rejected = 1, code = "missing_value" },
}
