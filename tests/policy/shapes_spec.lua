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

describe("events in lists of lists", function()
  -- An export of OpenTelemetry logs (OTLP/JSON), as its collector sends it.
  local LOGS = [[
{"resourceLogs":[
  {"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"shop"}}]},
   "scopeLogs":[
    {"scope":{"name":"cart","version":"1.0"},
     "logRecords":[
      {"timeUnixNano":"1763900000123456789","severityText":"INFO","body":{"stringValue":"a"}},
      {"timeUnixNano":"1763900001000000000","body":{"stringValue":"b"},"scope":"own"}]},
    {"scope":{},"logRecords":[]},
    {"logRecords":[{"timeUnixNano":"5","body":{"stringValue":"c"}}],"scope":{"name":"pay"}}],
   "schemaUrl":"https://opentelemetry.io/schemas/1.21.0"},
  {"scopeLogs":[{"logRecords":[{"timeUnixNano":"1763900002000000000"}]}]},
  {"resource":{"attributes":[]}}]}]]

  it("get the values of each object around them", function()
    local p = policy [[
route "POST /v1/logs" { body = "batch", stream = "s",
  events = "resourceLogs[].scopeLogs[].logRecords[]",
  envelope = { resource = "resourceLogs[].resource.attributes",
    scope = "resourceLogs[].scopeLogs[].scope.name", url = "resourceLogs[].schemaUrl" },
  schema = schema { timeUnixNano = time { formats = { "number" }, unit = "ns" },
    scope = str { max = 4 } } }
]]
    local r = p:post("/v1/logs", LOGS)
    assert.same({ 202, 3, 1 }, { r.status, r.accepted, r.rejected })
    local resource = [=["resource":[{"key":"service.name","value":{"stringValue":"shop"}}]]=]
    local url = [["url":"https://opentelemetry.io/schemas/1.21.0"]]
    assert.same({
      [[{"timeUnixNano":1763900000123,"severityText":"INFO","body":{"stringValue":"a"},]]
        .. resource .. [[,"scope":"cart",]] .. url .. "}",
      [[{"timeUnixNano":1763900001000,"body":{"stringValue":"b"},"scope":"own",]]
        .. resource .. "," .. url .. "}",
      [[{"timeUnixNano":1763900002000}]] }, r.stored.s)
    assert.equal("bad_time", r.events[3].code)
  end)

  it("are checked with those values, and bounded as copies are", function()
    local p = policy [[
server { max_body = "64KiB" }
route "POST /" { body = "batch", stream = "s", events = "groups[].list[]",
  envelope = { user = "groups[].user", app = "app" },
  schema = schema { user = str { required = true, cut = 3 }, ["app.v"] = int {} } }
]]
    local r = p:post("/", [[{"groups":[{"list":[{"a":1},{"a":2,"user":"me"}],"user":"ann!"},
      {"list":[{"a":3}]}],"app":{"v":"x"}}]])
    assert.same({ "wrong_type", "wrong_type", "missing_field" },
      { r.events[1].code, r.events[2].code, r.events[3].code })
    r = p:post("/", [[{"app":{"v":1},"groups":[{"list":[{"a":1},{"a":2,"user":"me"}],
      "user":"ann!"}]}]])
    assert.same({ [[{"a":1,"app":{"v":1},"user":"ann"}]], [[{"a":2,"user":"me","app":{"v":1}}]] },
      r.stored.s)
    local list = ('{"a":1},'):rep(2000)
    r = p:post("/", ('{"groups":[{"user":"%s","list":[%s{}]}]}'):format(("u"):rep(900), list))
    assert.same({ 413, "copies_too_large" }, { r.status, r.code })
    r = p:post("/", '{"groups":[{"list":5}]}')
    assert.same({ 400, 'expected an array at "groups[].list"' }, { r.status, r.json.detail })
  end)
end)

describe("a batch of rows", function()
  -- The place of the mistake is not that in the body, but the event is no JSON all the same.
  it("keeps an element that is no JSON as a text", function()
    local p = policy [[
route "POST /x" { body = "batch", columns = { "a", "b" }, stream = "s",
  answer = { status = 200, body = "{}" } }
route "POST /y" { body = "batch", columns = { "a", "b" }, stream = "s",
  answer = { status = 200, body = "[{$items}]", item = "0",
    item_refused = '{"a":"{a}","code":"{$code}"}' } }
route "POST /z" { body = "batch", columns = { "a", "b" }, stream = "s" }
]]
    local body = '[["1","x"],{"a":}]'
    local r = p:post("/x", body)
    assert.equal('{"a":}', testing.decode(r.stored.dead[1]).event)
    assert.equal('[0,{"a":"","code":"invalid_json"}]', p:post("/y", body).body)
    assert.is_nil(testing.decode(p:post("/z", body).body).errors[1].offset)
  end)
end)

describe("a route's encoding", function()
  it("leaves a query as it is, which is no body", function()
    local p = policy [[
route { "GET", "POST", "/any" } { body = "any", stream = "s", encoding = "query:compression" }
route { "GET", "POST", "/seen" } { body = "any", stream = "s", encoding = "detect" }
]]
    for _, how in ipairs { "gzip-js", "br", "lz64", "base64" } do
      local r = p:get("/any?v=1&compression=" .. how)
      assert.same({ 202, { '{"v":"1","compression":"' .. how .. '"}' } }, { r.status, r.stored.s })
    end
    assert.equal(202, p:get("/seen?v=1").status)
    assert.equal(400, p:post("/any?compression=br", "").status)
    assert.equal(415, p:post("/any?compression=lz64", "{}").status)
  end)
end)
