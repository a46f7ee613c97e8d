-- Mistakes in limits and quotas, in the limits that a route names, and in the networks that
-- a route or listener allows or denies. Rows as in diagnostics_spec.lua.
local checking = require "spec.checking"
local h = require "harness"

local SHA = ("0123456789abcdef"):rep(4)

local BASE = [[
file "a" { dir = "a" }
stream "s" { sinks = { "a" } }
keys "apps" { file = "apps.csv" }
cidr "bad.txt" {}
]]

local function limit(words) return "{BASE}limit " .. words end

-- A route in line 6, behind the statement that it needs.
local function route(words, before)
  return ('{BASE}%s\nroute "POST /x" { body = "event", stream = "s", %s }')
    :format(before or "local l = limit { rate = \"1/s\" }", words)
end

local KEYED = 'auth = bearer "apps", '

local rows = {
  { "a limit of a rate and a quota", limit '"l" { rate = "1/s", quota = "9/d" }',
    [[p.lua:5: limit "l".quota: is given together with rate: write two limits, and name both in the route's limits]] },
  { "a quota without a window", limit '"l" { quota = "1000000" }',
    [[p.lua:5: limit "l".quota: "1000000" is not a quota such as "1000000/d", nor "key:COLUMN/d"]] },
  { "a quota of a number", limit '"l" { quota = 1000000 }',
    [[p.lua:5: limit "l".quota: 1000000 is not a quota such as "1000000/d", nor "key:COLUMN/d"]] },
  { "a quota of a week", limit '"l" { quota = "7/w" }',
    [[p.lua:5: limit "l".quota: "7/w" is not a quota such as "1000000/d", nor "key:COLUMN/d"]] },
  { "a quota of a part of an event", limit '"l" { quota = "0.5/d" }',
    [[p.lua:5: limit "l".quota: "0.5/d" is not a quota such as "1000000/d", nor "key:COLUMN/d"]] },
  { "a quota below zero", limit '"l" { quota = "-1/d" }',
    [[p.lua:5: limit "l".quota: "-1/d" is not a quota such as "1000000/d", nor "key:COLUMN/d"]] },
  { "a quota of nothing", limit '"l" { quota = "0/d" }',
    [[p.lua:5: limit "l".quota: "0/d" lets nothing in: take the route away, or refuse with deny]] },
  { "a rate of nothing", limit '"l" { rate = "0/s" }',
    [[p.lua:5: limit "l".rate: "0/s" lets nothing in: take the route away, or refuse with deny]] },
  { "a quota that no counter can count", limit '"l" { quota = "99999999999999999999999/d" }',
    [[p.lua:5: limit "l".quota: "99999999999999999999999/d" is more than 50000000000]] },
  { "a quota with a burst", limit '"l" { quota = "9/d", burst = 5 }',
    [[p.lua:5: limit "l".burst: means nothing with quota: all of it may come at once]] },
  { "a quota of too many keys", limit '"l" { quota = "9/d", key = "peer", max_keys = 2000000 }',
    [[p.lua:5: limit "l".max_keys: 2000000 is more than 1000000, the most of a quota]] },
  { "a quota by a column without a window", limit '"l" { quota = "key:per_day" }',
    [[p.lua:5: limit "l".quota: "key:per_day" has no window: write "key:per_day/d", or /h, /m, /s]] },
  { "a quota by a column that no keys have", limit '"l" { quota = "key:per_dya/d" }',
    [[p.lua:5: limit "l".quota: no keys have a column "per_dya"; did you mean "per_day"?]] },
  { "a rate by a column that no keys have", limit '"l" { rate = "key:x" }',
    [[p.lua:5: limit "l".rate: no keys have a column "x"]] },
  { "a rate for others where no column is asked",
    limit '"l" { rate = "1/s", otherwise = "2/s" }',
    [[p.lua:5: limit "l".otherwise: means nothing without a column: it is for keys whose row has no number]] },
  { "what is no rate for others", limit '"l" { rate = "key:per_second", otherwise = "many" }',
    [[p.lua:5: limit "l".otherwise: "many" is not a rate such as "100/s"]] },
  { "a column for others",
    limit '"l" { rate = "key:per_second", otherwise = "key:per_day" }',
    [[p.lua:5: limit "l".otherwise: "key:per_day" is a column itself: expected a rate]] },
  { "a quota for others in another window",
    limit '"l" { quota = "key:per_day/d", otherwise = "5/h" }',
    [[p.lua:5: limit "l".otherwise: "5/h" has another window than quota]] },
  { "a limit of a route that is none", route 'limits = { 5 }',
    [[p.lua:6: route "POST /x".limits[1]: 5 is no limit: write limits = { l } with local l = limit { … }]] },
  { "a limit of a route by its name", route('limits = { "l" }'),
    [[p.lua:6: route "POST /x".limits[1]: "l" is no limit: write limits = { l } with local l = limit { … }]] },
  { "limits of a route without a list", route('limits = l'),
    [[p.lua:6: route "POST /x".limits: expected a list of limits: { l }]] },
  { "a counter as a limit", route('limits = { c }', 'local c = counter "c_total" {}'),
    [[p.lua:6: route "POST /x".limits[1]: a table is no limit: write limits = { l } with local l = limit { … }]] },
  { "a limit twice", route('limits = { l, l }', 'local l = limit "l" { rate = "1/s" }'),
    [[p.lua:6: route "POST /x".limits[2]: has the limit "l" twice]] },
  { "a limit by a field of the event",
    route('limits = { l }', 'local l = limit { rate = "1/s", key = "user" }'),
    [[p.lua:6: route "POST /x".limits[1]: counts by "user" of the event: call l:check(ev) in on_event]] },
  { "a limit by a column where there is no key",
    route('limits = { l }', 'local l = limit { rate = "1/s", key = "key:app" }'),
    [[p.lua:6: route "POST /x".limits[1]: "key:app": needs auth: the row of a key is known only then]] },
  { "a rate of a column where there is no key",
    route('limits = { l }', 'local l = limit { rate = "key:per_second" }'),
    [[p.lua:6: route "POST /x".limits[1]: "key:per_second": needs auth: the row of a key is known only then]] },
  { "headers about limits that are none", route(KEYED .. 'limit_headers = "separate"'),
    [[p.lua:6: route "POST /x".limit_headers: needs limits, of which they tell]] },
  { "a form of headers that is none", route('limits = { l }, limit_headers = "draft-6"'),
    [[p.lua:6: route "POST /x".limit_headers: "draft-6" is none of "separate", "combined"]] },
  { "a network without a list", route 'allow = "10.0.0.0/8"',
    [[p.lua:6: route "POST /x".allow: "10.0.0.0/8" is not a list of networks: { "10.0.0.0/8" }]] },
  { "no networks at all", route 'allow = {}',
    [[p.lua:6: route "POST /x".allow: a table is not a list of networks: { "10.0.0.0/8" }]] },
  { "a network with bits behind its prefix", route 'deny = { "10.0.0.1/8" }',
    [[p.lua:6: route "POST /x".deny[1]: "10.0.0.1/8" has bits behind its prefix: the network's first address is expected]] },
  { "a file of networks that no cidr names", route 'deny = { "bda.txt" }',
    [[p.lua:6: route "POST /x".deny[1]: "bda.txt" is neither a network such as "10.0.0.0/8" nor the file of a cidr; did you mean "bad.txt"?]] },
  { "what is neither a network nor a file", route 'deny = { true }',
    [[p.lua:6: route "POST /x".deny[1]: true is neither a network such as "10.0.0.0/8" nor a cidr "FILE"]] },
  { "a lookup as networks", route('allow = { t }', 'local t = lookup "apps.csv" {}'),
    [[p.lua:6: route "POST /x".allow[1]: a table is neither a network such as "10.0.0.0/8" nor a cidr "FILE"]] },
  { "a network of a listener that is none",
    '{BASE}listen "127.0.0.1:0" { deny = { "nowhere" } }\n'
      .. 'route "POST /x" { body = "event", stream = "s" }',
    [[p.lua:5: listen "127.0.0.1:0".deny[1]: "nowhere" is neither a network such as "10.0.0.0/8" nor the file of a cidr]] },
  { "a network of the admin listener that is none",
    '{BASE}admin { listen = "127.0.0.1:0", allow = { "10.0.0.0/99" } }\n'
      .. 'route "POST /x" { body = "event", stream = "s" }',
    [[p.lua:5: admin.allow[1]: "10.0.0.0/99" has no prefix from 0 to 32 behind its /]] },
}

describe("sluice check", function()
  local c = checking.new(BASE)

  setup(function()
    h.write(c.dir .. "/apps.csv", ("sha256,app,per_second,per_day\n%s,shop,5,100\n"):format(SHA))
    h.write(c.dir .. "/bad.txt", "192.0.2.0/24\n")
    h.write(c.dir .. "/more.csv", "network,name\n198.51.100.0/24,x\n")
  end)
  teardown(c.remove)

  local GOOD = 'route "POST /good" { body = "event", stream = "s" }\n'

  for _, row in ipairs(rows) do
    it("names " .. row[1], function()
      local text = row[2]
      if not text:find("route ", 1, true) then text = text .. "\n" .. GOOD end
      local out, code = c.problems(text)
      assert.equal(row[3], out)
      assert.equal(1, code)
    end)
  end

  it("takes limits by columns, several of them, and networks of all kinds", function()
    local out, code = c.check([[{BASE}
local nets = cidr "more.csv" {}
local a = limit "a" { rate = "key:per_second/m", key = "key:app", burst = 5, otherwise = "1/m" }
local b = limit "b" { quota = "key:per_day/d", key = "key:app", otherwise = "100/d" }
local d = limit "d" { quota = "50000000000/h", key = "peer" }
listen "127.0.0.1:0" { allow = { "::1", "bad.txt", nets }, deny = { "unix" } }
route "POST /x" { body = "batch", stream = "s", auth = bearer "apps", limits = { a, b, d },
  limit_headers = "combined", allow = { "0.0.0.0/0", "::/0" }, deny = { "bad.txt", nets } }
]])
    assert.equal(0, code, out)
  end)
end)
