-- Repeats of a key: taken out over all workers, and answered only once their first is
-- stored.
local faults = require "faults"
local h = require "harness"

local function policy(o)
  o = o or {}
  return h.policy { workers = o.workers or 2, ack = o.ack, top = o.top,
    route = o.route, stream = ("dedup = { key = \"event_id\", %s }")
      :format(o.dedup or "") }
end

describe("dedup", function()
  local s, f
  after_each(function()
    if s then s:close() s = nil end
    if f then f:close() f = nil end
  end)

  -- A server whose disk fails by rules.
  local function failing(o)
    o.dir = h.folder()
    f = faults.new(o.dir)
    o.wrap = f:wrap()
    s = h.server(o)
  end

  local function post(id, more)
    return s:post("/v1/events", ('{"event_id":"%s"%s}'):format(id, more or ""))
  end

  local function results(result)
    return s:metric("sluice_dedup_events_total", ('result="%s"'):format(result))
  end

  -- Stops the server; how often each id is in the archive.
  local function stored()
    assert.equal(0, s:stop())
    local n, all = {}, 0
    for _, line in ipairs(s:lines()) do
      local id = line:match('"event_id":"?([%w%-]+)')
      if id then n[id], all = (n[id] or 0) + 1, all + 1 end
    end
    return n, all
  end

  it("stores what is sent again once, over all workers and routes, and answers 202",
  function()
    s = h.server { policy = policy() }
    for round = 1, 3 do
      for i = 1, 40 do
        local a = post("e" .. i, (',"round":%d'):format(round))
        assert.equal(202, a.status)
        assert.matches('"accepted":1', a.body, 1, true)
      end
    end
    local list = {}
    for i = 21, 60 do list[#list + 1] = ('{"event_id":"e%d"}'):format(i) end
    list[#list + 1] = '{"event_id":"e60"}'
    local a = s:post("/v1/events/batch", "[" .. table.concat(list, ",") .. "]")
    assert.matches('"accepted":41', a.body, 1, true)
    assert.equal(80 + 21, results("repeat"))
    assert.equal(60, s:metric("sluice_dedup_keys"))
    assert.equal(101, s:metric("sluice_events_total", 'result="duplicate"'))
    local n, all = stored()
    assert.equal(60, all)
    for i = 1, 60 do assert.equal(1, n["e" .. i]) end
  end)

  it("looks at the key as it is stored: escapes, numbers, a hook's edits", function()
    s = h.server { policy = policy { route =
      [[on_event = function(ev) if ev.id then ev.event_id = ev.id end end]] } }
    for _, body in ipairs { [[{"event_id":"a-b"}]], [[{"event_id":"a\u002db"}]],
      [[{"id":"a-b"}]], [[{"event_id":17}]], [[{ "event_id" : 17 }]],
      [[{"event_id":null}]], [[{"event_id":null}]], [[{"x":1}]], [[{"x":1}]],
      [[{"event_id":{"a":1}}]], [[{"event_id":{"a":1}}]] } do
      assert.equal(202, s:post("/v1/events", body).status)
    end
    assert.equal(3, results("repeat"))
    local n = stored()
    assert.same({ 1, 1 }, { n["a-b"], n["17"] })
    assert.equal(8, #s:lines())
  end)

  it("takes a text and a number for two keys, and an empty text for none", function()
    s = h.server { policy = policy() }
    for _, body in ipairs { [[{"event_id":"17"}]], [[{"event_id":17}]],
      [[{"event_id":"17","again":1}]], [[{"event_id":17,"again":1}]],
      [[{"event_id":""}]], [[{"event_id":"","again":1}]] } do
      assert.equal(202, s:post("/v1/events", body).status)
    end
    assert.equal(2, results("repeat"))
    local n = stored()
    assert.equal(2, n["17"])
    assert.equal(4, #s:lines())
  end)

  it("of one stream leaves the others alone", function()
    s = h.server { policy = policy { top =
      [[stream "raw" { sinks = { "archive" } }]],
      route = [[on_event = function(ev) return to("events", "raw") end]] } }
    for _ = 1, 3 do post("x") end
    assert.equal(2, results("repeat"))
    local n = stored()
    assert.equal(1 + 3, n.x)
  end)

  it("a request whose store fails may come again: none is lost, none is twice",
  function()
    failing { policy = policy { ack = "synced", workers = 1 } }
    assert.equal(202, post("before").status)
    f:rules "on=sync do=EIO path=/spool/events/"
    local refused = 0
    for i = 1, 30 do
      local a = post("e" .. i % 10)
      refused = refused + (a.status == 503 and 1 or 0)
      assert.equal(503, a.status)
    end
    f:rules()
    s:logged("status=writable", 20)
    local sent = 0
    for i = 0, 9 do
      h.wait_for("e" .. i .. " to be taken", function()
        sent = sent + 1
        return post("e" .. i).status == 202
      end)
      assert.equal(202, post("e" .. i).status)
    end
    assert.equal(202, post("before").status)
    assert.equal(1 + 10, results("repeat"))
    assert.equal(0, results("unsure"))
    local n = stored()
    for i = 0, 9 do assert.equal(1, n["e" .. i], "e" .. i) end
    assert.equal(1, n.before)
    print(("# dedup over 503: %d refused, 10 sent again in %d tries, 0 lost, 0 twice")
      :format(refused, sent))
  end)

  ---Ten requests while the fault is there, and again after it.
  local function refused_then_taken()
    for i = 1, 10 do assert.equal(503, post("e" .. i).status) end
    f:rules()
    for i = 1, 10 do
      h.wait_for("e" .. i .. " to be taken", function()
        return post("e" .. i).status == 202
      end)
    end
  end

  it("a write that fails is no first time either", function()
    failing { policy = policy { workers = 1 } }
    assert.equal(202, post("before").status)
    f:rules "on=write do=EIO path=/spool/events/"
    refused_then_taken()
    for i = 1, 10 do assert.equal(202, post("e" .. i).status) end
    assert.equal(10, results("repeat"))
    local n = stored()
    for i = 1, 10 do assert.equal(1, n["e" .. i], "e" .. i) end
  end)

  for _, ack in ipairs { "written", "synced" } do
    it("stores it once when another stream of its request has failed, " .. ack, function()
      failing { policy = policy { workers = 1, ack = ack, top =
        [[file "second" { dir = "second", linger = "20ms" }
        stream "other" { sinks = { "second" } }]],
        route = [[on_event = function() return to("events", "other") end]] } }
      f:rules "on=write do=EIO path=/spool/other/"
      refused_then_taken()
      assert.is_true(results("repeat") > 0) -- the others were refused before
      local n = stored()
      for i = 1, 10 do assert.equal(1, n["e" .. i], "e" .. i) end
      assert.equal(10, #s:lines("second"))
    end)
  end

  it("a batch that is refused as a whole holds up no request with the same keys", function()
    s = h.server { policy = policy { top = [[stream "refused" { sinks = { "archive" } }
      route "POST /whole" { body = "batch", stream = "events", partial = false,
        on_refused = { stream = "refused", rate = "1000000/s" },
        schema = schema { event_id = str { required = true } } }]] } }
    local connections, list, key = {}, {}, '{"event_id":"e%02d-%04d"}'
    for i = 1, 8 do connections[i] = h.connect(s.port) end -- some at either worker
    local function send(c, path, body)
      c:send(("POST %s HTTP/1.1\r\nHost: t\r\nContent-Length: %d\r\n\r\n%s")
        :format(path, #body, body))
    end
    for round = 1, 20 do
      for i = 1, 8000 do list[i] = i <= 4000 and key:format(round, i) or "{}" end
      send(connections[1], "/whole", "[" .. table.concat(list, ",") .. "]")
      for n = 1, 40 do
        for i = 2, 8 do send(connections[i], "/v1/events", key:format(round, n * 8 + i)) end
        for i = 2, 8 do assert.equal(202, h.answer(connections[i]).status) end
      end
      assert.equal(422, h.answer(connections[1]).status)
    end
    for _, c in ipairs(connections) do c:close() end
  end)

  it("remembers over a reload, forgets over a restart, and when its window changes",
  function()
    s = h.server { policy = policy() }
    post("a")
    assert.equal(200, s:reload().status)
    post("a")
    assert.equal(1, results("repeat"))
    h.write(s.path, policy { dedup = 'window = "1h"' })
    assert.equal(200, s:reload().status)
    post("a")
    assert.equal(1, results("repeat"))
    assert.equal(0, s:stop())
    s:start()
    post("a")
    assert.equal(0, results("repeat"))
    assert.equal(3, stored().a)
  end)

  it("takes the first copy of a key that an object has twice", function()
    s = h.server { policy = h.policy { stream = [[dedup = { key = "user.id" }]] } }
    for i, user in ipairs { '{"id":"a","id":"b"}', '{"id":"a"}', '{"id":"a","id":"c"}',
      '{"\\u0069d":"a","id":"d"}', '{"id":"b"}' } do
      assert.equal(202, s:post("/v1/events", ('{"n":%d,"user":%s}'):format(i, user)).status)
    end
    assert.equal(3, results("repeat"))
  end)

  it("when full forgets the oldest, says so, and never drops what is new", function()
    s = h.server { policy = policy { dedup = "max_keys = 1000" } }
    for b = 0, 9 do
      local list = {}
      for i = 1, 1000 do list[i] = ('{"event_id":"k%d"}'):format(b * 1000 + i) end
      assert.equal(202, s:post("/v1/events/batch",
        "[" .. table.concat(list, ",") .. "]").status)
    end
    assert.equal(0, results("repeat"))
    local forgotten = s:metric("sluice_dedup_forgotten_total")
    local keys = s:metric("sluice_dedup_keys")
    assert.equal(10000, forgotten + keys + results("full"))
    assert.is_true(forgotten > 5000)
    post("k10000")
    post("k1")
    assert.equal(1, results("repeat"))
    local n, all = stored()
    assert.equal(10001, all)
    assert.equal(2, n.k1)
    print(("# dedup full: 10000 keys, room for 1000: %d forgotten, 0 new ones dropped")
      :format(forgotten))
  end)

  -- Two clients that send the same events at the same time, each to be told the truth.
  local function twins(seconds, during)
    local acks = { s.dir .. "/acks", s.dir .. "/again" }
    local loads, got = {}, {}
    for i = 1, 2 do
      loads[i] = h.load(s.port, { batch = 20, connections = 4, seconds = seconds,
        rate = 40, acks = acks[i] })
    end
    if during then during() end
    for i = 1, 2 do
      got[i] = h.load_wait(loads[i])
      assert.same({ 0, 0 }, { got[i].other, got[i].broken })
    end
    local repeats, unsure = results("repeat"), results("unsure")
    assert.equal(0, s:stop())
    local v, w = h.verify(acks[1], s:collect()), h.verify(acks[2], s:collect())
    assert.same({ 0, 0, 0 }, { v.missing, w.missing, v.torn })
    assert.same({ 0, 0 }, { v.twice, w.twice })
    assert.is_true(repeats > 100)
    assert.equal(0, unsure)
    return got, v, repeats
  end

  for _, ack in ipairs { "written", "synced" } do
    it("stores what two clients send at the same time once, " .. ack, function()
      s = h.server { policy = policy { ack = ack } }
      local got, v, repeats = twins(2)
      assert.equal(got[1].acked + got[2].acked, v.found + repeats)
      print(("# dedup, twins, %s: %d + %d acknowledged, %d stored, %d twice"):format(ack,
        got[1].acked, got[2].acked, v.found, v.twice))
    end)
  end

  it("stores it once, and loses none of it, when the store fails in between", function()
    failing { policy = policy { ack = "synced" } }
    f:rules "on=sync do=EIO path=/spool/events/ from=10"
    local got, v = twins(4, function()
      s:logged "status=unwritable"
      h.wait_for("refusals", function()
        return (s:metric("sluice_requests_total", 'status="503"') or 0) > 0
      end)
      f:rules()
    end)
    assert.is_true(got[1].full + got[2].full > 0)
    print(("# dedup, twins, a sync that fails: %d + %d acknowledged, %d + %d refused, "
      .. "%d stored, %d missing, %d twice"):format(got[1].acked, got[2].acked,
      got[1].full, got[2].full, v.found, v.missing, v.twice))
  end)

  it("shows in examples: a repeat in a batch is dropped", function()
    h.write("/tmp/sluice-dedup-check.lua", policy() .. [==[
      example "twice in a batch" { request = "POST /v1/events/batch",
        body = [[{"events":[{"event_id":"a"},{"event_id":"a"},{"event_id":"b"}]}]],
        expect = { status = 202, accepted = 3, dropped = 1 } }]==])
    local out = h.shell(h.binary .. " check /tmp/sluice-dedup-check.lua")
    os.remove("/tmp/sluice-dedup-check.lua")
    assert.matches("good", out)
  end)
end)
