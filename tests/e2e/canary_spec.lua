local cjson = require "cjson"
local faults = require "faults"
local h = require "harness"
local hanging = require "hanging"

local function policy(hook, trial, more)
  return h.policy { workers = 2, top = (trial or "") .. "\n" .. (more or "")
    .. "\nlocal function on_event(ev, req)\n" .. hook .. "\nend",
    route = "on_event = on_event" }
end

describe("a canary", function()
  local s
  after_each(function() if s then s:close() s = nil end end)

  local function status() return cjson.decode(s:get("/status").body) end
  local function generation(number)
    for _, g in ipairs(status().generations) do
      if g.generation == number then return g end
    end
  end
  local function load(text, answer)
    h.write(s.path, text)
    local a = s:reload()
    assert.equal(200, a.status, a.body)
    assert.equal(answer or "canary", cjson.decode(a.body).status)
  end

  it("gets its share of the requests, the same ones by the same key", function()
    s = h.server { policy = policy("ev.version = 1") }
    load(policy("ev.version = 2",
      [[canary { share = "25%", during = "1h", by = "header:x-tenant" }]]))
    local c = h.connect(s.port)
    local function send(tenant, n)
      local body = ([[{"n":%d,"tenant":"%s"}]]):format(n, tenant)
      c:send(("POST /v1/events HTTP/1.1\r\nHost: t\r\nX-Tenant: %s\r\n"
        .. "Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%s")
        :format(tenant, #body, body))
      assert.equal(202, h.answer(c).status)
    end
    for i = 1, 400 do
      for n = 1, 2 do send("t" .. i, n) end
    end
    assert.equal("canary", generation(2).status)
    assert.equal(1, s:metric("sluice_policy_generation"))
    assert.equal(2, s:metric("sluice_policy_trial"))
    local t = status().trial
    assert.same({ "canary", 2, "running", 800, 0 }, { t.kind, t.generation,
      t.result, t.old.requests + t.new.requests, t.new.refused })
    assert.equal(t.new.requests, t.new.events)
    -- Without the header: the live policy.
    assert.equal(202, s:post("/v1/events", [[{"n":1}]]).status)
    c:close()
    assert.equal("rolled_back", cjson.decode(s:reload("?rollback").body).status)
    s:logged("generation=2 status=retired")
    assert.same({ "rolled_back", "by hand" }, { status().trial.result,
      status().trial.why })
    assert.equal(0, s:metric("sluice_policy_trial"))
    assert.equal(0, s:stop())
    local of, canaries = {}, 0
    for _, line in ipairs(s:lines()) do
      local e = cjson.decode(line)
      if e.tenant then
        assert.is_true(of[e.tenant] == nil or of[e.tenant] == e.version)
        if of[e.tenant] == nil and e.version == 2 then canaries = canaries + 1 end
        of[e.tenant] = e.version
      else
        assert.equal(1, e.version)
      end
    end
    assert.equal(2 * canaries, t.new.requests)
    assert.is_true(canaries > 60 and canaries < 140, canaries)
  end)

  it("keeps a connection on one side", function()
    s = h.server { policy = policy("ev.version = 1") }
    load(policy("ev.version = 2", [[canary { share = "40%", during = "1h" }]]))
    for conn = 1, 50 do
      local c = h.connect(s.port)
      for n = 1, 3 do
        local body = ([[{"conn":%02d,"n":%d}]]):format(conn + 100, n)
        c:send(("POST /v1/events HTTP/1.1\r\nHost: t\r\nContent-Length: %d\r\n"
          .. "Content-Type: application/json\r\n\r\n%s"):format(#body, body))
        assert.equal(202, h.answer(c).status)
      end
      c:close()
    end
    s:deliver()
    assert.equal(0, s:stop())
    local of, n, canaries = {}, 0, 0
    for _, line in ipairs(s:lines()) do
      local e = cjson.decode(line)
      assert.is_true(of[e.conn] == nil or of[e.conn] == e.version)
      if of[e.conn] == nil and e.version == 2 then canaries = canaries + 1 end
      of[e.conn], n = e.version, n + 1
    end
    assert.equal(150, n)
    -- Each worker splits its own connections.
    assert.is_true(math.abs(canaries - 20) <= 4, canaries)
  end)

  it("by request gets exactly its share, and goes live when its time is over",
  function()
    s = h.server { policy = policy("ev.version = 1") }
    load(policy("ev.version = 2",
      [[canary { share = "20%", during = "6s", by = "request" }]]))
    local l = h.load_wait(h.load(s.port, { path = "/v1/events", batch = 1,
      connections = 8, rate = 400, seconds = 1 }))
    assert.same({ 0, 0, 0 }, { l.full, l.other, l.broken })
    local t = status().trial
    assert.equal(l.ok, t.old.requests + t.new.requests)
    -- Each worker splits its own.
    assert.is_true(math.abs(t.new.requests - l.ok / 5) <= 4, t.new.requests)
    s:logged("generation=2 status=live")
    s:logged("generation=1 status=retired")
    assert.matches("event=canary generation=2 result=promoted beside=1",
      s:text())
    assert.same({ "promoted", "nothing spoke against it" },
      { status().trial.result, status().trial.why })
    assert.equal(1, s:metric("sluice_policy_trials_total", "promoted"))
    assert.equal(202, s:post("/v1/events", [[{"last":1}]]).status)
    s:deliver()
    assert.equal(0, s:stop())
    local versions = { 0, 0 }
    for _, line in ipairs(s:lines()) do
      local e = cjson.decode(line)
      versions[e.version] = versions[e.version] + 1
    end
    assert.same({ t.old.requests, t.new.requests + 1 }, versions)
  end)

  it("that refuses 5 % more is rolled back within its window, and says why",
  function()
    s = h.server { policy = policy("") }
    local acks = s.dir .. "/acks"
    -- 19: ids go round the connections, so that each has its share of them.
    load(policy([[
      if tonumber(ev.event_id:sub(3)) % 19 == 7 then return reject("no") end]],
      [[canary { share = "30%", during = "30s" }]]))
    local l = h.load(s.port, { path = "/v1/events", batch = 1, connections = 64,
      rate = 800, seconds = 4, acks = acks })
    local began = h.now()
    local why = s:logged("event=canary generation=2 result=rolled_back "
      .. ".-why=\"(.-)\"", 25)
    print(("# canary: refusing 5 %% more: rolled back after %.1f s: %s"):format(
      h.now() - began, why))
    assert.matches("it refuses [%d%.]+ %% of %d+ events, the live one 0.0 %%",
      why)
    s:logged("generation=2 status=retired cause=POST .*why=\"it refuses")
    local f = h.load_wait(l)
    assert.same({ 0, 0 }, { f.full, f.broken })
    assert.is_true(f.other > 0)
    assert.equal(1, s:metric("sluice_policy_generation"))
    assert.equal(202, s:post("/v1/events", [[{"n":7}]]).status)
    assert.equal(1, s:metric("sluice_policy_trials_total", "rolled_back"))
    assert.equal(0, s:stop())
  end)

  local SPIN = "\nlocal function spin(n) for i = 1, n do end end"

  it("that takes five times as long is rolled back", function()
    s = h.server { policy = policy("spin(20000)", "", SPIN) }
    load(policy("spin(100000)", [[canary { share = "50%", during = "30s" }]],
      SPIN))
    local l = h.load(s.port, { path = "/v1/events", batch = 1, connections = 40,
      rate = 300, seconds = 6 })
    local began = h.now()
    local why = s:logged("event=canary generation=2 result=rolled_back "
      .. ".-why=\"(.-)\"", 25)
    print(("# canary: five times slower: rolled back after %.1f s: %s"):format(
      h.now() - began, why))
    assert.matches("it takes [%d%.]+ ms a request", why)
    local f = h.load_wait(l)
    assert.same({ 0, 0, 0 }, { f.full, f.other, f.broken })
    assert.equal(0, s:stop())
  end)

  it("that raises is rolled back", function()
    s = h.server { policy = policy("") }
    load(policy([[
      if tonumber(ev.event_id:sub(3)) % 10 == 0 then error("oh no") end]],
      [[canary { share = "50%", during = "30s", by = "request" }]]))
    local l = h.load(s.port, { path = "/v1/events", batch = 1, connections = 8,
      rate = 400, seconds = 3 })
    local why = s:logged("result=rolled_back .-why=\"(.-)\"", 25)
    assert.matches("its hooks fail on", why)
    local f = h.load_wait(l)
    assert.same({ 0, 0, 0 }, { f.full, f.other, f.broken })
    -- The events that it failed on lie with the dead letters, also after it.
    local dead = s:metric("sluice_events_total", 'result="dead"')
    s:deliver()
    assert.equal(0, s:stop())
    assert.is_true(dead > 0)
    assert.equal(dead, #s:lines("dead"))
    assert.equal(f.ok, #s:lines() + dead)
  end)

  it("does not go live without traffic, and says so", function()
    s = h.server { policy = policy("ev.version = 1") }
    load(policy("ev.version = 2",
      [[canary { share = "50%", during = "200ms", by = "request" }]]))
    for i = 1, 40 do s:post("/v1/events", ([[{"n":%d}]]):format(i)) end
    s:logged("generation=2 status=extended .-why=\"not enough traffic")
    assert.matches(
      "^not enough traffic: it saw %d+ requests, min_requests is 50$",
      s:logged("generation=2 result=rolled_back .-why=\"(.-)\""))
    load(policy("ev.version = 3", [[canary { share = "50%", during = "1s",
      by = "request", min_requests = 20 }]]))
    for i = 1, 60 do s:post("/v1/events", ([[{"n":%d}]]):format(i)) end
    s:logged("generation=3 result=promoted")
    assert.equal(3, s:metric("sluice_policy_generation"))
    assert.equal(0, s:stop())
  end)

  -- Twenty tenants with an event each; those of the canary all fail.
  local function tenants(n, code)
    for i = 1, n do
      local body = ([[{"n":%d}]]):format(i)
      local c = h.connect(s.port)
      c:send(("POST /v1/events HTTP/1.1\r\nHost: t\r\nX-Tenant: t%d\r\n"
        .. "Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%s")
        :format(i, #body, body))
      local got = h.answer(c).status
      assert.is_true(got == 202 or got == code, got)
      c:close()
    end
  end

  it("that raises on all of its few events goes back, not live", function()
    s = h.server { policy = policy("") }
    load(policy([[error("oh no")]], [[canary { share = "50%", during = "1s",
      by = "header:x-tenant", min_requests = 1 }]]))
    tenants(60, 202)
    assert.matches("its hooks fail on 100.0 %%",
      s:logged("generation=2 result=rolled_back .-why=\"(.-)\""))
    assert.equal(0, s:stop())
  end)

  it("that has lost the route goes back, not live", function()
    s = h.server { policy = policy("") }
    load((policy("", [[canary { share = "50%", during = "1s",
      by = "header:x-tenant", min_requests = 1 }]])
      :gsub("/v1/events", "/v2/events")))
    tenants(60, 404)
    assert.matches("it refuses 100.0 %%",
      s:logged("generation=2 result=rolled_back .-why=\"(.-)\""))
    assert.equal(0, s:stop())
  end)

  it("is not blamed for the one bad tenant of ten, nor promoted with it",
  function()
    s = h.server { policy = policy("if ev.bad then return reject('bad') end") }
    load(policy("if ev.bad then return reject('bad') end -- the same",
      [[canary { share = "20%", during = "300ms", by = "header:x-tenant" }]]))
    local mine -- a tenant of the canary's
    for i = 1, 100 do
      local before = status().trial.new.requests
      local c = h.connect(s.port)
      c:send(("POST /v1/events HTTP/1.1\r\nHost: t\r\nX-Tenant: t%d\r\n"
        .. "Content-Type: application/json\r\nContent-Length: 7\r\n\r\n"
        .. [[{"n":1}]]):format(i))
      h.answer(c)
      c:close()
      if status().trial.new.requests > before then mine = i break end
    end
    assert.is_truthy(mine)
    local body = [[{"bad":1}]]
    local c = h.connect(s.port)
    for _ = 1, 100 do
      c:send(("POST /v1/events HTTP/1.1\r\nHost: t\r\nX-Tenant: t%d\r\n"
        .. "Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%s")
        :format(mine, #body, body))
      assert.equal(422, h.answer(c).status)
    end
    c:close()
    assert.matches("not enough traffic: 1 of %d+ units %(one unit: a value of "
      .. "the header%) are too few",
      s:logged("generation=2 result=rolled_back .-why=\"(.-)\""))
    assert.equal(0, s:stop())
  end)

  it("is judged by its own roll_back_if", function()
    s = h.server { policy = policy("") }
    load(policy("", [[canary { share = "50%", during = "30s", by = "request",
      roll_back_if = function(old, new)
        if old.requests > 10 and new.requests > 10 then
          return ("%d against %d, %s"):format(new.refused, old.refused,
            type(new.p99_ms))
        end
      end }]]))
    for i = 1, 30 do s:post("/v1/events", ([[{"n":%d}]]):format(i)) end
    local why = s:logged("result=rolled_back .-why=\"(.-)\"")
    assert.equal("roll_back_if: 0 against 0, number", why)
    -- One that fails watches nothing: that is no reason to go live.
    load(policy("", [[canary { share = "50%", during = "30s",
      roll_back_if = function(old) return old.x.y end }]]))
    assert.matches("roll_back_if failed: .*policy.lua:%d+: attempt to index",
      s:logged("generation=3 result=rolled_back .-why=\"(.-)\"\n"))
    load(policy("", [[canary { share = "50%", during = "30s",
      roll_back_if = function() while true do end end }]]))
    assert.matches("ran too long",
      s:logged("generation=4 result=rolled_back .-why=\"(.-)\"\n"))
    assert.equal(0, s:stop())
  end)

  it("ends by hand, and by the next load that holds", function()
    s = h.server { policy = policy("ev.version = 1") }
    local canary = [[canary { during = "1h" }]]
    assert.equal(409, s:reload("?promote").status)
    load(policy("ev.version = 2", canary))
    -- A load that is refused changes nothing about it.
    h.write(s.path, "nonsense")
    assert.equal(422, s:reload().status)
    assert.equal("canary", generation(2).status)
    load(policy("ev.version = 4", canary))
    assert.same({ "retired", "generation 4 was loaded" },
      h.wait_for("generation 2 to retire", function()
        local g = generation(2)
        return g.status == "retired" and { g.status, g.why }
      end))
    assert.equal("live", cjson.decode(s:reload("?promote").body).status)
    assert.equal("live", generation(4).status)
    s:logged("generation=1 status=retired")
    assert.equal(202, s:post("/v1/events", [[{"n":1}]]).status)
    -- Without a canary: back to the policy before.
    load(policy("ev.version = 5", canary))
    load(policy("ev.version = 6"), "live")
    assert.equal("live", cjson.decode(s:reload("?rollback").body).status)
    assert.equal(202, s:post("/v1/events", [[{"n":2}]]).status)
    assert.equal(0, s:stop())
    local lines = s:lines()
    table.sort(lines)
    assert.same({ [[{"n":1,"version":4}]], [[{"n":2,"version":4}]] }, lines)
  end)

  it("that can't go live goes back, and the order to promote it fails", function()
    s = h.server { policy = policy("ev.version = 1") }
    load((policy("ev.version = 2", [[canary { share = "50%", during = "1h", by = "request" }]])
      :gsub('stream "events" {(.-)sinks = {', hanging.sink(hanging.BAD)
        .. '\nstream "events" {%1sinks = { "bad",')))
    local out = h.shell(("%s promote --admin 127.0.0.1:%d 2>&1; echo code=$?"):format(h.binary,
      s.admin))
    assert.matches("^rolled_back: generation 1 stays live\n", out)
    assert.matches("it can't go live: sink \"bad\"", out, 1, true)
    assert.matches("code=1\n$", out)
    h.wait_for("its end", function() return generation(2).status == "retired" end)
    for _ = 1, 4 do assert.equal(202, s:post("/v1/events", [[{"n":1}]]).status) end
    -- One that is ended by hand is tried no more.
    load(policy("ev.version = 3", [[canary { during = "1h" }]]))
    out = h.shell(("%s rollback --admin 127.0.0.1:%d 2>&1; echo code=$?"):format(h.binary,
      s.admin))
    assert.matches("^rolled_back: generation 1 is live\n", out)
    assert.matches("code=0\n$", out)
    assert.equal(0, s:stop())
    for _, line in ipairs(s:lines()) do assert.equal([[{"n":1,"version":1}]], line) end
    assert.equal(4, #s:lines())
  end)

  it("has its dead letters delivered, also after one that was refused for their sink",
  function()
    local dir = h.folder()
    local f = faults.new(dir)
    s = h.server { dir = dir, wrap = f:wrap() }
    local text = policy([[error("no")]],
      [[canary { share = "50%", during = "1h", by = "request" }]])
    h.write(s.path, text)
    f:rules "on=create do=ENOSPC path=/dead-letters.journal"
    assert.not_equal(200, s:reload().status)
    f:rules()
    load(text)
    for i = 1, 20 do
      assert.equal(202, s:post("/v1/events", ([[{"n":%d}]]):format(i)).status)
    end
    -- Each worker splits its own.
    local n = status().trial.new.requests
    assert.is_true(n > 5 and n < 15, n)
    h.wait_for("its dead letters", function()
      local lines = h.shell(("cat '%s/dead/'* 2>/dev/null"):format(s.data))
      return select(2, lines:gsub("\n", "")) == n
    end)
    assert.equal(0, s:stop())
    f:close()
  end)

  it("takes nothing away from an index before it is promoted", function()
    local function indexed(bytes, trial)
      return h.policy { workers = 1, server = 'max_body = "1MiB", max_events = 20000',
        spool = 'segment = "4MiB"', stream = ('index = { field = "id", max_bytes = "%s" }')
          :format(bytes), top = trial }
    end
    local function files()
      return select(2, h.shell(("ls '%s'/spool/events/index"):format(s.data)):gsub("%.idx", ""))
    end
    s = h.server { policy = indexed "1GiB" }
    for at = 1, 16 do
      local lines = {}
      for i = 1, 10000 do
        lines[i] = ('{"id":"%d-%d","pad":"%s"}'):format(at, i, ("x"):rep(40))
      end
      h.wait_for("room in the spool", function()
        return s:post("/v1/events/batch", "[" .. table.concat(lines, ",") .. "]").status == 202
      end)
    end
    assert.equal(0, s:stop())
    s:start()
    local before = files()
    assert.is_true(before > 2)
    load(indexed("1MiB", [[canary { share = "50%", during = "1h" }]]))
    -- It looks each ten seconds.
    assert.is_false((pcall(h.wait_for, "a file to go", function() return files() < before end, 12)))
    assert.equal(200, s:reload("?promote").status)
    h.wait_for("a file to go", function() return files() < before end)
    assert.equal(0, s:stop())
  end)

  it("can't add streams, whose events nobody would deliver after a roll-back",
  function()
    s = h.server { policy = policy("") }
    h.write(s.path, policy([[return to("more")]], [[canary { }
      stream "more" { sinks = { "archive" } }]]))
    local a = s:reload()
    assert.equal(409, a.status)
    assert.matches([[stream \"more\" is new, and a canary can't add streams]],
      a.body, 1, true)
    assert.equal("refused", generation(2).status)
    assert.equal(0, s:stop())
  end)
end)
