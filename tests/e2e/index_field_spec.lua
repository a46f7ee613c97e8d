-- A reload names another field of ids while the index's thread is late: each event is
-- found by the id of the policy that stored it, whatever the thread had read by then.
local faults = require "faults"
local h = require "harness"

local EVENTS = 5000

local function batch(name)
  local lines = {}
  for i = 1, EVENTS do
    lines[i] = ('{"event_id":"%s-%d","pad":"%s"}'):format(name, i, ("x"):rep(160))
  end
  return "[" .. table.concat(lines, ",") .. "]"
end

describe("an index whose field changes", function()
  local s, f
  after_each(function() if s then s:close() s = nil end end)

  local function policy(field)
    return h.policy { workers = 1, server = 'max_body = "1MiB", drain = "100ms"',
      spool = 'segment = "4MiB"', stream = ('index = "%s"'):format(field) }
  end

  local function reload(field)
    h.write(s.path, policy(field))
    assert.equal(200, h.request(s.admin, "POST", "/reload").status)
  end

  local function code(id)
    local out = h.shell(("%s find --id '%s' '%s' 2>&1; echo code=$?"):format(h.binary, id,
      s.data))
    return tonumber(out:match("code=(%d+)")), out
  end

  local function send(name)
    h.wait_for("room in the spool", function()
      return s:post("/v1/events/batch", batch(name)).status == 202
    end)
  end

  local function one(text) assert.equal(202, s:post("/v1/events", text).status) end

  ---A server whose index thread hangs until the next rules.
  local function start()
    local dir = h.folder()
    f = faults.new(dir)
    s = h.server { dir = dir, wrap = f:wrap(), policy = policy "event_id" }
    f:rules "on=write do=hang thread=index path=.idx"
    for i = 1, 3 do send("a" .. i) end
    h.wait_for("the thread to hang", function() return f:made() > 0 end)
  end

  ---Until the index alone can tell of what was stored so far.
  local function pass(shard)
    h.wait_for("the segments to go", function()
      for i = 1, 3 do send("more" .. i) end
      return not h.read(("%s/spool/events/%s/0000000001.seg"):format(s.data, shard)) or
        h.shell(("%s find --id a1-7 '%s'"):format(h.binary, s.data)):find "its segment is gone"
    end, 60)
  end

  local function stored()
    start()
    one '{"event_id":"e1","key":"k1"}'
    reload "key"
    one '{"event_id":"e2","key":"k2"}'
    reload "a.other"
    one '{"event_id":"e3","a":{"other":"o3"}}'
    reload "event_id"
    one '{"event_id":"e4","key":"k4"}'
  end

  local function all()
    for _, id in ipairs { "a1-7", "e1", "k2", "o3", "e4" } do
      local c, out = code(id)
      assert.equal(0, c, id .. ": " .. out)
    end
  end

  it("has each event by the id of its policy, in the segments and after", function()
    stored()
    all()
    f:rules()
    pass "1.0"
    all()
    assert.equal(1, (code "nobody"))
  end)

  it("has them in the end when the last policy is another one", function()
    start()
    one '{"event_id":"e1","key":"k1"}'
    reload "key"
    one '{"event_id":"e2","key":"k2"}'
    f:rules()
    pass "1.0"
    assert.equal(0, code "e1")
    assert.equal(0, code "k2")
  end)

  for _, field in ipairs { "event_id", "key" } do
    it("has them after kill -9, where the next process begins with " .. field, function()
      stored()
      s:stop "SIGKILL"
      f:rules()
      all()
      h.write(s.path, policy(field))
      s:start()
      all()
      h.wait_for("the shard of the process before to go", function()
        send "more"
        return not h.shell(("ls '%s'/spool/events"):format(s.data)):find("1.0", 1, true)
      end, 60)
      all()
    end)
  end

  it("has them after kill -9 at each step of noting another field", function()
    local dir = h.folder()
    f = faults.new(dir)
    s = h.server { dir = dir, wrap = f:wrap(), policy = policy "event_id" }
    local at, ids = 0, {}
    local function found()
      for _, id in ipairs(ids) do
        local c, out = code(id)
        assert.equal(0, c, id .. ": " .. out)
      end
    end
    repeat
      at = at + 1
      one(('{"event_id":"e%d","key":"f%d"}'):format(at, at))
      ids[#ids + 1] = "e" .. at
      f:rules(("on=change do=kill path=/events/index/FIELD from=%d"):format(at))
      local ok = pcall(reload, "key")
      f:rules()
      if ok then
        one(('{"event_id":"g%d","key":"k%d"}'):format(at, at))
        ids[#ids + 1] = "k" .. at
        s:stop "SIGKILL"
      else
        h.reap(s.pid, 10)
        s.pid = nil
      end
      found()
      h.write(s.path, policy(at % 2 == 0 and "key" or "event_id"))
      s:start()
      found()
      if at % 2 == 0 then reload "event_id" end
    until ok or at == 12
    assert.is_true(at >= 4 and at < 12, at)
    send "more"
    s:stop()
    found()
    assert.equal(1, (code "f1"))
  end)

  ---One turn of the loop stores both: the first request begins under the policy before.
  local function in_one_turn(old, field, new)
    local c = h.connect(s.port)
    local head = "POST /v1/events HTTP/1.1\r\nHost: t\r\n%sContent-Length: %d\r\n\r\n"
    c:send(head:format("Expect: 100-continue\r\n", #old))
    assert.equal(100, h.answer(c).status)
    reload(field)
    c:send(old .. head:format("", #new) .. new)
    for _ = 1, 2 do assert.equal(202, h.answer(c).status) end
    c:close()
  end

  for _, how in ipairs { "SIGTERM", "SIGKILL" } do
    it("has events of two policies that one turn stores, after " .. how, function()
      s = h.server { policy = policy "event_id" }
      in_one_turn('{"event_id":"e1","key":"k1"}', "key", '{"event_id":"e2","key":"k2"}')
      in_one_turn('{"event_id":"e3","key":"k3"}', "event_id",
        '{"event_id":"e4","key":"k4"}')
      local left = 4 -- for the index to read
      if how == "SIGKILL" then
        s:stop(how)
        -- A file ends where the field changes, and may be there.
        left = 4 - tonumber(select(2, code "nobody"):match "indexed_events=(%d+)")
        s:start()
      end
      h.wait_for("the index to read all", function()
        return s:metric("sluice_index_events_total", 'stream="events"') == left
      end)
      s:stop()
      for _, id in ipairs { "e1", "k2", "k3", "e4" } do
        local c, out = code(id)
        assert.equal(0, c, id .. ": " .. out)
      end
    end)
  end
end)
