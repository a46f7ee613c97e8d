local testing = require "sluice.testing"

describe("plans.lua", function()
  local policy
  local NOON = 1767268800000 -- 2026-01-01, 12:00 UTC

  before_each(function() policy = assert(testing.load "plans.lua") end)

  local function batch(n) return "[" .. ('{"event":"x"},'):rep(n - 1) .. '{"event":"x"}]' end

  local function post(key, n, o)
    o = o or {}
    return policy:post("/v1/batch", batch(n or 1), { headers = { ["X-API-Key"] = key },
      time = o.time or NOON, peer = o.peer })
  end

  it("takes what a plan has for a day, and nothing above it", function()
    local r = post("bolt-key", 3)
    assert.same({ 202, "2" }, { r.status, r.headers["ratelimit-remaining"] })
    r = post("bolt-key", 3)
    assert.same({ 429, "rate_limited" }, { r.status, r.code })
    assert.equal("43200", r.headers["retry-after"]) -- until midnight
    assert.equal(202, post("bolt-key", 2).status)
    assert.equal(202, post("bolt-key", 5, { time = NOON + 12 * 3600 * 1000 }).status)
  end)

  it("says that a batch is larger than a day of the plan", function()
    local r = post("bolt-key", 6)
    assert.same({ 413, "batch_over_limit" }, { r.status, r.code })
    assert.is_nil(r.headers["retry-after"])
  end)

  it("counts all keys of a customer together", function()
    assert.equal(202, post("acme-key", 1500).status)
    local r = post("acme-key-2", 1500)
    -- 500 are left of 2000, and the other 1000 take 2 s at 500 a second.
    assert.same({ 429, "2" }, { r.status, r.headers["retry-after"] })
    assert.equal(429, post("acme-key-2", 1500, { time = NOON + 1999 }).status)
    assert.equal(202, post("acme-key-2", 1500, { time = NOON + 2000 }).status)
  end)

  it("lets a customer send as much as it likes, if its row says so", function()
    for _ = 1, 5 do
      local r = post("own-key", 5000)
      assert.same({ 202, nil }, { r.status, r.headers["ratelimit-limit"] })
    end
  end)

  it("lets in no customer without a number, or with none left by contract", function()
    assert.same({ 403, "no_limit" }, { post("new-key").status, post("new-key").code })
    assert.same({ 403, "limit_zero" }, { post("over-key").status, post("over-key").code })
  end)

  it("takes nothing from a denied network, before it looks at the key", function()
    for _, peer in ipairs { "192.0.2.9", "::ffff:192.0.2.9", "2001:db8:bad::1" } do
      local r = post("wrong", 1, { peer = peer })
      assert.same({ 403, "denied_network" }, { r.status, r.code })
    end
    assert.equal(202, post("demo", 1, { peer = "2001:db8:bed::1" }).status)
  end)

  it("counts the tries of an IPv6 network together", function()
    local last
    for i = 1, 11 do
      last = policy:post("/v1/demo", { event = "x" }, { time = NOON,
        peer = ("2001:db8:0:7::%x"):format(i) })
    end
    assert.same({ 429, '"tries";r=0;t=60' }, { last.status, last.headers.ratelimit })
    assert.equal('"tries";q=10;w=60', last.headers["ratelimit-policy"])
    assert.equal(202, policy:post("/v1/demo", { event = "x" },
      { time = NOON, peer = "2001:db8:0:8::1" }).status)
  end)
end)
