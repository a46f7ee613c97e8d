-- The sandbox: threads of the server try what a process that was taken over would try, and
-- all that the server itself does still works.
local certificates = require "certificates"
local h = require "harness"
local receiver = require "receiver"

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
        if not (found[name] and found[name]["write-data"]) then return nil end
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
