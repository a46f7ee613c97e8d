-- Mistakes in the types of a schema: what is said of each, word for word. Rows as in
-- diagnostics_spec.lua.
local checking = require "spec.checking"
local h = require "harness"

local BASE = [[
file "a" { dir = "a" }
stream "events" { sinks = { "a" } }
route "POST /v1/events" { body = "event", stream = "events" }
]]

local rows = {
  { "a word for others that is none",
    [==[{BASE}local s = schema { others = "dorp", a = str { } }
route "POST /x" { body = "event", stream = "events", schema = s }]==],
    [==[p.lua:4: schema.others: "dorp" is none of "keep", "drop", "refuse"; did you mean "drop"?]==] },
  { "others in other letters",
    [==[{BASE}local s = schema { other = "drop", a = str { } }
route "POST /x" { body = "event", stream = "events", schema = s }]==],
    [==[p.lua:4: schema.other: "drop" is no type; expected one of str num int bool enum time any list; did you mean "others"?]==] },
  { "a schema that drops every field",
    [==[{BASE}local s = schema { others = "drop" }
route "POST /x" { body = "event", stream = "events", schema = s }]==],
    [==[p.lua:4: schema.others: would drop every field: the schema names none]==] },
  { "a cut above the most",
    [==[{BASE}local s = schema { a = str { cut = 9, max = 9 } }
route "POST /x" { body = "event", stream = "events", schema = s }]==],
    [==[p.lua:4: schema.a: cut 9 never cuts: max 9 refuses longer texts]==] },
  { "a cut below the least",
    [==[{BASE}local s = schema { a = str { cut = 2, min = 3 } }
route "POST /x" { body = "event", stream = "events", schema = s }]==],
    [==[p.lua:4: schema.a: min 3 is more than cut 2]==] },
  { "a cut of nothing",
    [==[{BASE}local s = schema { a = str { cut = 0 } }
route "POST /x" { body = "event", stream = "events", schema = s }]==],
    [==[p.lua:4: schema.a.cut: 0 is less than 1]==] },
  { "a cut of a format",
    [==[{BASE}local s = schema { a = str { cut = 9, format = "uuid" } }
route "POST /x" { body = "event", stream = "events", schema = s }]==],
    [==[p.lua:4: schema.a: a text that is cut is no uuid: leave out cut or format]==] },
  { "a format that is none",
    [==[{BASE}local s = schema { a = str { format = "uid" } }
route "POST /x" { body = "event", stream = "events", schema = s }]==],
    [==[p.lua:4: schema.a.format: "uid" is none of "uuid", "ip", "url", "email"; did you mean "uuid"?]==] },
  { "a pattern with a capture",
    [==[{BASE}local s = schema { a = str { pattern = "^(%a+)$" } }
route "POST /x" { body = "event", stream = "events", schema = s }]==],
    [==[p.lua:4: schema.a.pattern: "^(%a+)$" has a capture: write %( for the character]==] },
  { "a pattern with an open set",
    [==[{BASE}local s = schema { a = str { pattern = "[a" } }
route "POST /x" { body = "event", stream = "events", schema = s }]==],
    [==[p.lua:4: schema.a.pattern: "[a" has a [ without its ]]==] },
  { "a pattern with a balance",
    [==[{BASE}local s = schema { a = str { pattern = "%b()" } }
route "POST /x" { body = "event", stream = "events", schema = s }]==],
    [==[p.lua:4: schema.a.pattern: "%b()" has %b, %f, %z or %1, which are not known here]==] },
  { "a pattern that is no text",
    [==[{BASE}local s = schema { a = str { pattern = 5 } }
route "POST /x" { body = "event", stream = "events", schema = s }]==],
    [==[p.lua:4: schema.a.pattern: 5 is not a text]==] },
  { "an int of odd bits",
    [==[{BASE}local s = schema { a = int { bits = 12 } }
route "POST /x" { body = "event", stream = "events", schema = s }]==],
    [==[p.lua:4: schema.a.bits: 12 is none of 8, 16, 32, 64]==] },
  { "an unsigned int below zero",
    [==[{BASE}local s = schema { a = int { unsigned = true, max = -1 } }
route "POST /x" { body = "event", stream = "events", schema = s }]==],
    [==[p.lua:4: schema.a: max -1 is less than 0, and the field is unsigned]==] },
  { "a format of a time that is none",
    [==[{BASE}local s = schema { a = time { formats = { "iso" } } }
route "POST /x" { body = "event", stream = "events", schema = s }]==],
    [==[p.lua:4: schema.a.formats: "iso" is none of "rfc3339", "iso8601", "no_zone", "date", "http", "number"]==] },
  { "formats that are no list",
    [==[{BASE}local s = schema { a = time { formats = "iso8601" } }
route "POST /x" { body = "event", stream = "events", schema = s }]==],
    [==[p.lua:4: schema.a.formats: "iso8601" is not a list of texts: { "a", "b" }]==] },
  { "a format twice",
    [==[{BASE}local s = schema { a = time { formats = { "date", "date" } } }
route "POST /x" { body = "event", stream = "events", schema = s }]==],
    [==[p.lua:4: schema.a.formats: "date" is given twice]==] },
  { "a unit that is none",
    [==[{BASE}local s = schema { a = time { unit = "sec" } }
route "POST /x" { body = "event", stream = "events", schema = s }]==],
    [==[p.lua:4: schema.a.unit: "sec" is none of "s", "ms", "us", "ns", "auto"]==] },
  { "a list without its items",
    [==[{BASE}local s = schema { a = list { max = 3 } }
route "POST /x" { body = "event", stream = "events", schema = s }]==],
    [==[p.lua:4: schema.a: a list needs the type of its items: list { str { }, max = 10 }]==] },
  { "a list of lists",
    [==[{BASE}local s = schema { a = list { list { str {} } } }
route "POST /x" { body = "event", stream = "events", schema = s }]==],
    [==[p.lua:4: schema.a: the items of a list are no lists: take any { }]==] },
  { "a list whose items are cut",
    [==[{BASE}local s = schema { a = list { str { cut = 3 } } }
route "POST /x" { body = "event", stream = "events", schema = s }]==],
    [==[p.lua:4: schema.a: cut is not for the items of a list, which are stored as they were sent]==] },
  { "a list with its most below its least",
    [==[{BASE}local s = schema { a = list { str {}, min = 3, max = 2 } }
route "POST /x" { body = "event", stream = "events", schema = s }]==],
    [==[p.lua:4: schema.a: min 3 is more than max 2]==] },
  { "a list with a key that is none",
    [==[{BASE}local s = schema { a = list { str {}, most = 2 } }
route "POST /x" { body = "event", stream = "events", schema = s }]==],
    [==[p.lua:4: schema.a.most: unknown key]==] },
  { "an item with a key that is none",
    [==[{BASE}local s = schema { a = list { str { mox = 2 } } }
route "POST /x" { body = "event", stream = "events", schema = s }]==],
    [==[p.lua:4: schema.a.mox: unknown key; did you mean "max"?]==] },
}

describe("sluice check", function()
  local c = checking.new(BASE)
  teardown(c.remove)

  local function notes(pattern)
    local out, code = c.check("{BASE}local s = schema { a = str { pattern = " .. pattern .. " } } "
      .. "route \"POST /x\" { body = \"event\", stream = \"events\", schema = s }")
    assert.equal(0, code, out)
    return (out:match("note: ([^\n]*)"))
  end

  it("notes what only the regular expressions of other languages have", function()
    assert.equal("schema.a.pattern: in a Lua pattern \\d is a backslash and a character: "
      .. "write %d", notes [["^\\d+$"]])
    assert.equal("schema.a.pattern: in a Lua pattern {2,5} is these characters: write the item "
      .. "as often, or use min and max", notes [["^[a-z]{2,5}$"]])
    assert.equal("schema.a.pattern: in a Lua pattern | is this character: a pattern has no "
      .. "alternatives", notes [["^a$|^b$"]])
    for _, good in ipairs { [["^%d+$"]], [["^[|{}2]+$"]], [["^a%|b%{2%}$"]], [["^[%]|]$"]] } do
      assert.is_nil(notes(good))
    end
  end)
end)

describe("the schema of a ClickHouse table", function()
  it("has a column for each type", function()
    local dir = h.folder()
    h.write(dir .. "/p.lua", [[
clickhouse "c" { urls = { "http://127.0.0.1:1" }, table = "d.t" }
stream "s" { sinks = { "c" } }
local fields = schema {
  a = int {}, b = int { bits = 8 }, c = int { bits = 16, unsigned = true },
  d = int { unsigned = true }, e = int { convert = true }, f = time {},
  g = time { unit = "auto" }, h = time { formats = { "date" } }, i = str { cut = 5 },
  j = str { format = "uuid" }, k = str { format = "ip" }, l = str { pattern = "^a$" },
  m = list { str {} }, n = list { int { max = 3 } }, o = list { num {} },
  p = list { enum { "x" } }, q = list { any {} }, r = list { bool {} } }
route "POST /" { body = "event", schema = fields, stream = "s" }
]])
    local sql = h.shell(("%s schema --clickhouse '%s/p.lua'"):format(h.binary, dir))
    h.remove(dir)
    local types = {}
    for name, type in sql:gmatch "`(%l)` ([%w()]+)" do types[#types + 1] = name .. " " .. type end
    assert.equal("a Int64, b Int8, c UInt16, d UInt64, e Int64, f UInt64, g UInt64, h UInt64, "
      .. "i String, j UUID, k String, l String, m Array(String), n Array(Int64), "
      .. "o Array(Float64), p Array(String), q Array(String), r Array(UInt8)",
      table.concat(types, ", "))
  end)
end)

describe("a mistake in a field", function()
  local c
  setup(function() c = checking.new(BASE) end)
  teardown(function() c.remove() end)

  for _, row in ipairs(rows) do
    it("is told with its place: " .. row[1], function()
      local said, code = c.problems(row[2])
      assert.equal(row[3], said)
      assert.equal(1, code)
    end)
  end
end)
