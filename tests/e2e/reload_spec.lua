local h = require "harness"

local BAD = [[route "POST /x" { body = "evnt" }]]

describe("a reload", function()
  it("changes the policy for the next request, or nothing and says why",
  function()
    local s = h.server { policy = h.policy() }
    local good = h.policy { top = [[
local function on_event(ev) ev.version = 2 end]], route = "on_event = on_event" }
    assert.equal(202, s:post("/v1/events", [[{"n":1}]]).status)
    h.write(s.path, BAD)
    local a = s:reload()
    assert.equal(422, a.status)
    assert.matches("is none of", a.body)
    assert.matches("still running generation 1", a.body)
    assert.equal(202, s:post("/v1/events", [[{"n":2}]]).status)
    h.write(s.path, good)
    a = s:reload()
    assert.equal(200, a.status, a.body)
    assert.equal(202, s:post("/v1/events", [[{"n":3}]]).status)
    assert.equal(200, s:reload("?rollback").status)
    assert.equal(202, s:post("/v1/events", [[{"n":4}]]).status)
    s:signal("SIGHUP")
    s:logged("generation=5 status=live cause=SIGHUP")
    assert.equal(202, s:post("/v1/events", [[{"n":5}]]).status)
    assert.equal(0, s:stop())
    local lines = s:lines()
    table.sort(lines)
    assert.same({ [[{"n":1}]], [[{"n":2}]], [[{"n":3,"version":2}]],
      [[{"n":4}]], [[{"n":5,"version":2}]] }, lines)
    s:close()
  end)

  it("refuses what needs a restart", function()
    local s = h.server { policy = h.policy { workers = 2 } }
    h.write(s.path, h.policy { workers = 1 })
    local a = s:reload()
    assert.equal(409, a.status)
    assert.matches("server.workers", a.body)
    assert.matches("restart", a.body)
    assert.equal(0, s:stop())
    s:close()
  end)

  it("opens and closes streams and sinks live", function()
    local s = h.server { policy = h.policy() }
    assert.equal(202, s:post("/v1/events", [[{"n":1}]]).status)
    h.write(s.path, h.policy { top = [[
file "other" { dir = "other", linger = "10ms" }
stream "more" { sinks = { "other" } }
route "POST /more" { body = "event", stream = "more" }]] })
    assert.equal(200, s:reload().status)
    assert.equal(202, s:post("/more", [[{"n":2}]]).status)
    h.write(s.path, h.policy())
    assert.equal(200, s:reload().status)
    assert.equal(404, s:post("/more", [[{"n":3}]]).status)
    assert.equal(0, s:stop())
    assert.same({ [[{"n":1}]] }, s:lines())
    assert.same({ [[{"n":2}]] }, s:lines("other"))
    s:close()
  end)

  it("200 times under load fails no request and loses no event", function()
    -- The server on one core; its supervisor and the load on the other.
    local s = h.server { policy = h.policy { workers = 1 },
      wrap = { "taskset", "-c", "0" } }
    h.shell(("taskset -p -c 1 %d"):format(s.real_pid))
    local acks = s.dir .. "/acks"
    -- Half of what one connection's closed loop reaches, sent open loop.
    local top = h.load_wait(h.load(s.port, { path = "/v1/events", batch = 1,
      connections = 32, seconds = 2, acks = acks }))
    local rate = math.floor(top.ok / top.seconds / 2)
    local quiet = h.load_wait(h.load(s.port, { path = "/v1/events", batch = 1,
      connections = 64, seconds = 8, rate = rate, first = top.next,
      acks = acks }))
    local l = h.load(s.port, { path = "/v1/events", batch = 1,
      connections = 64, seconds = 15, rate = rate, first = quiet.next,
      acks = acks })
    local good, refused = h.policy { workers = 1 }, 0
    for i = 1, 200 do
      h.write(s.path, i % 2 == 0 and BAD or (good .. "-- " .. i))
      local status = s:reload().status
      assert.equal(i % 2 == 0 and 422 or 200, status)
      refused = refused + (status == 422 and 1 or 0)
      h.sleep(0.03)
    end
    local busy = h.load_wait(l)
    print(("# reload: rate %d/s, quiet p99 %.2f ms, with 200 reloads %.2f ms, "
      .. "max %.2f ms"):format(rate, quiet.p99_ms, busy.p99_ms, busy.max_ms))
    assert.same({ 0, 0, 0 }, { busy.full, busy.other, busy.broken })
    assert.equal(100, refused)
    assert.is_true(busy.p99_ms <= math.max(2 * quiet.p99_ms,
      quiet.p99_ms + 5), busy.text)
    s:deliver()
    assert.equal(0, s:stop())
    local v = h.verify(acks, s:collect())
    print("# reload: " .. v.text)
    assert.same({ 0, 0, 0 }, { v.missing, v.twice, v.torn })
    s:close()
  end)
end)
