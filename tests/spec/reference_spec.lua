-- The texts made from words.lua: the reference, the annotations, the luacheck std.
local h = require "harness"
local reference = require "sluice.reference"
local words = require "sluice.words"

local function output(command)
  local f = io.popen(command .. "; echo rc=$?")
  local text = f:read("*a")
  f:close()
  local code = text:match("rc=(%d+)\n$")
  return text:gsub("rc=%d+\n$", ""), tonumber(code)
end

-- The options of t, by dotted name, with their specs.
local function each_option(prefix, options, visit)
  for key, spec in pairs(options) do
    visit(prefix .. key, spec)
    if spec.type == "options" then
      each_option(prefix .. key .. ".", spec.options, visit)
    end
  end
end

describe("what is made from words.lua", function()
  for form, file in pairs { markdown = "conf/REFERENCE.md",
    meta = "lua/sluice/meta.lua", luacheck = "lua/sluice/luacheck.lua" } do
    it(file .. " is current (else: ninja -C build reference)", function()
      local out, code = output(h.binary .. " reference --" .. form)
      assert.equal(0, code)
      assert.truthy(h.read(file) == out, file .. " is not what is made")
    end)
  end

  it("conf/METRICS.md is current (else: ninja -C build reference)", function()
    local metrics = dofile "tests/tools/metrics.lua"
    assert.truthy(h.read "conf/METRICS.md" == metrics.markdown(),
      "conf/METRICS.md is not what is made")
  end)

  it("the command knows its three forms", function()
    assert.equal(2, select(2, output(h.binary .. " reference --x 2>&1")))
  end)

  it("every option stands in the page, and has words that explain it", function()
    local page = reference.markdown()
    local n = 0
    for name, w in pairs(words) do
      if w.help then
        assert.truthy(page:find("### `" .. name, 1, true), name)
        each_option("", w.options, function(key, spec)
          n = n + 1
          assert.truthy(page:find("| `" .. key .. "` |", 1, true), key)
          assert.truthy(spec.help and #spec.help > 5, name .. "." .. key)
        end)
      end
    end
    assert.truthy(n > 80)
  end)

  it("prints the bounds of a rate as a policy writes them", function()
    local page = reference.markdown()
    assert.truthy(page:find("| 1/d … 1000000/s |", 1, true))
    assert.is_nil(page:find("%de%-%d"))
  end)

  it("the annotations are Lua, and name no class that is not there", function()
    local meta = reference.meta()
    assert(loadstring(meta))
    local classes, used = {}, {}
    for c in meta:gmatch("%-%-%-@class ([%w_%.]+)") do classes[c] = true end
    for c in meta:gmatch("[^%w_](sluice%.[%w_%.]+)") do
      used[c:gsub("%.$", "")] = true
    end
    for c in pairs(used) do assert.truthy(classes[c], c) end
  end)

  it("a global that a policy has not is a warning of luacheck, and no other is", function()
    local dir = h.folder()
    h.write(dir .. "/.luacheckrc", ('stds.sluice = dofile("%s/lua/sluice/luacheck.lua")\n'
      .. 'std = "sluice"\n'):format(io.popen("pwd"):read("*l")))
    h.write(dir .. "/p.lua", 'file "a" { dir = env("D", "a") }\nos.exit(1)\n'
      .. "rute(string.dump)\n")
    local out = output(("cd '%s' && luacheck --no-color --no-cache p.lua"):format(dir))
    h.remove(dir)
    assert.matches("p.lua:2:1: accessing undefined variable 'os'", out, 1, true)
    assert.matches("p.lua:3:1: accessing undefined variable 'rute'", out, 1, true)
    assert.matches("undefined field 'dump' of global 'string'", out, 1, true)
    assert.matches("Total: 3 warnings / 0 errors", out, 1, true)
  end)
end)
