-- beacon: takes what a page sends when its user leaves: navigator.sendBeacon(url, data) and
-- fetch(url, { method: "POST", body: data, keepalive: true }).
--
-- A browser sends at most 64 KiB of both at a time, after the page is gone, and tells the
-- page nothing. It sends a beacon once: what the server does not take is lost. A page that
-- must lose nothing keeps each event in localStorage until fetch() got 200, and sends it
-- again when it opens the next time (tests/clients/pages/beacon.html does so).

server { listen = "0.0.0.0:8080", max_body = "256KiB" }
admin  { listen = "127.0.0.1:9100" }

file "archive" { dir = "archive", compress = "zstd", linger = "1s" }
file "refused" { dir = "refused", compress = "zstd", linger = "1s" }
stream "events" {
  ack = "synced", sinks = { "archive" },
  dedup = { key = "id", window = "7d", persist = true },
}
stream "refused" { sinks = { "refused" } }

local event = schema {
  id   = str { required = true, min = 1, max = 64 },
  name = str { required = true, min = 1, max = 64 },
  at   = time { },
}
local set = { received_at = "time", origin = "header:origin", agent = "header:user-agent" }
-- A beacon's answer is not read. fetch() can read it, so that the page knows what to forget.
local answer = { status = 200, body = "{}", headers = { ["Cache-Control"] = "no-store" } }
local on_refused = { stream = "refused" }
local cors = { origins = { "*" } }

-- A text is text/plain. For a Blob of type application/json the browser asks first (OPTIONS),
-- and a beacon has the page's cookies, so that only cors with the page's own origin and
-- credentials = true would let it through. So pages send texts.
route "POST /collect" {
  body = "events", types = { "text/plain", "application/json" }, set = set, schema = event,
  stream = "events", answer = answer, cors = cors, on_refused = on_refused,
}
-- URLSearchParams and FormData.
route "POST /form" {
  body = "form", repeated = "first", set = set, schema = event, stream = "events",
  answer = answer, cors = cors, on_refused = on_refused,
}

example "a text is one event or many" {
  request = "POST /collect", content_type = "text/plain;charset=UTF-8",
  body    = [=[[{"id":"1","name":"left"},{"id":"2","name":"scrolled","n":1.50}]]=],
  expect  = { status = 200, accepted = 2,
    stored = [[{"id":"1","name":"left","received_at":1735689600000}]] },
}
example "a form is one event" {
  request = "POST /form", content_type = "application/x-www-form-urlencoded;charset=UTF-8",
  body    = "id=3&name=left+early",
  expect  = { status = 200, stored = [[{"id":"3","name":"left early","received_at":1735689600000}]] },
}
example "an event without an id is refused" {
  request = "POST /collect", content_type = "text/plain", body = [[{"name":"left"}]],
  expect  = { status = 422, code = "missing_field", field = "id" },
}
