-- Sessions of TLS over upgrades: the keys of tickets go to the next process.
local certificates = require "certificates"
local faults = require "faults"
local h = require "harness"
local upgrades = require "upgrades"

local VERSIONS = { "-tls1_2", "-tls1_3" }

-- Of 1.3 the ticket comes after the handshake: with the answer to a request.
local LAST = "GET /x HTTP/1.1\\r\\nHost: a\\r\\nConnection: close\\r\\n\\r\\n"

local function policy(tls, more)
  return ([[
server { listen = "127.0.0.1:0", workers = 2 }
listen "0.0.0.0:0" { tls = { cert = "a.pem", key = "a.key", %s } }
file "archive" { dir = "archive", linger = "20ms" }
stream "events" { sinks = { "archive" } }
route "POST /v1/events" { body = "event", stream = "events" }
%s]]):format(tls or "", more or "")
end

describe("session tickets", function()
  local s, port

  before_each(function()
    local dir = h.folder()
    certificates.make(dir, "a")
    s = h.server { dir = dir, policy = policy() }
    port = tonumber(s:text():match("event=ready [^\n]*0%.0%.0%.0:(%d+)"))
  end)
  after_each(function() s:close() end)

  local function client(options)
    return h.shell(("printf '%s' | timeout 20 openssl s_client -connect 127.0.0.1:%d -ign_eof %s")
      :format(LAST, port, options))
  end

  local function session(version, name)
    client(("%s -sess_out '%s/%s%s'"):format(version, s.dir, name, version))
  end

  local function resumes(version, name)
    local out = client(("%s -sess_in '%s/%s%s'"):format(version, s.dir, name, version))
    assert(out:find("HTTP/1.1 404", 1, true), out)
    return out:find("Reused, TLS", 1, true) ~= nil
  end

  local function begin(name)
    for _, version in ipairs(VERSIONS) do session(version, name) end
  end

  local function all_resume(expected, name)
    for _, version in ipairs(VERSIONS) do
      assert.equal(expected, resumes(version, name), name .. " " .. version)
    end
  end

  it("are good over upgrades, and new ones too", function()
    begin "first"
    for n = 1, 3 do
      upgrades.upgrade(s)
      all_resume(true, "first")
      begin("after" .. n)
    end
    for n = 1, 3 do all_resume(true, "after" .. n) end
    for _, version in ipairs { "1.2", "1.3" } do -- of the last process
      assert.is_true(s:metric("sluice_tls_handshakes_total",
        ('version="%s",resumed="yes"'):format(version)) >= 4)
    end
  end)

  it("are good when the process before serves again", function()
    begin "first"
    h.write(s.path, policy(nil, ('listen "127.0.0.1:%d" {}\n'):format(s.admin)))
    upgrades.attempt(s)
    assert.is_truthy(s:text():find("event=upgrade status=failed", 1, true))
    all_resume(true, "first")
  end)

  it("are good when the process before is killed once the new one is ready", function()
    local x = upgrades.slow_sink()
    h.write(s.path, policy(nil, x.policy))
    upgrades.upgrade(s)
    begin "first"
    local c = x:take(s) -- the old one waits for it
    s.log_from = #h.read(s.log)
    s:signal("SIGUSR2")
    s:logged("event=upgrade status=ready")
    s:signal("SIGKILL")
    s.real_pid = tonumber(s:logged("event=ready [^\n]*pid=(%d+)"))
    all_resume(true, "first")
    s:signal("SIGTERM")
    h.wait_for("the end", function() return not upgrades.alive(s.real_pid) end)
    c:close()
    x:close()
  end)

  it("end where the policy wants none, and are good again where it does", function()
    begin "first"
    h.write(s.path, policy "tickets = false")
    upgrades.upgrade(s)
    all_resume(false, "first")
    h.write(s.path, policy())
    upgrades.upgrade(s)
    all_resume(true, "first")
  end)

  it("end where clients are asked for certificates that they were not asked for", function()
    begin "first"
    h.write(s.path, policy 'client = "optional", ca = "a.pem"')
    upgrades.upgrade(s)
    all_resume(false, "first")
  end)

  it("end with the version that the policy forbids", function()
    begin "first"
    h.write(s.path, policy 'min_version = "1.3"')
    upgrades.upgrade(s)
    assert.is_true(resumes("-tls1_3", "first"))
    assert.matches("alert protocol version", client "-tls1_2")
  end)

  it("end at a restart: the keys are in memory alone", function()
    begin "first"
    h.write(s.path, (policy():gsub("0%.0%.0%.0:0", "0.0.0.0:" .. port)))
    assert.equal(0, s:stop())
    s:start()
    all_resume(false, "first")
  end)
end)

describe("connections with TLS", function()
  it("are kept open again after an upgrade that is given up", function()
    local dir = h.folder()
    certificates.make(dir, "a")
    local text = policy():gsub("workers = 2", 'workers = 2, drain = "50ms"')
    local f = faults.new(dir)
    local s = h.server { dir = dir, policy = text, wrap = f:wrap() }
    local port = tonumber(s:text():match("event=ready [^\n]*0%.0%.0%.0:(%d+)"))
    local c = upgrades.hang_reload(s, f)
    for _ = 1, 2 do
      s.log_from = #h.read(s.log)
      s:signal("SIGUSR2")
      s:logged("event=upgrade status=failed [^\n]*a reload that is under way")
      local url = ("https://127.0.0.1:%d/x "):format(port)
      h.wait_for("one connection for three requests", function()
        return h.shell("curl -sk -o /dev/null -o /dev/null -o /dev/null -w '%{num_connects}' "
          .. url:rep(3)) == "100"
      end, 20)
    end
    f:rules()
    c:close()
    s:close()
  end)
end)
