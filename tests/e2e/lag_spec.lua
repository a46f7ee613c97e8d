-- How far a sink is behind, told and acted on.
local cjson = require "cjson"
local h = require "harness"
local numbered = require "numbered"
local receiver = require "receiver"

local function policy(url, sinks)
  return ([[
server { listen = "127.0.0.1:0", workers = 1, drain = "1s" }
admin { listen = "127.0.0.1:0" }
spool { segment = "16MiB", max_bytes = "256MiB" }
http "out" { url = %q, batch = { linger = "5ms" }, breaker = { timeout = "1s" } }
stream "events" { sinks = { %s } }
route "POST /v1/events" { body = "event", stream = "events" }
]]):format(url, sinks)
end

describe("a sink that is behind", function()
  local r, s
  before_each(function() r = receiver.start() end)
  after_each(function()
    s:close()
    r:close()
  end)

  -- The metrics are as of the last look, four times a second.
  local function taken(n)
    h.wait_for(n .. " events", function() return #r:events() == n end)
    h.wait_for("the metric", function()
      return s:metric("sluice_delivered_events_total") == n and
        s:metric("sluice_sink_left_events") == 0
    end)
  end

  it("is behind as soon as a client has its answer, also when its thread has had no turn "
    .. "yet", function()
    local dir = h.folder()
    local hang = dir .. "/hang"
    s = h.server { dir = dir, policy = policy(r.url, [["out"]]), wrap = { "env",
      ("LD_PRELOAD=%s/tools/libhang.so"):format(h.build), "SLUICE_HANG=" .. hang } }
    assert.equal(202, s:post("/v1/events", "{}").status)
    s:deliver()
    assert.equal(1, #r:events())
    h.write(hang, "out")
    h.wait_for("the thread to hang", function() return h.read(hang .. ".hung") == "h" end)
    assert.equal(202, s:post("/v1/events", "{}").status)
    assert.is_true(s:metric("sluice_sink_lag_bytes") > 0)
    -- Also the number and the age, which only that thread could tell exactly.
    assert.equal(1, s:metric("sluice_sink_left_events"))
    h.wait_for("an age", function()
      return s:metric("sluice_sink_oldest_event_seconds") >= 1
    end)
    local out = cjson.decode(s:get("/status").body).sinks[1]
    assert.same({ "out", 1, true, true },
      { out.name, out.left_events, out.lag_bytes > 0, out.oldest_ms >= 1000 })
    os.remove(hang)
    s:deliver()
    assert.equal(2, #r:events())
  end)

  it("by three small events is behind by their bytes, not by a segment, and by their "
    .. "age", function()
    s = h.server { policy = policy(r.url, [["out"]]) }
    local line = ('{"a":"%s"}'):format(("x"):rep(100000))
    for _ = 1, 20 do assert.equal(202, s:post("/v1/events", line).status) end
    taken(20)
    assert.equal(0, s:metric("sluice_sink_left_events"))
    assert.equal(0, s:metric("sluice_sink_oldest_event_seconds"))
    r:rule("status 503")
    for i = 1, 3 do
      assert.equal(202, s:post("/v1/events", ('{"n":%d}'):format(i)).status)
    end
    h.wait_for("an age", function()
      return s:metric("sluice_sink_oldest_event_seconds") >= 1
    end)
    assert.equal(3, s:metric("sluice_sink_left_events"))
    -- Within a segment bytes go by the share of events.
    assert.is_true(s:metric("sluice_sink_lag_bytes") < 400000)
    local age = s:metric("sluice_sink_oldest_event_seconds")
    h.wait_for("it to grow", function()
      return s:metric("sluice_sink_oldest_event_seconds") > age
    end)
    r:rule("")
    s:deliver()
    h.wait_for("zero", function()
      return s:metric("sluice_sink_oldest_event_seconds") == 0
    end)
  end)

  it("and has caught up is told so by /status when the metrics tell it, not a look later",
  function()
    s = h.server { policy = policy(r.url, [["out"]]) }
    for round = 1, 8 do
      r:rule "status 503"
      for _ = 1, 5 do assert.equal(202, s:post("/v1/events", "{}").status) end
      h.wait_for("a look", function()
        return cjson.decode(s:get("/status").body).sinks[1].left_events == 5
      end)
      r:rule ""
      h.wait_for("the metric", function() return s:metric "sluice_sink_left_events" == 0 end)
      local out = cjson.decode(s:get("/status").body).sinks[1]
      assert.same({ round, 0, 0, 0 }, { round, out.left_events, out.lag_bytes, out.oldest_ms })
    end
  end)

  it("by more than max_lag tells what is left of it, its age, and what it skips", function()
    s = h.server { policy = policy(r.url,
      [[out = { when_full = "skip", max_lag = "20MiB" }]]) }
    r:rule("status 503")
    local line, stored = ('{"a":"%s"}'):format(("x"):rep(100000)), 0
    h.wait_for("a skip", function()
      assert.equal(202, s:post("/v1/events", line).status)
      stored = stored + 1
      return s:metric "sluice_sink_skipped_events" > 0
    end)
    -- The sink holds: its thread does not come to what it skips.
    h.wait_for("an age", function() return s:metric "sluice_sink_oldest_event_seconds" >= 2 end)
    local skipped = s:metric "sluice_sink_skipped_events"
    assert.equal(stored - skipped, s:metric "sluice_sink_left_events")
    local out = cjson.decode(s:get("/status").body).sinks[1]
    assert.same({ stored - skipped, skipped, true },
      { out.left_events, out.skipped, out.oldest_ms >= 2000 })
    r:rule("")
    taken(stored - skipped)
    assert.equal(skipped, s:metric "sluice_sink_skipped_events")
  end)

  it("by less than max_lag loses nothing, though its segments are larger", function()
    s = h.server { policy = policy(r.url,
      [[out = { when_full = "skip", max_lag = "4MiB" }]]) }
    local line = ('{"a":"%s"}'):format(("x"):rep(100000))
    for _ = 1, 150 do assert.equal(202, s:post("/v1/events", line).status) end
    taken(150)
    r:rule("status 503")
    -- They fill the segment, and go on in the next one.
    for _ = 1, 25 do assert.equal(202, s:post("/v1/events", line).status) end
    h.wait_for("the second segment", function()
      return s:metric("sluice_sink_left_events") == 25
    end)
    -- The housekeeper looks four times a second.
    h.wait_for("a second to pass", function()
      return s:metric("sluice_sink_oldest_event_seconds") >= 1
    end)
    assert.equal(0, s:metric("sluice_sink_skipped_events"))
    r:rule("")
    taken(175)
  end)
end)

describe("a stream that the policy no longer has", function()
  local function text(more)
    return ([[
server { listen = "127.0.0.1:0", workers = 1, drain = "1s", max_body = "1MiB" }
admin { listen = "127.0.0.1:0" }
spool { segment = "4MiB", max_bytes = "256MiB" }
file "archive" { dir = "archive", linger = "5ms" }
stream "events" { sinks = { "archive" } }
route "POST /v1/events" { body = "event", stream = "events" }
%s]]):format(more or "")
  end
  local OLD = [[
file "other" { dir = "other", linger = "5ms" }
stream "old" { sinks = { "other" } }
route "POST /v1/old" { body = "event", stream = "old" }
]]
  local s
  before_each(function() s = h.server { policy = text(OLD) } end)
  after_each(function() s:close() end)

  local function segments()
    return tonumber(h.shell(("ls '%s'/spool/old/*/*.seg 2>&- | wc -l"):format(s.data)))
  end

  local function remove_it()
    h.write(s.path, text())
    assert.equal(200, s:reload().status)
    s:logged("sink=other status=removed")
  end

  it("gives its room back once its sinks are done", function()
    local line = ('{"a":"%s"}'):format(("x"):rep(1000000))
    for _ = 1, 9 do
      h.wait_for("202", function() return s:post("/v1/old", line).status == 202 end)
    end
    remove_it()
    h.wait_for("the full segments to go", function() return segments() <= 2 end)
    assert.equal(0, s:stop())
    assert.equal(0, segments())
    assert.equal(9, #s:lines("other"))
    s:start()
    assert.is_nil(s:text():find("event=stream_left", 1, true))
    assert.equal(0, s:stop())
  end)

  it("and put back takes events again", function()
    assert.equal(202, s:post("/v1/old", '{"n":1}').status)
    remove_it()
    h.write(s.path, text(OLD))
    assert.equal(200, s:reload().status)
    assert.equal(202, s:post("/v1/old", '{"n":2}').status)
    s:deliver()
    assert.equal(0, s:stop())
    assert.equal(2, #s:lines("other"))
  end)

  it("is named at a start when nobody reads what it has", function()
    assert.equal(202, s:post("/v1/old", '{"n":1}').status)
    s:stop("SIGKILL")
    h.shell(("rm '%s'/spool/sinks/other.*"):format(s.data))
    h.write(s.path, text())
    s:start()
    s:logged("event=stream_left stream=old")
    assert.is_true(segments() > 0)
    assert.equal(0, s:stop())
    assert.is_true(segments() > 0)
  end)
end)

describe("a stream that a sink no longer has", function()
  local s
  after_each(function() s:close() end)

  local function with(both)
    return ([[
server { listen = "127.0.0.1:0", workers = 1 }
admin { listen = "127.0.0.1:0" }
file "a" { dir = "a", linger = "1ms" }
file "b" { dir = "b", linger = "1ms" }
stream "more" { sinks = { %s "b" } }
stream "own" { sinks = { "a" } }
route "POST /v1/more" { body = "event", stream = "more" }
]]):format(both and '"a",' or "")
  end

  for _, how in ipairs { "in one process", "after kill -9", "by a start" } do
    it("begins at what comes when the sink gets it back " .. how, function()
      s = h.server { policy = with(true) }
      local function post(n)
        assert.equal(202, s:post("/v1/more", ([[{"n":%d}]]):format(n)).status)
        s:deliver(20)
      end
      post(1)
      numbered.reload(s, with(false))
      s:logged("sink=a stream=more status=retired", 20)
      post(2)
      if how ~= "in one process" then
        s:stop "SIGKILL"
        if how == "by a start" then h.write(s.path, with(true)) end
        s:start()
      end
      numbered.reload(s, with(true))
      post(3)
      assert.equal(0, s:stop())
      assert.same({ [[{"n":1}]], [[{"n":3}]] }, s:lines "a")
      assert.same({ [[{"n":1}]], [[{"n":2}]], [[{"n":3}]] }, s:lines "b")
    end)
  end
end)
