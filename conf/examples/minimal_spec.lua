local testing = require "sluice.testing"

describe("minimal.lua", function()
  local policy = assert(testing.load "minimal.lua")

  it("stores any JSON object as it was sent", function()
    local r = policy:post("/v1/events", [=[[{"hello": "world"},{}]]=])
    assert.equal(202, r.status)
    assert.same({ events = { '{"hello": "world"}', "{}" } }, r.stored)
  end)

  it("takes a line an event as well", function()
    local r = policy:post("/v1/events", '{"n":1}\n{"n":2}\n',
      { content_type = "application/x-ndjson" })
    assert.same({ '{"n":1}', '{"n":2}' }, r.stored.events)
  end)

  it("refuses what is no object, and keeps the rest", function()
    local r = policy:post("/v1/events", { 1, { n = 2 } })
    assert.same({ "not_an_object", nil }, { r.events[1].code, r.events[2].code })
    assert.same({ '{"n":2}' }, r.stored.events)
  end)

  it("says where a body stops being JSON", function()
    local r = policy:post("/v1/events", '[{"n":1},')
    assert.same({ 400, "invalid_json", 9 }, { r.status, r.code, r.json.offset })
  end)
end)
