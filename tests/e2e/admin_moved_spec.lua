local browser = require "browser"
local cjson = require "cjson"
local free_port = require "clickhouse".free_port
local h = require "harness"

-- The admin listener gets another address while the page, top and an upgrade look at the old
-- one: a reload says that it can't, an upgrade does it, and each viewer says where it is.

local function policy(port)
  return ([[
admin { listen = "127.0.0.1:%d" }
server { workers = 1, listen = "127.0.0.1:0" }
file "archive" { dir = "archive" }
stream "events" { sinks = { "archive" } }
route "POST /v1/events" { body = "batch", stream = "events" }
]]):format(port)
end

describe("an admin listener that moves", function()
  local s, page, first, second, top

  local function sluice(line)
    local out = h.shell(("{ %s %s; } 2>&1; echo rc=$?"):format(h.binary, line))
    return out, tonumber(out:match "rc=(%d+)%s*$")
  end

  -- Its own first screen, and what it has drawn since then.
  local function drawn() return h.read(s.dir .. "/top") or "" end

  setup(function()
    first, second = free_port(), free_port()
    s = setmetatable({ dir = h.folder(), args = {}, wrap = {} }, h.Server)
    s.data, s.log, s.path = s.dir .. "/data", s.dir .. "/log", s.dir .. "/policy.lua"
    h.write(s.path, policy(first))
    s.log_from = 0
    s.pid = h.spawn({ h.binary, "run", "--data", s.data, s.path }, s.log)
    s:ready()
    top = h.spawn({ "script", "-qfc", ("stty rows 40 cols 200; TERM=xterm exec %s top "
      .. "--spool %s/spool"):format(h.binary, s.data), "/dev/null" }, s.dir .. "/top")
    if browser.there() then page = browser.open(first, s.dir) end
    h.wait_for("top", function() return drawn():find("GOOD", 1, true) end)
    h.write(s.path, policy(second))
    assert.equal("refused", cjson.decode(s:reload().body).status)
  end)

  teardown(function()
    if page then page:close() end
    if top then h.shell("kill " .. top) h.reap(top) end
    local pid = s:text():match ".*event=ready .-pid=(%d+)"
    h.shell("kill " .. pid)
    if pid ~= tostring(s.pid) then
      h.wait_for("the server to end", function() return not h.read("/proc/" .. pid .. "/stat") end)
    end
    h.reap(s.pid)
    s.pid = nil
    s:close()
  end)

  it("does not move by a reload, which a restart would: status and the page say so", function()
    local out, code = sluice("status --during 20ms --admin 127.0.0.1:" .. first)
    assert.equal(1, code)
    assert.matches("admin%.listen can't change in a running server: .*generation 1 stays live, "
      .. "but a restart would take the policy of the file\n +do: sluice upgrade takes", out)
    if page then
      page:becomes("#more", "admin%.listen can't change in a running server: .*; generation 1 "
        .. "stays live, but a restart would take the policy of the file")
    end
  end)

  it("moves by an upgrade, whose command does not wait for the old address", function()
    local began = h.now()
    local upgrade = h.spawn({ h.binary, "upgrade", "--admin", "127.0.0.1:" .. first },
      s.dir .. "/upgrade")
    h.wait_for("the new process", function()
      return s:text():find(("admin=127.0.0.1:%d "):format(second), 1, true)
    end)
    local out, code = sluice("status --admin 127.0.0.1:" .. first)
    assert.equal(3, code)
    assert.matches("no server answers at 127%.0%.0%.1:" .. first .. ": .*%-%-admin ADDRESS or "
      .. "%-%-spool DIR", out)
    out, code = sluice(("status --during 20ms --spool %s/spool"):format(s.data))
    assert.equal(0, code, out)
    assert.matches("at 127%.0%.0%.1:" .. second .. " %(noted in ", out)
    if page then
      page:becomes("#live", "^stale: the server can't be reached%. No answer since .*%. The "
        .. "policy's file has another admin%.listen: open this page at that address%.$")
      page:shot("moved")
      assert.same({}, page:complaints(true))
    end
    -- It was told the spool, so it finds the new address.
    h.wait_for("top to follow", function()
      return drawn():find(("sluice [%%d.]+ at 127%%.0%%.0%%.1:%d "):format(second))
    end)
    assert.equal(3, h.reap(upgrade, 60))
    assert.matches("nothing listens at 127%.0%.0%.1:" .. first .. " for 10 s now: .*%-%-spool DIR",
      h.read(s.dir .. "/upgrade"))
    assert.is_true(h.now() - began >= 9)
  end)

  it("is followed by an upgrade that knows the spool", function()
    h.write(s.path, policy(first))
    local out, code = sluice(("upgrade --spool %s/spool"):format(s.data))
    assert.equal(0, code, out)
    assert.matches("the new process serves", out)
    -- The page is at the right address again, and goes on by itself.
    if page then page:becomes("#live", "^live$") end
  end)
end)
