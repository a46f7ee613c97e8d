-- harness: starts the built server in a folder of its own, talks to it in raw
-- bytes, stops it by its own pid. Every wait is for an event and has an end.

local ffi = require "ffi"
local fcntl = require "posix.fcntl"
local signal = require "posix.signal"
local socket = require "socket"
local stdlib = require "posix.stdlib"
local unistd = require "posix.unistd"
local wait = require "posix.sys.wait"
local ledger = require "ledger"

ffi.cdef "int renameat2(int, const char *, int, const char *, unsigned);"

local M = {}

M.build = os.getenv("SLUICE_BUILD") or "build"
M.binary = M.build .. "/sluice"

local together = setmetatable({}, { __mode = "k" }) -- coroutines of M.together

local function is_job()
  local co = coroutine.running()
  return co and together[co]
end

---A command's output, of both kinds. In a job the others go on meanwhile.
local function shell(command)
  if is_job() then
    local file = os.tmpname()
    M.reap(M.spawn({ "sh", "-c", command }, file), 120)
    local out = M.read(file)
    os.remove(file)
    return out
  end
  local f = assert(io.popen(command .. " 2>&1"))
  local out = f:read("*a")
  f:close()
  return out
end
M.shell = shell

M.now = socket.gettime

---In a job of M.together the others go on meanwhile.
function M.sleep(s)
  if is_job() then
    coroutine.yield(socket.gettime() + s)
  else
    socket.sleep(s)
  end
end

---Runs functions at the same time, each until it waits: jobs of { name = f }. Returns
---the result of each, and the errors, both by name.
function M.together(jobs)
  local results, errors, wakes, live = {}, {}, {}, 0
  for name, f in pairs(jobs) do
    local co = coroutine.create(function()
      local ok, v = xpcall(f, function(e)
        return type(e) == "string" and debug.traceback(e, 2) or e
      end)
      if ok then results[name] = v else errors[name] = v end
    end)
    together[co] = true
    wakes[co] = 0
    live = live + 1
  end
  while live > 0 do
    local now = socket.gettime()
    for co, at in pairs(wakes) do
      if at <= now then
        local ok, till = coroutine.resume(co)
        assert(ok, till)
        wakes[co] = till -- nil: ended
        if coroutine.status(co) == "dead" then live = live - 1 end
      end
    end
    socket.sleep(0.002)
  end
  return results, errors
end

---Waits until f() is true; fails after `seconds` (default 60: longer than a breaker
---stays open, or a drain lasts).
function M.wait_for(what, f, seconds)
  local till = socket.gettime() + (seconds or 60)
  repeat
    local v = f()
    if v then return v end
    M.sleep(0.005)
  until socket.gettime() > till
  error("waited in vain for " .. what, 2)
end

function M.folder()
  return assert(stdlib.mkdtemp((os.getenv("SLUICE_TMP") or "/tmp")
    .. "/sluice-test-XXXXXX"))
end

function M.remove(path)
  assert(path:find("/sluice%-test%-"))
  os.execute("rm -rf '" .. path .. "'")
end

---Puts a file where a folder is, which then has the name `kept`: at once, since a sink
---makes a folder of its own where it finds none.
function M.block(path, kept)
  M.write(kept, "")
  assert(ffi.C.renameat2(-100, path, -100, kept, 2) == 0, "RENAME_EXCHANGE") -- AT_FDCWD
end

function M.read(path)
  local f = io.open(path, "rb")
  if not f then return nil end
  local text = f:read("*a")
  f:close()
  return text
end

function M.write(path, text)
  local f = assert(io.open(path, "wb"))
  f:write(text)
  f:close()
end

---The command before a program that makes its wall clock follow set_clock.
function M.own_clock(file)
  M.write(file, ("0"):rep(32))
  return { "env", "SLUICE_CLOCK=" .. file,
    "LD_PRELOAD=" .. M.build .. "/tools/clock_shim.so" }
end

---Milliseconds beside the machine's clock. Written in place: it is mapped.
function M.set_clock(file, ms)
  shell(("printf '%%032d' %d | dd of='%s' conv=notrunc status=none")
    :format(ms, file))
end

