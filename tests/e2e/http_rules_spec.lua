local h = require "harness"
local signal = require "posix.signal"

local GOOD = "POST /v1/events HTTP/1.1\r\nHost: t\r\nContent-Length: 2\r\n\r\n{}"
local ORIGIN = "Origin: https://shop.example\r\n"

describe("a page of another origin", function()
  local s
  setup(function()
    local names = {}
    for i = 1, 150 do names[i] = ('"X-Long-Header-Name-%03d"'):format(i) end
    s = h.server { policy = h.policy { workers = 1,
      server = [[max_body = "64KiB", header_timeout = "400ms"]],
      route = ([[cors = { origins = { "https://shop.example" },
        headers = { %s } }]]):format(table.concat(names, ", ")) } }
  end)
  teardown(function() s:close() end)

  for what, text in pairs {
    ["413"] = "Content-Length: 70000\r\n\r\n",
    ["415"] = "Content-Encoding: compress\r\nContent-Length: 2\r\n\r\n{}",
    ["411"] = "\r\n",
    ["417"] = "Expect: tea\r\nContent-Length: 2\r\n\r\n{}",
    ["400"] = "Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n{}",
    ["431"] = "X: " .. ("y"):rep(20000) .. "\r\n\r\n",
    ["408"] = "X: y\r\n",
  } do
    it("can read a " .. what .. " by the HTTP side", function()
      local a = s:raw("POST /v1/events HTTP/1.1\r\nHost: t\r\n" .. ORIGIN .. text)
      assert.equal(tonumber(what), a.status)
      assert.equal("https://shop.example",
        a.headers["access-control-allow-origin"])
      assert.equal("Retry-After", a.headers["access-control-expose-headers"])
    end)
  end

  it("can read a refusal of a method that the path does not have", function()
    for status, text in pairs { [405] = "Content-Length: 2\r\n\r\n{}",
      [415] = "Content-Encoding: compress\r\nContent-Length: 2\r\n\r\n{}" } do
      local a = s:raw("PUT /v1/events HTTP/1.1\r\nHost: t\r\n" .. ORIGIN .. text)
      assert.equal(status, a.status)
      assert.equal("https://shop.example",
        a.headers["access-control-allow-origin"])
    end
  end)

  it("gets a list of 3 KB of headers whole", function()
    local a = s:raw("OPTIONS /v1/events HTTP/1.1\r\nHost: t\r\n" .. ORIGIN
      .. "Access-Control-Request-Method: POST\r\n\r\n")
    assert.equal(204, a.status)
    assert.is_true(#a.headers["access-control-allow-headers"] > 3000)
    assert.equal("3600", a.headers["access-control-max-age"])
  end)
end)

describe("the HTTP side", function()
  local s
  after_each(function() if s then s:close() s = nil end end)

  it("gives a policy a header that was sent twice as one list", function()
    s = h.server { policy = h.policy { workers = 1, route = [[
      set = { via = "header:X-Forwarded-For" },
      on_event = function(ev, req)
        ev.list, ev.cookie = req.headers["x-forwarded-for"], req.headers.cookie
      end]] } }
    local a = s:raw("POST /v1/events HTTP/1.1\r\nHost: t\r\n"
      .. "X-Forwarded-For: 10.0.0.1\r\nCookie: a=1\r\nX: y\r\ncookie: b=2\r\n"
      .. "x-forwarded-for: 10.0.0.2, 10.0.0.3\r\nContent-Length: 2\r\n\r\n{}")
    assert.equal(202, a.status)
    assert.equal(0, s:stop())
    local line = s:lines()[1]
    assert.matches('"via":"10.0.0.1, 10.0.0.2, 10.0.0.3"', line, 1, true)
    assert.matches('"list":"10.0.0.1, 10.0.0.2, 10.0.0.3"', line, 1, true)
    assert.matches('"cookie":"a=1; b=2"', line, 1, true)
  end)

  it("closes a connection that has sent nothing after header_timeout", function()
    s = h.server { policy = h.policy { workers = 1,
      server = [[header_timeout = "300ms", idle_timeout = "1h"]] } }
    local silent, blank = h.connect(s.port), h.connect(s.port)
    blank:send("\r\n")
    assert.is_true(h.closed(silent, 20))
    assert.is_true(h.closed(blank, 20))
  end)

  it("reads what has arrived before it looks at the clock", function()
    s = h.server { policy = h.policy { workers = 1,
      server = [[header_timeout = "400ms", body_timeout = "400ms",
        idle_timeout = "400ms"]] } }
    local list = {}
    for i = 1, 20 do
      list[i] = h.connect(s.port)
      list[i]:send(GOOD)
      assert.equal(202, h.answer(list[i]).status)
    end
    s:signal("SIGSTOP")
    h.wait_for("the server to stand still", function()
      return h.read("/proc/" .. s.real_pid .. "/status"):match("State:%s*T")
    end)
    local at = h.now()
    for _, c in ipairs(list) do c:send(GOOD) end
    h.wait_for("the timeouts to pass", function() return h.now() - at > 1 end)
    s:signal("SIGCONT")
    for _, c in ipairs(list) do
      local a = h.answer(c)
      assert.equal(202, a and a.status)
      c:close()
    end
  end)

  it("serves who asks once before the rest of those who pipeline hundreds", function()
    local FLOODS, EACH = 60, 400
    local function post(who)
      local body = ('{"who":"%s"}'):format(who)
      return ("POST /v1/events HTTP/1.1\r\nHost: t\r\nContent-Length: %d\r\n\r\n%s")
        :format(#body, body)
    end
    s = h.server { policy = h.policy { workers = 1 } }
    local list = {}
    for i = 1, FLOODS + 2 do
      list[i] = h.connect(s.port)
      list[i]:send(post "hello")
      assert.equal(202, h.answer(list[i]).status)
    end
    s:signal("SIGSTOP")
    h.wait_for("the server to stand still", function()
      return h.read("/proc/" .. s.real_pid .. "/status"):match("State:%s*T")
    end)
    -- The loop sees sockets in the order of their bytes, or the other way round.
    list[1]:send(post "once")
    for i = 2, FLOODS + 1 do list[i]:send(post("many"):rep(EACH)) end
    list[#list]:send(post "once")
    s:signal("SIGCONT")
    h.wait_for("all events", function()
      return s:metric("sluice_stored_events_total") == #list + FLOODS * EACH + 2
    end, 60)
    assert.equal(0, s:stop())
    local before, most = 0, 0
    for _, line in ipairs(s:lines()) do
      if line:find("many", 1, true) then
        before = before + 1
      elseif line:find("once", 1, true) then
        most = math.max(most, before)
      end
    end
    for _, c in ipairs(list) do c:close() end
    assert.equal(FLOODS * EACH, before)
    print("# events of others before one's own: " .. most)
    -- A turn of 64 requests each would be 3,840 of them.
    assert.is_true(most < 1920, most)
  end)

  it("holds open connections to limits that a reload lowers", function()
    local function policy(server)
      return h.policy { workers = 1, server = server }
    end
    s = h.server { policy = policy [[idle_timeout = "1h"]] }
    local idle, other = h.connect(s.port), h.connect(s.port)
    for _, c in ipairs { idle, other } do
      c:send(GOOD)
      assert.equal(202, h.answer(c).status)
    end
    h.write(s.path, policy [[idle_timeout = "1h", max_headers = "1KiB"]])
    assert.equal(200, s:reload().status)
    other:send("GET / HTTP/1.1\r\nX: " .. ("y"):rep(2000) .. "\r\n\r\n")
    assert.equal(431, h.answer(other).status)
    h.write(s.path, policy [[idle_timeout = "100ms"]])
    assert.equal(200, s:reload().status)
    assert.is_true(h.closed(idle, 20))
  end)

  it("closes idle connections beyond a max_connections that a reload lowers",
  function()
    s = h.server { policy = h.policy { workers = 1 } }
    local list = {}
    for i = 1, 30 do
      list[i] = h.connect(s.port)
      list[i]:send(GOOD)
      assert.equal(202, h.answer(list[i]).status)
    end
    h.write(s.path, h.policy { workers = 1, server = "max_connections = 10" })
    assert.equal(200, s:reload().status)
    local open = {}
    h.wait_for("the surplus to go", function()
      open = {}
      for _, c in ipairs(list) do
        c:settimeout(0)
        local _, why = c:receive(1)
        if why ~= "closed" then open[#open + 1] = c end
      end
      return #open <= 10
    end)
    -- Those that were told to go are not counted again while they are still there.
    h.wait_for("them to be gone", function()
      return s:metric("sluice_connections_open") <= 10 + 1 -- the scrape itself
    end)
    for _, c in ipairs(open) do
      c:settimeout(10)
      c:send(GOOD)
      local a = h.answer(c)
      assert.equal(202, a.status)
      assert.is_nil(a.headers.connection)
    end
    assert.equal(10, #open)
  end)

  it("gives a client that is one too many a 503 that it can read", function()
    s = h.server { policy = h.policy { workers = 1,
      server = "max_connections = 1" } }
    local only = h.connect(s.port)
    only:send(GOOD)
    assert.equal(202, h.answer(only).status)
    for i = 1, 20 do
      local c = h.connect(s.port)
      h.wait_for("it to be turned away", function()
        return s:metric("sluice_connections_refused_total") == i
      end)
      c:send("POST /v1/events HTTP/1.1\r\nHost: t\r\nContent-Length: 100000"
        .. "\r\n\r\n" .. ("x"):rep(100000))
      local a = h.answer(c)
      assert.equal(503, a and a.status)
      assert.matches("too_many_connections", a.body)
      c:close()
    end
  end)

  it("goes on after SIGUSR1", function()
    s = h.server { policy = h.policy { workers = 1 } }
    s:signal("SIGUSR1")
    assert.equal(202, s:post("/v1/events", "{}").status)
  end)
end)

describe("a second server on the same port", function()
  local s, t
  after_each(function()
    for _, x in ipairs { s, t } do x:close() end
    s, t = nil, nil
  end)

  local function second(server)
    t = setmetatable({ dir = h.folder() }, { __index = s })
    t.data, t.log, t.path = t.dir .. "/data", t.dir .. "/log", t.dir .. "/p.lua"
    t.wrap, t.args = {}, { "--listen", "127.0.0.1:" .. s.port }
    h.write(t.path, h.policy { workers = 2, server = server })
    t:start(true)
  end

  it("ends with exit code 3 and says why", function()
    s = h.server()
    second("")
    assert.equal(3, h.reap(t.pid))
    t.pid = nil
    assert.matches("Address already in use", h.read(t.log), 1, true)
    assert.equal(202, s:post("/v1/events", "{}").status)
  end)

  it("shares it when its policy says share_port", function()
    s = h.server { policy = h.policy { server = "share_port = true" } }
    second("share_port = true")
    h.wait_for("it to be ready", function()
      return (h.read(t.log) or ""):match("event=ready")
    end)
    t.real_pid = t.pid
    signal.kill(t.pid, signal.SIGTERM)
    assert.equal(0, h.reap(t.pid))
    t.pid = nil
  end)
end)
