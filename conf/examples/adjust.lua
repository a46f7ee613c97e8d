-- adjust: takes Adjust's server callbacks. The URL of a callback in Adjust's dashboard says
-- which placeholders it fills in:
--
--   https://this.server/adjust?token=secret&kind={activity_kind}&event={event}&adid={adid}
--     &created_at={created_at}&nonce={nonce}&tracker={tracker}&idfa={idfa}&gps_adid={gps_adid}
--     &revenue={reported_revenue_usd}&currency={reported_currency}&country={country}
--
-- https://help.adjust.com/en/article/server-callbacks describes them. Adjust sends a callback
-- again after 5xx, up to six times in a day, never after 4xx, and follows no redirect.

server { listen = "0.0.0.0:8080", max_headers = "65535B" }
admin  { listen = "127.0.0.1:9100" }

file "archive" { dir = "archive", compress = "zstd", rotate = { age = "1h" } }
file "refused" { dir = "refused", compress = "zstd", rotate = { age = "1h" } }
-- Each callback has its own nonce. Adjust sends it again with the same one, within a day.
stream "callbacks" {
  ack = "synced", sinks = { "archive" },
  dedup = { key = { "adid", "nonce" }, window = "2d", persist = true },
}
stream "refused" { sinks = { "refused" } }

local TOKEN = env("ADJUST_TOKEN", "secret")

-- A placeholder without a value is an empty text: null for a number, a time or a truth.
local callback = schema {
  kind       = str { required = true, min = 1, max = 64 },
  event      = str { max = 64 },
  adid       = str { max = 64 },
  nonce      = str { max = 64 },
  created_at = time { formats = { "number" }, unit = "s" },
  revenue    = num { },
  currency   = str { max = 3 },
}

local function on_request(req)
  if not equal(req.query_args.token or "", TOKEN) then
    return reject("bad_token", "who are you?", 403)
  end
end

-- Adjust does not look at what is wrong, so that a callback that is refused is kept here. Its
-- record has the whole query, also the token.
route { "GET", "POST", "/adjust" } {
  body = "any", repeated = "first", schema = callback, set = { received_at = "time" },
  on_request = on_request, on_event = function(ev) ev.token = nil end,
  stream = "callbacks", answer = { status = 200, body = "OK", type = "text/plain" },
  on_refused = { stream = "refused" },
}

example "a callback is typed by the schema" {
  request = "GET /adjust?token=" .. TOKEN .. "&kind=event&event=abc123&adid=a1&created_at=1735689600&nonce=n1&idfa=&revenue=1.10&currency=USD",
  expect  = { status = 200, accepted = 1,
    stored = [[{"kind":"event","event":"abc123","adid":"a1","created_at":1735689600000,"nonce":"n1","idfa":"","revenue":1.10,"currency":"USD","received_at":1735689600000}]] },
}
example "a placeholder without a value is null" {
  request = "GET /adjust?token=" .. TOKEN .. "&kind=install&adid=a1&nonce=n2&created_at=1735689600&revenue=",
  expect  = { status = 200,
    stored = [[{"kind":"install","adid":"a1","nonce":"n2","created_at":1735689600000,"revenue":null,"received_at":1735689600000}]] },
}
example "a wrong token is refused at the door" {
  request = "GET /adjust?kind=install&token=no" .. TOKEN, expect = { status = 403, code = "bad_token" },
}
