local cjson = require "cjson"
local h = require "harness"
local upgrades = require "upgrades"

local ROUTE = [[on_error = "reject", on_event = on_event]]

local function policy(hook, more, workers)
  return h.policy { workers = workers or 2, top = (more or "")
    .. "\nlocal function on_event(ev, req)\n" .. hook .. "\nend", route = ROUTE }
end

-- A search in C that does not come back (tools/stuck.c), for no policy can be stuck by
-- itself: nothing but the process can end it.
local ENDLESS = [[local haystack = ("x"):rep(1000)]]
local STUCK = [[if ev.stuck then local _ = contains(haystack, "stuck for ever") end]]
local WRAP = { "env", "LD_PRELOAD=" .. h.build .. "/tools/libstuck.so" }

-- Posts the batch until just the events of these indexes are refused, and says how many
-- were accepted in all. The time that a busy machine takes away counts as the hook's, so
-- that a neighbour may be hurt by it: not in each of eight batches.
local function exact(s, body, good, bad)
  local a, accepted = nil, 0
  for _ = 1, 8 do
    a = s:post("/v1/events/batch", body)
    assert.equal(202, a.status)
    a = cjson.decode(a.body)
    accepted = accepted + a.accepted
    if a.accepted == good then break end
  end
  local refused = {}
  for i, e in ipairs(a.errors) do refused[i] = e.index end
  assert.same(bad, refused)
  assert.equal(good, a.accepted)
  return accepted
end

