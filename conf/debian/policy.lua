-- The policy of the service sluice. Edit it, run
--   sluice check /etc/sluice/policy.lua
-- and then systemctl reload sluice. An upgrade of the package keeps your changes.
--
--   curl --json '{"event_id":"e1","event_type":"click"}' localhost:8080/v1/events
--
-- /usr/share/doc/sluice/README.md explains policies; conf/examples beside it has many.

-- Only this machine can send events until you write 0.0.0.0 here.
server { listen = "127.0.0.1:8080" }
admin  { listen = "127.0.0.1:9100" }

-- Below /var/lib/sluice. Finished files are archive/events-UUID8-NUMBER.ndjson.zst.
file "archive" {
  dir      = "archive",
  rotate   = { bytes = "256MiB", age = "1h" },
  compress = "zstd",
}

-- "written": an acknowledged event survives kill -9. "synced": also a power cut.
stream "events" { ack = "written", sinks = { "archive" } }

local event = schema {
  event_id   = str { required = true, min = 1, max = 64 },
  event_type = str { required = true, min = 1, max = 64 },
}

route "POST /v1/events"       { body = "event", schema = event, stream = "events" }
route "POST /v1/events/batch" { body = "batch", schema = event, stream = "events" }

example "an event without a type is refused" {
  request = "POST /v1/events",
  body    = [[{"event_id":"e1"}]],
  expect  = { status = 422, code = "missing_field", field = "event_type" },
}
