-- The output of `sluice check --json` for an editor.
local checking = require "spec.checking"
local h = require "harness"

local BASE = [[
file "a" { dir = "a" }
stream "events" { sinks = { "a" } }
route "POST /v1/events" { body = "event", stream = "events" }
]]

describe("sluice check --json", function()
  local c = checking.new(BASE)
  teardown(c.remove)

  local function json(text)
    return c.check(text, "--json", "1")
  end

  it("gives each problem its place, its path and what was meant", function()
    local out, code = json('server { lisen = "x:1", workers = 0 }\n{BASE}')
    assert.equal(1, code)
    assert.equal('[{"file":"p.lua","line":1,"column":10,"end_column":15,'
      .. '"severity":"error","message":"unknown key; did you mean \\"listen\\"?",'
      .. '"path":"server.lisen","suggestion":"listen"},'
      .. '{"file":"p.lua","line":1,"column":35,"end_column":36,'
      .. '"severity":"error","message":"0 is less than 1",'
      .. '"path":"server.workers"}]\n', out)
  end)

  it("quotes a name in a path as JSON", function()
    local out = json('{BASE}route "POST /x" { body = "bach", stream = "events" }')
    assert.matches([["path":"route \"POST /x\".body","suggestion":"batch"]], out, 1, true)
  end)

  it("marks the token where the syntax breaks", function()
    local out, code = json("{BASE}local x = = 5")
    assert.equal(1, code)
    assert.equal('[{"file":"p.lua","line":4,"column":9,"end_column":10,'
      .. '"severity":"error","message":"unexpected symbol near \'=\'",'
      .. '"path":"syntax"}]\n', out)
  end)

  it("finds the line in a file whose name Lua cuts", function()
    local dir = h.folder()
    local path = ("%s/%s/p.lua"):format(dir, ("long"):rep(20))
    h.shell(("mkdir -p '%s'"):format(path:match "^(.*)/"))
    for text, line in pairs { ["\nlocal x = = 5"] = 2, ["\n\nerror 'no'"] = 3 } do
      h.write(path, text)
      local out = h.shell(("%s check --json '%s'; true"):format(h.binary, path))
      assert.matches(('"line":%d,'):format(line), out, 1, true)
    end
    h.remove(dir)
  end)

  it("gives a problem of the whole file its first line", function()
    local out, code = json("local t = {} for i = 1, 1e9 do t[i] = "
      .. '("x"):rep(100000) .. i end')
    assert.equal(1, code)
    assert.equal('[{"file":"p.lua","line":1,"column":1,"end_column":1,'
      .. '"severity":"error","message":"its top level needs more than the 64 MiB '
      .. "that a policy's state may have\"}]\n", out)
  end)

  it("gives notes of a good policy, and exits 0", function()
    local out, code = json([[{BASE}route "POST /x" { body = "event",
      stream = "events", on_event = function(ev) while ev.x do end end }]])
    assert.equal(0, code)
    assert.equal('[{"file":"p.lua","line":4,"column":1,"end_column":1,'
      .. '"severity":"note","message":"on_event has a loop in line 5 of p.lua: it '
      .. 'runs interpreted, for at most 50 ms a call"}]\n', out)
  end)

  it("is an empty list for a good policy without notes", function()
    local out, code = json("{BASE}")
    assert.equal(0, code)
    assert.equal("[]\n", out)
  end)

  it("gives a file that is not there as a problem", function()
    local f = io.popen(h.binary .. " check --json /nowhere/p.lua; echo rc=$?")
    local out = f:read("*a")
    f:close()
    assert.equal('[{"file":"/nowhere/p.lua","line":1,"column":1,"end_column":1,'
      .. '"severity":"error","message":"No such file or directory"}]\nrc=1\n', out)
  end)

  it("takes an option that there is none, or no file, for a mistake in the call",
  function()
    for _, args in ipairs { "--json", "--jason", "--json --json a" } do
      local f = io.popen(h.binary .. " check " .. args .. " 2>&1; echo rc=$?")
      assert.equal("usage: sluice check [--json] POLICY.lua|FOLDER|-...\nrc=2\n", f:read("*a"))
      f:close()
    end
  end)

  it("writes nothing else, whatever is wrong", function()
    local out = c.check('server { workers = 0 }\n{BASE}', "--json", "2")
    assert.equal("", out)
  end)

  it("writes UTF-8, whatever bytes the policy holds", function()
    local name = os.tmpname()
    local f = assert(io.open(name, "wb"))
    f:write('server { lisen = "\xFF\xC3" }\n')
    f:close()
    for _, args in ipairs { "check --json", "check" } do
      local out = io.popen(("%s %s %s 2>&1 | iconv -f UTF-8 -t UTF-8 2>&1")
        :format(h.binary, args, name)):read("*a")
      assert.matches("did you mean", out, 1, true)
      assert.is_nil(out:find("illegal input", 1, true))
    end
    os.remove(name)
  end)
end)
