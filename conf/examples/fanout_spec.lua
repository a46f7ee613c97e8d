local testing = require "sluice.testing"

describe("fanout.lua", function()
  local policy = assert(testing.load "fanout.lua")

  -- Where an event goes.
  local function streams(event)
    return policy:post("/v1/events", { event }).streams
  end

  it("archives what is only looked at", function()
    assert.same({ "events" }, streams { type = "view" })
    assert.same({ "events" }, streams { type = "click", user_id = "u" })
  end)

  it("sends a purchase to the archive, to the bus and to the warehouse",
  function()
    assert.same({ "events", "purchases" },
      streams { type = "purchase", user_id = "u", amount = 5 })
    assert.same({ "bus", "olap" }, policy.streams.purchases.sinks)
    assert.equal("user_id", policy.sinks.bus.key)
  end)

  it("keeps errors out of the archive", function()
    assert.same({ "errors" }, streams { type = "error", stack = "..." })
  end)

  it("stores the same line everywhere", function()
    local r = policy:post("/v1/events",
      [=[[{"type":"purchase", "user_id":"u","amount":9.90}]]=])
    assert.same(r.stored.events, r.stored.purchases)
    assert.same({ '{"type":"purchase", "user_id":"u","amount":9.90}' },
      r.stored.events)
  end)

  it("refuses a purchase that nobody could book, and takes its neighbours",
  function()
    local r = policy:post("/v1/events", { { type = "purchase", amount = 1 },
      { type = "view" } })
    assert.same({ 202, 1, 1 }, { r.status, r.accepted, r.rejected })
    assert.equal("incomplete_purchase", r.code)
    assert.is_nil(r.stored.purchases)
  end)

  it("promises more for money than for clicks", function()
    assert.equal("synced", policy.streams.purchases.ack)
    assert.equal("written", policy.streams.events.ack)
  end)
end)
