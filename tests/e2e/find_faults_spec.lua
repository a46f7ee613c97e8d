-- sluice find on a disk that fails a call of it: whichever that is, find never says "not
-- found" of an event that was stored.
local faults = require "faults"
local h = require "harness"

describe("sluice find", function()
  local s, f
  local function batch(name)
    local lines = {}
    for i = 1, 5000 do
      lines[i] = ('{"event_id":"%s-%d","pad":"%s"}'):format(name, i, ("x"):rep(160))
    end
    return "[" .. table.concat(lines, ",") .. "]"
  end

  setup(function()
    local dir = h.folder()
    f = faults.new(dir)
    s = h.server { dir = dir, policy = h.policy { workers = 1,
      server = 'max_body = "1MiB", drain = "100ms"', spool = 'segment = "4MiB"',
      stream = 'index = "event_id"' } }
    h.wait_for("the first segment to go", function()
      s:post("/v1/events/batch", batch "a")
      return not h.read(s.data .. "/spool/events/1.0/0000000001.seg")
        or h.shell(("%s find --id a-7 '%s'"):format(h.binary, s.data)):find "its segment is gone"
    end, 60)
    s:post("/v1/events", '{"event_id":"last"}')
    s:stop "SIGKILL"
  end)
  teardown(function() if s then s:close() end end)

  local function code(id)
    local out = h.shell(("%s %s find --id %s '%s' 2>&1; echo code=$?"):format(
      table.concat(f:wrap(), " "), h.binary, id, s.data))
    return tonumber(out:match("code=(%d+)")), out
  end

  ---Each call of that kind fails, one a search.
  local function fails(op, id)
    assert.equal(0, code(id))
    local at = 0
    repeat
      at = at + 1
      f:reset()
      f:rules(("on=%s do=EIO path=/data/ from=%d times=1"):format(op, at))
      local c, out = code(id)
      assert.is_true(c == 0 or c == 2 or c == 3, ("%s %d: %s"):format(op, at, out))
      local made = f:made()
      f:rules()
    until made == 0 or at == 400
    assert.is_true(at > 8 and at < 400, at)
  end

  for _, op in ipairs { "list", "open", "read", "stat" } do
    for _, id in ipairs { "a-7", "last" } do
      it(("never says that %s was not stored, whichever %s fails"):format(id, op), function()
        fails(op, id)
      end)
    end
  end

  it("never says it of a stream whose segments are all gone, whichever list fails", function()
    h.shell(("rm -r '%s/spool/events/1.0'"):format(s.data))
    fails("list", "a-7")
  end)
end)

describe("a journal that is damaged", function()
  local s
  after_each(function() if s then s:close() s = nil end end)

  it("is not read, and makes no event lost, whichever byte is wrong", function()
    s = h.server { policy = h.policy { workers = 1, stream = 'index = "event_id"' } }
    for i = 1, 3 do
      for k = 1, 2 do s:post("/v1/events", ('{"event_id":"e%d-%d"}'):format(i, k)) end
      s:deliver()
      assert.equal(0, s:stop())
      if i < 3 then s:start() end
    end
    local path = s.data .. "/spool/sinks/archive.journal"
    local whole, unread = h.read(path), 0
    -- The last record may be one that a crash has cut.
    for at = 1, #whole - 1, 5 do
      local byte = string.char((whole:byte(at) + 64) % 256)
      h.write(path, whole:sub(1, at - 1) .. byte .. whole:sub(at + 1))
      local ledger = h.shell(("%s ledger '%s' 2>&1"):format(h.binary, s.data))
      local found = h.shell(("%s find --id e1-1 '%s' 2>&1"):format(h.binary, s.data))
      for _, out in ipairs { ledger, found } do
        assert.not_matches("lost", out, "byte " .. at)
        if out:find("unread: archive", 1, true) then
          assert.matches("the journal is damaged at byte %d+ of %d+", out)
          unread = unread + 1
        end
      end
    end
    assert.is_true(unread > #whole / 5, unread)
  end)
end)
