-- Events that no index file has: the index was off, or the disk took no file. find and the
-- ledger name them, and never say of one that it was not stored: whatever process was
-- killed, whatever its disk refused, whatever lies in place of the account.
local cjson = require "cjson"
local faults = require "faults"
local h = require "harness"
local upgrades = require "upgrades"

local EVENTS = 5000

local function batch(name)
  local lines = {}
  for i = 1, EVENTS do
    lines[i] = ('{"event_id":"%s-%d","key":"k%s-%d","pad":"%s"}'):format(name, i, name, i,
      ("x"):rep(140))
  end
  return "[" .. table.concat(lines, ",") .. "]"
end

describe("events that no index file has", function()
  local s, f, dir
  after_each(function() if s then s:close() s = nil end end)

  local function policy(index, other)
    return h.policy { workers = 1, server = 'max_body = "1MiB", drain = "100ms"',
      spool = 'segment = "4MiB"', stream = index,
      top = ('stream "other" { sinks = { "archive" } %s }\n'
        .. 'route "POST /other" { body = "batch", stream = "other" }'):format(other or "") }
  end
  local ON, OFF = 'index = "event_id"', nil

  local function start(index, other)
    dir = h.folder()
    f = faults.new(dir)
    s = h.server { dir = dir, wrap = f:wrap(), policy = policy(index, other) }
  end

  local function restart(index, other, signal)
    if s.pid then s:stop(signal) end
    h.write(s.path, policy(index, other))
    s:start()
  end

  local function code(id, args)
    local out = h.shell(("%s find --id '%s' %s '%s'; echo code=$?"):format(h.binary, id,
      args or "", s.data))
    return tonumber(out:match("code=(%d+)")), out
  end

  local function looked(stream)
    local out = h.shell(("%s find --id nobody --json '%s'"):format(h.binary, s.data))
    local ok, v = pcall(cjson.decode, out)
    for _, l in ipairs(assert(ok and v, out).looked) do
      if l.stream == (stream or "events") then return l end
    end
  end

  local function send(name, path)
    h.wait_for("room in the spool", function()
      return s:post(path or "/v1/events/batch", batch(name)).status == 202
    end)
  end

  ---Sends batches NAME1, NAME2, ... until the events of the first one left the spool; how
  ---many it took.
  local function pass(name, path)
    local n = 0
    local shard = path and "other" or "events"
    local function first()
      local list = h.shell(("ls -v '%s'/spool/%s | grep '^[0-9]' | tail -1"):format(s.data, shard))
      local segments = h.shell(("ls -v '%s'/spool/%s/%s"):format(s.data, shard,
        list:match("%S+")))
      return tonumber(segments:match("(%d+)%.seg")) or 0
    end
    h.wait_for("the segments of delivered events to go", function()
      for _ = 1, 3 do
        n = n + 1
        send(name .. n, path)
      end
      return n >= 6 and first() > 1
    end, 60)
    return n
  end

  local function total(l)
    local n = 0
    for _, hole in ipairs(l.holes) do n = n + (hole.events or 0) end
    return n
  end

  it("are named when the index was off for a lifetime of the server", function()
    start(ON)
    send "a"
    restart(OFF)
    local n = pass "b"
    assert.equal(0, code "a-7")
    assert.equal(0, (code("b" .. n .. "-7"))) -- it is still in the spool
    local c, out = code "b1-7"
    assert.matches("not all could be looked at.*hole: stream=events position=2%.0/1%.%.", out)
    assert.matches('why="the stream had no index"', out)
    assert.equal(3, c)
    restart(ON)
    send "c"
    assert.equal(0, code "c-7")
    c, out = code "b1-7"
    assert.equal(3, c)
    assert.matches("position=2%.0/1%.%.%d+ events=%d+ since=%S+ until=%S+ why=\"the stream",
      out)
    local l = looked()
    assert.equal(1, #l.holes)
    assert.same({ 2, 0, 1, "off" }, { l.holes[1].epoch, l.holes[1].worker, l.holes[1].first,
      l.holes[1].why })
    assert.equal(l.unknown_events, l.holes[1].events)
    -- All else of that time is found: in files, or by its bytes.
    local last = l.holes[1].last
    for i = 1, n do
      local at = (i - 1) * EVENTS
      for _, k in ipairs { 1, EVENTS } do
        assert.equal(at + k <= last and 3 or 0, (code(("b%d-%d"):format(i, k))), i .. " " .. k)
      end
    end
    -- The ledger counts the same, and can't tell.
    out = h.shell(("%s ledger '%s'; echo code=$?"):format(h.binary, s.data))
    assert.matches(("unknown=%d .*hole: stream=events .*code=1"):format(last), out)
    -- Not of this time.
    h.sleep(1.1)
    assert.equal(1, (code("b1-7", "--since 1s")))
  end)

  it("are named when they were in no file yet as the index was switched off", function()
    start(ON)
    send "a"
    restart(OFF, nil, "SIGKILL")
    h.wait_for("the shard of the process before to go", function()
      send "b"
      return not h.shell(("ls '%s'/spool/events"):format(s.data)):find("1.0", 1, true)
    end, 60)
    local c, out = code "a-7"
    assert.equal(3, c, out)
    restart(ON)
    c, out = code "a-7"
    assert.matches('position=1%.0/1%.%.5000 events=5000 .*why="the index was switched off before',
      out)
    assert.equal(3, c)
  end)

  for _, signal in ipairs { "SIGTERM", "SIGKILL" } do
    it("are named when the disk took no file, and after " .. signal, function()
      start(ON)
      send "a"
      f:rules "on=write do=ENOSPC path=/index/"
      local n = pass "b"
      -- Four files wait in memory; the oldest go.
      h.wait_for("a file to be dropped", function()
        send "more"
        return s:metric("sluice_index_dropped_events_total", 'stream="events"') > 0
      end, 60)
      s:stop(signal)
      f:rules()
      local c, out = code "b1-7"
      assert.equal(3, c, out)
      s:start()
      c, out = code "b1-7"
      assert.equal(3, c, out)
      local l = looked()
      assert.is_true(#l.holes > 0)
      for _, hole in ipairs(l.holes) do
        assert.is_true(hole.why == "disk" or hole.why == "gone", hole.why)
        assert.equal(1, hole.epoch)
      end
      assert.is_true(total(l) >= 5000 and total(l) <= (n + 1000) * EVENTS)
    end)
  end

  it("are named by a running server whose disk takes files again", function()
    start(ON)
    f:rules "on=write do=EIO path=.idx"
    h.wait_for("a file to be dropped", function()
      send "b"
      return s:metric("sluice_index_dropped_events_total", 'stream="events"') > 0
    end, 60)
    f:rules()
    -- Not before the events have left the spool: until then they are found there.
    h.wait_for("the account", function()
      for _, hole in ipairs(looked().holes) do
        if hole.why == "disk" and hole.first == 1 and hole.since_ms then return true end
      end
      send "c"
    end)
  end)

  it("are those before the index, where a reload switches it on", function()
    start(ON)
    restart(OFF)
    pass "b"
    h.write(s.path, policy(ON))
    assert.equal(200, h.request(s.admin, "POST", "/reload").status)
    local c, out = code "b1-7"
    assert.equal(3, c)
    assert.matches('position=2%.0/1%.%.%d+ .*why="the stream had no index"', out)
    -- A segment that waits to be used again is found on disk, for a while.
    pass "c"
    local last = looked().holes[1].last
    assert.equal(0, last % EVENTS)
    assert.equal(0, code "c1-7")
    restart(ON)
    assert.equal(last, looked().holes[1].last)
    assert.equal(0, code "c1-7")
  end)

  it("are named when another process takes over without the index, and one with it", function()
    start(ON)
    send "a"
    h.write(s.path, policy(OFF))
    upgrades.upgrade(s)
    pass "b"
    h.write(s.path, policy(ON))
    upgrades.upgrade(s)
    send "c"
    assert.equal(0, code "a-7")
    assert.equal(0, code "c-7")
    local c, out = code "b1-7"
    assert.equal(3, c)
    assert.matches('position=2%.0/1%.%.%d+ .*why="the stream had no index"', out)
  end)

  it("are those of their stream only", function()
    start(ON, ', index = "event_id"')
    send "a"
    send("o", "/other")
    restart(OFF, ', index = "event_id"')
    pass "b"
    send("p", "/other")
    restart(ON, ', index = "event_id"')
    assert.equal(1, (code("nobody", "--stream other")))
    assert.equal(3, (code("nobody", "--stream events")))
    assert.equal(0, code "p-7")
    assert.same({}, looked("other").holes)
  end)

  it("are none where a policy did not have the stream", function()
    start(ON, ', index = "event_id"')
    send("o", "/other")
    s:stop()
    h.write(s.path, h.policy { workers = 1, server = 'max_body = "1MiB"',
      spool = 'segment = "4MiB"', stream = ON })
    for _ = 1, 2 do
      s:start()
      s:stop()
    end
    restart(ON, ', index = "event_id"')
    assert.equal(1, (code("nobody", "--stream events")))
    assert.equal(0, code "o-7")
  end)

  -- Sinks of a policy before deliver what the stream has left, and the spool removes it.
  for _, c in ipairs { { "with the index on", ON }, { "with the index off", OFF } } do
    it("may be any that left while no policy had the stream, " .. c[1], function()
      start(ON, ', index = "event_id"')
      send("o", "/other")
      restart(c[2], nil, "SIGKILL")
      send("a")
      h.wait_for("the shard to be noted", function()
        return not c[2] or h.read(s.data .. "/spool/events/index/ACCOUNT"):find "shard 2%.0 1 0"
      end)
      s:stop "SIGKILL"
      h.write(s.path, h.policy { workers = 1, server = 'max_body = "1MiB"',
        spool = 'segment = "4MiB"', stream = ON }:gsub('stream "events"', 'stream "others"')
        :gsub('stream = "events"', 'stream = "others"'))
      s:start()
      -- As its retiring sink does, once it is done:
      h.shell(("rm -r '%s'/spool/events/2.0"):format(s.data))
      local id = c[2] and "a-7" or "nobody"
      assert.equal(3, (code(id, "--stream events")))
      s:stop()
      restart(ON, ', index = "event_id"')
      local n, out = code(id, "--stream events")
      assert.equal(3, n)
      assert.matches("hole: stream=events epochs=2%.%.2 events=unknown since=%S+ until=", out)
      send "b"
      assert.equal(0, code "b-7")
    end)
  end

  it("may be any, where the process that found the account damaged was killed", function()
    start(ON)
    send "a"
    s:stop()
    local path = s.data .. "/spool/events/index/ACCOUNT"
    h.write(path, "damaged")
    f:rules "on=write do=kill path=/index/ACCOUNT.new"
    assert.is_false(pcall(s.start, s))
    f:rules()
    assert.is_nil(h.read(path))
    assert.equal(3, (code "nobody"))
    s:start()
    assert.equal(3, (code "nobody"))
    assert.equal(0, code "a-7")
  end)

  it("are none after kill -9 at each step of the account", function()
    start(ON)
    local at = 0
    send "a"
    repeat
      at = at + 1
      s:stop "SIGKILL"
      f:rules(("on=change do=kill path=/events/index/ACCOUNT from=%d"):format(at))
      local killed = not pcall(s.start, s)
      f:rules()
      if killed then
        assert.equal("signal 9", s.code)
        assert.equal(1, (code("nobody", "--stream events")))
        s:start()
      end
      send("k" .. at)
      assert.equal(1, (code("nobody", "--stream events")))
      for i = 1, at do assert.equal(0, (code(("k%d-9"):format(i)))) end
      assert.equal(0, code "a-9")
    until not killed or at == 12
    assert.is_true(at >= 4 and at < 12, "steps " .. at)
  end)

  it("are noted later when the disk takes no account for a while", function()
    start(ON)
    send "a"
    s:stop()
    for _, op in ipairs { "on=write do=ENOSPC", "on=sync do=EIO", "on=rename do=EIO",
      "on=create do=EACCES" } do
      f:rules(op .. " path=/index/ACCOUNT")
      s:start()
      s:logged("event=index_not_noted stream=events")
      f:rules()
      local epoch = tonumber(h.read(s.data .. "/spool/EPOCH"):match("%d+"))
      h.wait_for("the account", function()
        return (h.read(s.data .. "/spool/events/index/ACCOUNT") or "")
          :find("until " .. epoch .. " ", 1, true)
      end)
      assert.equal(1, (code("nobody", "--stream events")))
      s:stop()
    end
  end)

  it("may be any of a process that could note nothing", function()
    start(ON)
    send "a"
    s:stop()
    f:rules "on=write do=EACCES path=/index/"
    for _ = 1, 2 do
      h.write(s.path, policy(OFF))
      s:start()
      s:logged("event=index_not_noted stream=events")
      send "b"
      s:stop()
      assert.equal(3, (code "nobody"))
    end
    f:rules()
    s:start()
    local _, out = code "nobody"
    assert.matches("hole: stream=events epochs=2%.%.2 events=unknown since=%S+ until=", out)
    assert.matches("hole: stream=events epochs=3%.%.3 events=unknown", out)
    assert.equal(0, code "a-7")
    restart(OFF)
    assert.is_nil(h.read(s.data .. "/spool/events/index.unrecorded"))
    assert.equal(3, (code "nobody"))
  end)

  it("may be any of the first process with an index, if it could note nothing", function()
    start(OFF)
    s:stop()
    f:rules "on=write do=EACCES path=/index/"
    restart(ON)
    s:logged("event=index_not_noted stream=events")
    send "a"
    s:stop "SIGKILL"
    assert.equal(3, (code "nobody"))
    f:rules()
    s:start()
    local c, out = code "nobody"
    assert.matches("hole: stream=events epochs=2%.%.2 events=unknown since=%S+ until=", out)
    assert.equal(3, c)
    assert.equal(0, code "a-7")
  end)

  it("are none of a sync that failed before the first event of a process", function()
    start(ON)
    s:stop()
    h.write(s.path, (policy(ON):gsub('ack = "written"', 'ack = "synced"')))
    s:start()
    f:rules "on=sync do=EIO path=/spool/events/"
    assert.not_equal(202, s:post("/v1/events", '{"event_id":"refused"}').status)
    f:rules()
    pass "b"
    local c, out
    -- The refused event's segment may go before the index has come to it.
    h.wait_for("the index to pass it", function()
      c, out = code("nobody", "--stream events")
      return c == 1
    end)
    assert.same({}, looked().holes)
    assert.equal(0, code "b1-7")
    s:stop()
    s:start()
    c, out = code("nobody", "--stream events")
    assert.equal(1, c, out)
  end)

  it("may be any, where the account of them is damaged", function()
    start(ON)
    send "a"
    s:stop()
    local path = s.data .. "/spool/events/index/ACCOUNT"
    local whole = h.read(path)
    assert.equal(1, (code("nobody", "--stream events")))
    for i, text in ipairs { "", whole:sub(1, 40), whole:sub(1, -2),
      (whole:gsub("begin 1", "begin 2")), (whole:gsub("account 1", "account 2")),
      ("#"):rep(100), whole .. whole } do
      h.write(path, text)
      local c, out = code "nobody"
      assert.equal(3, c, i .. " " .. out)
      assert.matches("damaged_files=1", out)
    end
    assert.equal(0, code "a-7")
    s:start()
    s:logged("event=index_damaged stream=events")
    local c, out = code "nobody"
    assert.equal(3, c)
    assert.matches("hole: stream=events epochs=1%.%.2 events=unknown", out)
    assert.equal(0, code "a-7")
    -- No such stream has events or an index.
    assert.equal(3, (code("nobody", "--stream other --field event_id")))
  end)

  it("may be any, where an account of another spool lies", function()
    start(ON)
    s:stop()
    local path = s.data .. "/spool/events/index/ACCOUNT"
    local foreign = h.read(path)
    s:close()
    start(ON)
    s:stop()
    h.write(s.data .. "/spool/events/index/ACCOUNT", foreign)
    s:start()
    s:logged("event=index_damaged stream=events .*another spool")
    assert.equal(3, (code "nobody"))
  end)

  it("are none of those whose process was killed before the field changed", function()
    start(ON)
    send "a"
    restart('index = "key"', nil, "SIGKILL")
    send "b"
    assert.equal(0, code "a-7")
    assert.equal(0, code "kb-7")
    h.wait_for("the file of the process before", function()
      return h.shell(("ls '%s'/spool/events/index"):format(s.data)):find("1.0-1.idx", 1, true)
    end)
    h.wait_for("its shard to go", function()
      send "c"
      return not h.shell(("ls '%s'/spool/events"):format(s.data)):find("1.0", 1, true)
    end, 60)
    assert.equal(0, code "a-7")
  end)

  it("are of the time when they were stored, where each start has a clock behind", function()
    local clock = h.folder() .. "/clock"
    local wrap = h.own_clock(clock)
    h.set_clock(clock, -30 * 86400000)
    s = h.server { dir = h.folder(), wrap = wrap, policy = policy(ON) }
    restart(OFF)
    h.set_clock(clock, 0)
    pass "b"
    s:stop "SIGKILL"
    h.set_clock(clock, -30 * 86400000)
    restart(ON)
    h.set_clock(clock, 0)
    local c, out = code("b1-7", "--since 1h")
    assert.equal(3, c, out)
    assert.matches("hole: stream=events position=2%.0/1%.%.", out)
  end)
end)
