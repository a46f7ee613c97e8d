-- stripe: archives events of Stripe's webhooks. Stripe-Signature has a time and signatures:
-- "t=1492774577,v1=5257…,v0=…", HMAC-SHA-256 of the time, a dot and the body.
--
-- STRIPE_SECRET is the endpoint's signing secret, whsec_…. When it is rolled, Stripe sends a
-- signature of each secret for a day, so one secret is enough here.

server { listen = "0.0.0.0:8080" }
admin  { listen = "127.0.0.1:9100" }

file "archive" {
  dir = "archive", compress = "zstd", rotate = { age = "1h" }, linger = "1s",
}
-- Stripe sends an event again until it is acknowledged, and a request may be sent again by
-- anyone who has seen it within the window: its id counts it once.
stream "stripe" { ack = "synced", sinks = { "archive" },
  dedup = { key = "id", window = "7d" } }

route "POST /stripe" {
  body = "event", stream = "stripe",
  schema = schema { id = str { required = true, max = 255 }, type = str { required = true } },
  auth = hmac { secret = env("STRIPE_SECRET", "whsec_only_for_a_first_try"),
    header = "Stripe-Signature", format = "t={timestamp},v1={hex}",
    signed = "{timestamp}.{body}", window = "5m" },
}

example "an event that Stripe has signed is stored" {
  request = "POST /stripe",
  at      = "2025-01-01T00:00:10Z",
  body    = [[{"id":"evt_1","type":"charge.succeeded"}]],
  headers = { ["Stripe-Signature"] = "t=1735689600,v1=" .. hmac(
    env("STRIPE_SECRET", "whsec_only_for_a_first_try"),
    [[1735689600.{"id":"evt_1","type":"charge.succeeded"}]]) },
  expect  = { status = 202, accepted = 1 },
}
