-- A policy of several files: include, tables for lookup; and the form of the log.
local h = require "harness"

local MAIN = [[
server { listen = "127.0.0.1:0", workers = 2 }
admin { listen = "127.0.0.1:0" }
file "archive" { dir = "archive", linger = "20ms" }
]]

describe("a policy of several files", function()
  local s, dir
  before_each(function()
    dir = h.folder()
    h.shell("mkdir -p " .. dir .. "/streams")
  end)
  after_each(function()
    if s then s:close() s = nil else h.remove(dir) end
  end)

  local function write(name, text) h.write(dir .. "/" .. name, text) end

  local function check()
    local out = h.shell(("%s check %s/p.lua"):format(h.binary, dir))
    return (out:gsub(dir:gsub("%-", "%%-") .. "/", ""))
  end

  local function serve()
    s = h.server { dir = dir, path = dir .. "/p.lua" }
  end

  local STREAM = [[
stream "%s" { sinks = { "archive" } }
route "POST /%s" { body = "event", stream = "%s" }
]]

  it("is one: statements of all that match, in order, reloaded together", function()
    write("p.lua", MAIN .. 'greeting = "hello"\ninclude "streams/*.lua"\n')
    write("streams/b.lua", STREAM:format("b", "b", "b"))
    write("streams/a.lua", "local x = greeting\n" .. STREAM:format("a", "a", "a"))
    assert.matches("good: 2 routes, 2 streams, 1 sink", check())
    serve()
    assert.equal(202, s:post("/a", "{}").status)
    assert.equal(404, s:post("/c", "{}").status)
    local hash = s:text():match("hash=(%x+)")
    write("streams/c.lua", STREAM:format("c", "c", "c"))
    assert.equal(200, s:reload().status)
    assert.equal(202, s:post("/c", "{}").status)
    assert.are_not.equal(hash,
      s:logged("generation=2 status=live[^\n]*hash=(%x+)"))
    -- Back to the policy before, though the file is still there.
    assert.equal(200, s:reload("?rollback").status)
    assert.equal(404, s:post("/c", "{}").status)
    assert.equal(202, s:post("/b", "{}").status)
  end)

  it("tells a mistake at its own file and line", function()
    write("p.lua", MAIN .. 'include "streams/a.lua"\n')
    write("streams/a.lua", "\n" .. STREAM:format("a", "a", "b"))
    local out = check()
    assert.matches('streams/a.lua:3: route "POST /a".stream: there is no stream "b"',
      out, 1, true)
    assert.matches('     3 | route "POST /a"', out, 1, true)
    write("streams/a.lua", "local x =\n")
    assert.matches("streams/a.lua:2: syntax: ", check(), 1, true)
  end)

  it("refuses a file that includes itself, is twice, is none, is elsewhere", function()
    local rest = STREAM:format("a", "a", "a")
    for _, row in ipairs {
      { [[include "a.lua"]], { ["a.lua"] = [[include "b.lua"]],
        ["b.lua"] = [[include "a.lua"]] },
        'b.lua:1: include "a.lua": includes itself: %a.lua → %b.lua → %a.lua' },
      { [[include "*.lua"]], {}, 'p.lua:6: include "*.lua": includes itself: '
        .. "%p.lua → %p.lua" },
      { "include \"a.lua\"\ninclude \"a.lua\"", { ["a.lua"] = "" },
        'p.lua:7: include "a.lua": %a.lua is included twice, first in line 6 of %p.lua' },
      { [[include "none.lua"]], {}, 'p.lua:6: include "none.lua": no file %none.lua' },
      { [[include "none/*.lua"]], {},
        'p.lua:6: include "none/*.lua": no file matches %none/*.lua' },
      { [[include "../x.lua"]], {}, 'p.lua:6: include "../x.lua": expected a file beside '
        .. 'the policy such as "streams/clicks.lua", or "streams/*.lua"' },
      { [[include(5)]], {}, 'p.lua:6: include "5": expected a file beside the policy such '
        .. 'as "streams/clicks.lua", or "streams/*.lua"' },
    } do
      h.shell(("rm -f %s/*.lua"):format(dir))
      write("p.lua", MAIN .. rest .. row[1] .. "\n")
      for name, text in pairs(row[2]) do write(name, text) end
      assert.matches(row[3]:gsub("%%", ""), check(), 1, true)
    end
  end)

  it("a loop at the top level is stopped also behind an include", function()
    write("p.lua", MAIN .. STREAM:format("a", "a", "a")
      .. 'include "a.lua"\nwhile true do end\n')
    write("a.lua", "")
    assert.matches("p.lua:7: the policy's top level ran too long", check(), 1, true)
  end)

  local LOOKUP = MAIN .. [[
stream "events" { sinks = { "archive" } }
local geo = lookup "geo.csv" {}
local tenants = lookup "tenants.tsv" { key = "key", delimiter = "\t" }
route "POST /v1/events" { body = "event", stream = "events",
  on_event = function(ev)
    ev.country = geo[ev.c]
    local row = geo(ev.c)
    ev.money = row and row.currency
    ev.tenant = tenants[ev.k]
    if ev.bad then return reject(row.nothing) end
  end }
]]
  local GEO = "code,name,currency\nde,Germany,EUR\n17,\"Seven, teen\",X\nget,Getland,G\n"
    .. "100004567890123,Long,L\n9007199254740991,Longest,L\n9007199254740992,Wrong,W\n"
    .. "0,Zero,Z\n"
  local TENANTS = "name\tkey\nAcme\tk1\nOther \"x\"\tk2\n"

  it("finds rows of a table by their key, and reads it again at a reload", function()
    write("p.lua", LOOKUP)
    write("geo.csv", GEO)
    write("tenants.tsv", TENANTS)
    serve()
    for _, body in ipairs { [[{"c":"de","k":"k1"}]], [[{"c":17}]], [[{"c":"get"}]],
      [[{"c":"none","k":"k2"}]], [[{"c":null}]], [[{"c":100004567890123}]],
      [[{"c":100004567890149}]], [[{"c":-9007199254740991}]], [[{"c":-0}]],
      [[{"c":9007199254740991}]], [[{"c":9007199254740993}]] } do
      assert.equal(202, s:post("/v1/events", body).status)
    end
    local hash = s:text():match("hash=(%x+)")
    write("geo.csv", GEO:gsub("Germany", "Deutschland"))
    assert.equal(200, s:reload().status)
    assert.are_not.equal(hash,
      s:logged("generation=2 status=live[^\n]*hash=(%x+)"))
    s:post("/v1/events", [[{"c":"de"}]])
    write("geo.csv", GEO .. "de,Twice,X\nfr,France\n")
    local a = s:reload()
    assert.equal(422, a.status)
    assert.matches('geo.csv:9: the key \\"de\\" is given twice, first in line 2', a.body,
      1, true)
    assert.matches("geo.csv:10: 2 fields, the first line has 3", a.body, 1, true)
    s:post("/v1/events", [[{"c":"de","n":2}]])
    s:post("/v1/events", [[{"c":"de","bad":1}]])
    s:logged('the lookup has no column \\"nothing\\"')
    assert.equal(0, s:stop())
    local lines = {}
    for _, line in ipairs(s:lines()) do lines[line] = true end
    for _, line in ipairs {
      [[{"c":"de","k":"k1","country":"Germany","money":"EUR","tenant":"Acme"}]],
      [[{"c":17,"country":"Seven, teen","money":"X"}]],
      [[{"c":100004567890123,"country":"Long","money":"L"}]], [[{"c":100004567890149}]],
      [[{"c":-9007199254740991}]], [[{"c":-0,"country":"Zero","money":"Z"}]],
      -- Beyond 2^53 two numbers are one in Lua: it must not be another's row.
      [[{"c":9007199254740991,"country":"Longest","money":"L"}]], [[{"c":9007199254740993}]],
      [[{"c":"get","country":"Getland","money":"G"}]],
      [[{"c":"none","k":"k2","tenant":"Other \"x\""}]], [[{"c":null}]],
      [[{"c":"de","country":"Deutschland","money":"EUR"}]],
      [[{"c":"de","n":2,"country":"Deutschland","money":"EUR"}]] } do
      assert.is_true(lines[line], line)
    end
  end)

  it("names each mistake of a table", function()
    for _, row in ipairs {
      { 'lookup "none.csv"', nil, 'p.lua:6: lookup "none.csv": %none.csv: No such file' },
      { 'lookup "t.csv" { key = "zip" }', "a,b\n1,2\n",
        'p.lua:6: lookup "t.csv".key: "zip": the file has no such column' },
      { 'lookup "t.csv" { delimiter = ";;" }', "a,b\n1,2\n",
        'p.lua:6: lookup "t.csv".delimiter: ";;" is not one character' },
      { 'lookup "../t.csv"', nil,
        'p.lua:6: lookup "../t.csv": expected a file beside the policy, such as "geo.csv"' },
      { 'lookup "t.csv"', "a,b\n1,2,3\n", "t.csv:2: 3 fields, the first line has 2" },
      { 'lookup "t.csv"', "", "t.csv:1: the file is empty: its first line names the columns" },
      { 'local t = lookup "t.csv"\nlocal x = t.a', "a,b\n1,2\n",
        "p.lua:7: a lookup can't be used while the policy is loaded" },
      { 'local t = lookup "t.csv"\nt.a = 1', "a,b\n1,2\n",
        "p.lua:7: a lookup can't be changed" },
      { 'lookup "t.csv" "x"', "a,b\n1,2\n",
        "p.lua:6: a lookup can't be used while the policy is loaded" },
    } do
      write("p.lua", MAIN .. STREAM:format("a", "a", "a") .. row[1] .. "\n")
      h.shell("rm -f " .. dir .. "/t.csv")
      if row[2] then write("t.csv", row[2]) end
      assert.matches(row[3]:gsub("%%", ""), check(), 1, true)
    end
  end)

  it("writes its log as it says, from the start and after a reload", function()
    local rest = STREAM:format("a", "a", "a")
    write("p.lua", 'log { format = "json" }\n' .. MAIN .. rest)
    s = h.server { dir = dir, path = dir .. "/p.lua" }
    -- Problems of a policy have several lines; they are objects, too.
    write("p.lua", 'log { format = "json" }\n' .. MAIN .. rest .. "rout {}\n")
    s:signal("SIGHUP")
    s:logged("still running generation 1")
    assert.matches([["text":"     7 | rout {}"]], s:text(), 1, true)
    for line in s:text():gmatch("[^\n]+") do
      local o = require("cjson").decode(line)
      assert.is_string(o.ts)
      assert.is_string(o.event)
    end
    local ready = s:text():match("[^\n]*\"ready\"[^\n]*")
    local o = require("cjson").decode(ready)
    assert.equal("info", o.level)
    assert.equal(2, o.workers)
    write("p.lua", 'log { level = "error" }\n' .. MAIN .. rest)
    local before = #s:text()
    assert.equal(200, s:reload().status)
    assert.is_nil(s:text():sub(before):match("status=live"))
    write("p.lua", MAIN .. rest)
    assert.equal(200, s:reload().status)
    s:logged("level=info event=policy generation=4 status=live")
    write("p.lua", 'log { format = "jsn" }\n' .. MAIN .. rest)
    assert.matches('log.format: \\"jsn\\" is none of', s:reload().body, 1, true)
  end)
end)
