-- Listeners: sockets beside the short form, each with options of its own.

local h = require "harness"
local socket = require "socket"

-- A policy whose listeners lie in dir; o.first: options of the TCP one.
local function policy(dir, o)
  o = o or {}
  return ([[
server { workers = 2 }
listen "127.0.0.1:0" { %s }
listen "unix:%s/in.sock" { mode = "0600", routes = { "/v1/b" } }
file "archive" { dir = "archive", linger = "20ms" }
stream "events" { sinks = { "archive" } }
route "POST /v1/a" { body = "event", stream = "events", set = { from = "peer" } }
route "POST /v1/b" { body = "event", stream = "events", set = { from = "peer" } }
]]):format(o.first or 'routes = { "POST /v1/a" }', dir)
end

-- The status of a POST of {} through a Unix socket.
local function by_unix(path, url)
  return tonumber(h.shell(("curl -s -o /dev/null -w '%%{http_code}' --unix-socket '%s' "
    .. "-H 'content-type: application/json' -d '{}' http://x%s"):format(path, url)))
end

local function by_port(port, url)
  local a = h.request(port, "POST", url, "{}", { ["content-type"] = "application/json" })
  return a.status
end

describe("a listener", function()
  local s, dir, port

  setup(function()
    dir = h.folder()
    s = h.server { dir = dir, policy = policy(dir) }
    port = tonumber(s:text():match("listen=[%d.]+:%d+,127%.0%.0%.1:(%d+),unix:"))
  end)

  teardown(function()
    if s then s:close() end
  end)

  it("serves its routes, and answers 404 for those of others", function()
    assert.equal(202, by_port(s.port, "/v1/a"))
    assert.equal(202, by_port(s.port, "/v1/b"))
    assert.equal(202, by_port(port, "/v1/a"))
    assert.equal(404, by_port(port, "/v1/b"))
    assert.equal(404, by_unix(dir .. "/in.sock", "/v1/a"))
    assert.equal(202, by_unix(dir .. "/in.sock", "/v1/b"))
  end)

  it("gives its socket's file the mode of the policy", function()
    assert.equal("socket 600", (h.shell(("stat -c '%%F %%a' '%s/in.sock'"):format(dir))
      :gsub("\n", "")))
  end)

  it("counts its connections", function()
    assert.equal(2, s:metric("sluice_listener_connections_total", 'listener="127.0.0.1:0"'))
    assert.equal(0, s:metric("sluice_listener_refused_total",
      'listener="127.0.0.1:0",reason="limit"'))
  end)

  it("gets new options by a reload, on the connections that are open", function()
    local c = h.connect(port)
    h.write(s.path, policy(dir, { first = 'routes = { "/v1/b" }, max_connections = 1' }))
    assert.equal(200, s:reload().status)
    c:send("POST /v1/b HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
      .. "Content-Length: 2\r\n\r\n{}")
    assert.equal(202, h.answer(c).status)
    assert.equal(1, s:metric("sluice_listener_connections_open", 'listener="127.0.0.1:0"'))
    c:close()
  end)

  it("gives its socket's file another mode by a reload, and no other file", function()
    local function mode()
      return h.shell(("stat -c %%a '%s/in.sock'"):format(dir)):match("%d+")
    end
    h.write(s.path, (policy(dir):gsub('"0600"', '"0660"')))
    assert.equal(200, s:reload().status)
    assert.equal("660", mode())
    h.write(s.path, (policy(dir):gsub('mode = "0600"', 'mode = "0666", owner = "no-such-user"')))
    local a = s:reload()
    assert.truthy(a.status >= 400 and a.body:find("no%-such%-user"))
    assert.equal("660", mode())
  end)

  it("keeps its address until a restart", function()
    h.write(s.path, (policy(dir):gsub("in%.sock", "other.sock")))
    local a = s:reload()
    assert.equal(409, a.status)
    assert.truthy(a.body:find("the addresses of the listen blocks can't change", 1, true))
  end)

  it("leaves a second server to end, which names the address", function()
    local other = h.folder()
    h.write(other .. "/policy.lua", policy(dir))
    local pid = h.spawn({ h.binary, "run", "--admin", "127.0.0.1:0", "--data",
      other .. "/data", other .. "/policy.lua" }, other .. "/log")
    assert.equal(3, h.reap(pid))
    assert.truthy(h.read(other .. "/log"):find(("can't listen on unix:%s/in.sock: another "
      .. "process listens on it"):format(dir), 1, true))
    h.remove(other)
    assert.equal(202, by_unix(dir .. "/in.sock", "/v1/b"))
  end)

  it("replaces the socket's file that kill -9 left", function()
    h.write(s.path, policy(dir))
    s:stop("SIGKILL")
    assert.truthy(h.shell(("ls '%s'"):format(dir)):find("in.sock", 1, true))
    s:start()
    assert.equal(202, by_unix(dir .. "/in.sock", "/v1/b"))
  end)

  it("removes its socket's file at the end", function()
    h.write(s.path, policy(dir))
    assert.equal(0, s:stop())
    assert.equal("", h.shell(("ls '%s' | grep sock || true"):format(dir)))
  end)
end)

