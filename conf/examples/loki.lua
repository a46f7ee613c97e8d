-- loki: takes log lines that Loki's clients push as JSON (winston-loki with json = true,
-- pino-loki, Vector, Fluent Bit's loki output with gzip). Only the host changes.
--
-- A line comes as [time, line] or [time, line, {metadata}] in a stream with labels; sluice
-- stores each as one event. Protobuf bodies get 415. Grafana describes requests and answers
-- in https://grafana.com/docs/loki/latest/reference/loki-http-api/#ingest-logs.

server { listen = "0.0.0.0:3100", max_body = "8MiB" }
admin  { listen = "127.0.0.1:9100" }

file "archive" { dir = "archive", compress = "zstd", linger = "1s" }
-- As in Loki, a line with the same labels, time and text is the same line: clients push
-- again what got no answer, and it is stored once, also over a crash.
stream "lines" {
  ack = "synced", sinks = { "archive" },
  dedup = { key = { "tenant", "labels", "time", "line" }, window = "1d", persist = true },
}
file "refused" { dir = "refused", compress = "zstd", linger = "1s" }
stream "refused" { sinks = { "refused" } }

-- Users and passwords, as clients send them (RFC 7617), and their tenants.
local USER = "Basic " .. base64_encode(env("LOKI_USER", "demo:demo"))
local TENANTS = { [USER] = "demo" }

-- Clients push again after 429 and 5xx, and drop what got another 4xx.
local function on_request(req)
  if not TENANTS[req.headers.authorization or ""] then
    return reject("unknown_user", "no tenant has this user and password", 401)
  end
end

local line = schema {
  -- Nanoseconds in quotes: stored as they are, so that lines keep their order.
  time     = str { required = true, max = 20, pattern = "^%d+$" },
  line     = str { required = true },
  metadata = any { },
  labels   = any { required = true },
}

local function on_event(ev, req)
  ev.tenant = TENANTS[req.headers.authorization]
end

-- Success is 204. Of a push that is good in part Loki answers 400, and keeps the good
-- lines; a client would drop the whole either way. Here it gets 204, and sluice keeps the
-- refused lines. Loki's errors are one line of text.
route "POST /loki/api/v1/push" {
  body = "batch", events = "streams[].values[]",
  columns = { "time", "line", "metadata" }, envelope = { labels = "streams[].stream" },
  schema = line, on_request = on_request, on_event = on_event,
  on_refused = { stream = "refused" }, stream = "lines",
  answer = { status = 204, refused = 400,
    body_refused = "{$message}\n", type = "text/plain; charset=utf-8" },
}

-- Clients and probes ask whether Loki is there.
route "GET /ready" {
  body = "query", stream = "lines", on_event = function() return drop() end,
  answer = { status = 200, body = "ready\n", type = "text/plain" },
}

local AUTH = { authorization = USER }

example "a line gets the labels of its stream" {
  request = "POST /loki/api/v1/push", headers = AUTH,
  body    = [==[{"streams":[
    {"stream":{"app":"shop"},"values":[["1700000000000000001","up"],["1700000000000000002","paid",{"trace":"t"}]]},
    {"stream":{"app":"cart"},"values":[]}]}]==],
  expect  = { status = 204, accepted = 2,
    stored = [[{"time":"1700000000000000001","line":"up","labels":{"app":"shop"},"tenant":"demo"}]] },
}
example "a line without a time is refused alone" {
  request = "POST /loki/api/v1/push", headers = AUTH,
  body    = [==[{"streams":[{"stream":{"app":"shop"},"values":[["17","a"],[null,"b"]]}]}]==],
  expect  = { status = 204, accepted = 2 },
}
example "an unknown user is told before the body" {
  request = "POST /loki/api/v1/push", body = [[{"streams":[]}]],
  expect  = { status = 401, code = "unknown_user" },
}
