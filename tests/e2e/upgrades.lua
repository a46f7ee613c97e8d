-- What the specs of upgrades share.
local h = require "harness"
local signal = require "posix.signal"
local socket = require "socket"

local M = {}

---Has another process serve: the new one, or the old one again.
function M.attempt(s)
  s.log_from = #(h.read(s.log) or "")
  s:signal("SIGUSR2")
  s:ready()
end

---Has a new process take over; its pid.
function M.upgrade(s)
  local before = s.real_pid
  M.attempt(s)
  assert(before ~= s.real_pid, "the same process serves")
  s:logged("event=upgrade status=took_over")
  return s.real_pid
end

function M.alive(pid)
  local stat = h.read("/proc/" .. pid .. "/stat")
  return stat ~= nil and not stat:find(") Z ", 1, true)
end

---Sends an event on a connection that stays; the answer.
function M.post(c)
  c:send("POST /v1/events HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
    .. "Content-Length: 7\r\n\r\n{\"a\":1}")
  return h.answer(c)
end

local Slow = {}
Slow.__index = Slow

---A sink whose server answers when the test does: the process that has a batch for it in
---hand waits for that before it leaves.
function M.slow_sink()
  local l = assert(socket.bind("127.0.0.1", 0))
  local _, port = l:getsockname()
  l:settimeout(60)
  return setmetatable({ listener = l, policy = ([[

    http "up" { url = "http://127.0.0.1:%d/x" }
    stream "slow" { sinks = { "up" } }
    route "POST /v1/slow" { body = "event", stream = "slow" }
  ]]):format(port) }, Slow)
end

---Has s send it a batch; the connection.
function Slow:take(s)
  assert(s:post("/v1/slow", '{"a":1}').status == 202)
  return self:accept()
end

function Slow:accept()
  local c = assert(self.listener:accept())
  c:settimeout(60)
  assert(c:receive("*l"))
  return c
end

function Slow.answer(c) c:send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n") end

function Slow:close() self.listener:close() end

---Begins an upgrade whose new process stands still: the old one waits for x, a slow sink, and
---has left its own sinks at the return. Returns the new process's pid and x's connection.
function M.stop_new(s, x)
  local c = x:take(s)
  s:signal("SIGUSR2")
  local new = tonumber(s:logged("event=upgrade status=ready pid=(%d+)"))
  signal.kill(new, signal.SIGSTOP)
  x.answer(c)
  s:logged("event=sink sink=archive status=stopped")
  return new, c
end

---Begins a reload that goes on until f:rules() is called: of a policy with a sink more,
---whose journal hangs. The server has been started with f:wrap(), and its policy's file is
---as before afterwards. Returns the connection that asked for it.
function M.hang_reload(s, f)
  local text, made = h.read(s.path), f:made()
  h.write(s.path, text .. [[

file "hung" { dir = "hung" }
stream "hung" { sinks = { "hung" } }
]])
  f:rules "do=hang on=create,open path=/hung.journal"
  local c = h.connect(s.admin)
  c:send("POST /reload HTTP/1.1\r\nHost: test\r\nContent-Length: 0\r\n\r\n")
  h.wait_for("the reload to hang", function() return f:made() > made end)
  h.write(s.path, text)
  return c
end

return M
