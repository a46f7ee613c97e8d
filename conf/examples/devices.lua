-- devices: each event gets what another team's file knows about its device. The file may
-- have fifty million rows; conf/TABLES.md says what that costs and how it is replaced.
--
--   curl --json '[{"device":"d-1001","type":"open"}]' localhost:8080/v1/events
--
-- A new file: write it beside the old one, mv it over the old one, reload. Requests go on
-- with the old rows until the new ones are ready.

server { listen = "0.0.0.0:8080" }
admin  { listen = "127.0.0.1:9100" }

file "archive" { dir = "archive", compress = "zstd" }
stream "events" { sinks = { "archive" } }

-- id,segment,market,first_seen. Without key the first column would be it, too.
local devices = lookup "devices.csv" { key = "id" }

-- How much of the traffic the file knows. A share that falls means that the file is old.
local looked_up = counter "devices_looked_up_total" {
  help = "Events by whether devices.csv knows their device.", labels = { "known" },
}

-- Only what is named here is stored: an event can't bring a segment of its own.
local event = schema {
  others  = "drop",
  device  = str { required = true, min = 1, max = 64 },
  type    = str { required = true, max = 32, pattern = "^%l[%l_]*$" },
  -- Some SDKs send numbers in quotes.
  revenue = num { min = 0, convert = true },
}

local function on_event(ev)
  local row = devices(ev.device)
  looked_up:inc(1, row and "yes" or "no")
  if not row then return end
  -- Devices of click farms are answered like others, and stored nowhere.
  if row.segment == "farm" then return drop("farm") end
  ev.segment, ev.market = row.segment, row.market
end

route "POST /v1/events" {
  body = "batch", schema = event, on_event = on_event, stream = "events",
}

-- The file is another team's: this example has a device that is in none of its versions.
example "an unknown device is stored as it came" {
  request = "POST /v1/events",
  body    = [==[[{"device":"no such device","type":"open","segment":"vip","revenue":"1.50"}]]==],
  expect  = { status = 202, stored = [[{"device":"no such device","type":"open","revenue":1.50}]] },
}
