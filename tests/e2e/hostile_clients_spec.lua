local h = require "harness"
local signal = require "posix.signal"

-- Clients from hell beside good ones: silent, slow, one byte at a time, half-closed,
-- resetting, pipelining without reading; who is thrown out comes back. The short form
-- has 1,000 of them, SLUICE_HOSTILE=10000 the long one.

local N = tonumber(os.getenv("SLUICE_HOSTILE")) or 1000
local GOOD, RATE = 200, 400 -- connections, requests a second of all together
local SECONDS = N > 1000 and 20 or 5
local WORKERS = 2
-- conf/HTTP.md: buffers of a worker, a connection, its first 4 KiB of a body.
local BOUND_MB = WORKERS * 64 + N * (8 + 4) / 1024

local function rss_mb(s)
  return tonumber(h.read("/proc/" .. s.real_pid .. "/status")
    :match("VmRSS:%s*(%d+)")) / 1024
end

local function good(s)
  return h.load(s.port, { batch = 10, connections = GOOD, rate = RATE,
    seconds = SECONDS })
end

local function hostile(s)
  local x = { out = os.tmpname() }
  x.pid = h.spawn({ h.build .. "/tools/hostile", "--port", tostring(s.port),
    "--mode", "mix", "--count", tostring(N), "--again" }, x.out)
  return x
end

local function stop(x)
  signal.kill(x.pid, signal.SIGTERM)
  h.reap(x.pid)
  local text = h.read(x.out)
  os.remove(x.out)
  return h.figures(text)
end

describe(N .. " clients from hell", function()
  local s, bad
  after_each(function()
    if bad then stop(bad) bad = nil end
    if s then s:close() s = nil end
  end)

  it("cost good clients little, over a reload and a drain, in bounded memory",
  function()
    s = h.server { policy = h.policy { workers = WORKERS,
      server = [[header_timeout = "2s", body_timeout = "2s", drain = "5s"]] } }
    local alone = h.load_wait(good(s))
    local before, most = rss_mb(s), 0
    bad = hostile(s)
    h.wait_for("all of them", function()
      return h.read(bad.out):match("ready open=%d+")
    end, 60)
    local l = good(s)
    local till = h.now() + SECONDS / 2
    h.wait_for("half of the time", function()
      most = math.max(most, rss_mb(s))
      return h.now() > till
    end, SECONDS + 30)
    assert.equal(200, s:reload().status)
    local beside = h.load_wait(l)
    most = math.max(most, rss_mb(s))
    local share = (beside.ok / beside.seconds) / (alone.ok / alone.seconds)
    local evicted = s:metric("sluice_connections_evicted_total")
    local timeouts = s:metric("sluice_connection_timeouts_total")
    local began = h.now()
    assert.equal(0, s:stop())
    local drained = h.now() - began
    local f = stop(bad)
    bad = nil
    print(("# hostile: %d clients: good rate %.3f of alone (p99 %.1f ms, alone "
      .. "%.1f ms), rss %d MB + %d MB, drain %.1f s, opened=%d closed=%d "
      .. "timeouts=%d evicted=%d sent=%d MB"):format(N, share, beside.p99_ms,
      alone.p99_ms, before, most - before, drained, f.opened, f.closed, timeouts,
      evicted, f.sent / 2 ^ 20))
    assert.equal(0, beside.other + beside.broken + beside.full)
    assert.is_true(share >= 0.9)
    assert.is_true(most - before < BOUND_MB)
    assert.is_true(f.closed > 0)
    assert.is_true(drained < 15)
  end)
end)
