-- tenants: one server for many customers, who send an API key. sluice checks the key
-- before it reads the body, and adds the tenant to each event. A tenant can have its
-- own stream, with its own queue and files, and has a rate of its own.
--
--   curl --json '{"event":"x"}' -H 'X-API-Key: demo' localhost:8080/v1/events
--
-- tenants.csv has the SHA-256 of each key. A new one: "sluice key", its hash into a line of
-- the file, reload. While a tenant changes its key it has two lines, and both are good.

file "archive" { dir = "archive", compress = "zstd" }
file "acme"    { dir = "acme",    compress = "zstd" }

stream "shared" { sinks = { "archive" } }
stream "acme"   { sinks = { "acme" }, ack = "synced", max_bytes = "2GiB" }

local OWN = { acme = "acme" } -- tenants with a stream of their own

keys "tenants" {
  file = "tenants.csv", expires = "expires", disabled = "disabled", label = "tenant",
}

-- "X-API-Key: k", or "Authorization: Bearer k".
local auth = any_of { header "x-api-key" "tenants", bearer "tenants" }

local free = limit "free" { rate = "100/s", key = "key:tenant" }

local function on_request(req)
  if req.key.plan == "free" then return free:check(req) end
end

local event = schema {
  event = str  { required = true, min = 1, max = 100 },
  time  = time { max_age = "7d", max_skew = "5m" },
}

local function on_event(_, req)
  local own = OWN[req.key.tenant]
  if own then return to(own) end
end

local set = { tenant = "key:tenant" } -- replaces a value that the client sent

route "POST /v1/events" {
  body = "event", schema = event, stream = "shared", auth = auth, set = set,
  on_request = on_request, on_event = on_event,
}
route "POST /v1/batch" {
  body = "batch", schema = event, stream = "shared", auth = auth, set = set,
  on_request = on_request, on_event = on_event,
}

example "an event gets its tenant" {
  request = "POST /v1/events", headers = { ["x-api-key"] = "demo" },
  body = [[{"event":"x","tenant":"acme"}]],
  expect = { status = 202, stored = [[{"event":"x","tenant":"demo"}]] },
}
example "a key is needed" {
  request = "POST /v1/events", body = [[{"event":"x"}]],
  expect = { status = 401, code = "missing_key" },
}
