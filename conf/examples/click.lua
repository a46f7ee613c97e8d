-- click: links in ads lead here. Each click is stored, and its user goes on to the shop or
-- to the app store by a redirect. Nobody can use these links to lead users elsewhere.
--
--   curl -i "localhost:8080/click?click_id=c1&redirect=https%3A%2F%2Fshop.example%2Fsale"
--   curl -i "localhost:8080/go/summer?click_id=c1"

server { listen = "0.0.0.0:8080" }
admin  { listen = "127.0.0.1:9100" }

file "archive" { dir = "archive", compress = "zstd", rotate = { age = "1h" } }
stream "clicks" { sinks = { "archive" } }

local click = schema { click_id = str { required = true, min = 1, max = 64 },
  redirect = str { max = 2000 } }
local seen = { at = "time", ip = "peer", agent = "header:user-agent" }

-- The url stands in the link. Another host than these is refused with 422, and the click is
-- not stored: such a link is none of ours.
route "GET /click" {
  body = "query", schema = click, set = seen, stream = "clicks",
  answer = { location = "field:redirect", hosts = { "shop.example", "*.shop.example" } },
}

-- The url is made of the event. Its user is redirected also when the click can't be stored
-- or lacks its id: that costs a click in the statistics, not a customer.
route "GET /go/:campaign" {
  body = "query", repeated = "first", schema = click, stream = "clicks",
  set = { campaign = "path:campaign", at = "time" },
  answer = {
    location = "https://shop.example/{campaign}?click_id={click_id}",
    refused = "same", unstored = "same",
  },
}

-- A function decides; where it gives no url, or raises, fallback is used.
local stores = { ios = "https://apps.shop.example/app/id1", android =
  "https://play.shop.example/store?id=1" }
route "GET /install" {
  body = "query", schema = click, set = seen, stream = "clicks",
  answer = {
    location = function(ev, req)
      local agent = req.headers["user-agent"] or ""
      if contains(agent, "iPhone") then return stores.ios end
      if contains(agent, "Android") then return stores.android .. "&c=" .. ev.click_id end
    end,
    hosts = { "*.shop.example" }, fallback = "https://shop.example/app",
    refused = "same", unstored = "same",
  },
}

-- For scripts: the id of the click as JSON.
route "POST /click" {
  body = "any", schema = click, set = seen, stream = "clicks",
  on_event = function(ev) ev.id = uuid7() end,
  answer = { status = 200, body = [[{"id":"{id}","click_id":"{click_id}"}]],
    headers = { ["Cache-Control"] = "no-store" } },
}

example "a click is redirected" {
  request = "GET /click?click_id=c1&redirect=https%3A%2F%2Fshop.example%2Fsale",
  expect  = { status = 302, accepted = 1 },
}
example "a link to another host is refused" {
  request = "GET /click?click_id=c1&redirect=https%3A%2F%2Fevil.example%2F",
  expect  = { status = 422, code = "bad_location", field = "redirect" },
}
