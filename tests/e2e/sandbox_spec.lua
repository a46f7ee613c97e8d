-- The sandbox: threads of the server try what a process that was taken over would try, and
-- all that the server itself does still works.
local certificates = require "certificates"
local h = require "harness"
local receiver = require "receiver"
local signal = require "posix.signal"

local FORBIDDEN = { "execve", "execve-there", "ptrace", "mount", "unshare", "bpf", "io_uring",
  "kill-parent", "setuid", "fork", "socket-packet", "socket-vsock", "socket-audit",
  "read-outside", "write-outside", "make-outside", "list-outside", "write-policy",
  "write-usr", "launcher-kill", "launcher-ptrace", "launcher-memory", "launcher-words",
  "launcher-files", "launcher-limits", "launcher-pidfd" }
local ALLOWED = { "launcher-there", "socket-tcp", "socket-unix", "read-policy", "write-data" }

describe("a server with sandbox = \"required\"", function()
  local s, r, dir, outside, policy, why_not

  setup(function()
    dir, outside = h.folder(), h.folder()
    h.write(outside .. "/file", "a,b\n1,2\n")
    h.write(dir .. "/rows.csv", "id,text\na,one\n")
    r = receiver.start()
    policy = ([[
server { listen = "127.0.0.1:0", workers = 2, drain = "500ms", sandbox = "required" }
admin { listen = "127.0.0.1:0" }
local rows = lookup "rows.csv"
file "archive" { dir = "archive", linger = "5ms", rotate = { bytes = "1MiB", age = "1s" } }
http "hook" { url = %q, batch = { linger = "1ms" } }
kafka "bus" { brokers = "localhost:1", topic = "t" }
stream "events" { ack = "synced", sinks = { "archive", "hook", "bus" } }
route "POST /v1/events" { body = "event", stream = "events",
  on_event = function(ev) ev.text = rows[ev.id] end }
]]):format((r.url:gsub("127.0.0.1", "localhost")))
    local ok, why = pcall(function()
      s = h.server { dir = dir, policy = policy, wrap = { "env",
        "LD_PRELOAD=" .. h.build .. "/tools/libforbidden.so",
        "SLUICE_FORBIDDEN=" .. outside .. "/results", "SLUICE_FORBIDDEN_INSIDE=" .. dir,
        "SLUICE_FORBIDDEN_OUTSIDE=" .. outside } }
    end)
    if not ok then
      why_not = why:match('server%.sandbox is [^\n]*')
      assert(why_not, why)
    end
  end)
  teardown(function()
    if s then s:close() else h.remove(dir) end
    r:close()
    h.remove(outside)
  end)

  ---The kernel or the build can't: counted, with the reason.
  local function skipped()
    if why_not then pending(why_not) end
    return why_not
  end

  it("can do none of it in any thread, and all that it needs", function()
    if skipped() then return end
    local threads = h.wait_for("the threads", function()
      local found = {}
      for thread, call, result in (h.read(outside .. "/results") or "")
          :gmatch("([^\n]-) (%S+) (%S+)\n") do
        found[thread] = found[thread] or {}
        found[thread][call] = result
      end
      for _, name in ipairs { "worker 0", "worker 1", "archive", "hook", "bus" } do
        if not found[name] then return nil end
      end
      -- Each writes a line per call, the last one last.
      for _, calls in pairs(found) do
        if not calls["write-data"] then return nil end
      end
      return found
    end)
    for thread, calls in pairs(threads) do
      for _, call in ipairs(FORBIDDEN) do
        assert.truthy(calls[call], thread .. " " .. call)
        assert.not_equal("OK", calls[call], thread .. " " .. call)
      end
      for _, call in ipairs(ALLOWED) do
        assert.equal("OK", calls[call], thread .. " " .. call)
      end
    end
    assert.is_nil(h.read(outside .. "/new"))
    local list = h.shell(("grep -h '^Seccomp:' /proc/%d/task/*/status | sort -u"):format(
      s.real_pid))
    assert.equal("Seccomp:\t2\n", list)
  end)

  it("says so in the log and /status", function()
    if skipped() then return end
    s:logged "event=process user=%S+ capabilities=%S+ core_dumps=off seccomp=on landlock=on"
    assert.matches([["seccomp":true,"landlock":true]], (s:get("/status").body:gsub("%s", "")),
      1, true)
  end)

  it("stores, delivers by name and reloads with other files of the policy", function()
    if skipped() then return end
    assert.equal(202, s:post("/v1/events", [[{"id":"a"}]]).status)
    h.wait_for("the endpoint", function() return #r:events() == 1 end)
    h.write(dir .. "/rows.csv", "id,text\na,two\n")
    h.write(dir .. "/more.csv", "id,text\na,two\n")
    h.write(s.path, policy .. [[local more = lookup "more.csv"]])
    assert.equal(200, s:reload().status)
    assert.equal(202, s:post("/v1/events", [[{"id":"a"}]]).status)
    h.wait_for("the endpoint", function() return #r:events() == 2 end)
    assert.matches([["text":"two"]], r:events()[2], 1, true)
  end)

  it("refuses a policy with a file elsewhere, and says why", function()
    if skipped() then return end
    h.write(s.path, policy .. ("local more = lookup %q"):format(outside .. "/file"))
    local a = s:reload()
    assert.equal(422, a.status)
    assert.matches("Permission denied", a.body, 1, true)
    assert.matches("the sandbox lets this process use only the folders that the policy named "
      .. "at its start: \\\"sluice upgrade\\\" starts a process that may use others", a.body, 1,
      true)
    h.write(s.path, (policy:gsub("required", "auto")))
    assert.matches("server.sandbox can't change in a running server", s:reload().body, 1, true)
  end)

  it("starts again after a kill with all events", function()
    if skipped() then return end
    s:stop("SIGKILL")
    h.write(s.path, policy)
    s:start()
    assert.equal(202, s:post("/v1/events", [[{"id":"a"}]]).status)
    h.wait_for("delivery to the archive", function()
      return s:metric("sluice_delivered_events_total", "archive") == 1
    end)
    assert.equal(0, s:stop())
    assert.equal(3, #s:lines())
  end)
end)

describe("a server whose policy the sandbox can't hold", function()
  local function policy(mode)
    return h.policy { workers = 1, server = ([[sandbox = %q]]):format(mode),
      stream = "", top = [[kafka "bus" { brokers = "127.0.0.1:1", topic = "t",
        options = { ["sasl.mechanism"] = "GSSAPI", ["sasl.kerberos.service.name"] = "kafka",
          ["security.protocol"] = "SASL_PLAINTEXT", ["sasl.kerberos.principal"] = "sluice",
          ["sasl.kerberos.kinit.cmd"] = "true" } }
      stream "more" { sinks = { "bus" } }]] }
  end

  it("starts with \"auto\", and says what is missing", function()
    local s = h.server { policy = policy "auto" }
    finally(function() s:close() end)
    s:logged "event=process [^\n]*seccomp=off landlock=off why="
    assert.matches("GSSAPI", s:get("/status").body)
    assert.equal(0, s:stop())
  end)

  it("does not start with \"required\"", function()
    local ok, why = pcall(h.server, { policy = policy "required" })
    assert.is_false(ok)
    assert.matches([[server%.sandbox is \"required\", but sandbox: ]], why)
  end)
end)

describe("a server in the sandbox whose certificates lie beside its policy's folder", function()
  it("renews them by paths that start there", function()
    local dir = h.folder()
    h.shell(("mkdir '%s/etc' '%s/tls' '%s/kept'"):format(dir, dir, dir))
    certificates.make(dir .. "/kept", "first")
    certificates.make(dir .. "/kept", "second")
    for _, part in ipairs { "pem", "key" } do
      h.shell(("ln -s ../kept/first.%s '%s/tls/in.%s'"):format(part, dir, part))
    end
    h.write(dir .. "/etc/policy.lua", h.policy { workers = 1, server = [[sandbox = "auto"]],
      top = [[listen "127.0.0.1:0" { tls = { cert = "../tls/in.pem", key = "../tls/in.key",
        renew = "100ms" } }]] })
    local s = h.server { dir = dir, path = dir .. "/etc/policy.lua" }
    finally(function() s:close() end)
    s:logged "event=process "
    for _, part in ipairs { "pem", "key" } do
      h.shell(("ln -sfn ../kept/second.%s '%s/tls/in.%s'"):format(part, dir, part))
    end
    s:logged "event=certificate status=renewed"
  end)
end)

describe("what an operator may have set up around a server in the sandbox", function()
  local s, dir
  before_each(function() dir = h.folder() end)
  after_each(function()
    if s then s:close() s = nil else h.remove(dir) end
  end)

  ---False: the kernel or the build can't, which is counted with the reason.
  local function start(o)
    o.dir = dir
    o.policy = o.policy or h.policy { workers = 1, server = [[sandbox = "required"]],
      top = o.top }
    local ok, why = pcall(h.server, o)
    s = ok and why or nil
    local cant = not ok and (why:match("the kernel has no [^\n]*")
      or why:match("built with a sanitizer"))
    if cant then pending(cant) return false end
    assert(ok, why)
    return true
  end

  it("the admin listener on a Unix socket", function()
    h.shell(("mkdir '%s/run'"):format(dir))
    for _ = 1, 2 do
      if not start { args = { "--admin", "unix:" .. dir .. "/run/admin.sock" } } then return end
      assert.equal("200", h.shell(("curl -s -o '%s/status' -w '%%{http_code}' --unix-socket "
        .. "'%s/run/admin.sock' http://localhost/status"):format(dir, dir)))
      assert.equal(0, s:stop())
      assert.equal("", h.shell(("ls '%s/run'"):format(dir)))
    end
  end)

  it("an access log into a pipe, as in a container", function()
    if not start { top = [[access_log { path = "/dev/stdout" }]],
      wrap = { "bash", "-c", 'exec "$@" > >(exec cat >&2)', "bash" } } then return end
    s:logged "event=process [^\n]*seccomp=on landlock=on\n"
    assert.equal(202, s:post("/v1/events", '{"a":1}').status)
    s:logged "/v1/events"
    assert.equal(0, s:stop())
  end)

  it("an access log whose folder was made again, of which the log says what to do", function()
    h.shell(("mkdir '%s/lines'"):format(dir))
    if not start { top = ("access_log { path = %q }"):format(dir .. "/lines/access.log") } then
      return
    end
    s:logged "event=process "
    h.shell(("mv '%s/lines' '%s/before' && mkdir '%s/lines'"):format(dir, dir, dir))
    signal.kill(s.pid, signal.SIGUSR1)
    -- A line that comes before the signal is handled goes to the old file.
    h.wait_for("a line that is dropped", function()
      assert.equal(202, s:post("/v1/events", '{"a":1}').status)
      return s:text():match "event=access_log status=dropped"
    end)
    s:logged "event=access_log status=dropped [^\n]*Permission denied[^\n]*sluice upgrade"
    assert.equal(0, s:stop())
  end)

  it("a table by a link in another folder that leads to a deployment's link", function()
    h.shell(([[cd '%s' && mkdir app links srv v1 v2 && echo id,text >v1/t.csv
      echo a,1 >>v1/t.csv && sed s/1/2/ v1/t.csv >v2/t.csv
      ln -s ../links/t.csv app/t.csv && ln -s ../srv/now/t.csv links/t.csv
      ln -s ../v1 srv/now]]):format(dir))
    h.write(dir .. "/app/policy.lua", [[
server { listen = "127.0.0.1:0", workers = 1, sandbox = "required" }
admin { listen = "127.0.0.1:0" }
local rows = lookup "t.csv"
file "archive" { dir = "archive" }
stream "events" { sinks = { "archive" } }
route "POST /v1/events" { body = "event", stream = "events",
  on_event = function(ev) return reject(rows.a) end }
]])
    if not start { path = dir .. "/app/policy.lua" } then return end
    assert.matches('"code":"1"', s:post("/v1/events", '{"a":1}').body, 1, true)
    h.shell(("ln -sfn ../v2 '%s/srv/now'"):format(dir))
    local a = s:reload()
    assert.equal(200, a.status, a.body)
    assert.matches('"code":"2"', s:post("/v1/events", '{"a":1}').body, 1, true)
    h.shell(("cd '%s' && mkdir srv/v3 && cp v2/t.csv srv/v3 && ln -sfn v3 srv/now"):format(dir))
    assert.equal(200, s:reload().status)
    assert.equal(0, s:stop())
  end)

  for _, name in ipairs { "spool", "spool/events", "spool/sinks", "spool/policies", "dead",
    "tables", "archive" } do
    it("a link to another disk as data/" .. name, function()
      h.shell(("mkdir -p '%s/disk' '%s/data/spool' && rmdir '%s/data/%s' 2>/dev/null; "
        .. "ln -s '%s/disk' '%s/data/%s'"):format(dir, dir, dir, name, dir, dir, name))
      h.write(dir .. "/rows.csv", "id,text\na,one\n")
      if not start { policy = h.policy { workers = 1, server = [[sandbox = "required"]],
        top = [[local rows = lookup "rows.csv"]] } } then return end
      assert.equal(202, s:post("/v1/events", '{"a":1}').status)
      s:deliver()
      assert.is_nil(s:text():find("Permission denied", 1, true))
      assert.equal(0, s:stop())
    end)
  end

  it("a link to another disk as data/dead, which takes letters", function()
    local r = receiver.start()
    finally(function() r:close() end)
    r:rule "poison"
    h.shell(("mkdir '%s/disk' '%s/data' && ln -s '%s/disk' '%s/data/dead'"):format(dir, dir,
      dir, dir))
    if not start { top = ([[http "hook" { url = %q, batch = { linger = "5ms" } }
      stream "more" { sinks = { "hook" } }
      route "POST /v1/more" { body = "batch", stream = "more" }]]):format(r.url) } then
      return
    end
    assert.equal(202, s:post("/v1/more", '{"n":1}\n{"value":"text"}\n{"n":3}',
      { ["Content-Type"] = "application/x-ndjson" }).status)
    h.wait_for("the letter", function()
      return (h.read(dir .. "/disk/sink-hook.ndjson") or ""):find("\n")
    end)
    assert.equal(0, s:stop())
  end)

  it("a certificate of a Kafka sink by a path from the working directory", function()
    local there = h.folder() -- not below the policy's folder
    finally(function() h.remove(there) end)
    certificates.make(there, "ca")
    if not start { wrap = { "sh", "-c", ('b=$(readlink -f "$1") && shift && cd "%s" '
      .. '&& exec "$b" "$@"'):format(there), "sh" },
      top = [[kafka "bus" { brokers = "localhost:1", topic = "t", options = {
        ["security.protocol"] = "ssl", ["ssl.ca.location"] = "ca.pem" } }
      stream "more" { sinks = { "bus" } }]] } then return end
    s:logged "event=kafka_client sink=bus facility=FAIL" -- it has read it, and connects
    assert.is_nil(s:text():find("Permission denied", 1, true))
    assert.equal(0, s:stop())
  end)

  local NO_CAPSET = [[
import ctypes, os, pwd, struct, sys
if os.getuid() == 0:
    os.setgroups([])
    os.setuid(pwd.getpwnam("nobody").pw_uid)
number = {"x86_64": 126, "aarch64": 91}[os.uname().machine]
code = struct.pack("=" + "HBBI" * 4, 0x20, 0, 0, 0, 0x15, 0, 1, number, 0x06, 0, 0, 0x50001,
                   0x06, 0, 0, 0x7fff0000)
room = ctypes.create_string_buffer(code)
libc = ctypes.CDLL(None, use_errno=True)
assert libc.prctl(38, 1, 0, 0, 0) == 0
assert libc.prctl(22, 2, ctypes.byref(ctypes.create_string_buffer(
    struct.pack("@HP", 4, ctypes.addressof(room)))), 0, 0) == 0
os.execvp(sys.argv[1], sys.argv[1:])
]]

  it("a service manager's filter without capset, and no capabilities", function()
    h.write(dir .. "/no_capset.py", NO_CAPSET)
    h.shell(("chmod 755 '%s' && mkdir -m 777 '%s/data'"):format(dir, dir))
    if not start { wrap = { "python3", dir .. "/no_capset.py" } } then return end
    s:logged "event=process [^\n]*capabilities=none [^\n]*landlock=on\n"
    assert.equal(0, s:stop())
  end)

  it("such a filter, and a capability that it does not give up", function()
    if h.shell("id -u"):match("%d+") ~= "0" then pending("needs root") return end
    h.write(dir .. "/no_capset.py", NO_CAPSET)
    h.shell(("chmod 755 '%s' && mkdir -m 777 '%s/data'"):format(dir, dir))
    if not start { wrap = { "setpriv", "--reuid=nobody",
      "--regid=" .. h.shell("id -g nobody"):match("%d+"), "--clear-groups",
      "--inh-caps=+net_bind_service", "--ambient-caps=+net_bind_service",
      "/usr/bin/python3", dir .. "/no_capset.py" } } then return end
    s:logged "event=process [^\n]*capabilities=kept [^\n]*landlock=on\n"
    assert.equal(0, s:stop())
  end)
end)
