-- sampling: keeps all rare events and a share of the frequent ones. The share is by
-- user: all events of a chosen user are kept. A kept event has its sample_rate, so
-- that queries can scale counts: sum(1 / sample_rate).
--
-- The client sees a dropped event as accepted. The metric
-- sluice_events_total{result="dropped"} counts it.

file "archive" { dir = "archive", compress = "zstd" }
stream "events" { sinks = { "archive" } }

local event = schema {
  type    = enum { "view", "scroll", "click", "purchase", required = true },
  user_id = str  { required = true, max = 128 },
}

local rates = { view = 0.25, scroll = 0.05 }

local function on_event(ev)
  local rate = rates[ev.type] or 1
  if not sample(rate, ev.user_id) then return drop("sampled") end
  ev.sample_rate = rate
end

route "POST /v1/events" {
  body = "batch", schema = event, on_event = on_event, stream = "events",
}
