local cjson = require "cjson"
local h = require "harness"
local clickhouse = require "clickhouse"
local receiver = require "receiver"

local why_not = clickhouse.missing()

local function policy(url, o)
  return ([[
server { listen = "127.0.0.1:0", workers = 1 }
admin { listen = "127.0.0.1:0" }
clickhouse "olap" { urls = { %q }, table = "default.events", %s
  batch = { %s } }
stream "events" { sinks = { "olap" } }
route "POST /v1/events" { body = "event", stream = "events", %s }
route "POST /v1/events/batch" { body = "batch", stream = "events" }
]]):format(url, o.sink or "", o.batch or 'min = 1, linger = "20ms"',
    o.schema and ("schema = schema { %s }"):format(o.schema) or "")
end

describe("the table that a ClickHouse sink finds", function()
  local ch, s
  setup(function() if not why_not then ch = clickhouse.start() end end)
  teardown(function() if ch then ch:close() end end)
  after_each(function() if s then s:close() s = nil end end)

  local function create(columns)
    ch:must "DROP TABLE IF EXISTS events"
    ch:must(("CREATE TABLE events (%s) ENGINE = MergeTree() PARTITION BY tuple() "
      .. "ORDER BY tuple()"):format(columns))
  end

  ---Starts with a mistake; nothing is inserted until `mend` has run.
  local function refuses(o, words, mend, event, row)
    create(o.columns)
    s = h.server { policy = policy(ch.url, o) }
    s:logged("sink=olap endpoint=%S+ status=refused why=")
    assert.equal(202, s:post("/v1/events", event).status)
    s:logged("sink=olap status=holding")
    local why = cjson.decode(s:get("/status").body).sinks[1].why
    assert.equal(words, why)
    assert.equal("0\n", ch:must "SELECT count() FROM events")
    ch:must(mend)
    h.wait_for("the row", function() return ch:query(row) == "1\n" end, 20)
    assert.equal(0, s:metric("sluice_dead_events_total"))
    assert.equal(0, s:stop())
    s:close()
    s = nil
  end

  local NOW = "1795522577547"

  it("is refused when it would wrap milliseconds, which the server does without a "
    .. "word", function()
    if why_not then pending(why_not) return end
    create "at DateTime"
    ch:must "INSERT INTO events FORMAT JSONEachRow {\"at\":1795522577547}"
    assert.not_equal("2026", ch:must("SELECT toYear(at) FROM events"):sub(1, 4))
    for _, type in ipairs { "DateTime", "Nullable(UInt32)" } do
      refuses({ columns = "id String, at " .. type, schema = "id = str {}, at = time {}" },
        ("table default.events: column at is %s, and the schema's at is time: its "
        .. "milliseconds would wrap there without an error: make the column UInt64 "
        .. "(check = false to send it all the same)"):format(type),
        "ALTER TABLE events MODIFY COLUMN at UInt64",
        ([[{"id":"a","at":%s}]]):format(NOW),
        "SELECT count() FROM events WHERE at = " .. NOW)
    end
  end)

  it("is refused when a text column is to take an object", function()
    if why_not then pending(why_not) return end
    refuses({ columns = "id String, props String", schema = [[
      id = str {}, ["properties.page"] = str {}]],
      sink = [[columns = { id = "id", props = "properties" },]] },
      "table default.events: column props is String, and the schema's properties is "
      .. "an object: a String takes no object or array: name a field inside it, or keep "
      .. "the whole event with \"@event\" (check = false to send it all the same)",
      -- The policy is mended as well as the table could be.
      "ALTER TABLE events DROP COLUMN props, ADD COLUMN props Array(String)",
      [[{"id":"a","properties":["x"]}]],
      "SELECT count() FROM events WHERE props = ['x']")
  end)

  it("is refused when it lacks a column, and says which was meant", function()
    if why_not then pending(why_not) return end
    refuses({ columns = "id String, page String",
      sink = [[columns = { id = "id", pgae = "properties.page" },]] },
      "table default.events has no column pgae, which columns fills from "
      .. "properties.page; did you mean page?",
      "ALTER TABLE events ADD COLUMN pgae String",
      [[{"id":"a","properties":{"page":"/x"}}]],
      "SELECT count() FROM events WHERE pgae = '/x'")
  end)

  it("is refused when an enum lacks a word of the schema, or a number a text",
  function()
    if why_not then pending(why_not) return end
    refuses({ columns = "kind Enum8('click' = 1)",
      schema = [[kind = enum { "click", "view" }]] },
      "table default.events: column kind is Enum8('click' = 1), and the schema's kind "
      .. "is enum: \"view\" is not among its words: add it to the column (check = false "
      .. "to send it all the same)",
      "ALTER TABLE events MODIFY COLUMN kind Enum8('click' = 1, 'view' = 2)",
      [[{"kind":"view"}]], "SELECT count() FROM events WHERE kind = 'view'")
    refuses({ columns = "n String", schema = "n = num {}" },
      "table default.events: column n is String, and the schema's n is num: a String of "
      .. "this server takes text in quotes only: make the column a number (check = "
      .. "false to send it all the same)",
      "ALTER TABLE events DROP COLUMN n, ADD COLUMN n Float64",
      [[{"n":1.5}]], "SELECT count() FROM events WHERE n = 1.5")
  end)

  it("is asked again when the policy changes, and not judged with check = false",
  function()
    if why_not then pending(why_not) return end
    create "id String, at DateTime"
    local o = { schema = "id = str {}, at = time {}" }
    s = h.server { policy = policy(ch.url, o) }
    assert.equal(202, s:post("/v1/events", [[{"id":"a","at":1795522577547}]]).status)
    s:logged("sink=olap status=holding")
    o.sink = [[columns = { id = "id" },]]
    h.write(s.path, policy(ch.url, o))
    assert.equal(200, s:reload().status)
    h.wait_for("the row", function()
      return ch:query "SELECT count() FROM events" == "1\n"
    end)
    -- A time has milliseconds; a value sent unchanged has seconds here.
    o.schema = "id = str {}, at = int {}"
    o.sink = "check = false,"
    h.write(s.path, policy(ch.url, o))
    assert.equal(200, s:reload().status)
    assert.equal(202, s:post("/v1/events", [[{"id":"b","at":1795522577}]]).status)
    h.wait_for("the second row", function()
      return ch:query "SELECT count() FROM events WHERE at > 0" == "1\n"
    end)
  end)

  it("is altered while rows come: a word that an Enum lacks costs that row alone",
  function()
    if why_not then pending(why_not) return end
    create "id String, kind Enum8('a' = 1)"
    s = h.server { policy = policy(ch.url, {}) }
    local list = {}
    for i = 1, 50 do
      list[i] = ([[{"id":"%d","kind":"%s"}]]):format(i, i == 20 and "z" or "a")
    end
    s:post("/v1/events/batch", "[" .. table.concat(list, ",") .. "]")
    h.wait_for("the others", function()
      return ch:query "SELECT count() FROM events" == "49\n"
    end)
    h.wait_for("the letter", function()
      return s:metric("sluice_dead_events_total") == 1
    end)
  end)

  it("says that it has too many parts: batches come slower and larger until it has not",
  function()
    if why_not then pending(why_not) return end
    ch:must "DROP TABLE IF EXISTS events"
    ch:must [[CREATE TABLE events (event_id String) ENGINE = MergeTree() PARTITION BY
      tuple() ORDER BY event_id SETTINGS index_granularity = 8192,
      parts_to_delay_insert = 4, parts_to_throw_insert = 6]]
    ch:must "SYSTEM STOP MERGES"
    s = h.server { policy = policy(ch.url, {
      batch = 'target = 10, min = 10, max = 40, linger = "50ms"' }) }
    local l = h.load(s.port, { batch = 5, connections = 2, seconds = 4, rate = 100,
      path = "/v1/events/batch" })
    s:logged("sink=olap status=enlarged target=20", 30)
    h.wait_for("larger ones", function()
      return s:metric("sluice_batch_target") >= 40
    end)
    local f = h.load_wait(l)
    local target, asked = s:metric("sluice_batch_target"),
      s:metric("sluice_endpoint_requests_total")
    h.sleep(2)
    asked = (s:metric("sluice_endpoint_requests_total") - asked) / 2
    assert.equal(0, s:metric("sluice_dead_events_total"))
    assert.is_nil(s:get("/status").body:find('"breaker":\t"open"', 1, true))
    ch:must "SYSTEM START MERGES"
    ch:must "OPTIMIZE TABLE events"
    h.wait_for("all rows", function()
      return ch:count "SELECT count() FROM events" == f.acked
    end, 40)
    local largest = ch:count [[SELECT count() FROM events]]
    h.wait_for("batches as before", function()
      return s:metric("sluice_batch_target") == 10
    end, 40)
    print(("# parts: too many: batches of 10 grew to %d, %.1f inserts a second; all %d "
      .. "rows in, dead = 0"):format(target, asked, largest))
    assert.is_true(asked <= 3)
    assert.equal(f.acked, ch:count "SELECT uniqExact(event_id) FROM events")
    assert.equal(0, s:stop())
  end)
end)

