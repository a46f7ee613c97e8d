-- Proxies in front: whose request it is, by PROXY headers, X-Forwarded-For and Forwarded; what
-- an untrusted one says is not believed; and HAProxy and nginx themselves.

local h = require "harness"
local socket = require "socket"

-- Each request is refused with its req.peer as the message.
local function policy(dir)
  return ([[
server { workers = 1, header_timeout = "300ms" }
listen "127.0.0.1:0" { proxy_protocol = true, trusted = { "127.0.0.0/8" }, max_per_address = 2 }
listen "0.0.0.0:0" { trusted = { "127.0.0.1", "10.0.0.0/8" }, max_per_address = 2,
  health = "/lb" }
listen "[::ffff:127.0.0.1]:0" { proxy_protocol = true, trusted = { "10.0.0.0/8" } }
listen "unix:%s/in.sock" { proxy_protocol = true, trusted = { "unix" }, forwarded = "forwarded" }
file "archive" { dir = "archive" }
stream "events" { sinks = { "archive" } }
route "POST /who" { body = "event", stream = "events",
  on_request = function(req) return reject("seen", req.peer) end }
]]):format(dir)
end

local BODY = "Content-Type: application/json\r\nContent-Length: 2\r\n"

local function request(headers)
  return "POST /who HTTP/1.1\r\nHost: x\r\n" .. BODY .. (headers or "") .. "\r\n{}"
end

-- req.peer of the next answer.
local function seen(c)
  local a = h.answer(c)
  return a and a.body:match('"detail":"([^"]*)"') or a and a.status
end

-- req.peer of one request on a connection of its own.
local function ask(port, before, headers)
  local c = h.connect(port)
  c:send(before .. request(headers))
  local peer = seen(c)
  c:close()
  return peer
end

