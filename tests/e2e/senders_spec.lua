local campaign = require "campaign"

-- Clients of analytics, unchanged, against the policies of conf/examples.
local function field(key)
  return function(e) return e[key] and e[key].n end
end

local CLIENTS = {
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
    end)
  end
end)
