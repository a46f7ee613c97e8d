-- A sink that leaves the policy and comes back is a new one, but its destination is not:
-- sluice find and sluice ledger do not say of what it had before that it never saw it.
local cjson = require "cjson"
local h = require "harness"
local hanging = require "hanging"
local receiver = require "receiver"

describe("a sink that left the policy and came back", function()
  local s
  after_each(function() if s then s:close() s = nil end end)

  local function policy(with, off)
    return ([[
server { listen = "127.0.0.1:0", workers = 1 }
admin { listen = "127.0.0.1:0" }
file "archive" { dir = "archive", linger = "20ms" }
%s
stream "events" { sinks = { "archive"%s }, %s }
route "POST /e" { body = "event", stream = "events" }
]]):format(with and 'file "copy" { dir = "copy", linger = "20ms" }' or "",
      with and ', "copy"' or "", off and "" or 'index = "event_id"')
  end

  local function reload(with, off)
    h.write(s.path, policy(with, off))
    assert.equal(200, h.request(s.admin, "POST", "/reload").status)
  end

  local function send(id)
    s:post("/e", ('{"event_id":"%s"}'):format(id))
    s:deliver()
  end

  local function state(id)
    local v = cjson.decode(h.shell(("%s find --id %s --json '%s'"):format(h.binary, id, s.data)))
    for _, sink in ipairs(v.events[1].sinks) do
      if sink.sink == "copy" then return sink.state end
    end
  end

  local function ledger()
    return cjson.decode(h.shell(("%s ledger --json '%s'"):format(h.binary, s.data)))
      .streams[1].sinks.copy
  end

  for _, how in ipairs { "reload", "restart" } do
    it("may have had what came before, after a " .. how, function()
      s = h.server { policy = policy(true) }
      send "e1"
      assert.equal("confirmed", state "e1")
      reload(false)
      s:logged "sink=copy status=removed"
      send "e2"
      assert.is_nil(state "e1")
      if how == "restart" then
        assert.equal(0, s:stop())
        h.write(s.path, policy(true))
        s:start()
      else
        reload(true)
      end
      send "e3"
      assert.same({ "settled", "settled", "confirmed" }, { state "e1", state "e2", state "e3" })
      local l = ledger()
      assert.same({ 1, 2, 0 }, { l.confirmed, l.settled, l.never_seen })
    end)
  end

  it("may have had what came before, also while the stream had no index", function()
    s = h.server { policy = policy(true, true) }
    send "e1"
    reload(false, true)
    s:logged "sink=copy status=removed"
    reload(true)
    send "e2"
    assert.same({ "settled", "confirmed" }, { state "e1", state "e2" })
    local l = ledger()
    assert.same({ 1, 1, 0 }, { l.confirmed, l.settled, l.never_seen })
  end)

  it("has never seen what came before it, if it is the first of its name", function()
    s = h.server { policy = policy(false) }
    send "e1"
    -- Nor does a sink count that was of a policy which never went live.
    h.write(s.path, (policy(true):gsub('stream "events" { sinks = { ', hanging.sink(hanging.BAD)
      .. '\n%0"bad", ')))
    assert.equal(500, h.request(s.admin, "POST", "/reload").status)
    reload(true)
    send "e2"
    assert.same({ "never_seen", "confirmed" }, { state "e1", state "e2" })
    assert.equal(1, ledger().never_seen)
  end)
end)