describe("silent connections", function()
  local LISTENER = 'listener="127.0.0.1:0"'
  local s
  after_each(function() if s then s:close() s = nil end end)

  local function start(options)
    s = h.server { policy = ([[
server { listen = "127.0.0.1:0", workers = 1, header_timeout = "2s", %s }
file "archive" { dir = "archive" }
stream "events" { sinks = { "archive" } }
route "POST /v1/a" { body = "event", stream = "events" }
]]):format(options) }
  end

  -- n connections from an address that send bytes, and no more.
  local function hold(n, from, bytes)
    local held = {}
    for i = 1, n do
      local c = assert(socket.tcp())
      c:settimeout(20)
      assert(c:bind(from, 0))
      assert(c:connect("127.0.0.1", s.port))
      c:send(bytes or "")
      held[i] = c
    end
    return held
  end

  local function post(from)
    local c = hold(1, from)[1]
    c:send("POST /v1/a HTTP/1.1\r\nHost: h\r\nConnection: close\r\n"
      .. "Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{}")
    local a = h.answer(c)
    c:close()
    return a.status
  end

  local function open()
    return s:metric("sluice_listener_connections_open", LISTENER)
  end

  it("fill max_connections for header_timeout, also when they send a byte now and then",
    function()
      start("max_connections = 8")
      for _, bytes in ipairs { "", "P" } do
        h.wait_for("room", function() return open() == 0 end)
        local held = hold(8, "127.0.0.2", bytes)
        h.wait_for("all", function() return open() == 8 end)
        assert.equal(503, post("127.0.0.3"))
        local began = h.now()
        for i = 1, 8 do if bytes ~= "" then held[i]:send("O") end end
        h.wait_for("their end", function() return open() == 0 end, 20)
        assert.is_true(h.now() - began < 15)
        assert.equal(202, post("127.0.0.3"))
        for _, c in ipairs(held) do c:close() end
      end
    end)

  it("of one address keep no other one out where max_per_address holds", function()
    start("max_connections = 8, max_connections_per_address = 4")
    local held = hold(12, "127.0.0.2")
    h.wait_for("all", function()
      return s:metric("sluice_listener_refused_total", LISTENER .. ',reason="address"') == 8
    end)
    assert.equal(202, post("127.0.0.3"))
    assert.equal(503, post("127.0.0.2"))
    for _, c in ipairs(held) do c:close() end
  end)
end)

-- As systemd starts a service, with mistakes: descriptors from 3 on, of the kinds given (t:
-- listening, u: a datagram socket, c: not listening), and words in the environment.
local PASSES = [[
import os, socket, sys
kinds, fds, names, pid = sys.argv[1:5]
for i, kind in enumerate(kinds):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM if kind == "u" else socket.SOCK_STREAM)
    s.bind(("127.0.0.1", 0))
    if kind == "t":
        s.listen()
    os.dup2(s.fileno(), 10 + i)
    s.close()
for i in range(len(kinds)):
    os.dup2(10 + i, 3 + i)
    os.set_inheritable(3 + i, True)
    os.close(10 + i)
os.environ.update(LISTEN_FDS=fds, LISTEN_FDNAMES=names, LISTEN_PID=pid or str(os.getpid()))
os.execvp(sys.argv[5], sys.argv[5:])
]]

describe("sockets that a service manager passes", function()
  local function start(kinds, fds, names, pid, more)
    return h.server { policy = (more or 'listen "systemd:in" {}\n') .. h.policy {},
      wrap = { "python3", "-c", PASSES, kinds, fds, names, pid or "" } }
  end

  for _, x in ipairs {
    { "that are no listening ones are refused",
      "u", "1", "in", nil, "no listening stream socket" },
    { "that do not listen yet are refused",
      "c", "1", "in", nil, "no listening stream socket" },
    { "that are another process's are not taken",
      "t", "1", "in", "1", 'LISTEN_PID=\\"1\\" pass no socket to this process' },
    { "whose number is no number are not taken",
      "t", "abc", "in", nil, 'LISTEN_FDS=\\"abc\\" and LISTEN_PID=\\"%d+\\" pass no socket' },
    { "that are fewer than their names are told",
      "t", "3", "a:b:in", nil, "no listening stream socket" },
    { "that have one name are refused",
      "tt", "2", "in:in", nil, "several sockets have" },
  } do
    it(x[1], function()
      local ok, why = pcall(start, x[2], x[3], x[4], x[5])
      if ok then why:close() end
      assert.is_false(ok)
      assert.matches("can't listen on systemd:in: [^\n]*" .. x[6], tostring(why))
    end)
  end

  it("that no listener has are told, and those of listeners serve", function()
    local s = start("ttu", "3", "other:in:log")
    finally(function() s:close() end)
    for _, name in ipairs { "other", "log" } do
      s:logged(('level=warn event=socket_unused name="?%s"? why='):format(name))
    end
    local port = tonumber(s:text():match("listen=127%.0%.0%.1:%d+,127%.0%.0%.1:(%d+)"))
    assert.equal(202, by_port(port, "/v1/events"))
    assert.equal(0, s:stop())
  end)

  it("cost nothing a server that listens elsewhere", function()
    local s = start("t", "abc", "in", nil, "")
    finally(function() s:close() end)
    assert.equal(202, by_port(s.port, "/v1/events"))
    assert.equal(0, s:stop())
  end)
end)
