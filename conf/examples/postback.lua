-- postback: ad networks call back by GET, and partners and SDKs post forms. The URL's
-- parameters, or the form's fields, are the event.
--
--   curl "localhost:8080/postback/acme?click_id=c1&payout=1.20&currency=EUR&token=secret"
--   curl -d "click_id=c1&revenue=9.99&is_test=0" localhost:8080/conversions
--   curl --data-urlencode 'data={"level":7}' -d install_id=i1 localhost:8080/sdk

server { listen = "0.0.0.0:8080" }
admin  { listen = "127.0.0.1:9100" }

file "archive" { dir = "archive", compress = "zstd", rotate = { age = "1h" } }
stream "attribution" { ack = "synced", sinks = { "archive" } }

local TOKEN = env("POSTBACK_TOKEN", "secret")

-- Texts of the URL become numbers and truths by their type. A macro that the network did
-- not fill ("payout=") becomes null, which counts as absent.
local postback = schema {
  click_id = str { required = true, min = 1, max = 64 },
  payout   = num { min = 0 },
  currency = str { min = 3, max = 3 },
  is_test  = bool {},
  ts       = time {},
}

-- A network that adds a parameter twice means the first one.
route "GET /postback/:network" {
  body = "query", repeated = "first", schema = postback, stream = "attribution",
  set = { network = "path:network", received_at = "time" },
  on_event = function(ev)
    if not equal(ev.token or "", TOKEN) then return reject("bad_token", "who are you?") end
    ev.token = nil
  end,
}

-- Partners send what they like: a query, a form or JSON.
route { "GET", "POST", "/conversions" } {
  body = "any", stream = "attribution",
  schema = schema {
    click_id = str { required = true, max = 64 },
    revenue  = num {}, is_test = bool {},
  },
}

-- An SDK that posts a form, with JSON in one of its fields.
route "POST /sdk" {
  body = "form", form = { data = "json" }, stream = "attribution",
  schema = schema { install_id = str { required = true }, ["data.level"] = int {} },
}

example "a postback is typed by the schema" {
  request = "GET /postback/acme?click_id=c%2B1&payout=1.20&is_test=0&ts=&token=secret",
  expect  = { status = 202,
    stored = [[{"click_id":"c+1","payout":1.20,"is_test":false,"ts":null,]]
      .. [["network":"acme","received_at":1735689600000}]] },
}
example "a form holds JSON" {
  request = "POST /sdk", content_type = "application/x-www-form-urlencoded",
  body    = "install_id=i1&data=%7B%22level%22%3A7%7D",
  expect  = { status = 202, stored = [[{"install_id":"i1","data":{"level":7}}]] },
}