describe("a policy that gave a sink another name, and was refused,", function()
  local s
  after_each(function() if s then s:close() s = nil end end)

  it("makes no other sink a former one of its name, nor hides one", function()
    local function policy(names, was)
      local list = {}
      for _, name in ipairs(names) do
        list[#list + 1] = hanging.sink { name, dir = was and name == "copy" and was or name,
          was = name == "copy" and was or nil }
      end
      if was then list[#list + 1] = hanging.sink(hanging.BAD) end
      return h.policy { workers = 1, stream = 'index = "event_id"',
        top = table.concat(list, "\n") }:gsub('sinks = { "archive"',
        '%0, "' .. table.concat(names, '", "') .. '"' .. (was and ', "bad"' or ""), 1)
    end
    local function reload(status, ...)
      h.write(s.path, (policy(...)))
      assert.equal(status, s:reload().status)
    end
    local function send(id)
      s:post("/v1/events", ('{"event_id":"%s"}'):format(id))
      s:deliver()
    end

    s = h.server { policy = policy { "copy" } }
    send "e1"
    reload(200, { "late" })
    s:logged "sink=copy status=removed"
    send "e2"
    reload(500, { "copy" }, "late")
    reload(200, { "late", "copy" })
    send "e3"
    local found = h.shell(("%s find --id e1 '%s'"):format(h.binary, s.data))
    assert.matches("sink=copy settled", found)
    assert.matches("sink=late never_seen", found)
  end)
end)

describe("a sink that left the policy, and whose server may have what it never confirmed,",
  function()
    local r, s
    before_each(function() r = receiver.start() end)
    after_each(function()
      if s then s:close() s = nil end
      r:close()
    end)

    local function policy(with)
      local text = h.policy { workers = 1, stream = 'index = "event_id"', top = with
        and ('http "out" { url = %q, batch = { linger = "5ms" } }'):format(r.url) }
      return with and text:gsub('sinks = { "archive"', '%0, "out"', 1) or text
    end

    local function reload(with)
      h.write(s.path, policy(with))
      assert.equal(200, s:reload().status)
    end

    local function post(id)
      assert.equal(202, s:post("/v1/events", ('{"event_id":"%s"}'):format(id)).status)
      h.wait_for("the request", function() return #r:requests() > 0 end)
    end

    local function drop(where)
      assert.matches("dropped events=1", h.shell(("%s sink drop out %s"):format(h.binary, where)))
    end

    ---After another sink of its name has had the next event.
    local function is_settled(id)
      local n = #r:events()
      post "next"
      h.wait_for("the event", function() return #r:events() > n end)
      s:deliver()
      assert.matches("sink=out settled", h.shell(("%s find --id %s '%s'"):format(h.binary, id,
        s.data)))
    end

    it("was dropped", function()
      s = h.server { policy = policy(true) }
      r:rule "lose"
      post "e1"
      reload(false)
      drop("--admin 127.0.0.1:" .. s.admin)
      r:rule ""
      reload(true)
      is_settled "e1"
    end)

    it("was dropped while the server was stopped", function()
      s = h.server { policy = policy(true) }
      r:rule "lose"
      post "e1"
      s:stop "SIGKILL"
      h.write(s.path, policy(false))
      s:start()
      s:stop()
      drop(("--spool '%s/spool'"):format(s.data))
      r:rule ""
      h.write(s.path, policy(true))
      s:start()
      is_settled "e1"
    end)
  end)

describe("a stream that led to another sink, and left the policy", function()
  local s
  after_each(function() if s then s:close() s = nil end end)

  local function policy(sink)
    local stream = sink and ([[
stream "other" { sinks = { "%s" }, index = "event_id" }
route "POST /other" { body = "event", stream = "other" }
]]):format(sink) or ""
    return h.policy { workers = 1, top = 'file "second" { dir = "second", linger = "10ms" }\n'
      .. 'stream "third" { sinks = { "second" } }\n' .. stream }
  end

  local function reload(sink)
    h.write(s.path, policy(sink))
    assert.equal(200, s:reload().status)
  end

  local function restart(how, sink)
    s:stop(how)
    h.write(s.path, policy(sink))
    s:start()
  end

  local function send(...)
    for _, id in ipairs { ... } do
      assert.equal(202, s:post("/other", ('{"event_id":"%s"}'):format(id)).status)
    end
    s:deliver()
  end

  for _, how in ipairs { "SIGTERM", "SIGKILL" } do
    it("has lost nothing of what the other sink had, after " .. how, function()
      s = h.server { policy = policy "second" }
      send "e1"
      restart("SIGTERM", "archive")
      send("a1", "a2", "a3")
      reload "second"
      send("e2", "e3")
      restart(how, "second")
      reload(nil)
      h.wait_for("the sink to leave the stream", function()
        return h.read(s.data .. "/spool/STREAMS"):find "stream other %d+ [1-9]"
      end)
      h.sleep(0.5) -- its journal says so then
      restart(how, "second")
      h.wait_for("the segments to go", function()
        return not h.shell(("%s inspect '%s'"):format(h.binary, s.data)):find(
          "stream=other shard=2.0", 1, true)
      end)
      local l = cjson.decode(h.shell(("%s ledger --stream other --json '%s'"):format(h.binary,
        s.data))).streams[1].sinks.second
      assert.same({ 3, 3, 0, 0 }, { l.confirmed, l.settled, l.lost, l.pending })
      assert.matches("sink=second settled", h.shell(("%s find --id a1 '%s'"):format(h.binary,
        s.data)))
    end)
  end
end)
