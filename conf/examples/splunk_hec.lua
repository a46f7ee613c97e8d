-- splunk_hec: takes events that Splunk's libraries and forwarders send to its HTTP Event
-- Collector. Only host, port and token change.
--
-- A request holds events as objects one behind the other. Splunk describes requests and
-- answers in https://help.splunk.com/en/splunk-enterprise/get-started/get-data-in/
-- get-data-with-http-event-collector.

server { listen = "0.0.0.0:8088", max_body = "1MiB" } -- Splunk: 1 MB (maxBatchSize)
admin  { listen = "127.0.0.1:9100" }

file "archive" { dir = "archive", compress = "zstd", linger = "1s" }
-- The protocol gives events no identity. One that has an event_id, in event or in fields,
-- is stored once in its index, also over a crash; others may be stored twice.
stream "events" {
  ack = "synced", sinks = { "archive" },
  dedup = { key = { "index", "event_id" }, window = "1d", persist = true },
}
file "refused" { dir = "refused", compress = "zstd", linger = "1s" }
stream "refused" { sinks = { "refused" } }

-- Each token, as clients send it, and its default index.
local TOKEN = "Splunk " .. env("SPLUNK_HEC_TOKEN", "00000000-0000-0000-0000-000000000000")
local INDEXES = { [TOKEN] = "main" }

-- After 4xx a forwarder drops the request, after 5xx it sends it again. Splunk answers an
-- unknown token with 403, none at all with 401, an empty body with a code of its own.
local function on_request(req)
  local token = req.headers.authorization
  if not token then
    return reject("token_required", "Token is required", 401)
  elseif not token:find("^Splunk ") then
    return reject("invalid_authorization", "Invalid authorization", 401)
  elseif not INDEXES[token] then
    return reject("invalid_token", "Invalid token", 403)
  elseif req.headers["content-length"] == "0" then
    return reject("no_data", "No data", 400)
  end
end

local event = schema {
  time       = time { formats = { "number" }, unit = "s" }, -- maybe with a fraction, maybe text
  host       = str { max = 1024 },
  source     = str { max = 1024 },
  sourcetype = str { max = 1024 },
  index      = str { min = 1, max = 255 },
  event      = any { required = true },
  ["event.event_id"]  = any { },
  ["fields.event_id"] = any { },
}

local function on_event(ev, req)
  if ev.event == "" then
    return reject("event_blank", "Event field cannot be blank")
  end
  ev.event_id = ev["event.event_id"] or ev["fields.event_id"]
  if not ev.time then ev.time = req.time_ms end
  if not ev.index then ev.index = INDEXES[req.headers.authorization] end
end

-- Splunk's libraries see an error in a text with a code that is not 0; the codes are
-- Splunk's own. The answer has no place for single events: sluice keeps refused ones.
local answer = {
  status = 200, refused = 400, body = [[{"text":"Success","code":0}]],
  body_refused = [[{"text":"{$message}","code":{$code}}]],
  codes = {
    token_required = 2, invalid_authorization = 3, invalid_token = 4, no_data = 5,
    missing_field = 12, event_blank = 13, -- event is the only field that must be there
    [429] = 9, [500] = 8, [503] = 9, [504] = 9, -- busy, failed
    other = 6, -- the data are not as they should be
  },
}

for _, path in ipairs { "/services/collector", "/services/collector/event",
    "/services/collector/event/1.0" } do
  route("POST " .. path) {
    body = "events", types = { "*/*" }, -- Splunk asks for no content type
    schema = event, on_request = on_request, on_event = on_event,
    on_refused = { stream = "refused" }, stream = "events", answer = answer,
  }
end

for _, path in ipairs { "/services/collector/health", "/services/collector/health/1.0" } do
  route("GET " .. path) {
    body = "query", stream = "events", on_event = function() return drop() end,
    answer = { status = 200, body = [[{"text":"HEC is healthy","code":17}]] },
  }
end

local AUTH = { authorization = TOKEN }

example "events stand one behind the other" {
  request = "POST /services/collector/event", headers = AUTH,
  body    = [[{"time":1426279439.123,"event":"up"}{"time":"1426279440","event":{"n":1.10}} {"event":"x","index":"web"}]],
  expect  = { status = 200, accepted = 3,
    stored = [[{"time":1426279439123,"event":"up","index":"main"}]] },
}
example "an event without event is refused" {
  request = "POST /services/collector/event", headers = AUTH,
  body    = [[{"host":"web-1"}]],
  expect  = { status = 400, code = "missing_field", field = "event" },
}
example "an unknown token is told before the body" {
  request = "POST /services/collector/event", body = [[{"event":"x"}]],
  headers = { authorization = "Splunk other" },
  expect  = { status = 403, code = "invalid_token" },
}
example "a balancer asks for the health" {
  request = "GET /services/collector/health", expect = { status = 200 },
}
