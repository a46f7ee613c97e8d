local cjson = require "cjson"
local h = require "harness"
local testing = require "sluice.testing"

local dir
local function policy(hook)
  h.write(dir .. "/p.lua", ([[
file "f" { dir = "d" }
stream "s" { sinks = { "f" } }
local fields = schema { slot = any {}, n = num {} }
route "POST /" { body = "event", schema = fields, stream = "s",
  on_event = function(ev, req) %s end }
]]):format(hook))
  return assert(testing.load(dir .. "/p.lua"))
end

-- The stored text of an event, or the message of its dead letter.
local function stored(hook, event)
  local r = policy(hook):post("/", event)
  return r.stored.s and r.stored.s[1] or r.events[1].message
end

local scalars = { "0", "-1", "1.50", "19.99", "0.1", "1e5", "1E-7", "1e400",
  "-0.0", "123456789012345678901234567890", "1234567890123456789", "9007199254740993",
  "9007199254740992", "0.30000000000000004", "5e-324", "1e-400", "2.2250738585072011e-308",
  "true", "false", "null", '""', '"a"', '"\\u00e9\\n\\"\\ud83d\\ude00\\/"', '"\\u0000"' }
local keys = { "a", "b", "\\u0061", "x.y", "", "1" }

local function random(depth)
  local kind = depth < 4 and math.random(3) or 1
  if kind == 1 then return scalars[math.random(#scalars)] end
  local parts = {}
  for i = 1, math.random(0, 4) do
    parts[i] = (kind == 2 and '"' .. keys[math.random(#keys)] .. '": ' or "")
      .. random(depth + 1)
  end
  return kind == 2 and "{" .. table.concat(parts, " ,") .. "}"
    or "[ " .. table.concat(parts, ",") .. "]"
end

describe("a value that a hook moves", function()
  setup(function() dir = h.folder() end)
  teardown(function() h.remove(dir) end)

  local function check(p, v, key)
    local line = p:post("/", ('{"%s":%s}'):format(key, v)).stored.s[1]
    local head = ('{"%s":%s'):format(key, v)
    assert.equal(head, line:sub(1, #head))
    local copy = line:sub(#head + 1):match('^,"copy":(.*)}$')
    local what = v .. " gave " .. tostring(copy)
    if v == "null" then
      assert.is_nil(copy, what)
    elseif v:find("^[%[{]") or v:find("^[%d-]") and #v > 15 then
      assert.equal(v, copy)
    elseif v:find("^[%d-]") and tonumber(v) ~= 0 and tonumber(v) ~= math.huge then
      assert.equal(tonumber(v), tonumber(copy), what)
    elseif v:find("^[%d-]") then
      assert.is_true(v == copy or tonumber(v) == 0 and copy == "0", what)
    else
      assert.same(cjson.decode("[" .. v .. "]"), cjson.decode("[" .. copy .. "]"), what)
    end
  end

  it("is stored as it was sent, or as an equal value", function()
    math.randomseed(7)
    local ways = { { "v", "ev.copy = ev.v" }, { "v", 'ev.copy = get(ev, "v")' },
      { "slot", "ev.copy = ev.slot" }, { "slot", 'ev.copy = get(ev, "slot")' } }
    for _, way in ipairs(ways) do
      local p = policy(way[2])
      for _, v in ipairs(scalars) do check(p, v, way[1]) end
      for _ = 1, 300 do check(p, random(0), way[1]) end
    end
  end)

  it("keeps nulls, empty arrays and digits in a table that is changed and put back",
  function()
    assert.equal('{"v":{"big":1234567890123456789,"e":[],"l":[1,null,3],"n":null,'
      .. '"new":true,"o":{},"p":19.99}}',
      stored("local t = ev.v t.new = true ev.v = t",
        '{"v":{"l":[1,null,3],"e":[],"o":{},"n":null,"p":19.99,'
        .. '"big":1234567890123456789}}'))
    assert.equal('{"v":[[null],[],{}],"w":[[],{},[null]]}',
      stored("local t = get(ev, \"v\") ev.w = { t[2], t[3], t[1] }",
        '{"v":[[null],[],{}]}'))
    assert.equal('{"n":1234567890123456789,"w":{"id":1234567890123456789}}',
      stored("ev.w = { id = ev.n }", '{"n":1234567890123456789}'))
    assert.equal('{"v":[1,2],"w":[]}',
      stored("local t = get(ev, \"v\") ev.w = t t[1], t[2] = nil, nil ev.w = t",
        '{"v":[1,2]}'))
  end)

  it("is refused when Lua can't tell it from another one", function()
    assert.matches("differ only in digits", stored("ev.a, ev.b = ev.v, ev.w",
      '{"v":9007199254740993,"w":9007199254740992}'))
    assert.equal('{"v":9007199254740993,"a":9007199254740993}',
      stored("ev.a = ev.v", '{"v":9007199254740993}'))
  end)

  it("is stored when another one is the same in other digits", function()
    assert.equal('{"v":12345678901234567,"w":12345678901234567.0,'
      .. '"a":12345678901234567,"b":[12345678901234567]}',
      stored("ev.a = ev.v ev.b = { ev.w }",
        '{"v":12345678901234567,"w":12345678901234567.0}'))
  end)

  it("has the shortest digits when it is new", function()
    assert.equal('{"a":19.99,"b":0.1,"c":9007199254740992,"d":1e21,"e":0.000001,'
      .. '"f":{"x":19.99},"g":1e-9,"h":-2.5,"i":123456789012345680000}',
      stored("ev.a = 19.99 ev.b = 0.1 ev.c = 2^53 ev.d = 1e21 ev.e = 1e-6 "
        .. "ev.f = { x = 19.99 } ev.g = 1e-9 ev.h = -2.5 ev.i = 123456789012345678901",
        "{}"))
  end)

  it("can be null, an empty array or an empty object", function()
    assert.equal('{"a":null,"b":[],"c":{},"d":[null,[]]}',
      stored("ev.a = null ev.b = array {} ev.c = {} ev.d = { null, array() }", "{}"))
    assert.equal('{"v":[null],"same":true}',
      stored("ev.same = ev.v[1] == null", '{"v":[null]}'))
    assert.equal('{"v":[null]}', stored("ev.m = mask_ip(ev.v[1])", '{"v":[null]}'))
  end)

  it("is an error when a table that was read is changed but not put back", function()
    local why = 'the table read from "properties" was changed, but the event was not: '
      .. 'write ev["properties.KEY"] = value, or put the table back with '
      .. 'ev["properties"] = t'
    local event = '{"properties":{"email":"a@b","deep":{"x":1},"l":[1,2]}}'
    for _, hook in ipairs { 'ev.properties.email = "x"', "ev.properties.email = nil",
      "ev.properties.new = 1", "local p = ev.properties p.deep.x = nil",
      'get(ev, "properties").l[1] = 5', 'table.remove(ev.properties.l)',
      "local p = ev.properties ev.properties = p p.email = nil" } do
      local text, n = stored(hook, event):gsub("^/%S+/p%.lua:5: in this hook: ", "")
      assert.same({ why, 1 }, { text, n })
    end
    assert.equal(event, stored("local p = ev.properties.l[1]", event))
  end)

  it("is refused as a table that is neither an array nor an object", function()
    for _, t in ipairs { "{ 1, x = 2 }", "{ [1.5] = 1 }", "{ [2] = 1, a = 1 }" } do
      assert.matches("neither an array nor an object", stored("ev.a = " .. t, "{}")
        :gsub("a key of an object is not a text", "neither an array nor an object"))
    end
  end)
end)

-- The value read by path, and the one in a table, of an object that has a key twice.
describe("a key that stands twice inside of an event", function()
  setup(function() dir = h.folder() end)
  teardown(function() h.remove(dir) end)

  local function read(event)
    local p = policy([[
      local t, out = get(ev, "o"), {}
      for i, path in ipairs { "o.a", "o.p.q", "o.p.r", "o.l[1].a" } do
        local v = ev[path]
        out[i] = v == nil and "nil" or v
      end
      local p, l = t.p or {}, t.l and t.l[1] or {}
      for i, v in pairs { t.a or "nil", p.q or "nil", p.r or "nil", l.a or "nil" } do
        if v ~= out[i] then error(i .. ": " .. v .. " in the table") end
      end
      ev.o, ev.r = nil, out]])
    local r = p:post("/", event)
    return r.stored.s and cjson.decode(r.stored.s[1]).r or r.events[1].message
  end

  it("is the same by path and in a table: the first copy", function()
    for event, want in pairs {
      ['{"o":{"a":1,"a":2}}'] = { 1, "nil", "nil", "nil" },
      ['{"o":{"\\u0061":1,"a":2,"a":3}}'] = { 1, "nil", "nil", "nil" },
      ['{"o":{"a":1,"\\u0061":2}}'] = { 1, "nil", "nil", "nil" },
      ['{"o":{"p":{"q":1},"p":{"q":2}}}'] = { "nil", 1, "nil", "nil" },
      ['{"o":{"l":[{"a":1,"a":2}],"l":[{"a":3}]}}'] = { "nil", "nil", "nil", 1 },
      -- A key that the first of two objects lacks is the next one's.
      ['{"o":{"p":{},"p":{"r":2}}}'] = { "nil", "nil", 2, "nil" },
      ['{"o":{"p":{"q":1},"p":{"q":2,"r":3},"p":{"r":4}}}'] = { "nil", 1, 3, "nil" },
    } do
      assert.same(want, read(event), event)
    end
  end)

  it("is put back as it was sent, and told as changed only when it is", function()
    local event = '{"o":{"a":1,"a":2,"p":{"q":1},"p":{"r":2}}}'
    assert.equal(event, stored("ev.o = get(ev, \"o\")", event))
    assert.equal(event, stored("local t = get(ev, \"o\") ev.x = t and nil", event))
    assert.matches("changed", stored("local t = get(ev, \"o\") t.a = 2", event))
  end)
end)

describe("a hook raises", function()
  setup(function()
    dir = h.folder()
    h.write(dir .. "/t.csv", "k,v\na,1\n")
  end)
  teardown(function() h.remove(dir) end)

  local HEAD = [[
file "f" { dir = "d" }
stream "s" { sinks = { "f" } }
local rows = lookup "t.csv"
local by_header = limit { rate = "1/s", key = "header:x" }
local by_peer = limit { rate = "1/s", key = "peer" }
local word, made = env, { counter }
route "POST /" { body = "event", stream = "s", on_event = function(ev, req) ]]

  for hook, why in pairs {
    ["for k in pairs(rows) do ev.k = k end"] =
      "pairs: a lookup gives one value or row by its key",
    ["for k in pairs(ev) do ev.k = k end"] =
      "pairs: an event or a request is no table; get(ev, path) gives one",
    ["local e = ev return by_header:check(e)"] =
      "this limit counts by the request: write l:check(req)",
    ["local e = ev return by_peer:check(e)"] =
      "this limit counts by the request: write l:check(req)",
    ["return (nil), ev.a .. \"b\""] = "on_event returned nil and a string, which means "
      .. "nothing: write return reject(\"code\", \"message\")",
    ["ev.a = word(\"HOME\")"] = "env: works while the policy is loaded; a hook can't use it",
    ["made[1](\"x_total\")"] =
      "counter: works while the policy is loaded; a hook can't use it",
  } do
    it(("for %s"):format(hook), function()
      h.write(dir .. "/q.lua", HEAD .. hook .. " end }\n")
      local r = assert(testing.load(dir .. "/q.lua")):post("/", '{"a":"x"}')
      assert.equal(1, r.dead)
      assert.matches(why, r.events[1].message, 1, true)
    end)
  end
end)
