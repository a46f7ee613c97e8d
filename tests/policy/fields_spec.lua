-- What the types of a schema take of real clients, and what is stored of it.
local testing = require "sluice.testing"

local NOW = 1763900000000

local function policy(fields, more)
  return assert(testing.load("p.lua", ([[
file "a" { dir = "a" }
stream "s" { sinks = { "a" } }
local fields = schema { %s }
route "POST /" { body = "batch", schema = fields, stream = "s" %s }
]]):format(fields, more and ", " .. more or ""), { time = NOW }))
end

-- What is stored of {"v":value}, or the code and message of its refusal.
local function stored(p, value)
  local r = p:post("/", ('[{"v":%s}]'):format(value))
  local e = r.events[1]
  if e.code then return nil, e.code, e.message end
  return r.stored.s[1]:match '^{"v":(.*)}$'
end

local function each(p, rows)
  for _, row in ipairs(rows) do
    local value, code, message = stored(p, row[1])
    assert.same({ row[1], row[2], row[3], row[4] or message }, { row[1], value, code, message })
  end
end

describe("a time", function()
  it("with a unit is stored as whole milliseconds", function()
    each(policy 'v = time { unit = "auto" }', {
      { "1763900000", "1763900000000" }, { "1763900000.5", "1763900000500" },
      { "1763900000123", "1763900000123" }, { "1763900000123456", "1763900000123" },
      { "1763900000123456789", "1763900000123" }, { "1.7639e9", "1763900000000" },
      { '"2025-11-23T13:13:20+01:00"', "1763900000000" },
      { [["2025-11-23T13:13:20\u002B01:00"]], "1763900000000" },
      { "99999999", nil, "bad_time", "v: 99999999 lies before 1973-03-03 as a time since 1970" },
      { "1e21", nil, "bad_time", "v: 1e21 lies after 5138-11-16 as a time since 1970" },
      { "-1763900000", nil, "bad_time", "v: -1763900000 is no time since 1970" },
      { "true", nil, "wrong_type", "v: expected a time, got true" },
      { '"2025-11-23T13:13:20"', nil, "bad_time",
        "v: the text is no time in one of the field's formats" },
    })
  end)

  it("is never read in the wrong unit", function()
    each(policy 'v = time { unit = "ms" }', {
      { "1763900000000", "1763900000000" },
      { "1763900000", nil, "bad_time",
        "v: 1763900000 looks like seconds since 1970, expected milliseconds" },
      { "1763900000000000", nil, "bad_time",
        "v: 1763900000000000 looks like microseconds since 1970, expected milliseconds" } })
    each(policy 'v = time { unit = "s" }', {
      { "1763900000", "1763900000000" },
      { "1763900000000", nil, "bad_time",
        "v: 1763900000000 looks like milliseconds since 1970, expected seconds" } })
    -- With max_age, too: what looks like another unit is not only old.
    each(policy 'v = time { unit = "ms", max_age = "1h" }',
      { { "1763900000", nil, "bad_time" }, { "1763800000000", nil, "too_old" } })
    each(policy 'v = time { unit = "s", max_skew = "1h" }',
      { { "1763900001.5", "1763900001500" }, { "1863900000", nil, "in_future" } })
  end)

  it("is taken in the formats that are named, and in no other", function()
    each(policy 'v = time { formats = { "iso8601", "no_zone" } }', {
      { '"2025-11-23 13:13:20,5 +0100"', "1763900000500" },
      { '"2025-11-23T12:13"', "1763899980000" }, { '"2025-11-23"', nil, "bad_time" },
      { '"1763900000000"', nil, "bad_time" }, { "1763900000000", "1763900000000" },
      { "1763900000", nil, "bad_time" },
      { '"1969-12-31T23:59:59Z"', nil, "bad_time", "v: the time lies before 1970" } })
    each(policy 'v = time { formats = { "number" }, unit = "auto" }',
      { { '"1763900000"', "1763900000000" }, { '"2025-11-23T12:13:20Z"', nil, "bad_time" } })
  end)

  it("without both is stored as it was sent", function()
    each(policy "v = time {}", { { '"2025-11-23T13:13:20+01:00"',
      '"2025-11-23T13:13:20+01:00"' }, { "1763900000", nil, "bad_time" } })
  end)

  it("may lie deep in an event, come from the envelope or the request", function()
    local p = policy('["a.b.at"] = time { unit = "s" }, at = time { unit = "s" }, '
      .. 'sent = time { formats = { "http" } }, ["ctx.at"] = time { unit = "s" }',
      [[events = "batch", envelope = { at = "at", ctx = "ctx" }, set = { sent = "header:date" }]])
    local r = p:post("/", [[{"at":1763900000,"ctx":{"at":1763900001,"x":1},"batch":[
      {"a":{"x":[1],"b":{"at": 1763900002 ,"y":{}}}},
      {"at":1763900003.25,"ctx":{"at":1763900004}},{"a":{"b":{"at":5}}}]}]],
      { headers = { Date = "Sun, 23 Nov 2025 12:13:20 GMT" } })
    assert.same({
      [[{"a":{"x":[1],"b":{"at":1763900002000,"y":{}}},"at":1763900000000,]]
        .. [["ctx":{"at":1763900001000,"x":1},"sent":1763900000000}]],
      [[{"at":1763900003250,"ctx":{"at":1763900004000},"sent":1763900000000}]] },
      r.stored.s)
    assert.equal("a.b.at", r.events[3].field)
  end)

  it("is milliseconds for a hook, which may set it anew", function()
    local p = policy('v = time { unit = "s" }, n = int { convert = true }',
      [[on_event = function(ev) ev.w = ev.v + 1; ev.n = ev.n + 1
        if ev.v == 1763900000000 then ev.v = nil end end]])
    local r = p:post("/", [==[[{"v":1763900000,"n":"41"},{"n":1e2,"v":1763900001}]]==])
    assert.same({ [[{"n":42,"w":1763900000001}]],
      [[{"n":101,"v":1763900001000,"w":1763900001001}]] }, r.stored.s)
  end)
end)

