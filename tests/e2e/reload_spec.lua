local cjson = require "cjson"
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

  it("that is refused by a sink leaves the spool's streams as they were", function()
    local function policy(room, dir)
      return h.policy { workers = 1, server = [[max_body = "1MiB"]],
        spool = ([[segment = "4MiB", max_bytes = "%s"]]):format(room),
        file = dir }
    end
    local s = h.server { policy = policy("128MiB") }
    -- The sink holds, and no folder can be made where its own is.
    local dir = s.data .. "/archive"
    h.block(dir, dir .. ".gone")
    h.write(s.path, (policy("32MiB"):gsub('"archive",', '"archive/below",')))
    local a = s:reload()
    assert.equal(500, a.status, a.body)
    -- More than the refused policy has room for.
    local line = ('{"a":"%s"}'):format(("x"):rep(500000))
    for _ = 1, 80 do
      -- A segment may not be ready at once.
      h.wait_for("room", function()
        return s:post("/v1/events", line).status == 202
      end, 5)
    end
    h.shell(("rm '%s' && mv '%s.gone' '%s'"):format(dir, dir, dir))
    s:deliver()
    assert.equal(0, s:stop())
    assert.equal(80, #s:lines())
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

  it("counts a sink that comes back once", function()
    local with, label = h.policy(), [[sink="archive"]]
    local without = h.policy():gsub('file "archive" { dir = "archive"',
      'file "other" { dir = "other"'):gsub('"archive" }', '"other" }')
    local s = h.server { policy = with }
    local function target() return s:metric("sluice_batch_target", label) end
    local function post()
      assert.equal(202, s:post("/v1/events", "{}").status)
      s:deliver()
      h.wait_for("its target", function() return (target() or 0) > 0 end)
    end
    post()
    local before = target()
    for _, text in ipairs { without, with } do
      h.write(s.path, text)
      local a = s:reload()
      assert.equal(200, a.status, a.body)
      h.wait_for("the old one to go", function()
        return text == with or target() == nil
      end)
    end
    post()
    assert.equal(before, target())
    assert.equal(2, s:metric("sluice_delivered_events_total", label))
    assert.equal(0, s:stop())
    s:close()
  end)

  -- SLUICE_RELOADS=1000: the long form, at half of what saturates it.
  it("a hundred times and more under load, a third of them bad, a tenth with a "
    .. "canary, fails no request, loses no event and leaves nothing behind",
  function()
    local n = tonumber(os.getenv("SLUICE_RELOADS") or 150)
    local rounds = n / 25
    local hook = [[
%s
local function on_event(ev, req)
  if ev.event_type == "refund" and not ev.value then return reject("no_value") end
end
example "a refund" {
  request = "POST /v1/events", body = '{"event_type":"refund"}',
  expect = { status = 422 },
}
-- %d]]
    local function policy(i)
      local canary = i % 10 == 4 and
        [[canary { share = "20%", during = "150ms", by = "request" }]] or ""
      return i % 3 == 2 and BAD or h.policy { workers = 1,
        top = hook:format(canary, i), route = "on_event = on_event" }
    end
    -- The server on one core; its supervisor and the load on the other.
    local s = h.server { policy = policy(0), wrap = { "taskset", "-c", "0" } }
    h.shell(("taskset -p -c 1 %d"):format(s.real_pid))
    local acks, first = s.dir .. "/acks", 1
    local function load(o)
      o.path, o.batch, o.first, o.acks = "/v1/events", 1, first, acks
      o.connections = o.connections or 64
      return h.load(s.port, o)
    end
    local function wait(l)
      local f = h.load_wait(l)
      assert.same({ 0, 0, 0 }, { f.full, f.other, f.broken }, f.text)
      first = f.next
      return f
    end
    local top = wait(load { connections = 32, seconds = 2 })
    local rate = math.floor(top.ok / top.seconds / 2)
    if n <= 150 then rate = math.min(rate, 2000) end
    local function fds()
      -- The gauge counts this question's own connection, too, or has done so.
      h.wait_for("the load's connections to be closed", function()
        return s:metric("sluice_connections_open") <= 1
      end)
      return tonumber(h.shell(("ls /proc/%d/fd | wc -l"):format(s.real_pid)))
    end
    local function rss_kb()
      return tonumber(h.read("/proc/" .. s.real_pid .. "/status")
        :match("VmRSS:%s*(%d+)"))
    end
    local asked, quiet, busy, slowest = 0, math.huge, math.huge, 0
    local ends = { live = 0, canary = 0, refused = 0 }
    local function reload()
      asked = asked + 1
      h.write(s.path, policy(asked))
      local began = h.now()
      local a = cjson.decode(s:reload().body)
      slowest = math.max(slowest, h.now() - began)
      ends[a.status] = ends[a.status] + 1
      local want = asked % 3 == 2 and "refused"
        or asked % 10 == 4 and "canary" or "live"
      assert.equal(want, a.status, a.report)
      h.sleep(0.02)
    end
    local fds_before, rss_before
    local function is_as_quiet()
      return busy <= (n < 1000 and math.max(2 * quiet, quiet + 5)
        or math.max(1.5 * quiet, quiet + 3))
    end
    -- Others on the machine only ever add: the least is what it is. A stretch with
    -- reloads is longer than one without, so others meet it more often: while they
    -- do, more rounds follow.
    local round = 0
    while round < rounds or (not is_as_quiet() and round < 4 * rounds) do
      round = round + 1
      quiet = math.min(quiet, wait(load { seconds = 1.5, rate = rate }).p99_ms)
      local l = load { seconds = 3600, rate = rate }
      local till = round * n / rounds
      while asked < till do reload() end
      local f = h.load_stop(l)
      assert.same({ 0, 0, 0 }, { f.full, f.other, f.broken }, f.text)
      first = f.next
      busy = math.min(busy, f.p99_ms)
      if round == 1 then fds_before, rss_before = fds(), rss_kb() end
    end
    local fds_after, rss_after = fds(), rss_kb()
    print(("# reload: %d at %d/s: p99 quiet %.2f ms, with reloads %.2f ms; the "
      .. "slowest answer to a reload %.0f ms; fds %d, then %d; rss %d kB, then %d")
      :format(asked, rate, quiet, busy, slowest * 1000, fds_before, fds_after,
      rss_before, rss_after))
    print(("# reload: live %d, canary %d, refused %d"):format(ends.live,
      ends.canary, ends.refused))
    assert.is_true(is_as_quiet())
    assert.is_true(fds_after <= fds_before + 4)
    assert.is_true(rss_after < rss_before * 1.1 + 8192)
    -- The last canary comes to its end, and every generation but the live one.
    h.wait_for("all generations to have ended", function()
      local live = 0
      for _, g in ipairs(cjson.decode(s:get("/status").body).generations) do
        if g.status == "live" then
          live = live + 1
        elseif g.status ~= "retired" and g.status ~= "refused" then
          return false
        end
      end
      return live == 1
    end)
    local ended, text = {}, s:text()
    for g, status in text:gmatch("generation=(%d+) status=(%l+)") do
      ended[tonumber(g)] = status
    end
    local counts = { live = 0, retired = 0, refused = 0 }
    for g = 1, asked + 1 do counts[ended[g]] = counts[ended[g]] + 1 end
    assert.same({ live = 1, refused = ends.refused, retired = asked - ends.refused },
      counts)
    s:deliver()
    assert.equal(0, s:stop())
    local v = h.verify(acks, s:collect())
    print("# reload: " .. v.text)
    assert.same({ 0, 0, 0 }, { v.missing, v.twice, v.torn })
    s:close()
  end)
end)
