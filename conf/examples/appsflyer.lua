-- appsflyer: takes messages of AppsFlyer's Push API, as GET with a query or as POST with JSON:
-- https://this.server/appsflyer?token=secret is the endpoint's URL.
--
-- https://support.appsflyer.com/hc/en-us/articles/207034356 describes the messages. Their
-- times are UTC without a zone, their event_value is a text that holds JSON, and fields
-- without a value are absent. What AppsFlyer does not deliver must be fetched by its Pull API.

server { listen = "0.0.0.0:8080", max_headers = "65535B" }
admin  { listen = "127.0.0.1:9100" }

file "archive" { dir = "archive", compress = "zstd", rotate = { age = "1h" } }
file "refused" { dir = "refused", compress = "zstd", rotate = { age = "1h" } }
-- A message has no id. The same app, device, event, time and value is the same message.
stream "messages" {
  ack = "synced", sinks = { "archive" },
  dedup = { key = "message_id", window = "7d", persist = true },
}
stream "refused" { sinks = { "refused" } }

local TOKEN = env("APPSFLYER_TOKEN", "secret")

local times = time { formats = { "rfc3339", "iso8601", "no_zone" } }
local message = schema {
  app_id         = str { required = true, min = 1, max = 256 },
  appsflyer_id   = str { max = 128 },
  event_name     = str { required = true, min = 1, max = 256 },
  event_time     = times,
  install_time   = times,
  attributed_touch_time = times,
  event_revenue  = any { },
  event_revenue_currency = str { max = 8 },
  is_retargeting = any { },
}

local function on_request(req)
  if not equal(req.query_args.token or "", TOKEN) then
    return reject("bad_token", "who are you?", 403)
  end
end

local function on_event(ev)
  ev.token = nil
  local value, revenue = ev.event_value, ev.event_revenue
  -- Money comes as a number, or as a text with one.
  if type(revenue) == "string" and revenue:find("^%-?%d+%.?%d*$") then
    ev.event_revenue = tonumber(revenue)
  end
  -- A message that lacks a part of its id, or has another value than a text, is stored
  -- each time that it comes.
  if ev.appsflyer_id and ev.event_time and type(value) ~= "table" then
    ev.message_id = sha256(ev.app_id .. "|" .. ev.appsflyer_id .. "|" .. ev.event_name
      .. "|" .. ev.event_time .. "|" .. tostring(value or ""))
  end
end

route { "GET", "POST", "/appsflyer" } {
  body = "any", repeated = "first", schema = message, set = { received_at = "time" },
  on_request = on_request, on_event = on_event, stream = "messages",
  answer = { status = 200, body = "OK", type = "text/plain" },
  on_refused = { stream = "refused" },
}

example "a message is stored with its times in milliseconds" {
  request = "POST /appsflyer?token=" .. TOKEN,
  body    = [[{"app_id":"id1","appsflyer_id":"17-1","event_name":"install","event_time":"2025-01-01 00:00:00.123","install_time":"2025-01-01 00:00:00.123"}]],
  expect  = { status = 200, accepted = 1,
    stored = [[{"app_id":"id1","appsflyer_id":"17-1","event_name":"install","event_time":1735689600123,"install_time":1735689600123,"received_at":1735689600000,"message_id":"1695e9e8806f2887d90bc82acdfaff2c2b4bee154fd405bb32c2ea6afb14043a"}]] },
}
example "a query is the same message" {
  request = "GET /appsflyer?token=" .. TOKEN .. "&app_id=id1&appsflyer_id=17-1&event_name=af_purchase&event_time=2025-01-01+00%3A00%3A01.000&event_value=%7B%22af_revenue%22%3A%221.10%22%7D&event_revenue=1.5",
  expect  = { status = 200, accepted = 1,
    stored = [[{"app_id":"id1","appsflyer_id":"17-1","event_name":"af_purchase","event_time":1735689601000,"event_value":"{\"af_revenue\":\"1.10\"}","event_revenue":1.5,"received_at":1735689600000,"message_id":"3a252b985c9dc29bd9cd6298e39aa8ba33339c1d62b187c3e51db40d10cfb953"}]] },
}
example "a wrong token is refused at the door" {
  request = "POST /appsflyer?token=no" .. TOKEN, body = "{}",
  expect  = { status = 403, code = "bad_token" },
}
