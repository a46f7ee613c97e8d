-- ga4: accepts what servers send to Google Analytics 4 by the Measurement Protocol. Only the
-- host changes: POST /mp/collect?measurement_id=G-XXXX&api_secret=SECRET.
--
-- https://developers.google.com/analytics/devguides/collection/protocol/ga4 describes the
-- requests. Google answers 204 to all of them, also to bad ones, so that senders look at no
-- answer and do not send again: what is refused here is kept with its reason.

server { listen = "0.0.0.0:8080", max_body = "1MiB" } -- Google: 130 kB
admin  { listen = "127.0.0.1:9100" }

file "archive" { dir = "archive", compress = "zstd", linger = "1s" }
file "refused" { dir = "refused", compress = "zstd", linger = "1s" }
-- Events have no ids. Only a purchase and a refund have one, their transaction's: Google
-- counts a purchase once by it, and so does this stream.
stream "events" {
  ack = "synced", sinks = { "archive" },
  dedup = { key = { "stream_id", "name", "params.transaction_id" }, window = "30d",
    persist = true },
}
stream "refused" { sinks = { "refused" } }

-- Each stream of data (a site's measurement id or an app's Firebase id) and its secret.
local STREAM, SECRET = env("GA4_STREAM", "G-DEMO"), env("GA4_SECRET", "secret")
local SECRETS = { [STREAM] = SECRET }

local event = schema {
  name             = str { required = true, min = 1, max = 40, pattern = "^%a[%w_]*$" },
  params           = any { },
  client_id        = str { max = 256 },
  app_instance_id  = str { max = 64 },
  user_id          = str { max = 256 },
  timestamp_micros = time { formats = { "number" }, unit = "us" },
}

local function stream_of(req)
  return req.query_args.measurement_id or req.query_args.firebase_app_id
end

local function on_request(req)
  local secret = SECRETS[stream_of(req) or ""]
  if not (secret and equal(req.query_args.api_secret or "", secret)) then
    return reject("bad_secret", "no stream has this id and secret", 403)
  end
end

local function on_event(ev, req)
  ev.stream_id = stream_of(req)
  if not (ev.client_id or ev.app_instance_id) then
    return reject("no_client", "an event needs a client_id or an app_instance_id")
  end
end

-- The time of one event stands before the time of its request.
local envelope = {
  client_id = "client_id", app_instance_id = "app_instance_id", user_id = "user_id",
  timestamp_micros = "timestamp_micros", user_properties = "user_properties",
  consent = "consent",
}

route "POST /mp/collect" {
  body = "batch", events = "events", envelope = envelope, types = { "*/*" },
  set = { received_at = "time" }, schema = event, on_request = on_request,
  on_event = on_event, stream = "events", answer = { status = 204 },
  on_refused = { stream = "refused" },
}

local URL = "POST /mp/collect?measurement_id=" .. STREAM .. "&api_secret="

example "an event gets the client and the time of its request" {
  request = URL .. SECRET,
  body    = [[{"client_id":"c.1","timestamp_micros":"1735689600000000","events":[
    {"name":"purchase","params":{"transaction_id":"t-1","value":1.10,"currency":"EUR"}}]}]],
  expect  = { status = 204, accepted = 1,
    stored = [[{"name":"purchase","params":{"transaction_id":"t-1","value":1.10,"currency":"EUR"},"client_id":"c.1","timestamp_micros":1735689600000,"received_at":1735689600000,"stream_id":"]] .. STREAM .. [["}]] },
}
example "a wrong secret is refused at the door" {
  request = URL .. "no" .. SECRET, body = "{}",
  expect  = { status = 403, code = "bad_secret" },
}
example "a name that Google would not take is refused" {
  request = URL .. SECRET,
  body    = [[{"client_id":"c.1","events":[{"name":"_bad"}]}]],
  expect  = { status = 422, code = "bad_format", field = "name" },
}
