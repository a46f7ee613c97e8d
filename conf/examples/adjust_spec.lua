local testing = require "sluice.testing"

describe("adjust.lua", function()
  local policy = assert(testing.load("adjust.lua",
    { env = { ADJUST_TOKEN = "t1" }, time = "2025-06-01T12:00:00Z" }))

  local function get(query) return policy:get("/adjust?token=t1&" .. query) end
  local function line(r) return testing.decode(r.stored.callbacks[1]) end

  it("stores a callback with typed values, and without its token", function()
    local r = get "kind=event&event=abc123&adid=a1&created_at=1748779200&nonce=n1&revenue=1.10"
    assert.same({ 200, "OK" }, { r.status, r.body })
    assert.same({ nil, 1748779200000, 1.1, 1748779200000 },
      { line(r).token, line(r).created_at, line(r).revenue, line(r).received_at })
  end)

  it("takes placeholders without a value, and unknown ones", function()
    local r = get "kind=install&adid=a1&nonce=n2&created_at=&revenue=&idfa=&x=%7Bx%7D"
    assert.equal(200, r.status)
    assert.same({ "", "{x}" }, { line(r).idfa, line(r).x })
  end)

  it("takes the same as a form", function()
    local r = policy:post("/adjust?token=t1", "kind=session&adid=a1&nonce=n3",
      { content_type = "application/x-www-form-urlencoded" })
    assert.same({ 200, "session" }, { r.status, line(r).kind })
  end)

  it("stores a callback once that is sent again", function()
    assert.equal(1, #get("kind=install&adid=a2&nonce=n1").stored.callbacks)
    local again = get "kind=install&adid=a2&nonce=n1"
    assert.same({ 200, {} }, { again.status, again.stored })
    assert.equal(1, #get("kind=install&adid=a3&nonce=n1").stored.callbacks)
  end)

  it("stores each callback whose URL has no nonce", function()
    for _ = 1, 2 do assert.equal(1, #get("kind=click&adid=a1").stored.callbacks) end
  end)

  it("refuses what it can't read, and who does not know the token", function()
    for query, code in pairs { [""] = "missing_field", ["kind=event&revenue=much"] =
      "wrong_type", ["kind=event&created_at=noon"] = "bad_time" } do
      local r = get(query)
      assert.same({ 422, code }, { r.status, r.code })
    end
    assert.equal(403, policy:get("/adjust?kind=install").status)
    assert.equal(403, policy:get("/adjust?kind=install&token=t2").status)
  end)
end)
