-- attribution_full: a whole attribution platform in one policy. Ad networks call back, ads
-- lead through click links and show pixels, SDKs send batches, partners post forms.
-- conf/ATTRIBUTION.md is the page for the person on call: what each route does, what its
-- alerts mean, and what to do.
--
--   KAFKA_BROKERS=... CLICKHOUSE_URL=... PEPPER=... [SKADNETWORK_ID=...] \
--     sluice run --data /var/lib/sluice conf/examples/attribution_full.lua

server { listen = "0.0.0.0:8080", max_body = "4MiB", max_events = 2000 }
admin  { listen = "127.0.0.1:9100" }
spool  { max_bytes = "40GiB" }

-- ---- what others keep up to date -------------------------------------------------------
-- Files in attribution_full/, and a database. Change one, then reload: no restart.

-- app,plan: the apps that may send, and how much.
local apps = lookup "attribution_full/apps.csv"
-- key_sha256,app: the digests of API keys ("sluice key" makes one). While a key is changed
-- the app has two lines, and both keys are good.
keys "apps" { file = "attribution_full/keys.csv", key = "key_sha256", label = "app" }
-- network,secret,previous: with what each ad network signs. previous is good, too.
local partners = lookup "attribution_full/partners.csv"
-- GeoLite2-Country.mmdb, GeoLite2-City.mmdb or another; this one has a few addresses that
-- are kept for documents.
local geo = mmdb "geo.mmdb"

-- Personal data become HMACs with this secret: the same person has the same text, and
-- nobody can guess it without the secret. Changing it divides all users into before and after.
local PEPPER = env("PEPPER", "only-for-a-first-try")
-- "yes" if a proxy in front sets X-Real-IP. Otherwise any client could invent its address.
local BEHIND_PROXY = env("BEHIND_PROXY", "no") == "yes"

-- ---- where events go -------------------------------------------------------------------

file "archive" { dir = "archive", compress = "zstd", rotate = { age = "1h" } }
kafka "bus" {
  brokers = env("KAFKA_BROKERS", "127.0.0.1:9092"),
  topic   = "attribution",
  key     = "user", -- the events of a user stay in their order on one partition
}
-- The table is what "sluice schema --clickhouse attribution_full.lua" prints.
clickhouse "olap" {
  urls     = { env("CLICKHOUSE_URL", "http://127.0.0.1:8123") },
  user     = env("CLICKHOUSE_USER", "default"),
  password = env("CLICKHOUSE_PASSWORD", ""),
  table    = "attribution.events",
  columns  = {
    event_id = "event_id", type = "type", app = "app", source = "source",
    at = "at", received_at = "received_at", user = "user", device = "device",
    click_id = "click_id", network = "network", campaign = "campaign",
    revenue = "revenue", currency = "currency", is_test = "is_test",
    country = "country", ip = "ip", agent = "agent",
  },
}
-- What was refused, as it was sent: with addresses, mails and device ids. Its folder is for
-- few people, and its files are deleted after some days (ATTRIBUTION.md).
file "refused" { dir = "refused", compress = "zstd", rotate = { age = "5m" } }

-- The warehouse may be down for long: it gives up its oldest events beyond 8 GiB, rather
-- than make clients wait. The bus and the archive never skip.
local sinks = { "archive", "bus", olap = { when_full = "skip", max_lag = "8GiB" } }
-- SDKs and networks send again what was not answered. Anybody may call click links: source
-- keeps their ids apart, so that nobody can use up the id of an install in advance.
stream "events" {
  sinks = sinks, max_bytes = "16GiB",
  dedup = { key = { "app", "source", "event_id" }, window = "6h", max_keys = 2000000 },
}
-- Money: it is on the disk before the client hears so, and counted once, also over restarts
-- and power cuts. The window is longer than max_age and max_skew of "at" together: a purchase
-- with its time is too old before its id is forgotten. No sink skips.
stream "purchases" {
  ack = "synced", sinks = { "archive", "bus", "olap" }, max_bytes = "16GiB",
  dedup = { key = { "app", "event_id" }, window = "31d", persist = true },
}
stream "refused" { sinks = { "refused" }, max_bytes = "2GiB" }
local on_refused = { stream = "refused", rate = "200/s" }

