local h = require "harness"
local socket = require "socket"

-- Clients that send and do not read their answers.

---Sends as much of the text as the peer takes: until it has not taken a byte for half
---a second. The number of bytes sent.
local function fill(c, text)
  local at = 0
  c:settimeout(0)
  while at < #text do
    local n, _, part = c:send(text, at + 1)
    local sent = n or part
    if sent and sent > at then
      at = sent
    else
      local _, ready = socket.select(nil, { c }, 0.5)
      if #ready == 0 then break end
    end
  end
  c:settimeout(10)
  return at
end

local GET = "GET /v1/events HTTP/1.1\r\nHost: t\r\n\r\n"

local function server(more)
  return h.server { policy = h.policy { workers = 1,
    server = [[body_timeout = "1s", drain = "3s"]] .. (more or "") } }
end

describe("a client that does not read its answers", function()
  local s
  after_each(function() if s then s:close() s = nil end end)

  it("does not keep the worker from others, nor from SIGTERM", function()
    s = server()
    local c = h.connect(s.port)
    fill(c, GET:rep(60000))
    for _ = 1, 20 do
      assert.equal(202, s:post("/v1/events", "{}").status)
    end
    assert.equal(0, s:stop())
    c:close()
  end)

  it("is not read from without end", function()
    s = h.server { policy = h.policy { workers = 1 } }
    local c = h.connect(s.port)
    c:setoption("recv-buffer-size", 4096)
    local text = GET:rep(400000)
    local sent = fill(c, text)
    print(("# unread: %d of %d bytes taken"):format(sent, #text))
    assert.is_true(sent < #text)
    assert.equal(202, s:post("/v1/events", "{}").status)
    c:close()
  end)

  it("is let go when it has read nothing for body_timeout", function()
    s = server()
    local c = h.connect(s.port)
    fill(c, GET:rep(60000))
    h.wait_for("the connection to be closed", function()
      return s:metric("sluice_connection_timeouts_total") == 1
        and s:metric("sluice_connections_open") <= 1
    end)
    assert.equal(202, s:post("/v1/events", "{}").status)
    c:close()
  end)

  it("gets all of its answers, in order, once it reads", function()
    s = h.server { policy = h.policy { workers = 1 } }
    local c = h.connect(s.port)
    local n = math.floor(fill(c, GET:rep(60000)) / #GET)
    for _ = 1, n do
      local a = h.answer(c)
      assert.equal(405, a and a.status)
    end
    c:close()
  end)

  it("does not stop the supervisor when it scrapes", function()
    s = server()
    local c = h.connect(s.admin)
    fill(c, ("GET /metrics HTTP/1.1\r\nHost: t\r\n\r\n"):rep(5000))
    assert.equal("ok\n", s:get("/healthz").body)
    assert.equal(200, s:reload().status)
    assert.equal(0, s:stop())
    c:close()
  end)

  it("does not keep other addresses from the admin port", function()
    s = server()
    local list = {}
    for i = 1, 300 do
      local c = assert(socket.tcp())
      assert(c:bind("127.0.0.2", 0))
      c:settimeout(10)
      assert(c:connect("127.0.0.1", s.admin))
      list[i] = c
    end
    assert.equal("ok\n", s:get("/healthz").body)
    for _, c in ipairs(list) do c:close() end
  end)
end)

describe("a client whose few bytes are much work", function()
  it("has one request served in a turn, and then waits for the others", function()
    local s = h.server { policy = h.policy { workers = 1, top = [[
route "POST /slow" { body = "event", stream = "events", on_error = "reject",
  on_event = function() while true do end end }]] } }
    local c = h.connect(s.port)
    c:send(("POST /slow HTTP/1.1\r\nHost: t\r\nContent-Length: 2\r\n\r\n{}"):rep(40))
    assert.equal(500, h.answer(c).status) -- the worker has all of them
    assert.equal(202, s:post("/v1/events", "{}").status)
    c:settimeout(0)
    local n = 1
    while c:receive "*l" do n = n + 1 end -- six lines each
    assert.is_true(n < 40 * 4, n .. " lines")
    s:close()
    c:close()
  end)

  it("that inflate leaves the others their turns, however many connections it has", function()
    local s = h.server { policy = h.policy { workers = 1 } }
    local file = s.dir .. "/body"
    h.shell(("(echo '['; head -c 4000000 /dev/zero | tr '\\0' ' '; echo ']') | gzip -9 > '%s'")
      :format(file))
    local body, list = h.read(file), {}
    local head = "POST /v1/events/batch HTTP/1.1\r\nHost: t\r\nContent-Type: application/json\r\n"
      .. "Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n"
    for i = 1, 24 do list[i] = h.connect(s.port) end
    local light = h.connect(s.port)
    h.wait_for("the connections", function()
      return s:metric("sluice_connections_open") >= #list + 1
    end)
    s:signal "SIGSTOP"
    h.sleep(0.1)
    light:send "POST /v1/events HTTP/1.1\r\nHost: t\r\nContent-Length: 2\r\n\r\n{}"
    for i, c in ipairs(list) do
      c:send((head:format(#body) .. body):rep(i % 2 + 1))
    end
    local began = h.now()
    s:signal "SIGCONT"
    assert.equal(202, h.answer(light).status)
    local took = h.now() - began
    for i, c in ipairs(list) do
      for _ = 1, i % 2 + 1 do assert.equal(202, h.answer(c).status) end
    end
    local all = h.now() - began
    print(("# inflating: a small request took %.3f s, 36 that inflate %.3f s"):format(took, all))
    assert.is_true(took < all / 4)
    h.wait_for("no body", function() return s:metric("sluice_body_buffer_bytes") == 0 end)
    s:close()
    for _, c in ipairs(list) do c:close() end
    light:close()
  end)

  it("that inflate are served in the order in which they came", function()
    local s = h.server { policy = h.policy { workers = 1 } }
    local file = s.dir .. "/body"
    h.shell(("(echo '['; head -c 100000 /dev/zero | tr '\\0' ' '; echo ']') | gzip -9 > '%s'")
      :format(file))
    local body, list, of, n = h.read(file), {}, {}, {}
    local text = ("POST /v1/events/batch HTTP/1.1\r\nHost: t\r\nContent-Type: application/json\r\n"
      .. "Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n"):format(#body) .. body
    for i = 1, 200 do
      list[i] = h.connect(s.port)
      list[i]:send(text)
      of[list[i]], n[i] = i, 0
    end
    local sum = 0
    while sum < 20 * #list do
      for _, c in ipairs((socket.select(list, nil, 1))) do
        assert.equal(202, h.answer(c).status)
        n[of[c]] = n[of[c]] + 1
        sum = sum + 1
        c:send(text)
      end
    end
    table.sort(n)
    print(("# inflating: %d requests of 200 connections, %d to %d of each"):format(sum, n[1],
      n[#n]))
    assert.is_true(n[#n] <= 1.25 * n[1])
    s:close()
    for _, c in ipairs(list) do c:close() end
  end)

  it("that inflate and wait leave room for bodies that arrive", function()
    local s = h.server { policy = h.policy { workers = 1, server = 'max_body = "1MiB"' } }
    local file = s.dir .. "/body"
    h.shell(("(printf '[{\"a\":\"'; head -c 40000 /dev/urandom | base64 -w0; printf '\"}'; "
      .. "head -c 500000 /dev/zero | tr '\\0' ' '; printf ']') | gzip > '%s'"):format(file))
    local body, list, large = h.read(file), {}, {}
    local head = "POST /v1/events/batch HTTP/1.1\r\nHost: t\r\nContent-Type: application/json\r\n"
    local text = ("%sContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n"):format(head, #body)
      .. body
    local plain = ('[{"a":"%s"}]'):format(("x"):rep(300000))
    local function upload()
      large[#large + 1] = h.connect(s.port)
      large[#large]:send(("%sContent-Length: %d\r\n\r\n%s"):format(head, #plain, plain))
    end
    for i = 1, 1900 do list[i] = h.connect(s.port) end
    s:signal "SIGSTOP"
    h.sleep(0.1)
    for i, c in ipairs(list) do
      c:send(text)
      if i % 50 == 0 then upload() end
    end
    s:signal "SIGCONT"
    for _, c in ipairs(large) do
      c:settimeout(60)
      local a = assert(h.answer(c))
      assert.equal(202, a.status, a.body)
    end
    for _, c in ipairs(list) do
      assert.equal(202, h.answer(c).status)
      c:close()
    end
    s:close()
    for _, c in ipairs(large) do c:close() end
  end)
end)
