-- webhooks: archives GitHub's webhooks. A header names the event's kind. Payloads are
-- stored as they were sent.

server { listen = "0.0.0.0:8080", max_body = "4MiB" }
admin  { listen = "127.0.0.1:9100" }

file "archive" {
  dir = "archive", compress = "zstd", rotate = { age = "1h" }, linger = "1s",
}
stream "webhooks" { ack = "synced", sinks = { "archive" } }

-- Only fields that every payload has can be required.
local payload = schema {
  action = str { max = 64 },
  ["sender.login"] = str { max = 100 },
  ["repository.full_name"] = str { max = 200 },
}

-- A ping only says that the webhook was created.
local function on_event(_, req)
  if req.headers["x-github-event"] == "ping" then return drop("ping") end
end

route "POST /webhooks" {
  body = "event", schema = payload, on_event = on_event, stream = "webhooks",
}
route "POST /webhooks/batch" {
  body = "batch", schema = payload, stream = "webhooks",
}

example "a payload is archived as it was sent" {
  request = "POST /webhooks",
  body    = [[{ "action": "opened", "number": 1.50, "sender": {"login": "octocat"} }]],
  expect  = { status = 202, accepted = 1,
    stored = [[{ "action": "opened", "number": 1.50, "sender": {"login": "octocat"} }]] },
}
