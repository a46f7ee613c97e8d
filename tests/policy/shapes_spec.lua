-- The forms that bodies have, and what becomes of their events.
local testing = require "sluice.testing"

local function policy(routes)
  return assert(testing.load("p.lua", [[
file "a" { dir = "a" }
stream "s" { sinks = { "a" } }
]] .. routes))
end

describe("body = \"events\"", function()
  local p = policy [[
local shape = schema { v = int {} }
route "POST /" { body = "events", stream = "s", max_event = "20B", schema = shape }
route "POST /own" { body = "events", stream = "s",
  types = { "text/plain", "application/x-ndjson" } }
]]

  it("takes one object, an array, and values one behind the other", function()
    for body, lines in pairs {
      ['{"v":1}'] = { '{"v":1}' },
      ['[{"v":1},{"v":2}]'] = { '{"v":1}', '{"v":2}' },
      ['{"v":1}{"v":2}'] = { '{"v":1}', '{"v":2}' },
      ['{"v":1} {"v":2}\n{"v":3}\n'] = { '{"v":1}', '{"v":2}', '{"v":3}' },
      ['[{"v":1}]\n[{"v":2}]'] = { '{"v":1}', '{"v":2}' },
      ['\239\187\191{"v":1}{"v":2}'] = { '{"v":1}', '{"v":2}' },
      ['\239\187\191 [{"v":1}]'] = { '{"v":1}' },
      ['{\n"v":1}\n{"v":\n2}'] = { '{ "v":1}', '{"v": 2}' },
    } do
      local r = p:post("/", body)
      assert.equal(202, r.status, body)
      assert.same(lines, r.stored.s, body)
    end
    assert.same({ '{"v":1}', '{"v":2}' }, p:post("/own", '{"v":1}{"v":2}',
      { content_type = "text/plain" }).stored.s)
  end)

  it("refuses a bad event alone, and a body that is no JSON as a whole", function()
    local r = p:post("/", '{"v":1}{"v":"x"}[{"v":3},7]')
    assert.same({ 202, 2, 2 }, { r.status, r.accepted, r.rejected })
    assert.equal("wrong_type", r.events[2].code)
    assert.equal("not_an_object", r.events[4].code)
    assert.equal(422, p:post("/", '{"v":"x"}').status)
    for _, body in ipairs { '{"v":1},{"v":2}', '{"v":1}{"v":', "5", '{"v":1}true' } do
      r = p:post("/", body)
      assert.same({ 400, "invalid_json" }, { r.status, r.code }, body)
    end
    r = p:post("/", '{"v":1}\n{"v":2}{"v":3}\n{"v":4}\n',
      { content_type = "application/x-ndjson" })
    assert.same({ 2, 1 }, { r.accepted, r.rejected })
  end)

  it("refuses an event beyond max_event alone", function()
    local long = ('{"v":1,"x":"%s"}'):format(("y"):rep(6))
    assert.equal(20, #long)
    local r = p:post("/", long .. long:gsub("y", "yy", 1) .. '{"v":2}')
    assert.same({ 2, 1 }, { r.accepted, r.rejected })
    assert.equal("event_too_large", r.events[2].code)
    assert.equal("21 bytes, more than the allowed 20", r.events[2].message)
    assert.equal(422, p:post("/", (long:gsub("y", "yy", 1))).status)
  end)
end)
