-- What the metrics of requests, the spool and hooks say, against what was sent, what
-- the disk has, and how many connections there were.
local h = require "harness"

-- Whether syscalls can be made slow or fail.
local function can_inject()
  return h.shell "id -u":match "^0" and h.shell "command -v strace" ~= ""
end

-- All series of one scrape: "name" or "name{labels}" -> value.
local function scrape(s)
  local all = {}
  for series, v in s:get("/metrics").body:gmatch "([^\n#][^\n]*) (%S+)\n" do
    all["" .. series:gsub("^sluice_", "")] = tonumber(v)
  end
  return all
end

local function pool(name, op)
  return ('pool_ops_total{pool="%s",op="%s"}'):format(name, op)
end

describe("the metrics", function()
  local s
  after_each(function() if s then s:close() s = nil end end)

  local function becomes(n, name, labels)
    h.wait_for(("%s to become %s"):format(name, n), function()
      return s:metric("sluice_" .. name, labels) == n
    end)
  end

  it("count the connections of both ports, also those that are refused", function()
    s = h.server { policy = h.policy { workers = 1,
      server = "max_connections_per_address = 5" } }
    becomes(1, "connections_open") -- that of the scrape
    local before, list = scrape(s), {}
    for i = 1, 5 do
      list[i] = h.connect(s.port)
      for _ = 1, 2 do
        list[i]:send "GET /no HTTP/1.1\r\nHost: a\r\n\r\n"
        assert.equal(404, h.answer(list[i]).status)
      end
    end
    assert.equal(503, s:post("/v1/events", "{}").status)
    becomes(6, "connections_open")
    local scrapes = 0
    local after = h.wait_for("the last scrape to be over", function()
      scrapes = scrapes + 1
      local all = scrape(s)
      -- Who is turned away has the answer before the pool has counted it.
      return all.connections_open == 6 and all.connections_total - before.connections_total
        == all[pool("connection", "get")] - before[pool("connection", "get")] and all
    end)
    local function grew(name) return after[name] - before[name] end
    -- Asked again, for how many scrapes `becomes` made is not known.
    local made = grew "connections_total" - 6
    assert.is_true(made >= 1 + scrapes)
    assert.equal(1, grew 'connections_refused_total{reason="address"}')
    assert.equal(6 + made, grew(pool("connection", "get")))
    assert.equal(10 + made, grew(pool("request", "get")))
    for _, name in ipairs { "connection", "request" } do
      assert.equal(name == "connection" and 6 or 1,
        after[pool(name, "get")] - after[pool(name, "put")], name)
      assert.is_true(after[pool(name, "miss")] <= after[pool(name, "get")])
    end
    assert.is_true(after[pool("connection", "miss")] >= 6) -- so many at once
    for _, c in ipairs(list) do c:close() end
    becomes(1, "connections_open")
    assert.equal(0, s:stop())
  end)

  it("count blocks, bytes of events and of files, over two workers and a reload",
  function()
    s = h.server { policy = h.policy { file = 'compress = "none"',
      route = [[on_event = function(ev) if ev.no then return drop() end end]] } }
    for _, name in ipairs { "stored_bytes_total", "commits_total", "file_bytes_total",
      "stage_seconds_count", "delivery_age_seconds_count" } do
      assert.equal(0, s:metric("sluice_" .. name), name)
    end
    local began, bytes, lines = h.now(), 0, 0
    local function send(n)
      for i = 1, n do
        local event = ('{"n":%d,"text":"%s"}'):format(i, ("x"):rep(i))
        assert.equal(202, s:post("/v1/events", event).status)
        bytes, lines = bytes + #event, lines + 1
      end
    end
    send(8)
    -- Neither of these is stored.
    assert.equal(400, s:post("/v1/events", "{").status)
    assert.equal(202, s:post("/v1/events", '{"no":1}').status)
    assert.equal(200, s:reload().status)
    send(2)
    assert.equal(202, s:post("/v1/events/batch", '[{"n":1},{"n":2}]').status)
    bytes, lines = bytes + 2 * #'{"n":1}', lines + 2
    s:deliver()
    becomes(bytes + lines, "file_bytes_total", 'sink="archive"')
    assert.equal(bytes, s:metric("sluice_stored_bytes_total", 'stream="events"'))
    assert.equal(lines, s:metric("sluice_stored_events_total", 'stream="events"'))
    assert.equal(11, s:metric "sluice_commits_total") -- a request a block
    assert.equal(11, s:metric("sluice_stage_seconds_count", 'stage="commit"'))
    local took = s:metric("sluice_stage_seconds_sum", 'stage="commit"')
    assert.is_true(took > 0 and took < h.now() - began, took)
    assert.equal(bytes + lines, s:metric("sluice_batch_bytes_sum", 'sink="archive"'))
    assert.equal(lines, s:metric("sluice_batch_events_sum", 'sink="archive"'))
    local batches = s:metric("sluice_batches_total", 'sink="archive"')
    for _, name in ipairs { "batch_bytes", "batch_events", "delivery_age_seconds" } do
      becomes(batches, name .. "_count", 'sink="archive"')
    end
    assert.equal(0, s:stop())
    assert.equal(tostring(bytes + lines),
      h.shell(("cat '%s'/archive/*.ndjson | wc -c"):format(s.data)):match "%d+")
  end)

  it("time a stage of one request in 64", function()
    s = h.server { policy = h.policy { workers = 1,
      route = [[schema = schema { n = int {} }, on_event = function(ev) ev.m = 1 end]] } }
    local c, began = h.connect(s.port), h.now()
    local function stages()
      local list = {}
      for i, stage in ipairs { "decode", "check", "policy", "store" } do
        list[i] = s:metric("sluice_stage_seconds_count", ('stage="%s"'):format(stage))
      end
      return list
    end
    for i = 1, 128 do
      c:send("POST /v1/events HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
        .. "Content-Length: 7\r\n\r\n{\"n\":1}")
      assert.equal(202, h.answer(c).status)
      if i == 63 then assert.same({ 0, 0, 0, 0 }, stages()) end
      if i == 64 or i == 127 then assert.same({ 1, 1, 1, 1 }, stages()) end
    end
    c:close()
    assert.same({ 2, 2, 2, 2 }, stages())
    local sum = s:metric("sluice_stage_seconds_sum")
    assert.is_true(sum > 0 and sum < h.now() - began)
  end)

  it("count syncs and prepared segments, and their whole time", function()
    if not can_inject() then pending("needs root and strace") return end
    local trace = os.tmpname()
    s = h.server { policy = h.policy { workers = 1, ack = "synced",
      server = 'max_body = "1MiB"', spool = 'segment = "8MiB"' }, wrap = { "strace", "-f",
      "-qq", "-o", trace, "-e", "trace=sync_file_range", "-e",
      "inject=sync_file_range:delay_enter=20000" } }
    -- It is filled in two parts, each of which takes 20 ms longer.
    local function prepared(n)
      becomes(n, "spool_prepare_seconds_count")
      local _, files = h.shell(("find '%s'/spool -name '*.seg'"):format(s.data)):gsub("\n", "")
      assert.equal(n, files)
      assert.equal(n, s:metric("sluice_spool_segments_total", 'op="created"'))
      assert.is_true(s:metric "sluice_spool_prepare_seconds_sum" >= n * 0.04)
    end
    prepared(1)
    assert.equal(0, s:metric "sluice_spool_sync_seconds_count")
    local began = h.now()
    for _ = 1, 5 do assert.equal(202, s:post("/v1/events", "{}").status) end
    assert.equal(5, s:metric "sluice_spool_sync_seconds_count")
    local sum = s:metric "sluice_spool_sync_seconds_sum"
    assert.is_true(sum > 0 and sum < h.now() - began, sum)
    prepared(2) -- the next one, as soon as the first is written to
    os.remove(trace)
  end)

  it("count the events of blocks that were not written", function()
    if not can_inject() then pending("needs root and strace") return end
    s = h.server { policy = h.policy { workers = 1 } }
    assert.equal(202, s:post("/v1/events", "{}").status)
    assert.equal(0, s:metric("sluice_store_failures_total", 'stream="events"'))
    local stop = s:inject "pwritev:error=EIO"
    assert.equal(503, s:post("/v1/events", "{}").status)
    assert.equal(503, s:post("/v1/events/batch", "[{},{},{}]").status)
    stop()
    assert.equal(4, s:metric("sluice_store_failures_total", 'stream="events"'))
    assert.equal(1, s:metric("sluice_stored_events_total", 'stream="events"'))
    assert.equal(2, s:metric("sluice_stored_bytes_total", 'stream="events"'))
    assert.equal(1, s:metric "sluice_commits_total")
  end)

  it("count the keys that a limit forgot, over a reload too", function()
    s = h.server { policy = h.policy {
      top = [[local l = limit "l" { rate = "1/h", burst = 1, max_keys = 1000,
        key = "k" }]], route = [[on_event = function(ev) return l:check(ev) end]] } }
    local function send(from, to)
      local events = {}
      for i = from, to do events[#events + 1] = ('{"k":"%d"}'):format(i) end
      local a = s:post("/v1/events/batch", "[" .. table.concat(events, ",") .. "]")
      return tonumber(a.body:match '"accepted":(%d+)')
    end
    local function forgotten() return s:metric("sluice_limit_forgotten_total", 'limit="l"') end
    assert.equal(500, send(1, 500))
    assert.equal(1, send(500, 501))
    assert.equal(0, forgotten())
    assert.equal(4500, send(501, 5001))
    local n = forgotten()
    assert.is_true(n > 0 and n <= 5001 - 1000, n .. " forgotten")
    assert.equal(200, s:reload().status)
    assert.equal(n, forgotten())
    assert.equal(2, s:metric("sluice_limit_refused_total", 'limit="l"'))
    -- A forgotten key has a full bucket, and a key without room pushes others out.
    local again = send(1, 5001)
    assert.is_true(again >= n and again < 5001, again .. " passed again")
    assert.is_true(forgotten() > n and forgotten() <= n + again)
  end)

  it("count the texts that were cut, by route", function()
    s = h.server { policy = [[
server { listen = "127.0.0.1:0", workers = 1 }
admin { listen = "127.0.0.1:0" }
null "n" { }
stream "s" { sinks = { "n" } }
local short = schema { v = str { cut = 3 }, key = str { cut = 2 } }
route "POST /v1/events" { body = "batch", schema = short, stream = "s",
  set = { key = "query:key" } }
]] }
    assert.equal(202, s:post("/v1/events", '[{"v":"abc"},{"v":"abcd"},{"v":"äöüß"},{}]').status)
    becomes(2, "cut_texts_total", 'route="POST /v1/events"')
    -- A value of the request is cut once for each event that gets it.
    assert.equal(202, s:post("/v1/events?key=long", "[{},{}]").status)
    becomes(4, "cut_texts_total", 'route="POST /v1/events"')
  end)

  it("count the hooks that were stopped", function()
    s = h.server { policy = h.policy { route = [[on_error = "reject",
      on_event = function(ev) if ev.loop then while true do end end end]] } }
    assert.equal(202, s:post("/v1/events", "{}").status)
    assert.equal(0, s:metric "sluice_policy_interrupts_total")
    assert.equal(500, s:post("/v1/events", '{"loop":1}').status)
    assert.equal(1, s:metric "sluice_policy_interrupts_total")
    assert.equal(202, s:post("/v1/events/batch", '[{"loop":1},{},{"loop":1}]').status)
    assert.equal(3, s:metric "sluice_policy_interrupts_total")
    assert.equal(3, s:metric "sluice_policy_errors_total")
  end)

  it("tell the process, its version and its disk", function()
    s = h.server { policy = h.policy { } }
    assert.equal(1, s:metric("sluice_build_info", 'version="'))
    for _, name in ipairs { "process_cpu_seconds_total", "process_resident_memory_bytes",
      "process_virtual_memory_bytes", "process_open_fds", "process_max_fds", "process_threads",
      "sluice_spool_disk_bytes", "sluice_spool_limit_bytes" } do
      h.wait_for(name, function() return s:metric(name) > 0 end)
    end
    assert.is_true(s:metric "sluice_spool_disk_free_bytes" <= s:metric "sluice_spool_disk_bytes")
    assert.is_true(s:metric "process_start_time_seconds" <= os.time() + 1)
    assert.equal(0, s:metric "sluice_sink_failing_seconds")
  end)

  it("have the trace of a request, for a scraper that asks for OpenMetrics", function()
    s = h.server { policy = h.policy { } }
    local trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    s:post("/v1/events", "{}", { traceparent = "00-" .. trace .. "-00f067aa0ba902b7-01" })
    local a = h.request(s.admin, "GET", "/metrics", nil,
      { Accept = "application/openmetrics-text;version=1.0.0,text/plain;q=0.5" })
    assert.matches("application/openmetrics%-text", a.headers["content-type"])
    assert.matches('sluice_request_seconds_bucket{route="POST /v1/events",le="[^"]+"} 1 # '
      .. '{trace_id="' .. trace .. '"} %d', a.body)
    assert.equal("# EOF\n", a.body:sub(-6))
    assert.is_nil(s:get("/metrics").body:find("trace_id", 1, true))
    -- No two families have one name, which OpenMetrics forbids.
    local seen = {}
    for name in a.body:gmatch "# TYPE (%S+)" do
      assert.is_nil(seen[name], name)
      seen[name] = true
    end
  end)

  it("stay bounded, whatever codes a policy makes of what clients send", function()
    s = h.server { policy = h.policy { route = [[on_event = function(ev)
      return reject(ev.code, "no") end]] } }
    for i = 1, 10 do
      local list = {}
      for k = 1, 1000 do list[k] = ('{"code":"c%d_%d"}'):format(i, k) end
      assert.equal(422, s:post("/v1/events/batch", "[" .. table.concat(list, ",") .. "]").status)
    end
    local n = 0
    for _ in s:get("/metrics").body:gmatch 'code="c' do n = n + 1 end
    assert.is_true(n > 0 and n <= 2 * 2 * 40, n .. " series")
    assert.equal(10000, s:metric("sluice_events_total", 'result="rejected"'))
  end)
end)
