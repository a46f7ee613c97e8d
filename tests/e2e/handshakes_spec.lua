-- Handshakes that are garbage, cut or slow, at a server as it runs: 10,000 of them leave no
-- descriptor and no memory. And what becomes of the wish that the kernel encrypts.
local socket = require "socket"
local signal = require "posix.signal"
local certificates = require "certificates"
local h = require "harness"

local N = 10000
local SLOW = 100 -- held open at once
-- Less than 420 bytes a handshake. The sanitizers keep what was freed for a while.
local BOUND_MB = h.build:find "san" and 64 or 4

local POLICY = [[
server { workers = 1 }
listen "127.0.0.1:0" { tls = { cert = "ec.pem", key = "ec.key", max_handshakes = 1000 } }
file "archive" { dir = "archive", linger = "20ms" }
stream "events" { sinks = { "archive" } }
route "POST /v1/events" { body = "event", stream = "events" }
]]

describe("a TLS listener", function()
  local s, dir, port

  setup(function()
    dir = h.folder()
    certificates.make(dir, "ec", { hosts = "DNS:a.example" })
    s = h.server { dir = dir, policy = POLICY }
    port = tonumber(s:text():match("listen=[%d.]+:%d+,127%.0%.0%.1:(%d+)"))
  end)

  teardown(function()
    if s then s:close() end
  end)

  local function post(options, body)
    h.write(dir .. "/body", body or "{}")
    return h.shell(("curl -sS --max-time 20 --cacert '%s/ec.pem' --resolve a.example:%d:127.0.0.1 "
      .. "-o /dev/null -w '%%{http_code}' -H 'Content-Type: application/json' --data-binary "
      .. "'@%s/body' %s https://a.example:%d/v1/events"):format(dir, port, dir, options or "",
      port))
  end

  -- The bytes that a client begins with.
  local function hello()
    local l = assert(socket.bind("127.0.0.1", 0))
    local _, own = l:getsockname()
    local pid = h.spawn({ "openssl", "s_client", "-connect", "127.0.0.1:" .. own }, "/dev/null")
    l:settimeout(20)
    local c = assert(l:accept())
    c:settimeout(20)
    local head = assert(c:receive(5))
    local n = head:byte(4) * 256 + head:byte(5)
    local rest = assert(c:receive(n))
    c:close()
    l:close()
    h.reap(pid)
    return head .. rest
  end

  local function files()
    return tonumber(h.shell(("ls /proc/%d/fd | wc -l"):format(s.real_pid)))
  end

  local function rss_mb()
    return tonumber(h.read("/proc/" .. s.real_pid .. "/status"):match("VmRSS:%s*(%d+)")) / 1024
  end

  local function attack(n, bytes)
    local slow = {}
    for i = 1, n do
      local c = assert(socket.tcp())
      c:settimeout(20)
      assert(c:connect("127.0.0.1", port))
      local part = i * 7919 % #bytes
      if i % 4 == 0 then
        -- Garbage; every other one looks like a record first.
        c:send((i % 8 == 0 and "\22\3\1\1\0" or "SSH") .. bytes:reverse():sub(1, 300))
      elseif i % 4 == 1 then
        c:send(bytes:sub(1, part)) -- cut
      elseif i % 4 == 2 then
        c:send(bytes) -- the server signs, and then nobody is there
        if i % 8 == 2 then c:receive(1) end
      else
        c:send(bytes:sub(1, part)) -- slow
        slow[#slow + 1] = c
        c = #slow > SLOW and table.remove(slow, 1) or nil
      end
      if c then c:close() end
    end
    for _, c in ipairs(slow) do c:close() end
  end

  -- All connections of the attack are gone.
  local function quiet()
    h.wait_for("no handshake under way", function()
      return s:metric("sluice_tls_handshakes_under_way") == 0
    end, 60)
  end

  it("keeps no descriptor and no memory of 10,000 handshakes that are garbage, cut or slow",
  function()
    local bytes = hello()
    assert.equal("202", post())
    attack(N / 5, bytes)
    quiet()
    local before, memory, began = files(), rss_mb(), h.now()
    attack(N, bytes)
    local seconds = h.now() - began
    quiet()
    h.wait_for("the descriptors of before", function() return files() <= before end)
    local more = rss_mb() - memory
    print(("# %d broken handshakes in %.1f s: %d descriptors before, %d after, rss %.1f MB "
      .. "+ %.2f MB"):format(N, seconds, before, files(), memory, more))
    assert.is_true(more < BOUND_MB, more)
    assert.equal("202", post())
  end)

  -- Debian's OpenSSL asks the kernel for each connection. A kernel without the module "tls"
  -- refuses, and OpenSSL encrypts; one with it takes the keys, and this test covers its part.
  it("asks the kernel to encrypt with TLS 1.2 alone, and goes on if it won't", function()
    if h.shell("command -v strace") == "" then
      pending("strace is not installed")
      return
    end
    local out = os.tmpname()
    local large = ('{"x":"%s"}'):format(("x"):rep(400000))
    local asked = {}
    for _, version in ipairs { "1.2", "1.3" } do
      local pid = h.spawn({ "strace", "-f", "-e", "trace=setsockopt", "-o", out, "-p",
        tostring(s.real_pid) }, "/dev/null")
      h.wait_for("strace", function()
        return not h.shell(("grep TracerPid /proc/%d/task/*/status"):format(s.real_pid))
          :match("TracerPid:%s0\n")
      end)
      assert.equal("202", post(("--tlsv%s --tls-max %s"):format(version, version), large))
      signal.kill(pid, signal.SIGTERM)
      h.reap(pid)
      asked[version] = h.read(out)
    end
    os.remove(out)
    assert.matches("TCP_ULP", asked["1.2"])
    assert.is_nil(asked["1.3"]:find("TCP_ULP", 1, true))
    assert.is_nil(asked["1.3"]:find("SOL_TLS", 1, true))
    print("# the kernel encrypts: " .. (asked["1.2"]:find("TLS_TX[^\n]* = 0\n") and "yes" or "no"))
    assert.equal(0, s:stop())
    local n = 0
    for _, line in ipairs(s:lines()) do n = n + (line == large and 1 or 0) end
    assert.equal(2, n)
  end)
end)
