local h = require "harness"

-- What many clients together may take from a server: memory, room in the spool, the
-- right to send bodies.

---Starts tests/tools/hostile; returns when each client has done its harm.
local function hostile(port, mode, count)
  local out = os.tmpname()
  local pid = h.spawn({ h.build .. "/tools/hostile", "--port", tostring(port),
    "--mode", mode, "--count", tostring(count) }, out)
  h.wait_for("hostile clients", function()
    return h.read(out):match("ready open=%d+")
  end, 60)
  return function()
    require("posix.signal").kill(pid, 15)
    h.reap(pid)
    os.remove(out)
  end
end

local function rss_mb(s)
  return tonumber(h.read("/proc/" .. s.real_pid .. "/status")
    :match("VmRSS:%s*(%d+)")) / 1024
end

describe("many connections together", function()
  local s, stop
  after_each(function()
    if stop then stop() stop = nil end
    if s then s:close() s = nil end
  end)

  it("that pipeline and do not read stay within 64 MiB for a worker",
  function()
    s = h.server { policy = h.policy { workers = 1 } }
    assert.equal(202, s:post("/v1/events", "{}").status)
    local before = rss_mb(s)
    stop = hostile(s.port, "pipeline", 2000)
    local most = 0
    for _ = 1, 20 do
      most = math.max(most, rss_mb(s))
      assert.equal(202, s:post("/v1/events", "{}").status)
    end
    print(("# budget: rss %d MB, with 2000 connections %d MB"):format(before,
      most))
    assert.is_true(s:metric("sluice_connection_buffer_bytes") <= 48 * 2 ^ 20)
    -- The allocator loses up to a third; a connection itself takes up to 8 KiB.
    assert.is_true(most - before < 64 + 2000 * 8 / 1024)
    stop()
    stop = nil
    h.wait_for("the memory to come back", function()
      return s:metric("sluice_connection_buffer_bytes") == 0
        and rss_mb(s) - before < 8
    end)
  end)

  it("whose heads are one header over and over take what they sent", function()
    s = h.server { policy = h.policy { workers = 1 } }
    local head = "POST /v1/events HTTP/1.1\r\nHost: t\r\nContent-Length: 9\r\n"
      .. ("x: " .. ("a"):rep(240) .. "\r\n"):rep(60) .. "\r\n{"
    assert.equal(202, s:post("/v1/events", "{}").status)
    local before, n, open = rss_mb(s), 200, {}
    for i = 1, n do
      open[i] = h.connect(s.port)
      open[i]:send(head)
    end
    h.wait_for("the first bytes of their bodies", function()
      return s:metric("sluice_body_buffer_bytes") >= n
    end)
    local more = rss_mb(s) - before
    print(("# budget: %d such connections take %.1f MB"):format(n, more))
    for _, c in ipairs(open) do c:close() end
    -- conf/HTTP.md: a connection, twice its head, the first of its body.
    assert.is_true(more < n * (8 + 2 * 16 + 4) / 1024 + 4)
  end)

  it("reserve nothing of the spool by their headers alone", function()
    s = h.server { policy = h.policy { workers = 1 } }
    stop = hostile(s.port, "length", 1301)
    assert.equal(202, s:post("/v1/events", "{}").status)
    assert.equal(0, s:metric("sluice_spool_reserved_bytes", "events"))
    assert.equal("ready\n", s:get("/readyz").body)
  end)

  it("hold room for what has arrived of a body, until it is stored or gone",
  function()
    s = h.server { policy = h.policy { workers = 1, ack = "delivered",
      linger = "30s" } }
    local function reserved()
      return s:metric("sluice_spool_reserved_bytes", "events")
    end
    local half = '{"a":"' .. ("x"):rep(5e5)
    local head = "POST /v1/events HTTP/1.1\r\nHost: t\r\nContent-Length: %d"
      .. "\r\n\r\n"
    local c, gone = h.connect(s.port), h.connect(s.port)
    for _, x in ipairs { c, gone } do x:send(head:format(2 * #half) .. half) end
    h.wait_for("two halves", function() return reserved() >= 2 * #half end)
    assert.is_true(reserved() <= 4 * #half)
    gone:close()
    h.wait_for("one to be let go", function() return reserved() < 2 * #half end)
    c:send(("x"):rep(#half - 2) .. '"}')
    h.wait_for("the other to be stored", function()
      return s:metric("sluice_stored_events_total", "events") == 1
    end)
    -- Its answer waits for the sink; its room is in the segment now.
    assert.equal(0, reserved())
    c:close()
  end)

  it("that have sent one byte of their bodies do not use up the room for bodies",
  function()
    s = h.server { policy = h.policy { workers = 1 } }
    stop = hostile(s.port, "chunk", 4200)
    local big = ("x"):rep(1e6)
    assert.equal(202, s:post("/v1/events", '{"a":"' .. big .. '"}').status)
    local a = s:raw("POST /v1/events HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: "
      .. "chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n")
    assert.equal(202, a.status)
  end)

  it("have room for bodies also when max_body is 4 KiB", function()
    s = h.server { policy = h.policy { workers = 1,
      server = [[max_body = "4KiB"]] } }
    stop = hostile(s.port, "chunk", 500)
    local a = s:raw("POST /v1/events HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: "
      .. "chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n")
    assert.equal(202, a.status)
  end)

  it("of one address are bounded by max_connections_per_address", function()
    s = h.server { policy = h.policy { workers = 1,
      server = "max_connections_per_address = 10" } }
    local open = {}
    for i = 1, 10 do open[i] = h.connect(s.port) end
    local c = h.connect(s.port)
    local a = h.answer(c)
    assert.equal(503, a.status)
    assert.matches("too_many_connections", a.body)
    assert.equal(1, s:metric("sluice_connections_refused_total",
      'reason="address"'))
    local other = require("socket").tcp()
    other:settimeout(10)
    assert(other:bind("127.0.0.2", 0))
    assert(other:connect("127.0.0.1", s.port))
    other:send("POST /v1/events HTTP/1.1\r\nHost: t\r\nContent-Length: 2\r\n\r\n{}")
    assert.equal(202, h.answer(other).status)
    open[1]:close()
    h.wait_for("a place", function()
      local d = h.connect(s.port)
      d:send("POST /v1/events HTTP/1.1\r\nHost: t\r\nContent-Length: 2\r\n\r\n{}")
      local b = h.answer(d)
      d:close()
      return b and b.status == 202
    end)
    for _, o in ipairs(open) do o:close() end
    other:close()
    c:close()
  end)
end)
