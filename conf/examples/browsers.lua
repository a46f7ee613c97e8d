-- browsers: events with the browser, the system and the device that the client's user agent
-- tells, and without those of crawlers.
--
--   curl --json '[{"type":"view"}]' -A 'Mozilla/5.0 (X11; Linux x86_64; rv:126.0) Firefox/126.0' \
--     localhost:8080/v1/events
--
-- agents.yaml is a small file for documents. In its place goes uap-core's regexes.yaml:
-- replace the file by rename and reload.

file "archive" { dir = "archive", compress = "zstd" }

stream "events" { sinks = { "archive" } }

local agent = agents "agents.yaml"

local crawlers = counter "crawlers_total" {
  help = "Events from crawlers, which are not stored.", labels = { "name" },
}

local event = schema {
  type = enum { "view", "click", "purchase", required = true },
  -- Of a partner's server, which sends for its clients.
  user_agent = str { max = 1024 },
}

local function on_event(ev, req)
  local text = ev.user_agent or req.headers["user-agent"]
  if agent:get(text, "device.family") == "Spider" then
    crawlers:inc(1, agent:get(text, "browser.family"))
    return drop "a crawler"
  end
  ev.browser = agent:get(text, "browser.family")
  ev.browser_version = agent:get(text, "browser.version")
  ev.os = agent:get(text, "os.family")
  ev.os_version = agent:get(text, "os.version")
  ev.brand = agent:get(text, "device.brand")
  ev.model = agent:get(text, "device.model")
  -- The text itself can tell people apart.
  ev.user_agent = nil
end

route "POST /v1/events" {
  body = "batch", schema = event, stream = "events", on_event = on_event,
}

example "an event gets the parts of the client's user agent" {
  request = "POST /v1/events",
  headers = { ["User-Agent"] = "Mozilla/5.0 (iPhone; CPU iPhone OS 17_2_1 like Mac OS X) "
    .. "AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.2 Mobile/15E148 Safari/604.1" },
  body = [=[[{"type":"view"}]]=],
  expect = { status = 202, stored = [[{"type":"view","browser":"Mobile Safari",]]
    .. [["browser_version":"17.2","os":"iOS","os_version":"17.2.1","brand":"Apple",]]
    .. [["model":"iPhone"}]] },
}
