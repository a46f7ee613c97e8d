-- The policy of the bench: the schema and the hook of the quickstart, one worker, a
-- sink that reads and counts every event.
server { listen = "127.0.0.1:0", workers = 1 }
admin  { listen = "127.0.0.1:0" }
spool  { max_bytes = "8GiB" }
null "bench" {}
stream "events" { ack = "written", sinks = { "bench" } }

local event = schema {
  event_id   = str  { required = true, max = 64 },
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
