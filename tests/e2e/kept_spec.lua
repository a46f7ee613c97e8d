-- Things that outlive a generation: a policy's own counters and gauges, its limits.
local cjson = require "cjson"
local h = require "harness"

describe("a policy's counters and gauges", function()
  local s
  after_each(function() if s then s:close() s = nil end end)

  local TOP = [[
    local clicks = counter "clicks_total" { help = "Clicks." }
    local sold = counter "sold_total" { labels = { "shop", "kind" }, max_series = 3 }
    local last = gauge "last_value"
    local balance = gauge "balance" { labels = { "shop" } }]]
  local HOOK = [[on_event = function(ev)
    clicks:inc()
    if ev.shop then sold:inc(ev.price, ev.shop, ev.kind) end
    last:set(ev.n or 0)
    if ev.delta then balance:add(ev.delta, ev.shop) end
    %s
  end]]

  local function serve(extra)
    s = h.server { policy = h.policy { workers = 2, top = TOP,
      route = HOOK:format(extra or "") } }
  end

  it("are there from the start, and count over all workers", function()
    serve()
    assert.equal(0, s:metric("clicks_total"))
    assert.equal(0, s:metric("last_value"))
    for i = 1, 60 do
      assert.equal(202, s:post("/v1/events", ('{"n":%d.25}'):format(i)).status)
    end
    assert.equal(60, s:metric("clicks_total"))
    assert.equal(60.25, s:metric("last_value"))
    local text = s:get("/metrics").body
    assert.matches("# HELP clicks_total Clicks.\n# TYPE clicks_total counter\n",
      text, 1, true)
    assert.matches("# TYPE last_value gauge\n", text, 1, true)
  end)

  it("keep label values apart, up to the bound, and no more", function()
    serve()
    for i = 1, 3 do
      for _ = 1, i do
        s:post("/v1/events", ('{"shop":"s%d","kind":"\\"q","price":0.5,"delta":-1}')
          :format(i))
      end
    end
    for i = 4, 300 do
      s:post("/v1/events", ('{"shop":"s%d","price":2}'):format(i))
    end
    assert.equal(0.5, s:metric("sold_total", [[shop="s1",kind="\"q"]]))
    assert.equal(1.5, s:metric("sold_total", [[shop="s3",kind="\"q"]]))
    assert.equal(2 * 297, s:metric("sold_total", 'shop="other"'))
    assert.equal(-3, s:metric("balance", 'shop="s3"'))
    local n = 0
    for _ in s:get("/metrics").body:gmatch("\nsold_total{") do n = n + 1 end
    assert.equal(4, n)
  end)

  it("show of an object that it is one, and keep no value that is cut", function()
    serve()
    for _, shop in ipairs { '{"a":1}', '{"b":2}', "[1]" } do
      s:post("/v1/events", ('{"shop":%s,"kind":1.5,"price":1}'):format(shop))
    end
    assert.equal(3, s:metric("sold_total", 'shop="table",kind="1.5"'))
    -- 80 MB of texts, all the same up to where they are cut.
    local function rss()
      return tonumber(h.read("/proc/" .. s.real_pid .. "/status")
        :match("VmRSS:%s*(%d+)"))
    end
    -- Short batches: the time that a busy machine takes away counts as the hook's.
    local long, before, accepted = ("y"):rep(8000), 0, 0
    for i = 1, 300 do
      local list = {}
      for n = 1, 40 do
        list[n] = ('{"shop":"%s%d-%d","price":1}'):format(long, i, n)
      end
      local a = s:post("/v1/events/batch", "[" .. table.concat(list, ",") .. "]")
      assert.equal(202, a.status)
      accepted = accepted + cjson.decode(a.body).accepted
      if i == 50 then before = rss() end
    end
    assert.equal(12000, accepted)
    assert.equal(12000, s:metric("sold_total", ("y"):rep(128)))
    print(("# kept: rss before = %d kB, after 80 MB = %d kB"):format(before, rss()))
    -- A sanitizer keeps freed memory.
    if h.build == "build" then assert.is_true(rss() < before + 40000) end
  end)

  it("go on over a reload, also of another policy, and a bad one", function()
    serve()
    s:post("/v1/events", "{}")
    assert.equal(200, s:reload().status)
    s:post("/v1/events", "{}")
    h.write(s.path, h.policy { workers = 2, top = TOP, route =
      HOOK:format("clicks:inc(10)") })
    assert.equal(200, s:reload().status)
    s:post("/v1/events", "{}")
    h.write(s.path, h.policy { workers = 2, top = TOP:gsub("counter \"clicks_total\"",
      "gauge \"clicks_total\"") })
    assert.equal(422, s:reload().status)
    h.write(s.path, h.policy { workers = 2, top =
      [[local clicks = counter "clicks_total" { labels = { "x" } }]] })
    local a = s:reload()
    assert.is_true(a.status >= 400)
    assert.matches("clicks_total", a.body)
    assert.matches("another kind", a.body)
    s:post("/v1/events", "{}")
    assert.equal(1 + 1 + 11 + 11, s:metric("clicks_total"))
  end)

  it("are not moved by a shadow, but by a canary that is promoted", function()
    serve()
    local function reload(words)
      h.write(s.path, h.policy { workers = 2, top = TOP .. "\n" .. words,
        route = HOOK:format("clicks:inc(100)") })
      local a = s:reload()
      assert.equal(200, a.status, a.body)
    end
    s:post("/v1/events", "{}")
    reload [[shadow { during = "1h" }]]
    for _ = 1, 5 do s:post("/v1/events", "{}") end
    assert.equal(6, s:metric("clicks_total"))
    reload [[canary { share = "50%", during = "1h" }]]
    assert.equal(200, s:reload("?promote").status)
    for _ = 1, 5 do s:post("/v1/events", "{}") end
    assert.equal(6 + 5 * 101, s:metric("clicks_total"))
  end)

  it("are not moved by examples", function()
    s = h.server { policy = h.policy { workers = 2, top = TOP, route =
      HOOK:format("") } .. [[example "e" { request = "POST /v1/events",
      body = "{}", expect = { status = 202 } }]] }
    assert.equal(0, s:metric("clicks_total"))
    s:post("/v1/events", "{}")
    assert.equal(1, s:metric("clicks_total"))
  end)

  it("a hook that counts nonsense fails its event only", function()
    serve([[if ev.bad then clicks:inc(ev.bad) end
      if ev.nan then last:set(0 / 0) end]])
    s:post("/v1/events", [[{"bad":-1}]])
    s:post("/v1/events", [[{"nan":1}]])
    s:post("/v1/events", [[{"n":4}]])
    assert.equal(2, s:metric("sluice_policy_errors_total"))
    assert.equal(3, s:metric("clicks_total"))
    assert.equal(4, s:metric("last_value"))
    s:logged("inc: expected a number from 0, got %-1")
  end)
end)

