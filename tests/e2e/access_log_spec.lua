-- The access log: a line a request, whatever clients, the disk and operators do.
local cjson = require "cjson"
local faults = require "faults"
local h = require "harness"
local signal = require "posix.signal"
local socket = require "socket"
local upgrades = require "upgrades"

local POLICY = [[
server { listen = "127.0.0.1:0", workers = 1 }
admin { listen = "127.0.0.1:0" }
%s
file "archive" { dir = "archive" }
stream "events" { sinks = { "archive" } }
keys "partners" { file = "partners.csv", label = "name" }
route "POST /v1/events" { body = "batch", stream = "events", schema = schema { id = str {} } }
route "POST /load" { body = "event", stream = "events" }
route "POST /keyed" { body = "event", stream = "events",
  auth = query "k" "partners" }
route "POST /signed" { body = "event", stream = "events",
  auth = hmac { secret = "0123456789abcdef", header = "x-sig", format = "{hex}" } }
]]

describe("the access log", function()
  local s, path, dir
  setup(function()
    dir = h.folder()
    h.write(dir .. "/partners.csv", ("sha256,name\n%s,acme\n"):format(
      h.shell("printf secret-1 | sha256sum"):match "^%x+"))
    s = h.server { policy = POLICY:format [[access_log { format = "json" }]], dir = dir }
    path = s.data .. "/access.log"
  end)
  teardown(function()
    s:close()
    h.remove(dir)
  end)

  local function read(name) return h.read(name or path) or "" end

  -- The first line that fits, once it is there.
  local function line(pattern, name)
    local found
    h.wait_for("a line with " .. pattern, function()
      for l in read(name):gmatch "[^\n]+" do
        if l:find(pattern) then found = l return true end
      end
    end)
    return found
  end

  local function reload(options)
    h.write(s.path, POLICY:format(options))
    return s:reload()
  end

  it("tells what became of a request", function()
    s:post("/v1/events?run=1", [=[[{"id":"a"},{"id":1},{"id":"b"}]]=], {
      traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01" })
    local x = cjson.decode(line "run=1")
    assert.same({ "127.0.0.1", "POST", "/v1/events?run=1", "POST /v1/events", 202 },
      { x.client, x.method, x.path, x.route, x.status })
    assert.same({ "wrong_type", 2, 1, 32 }, { x.code, x.accepted, x.refused, x.bytes_in })
    assert.equal("4bf92f3577b34da6a3ce929d0e0e4736", x.trace)
    assert.is_true(x.seconds > 0 and x.bytes_out > 100)
    s:get "/metrics"
    assert.is_true(s:metric "sluice_access_log_lines_total" >= 1)
    assert.equal(0, s:metric("sluice_access_log_dropped_total"))
  end)

  it("names the key, and never shows it, not even under a wrong path", function()
    assert.equal(202, s:post("/keyed?a=1&k=secret-1&b=2", '{"id":"a"}').status)
    local x = cjson.decode(line "/keyed")
    assert.same({ "/keyed?a=1&b=2", "acme" }, { x.path, x.key })
    assert.equal(404, s:post("/kyed?k=secret-1&c=3", "{}").status)
    assert.equal("/kyed?c=3", cjson.decode(line "/kyed").path)
    assert.equal(401, s:post("/keyed?%6b=secret-2", "{}").status)
    line '"status":401'
    assert.is_nil(read():find("secret", 1, true))
  end)

  it("tells of a body whose signature is not good", function()
    for n = 1, 5 do
      local c = h.connect(s.port)
      c:send(("POST /signed?signed=%d HTTP/1.1\r\nHost: t\r\nX-Sig: %s\r\n"
        .. "Content-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n"
        .. "9\r\nsignature\r\n0\r\n\r\n"):format(n, ("0"):rep(64)))
      assert.equal(401, h.answer(c).status)
      c:close()
      local x = cjson.decode(line('"/signed%?signed=' .. n .. '"'))
      assert.same({ "127.0.0.1", "POST", "bad_signature", 9 },
        { x.client, x.method, x.code, x.bytes_in })
    end
  end)

  it("has the query of each of many requests that are refused by their heads", function()
    local c, n = h.connect(s.port), 40
    local many = ("GET /no?%s HTTP/1.1\r\nHost: a\r\n\r\n"):format(("q"):rep(6000)):rep(n)
    for _ = 1, 150 do
      c:send(many)
      for _ = 1, n do assert.equal(404, h.answer(c).status) end
    end
    c:close()
    s:raw "GET /no?last=1 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
    assert.equal("/no?last=1", cjson.decode(line '"/no[^q]-last').path)
    assert.is_nil(read():find('"path":"/no"', 1, true))
  end)

  it("has one line for each request, whatever bytes it is made of", function()
    local before = select(2, read():gsub("\n", ""))
    s:raw("GARBAGE\r\n\r\n")
    s:raw("GET /q\"\\u000a%0a%22?x=\"forged=1 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    s:raw("GET /" .. ("x"):rep(3000) .. " HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    s:raw("BREW /b\255\254 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    s:get "/no"
    h.wait_for("their lines", function()
      return select(2, read():gsub("\n", "")) >= before + 4
    end)
    for l in read():gmatch "[^\n]+" do assert.is_string(cjson.decode(l).route) end
  end)

  it("has the bytes of each answer's body, also where http refuses by itself", function()
    local BIG = "x: " .. ("y"):rep(40000) .. "\r\n"
    local sent = {}
    for i, head in ipairs { "POST /load?n=1 HTTP/1.1\r\nContent-Length: 99999999\r\n",
        "POST /load?n=2 HTTP/1.1\r\n", "POST /load?n=3 HTTP/2.0\r\n", "GET /no?n=4 HTTP/1.1\r\n",
        "POST /load?n=5 HTTP/1.1\r\nExpect: nothing\r\nContent-Length: 1\r\n",
        "POST /load?n=6 HTTP/1.1\r\n" .. BIG,
        "POST /load?n=7 HTTP/1.1\r\nContent-Encoding: lzma\r\nContent-Length: 1\r\n" } do
      local a = s:raw(head .. "Host: a\r\nConnection: close\r\n\r\n")
      sent[i] = { a.status, #a.body }
      assert.is_true(#a.body > 50)
    end
    local told = {}
    for i = 1, #sent do
      local x = cjson.decode(line("%?n=" .. i .. '"'))
      told[i] = { x.status, x.bytes_out }
    end
    assert.same(sent, told)
  end)

  it("goes on in another file after SIGUSR1, and after the file was removed", function()
    assert(os.rename(path, path .. ".moved"))
    for _ = 1, 100 do signal.kill(s.pid, signal.SIGUSR1) end
    h.wait_for("another file", function()
      s:post("/v1/events?moved=1", '[{"id":"a"}]')
      return read():find("moved=1", 1, true) ~= nil
    end)
    assert(os.remove(path))
    h.wait_for("another file again", function()
      s:post("/v1/events?removed=1", '[{"id":"a"}]')
      return read():find("removed=1", 1, true) ~= nil
    end)
  end)

  it("follows reloads under load, and refuses one whose file can't be opened", function()
    local l = h.load(s.port, { path = "/load", batch = 1, connections = 4, rate = 500,
      seconds = 1 })
    for i = 1, 4 do
      assert.equal(200, reload(i % 2 == 1 and "" or 'access_log { path = "b.log" }').status)
    end
    local f = h.load_wait(l)
    assert.same({ 0, 0 }, { f.other, f.broken })
    local a = reload 'access_log { path = "/no/such/folder/a.log" }'
    assert.equal(500, a.status)
    assert.matches("can't open the access log /no/such/folder/a.log", a.body, 1, true)
    s:post("/v1/events?still=1", '[{"id":"a"}]')
    line("still=1", s.data .. "/b.log")
  end)

  it("has refused requests also outside of the sample", function()
    assert.equal(200, reload [[access_log { path = "c.log", sample = "0%", always = "refused" }]]
      .status)
    for _ = 1, 20 do s:post("/v1/events?good=1", '[{"id":"a"}]') end
    s:post("/v1/events?part=1", '[{"id":"a"},{"id":1}]')
    s:post("/v1/events?bad=1", '[{"id":1}]')
    assert.matches('status=422 code="wrong_type" accepted=0 refused=1',
      line("bad=1", s.data .. "/c.log"), 1, true)
    assert.matches("status=202", line("part=1", s.data .. "/c.log"), 1, true)
    assert.is_nil(read(s.data .. "/c.log"):find("good=1", 1, true))
  end)

  it("says that the file can't be renamed, and goes on in it", function()
    h.shell(("mkdir '%s/d.log.1'"):format(s.data))
    local a = reload [[access_log { path = "d.log", max_size = "64KiB", keep = 1 }]]
    assert.equal(200, a.status)
    local long = "/v1/events?" .. ("x"):rep(4000)
    h.wait_for("a file of its size", function()
      s:post(long, '[{"id":"a"}]')
      return s:text():find "status=not_rotated bytes=%d+ why=\"[^\n]*d.log: Is a directory"
    end)
    s:post("/v1/events?after=1", '[{"id":"a"}]')
    line("after=1", s.data .. "/d.log")
  end)

  it("drops and counts the lines that no disk takes; clients get their answers", function()
    -- A reload in the sandbox may not use it; a new process may.
    h.write(s.path, POLICY:format 'access_log { path = "/dev/full" }')
    upgrades.upgrade(s)
    h.wait_for("dropped lines", function()
      assert.equal(202, s:post("/v1/events", '[{"id":"a"}]').status)
      return s:metric("sluice_access_log_dropped_total", 'reason="failed"') > 0
    end)
    s:logged "event=access_log status=dropped lines=%d+ why=\"can't write the access log /dev/full"
    assert.equal(0, s:stop())
  end)
end)

describe("an access log whose disk hangs", function()
  local s, f, dir
  setup(function()
    dir = h.folder()
    h.write(dir .. "/partners.csv", ("sha256,name\n%s,acme\n"):format(("0"):rep(64)))
    f = faults.new(dir)
    s = h.server { dir = dir, wrap = f:wrap(),
      policy = POLICY:gsub('workers = 1', 'workers = 1, drain = "2s"', 1)
        :format [[access_log { path = "a.log" }]] }
  end)
  teardown(function()
    f:rules()
    s:close()
    h.remove(dir)
  end)

  it("holds up no client, no scrape and no reload, and tells how many lines it lost", function()
    f:rules "on=write do=hang path=a.log"
    h.wait_for("dropped lines", function()
      local l = h.load_wait(h.load(s.port, { path = "/load", batch = 1, connections = 8,
        seconds = 1 }))
      assert.same({ 0, 0 }, { l.other, l.broken })
      return s:metric("sluice_access_log_dropped_total", 'reason="behind"') > 0
    end)
    assert.equal("ok\n", s:get("/healthz").body)
    s:signal "SIGUSR1"
    h.write(s.path, (POLICY:format [[access_log { path = "b.log" }]]))
    assert.equal(200, s:reload().status)
    assert.equal(202, s:post("/v1/events?during=1", '[{"id":"a"}]').status)
  end)

  it("goes on in the file of the newest policy when the disk is back", function()
    f:rules()
    h.wait_for("a line", function()
      assert.equal(202, s:post("/v1/events?after=1", '[{"id":"a"}]').status)
      return (h.read(s.data .. "/b.log") or ""):find("after=1", 1, true)
    end)
  end)

  it("does not hold up the end for longer than the drain", function()
    f:rules "on=write do=hang path=b.log"
    assert.equal(202, s:post("/v1/events?last=1", '[{"id":"a"}]').status)
    local began = h.now()
    s:stop()
    assert.is_true(h.now() - began < 20)
  end)
end)

describe("the access log of events that are not stored", function()
  local s, f, dir, silent
  setup(function()
    dir = h.folder()
    f = faults.new(dir)
    silent = assert(socket.bind("127.0.0.1", 0))
    s = h.server { data = dir, wrap = f:wrap(), policy = ([[
server { listen = "127.0.0.1:0", workers = 1, max_body = "1MiB" }
admin { listen = "127.0.0.1:0" }
access_log { format = "json" }
spool { segment = "4MiB" }
null "kept" {}
http "silent" { url = "http://127.0.0.1:%d/", timeout = "1m" }
stream "events" { sinks = { "kept" } }
stream "full" { sinks = { "silent" }, max_bytes = "16MiB" }
stream "late" { sinks = { "silent" }, ack = "delivered", timeout = "100ms" }
for _, name in ipairs { "events", "full", "late" } do
  for path, answer in pairs { ["/"] = false, ["/same/"] = { unstored = "same" } } do
    route("POST " .. path .. name) { body = "batch", stream = name, answer = answer or nil,
      schema = schema { id = str {} } }
  end
end
]]):format((select(2, silent:getsockname()))) }
  end)
  teardown(function()
    s:close()
    silent:close()
  end)

  -- Of two events that are accepted, and one that is not.
  local function told(path, status)
    local a = s:post(path, [=[[{"id":"a"},{"id":1},{"id":"b"}]]=])
    assert.equal(status, a.status, a.body)
    local found
    h.wait_for("the line of " .. path, function()
      for l in (h.read(dir .. "/access.log") or ""):gmatch "[^\n]+" do
        local x = cjson.decode(l)
        if x.path == path then found = { x.status, x.code, x.accepted, x.refused } end
      end
      return found
    end)
    return found
  end

  it("has all of a request whose block could not be written", function()
    -- In a segment that has room: without one no block is tried.
    assert.equal(202, s:post("/events", "[{}]").status)
    f:rules "on=write do=EIO path=/spool/"
    assert.same({ 503, "storage_failed", 0, 3 }, told("/events?1", 503))
    assert.same({ 202, "storage_failed", 0, 3 }, told("/same/events?1", 202))
    f:rules()
    h.wait_for("the disk", function() return s:post("/events", "[{}]").status == 202 end)
    assert.same({ 202, "wrong_type", 2, 1 }, told("/events?2", 202))
  end)

  it("has all of a request without room", function()
    local large = '[{"id":"' .. ("x"):rep(500000) .. '"}]'
    h.wait_for("a full stream", function()
      local a = s:post("/full", large)
      return a.status == 503 and a.body:find "spool_full"
    end)
    h.wait_for("a stream without room for one small event", function()
      for _ = 1, 50 do assert.equal(202, s:post("/same/full", '[{"id":"a"}]').status) end
      return (s:metric("sluice_refusals_total",
        'route="POST /same/full",code="spool_full",status="202"') or 0) > 0
    end)
    assert.same({ 503, "spool_full", 0, 1 }, told("/full?1", 503)) -- its body was not read
    assert.same({ 202, "spool_full", 0, 3 }, told("/same/full?1", 202))
  end)

  it("has what is stored of a request whose events are not delivered in time", function()
    assert.same({ 504, "delivery_timeout", 2, 1 }, told("/late?1", 504))
  end)
end)
