-- A scrape under attack: both formats say the same, gzip is the same text, no label breaks a
-- line, and a scraper that reads slowly, hangs up or asks for too much harms nobody.
local h = require "harness"

local OPEN = "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,"
  .. "application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=1.0.0;"
  .. "escaping=allow-utf-8;q=0.3,text/plain;version=0.0.4;q=0.2,*/*;q=0.1"

-- The labels of a line, read as the format says: name -> value without its escapes.
local function labels_of(text, line)
  local list, at = {}, 1
  while at <= #text do
    local name, value = text:match('^([%a_][%w_]*)="()', at)
    assert(name, line)
    local stop = value
    while text:sub(stop, stop) ~= '"' do
      assert(stop <= #text, line)
      stop = stop + (text:sub(stop, stop) == "\\" and 2 or 1)
    end
    assert(not list[name], line)
    list[name] = text:sub(value, stop - 1):gsub("\\(.)", function(c)
      assert(c == "n" or c == '"' or c == "\\", line)
      return c == "n" and "\n" or c
    end)
    at = stop + 1
    if at <= #text then
      assert(text:sub(at, at) == ",", line)
      at = at + 1
    end
  end
  return list
end

-- A strict reader of both formats: series -> value, families -> kind, and all labels.
local function read(body, open)
  local values, kinds, labels = {}, {}, {}
  local last
  assert.equal("\n", body:sub(-1))
  if open then
    assert.equal("# EOF\n", body:sub(-6))
    body = body:sub(1, -7)
  end
  for line in body:gmatch "([^\n]*)\n" do
    local kind, name, rest = line:match "^# (%u+) ([%a_:][%w_:]*) (.*)$"
    if kind == "TYPE" then
      assert.is_nil(kinds[name], line)
      kinds[name], last = rest, name
    elseif not kind then
      local value
      name, rest, value = line:match "^([%a_:][%w_:]*)(.-) ([%d.e+-]+)$"
      if not name or rest:find(" # {", 1, true) then -- an exemplar
        name, rest, value = line:match "^([%a_:][%w_:]*)({.-}) ([%d.e+-]+) # {"
        assert.is_true(open)
      end
      assert(name, line)
      assert(name:sub(1, #last) == last, line)
      if rest ~= "" then
        labels[#labels + 1] = labels_of(rest:match "^{(.*)}$", line)
      end
      assert.is_nil(values[name .. rest], line)
      values[name .. rest] = tonumber(value)
    else
      assert.equal("HELP", kind)
    end
  end
  return values, kinds, labels
end

describe("a scrape", function()
  local s
  after_each(function() if s then s:close() s = nil end end)

  local function ask(headers, method)
    return h.request(s.admin, method or "GET", "/metrics", nil, headers)
  end

  local function gunzip(text)
    local file = s.dir .. "/scrape.gz"
    h.write(file, text)
    return h.shell(("gzip -dc '%s'"):format(file))
  end

  it("says the same in both formats", function()
    s = h.server { policy = h.policy { route = [[on_event = function(ev)
      return reject(ev.code, "no") end]] } }
    for i = 1, 30 do s:post("/v1/events", ('{"code":"c%d"}'):format(i % 7)) end
    local function figures(headers)
      local a = ask(headers)
      local values, kinds = read(a.body, headers.Accept ~= nil)
      local kept = {}
      for series, v in pairs(values) do
        -- The scrape itself moves the others.
        if series:match "^sluice_[edr]" then kept[series] = v end
      end
      return kept, kinds
    end
    local plain, plain_kinds = figures {}
    local open, open_kinds = figures { Accept = OPEN }
    assert.same(plain, open)
    assert.equal(30, open['sluice_received_events_total{route="POST /v1/events"}'])
    local n = 0
    for name, kind in pairs(plain_kinds) do
      local family = kind == "counter" and name:gsub("_total$", "") or name
      assert.equal(kind, open_kinds[family], name)
      n = n + 1
    end
    for _ in pairs(open_kinds) do n = n - 1 end
    assert.equal(0, n)
  end)

  it("has labels that are read as they were meant", function()
    local paths = { [[/q\"uote]], "/" .. ("x"):rep(300), "/" .. ("x"):rep(300) .. "y" }
    local list = { [[local c = counter "odd_total" { labels = { "v" },
      help = "A \"quoted\" \\ help\nof two lines" }]] }
    for i, path in ipairs(paths) do
      list[#list + 1] = ('route %q { body = "event", stream = "events" }'):format("POST " ..
        (i == 1 and "/one" or path))
    end
    local odd = { 'a"b', "a\\b", "a\nb", "a\\nb", "ä€😀", ("ü"):rep(150), "}", ",v=\"x\"", "",
      "a b", "\\" }
    s = h.server { policy = h.policy { top = table.concat(list, "\n"),
      route = "on_event = function(ev) c:inc(1, ev.v) end" } }
    local cjson = require "cjson"
    for _, v in ipairs(odd) do
      assert.equal(202, s:post("/v1/events", cjson.encode { v = v }).status)
    end
    for i = 2, 3 do
      for _ = 1, i do assert.equal(202, s:post(paths[i], "{}").status) end
    end
    for _, accept in ipairs { "", OPEN } do
      local body = ask(accept ~= "" and { Accept = accept } or {}).body
      local values, _, labels = read(body, accept ~= "")
      local help = body:match "# HELP odd[_total]* ([^\n]*)"
      assert.equal(accept == "" and [[A "quoted" \\ help\nof two lines]]
        or [[A \"quoted\" \\ help\nof two lines]], help)
      local seen = {}
      for _, l in ipairs(labels) do if l.v then seen[l.v] = true end end
      for _, v in ipairs(odd) do
        if #v <= 128 then assert.is_true(seen[v], v) end
      end
      assert.is_true(seen[("ü"):rep(64)])
      -- Two routes with a long beginning in common are two series.
      for i = 2, 3 do
        assert.equal(i, values[('sluice_received_events_total{route="POST %s"}'):format(paths[i])])
      end
    end
  end)

  it("is packed for a scraper that takes gzip, and says so", function()
    s = h.server { }
    local a = ask { ["Accept-Encoding"] = "gzip" }
    assert.same({ 200, "gzip" }, { a.status, a.headers["content-encoding"] })
    assert.matches("Accept%-Encoding", a.headers.vary)
    assert.equal(tostring(#a.body), a.headers["content-length"])
    local values = read(gunzip(a.body))
    assert.is_true(values["process_threads"] > 0)
    local plain = ask { ["Accept-Encoding"] = "gzip;q=0" }
    assert.same({ 200 }, { plain.status, plain.headers["content-encoding"] })
    assert.matches("Accept%-Encoding", plain.headers.vary)
    read(plain.body)
    assert.is_true(#a.body * 4 < #plain.body)
    a = ask { ["Accept-Encoding"] = "identity;q=0, gzip;q=1", Accept = OPEN }
    assert.equal("gzip", a.headers["content-encoding"])
    assert.matches("^application/openmetrics%-text; version=1.0.0", a.headers["content-type"])
    read(gunzip(a.body), true)
    a = ask { ["Accept-Encoding"] = "identity;q=0, gzip;q=0" }
    assert.equal(406, a.status)
    assert.matches("expected one of them", a.body)
  end)

  it("answers HEAD without a body", function()
    s = h.server { }
    local c = h.connect(s.admin)
    for _, more in ipairs { "", "Accept-Encoding: gzip\r\n" } do
      c:send("HEAD /metrics HTTP/1.1\r\nHost: t\r\n" .. more .. "\r\n")
      local head = {}
      repeat
        local line = assert(c:receive "*l")
        head[#head + 1] = line
      until line == ""
      assert.equal("HTTP/1.1 200 OK", head[1])
      local text = table.concat(head, "\n"):lower()
      assert.is_true(tonumber(text:match "content%-length: (%d+)") > 1000)
      assert.equal(more ~= "", text:find("content-encoding: gzip", 1, true) ~= nil)
    end
    c:send "GET /healthz HTTP/1.1\r\nHost: t\r\n\r\n"
    assert.equal("ok\n", h.answer(c).body)
    c:close()
  end)

  -- A scrape of more than a megabyte.
  local function large()
    local list = {}
    for i = 1, 150 do
      list[i] = ('route "POST /r%d" { body = "event", stream = "events" }'):format(i)
    end
    s = h.server { policy = h.policy { top = table.concat(list, "\n") } }
    for i = 1, 150 do assert.equal(202, s:post("/r" .. i, "{}").status) end
  end

  local function rss()
    return tonumber(h.read("/proc/" .. s.real_pid .. "/status"):match "VmRSS:%s*(%d+)")
  end

  -- Of the supervisor's thread and of all workers, in clock ticks.
  local function cpu()
    local supervisor, workers, n = nil, 0, 0
    for task in h.shell(("ls /proc/%d/task"):format(s.real_pid)):gmatch "%d+" do
      local stat = h.read(("/proc/%d/task/%s/stat"):format(s.real_pid, task)) or ""
      local name, user, system = stat:match
        "%((.*)%) %u %S+ %S+ %S+ %S+ %S+ %S+ %S+ %S+ %S+ %S+ (%d+) (%d+)"
      local ticks = (tonumber(user) or 0) + (tonumber(system) or 0)
      if tonumber(task) == tonumber(s.real_pid) then supervisor = ticks end
      if name and name:find "^worker" then workers, n = workers + ticks, n + 1 end
    end
    assert.is_true(n > 0)
    return supervisor, workers
  end

  it("costs workers nothing, and little when it is packed", function()
    large()
    local size
    for _, headers in ipairs { {}, { ["Accept-Encoding"] = "gzip" } } do
      local before, workers_before = cpu()
      local a
      for _ = 1, 20 do a = ask(headers) end
      local after, workers = cpu()
      print(("# scrape: %d bytes %s in %.1f ms of the admin thread's processor time"):format(
        #a.body, a.headers["content-encoding"] or "plain", (after - before) / 2))
      assert.is_true((workers - workers_before) * 4 < after - before, workers - workers_before)
      size = size or #a.body
      if headers["Accept-Encoding"] then assert.is_true(#a.body * 8 < size) end
    end
    assert.is_true(size > 900000, size)
  end)

  it("is not kept for ever for scrapers that do not read", function()
    large()
    local size = #ask({}).body
    local before, list = rss(), {}
    -- Some ask once, some a hundred times; all of them wait.
    for i = 1, 100 do
      list[i] = h.connect(s.admin)
      list[i]:setoption("keepalive", true)
      local ask_once = "GET /metrics HTTP/1.1\r\nHost: t\r\n\r\n"
      list[i]:send(ask_once:rep(i % 10 == 0 and 100 or 1))
    end
    local most = 0
    for _ = 1, 20 do
      -- On a busy machine the hundred scrapes before it take their time.
      assert.equal("ok\n", h.request(s.admin, "GET", "/healthz", nil, nil, 60).body)
      assert.equal(202, s:post("/v1/events", "{}").status)
      most = math.max(most, rss() - before)
    end
    print(("# scrape: %d bytes for each of 100 that do not read: + %d kB"):format(size, most))
    -- 16 MiB of all connections, twice while a buffer grows.
    if h.build == "build" then assert.is_true(most < 48 * 1024, most) end
    for i = 1, 100, 2 do list[i]:close() end -- hang up
    for i = 2, 100, 2 do list[i]:close() end
    h.wait_for("buffers to be empty", function()
      return s:metric "sluice_connection_buffer_bytes" < 2 * size
    end)
    read(ask({}).body)
  end)

  it("is whole through reloads and upgrades, also to another number of workers", function()
    s = h.server { policy = h.policy { workers = 1 } }
    local path = "/v1/events"
    local started, last = 0, 0
    local n = 0
    local function look()
      -- A process that has left refuses, or closes without an answer.
      local ok, a = pcall(ask, { ["Accept-Encoding"] = n % 2 == 0 and "gzip" or nil,
        Accept = n % 3 == 0 and OPEN or nil })
      if not ok or not a or a.status ~= 200 then return end
      local values = read(a.headers["content-encoding"] and gunzip(a.body) or a.body,
        a.headers["content-type"]:find "openmetrics" ~= nil)
      local at = values.process_start_time_seconds
      local count = values[('sluice_received_events_total{route="POST %s"}'):format(path)]
      assert.is_true(at >= started)
      if at == started then assert.is_true(count >= last, count .. " after " .. last) end
      started, last, n = at, count, n + 1
    end
    for i = 1, 4 do
      h.write(s.path, h.policy { workers = 1, server = "max_events = " .. i * 10 })
      assert.equal(200, s:reload().status)
      assert.equal(202, s:post(path, "{}").status)
      look()
    end
    for workers = 2, 3 do
      local before = n
      h.write(s.path, h.policy { workers = workers })
      s.log_from = #(h.read(s.log) or "")
      s:signal "SIGUSR2"
      h.wait_for("the upgrade", function()
        look()
        return s:text():find("event=upgrade status=took_over", 1, true)
      end)
      s:ready()
      assert.is_true(n > before)
      last = 0
      assert.equal(202, s:post(path, "{}").status)
      look()
      assert.equal(1, last)
    end
  end)
end)
