-- segment: accepts events of Segment's libraries. Only the host changes:
-- new Analytics({ writeKey: "...", host: "http://this.server:8080" }).
--
-- Servers send batches to /v1/batch, browsers to /v1/b. Single calls go to /v1/track
-- or /v1/t, and so on. Segment describes requests and answers in
-- https://segment.com/docs/connections/sources/
-- catalog/libraries/server/http-api.

server { listen = "0.0.0.0:8080", max_body = "1MiB" } -- Segment: 500 kB a batch
admin  { listen = "127.0.0.1:9100" }

file "archive" { dir = "archive", compress = "zstd", linger = "1s" }
-- Libraries send a batch again when they miss the answer. As with Segment, a call
-- with the same messageId is stored once, also when sluice was killed before it answered.
stream "calls"   {
  ack = "synced", sinks = { "archive" },
  dedup = { key = { "source", "messageId" }, window = "1d", persist = true },
}
stream "strange" { ack = "synced", sinks = { "archive" } }
-- Calls that a library gives up, because it got 400: bad JSON, or no key.
file "refused" { dir = "refused", compress = "zstd", linger = "1s" }
stream "refused" { sinks = { "refused" } }

-- Each write key and the source that it stands for.
local KEY = env("SEGMENT_WRITE_KEY", "demo-key")
local SOURCES = { [KEY] = "demo" }

local CALLS = {
  t = "track", i = "identify", p = "page", s = "screen", g = "group", a = "alias",
}
for _, name in pairs { "track", "identify", "page", "screen", "group", "alias" } do
  CALLS[name] = name
end

local call = schema {
  messageId   = str { max = 256 },
  timestamp   = time { },
  type        = str { max = 16 },
  event       = str { max = 1024 },
  userId      = any { },
  anonymousId = any { },
  writeKey    = str { max = 256 },
}

-- Servers send their key by basic auth. After 401 a library tells its application
-- and does not send again; after 429 and 5xx it sends again.
local function on_request(req)
  local key = req.basic.user
  if key and not SOURCES[key] then
    return reject("unknown_key", "no source has this write key", 401)
  end
end

local function keep(ev, req, kind)
  -- Browsers put the key into the body, in the envelope around the events.
  local source = SOURCES[req.basic.user or ev.writeKey or ""]
  if not source then
    return reject("unknown_key", "no source has this write key")
  end
  ev.writeKey = nil
  ev.source = source
  local problem
  if not CALLS[kind or ""] then
    problem = "no such call"
  elseif not (ev.userId or ev.anonymousId) then
    problem = "neither userId nor anonymousId"
  elseif CALLS[kind] == "track" and not ev.event then
    problem = "a track call without an event"
  end
  -- A library gets one answer for a whole batch. Events that Segment silently drops
  -- are stored apart here.
  if problem then
    ev.problem = problem
    return to("strange")
  end
end

local function on_batch(ev, req) return keep(ev, req, ev.type) end

local function on_call(ev, req)
  local kind = CALLS[req.params.call]
  if kind then ev.type = kind end
  return keep(ev, req, kind)
end

-- Success is 200 {"success":true}. 400 tells the library not to send again, as for bad
-- JSON. The answer cannot name refused calls of a batch: sluice keeps them as dead
-- letters, with their reason.
local answer = { status = 200, body = [[{"success":true}]], refused = 400 }
local on_refused = { stream = "refused" }
-- Browsers send text/plain, so that they need no OPTIONS request first.
local types = { "application/json", "text/plain" }
local cors = { origins = { "*" }, headers = { "Content-Type", "Authorization" } }
local envelope = {
  sentAt = "sentAt", writeKey = "writeKey", context = "context",
  integrations = "integrations",
}

for _, path in ipairs { "POST /v1/batch", "POST /v1/b", "POST /v1/import" } do
  route(path) {
    body = "batch", events = "batch", envelope = envelope, types = types,
    set = { receivedAt = "time" }, schema = call, on_request = on_request,
    on_event = on_batch, stream = "calls", answer = answer, cors = cors, on_refused = on_refused,
  }
end
route "POST /v1/:call" {
  body = "event", types = types, set = { receivedAt = "time" }, schema = call,
  on_request = on_request, on_event = on_call, stream = "calls",
  answer = answer, cors = cors, on_refused = on_refused,
}

example "a batch gets what stands around it" {
  request = "POST /v1/batch",
  body    = [[{"writeKey":"]] .. KEY .. [[","sentAt":"2025-01-01T00:00:00.000Z","batch":[
    {"type":"track","event":"Paid","userId":"u1","messageId":"m1","properties":{"sum":1.10}}]}]],
  expect  = { status = 200, accepted = 1,
    stored = [[{"type":"track","event":"Paid","userId":"u1","messageId":"m1","properties":{"sum":1.10},"sentAt":"2025-01-01T00:00:00.000Z","receivedAt":1735689600000,"source":"demo"}]] },
}
example "a call is named by its path" {
  request = "POST /v1/identify",
  body    = [[{"writeKey":"]] .. KEY .. [[","userId":"u1","traits":{"plan":"pro"}}]],
  expect  = { status = 200,
    stored = [[{"userId":"u1","traits":{"plan":"pro"},"receivedAt":1735689600000,"type":"identify","source":"demo"}]] },
}
example "an unknown key is refused" {
  request = "POST /v1/t",
  body    = [[{"writeKey":"other","userId":"u1","event":"x"}]],
  expect  = { status = 400, code = "unknown_key" },
}
example "a key that nobody has is told at the door" {
  request = "POST /v1/batch", headers = { authorization = "Basic b3RoZXI6" },
  body    = [[{"batch":[]}]],
  expect  = { status = 401, code = "unknown_key" },
}
