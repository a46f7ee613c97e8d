local h = require "harness"

local POLICY = [[
server { listen = "127.0.0.1:0" }
file "archive" { dir = "archive" }
stream "events" { sinks = { "archive" } }
route "POST /v1/events" { body = "event", stream = "events",
  on_event = require "rules" }
]]
local RULES = [[
return function(ev) if ev.bad then return reject("bad") end end
]]
local SPEC = [[
local testing = require "sluice.testing"
local words = require "words"
describe("p.lua", function()
  local p = assert(testing.load "p.lua")
  it("takes what is good", function()
    assert.equal(words.yes, p:post("/v1/events", { n = 1 }).status)
  end)
  it("refuses what is bad", function()
    assert.equal("bad", p:post("/v1/events", { bad = true }).code)
  end)
end)
]]

describe("sluice test", function()
  local dir
  before_each(function()
    dir = h.folder()
    h.write(dir .. "/p.lua", POLICY)
    h.write(dir .. "/rules.lua", RULES)
    h.write(dir .. "/p_spec.lua", SPEC)
    h.write(dir .. "/words.lua", "return { yes = 202 }")
  end)
  after_each(function() h.remove(dir) end)

  local function test(args, env)
    local out = h.shell(("(cd /; %s %s/sluice test %s) 2>&1; echo exit=$?")
      :format(env or "", h.shell("realpath " .. h.build):gsub("\n", ""), args))
    return out:gsub("exit=%d+\n$", ""), tonumber(out:match("exit=(%d+)\n$"))
  end

  it("runs the specs of a folder, which find the policy and each other's files",
  function()
    local out, code = test(dir .. " -- --output=TAP", "TMPDIR=" .. dir)
    assert.equal(0, code, out)
    assert.matches("ok 1 %- p.lua takes what is good", out)
    assert.matches("ok 2 %- p.lua refuses what is bad", out)
    assert.not_matches("kit", h.shell("ls " .. dir)) -- it cleans up
  end)

  it("takes a policy or a spec as well, and exits as busted does", function()
    assert.equal(0, select(2, test(dir .. "/p.lua")))
    assert.equal(0, select(2, test(dir .. "/p_spec.lua")))
    h.write(dir .. "/p_spec.lua", SPEC:gsub('"bad", p', '"good", p'))
    local out, code = test(dir .. "/p.lua -- --output=TAP")
    assert.equal(1, code)
    assert.matches("not ok 2 %- p.lua refuses what is bad", out)
    assert.matches("p_spec.lua:%d+: Expected objects to be equal", out)
  end)

  it("checks every policy of the folder, but not what they require", function()
    h.write(dir .. "/rules.lua", RULES .. [[
-- route "POST /no" {}
]])
    h.write(dir .. "/q.lua", POLICY:gsub("sinks = ", "sink = "))
    local out, code = test(dir)
    assert.equal(1, code)
    assert.matches("q.lua:3: stream \"events\".sink: unknown key", out)
    assert.matches("2 successes", out)
  end)

  it("says what is missing", function()
    local out, code = test(dir, "PATH=/nowhere")
    assert.equal(3, code)
    assert.matches("busted is not installed: apt%-get install lua%-busted", out)
    os.remove(dir .. "/p_spec.lua")
    out, code = test(dir)
    assert.equal(2, code)
    assert.matches("has no file %*_spec.lua", out)
    out, code = test(dir .. "/p.lua")
    assert.equal(2, code)
    assert.matches("p.lua has no spec: expected %S+/p_spec.lua", out)
    assert.equal(2, select(2, test(dir .. "/none")))
    assert.equal(2, select(2, test("--what")))
  end)

  it("works where it is installed, as does busted alone", function()
    h.shell(("cmake --install %s --prefix %s/usr"):format(h.build, dir))
    local out = h.shell(("cd / && %s/usr/bin/sluice test %s -- --output=TAP")
      :format(dir, dir))
    assert.matches("ok 2 %- p.lua refuses what is bad", out)
    out = h.shell(("cd %s && LUA_PATH='%s/usr/share/lua/5.1/?.lua;./?.lua;;' "
      .. "busted --lua=luajit --output=TAP p_spec.lua"):format(dir, dir))
    assert.matches("ok 2 %- p.lua refuses what is bad", out)
  end)

  it("does not mix a kit with a library of another version", function()
    local file = dir .. "/other.c"
    h.write(file, "unsigned sluice_kit_version(void) { return 99; }")
    h.shell(("cc -shared -o %s/other.so %s"):format(dir, file))
    local out = h.shell(("SLUICE_KIT=%s/other.so luajit -e "
      .. "'package.path=\"lua/?.lua\"; require \"sluice.testing\"'"):format(dir))
    assert.matches("has version 99 of the interface, this file expects %d", out)
  end)
end)