-- ---- what is counted and bounded -------------------------------------------------------

-- Events a second of an app, whatever key they come by.
local quotas = {
  small = limit "small" { rate = "500/s", burst = 5000 },
  large = limit "large" { rate = "20000/s", burst = 200000 },
}
-- Clicks and views come from anybody: so many a minute are a person's. They have a bound of
-- their own, so that strangers can't use up what an app's SDKs and networks need.
local person = limit "person" { rate = "60/m", burst = 60, max_keys = 1000000 }
local crowd = limit "crowd" { rate = "5000/s", burst = 50000 }

local forged = counter "postbacks_bad_signature_total" {
  help = "Postbacks whose signature fits no secret of their network.",
  labels = { "network" },
}
local revenue = counter "purchases_sent_total" {
  help = "Purchases as they were sent, repeats included.", labels = { "app", "currency" }, max_series = 500,
}

local function within_quota(app)
  return (quotas[apps[app]] or quotas.small):check(app)
end

-- ---- one shape for all ways in ---------------------------------------------------------

-- The same columns from each route, whatever a client calls them in. Fields that a hook
-- sets stand here as well: so they have their type in the table. Fields that clients invent
-- may hold mails and names, so they are dropped: a field that is wanted gets a line here.
local function kind(o)
  return str { required = o.required, max = 32, pattern = "^%l[%l%d_]*$" }
end

local function shape(own)
  local fields = {
    others = "drop", event_id = str { min = 1, max = 64 }, type = kind {},
    at = time { formats = { "iso8601", "no_zone", "number" }, unit = "auto",
      max_age = "30d", max_skew = "10m" },
    user_id = str { min = 1, max = 128 }, email = str { max = 256 },
    idfa = str { max = 64 }, gaid = str { max = 64 }, ip = str { format = "ip" },
    click_id = str { min = 1, max = 64 }, network = str { max = 64 },
    campaign = str { cut = 128 },
    revenue = num { min = 0, max = 1e9 }, currency = str { pattern = "^%u%u%u$" },
    ["properties.page"] = any {}, -- of what lies in properties nothing else is kept
    is_test = bool {}, agent = str { cut = 256 }, received_at = time {},
  }
  for name, field in pairs(own) do fields[name] = field end
  return schema(fields)
end

