-- sluice ledger --clickhouse: one event that a table lacks, has twice, or has of
-- nowhere is named, also when the minutes of the table are a little late.
local h = require "harness"
local clickhouse = require "clickhouse"
local faults = require "faults"
local receiver = require "receiver"

local why_not = clickhouse.missing()

describe("the ledger against a ClickHouse table", function()
  local ch, s
  setup(function()
    if why_not then return end
    ch = clickhouse.start()
    for _, name in ipairs { "good", "bad" } do
      ch:must(("CREATE TABLE %s (event_id String, n UInt32, at UInt64) "
        .. "ENGINE = MergeTree ORDER BY event_id"):format(name))
    end
    s = h.server { policy = ([[
server { listen = "127.0.0.1:0", workers = 2 }
admin { listen = "127.0.0.1:0" }
spool { segment = "32MiB" }
clickhouse "olap" { urls = { %q }, table = "default.good",
  batch = { target = 3000, min = 1, linger = "50ms" } }
stream "events" { sinks = { "olap" }, index = "event_id" }
local function on_event(ev, req) ev.at = req.time_ms end
route "POST /b" { body = "batch", stream = "events", on_event = on_event }
]]):format(ch.url) }
    local lines = {}
    for i = 1, 20000 do lines[i] = ([[{"event_id":"e%d","n":%d}]]):format(i, i) end
    for from = 1, 20000, 4000 do
      assert.equal(202, s:post("/b", "[" .. table.concat(lines, ",", from, from + 3999)
        .. "]").status)
    end
    h.wait_for("all rows", function()
      return ch:count("SELECT count() FROM good") == 20000
    end)
    ch:must("INSERT INTO bad SELECT * FROM good WHERE event_id != 'e1234'")
    ch:must("INSERT INTO bad SELECT * FROM good WHERE event_id = 'e77'")
    ch:must("INSERT INTO bad SELECT 'stranger', 1, max(at) FROM good")
  end)
  teardown(function()
    if s then s:close() end
    if ch then ch:close() end
  end)

  local function ledger(name, time)
    return h.shell(("exec 2>&1; %s ledger --clickhouse %s --table default.%s --time '%s' '%s'; "
      .. "echo code=$?"):format(h.binary, ch.url, name, time or "intDiv(at, 1000)", s.data))
  end

  it("finds no difference where there is none", function()
    if why_not then pending(why_not) return end
    local out = ledger "good"
    assert.matches("accepted=20000 rows=20000 missing=0 doubled=0 extra=0\n", out)
    assert.matches("code=0", out)
  end)

  it("asks no proxy of the environment", function()
    if why_not then pending(why_not) return end
    local out = h.shell(("exec 2>&1; export http_proxy=http://127.0.0.1:1; %s ledger --clickhouse "
      .. "%s --table default.good --time 'intDiv(at, 1000)' '%s'; echo code=$?"):format(h.binary,
      ch.url, s.data))
    assert.matches("extra=0\ncode=0", out)
  end)

  it("names the lost event, the doubled one and the stranger", function()
    if why_not then pending(why_not) return end
    local out = ledger "bad"
    assert.matches('missing id="e1234" accepted=1 rows=0 stream=events position=1%.%d/%d+\n',
      out)
    assert.matches('doubled id="e77" accepted=1 rows=2 ', out)
    assert.matches('extra id="stranger" accepted=0 rows=1\n', out)
    assert.matches("missing=1 doubled=1 extra=1\n", out)
    assert.matches("code=1", out)
  end)

  it("takes no row for lost that the table has under the next minute", function()
    if why_not then pending(why_not) return end
    local out = ledger("good", "intDiv(at, 1000) + 40")
    assert.matches("missing=0 doubled=0 extra=0\n", out)
    out = ledger("bad", "intDiv(at, 1000) + 40")
    assert.matches('missing id="e1234"', out)
    assert.matches("missing=1 doubled=1 extra=1\n", out)
  end)

  it("is an error, not \"all well\", where no row or no event has an id", function()
    if why_not then pending(why_not) return end
    local out = h.shell(("exec 2>&1; %s ledger --clickhouse %s --table default.good --id "
      .. [["JSONExtractString('{}', 'evnt_id')" --time 'intDiv(at, 1000)' '%s'; echo code=$?]])
      :format(h.binary, ch.url, s.data):gsub("JSONExtractString", "visitParamExtractString"))
    assert.matches("no row of default.good has an id: visitParamExtractString.*evnt_id.*"
      .. " is '' or NULL in all 20000 rows .*\ncode=3", out)
    local t = h.server { policy = ([[
server { listen = "127.0.0.1:0", workers = 1 }
admin { listen = "127.0.0.1:0" }
clickhouse "olap" { urls = { %q }, table = "default.empty", batch = { linger = "20ms" } }
stream "events" { sinks = { "olap" }, index = "evnt_id" }
local function on_event(ev, req) ev.at = req.time_ms end
route "POST /b" { body = "batch", stream = "events", on_event = on_event }
]]):format(ch.url) }
    finally(function() t:close() end)
    ch:must "CREATE TABLE empty AS good"
    t:post("/b", [=[[{"event_id":"e1","n":1},{"event_id":"e2","n":2}]]=])
    h.wait_for("delivery", function() return t:metric("sluice_delivered_events_total") == 2 end)
    out = h.shell(("exec 2>&1; %s ledger --clickhouse %s --table default.empty --id event_id "
      .. "--time 'intDiv(at, 1000)' '%s'; echo code=$?"):format(h.binary, ch.url, t.data))
    assert.matches('stream "events": none of the 2 events .* in "evnt_id", the field of its '
      .. "index: .*\ncode=3", out)
  end)

  it("compares no ids of several fields, and each event by the field of its policy", function()
    if why_not then pending(why_not) return end
    local function policy(field)
      return ([[
server { listen = "127.0.0.1:0", workers = 1 }
admin { listen = "127.0.0.1:0" }
clickhouse "olap" { urls = { %q }, table = "default.fields", batch = { linger = "20ms" } }
stream "events" { sinks = { "olap" }, index = %q }
local function on_event(ev, req) ev.at = req.time_ms end
route "POST /b" { body = "batch", stream = "events", on_event = on_event }
]]):format(ch.url, field)
    end
    local f = faults.new(h.folder())
    local t = h.server { policy = policy "event_id", wrap = f:wrap(), dir = f.dir }
    finally(function() t:close() end)
    ch:must "CREATE TABLE fields (event_id String, k String, at UInt64) ENGINE = Memory"
    f:rules "on=write do=hang thread=index path=.idx" -- the segments alone tell
    local function compare(more)
      return h.shell(("exec 2>&1; %s ledger --clickhouse %s --table default.fields "
        .. "--time 'intDiv(at, 1000)' %s '%s'; echo code=$?"):format(h.binary, ch.url,
        more or "", t.data))
    end
    local function send(n)
      local before = t:metric "sluice_delivered_events_total" or 0
      local lines = {}
      for i = 1, n do lines[i] = ('{"event_id":"e%d","k":"k%d"}'):format(before + i,
        before + i) end
      assert.equal(202, t:post("/b", "[" .. table.concat(lines, ",") .. "]").status)
      h.wait_for("delivery", function()
        return t:metric "sluice_delivered_events_total" == before + n
      end)
    end
    send(3)
    h.write(t.path, policy "k")
    assert.equal(200, t:reload().status)
    -- The field of now is not that of then.
    assert.matches("accepted=3 rows=3 missing=0 doubled=0 extra=0\ncode=0", compare())
    send(2)
    local out = compare()
    assert.matches('events have their ids in several fields: "k" %(%S+Z to %S+Z%), '
      .. '"event_id" %(%S+Z to %S+Z%): ids can\'t be compared; compare a period of one field '
      .. "with %-%-since and %-%-until\n", out)
    assert.matches("code=3", out)
    assert.matches("accepted=5 rows=5 missing=0 doubled=0 extra=0\ncode=0",
      compare "--id \"if(k > 'k3', k, event_id)\"")
    f:rules()
  end)

  it("counts rows and events without an id", function()
    if why_not then pending(why_not) return end
    ch:must "CREATE TABLE nameless AS good"
    ch:must "INSERT INTO nameless SELECT * FROM good"
    ch:must "INSERT INTO nameless SELECT '', 1, max(at) FROM good"
    assert.matches("extra=0 events_without_id=0 rows_without_id=1\ncode=0", ledger "nameless")
  end)

  it("calls no empty id doubled by rows without one", function()
    if why_not then pending(why_not) return end
    local t = h.server { policy = ([[
server { listen = "127.0.0.1:0", workers = 1 }
admin { listen = "127.0.0.1:0" }
clickhouse "olap" { urls = { %q }, table = "default.blank", batch = { linger = "20ms" } }
stream "events" { sinks = { "olap" }, index = "event_id" }
local function on_event(ev, req) ev.at = req.time_ms end
route "POST /b" { body = "batch", stream = "events", on_event = on_event }
]]):format(ch.url) }
    finally(function() t:close() end)
    ch:must "CREATE TABLE blank AS good"
    t:post("/b", [=[[{"n":1},{"event_id":"","n":2},{"n":3},{"event_id":"e1","n":4}]]=])
    h.wait_for("delivery", function() return t:metric("sluice_delivered_events_total") == 4 end)
    local function compare(name)
      return h.shell(("exec 2>&1; %s ledger --clickhouse %s --table default.%s "
        .. "--time 'intDiv(at, 1000)' '%s'; echo code=$?"):format(h.binary, ch.url, name, t.data))
    end
    assert.matches("accepted=1 rows=1 missing=0 doubled=0 extra=0 events_without_id=3 "
      .. "rows_without_id=3\ncode=0", compare "blank")
    ch:must "CREATE TABLE fewer AS good"
    ch:must "INSERT INTO fewer SELECT * FROM blank WHERE n != 2"
    assert.matches("missing=0 doubled=0 extra=0 events_without_id=3 rows_without_id=2\ncode=1",
      compare "fewer")
  end)

  -- A server with a sink to a table, which has the columns event_id and at.
  local function own(table_name, id_type, o)
    o = o or {}
    local t = h.server { dir = o.dir, wrap = o.wrap, policy = ([[
server { listen = "127.0.0.1:0", workers = 1, max_body = "1MiB" }
admin { listen = "127.0.0.1:0" }
spool { segment = "4MiB" }
clickhouse "olap" { urls = { %q }, table = "default.%s", batch = { linger = "20ms" } }
stream "events" { sinks = { "olap" }, index = { field = "event_id", max_bytes = "1MiB" } }
stream "more" { sinks = { "olap" }, index = "event_id" }
local function on_event(ev, req) ev.at = req.time_ms end
route "POST /b" { body = "batch", stream = "events", on_event = on_event }
route "POST /more" { body = "batch", stream = "more", on_event = on_event }
]]):format(ch.url, table_name) }
    finally(function() t:close() end)
    ch:must(("CREATE TABLE %s (event_id %s, at UInt64, pad String) ENGINE = Memory")
      :format(table_name, id_type))
    local n = 0
    function t:send(lines, path)
      assert.equal(202, self:post(path or "/b", "[" .. table.concat(lines, ",") .. "]").status)
      n = n + #lines
      h.wait_for("delivery", function()
        return self:metric "sluice_delivered_events_total" == n
      end)
    end
    function t:compare(name, more)
      return h.shell(("exec 2>&1; %s ledger --clickhouse %s --table default.%s --stream events "
        .. "--time 'intDiv(at, 1000)' %s '%s'; echo code=$?"):format(h.binary, ch.url, name,
        more or "", self.data))
    end
    return t
  end

  it("takes NULL for no id", function()
    if why_not then pending(why_not) return end
    local t = own("nulls", "Nullable(String)")
    t:send { '{"pad":"a"}', '{"event_id":"e1"}', '{"pad":"b"}' }
    assert.equal(2, ch:count "SELECT count() FROM nulls WHERE event_id IS NULL")
    assert.matches("accepted=1 rows=1 missing=0 doubled=0 extra=0 events_without_id=2 "
      .. "rows_without_id=2\ncode=0", t:compare "nulls")
    ch:must "CREATE TABLE allnull AS nulls"
    ch:must "INSERT INTO allnull SELECT NULL, at, pad FROM nulls"
    assert.matches("no row of default.allnull has an id: .*\ncode=3", t:compare "allnull")
  end)

  it("names ids as they are", function()
    if why_not then pending(why_not) return end
    local t = own("odd", "String")
    local long = ("L"):rep(300)
    t:send { '{"event_id":"it\'s"}', '{"event_id":"a\\"b"}', '{"event_id":"c\\\\d"}',
      '{"event_id":"' .. long .. '"}', '{"event_id":"t\\tz"}', '{"event_id":"e1"}' }
    local names = { "it's", 'a\\"b', "c\\\\d", ("L"):rep(199) .. "…", "t z" }
    ch:must "CREATE TABLE oddless AS odd"
    ch:must "INSERT INTO oddless SELECT * FROM odd WHERE event_id = 'e1'"
    local out = t:compare "oddless"
    for _, name in ipairs(names) do
      assert.is_truthy(out:find('missing id="' .. name .. '" accepted=1 ', 1, true), out)
    end
    ch:must "CREATE TABLE oddmore AS odd"
    for _ = 1, 2 do ch:must "INSERT INTO oddmore SELECT * FROM odd" end
    out = t:compare "oddmore"
    for _, name in ipairs(names) do
      assert.is_truthy(out:find('doubled id="' .. name .. '" accepted=1 ', 1, true), out)
    end
  end)

  it("calls nothing doubled or extra that another stream of the sink has", function()
    if why_not then pending(why_not) return end
    local t = own("shared", "String")
    t:send { '{"event_id":"both"}', '{"event_id":"e1"}' }
    t:send({ '{"event_id":"both"}', '{"event_id":"m1"}' }, "/more")
    local out = t:compare "shared"
    assert.matches("missing=0 doubled=0 extra=0\ncode=0", out)
    ch:must "INSERT INTO shared SELECT * FROM shared WHERE event_id = 'both'"
    assert.matches('doubled id="both" accepted=2 rows=4 .*missing=0 doubled=1 extra=0\ncode=1',
      t:compare "shared")
  end)

  it("calls doubled what another stream has that shares only a sink to files", function()
    if why_not then pending(why_not) return end
    local t = h.server { policy = ([[
server { listen = "127.0.0.1:0", workers = 1 }
admin { listen = "127.0.0.1:0" }
file "archive" { dir = "archive", linger = "20ms" }
clickhouse "olap" { urls = { %q }, table = "default.both", batch = { linger = "20ms" } }
stream "events" { sinks = { "olap", "archive" }, index = "event_id" }
stream "audit" { sinks = { "archive" }, index = "event_id" }
local function on_event(ev, req) ev.at = req.time_ms return to("events", "audit") end
route "POST /b" { body = "batch", stream = "events", on_event = on_event }
]]):format(ch.url) }
    finally(function() t:close() end)
    ch:must "CREATE TABLE both (event_id String, at UInt64) ENGINE = Memory"
    t:post("/b", '[{"event_id":"e1"},{"event_id":"e2"}]')
    h.wait_for("delivery", function()
      return t:metric "sluice_delivered_events_total" == 6
    end)
    local function compare()
      return h.shell(("exec 2>&1; %s ledger --clickhouse %s --table default.both --stream events "
        .. "--time 'intDiv(at, 1000)' '%s'; echo code=$?"):format(h.binary, ch.url, t.data))
    end
    assert.matches("rows=2 missing=0 doubled=0 extra=0\ncode=0", compare())
    ch:must "INSERT INTO both SELECT * FROM both WHERE event_id = 'e1'"
    assert.matches('doubled id="e1" accepted=1 rows=2 .* rows=3 missing=0 doubled=1 extra=0\n'
      .. "code=1", compare())
  end)

  it("names what is missing of a stream that left the policy, and a sink before that", function()
    if why_not then pending(why_not) return end
    local t = own("over", "String")
    local text = h.read(t.path):gsub('sinks = { "olap" }', 'sinks = { "olap", "early" }')
      :gsub("stream ", 'file "early" { dir = "early", linger = "20ms" }\nstream ', 1)
    local function reload(sinks, stream)
      h.write(t.path, (text:gsub('sinks = { "olap", "early" }', "sinks = { " .. sinks .. " }", 1)
        :gsub('"events"', '"' .. stream .. '"')))
      assert.equal(200, t:reload().status)
    end
    reload('"olap", "early"', "events")
    assert.equal(202, t:post("/b", '[{"event_id":"e1"}]').status)
    t:deliver()
    reload('"olap"', "events")
    t:logged "sink=early stream=events status=retired"
    assert.equal(202, t:post("/b", '[{"event_id":"e2"}]').status)
    t:deliver()
    reload('"olap"', "other")
    t:logged "sink=olap stream=events status=retired"
    assert.matches("rows=2 missing=0 doubled=0 extra=0\ncode=0", t:compare "over")
    ch:must "CREATE TABLE less AS over"
    ch:must "INSERT INTO less SELECT * FROM over WHERE event_id = 'e1'"
    assert.matches('missing id="e2" accepted=1 rows=0 .*missing=1 doubled=0 extra=0\ncode=1',
      t:compare "less")
  end)

  it("names an index file whose ids are damaged, and goes on without it", function()
    if why_not then pending(why_not) return end
    local t = own("hurt", "String")
    t:send { '{"event_id":"e1"}', '{"event_id":"e2"}' }
    ch:must "CREATE TABLE hurtless AS hurt"
    t:stop()
    h.shell(([[f='%s/spool/events/index/1.0-1.idx'; printf X |
      dd of="$f" bs=1 seek=$(($(stat -c %%s "$f") - 3)) conv=notrunc status=none]]):format(t.data))
    local out = t:compare "hurtless"
    assert.matches("sluice: [^\n]*/index/1%.0%-1%.idx: group 0 is damaged: ids can't be compared: "
      .. "[^\n]*move the file away[^\n]*\ncode=3", out)
    os.remove(t.data .. "/spool/events/index/1.0-1.idx")
    assert.matches("missing=2 doubled=0 extra=0\ncode=1", t:compare "hurtless")
  end)

  it("calls nothing extra that its index has removed, and says since when it has all", function()
    if why_not then pending(why_not) return end
    local clock, pad = h.folder() .. "/clock", ("x"):rep(900)
    local t = own("kept", "String", { wrap = h.own_clock(clock) })
    h.set_clock(clock, -600000)
    local n = 0
    local function send(count)
      local lines = {}
      for i = 1, count do
        lines[i] = ('{"event_id":"e%d","pad":"%s"}'):format(n + i, pad)
      end
      n = n + count
      t:send(lines)
    end
    for _ = 1, 120 do send(1000) end -- 1.4 MB of ids
    h.set_clock(clock, -60000)
    send(10)
    t:stop()
    t:start()
    h.wait_for("the index to be trimmed", function()
      return t:metric("sluice_index_disk_bytes", 'stream="events"') < 1048576
    end)
    local out = t:compare "kept"
    assert.matches("removed: stream=events has events from before %d+%-%d+%-%d+T%d+:%d+Z that its "
      .. "index no longer has, by its keep or max_bytes\n", out)
    assert.matches("minutes=1 accepted=10 rows=10 missing=0 doubled=0 extra=0\ncode=0", out)
    assert.matches("extra=0\ncode=0", t:compare("kept", "--since 3m"))
    assert.matches("extra=0\ncode=1", t:compare("kept", "--since 1h"))
    assert.matches("its index has removed events of the whole period, by its keep or max_bytes"
      .. ".*\ncode=3", t:compare("kept", "--until 7m"))
  end)

  it("takes no answer for rows that has none, and asks for whole answers", function()
    if why_not then pending(why_not) return end
    local r = receiver.start()
    finally(function() r:close() end)
    r:rule "page"
    local out = h.shell(("exec 2>&1; %s ledger --clickhouse %s --table t --time at '%s'; "
      .. "echo code=$?"):format(h.binary, r.url, s.data))
    assert.matches("ClickHouse: the answer is no table of 3 columns: .*\ncode=3", out)
    assert.matches("wait_end_of_query=1", h.read(r.dir .. "/requests.ndjson"))
    r:rule "page 256"
    out = h.shell(("exec 2>&1; %s ledger --clickhouse %s --table t --time at '%s'; "
      .. "echo code=$?"):format(h.binary, r.url, s.data))
    assert.matches("the answer is larger than 256 MiB: .* a shorter period with %-%-since .*"
      .. "\ncode=3", out)
  end)

  it("asks for the ids of many rows with several questions", function()
    if why_not then pending(why_not) return end
    ch:must "CREATE TABLE heap AS good"
    ch:must "INSERT INTO heap SELECT * FROM bad"
    ch:must(("INSERT INTO heap SELECT 'e78', toUInt32(number), %s FROM system.numbers LIMIT 600000")
      :format(ch:must("SELECT max(at) FROM good"):match "%d+"))
    local out = ledger "heap"
    for _, line in ipairs { 'missing id="e1234" accepted=1 rows=0 ',
      'doubled id="e77" accepted=1 rows=2 ', 'doubled id="e78" accepted=1 rows=600001 ',
      'extra id="stranger" accepted=0 rows=1\n', "missing=1 doubled=2 extra=1\ncode=1" } do
      assert.matches(line, out)
    end
  end)

  it("says that it asked nothing where no event of the period was accepted", function()
    if why_not then pending(why_not) return end
    local t = h.server { policy = h.policy { stream = 'index = "event_id"' } }
    finally(function() t:close() end)
    local out = h.shell(("exec 2>&1; %s ledger --clickhouse %s --table default.good --time at "
      .. "--stream events '%s'; echo code=$?"):format(h.binary, ch.url, t.data))
    assert.matches("accepted=0 .* %(no event of the period was accepted: the table was not "
      .. "asked%)\ncode=0", out)
  end)

  it("says the server's words when it can't compare", function()
    if why_not then pending(why_not) return end
    local out = ledger "nowhere"
    assert.matches("sluice: ClickHouse: status %d+: Code: 60", out)
    assert.matches("code=3", out)
    assert.matches("usage: sluice ledger", h.shell(h.binary .. " ledger --table x 2>&1"))
    -- A query has room for three times as much.
    assert.matches("the SQL of the table, the time and the id has %d+ bytes, but at most 8192 are "
      .. "allowed\ncode=3", ledger("good", ("0+"):rep(20000) .. "at"))
  end)
end)
