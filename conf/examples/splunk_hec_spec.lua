local testing = require "sluice.testing"

describe("splunk_hec.lua", function()
  local NOON = "2025-06-01T12:00:00Z"
  local policy = assert(testing.load("splunk_hec.lua",
    { env = { SPLUNK_HEC_TOKEN = "t-1" }, time = NOON }))
  local AUTH = { Authorization = "Splunk t-1" }

  local function send(body, path, headers)
    return policy:post(path or "/services/collector/event", body,
      { headers = headers or AUTH, content_type = "application/x-www-form-urlencoded" })
  end

  it("takes events one behind the other, of any content type", function()
    local r = send '{"event":"a"}{"event":{"n":1.50}}\n{"event":[1]} {"event":2}'
    assert.same({ 200, '{"text":"Success","code":0}', 4 },
      { r.status, r.body, #r.stored.events })
  end)

  it("stores a time in milliseconds, of seconds and of text", function()
    local r = send('{"time":1748779200.5,"event":"a"}{"time":"1748779201","event":"b"}'
      .. '{"event":"c"}')
    local times = {}
    for i, line in ipairs(r.stored.events) do times[i] = testing.decode(line).time end
    assert.same({ 1748779200500, 1748779201000, 1748779200000 }, times)
  end)

  it("gives an event its token's index, unless it has one", function()
    local r = send '{"event":"a"}{"event":"b","index":"web"}'
    assert.same({ "main", "web" }, { testing.decode(r.stored.events[1]).index,
      testing.decode(r.stored.events[2]).index })
  end)

  it("keeps what it refuses beside others", function()
    local r = send '{"event":"a"}{"host":"h"}{"event":""}{"event":null}{"time":5,"event":"x"}'
    assert.same({ 200, 1, 4 }, { r.status, #r.stored.events, #r.stored.dead })
  end)

  it("says 400 to what is no event", function()
    for _, body in ipairs { "", "{", "5", '{"event":"a"}{"event":', '{"event":"a"},{}',
        '{"fields":{}}' } do
      local r = send(body)
      assert.same({ 400, {} }, { r.status, r.stored.events or {} }, body)
    end
  end)

  it("stores an event that the application names once", function()
    local body = '{"event":"a","fields":{"event_id":"e-1"}}'
    assert.equal(1, #send(body).stored.events)
    assert.same({ 200, {} }, { send(body).status, send(body).stored })
  end)

  it("asks for a token: 401 without, 403 for an unknown one", function()
    local r = send('{"event":"a"}', nil, {})
    assert.same({ 401, "token_required" }, { r.status, r.code })
    r = send('{"event":"a"}', nil, { Authorization = "Splunk t-2" })
    assert.same({ 403, "invalid_token" }, { r.status, r.code })
    r = send('{"event":"a"}', nil, { Authorization = "Basic t-1" })
    assert.same({ 401, "invalid_authorization" }, { r.status, r.code })
  end)

  it("tells each refusal by Splunk's number", function()
    for _, row in ipairs {
      { 2, 401, '{"event":"a"}', {} },
      { 3, 401, '{"event":"a"}', { Authorization = "Basic t-1" } },
      { 4, 403, '{"event":"a"}', { Authorization = "Splunk t-2" } },
      { 5, 400, "", { Authorization = "Splunk t-1", ["Content-Length"] = "0" } },
      { 6, 400, "{" }, { 6, 400, '{"event":"a","index":5}' },
      { 6, 413, (" "):rep(2 ^ 20 + 1) },
      { 12, 400, '{"host":"h"}' }, { 13, 400, '{"event":""}' },
    } do
      local r = send(row[3], nil, row[4])
      local got = testing.decode(r.body)
      assert.same({ row[1], row[2], true },
        { got.code, r.status, type(got.text) == "string" and got.text ~= "" }, r.body)
    end
  end)

  it("serves the other names of the collector, and its health", function()
    for _, path in ipairs { "/services/collector", "/services/collector/event/1.0" } do
      assert.equal(200, send('{"event":"a"}', path).status)
    end
    local r = policy:request("GET", "/services/collector/health")
    assert.same({ 200, 17, {} }, { r.status, testing.decode(r.body).code, r.stored })
  end)
end)