describe("an int", function()
  it("with a size or convert is stored as the digits of its column", function()
    each(policy "v = int { bits = 64, unsigned = true }", {
      { "18446744073709551615", "18446744073709551615" }, { "-0", "0" }, { "7", "7" },
      { "18446744073709551616", nil, "too_large", "v: the integer is beyond unsigned 64 bits" },
      { "-1", nil, "too_small", "v: less than 0, and the field is unsigned" },
      { "1.0", nil, "wrong_type" }, { "1e3", nil, "wrong_type" }, { '"1"', nil, "wrong_type" } })
    each(policy "v = int { bits = 8 }", { { "-128", "-128" }, { "127", "127" },
      { "128", nil, "too_large", "v: the integer is beyond 8 bits" },
      { "-129", nil, "too_small", "v: the integer is beyond 8 bits" } })
    each(policy "v = int { convert = true, max = 2000 }", { { "1.0", "1" }, { "1e3", "1000" },
      { '"007"', "7" }, { '"-0"', "0" }, { [["\u0034\u0032"]], "42" }, { '"1.50e1"', "15" },
      { "1.5", nil, "wrong_type", "v: expected an integer, got a fraction" },
      { '""', nil, "wrong_type" }, { '"4 2"', nil, "wrong_type" }, { '"0x10"', nil, "wrong_type" },
      { '"2001"', nil, "too_large", "v: more than 2000" },
      { "true", nil, "wrong_type", "v: expected an integer, got true" } })
  end)
end)

