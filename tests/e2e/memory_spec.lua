local h = require "harness"

-- The design's schema and hook: a read, a test, an edit.
local HOOK = [[on_event = function(ev, req)
  if ev.event_type == "purchase" and not ev.value then return reject("v", "v") end
  ev.received_at = req.time_ms
end]]

local function rss_kb(s)
  return tonumber(h.read("/proc/" .. s.real_pid .. "/status")
    :match("VmRSS:%s*(%d+)"))
end

---Waits until the server has answered that many requests.
local function answered(s, n)
  h.wait_for(n .. " requests", function()
    h.sleep(0.1)
    return s:metric("sluice_requests_total", 'status="202"') >= n
  end, 120)
end

describe("memory in steady state", function()
  local s
  after_each(function() if s then s:close() s = nil end end)

  it("stays flat over 17 million events", function()
    s = h.server { policy = h.policy { route = HOOK,
      file = [[rotate = { bytes = "64MiB" }, compress = "zstd"]] } }
    local l = h.load(s.port, { batch = 50, connections = 32, seconds = 180,
      rate = 12000 })
    answered(s, 72000)
    local first = rss_kb(s)
    answered(s, 342000)
    local last = rss_kb(s)
    local f = h.load_stop(l)
    print(("# memory: rss after 3.6 million events = %d kB, after 17.1 million = %d kB"):format(
      first, last))
    assert.equal(0, f.other + f.broken)
    assert.is_true(last < first * 1.05 + 2048)
  end)

  it("stays flat while 1 GB waits for a sink that stands still", function()
    s = h.server { policy = h.policy { route = HOOK,
      spool = [[max_bytes = "4GiB"]] } }
    h.load_wait(h.load(s.port, { batch = 100, connections = 16, seconds = 2 }))
    local archive = s.data .. "/archive"
    h.block(archive, archive .. ".gone")
    s:reload()
    local l = h.load(s.port, { batch = 100, connections = 16, seconds = 60 })
    h.sleep(2)
    local before = rss_kb(s)
    h.wait_for("a backlog of 1 GB", function()
      return s:metric("sluice_sink_lag_bytes", "archive") > 1e9
    end, 60)
    local after = rss_kb(s)
    h.load_stop(l)
    print(("# memory: rss before = %d kB, behind 1 GB = %d kB"):format(before,
      after))
    assert.is_true(after < before * 1.05 + 4096)
  end)
end)
