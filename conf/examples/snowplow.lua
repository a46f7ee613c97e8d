-- snowplow: a collector for Snowplow's trackers. Only the endpoint changes:
-- newTracker({ namespace: "n", appId: "shop" }, { endpoint: "http://this.server:8080" }).
--
-- Trackers post batches to /com.snowplowanalytics.snowplow/tp2, or send one event as the
-- query of GET /i, an image. A click goes through GET /r/tp2?u=URL. The fields are those of
-- the tracker protocol (https://docs.snowplow.io/docs/events/), all of them texts.

-- An event in a query is longer than most URLs: its contexts are base64 JSON. Trackers send
-- an event that gets 431 again and again, so there must be room.
server { listen = "0.0.0.0:8080", max_body = "1MiB", max_headers = "65535B" }
admin  { listen = "127.0.0.1:9100" }

file "archive" { dir = "archive", compress = "zstd", linger = "1s" }
file "refused" { dir = "refused", compress = "zstd", linger = "1s" }
-- A tracker without an answer sends its events again, with the same eid.
stream "events" {
  ack = "synced", sinks = { "archive" },
  dedup = { key = "eid", window = "7d", persist = true },
}
-- A tracker drops events that get 400, 401, 403, 410 or 422, and tries all others again.
stream "refused" { sinks = { "refused" } }

-- A page sends its cookies along (credentials), so that its origin must be named.
local ORIGINS = { "https://shop.example", "https://www.shop.example" }
local cors = { origins = ORIGINS, credentials = true,
  headers = { "Content-Type", "SP-Anonymous" } }

local event = schema {
  e   = str { required = true, min = 1, max = 8 }, -- pv, pp, se, ue, tr, ti
  p   = str { required = true, max = 8 },          -- platform: web, srv, mob
  tv  = str { required = true, max = 64 },         -- version of the tracker
  eid = str { format = "uuid" },
  aid = str { max = 256 },
  dtm = time { formats = { "number" }, unit = "ms" },
  stm = time { formats = { "number" }, unit = "ms" },
}
local set = { received_at = "time", agent = "header:user-agent" }
-- A server that sends for its users names their address (ip). With SP-Anonymous the sender
-- does not want its own stored. on_event says it, because the schema refuses before: what is
-- refused in a batch lies among the dead letters without it. But each record of the stream
-- refused has its peer.
local function on_event(ev, req)
  if not ev.ip and not req.headers["sp-anonymous"] then ev.ip = req.peer end
end

route "POST /com.snowplowanalytics.snowplow/tp2" {
  body = "batch", events = "data", set = set, schema = event, on_event = on_event,
  stream = "events", answer = { status = 200, body = "ok", type = "text/plain" },
  cors = cors, on_refused = { stream = "refused" },
}
-- An event comes with the name of its query's parameter, the first one of that name.
for _, path in ipairs { "/i", "/ice.png" } do
  route("GET " .. path) {
    body = "query", repeated = "first", set = set, schema = event, on_event = on_event,
    stream = "events", answer = "pixel", cors = cors, on_refused = { stream = "refused" },
  }
end
-- Clicks lead only to these hosts.
route "GET /r/tp2" {
  body = "query", repeated = "first", set = set, stream = "events",
  schema = schema { u = str { required = true, max = 2000 } }, on_event = on_event,
  answer = { location = "field:u", hosts = { "shop.example", "*.shop.example" },
    unstored = "same" },
  on_refused = { stream = "refused" },
}

example "a batch is stored event by event" {
  request = "POST /com.snowplowanalytics.snowplow/tp2",
  content_type = "application/json; charset=UTF-8",
  body    = [[{"schema":"iglu:com.snowplowanalytics.snowplow/payload_data/jsonschema/1-0-4","data":[
    {"e":"pv","p":"srv","tv":"node-4.8.0","eid":"0f5dc1ae-1c1f-4a5c-8b0a-6a0f1d6ce3b1","aid":"shop","dtm":"1735689600000"}]}]],
  expect  = { status = 200, accepted = 1,
    stored = [[{"e":"pv","p":"srv","tv":"node-4.8.0","eid":"0f5dc1ae-1c1f-4a5c-8b0a-6a0f1d6ce3b1","aid":"shop","dtm":1735689600000,"received_at":1735689600000,"ip":"127.0.0.1"}]] },
}
example "an event in a query gets an image" {
  request = "GET /i?stm=1735689600000&e=pv&p=web&tv=js-4.0.0&url=https%3A%2F%2Fshop.example%2F",
  expect  = { status = 200, accepted = 1,
    stored = [[{"stm":1735689600000,"e":"pv","p":"web","tv":"js-4.0.0","url":"https://shop.example/","received_at":1735689600000,"ip":"127.0.0.1"}]] },
}
example "a click is stored and goes on" {
  request = "GET /r/tp2?u=https%3A%2F%2Fshop.example%2Fsale", expect = { status = 302, accepted = 1 },
}
example "a click to another host is refused" {
  request = "GET /r/tp2?u=https%3A%2F%2Fevil.example%2F",
  expect  = { status = 422, code = "bad_location" },
}
