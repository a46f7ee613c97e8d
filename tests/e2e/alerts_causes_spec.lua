-- Alerts about causes, each fired by its fault, as alerts_spec does for the rest: a slow and
-- failing disk, clients that are refused, memory that is too small for its keys, sinks.
local certificates = require "certificates"
local faults = require "faults"
local h = require "harness"
local kafka = require "kafka"
local posix = require "posix.sys.socket"
local prometheus = require "prometheus"
local socket = require "socket"
local unistd = require "posix.unistd"

local missing = prometheus.missing

local POLICY = [[
server { listen = "127.0.0.1:0", workers = 1, max_connections = 12,
  max_body = "1MiB" }
admin { listen = "127.0.0.1:0" }
spool { segment = "4MiB", max_bytes = "64MiB" }
access_log { path = "%s/access.log" }
listen "127.0.0.1:0" { tls = { cert = "%s.pem", key = "%s.key" } }
kafka "bus" { brokers = %q, topic = "events", batch = { linger = "5ms",
  adapt = function() error "no" end } }
null "kept" {}
http "gone" { url = "http://127.0.0.1:1/", timeout = "1s", batch = { linger = "5ms" } }
stream "events" { ack = "synced", sinks = { "bus" }, dedup = { key = "id", max_keys = 1000 } }
stream "refused" { sinks = { "kept" } }
stream "late" { sinks = { "gone" }, max_bytes = "24MiB" }
route "POST /late" { body = "event", stream = "late" }
local l = limit "l" { rate = "1/h", burst = 1, max_keys = 1000, key = "id" }
route "POST /v1/events" { body = "batch", stream = "events",
  schema = schema { id = num { required = true } },
  on_event = function(ev) return l:check(ev) end,
  on_refused = { stream = "refused", rate = "1/h", max_record = "1KiB" } }
]]

