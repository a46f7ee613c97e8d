local h = require "harness"
local checking = require "spec.checking"

local BASE = [[
file "f" { dir = "d" }
stream "s" { sinks = { "f" } }
]]

-- A hook, and the message of `sluice check` for it.
local hooks = {
  { [[reject("x", "y")]], "reject: does nothing by itself: write return reject(…)" },
  { [[if ev.a then drop("x") end]], "drop: does nothing by itself: write return drop(…)" },
  { [[reject("x", "y " .. ev.a)]],
    "reject: does nothing by itself: write return reject(…)" },
  { [[return nil, "bad"]], "return: a hook that returns nil accepts the event, whatever "
    .. "stands behind it: write return reject(\"code\", \"message\")" },
  { [[if ev.x == null then return drop() end]], "null: is never what ev.x reads as: a null "
    .. "reads as nil; has(ev, \"x\") tells the two apart" },
  { [[if null ~= ev.x then return drop() end]], "null: is never what ev.x reads as: a null "
    .. "reads as nil; has(ev, \"x\") tells the two apart" },
  { [[ev.a = time()]], "time: works while the policy is loaded; a hook can't use it" },
  { [[ev.a = int(ev.x)]], "int: works while the policy is loaded; a hook can't use it" },
  { [[ev.a = env("X")]], "env: works while the policy is loaded; a hook can't use it" },
  { [[counter("a_total"):inc()]],
    "counter: works while the policy is loaded; a hook can't use it" },
  { [[return limit { rate = "1/s" }:check("x")]],
    "limit: works while the policy is loaded; a hook can't use it" },
  { [[ev.a = require "rules"]],
    "require: works while the policy is loaded; a hook can't use it" },
  { [[log { level = "debug" }]],
    "log: works while the policy is loaded; a hook can't use it" },
  { [[return reject("a", "b", 700)]], "reject: 700 is not a status from 400 to 499" },
  { [[return reject("a", "b", 200)]], "reject: 200 is not a status from 400 to 499" },
  { [[ev.a = req.header]],
    "header: a request has no \"header\"; did you mean \"headers\"?" },
  { [[ev.a = req.body]], "body: a request has no \"body\": on_event sees its events; "
    .. "on_request comes before the body is read" },
  { [[ev.a = req.time]], "time: a request has no \"time\": write req.time_ms" },
}

-- Hooks that are good, though they look like those.
local good = {
  [[if ev.a then return reject("x", "y") end local _ = has(ev, "b")]],
  [[return reject("x", "y")]], [[local r = reject("x") return r]],
  [[if ev.a == nil then return drop() end]],
  [[ev.b = ev.a[1] == null]], [[local t = ev.a if t and t[1] == null then ev.b = null end]],
  [[return ev.a and drop()]], [[return ev.a and reject("a", "b") or nil]],
  [[if ev.a then return to("s", "s" .. ev.b) end ev.c = 1 error("x")]],
  [[if ev.a then return reject("a", "b" .. ev.b) end error("x")]],
  [[local f = reject error("x")]], [[local f = ev.a and reject or drop error("x")]],
  [[ev.a = req.headers.body]], [[return (nil)]],
}

