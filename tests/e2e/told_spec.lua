-- Lines of the log that come at most once a second, or once in ten, have the number of all
-- that they stand for: also at the end, when there is no later line.
local certificates = require "certificates"
local faults = require "faults"
local h = require "harness"
local receiver = require "receiver"
local signal = require "posix.signal"

---The sum of the number of each line of the event.
local function told(s, pattern)
  local sum = 0
  for n in s:text():gmatch(pattern) do sum = sum + tonumber(n) end
  return sum
end

describe("at the end the log has told", function()
  local r, s, dir
  setup(function()
    r, dir = receiver.start(), h.folder()
    local own = certificates.make(dir, "own")
    r:rule "poison"
    s = h.server { policy = ([[
server { listen = "127.0.0.1:0", workers = 1 }
listen "127.0.0.1:0" { proxy_protocol = true, trusted = { "127.0.0.0/8" } }
listen "127.0.0.1:0" { tls = { cert = "%s.pem", key = "%s.key" } }
admin { listen = "127.0.0.1:0" }
access_log { path = "/dev/full" }
http "out" { url = %q, batch = { target = 2, max = 2, linger = "5ms" } }
file "archive" { dir = "archive" }
stream "out" { sinks = { "out" } }
stream "events" { sinks = { "archive" } }
route "POST /raise" { body = "event", stream = "events", on_error = "reject",
  on_event = function(ev) error("no " .. ev.n) end }
route "POST /die" { body = "event", stream = "events",
  on_event = function(ev) error("no " .. ev.n) end }
route "POST /out" { body = "batch", stream = "out" }
]]):format(own, own, r.url) }
  end)
  teardown(function()
    s:close()
    r:close()
    h.remove(dir)
  end)

  it("each error of a hook, each dead letter, each proxy that was refused, each handshake that "
    .. "failed and each line that the access log lacks", function()
    local front, tls = s:text():match("event=ready listen=[^,]+,127%.0%.0%.1:(%d+),"
      .. "127%.0%.0%.1:(%d+)")
    for n = 1, 5 do
      assert.equal(500, s:post("/raise", ('{"n":%d}'):format(n)).status)
      assert.equal(202, s:post("/die", ('{"n":%d}'):format(n)).status)
      -- Beside a good one, because otherwise the receiver counts as the cause.
      assert.equal(202, s:post("/out", ('[{"n":%d},{"n":0,"value":"text"}]'):format(n)).status)
      for _, port in ipairs { front, tls } do
        local c = h.connect(tonumber(port))
        c:send "what is neither a PROXY header nor a TLS hello"
        h.closed(c)
        c:close()
      end
    end
    h.wait_for("dead letters", function()
      return s:metric("sluice_dead_events_total", 'sink="out"') == 5
    end)
    assert.equal(0, s:stop())
    local _, handshakes = s:text():gsub("event=tls_handshake reason=", "")
    assert.same({ raised = 10, route = 5, sink = 5, proxies = 5, lines = 15, handshakes = 5 }, {
      handshakes = handshakes + told(s, "event=tls_handshake [^\n]*unlogged=(%d+)"),
      raised = told(s, "status=raised [^\n]*errors=(%d+)"),
      route = told(s, 'event=dead_letter worker=0 route="POST /die" events=(%d+)'),
      sink = told(s, "event=dead_letter sink=out events=(%d+)"),
      proxies = told(s, "event=proxy_refused listener=127%.0%.0%.1:0 [^\n]*n=(%d+)"),
      lines = told(s, "event=access_log status=dropped lines=(%d+)"),
    })
  end)
end)

describe("the log of a hook that raised", function()
  it("has the policy's file and line, whichever hook it was", function()
    local base = [[
server { listen = "127.0.0.1:0", workers = 1 }
admin { listen = "127.0.0.1:0" }
null "n" {}
stream "events" { sinks = { "n" } }
route "GET /" { body = "query", stream = "events", %s = %s }
]]
    local s = h.server { policy = base:format("repeated", '"first"') }
    for hook, value in pairs { on_event = [[function() error "x" end]],
      on_request = [[function() error "x" end]],
      answer = [[{ location = function() error "x" end, hosts = { "a.example" } }]] } do
      h.write(s.path, base:format(hook, value))
      assert.equal(200, s:reload().status) -- a new state tells its first error at once
      h.request(s.port, "GET", "/?a=1")
    end
    assert.equal(0, s:stop())
    local n = 0
    for why in s:text():gmatch 'status=raised [^\n]*why="([^"]*)"' do
      assert.equal(s.path .. ":5: x", why)
      n = n + 1
    end
    assert.equal(3, n)
    s:close()
  end)
end)