describe("a helper", function()
  local s
  after_each(function() if s then s:close() s = nil end end)

  it("called as a method of the event is told how to be called", function()
    s = h.server { policy = h.policy { route = [[on_error = "reject",
      on_event = function(ev) local e = ev if e:has("x") then return drop() end end]] } }
    assert.equal(500, s:post("/v1/events", "{}").status)
    s:logged("attempt to call method 'has' %(a nil value%): write has%(ev, ")
    -- The client's own field of that name is a field.
    assert.equal(500, s:post("/v1/events", [[{"has":1}]]).status)
  end)
end)

describe("a limit", function()
  local s
  after_each(function() if s then s:close() s = nil end end)

  local function serve(limit, route, more)
    s = h.server { policy = h.policy { workers = 2, top = "local l = " .. limit,
      route = route } .. (more or "") }
  end

  -- Answers by status.
  local function post_many(n, body, headers)
    local got = {}
    for _ = 1, n do
      local copy = {}
      for k, v in pairs(headers or {}) do copy[k] = v end
      local a = s:post("/v1/events", body, copy)
      got[a.status] = (got[a.status] or 0) + 1
      got.last = a
    end
    return got
  end

  it("holds over all workers, exactly, by a header before the body", function()
    serve([[limit "keys" { rate = "1/h", burst = 40, key = "header:x-key" }]],
      [[on_request = function(req) return l:check(req) end]])
    local got = post_many(150, "{}", { ["X-Key"] = "a" })
    assert.equal(40, got[202])
    assert.equal(110, got[429])
    assert.matches("rate_limited", got.last.body)
    assert.matches("more than 1/h", got.last.body)
    local after = tonumber(got.last.headers["retry-after"])
    assert.is_true(after > 3000 and after <= 3600, "Retry-After: " .. after)
    assert.equal(40, post_many(60, "{}", { ["X-Key"] = "b" })[202])
    assert.equal(130, s:metric("sluice_limit_refused_total", 'limit="keys"'))
    print(("# limit: burst of 40 over 2 workers, 150 requests: %d passed")
      :format(got[202]))
  end)

  it("lets tokens come back at its rate", function()
    serve([[limit { rate = "1/s", burst = 2 }]],
      [[on_request = function(req) return l:check(req.path) end]])
    local status, n = 202, 0
    while status == 202 and n < 100 do
      status, n = s:post("/v1/events", "{}").status, n + 1
    end
    assert.equal(429, status)
    h.wait_for("a token", function()
      return s:post("/v1/events", "{}").status == 202
    end)
  end)

  it("by a field of the event refuses that event only, to be sent again", function()
    serve([[limit { rate = "1/h", burst = 2, key = "user" }]],
      [[on_event = function(ev) return l:check(ev) end]])
    local a = s:post("/v1/events/batch",
      [=[[{"user":"u"},{"user":"v"},{"user":"u"},{"user":"u"}]]=])
    assert.equal(202, a.status)
    assert.matches([["accepted":3,"rejected":1]], a.body, 1, true)
    assert.matches([["index":3,"code":"rate_limited","message":"more than 1/h","retry":true]],
      a.body, 1, true)
    a = s:post("/v1/events", [[{"user":"u"}]])
    assert.equal(429, a.status)
    assert.is_truthy(a.headers["retry-after"])
    -- A value that can't be a key shares the bucket of those without one.
    a = s:post("/v1/events/batch",
      [=[[{"user":{"a":1}},{"user":[1]},{"user":true},{"user":null},{}]]=])
    assert.matches([["accepted":2,"rejected":3]], a.body, 1, true)
    assert.equal(0, s:metric("sluice_policy_errors_total"))
  end)

  it("is a plain question too: take", function()
    serve([[limit "l" { rate = "1/h", burst = 3 }]],
      [[on_event = function(ev) ev.over = not l:take(ev.user, ev.n) end]])
    for _, n in ipairs { 2, 2, 1, 1 } do
      s:post("/v1/events", ('{"user":"u","n":%d}'):format(n))
    end
    assert.equal(0, s:stop())
    local lines = s:lines()
    table.sort(lines)
    assert.same({ [[{"user":"u","n":1,"over":false}]], [[{"user":"u","n":1,"over":true}]],
      [[{"user":"u","n":2,"over":false}]], [[{"user":"u","n":2,"over":true}]] }, lines)
  end)

  it("keeps its debts over a reload that does not change it", function()
    local route = [[on_request = function(req) return l:check("k") end]]
    serve([[limit "l" { rate = "1/h", burst = 3 }]], route)
    assert.equal(3, post_many(10, "{}")[202])
    assert.equal(200, s:reload().status)
    assert.is_nil(post_many(5, "{}")[202])
    h.write(s.path, h.policy { workers = 2, top =
      [[local l = limit "l" { rate = "2/h", burst = 3 }]], route = route })
    assert.equal(200, s:reload().status)
    assert.equal(3, post_many(5, "{}")[202])
  end)

  it("keeps its debts over reloads that are refused and canaries that go back",
  function()
    local route = [[on_request = function(req) return l:check("k") end]]
    local live = [[limit "l" { rate = "1/h", burst = 3 }]]
    serve(live, route)
    assert.equal(3, post_many(10, "{}")[202])
    local function other(rate, more, workers)
      h.write(s.path, h.policy { workers = workers or 2, top = ([[
        local l = limit "l" { rate = "%s", burst = 3 }
        gauge "tardy" { }
        %s]]):format(rate, more), route = route })
      return s:reload().status
    end
    assert.equal(409, other("2/h", "", 1)) -- workers: needs a restart
    assert.is_nil(s:get("/metrics").body:find("tardy", 1, true))
    assert.equal(200, other("3/h", "canary { during = \"1h\" }"))
    assert.equal(200, s:reload("?rollback").status)
    h.write(s.path, h.policy { workers = 2, top = "local l = " .. live,
      route = route })
    assert.equal(200, s:reload().status)
    assert.is_nil(post_many(5, "{}")[202])
  end)

  it("without a name is known by what it says, not by its place", function()
    local route = [[on_request = function(req) return l:check("k") end]]
    serve([[limit { rate = "1/h", burst = 3 }]], route)
    assert.equal(3, post_many(10, "{}")[202])
    h.write(s.path, h.policy { workers = 2, top = [[
      local other = limit { rate = "5/h", burst = 3 }
      local l = limit { rate = "1/h", burst = 3 }]], route = route })
    assert.equal(200, s:reload().status)
    assert.is_nil(post_many(5, "{}")[202])
  end)

  it("of its examples is their own, at every load", function()
    local one = [[example "%s" { request = "POST /v1/events", body = "{}",
      expect = { status = %d } }]]
    serve([[limit { rate = "1/h", burst = 1 }]],
      [[on_request = function(req) return l:check("k") end]],
      one:format("passes", 202) .. one:format("is over", 429))
    assert.equal(200, s:reload().status)
    assert.equal(1, post_many(3, "{}")[202])
  end)
end)