---Starts a program; its output goes to the files given.
function M.spawn(argv, out, err)
  local pid = assert(unistd.fork())
  if pid == 0 then
    local o = fcntl.open(out, fcntl.O_WRONLY + fcntl.O_CREAT + fcntl.O_APPEND,
      420)
    unistd.dup2(o, 1)
    local e = err and fcntl.open(err,
      fcntl.O_WRONLY + fcntl.O_CREAT + fcntl.O_APPEND, 420) or o
    unistd.dup2(e, 2)
    local args = {}
    for i = 2, #argv do args[i - 1] = argv[i] end
    unistd.execp(argv[1], args)
    unistd._exit(127)
  end
  return pid
end

---Has a tool that reads lines from DIR/in obey one; it says so in DIR/log.
function M.tell(dir, line)
  local function obeyed()
    return select(2, (M.read(dir .. "/log") or ""):gsub("obeyed\n", ""))
  end
  local before, f = obeyed(), assert(io.open(dir .. "/in", "w"))
  f:write(line, "\n")
  f:close()
  M.wait_for("the tool to " .. line, function() return obeyed() > before end)
end

---Waits for a process; its exit code, or "signal N".
function M.reap(pid, seconds)
  local till = socket.gettime() + (seconds or 60)
  repeat
    local got, how, code = wait.wait(pid, wait.WNOHANG)
    if got == pid then
      return how == "exited" and code or ("signal " .. code)
    end
    M.sleep(0.005)
  until socket.gettime() > till
  M.kill(pid)
  error("process " .. pid .. " did not end", 2)
end

---Ends a process that may hang.
function M.kill(pid)
  signal.kill(pid, signal.SIGKILL)
  wait.wait(pid)
end

-- ---- the server --------------------------------------------------------------

local Server = {}
Server.__index = Server
M.Server = Server

---A policy with one stream to a file sink, changed by `o`.
function M.policy(o)
  o = o or {}
  return ([[
server { listen = "127.0.0.1:0", workers = %d, %s }
admin { listen = "127.0.0.1:0" }
spool { %s }
file "archive" { dir = "archive", linger = "%s", %s }
stream "events" { ack = "%s", sinks = { "archive" }, %s }
%s
route "POST /v1/events" { body = "event", stream = "events", %s }
route "POST /v1/events/batch" { body = "batch", stream = "events", %s }
]]):format(o.workers or 2, o.server or "", o.spool or "", o.linger or "20ms",
    o.file or "", o.ack or "written", o.stream or "", o.top or "",
    o.route or "", o.route or "")
end

---@param o table policy (text), data, path, wrap (argv put before), args
function M.server(o)
  o = o or {}
  local s = setmetatable({ dir = o.dir or M.folder() }, Server)
  s.data = o.data or (s.dir .. "/data")
  s.log = s.dir .. "/log"
  s.path = o.path or (s.dir .. "/policy.lua")
  if not o.path then M.write(s.path, o.policy or M.policy()) end
  s.wrap, s.args = o.wrap or {}, o.args or {}
  s:start()
  return s
end

