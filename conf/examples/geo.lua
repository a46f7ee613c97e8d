-- geo: events with the place of the client, from a MaxMind database, and what a list of
-- networks says of its address. The address itself is not stored.
--
--   curl --json '[{"type":"view"}]' -H 'X-Forwarded-For: 192.0.2.7' localhost:8080/v1/events
--
-- geo.mmdb is a small database of addresses that are kept for documents. In its place goes
-- GeoLite2-City.mmdb, or another of that kind: replace the file by rename and reload.

file "archive" { dir = "archive", compress = "zstd" }

stream "events" { sinks = { "archive" } }

local geo = mmdb "geo.mmdb"

-- Columns: network,kind,name. kind is "proxy", "office" or "bots".
local networks = cidr "networks.csv"

local bots = counter "geo_bots_total" {
  help = "Events from the networks of bots.", labels = { "name" },
}

local event = schema {
  type = enum { "view", "click", "purchase", required = true },
  user_id = str { max = 128 },
}

-- The client's address: what our own proxy says, which has the last word in the header.
-- What others say there is only a text that they have sent.
local function address_of(req)
  local row = networks(req.peer)
  local forwarded = req.headers["x-forwarded-for"]
  if not row or row.kind ~= "proxy" or not forwarded then return req.peer end
  return trim(forwarded:match("[^,]*$"))
end

local function on_event(ev, req)
  local ip = address_of(req)
  local row = networks(ip)
  if row and row.kind == "bots" then
    bots:inc(1, row.name)
    return drop "a bot"
  end
  ev.country = geo:get(ip, "country.iso_code")
  ev.region = geo:get(ip, "subdivisions[1].iso_code")
  ev.city = geo:get(ip, "city.names.en")
  ev.time_zone = geo:get(ip, "location.time_zone")
  ev.internal = row and row.kind == "office" or nil
  ev.ip = mask_ip(ip)
end

route "POST /v1/events" {
  body = "batch", schema = event, stream = "events", on_event = on_event,
}

example "an event gets the place of the client behind the proxy" {
  request = "POST /v1/events",
  headers = { ["X-Forwarded-For"] = "203.0.113.77, 192.0.2.7" },
  body = [=[[{"type":"view"}]]=],
  expect = { status = 202, stored = [[{"type":"view","country":"DE","region":"BE",]]
    .. [["city":"Berlin","time_zone":"Europe/Berlin","ip":"192.0.2.0"}]] },
}
