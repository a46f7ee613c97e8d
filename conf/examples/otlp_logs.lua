-- otlp_logs: takes log records that OpenTelemetry's SDKs and collectors export by
-- OTLP/HTTP as JSON. Only the endpoint changes: OTEL_EXPORTER_OTLP_LOGS_ENDPOINT=
-- http://this.server:4318/v1/logs, OTEL_EXPORTER_OTLP_LOGS_PROTOCOL=http/json.
--
-- Each record is one event, with the resource and the scope that it came in. Protobuf
-- bodies get 415. OpenTelemetry describes requests and answers in
-- https://opentelemetry.io/docs/specs/otlp/#otlphttp.

server { listen = "0.0.0.0:4318", max_body = "8MiB" }
admin  { listen = "127.0.0.1:9100" }

file "archive" { dir = "archive", compress = "zstd", linger = "1s" }
-- An exporter without an answer sends its records again. One with log.record.uid among
-- its first three attributes is stored once, also over a crash; others may be stored twice.
stream "records" {
  ack = "synced", sinks = { "archive" },
  dedup = { key = { "tenant", "uid" }, window = "1d", persist = true },
}
file "refused" { dir = "refused", compress = "zstd", linger = "1s" }
stream "refused" { sinks = { "refused" } }

-- What OTEL_EXPORTER_OTLP_HEADERS says: "api-key=…"; and the tenant of each.
local API_KEY = env("OTLP_API_KEY", "demo-key")
local TENANTS = { [API_KEY] = "demo" }

-- Exporters send again after 429, 502, 503 and 504, when Retry-After says so, and drop
-- what got another status.
local function on_request(req)
  if not TENANTS[req.headers["api-key"] or ""] then
    return reject("unknown_key", "no tenant has this api-key", 401)
  end
end

local record = schema {
  -- 64 bits are texts in OTLP's JSON; times are nanoseconds. All is stored as it came.
  timeUnixNano         = any { },
  observedTimeUnixNano = any { },
  severityNumber       = int { min = 0, max = 24 },
  severityText         = str { max = 256 },
  attributes           = list { any { }, max = 1024 },
  traceId              = str { max = 32, pattern = "^%x*$" },
  spanId               = str { max = 16, pattern = "^%x*$" },
}

-- Without a loop, so that it compiles and takes the largest batches in its time.
local UID = "log.record.uid"

local function on_event(ev, req)
  if ev["attributes[1].key"] == UID then
    ev.uid = ev["attributes[1].value.stringValue"]
  elseif ev["attributes[2].key"] == UID then
    ev.uid = ev["attributes[2].value.stringValue"]
  elseif ev["attributes[3].key"] == UID then
    ev.uid = ev["attributes[3].value.stringValue"]
  end
  ev.tenant = TENANTS[req.headers["api-key"]]
end

-- Records that are refused beside good ones: the exporter hears how many, and why the
-- first one was, and must not send them again. sluice keeps them. Without refused ones
-- partialSuccess must not stand there: exporters would log a warning for each export.
-- A request that is refused as a whole gets a Status with a code of gRPC.
local answer = {
  status = 200, refused = 400, body_accepted = "{}",
  body_refused = [[{"code":{$code},"message":"{$message}"}]],
  codes = { [401] = 16, [429] = 8, [500] = 13, [503] = 14, [504] = 4, other = 3 },
  body = [[{"partialSuccess":{"rejectedLogRecords":"{$rejected}","errorMessage":"{$message}"}}]],
}

route "POST /v1/logs" {
  body = "batch", events = "resourceLogs[].scopeLogs[].logRecords[]",
  envelope = {
    resource = "resourceLogs[].resource",
    scope = "resourceLogs[].scopeLogs[].scope",
  },
  schema = record, on_request = on_request, on_event = on_event,
  on_refused = { stream = "refused" }, stream = "records", answer = answer,
}

local KEY = { ["api-key"] = API_KEY }

example "a record gets its resource and scope" {
  request = "POST /v1/logs", headers = KEY,
  body    = [==[{"resourceLogs":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"shop"}}]},
    "scopeLogs":[{"scope":{"name":"cart"},"logRecords":[
      {"timeUnixNano":"1544712660300000000","severityNumber":9,"body":{"stringValue":"up"},
       "attributes":[{"key":"log.record.uid","value":{"stringValue":"r1"}}]}]}]}]}]==],
  expect  = { status = 200, accepted = 1,
    stored = [==[{"timeUnixNano":"1544712660300000000","severityNumber":9,"body":{"stringValue":"up"},        "attributes":[{"key":"log.record.uid","value":{"stringValue":"r1"}}],"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"shop"}}]},"scope":{"name":"cart"},"uid":"r1","tenant":"demo"}]==] },
}
example "an exporter hears of refused records" {
  request = "POST /v1/logs", headers = KEY,
  body    = [==[{"resourceLogs":[{"scopeLogs":[{"logRecords":[
    {"body":{"stringValue":"a"}},{"severityNumber":99}]}]}]}]==],
  expect  = { status = 200, accepted = 2 },
}
example "an unknown key is told before the body" {
  request = "POST /v1/logs", body = "{}",
  expect  = { status = 401, code = "unknown_key" },
}
