-- A process whose file descriptors are all in use: clients and operators are told so.
local h = require "harness"

describe("a server that has no descriptor left", function()
  local s
  after_each(function() if s then s:close() s = nil end end)

  local function status()
    local out = h.shell(("%s status --admin 127.0.0.1:%d --during 20ms 2>&1; echo rc=$?"):format(
      h.binary, s.admin))
    return out, tonumber(out:match "rc=(%d+)\n$")
  end
  -- The number that the next descriptor would get.
  local function lowest()
    local open, n = {}, 0
    for fd in h.shell(("ls /proc/%d/fd"):format(s.real_pid)):gmatch "%d+" do
      open[tonumber(fd)] = true
    end
    while open[n] do n = n + 1 end
    return n
  end
  local function limit(n) h.shell(("prlimit --pid %d --nofile=%s:"):format(s.real_pid, n)) end

  it("refuses clients, still answers its operator, and goes on when it has some", function()
    s = h.server { policy = h.policy { workers = 1 } }
    local soft = h.read(("/proc/%d/limits"):format(s.real_pid)):match "Max open files%s+(%d+)"
    local held = {}
    for i = 1, 60 do held[i] = h.connect(s.port) end
    h.wait_for("the connections", function() return s:metric "sluice_connections_open" >= 60 end)
    -- Connections that have ended leave gaps below.
    h.wait_for("no gap", function()
      if lowest() > 60 then return true end
      held[#held + 1] = h.connect(s.port)
    end)
    local n = lowest()
    limit(n)
    -- One that ends later leaves a gap, which the next client fills.
    local refused = 0
    h.wait_for("clients that are refused", function()
      local c = h.connect(s.port)
      c:settimeout(0.5)
      if c:receive "*l" == "HTTP/1.1 503 Service Unavailable" then
        refused = refused + 1
        c:close()
      else
        held[#held + 1] = c
      end
      return refused == 3
    end)
    s:logged 'event=accept listener=%S+ status=failed why="Too many open files"'
    for _ = 1, 3 do
      local out, code = status()
      assert.equal(1, code, out)
      assert.matches(("WRONG  %d of %d file descriptors are open: new connections are refused")
        :format(n, n), out)
      assert.matches("connections were refused: few file descriptors were left", out)
    end
    assert.equal(n, s:metric "process_open_fds")
    limit(soft)
    h.wait_for("room", function() return s:post("/v1/events", "{}").status == 202 end)
    h.wait_for("its end", function() return not status():find("descriptors are open", 1, true) end)
    for _, c in ipairs(held) do c:close() end
  end)
end)
