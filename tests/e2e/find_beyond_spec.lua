-- Events whose bytes are gone from the end of a shard, by a power cut or damage, before the
-- index had them, while a sink has them: sluice find and sluice ledger know that they were.
local cjson = require "cjson"
local h = require "harness"

describe("an event that a sink has and the spool lost", function()
  local s
  after_each(function() if s then s:close() s = nil end end)

  local function run(command)
    local out = h.shell(("%s %s '%s' 2>/dev/null; echo code=$?"):format(h.binary, command,
      s.data))
    return tonumber(out:match("code=(%d+)")), cjson.decode((out:gsub("code=%d+\n$", "")))
  end

  local function unknown(n)
    local code, v = run "find --id e5 --stream events --json"
    assert.same({ n > 0 and 3 or 1, 0, n }, { code, #v.events, v.looked[1].unknown_events })
    code, v = run "ledger --stream events --json"
    assert.same({ n > 0 and 1 or 0, n }, { code, v.streams[1].unknown })
  end

  ---Three blocks: e1 to e3, e4 to e6, e7 to e9; all in the archive. Then the process is
  ---killed, and the file loses what f makes of it.
  local function lose(f)
    s = h.server { policy = h.policy { workers = 1, stream = 'index = "event_id"' } }
    for i = 1, 7, 3 do
      s:post("/v1/events/batch", ('[{"event_id":"e%d"},{"event_id":"e%d"},{"event_id":"e%d"}]')
        :format(i, i + 1, i + 2))
    end
    s:deliver()
    s:stop "SIGKILL"
    assert.equal(0, (run "find --id e5 --stream events --json"))
    local path = s.data .. "/spool/events/1.0/0000000001.seg"
    local bytes = h.read(path)
    local second = assert(bytes:find('{"event_id":"e4"}', 1, true))
    h.write(path, f(bytes, second))
  end

  local function zeros(bytes, at)
    return bytes:sub(1, at - 1) .. ("\0"):rep(#bytes - at + 1)
  end

  it("is unknown, not \"not found\", where a power cut took the end of its shard", function()
    lose(function(bytes, at) return zeros(bytes, at - 64) end)
    unknown(6)
    s:start()
    h.wait_for("the index of the earlier process", function()
      return h.shell(("ls '%s/spool/events/index'"):format(s.data)):find "1%.0%-1%.idx"
    end)
    unknown(6)
    assert.equal(0, (run "find --id e3 --stream events --json"))
    -- None of them came in the last second.
    local begun = h.now()
    h.wait_for("a second", function() return h.now() > begun + 1.1 end)
    assert.equal(1, (run "find --id e5 --stream events --since 1s --json"))
  end)

  it("is unknown where the last block is damaged, and no other is", function()
    lose(function(bytes)
      local last = assert(bytes:find('{"event_id":"e9"}', 1, true))
      return bytes:sub(1, last + 12) .. "X" .. bytes:sub(last + 14)
    end)
    local code, v = run "find --id e9 --stream events --json"
    assert.same({ 3, 3 }, { code, v.looked[1].unknown_events })
    assert.equal(0, (run "find --id e5 --stream events --json"))
  end)

  it("is in doubt where the journal of the sink that had it is damaged, too", function()
    lose(function(bytes, at) return zeros(bytes, at - 64) end)
    local path = s.data .. "/spool/sinks/archive.journal"
    local bytes = h.read(path)
    local middle = math.floor(#bytes / 2)
    h.write(path, bytes:sub(1, middle) .. string.char(255 - bytes:byte(middle + 1))
      .. bytes:sub(middle + 2))
    local code, v = run "find --id e5 --stream events --json"
    assert.same({ 3, 0, 1 }, { code, #v.events, #v.unread })
    assert.matches("archive.journal: the journal is damaged", v.unread[1], 1, true)
    assert.matches('id="e5" was not found, but it may have been stored: not all could be looked at',
      h.shell(("%s find --id e5 --stream events '%s'"):format(h.binary, s.data)), 1, true)
    code, v = run "find --id e2 --stream events --json"
    assert.same({ 0, 1 }, { code, #v.events })
    assert.equal(1, (run "ledger --stream events --json"))
  end)

  it("is not looked for where no byte is lost", function()
    lose(function(bytes) return bytes end)
    local code, v = run "find --id nobody --stream events --json"
    assert.same({ 1, 0 }, { code, v.looked[1].unknown_events })
    assert.equal(0, (run "ledger --stream events --json"))
  end)
end)
