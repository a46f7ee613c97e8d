-- github: archives webhooks that GitHub has signed (X-Hub-Signature-256): HMAC-SHA-256 of the
-- body by the webhook's secret. The signature covers the bytes as they came.
--
-- GITHUB_SECRET is the secret of the webhook's settings. To replace it, set GITHUB_SECRET_OLD
-- to the one that GitHub still uses, change it at GitHub, and remove it.

server { listen = "0.0.0.0:8080", max_body = "25MiB" }
admin  { listen = "127.0.0.1:9100" }

file "archive" {
  dir = "archive", compress = "zstd", rotate = { age = "1h" }, linger = "1s",
}
-- A delivery can be sent again: its id, which is not signed, counts it once.
stream "webhooks" { ack = "synced", sinks = { "archive" },
  dedup = { key = "delivery", window = "1d" } }

local secrets = { env("GITHUB_SECRET", "only-for-a-first-try") }
local old = env("GITHUB_SECRET_OLD", "")
if old ~= "" then secrets[2] = old end

route "POST /webhooks" {
  body = "event", stream = "webhooks",
  auth = hmac { secrets = secrets, header = "X-Hub-Signature-256", format = "sha256={hex}" },
  set = { delivery = "header:x-github-delivery" },
  -- A ping only says that the webhook was created.
  on_event = function(_, req)
    if req.headers["x-github-event"] == "ping" then return drop("ping") end
  end,
}

example "what GitHub has not signed is refused" {
  request = "POST /webhooks",
  body    = [[{"action":"opened"}]],
  headers = { ["X-Hub-Signature-256"] = "sha256=" .. ("0"):rep(64) },
  expect  = { status = 401, code = "bad_signature" },
}
