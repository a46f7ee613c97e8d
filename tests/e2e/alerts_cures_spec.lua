-- Alerts that end by what their section of conf/OPERATIONS.md says, word by word: the fault
-- is made, a real Prometheus fires, each command of the section is run, the cure is done.
local faults = require "faults"
local h = require "harness"
local kafka = require "kafka"
local posix = require "posix.sys.socket"
local prometheus = require "prometheus"
local unistd = require "posix.unistd"

local missing = prometheus.missing

local POLICY = [[
server { listen = "127.0.0.1:0", workers = 1, drain = "1s", max_body = "1MiB" }
admin { listen = "127.0.0.1:0"%s }
spool { segment = "4MiB", max_bytes = "64MiB" }
kafka "bus" { brokers = %q, topic = "events", batch = { linger = "5ms" }, options = {
  ["client.id"] = "%s" } }
http "gone" { url = "http://127.0.0.1:1/", batch = { linger = "5ms" } }
stream "events" { ack = "synced", sinks = { "bus" } }
stream "other" { ack = "synced", sinks = { "gone" } }
route "POST /v1/events" { body = "batch", stream = "events" }
route "POST /other" { body = "batch", stream = "other" }
]]

describe("the cure of the alert", function()
  local s, m, f, p, dir
  setup(function()
    if missing then return end
    dir, m = h.folder(), kafka.mock()
    f = faults.new(dir)
    s = h.server { policy = POLICY:format("", m.brokers, "a"), data = dir .. "/slow",
      wrap = f:wrap() }
    -- What a restart keeps.
    s.args = { "--listen", "127.0.0.1:" .. s.port, "--admin", "127.0.0.1:" .. s.admin }
    p = prometheus.start(dir, "500ms", { s.admin }, (prometheus.rules():gsub("%[%d+m%]",
      { ["[30m]"] = "[25s]", ["[10m]"] = "[15s]", ["[5m]"] = "[15s]" })))
    h.wait_for("a scrape", function() return p:scraped(1) end, 30)
  end)
  teardown(function()
    if missing then return end
    if p then p:close() end
    if f then f:rules() end
    if s then s:close() end
    m:close()
    h.remove(dir)
  end)

  local function fires(name, fault)
    h.wait_for(name, function()
      if fault then fault() end
      return p:firing()[name]
    end, 60)
  end
  -- Nothing makes the fault any more.
  local function ends(name, beside)
    h.wait_for(name .. " to end", function()
      if beside then beside() end
      h.sleep(0.1)
      return not p:firing()[name]
    end, 90)
  end

  local n = 0
  local function send(path)
    n = n + 1
    return s:post(path or "/v1/events", ('[{"id":%d}]'):format(n))
  end
  local function status(args)
    return h.shell(("%s status --admin 127.0.0.1:%d --during 20ms %s 2>&1; true"):format(h.binary,
      s.admin, args or ""))
  end

  local function cure(title, fn)
    it(title, function()
      if missing then pending(missing) return end
      fn()
    end)
  end

  cure("SluiceKafkaResends: there is a cause in the log, and no event is missing", function()
    -- Two scrapes have to differ: the series must be there before.
    assert.equal(202, send().status)
    s:deliver()
    h.wait_for("a scrape", function()
      local data = p:ask "/api/v1/query?query=sluice_kafka_fatal_errors_total"
      return data and #data.result > 0
    end)
    m:say "err 0 1 45" -- OUT_OF_ORDER_SEQUENCE_NUMBER ends a producer
    assert.equal(202, send().status)
    fires "SluiceKafkaResends"
    s:logged "event=sink sink=bus status=new_producer why=.*desynchronization"
    s:logged "event=kafka_resent sink=bus cause=fatal_error possible_copies=1"
    s:deliver()
    -- New settings, while messages are on their way.
    ends "SluiceKafkaResends"
    finally(function() h.shell("kill -CONT " .. m.pid) end)
    h.shell("kill -STOP " .. m.pid)
    for _ = 1, 20 do assert.equal(202, send().status) end
    h.write(s.path, POLICY:format("", m.brokers, "b"))
    assert.equal(200, s:reload().status)
    s:logged("event=kafka_resent sink=bus cause=new_settings", 60)
    h.shell("kill -CONT " .. m.pid)
    s:deliver()
    local seen, different = {}, 0
    for _, line in ipairs(kafka.consume(m.brokers, "events")) do
      local id = line:match '"id":(%d+)'
      different = different + (id and not seen[id] and 1 or 0)
      seen[id or ""] = true
    end
    assert.equal(n, different)
    ends "SluiceKafkaResends"
  end)

  -- Clients of 127.0.0.8 and 127.0.0.9 that never read: their answers stay with the server.
  local function deaf(address)
    local fd = posix.socket(posix.AF_INET, posix.SOCK_STREAM, 0)
    posix.setsockopt(fd, posix.SOL_SOCKET, posix.SO_RCVBUF, 2048)
    posix.bind(fd, { family = posix.AF_INET, addr = address, port = 0 })
    posix.connect(fd, { family = posix.AF_INET, addr = "127.0.0.1", port = s.admin })
    posix.send(fd, ("GET /metrics HTTP/1.1\r\nHost: t\r\n\r\n"):rep(60))
    return fd
  end

  cure("SluiceConnectionsEvicted: ss names the clients, max_per_address ends it", function()
    local list = {}
    local function go()
      for _, fd in ipairs(list) do unistd.close(fd) end
      list = {}
    end
    finally(go)
    -- Their answers keep the listener busy: Prometheus needs time between to scrape it.
    local at = 0
    local function storm(every)
      if h.now() - at < every then return end
      go()
      for i = 1, 200 do list[#list + 1] = deaf("127.0.0." .. 8 + i % 2) end
      at = h.now()
    end
    local function evicted()
      local a = h.request(s.admin, "GET", "/metrics")
      return a and tonumber(a.body:match "sluice_connections_evicted_total (%d+)") or 0
    end
    fires("SluiceConnectionsEvicted", function()
      if h.now() - at < 8 then return end
      local before = evicted()
      storm(0)
      h.wait_for("evictions", function() return evicted() > before end)
      go()
    end)
    storm(0)
    h.wait_for("full send queues", function()
      local said = h.shell(("ss -tn sport = :%d"):format(s.admin))
      for queue in said:gmatch "ESTAB +%d+ +(%d+) +%S+ +127%.0%.0%.[89]:%d+" do
        if tonumber(queue) > 1000 then return true end
      end
    end)
    h.write(s.path, POLICY:format(", max_per_address = 4", m.brokers, "b"))
    assert.equal(200, s:reload().status)
    -- They come again and again.
    at = 0
    ends("SluiceConnectionsEvicted", function() storm(3) end)
    assert.is_true(s:metric("sluice_connections_refused_total", 'reason="address"') > 0)
  end)

  cure("SluiceThreadSilent: status and the log name the thread, a restart ends it", function()
    assert.equal(202, send "/other".status)
    f:rules "on=write do=hang path=/spool/other/"
    n = n + 1
    local body = ('[{"id":%d}]'):format(n)
    local waits = h.connect(s.port)
    waits:send(("POST /other HTTP/1.1\r\nHost: t\r\nContent-Type: application/json\r\n"
      .. "Content-Length: %d\r\n\r\n%s"):format(#body, body))
    fires "SluiceThreadSilent"
    s:logged "event=thread_silent .*worker=0"
    local screen = status()
    assert.matches("WRONG .*worker=0", screen)
    assert.equal(0, s:stop()) -- though the thread hangs
    s:logged "event=stuck worker=0"
    waits:close()
    f:rules()
    s:start()
    ends "SluiceThreadSilent"
    -- The one that was acknowledged.
    assert.equal(1, s:metric("sluice_sink_left_events", 'sink="gone"'))
  end)

  cure("SluiceSyncSlow: the spool on a disk of its own ends it", function()
    f:rules "on=sync do=delay path=/slow/spool/ ms=150"
    fires("SluiceSyncSlow", function() assert.equal(202, send "/other".status) end)
    local left = s:metric("sluice_sink_left_events", 'sink="gone"')
    assert.equal(0, s:stop())
    h.shell(("cp -a '%s/slow' '%s/fast'"):format(dir, dir))
    s.data = dir .. "/fast"
    s:start()
    ends("SluiceSyncSlow", function() assert.equal(202, send "/other".status) end)
    assert.is_true(s:metric("sluice_sink_left_events", 'sink="gone"') > left)
    f:rules()
  end)

  cure("SluiceRestarts: it ends when the process stays", function()
    ends "SluiceRestarts" -- of the restarts above
    fires("SluiceRestarts", function()
      s:stop "SIGKILL"
      s:start()
      local began = s:metric "process_start_time_seconds"
      h.wait_for("a scrape", function()
        local data = p:ask "/api/v1/query?query=process_start_time_seconds"
        return data and data.result[1] and tonumber(data.result[1].value[2]) == began
      end)
    end)
    ends "SluiceRestarts"
  end)
end)
