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

  local BOTH = policy(ON, OTHER:format "")

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

  ---Nothing leaves the spool until `give` is called.
  local function hold()
    local dir = h.folder()
    h.shell(("mkdir -p '%s/data'"):format(dir))
    h.write(dir .. "/data/archive", "")
    s = h.server { dir = dir, policy = policy() }
  end

  local function give()
    h.shell(("rm '%s/archive'"):format(s.data))
    s:deliver()
  end

  local function put(id, path)
    assert.equal(202, s:post(path or "/v1/events", ('{"event_id":"%s"}'):format(id)).status)
  end

  for _, how in ipairs { "restart", "reload", "kill" } do
    it("are none while all is in the spool when a " .. how .. " switches the index on", function()
      hold()
      put "one"
      restart()
      put "two"
      if how == "reload" then
        reload(policy(ON))
      elseif how == "kill" then
        s:stop "SIGKILL"
        h.write(s.path, policy(ON))
        s:start()
      else
        restart(policy(ON))
      end
      put "three"
      for round = 1, 3 do
        for _, id in ipairs { "one", "two", "three" } do assert.equal(0, (find(id)), id) end
        local code, out = find "nobody"
        assert.equal(1, code, out)
        out = select(2, run "ledger --json")
        local l = cjson.decode(out:match "^(.*})").streams[1]
        assert.same({ 3, 0, 0 }, { l.accepted, l.unknown, #l.holes }, out)
        if round == 1 then give() end
        if round == 2 then
          restart()
          gone "1.0"
        end
      end
    end)
  end

  it("are in doubt where one process's are still there, and another's are not", function()
    s = h.server { policy = policy() }
    send "old"
    restart()
    gone "1.0"
    send "kept"
    assert.equal(0, s:stop())
    h.block(s.data .. "/archive", s.data .. "/archive.away")
    h.write(s.path, policy(ON))
    s:start()
    assert.equal(0, (find "kept"))
    local code, out = find "old"
    assert.equal(3, code, out)
  end)

  local DAMAGES = {
    empty = function(path) h.write(path, "") end,
    cut = function(path) h.write(path, h.read(path):sub(1, -9)) end,
    garbage = function(path) h.write(path, ("\0\255 %s"):rep(1000)) end,
    ["a folder"] = function(path)
      os.remove(path)
      h.shell(("mkdir '%s'"):format(path))
    end,
  }
  for what, damage in pairs(DAMAGES) do
    it("of a stream that left are in doubt where the list of streams is " .. what, function()
      local list
      s = h.server { policy = policy(ON, OTHER:format "") }
      send "e1"
      send("old", "/other")
      restart(policy(ON))
      restart()
      gone "1.0"
      list = s.data .. "/spool/STREAMS"
      assert.equal(0, s:stop())
      damage(list)
      for round = 1, 2 do
        local code, out = run "find --id old"
        assert.equal(3, code, out)
        assert.matches("looked: .*spool/STREAMS", out)
        assert.equal(0, (run "find --id e1"))
        assert.equal(1, (find "nobody"))
        assert.equal(0, (run "ledger"))
        if round == 1 then
          s:start()
          s:logged "event=streams_not_noted"
        end
      end
      send "e2"
      if what ~= "a folder" then
        second()
        assert.equal(1, (run "find --id nobody --since 1s"))
        restart()
        assert.equal(3, (run "find --id old"))
      end
    end)
  end

  ---With a stream beside "events" that has an event and stands in no list on the disk.
  ---@return string the folder that keeps the list from being written, until it goes
  local function other_unnoted()
    s = h.server { policy = policy(ON) }
    send "e1"
    local passing = s.data .. "/spool/STREAMS.new"
    h.shell(("mkdir '%s'"):format(passing))
    reload(policy(ON, OTHER:format ""))
    s:logged "event=streams_not_noted"
    send("old", "/other")
    return passing
  end

  -- Once the stream is in no policy, and its events have left the spool.
  local function in_doubt()
    h.write(s.path, policy(ON))
    s:start()
    restart()
    gone "1.0"
    local code, out = run "find --id old"
    assert.equal(3, code, out)
  end

  it("of a stream that left are in doubt though the disk did not take its name at first", function()
    local passing = other_unnoted()
    h.shell(("rmdir '%s'"):format(passing))
    reload(policy(ON, OTHER:format ""))
    s:stop "SIGKILL"
    in_doubt()
  end)

  for _, how in ipairs { "stop", "SIGKILL", "stop and start" } do
    it("of a stream whose name the disk never took are in doubt, after " .. how, function()
      local passing = other_unnoted()
      assert.equal(3, (run "find --id nobody"))
      if how == "stop and start" then restart() end
      reload(policy(ON))
      s:stop(how == "SIGKILL" and how or nil)
      h.shell(("rmdir '%s'"):format(passing))
      s:start()
      for _ = 1, 2 do
        local code, out = run "find --id old"
        assert.equal(3, code, out)
        assert.matches("looked: streams that left the policy until %S+ are not known", out)
        assert.matches("not compared: streams that left", (select(2, run "ledger")))
        assert.equal(0, (run "find --id e1"))
        restart()
      end
    end)
  end

  -- A process that begins with the stream, and never gets its list to the disk.
  for _, how in ipairs { "stop", "SIGKILL" } do
    for before, first in pairs { ["was new"] = policy(ON), ["came back"] = BOTH } do
      it("of a stream that " .. before .. " with a process are in doubt, after " .. how, function()
        s = h.server { policy = first }
        local passing = s.data .. "/spool/STREAMS.new"
        restart(policy(ON))
        local left = h.now()
        assert.equal(0, s:stop())
        h.shell(("mkdir '%s'"):format(passing))
        h.write(s.path, BOTH)
        s:start()
        s:logged "event=streams_not_noted"
        h.wait_for("two seconds", function() return h.now() > left + 2.1 end)
        send("old", "/other")
        s:stop(how == "SIGKILL" and how or nil)
        h.shell(("rmdir '%s'"):format(passing))
        h.write(s.path, policy(ON))
        s:start()
        restart()
        gone "3.0"
        local code, out = run(("find --id old --since %ds"):format(math.floor(h.now() - left - 1)))
        assert.equal(3, code, out)
      end)
    end
  end

  it("of a stream that a spool's first process could not note are in doubt", function()
    local dir = h.folder()
    local passing = dir .. "/data/spool/STREAMS.new"
    h.shell(("mkdir -p '%s'"):format(passing))
    s = h.server { dir = dir, data = dir .. "/data", policy = BOTH }
    send("old", "/other")
    s:stop "SIGKILL"
    h.shell(("rmdir '%s'"):format(passing))
    in_doubt()
  end)

  it("are none for a process that ended at its start, before it took any", function()
    s = h.server { policy = policy(ON) }
    send "e1"
    assert.equal(0, s:stop())
    h.write(s.data .. "/spool/EPOCH", "2\n")
    s:start()
    assert.equal(1, (run "find --id nobody"))
    assert.equal(0, (run "find --id e1"))
    assert.equal(0, (run "ledger"))
  end)

  it("are none once the disk takes the list, a second or two later", function()
    s = h.server { policy = policy(ON) }
    local passing = s.data .. "/spool/STREAMS.new"
    h.shell(("mkdir '%s'"):format(passing))
    reload(policy(ON, OTHER:format(ON)))
    s:logged "event=streams_not_noted"
    assert.equal(3, (run "find --id nobody"))
    h.shell(("rmdir '%s'"):format(passing))
    h.wait_for("the list", function() return (run "find --id nobody") == 1 end)
    assert.matches("\nstream other 0 0\n", h.read(s.data .. "/spool/STREAMS"))
    s:stop "SIGKILL"
    s:start()
    assert.equal(1, (run "find --id nobody"))
  end)

  it("of a stream that left and came back within one process are found, or in doubt", function()
    s = h.server { policy = policy(ON, OTHER:format "") }
    send("old", "/other")
    reload(policy(ON))
    reload(policy(ON, OTHER:format(ON)))
    send("new", "/other")
    for _ = 1, 2 do
      assert.not_equal(1, (run "find --id old"))
      assert.equal(0, (run "find --id new"))
      restart()
      gone "1.0"
    end
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
      local left = "not compared: stream=other left the policy at %S+, without an index"
      assert.matches(left, (select(2, run "ledger")))
      second()
      code, out = run "find --id old --since 1s"
      assert.equal(1, code, out)
      assert.not_matches(left, (select(2, run "ledger --since 1s")))
      -- It comes back with an index.
      restart(policy(ON, OTHER:format(ON)))
      code, out = run "find --id old --stream other"
      assert.equal(3, code, out)
      assert.matches("hole: stream=other epochs=", out)
    end)
  end

  it("of a stream that left are named so while it has segments, by whatever clock", function()
    for _, off in ipairs { 0, -3600000 } do
      local clock = os.tmpname()
      s = h.server { policy = policy(ON, OTHER:format ""), wrap = h.own_clock(clock) }
      send("old", "/other")
      h.set_clock(clock, off)
      reload(policy(ON))
      h.set_clock(clock, 0)
      for round = 1, 2 do
        local code, out = run "find --id old --since 5m"
        assert.equal(3, code, out)
        assert.matches("looked: stream=other left the policy at ", out)
        assert.equal(round == 1, out:find("search the others by --field", 1, true) ~= nil)
        if round == 1 then
          out = select(2, run "find --id old --since 5m --field event_id")
          assert.matches("^id=\"old\" events=1\n", out)
          assert.not_matches("search the others", out)
        end
        out = select(2, run "ledger --since 5m")
        assert.matches("not compared: stream=other left the policy at ", out)
        assert.not_matches("stream=other has no index", out)
        if round == 1 then
          restart()
          gone "1.0"
        end
      end
      s:close()
      os.remove(clock)
    end
  end)

  it("of a stream that left are of no account later, though it has segments", function()
    s = h.server { policy = policy(ON, OTHER:format "") }
    send("old", "/other")
    reload(policy(ON))
    local clock = os.tmpname()
    local later = table.concat(h.own_clock(clock), " ")
    h.set_clock(clock, 600000)
    assert.matches("stream=other ", h.shell(("%s inspect '%s'"):format(h.binary, s.data)))
    assert.matches("stream=other left the policy", (select(2, run "ledger")))
    assert.not_matches("stream=other", h.shell(("%s %s ledger --since 5m '%s' 2>&1"):format(
      later, h.binary, s.data)))
    os.remove(clock)
  end)
end)
