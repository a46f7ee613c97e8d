-- posthog: accepts events of PostHog's libraries. Only the host changes:
-- new PostHog("phc_...", { host: "http://this.server:8080" }).
--
-- posthog-node and posthog-js-lite send batches to /batch/, posthog-js to /e/ or /i/v0/e/.
-- Single events go to /capture/, also by curl. PostHog describes the requests in
-- https://posthog.com/docs/api/capture. Where it is told disable_compression, posthog-js
-- sends JSON, and by beacon a form with the field data, JSON in base64.

server { listen = "0.0.0.0:8080", max_body = "20MiB" } -- as PostHog, also after gzip
admin  { listen = "127.0.0.1:9100" }

file "archive" { dir = "archive", compress = "zstd", linger = "1s" }
file "refused" { dir = "refused", compress = "zstd", linger = "1s" }
-- A library without an answer sends its events again, with the same uuid: they are stored
-- once, also when sluice was killed before it answered.
stream "events" {
  ack = "synced", sinks = { "archive" },
  dedup = { key = { "project", "uuid" }, window = "7d", persist = true },
}
-- After 4xx a library drops its events and sends no more than a line to its log. So what
-- is refused is kept here, with its reason.
stream "refused" { sinks = { "refused" } }

-- Each project token and the project that it stands for.
local TOKEN = env("POSTHOG_TOKEN", "phc_demo")
local PROJECTS = { [TOKEN] = "demo" }

local event = schema {
  uuid        = str { max = 64 },
  event       = str { required = true, min = 1, max = 200 },
  distinct_id = any { },
  timestamp   = time { },
  properties  = any { },
}

local function on_event(ev)
  local project = PROJECTS[ev.api_key or ev.token or ev["properties.token"] or ""]
  if not project then return reject("unknown_token", "no project has this token") end
  ev.api_key, ev.token, ev["properties.token"] = nil, nil, nil
  ev.project = project
  -- Names of persons stand in the event or in its properties.
  if not (ev.distinct_id or ev["properties.distinct_id"]) then
    return reject("no_distinct_id", "an event needs a distinct_id")
  end
end

local answer = { status = 200, body = [[{"status":1}]], refused = 400 }
local on_refused = { stream = "refused" }
-- Browsers send text/plain, so that they need no OPTIONS request first.
local types = { "application/json", "text/plain" }
local cors = { origins = { "*" }, headers = { "Content-Type", "Content-Encoding",
  "X-PostHog-Session-Id", "X-PostHog-Window-Id", "X-PostHog-Distinct-Id" } }
local set = { received_at = "time" }

-- A path ends with a slash or not: libraries and versions differ.
for _, path in ipairs { "/batch", "/capture", "/e", "/i/v0/e", "/i/v0/ai/batch" } do
  for _, slash in ipairs { "", "/" } do
    route("POST " .. path .. slash) {
      -- {"batch":[...]}, [...] or one event. Node's gzip has a header, that of browsers
      -- only compression=gzip-js in the query, and none of them in newer versions.
      body = "events", events = "batch", encoding = "detect", form = { data = "base64" },
      envelope = { api_key = "api_key", sent_at = "sent_at" }, set = set, types = types,
      schema = event, on_event = on_event, stream = "events", answer = answer, cors = cors,
      on_refused = on_refused,
    }
  end
end

-- Libraries ask for feature flags when they start. They wait for this answer, and log
-- errors without it: here no flag is on. Questions are not stored.
local function ask() return drop("a question") end
local no_flags = {
  status = 200, body = [[{"flags":{},"featureFlags":{},"featureFlagPayloads":{},]]
    .. [["errorsWhileComputingFlags":false,"supportedCompression":["gzip","gzip-js"],]]
    .. [["sessionRecording":false,"surveys":false,"config":{"enable_collect_everything":true}}]],
}
for _, path in ipairs { "/flags", "/flags/", "/decide", "/decide/" } do
  route("POST " .. path) {
    body = "event", types = types, encoding = "detect", on_event = ask, stream = "events",
    answer = no_flags, cors = cors,
  }
end
route "GET /array/:token/config" {
  body = "query", repeated = "last", on_event = ask, stream = "events", answer = no_flags,
  cors = cors,
}

example "a batch gets what stands around it" {
  request = "POST /batch/",
  body    = [[{"api_key":"]] .. TOKEN .. [[","sent_at":"2025-01-01T00:00:00.000Z","batch":[
    {"event":"paid","distinct_id":"u1","uuid":"e1","timestamp":"2025-01-01T00:00:00.000Z","properties":{"sum":1.10}}]}]],
  expect  = { status = 200, accepted = 1,
    stored = [[{"event":"paid","distinct_id":"u1","uuid":"e1","timestamp":"2025-01-01T00:00:00.000Z","properties":{"sum":1.10},"sent_at":"2025-01-01T00:00:00.000Z","received_at":1735689600000,"project":"demo"}]] },
}
example "a single event names its project" {
  request = "POST /capture/",
  body    = [[{"api_key":"]] .. TOKEN .. [[","event":"paid","distinct_id":"u1"}]],
  expect  = { status = 200,
    stored = [[{"event":"paid","distinct_id":"u1","received_at":1735689600000,"project":"demo"}]] },
}
example "a browser's batch is an array" {
  request = "POST /e/?ip=0&_=1735689600000&ver=1.200.0", content_type = "text/plain",
  body    = [=[[{"event":"$pageview","properties":{"token":"]=] .. TOKEN .. [=[","distinct_id":"u1"}}]]=],
  expect  = { status = 200,
    stored = [[{"event":"$pageview","properties":{"distinct_id":"u1"},"received_at":1735689600000,"project":"demo"}]] },
}
example "a beacon without compression is a form" {
  request = "POST /e/?compression=base64&beacon=1",
  content_type = "application/x-www-form-urlencoded",
  body    = "data=" .. (base64_encode([=[[{"event":"left","properties":{"token":"]=] .. TOKEN
    .. [=[","distinct_id":"u1"}}]]=]):gsub("[+/=]", { ["+"] = "%2B", ["/"] = "%2F", ["="] = "%3D" })),
  expect  = { status = 200,
    stored = [[{"event":"left","properties":{"distinct_id":"u1"},"received_at":1735689600000,"project":"demo"}]] },
}
example "an unknown token is refused" {
  request = "POST /capture", body = [[{"api_key":"other","event":"x","distinct_id":"u1"}]],
  expect  = { status = 400, code = "unknown_token" },
}
example "flags are answered, not stored" {
  request = "POST /flags/?v=2", body = [[{"token":"]] .. TOKEN .. [[","distinct_id":"u1"}]],
  expect  = { status = 200, dropped = 1 },
}
