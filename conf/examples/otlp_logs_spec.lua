local testing = require "sluice.testing"

describe("otlp_logs.lua", function()
  local policy = assert(testing.load("otlp_logs.lua", { env = { OTLP_API_KEY = "k1" } }))
  local AUTH = { ["api-key"] = "k1" }

  local function export(body, headers)
    return policy:post("/v1/logs", body, { headers = headers or AUTH })
  end

  local function records(list)
    return export('{"resourceLogs":[{"scopeLogs":[{"logRecords":[' .. list .. "]}]}]}")
  end

  local function partial(r) return testing.decode(r.body).partialSuccess end

  it("gives each record the resource and the scope that it came in", function()
    local r = export [==[{"resourceLogs":[
      {"resource":{"attributes":["r1"]},"scopeLogs":[
        {"scope":{"name":"s1"},"logRecords":[{"body":{"stringValue":"a"}},{"body":{"stringValue":"b"}}]},
        {"logRecords":[{"body":{"stringValue":"c"}}],"scope":{"name":"s2"}}]},
      {"scopeLogs":[{"logRecords":[{"body":{"stringValue":"d"}}]}],"resource":{"attributes":["r2"]}}]}]==]
    assert.equal(200, r.status)
    local got = {}
    for i, text in ipairs(r.stored.records) do
      local e = testing.decode(text)
      got[i] = e.body.stringValue .. e.resource.attributes[1] .. (e.scope or {name=""}).name
    end
    assert.same({ "ar1s1", "br1s1", "cr1s2", "dr2" }, got)
  end)

  it("answers full success as an exporter expects it", function()
    -- The exporter for Node warns of each answer that has a partialSuccess.
    for _, r in ipairs { records '{"body":{"stringValue":"a"}}', export '{"resourceLogs":[]}',
      export '{"resourceLogs":null}', export '{"resourceLogs":[{"resource":{}}]}', export "{}" } do
      assert.same({ 200, "{}" }, { r.status, r.body })
    end
  end)

  it("tells how many records it refuses, and keeps them", function()
    local r = records('{"severityNumber":9},{"severityNumber":25},{"traceId":"xyz"},5,'
      .. '{"n":,},{"severityNumber":1}')
    assert.same({ 200, 2, 4 }, { r.status, #r.stored.records, #r.stored.dead })
    assert.equal("4", partial(r).rejectedLogRecords)
    assert.matches("severityNumber", partial(r).errorMessage, 1, true)
  end)

  it("says 400 where all are refused, or the body is no export", function()
    for _, body in ipairs { "", "[]", "{", '{"resourceSpans":[]}', '{"resourceLogs":{}}',
        '{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"severityNumber":"x"}]}]}]}' } do
      assert.equal(400, export(body).status, body)
    end
  end)

  it("stores a record with log.record.uid once", function()
    local text = '{"attributes":[{"key":"a","value":{"intValue":"1"}},'
      .. '{"key":"log.record.uid","value":{"stringValue":"u-1"}}]}'
    local r = records(text)
    assert.equal("u-1", testing.decode(r.stored.records[1]).uid)
    assert.same({}, records(text).stored)
    assert.equal(1, #records('{"attributes":[]}').stored.records)
    assert.equal(1, #records('{"attributes":[]}').stored.records)
  end)

  it("takes odd attributes as they are", function()
    local r = records('{"attributes":[5,null,{"key":"log.record.uid"},'
      .. '{"key":"log.record.uid","value":{"intValue":"7"}}]},{"attributes":[]}')
    assert.same({ 200, 2 }, { r.status, #r.stored.records })
  end)

  it("asks for a key, and refuses protobuf", function()
    assert.same({ 401, 401 }, { export("{}", {}).status,
      export("{}", { ["api-key"] = "k2" }).status })
    assert.equal(415, policy:post("/v1/logs", "\10", { headers = AUTH,
      content_type = "application/x-protobuf" }).status)
    assert.same({ code = 16, message = "no tenant has this api-key" },
      testing.decode(export("{}", {}).body))
    assert.equal(3, testing.decode(export("{").body).code)
  end)
end)
