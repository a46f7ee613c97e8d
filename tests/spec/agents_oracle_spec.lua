-- The parts of user agents with uap-core's file: those that its own test cases want, and
-- those that Python's ua-parser finds.
local cjson = require "cjson"
local h = require "harness"
local testing = require "sluice.testing"

local FILE = "/usr/share/uap-core/regexes.yaml"

local POLICY = [[
file "a" { dir = "a" }
stream "events" { sinks = { "a" } }
local agent = agents "regexes.yaml"
local function on_event(ev)
  local ua = ev.ua
  ev["browser.family"] = agent:get(ua, "browser.family")
  ev["browser.major"] = agent:get(ua, "browser.major")
  ev["browser.minor"] = agent:get(ua, "browser.minor")
  ev["browser.patch"] = agent:get(ua, "browser.patch")
  ev["os.family"] = agent:get(ua, "os.family")
  ev["os.major"] = agent:get(ua, "os.major")
  ev["os.minor"] = agent:get(ua, "os.minor")
  ev["os.patch"] = agent:get(ua, "os.patch")
  ev["os.patch_minor"] = agent:get(ua, "os.patch_minor")
  ev["device.family"] = agent:get(ua, "device.family")
  ev["device.brand"] = agent:get(ua, "device.brand")
  ev["device.model"] = agent:get(ua, "device.model")
  ev.ua = nil
end
route "POST /v1/events" { body = "batch", stream = "events", on_event = on_event }
]]

-- Compares what the policy stores with the lines of tests/tools/agents_pairs.py; the number
-- of user agents.
local function compare(arguments)
  local dir = h.folder()
  finally(function() h.remove(dir) end)
  h.write(dir .. "/p.lua", POLICY)
  h.write(dir .. "/regexes.yaml", h.read(FILE))
  local lines = h.shell("/usr/bin/python3 tests/tools/agents_pairs.py " .. arguments)
  local policy = assert(testing.load(dir .. "/p.lua"))
  local n, wrong = 0, {}
  for line in lines:gmatch "[^\n]+" do
    local case = cjson.decode(line)
    local r = policy:post("/v1/events", { { ua = case.ua } })
    local got = cjson.decode(r.stored.events[1])
    for name, want in pairs(case.want) do
      local section, part = name:match "(%w+)%.([%w_]+)"
      local value = got[section][part]
      if want == cjson.null then want = nil end
      if value ~= want then
        wrong[#wrong + 1] = ("%s: %s is %s, not %s"):format(case.ua, name,
          tostring(value), tostring(want))
      end
    end
    n = n + 1
  end
  assert.same({}, wrong)
  return n
end

describe("uap-core's file of user agents", function()
  local function missing()
    local there = io.open(FILE)
    if there then there:close() else pending "Debian's uap-core is not installed" end
    return not there
  end

  it("gives what its own test cases want", function()
    if missing() then return end
    assert.is_true(compare "tests" > 15000)
  end)

  it("gives what Python's ua-parser finds", function()
    if missing() then return end
    assert.is_true(compare "parser 600" >= 600)
  end)
end)
