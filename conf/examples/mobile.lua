-- mobile: takes the events of an SDK that writes them one behind the other, as its devices
-- send them: one, many, with or without space between them, plain or compressed.
--
--   printf '{"id":"1","event":"open"}{"id":"2","event":"buy"}' | gzip |
--     curl --data-binary @- -H "Content-Type: application/json" -H "X-App: shop" \
--     localhost:8080/v1/mobile

server { listen = "0.0.0.0:8080", max_body = "1MiB" }
admin  { listen = "127.0.0.1:9100" }

file "archive" { dir = "archive", compress = "zstd", rotate = { age = "1h" } }
file "refused" { dir = "refused", compress = "zstd", rotate = { age = "1h" } }
-- Devices that hear no answer send the same events again.
stream "events"  { sinks = { "archive" }, dedup = { key = { "app", "id" }, window = "1d" } }
stream "refused" { sinks = { "refused" } }

local event = schema {
  id = str { required = true, min = 1, max = 64 },
  event = str { required = true, min = 1, max = 100 },
  at = time { formats = { "number" }, unit = "auto" },
  app = str { required = true },
}

-- encoding = "detect": old versions compress and do not say so, and a proxy unpacks some
-- bodies and leaves their header.
route "POST /v1/mobile" {
  body = "events", encoding = "detect", max_event = "16KiB",
  types = { "application/json", "application/octet-stream", "text/plain" },
  schema = event, stream = "events", on_refused = { stream = "refused" },
  set = { app = "header:x-app" },
}

example "events one behind the other are stored each" {
  request = "POST /v1/mobile", headers = { ["x-app"] = "shop" },
  body    = [[{"id":"1","event":"open"}{"id":"2","event":"buy"}]],
  expect  = { status = 202, accepted = 2 },
}
example "one event is one event" {
  request = "POST /v1/mobile", headers = { ["x-app"] = "shop" },
  body    = [[{"id":"3","event":"buy","at":1735689600}]],
  expect  = { status = 202, accepted = 1,
    stored = [[{"id":"3","event":"buy","at":1735689600000,"app":"shop"}]] },
}
