-- tenants: one server for many customers, who send an API key. sluice checks the key
-- before it reads the body, and adds the tenant to each event. A tenant can have its
-- own stream, with its own queue and files.
--
--   curl --json '{"event":"x"}' -H 'X-API-Key: demo' localhost:8080/v1/events
--
-- The environment has name=sha256 of each key, so that neither this file nor the
-- environment holds a key: TENANTS="acme=9f86d0...,bolt=60303a...".

file "archive" { dir = "archive", compress = "zstd" }
file "acme"    { dir = "acme",    compress = "zstd" }

stream "shared" { sinks = { "archive" } }
stream "acme"   { sinks = { "acme" }, ack = "synced", max_bytes = "2GiB" }

local OWN = { acme = "acme" } -- tenants with a stream of their own

-- printf %s demo | sha256sum
local DEMO = "demo=2a97516c354b68848cdbd8f54a226a0a55b21ed138e207ad6c5cbb9c00aa5aea"

local tenants = {} -- by the digest of their key
for pair in env("TENANTS", DEMO):gmatch("[^,%s]+") do
  local name, digest = pair:match("^([%w_-]+)=(%x+)$")
  assert(name and #digest == 64, "TENANTS: expected name=sha256, got " .. pair)
  tenants[digest:lower()] = name
end

-- "X-API-Key: k", or "Authorization: Bearer k".
local function tenant_of(req)
  local key, bearer = req.headers["x-api-key"], req.headers["authorization"]
  if not key and starts_with(bearer, "Bearer ") then key = bearer:sub(8) end
  return key and tenants[sha256(key)]
end

local function on_request(req)
  if not tenant_of(req) then
    return reject("unknown_key", "send a valid key as X-API-Key", 401)
  end
end

local event = schema {
  event = str  { required = true, min = 1, max = 100 },
  time  = time { max_age = "7d", max_skew = "5m" },
}

local function on_event(ev, req)
  local tenant = tenant_of(req)
  ev.tenant = tenant -- replaces a value that the client sent
  if OWN[tenant] then return to(OWN[tenant]) end
end

route "POST /v1/events" {
  body = "event", schema = event, stream = "shared",
  on_request = on_request, on_event = on_event,
}
route "POST /v1/batch" {
  body = "batch", schema = event, stream = "shared",
  on_request = on_request, on_event = on_event,
}
