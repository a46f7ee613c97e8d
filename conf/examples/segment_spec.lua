local testing = require "sluice.testing"

describe("segment.lua", function()
  local NOON = "2025-06-01T12:00:00Z"
  local policy = assert(testing.load("segment.lua",
    { env = { SEGMENT_WRITE_KEY = "k1" }, time = NOON }))
  local BASIC = { Authorization = "Basic azE6" } -- k1:

  local function line(r, stream)
    return testing.decode(r.stored[stream or "calls"][1])
  end

  it("answers a batch as Segment does", function()
    local r = policy:post("/v1/batch", { batch = {
      { type = "track", event = "Paid", userId = "u" } } }, { headers = BASIC })
    assert.same({ 200, '{"success":true}' }, { r.status, r.body })
    assert.equal("demo", line(r).source)
    assert.equal(1748779200000, line(r).receivedAt)
  end)

  it("gives each call what stands around it, and not what it has", function()
    local r = policy:post("/v1/batch", [[{
      "sentAt": "2025-06-01T11:59:59.000Z", "context": { "n": 1.50 },
      "batch": [{"type":"page","userId":"u"},
                {"type":"page","userId":"u","context":{"own":true}}] }]],
      { headers = BASIC })
    assert.matches('"context":{ "n": 1.50 }', r.events[1].line, 1, true)
    assert.matches('"context":{"own":true}', r.events[2].line, 1, true)
    for _, e in ipairs(r.events) do
      assert.matches('"sentAt":"2025-06-01T11:59:59.000Z"', e.line, 1, true)
    end
  end)

  it("takes a browser's key from the body, and does not keep it", function()
    local r = policy:post("/v1/t", [[{"writeKey":"k1","anonymousId":"a","event":"x"}]],
      { content_type = "text/plain;charset=UTF-8" })
    assert.equal(200, r.status)
    assert.same({ nil, "track" }, { line(r).writeKey, line(r).type })
  end)

  it("refuses an unknown key, at the door where it can", function()
    local r = policy:post("/v1/batch", { batch = {} },
      { headers = { Authorization = "Basic b3RoZXI6" } })
    assert.same({ 401, "unknown_key" }, { r.status, r.code })
    assert.truthy(r.headers["www-authenticate"])
    r = policy:post("/v1/b", { writeKey = "other", batch = { { type = "page",
      userId = "u" } } })
    assert.same({ 400, "unknown_key" }, { r.status, r.code })
  end)

  it("says 400 to what is no batch", function()
    for _, body in ipairs { "", "{", "[]", '{"batch":{}}', '{"events":[]}' } do
      assert.equal(400, policy:post("/v1/batch", body, { headers = BASIC }).status)
    end
  end)

  it("keeps a call that it refuses beside others, for the answer says success", function()
    local r = policy:post("/v1/batch", { batch = {
      { type = "page", userId = "u" },
      { type = "page", userId = "u", writeKey = "no" },
      { type = ("x"):rep(20), userId = "v" } } }, { headers = BASIC })
    assert.same({ 200, '{"success":true}', 2, 1 }, { r.status, r.body,
      #r.stored.calls, #r.stored.dead })
    local letter = testing.decode(r.stored.dead[1])
    assert.same({ "too_long", "v", "type" }, { letter.reason, letter.event.userId,
      r.events[3].field })
  end)

  it("keeps aside what Segment would pass over", function()
    local r = policy:post("/v1/batch", { batch = {
      { type = "track", event = "x" }, { type = "track", userId = "u" },
      { type = "wave", userId = "u" }, { userId = "u" } } }, { headers = BASIC })
    assert.equal(200, r.status)
    assert.is_nil(r.stored.calls)
    assert.equal(4, #r.stored.strange)
    assert.equal("neither userId nor anonymousId", line(r, "strange").problem)
  end)

  it("decides by itself what is strange", function()
    local r = policy:post("/v1/track", { userId = "u", event = "x", problem = "mine" },
      { headers = BASIC })
    assert.same({ "calls" }, r.streams)
    assert.equal("mine", line(r).problem)
  end)

  it("stores a call once that comes twice", function()
    local function send()
      return policy:post("/v1/track", { userId = "u", event = "x",
        messageId = "m-1" }, { headers = BASIC })
    end
    assert.equal(1, #send().stored.calls)
    local again = send()
    assert.same({ 200, {} }, { again.status, again.stored })
  end)

  it("knows the calls by their paths, long and short", function()
    for path, kind in pairs { track = "track", t = "track", i = "identify",
      identify = "identify", p = "page", s = "screen", g = "group", a = "alias" } do
      local r = policy:post("/v1/" .. path, { userId = "u", event = "x" },
        { headers = BASIC })
      assert.equal(kind, line(r).type)
    end
    local r = policy:post("/v1/wave", { userId = "u" }, { headers = BASIC })
    assert.same({ "strange" }, r.streams)
  end)
end)
