-- What goes wrong while an index is written: the process is killed at each step, the disk
-- fills, the clock jumps back, another process takes over, a file is damaged after its
-- segments are gone. No event is lost, and find never says "not stored" of one that was.
local cjson = require "cjson"
local faults = require "faults"
local h = require "harness"
local upgrades = require "upgrades"

local EVENTS = 5000

local function batch(name)
  local lines = {}
  for i = 1, EVENTS do
    lines[i] = ('{"event_id":"%s-%d","pad":"%s"}'):format(name, i, ("x"):rep(160))
  end
  return "[" .. table.concat(lines, ",") .. "]"
end

describe("an index that is being written", function()
  local s, f, dir
  local function start(wrap)
    dir = h.folder()
    f = faults.new(dir)
    s = h.server { dir = dir, wrap = wrap or f:wrap(), policy = h.policy { workers = 1,
      server = 'max_body = "1MiB", drain = "100ms"', spool = 'segment = "4MiB"',
      stream = 'index = "event_id"' } }
  end
  after_each(function() if s then s:close() s = nil end end)

  local function find(id)
    local out = h.shell(("%s find --id '%s' --json '%s'"):format(h.binary, id, s.data))
    local ok, v = pcall(cjson.decode, out)
    return assert(ok and v, out)
  end

  local function ledger()
    return cjson.decode(h.shell(("%s ledger --json '%s'"):format(h.binary, s.data))).streams[1]
  end

  local function files()
    local list = {}
    for name in h.shell(("ls '%s/spool/events/index'"):format(s.data)):gmatch("[^\n]+") do
      list[#list + 1] = name
    end
    return list
  end

  local function indexed(n)
    h.wait_for(n .. " indexed events", function()
      return s:metric("sluice_index_events_total", 'stream="events"') >= n
    end, 30)
  end

  it("has each acknowledged event once after kill -9 at any step", function()
    start()
    local at, acked, unheard = 0, {}, 0 -- unheard: stored or not, the kill took the answer
    repeat
      at = at + 1
      f:rules(("on=change do=kill thread=index path=/index/ from=%d"):format(at))
      for i = 1, 3 do
        local name = ("k%d.%d"):format(at, i)
        local ok, a = pcall(s.post, s, "/v1/events/batch", batch(name))
        if not ok or not a or a.status ~= 202 then
          unheard = unheard + 1
          break
        end
        acked[#acked + 1] = name
      end
      h.wait_for("the file, or the end", function()
        local e = f:made() == 0 and find(("k%d.1-1"):format(at)).events[1]
        return f:made() > 0 or e and e.indexed
      end, 30)
      local killed = f:made() > 0
      f:rules()
      if killed then
        h.reap(s.pid, 10)
        s.pid = nil
      else
        s:stop "SIGKILL"
      end
      for _, name in ipairs(acked) do assert.equal(1, #find(name .. "-7").events, name) end
      local l = ledger()
      assert.equal(0, l.unknown)
      local more = l.accepted / EVENTS - #acked
      assert.is_true(more % 1 == 0 and more >= 0 and more <= unheard, l.accepted)
      f:reset()
      s:start()
    until not killed or at == 12
    assert.is_true(at >= 4)
    for _, name in ipairs(files()) do assert.is_nil(name:find("%.idx%.new$"), name) end
  end)

  it("is written later when the disk is full for a while", function()
    start()
    f:rules "on=write do=ENOSPC path=/index/"
    for i = 1, 4 do assert.equal(202, s:post("/v1/events/batch", batch("d" .. i)).status) end
    s:logged("event=index_not_written stream=events .*No space left")
    for i = 1, 4 do assert.equal(1, #find(("d%d-1"):format(i)).events) end
    f:rules()
    s:logged("event=index_written stream=events")
    assert.equal(0, s:metric("sluice_index_dropped_events_total", 'stream="events"'))
    assert.equal(4 * EVENTS, ledger().accepted)
  end)

  it("has no hole where a sync failed of more events than a file has", function()
    dir = h.folder()
    f = faults.new(dir)
    s = h.server { dir = dir, wrap = f:wrap(), policy = h.policy { workers = 1, ack = "synced",
      server = 'max_body = "1MiB", max_events = 50000', stream = 'index = "event_id"' } }
    assert.equal(202, s:post("/v1/events", '{"event_id":"before"}').status)
    f:rules "on=sync do=hang path=/spool/events/1.0"
    local body = "[" .. ('{"event_id":"v"},'):rep(49999) .. '{"event_id":"v"}]'
    local clients = {}
    for i = 1, 6 do
      clients[i] = h.connect(s.port, 60)
      clients[i]:send(("POST /v1/events/batch HTTP/1.1\r\nHost: t\r\nContent-Type: "
        .. "application/json\r\nContent-Length: %d\r\n\r\n%s"):format(#body, body))
    end
    h.wait_for("events that wait", function()
      return s:metric "sluice_waiting_events" == 300000
    end)
    f:rules "on=sync do=EIO path=/spool/events/1.0"
    for i = 1, 6 do
      assert.equal(503, h.answer(clients[i]).status)
      clients[i]:close()
    end
    f:rules()
    h.wait_for("syncs to work", function()
      return s:post("/v1/events", '{"event_id":"after"}').status == 202
    end)
    indexed(2)
    assert.equal(0, s:stop())
    for _ = 1, 2 do
      local v = find "v"
      assert.same({ 0, 0, 0 }, { #v.events, #v.looked[1].holes, v.looked[1].unknown_events })
      assert.same({ 1, 1 }, { #find "before".events, #find "after".events })
      s:start()
      assert.equal(0, s:stop())
    end
  end)

  it("has the events of before and after a clock that jumps back", function()
    local clock = h.folder() .. "/clock"
    start(h.own_clock(clock))
    for i = 1, 3 do s:post("/v1/events/batch", batch("a" .. i)) end
    h.set_clock(clock, -2 * 3600 * 1000)
    for i = 1, 3 do s:post("/v1/events/batch", batch("b" .. i)) end
    indexed(6 * EVENTS)
    assert.equal(0, s:stop())
    for _, name in ipairs { "a1", "a3", "b1", "b3" } do
      local got = find(name .. "-9")
      assert.same({ 1, true }, { #got.events, got.events[1].indexed })
    end
    local l = ledger()
    assert.same({ 6 * EVENTS, 0 }, { l.accepted, l.unknown })
    assert.is_true(#cjson.decode(h.shell(("%s ledger --all --json '%s'"):format(h.binary,
      s.data))).streams[1].minutes >= 2)
  end)

  it("is whole when another process takes over meanwhile", function()
    start()
    f:rules "on=write do=delay ms=700 path=/index/ thread=index"
    for i = 1, 3 do s:post("/v1/events/batch", batch("u" .. i)) end
    upgrades.upgrade(s)
    for i = 4, 6 do s:post("/v1/events/batch", batch("u" .. i)) end
    f:rules()
    h.wait_for("the index of both", function()
      return find("u1-1").events[1].indexed and find("u6-1").events[1]
    end, 30)
    for i = 1, 6 do assert.equal(1, #find(("u%d-77"):format(i)).events) end
    local l = ledger()
    assert.same({ 6 * EVENTS, 0, 0 }, { l.accepted, l.unknown, l.damaged_files })
  end)

  it("never says of an event that it was not stored, when a file of it is damaged",
    function()
      start()
      local n = 0
      h.wait_for("the segments of delivered events to go", function()
        for _ = 1, 2 do
          n = n + 1
          s:post("/v1/events/batch", batch("old" .. n))
        end
        local e = find "old1-7".events[1]
        return e and not e.certain
      end, 60)
      local function code(id)
        return h.shell(("%s find --id '%s' '%s'; echo code=$?"):format(h.binary, id, s.data))
      end
      assert.matches("was not found\n.*code=1", code "nobody")
      local first = s.data .. "/spool/events/index/1.0-1.idx"
      local whole = h.read(first)
      for _, text in ipairs { whole:sub(1, 5000), whole:sub(1, 100), "" } do
        h.write(first, text)
        assert.matches("was not found, but it may have been stored: not all could be looked at\n"
          .. ".*damaged_files=1 .*code=3", code "old1-7")
      end
      -- Some groups of ids: those in the others are found.
      h.write(first, whole:sub(1, 30000) .. ("oops"):rep(5000) .. whole:sub(50001))
      local of = { 0, 0 }
      for i = 1, 150 do
        local c = tonumber(code("old1-" .. i * 33):match("code=(%d)"))
        assert.is_true(c == 0 or c == 3, "code " .. c)
        of[c == 0 and 1 or 2] = of[c == 0 and 1 or 2] + 1
      end
      assert.is_true(of[1] > 0 and of[2] > 0, of[1] .. " " .. of[2])
    end)

  it("leaves a gap that find tells, where the disk took no file", function()
    start()
    local n = 0
    h.wait_for("the segments of delivered events to go", function()
      for _ = 1, 2 do
        n = n + 1
        s:post("/v1/events/batch", batch("g" .. n))
      end
      -- So many that the second file's events left, too.
      local e = find("g6-7").events[1]
      return e and not e.certain
    end, 60)
    local list = {}
    for name in h.shell(("ls -v '%s'/spool/events/index/*.idx"):format(s.data)):gmatch("%S+") do
      list[#list + 1] = name
    end
    assert.is_true(#list >= 2)
    os.remove(list[2]) -- as if it had never been written
    assert.matches("not all could be looked at.*unknown_events=%d+ .*code=3",
      h.shell(("%s find --id nobody '%s'; echo code=$?"):format(h.binary, s.data)))
  end)

  -- Events whose segments are gone, and a server that has set their index aside.
  it("never says so when the last file of a shard was set aside at a start", function()
    start()
    assert.equal(202, s:post("/v1/events/batch", batch "last").status)
    assert.equal(0, s:stop())
    local shard = s.data .. "/spool/events/1.0"
    local file = s.data .. "/spool/events/index/1.0-1.idx"
    local function code(args)
      return h.shell(("%s %s '%s'; echo code=$?"):format(h.binary, args, s.data))
    end
    assert.matches("code=0", code "ledger")
    local whole = h.read(file)
    h.shell(("mv '%s' '%s/gone'"):format(shard, s.data))
    assert.matches("code=0", code "ledger")
    h.write(file, whole:sub(1, 5000))
    assert.matches("damaged_files=1\n.*code=1", code "ledger")
    s:start()
    s:logged("event=index_damaged stream=events")
    assert.matches("not all could be looked at.*damaged_files=1 .*code=3", code "find --id last-7")
    assert.matches("damaged_files=1\n.*code=1", code "ledger")
    assert.equal(1, ledger().damaged_files)
    -- It goes at the first start after `keep`.
    assert.equal(0, s:stop())
    h.shell(("touch -d '8 days ago' '%s.damaged'"):format(file))
    s:start()
    assert.is_nil(h.read(file .. ".damaged"))
    -- The events are not that old: a hole names them.
    local out = code "find --id last-7"
    assert.is_nil(out:find "damaged_files")
    assert.matches("hole: stream=events position=1%.0/1%.%.5000 .*code=3", out)
  end)

  it("does not say that all is well when no journal tells", function()
    start()
    s:post("/v1/events/batch", batch "z")
    s:stop("SIGKILL")
    h.shell(("rm '%s'/spool/sinks/*.journal"):format(s.data))
    assert.matches("unread: no sink has a record of the stream.*code=1",
      h.shell(("%s ledger '%s'; echo code=$?"):format(h.binary, s.data)))
  end)

  it("tells of damaged bytes that no index file has", function()
    start()
    for i = 1, 3 do s:post("/v1/events/batch", batch("x" .. i)) end
    assert.equal(1, #find("x2-7").events)
    s:stop("SIGKILL")
    h.shell(("rm -f '%s'/spool/events/index/*.idx"):format(s.data))
    local path = h.shell(("ls '%s'/spool/events/1.0/*.seg"):format(s.data)):match("%S+")
    local bytes = h.read(path)
    local at = assert(bytes:find("x2-4000", 1, true))
    h.write(path, bytes:sub(1, at - 1) .. "#" .. bytes:sub(at + 1))
    local function code(args)
      return h.shell(("%s %s '%s'; echo code=$?"):format(h.binary, args, s.data))
    end
    assert.matches("not all could be looked at.*unknown_events=%d+ .*code=3",
      code "find --id x2-4000")
    assert.matches("code=1", code "ledger")
  end)

  it("tells of a segment that is no longer one", function()
    start()
    s:post("/v1/events/batch", batch "y")
    s:stop("SIGKILL")
    h.shell(("rm -f '%s'/spool/events/index/*.idx"):format(s.data))
    local path = h.shell(("ls '%s'/spool/events/1.0/*.seg"):format(s.data)):match("%S+")
    h.write(path, ("#"):rep(1000))
    local function code(args)
      return h.shell(("%s %s '%s'; echo code=$?"):format(h.binary, args, s.data))
    end
    assert.matches("not all could be looked at.*unread_segments=1 .*code=3", code "find --id y-7")
    assert.matches("unread_segments=1\n.*code=1", code "ledger")
  end)
end)
