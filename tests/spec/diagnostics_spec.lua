-- Mistakes in a policy: what is said of each, word for word; those of routes are in
-- route_mistakes_spec.lua, those of counters and limits in kept_mistakes_spec.lua. A row: what is
-- wrong, the policy ({BASE}: three good lines), the problems as `sluice check`
-- prints them, without the source lines under each.
local checking = require "spec.checking"

local BASE = [[
file "a" { dir = "a" }
stream "events" { sinks = { "a" } }
route "POST /v1/events" { body = "event", stream = "events" }
]]

local rows = {
  { "an unfinished table",
    [[{BASE}route "POST /x" {{]],
    [[p.lua:4: syntax: unexpected symbol near '<eof>']] },
  { "an unfinished string",
    [[{BASE}local s = "abc
]],
    [[p.lua:4: syntax: unfinished string near '"abc']] },
  { "a missing end",
    [[{BASE}local function f()
]],
    [[p.lua:5: syntax: 'end' expected (to close 'function' at line 4) near '<eof>']] },
  { "a stray end",
    [[{BASE}end
]],
    [[p.lua:4: syntax: '<eof>' expected near 'end']] },
  { "an equals sign too few",
    [[{BASE}local x 5
]],
    [[p.lua:4: syntax: unexpected symbol near '5']] },
  { "a misspelt word",
    [[{BASE}rout "POST /x" {}]],
    [[p.lua:4: rout: unknown word; did you mean "route"?]] },
  { "an unknown word",
    [[{BASE}zebra "x" {}]],
    [[p.lua:4: zebra: unknown word]] },
  { "a misspelt key",
    [[server { lisen = "x:1" }
{BASE}]],
    [[p.lua:1: server.lisen: unknown key; did you mean "listen"?]] },
  { "an unknown key",
    [[server { zebra = 1 }
{BASE}]],
    [[p.lua:1: server.zebra: unknown key]] },
  { "a misspelt nested key",
    [[file "a" { dir = "a", rotate = { bites = "1MiB" } }
stream "events" { sinks = { "a" } }
route "POST /x" { body = "event", stream = "events" }]],
    [[p.lua:1: file "a".rotate.bites: unknown key; did you mean "bytes"?]] },
  { "a misspelt key of a field",
    [[{BASE}local s = schema { a = str { requird = true } }
route "POST /x" { body = "event", stream = "events", schema = s }]],
    [[p.lua:4: schema.a.requird: unknown key; did you mean "required"?]] },
  { "a misspelt type",
    [[{BASE}local s = schema { a = strr {} }
route "POST /x" { body = "event", stream = "events", schema = s }]],
    [[p.lua:4: strr: unknown word; did you mean "str"?
p.lua:4: schema.a: a table is no type; expected one of str num int bool enum time any list]] },
  { "a list where keys belong",
    [[server { "x:1" }
{BASE}]],
    [=[p.lua:1: server[1]: unknown key]=] },
  { "a word twice",
    [[server { }
server { }
{BASE}]],
    [[p.lua:2: server: is given twice, first in line 1]] },
  { "a name twice",
    [[{BASE}file "a" { dir = "b" }]],
    [[p.lua:4: file "a": is given twice, first in line 1]] },
  { "a name of another shape",
    [[file "A b" { dir = "a" }
stream "events" { sinks = { "A b" } }
route "POST /x" { body = "event", stream = "events" }]],
    [[p.lua:1: file "A b": a name is 1 to 64 of a-z, 0-9, _ and -]] },
  { "a name without its table",
    [[{BASE}file "q"]],
    [[p.lua:4: file "q": has no { } behind its name]] },
  { "a word without a name",
    [[{BASE}file { dir = "q" }]],
    [[p.lua:4: file: expected a name: file "name" { }
p.lua:4: file "?": has no { } behind its name]] },
  { "a word as a value",
    [[{BASE}local x = server
route = 5]],
    [[p.lua:5: "route" is a word of the policy language and can't be set]] },
  { "a bare number for a time",
    [[server { idle_timeout = 5 }
{BASE}]],
    [[p.lua:1: server.idle_timeout: 5 needs a unit, such as "50ms"]] },
  { "an unknown unit of time",
    [[server { idle_timeout = "5 parsecs" }
{BASE}]],
    [[p.lua:1: server.idle_timeout: "5 parsecs" is not a duration such as "50ms": a number and ms, s, m, h or d]] },
  { "no unit of time",
    [[server { idle_timeout = "5" }
{BASE}]],
    [[p.lua:1: server.idle_timeout: "5" is not a duration such as "50ms": a number and ms, s, m, h or d]] },
  { "a time below its least",
    [[server { idle_timeout = "1ms" }
{BASE}]],
    [[p.lua:1: server.idle_timeout: "1ms" is less than 10ms]] },
  { "a time beyond its most",
    [[server { idle_timeout = "99d" }
{BASE}]],
    [[p.lua:1: server.idle_timeout: "99d" is more than 1d]] },
  { "a bare number for a size",
    [[server { max_body = 4096 }
{BASE}]],
    [[p.lua:1: server.max_body: 4096 needs a unit, such as "64MiB"]] },
  { "a size without its unit",
    [[server { max_body = "4" }
{BASE}]],
    [[p.lua:1: server.max_body: "4" is not a size such as "64MiB": a number and B, KB, MB, GB, TB, KiB, MiB, GiB or TiB]] },
  { "a size below its least",
    [[server { max_body = "1B" }
{BASE}]],
    [[p.lua:1: server.max_body: "1B" is less than 1KiB]] },
  { "a size beyond its most",
    [[server { max_body = "5TiB" }
{BASE}]],
    [[p.lua:1: server.max_body: "5TiB" is more than 255MiB]] },
  { "a text for a count",
    [[server { max_events = "many" }
{BASE}]],
    [[p.lua:1: server.max_events: "many" is not a whole number]] },
  { "a broken count",
    [[server { max_events = 1.5 }
{BASE}]],
    [[p.lua:1: server.max_events: 1.5 is not a whole number]] },
  { "a negative count",
    [[server { max_events = -1 }
{BASE}]],
    [[p.lua:1: server.max_events: -1 is less than 1]] },
  { "a count beyond its most",
    [[server { max_events = 100000000 }
{BASE}]],
    [[p.lua:1: server.max_events: 100000000 is more than 1000000]] },
  { "a number of workers that is none",
    [[server { workers = "many" }
{BASE}]],
    [[p.lua:1: server.workers: "many" is neither "auto" nor a number of threads]] },
  { "no worker",
    [[server { workers = 0 }
{BASE}]],
    [[p.lua:1: server.workers: 0 is less than 1]] },
  { "an address without a host",
    [[server { listen = "8080" }
{BASE}]],
    [[p.lua:1: server.listen: "8080" is not an address such as "127.0.0.1:8080"]] },
  { "a port that is none",
    [[server { listen = "0.0.0.0:99999" }
{BASE}]],
    [[p.lua:1: server.listen: "0.0.0.0:99999" is not an address such as "127.0.0.1:8080"]] },
  { "a port beyond the last one",
    [[server { listen = "127.0.0.1:65536" }
{BASE}]],
    [[p.lua:1: server.listen: "127.0.0.1:65536" is not an address such as "127.0.0.1:8080"]] },
  { "a table for a text",
    [[spool { dir = {} }
{BASE}]],
    [[p.lua:1: spool.dir: a table is not a text]] },
  { "a number for a folder",
    [[spool { dir = 5 }
{BASE}]],
    [[p.lua:1: spool.dir: 5 is not a text]] },
  { "a number for a table",
    [[file "a" { dir = "a", rotate = 5 }
stream "events" { sinks = { "a" } }
route "POST /x" { body = "event", stream = "events" }]],
    [[p.lua:1: file "a".rotate: 5 is not a table { }]] },
  { "a value that is none of a list",
    [[file "a" { dir = "a", compress = "zst" }
stream "events" { sinks = { "a" } }
route "POST /x" { body = "event", stream = "events" }]],
    [[p.lua:1: file "a".compress: "zst" is none of "none", "gzip", "zstd"; did you mean "zstd"?]] },
  { "a text for a truth",
    [[{BASE}route "POST /x" { body = "event", stream = "events", partial = "no" }]],
    [[p.lua:4: route "POST /x".partial: "no" is neither true nor false]] },
  { "a level of ack that is none",
    [[file "a" { dir = "a" }
stream "events" { ack = "writen", sinks = { "a" } }
route "POST /x" { body = "event", stream = "events" }]],
    [[p.lua:2: stream "events".ack: "writen" is none of "written", "synced", "delivered"; did you mean "written"?]] },
  { "a stream without sinks",
    [[stream "events" { }
route "POST /x" { body = "event", stream = "events" }]],
    [[p.lua:1: stream "events": needs sinks: names of the sinks that get the events, as "name" or name = { when_full, max_lag }]] },
  { "a stream with no sink in its list",
    [[stream "events" { sinks = {} }
route "POST /x" { body = "event", stream = "events" }]],
    [[p.lua:1: stream "events".sinks: a stream needs at least one sink]] },
  { "a stream that is not there",
    [[{BASE}route "POST /x" { body = "event", stream = "evnts" }]],
    [[p.lua:4: route "POST /x".stream: there is no stream "evnts"; did you mean "events"?]] },
  { "a sink that is not there",
    [[stream "events" { sinks = { "b" } }
route "POST /x" { body = "event", stream = "events" }]],
    [=[p.lua:1: stream "events".sinks[1]: there is no sink "b"]=] },
  { "a sink that nobody feeds",
    [[{BASE}file "z" { dir = "z" }]],
    [[p.lua:4: file "z": no stream delivers to this sink]] },
  { "a sink named twice by its stream",
    [[file "a" { dir = "a" }
stream "events" { sinks = { "a", "a" } }
route "POST /x" { body = "event", stream = "events" }]],
    [=[p.lua:2: stream "events".sinks[2]: the sink "a" is named twice]=] },
  { "max_lag without skip",
    [[file "a" { dir = "a" }
stream "events" { sinks = { a = { max_lag = "64MiB" } } }
route "POST /x" { body = "event", stream = "events" }]],
    [[p.lua:2: stream "events".sinks.a: max_lag means nothing without when_full = "skip"]] },
  { "skip without max_lag",
    [[file "a" { dir = "a" }
stream "events" { sinks = { a = { when_full = "skip" } } }
route "POST /x" { body = "event", stream = "events" }]],
    [[p.lua:2: stream "events".sinks.a: "skip" needs max_lag, such as "4GiB"]] },
  { "a file sink without a folder",
    [[file "a" { }
stream "events" { sinks = { "a" } }
route "POST /x" { body = "event", stream = "events" }]],
    [[p.lua:1: file "a": needs dir: directory for the files]] },
  { "a spool too small for its workers",
    [[spool { max_bytes = "16MiB" }
server { workers = 64 }
{BASE}]],
    [[p.lua:1: spool.max_bytes: too small: 64 workers × 2 streams (the dead letters are one) × 2 segments of 16MiB (at least 4 × server.max_body) pass half of it; give at least "8GiB"]] },
  { "a stream too small for its workers",
    [[server { workers = 4 }
file "a" { dir = "a" }
stream "events" { max_bytes = "4MiB", sinks = { "a" } }
route "POST /x" { body = "event", stream = "events" }]],
    [[p.lua:3: stream "events".max_bytes: too small: 4 workers × 4 segments of 64MiB need "1GiB"]] },
  { "an enum without values",
    [[{BASE}local s = schema { a = enum {} }
route "POST /x" { body = "event", stream = "events", schema = s }]],
    [[p.lua:4: schema.a: an enum needs its values: enum { "a" }]] },
  { "an enum's value twice",
    [[{BASE}local s = schema { a = enum { "x", "x" } }
route "POST /x" { body = "event", stream = "events", schema = s }]],
    [=[p.lua:4: schema.a[2]: "x" is given twice]=] },
  { "an enum's value that is no text",
    [[{BASE}local s = schema { a = enum { 5 } }
route "POST /x" { body = "event", stream = "events", schema = s }]],
    [=[p.lua:4: schema.a[1]: 5 is not a text]=] },
  { "a least above the most",
    [[{BASE}local s = schema { a = str { min = 5, max = 2 } }
route "POST /x" { body = "event", stream = "events", schema = s }]],
    [[p.lua:4: schema.a: min 5 is more than max 2]] },
  { "a field that is no type",
    [[{BASE}local s = schema { a = 5 }
route "POST /x" { body = "event", stream = "events", schema = s }]],
    [[p.lua:4: schema.a: 5 is no type; expected one of str num int bool enum time any list]] },
  { "a field without a name",
    [[{BASE}local s = schema { str {} }
route "POST /x" { body = "event", stream = "events", schema = s }]],
    [=[p.lua:4: schema[1]: expected field = str { }, or another type]=] },
  { "a negative length",
    [[{BASE}local s = schema { a = str { min = -1 } }
route "POST /x" { body = "event", stream = "events", schema = s }]],
    [[p.lua:4: schema.a.min: -1 is less than 0]] },
  { "a skew without its unit",
    [[{BASE}local s = schema { a = time { max_skew = 5 } }
route "POST /x" { body = "event", stream = "events", schema = s }]],
    [[p.lua:4: schema.a.max_skew: 5 needs a unit, such as "50ms"]] },
  { "io",
    [[io.open("x")
{BASE}]],
    [[p.lua:1: io: not available to a policy: a policy works on the event and the request alone]] },
  { "os",
    [[local x = os.time()
{BASE}]],
    [[p.lua:1: os: not available to a policy: a policy works on the event and the request alone; req.time_ms is the time]] },
  { "loadstring",
    [[loadstring("x = 1")()
{BASE}]],
    [[p.lua:1: loadstring: not available to a policy: use require "name" for a file beside the policy]] },
  { "print",
    [[print "x"
{BASE}]],
    [[p.lua:1: print: not available to a policy: a policy has no output; use reject("code", "text") or a counter]] },
  { "ffi by require",
    [[local ffi = require "ffi"
{BASE}]],
    [[p.lua:1: require "ffi": no file ffi.lua]] },
  { "a module that is not there",
    [[require "nothing"
{BASE}]],
    [[p.lua:1: require "nothing": no file nothing.lua]] },
  { "a module outside",
    [[require "../secret"
{BASE}]],
    [[p.lua:1: require: expected a module's name such as "lib.rules"]] },
  { "a variable of the environment that is not set",
    [[local x = env "SLUICE_NOT_SET"
{BASE}]],
    [[p.lua:1: env "SLUICE_NOT_SET": not set, and no default given]] },
  { "env without a name",
    [[local x = env()
{BASE}]],
    [[p.lua:1: env: expected a name]] },
  { "a comma too few between the fields of a schema",
    [[{BASE}local s = schema {
  a = str { }
  b = num { },
}]],
    [[p.lua:6: syntax: '}' expected (to close '{' at line 4) near 'b'; a comma or a } is missing before it]] },
  { "a bracket that is never closed",
    [[{BASE}local s = schema {
  a = str { }
route "POST /x" { body = "event", stream = "events" }]],
    [[p.lua:6: syntax: '}' expected (to close '{' at line 4) near 'route'; a comma or a } is missing before it]] },
  { "a path without its brackets",
    [[{BASE}local s = schema { properties.page = str { } }]],
    [[p.lua:4: syntax: '}' expected near '='; a key that is no plain name stands in brackets: ["a.b"] = …]] },
  { "quotes of a word processor",
    [[{BASE}log { level = “debug” }]],
    [[p.lua:4: “debug”: unknown word: a text stands in straight quotes, "…"]] },
  { "a statement that is set",
    [[server = { workers = 1 }
{BASE}]],
    [[p.lua:1: "server" is a word of the policy language and can't be set: write server { … }, without =]] },
  { "a statement with a name that is set",
    [[file = { dir = "a" }
{BASE}]],
    [[p.lua:1: "file" is a word of the policy language and can't be set: write file "name" { … }, without =]] },
  { "a file in UTF-16",
    "\255\254s\0e\0r\0v\0e\0r\0",
    [[p.lua:1: expected a text in UTF-8, found UTF-16]] },
  { "brokers in a list",
    [[{BASE}kafka "k" { brokers = { "a:9092", "b:9092" }, topic = "t" }
stream "ks" { sinks = { "k" } }]],
    [[p.lua:4: kafka "k".brokers: a table is not a text: write "a:9092,b:9092"]] },
  { "a word that is set",
    [[server = 5
{BASE}]],
    [[p.lua:1: "server" is a word of the policy language and can't be set]] },
  { "a loop without an end",
    [[local i = 0
while true do i = i + 1 end
{BASE}]],
    [[p.lua:2: the policy's top level ran too long and was stopped]] },
  { "more memory than a state has",
    [=[local t = {} for i = 1, 1e9 do t[i] = ("x"):rep(100000) .. i end
{BASE}]=],
    [[p.lua: its top level needs more than the 64 MiB that a policy's state may have]] },
  { "an error of its own",
    [[error("no")
{BASE}]],
    [[p.lua:1: no]] },
  { "a field of nil",
    [[local x = nil
local y = x.z
{BASE}]],
    [[p.lua:2: attempt to index local 'x' (a nil value)]] },
  { "a huge string",
    [[local x = ("x"):rep(2^19)
while true do x = x .. x end
{BASE}]],
    [[p.lua: its top level needs more than the 64 MiB that a policy's state may have]] },
  { "a string repeated too often",
    [[local x = ("x"):rep(2^30)
{BASE}]],
    [[p.lua:1: string.rep: more than 1 MiB]] },
  { "a pattern that takes ages",
    [[local x = ("a"):rep(60):find(("a-"):rep(30) .. "b")
{BASE}]],
    [[p.lua:1: the pattern takes too long on this text]] },
  { "compiled Lua",
    "\27LJ\2",
    [[p.lua:1: expected a text file, found compiled Lua]] },
  { "an example that comes out otherwise",
    [[{BASE}example "e" { request = "POST /v1/events", body = "{}", expect = { status = 400 } }]],
    [[p.lua:4: example "e": expected status = 400, got 202]] },
  { "an example of no route",
    [[{BASE}example "e" { request = "POST /nowhere", body = "{}", expect = { status = 202 } }]],
    [[p.lua:4: example "e": expected status = 202, got 404 (unknown_path)]] },
  { "an example without a method",
    [[{BASE}example "e" { request = "/v1/events", body = "{}", expect = { status = 202 } }]],
    [[p.lua:4: example "e".request: expected a method and a path: "POST /v1/events"]] },
  { "an example without an expectation",
    [[{BASE}example "e" { request = "POST /v1/events", body = "{}" }]],
    [[p.lua:4: example "e": needs expect: answer that is expected]] },
  { "an example's time that is none",
    [[{BASE}example "e" { at = "noon", request = "POST /v1/events", body = "{}", expect = { status = 202 } }]],
    [[p.lua:4: example "e".at: "noon" is not a time such as "2025-11-23T12:13:20Z"]] },
  { "a stored line that differs",
    [[{BASE}example "e" { request = "POST /v1/events", body = "{}", expect = { stored = "{ }" } }]],
    [[p.lua:4: example "e": expected stored = "{ }", got "{}"]] },
  { "a word that is an option",
    [[{BASE}dedup { key = "event_id" }]],
    [[p.lua:4: dedup: this is an option of a stream: stream "events" { dedup = { key = "event_id" } }]] },
}

describe("sluice check", function()
  local c = checking.new(BASE)
  teardown(c.remove)
  local check = c.check

  for _, row in ipairs(rows) do
    it("names " .. row[1], function()
      local out, code = c.problems(row[2])
      assert.equal(1, code)
      assert.equal(row[3], out)
    end)
  end

  it("marks the spot below the source line", function()
    local out = check("server { idle_timeout = \"5\" }\n{BASE}")
    assert.equal([[
p.lua:1: server.idle_timeout: "5" is not a duration such as "50ms": a number and ms, s, m, h or d
     1 | server { idle_timeout = "5" }
       |                         ^^^
1 problem
]], out)
  end)

  it("says all at once, in the order of the lines", function()
    local out = check("server { lisen = 1, workers = 0 }\n{BASE}zebra \"x\" {}")
    local lines = {}
    for n in out:gmatch("p%.lua:(%d+):") do lines[#lines + 1] = tonumber(n) end
    assert.same({ 1, 1, 5 }, lines)
    assert.matches("3 problems", out)
  end)

  it("takes a good policy, and says which hooks have loops", function()
    local out, code = check([[{BASE}route "POST /x" { body = "event",
      stream = "events", on_event = function(ev)
        for i = 1, 3 do ev["k" .. i] = i end
      end }]])
    assert.equal(0, code)
    assert.matches("p.lua: good: 2 routes, 1 stream, 1 sink", out, 1, true)
    assert.matches("on_event has a loop in line 6 of p.lua", out, 1, true)
  end)
end)
