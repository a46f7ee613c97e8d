-- Events that were refused after a failed sync, or whose bytes a power cut took: sluice find
-- and sluice ledger call none of them accepted, lost or pending as if nothing had happened.
local cjson = require "cjson"
local faults = require "faults"
local h = require "harness"
local receiver = require "receiver"

describe("an event that was written and is not stored", function()
  local s, f
  local function start(o)
    local dir = h.folder()
    f = faults.new(dir)
    local policy = h.policy { workers = 1, ack = o.ack, stream = 'index = "event_id"',
      server = 'max_body = "4MiB", drain = "100ms"', spool = 'segment = "16MiB"', top = o.top }
    s = h.server { dir = dir, wrap = f:wrap(),
      policy = o.top and policy:gsub('file "archive"[^\n]+', ""):gsub('"archive"', '"down"')
        or policy }
  end
  after_each(function() if s then s:close() s = nil end end)

  local function find(id)
    local out = h.shell(("%s find --id '%s' --json '%s'"):format(h.binary, id, s.data))
    local ok, v = pcall(cjson.decode, out)
    return assert(ok and v, out)
  end

  local function said_of(id)
    return h.shell(("%s find --id '%s' '%s'"):format(h.binary, id, s.data))
  end

  local function ledger()
    return cjson.decode(h.shell(("%s ledger --json '%s'"):format(h.binary, s.data))).streams[1]
  end

  local function post(id) return s:post("/v1/events", ('{"event_id":"%s"}'):format(id)) end

  local function next_segment()
    h.wait_for("the next segment", function()
      return h.shell(("ls '%s/spool/events/1.0'"):format(s.data)):find "2.seg"
        and not h.shell(("head -c 8 '%s/spool/events/1.0/0000000002.seg'"):format(s.data))
          :find "^%z"
    end)
  end

  local function state(id) return find(id).events[1].sinks[1].state end

  local function confirmed(id)
    h.wait_for("the archive to have " .. id, function() return state(id) == "confirmed" end)
  end

  it("is not found once the next segment says that it was refused, also after kill -9", function()
    start { ack = "synced" }
    assert.equal(202, post("before").status)
    -- It is deleted when the sync fails: the next one has another number.
    next_segment()
    f:rules "on=sync do=EIO path=/spool/events/1.0"
    assert.equal(503, post("refused").status)
    f:rules()
    h.wait_for("syncs to work", function() return post("after").status == 202 end)
    confirmed "after"
    local function told()
      local v, l = find "refused", ledger()
      assert.same({ 0, 0 }, { #v.events, v.looked[1].unknown_events })
      assert.same({ 2, 0, 0, 2 }, { l.accepted, l.unknown, l.unsure, l.sinks.archive.confirmed })
      assert.same({ 1, 1 }, { #find "before".events, #find "after".events })
      return v.looked[1].refused_events
    end
    assert.equal(1, told())
    assert.matches("was not found\n.* refused_events=1 %(a sync failed", said_of "refused")
    s:stop "SIGKILL"
    assert.equal(1, told())
    s:start()
    told()
  end)

  it("is not found either when a kill comes between the deletions of these segments", function()
    start { ack = "synced" }
    assert.equal(202, post("before").status)
    next_segment()
    f:rules "on=sync do=EIO path=/spool/events/1.0"
    assert.equal(503, post("refused").status)
    f:rules()
    h.wait_for("syncs to work", function() return post("after").status == 202 end)
    confirmed "after"
    s:stop "SIGKILL"
    for _, number in ipairs { 1, 3 } do
      f:rules(("on=unlink do=kill path=/spool/events/1.0/000000000%d.seg"):format(number))
      s:start(true)
      h.wait_for("the kill", function() return s:ended() end)
      assert.equal(0, #find "refused".events)
    end
    f:rules()
    s:start()
    assert.equal(0, #find "refused".events)
  end)

  it("gets to no sink that was behind when the process was killed", function()
    start { ack = "synced" }
    local archive = s.data .. "/archive"
    h.block(archive, archive .. ".away")
    assert.equal(202, post("before").status)
    next_segment()
    f:rules "on=sync do=EIO path=/spool/events/1.0"
    assert.equal(503, post("refused").status)
    f:rules()
    h.wait_for("syncs to work", function() return post("after").status == 202 end)
    s:stop "SIGKILL"
    h.block(archive .. ".away", archive)
    s:start()
    s:deliver()
    assert.equal(0, s:stop())
    assert.same({ '{"event_id":"before"}', '{"event_id":"after"}' }, s:lines())
  end)

  it("is unsure as long as no segment follows", function()
    start { ack = "synced" }
    assert.equal(202, post("before").status)
    f:rules "on=sync do=EIO path=/spool/events/1.0"
    assert.equal(503, post("refused").status)
    local function told()
      assert.same({ false, true },
        { find "before".events[1].unsure, find "refused".events[1].unsure })
      assert.matches(" unsure: a sync failed, and its client may have been told", said_of "refused")
      assert.equal(1, ledger().unsure)
    end
    told()
    s:stop "SIGKILL"
    told()
  end)

  it("is refused, not lost, where the next segment was in use when the sync failed", function()
    start { ack = "synced" }
    assert.equal(202, post("before").status)
    next_segment()
    f:rules "on=sync do=hang path=/spool/events/1.0/0000000001.seg"
    local clients = {}
    for i = 1, 5 do
      local body = ('[{"event_id":"r%d","pad":"%s"}]'):format(i, ("x"):rep(3500000))
      clients[i] = h.connect(s.port, 60)
      clients[i]:send(("POST /v1/events/batch HTTP/1.1\r\nHost: t\r\nContent-Type: "
        .. "application/json\r\nContent-Length: %d\r\n\r\n%s"):format(#body, body))
      h.wait_for("an event that waits", function()
        return s:metric "sluice_waiting_events" == i
      end)
    end
    h.wait_for("the next segment to be in use", function()
      return h.shell(("%s inspect '%s/spool'"):format(h.binary, s.data))
        :find "segment=2 first=[1-9]%d* events=[1-9]"
    end)
    local stays = "on=unlink do=EIO path=/spool/events/1.0" -- the segment, to be looked at
    f:rules("on=sync do=EIO path=/spool/events/1.0/0000000001.seg\n" .. stays)
    assert.equal(503, h.answer(clients[1]).status)
    for i = 1, 5 do clients[i]:close() end
    f:rules(stays)
    h.wait_for("syncs to work", function() return post("after").status == 202 end)
    confirmed "after"
    s:stop "SIGKILL"
    assert.equal("refused", state "r1")
    assert.is_true(find "r1".events[1].unsure)
    local l = ledger().sinks.archive
    assert.is_true(l.refused > 0)
    assert.equal(0, l.lost)
  end)

  ---Zeros in the place of the shard's second block and all that follows it.
  local function cut_second()
    local path = s.data .. "/spool/events/1.0/0000000001.seg"
    local bytes = assert(h.read(path))
    local second = assert(bytes:find("\255SLB", bytes:find("\255SLB", 1, true) + 1, true))
    local file = assert(io.open(path, "r+b"))
    file:seek("set", second - 1)
    file:write(("\0"):rep(#bytes - second + 1))
    file:close()
  end

  it("is lost also if a batch was planned of it before the power cut", function()
    local r = receiver.start()
    finally(function() r:close() end)
    r:rule "status 503"
    start { top = ([[http "down" { url = %q,
      batch = { target = 2, min = 2, max = 2, linger = "10s" } }]]):format(r.url) }
    assert.equal(202, post("kept").status)
    assert.equal(202, post("gone").status)
    h.wait_for("a try", function() return (h.read(r.dir .. "/requests.ndjson") or "") ~= "" end)
    s:stop "SIGKILL"
    cut_second()
    r:rule ""
    s:start()
    s:deliver()
    h.wait_for("the loss", function() return s:metric("sluice_sink_lost_events") == 1 end)
    assert.equal("confirmed", state "kept")
    local events = h.read(r.dir .. "/events.ndjson")
    assert.matches('"kept"', events)
    assert.is_nil(events:find '"gone"')
  end)

  it("is lost, not pending, at the first start after a power cut took the shard's end", function()
    start { top = 'kafka "down" { brokers = "127.0.0.1:1", topic = "events" }' }
    assert.equal(202, post("kept").status)
    assert.equal(202, post("gone").status)
    assert.equal(0, s:stop())
    assert.is_true(find "gone".events[1].indexed)
    cut_second()
    s:start()
    for _ = 1, 2 do
      assert.same({ "pending", "lost" }, { state "kept", state "gone" })
      local l = ledger()
      assert.same({ 2, 1, 1 }, { l.accepted, l.sinks.down.pending, l.sinks.down.lost })
      assert.equal(0, s:stop())
      s:start()
    end
  end)
end)
