-- "Where is event X?": sluice find on a running server, after kills and restarts, with
-- index files that are gone, damaged or can't be written, and after the segments.
local cjson = require "cjson"
local h = require "harness"

describe("sluice find", function()
  local s
  local big -- a batch of 1 MB: two of them and a bit fill an index file

  setup(function()
    local lines = {}
    for i = 1, 5000 do
      lines[i] = ('{"event_id":"big%d","pad":"%s"}'):format(i, ("x"):rep(160))
    end
    big = "[" .. table.concat(lines, ",") .. "]"
    s = h.server { policy = h.policy { workers = 1,
      server = 'max_body = "1MiB", drain = "100ms"', spool = 'segment = "4MiB"',
      stream = 'index = "event_id"',
      top = 'http "down" { url = "http://127.0.0.1:1/x" }\n'
        .. 'stream "two" { sinks = { "down", "archive" }, index = { field = "a.id" } }\n'
        .. 'stream "none" { sinks = { "archive" } }\n'
        .. 'route "POST /two" { body = "batch", stream = "two" }\n'
        .. 'route "POST /none" { body = "event", stream = "none" }' } }
  end)
  teardown(function() if s then s:close() end end)

  local function find(id, args)
    local out = h.shell(("%s find --id '%s' --json %s '%s'"):format(h.binary, id, args or "",
      s.data))
    local ok, v = pcall(cjson.decode, out)
    return assert(ok and v, out)
  end

  local function states(event)
    local of = {}
    for _, sink in ipairs(event.sinks) do of[sink.sink] = sink.state end
    return of
  end

  local function index_files(stream)
    return tonumber(h.shell(("ls '%s/spool/%s/index' | grep -c idx$"):format(s.data, stream)))
  end

  it("names the place of an event and what each sink made of it", function()
    s:post("/two", '[{"a":{"id":"other"}},{"a":{"id":"e\\u0031"}},{"a":{"id":17}}]')
    h.wait_for("the archive to have it", function()
      return states(find "e1".events[1]).archive == "confirmed"
    end)
    local got = find "e1"
    assert.equal(1, #got.events)
    local e = got.events[1]
    assert.same({ "two", 2, 1, 3, true },
      { e.stream, e.sequence, e.block_first, e.block_events, e.certain })
    assert.is_true(math.abs(e.accepted_ms / 1000 - h.now()) < 600)
    assert.not_equal("confirmed", states(e).down)
    for _, sink in ipairs(e.sinks) do
      if sink.sink == "archive" then assert.matches("^two%-.*%.ndjson$", sink.file) end
    end
    assert.equal(3, find "17".events[1].sequence)
  end)

  it("says that it did not find one, and where it looked", function()
    local out = h.shell(("%s find --id nobody '%s'; echo code=$?"):format(h.binary, s.data))
    assert.matches('id="nobody" was not found\n', out)
    assert.matches("looked: stream=two field=a%.id ", out)
    assert.matches("code=1", out)
    assert.equal(0, #find("e1", "--stream events").events)
    assert.equal(1, #find("e1", "--stream two --since 1h").events)
    local since_ever = find("e1", "--since 99999d") -- before 1970
    assert.is_true(#since_ever.events > 0)
    assert.is_false(since_ever.streams_lost)
  end)

  it("does not say that an event is not there where a stream could not be searched", function()
    s:post("/none", '{"k":"hidden"}')
    local command = h.binary .. " find --id hidden --json %s '" .. s.data .. "'; echo code=$?"
    assert.matches("code=3", h.shell(command:format ""))
    assert.matches("code=3", h.shell(command:format "--stream none"))
    assert.matches("code=1", h.shell(command:format "--stream two"))
    assert.matches("code=0", h.shell(command:format "--field k"))
  end)

  it("has a stream without an index named by the ledger", function()
    s:post("/none", '{"k":"hidden"}')
    local command = h.binary .. " ledger %s '" .. s.data .. "' 2>&1; echo code=$?"
    assert.matches("not compared: stream=none has no index: put index = ",
      h.shell(command:format ""))
    assert.same({ "none" }, cjson.decode((h.shell(command:format "--json")
      :gsub("code=%d+\n$", ""))).unindexed)
    assert.matches('stream "none" has no index.*code=3', h.shell(command:format "--stream none"))
  end)

  it("reads a stream without an index when the field is named", function()
    s:post("/none", '{"k":"only-here"}')
    assert.equal(0, #find "only-here".events)
    assert.equal(1, #find("only-here", "--field k").events)
  end)

  it("does not say that an event is not there where no event has the named field", function()
    s:post("/none", '{"k":"misspelt"}')
    local command = ("%s find --id misspelt --field %%s %%s '%s' 2>&1; echo code=$?"):format(
      h.binary, s.data)
    assert.matches("was not found, but it may have been stored.* field=kk .* strange_field=true"
      .. ".*code=3", h.shell(command:format("kk", "")))
    assert.matches("strange_field=true.*code=3", h.shell(command:format("kk", "--stream none")))
    assert.matches("was not found\n.*code=1",
      h.shell(command:gsub("misspelt", "nobody", 1):format("k", "")))
  end)

  it("says that there is no such stream, and not that the event is not there", function()
    local out = h.shell(("%s find --id e1 --stream tow '%s' 2>&1; echo code=$?"):format(h.binary,
      s.data))
    assert.matches('no stream "tow" has events or an index here.*\ncode=3', out)
  end)

  it("looks at the named field also where the index has another one", function()
    s:post("/two", '[{"a":{"id":"of-two"},"user":"u-5"}]')
    local got = find("u-5", "--field user")
    assert.equal(1, #got.events)
    assert.same({ "two", true, false }, { got.events[1].stream, got.events[1].certain,
      got.events[1].indexed })
    local out = h.shell(("%s find --id u-6 --field user --stream two '%s'"):format(h.binary,
      s.data))
    assert.matches("looked: stream=two field=user .*%(not by an index: events that left the "
      .. "spool are not found%)", out)
    assert.equal(0, #find("of-two", "--field user --stream two").events)
    assert.equal(1, #find("of-two", "--field a.id --stream two").events)
  end)

  it("finds both of two events with one id, in the index and after its end", function()
    for _ = 1, 3 do s:post("/v1/events/batch", big) end
    h.wait_for("an index file", function() return index_files "events" == 1 end)
    s:post("/v1/events/batch", big)
    local got = find "big4999"
    assert.equal(4, #got.events)
    assert.same({ true, false }, { got.events[1].indexed, got.events[4].indexed })
  end)

  it("says confirmed of an event whose segment is gone", function()
    h.wait_for("the segments of delivered events to go", function()
      for _ = 1, 2 do s:post("/v1/events/batch", big) end
      local e = find "big7".events[1]
      return not e.certain and states(e).archive == "confirmed"
    end)
    local out = h.shell(("%s find --id big7 --stream events '%s'"):format(h.binary, s.data))
    assert.matches("probable: its segment is gone", out)
    assert.matches("sink=archive confirmed", out)
  end)

  it("knows all events after kill -9, and all their index files after a restart", function()
    local before = #find "big77".events
    s:stop("SIGKILL")
    assert.equal(before, #find "big77".events)
    assert.equal(1, #find "e1".events)
    s:start()
    h.wait_for("the index of the earlier process", function()
      return index_files "two" == 1 and find "e1".events[1].indexed
    end)
    assert.equal(before, #find "big77".events)
  end)

  it("believes no damaged index file, and makes it again while the segment is there", function()
    assert.equal(0, s:stop())
    local path = h.shell(("ls '%s'/spool/two/index/*.idx"):format(s.data)):match("%S+")
    local whole = h.read(path)
    -- The ids lie last; the head would be noticed by any reader.
    h.write(path, whole:sub(1, -5) .. "oops")
    local got = find "e1"
    assert.equal(1, #got.events)
    assert.is_false(got.events[1].indexed)
    for _, l in ipairs(got.looked) do
      assert.equal(l.stream == "two" and 1 or 0, l.damaged_files)
    end
    h.write(path, whole:sub(1, 4000))
    assert.equal(1, #find "e1".events)
    s:start()
    s:logged("event=index_damaged stream=two")
    assert.equal(1, s:metric("sluice_index_damaged_total", 'stream="two"'))
    h.wait_for("the index again", function() return find "e1".events[1].indexed end)
    assert.equal(whole, h.read(path))
  end)

  it("takes events while no index file can be written, and writes it later", function()
    local dir = s.data .. "/spool/events/index"
    h.shell(("mv '%s' '%s.away'"):format(dir, dir))
    for _ = 1, 6 do assert.equal(202, s:post("/v1/events/batch", big).status) end
    s:logged("event=index_not_written stream=events")
    assert.equal(202, s:post("/v1/events", '{"event_id":"meanwhile"}').status)
    h.shell(("mv '%s.away' '%s'"):format(dir, dir))
    s:logged("event=index_written stream=events")
    assert.equal(0, s:metric("sluice_index_dropped_events_total", 'stream="events"'))
    assert.is_true(s:metric("sluice_index_events_total", 'stream="events"') >= 30001)
    local bytes = 0
    for size in h.shell(("stat -c %%s '%s'/*.idx"):format(dir)):gmatch("%d+") do
      bytes = bytes + tonumber(size)
    end
    h.wait_for("the bytes", function()
      return s:metric("sluice_index_disk_bytes", 'stream="events"') >= bytes
    end)
    assert.equal(1, #find "meanwhile".events)
  end)

  it("follows a policy that indexes another field", function()
    h.write(s.path, (h.read(s.path):gsub('field = "a.id"', 'field = "a.key"')))
    assert.equal(200, h.request(s.admin, "POST", "/reload").status)
    h.wait_for("the other field", function()
      return h.read(s.data .. "/spool/two/index/FIELD"):find("a.key\n", 1, true) == 1
    end)
    s:post("/two", '[{"a":{"id":"late","key":"k1"}}]')
    assert.equal(1, #find "k1".events)
    assert.equal(1, #find "e1".events)
    assert.equal(0, s:stop())
    assert.is_true(find "k1".events[1].indexed)
  end)
end)
