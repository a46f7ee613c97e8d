-- The launcher: the small process beside a server in the sandbox that starts the next one.
local h = require "harness"
local signal = require "posix.signal"
local upgrades = require "upgrades"

local alive = upgrades.alive

local function root() return h.shell("id -u"):match("^0") end

---The children of a process, with their names.
local function children(pid)
  local found = {}
  for child in h.shell(("cat /proc/%d/task/*/children 2>/dev/null"):format(pid))
      :gmatch("%d+") do
    found[#found + 1] = { pid = tonumber(child),
      name = (h.read("/proc/" .. child .. "/comm") or ""):gsub("\n", "") }
  end
  return found
end

---The launcher of the server's process; nil: it has none.
local function launcher(pid)
  local found
  for _, child in ipairs(children(pid)) do
    if child.name == "sluice-launcher" then
      assert(not found, "two launchers")
      found = child.pid
    end
  end
  return found
end

---Why this kernel or build has no sandbox: there is no launcher then.
local function skipped(s)
  local why = s:text():match("event=process [^\n]*seccomp=off[^\n]*why=([^\n]*)")
  if why then pending(why) end
  return why ~= nil
end

local function failed_upgrade(s, why)
  s.log_from = #h.read(s.log)
  s:signal("SIGUSR2")
  s:logged("event=upgrade status=failed [^\n]*" .. why, 60)
  assert.equal(202, s:post("/v1/events", '{"a":1}').status)
end

