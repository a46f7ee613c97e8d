-- The exit codes of conf/OPERATIONS.md. 70: e2e/stuck_spec.lua; 71:
-- unit/policy/run/test_panic.c; 3 for a port: e2e/http_rules_spec.lua,
-- e2e/start_full_spec.lua.
local h = require "harness"

describe("the program", function()
  local dir
  before_each(function() dir = h.folder() end)
  after_each(function() h.remove(dir) end)

  local function code(arguments)
    return tonumber(h.shell(("%s %s >/dev/null 2>&1; echo $?"):format(h.binary,
      arguments)))
  end

  it("ends with the codes that its documents list, and no others", function()
    local listed, defined = {}, {}
    local text = h.read "conf/OPERATIONS.md"
    for n in text:match "| exit code of `run` .-\n\n":gmatch "\n| (%d+) |" do
      listed[#listed + 1] = n
    end
    for n in h.read "src/server/supervisor.h":gmatch "EXIT_%u+ = (%d+)" do
      defined[#defined + 1] = n
    end
    assert.same(defined, listed)
  end)

  it("ends with 1 for a wrong policy, 2 for wrong arguments, 3 for a directory in use",
  function()
    h.write(dir .. "/bad.lua", "stream {")
    assert.equal(1, code(("run --data '%s/data' '%s/bad.lua'"):format(dir, dir)))
    assert.equal(1, code(("run --data '%s/data' '%s/none.lua'"):format(dir, dir)))
    assert.is_nil(h.read(dir .. "/data/spool/EPOCH"))
    assert.equal(2, code "run")
    assert.equal(2, code "run --no-such-option x.lua")
    local s = h.server()
    assert.equal(3, code(("run --listen 127.0.0.1:0 --admin 127.0.0.1:0 --data '%s' '%s'")
      :format(s.data, s.path)))
    assert.equal(202, s:post("/v1/events", "{}").status)
    assert.equal(0, s:stop())
    s:close()
  end)

  it("has commands that end with 0, 1 for what they found, 2 for wrong arguments",
  function()
    local s = h.server()
    assert.equal(202, s:post("/v1/events", "{}").status)
    s:deliver()
    assert.equal(0, s:stop())
    local spool = s.data .. "/spool"
    assert.equal(0, code(("check '%s'"):format(s.path)))
    assert.equal(0, code(("inspect --verify '%s'"):format(spool)))
    assert.equal(0, code(("inspect --verify '%s'"):format(s.data)))
    assert.equal(0, code(("sink repair archive --spool '%s'"):format(spool)))
    h.write(dir .. "/bad.lua", "stream {")
    assert.equal(1, code(("check '%s/bad.lua'"):format(dir)))
    assert.equal(1, code(("inspect '%s/none'"):format(dir)))
    assert.equal(1, code(("dead list '%s/none'"):format(dir)))
    assert.equal(1, code(("sink drop none --spool '%s'"):format(spool)))
    for _, command in ipairs { "check", "dead", "sink", "replay", "inspect", "none",
      "dead none", "sink none", "upgrade none", "replay --none", "inspect --none" } do
      assert.equal(2, code(command), command)
    end
    s:close()
  end)
end)
