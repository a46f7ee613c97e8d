-- The HTTP clients of other languages over TLS: Java's and Go's, of their standard libraries.
-- Each sends batches, on kept connections and on new ones, while certificates change and the
-- server is replaced; what was acknowledged is compared with what is stored.
local certificates = require "certificates"
local h = require "harness"
local upgrades = require "upgrades"

local POLICY = [[
server { listen = "127.0.0.1:0", workers = 2 }
listen "0.0.0.0:0" { tls = { cert = "a.pem", key = "a.key", renew = "100ms",
  client = "required", ca = "ca.pem" } }
file "archive" { dir = "archive", linger = "20ms" }
stream "events" { sinks = { "archive" } }
route "POST /v1/events/batch" { body = "batch", stream = "events",
  on_event = function(ev, req)
    ev.version, ev.subject = req.tls.version, req.tls.subject
  end }
]]

-- The command that starts a client, or nil and why there is none.
local function java()
  if not h.shell("java --list-modules"):find("jdk.compiler", 1, true) then
    return nil, "no JDK is installed (default-jdk-headless)"
  end
  return "java tests/clients/TlsClient.java"
end

local function go(dir)
  if h.shell("command -v go") == "" then return nil, "no Go is installed (golang-go)" end
  local out = h.shell(("GO111MODULE=off GOTOOLCHAIN=local GOCACHE=${GOCACHE:-${HOME:-/tmp}"
    .. "/.cache/go-build} go build -o '%s/tls_client' tests/clients/tls_client.go"):format(dir))
  assert(h.read(dir .. "/tls_client"), out)
  return ("'%s/tls_client'"):format(dir)
end

describe("a client over TLS, while certificates change and the server is replaced:", function()
  local dir, s, port, ca

  before_each(function()
    dir = h.folder()
    ca = certificates.make(dir, "ca")
    certificates.make(dir, "a", { by = ca, hosts = "DNS:localhost,IP:127.0.0.1" })
    certificates.make(dir, "client", { by = ca })
    h.shell(("cd '%s' && openssl pkcs12 -export -in client.pem -inkey client.key -out client.p12 "
      .. "-passout pass:secret"):format(dir))
    s = h.server { dir = dir, policy = POLICY }
    port = tonumber(s:text():match("event=ready [^\n]*0%.0%.0%.0:(%d+)"))
  end)
  after_each(function() s:close() end)

  local function stored() return s:metric("sluice_stored_events_total") or 0 end

  local function resumed(version)
    return s:metric("sluice_tls_handshakes_total",
      ('version="%s",resumed="yes"'):format(version)) or 0
  end

  local function begin(command, version)
    local name = "client" .. version
    local f = assert(io.popen(("%s https://127.0.0.1:%d/v1/events/batch '%s' %s %s > '%s/%s.out'"
      .. " 2>&1"):format(command, port, dir, version, name, dir, name), "w"))
    return { input = f, name = name, version = version }
  end

  local function finish(c)
    c.input:close()
    local out = h.read(("%s/%s.out"):format(dir, c.name))
    print(("# %s: %s"):format(c.name, (out:gsub("%s+$", ""))))
    local sent, acked, failed = out:match("sent=(%d+) acked=(%d+) failed=(%d+)")
    assert.equal("0", failed, out)
    assert.equal(sent, acked)
    assert.is_true(tonumber(sent) > 0)
  end

  -- Each event once, as acknowledged, and with what the listener knows of the client.
  local function compare(clients)
    local times = {}
    for _, line in ipairs(s:lines()) do
      local name, n = line:match('"client":"([^"]+)"'), line:match('"n":(%d+)')
      assert.is_truthy(line:find('"subject":"CN=client"', 1, true), line)
      assert.is_truthy(line:find('"version":"TLSv' .. name:match("[%d.]+$") .. '"', 1, true), line)
      local key = name .. " " .. n
      times[key] = (times[key] or 0) + 1
    end
    for _, c in ipairs(clients) do
      for line in io.lines(("%s/%s.acks"):format(dir, c.name)) do
        local first, n = line:match("^(%d+) (%d+)$")
        for i = first, first + n - 1 do
          local key = ("%s %d"):format(c.name, i)
          assert.equal(1, times[key], key)
          times[key] = nil
        end
      end
    end
    assert.is_nil(next(times))
  end

  local function all(command)
    local clients = { begin(command, "1.2"), begin(command, "1.3") }
    for _, version in ipairs { "1.2", "1.3" } do
      h.wait_for("sessions of " .. version, function() return resumed(version) > 0 end)
    end
    for _ = 1, 2 do
      certificates.renew(s, { by = ca, hosts = "DNS:localhost,IP:127.0.0.1" })
      upgrades.upgrade(s)
      local before = stored()
      h.wait_for("events after it", function() return stored() > before + 100 end)
      for _, version in ipairs { "1.2", "1.3" } do -- by the new process
        h.wait_for("a session to go on", function() return resumed(version) > 0 end)
      end
    end
    for _, c in ipairs(clients) do finish(c) end
    s:deliver()
    assert.equal(0, s:stop())
    compare(clients)
  end

  it("Java's sees no failure, and each of its events is stored once", function()
    local command, why = java()
    if not command then pending(why) return end
    all(command)
  end)

  it("Go's sees no failure, and each of its events is stored once", function()
    local command, why = go(dir)
    if not command then pending(why) return end
    all(command)
  end)
end)
