local testing = require "sluice.testing"

describe("cloudevents.lua", function()
  local policy = assert(testing.load "cloudevents.lua")
  local n = 1

  local function ce(over)
    n = n + 1
    local h = { ["ce-specversion"] = "1.0", ["ce-id"] = "e" .. n, ["ce-source"] = "/a",
      ["ce-type"] = "t" }
    for k, v in pairs(over or {}) do h[k] = v or nil end
    return h
  end

  local function binary(body, over)
    return policy:post("/events", body, { headers = ce(over) })
  end

  it("stores one event from each mode", function()
    local text = [[{"specversion":"1.0","id":"1","source":"/a","type":"t",]]
      .. [["datacontenttype":"application/json","data":{"n":[1.50]}}]]
    local one = policy:post("/events", text,
      { content_type = "application/cloudevents+json; charset=utf-8" })
    local text2 = text:gsub('"id":"1"', '"id":"2"')
    local many = policy:post("/events", "[" .. text2 .. "]",
      { content_type = "application/cloudevents-batch+json" })
    local parts = binary([[{"n":[1.50]}]], { ["ce-id"] = "3" })
    assert.same({ text }, one.stored.events)
    assert.same({ text2 }, many.stored.events)
    assert.same(testing.decode((text:gsub('"id":"1"', '"id":"3"'))),
      testing.decode(parts.stored.events[1]))
    assert.matches('"data":{"n":[1.50]}', parts.stored.events[1], 1, true)
  end)

  it("stores an event once that comes in two modes", function()
    local text = [[{"specversion":"1.0","id":"twice","source":"/a","type":"t"}]]
    assert.equal(1, #policy:post("/events", text,
      { content_type = "application/cloudevents+json" }).stored.events)
    local again = binary(nil, { ["ce-id"] = "twice" })
    assert.same({ 202, {} }, { again.status, again.stored })
    local other = binary(nil, { ["ce-id"] = "twice", ["ce-source"] = "/b" })
    assert.equal(1, #other.stored.events)
  end)

  it("keeps text as text and bytes as base64", function()
    local r = binary("<a>é</a>", { ["content-type"] = "application/xml" })
    assert.equal("<a>é</a>", testing.decode(r.stored.events[1]).data)
    r = binary("\0\1\255", { ["content-type"] = "image/png" })
    local e = testing.decode(r.stored.events[1])
    assert.same({ nil, "AAH/" }, { e.data, e.data_base64 })
  end)

  it("refuses data that would be too large as JSON", function()
    local r = binary(("\1"):rep(2000000), { ["content-type"] = "text/plain" })
    assert.same({ 413, "too_large" }, { r.status, r.code })
    r = binary(("\1"):rep(2000000), { ["content-type"] = "image/png" })
    assert.equal(202, r.status)
  end)

  it("refuses data that is not the JSON that it says", function()
    local r = binary([[1,"type":"other"]])
    assert.same({ 400, "invalid_json" }, { r.status, r.code })
  end)

  it("requires what the specification requires", function()
    for _, name in ipairs { "id", "source", "type" } do
      local r = binary("{}", { ["ce-" .. name] = false })
      assert.same({ 422, "missing_field", name }, { r.status, r.code, r.field })
    end
    assert.equal("not_in_enum", binary("{}", { ["ce-specversion"] = "0.3" }).code)
    assert.equal("bad_time", binary("{}", { ["ce-time"] = "noon" }).code)
  end)

  it("tells other requests what it takes", function()
    local r = policy:post("/events", "{}")
    assert.same({ 400, "not_a_cloudevent" }, { r.status, r.code })
    r = policy:post("/events", "", { content_type = "application/cloudevents+avro" })
    assert.equal(415, r.status)
  end)
end)
