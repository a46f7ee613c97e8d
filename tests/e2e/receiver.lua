-- receiver: tests/tools/receiver.py, an endpoint for the http sink.
local cjson = require "cjson"
local free_port = require "clickhouse".free_port
local h = require "harness"
local signal = require "posix.signal"
local socket = require "socket"

local M = {}
local Receiver = {}
Receiver.__index = Receiver

---@param tls boolean? with a certificate of its own, in its folder
---@param ca string? file of those that clients need
function M.start(tls, ca)
  local r = setmetatable({ dir = h.folder(), port = free_port(), tls = tls, ca = ca },
    Receiver)
  r.url = ("http%s://127.0.0.1:%d/in"):format(tls and "s" or "", r.port)
  if tls then
    h.shell(("openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=test "
      .. "-addext subjectAltName=IP:127.0.0.1 -keyout '%s/key.pem' "
      .. "-out '%s/cert.pem'"):format(r.dir, r.dir))
  end
  r:run()
  return r
end

function Receiver:run()
  local argv = { "python3", "tests/tools/receiver.py", tostring(self.port), self.dir }
  if self.tls then
    argv[5], argv[6] = self.dir .. "/cert.pem", self.dir .. "/key.pem"
    argv[7] = self.ca
  end
  self.pid = h.spawn(argv, self.dir .. "/log")
  h.wait_for("the receiver", function()
    local c = socket.tcp()
    local ok = c:connect("127.0.0.1", self.port)
    c:close()
    return ok
  end)
end

---How it answers from now on; see receiver.py.
function Receiver:rule(text)
  h.write(self.dir .. "/rules.new", text)
  os.rename(self.dir .. "/rules.new", self.dir .. "/rules")
end

function Receiver:kill()
  signal.kill(self.pid, signal.SIGKILL)
  h.reap(self.pid)
  self.pid = nil
end

function Receiver:pause() signal.kill(self.pid, signal.SIGSTOP) end
function Receiver:go_on() signal.kill(self.pid, signal.SIGCONT) end

---Its requests so far, in order.
function Receiver:requests()
  local list = {}
  for line in (h.read(self.dir .. "/requests.ndjson") or ""):gmatch("[^\n]+") do
    list[#list + 1] = cjson.decode(line)
  end
  return list
end

---How many requests became that.
function Receiver:count(what)
  local n = 0
  for _, r in ipairs(self:requests()) do
    if r.what == what then n = n + 1 end
  end
  return n
end

---The events that were taken.
function Receiver:events()
  local list = {}
  for line in (h.read(self.dir .. "/events.ndjson") or ""):gmatch("[^\n]+") do
    if line:sub(1, 1) ~= "#" then list[#list + 1] = line end
  end
  return list
end

---The same in a file, for h.verify.
function Receiver:collect()
  local out = self.dir .. "/collected"
  h.shell(("grep -v '^#' '%s/events.ndjson' > '%s'"):format(self.dir, out))
  return out
end

function Receiver:close()
  if self.pid then self:kill() end
  h.remove(self.dir)
end

return M