function Server:start(no_wait)
  local argv = {}
  for _, a in ipairs(self.wrap) do argv[#argv + 1] = a end
  for _, a in ipairs { M.binary, "run", "--listen", "127.0.0.1:0", "--admin",
    "127.0.0.1:0", "--data", self.data } do argv[#argv + 1] = a end
  for _, a in ipairs(self.args) do argv[#argv + 1] = a end
  argv[#argv + 1] = self.path
  self.log_from = #(M.read(self.log) or "")
  self.pid = M.spawn(argv, self.log)
  if no_wait then return end
  local ok, why = pcall(self.ready, self)
  if not ok then
    -- No caller has the server yet that would end it.
    if self.pid then M.kill(self.pid) end
    self.pid = nil
    error(why, 0)
  end
end

---Waits until it is ready; fails when it ends before that: its code is in self.code.
function Server:ready(seconds)
  local line = M.wait_for("the server to be ready", function()
    local text = self:text()
    if self:ended() then error("the server ended:\n" .. text, 0) end
    return text:match("event=ready [^\n]*\n")
      or text:match('"event":"ready"[^\n]*\n')
  end, seconds or 60)
  -- As JSON the same pairs have quotes.
  line = line:gsub('"?,?"([%w_]+)":"?', " %1=")
  self.port = tonumber(line:match("listen=127%.0%.0%.1:(%d+)"))
  self.admin = tonumber(line:match("admin=127%.0%.0%.1:(%d+)"))
  self.real_pid = tonumber(line:match("pid=(%d+)"))
  self.accepted = 0
end

---Whether it ended by itself, which is noticed once: its code is in self.code.
function Server:ended()
  local got, how, code = wait.wait(self.pid, wait.WNOHANG)
  if got ~= self.pid then return false end
  self.pid, self.code = nil, how == "exited" and code or "signal " .. code
  return true
end

function Server:text()
  return (M.read(self.log) or ""):sub(self.log_from + 1)
end

function Server:logged(pattern, seconds)
  local ok, line = pcall(M.wait_for, "log: " .. pattern, function()
    return self:text():match(pattern)
  end, seconds)
  return ok and line or error(("%s; its end:\n%s"):format(line, self:text():sub(-2000)), 2)
end

function Server:signal(name)
  signal.kill(self.real_pid, signal[name])
end

---Ends it; with SIGKILL nothing is said to it. Returns the exit code.
function Server:stop(name)
  if not self.pid then return nil end
  if not name or name == "SIGTERM" then ledger.check(self, M) end
  self:signal(name or "SIGTERM")
  local code = M.reap(self.pid)
  self.pid = nil
  return code
end

---Makes syscalls of the running server fail or linger, by strace, until the function
---that it returns is called: of all its threads, or of the one of that name. Needs
---root.
function Server:inject(what, thread)
  local pid, id
  local function begin()
    id = not thread and self.real_pid or M.wait_for(thread, function()
      return shell(("grep -lx '%s' /proc/%d/task/*/comm"):format(thread,
        self.real_pid)):match("task/(%d+)") -- it names itself, maybe after "ready"
    end)
    local argv = { "strace", "-qq", "-o", self.dir .. "/strace", "-e",
      "trace=" .. what:match("^%w+"), "-e", "inject=" .. what, "-p", tostring(id) }
    if not thread then table.insert(argv, 2, "-f") end
    pid = M.spawn(argv, self.dir .. "/strace.log")
  end
  begin()
  M.wait_for("strace", function()
    -- Threads of a start that have the name may end before it gets hold of them.
    if wait.wait(pid, wait.WNOHANG) == pid then begin() end
    -- Each thread by itself: the first is not the last.
    local tracers = shell(thread and ("grep TracerPid /proc/%d/status"):format(id)
      or ("grep -h TracerPid /proc/%d/task/*/status"):format(id))
    return tracers:find("TracerPid:%s*[1-9]") and not tracers:find("TracerPid:%s*0")
  end)
  return function()
    M.shell("kill " .. pid)
    M.reap(pid)
  end
end

---Waits until the sinks have all that the spool holds: a stop would only give them
---`drain`, and what is left then is not lost, but not in the archive either.
function Server:deliver(seconds)
  M.wait_for("delivery of all that the spool holds", function()
    return self:metric("sluice_sink_lag_bytes") == 0
  end, seconds or 120)
end

-- Signals that only a fault of the server's own ends it by.
local CRASHES = { [4] = true, [6] = true, [7] = true, [8] = true, [11] = true }

function Server:close()
  local crashed = self.pid and self:ended()
    and CRASHES[tonumber(tostring(self.code):match("^signal (%d+)"))]
  if self.pid then self:stop("SIGKILL") end
  local text = M.read(self.log) or ""
  local report = text:match("[^\n]*Sanitizer: .*") or
    text:match("[^\n]*runtime error: .*") or
    (crashed and ("the server ended by %s; the log's end:\n%s"):format(self.code,
      text:sub(-2000)))
  M.remove(self.dir)
  if report then error(report:sub(1, 4000), 2) end
end

-- ---- HTTP ------------------------------------------------------------------------

---Whether anybody listens there.
function M.open_port(port)
  local c = socket.tcp()
  c:settimeout(1)
  local ok = c:connect("127.0.0.1", port)
  c:close()
  return ok ~= nil
end

function M.connect(port, seconds)
  local c = assert(socket.tcp())
  c:settimeout(seconds or 10)
  assert(c:connect("127.0.0.1", port))
  c:setoption("tcp-nodelay", true)
  return c
end

---Reads one answer: { status, headers, body, head }; nil when the connection ends.
function M.answer(c)
  local line, why = c:receive("*l")
  if not line then return nil, why end
  local a = { status = tonumber(line:match("^HTTP/1%.[01] (%d%d%d)")),
    headers = {}, head = line }
  while true do
    line, why = c:receive("*l")
    if not line then return nil, why end
    if line == "" then break end
    local k, v = line:match("^([^:]+):%s*(.*)$")
    a.headers[k:lower()] = v
  end
  if a.status == 100 then return a end
  if a.headers["transfer-encoding"] == "chunked" then
    local parts = {}
    while true do
      local size = tonumber((c:receive("*l") or "0"):match("^%x+"), 16)
      if size and size > 0 then parts[#parts + 1] = assert(c:receive(size)) end
      c:receive("*l")
      if not size or size == 0 then break end
    end
    a.body = table.concat(parts)
    return a
  end
  local n = tonumber(a.headers["content-length"] or 0)
  a.body = n > 0 and assert(c:receive(n)) or ""
  return a
end

---True when the peer has closed the connection.
function M.closed(c, seconds)
  c:settimeout(seconds or 5)
  local _, why = c:receive(1)
  return why == "closed"
end

function Server:raw(bytes)
  local c = M.connect(self.port)
  c:send(bytes)
  local a = M.answer(c)
  c:close()
  return a
end

function M.request(port, method, path, body, headers, seconds)
  local c = M.connect(port, seconds)
  local lines = { ("%s %s HTTP/1.1"):format(method, path), "Host: test",
    "Connection: close" }
  local names = {}
  for k in pairs(headers or {}) do names[#names + 1] = k end
  table.sort(names, function(a, b) return a:lower() < b:lower() end)
  for _, k in ipairs(names) do lines[#lines + 1] = k .. ": " .. headers[k] end
  if body then lines[#lines + 1] = "Content-Length: " .. #body end
  c:send(table.concat(lines, "\r\n") .. "\r\n\r\n" .. (body or ""))
  local a, why = M.answer(c)
  c:close()
  return a, why
end

function Server:post(path, body, headers)
  headers = headers or {}
  headers["Content-Type"] = headers["Content-Type"] or "application/json"
  local a, why = M.request(self.port, "POST", path, body, headers)
  if a and a.status < 300 and self.accepted then
    self.accepted = self.accepted + (tonumber(a.body:match(
      '^{"status":"accepted","accepted":(%d+)')) or 0)
  end
  return a, why
end

function Server:get(path) return M.request(self.admin, "GET", path) end

---Its answer; an error with the log's end where none comes: a disk that stalls holds a
---reload up, and longer than it does other requests.
function Server:reload(query)
  local a, why = M.request(self.admin, "POST", "/reload" .. (query or ""), "", nil, 60)
  return a or error(("no answer to a reload (%s); the log's end:\n%s"):format(why,
    self:text():sub(-2000)), 2)
end

---The value of a series in /metrics; the sum when labels is a pattern.
function Server:metric(name, labels)
  local sum
  for line in self:get("/metrics").body:gmatch("[^\n]+") do
    local n, l, v = line:match("^([%w_]+)(%b{}) (.*)$")
    if not n then
      n, v = line:match("^([%w_]+) (.*)$")
      l = ""
    end
    if n == name and (not labels or l:find(labels, 1, true)) then
      sum = (sum or 0) + tonumber(v)
    end
  end
  return sum
end

-- ---- arrived events -----------------------------------------------------------------

---The archive's lines, in a file; compressed files are unpacked.
function Server:collect(folder)
  local dir = self.data .. "/" .. (folder or "archive")
  local out = self.dir .. "/collected"
  shell(("cd '%s' && : > '%s'; for f in *.ndjson *.ndjson.zst *.ndjson.gz; do "
    .. "case $f in *'*'*) ;; *.zst) zstdcat \"$f\" >> '%s';; *.gz) zcat \"$f\" "
    .. ">> '%s';; *) cat \"$f\" >> '%s';; esac; done"):format(dir, out, out, out,
    out))
  return out
end

function Server:lines(folder)
  local list = {}
  for line in io.lines(self:collect(folder)) do list[#list + 1] = line end
  return list
end

require "traffic"(M)

return M
