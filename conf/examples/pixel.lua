-- pixel: counts the views of mails and pages by an image of one pixel.
--
--   <img src="https://t.example/open.gif?mail=m1&user=u1" width="1" height="1" alt="">
--   curl -i "localhost:8080/open.gif?mail=m1&user=u1"

server { listen = "0.0.0.0:8080" }
admin  { listen = "127.0.0.1:9100" }

file "archive" { dir = "archive", compress = "zstd", rotate = { age = "1h" } }
stream "views" { sinks = { "archive" } }

-- Only what is named here is asked for; a view without it is refused, and its reader sees
-- the same image.
local view = schema {
  mail = str { required = true, min = 1, max = 64 },
  user = str { max = 64 },
  width = int { min = 0 },
}

route "GET /open.gif" {
  body = "query", repeated = "last", schema = view, stream = "views",
  set = { at = "time", agent = "header:user-agent", referer = "header:referer" },
  on_event = function(ev)
    if contains(ev.agent or "", "bot") then return drop("bot") end
  end,
  answer = "pixel",
}

example "a view is stored" {
  request = "GET /open.gif?mail=m1&width=320",
  expect  = { status = 200, accepted = 1,
    stored = [[{"mail":"m1","width":320,"at":1735689600000}]] },
}
example "a view that is refused gets the image, too" {
  request = "GET /open.gif?user=u1",
  expect  = { status = 200, rejected = 1, code = "missing_field" },
}
