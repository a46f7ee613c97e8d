-- shopify: archives Shopify's webhooks. X-Shopify-Hmac-SHA256 is the base64 of HMAC-SHA-256 of
-- the body by the app's client secret.

server { listen = "0.0.0.0:8080" }
admin  { listen = "127.0.0.1:9100" }

file "archive" {
  dir = "archive", compress = "zstd", rotate = { age = "1h" }, linger = "1s",
}
-- Shopify asks to know an event again by X-Shopify-Event-Id, which is not signed. One event
-- may come by several topics.
stream "shopify" { ack = "synced", sinks = { "archive" },
  dedup = { key = { "topic", "event_id" }, window = "2d" } }

route "POST /shopify/:topic" {
  body = "event", stream = "shopify",
  auth = hmac { secret = env("SHOPIFY_SECRET", "only-for-a-first-try"),
    header = "X-Shopify-Hmac-SHA256", format = "{base64}" },
  set = { topic = "path:topic", event_id = "header:x-shopify-event-id",
    shop = "header:x-shopify-shop-domain" },
}

example "a webhook without its signature is refused" {
  request = "POST /shopify/orders",
  body    = [[{"id":820982911946154508}]],
  expect  = { status = 401, code = "unsigned" },
}
