-- The wall clock is set under load, forth and back: the server's only, by
-- tests/tools/clock_shim.c. SLUICE_CLOCK_SECONDS=N: between two steps (default 1.5).
local h = require "harness"
local receiver = require "receiver"

local PAUSE = tonumber(os.getenv("SLUICE_CLOCK_SECONDS") or 1.5)
local HOUR, DAY = 3600 * 1000, 24 * 3600 * 1000

local POLICY = [[
server { listen = "127.0.0.1:0", workers = 2 }
admin { listen = "127.0.0.1:0" }
spool { max_bytes = "1GiB" }
file "archive" { dir = "archive", linger = "50ms", compress = "zstd",
  rotate = { age = "30m", bytes = "256MiB" } }
http "out" { url = %q, batch = { target = 1000, min = 1000, linger = "200ms" },
  breaker = { interval = "10s", timeout = "1s" } }
stream "events" { ack = %q, sinks = { "archive", "out" },
  dedup = { key = "event_id", window = "10m" } }
local l = limit "l" { rate = "1000000/s", burst = 1000000 }
route "POST /v1/events" { body = "event", stream = "events",
  on_request = function(req) return l:check("all") end }
]]

describe("a wall clock that is set under load", function()
  local s, r
  after_each(function()
    if s then s:close() s = nil end
    if r then r:close() r = nil end
  end)

  for _, ack in ipairs { "written", "synced" } do
    it("stalls no client and no sink, rotates nothing early, loses nothing: "
      .. ack, function()
      r = receiver.start()
      local dir = h.folder()
      local clock = dir .. "/clock"
      s = h.server { dir = dir, policy = POLICY:format(r.url, ack),
        wrap = h.own_clock(clock) }
      local acks = dir .. "/acks"
      local steps = { HOUR, 0, -HOUR, 0, DAY, -DAY, 0 }
      local l = h.load(s.port, { path = "/v1/events", batch = 1, rate = 400,
        connections = 8, seconds = math.ceil(#steps * (PAUSE + 60)), acks = acks })
      local slowest = 0
      for _, ms in ipairs(steps) do
        h.sleep(PAUSE / 2)
        h.set_clock(clock, ms)
        local began = h.now()
        for _, sink in ipairs { "archive", "out" } do
          local label = ('sink="%s"'):format(sink)
          local had = s:metric("sluice_delivered_events_total", label)
          h.wait_for(sink .. " to go on after " .. ms, function()
            return s:metric("sluice_delivered_events_total", label) > had + 50
          end)
        end
        slowest = math.max(slowest, h.now() - began)
        h.sleep(PAUSE / 2)
      end
      local f = h.load_end(l)
      assert.same({ 0, 0, 0 }, { f.full, f.other, f.broken }, f.text)
      assert.equal(0, s:metric("sluice_connection_timeouts_total") or 0)
      s:deliver()
      assert.equal(0, s:metric("sluice_file_sealed_total", 'sink="archive"'))
      assert.equal(0, s:stop())
      local v = h.verify(acks, s:collect())
      assert.same({ 0, 0, 0 }, { v.missing, v.twice, v.torn }, v.text)
      assert.equal(f.ok, #r:events())
      print(("# clock, %s: %d acknowledged over %d steps, each sink went on "
        .. "within %.2f s, p99 %.1f ms"):format(ack, f.ok, #steps, slowest,
        f.p99_ms or -1))
    end)
  end

  -- The alert SluiceRestarts counts its changes.
  it("makes no other start of the process", function()
    local dir = h.folder()
    local clock = dir .. "/clock"
    s = h.server { dir = dir, policy = h.policy { workers = 1 }, wrap = h.own_clock(clock) }
    local start = s:metric "process_start_time_seconds"
    assert.is_true(math.abs(start - os.time()) < 60, start)
    for _, ms in ipairs { 1, 250, HOUR, -DAY, 0 } do
      h.set_clock(clock, ms)
      assert.equal(start, s:metric "process_start_time_seconds")
    end
  end)
end)
