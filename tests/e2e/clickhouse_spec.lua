local h = require "harness"
local clickhouse = require "clickhouse"

local why_not = clickhouse.missing()

---A policy whose stream goes to ClickHouse.
local function policy(url, o)
  o = o or {}
  return ([[
server { listen = "127.0.0.1:0", workers = 1, drain = %q }
admin { listen = "127.0.0.1:0" }
spool { max_bytes = "2GiB" }
clickhouse "olap" { urls = { %s }, table = "default.events", %s
  batch = { target = %d, min = %d, max = %d, linger = "100ms" } }
stream "events" { sinks = { "olap" } }
route "POST /v1/events" { body = "event", stream = "events" }
route "POST /v1/events/batch" { body = "batch", stream = "events" }
]]):format(o.drain or "10s", type(url) == "table" and table.concat(url, ", ") or ("%q"):format(url),
    o.sink or "", o.target or 1000, o.min or 100, o.max or 2000)
end

describe("the ClickHouse sink", function()
  local ch, s
  setup(function() if not why_not then ch = clickhouse.start() end end)
  teardown(function() if ch then ch:close() end end)
  after_each(function() if s then s:close() s = nil end end)

  local function rows(n, seconds)
    h.wait_for(n .. " rows", function()
      return ch:count("SELECT count() FROM events") == n
    end, seconds or 30)
  end

  it("inserts events as they were sent", function()
    if why_not then pending(why_not) return end
    ch:events_table("events")
    s = h.server { policy = policy(ch.url) }
    -- At a rate that the server is sure to follow: without one the spool takes 1.5 M
    -- events a second, and the wait becomes a bench of ClickHouse.
    local f = h.load_wait(h.load(s.port, { batch = 50, connections = 4,
      seconds = 2, rate = 800 }))
    assert.equal(0, f.other + f.broken + f.full)
    rows(f.acked)
    assert.equal("e-000000000001\n", ch:must(
      "SELECT min(event_id) FROM events"))
    assert.equal(f.acked, ch:count("SELECT uniq(event_id) FROM events") and
      ch:count("SELECT count(DISTINCT event_id) FROM events"))
    assert.equal(f.acked, s:metric("sluice_delivered_events_total"))
    assert.equal(0, s:stop())
  end)

  it("sends a backlog in batches of max, and what comes in time in those of target",
    function()
      if why_not then pending(why_not) return end
      ch:events_table("events")
      s = h.server { policy = policy(ch.url, { target = 100, min = 100,
        max = 2000 }) }
      local function force(what)
        assert.equal(200, h.request(s.admin, "POST", "/sinks/olap/breaker?" .. what,
          "").status)
      end
      local lines = {}
      for i = 1, 100 do lines[i] = ([[{"event_id":"%03d"}]]):format(i) end
      local body = "[" .. table.concat(lines, ",") .. "]"
      local function send(times)
        for _ = 1, times do
          assert.equal(202, s:post("/v1/events/batch", body).status)
        end
      end
      send(1)
      rows(100)
      send(1)
      rows(200)
      h.wait_for("both answers", function()
        return s:metric("sluice_insert_seconds_count") == 2
      end)
      force "open"
      h.wait_for("open", function() return s:metric("sluice_breaker_state") == 2 end)
      send(60)
      force "close"
      rows(6200)
      -- The batches in hand when it opened, then 2,000 at the same time.
      local n = s:metric("sluice_insert_seconds_count") - 2
      print(("# clickhouse: 6000 rows of backlog in %d inserts"):format(n))
      assert.is_true(n <= 8)
    end)

  it("fills chosen columns, and leaves out what an event lacks", function()
    if why_not then pending(why_not) return end
    ch:must "DROP TABLE IF EXISTS events"
    ch:must [[CREATE TABLE events (id String, page String, n UInt32,
      raw String) ENGINE = MergeTree() PARTITION BY tuple() ORDER BY id]]
    s = h.server { policy = policy(ch.url, { min = 1, sink = [[columns = { id = "id",
      page = "properties.page", n = "n", raw = "@event" },]] }) }
    local event = [[{"id":"a\"b","properties":{"page":"/é"},"x":[1,{"y":null}]}]]
    assert.equal(202, s:post("/v1/events", event).status)
    assert.equal(202, s:post("/v1/events", [[{"id":"b","n":3}]]).status)
    rows(2)
    assert.equal("a\"b\t/é\t0\t" .. event .. "\nb\t\t3\t{\"id\":\"b\",\"n\":3}\n",
      ch:must("SELECT * FROM events ORDER BY id FORMAT TSVRaw"))
  end)

  it("puts the rows that the server refuses among the dead letters, and no other",
  function()
    if why_not then pending(why_not) return end
    ch:events_table("events")
    s = h.server { policy = policy(ch.url, { target = 500, max = 500 }) }
    local batch, bad = {}, 0
    for i = 1, 3000 do
      local poison = i % 700 == 13
      bad = bad + (poison and 1 or 0)
      batch[i] = ([[{"event_id":"p%d","value":%s}]]):format(i,
        poison and [["no number"]] or "1.5")
    end
    assert.equal(202, s:post("/v1/events/batch", "[" .. table.concat(batch, ",")
      .. "]").status)
    rows(3000 - bad)
    h.wait_for("dead letters", function()
      return s:metric("sluice_dead_events_total") == bad
    end)
    local text = h.read(s.data .. "/dead/sink-olap.ndjson")
    local n = 0
    for line in text:gmatch("[^\n]+") do
      local o = require("cjson").decode(line)
      n = n + 1
      assert.equal("no number", o.event.value)
      assert.same({ "olap", "events", "refused" }, { o.sink, o.stream, o.reason })
      assert.matches("Cannot parse", o.why)
      assert.matches("^%x+%-[%x%-]+/events/1%.0/%d+$", o.position)
    end
    assert.equal(bad, n)
    local file = s.data .. "/dead/sink-olap.ndjson"
    assert.matches(('letters=%d from="olap" reason=refused code=27'):format(bad),
      h.shell(("%s dead list '%s/dead'"):format(h.binary, s.data)))
    assert.matches([[{"event_id":"p13","value":"no number"}]],
      h.shell(("%s dead show '%s'"):format(h.binary, file)), 1, true)
    -- Mended, they can be posted again; replayed letters are not replayed twice.
    local to = ("http://127.0.0.1:%d/v1/events/batch"):format(s.port)
    ch:must "ALTER TABLE events DROP COLUMN value"
    ch:must "ALTER TABLE events ADD COLUMN value String"
    for _, done in ipairs { bad, 0 } do
      assert.matches(("replayed=%d refused_again=0"):format(done), h.shell(
        ("%s dead replay '%s' --to %s"):format(h.binary, file, to)), 1, true)
    end
    rows(3000)
    assert.equal(0, s:metric("sluice_sink_lag_bytes") and
      s:metric("sluice_sink_holding"))
    assert.equal(0, s:stop())
  end)

  it("takes what `sluice schema` prints for its table", function()
    if why_not then pending(why_not) return end
    ch:must "DROP TABLE IF EXISTS events"
    local dir = h.folder()
    h.write(dir .. "/p.lua", [[
clickhouse "olap" { urls = { "http://127.0.0.1:1" }, table = "default.events",
  columns = { id = "event_id", kind = "kind", n = "n", at = "at", raw = "@event" } }
stream "events" { sinks = { "olap" } }
route "POST /x" { body = "event", stream = "events", schema = schema {
  event_id = str {}, kind = enum { "a" }, n = num {}, at = time {}, ok = bool {} } }
]])
    local sql = h.shell(("%s schema --clickhouse '%s/p.lua'"):format(h.binary, dir))
    assert.equal("sluice: conf/quickstart.lua has no clickhouse sink\n1\n", h.shell(
      ("{ %s schema --clickhouse conf/quickstart.lua; echo $?; }"):format(h.binary)))
    h.remove(dir)
    ch:must((sql:gsub(";%s*$", "")))
    assert.equal("at UInt64\nid String\nkind String\nn Float64\nraw String\n", ch:must(
      "SELECT concat(name, ' ', type) FROM system.columns WHERE table = 'events' "
      .. "AND database = 'default' ORDER BY name"))
  end)

  it("ends while a batch waits for another to tell whether its rows are bad", function()
    if why_not then pending(why_not) return end
    ch:events_table("events")
    ch:must "ALTER TABLE events DROP COLUMN value"
    ch:must "ALTER TABLE events ADD COLUMN value UInt8"
    s = h.server { policy = policy(ch.url, { target = 2, min = 2, max = 2,
      drain = "100ms" }) }
    assert.equal(202, s:post("/v1/events/batch", [=[[{"event_id":"a","value":"x"},
      {"event_id":"b","value":"y"}]]=]).status)
    s:logged("sink=olap status=suspect")
    assert.equal(0, s:stop())
  end)

  -- The server says of the one which row it is, of the other it does not.
  for _, kind in ipairs { "UInt8", "Enum8('a' = 1)" } do
  it("holds all when a mistake hits every row, and goes on when it is mended: "
    .. kind, function()
    if why_not then pending(why_not) return end
    ch:events_table("events")
    ch:must "ALTER TABLE events DROP COLUMN value"
    ch:must("ALTER TABLE events ADD COLUMN value " .. kind)
    s = h.server { policy = policy(ch.url, { target = 200, max = 200 }) }
    local batch = {}
    for i = 1, 2000 do
      batch[i] = ([[{"event_id":"q%d","value":"text"}]]):format(i)
    end
    assert.equal(202, s:post("/v1/events/batch", "[" .. table.concat(batch, ",")
      .. "]").status)
    s:logged("sink=olap status=holding")
    local began, at = h.now(), {}
    for i = 1, 2 do
      h.wait_for("a while", function() return h.now() > began + 5 * i end)
      at[i] = s:metric("sluice_endpoint_requests_total")
    end
    local minute = at[2] + 10 * (at[2] - at[1])
    print(("# clickhouse: a mistake in every row (%s): inserts in 10 s = %d, in a "
      .. "minute = %d, dead = %d"):format(kind, at[2], minute,
      s:metric("sluice_dead_events_total")))
    assert.equal(0, s:metric("sluice_dead_events_total"))
    assert.is_true(minute <= 64)
    ch:must "ALTER TABLE events DROP COLUMN value"
    ch:must "ALTER TABLE events ADD COLUMN value String"
    rows(2000)
    assert.equal(0, s:metric("sluice_dead_events_total"))
    assert.equal(0, s:stop())
  end)
  end
end)
