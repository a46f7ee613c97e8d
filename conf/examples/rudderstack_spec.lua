local testing = require "sluice.testing"

describe("rudderstack.lua", function()
  local policy = assert(testing.load("rudderstack.lua",
    { env = { RUDDERSTACK_WRITE_KEY = "k1" }, time = "2025-06-01T12:00:00Z" }))
  local BASIC = { Authorization = "Basic azE6" } -- k1:

  local function line(r) return testing.decode(r.stored.calls[1]) end

  it("answers a batch as RudderStack does", function()
    local r = policy:post("/v1/batch", { sentAt = "2025-06-01T12:00:00.000Z", batch = {
      { type = "track", event = "Paid", userId = "u" } } }, { headers = BASIC })
    assert.same({ 200, "OK" }, { r.status, r.body })
    assert.same({ "demo", 1748779200000, "2025-06-01T12:00:00.000Z" },
      { line(r).source, line(r).receivedAt, line(r).sentAt })
  end)

  it("takes a batch that the library calls a form, and a page's beacon", function()
    local body = [[{"batch":[{"type":"page","anonymousId":"a"}]}]]
    local r = policy:post("/v1/batch", body, { headers = BASIC,
      content_type = "application/x-www-form-urlencoded" })
    assert.equal(1, #r.stored.calls)
    r = policy:post("/beacon/v1/batch?writeKey=k1", body,
      { content_type = "text/plain;charset=UTF-8" })
    assert.equal(1, #r.stored.calls)
  end)

  it("names a call by its path", function()
    for _, call in ipairs { "track", "identify", "page", "screen", "group", "alias" } do
      local r = policy:post("/v1/" .. call, { userId = "u", event = "x" },
        { headers = BASIC })
      assert.equal(call, line(r).type)
    end
    local r = policy:post("/v1/wave", { userId = "u" }, { headers = BASIC })
    assert.same({ 400, "unknown_call" }, { r.status, r.code })
  end)

  it("tells a wrong key at the door", function()
    for _, how in ipairs { {}, { headers = { Authorization = "Basic b3RoZXI6" } } } do
      local r = policy:post("/v1/batch", { batch = {} }, how)
      assert.same({ 401, "unknown_key" }, { r.status, r.code })
    end
  end)

  it("refuses what is no call", function()
    for code, call in pairs { no_user = { type = "page" }, unknown_call = { userId = "u" },
      no_event = { type = "track", userId = "u" },
      bad_time = { type = "page", userId = "u", originalTimestamp = "noon" } } do
      local r = policy:post("/v1/batch", { batch = { call } }, { headers = BASIC })
      assert.same({ 400, code }, { r.status, r.code })
    end
  end)

  it("stores a call once that comes twice", function()
    local function send()
      return policy:post("/v1/batch", { batch = { { type = "page", userId = "u",
        messageId = "m" } } }, { headers = BASIC })
    end
    assert.equal(1, #send().stored.calls)
    assert.same({}, send().stored)
  end)
end)
