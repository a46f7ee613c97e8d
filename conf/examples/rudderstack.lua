-- rudderstack: accepts events of RudderStack's libraries. Only the address of the data plane
-- changes: new Analytics("write key", { dataPlaneUrl: "http://this.server:8080" }).
--
-- Servers send batches to /v1/batch, browsers single calls to /v1/track and so on, and
-- batches to /beacon/v1/batch when a page closes. RudderStack describes requests in
-- https://www.rudderstack.com/docs/api/http-api/.

server { listen = "0.0.0.0:8080", max_body = "8MiB" } -- RudderStack: 4 MB a batch
admin  { listen = "127.0.0.1:9100" }

file "archive" { dir = "archive", compress = "zstd", linger = "1s" }
file "refused" { dir = "refused", compress = "zstd", linger = "1s" }
-- A library without an answer sends its batch again: a call with the same messageId is
-- stored once, also when sluice was killed before it answered.
stream "calls" {
  ack = "synced", sinks = { "archive" },
  dedup = { key = { "source", "messageId" }, window = "7d", persist = true },
}
-- After 4xx, and after three tries within two seconds, the library for Node gives a batch
-- up. What sluice refuses is kept here.
stream "refused" { sinks = { "refused" } }

-- Each write key and the source that it stands for.
local KEY = env("RUDDERSTACK_WRITE_KEY", "demo-key")
local SOURCES = { [KEY] = "demo" }

local CALLS = {
  track = true, identify = true, page = true, screen = true, group = true, alias = true,
}

local call = schema {
  messageId         = str { max = 256 },
  originalTimestamp = time { },
  sentAt            = time { },
  type              = str { max = 16 },
  event             = str { max = 1024 },
  userId            = any { },
  anonymousId       = any { },
}

-- The key is the user of basic auth, but for a beacon, whose page can't set headers.
local function source_of(req)
  return SOURCES[req.basic.user or req.query_args.writeKey or ""]
end

local function on_request(req)
  if not source_of(req) then
    return reject("unknown_key", "no source has this write key", 401)
  end
end

local function keep(ev, req)
  ev.source = source_of(req)
  if not CALLS[ev.type or ""] then return reject("unknown_call", "no such type of call") end
  if not (ev.userId or ev.anonymousId) then
    return reject("no_user", "a call needs a userId or an anonymousId")
  end
  if ev.type == "track" and not ev.event then
    return reject("no_event", "a track call needs an event")
  end
end

local function on_call(ev, req)
  if req.params.call ~= "batch" then ev.type = req.params.call end
  return keep(ev, req)
end

local answer = { status = 200, body = "OK", type = "text/plain", refused = 400 }
local on_refused = { stream = "refused" }
-- The library for Node compresses its batches and then names them a form; beacons are
-- text/plain.
local types = { "application/json", "text/plain", "application/x-www-form-urlencoded" }
local cors = { origins = { "*" }, headers = { "Content-Type", "Authorization", "AnonymousId" } }

for _, path in ipairs { "/v1/batch", "/v1/import", "/beacon/v1/batch" } do
  route("POST " .. path) {
    body = "batch", events = "batch", envelope = { sentAt = "sentAt" }, types = types,
    set = { receivedAt = "time" }, schema = call, on_request = on_request, on_event = keep,
    stream = "calls", answer = answer, cors = cors, on_refused = on_refused,
  }
end
route "POST /v1/:call" {
  body = "event", types = types, set = { receivedAt = "time" }, schema = call,
  on_request = on_request, on_event = on_call, stream = "calls", answer = answer, cors = cors,
  on_refused = on_refused,
}

local BASIC = "Basic " .. base64_encode(KEY .. ":")

example "a batch is stored call by call" {
  request = "POST /v1/batch", headers = { authorization = BASIC },
  body    = [[{"sentAt":"2025-01-01T00:00:00.000Z","batch":[
    {"type":"track","event":"Paid","userId":"u1","messageId":"m1","properties":{"sum":1.10}}]}]],
  expect  = { status = 200, accepted = 1,
    stored = [[{"type":"track","event":"Paid","userId":"u1","messageId":"m1","properties":{"sum":1.10},"sentAt":"2025-01-01T00:00:00.000Z","receivedAt":1735689600000,"source":"demo"}]] },
}
example "a call is named by its path" {
  request = "POST /v1/identify", headers = { authorization = BASIC },
  body    = [[{"userId":"u1","traits":{"plan":"pro"}}]],
  expect  = { status = 200,
    stored = [[{"userId":"u1","traits":{"plan":"pro"},"receivedAt":1735689600000,"type":"identify","source":"demo"}]] },
}
example "a beacon has its key in the query" {
  request = "POST /beacon/v1/batch?writeKey=" .. KEY, content_type = "text/plain",
  body    = [[{"batch":[{"type":"page","anonymousId":"a"}]}]],
  expect  = { status = 200, accepted = 1 },
}
example "an unknown key is told at the door" {
  request = "POST /v1/batch", headers = { authorization = "Basic b3RoZXI6" },
  body    = [[{"batch":[]}]],
  expect  = { status = 401, code = "unknown_key" },
}