-- A policy, and the message.
local policies = {
  { [[local M = {}
route "POST /x" { body = "event", stream = "s", on_event = M.typo }]],
    'p.lua:4: route "POST /x".on_event: M.typo is nil: there is no such field' },
  { [[local M = { a = {} }
route "POST /x" { body = "event", stream = "s", schema = M.a.typo }]],
    'p.lua:4: route "POST /x".schema: M.a.typo is nil: there is no such field' },
  { [[route "GET /x" { body = "event", stream = "s" }]],
    'p.lua:3: route "GET /x": a GET request has no body, so this route never gets an '
    .. 'event: write POST, PUT or PATCH, or body = "query"' },
  { [[limit { rate = "1/s", key = "headers:x" }]], 'p.lua:3: limit.key: "headers:x" is '
    .. 'neither "header:NAME", "key:COLUMN", "jwt:CLAIM" nor "peer", '
    .. '"path" or a path of the event' },
  { [[route "POST /x" { body = "event", stream = "s",
  cors = { origins = { "https://*.x" } } }]], 'p.lua:4: route "POST /x".cors.origins[1]: '
    .. '"https://*.x": an origin has no wildcard; name each, or "*" alone' },
  { [[route "POST /x" { body = "event", stream = "s",
  cors = { origins = { "*" }, credentials = true } }]],
    'p.lua:4: route "POST /x".cors.credentials: browsers refuse it with "*": name the origins' },
  { [[file "g" { dir = "archive/%Y" } stream "t" { sinks = { "g" } }]],
    'p.lua:3: file "g".dir: "archive/%Y" is taken as it stands: the date is part of no '
    .. "name; files are rotated by rotate.age" },
  { [[clickhouse "c" { urls = { "http://a:1" }, table = "events" }
stream "t" { sinks = { "c" } }]], 'p.lua:3: clickhouse "c".table: "events" has no '
    .. 'database: write "database.events"' },
  { [[local e = schema { a = string {} }]],
    "p.lua:3: string is no type: a text is str { }" },
  { [[local e = schema { a = number {} }]],
    "p.lua:3: number: unknown word: a number is num { }, a whole number int { }\n"
    .. "p.lua:3: schema.a: a table is no type; expected one of str num int bool enum time any "
    .. "list" },
  { [[schema "event" { a = str {} }]], "p.lua:3: schema: a schema has no name: write "
    .. "local event = schema { }, and schema = event in a route" },
  { [[stream "t" { sinks = { 5 } }]], 'p.lua:3: stream "t".sinks[1]: 5 is not the name of '
    .. 'a sink: write sinks = { "name" }' },
  { [[kafka "k" { bootstrap_servers = "a:1", topic = "t", brokers = "a:1" }
stream "t" { sinks = { "k" } }]],
    'p.lua:3: kafka "k".bootstrap_servers: unknown key; did you mean "brokers"?' },
  { [[local e = schema { a = enum { x = 1 } }]], "p.lua:3: schema.a: an enum's values are a "
    .. 'list of texts, without keys: enum { "a", "b" }' },
  { [[route "POST /x" { body = "event", stream = "s", on_event = on_event }
local function on_event(ev) end]], "p.lua:3: on_event: is defined in line 4, below: Lua "
    .. "reads from the top, so move it up" },
  { [[setmetatable({}, {})]],
    "p.lua:3: setmetatable: not available to a policy: a policy has plain tables only" },
  { [[local j = json.encode]], "p.lua:3: json: not available to a policy: to write "
    .. "JSON, set ev.x = t with a table t; to read it, call get(ev, path)" },
  { [[require "cjson"]], 'p.lua:3: require "cjson": no file cjson.lua; a policy has no C '
    .. "modules: to write JSON, set ev.x = t with a table t; to read it, call get(ev, path)" },
  { [[local c = counter "a_total"
c.inc(1)]], "p.lua:4: expected a counter before inc: write c:inc(…)" },
}

local syntax = {
  { "if a != b then end", "Lua writes ~= for \"is not\"" },
  { "if a && b then end", "Lua writes and for &&" },
  { "if a || b then end", "Lua writes or for ||" },
  { "local x = 1\nx += 1", "Lua has no +=: write x = x + 1" },
  { "for i = 1, 2 do if i then continue end end",
    "Lua has no continue: write if … then … end around the rest" },
}

