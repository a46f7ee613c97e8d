-- slack: takes slash commands of a Slack app. X-Slack-Signature is "v0=" and HMAC-SHA-256 of
-- "v0:TIME:BODY" in hex, where TIME is X-Slack-Request-Timestamp.
--
-- SLACK_SECRET is the app's signing secret.

server { listen = "0.0.0.0:8080" }
admin  { listen = "127.0.0.1:9100" }

file "archive" {
  dir = "archive", compress = "zstd", rotate = { age = "1h" }, linger = "1s",
}
-- Within five minutes a request could be sent again: the id of its trigger counts it once.
stream "commands" { ack = "synced", sinks = { "archive" },
  dedup = { key = "trigger_id", window = "1h" } }

route "POST /slack/command" {
  body = "form", stream = "commands",
  auth = hmac { secret = env("SLACK_SECRET", "only-for-a-first-try"),
    header = "X-Slack-Signature", format = "v0={hex}", signed = "v0:{timestamp}:{body}",
    timestamp = "X-Slack-Request-Timestamp", window = "5m" },
  -- The verification token is deprecated, and a secret.
  on_event = function(ev) ev.token = nil end,
  answer = { status = 200, body = "" },
}

example "a command that Slack has not signed is refused" {
  request = "POST /slack/command", content_type = "application/x-www-form-urlencoded",
  body    = "command=%2Fweather&text=94070",
  expect  = { status = 401, code = "unsigned" },
}