describe("the launcher of a server with the default sandbox", function()
  local s, binary
  before_each(function() binary = h.binary end)
  after_each(function()
    h.binary = binary
    if s then s:close() s = nil end
  end)

  it("has no descriptor but its socket, no secret of a policy, and another name", function()
    local dir = h.folder()
    h.write(dir .. "/secret", "planted-secret-of-the-policy\n")
    s = h.server { dir = dir, policy = h.policy { top = [[
      http "hook" { url = "http://127.0.0.1:1/", headers = { authorization = secret "secret" } }
      stream "more" { sinks = { "hook" } } ]] } }
    if skipped(s) then return end
    local pid = assert(launcher(s.real_pid))
    assert.equal("0 1 2 3", (h.shell(("ls /proc/%d/fd"):format(pid)):gsub("%s+", " ")
      :gsub(" $", "")))
    assert.matches("^socket:", h.shell(("readlink /proc/%d/fd/3"):format(pid)))
    if not root() then return end
    h.write(dir .. "/look.py", [[
import re, sys
pid, found, n = sys.argv[1], 0, 0
with open(f"/proc/{pid}/maps") as maps, open(f"/proc/{pid}/mem", "rb") as mem:
    for line in maps:
        m = re.match(r"([0-9a-f]+)-([0-9a-f]+) r", line)
        if m and "[v" not in line:
            try:
                mem.seek(int(m[1], 16))
                text = mem.read(int(m[2], 16) - int(m[1], 16))
            except OSError:
                continue
            n += len(text)
            found += text.count(b"planted-secret-of-" + b"the-policy")
print(found, n > 100000)
]])
    local look = "python3 " .. dir .. "/look.py "
    assert.equal("0 True\n", h.shell(look .. pid))
    assert.not_equal("0 True\n", h.shell(look .. s.real_pid)) -- so it looks well
  end)

  it("ends when the server stops or is killed, and leaves nothing that a start waits for",
    function()
      s = h.server {}
      if skipped(s) then return end
      for _, name in ipairs { "SIGKILL", "SIGTERM", "SIGKILL" } do
        local pid = assert(launcher(s.real_pid))
        signal.kill(pid, signal.SIGTERM) -- as a service manager does to all
        assert.equal(202, s:post("/v1/events", '{"a":1}').status)
        assert.equal(name == "SIGTERM" and 0 or "signal 9", s:stop(name))
        h.wait_for("the launcher to end", function() return not alive(pid) end)
        s:start()
      end
    end)

  it("is there once after each of four upgrades, without zombies, and signals reach the last",
    function()
      s = h.server { policy = h.policy {} }
      if skipped(s) then return end
      for _ = 1, 4 do
        local before = assert(launcher(s.real_pid))
        upgrades.upgrade(s)
        h.wait_for("the launcher before to end", function() return not alive(before) end)
        assert.is_truthy(launcher(s.real_pid))
        h.wait_for("nothing but the server and its launcher", function()
          return #children(s.pid) == 1 and #children(s.real_pid) == 1
        end)
      end
      h.write(s.path, h.policy { top = "-- another" })
      signal.kill(s.pid, signal.SIGHUP) -- to the first one, which stands in
      s:logged("generation=2 status=live")
      signal.kill(s.pid, signal.SIGTERM)
      assert.equal(0, h.reap(s.pid))
      s.pid = nil
      assert.is_false(alive(s.real_pid))
      assert.is_truthy(s:text():find("event=stopped exit=0", 1, true))
    end)

  it("upgrades a server whose stand-in was killed, and no other one stays", function()
    s = h.server { policy = h.policy {} }
    if skipped(s) then return end
    local second = upgrades.upgrade(s)
    signal.kill(s.pid, signal.SIGKILL)
    assert.equal("signal 9", h.reap(s.pid))
    s.pid = nil
    for _ = 1, 2 do
      local before = s.real_pid
      s.log_from = #h.read(s.log)
      s:signal("SIGUSR2")
      s.real_pid = tonumber(s:logged("event=ready [^\n]*pid=(%d+)"))
      s:logged("event=upgrade status=took_over")
      h.wait_for("the one before to end", function() return not alive(before) end)
      assert.equal(202, s:post("/v1/events", '{"a":1}').status)
    end
    assert.is_false(alive(second))
    s:signal("SIGTERM")
    h.wait_for("the end", function() return not alive(s.real_pid) end)
    assert.equal(2, #s:lines())
  end)

  it("passes no word on that is about the number of one process", function()
    for _, mode in ipairs { "auto", "off" } do
      s = h.server { policy = h.policy { server = ("sandbox = %q"):format(mode) },
        wrap = { "env", "WATCHDOG_PID=1", "LISTEN_PID=1", "LISTEN_FDS=1", "STAYS=yes" } }
      upgrades.upgrade(s)
      local words = "\0" .. h.read(("/proc/%d/environ"):format(s.real_pid))
      assert.truthy(words:find("\0STAYS=yes\0", 1, true))
      assert.is_nil(words:find("\0WATCHDOG_PID=", 1, true))
      assert.is_nil(words:find("\0LISTEN_PID=", 1, true))
      s:close()
      s = nil
    end
  end)

  it("follows the policy from the sandbox to none and back", function()
    s = h.server { policy = h.policy {} }
    if skipped(s) then return end
    for _, mode in ipairs { "off", "auto", "off", "required" } do
      h.write(s.path, h.policy { server = ("sandbox = %q"):format(mode) })
      local a = s:reload()
      if mode ~= "auto" then
        assert.equal(409, a.status)
        assert.matches("server.sandbox can't change in a running server: have a new process "
          .. "take its place (sluice upgrade, or SIGUSR2)", a.body, 1, true)
      end
      upgrades.upgrade(s)
      local on = mode ~= "off"
      assert.equal(on, launcher(s.real_pid) ~= nil)
      assert.matches(('"seccomp":%s'):format(on), (s:get("/status").body:gsub("%s", "")), 1,
        true)
      assert.matches(('"launcher":%s'):format(on), (s:get("/status").body:gsub("%s", "")), 1,
        true)
      assert.equal(202, s:post("/v1/events", '{"a":1}').status)
    end
    assert.equal(0, s:stop())
    assert.equal(4, #s:lines())
  end)

  it("has the new process use a folder that the reload can't", function()
    local outside = h.folder()
    finally(function() h.remove(outside) end)
    s = h.server { policy = h.policy {} }
    if skipped(s) then return end
    h.write(s.path, h.policy { top = ([[
      file "away" { dir = %q }
      stream "more" { sinks = { "away" } }
      route "POST /v1/more" { body = "event", stream = "more" } ]]):format(outside .. "/new") })
    local a = s:reload()
    assert.is_true(a.status >= 400)
    assert.matches("sluice upgrade", a.body, 1, true)
    h.write(outside .. "/ca.pem", "x")
    local new = h.read(s.path)
    for _, sink in ipairs {
      [[http "away" { url = "https://127.0.0.1:1/", tls = { ca = %q } }]],
      [[kafka "away" { brokers = "127.0.0.1:1", topic = "t",
          options = { ["ssl.ca.location"] = %q } }]] } do
      h.write(s.path, h.policy { top = sink:format(outside .. "/ca.pem")
        .. 'stream "more" { sinks = { "away" } }' })
      a = s:reload()
      assert.is_true(a.status >= 400, a.body)
      assert.matches('ca.pem: Permission denied', a.body, 1, true)
      assert.matches("sluice upgrade", a.body, 1, true)
    end
    h.write(s.path, new)
    upgrades.upgrade(s)
    assert.equal(202, s:post("/v1/more", '{"a":1}').status)
    s:deliver()
    assert.equal(0, s:stop())
    assert.matches('"a":1', h.shell(("cat '%s'/new/*"):format(outside)), 1, true)
  end)

  it("runs as the user that root's process becomes, and the next one does", function()
    if not root() then pending("needs root") return end
    local dir = h.folder()
    h.shell(("chmod 755 '%s'"):format(dir))
    s = h.server { dir = dir, policy = h.policy { server = [[user = "nobody"]] } }
    if skipped(s) then return end
    local nobody = h.shell("id -u nobody"):match("%d+")
    for _ = 1, 3 do
      local pid = assert(launcher(s.real_pid))
      for _, field in ipairs { "Uid", "Gid" } do
        local line = h.read("/proc/" .. pid .. "/status"):match("\n" .. field .. ":([^\n]*)")
        local id = field == "Uid" and nobody or h.shell("id -g nobody"):match("%d+")
        assert.equal(("\t" .. id):rep(4), line)
      end
      for _, field in ipairs { "CapEff", "CapPrm", "CapBnd" } do
        assert.matches("\n" .. field .. ":\t0+\n", h.read("/proc/" .. pid .. "/status"))
      end
      assert.matches("\nNoNewPrivs:\t1\n", h.read("/proc/" .. pid .. "/status"))
      upgrades.upgrade(s)
    end
    -- No process can be made for it: the old one serves, and the next try succeeds.
    local pid = launcher(s.real_pid)
    local limit = "setpriv --reuid=nobody --regid=$(id -g nobody) --clear-groups "
      .. "prlimit --pid %d --nproc=%d:"
    h.shell(limit:format(pid, 0))
    failed_upgrade(s, "can't make a process: Resource temporarily unavailable")
    h.shell(limit:format(pid, 1000))
    upgrades.upgrade(s)
    assert.equal(0, s:stop())
  end)

  it("that is killed fails upgrades with a reason; the server goes on and says so", function()
    s = h.server { policy = h.policy {} }
    if skipped(s) then return end
    signal.kill(assert(launcher(s.real_pid)), signal.SIGKILL)
    s:logged("level=warn event=launcher status=lost [^\n]*it has ended %(killed%?%)")
    h.wait_for("no zombie", function() return #children(s.real_pid) == 0 end)
    failed_upgrade(s, "the launcher, the process that starts others for one in the sandbox: "
      .. "it has ended")
    local out = h.shell(("%s upgrade --admin 127.0.0.1:%d 2>&1; echo code $?"):format(
      h.binary, s.admin))
    assert.matches("code 1\n", out)
    assert.matches("launcher", out)
    assert.matches('"launcher":false', (s:get("/status").body:gsub("%s", "")), 1, true)
    h.write(s.path, h.policy { top = "-- another" })
    assert.equal(200, s:reload().status)
    assert.equal(0, s:stop())
    s:start()
    upgrades.upgrade(s)
  end)

  it("that is killed during an upgrade ends that; the old process serves", function()
    local x = upgrades.slow_sink()
    s = h.server { policy = h.policy {} .. x.policy }
    if skipped(s) then x:close() return end
    local text = h.read(s.path)
    h.write(s.path, "local t = 0\nfor i = 1, 1e9 do t = t + i end\n" .. text)
    s:signal("SIGUSR2")
    local new = tonumber(s:logged("event=upgrade status=starts pid=(%d+)"))
    signal.kill(assert(launcher(s.real_pid)), signal.SIGKILL)
    s:logged("event=upgrade status=failed [^\n]*the launcher")
    h.wait_for("the new process to end", function() return not alive(new) end)
    assert.equal(202, s:post("/v1/events", '{"a":1}').status)
    assert.equal(0, s:stop())
    x:close()
  end)

  it("that hangs fails the upgrade after its time; requests and the end do not wait for it",
    function()
      s = h.server { policy = h.policy {} }
      if skipped(s) then return end
      local pid = assert(launcher(s.real_pid))
      signal.kill(pid, signal.SIGSTOP)
      assert.equal(202, h.request(s.admin, "POST", "/upgrade", "").status)
      for _, path in ipairs { "/status", "/metrics", "/healthz", "/status" } do
        assert.equal(200, s:get(path).status)
      end
      assert.matches('"under_way":true', (s:get("/status").body:gsub("%s", "")), 1, true)
      assert.is_nil(s:text():find("not answered", 1, true)) -- all that while it hangs
      assert.equal(409, h.request(s.admin, "POST", "/upgrade", "").status)
      assert.equal(202, s:post("/v1/events", '{"a":1}').status)
      s:logged("event=upgrade status=failed [^\n]*it has not answered for 10 s %(stopped%?%)",
        60)
      s:logged("event=launcher status=lost")
      assert.equal(202, s:post("/v1/events", '{"a":1}').status)
      assert.equal(0, s:stop())
      -- The kernel's own signal to it would come from within the sandbox.
      signal.kill(pid, signal.SIGCONT)
      h.wait_for("the launcher to end", function() return not alive(pid) end)
    end)

  it("that hangs does not hold up the end of a server that is to be followed", function()
    s = h.server { policy = h.policy {} }
    if skipped(s) then return end
    local pid = assert(launcher(s.real_pid))
    signal.kill(pid, signal.SIGSTOP)
    s:signal("SIGUSR2")
    h.wait_for("the upgrade", function()
      return s:get("/status").body:gsub("%s", ""):find('"under_way":true', 1, true)
    end)
    assert.equal(0, s:stop())
    signal.kill(pid, signal.SIGCONT)
    h.wait_for("the launcher to end", function() return not alive(pid) end)
  end)

  it("that goes on after such an upgrade starts nobody who stays", function()
    s = h.server { policy = h.policy {} }
    if skipped(s) then return end
    local pid = assert(launcher(s.real_pid))
    signal.kill(pid, signal.SIGSTOP)
    s:signal("SIGUSR2")
    s:logged("event=upgrade status=failed [^\n]*it has not answered", 60)
    signal.kill(pid, signal.SIGCONT)
    h.wait_for("no other process", function() return #children(s.real_pid) == 0 end, 60)
    assert.equal(202, s:post("/v1/events", '{"a":1}').status)
    assert.equal(0, s:stop())
  end)

  it("says why a binary does not run, and starts the one that replaces it", function()
    local dir = h.folder()
    h.binary = dir .. "/sluice"
    h.shell(("cp '%s' '%s'"):format(binary, h.binary))
    s = h.server { dir = dir, policy = h.policy {} }
    if skipped(s) then return end
    local pid = s.real_pid
    h.shell(("rm '%s'"):format(h.binary))
    failed_upgrade(s, "can't start [^\n]*/sluice[^\n]*: No such file or directory")
    h.shell(("echo x > '%s.new' && chmod 755 '%s.new' && mv '%s.new' '%s'"):format(h.binary,
      h.binary, h.binary, h.binary))
    s.log_from = #h.read(s.log)
    s:signal("SIGUSR2")
    s:logged("event=upgrade status=failed ", 60)
    h.shell(("printf '#!/bin/sh\\nexit 1\\n' > '%s'"):format(h.binary))
    failed_upgrade(s, "the new process ended with code 1 before it was ready")
    h.write(dir .. "/older.py", [[
import os, socket, struct, time
there = socket.socket(fileno=int(os.environ["SLUICE_TAKES_OVER"]))
there.send(struct.pack("=II", 0x51c0e002, 1).ljust(336, b"\0"))
time.sleep(60)
]])
    h.shell(("printf '#!/bin/sh\\nexec python3 \"%%s\"\\n' '%s/older.py' > '%s'"):format(dir,
      h.binary))
    failed_upgrade(s, "the other process is of a version that can't hand over to this one")
    assert.is_true(alive(pid))
    h.shell(("cp '%s' '%s.new' && mv '%s.new' '%s'"):format(binary, h.binary, h.binary,
      h.binary))
    upgrades.upgrade(s)
    assert.equal(0, s:stop())
  end)
end)