describe("alerts about causes", function()
  local s, m, f, p, dir, tls, mounted
  setup(function()
    if missing then return end
    dir, m = h.folder(), kafka.mock()
    local own = certificates.make(dir, "own")
    f = faults.new(dir)
    -- A disk of its own, so that it can be full.
    h.shell(("mkdir %s/data && mount -t tmpfs -o size=160m tmpfs %s/data"):format(dir, dir))
    mounted = h.shell(("stat -f -c %%T %s/data"):format(dir)) == "tmpfs\n"
    s = h.server { policy = POLICY:format(dir, own, own, m.brokers), data = dir .. "/data",
      wrap = f:wrap() }
    tls = tonumber(s:text():match "listen=[^ ]*,127%.0%.0%.1:(%d+)")
    -- All faults last as long as the test, so that a short window sees them.
    p = prometheus.start(dir, "250ms", { s.admin },
      (prometheus.rules():gsub("_seconds > 600", "_seconds > 1")))
  end)
  teardown(function()
    if missing then return end
    if p then p:close() end
    if s then s:close() end
    m:close()
    if mounted then h.shell("umount " .. dir .. "/data") end
    h.remove(dir)
  end)

  local n, waits = 0, nil
  local function send(count)
    local events = {}
    for _ = 1, count do
      n = n + 1
      events[#events + 1] = ('{"id":%d}'):format(n)
    end
    return s:post("/v1/events", "[" .. table.concat(events, ",") .. "]")
  end

  -- By the name of its alert.
  local FAULTS = {
    SluiceSyncSlow = function() send(1) end,
    SluiceSlow = function() send(1) end,
    SluiceRefusesEvents = function() s:post("/v1/events", '[{"no":1},{"no":2}]') end,
    SluiceRefusedRecordsLost = function() s:post("/v1/events", '[{"no":1},{"no":2}]') end,
    SluiceConnectionsRefused = function()
      local held = {}
      for i = 1, 20 do
        held[i] = socket.tcp()
        held[i]:connect("127.0.0.1", s.port)
      end
      for _, c in ipairs(held) do c:close() end
    end,
    SluiceHandshakesFail = function()
      local c = h.connect(tls)
      c:send "GET / HTTP/1.1\r\nHost: t\r\n\r\n"
      h.closed(c)
    end,
    SluiceDedupForgets = function() send(1100) end,
    SluiceLimitForgets = function() send(1100) end,
    SluiceSpoolFills = function()
      for _ = 1, 5 do s:post("/late", ('{"x":"%s"}'):format(("x"):rep(1000000))) end
    end,
    SluiceSinkFails = function() s:post("/late", "{}") end,
    SluiceSinkFunctionFails = function() send(1) end,
    SluiceKafkaResends = function()
      m:say("err 0 1 45") -- OUT_OF_ORDER_SEQUENCE_NUMBER ends a producer
      send(1)
    end,
  }

  -- These stop the stream for a while, so they come last.
  local STORE = { SluiceStoreFails = function()
    f:rules "on=write do=EIO path=/spool/events/ times=1"
    send(1)
  end }
  local LOG = { SluiceAccessLogDrops = function()
    f:rules "on=write do=EIO path=access.log"
    send(1)
  end }
  local DISK = { SluiceDiskFull = function()
    f:rules()
    h.shell(("fallocate -l $(($(stat -f -c '%%a*%%S' %s/data) - 4000000)) %s/data/filler")
      :format(dir, dir))
  end }
  local SYNC = { SluiceSyncFails = function()
    f:rules "on=sync do=EIO path=/spool/events/ times=1"
    send(1)
  end }

  -- Clients that never read: their answers stay with the server.
  local function deaf()
    local fd = posix.socket(posix.AF_INET, posix.SOCK_STREAM, 0)
    posix.setsockopt(fd, posix.SOL_SOCKET, posix.SO_RCVBUF, 2048)
    posix.connect(fd, { family = posix.AF_INET, addr = "127.0.0.1", port = s.admin })
    posix.send(fd, ("GET /metrics HTTP/1.1\r\nHost: t\r\n\r\n"):rep(60))
    return fd
  end
  -- Their answers keep the listener busy: Prometheus needs time between to scrape it.
  local deaf_at = 0
  local DEAF = { SluiceConnectionsEvicted = function()
    if h.now() - deaf_at < 10 then return end
    local list = {}
    for i = 1, 200 do list[i] = deaf() end
    h.wait_for("evictions", function()
      local a = h.request(s.admin, "GET", "/metrics")
      return a and (tonumber(a.body:match "sluice_connections_evicted_total (%d+)") or 0) > 0
    end)
    for _, fd in ipairs(list) do unistd.close(fd) end
    deaf_at = h.now()
  end }
  -- A worker whose write does not come back, behind a client that does not wait for it.
  local HANG = { SluiceThreadSilent = function()
    if waits then return end
    f:rules "on=write do=hang path=/spool/events/"
    n = n + 1
    local body = ('[{"id":%d}]'):format(n)
    waits = h.connect(s.port)
    waits:send(("POST /v1/events HTTP/1.1\r\nHost: t\r\nContent-Type: application/json\r\n"
      .. "Content-Length: %d\r\n\r\n%s"):format(#body, body))
  end }
  local FEW = { SluiceDescriptorsFew = function()
    local open = s:metric "process_open_fds"
    h.shell(("prlimit --pid %d --nofile=%d"):format(s.real_pid, math.ceil(open / 0.9)))
  end }
  local START = { SluiceRestarts = function()
    s.args = { "--admin", "127.0.0.1:" .. s.admin }
    s:stop "SIGKILL"
    s:start()
    h.wait_for("a scrape", function()
      local data = p:ask "/api/v1/query?query=process_start_time_seconds"
      return data and data.result[1]
        and tonumber(data.result[1].value[2]) == s:metric "process_start_time_seconds"
    end)
  end }

  it("fire when what they name happens, and not before", function()
    if missing then pending(missing) return end
    assert.equal(202, send(1).status)
    h.wait_for("two scrapes", function() return p:scraped(2) end)
    local early = p:firing()
    for name in pairs(FAULTS) do assert.is_nil(early[name], name) end
    f:rules "on=sync do=delay path=/spool/ ms=120"
    -- Again and again until all fire: a rate needs two scrapes that differ.
    for _, set in ipairs { FAULTS, LOG, HANG, STORE, SYNC, DEAF, FEW, START, mounted and DISK } do
      local left
      local ok, why = pcall(h.wait_for, "all alerts", function()
        local now = p:firing()
        left = {}
        for name, fault in pairs(set) do
          if not now[name] then
            left[#left + 1] = name
            fault()
          end
        end
        h.sleep(0.1)
        return #left == 0
      end, 60)
      if set == HANG then f:rules() end
      assert(ok, tostring(why) .. ": " .. table.concat(left, ", "))
    end
  end)
end)
