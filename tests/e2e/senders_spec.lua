local campaign = require "campaign"
local cjson = require "cjson"
local h = require "harness"

-- Clients of analytics, unchanged, against the policies of conf/examples.
local function field(key)
  return function(e) return e[key] and e[key].n end
end

local CLIENTS = {
  { name = "@opentelemetry/exporter-logs-otlp-http", example = "otlp_logs",
    script = "otlp_logs", package = "@opentelemetry/exporter-logs-otlp-http 0.223.1",
    args = { "demo-key" },
    number = function(e) return e.uid and tonumber(e.uid:match("^r%-(%d+)$")) end },
  { name = "@elastic/elasticsearch", example = "elasticsearch", script = "elasticsearch",
    package = "@elastic/elasticsearch 9.2.0", args = { "ZGVtbzprZXk=" },
    number = function(e) return e.n end },
  { name = "splunk-logging", example = "splunk_hec", script = "splunk_hec",
    package = "splunk-logging 0.11.1", args = { "00000000-0000-0000-0000-000000000000" },
    number = function(e) return e.event.n end },
  { name = "winston-loki", example = "loki", script = "loki",
    package = "winston-loki 6.1.7", args = { "demo:demo" },
    number = function(e) return tonumber(e.line:match("^line (%d+)")) end },
  { name = "@segment/analytics-node", example = "segment", script = "segment",
    package = "@segment/analytics-node 3.1.0", args = { "demo-key" },
    number = field "properties" },
  { name = "cloudevents", example = "cloudevents", script = "cloudevents",
    package = "cloudevents 10.0.0", number = field "data" },
  { name = "posthog-node", example = "posthog", script = "posthog_node",
    package = "posthog-node 5.70.0", args = { "phc_demo" }, number = field "properties" },
  { name = "posthog-js-lite", example = "posthog", script = "posthog_lite",
    package = "posthog-js-lite 4.12.1", args = { "phc_demo" },
    number = field "properties" },
  { name = "@rudderstack/rudder-sdk-node", example = "rudderstack",
    script = "rudderstack", package = "@rudderstack/rudder-sdk-node 3.0.13",
    args = { "demo-key" }, number = field "properties" },
  { name = "@snowplow/node-tracker, POST", example = "snowplow", script = "snowplow",
    package = "@snowplow/node-tracker 4.8.0", args = { "post" },
    number = function(e) return tonumber(e.se_va) end },
  { name = "@snowplow/node-tracker, GET", example = "snowplow", script = "snowplow",
    package = "@snowplow/node-tracker 4.8.0", args = { "get" },
    number = function(e) return tonumber(e.se_va) end },
}

describe("over three reloads and a kill -9", function()
  local result

  setup(function() result = campaign.start(CLIENTS) end)

  for _, c in ipairs(CLIENTS) do
    it("each event of " .. c.name .. " is stored once", function()
      local r, why = result(c)
      if not r then
        pending(why)
        return
      end
      print(campaign.figures(c, r))
      assert.same({ lost = {}, twice = {}, strange = {} },
        { lost = r.lost, twice = r.twice, strange = r.strange }, r.said)
      assert(r.again > 0, "the kill found no event without its answer")
    end)
  end
end)

describe("conf/examples/posthog.lua", function()
  local s

  setup(function()
    s = h.server { policy = h.read("conf/examples/posthog.lua") }
  end)
  teardown(function() s:close() end)

  local function gzip(text)
    h.write(s.dir .. "/body", text)
    os.execute(("gzip -c '%s/body' > '%s/body.gz'"):format(s.dir, s.dir))
    return h.read(s.dir .. "/body.gz")
  end

  it("takes gzip that the query, the header or nothing tells of", function()
    local event = [[{"event":"x","distinct_id":"u","properties":{"token":"phc_demo"}}]]
    local n = 0
    for path, encoding in pairs {
      ["/e/?compression=gzip-js&ip=0&_=1735689600000&ver=1.200.0"] = false,
      ["/i/v0/e/?ip=0"] = false, ["/batch/"] = "gzip" } do
      for _, body in ipairs { event, "[" .. event .. "]",
        [[{"api_key":"phc_demo","batch":[]] .. event .. "]}" } do
        local a = s:post(path, gzip(body), { ["Content-Type"] = "text/plain",
          ["Content-Encoding"] = encoding or nil })
        n = n + 1
        assert.same({ 200, '{"status":1}' }, { a.status, a.body })
      end
    end
    assert.equal(n, s:metric("sluice_stored_events_total"))
  end)

  it("answers a browser that asks before it sends, and one that asks for flags", function()
    local a = h.request(s.port, "OPTIONS", "/e/", nil, { Origin = "https://shop.example",
      ["Access-Control-Request-Method"] = "POST",
      ["Access-Control-Request-Headers"] = "content-type" })
    assert.same({ 204, "*" }, { a.status, a.headers["access-control-allow-origin"] })
    a = s:post("/flags/?v=2&config=true", gzip [[{"token":"phc_demo","distinct_id":"u"}]],
      { ["Content-Type"] = "text/plain" })
    assert.same({ 200, false }, { a.status, cjson.decode(a.body).errorsWhileComputingFlags })
  end)

  it("keeps what it refuses, with its reason, for a client drops it", function()
    local a = s:post("/batch/", [[{"api_key":"other","batch":[{"event":"x","n":7}]}]])
    assert.equal(400, a.status)
    assert.equal(0, s:stop())
    local records = s:lines("refused")
    assert.equal(1, #records)
    local record = cjson.decode(records[1])
    assert.same({ "unknown_token", [[{"event":"x","n":7}]] },
      { record.refused.code, record.raw })
  end)
end)
