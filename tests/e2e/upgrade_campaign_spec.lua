-- Upgrades and changes of the certificate, again and again, while clients of four kinds send
-- at half of what they can. The suite's form is two of each; SLUICE_UPGRADES=200 is the
-- campaign, which also holds the 99th percentile against that of a quiet time.
local certificates = require "certificates"
local h = require "harness"
local upgrades = require "upgrades"

local N = tonumber(os.getenv("SLUICE_UPGRADES") or 2)
local LONG = os.getenv("SLUICE_UPGRADES") ~= nil
-- Between two: an upgrade holds up requests for some tens of milliseconds, and one in a
-- hundred may be late.
local PAUSE_S, QUIET_S = LONG and 2 or 0, 20

local POLICY = [[
server { listen = "127.0.0.1:0", workers = 2 }
listen "0.0.0.0:0" { tls = { cert = "a.pem", key = "a.key", renew = "100ms" } }
file "archive" { dir = "archive", linger = "20ms" }
stream "events" { sinks = { "archive" } }
route "POST /v1/events" { body = "event", stream = "events" }
]]

local function stored(s) return s:metric("sluice_stored_events_total") or 0 end

---Clients that send until they are told to end; then their figures by kind.
local function clients(s, tls_port, rate)
  local out = os.tmpname()
  local f = assert(io.popen(("python3 tests/tools/upgrade_clients.py %d %d %g '%s' > '%s'")
    :format(s.port, tls_port, rate, s.dir .. "/acks", out), "w"))
  local before = stored(s)
  h.wait_for("the clients to send", function() return stored(s) > before end)
  return function()
    f:close()
    local text, kinds = h.read(out), {}
    os.remove(out)
    print("# " .. text:gsub("\n(.)", "\n# %1"))
    for kind, figures in text:gmatch("kind=(%S+) ([^\n]*)") do kinds[kind] = h.figures(figures) end
    return kinds
  end
end

local function for_a_while(s, port, rate, seconds)
  local stop = clients(s, port, rate)
  h.sleep(seconds)
  return stop().all
end

describe("upgrades and changes of certificates under load", function()
  it("fail no request, lose nothing and store nothing twice", function()
    local dir = h.folder()
    certificates.make(dir, "a")
    local s = h.server { dir = dir, policy = POLICY }
    local port = tonumber(s:text():match("event=ready [^\n]*listen=127%.0%.0%.1:%d+,"
      .. "0%.0%.0%.0:(%d+)"))
    local half, quiet = 500, nil
    if LONG then
      half = for_a_while(s, port, 0, QUIET_S).rate / 2
      quiet = for_a_while(s, port, half, QUIET_S)
    end
    local stop = clients(s, port, half)
    for _ = 1, N do
      certificates.renew(s)
      h.sleep(PAUSE_S)
      upgrades.upgrade(s)
      h.sleep(PAUSE_S)
    end
    local kinds = stop()
    for kind, f in pairs(kinds) do
      assert.is_true(f.sent > 0, kind)
      assert.equal(0, f.failed, kind)
    end
    if LONG then
      print(("# upgrades=%d quiet_p99_ms=%.2f p99_ms=%.2f"):format(N, quiet.p99_ms,
        kinds.all.p99_ms))
      assert.is_true(kinds.all.p99_ms <= 2 * quiet.p99_ms)
    end
    s:deliver()
    assert.equal(0, s:stop())
    local times, n = {}, 0
    for _, line in ipairs(s:lines()) do
      local number = line:match('"n":%s*(%d+)')
      times[number] = (times[number] or 0) + 1
    end
    -- The runs have the same numbers.
    local acked = {}
    for line in io.lines(dir .. "/acks") do
      acked[line], n = (acked[line] or 0) + 1, n + 1
    end
    for number, k in pairs(acked) do assert.equal(k, times[number], number) end
    print(("# upgrades: acked=%d"):format(n))
    s:close()
  end)
end)
