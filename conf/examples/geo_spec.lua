local testing = require "sluice.testing"

describe("geo.lua", function()
  local policy
  before_each(function() policy = assert(testing.load "geo.lua") end)

  -- The event that is stored for a client behind the proxy; nil: none is.
  local function stored(forwarded, peer)
    local r = policy:post("/v1/events", { { type = "view" } },
      { headers = { ["X-Forwarded-For"] = forwarded }, peer = peer })
    assert.equal(202, r.status)
    local list = r.stored and r.stored.events or {}
    return list[1] and testing.decode(list[1])
  end

  it("gives an event the client's place, and stores no full address", function()
    assert.same({ type = "view", country = "DE", region = "BE", city = "Berlin",
      time_zone = "Europe/Berlin", ip = "192.0.2.0" }, stored "192.0.2.7")
    assert.equal("DE", stored("::ffff:192.0.2.7").country)
    assert.equal("DE", stored("2001:db8:1::1").country)
  end)

  it("leaves out what the database does not have", function()
    assert.same({ type = "view", country = "JP", ip = "203.0.113.0" }, stored "203.0.113.1")
    assert.same({ type = "view", ip = "203.0.113.0" }, stored "203.0.113.200")
  end)

  it("believes only its own proxies", function()
    assert.equal("DE", stored("198.51.100.1", "192.0.2.7").country)
    assert.equal("DE", stored("198.51.100.1, 192.0.2.7").country)
    assert.equal("DE", stored("192.0.2.7", "10.20.0.1").country)
    -- An office's machine is no proxy, though the smaller network beside it is.
    local e = stored("192.0.2.7", "10.21.0.1")
    assert.same({ type = "view", internal = true, ip = "10.21.0.0" }, e)
  end)

  it("stores an event whose header is no address", function()
    for _, text in ipairs { "", "unknown", "192.0.2.7:443", "[2001:db8:1::1]", "1.2.3", ",",
      ("1"):rep(5000), "fe80::1%eth0", "192.0.2.7/24", "0192.0.2.7" } do
      assert.same({ type = "view" }, stored(text), text)
    end
  end)

  it("counts bots, and stores none of their events", function()
    assert.is_nil(stored "198.51.100.9")
    assert.is_nil(stored "2001:db8:2::9")
    assert.equal(2, policy:metric("geo_bots_total", { "Example Crawler" }))
  end)
end)
