local testing = require "sluice.testing"

describe("edge.lua", function()
  local policy
  before_each(function() policy = assert(testing.load "edge.lua") end)

  local function stored(peer)
    local r = policy:post("/v1/events", { type = "view" }, { peer = peer })
    assert.equal(202, r.status)
    return testing.decode(r.stored.events[1])
  end

  it("stores a part of the client's address", function()
    assert.equal("192.0.2.0", stored("192.0.2.77").ip)
    assert.equal("2001:db8:1::", stored("2001:db8:1:2::7").ip)
  end)

  it("bounds each client by itself", function()
    for _ = 1, 200 do stored("192.0.2.77") end
    assert.equal(429, policy:post("/v1/events", { type = "view" }, { peer = "192.0.2.77" }).status)
    stored("192.0.2.78")
  end)

  it("takes a client without an address, as a process on this machine is", function()
    assert.equal(202, policy:post("/v1/events", { type = "view" }, { peer = "unix" }).status)
  end)
end)
