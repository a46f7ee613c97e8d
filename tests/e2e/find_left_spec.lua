-- sluice find where it can't know: events that left the spool without an index of their ids.
-- Then it never says "not found".
local cjson = require "cjson"
local faults = require "faults"
local h = require "harness"

describe("sluice find, of events that left the spool,", function()
  local s, f
  setup(function()
    local dir = h.folder()
    f = faults.new(dir)
    s = h.server { dir = dir, policy = h.policy { workers = 1, server = 'drain = "100ms"',
      stream = 'index = "event_id"',
      top = 'stream "none" { sinks = { "archive" } }\n'
        .. 'stream "misspelt" { sinks = { "archive" }, index = "evnt_id" }\n'
        .. 'route "POST /none" { body = "event", stream = "none" }\n'
        .. 'route "POST /misspelt" { body = "event", stream = "misspelt" }' } }
    s:post("/none", '{"k":"e1"}')
    s:post("/misspelt", '{"event_id":"e2"}')
    s:post("/v1/events", '{"event_id":"e3"}')
    s:deliver()
  end)
  teardown(function() if s then s:close() end end)

  local function find(id, args)
    local out = h.shell(("%s %s find --id '%s' %s '%s' 2>&1; echo code=$?"):format(
      table.concat(f:wrap(), " "), h.binary, id, args or "", s.data))
    return tonumber(out:match("code=(%d+)")), out
  end

  ---Only the folders of their shards are left.
  local function restart()
    assert.equal(0, s:stop())
    s:start()
    h.wait_for("the segments to go", function()
      return not h.shell(("%s inspect '%s'"):format(h.binary, s.data)):find "shard=1%.0"
    end)
  end

  it("doubts a field that the policy misspells, also once the index has the events", function()
    assert.equal(3, (find("e2", "--stream misspelt")))
    restart()
    local code, out = find("e2", "--stream misspelt")
    assert.equal(3, code)
    assert.matches("field=evnt_id indexed_events=1 .* strange_field=true", out)
    -- Nor does it say so where all events had another field.
    code, out = find("e2", "--stream misspelt --field event_id")
    assert.equal(3, code)
    assert.matches("left_spool=true", out)
  end)

  it("doubts a field that a reload misspells, though the files of before have ids", function()
    local d = h.server { policy = h.policy { workers = 1, server = 'drain = "100ms"',
      stream = 'index = "event_id"' } }
    finally(function() d:close() end)
    local function code(id)
      return tonumber(h.shell(("%s find --id %s '%s'; echo code=$?"):format(h.binary, id,
        d.data)):match("code=(%d+)"))
    end
    d:post("/v1/events", '{"event_id":"a1"}')
    d:deliver()
    h.write(d.path, h.policy { workers = 1, server = 'drain = "100ms"',
      stream = 'index = "evnt_id"' })
    assert.equal(200, d:reload().status)
    d:post("/v1/events", '{"event_id":"b1"}')
    d:deliver()
    assert.equal(0, d:stop())
    d:start()
    assert.equal(0, code "a1")
    h.wait_for("the segments to go", function()
      return not h.shell(("%s inspect '%s'"):format(h.binary, d.data)):find "shard=1%.0"
    end)
    assert.equal(3, code "b1")
  end)

  it("names a stream without an index that has no segment any more", function()
    local code, out = find "e1"
    assert.equal(3, code)
    assert.matches("looked: stream=none has no index", out)
    assert.equal(3, (find("e1", "--stream none")))
    assert.same({ "none" }, cjson.decode(h.shell(("%s ledger --json '%s'"):format(h.binary,
      s.data))).unindexed)
    code, out = find("e1", "--stream none --field k --json")
    assert.equal(3, code)
    local l = cjson.decode((out:gsub("code=%d+\n$", ""))).looked[1]
    assert.same({ "none", true, false, 0 }, { l.stream, l.left_spool, l.by_index,
      l.read_events })
  end)

  it("says so of a period in which none can have left", function()
    s:post("/none", '{"k":"e4"}')
    local begun = h.now()
    assert.equal(0, (find("e4", "--stream none --field k")))
    assert.equal(3, (find("e1", "--stream none --field k")))
    h.wait_for("the period to begin after the process", function()
      return h.now() > begun + 1.1
    end)
    assert.equal(1, (find("e1", "--stream none --field k --since 1s")))
  end)

  it("has no doubt where the index has ids, for an event without one", function()
    s:post("/v1/events", '{"k":"without"}')
    local code, out = find("nobody", "--stream events")
    assert.equal(1, code)
    assert.matches("read_events=1\n", out)
  end)

  it("never says that an event was not stored, whichever call fails", function()
    for _, op in ipairs { "list", "open", "stat" } do
      local at = 0
      repeat
        at = at + 1
        f:reset()
        f:rules(("on=%s do=EIO path=/data/ from=%d times=1"):format(op, at))
        local code, out = find("e1", at % 2 == 0 and "--field k" or "")
        local made = f:made()
        f:rules()
        assert.equal(3, code, ("%s %d: %s"):format(op, at, out))
      until made == 0 or at == 200
      assert.is_true(at > 5 and at < 200, at)
    end
  end)

  it("says so of a spool that has no stream at all", function()
    assert.equal(0, s:stop())
    h.shell(("cd '%s/spool' && rm -r none misspelt events"):format(s.data))
    local code, out = find "e1"
    assert.equal(3, code)
    assert.matches("looked: no stream has events or an index here", out)
  end)
end)