describe("a server that refuses many partitions at once", function()
  it("gets the batch in parts that it takes, and every row once", function()
    local r = receiver.start()
    r:rule "clickhouse 23.8.1\npartitions 3"
    local s = h.server { policy = policy(("http://127.0.0.1:%d"):format(r.port), {
      sink = [[compression = "gzip",]],
      batch = 'target = 1000, min = 1000, max = 1000, linger = "100ms"' }) }
    local list = {}
    for i = 1, 400 do list[i] = ([[{"n":%d,"part":%d}]]):format(i, i % 40) end
    assert.equal(202, s:post("/v1/events/batch", "[" .. table.concat(list, ",") .. "]")
      .status)
    local seen, n
    h.wait_for("all rows", function()
      seen, n = {}, 0
      for line in (h.read(r.dir .. "/events.ndjson") or ""):gmatch('{"n":(%d+)') do
        n = n + 1
        seen[line] = true
      end
      return n == 400
    end)
    for i = 1, 400 do assert.is_true(seen[tostring(i)]) end
    assert.equal(0, s:metric("sluice_dead_events_total"))
    print(("# partitions: 400 rows of 40, 3 at once taken: inserts = %d"):format(
      s:metric("sluice_insert_seconds_count")))
    assert.equal(0, s:stop())
    s:close()
    r:close()
  end)
end)
