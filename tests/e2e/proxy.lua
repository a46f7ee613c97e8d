-- proxy: tests/tools/proxy in front of a server.
local h = require "harness"
local signal = require "posix.signal"
local socket = require "socket"

local M = {}
local Proxy = {}
Proxy.__index = Proxy

---@param port number free, where it listens
---@param upstream number
---@param command string? its mode from the start, as `late 2 500`
function M.start(port, upstream, command)
  local p = setmetatable({ dir = h.folder(), port = port }, Proxy)
  h.shell(("mkfifo '%s/in'"):format(p.dir))
  p.pid = h.spawn({ h.build .. "/tools/proxy", tostring(port), tostring(upstream),
    p.dir .. "/in", command or "pass" }, p.dir .. "/log")
  p.url = "http://127.0.0.1:" .. port
  h.wait_for("the proxy", function()
    local c = socket.tcp()
    local ok = c:connect("127.0.0.1", port)
    c:close()
    return ok
  end)
  return p
end

function Proxy:say(line)
  h.tell(self.dir, line)
end

function Proxy:close()
  signal.kill(self.pid, signal.SIGKILL)
  h.reap(self.pid)
  h.remove(self.dir)
end

return M
