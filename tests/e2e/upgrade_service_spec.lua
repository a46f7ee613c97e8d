-- Upgrades under a service manager: the sockets that it passes, and what it hears.
local h = require "harness"
local poll = require "posix.poll"
local signal = require "posix.signal"
local socket = require "posix.sys.socket"
local unistd = require "posix.unistd"
local upgrades = require "upgrades"

local alive, post = upgrades.alive, upgrades.post

-- As systemd starts a service with a socket: descriptor 3, and words in the environment.
local PASSES = [[
import os, socket, sys
s = socket.create_server(("127.0.0.1", 0))
os.dup2(s.fileno(), 3)
os.set_inheritable(3, True)
os.environ.update(LISTEN_FDS="1", LISTEN_FDNAMES="in", LISTEN_PID=str(os.getpid()))
os.execvp(sys.argv[1], sys.argv[1:])
]]

-- A service manager that writes who says what: one line a message.
local WITNESS = [[
import socket, struct, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
s.bind(sys.argv[1])
while True:
    text, words, _, _ = s.recvmsg(4096, 1024)
    pid = struct.unpack("3i", words[0][2][:12])[0]
    print(pid, text.decode().replace("\n", " "), flush=True)
]]

describe("an upgrade under a service manager", function()
  it("keeps a socket that was passed, and a proxy in the middle of its header", function()
    local s = h.server { wrap = { "python3", "-c", PASSES }, policy = h.policy {} .. [[
      listen "systemd:in" { proxy_protocol = true, trusted = { "127.0.0.0/8" } }
    ]] }
    local port = tonumber(s:text():match("listen=127%.0%.0%.1:%d+,127%.0%.0%.1:(%d+)"))
    local begun, kept = h.connect(port), h.connect(port)
    begun:send("PROXY TCP4 10.1.2.3 ")
    kept:send("PROXY TCP4 10.1.2.4 10.0.0.1 1000 80\r\n")
    assert.equal(202, post(kept).status)
    for _ = 1, 2 do
      upgrades.upgrade(s)
      assert.equal(202, post(kept).status)
      local new = h.connect(port)
      new:send("PROXY TCP4 10.1.2.5 10.0.0.1 1000 80\r\n")
      assert.equal(202, post(new).status)
      new:close()
    end
    begun:send("10.0.0.1 1000 80\r\n")
    assert.equal(202, post(begun).status)
    begun:close()
    kept:close()
    assert.equal(0, s:stop())
    s:close()
  end)

  local s, dir, witness, x, main
  local function watched()
    dir = h.folder()
    witness = h.spawn({ "python3", "-c", WITNESS, dir .. "/notify" }, dir .. "/witness")
    h.wait_for("the witness", function() return unistd.access(dir .. "/notify") end)
    x = upgrades.slow_sink()
    s = h.server { dir = dir, policy = h.policy {} .. x.policy, wrap = { "env",
      "NOTIFY_SOCKET=" .. dir .. "/notify", "WATCHDOG_USEC=400000" } }
    main = s.pid
  end

  local function ended()
    s:signal("SIGTERM")
    h.wait_for("the end", function() return not alive(s.real_pid) end)
    h.kill(witness)
    x:close()
    s:close()
  end

  local function told(pattern) return select(2, h.read(dir .. "/witness"):gsub(pattern, "")) end

  -- systemd passes over what a process says that is not the service's main process.
  it("is told of the new process before that one says anything", function()
    watched()
    s:signal("SIGUSR2")
    s.real_pid = tonumber(s:logged("event=upgrade status=starts pid=(%d+)"))
    assert.equal(0, h.reap(s.pid))
    s.pid = nil
    h.wait_for("the new process", function() return told(s.real_pid .. " READY=1") == 1 end)
    local ready = 0
    for pid, text in h.read(dir .. "/witness"):gmatch("(%d+) ([^\n]*)") do
      assert.equal(main, tonumber(pid), text)
      main = tonumber(text:match("MAINPID=(%d+)")) or main
      ready = ready + (text:find("READY=1", 1, true) and 1 or 0)
    end
    assert.equal(s.real_pid, main)
    assert.equal(2, ready)
    ended()
  end)

  it("hears of the old process until the new one serves, which may take a while", function()
    watched()
    local c
    s.real_pid, c = upgrades.stop_new(s, x)
    local ping = main .. " WATCHDOG=1"
    local before = told(ping)
    h.wait_for("pings", function() return told(ping) >= before + 5 end, 4)
    signal.kill(s.real_pid, signal.SIGCONT)
    assert.equal(0, h.reap(s.pid))
    s.pid = nil
    h.wait_for("the new process", function() return told(s.real_pid .. " READY=1") == 1 end)
    c:close()
    ended()
  end)

  it("names the new process, which pings from then on, and ends the old one", function()
    dir = h.folder()
    local fd = assert(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM, 0))
    assert(socket.bind(fd, { family = socket.AF_UNIX, path = dir .. "/notify" }))
    local function heard(pattern)
      h.wait_for(pattern, function()
        local text = (poll.rpoll(fd, 0) or 0) > 0 and socket.recv(fd, 4096)
        return text and text:match(pattern)
      end)
    end
    s = h.server { dir = dir, policy = h.policy {}, wrap = { "env",
      "NOTIFY_SOCKET=" .. dir .. "/notify", "WATCHDOG_USEC=400000" } }
    s:signal("SIGUSR2")
    s.real_pid = tonumber(s:logged("event=upgrade status=starts pid=(%d+)"))
    heard("^MAINPID=" .. s.real_pid .. "$")
    assert.equal(0, h.reap(s.pid))
    s.pid = nil
    while (poll.rpoll(fd, 0) or 0) > 0 do socket.recv(fd, 4096) end
    heard("^WATCHDOG=1$")
    s:signal("SIGTERM")
    heard("^STOPPING=1")
    h.wait_for("the end", function() return not alive(s.real_pid) end)
    unistd.close(fd)
    s:close()
  end)
end)