describe("a str", function()
  it("with cut ends behind a character, and the cuts are counted", function()
    local p = policy "v = str { cut = 3 }"
    each(p, { { '"abc"', '"abc"' }, { '"abcd"', '"abc"' }, { '"äöüß"', '"äöü"' },
      { '"a€𝄞x"', '"a€𝄞"' }, { [["\ud834\udd1e\u00e9\n!"]], [["\ud834\udd1e\u00e9\n"]] },
      { [["\\\"\/x"]], [["\\\"\/"]] }, { '""', '""' } })
  end)

  it("of a format or pattern is refused if it has another", function()
    each(policy 'v = str { format = "uuid" }', {
      { '"123e4567-e89b-12d3-a456-426614174000"', '"123e4567-e89b-12d3-a456-426614174000"' },
      { '"123"', nil, "bad_format",
        "v: expected a UUID such as 123e4567-e89b-12d3-a456-426614174000" } })
    each(policy 'v = str { format = "url" }',
      { { [["https:\/\/shop.example\/"]], [["https:\/\/shop.example\/"]] },
        { '"javascript:alert(1)"', nil, "bad_format" } })
    each(policy 'v = str { pattern = "^%u+%-%d+$", max = 8 }', {
      { '"SKU-12"', '"SKU-12"' }, { [["\u0053KU-12"]], [["\u0053KU-12"]] },
      { '"sku-12"', nil, "bad_format", "v: the text does not fit the field's pattern" },
      { '"SKU-12345"', nil, "too_long" } })
  end)

  it("has the patterns of Lua, whatever a seed makes of them", function()
    math.randomseed(7)
    local parts = { "a", "b", ".", "%d", "%a", "%s", "[ab]", "[^a]", "[a-c]", "%.", "x" }
    local marks = { "", "", "", "?", "*", "+", "-" }
    local letters = { "a", "b", "c", "1", ".", " ", "x" }
    local patterns, fields = {}, {}
    for i = 1, 60 do
      local list = {}
      for k = 1, math.random(1, 7) do
        list[k] = parts[math.random(#parts)] .. marks[math.random(#marks)]
      end
      patterns[i] = (math.random(2) == 1 and "^" or "") .. table.concat(list)
        .. (math.random(2) == 1 and "$" or "")
      fields[i] = ("f%d = str { pattern = %q }"):format(i, patterns[i])
    end
    local p = policy(table.concat(fields, ", "))
    local fit = 0
    for _ = 1, 60 do
      local list, texts = {}, {}
      for i = 1, 60 do
        local t = {}
        for k = 1, math.random(0, 9) do t[k] = letters[math.random(#letters)] end
        texts[i] = table.concat(t)
        list[i] = ('{"f%d":"%s"}'):format(i, texts[i])
      end
      local r = p:post("/", "[" .. table.concat(list, ",") .. "]")
      for i = 1, 60 do
        local fits = texts[i]:find(patterns[i]) ~= nil
        fit = fit + (fits and 1 or 0)
        assert.same({ patterns[i], texts[i], fits },
          { patterns[i], texts[i], r.events[i].code == nil })
      end
    end
    assert.is_true(fit > 300 and fit < 3000, fit)
  end)
end)

describe("a list", function()
  it("has items of one type, and not more than it may", function()
    each(policy "v = list { str { max = 3 }, min = 1, max = 2 }", {
      { '["a","bc"]', '["a","bc"]' }, { '[ "a" , "b" ]', '[ "a" , "b" ]' },
      { "[]", nil, "too_short", "v: fewer than 1 item" },
      { '["a","b","c"]', nil, "too_long", "v: more than 2 items" },
      { '["a",5]', nil, "wrong_type", "v[2]: expected a string, got a number" },
      { '["a",null]', nil, "wrong_type", "v[2]: expected a string, got null" },
      { '["abcd"]', nil, "too_long", "v[1]: longer than 3 characters" },
      { '"a"', nil, "wrong_type", "v: expected an array, got a string" },
      { '{"a":1}', nil, "wrong_type", "v: expected an array, got an object" } })
    each(policy "v = list { int { max = 5 } }", { { "[1,-2, 5]", "[1,-2, 5]" },
      { "[1.5]", nil, "wrong_type" }, { "[[1]]", nil, "wrong_type" }, { "[]", "[]" },
      { "[1,6]", nil, "too_large", "v[2]: more than 5" } })
    each(policy 'v = list { enum { "a", "b" } }', { { '["a","b"]', '["a","b"]' },
      { '["c"]', nil, "not_in_enum" } })
    local all = '[{"a":[1]},[2],"]",null]'
    each(policy "v = list { any {} }", { { all, all } })
    local r = policy("v = list { int {} }"):post("/", '[{"v":[1,"x"]}]')
    assert.equal("v[2]", r.events[1].field)
  end)
end)
