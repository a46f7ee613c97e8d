-- The access log's word and its mistakes. Rows as in diagnostics_spec.lua.
local checking = require "spec.checking"

local BASE = [[
file "a" { dir = "a" }
stream "events" { sinks = { "a" } }
route "POST /v1/events" { body = "event", stream = "events" }
]]

local rows = {
  { "a second access log",
    "{BASE}access_log {}\naccess_log {}",
    [[p.lua:5: access_log: is given twice, first in line 4]] },
  { "a share that is a number",
    [[{BASE}access_log { sample = 0.1 }]],
    [[p.lua:4: access_log.sample: 0.1 is not a share such as "10%"]] },
  { "a share over all",
    [[{BASE}access_log { sample = "101%" }]],
    [[p.lua:4: access_log.sample: "101%" is more than 100%]] },
  { "a sample without a line",
    [[{BASE}access_log { sample = "0%" }]],
    [[p.lua:4: access_log.sample: no request would have a line: give a larger share, or always = "refused"]] },
  { "a folder instead of a file",
    [[{BASE}access_log { path = "logs/" }]],
    [[p.lua:4: access_log.path: "logs/" is not the path of a file]] },
  { "a misspelt option",
    [[{BASE}access_log { fromat = "json" }]],
    [[p.lua:4: access_log.fromat: unknown key; did you mean "format"?]] },
  { "a size below the least",
    [[{BASE}access_log { max_size = "1KiB" }]],
    [[p.lua:4: access_log.max_size: "1KiB" is less than 64KiB]] },
}

describe("sluice check", function()
  local c = checking.new(BASE)
  teardown(c.remove)

  for _, row in ipairs(rows) do
    it("names " .. row[1], function()
      local out, code = c.problems(row[2])
      assert.equal(1, code)
      assert.equal(row[3], out)
    end)
  end

  it("takes an access log by defaults and by each option", function()
    for _, text in ipairs { "{}", [[{ sample = "0%", always = "refused" }]],
      [[{ path = "/var/log/a", format = "json", sample = "1%", always = "refused",
      max_size = "1MiB", keep = 3 }]] } do
      local out, code = c.check("{BASE}access_log " .. text)
      assert.equal(0, code, out)
    end
  end)
end)
