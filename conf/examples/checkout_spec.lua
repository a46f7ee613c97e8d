local testing = require "sluice.testing"

describe("checkout.lua", function()
  local policy
  before_each(function() policy = assert(testing.load "checkout.lua") end)

  local function post(event, o)
    event.user_id = event.user_id or "u-1"
    return policy:post("/v1/events", { event }, o)
  end

  it("counts what each shop has sent, in euros", function()
    for _, row in ipairs { { 10, "USD" }, { 5, "EUR" }, { 7, "XXX" } } do
      local r = post({ type = "purchase", amount = row[1], currency = row[2] },
        { headers = { ["X-Shop"] = "acme" } })
      assert.equal(202, r.status)
    end
    assert.equal(14, policy:metric("shop_sent_eur_total", { "acme" }))
    assert.equal(1, policy:metric "shop_unknown_currency_total")
  end)

  it("gives an event an id, and stores no user and no full address", function()
    local r = post({ type = "view", user_id = " Ann@Example.org " })
    local e = testing.decode(r.stored.events[1])
    assert.matches("^%x+%-%x+%-7%x+%-[89ab]%x+%-%x+$", e.event_id)
    assert.matches("^%x+$", e.user_id)
    assert.equal(64, #e.user_id)
    assert.equal("127.0.0.0", e.ip)
    local again = post({ type = "view", user_id = "ann@example.org" })
    assert.equal(e.user_id, testing.decode(again.stored.events[1]).user_id)
  end)

  it("takes a repeat for accepted, and stores it once", function()
    assert.equal(0, post({ type = "view", event_id = "e" }).dropped)
    local r = post({ type = "view", event_id = "e" })
    assert.same({ 202, 1, 1 }, { r.status, r.accepted, r.dropped })
    assert.equal(0, post({ type = "view", event_id = "e" },
      { time = "2025-01-01T02:00:00Z" }).dropped)
  end)

  it("lets a shop send sixty requests at once, then ten a second", function()
    local o = { headers = { ["X-Shop"] = "acme" } }
    for _ = 1, 60 do assert.equal(202, post({ type = "view" }, o).status) end
    local r = post({ type = "view" }, o)
    assert.same({ 429, "rate_limited" }, { r.status, r.code })
    assert.equal(202, post({ type = "view" },
      { headers = { ["X-Shop"] = "other" } }).status)
    o.time = "2025-01-01T00:00:00.100Z"
    assert.equal(202, post({ type = "view" }, o).status)
    assert.equal(429, post({ type = "view" }, o).status)
  end)

  it("refuses a user's sixth purchase of the moment, to be sent again", function()
    for i = 1, 6 do
      local r = post({ type = "purchase", amount = 1, currency = "EUR" },
        { headers = { ["X-Shop"] = "shop-" .. i } })
      assert.equal(i == 6 and 429 or 202, r.status)
    end
  end)
end)
