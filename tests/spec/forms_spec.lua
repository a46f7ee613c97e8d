-- Mistakes in routes whose events are a query or a form: what is said of each, word for
-- word. Rows as in diagnostics_spec.lua.
local checking = require "spec.checking"

local BASE = [[
file "a" { dir = "a" }
stream "s" { sinks = { "a" } }
]]

local rows = {
  { "a form in the query of a GET",
    [[route "GET /x" { body = "form", stream = "s" }]],
    [[p.lua:3: route "GET /x": a GET request has no body, so this route never gets an event: write POST, PUT or PATCH, or body = "query"]] },
  { "a GET among the methods of a form",
    [[route { "POST", "GET", "/x" } { body = "form", stream = "s" }]],
    [[p.lua:3: route "POST, GET /x": a GET request has no body, so this route never gets an event: write POST, PUT or PATCH, or body = "query"]] },
  { "types of a form",
    [[route "POST /x" { body = "form", types = { "text/plain" }, stream = "s" }]],
    [[p.lua:3: route "POST /x".types: means nothing with body = "form", which says the content types itself]] },
  { "types of a query",
    [[route { "GET", "POST", "/x" } { body = "any", types = { "text/plain" }, stream = "s" }]],
    [[p.lua:3: route "GET, POST /x".types: means nothing with body = "any", which says the content types itself]] },
  { "repeated without a query",
    [[route "POST /x" { body = "event", repeated = "first", stream = "s" }]],
    [[p.lua:3: route "POST /x".repeated: needs body = "query", body = "form" or body = "any"]] },
  { "form without a form",
    [[route "POST /x" { body = "event", form = { a = "json" }, stream = "s" }]],
    [[p.lua:3: route "POST /x".form: needs body = "query", "form" or "any", or "batch" or "events" that come in a form's field]] },
  { "repeated where a field holds the events",
    [[route "POST /x" { body = "events", form = { a = "json" }, repeated = "first", stream = "s" }]],
    [[p.lua:3: route "POST /x".repeated: needs body = "query", body = "form" or body = "any"]] },
  { "two fields that hold the events",
    [[route "POST /x" { body = "events", form = { a = "json", b = "json" }, stream = "s" }]],
    [[p.lua:3: route "POST /x".form: with body = "events" one field of a form holds the whole body: expected one name]] },
  { "a field that holds events as arrays",
    [[route "POST /x" { body = "batch", events = "e", columns = { "x" }, form = { a = "json" }, stream = "s" }]],
    [[p.lua:3: route "POST /x".form: can't be taken together with columns]] },
  { "a form among the types beside a field that holds the events",
    [[route "POST /x" { body = "events", form = { a = "json" }, types = { "text/plain", "Multipart/Form-Data" }, stream = "s" }]],
    [[p.lua:3: route "POST /x".types[2]: is taken by form already: leave it out]] },
  { "an unknown word for repeated",
    [[route "GET /x" { body = "query", repeated = "frist", stream = "s" }]],
    [[p.lua:3: route "GET /x".repeated: "frist" is none of "refuse", "first", "last", "array"; did you mean "first"?]] },
  { "an unknown form of a field",
    [[route "POST /x" { body = "form", form = { data = "bas64" }, stream = "s" }]],
    [[p.lua:3: route "POST /x".form.data: "bas64" is none of "json", "base64"; did you mean "base64"?]] },
  { "a form that is a list",
    [[route "POST /x" { body = "form", form = { "data" }, stream = "s" }]],
    [[p.lua:3: route "POST /x".form: a list is not a table { field = "text" }]] },
  { "events in a form",
    [[route "POST /x" { body = "form", events = "a.b", stream = "s" }]],
    [[p.lua:3: route "POST /x".events: needs body = "batch" or body = "events"]] },
  { "a list without a path",
    [[route { "GET", "POST" } { body = "any", stream = "s" }]],
    [[p.lua:3: route "GET POST": expected methods and a path: route { "GET", "POST", "/click" } { }]] },
  { "a list without a method",
    [[route { "/click" } { body = "any", stream = "s" }]],
    [[p.lua:3: route: expected a name: route "name" { }
p.lua:3: route "?": expected a method and a path: route "POST /v1/events" { }]] },
  { "a list with an unknown method",
    [[route { "GET", "BREW", "/x" } { body = "any", stream = "s" }]],
    [[p.lua:3: route "GET, BREW /x": expected methods and a path: route { "GET", "POST", "/click" } { }]] },
  { "HEAD in a list",
    [[route { "GET", "HEAD", "/x" } { body = "query", stream = "s" }]],
    [[p.lua:3: route "GET, HEAD /x": expected methods and a path: route { "GET", "POST", "/click" } { }]] },
  { "a list with something that is no text",
    [[route { "GET", 7, "/x" } { body = "query", stream = "s" }]],
    [[p.lua:3: route "GET, 7 /x": expected methods and a path: route { "GET", "POST", "/click" } { }]] },
  { "a method twice",
    [[route { "GET", "POST", "GET", "/x" } { body = "any", stream = "s" }]],
    [[p.lua:3: route "GET, POST, GET /x": has the method GET twice]] },
  { "a path twice, once in a list",
    [[route "POST /x" { body = "event", stream = "s" }
route { "GET", "POST", "/x" } { body = "any", stream = "s" }]],
    [[p.lua:4: route "GET, POST /x": is unreachable: the same route stands in line 3]] },
  { "a list and no options",
    [[route { "GET", "POST", "/x" }
route "POST /y" { body = "event", stream = "s" }]],
    [[p.lua:3: route "GET, POST /x": has no { } behind its name]] },
  { "a web hook that comes by several methods",
    [[route { "POST", "PUT", "/x" } { body = "event", stream = "s", webhook = { origins = { "*" } } }]],
    [[p.lua:3: route "POST, PUT /x".webhook: web hooks come by POST]] },
  { "an example of a POST without a body",
    [[route "POST /x" { body = "form", stream = "s" }
example "e" { request = "POST /x", expect = { status = 202 } }]],
    [[p.lua:4: example "e": needs body: body of the request, as a client sends it]] },
}

describe("sluice check, of queries and forms,", function()
  local c = checking.new(BASE)
  teardown(c.remove)

  for _, row in ipairs(rows) do
    it("names " .. row[1], function()
      local out, code = c.problems("{BASE}" .. row[2])
      assert.equal(row[3], out)
      assert.equal(1, code)
    end)
  end

  it("points at an option of a route with several methods", function()
    local out = c.check [[{BASE}route { "GET", "POST", "/x" } {
  body = "any",
  stream = "t" }]]
    assert.equal([[
p.lua:5: route "GET, POST /x".stream: there is no stream "t"; did you mean "s"?
     5 |   stream = "t" }
       |            ^^^
1 problem
]], out)
  end)

  it("takes a GET example without a body", function()
    local out, code = c.check [[{BASE}
route "GET /x" { body = "query", stream = "s" }
example "e" { request = "GET /x?a=1", expect = { status = 202, stored = '{"a":"1"}' } }]]
    assert.equal(0, code, out)
  end)
end)
