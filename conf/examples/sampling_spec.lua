local testing = require "sluice.testing"

describe("sampling.lua", function()
  local policy = assert(testing.load "sampling.lua")

  -- How many of a thousand users' events are kept, and whose.
  local function kept(kind)
    local events, users = {}, {}
    for i = 1, 1000 do events[i] = { type = kind, user_id = "user-" .. i } end
    local r = policy:post("/v1/events", events)
    assert.equal(1000, r.accepted)
    for i, e in ipairs(r.events) do
      users[i] = e.fate == "accepted" or nil
    end
    return r.accepted - r.dropped, users, r
  end

  it("keeps every purchase and every click", function()
    assert.equal(1000, (kept "purchase"))
    assert.equal(1000, (kept "click"))
  end)

  it("keeps about a quarter of the views and a twentieth of the scrolls",
  function()
    local views, scrolls = kept "view", kept "scroll"
    assert.is_true(views > 200 and views < 300, views)
    assert.is_true(scrolls > 25 and scrolls < 80, scrolls)
  end)

  it("keeps the same users at every time, and of a lower rate fewer of them",
  function()
    local _, first = kept "view"
    local _, again = kept "view"
    assert.same(first, again)
    local _, scrolls = kept "scroll"
    for user in pairs(scrolls) do assert.is_true(first[user]) end
  end)

  it("says in what it keeps at which rate", function()
    local n, _, r = kept "scroll"
    assert.equal(n, #r.stored.events)
    for _, line in ipairs(r.stored.events) do
      assert.equal(0.05, testing.decode(line).sample_rate)
    end
  end)

  it("still refuses what is wrong", function()
    assert.equal("missing_field", policy:post("/v1/events",
      { { type = "scroll" } }).code)
  end)
end)
