-- Examples that serve several tenants: the ids of one say nothing about those of another.
local testing = require "sluice.testing"

local function read(name)
  local f = assert(io.open("conf/examples/" .. name .. ".lua"))
  local text = f:read "*a"
  f:close()
  return text
end

-- The example; what stands behind its tenant, and the other one; path, type of the body and
-- the body; the headers of both tenants, or their part in the body.
local rows = {
  { "elasticsearch", '= "demo" }', '["ApiKey two"] = "two"', "/_bulk", "application/x-ndjson",
    '{"create":{"_index":"a","_id":"1"}}\n{"n":1}\n',
    { { Authorization = "ApiKey ZGVtbzprZXk=" }, { Authorization = "ApiKey two" } } },
  { "otlp_logs", '= "demo" }', 'two = "two"', "/v1/logs", nil,
    [==[{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"attributes":
      [{"key":"log.record.uid","value":{"stringValue":"u"}}]}]}]}]}]==],
    { { ["api-key"] = "demo-key" }, { ["api-key"] = "two" } } },
  { "loki", '= "demo" }', '["Basic dHdvOnR3bw=="] = "two"', "/loki/api/v1/push", nil,
    [==[{"streams":[{"stream":{"app":"shop"},"values":[["17","up"]]}]}]==],
    { { Authorization = "Basic ZGVtbzpkZW1v" }, { Authorization = "Basic dHdvOnR3bw==" } } },
  { "splunk_hec", '= "main" }', '["Splunk two"] = "other"', "/services/collector", nil,
    [[{"event":"x","fields":{"event_id":"1"}}]],
    { { Authorization = "Splunk 00000000-0000-0000-0000-000000000000" },
      { Authorization = "Splunk two" } } },
  { "posthog", '= "demo" }', 'two = "two"', "/batch/", nil,
    [[{"api_key":"%s","batch":[{"event":"x","distinct_id":"u","uuid":"1"}]}]],
    { "phc_demo", "two" } },
  { "rudderstack", '= "demo" }', 'two = "two"', "/v1/batch", nil,
    [[{"batch":[{"type":"track","event":"x","userId":"u","messageId":"1"}]}]],
    { { Authorization = "Basic ZGVtby1rZXk6" }, { Authorization = "Basic dHdvOg==" } } },
  { "segment", '= "demo" }', 'two = "two"', "/v1/batch", nil,
    [[{"writeKey":"%s","batch":[{"type":"track","event":"x","userId":"u","messageId":"1"}]}]],
    { "demo-key", "two" } },
}

describe("an example's events with one id of two tenants", function()
  for _, row in ipairs(rows) do
    local name, tenant, other, path, type, body, senders = unpack(row, 1, 7)

    it("are both stored, and each of them once, of " .. name, function()
      local text, n = read(name):gsub(tenant:gsub("%p", "%%%0"),
        (tenant:gsub(" }$", ", " .. other .. " }")))
      assert.equal(1, n)
      local p = assert(testing.load(name .. ".lua", text))
      for try, stored in ipairs { 1, 0 } do
        for _, sender in ipairs(senders) do
          local own = _G.type(sender) == "string"
          local r = p:post(path, own and body:format(sender) or body,
            { headers = not own and sender or nil, content_type = type })
          local events = 0
          for _, list in pairs(r.stored) do events = events + #list end
          assert.same({ true, stored }, { r.status < 300, events }, try)
        end
      end
    end)
  end
end)