describe("a hook kept in bounds", function()
  local s
  after_each(function() if s then s:close() s = nil end end)

  it("with a loop is stopped within 50 ms, as often as it comes in a batch, and "
    .. "its neighbours are not hurt", function()
    s = h.server { policy = policy([[
      if ev.loop then while true do end end
      if ev.catch then while true do pcall(function() while true do end end) end end
      -- Bounded; those behind the last one that is stopped take longer together than
      -- the time that one of them has.
      local sum = 0
      for i = 1, 1500 do sum = sum + i end
      ev.sum = sum]], "", 1) }
    local body, good = {}, 0
    for i = 1, 100 do
      local bad = i == 1 or i == 50 or i == 51
      body[i] = bad and (i == 50 and [[{"catch":1}]] or [[{"loop":1}]])
        or ([[{"n":%d}]]):format(i)
      good = good + (bad and 0 or 1)
    end
    local best = math.huge
    for _ = 1, 3 do
      local began = h.now()
      assert.equal(500, s:post("/v1/events", [[{"loop":1}]]).status)
      best = math.min(best, h.now() - began)
    end
    print(("# bounds: a hook that loops was stopped after %.1f ms"):format(
      best * 1000))
    local accepted = exact(s, "[" .. table.concat(body, ",") .. "]", good, { 0, 49, 50 })
    assert.equal(0, s:stop())
    local lines = s:lines()
    assert.equal(accepted, #lines)
    for _, line in ipairs(lines) do assert.matches([["sum":1125750}$]], line) end
  end)

  it("that eats memory fails its own event, and the state recovers", function()
    s = h.server { policy = policy([[
      if ev.table then
        local t = {}
        for i = 1, 1e9 do t[i] = { i } end
      elseif ev.text then
        local text = ("x"):rep(1000000)
        for i = 1, 1000 do text = text .. text end
      end
      ev.ok = true]], "", 1) }
    local accepted = 0
    for _ = 1, 10 do
      accepted = accepted + exact(s,
        [=[[{"table":1},{"n":1},{"text":1},{"n":2},{"table":1},{"n":3}]]=], 3, { 0, 2, 4 })
    end
    h.wait_for("the reason in the log", function()
      s:post("/v1/events/batch", [=[[{"text":1}]]=])
      return s:text():find("not enough memory")
    end)
    local rss = tonumber(h.read("/proc/" .. s.real_pid .. "/status")
      :match("VmRSS:%s*(%d+)"))
    print(("# bounds: rss after hooks that eat memory = %d MB"):format(rss / 1024))
    assert.equal(0, s:stop())
    local lines = s:lines()
    assert.equal(accepted, #lines)
    for _, line in ipairs(lines) do assert.matches([["ok":true}$]], line) end
  end)

  it("that keeps all memory for itself is loaded again, into new states",
  function()
    s = h.server { policy = policy([[
      if ev.keep then kept[#kept + 1] = ("x"):rep(1000000) .. #kept end
      ev.ok = true]], "local kept = {}", 1) }
    local failed = 0
    for i = 1, 100 do
      local status = s:post("/v1/events", ([[{"keep":%d}]]):format(i)).status
      failed = failed + (status == 500 and 1 or 0)
    end
    assert.is_true(failed > 0)
    s:logged("generation=1 status=full worker=0")
    s:logged("generation=2 status=live cause=memory")
    s:logged("generation=1 status=retired")
    assert.equal(202, s:post("/v1/events", [[{"keep":1}]]).status)
    assert.equal(409, s:reload("?rollback").status)
    assert.equal(0, s:stop())
    assert.equal(101 - failed, #s:lines())
  end)

  it("that returns nonsense fails its event, and says what it expects", function()
    s = h.server { policy = policy([[
      -- As constants these are refused at load.
      local e, of = ev, { number = 1, ["true"] = true, ["false"] = false,
        text = "events", table = {} }
      if of[ev.kind] ~= nil then return of[ev.kind] end
      if ev.kind == "event" then return e end
      if ev.kind == "hook" then return reject end
      if ev.kind == "stream" then return to(ev.kind) end
      if ev.kind == "code" then return reject(ev.kind .. "!") end
      if ev.kind == "error" then error() end
      if ev.kind == "thrown" then error({}) end
      if ev.kind == "nan" then ev.x = 0 / 0 end
      if ev.kind == "function" then ev.x = print_it end]],
      "local function print_it() end", 1) }
    local kinds = { "number", "true", "false", "text", "table", "event", "hook",
      "stream", "code", "error", "thrown", "nan" , "function" }
    for _, kind in ipairs(kinds) do
      local a = s:post("/v1/events/batch",
        ([=[[{"kind":"%s"},{"kind":"none"}]]=]):format(kind))
      assert.equal(202, a.status, kind)
      a = cjson.decode(a.body)
      assert.same({ 1, 1, 0, "policy_error" }, { a.accepted, a.rejected,
        a.errors[1].index, a.errors[1].code }, kind)
    end
    assert.equal(#kinds, s:metric("sluice_policy_errors_total"))
    s:logged("on_event returned a number; expected nothing, reject%(%), "
      .. "drop%(%) or to%(%)")
    assert.equal(0, s:stop())
    assert.equal(#kinds, #s:lines())
  end)

  it("that looks for a pattern that takes ages fails its event", function()
    s = h.server { policy = policy([[
      if ev.hard then ev.hit = ev.hard:match(pattern) end
      if ev.easy then ev.hit = ev.easy:match("^(%w+)@[%w%.]+%.%a%a+$") end
      ev.found = ev.easy and ev.easy:find("@", 1, true)]],
      "local pattern = ('a-'):rep(30) .. 'b'", 1) }
    local a = s:post("/v1/events/batch", ([=[[{"hard":"%s"},{"easy":"me@x.org"}]]=])
      :format(("a"):rep(60)))
    assert.equal(202, a.status)
    assert.matches([["accepted":1,"rejected":1]], a.body, 1, true)
    s:logged("policy.lua:%d+: the pattern takes too long on this text")
    assert.equal(0, s:stop())
    assert.same({ [[{"easy":"me@x.org","hit":"me","found":3}]] }, s:lines())
  end)

  it("with a round of calls that is handed over is stopped, and the process goes on",
  function()
    s = h.server { policy = policy([[
      if ev.stuck then run(run, 1) end
      if ev.set then later.go = turn turn(1) end
      if ev.up then set(again) again(1) end]], [[
local function run(f, n) return f(f, n + 1) end
local later, go = {}, lower
local function turn(n) return later.go(n + 1) end
local function again(n) return go(n + 1) end
local function set(f) go = f end]], 1) }
    for _ = 1, 5 do
      local a = s:post("/v1/events/batch",
        [=[[{"n":1},{"stuck":1},{"n":2},{"set":1},{"n":3},{"up":1},{"n":4}]]=])
      assert.equal(202, a.status)
      assert.matches([["accepted":4,"rejected":3]], a.body, 1, true)
    end
    assert.equal(0, s:stop())
    assert.equal(20, #s:lines())
  end)

  it("that hangs in what is interpreted is stopped, and the process goes on",
  function()
    -- Its call goes through what a look at the functions can't see, and it is
    -- not compiled: nothing of it says that it may be.
    s = h.server { policy = policy([[
      if ev.stuck then
        local f = unpack(hidden)
        return f(f, 1)
      end]], "local hidden = { function(f, n) return f(f, n + 1) end }", 1) }
    local a = s:post("/v1/events/batch", [=[[{"n":1},{"stuck":1},{"n":2}]]=])
    assert.equal(202, a.status)
    assert.matches([["accepted":2,"rejected":1]], a.body, 1, true)
    assert.equal(202, s:post("/v1/events", [[{"n":3}]]).status)
    assert.equal(0, s:stop())
    assert.equal(3, #s:lines())
  end)
end)

describe("a hook that never comes back", function()
  local s
  after_each(function() if s then s:close() s = nil end end)

  local function stuck(body)
    local c = h.connect(s.port)
    c:send("POST /v1/events HTTP/1.1\r\nHost: t\r\nContent-Type: application/json"
      .. "\r\nContent-Length: " .. #body .. "\r\n\r\n" .. body)
    return c
  end

  it("ends the process, and the start after it takes the policy before; nothing "
    .. "that was accepted is lost", function()
    s = h.server { policy = policy("if ev.n then ev.version = 1 end", "", 2),
      wrap = WRAP }
    local acks = s.dir .. "/acks"
    -- A policy that went live before, then the bad one.
    h.write(s.path, policy(STUCK, ENDLESS))
    assert.equal(200, s:reload().status)
    local l = h.load(s.port, { path = "/v1/events", batch = 1, connections = 16,
      rate = 500, seconds = 60, acks = acks, patient = true })
    h.wait_for("some events", function()
      return s:metric("sluice_events_total") ~= nil
        and (s:metric("sluice_requests_total", 'status="202"') or 0) > 300
    end)
    stuck([[{"stuck":1}]])
    assert.equal(70, h.reap(s.pid, 30))
    s.pid = nil
    local ran = s:text():match("event=stuck worker=%d generation=2 hash=%x+ "
      .. "route=\"POST /v1/events\" hook=on_event begins=[^ ]*policy.lua:7 "
      .. "ms=%d+ ran_ms=(%d+) exit=70")
    assert.is_not_nil(ran, s:text())
    print(("# stuck: the process ended when the hook had run for %d ms"):format(
      ran))
    -- 1.8 s, and the delay of a look on a busy machine.
    assert.is_true(tonumber(ran) <= 3000)
    local f = h.load_stop(l)
    assert.is_true(f.acked > 300)
    assert.matches("^%x+ 2 [^ ]*policy.lua:7 POST /v1/events\n$",
      h.read(s.data .. "/spool/suspect"))
    -- The file still holds the bad policy.
    s:start()
    assert.matches("event=suspect hash=%x+ route=\"POST /v1/events\" "
      .. "begins=[^ ]*policy.lua:7 using=%x+\n", s:text())
    assert.matches("generation=1 status=live cause=suspect", s:text())
    assert.equal(202, s:post("/v1/events", [[{"stuck":1,"n":1}]]).status)
    local a = s:reload()
    assert.equal(409, a.status)
    assert.matches("a worker did not come back from this very policy, in the "
      .. "hook of POST /v1/events that begins in", a.body, 1, true)
    -- A mended one is taken, and the suspicion is over.
    h.write(s.path, policy("if ev.n then ev.version = 3 end", ENDLESS))
    assert.equal(200, s:reload().status)
    assert.equal(202, s:post("/v1/events", [[{"n":3}]]).status)
    assert.is_nil(h.read(s.data .. "/spool/suspect"))
    s:deliver()
    assert.equal(0, s:stop())
    -- Two of the lines are this test's own.
    local all, rest = h.read(s:collect()), s.dir .. "/rest"
    h.shell(("grep -v '\"version\"' '%s' > '%s'"):format(s:collect(), rest))
    local v = h.verify(acks, rest)
    print("# stuck: " .. v.text)
    assert.same({ 0, 0 }, { v.missing, v.torn })
    assert.matches([[{"stuck":1,"n":1,"version":1}]], all, 1, true)
    assert.matches([[{"n":3,"version":3}]], all, 1, true)
  end)

  it("is not replaced by a kept policy that has fewer limits than the file", function()
    local loose = policy("ev.version = 1", ENDLESS, 1):gsub("workers = 1",
      'workers = 1, sandbox = "off"')
    s = h.server { policy = loose, wrap = WRAP }
    h.write(s.path, policy(STUCK, ENDLESS, 1))
    upgrades.upgrade(s)
    stuck([[{"stuck":1}]])
    assert.equal(70, h.reap(s.pid, 30))
    s.pid = nil
    s:start()
    assert.matches("event=suspect [^\n]*using=itself why=\"the kept policy %x+ has a looser "
      .. "server.sandbox, server.user or server.core_dumps than the policy's file", s:text())
    assert.equal(202, s:post("/v1/events", [[{"n":1}]]).status)
    assert.equal(0, s:stop())
  end)

  it("without a policy before it is used again, and says so", function()
    s = h.server { policy = policy(STUCK, ENDLESS, 1), wrap = WRAP }
    stuck([[{"stuck":1}]])
    assert.equal(70, h.reap(s.pid, 30))
    s.pid = nil
    s:start()
    assert.matches("event=suspect .* using=itself why=\"no other policy has gone "
      .. "live here\"", s:text())
    assert.equal(202, s:post("/v1/events", [[{"n":1}]]).status)
    assert.equal(0, s:stop())
  end)
end)
