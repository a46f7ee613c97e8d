-- A start for which the disk has no room: the server is there, says why, and goes on by
-- itself once there is room.
local certificates = require "certificates"
local faults = require "faults"
local h = require "harness"

describe("a start without room on the disk", function()
  local s, f, dir
  before_each(function() dir = h.folder() end)
  after_each(function()
    if f then f:rules() end
    if s and s.pid then s:stop("SIGKILL") end
    if f then f:close() f = nil end
    h.shell(("umount '%s/mnt' 2>&-"):format(dir))
    h.remove(dir)
  end)

  local function server(data, wrap, args, top)
    s = setmetatable({ dir = dir, data = data, log = dir .. "/log",
      path = dir .. "/policy.lua", wrap = wrap or {}, args = args or {} },
      h.Server)
    h.write(s.path, h.policy { workers = 1, top = top,
      spool = [[segment = "4MiB", max_bytes = "32MiB"]],
      server = [[max_body = "1MiB", drain = "1s"]] })
    s:start(true)
    s.real_pid = s.pid
  end

  local function waits(why)
    local line = s:logged("event=start_waits[^\n]*" .. why)
    local text = type(line) == "string" and line or s:text()
    s.port = tonumber(text:match("event=start_waits listen=127%.0%.0%.1:(%d+)"))
    s.admin = tonumber(text:match("admin=127%.0%.0%.1:(%d+)"))
  end

  it("of a new spool: /readyz says why, events get 503, and it begins with the room",
  function()
    if not h.shell("id -u"):match("^0") then pending("needs root") return end
    h.shell(("mkdir '%s/mnt' && mount -t tmpfs -o size=64m tmpfs '%s/mnt' && "
      .. "head -c 100m /dev/zero > '%s/mnt/filler'"):format(dir, dir, dir))
    server(dir .. "/mnt/data")
    waits "No space left"
    assert.equal(200, s:get("/healthz").status)
    local a = s:get "/readyz"
    assert.equal(503, a.status)
    assert.matches("No space left on device", a.body)
    a = s:post("/v1/events", "{}")
    assert.equal(503, a.status)
    assert.matches("^[1-9]$", a.headers["retry-after"])
    os.remove(dir .. "/mnt/filler")
    s:ready()
    h.wait_for("202", function()
      return s:post("/v1/events", "{}").status == 202
    end)
    s:deliver()
    assert.equal(0, s:stop())
    assert.equal(1, #s:lines())
  end)

  -- Of two streams, on a disk with room for one segment.
  local function short(workers, size, more)
    h.shell(("mkdir '%s/mnt' && mount -t tmpfs -o size=%s tmpfs '%s/mnt'"):format(dir,
      size or "12m", dir))
    return h.server { dir = dir, data = dir .. "/mnt/data", policy = ([[
      server { listen = "127.0.0.1:0", workers = %d, max_body = "1MiB" }
      admin { listen = "127.0.0.1:0" }
      spool { segment = "4MiB", max_bytes = "96MiB" }
      file "archive" { dir = "%s/kept" }
      stream "first" { sinks = { "archive" } }
      stream "second" { sinks = { "archive" } }
      route "POST /first" { body = "event", stream = "first" }
      route "POST /second" { body = "event", stream = "second" }
      %s]]):format(workers, dir, more or "") }
  end

  local function post(c, path, body)
    c:send(("POST %s HTTP/1.1\r\nHost: test\r\nContent-Type: application/json\r\n"
      .. "Content-Length: %d\r\n\r\n%s"):format(path, #body, body))
    return h.answer(c)
  end

  it("for a segment of each worker: one that has it serves its clients", function()
    if not h.shell("id -u"):match("^0") then pending("needs root") return end
    s = short(2)
    local n = { [202] = 0, [503] = 0 }
    h.wait_for("both workers to have clients", function()
      local status = s:post("/second", "{}").status
      n[status] = n[status] + 1
      return n[202] >= 20 and n[503] >= 20
    end)
    s:deliver()
    assert.equal(0, s:stop())
    assert.equal(n[202], #s:lines "../../kept")
  end)

  it("for more: a request for two streams, of which one is full, leaves nothing in the other",
  function()
    if not h.shell("id -u"):match("^0") then pending("needs root") return end
    -- A segment of each stream, also that of dead letters, and of each worker.
    s = short(2, "29m", [[route "POST /both" { body = "event", stream = "first",
      on_event = function() return to("first", "second") end }]])
    local n, a = 0, nil
    local function fill(c, path, size)
      local k = 0
      repeat
        a = post(c, path, ('{"n":"%s"}'):format(("x"):rep(size)))
        k = k + (a.status == 202 and 1 or 0)
      until a.status ~= 202
      return k
    end
    for _ = 1, 40 do -- else a worker's segments that it does not use go to another one
      assert.equal(202, s:post("/first", "{}").status)
      assert.equal(202, s:post("/second", "{}").status)
    end
    local c = h.connect(s.port)
    for _, size in ipairs { 15000, 1000 } do fill(c, "/second", size) end
    s:logged "event=spool status=unwritable"
    h.wait_for("the other worker", function()
      local d = h.connect(s.port)
      local ok = post(d, "/second", "{}").status == 202 and post(d, "/both", '{"n":"both"}').status
      d:close()
      n = n + (ok == 202 and 1 or 0)
      return ok == 202
    end)
    n = n + fill(c, "/both", 4)
    for _ = 1, 20 do
      assert.equal(503, a.status)
      assert.matches("spool_unwritable", a.body)
      a = post(c, "/both", '{"n":"both"}')
    end
    s:deliver()
    assert.equal(0, s:stop())
    local got = 0
    for _, line in ipairs(s:lines "../../kept") do
      got = got + ((line == '{"n":"both"}' or line == '{"n":"xxxx"}') and 1 or 0)
    end
    assert.equal(2 * n, got)
  end)

  it("for a segment of each stream: the stream with clients has the one that fits", function()
    if not h.shell("id -u"):match("^0") then pending("needs root") return end
    s = short(1)
    assert.equal(200, s:get("/readyz").status)
    for _ = 1, 5 do assert.equal(202, s:post("/second", "{}").status) end
    s:logged("event=spool status=unwritable why=.*/first/.*No space left on device: "
      .. "a segment takes 4194304 bytes, and 4194304 stay free for journals; %d+ bytes are free")
    assert.equal(503, s:post("/first", "{}").status)
    assert.equal(202, s:post("/second", "{}").status)
    -- Room for one more: for the stream that was asked for.
    h.shell(("mount -o remount,size=16m '%s/mnt'"):format(dir))
    h.wait_for("202", function() return s:post("/first", "{}").status == 202 end)
    s:deliver()
    assert.equal(0, s:stop())
    assert.equal(7, #s:lines "../../kept")
  end)

  for what, path in pairs { ["the notes of its sinks"] = "/sinks/KEPT",
    ["its policy"] = ".policy", ["a sink's journal"] = "/archive.journal" } do
    it(("for %s waits, and goes on by itself"):format(what), function()
      f = faults.new(dir .. "/data")
      f:rules("on=write,sync do=ENOSPC path=" .. path)
      server(dir .. "/data", f:wrap())
      waits "No space left"
      f:rules()
      s:ready()
      assert.equal(202, s:post("/v1/events", "{}").status)
      s:deliver()
      assert.equal(0, s:stop())
      assert.equal(1, #s:lines())
    end)
  end

  it("is not ended by a policy that is half written while it waits", function()
    f = faults.new(dir .. "/data")
    f:rules("on=write,sync do=ENOSPC path=/sinks/KEPT")
    server(dir .. "/data", f:wrap())
    waits "No space left"
    local text = h.read(s.path)
    h.write(s.path, text:sub(1, -20))
    s:signal "SIGHUP"
    waits "syntax"
    local a = s:get "/readyz"
    assert.equal(503, a.status)
    assert.matches("policy.lua:%d+: syntax", a.body)
    h.write(s.path, text)
    f:rules()
    s:ready()
    assert.equal(202, s:post("/v1/events", "{}").status)
    assert.equal(0, s:stop())
  end)

  it("is not ended by a signal that comes into a call", function()
    f = faults.new(dir .. "/data")
    f:rules("on=write do=EINTR path=/spool/EPOCH times=2\n"
      .. "on=sync do=EINTR path=/spool/EPOCH times=2\n"
      .. "on=write do=short path=/spool/UUID times=1")
    s = h.server { dir = dir, wrap = f:wrap() }
    assert.is_true(f:made() > 3)
    assert.equal(0, s:stop())
  end)

  it("speaks TLS where its policy does, and ends when it is told to", function()
    certificates.make(dir, "own")
    f = faults.new(dir .. "/data")
    f:rules("on=write do=ENOSPC path=/spool/")
    server(dir .. "/data", f:wrap(), nil,
      [[listen "127.0.0.1:0" { tls = { cert = "own.pem", key = "own.key" } }]])
    waits "No space left"
    local port = tonumber(s:text():match("start_waits listen=[%d.]+:%d+,127%.0%.0%.1:(%d+)"))
    assert.matches("no_room.* 503", h.shell(("curl -sk -m 20 -w ' %%{http_code}' -d x "
      .. "https://127.0.0.1:%d/v1/events"):format(port)))
    local a = h.request(port, "POST", "/v1/events", "{}")
    assert.same({ 400, true }, { a.status, a.body:find("plain_http", 1, true) ~= nil })
    assert.equal(0, s:stop())
  end)

  it("reads the PROXY headers of its proxies, and sends a denied client no byte", function()
    f = faults.new(dir .. "/data")
    f:rules("on=write do=ENOSPC path=/spool/")
    server(dir .. "/data", f:wrap(), nil, [[
      listen "127.0.0.1:0" { proxy_protocol = true, trusted = { "127.0.0.1" },
        deny = { "203.0.113.0/24" } }
      listen "0.0.0.0:0" { proxy_protocol = true, trusted = { "10.0.0.0/8" } }
      listen "[::1]:0" { deny = { "::1" } }
    ]])
    waits "No space left"
    local list = s:text():match("start_waits listen=(%S+)")
    local trusted = tonumber(list:match(",127%.0%.0%.1:(%d+)"))
    local strange = tonumber(list:match(",0%.0%.0%.0:(%d+)"))
    local six = tonumber(list:match(",%[::1%]:(%d+)"))
    local function status(port, bytes)
      local c = h.connect(port)
      c:send(bytes .. "GET / HTTP/1.1\r\nHost: h\r\n\r\n")
      local a = h.answer(c)
      c:close()
      return a and a.status
    end
    local v2 = "\r\n\r\n\0\r\nQUIT\n\33\17\0\12\192\0\2\1\10\0\0\1\0\1\0\2"
    assert.equal(503, status(trusted, "PROXY TCP4 192.0.2.1 10.0.0.1 1 2\r\n"))
    assert.equal(503, status(trusted, v2))
    assert.is_nil(status(trusted, ""))
    assert.is_nil(status(trusted, "PROXY TCP4 203.0.113.1 10.0.0.1 1 2\r\n"))
    assert.is_nil(status(strange, "PROXY TCP4 192.0.2.1 10.0.0.1 1 2\r\n"))
    assert.equal("000", h.shell(("curl -s -o /dev/null -w '%%{http_code}' 'http://[::1]:%d/'; true")
      :format(six)))
    assert.equal(0, s:stop())
  end)

  it("ends with exit code 3 when another server has its port, whom it takes no client",
  function()
    local other = h.server()
    f = faults.new(dir .. "/data")
    f:rules("on=write do=ENOSPC path=/spool/")
    server(dir .. "/data", f:wrap(), { "--listen", "127.0.0.1:" .. other.port })
    local code = h.reap(s.pid, 10)
    s.pid = nil
    assert.equal(3, code)
    assert.matches("event=start why=\"[^\n]*Address already in use", s:text())
    assert.matches("event=stopped exit=3\n$", s:text())
    other:close()
  end)

  it("is tried again at SIGHUP, however often that comes", function()
    f = faults.new(dir .. "/data")
    f:rules("on=write,sync do=ENOSPC path=/sinks/KEPT")
    server(dir .. "/data", f:wrap())
    waits "No space left"
    for _ = 1, 200 do
      s:signal "SIGHUP"
      h.sleep(0.003)
    end
    f:rules()
    s:ready()
    assert.equal(202, s:post("/v1/events", "{}").status)
    s:deliver()
    assert.equal(0, s:stop())
  end)
end)

describe("a reload without room on the disk", function()
  it("is refused, and says that it is not tried again", function()
    local dir = h.folder()
    local f = faults.new(dir .. "/data")
    local s = h.server { dir = dir, wrap = f:wrap() }
    finally(function()
      s:close()
      f:close()
    end)
    for _, path in ipairs { "/KEPT", ".policy", "/other/", "/other.journal" } do
      f:rules("on=write,sync,create do=ENOSPC path=" .. path)
      local text = h.policy { top = [[file "other" { dir = "other", linger = "5ms" }]] }
      h.write(s.path, (text:gsub('sinks = { "archive"', '%0, "other"')) .. "-- " .. path)
      local a = s:reload()
      if path ~= "/other/" then
        assert.equal(500, a.status, path)
        assert.matches("make room on the disk, then load it again", a.body, 1, true)
      end
      f:rules()
      assert.equal(200, s:reload().status)
      h.write(s.path, h.policy())
      assert.equal(200, s:reload().status)
    end
    assert.equal(0, s:stop())
  end)
end)

describe("a start on a disk that hangs", function()
  local s, f
  before_each(function()
    local dir = h.folder()
    f = faults.new(dir .. "/data")
    s = setmetatable({ dir = dir, data = dir .. "/data", log = dir .. "/log",
      path = dir .. "/policy.lua", wrap = f:wrap(), args = {} }, h.Server)
    h.write(s.path, h.policy())
  end)
  after_each(function()
    f:rules()
    s:close()
    f:close()
  end)

  local function hang(signal)
    f:rules "on=write do=hang path=/spool/EPOCH"
    s:start(true)
    s.real_pid = s.pid
    h.wait_for("it to hang", function() return f:made() > 0 end)
    s:signal(signal)
  end

  for _, signal in ipairs { "SIGTERM", "SIGINT" } do
    it("ends at " .. signal, function()
      hang(signal)
      local code = h.reap(s.pid, 10)
      s.pid = nil
      assert.equal(0, code)
      assert.matches("event=stopped exit=0 stuck=true why=", s:text())
    end)
  end

  it("that goes on soon ends as ever", function()
    hang "SIGTERM"
    f:rules()
    local code = h.reap(s.pid, 10)
    s.pid = nil
    assert.equal(0, code)
    assert.matches("event=drain .*event=stopped exit=0\n$", s:text())
  end)
end)