describe("an access log whose disk hangs at the end", function()
  it("is told with the number of all lines that it lacks", function()
    local dir = h.folder()
    local f = faults.new(dir)
    local s = h.server { dir = dir, wrap = f:wrap(), policy = [[
server { listen = "127.0.0.1:0", workers = 1, drain = "1s" }
admin { listen = "127.0.0.1:0" }
access_log {}
file "archive" { dir = "archive" }
stream "events" { sinks = { "archive" } }
route "POST /v1/events" { body = "event", stream = "events" }
]] }
    assert.equal(202, s:post("/v1/events", '{"n":0}').status)
    h.wait_for("the first line", function() return h.read(s.data .. "/access.log") ~= "" end)
    f:rules "on=write do=hang path=access.log"
    for n = 1, 7 do
      assert.equal(202, s:post("/v1/events", ('{"n":%d}'):format(n)).status)
      h.sleep(0.03) -- so that the thread has one, and others wait
    end
    s:stop()
    assert.equal(7, told(s, "event=access_log status=dropped lines=(%d+) why=\"the process"))
    assert.truthy(s:text():find("event=stuck thread=access_log", 1, true))
    f:rules()
    s:close()
    f:close()
  end)
end)

describe("a log that its reader does not read", function()
  local GOOD = [[
server { listen = "127.0.0.1:0", workers = 1 }
admin { listen = "127.0.0.1:0" }
file "archive" { dir = "archive" }
stream "events" { sinks = { "archive" } }
route "POST /die" { body = "event", stream = "events",
  on_event = function(ev) error("no " .. ev.n) end }
]]

  it("holds up no start of a new process, nor its end", function()
    local dir = h.folder()
    local s = h.server { dir = dir, policy = GOOD,
      wrap = { "python3", "tests/tools/reader.py", "pipe", dir .. "/log" } }
    local reader = tonumber(h.read(dir .. "/log.reader"))
    signal.kill(reader, signal.SIGSTOP)
    finally(function() signal.kill(reader, signal.SIGCONT) end)
    -- To the last byte: a new process would find room for its first lines.
    h.shell(("yes '' 2>/dev/null | dd of=/proc/%d/fd/2 bs=1 count=9000 oflag=nonblock 2>&1; true")
      :format(s.real_pid))
    local out = h.shell(("%s upgrade --admin 127.0.0.1:%d 2>&1; echo rc=$?"):format(h.binary,
      s.admin))
    assert.matches("the new process serves\nrc=0\n$", out)
    assert.equal(0, s:stop())
    signal.kill(reader, signal.SIGCONT)
    s:close()
  end)

  -- A pipe has room for a page or for none; a terminal may have it for a part of a line.
  -- It takes about 20 KB; a refused reload makes a line of 1 KB.
  for _, kind in ipairs { "pipe", "terminal" } do
    it("in a " .. kind .. ", holds up no request, no reload and no probe, and tells how many "
      .. "lines it lacks", function()
      local dir = h.folder()
      local s = h.server { dir = dir, policy = GOOD,
        wrap = { "python3", "tests/tools/reader.py", kind, dir .. "/log" } }
      local reader = tonumber(h.read(dir .. "/log.reader"))
      signal.kill(reader, signal.SIGSTOP)
      h.write(s.path, GOOD .. ("error(%q)\n"):format(("long "):rep(600)))
      for _ = 1, 80 do assert.equal(422, s:reload().status) end
      for n = 1, 3 do
        assert.equal(202, s:post("/die", ('{"n":%d}'):format(n)).status)
        assert.equal("ok\n", s:get("/healthz").body)
      end
      signal.kill(reader, signal.SIGCONT)
      h.wait_for("the number of dropped lines", function()
        assert.equal(422, s:reload().status)
        return s:text():find 'event=log status=dropped lines=%d+ why="standard error'
      end)
      -- Those of the next seconds no line has told yet when another process follows.
      signal.kill(reader, signal.SIGSTOP)
      for _ = 1, 80 do assert.equal(422, s:reload().status) end
      signal.kill(reader, signal.SIGCONT)
      h.write(s.path, GOOD)
      local n = #s:text()
      h.shell(("%s upgrade --admin 127.0.0.1:%d"):format(h.binary, s.admin))
      h.wait_for("the number of those", function()
        return s:text():find("event=log status=dropped lines=%d+", n)
      end)
      assert.equal(0, s:stop())
      h.wait_for("the last line", function()
        return s:text():find("event=stopped exit=0", 1, true)
      end)
      s:close()
    end)
  end
end)
