local testing = require "sluice.testing"

describe("tenants.lua", function()
  local policy = assert(testing.load "tenants.lua")

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

  it("says why a key is not good any more", function()
    assert.equal("expired_key", post("bolt-key-old").code)
    assert.equal("disabled_key", post("gone-key").code)
    assert.equal("missing_key", post(nil).code)
    assert.equal(202, post("acme-key-2").status) -- the next key of acme
  end)

  it("limits a free plan, all keys of a tenant together", function()
    local last
    for _ = 1, 101 do last = post("bolt-key") end
    assert.same({ 429, "rate_limited" }, { last.status, last.code })
    for _ = 1, 101 do last = post("acme-key") end
    assert.equal(202, last.status)
  end)

  it("has a key for a first try", function()
    assert.equal(202, post("demo").status)
  end)
end)
