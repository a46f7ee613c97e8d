-- sampling: keeps all that is rare and a share of what is frequent, by user, so that
-- of a user who is kept everything is kept. What is kept says at which rate, so that
-- counts can be scaled: sum(1 / sample_rate).
--
-- A dropped event was accepted, as far as the client knows; the metric
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
