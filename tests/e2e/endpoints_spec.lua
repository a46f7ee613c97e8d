-- Servers that answer wrongly, late, without an end or not at all, and what lies
-- between them and us: names, proxies, certificates.
local free_port = require "clickhouse".free_port
local h = require "harness"
local proxy = require "proxy"
local receiver = require "receiver"
local signal = require "posix.signal"
local socket = require "socket"

local function policy(sink, more)
  return ([[
server { listen = "127.0.0.1:0", workers = 1, drain = "2s" }
admin { listen = "127.0.0.1:0" }
%s
file "other" { dir = "other", linger = "10ms" }
stream "events" { sinks = { "out" } }
stream "more" { sinks = { "other" } }
route "POST /v1/events" { body = "event", stream = "events" }
route "POST /v1/more" { body = "event", stream = "more" }
%s]]):format(sink, more or "")
end

local function http(url, more)
  return policy(([[http "out" { url = %s, timeout = "1s", batch = { linger = "5ms" },
    breaker = { timeout = "100ms" }, %s }]]):format(url, more or ""))
end

describe("an endpoint", function()
  local r, s, p, odd
  before_each(function() r = receiver.start() end)
  after_each(function()
    if s then s:close() s = nil end
    if p then p:close() p = nil end
    if odd then
      signal.kill(odd.pid, signal.SIGKILL)
      h.reap(odd.pid)
      h.remove(odd.dir)
      odd = nil
    end
    r:close()
  end)

  local function start_odd()
    odd = { dir = h.folder(), port = free_port() }
    function odd.mode(name) h.write(odd.dir .. "/mode", name) end
    function odd.taken() return h.read(odd.dir .. "/taken") or "" end
    odd.mode "close"
    odd.pid = h.spawn({ "python3", "tests/tools/odd.py", tostring(odd.port), odd.dir },
      odd.dir .. "/log")
    h.wait_for("the server", function()
      local c = socket.tcp()
      local ok = c:connect("127.0.0.1", odd.port)
      c:close()
      return ok
    end)
  end

  local function delivered() return s:metric "sluice_delivered_events_total" or 0 end
  local function arrive(n)
    h.wait_for(n .. " events", function() return #r:events() >= n end, 10)
  end

  it("that breaks HTTP's rules costs no event, and what it did not read is not there",
  function()
    start_odd()
    s = h.server { policy = http(('"http://127.0.0.1:%d/in"'):format(odd.port)) }
    local n = 0
    for _, mode in ipairs { "early", "headers", "junk", "trickle", "redirect" } do
      odd.mode(mode)
      n = n + 1
      -- More than the buffers of a connection hold.
      s:post("/v1/events", ('{"n":%d,"pad":"%s"}'):format(n, ("x"):rep(3500000)))
      h.wait_for("holding by " .. mode, function()
        return s:metric "sluice_sink_holding" == 1
      end)
      assert.equal(n - 1, delivered(), mode)
      odd.mode "close"
      h.wait_for("delivery after " .. mode, function() return delivered() == n end)
      assert.is_truthy(odd.taken():find(('{"n":%d,'):format(n), 1, true), mode)
    end
    for _, mode in ipairs { "hints", "close", "endless" } do
      odd.mode(mode)
      n = n + 1
      s:post("/v1/events", ('{"n":%d}'):format(n))
      h.wait_for("delivery with " .. mode, function() return delivered() == n end)
    end
    assert.equal(0, s:stop())
  end)

  it("that is a proxy's page of HTML has not taken an insert", function()
    r:rule "clickhouse 23.8.1\npage"
    s = h.server { policy = policy(([[clickhouse "out" { table = "default.events",
      urls = { "http://127.0.0.1:%d" }, check = false, compression = "gzip",
      batch = { min = 1, linger = "5ms" } }]]):format(r.port)) }
    s:post("/v1/events", '{"n":1}')
    s:logged 'status=holding why="status 200: <html>'
    assert.equal(0, delivered())
    r:rule "clickhouse 23.8.1"
    arrive(1)
    assert.equal(0, s:stop())
  end)

  it("that is a proxy's page with a code now and then costs no row", function()
    r:rule "clickhouse 23.8.1\nsorry 5"
    s = h.server { policy = policy(([[clickhouse "out" { table = "default.events",
      urls = { "http://127.0.0.1:%d" }, check = false, compression = "gzip",
      batch = { min = 1, target = 20, linger = "200ms" },
      breaker = { timeout = "10ms" } }]]):format(r.port)) }
    for i = 1, 20 do s:post("/v1/events", ('{"n":%d}'):format(i)) end
    h.wait_for("delivery", function()
      return s:metric "sluice_sink_lag_bytes" == 0
    end)
    assert.equal(0, s:metric "sluice_dead_events_total")
    assert.equal(20, delivered())
    assert.equal(20, #r:events())
    assert.equal(0, s:stop())
  end)

  it("that asks to wait an hour stops neither another one nor an operator", function()
    local other = receiver.start()
    r:rule "status 503 3600"
    s = h.server { policy = http(('{ %q, %q }'):format(r.url, other.url)) }
    -- One at a time: of two that it has at once it refuses both.
    for i = 1, 10 do
      s:post("/v1/events", ('{"n":%d}'):format(i))
      h.wait_for("it at the other", function() return #other:events() == i end)
    end
    assert.equal(1, r:count "fault")
    other:close()
    r:rule ""
    s:post("/v1/events", '{"n":11}')
    s:logged "status=holding"
    h.request(s.admin, "POST", "/sinks/out/breaker?close", "")
    arrive(1)
    r:rule "status 503 3600"
    s:post("/v1/events", '{"n":12}')
    h.wait_for("a refusal", function() return r:count "fault" == 2 end)
    r:rule ""
    assert.equal(200, s:reload().status)
    arrive(2)
    assert.equal(0, s:stop())
  end)

  it("that says 409 to a batch that it has, has it; also after our own crash", function()
    r:rule "conflict"
    p = proxy.start(free_port(), r.port)
    s = h.server { policy = http(('"%s/in"'):format(p.url)) }
    for i = 1, 2 do
      p:say "lose 100"
      s:post("/v1/events", ('{"n":%d}'):format(i))
      arrive(i)
      if i == 2 then
        s:stop "SIGKILL"
        s:start()
      end
      p:say "pass"
      h.wait_for("delivery", function() return delivered() >= 1 end)
    end
    assert.equal(2, #r:events())
    assert.is_true(r:count "copy" >= 2)
    assert.equal(0, s:stop())
  end)

  it("that ends a kept connection for an answer has the batch, and says 409 then",
  function()
    r:rule "conflict\ndrop"
    s = h.server { policy = http(("%q"):format(r.url)) }
    for i = 1, 2 do
      s:post("/v1/events", ('{"n":%d}'):format(i))
      h.wait_for("delivery", function() return delivered() == i end, 10)
    end
    assert.equal(2, #r:events())
    assert.equal(1, r:count "copy")
    assert.equal(0, s:stop())
  end)

  it("that answers each question and no insert opens its breaker", function()
    r:rule "clickhouse 26.3\nlose"
    s = h.server { policy = policy(([[clickhouse "out" { urls = { %q }, table = "d.t",
      compression = "gzip", batch = { linger = "5ms" },
      breaker = { timeout = "2s" } }]]):format(r.url)) }
    s:post("/v1/events", '{"n":1}')
    s:logged("event=breaker sink=out endpoint=[^ ]* state=open", 12)
    r:rule "clickhouse 26.3"
    h.wait_for("delivery", function() return delivered() == 1 end, 10)
    assert.equal(1, #r:events())
    assert.equal(0, s:stop())
  end)

  it("that answers each question is failing while inserts hang", function()
    r:rule "clickhouse 26.3\nlate 60 insert"
    s = h.server { policy = policy(([[clickhouse "out" { urls = { %q }, table = "d.t",
      compression = "gzip", timeout = "500ms", batch = { linger = "5ms" },
      breaker = { timeout = "1s" } }]]):format(r.url)) }
    s:post("/v1/events", '{"n":1}')
    s:logged("event=breaker sink=out endpoint=[^ ]* state=open", 20)
    -- Also when it is half open, and a question has passed.
    local until_s = h.now() + 4
    while h.now() < until_s do assert.equal(1, s:metric "sluice_endpoint_failing") end
    r:rule "clickhouse 26.3"
    h.wait_for("delivery", function() return delivered() == 1 end, 10)
    assert.equal(0, s:metric "sluice_endpoint_failing")
    assert.equal(0, s:stop())
  end)

  it("that could not get a copy of what another one got is told of no request", function()
    local older = receiver.start()
    r:rule "clickhouse 26.3\nlate 60 insert"
    older:rule "clickhouse 20.3"
    s = h.server { policy = policy(([[clickhouse "out" { urls = { %q, %q }, table = "d.t",
      timeout = "2s", batch = { linger = "5ms" },
      hedge = { after = "100ms", max_ratio = 1, may_duplicate = true } }]]):format(r.url,
      older.url)) }
    h.wait_for("both versions", function()
      return select(2, s:text():gsub("version=2", "")) == 2
    end)
    s:post("/v1/events", '{"n":1}')
    s:logged("status=holding why=\"Operation timed out", 10)
    assert.equal(0, s:metric("sluice_endpoint_requests_total",
      ('endpoint="%s",result="ok"'):format(older.url)))
    older:close()
  end)

  it("that is not there is the reason for each batch, also of another stream", function()
    s = h.server { policy = policy(([[clickhouse "out" { urls = { "http://127.0.0.1:%d" },
      table = "d.t", batch = { linger = "5ms" }, breaker = { timeout = "30s" } }]]):format(
      free_port()), [[stream "late" { sinks = { "out" } }
      route "POST /v1/late" { body = "event", stream = "late" }]]) }
    assert.equal(202, s:post("/v1/events", "{}").status)
    h.wait_for("an open breaker", function()
      return s:text():find("event=breaker sink=out [^\n]*state=open")
    end)
    assert.equal(202, s:post("/v1/late", "{}").status)
    local retries = s:metric("sluice_sink_retries_total", 'sink="out"')
    h.wait_for("two tries of both", function()
      return s:metric("sluice_sink_retries_total", 'sink="out"') >= retries + 2
    end)
    for _ = 1, 5 do
      local status = s:get("/status").body
      assert.matches('"why":%s*"Failed to connect to 127.0.0.1 port %d+', status)
      assert.is_nil(status:find("no endpoint can be asked", 1, true))
      h.sleep(0.1)
    end
  end)

  it("whose status the policy names has taken the batch", function()
    r:rule "status 304"
    s = h.server { policy = http(("%q"):format(r.url), "taken = { 304 }") }
    s:post("/v1/events", '{"n":1}')
    h.wait_for("delivery", function() return delivered() == 1 end)
    assert.equal(0, s:stop())
  end)

  it("is not reached by a proxy of the environment, but by the policy's", function()
    s = h.server { policy = http(("%q"):format(r.url)), wrap = { "env",
      "http_proxy=http://127.0.0.1:1", "ALL_PROXY=http://127.0.0.1:1" } }
    s:post("/v1/events", '{"n":1}')
    arrive(1)
    h.write(s.path, http('"http://nowhere.test/in"',
      ('proxy = "http://127.0.0.1:%d"'):format(r.port)))
    assert.equal(200, s:reload().status)
    s:post("/v1/events", '{"n":2}')
    arrive(2)
    assert.equal("http://nowhere.test/in", r:requests()[2].path)
    assert.equal(0, s:stop())
  end)

  it("may have a password and a token in its url, which nobody else sees", function()
    local url = r.url:gsub("//", "//user:pa55word@") .. "?token=t0ken"
    s = h.server { policy = http(("%q"):format(url)) }
    s:post("/v1/events", '{"n":1}')
    arrive(1)
    assert.equal("Basic dXNlcjpwYTU1d29yZA==", r:requests()[1].headers.authorization)
    r:rule "status 401"
    s:post("/v1/events", '{"n":2}')
    s:logged "status=holding"
    for _, text in ipairs { s:text(), s:get("/status").body, s:get("/metrics").body } do
      assert.is_nil(text:find("pa55word", 1, true))
      assert.is_nil(text:find("t0ken", 1, true))
      assert.is_truthy(text:find("127.0.0.1:" .. r.port .. "/in", 1, true) or
        not text:find("endpoint", 1, true))
    end
  end)

  it("whose name is not resolved holds up no other, no reload and no end", function()
    if h.build:find "asan" or h.build:find "tsan" then
      pending "a sanitizer must be loaded before it"
      return
    end
    s = h.server { policy = http '"http://hang.test/in"',
      wrap = { "env", "LD_PRELOAD=" .. h.build .. "/tools/libhang.so" } }
    s:post("/v1/events", '{"n":1}')
    s:logged("status=holding", 10)
    local began = h.now()
    assert.equal(200, s:get("/healthz").status)
    h.write(s.path, http(("%q"):format(r.url)))
    assert.equal(200, s:reload().status)
    arrive(1)
    assert.is_true(h.now() - began < 5)
    h.write(s.path, http '"http://hang.test/in"')
    assert.equal(200, s:reload().status)
    s:post("/v1/events", '{"n":2}')
    h.sleep(0.2)
    began = h.now()
    assert.equal(0, s:stop())
    assert.is_true(h.now() - began < 8)
  end)

  it("gets the client's certificate that is in the file at a reload", function()
    local dir = h.folder()
    for _, name in ipairs { "one", "two" } do
      h.shell(("cd '%s' && openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj "
        .. "/CN=%s -keyout %s.key -out %s.crt 2>/dev/null && cat %s.crt %s.key > %s.pem && "
        .. "cat %s.crt >> ca.pem"):format(dir, name, name, name, name, name, name, name))
    end
    r:close()
    r = receiver.start(true, dir .. "/ca.pem")
    h.shell(("cp '%s/one.pem' '%s/mine.pem'"):format(dir, dir))
    s = h.server { policy = http(("%q"):format(r.url), ([[tls = { ca = %q, cert = %q },
        pool = { max_open = 1, max_idle = 1 }]])
      :format(r.dir .. "/cert.pem", dir .. "/mine.pem")) }
    s:post("/v1/events", '{"n":1}')
    arrive(1)
    h.sleep(1.2)
    h.shell(("cp '%s/two.pem' '%s/mine.pem'"):format(dir, dir))
    assert.equal(200, s:reload().status)
    h.wait_for("the new certificate", function()
      s:post("/v1/events", '{"n":2}')
      local list = r:requests() -- one reading: the next may have more
      return list[#list].peer == "two"
    end, 10)
    assert.equal("one", r:requests()[1].peer)
    assert.equal(0, s:stop())
    h.remove(dir)
  end)
end)
