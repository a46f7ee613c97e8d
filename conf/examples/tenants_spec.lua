local testing = require "sluice.testing"

describe("tenants.lua", function()
  -- sha256 of "acme-key" and "bolt-key".
  local TENANTS = table.concat({
    "acme=afacab3575137afa4e00d9cbcafcb14c9ae25f779d964eb0ea5b2c4eb5dfd163",
    "bolt=5adcb19e5e2a94e68d3893cdb991a441b08c843a778bdb9a0074795e8d9c35c4" }, ",")
  local policy = assert(testing.load("tenants.lua", { env = {
    TENANTS = TENANTS } }))

  local function post(key, event, path)
    return policy:post(path or "/v1/events", event or { event = "x" },
      { headers = { ["X-API-Key"] = key } })
  end

  it("refuses an unknown key before it looks at the body", function()
    local r = policy:post("/v1/events", "{oops",
      { headers = { ["X-API-Key"] = "guess" } })
    assert.same({ 401, "unknown_key" }, { r.status, r.code })
    assert.is_truthy(r.headers["www-authenticate"])
    assert.equal(401, policy:post("/v1/events", {}).status)
  end)

  it("takes the key as a bearer token as well", function()
    local r = policy:post("/v1/events", { event = "x" },
      { headers = { Authorization = "Bearer bolt-key" } })
    assert.equal(202, r.status)
    assert.equal("bolt", testing.decode(r.stored.shared[1]).tenant)
  end)

  it("says in each event whose it is, whatever the client says", function()
    local r = post("bolt-key", { event = "x", tenant = "acme" })
    assert.same({ '{"event":"x","tenant":"bolt"}' }, r.stored.shared)
  end)

  it("keeps the events of one who pays for it apart", function()
    assert.same({ "acme" }, post("acme-key").streams)
    assert.same({ "shared" }, post("bolt-key").streams)
    assert.equal("synced", policy.streams.acme.ack)
  end)

  it("does so for batches too, and lists what is wrong in them", function()
    local r = post("acme-key", { { event = "a" }, {}, { event = "b" } },
      "/v1/batch")
    assert.same({ 2, 1, "missing_field" }, { r.accepted, r.rejected, r.code })
    assert.equal(2, #r.stored.acme)
  end)

  it("does not load with a key that is no digest", function()
    local p, why = testing.load("tenants.lua", { env = { TENANTS = "a=secret" } })
    assert.is_nil(p)
    assert.matches("TENANTS: expected name=sha256, got a=secret", why, 1, true)
  end)

  it("has a key for a first try", function()
    local p = assert(testing.load "tenants.lua")
    assert.equal(202, p:post("/v1/events", { event = "x" },
      { headers = { ["X-API-Key"] = "demo" } }).status)
  end)
end)
