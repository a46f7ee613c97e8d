-- The process: root's rights are given up, the service manager is told the truth, and a
-- thread that hangs stops its watchdog.
local certificates = require "certificates"
local faults = require "faults"
local free_port = require "clickhouse".free_port
local h = require "harness"
local signal = require "posix.signal"
local sys = require "posix.sys.socket"
local poll = require "posix.poll"
local unistd = require "posix.unistd"

local function root() return h.shell("id -u"):match("^0") end

---A policy with user = "nobody", in a folder that this user may read.
local function open_folder()
  local dir = h.folder()
  h.shell(("chmod 755 '%s'"):format(dir))
  return dir
end

local NOBODY = { workers = 2, server = [[user = "nobody"]] }

---Each field of /proc/PID/task/*/status that all threads have alike.
local function status(pid, field)
  local text = h.shell(("grep -h '^%s:' /proc/%d/task/*/status | sort -u"):format(field,
    pid))
  return (text:gsub("^%S+%s*", ""):gsub("%s+$", ""))
end

---Ends a server that has not come to be ready; its code and its log.
local function refused(o)
  local ok, why = pcall(h.server, o)
  assert.is_false(ok)
  return why
end

describe("a server that root starts with server.user", function()
  local s, dir
  before_each(function()
    if root() then dir = open_folder() end
  end)
  after_each(function()
    if s then s:close() s = nil
    elseif dir then h.remove(dir) end
  end)

  it("binds a port of root, becomes that user in all threads, and keeps no capability",
  function()
    if not root() then pending("needs root") return end
    -- An address of its own, so that no other test has that port.
    local pid = unistd.getpid()
    local address = ("127.%d.%d.9:79"):format(16 + math.floor(pid / 250) % 200, pid % 250)
    s = h.server { dir = dir, policy = h.policy(NOBODY), args = { "--listen", address } }
    local uid = h.shell("id -u nobody"):match("%d+")
    local four = ("\t" .. uid):rep(4):sub(2)
    assert.equal(four, status(s.real_pid, "Uid"))
    assert.equal((h.shell("id -g nobody"):match("%d+") .. "\t"):rep(4):sub(1, -2),
      status(s.real_pid, "Gid"))
    assert.equal(h.shell("id -g nobody"):match("%d+"), status(s.real_pid, "Groups"))
    for _, set in ipairs { "CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb" } do
      assert.equal("0000000000000000", status(s.real_pid, set), set)
    end
    assert.equal("1", status(s.real_pid, "NoNewPrivs"))
    s:logged "event=process user=nobody capabilities=none core_dumps=off"
    -- No core file, whatever the system does with them: see proc(5).
    assert.equal("0", h.shell(("stat -c %%u /proc/%d/maps"):format(s.real_pid)):match("%d+"))
    local a = h.shell(("curl -s -w '%%{http_code}' -H 'Content-Type: application/json' "
      .. "-d '{}' http://%s/v1/events"):format(address))
    assert.matches("202$", a)
    assert.equal(0, s:stop())
    assert.equal(1, #s:lines())
    local foreign = h.shell(("find '%s' ! -user nobody"):format(s.data))
    assert.equal("", foreign)
  end)

  it("makes nothing that others can read, whatever its umask is", function()
    s = h.server { wrap = { "sh", "-c", 'umask 0; exec "$@"', "sh" }, policy = h.policy {
      workers = 1, stream = [[index = "id", dedup = { key = "id", persist = true }]],
      file = [[compress = "zstd", rotate = { age = "20ms" }]],
      top = [[access_log { } local l = limit "l" { quota = "9/d" }]],
      route = [[limits = { l }, on_event = function(ev) if ev.raise then error("x") end end]] } }
    assert.equal(202, s:post("/v1/events", '{"id":1}').status)
    assert.equal(202, s:post("/v1/events", '{"raise":1}').status)
    h.wait_for("its files", function()
      return #h.shell(("ls '%s/archive' | grep zst$"):format(s.data)) > 0
        and h.read(s.data .. "/access.log") and #h.shell(("ls '%s/dead'"):format(s.data)) > 0
        and h.read(s.data .. "/spool/quotas/l-d.quota")
    end)
    assert.equal(0, s:stop())
    assert.equal("", h.shell(("find '%s' -mindepth 1 -perm /027"):format(s.data)))
  end)

  it("serves, reloads and starts again with what it wrote", function()
    if not root() then pending("needs root") return end
    -- Large enough to be built below data/tables, which root does before the change.
    local rows = {}
    for i = 1, 160000 do rows[i] = ("key-%07d,a value of a row\n"):format(i) end
    h.write(dir .. "/large.csv", "id,text\n" .. table.concat(rows))
    local policy = h.policy { workers = 1, server = [[user = "nobody"]],
      top = [[local big = lookup "large.csv"]] }
    s = h.server { dir = dir, policy = policy }
    assert.equal(202, s:post("/v1/events", "{}").status)
    assert.matches("^%d+ nobody$", h.shell(("cd '%s/data/tables' && stat -c '%%h %%U' *")
      :format(dir)):gsub("%s+$", ""))
    h.write(s.path, policy .. "\n-- another\n")
    assert.equal(200, s:reload().status)
    h.write(s.path, (policy:gsub('user = "nobody"', "core_dumps = true")))
    local a = s:reload()
    assert.equal(409, a.status)
    assert.matches("server.user, server.core_dumps can't change in a running server",
      a.body, 1, true)
    h.write(s.path, policy)
    assert.equal(0, s:stop())
    s:start()
    assert.equal(202, s:post("/v1/events", "{}").status)
    assert.equal(0, s:stop())
    assert.equal(2, #s:lines())
  end)

  it("refuses files of another user, says which, and changes no owner", function()
    if not root() then pending("needs root") return end
    s = h.server { dir = dir, policy = h.policy { workers = 1 } }
    assert.equal(202, s:post("/v1/events", "{}").status)
    assert.equal(0, s:stop())
    h.write(s.path, h.policy(NOBODY))
    local ok = pcall(s.start, s)
    assert.is_false(ok)
    assert.equal(3, s.code)
    assert.matches("user %d+ can't write to %S+/data, which belongs to user 0 %(mode "
      .. "0750%): give the data directory to server%.user %(chown %-R nobody ", s:text())
    h.shell(("chown nobody '%s'"):format(s.data))
    assert.is_false((pcall(s.start, s)))
    assert.matches("can't write %S+/data/spool, which belongs to user 0 ", s:text())
    h.shell(("chown -R nobody '%s'; f=$(find '%s/archive' -name '*.part' | head -1); "
      .. "f=${f:-'%s/spool/UUID'}; chown root \"$f\"; chmod 600 \"$f\""):format(s.data,
      s.data, s.data))
    assert.is_false((pcall(s.start, s)))
    assert.matches("which belongs to user 0 %(mode 0600%)", s:text())
    h.shell(("chown -R nobody '%s'"):format(s.data))
    s:start()
    assert.equal(0, s:stop())
    assert.equal(1, #s:lines())
  end)

  it("refuses a policy that this user can't read, because no reload would pass",
  function()
    if not root() then pending("needs root") return end
    h.write(dir .. "/policy.lua", h.policy(NOBODY))
    h.shell(("chmod 600 '%s/policy.lua'"):format(dir))
    assert.matches("can't read %S+/policy%.lua, which belongs to user 0 %(mode 0600%), so "
      .. "no reload would pass", refused { dir = dir, path = dir .. "/policy.lua" })
  end)

  it("refuses a key that this user can't read, and renews one that it can read later",
  function()
    if not root() then pending("needs root") return end
    local policy = h.policy { workers = 2, server = [[user = "nobody"]], top =
      [[listen "127.0.0.1:0" { tls = { cert = "in.pem", key = "in.key", renew = "100ms" } }]] }
    certificates.make(dir, "in")
    h.shell(("chmod 600 '%s/in.key'"):format(dir))
    assert.matches("can't read the key [^\n]+/in%.key[^\n]+: Permission denied",
      refused { dir = dir, policy = policy })
    h.shell(("chown nobody '%s/in.key'"):format(dir))
    s = h.server { dir = dir, policy = policy }
    certificates.make(dir, "new")
    h.shell(("cd '%s' && chmod 600 new.key && mv new.key in.key && mv new.pem in.pem")
      :format(dir))
    s:logged "event=certificate status=failed"
    h.shell(("chown nobody '%s/in.key'"):format(dir))
    s:logged "event=certificate status=renewed"
  end)

  it("refuses a user that is not there, or is root", function()
    if not root() then pending("needs root") return end
    assert.matches([[server%.user: this system has no user \"no%-such%-user\": create it]],
      refused { dir = dir, policy = h.policy { server = [[user = "no-such-user"]] } })
    assert.matches([[server%.user: \"root\" is root]],
      refused { dir = dir, policy = h.policy { server = [[user = "root"]] } })
    assert.matches([[server%.user: \"0\" is root]],
      refused { dir = dir, policy = h.policy { server = [[user = "0"]] } })
  end)

  it("gives up a capability that a service manager gave its user", function()
    if not root() then pending("needs root") return end
    h.shell(("mkdir '%s/data'; chown nobody '%s' '%s/data'"):format(dir, dir, dir))
    s = h.server { dir = dir, policy = h.policy(NOBODY), wrap = { "setpriv", "--reuid=nobody",
      "--regid=" .. h.shell("id -g nobody"):match("%d+"), "--clear-groups",
      "--inh-caps=+net_bind_service", "--ambient-caps=+net_bind_service" } }
    for _, set in ipairs { "CapInh", "CapPrm", "CapEff", "CapAmb" } do
      assert.equal("0000000000000000", status(s.real_pid, set), set)
    end
    assert.equal(202, s:post("/v1/events", "{}").status)
    assert.equal(0, s:stop())
  end)

  it("started by another user than root, it refuses what it can't become", function()
    if not root() then pending("needs root") return end
    h.shell(("mkdir '%s/data'; chown daemon '%s/data'"):format(dir, dir))
    local why = refused { dir = dir, policy = h.policy(NOBODY),
      wrap = { "setpriv", "--reuid=daemon", "--regid=daemon", "--clear-groups" } }
    assert.matches([[sluice runs as user %d+ and can't become \"nobody\": start it as root]],
      why)
  end)
end)

-- ---- the service manager ----------------------------------------------------------

---A service manager's end of the socket.
local function manager(dir)
  local m = { path = dir .. "/notify" }
  m.fd = assert(sys.socket(sys.AF_UNIX, sys.SOCK_DGRAM, 0))
  assert(sys.bind(m.fd, { family = sys.AF_UNIX, path = m.path }))
  ---The next message that is there; nil: none.
  function m:next(ms)
    if (poll.rpoll(self.fd, ms or 0) or 0) > 0 then return sys.recv(self.fd, 4096) end
  end
  function m:drain() while self:next() do end end
  function m:wait(pattern)
    return h.wait_for("the message " .. pattern, function()
      local text = self:next()
      return text and text:match(pattern)
    end)
  end
  function m:close() unistd.close(self.fd) end
  return m
end

describe("what the service manager hears", function()
  local s, m, f, dir
  before_each(function()
    dir = h.folder()
    m = manager(dir)
    f = faults.new(dir .. "/data")
  end)
  after_each(function()
    f:rules()
    if s then s:close() s = nil end
    m:close()
    f:close()
  end)

  local function server(watchdog, o)
    local wrap = f:wrap()
    wrap[#wrap + 1] = "NOTIFY_SOCKET=" .. m.path
    if watchdog then wrap[#wrap + 1] = "WATCHDOG_USEC=" .. watchdog end
    s = h.server { dir = dir, wrap = wrap, policy = h.policy(o or { workers = 2 }) }
  end

  it("is that sluice is ready, loads, has refused a policy, and stops", function()
    server()
    assert.matches("READY=1\nSTATUS=Serving 127%.0%.0%.1:%d+, policy generation 1$",
      m:wait("^READY.*"))
    h.write(s.path, h.policy { workers = 2, top = "-- other" })
    s:signal "SIGHUP"
    local us = tonumber(m:wait("^RELOADING=1\nMONOTONIC_USEC=(%d+)\n"))
    local up = tonumber(h.read("/proc/uptime"):match("^%S+"))
    assert.is_true(us > 0 and us / 1e6 <= up + 1)
    assert.matches("policy generation 2$", m:wait("^READY=1.*"))
    h.write(s.path, "nonsense")
    s:signal "SIGHUP"
    m:wait("^RELOADING=1\n")
    assert.matches("policy generation 2$", m:wait("^READY=1.*"))
    assert.equal(0, s:stop())
    assert.matches("STATUS=Draining", m:wait("^STOPPING=1.*"))
  end)

  local function hangs(whose, who)
    server(400000)
    for _ = 1, 3 do m:wait("^WATCHDOG=1$") end
    f:rules("on=write do=hang " .. whose)
    local c = h.connect(s.port)
    c:send("POST /v1/events HTTP/1.1\r\nHost: t\r\nContent-Type: application/json\r\n"
      .. "Content-Length: 2\r\n\r\n{}")
    s:logged("event=watchdog_silent " .. who .. " ms=")
    m:drain()
    -- Twice the time after which the service manager kills.
    assert.is_nil(m:next(800))
    f:rules()
    m:wait("^WATCHDOG=1$")
    c:close()
    assert.equal(0, s:stop())
  end

  it("is no more that all is well while a sink's thread hangs", function()
    hangs("thread=archive", "sink=archive")
  end)

  it("is no more that all is well while a worker hangs", function()
    hangs("path=/spool/events/", "worker=%d")
  end)
end)

describe("a server whose caller has closed the standard descriptors", function()
  it("writes its log to no file or socket of its own, and can be upgraded", function()
    local dir, port = h.folder(), free_port()
    h.write(dir .. "/policy.lua", h.policy())
    local pid = h.spawn({ "sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh", h.binary, "run",
      "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:" .. port, "--data", dir .. "/data",
      dir .. "/policy.lua" }, dir .. "/log")
    finally(function()
      if pid then h.kill(pid) end
      h.remove(dir)
    end)
    h.wait_for("the server", function()
      local ok, a = pcall(h.request, port, "GET", "/readyz")
      return ok and a and a.status == 200
    end, 60)
    assert.equal(("/dev/null\n"):rep(3),
      h.shell(("readlink /proc/%d/fd/0 /proc/%d/fd/1 /proc/%d/fd/2"):format(pid, pid, pid)))
    assert.equal("0\n", h.shell(("%s upgrade --admin 127.0.0.1:%d >/dev/null 2>&1; echo $?")
      :format(h.binary, port)))
    signal.kill(pid, signal.SIGTERM)
    assert.equal(0, h.reap(pid))
    pid = nil
  end)
end)

describe("conf/sluice.service", function()
  it("is as closed as sluice can live with", function()
    if h.shell("command -v systemd-analyze") == "" then
      pending("systemd-analyze is not installed")
      return
    end
    local text = h.shell("systemd-analyze security --offline=true conf/sluice.service")
    local level = tonumber(text:match("exposure level for sluice%.service: ([%d.]+)"))
    assert.is_true(level ~= nil and level <= 2.0, text)
    assert.is_nil(text:match("Unknown"), text)
    text = h.shell("systemd-analyze verify conf/sluice.service")
    assert.equal("", (text:gsub("[^\n]*Command /usr/local/bin/sluice is not executable"
      .. "[^\n]*\n", "")))
  end)

  it("has a socket unit that systemd accepts", function()
    if h.shell("command -v systemd-analyze") == "" then
      pending("systemd-analyze is not installed")
      return
    end
    local text = h.shell("systemd-analyze verify conf/sluice.socket")
    assert.equal("", (text:gsub("[^\n]*Command /usr/local/bin/sluice is not executable"
      .. "[^\n]*\n", "")))
  end)
end)
