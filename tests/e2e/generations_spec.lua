local cjson = require "cjson"
local h = require "harness"

local BAD = [[route "POST /x" { body = "evnt" }]]

local function marked(n, top)
  return h.policy { workers = 2, top = (top or "") ..
    ("\nlocal function on_event(ev) ev.version = %d end"):format(n),
    route = "on_event = on_event" }
end

local function generation(s, number)
  for _, g in ipairs(cjson.decode(s:get("/status").body).generations) do
    if g.generation == number then return g end
  end
end

describe("a generation of the policy", function()
  local s
  after_each(function() if s then s:close() s = nil end end)

  it("retires once no request, worker or sink holds it", function()
    s = h.server { policy = marked(1) }
    assert.same({ workers = 2, requests = 0, sinks = 2 },
      generation(s, 1).held_by)
    local c = h.connect(s.port)
    c:send("POST /v1/events HTTP/1.1\r\nHost: t\r\nContent-Length: 7\r\n"
      .. "Content-Type: application/json\r\n\r\n{\"n\"")
    h.wait_for("the request to hold generation 1", function()
      return generation(s, 1).held_by.requests == 1
    end)
    h.write(s.path, marked(2))
    local a = cjson.decode(s:reload().body)
    assert.same({ "live", 2, 2 }, { a.status, a.generation, a.loaded })
    s:logged("generation=2 status=live cause=POST hash=%x+ ms=%d+")
    local g = generation(s, 1)
    assert.same({ "retiring", "replaced by generation 2" }, { g.status, g.why })
    h.wait_for("the other worker to let go", function()
      local held = generation(s, 1).held_by
      return held.workers == 1 and held.requests == 1 and held.sinks == 0
    end)
    assert.equal(1, s:metric("sluice_policy_generations", '"retiring"'))
    c:send(":1}")
    assert.equal(202, h.answer(c).status)
    c:close()
    s:logged("generation=1 status=retired")
    assert.equal("retired", generation(s, 1).status)
    assert.is_nil(generation(s, 1).held_by)
    assert.equal(202, s:post("/v1/events", [[{"n":2}]]).status)
    assert.equal(2, s:metric("sluice_policy_generation"))
    assert.equal(2, s:metric("sluice_policy_generation"))
    assert.equal(0, s:stop())
    local lines = s:lines()
    table.sort(lines)
    -- Requests that began under the old policy end under it.
    assert.same({ [[{"n":1,"version":1}]], [[{"n":2,"version":2}]] }, lines)
  end)

  it("that is refused says why and how it came", function()
    s = h.server { policy = marked(1) }
    h.write(s.path, BAD)
    local a = s:reload()
    assert.equal(422, a.status)
    assert.matches("still running generation 1", a.body)
    local body = cjson.decode(a.body)
    assert.same({ "refused", 1, 2 }, { body.status, body.generation, body.loaded })
    assert.same({ line = 1, severity = "error", file = s.path,
      path = 'route "POST /x"', column = 1, end_column = 6,
      message = 'needs stream, or an on_event that says to("stream")' },
      body.problems[1])
    assert.matches('"evnt" is none of "event", ',
      body.problems[2].message, 1, true)
    local g = generation(s, 2)
    assert.same({ "refused", "POST" }, { g.status, g.cause })
    assert.matches("needs stream", g.why)
    assert.equal(1, s:metric("sluice_policy_reloads_total", '"refused"'))
    assert.equal(1, s:metric("sluice_policy_generation"))
    assert.equal(409, s:reload("?rollback").status)
    assert.equal(400, s:reload("?roll").status)
  end)

  it("is loaded after the one before, however many are asked for at once",
  function()
    s = h.server { policy = marked(1) }
    h.write(s.path, marked(2))
    local conns, loaded = {}, {}
    for i = 1, 8 do
      conns[i] = h.connect(s.admin)
      conns[i]:send("POST /reload HTTP/1.1\r\nHost: t\r\nContent-Length: 0\r\n"
        .. "Connection: close\r\n\r\n")
    end
    for i = 1, 8 do
      local a = h.answer(conns[i])
      assert.equal(200, a.status)
      loaded[i] = cjson.decode(a.body).loaded
      conns[i]:close()
    end
    table.sort(loaded)
    assert.same({ 2, 3, 4, 5, 6, 7, 8, 9 }, loaded)
    s:logged("generation=8 status=retired")
    assert.equal(9, s:metric("sluice_policy_generation"))
    assert.equal(0, s:stop())
  end)

  it("that is slow to load keeps nobody waiting", function()
    s = h.server { policy = marked(1) }
    h.write(s.path, marked(2, "for i = 1, 2e7 do end"))
    local c, began = h.connect(s.admin), h.now()
    c:send("POST /reload HTTP/1.1\r\nHost: t\r\nContent-Length: 0\r\n\r\n")
    local asked, slowest = 0, 0
    c:settimeout(0)
    repeat
      local t = h.now()
      assert.equal(200, s:get("/healthz").status)
      assert.equal(202, s:post("/v1/events", [[{"n":1}]]).status)
      slowest, asked = math.max(slowest, h.now() - t), asked + 1
      local first = c:receive(1)
    until first
    local took = h.now() - began
    print(("# reload: loading took %.0f ms, meanwhile %d health checks, the "
      .. "slowest in %.0f ms"):format(took * 1000, asked, slowest * 1000))
    assert.is_true(asked > 1 and slowest < took / 2)
    assert.equal(0, s:stop())
    assert.equal(asked, #s:lines())
  end)

  it("that loads or is on trial when the end comes does not keep it", function()
    local slow = marked(2, "for i = 1, 2e7 do end")
    for _, new in ipairs { slow, slow .. "canary { }", marked(2, "canary { }"),
      marked(2, "shadow { }") } do
      s = h.server { policy = marked(1) }
      assert.equal(202, s:post("/v1/events", [[{"n":1}]]).status)
      h.write(s.path, new)
      local c = h.connect(s.admin)
      c:send("POST /reload HTTP/1.1\r\nHost: t\r\nContent-Length: 0\r\n\r\n")
      s:logged("generation=2 status=loading")
      if new:find("2e7") == nil then s:logged("generation=2 status=%l+ .* ms=") end
      assert.equal(0, s:stop())
      c:close()
      assert.equal(1, #s:lines())
      s:close()
    end
    s = nil
  end)

  it("whose file can't be read for a minute does not keep the end", function()
    s = h.server { policy = marked(1) }
    local trace = h.spawn({ "strace", "-f", "-p", tostring(s.real_pid), "-o",
      "/dev/null", "-P", s.path, "-e", "inject=pread64:delay_enter=60000000" },
      s.dir .. "/strace", s.dir .. "/strace")
    h.wait_for("strace", function()
      return (h.read(s.dir .. "/strace") or ""):find("attached", 1, true)
    end)
    assert.equal(202, s:post("/v1/events", [[{"n":1}]]).status)
    local c = h.connect(s.admin)
    c:send("POST /reload HTTP/1.1\r\nHost: t\r\nContent-Length: 0\r\n\r\n")
    s:logged("generation=2 status=loading")
    h.shell("kill " .. s.real_pid)
    s:logged("generation=2 status=abandoned")
    s:logged("event=stopped exit=0")
    h.shell("kill -9 " .. trace) -- it keeps the ended thread for the minute
    h.reap(trace, 10)
    assert.equal(0, s:stop())
    assert.equal(1, #s:lines())
    c:close()
  end)

  it("is not loaded for a web page that an operator has open", function()
    s = h.server { policy = marked(1) }
    local headers = { Origin = "http://evil.example" }
    for _, path in ipairs { "/reload", "/reload?rollback",
      "/sinks/archive/drop", "/sinks/archive/breaker?open" } do
      local a = h.request(s.admin, "POST", path, "", headers)
      assert.equal(403, a.status)
      assert.matches('"code":"origin"', a.body, 1, true)
    end
    -- Nor can the page read anything.
    assert.equal(403, h.request(s.admin, "GET", "/status", nil, headers).status)
    assert.equal(200, s:get("/status").status)
    assert.equal(1, s:metric("sluice_policy_generation"))
    assert.equal(0, s:stop())
  end)

  it("is loaded although who asked has gone", function()
    s = h.server { policy = marked(1) }
    h.write(s.path, marked(2, "for i = 1, 5e6 do end"))
    local c = h.connect(s.admin)
    c:send("POST /reload HTTP/1.1\r\nHost: t\r\nContent-Length: 0\r\n\r\n")
    s:logged("generation=2 status=loading")
    c:close()
    s:logged("generation=2 status=live")
    assert.equal(200, s:reload().status)
    assert.equal(0, s:stop())
  end)

  it("is not loaded while too many others are held, whose states take memory",
  function()
    s = h.server { policy = marked(1) }
    local conns, status, body = {}, 200, nil
    while status == 200 and #conns < 40 do
      local c = h.connect(s.port)
      c:send("POST /v1/events HTTP/1.1\r\nHost: t\r\nContent-Length: 7\r\n"
        .. "Content-Type: application/json\r\n\r\n{\"n\"")
      conns[#conns + 1] = c
      local held = #conns
      h.wait_for("the request to be held", function()
        return generation(s, held).held_by.requests == 1
      end)
      h.write(s.path, marked(1 + held))
      local a = s:reload()
      status, body = a.status, a.body
    end
    assert.same({ 503, 32 }, { status, #conns })
    assert.matches("too many generations are still held", body)
    assert.equal(1, s:metric "sluice_policy_load_refused")
    conns[1]:send(":1}")
    assert.equal(202, h.answer(conns[1]).status)
    s:logged("generation=1 status=retired")
    assert.equal(1, s:metric "sluice_policy_load_refused") -- until one is accepted
    assert.equal(200, s:reload().status)
    assert.equal(0, s:metric "sluice_policy_load_refused")
    for i = 2, #conns do
      conns[i]:send(":1}")
      assert.equal(202, h.answer(conns[i]).status)
    end
    s:logged("generation=32 status=retired")
    assert.equal(0, s:stop())
    assert.equal(#conns, #s:lines())
  end)
end)
