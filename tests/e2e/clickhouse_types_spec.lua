-- Each value is in its column as it was sent, or its row is a dead letter, in an old
-- ClickHouse (Debian's 18.16) and in a current one.
local cjson = require "cjson"
local clickhouse = require "clickhouse"
local h = require "harness"

local NOW, DAY = 1795522577547, 86400000

local function policy(url, table_name, columns, schema, more)
  return ([[
server { listen = "127.0.0.1:0", workers = 1 }
admin { listen = "127.0.0.1:0" }
clickhouse "out" { urls = { %q }, table = %q, %s %s
  batch = { min = 1, linger = "20ms" } }
stream "events" { sinks = { "out" } }
route "POST /v1/events" { body = "event", stream = "events"%s }
route "POST /v1/events/batch" { body = "batch", stream = "events"%s }
]]):format(url, table_name, columns and "columns = { " .. columns .. " }," or "",
    more or "", schema and ", schema = schema { " .. schema .. " }" or "",
    schema and ", schema = schema { " .. schema .. " }" or "")
end

---@param old boolean
local function specs(name, missing, start, old)
  describe(name, function()
    local ch, s, why_not
    setup(function()
      why_not = missing()
      if not why_not then ch = start() end
    end)
    teardown(function() if ch then ch:close() end end)
    after_each(function() if s then s:close() s = nil end end)

    local function create(columns, table_name)
      ch:must("DROP TABLE IF EXISTS " .. (table_name or "events"))
      ch:must(("CREATE TABLE %s (%s) ENGINE = Memory"):format(table_name or "events",
        columns))
    end

    local function rows(want, sql)
      local got
      local ok = pcall(h.wait_for, "rows", function()
        got = ch:query(sql)
        return got == want
      end, 10)
      if not ok then
        assert.equal(want, got, s:text():sub(-1500))
      end
    end

    local function letters()
      local list = {}
      for line in (h.read(s.data .. "/dead/sink-out.ndjson") or ""):gmatch "[^\n]+" do
        list[#list + 1] = cjson.decode(line)
      end
      return list
    end

    it("has the time of an event, whatever the type of its column", function()
      if why_not then pending(why_not) return end
      local types = { a = "DateTime('UTC')", b = "UInt64", c = "Nullable(DateTime('UTC'))",
        d = "Date", e = "Float64", f = "String" }
      local want = { a = "2026-11-24 12:16:17", b = ("%d"):format(NOW),
        c = "2026-11-24 12:16:17", d = "2026-11-24", f = ("%d"):format(NOW) }
      if not old then
        types.g, want.g = "DateTime64(3, 'UTC')", "2026-11-24 12:16:17.547"
        types.h, want.h = "DateTime64(9, 'Asia/Tokyo')", "2026-11-24 21:16:17.547000000"
        types.i, want.i = "Nullable(DateTime64(0, 'UTC'))", "2026-11-24 12:16:17"
        types.j, want.j = "Date32", "2026-11-24"
      end
      local columns, list, names = {}, {}, {}
      for k, type in pairs(types) do
        columns[#columns + 1] = k .. " " .. type
        list[#list + 1] = k .. [[ = "at"]]
        if k ~= "e" then names[#names + 1] = k end
      end
      table.sort(names)
      create(table.concat(columns, ", "))
      s = h.server { policy = policy(ch.url, "default.events",
        table.concat(list, ", "), "at = time {}") }
      assert.equal(202, s:post("/v1/events", ('{"at":%d}'):format(NOW)).status)
      local line = {}
      for i, k in ipairs(names) do line[i] = want[k] end
      local all = table.concat(line, "\t") .. "\n"
      local sql = "SELECT " .. table.concat(names, ", ") .. " FROM events"
      rows(all, sql)
      -- The same as text; some senders escape the plus.
      for _, at in ipairs { "2026-11-24T12:16:17.547Z",
        [[2026-11-24T13:16:17.547\u002B01:00]] } do
        assert.equal(202, s:post("/v1/events", ('{"at":"%s"}'):format(at)).status)
      end
      names[#names] = nil -- the String has the text
      rows("3\n", "SELECT count() FROM events")
      assert.equal("1\n", ch:must(("SELECT count() FROM (SELECT DISTINCT a, b, c, d%s FROM "
        .. "events)"):format(old and "" or ", g, h, i, j")))
      assert.equal(0, #letters())
      assert.equal(0, s:stop())
    end)

    it("has no number that its type can't hold: that row is a dead letter", function()
      if why_not then pending(why_not) return end
      create "id String, at DateTime, small UInt8, big Int64"
      s = h.server { policy = policy(ch.url, "default.events",
        [[id = "id", at = "at", small = "small", big = "big"]], "at = time {}") }
      local events = {
        [[{"id":"good","at":1795522577547,"small":255,"big":-9223372036854775808}]],
        ([[{"id":"late","at":%d,"small":1,"big":1}]]):format(60000 * DAY),
        [[{"id":"small","at":1795522577547,"small":256,"big":1}]],
        [[{"id":"minus","at":1795522577547,"small":-1,"big":1}]],
        [[{"id":"big","at":1795522577547,"small":1,"big":12345678901234567890}]],
        [[{"id":"whole","at":1795522577547,"small":1e2,"big":21234567890.0}]],
        [[{"id":"part","at":1795522577547,"small":1.5,"big":1}]],
        [[{"id":"truth","at":1795522577547,"small":true,"big":false}]],
      }
      assert.equal(202, s:post("/v1/events/batch", "[" .. table.concat(events, ",") .. "]")
        .status)
      rows("good\t255\t-9223372036854775808\ntruth\t1\t0\nwhole\t100\t21234567890\n",
        "SELECT id, small, big FROM events ORDER BY id")
      h.wait_for("the letters", function() return #letters() == 5 end)
      for _, l in ipairs(letters()) do
        assert.is_truthy(({ late = 1, small = 1, minus = 1, big = 1, part = 1 })[l.event.id])
      end
      assert.equal(0, s:stop())
    end)

    it("has any value as text in a String", function()
      if why_not then pending(why_not) return end
      create "v String"
      s = h.server { policy = policy(ch.url, "default.events", [[v = "v"]],
        "v = any {}") }
      s:post("/v1/events/batch", [=[[{"v":1.50},{"v":"a\"b"},{"v":{"x":[1,"é"]}},
        {"v":[1, 2]},{"v":true},{"v":null},{}]]=])
      rows("\n\n1.50\n[1, 2]\na\"b\ntrue\n{\"x\":[1,\"é\"]}\n",
        "SELECT v FROM events ORDER BY v FORMAT TSVRaw")
      assert.equal(0, s:stop())
    end)

    it("is not sent milliseconds as they are that it would take for seconds", function()
      if why_not then pending(why_not) return end
      if old then pending "18.16 has no DateTime64" return end
      create "id String, at DateTime64(3)"
      s = h.server { policy = policy(ch.url, "default.events", nil,
        "id = str {}, at = time {}") }
      s:post("/v1/events", ([[{"id":"a","at":%d}]]):format(NOW))
      s:logged "status=refused why=.*read as seconds"
      assert.equal("0\n", ch:must "SELECT count() FROM events")
      h.write(s.path, policy(ch.url, "default.events", [[id = "id", at = "at"]],
        "id = str {}, at = time {}"))
      assert.equal(200, s:reload().status)
      rows("2026\n", "SELECT toYear(at) FROM events")
      assert.equal(0, s:stop())
    end)

    it("may have names that are no identifiers, and hundreds of columns", function()
      if why_not then pending(why_not) return end
      local pairs_, event = {}, {}
      for _, n in ipairs { "user-agent", "имя", "x y", "select" } do
        pairs_[#pairs_ + 1] = ("[%q] = %q"):format(n, "f" .. #pairs_)
        event[#event + 1] = ('"f%d":"v%d"'):format(#event, #event)
      end
      for i = 5, 150 do
        pairs_[#pairs_ + 1] = ("a_column_of_many_letters_%03d = \"f%d\""):format(i, i)
        event[#event + 1] = ('"f%d":"v%d"'):format(i, i)
      end
      local dir = h.folder()
      local text = policy(ch.url, "my-db.events-2024", table.concat(pairs_, ", "), nil)
      h.write(dir .. "/p.lua", text)
      ch:must "CREATE DATABASE IF NOT EXISTS `my-db`"
      ch:must "DROP TABLE IF EXISTS `my-db`.`events-2024`"
      local sql = h.shell(("%s schema --clickhouse '%s/p.lua'"):format(h.binary, dir))
      h.remove(dir)
      ch:must((sql:gsub(";%s*$", "")))
      s = h.server { policy = text }
      s:post("/v1/events", "{" .. table.concat(event, ",") .. "}")
      rows("v0\tv1\tv2\tv3\tv150\n", "SELECT `user-agent`, `имя`, `x y`, `select`, "
        .. "a_column_of_many_letters_150 FROM `my-db`.`events-2024`")
      assert.equal(0, s:stop())
    end)

    it("takes rows of the schema that `sluice schema` printed its table for", function()
      if why_not then pending(why_not) return end
      local schema = [[s = str {}, n = num {}, i = int {}, b = bool {}, t = time {},
        e = enum { "a", "b" }, x = any {}]]
      local columns = [[s = "s", n = "n", i = "i", b = "b", t = "t", e = "e", x = "x",
        hooked = "set.by.hook", raw = "@event"]]
      local dir = h.folder()
      local text = policy(ch.url, "default.made", columns, schema)
      h.write(dir .. "/p.lua", text)
      local sql = h.shell(("%s schema --clickhouse '%s/p.lua'"):format(h.binary, dir))
      h.remove(dir)
      ch:must "DROP TABLE IF EXISTS made"
      ch:must((sql:gsub(";%s*$", "")))
      s = h.server { policy = text }
      s:post("/v1/events", ([[{"s":"a","n":1.5,"i":-7,"b":true,"t":%d,"e":"b",
        "x":{"y":1},"set":{"by":{"hook":9}}}]]):format(NOW))
      rows(("a\t1.5\t-7\t1\t%d\tb\t{\"y\":1}\t9\n"):format(NOW),
        "SELECT s, n, i, b, t, e, x, hooked FROM made FORMAT TSVRaw")
      assert.equal(0, #letters())
      assert.equal(0, s:stop())
    end)

    -- Times, integers and texts as clients write them, with and without columns.
    for _, columns in ipairs { "", [[big = "big", small = "small", at = "at", day = "p.day",
      id = "id", short = "short", tags = "tags", nums = "nums"]] } do
      it("has in the printed table what the types store, whatever form it came in"
        .. (columns == "" and "" or ", by columns"), function()
        if why_not then pending(why_not) return end
        local text = policy(ch.url, "default.sent", columns ~= "" and columns,
          [[big = int { bits = 64, unsigned = true }, small = int { bits = 8, convert = true },
          at = time { formats = { "iso8601", "no_zone", "http" }, unit = "auto" },
          ["p.day"] = time { formats = { "date" } }, id = str { format = "uuid" },
          short = str { cut = 2 }, tags = list { str {} }, nums = list { int {} }]])
        local dir = h.folder()
        h.write(dir .. "/p.lua", text)
        local sql = h.shell(("%s schema --clickhouse '%s/p.lua'"):format(h.binary, dir))
        h.remove(dir)
        ch:must "DROP TABLE IF EXISTS sent"
        ch:must((sql:gsub(";%s*$", "")))
        s = h.server { policy = text }
        local ids = {}
        for i, event in ipairs {
          [=["big":18446744073709551615,"small":"007","at":1795522577,"tags":["a","\\","é"]]=],
          [=["big":-0,"small":-1.28e2,"at":"20261124T131617+01",]=]
            .. [=["nums":[1,-9223372036854775808]]=],
          [=["big":1,"small":1e2,"at":"2026-11-24 12:16:17","short":"äöü","tags":[]]=],
          [=["big":2,"small":-0.0,"at":"Tue, 24 Nov 2026 12:16:17 GMT","nums":[]]=],
          [=["big":3,"small":1,"at":1795522577000123456,"p":{"day":"2026-11-24"}]=],
        } do
          ids[i] = ("00000000-0000-4000-8000-00000000000%d"):format(i)
          local r = s:post("/v1/events", ('{"id":"%s",%s}'):format(ids[i], event))
          assert.equal(202, r.status, r.body)
        end
        rows("18446744073709551615\t7\t1795522577000\t\t['a','\\\\','é']\t[]\n"
          .. "0\t-128\t1795522577000\t\t[]\t[1,-9223372036854775808]\n"
          .. "1\t100\t1795522577000\täö\t[]\t[]\n" .. "2\t0\t1795522577000\t\t[]\t[]\n"
          .. "3\t1\t1795522577000\t\t[]\t[]\n",
          "SELECT big, small, at, short, tags, nums FROM sent ORDER BY id")
        if columns ~= "" then
          rows("1795478400000\n", "SELECT day FROM sent WHERE day > 0")
        end
        assert.equal(0, #letters())
        assert.equal(0, s:stop())
      end)
    end
  end)
end

specs("an old ClickHouse", clickhouse.missing, clickhouse.start, true)
specs("a current ClickHouse", clickhouse.modern_missing, clickhouse.modern, false)
