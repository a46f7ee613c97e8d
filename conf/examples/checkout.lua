-- checkout: a shop's events, with all that a policy can keep beside them: limits,
-- counters, a table of currencies, and the keys of events for dedup.
--
--   curl --json '[{"type":"purchase","user_id":"u-1","amount":12.5,"currency":"EUR"}]' \
--     -H 'X-Shop: acme' localhost:8080/v1/events

file "archive" { dir = "archive", compress = "zstd" }

-- SDKs send an event again when they miss the answer. dedup stores it once.
stream "events" {
  sinks = { "archive" },
  dedup = { key = "event_id", window = "1h" },
}

-- A shop may send sixty requests in a burst, then ten a second. A user's purchases
-- have a lower rate; further ones are refused with "retry": true.
local shop_limit = limit "shop" { rate = "10/s", burst = 60, key = "header:x-shop" }
local user_limit = limit "user" { rate = "5/m", burst = 5, key = "user_id" }

-- These count repeats too: dedup removes them after the hook.
local sent = counter "shop_sent_eur_total" {
  help = "Purchases in euros as they were sent, repeats included.",
  labels = { "shop" }, max_series = 200,
}
local unknown = counter "shop_unknown_currency_total" {
  help = "Purchases in a currency that rates.csv has not.",
}

-- Columns: currency,eur,name. Another team edits the file; a reload reads it.
local rates = lookup "rates.csv"

local event = schema {
  event_id = str  { max = 64 },
  type     = enum { "view", "purchase", required = true },
  user_id  = str  { required = true, max = 128 },
  amount   = num  { min = 0 },
  currency = str  { min = 3, max = 3 },
}

local function on_request(req)
  return shop_limit:check(req)
end

local function on_event(ev, req)
  ev.event_id = ev.event_id or uuid7()
  ev.user_id = sha256(lower(trim(ev.user_id)))
  ev.ip = mask_ip(req.peer)
  if ev.type ~= "purchase" then return end
  local over = user_limit:check(ev)
  if over then return over end
  local rate = tonumber(rates[ev.currency])
  if rate then
    ev.amount_eur = (ev.amount or 0) * rate
    sent:inc(ev.amount_eur, req.headers["x-shop"])
  else
    unknown:inc()
  end
end

route "POST /v1/events" {
  body = "batch", schema = event, stream = "events",
  on_request = on_request, on_event = on_event,
}

-- In EUR, whose rate is always 1: a new rate in the file must not break this example.
example "a purchase is worth its euros" {
  request = "POST /v1/events",
  body = [=[[{"event_id":"e1","type":"purchase","user_id":" U-1 ","amount":10,"currency":"EUR"}]]=],
  expect = { status = 202, stored = [[{"event_id":"e1","type":"purchase",]]
    .. [["user_id":"a24a7f55f278dd49fb1f99c5507800cb198a5bfe10fe2126cd0b25672152b0da",]]
    .. [["amount":10,"currency":"EUR","ip":"127.0.0.0","amount_eur":10}]] },
}
