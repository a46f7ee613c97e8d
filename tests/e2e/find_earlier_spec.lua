-- What a stream had before its index was switched on, and what a stream had that left the
-- policy without one: sluice find and sluice ledger say since when they know, not "not found".
local cjson = require "cjson"
local h = require "harness"

describe("events that left the spool", function()
  local s
  after_each(function() if s then s:close() s = nil end end)

  local ON = 'index = "event_id"'
  local OTHER = 'stream "other" { sinks = { "archive" }, %s }\n'
    .. 'route "POST /other" { body = "event", stream = "other" }'

  local function policy(on, top)
    return h.policy { workers = 1, server = 'max_body = "1MiB", drain = "100ms"',
      spool = 'segment = "4MiB"', stream = on, top = top }
  end

  local function run(command)
    local out = h.shell(("%s %s '%s' 2>&1; echo code=$?"):format(h.binary, command, s.data))
    return tonumber(out:match("code=(%d+)")), out
  end

  local function find(id, args)
    return run(("find --id %s --stream events %s"):format(id, args or ""))
  end

  local function restart(text)
    assert.equal(0, s:stop())
    if text then h.write(s.path, text) end
    s:start()
  end

  local function reload(text)
    h.write(s.path, text)
    assert.equal(200, s:reload().status)
  end

  local function send(id, path)
    assert.equal(202, s:post(path or "/v1/events", ('{"event_id":"%s"}'):format(id)).status)
    s:deliver()
  end

  local function gone(shard)
    h.wait_for("the segments to go", function()
      return not h.shell(("%s inspect '%s'"):format(h.binary, s.data)):find(
        "shard=" .. shard, 1, true)
    end)
  end

  local function second()
    local begun = h.now()
    h.wait_for("a second", function() return h.now() > begun + 1.1 end)
  end

  it("in a process before the index are in doubt up to its beginning", function()
    s = h.server { policy = policy() }
    send "old"
    restart()
    gone "1.0"
    restart(policy(ON))
    send "new"
    for _ = 1, 2 do
      local code, out = find "old"
      assert.equal(3, code, out)
      assert.matches("hole: stream=events epochs=1%.%.2 events=unknown until=%S+ why=", out)
      code, out = run "ledger"
      assert.equal(1, code, out)
      assert.matches("hole: stream=events epochs=1%.%.2 ", out)
      assert.equal(0, (find "new"))
      restart()
    end
    second()
    assert.equal(1, (find("old", "--since 1s")))
  end)

  it("in a process whose index was deleted by hand are in doubt, too", function()
    s = h.server { policy = policy(ON) }
    send "old"
    restart()
    gone "1.0"
    assert.equal(0, (find "old"))
    assert.equal(0, s:stop())
    h.shell(("rm -r '%s/spool/events/index'"):format(s.data))
    s:start()
    local code, out = find "old"
    assert.equal(3, code, out)
  end)

  it("before a reload that switched the index on are named with their places", function()
    s = h.server { policy = policy() }
    local lines = {}
    for i = 1, 5000 do
      lines[i] = ('{"event_id":"b%d","pad":"%s"}'):format(i, ("x"):rep(160))
    end
    h.wait_for("the first segment to go", function()
      s:post("/v1/events/batch", "[" .. table.concat(lines, ",") .. "]")
      return not h.shell(("ls '%s/spool/events/1.0'"):format(s.data)):find("0000000001.seg", 1,
        true)
    end, 60)
    s:deliver()
    reload(policy(ON))
    s:deliver()
    local code, out = find "nobody"
    assert.equal(3, code, out)
    assert.matches("hole: stream=events position=1%.0/1%.%.%d+ events=%d+ until=%S+ "
      .. 'why="the stream had no index"', out)
  end)

  it("are none where the stream is new, in whatever process", function()
    s = h.server { policy = policy(ON) }
    send "e1"
    assert.equal(1, (find "nobody"))
    restart()
    reload(policy(ON, OTHER:format(ON)))
    send("o1", "/other")
    assert.equal(1, (run "find --id nobody"))
    assert.equal(0, (run "ledger"))
    restart(policy(ON, OTHER:format(ON) .. OTHER:gsub("other", "third"):format(ON)))
    send("t1", "/third")
    gone "1.0"
    assert.equal(1, (run "find --id nobody"))
    assert.equal(0, (run "ledger"))
    for _, id in ipairs { "e1", "o1", "t1" } do assert.equal(0, (run("find --id " .. id))) end
  end)

  it("are in doubt on a spool of an earlier version, which noted no streams", function()
    s = h.server { policy = policy() }
    send "old"
    assert.equal(0, s:stop())
    os.remove(s.data .. "/spool/STREAMS")
    s:start()
    gone "1.0"
    restart(policy(ON))
    local code, out = find "old"
    assert.equal(3, code, out)
  end)

  for _, how in ipairs { "reload", "restart" } do
    it("of a stream that left the policy at a " .. how .. " are in doubt up to then", function()
      s = h.server { policy = policy(ON, OTHER:format "") }
      send("old", "/other");
      (how == "reload" and reload or restart)(policy(ON))
      restart()
      gone "1.0"
      local code, out = run "find --id old"
      assert.equal(3, code, out)
      assert.matches("looked: stream=other left the policy at %S+, without an index", out)
      assert.same({ "other" }, cjson.decode(h.shell(("%s ledger --json '%s'"):format(h.binary,
        s.data))).unindexed)
      second()
      code, out = run "find --id old --since 1s"
      assert.equal(1, code, out)
      -- It comes back with an index.
      restart(policy(ON, OTHER:format(ON)))
      code, out = run "find --id old --stream other"
      assert.equal(3, code, out)
      assert.matches("hole: stream=other epochs=", out)
    end)
  end
end)
