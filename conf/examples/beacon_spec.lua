local testing = require "sluice.testing"

describe("beacon.lua", function()
  local policy = assert(testing.load("beacon.lua", { time = "2025-06-01T12:00:00Z" }))
  local PAGE = { Origin = "https://shop.example" }

  it("takes a text with one event, an array, and several one behind the other", function()
    local n = 0
    for count, body in pairs { [1] = '{"id":"%d","name":"x"}',
      [2] = '[{"id":"%d","name":"x"},{"id":"%d-","name":"x"}]',
      [3] = '{"id":"%d","name":"x"}\n{"id":"%d-","name":"x"}{"id":"%d--","name":"x"}' } do
      n = n + 1
      local r = policy:post("/collect", (body:gsub("%%d", n)),
        { content_type = "text/plain;charset=UTF-8", headers = PAGE })
      assert.same({ 200, "{}", count }, { r.status, r.body, #r.stored.events })
      assert.equal("https://shop.example", testing.decode(r.stored.events[1]).origin)
    end
  end)

  it("lets pages read the answer, so that they know what to forget", function()
    for id, body in pairs { o1 = '{"id":"o1","name":"x"}', o2 = "{" } do
      local r = policy:post("/collect", body, { headers = PAGE })
      assert.equal(id == "o1" and 200 or 400, r.status)
      assert.equal("*", r.headers["access-control-allow-origin"])
    end
  end)

  it("stores an event once that a page sends again", function()
    local e = { id = "again", name = "x" }
    assert.equal(1, #policy:post("/collect", e).stored.events)
    local r = policy:post("/form", "id=again&name=x",
      { content_type = "application/x-www-form-urlencoded" })
    assert.same({ 200, {} }, { r.status, r.stored })
  end)

  it("refuses what is no event", function()
    for body, status in pairs { ["{"] = 400, ["1"] = 400, ['{"id":"q"}'] = 422,
      ['{"id":"","name":"x"}'] = 422 } do
      assert.equal(status, policy:post("/collect", body,
        { content_type = "text/plain" }).status)
    end
  end)
end)