describe("sluice check", function()
  local c
  setup(function() c = checking.new(BASE) end)
  teardown(function() c.remove() end)

  local ROUTE = '\nroute "POST /ok" { body = "event", stream = "s" }\n'
  local function hooked(hook)
    return BASE .. 'route "POST /h" { body = "event", stream = "s",\n'
      .. "on_event = function(ev, req) " .. hook .. " end }\n"
  end

  for _, row in ipairs(hooks) do
    it("refuses the hook " .. row[1], function()
      assert.equal("p.lua:4: " .. row[2], (c.problems(hooked(row[1]))))
    end)
  end

  it("takes hooks that only look alike", function()
    for _, hook in ipairs(good) do
      local out, code = c.check(hooked(hook))
      assert.equal(0, code, hook .. "\n" .. out)
    end
  end)

  for i, row in ipairs(policies) do
    it(("names mistake %d: %s"):format(i, row[1]:match("[^\n]+")), function()
      assert.equal(row[2], (c.problems(BASE .. row[1] .. ROUTE)))
    end)
  end

  for _, row in ipairs(syntax) do
    it("tells how Lua writes " .. row[1]:match("[^\n]*$"), function()
      assert.matches("; " .. row[2], c.problems(BASE .. row[1] .. ROUTE), 1, true)
    end)
  end

  it("blames the setting that is too small", function()
    assert.equal('p.lua:1: spool.segment: 4MiB is too small: a segment has room for four '
      .. "bodies, 4 × server.max_body = 16MiB",
      (c.problems('spool { segment = "4MiB", max_bytes = "3GiB" } ' .. BASE .. ROUTE)))
  end)

  it("makes the defaults fit many workers and large bodies", function()
    for _, server in ipairs { "workers = 96", 'max_body = "100MiB"',
      'workers = 256, max_body = "64MiB"' } do
      local out, code = c.check("server { " .. server .. " } " .. BASE .. ROUTE)
      assert.equal(0, code, out)
    end
  end)

  it("says once that a variable is not set", function()
    assert.equal('p.lua:3: env "SLUICE_NO": not set, and no default given\n'
      .. 'p.lua:4: env "SLUICE_NO": not set, and no default given',
      (c.problems(BASE .. [[http "h" { url = { env("SLUICE_NO") } }
clickhouse "c" { urls = { "http://" .. env("SLUICE_NO") }, table = "a.b" }
stream "t" { sinks = { "h", "c" } }]] .. ROUTE)))
  end)

  it("does not print what the environment holds", function()
    local out = c.check(BASE .. [[http "h" { url = env("HOME") .. "?password" }
log { level = env("PATH") } stream "t" { sinks = { "h" } }]] .. ROUTE)
    assert.matches('"$HOME?password" is not', out, 1, true)
    assert.matches('"$PATH" is none of', out, 1, true)
    assert.is_nil(out:find(os.getenv("PATH"):sub(1, 20), 1, true))
  end)

  it("includes files of a folder with brackets", function()
    local dir = c.dir .. "/a[b]*"
    assert.equal(0, os.execute("mkdir '" .. dir .. "'"))
    h.write(dir .. "/p.lua", BASE .. 'include "more/*.lua"')
    os.execute("mkdir '" .. dir .. "/more'")
    h.write(dir .. "/more/r.lua", ROUTE)
    assert.matches("good: 1 route", h.shell(("%s check '%s/p.lua' 2>&1")
      :format(h.binary, dir)))
  end)

  it("names an example without a good request", function()
    local expect = [[ body = "{}", expect = { status = 202 } }]]
    assert.equal('p.lua:3: example "e".request: expected a method and a path: '
      .. '"POST /v1/events"', (c.problems(BASE .. 'example "e" { request = "POST",'
      .. expect .. ROUTE)))
    assert.matches('p.lua:3: example "e": needs request',
      (c.problems(BASE .. 'example "e" {' .. expect .. ROUTE)))
  end)

  it("refuses tables without rows", function()
    for text, why in pairs { ["a,b\n"] = "the file has a header, but no rows",
      ["a,b\r1,2\r"] = "the lines end with CR alone; expected LF or CR LF" } do
      h.write(c.dir .. "/t.csv", text)
      assert.equal("t.csv:1: " .. why,
        (c.problems(BASE .. 'local t = lookup "t.csv"' .. ROUTE)))
    end
  end)

  it("writes a std that luacheck takes as its first lines say", function()
    local dir = h.folder()
    finally(function() h.remove(dir) end)
    h.shell(("%s reference --luacheck > %s/sluice_std.lua"):format(h.binary, dir))
    local rc = h.read(dir .. "/sluice_std.lua"):match("%.luacheckrc: ([^\n]*)")
    h.write(dir .. "/.luacheckrc", rc)
    h.write(dir .. "/p.lua", "reject('a', io)\n")
    local out = h.shell(("cd %s && luacheck p.lua --no-color; true"):format(dir))
    assert.matches("accessing undefined variable io", out:gsub("[\"']", ""), 1, true)
    assert.matches("1 warning", out, 1, true)
  end)

  it("finds one mistake in 20,000 lines in little time", function()
    local lines = { "local event = schema { bad = str { maxx = 5 },\n" }
    for i = 1, 60 do lines[#lines + 1] = ("  f%d = str { },"):format(i) end
    lines[#lines + 1] = "}"
    for i = 1, 20000 do lines[#lines + 1] = ("local function f%d(a) return a end")
      :format(i):gsub("^local ", "") end
    local text = BASE .. table.concat(lines, "\n") .. ROUTE
    local from = os.clock()
    local out = c.check(text)
    assert.matches("maxx: unknown key", out)
    assert.is_true(os.clock() - from < 10)
  end)
end)