-- Mails and UUIDs are the same in capitals: iOS writes these so, and servers do not. Other
-- ids stay as they are, but for spaces around them.
local function plain(id)
  id = trim(id)
  if id and (#id == 36 or contains(id, "@")) then return lower(id) end
  return id
end

-- The text of a person or a device that nobody reads back.
local function hidden(id)
  id = plain(id)
  return id and id ~= "" and hmac(PEPPER, id) or nil
end

-- Some systems fill in nothing so: all such devices would be one user.
local NOBODY = "00000000-0000-0000-0000-000000000000"

-- What each event gets and loses, on every route. Nothing personal is left: fields that no
-- schema names are dropped before it. ATTRIBUTION.md says what that does not cover.
local function tidy(ev, req, app, source, ip)
  local device = ev.idfa or ev.gaid
  ev.device = device ~= NOBODY and hidden(device) or nil
  ev.user = hidden(ev.user_id) or hidden(ev.email) or ev.device or hidden(ev.click_id)
  ev.idfa, ev.gaid, ev.email, ev.user_id = nil, nil, nil, nil
  ev.app, ev.source, ev.received_at = app, source, req.time_ms
  ev.at = ev.at or req.time_ms
  ev.country = geo:get(ip, "country.iso_code")
  ev.ip = mask_ip(ip)
end

-- Where the person is: in front of sluice, or of its proxy.
local function address(req)
  return BEHIND_PROXY and req.headers["x-real-ip"] or req.peer
end

-- A purchase needs what is summed, and the id by which it is counted once.
local function purchase(ev, app)
  local id = plain(ev.event_id)
  if not (id and id ~= "" and ev.revenue and ev.currency) then
    return reject("incomplete_purchase", "a purchase needs event_id, revenue and currency")
  end
  ev.event_id = id
  revenue:inc(1, app, ev.currency)
  return to("purchases")
end

-- ---- ad networks: GET /postback/NETWORK?app=...&event_id=...&type=...&sig=... ----------

-- The last parameter signs what stands before it: sig = HMAC-SHA-256(secret, all of the
-- query before "&sig="), as 64 hex digits. So nobody can change a parameter, and what is
-- refused and kept has no secret in it.
local SIG = #"&sig=" + 64

local function signed_with(secret, query)
  return secret and secret ~= ""
    and equal(hmac(secret, query:sub(1, -SIG - 1)), lower(query:sub(-64)))
end

local function known_network(req)
  if not partners[req.params.network] then
    return reject("unknown_network", "no such network", 404)
  end
end

-- A bad signature is refused here, not in on_request: then the postback is kept, and can be
-- sent again when a key was wrong on our side.
local function on_postback(ev, req)
  local partner, query = partners(ev.network), req.query
  if query:sub(-SIG, -65) ~= "&sig=" or not (signed_with(partner.secret, query)
    or signed_with(partner.previous, query)) then
    forged:inc(1, ev.network)
    return reject("bad_signature", "sig does not fit the query")
  end
  local app = ev.app
  if not apps[app] then return reject("unknown_app", "no such app") end
  local over = within_quota(app)
  if over then return over end
  ev.sig = nil
  tidy(ev, req, app, "postback", ev.ip)
  if ev.type == "purchase" then return purchase(ev, app) end
end

-- An empty macro ("revenue=") is null, which counts as absent.
route "GET /postback/:network" {
  body = "query", repeated = "first", stream = "events", set = { network = "path:network" },
  schema = shape { app = str { required = true, max = 64 }, type = kind { required = true } },
  on_request = known_network, on_event = on_postback, on_refused = on_refused,
  answer = { status = 200, body = "OK", type = "text/plain" },
}

-- ---- ads: click links and pixels, from anybody's browser -------------------------------

local function on_ad(ev, req, kind_of_ad)
  local app, ip = req.params.app, address(req)
  if not apps[app] then return reject("unknown_app", "no such app") end
  local over = person:check(contains(ip, ":") and mask_ip(ip) or ip) or crowd:check(app)
  if over then return over end
  ev.type, ev.agent = kind_of_ad, req.headers["user-agent"]
  tidy(ev, req, app, "ad", ip)
end

-- A person who clicks always gets somewhere: to the url of the link if it leads to one of
-- these hosts, otherwise to the shop. A click that is refused or can't be stored costs a
-- line in the statistics, not a customer.
route "GET /click/:app" {
  body = "query", repeated = "first", stream = "events", on_refused = on_refused,
  schema = shape { click_id = str { required = true, min = 1, max = 64 },
    redirect = str { max = 2000 } },
  on_event = function(ev, req) return on_ad(ev, req, "click") end,
  answer = { location = "field:redirect", fallback = "https://shop.example/",
    hosts = { "shop.example", "*.shop.example", "apps.apple.com", "play.google.com" },
    refused = "same", unstored = "same" },
}

route "GET /view/:app" {
  body = "query", repeated = "first", stream = "events", on_refused = on_refused,
  schema = shape {}, answer = "pixel",
  on_event = function(ev, req) return on_ad(ev, req, "view") end,
}

-- ---- apps and partners: POST /v1/APP/..., with a key of the app in X-API-Key -----------

-- The app stands in the path as well, because what is kept of a refusal has the path and no
-- key: so it is known later whose it was.
local auth = header "x-api-key" "apps"

local function own_key(req)
  if req.key.app ~= req.params.app then
    return reject("unknown_key", "send a key of this app as X-API-Key", 401)
  end
end

local function keyed(ev, req, source, ip)
  local app = req.params.app
  local over = within_quota(app)
  if over then return over end
  tidy(ev, req, app, source, ip)
  if ev.type == "purchase" then return purchase(ev, app) end
end

-- SDKs: arrays, {"events":[...]} or NDJSON, plain or compressed. The address is the phone's.
route "POST /v1/:app/batch" {
  body = "batch", stream = "events", schema = shape { type = kind { required = true } },
  auth = auth, on_request = own_key, on_refused = on_refused,
  on_event = function(ev, req) return keyed(ev, req, "sdk", address(req)) end,
}
-- Partners' servers: one event, a form or JSON. They tell the phone's address, or none.
route "POST /v1/:app/events" {
  body = "any", stream = "events", schema = shape { type = kind { required = true } },
  auth = auth, on_request = own_key, on_refused = on_refused,
  on_event = function(ev, req) return keyed(ev, req, "partner", ev.ip) end,
}

-- ---- Apple: postbacks of SKAdNetwork, if SKADNETWORK_ID says which network you are -----

-- They tell of no person and no device, and each is counted once, by its transaction. Apple
-- signs them for all networks: only yours count. conf/SIGNED.md says what is not signed.
local SKADNETWORK_ID = env("SKADNETWORK_ID", "")

if SKADNETWORK_ID ~= "" then
  -- store_id,app: the ids of the App Store and our names.
  local store = lookup "attribution_full/store_ids.csv"

  -- A device sends up to nine times over nine days.
  stream "installs" {
    ack = "synced", sinks = sinks, max_bytes = "4GiB",
    dedup = { key = { "event_id" }, window = "30d", persist = true },
  }

  local function on_skadnetwork(ev, req)
    local app = store[tostring(ev["app-id"])]
    if not app then return reject("unknown_app", "store_ids.csv has no such app-id") end
    ev.event_id, ev["transaction-id"] = ev["transaction-id"], nil
    ev.network, ev["ad-network-id"] = ev["ad-network-id"], nil
    ev.campaign = ev["source-identifier"] or ev["campaign-id"] and tostring(ev["campaign-id"])
    -- Only the first of the three that version 4 sends is the install itself.
    ev.type = (ev["postback-sequence-index"] or 0) == 0 and "install" or "postback"
    ev.app, ev.source = app, "skadnetwork"
    ev.at, ev.received_at = req.time_ms, req.time_ms
  end

  -- A device sends again after anything but 200, also what is refused for good.
  route "POST /.well-known/skadnetwork/report-attribution/" {
    body = "event", signed = { by = "skadnetwork" }, stream = "installs",
    on_event = on_skadnetwork, on_refused = on_refused, answer = { status = 200, body = "" },
    schema = shape {
      ["ad-network-id"] = enum { SKADNETWORK_ID, required = true },
      ["transaction-id"] = str { required = true, format = "uuid" },
      ["app-id"] = int { required = true, min = 0 },
      ["source-identifier"] = str { pattern = "^%d%d%d?%d?$" },
      ["campaign-id"] = int { min = 0, max = 100 },
      ["postback-sequence-index"] = int { min = 0, max = 2 },
      ["conversion-value"] = int { min = 0, max = 63 },
      ["coarse-conversion-value"] = enum { "low", "medium", "high" },
      ["did-win"] = bool {}, redownload = bool {},
    },
  }
end

example "a purchase is typed, masked and told from others by its app" {
  request = "POST /v1/shop/events", headers = { ["x-api-key"] = "shop-key" },
  content_type = "application/x-www-form-urlencoded",
  body   = "type=purchase&event_id=o-1&revenue=3.20&currency=EUR&ip=192.0.2.7",
  expect = { status = 202, stored = [[{"type":"purchase","event_id":"o-1","revenue":3.20,]]
    .. [["currency":"EUR","ip":"192.0.2.0","received_at":1735689600000,]]
    .. [["source":"partner","app":"shop","at":1735689600000,"country":"DE"}]] },
}
example "a postback without a signature is refused" {
  request = "GET /postback/acme?app=shop&type=install",
  expect  = { status = 422, code = "bad_signature" },
}