local function v2(command, family, bytes)
  return "\r\n\r\n\0\r\nQUIT\n" .. string.char(command, family, math.floor(#bytes / 256),
    #bytes % 256) .. bytes
end

local CLIENT = string.char(203, 0, 113, 9, 10, 0, 0, 1, 1, 2, 3, 4)
local V1 = "PROXY TCP4 203.0.113.9 10.0.0.1 1 2\r\n"

describe("behind a proxy", function()
  local s, dir, by_header, by_list, strange

  setup(function()
    dir = h.folder()
    s = h.server { dir = dir, policy = policy(dir) }
    local list = s:text():match("event=ready listen=(%S+)")
    local ports = {}
    for one in list:gmatch("[^,]+") do ports[#ports + 1] = tonumber(one:match(":(%d+)$")) end
    -- The first is --listen's; the others stand in the order of their texts.
    by_list, by_header, strange = ports[2], ports[3], ports[4]
  end)

  teardown(function()
    if s then s:close() end
  end)

  local function refused(reason, listener)
    return s:metric("sluice_listener_refused_total", ('listener="%s",reason="%s"'):format(
      listener or "127.0.0.1:0", reason))
  end

  it("a PROXY header names the client", function()
    assert.equal("203.0.113.9", ask(by_header, V1))
    assert.equal("2001:db8::7", ask(by_header, "PROXY TCP6 2001:DB8:0::7 ::1 1 2\r\n"))
    assert.equal("203.0.113.9", ask(by_header, v2(0x21, 0x11, CLIENT)))
    assert.equal("203.0.113.9", ask(by_header, v2(0x21, 0x11, CLIENT .. ("\4\0\1x"):rep(200))))
    assert.equal("2001:db8::7", ask(by_header, v2(0x21, 0x21,
      "\32\1\13\184" .. ("\0"):rep(11) .. "\7" .. ("\0"):rep(20))))
  end)

  it("LOCAL, UNKNOWN and Unix addresses leave the connection's own", function()
    assert.equal("127.0.0.1", ask(by_header, "PROXY UNKNOWN\r\n"))
    assert.equal("127.0.0.1", ask(by_header, v2(0x20, 0, "")))
    assert.equal("127.0.0.1", ask(by_header, v2(0x21, 0x31, ("\0"):rep(216))))
  end)

  it("a PROXY header comes in parts, and holds for all requests of its connection", function()
    for _, header in ipairs { V1, v2(0x21, 0x11, CLIENT .. "\4\0\0") } do
      local c = h.connect(by_header)
      for i = 1, #header do
        c:send(header:sub(i, i))
        if i % 16 == 0 then socket.sleep(0.002) end
      end
      for _ = 1, 2 do
        c:send(request("X-Forwarded-For: 6.6.6.6\r\nForwarded: for=6.6.6.6\r\n"))
        assert.equal("203.0.113.9", seen(c))
      end
      c:close()
    end
  end)

  it("a connection without a good header is closed and counted", function()
    local before = refused("proxy_header")
    local bad = { request(), "PROXY TCP4 nonsense\r\n", v2(0x21, 0x11, "short"),
      v2(0x21, 0x11, ("\0"):rep(5000)), ("P"):rep(300) }
    for _, bytes in ipairs(bad) do
      local c = h.connect(by_header)
      c:send(bytes)
      assert.is_nil(h.answer(c))
      c:close()
    end
    assert.equal(before + #bad, refused("proxy_header"))
    assert.truthy(s:text():find('event=proxy_refused listener=127.0.0.1:0 peer=127.0.0.1 n=1 '
      .. 'why="there is none"', 1, true))
    -- The others within 10 s wait for the next line.
    assert.equal(1, select(2, s:text():gsub("event=proxy_refused listener=127%.0%.0%.1:0", "")))
  end)

  it("a header that does not come in time ends the connection", function()
    local c = h.connect(by_header)
    c:send("PROXY TCP4 203.0.113.9 ")
    assert.truthy(h.closed(c, 20))
    c:close()
  end)

  it("a header from elsewhere is refused, whatever it says", function()
    local c = h.connect(strange)
    c:send(V1 .. request())
    assert.is_nil(h.answer(c))
    c:close()
    assert.equal(1, refused("untrusted", "[::ffff:127.0.0.1]:0"))
    assert.truthy(s:text():find('why="it is in none of the trusted networks"', 1, true))
  end)

  it("the limit of an address counts the clients of PROXY headers", function()
    local held = {}
    for i = 1, 2 do
      held[i] = h.connect(by_header)
      held[i]:send(V1 .. request())
      assert.equal("203.0.113.9", seen(held[i]))
    end
    local c = h.connect(by_header)
    c:send(V1 .. request())
    assert.equal(503, h.answer(c).status)
    c:close()
    assert.equal(1, refused("address"))
    assert.equal("203.0.113.8", ask(by_header, "PROXY TCP4 203.0.113.8 10.0.0.1 1 2\r\n"))
    for _, x in ipairs(held) do x:close() end
  end)

  it("X-Forwarded-For names the client of each request, read from the right", function()
    local c = h.connect(by_list)
    for _, row in ipairs {
      { "X-Forwarded-For: 203.0.113.9\r\n", "203.0.113.9" },
      { "x-forwarded-for: 6.6.6.6, 203.0.113.8, 10.1.2.3\r\n", "203.0.113.8" },
      { "X-Forwarded-For: 203.0.113.7\r\nX-Forwarded-For: 10.1.2.3\r\n", "203.0.113.7" },
      { "", "127.0.0.1" },
      { "X-Forwarded-For: unknown\r\n", "127.0.0.1" },
      { "X-Forwarded-For: [2001:DB9::1]:80\r\n", "2001:db9::1" },
      { "Forwarded: for=6.6.6.6\r\n", "127.0.0.1" }, -- not the header that was named
    } do
      c:send(request(row[1]))
      assert.equal(row[2], seen(c))
    end
    -- Pipelined: each answer has its own.
    c:send(request("X-Forwarded-For: 203.0.113.1\r\n")
      .. request("X-Forwarded-For: 203.0.113.2\r\n"))
    assert.equal("203.0.113.1", seen(c))
    assert.equal("203.0.113.2", seen(c))
    c:close()
  end)

  it("a trusted proxy may have more connections than one address", function()
    local held = {}
    for i = 1, 5 do
      held[i] = h.connect(by_list)
      held[i]:send(request("X-Forwarded-For: 203.0.113.9\r\n"))
      assert.equal("203.0.113.9", seen(held[i]))
    end
    for _, c in ipairs(held) do c:close() end
  end)

  it("headers of a client that is no trusted proxy are not believed", function()
    assert.equal("127.0.0.1",
      ask(s.port, "", "X-Forwarded-For: 6.6.6.6\r\nForwarded: for=6.6.6.6\r\n"))
  end)

  it("curl's PROXY header and Forwarded work through a Unix socket", function()
    local function curl(more)
      return h.shell(("curl -s --haproxy-protocol --unix-socket '%s/in.sock' %s "
        .. "-H 'content-type: application/json' -d '{}' http://x/who"):format(dir, more))
        :match('"detail":"([^"]*)"')
    end
    -- curl has no address there: it says UNKNOWN, or one of its own.
    assert.truthy(curl(""))
    local c = assert(require("socket.unix")())
    assert(c:connect(dir .. "/in.sock"))
    c:settimeout(10)
    c:send("PROXY UNKNOWN\r\n" .. request('Forwarded: for=6.6.6.6, for="[2001:db9::1]:5"\r\n'))
    assert.equal("2001:db9::1", seen(c))
    c:send(request("X-Forwarded-For: 6.6.6.6\r\n"))
    assert.equal("unix", seen(c))
    c:close()
    assert.equal("127.0.0.1", h.shell(("curl -s --haproxy-protocol "
      .. "-H 'content-type: application/json' -d '{}' http://127.0.0.1:%d/who"):format(by_header))
      :match('"detail":"([^"]*)"'))
  end)

  it("a listener answers its own health path", function()
    assert.equal(200, h.request(by_list, "GET", "/lb").status)
    assert.equal("ok\n", h.request(by_list, "GET", "/lb").body)
    assert.equal(404, h.request(by_list, "POST", "/lb", "").status)
    assert.equal(404, h.request(s.port, "GET", "/lb").status)
  end)
end)

describe("a listener that denies, behind a proxy", function()
  local s
  teardown(function() if s then s:close() end end)

  it("asks the PROXY header's address, before TLS and HTTP, and the route that of each request",
    function()
      s = h.server { policy = [[
server { workers = 1 }
listen "127.0.0.1:0" { proxy_protocol = true, trusted = { "127.0.0.1", "192.0.2.0/24" },
  deny = { "203.0.113.0/24", "2001:db8:bad::/48" }, max_per_address = 1 }
file "archive" { dir = "archive" }
stream "events" { sinks = { "archive" } }
route "POST /who" { body = "event", stream = "events", deny = { "198.51.100.0/24" },
  on_request = function(req) return reject("seen", req.peer) end }
]] }
      local port = tonumber(s:text():match("event=ready listen=[^,]*,127%.0%.0%.1:(%d+)"))
      local function denied()
        return s:metric("sluice_listener_refused_total", 'listener="127.0.0.1:0",reason="denied"')
      end
      local four = "PROXY TCP4 %s 10.0.0.1 1 2\r\n"
      local function bytes_of(a, b, c, d)
        return string.char(a, b, c, d, 10, 0, 0, 1, 1, 2, 3, 4)
      end
      local bad = { four:format("203.0.113.9"), v2(0x21, 0x11, bytes_of(203, 0, 113, 9)),
        "PROXY TCP6 ::ffff:203.0.113.9 ::1 1 2\r\n", "PROXY TCP6 2001:db8:bad::1 ::1 1 2\r\n" }
      for i, header in ipairs(bad) do
        local c = h.connect(port)
        for k = 1, #header do
          c:send(header:sub(k, k)) -- each byte by itself
          if k % 8 == 0 then socket.sleep(0.001) end
        end
        c:send(request())
        assert.is_nil(h.answer(c), header)
        c:close()
        assert.equal(i, denied())
      end
      -- The denied ones left no place of their address taken, nor a connection open.
      assert.equal("203.0.114.9", ask(port, four:format("203.0.114.9")))
      assert.equal("203.0.114.9", ask(port, v2(0x21, 0x11, bytes_of(203, 0, 114, 9) ..
        "\3\0\4abcd\4\0\0")))
      assert.equal("127.0.0.1", ask(port, v2(0x20, 0x11, bytes_of(203, 0, 113, 9)))) -- LOCAL
      h.wait_for("the end of each connection", function()
        return s:metric("sluice_listener_connections_open", 'listener="127.0.0.1:0"') == 0
      end)
      -- The header of a request is the route's business, and only a trusted one's.
      local from = four:format("192.0.2.1")
      assert.equal("203.0.113.9", ask(port, from, "X-Forwarded-For: 203.0.113.9\r\n"))
      assert.equal("198.51.101.1", ask(port, four:format("198.51.101.1"),
        "X-Forwarded-For: 203.0.113.9\r\n"))
      assert.equal("this route takes no requests from the client's network",
        ask(port, from, "X-Forwarded-For: 6.6.6.6, 198.51.100.7\r\n"))
      assert.equal("192.0.2.1", ask(port, from, "X-Forwarded-For: 198.51.100.7, _hidden\r\n"))
    end)
end)
