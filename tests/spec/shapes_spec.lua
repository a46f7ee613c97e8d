-- Mistakes in what a route says of its bodies: what is said of each, word for word. Rows
-- as in diagnostics_spec.lua.
local checking = require "spec.checking"

local BASE = [[
file "a" { dir = "a" }
stream "events" { sinks = { "a" } }
route "POST /v1/events" { body = "event", stream = "events" }
]]

local rows = {
  { "an encoding that is none", [[body = "event", encoding = "gzip"]],
    [[route "POST /x".encoding: "gzip" is none of "header", "detect", "query:NAME"]] },
  { "an encoding of a query without a name", [[body = "event", encoding = "query:"]],
    [[route "POST /x".encoding: "query:" is none of "header", "detect", "query:NAME"]] },
  { "an encoding that is no text", [[body = "event", encoding = true]],
    [[route "POST /x".encoding: true is none of "header", "detect", "query:NAME"]] },
  { "an encoding where there is no body", [[body = "query", encoding = "detect"]],
    [[route "POST /x".encoding: a query has no body that is compressed]] },
  { "an encoding by the bytes of data", [[body = "cloudevents", encoding = "detect"]],
    [[route "POST /x".encoding: the data of a CloudEvent may be compressed itself: write "header" or "query:NAME"]] },
  { "a largest event without a unit", [[body = "event" , max_event = 5]],
    [[route "POST /x".max_event: 5 needs a unit, such as "64MiB"]] },
  { "a largest event beyond the body", [[body = "events", max_event = "4MiB"]],
    [[route "POST /x".max_event: 4MiB: server.max_body allows no larger body than 4MiB]] },
  { "a list without a dot behind it", [[body = "batch", events = "a[]b[]"]],
    [[route "POST /x".events: "a[]b[]" is not a path such as "a[].b[]", whose last list has the events]] },
  { "a last list without brackets", [[body = "batch", events = "a[].b"]],
    [[route "POST /x".events: "a[].b" is not a path such as "a[].b[]", whose last list has the events]] },
  { "a place in a list", [[body = "batch", events = "a[1].b[]"]],
    [[route "POST /x".events: "a[1].b[]" is not a path such as "a[].b[]", whose last list has the events]] },
  { "too many lists", [[body = "batch", events = "a[].b[].c[].d[].e[].f[].g[].h[].i[]"]],
    [[route "POST /x".events: leads through 9 lists: at most 8 are taken]] },
  { "a value in lists of its own", [[body = "batch", events = "a[].b[]", envelope = { x = "c[].y" }]],
    [[route "POST /x".envelope.x: "c[].y": its lists are not those of events]] },
  { "a value in an event", [[body = "batch", events = "a[].b[]", envelope = { x = "a[].b[].y" }]],
    [[route "POST /x".envelope.x: "a[].b[].y": its lists are not those of events]] },
  { "a value that holds events", [[body = "batch", events = "a[].b.c[]", envelope = { x = "a[].b" }]],
    [[route "POST /x".envelope.x: "a[].b" holds the events, or lies in them]] },
  { "a value that is a list on the way", [[body = "batch", events = "a[].b[]", envelope = { x = "a" }]],
    [[route "POST /x".envelope.x: "a" holds the events, or lies in them]] },
  { "a value that ends in a list", [[body = "batch", events = "a[].b[]", envelope = { x = "a[]" }]],
    [[route "POST /x".envelope.x: "a[]" is not a path such as "context.ip"]] },
  { "columns of what is no batch", [[body = "events", columns = { "a" }]],
    [[route "POST /x".columns: needs body = "batch"]] },
  { "no columns", [[body = "batch", columns = { }]],
    [[route "POST /x".columns: a table is not a list of texts: { "a", "b" }]] },
  { "a column without a name", [[body = "batch", columns = { "a", "" }]],
    [[route "POST /x".columns: "" is empty: expected a text]] },
  { "too many columns",
    ("body = \"batch\", columns = (function() local t = {} for i = 1, 65 do t[i] = 'c' .. i "
      .. "end return t end)()"), [[route "POST /x".columns: 65 names: expected at most 64]] },
  { "a column twice", [[body = "batch", columns = { "a", "b", "a" }]],
    [[route "POST /x".columns[3]: "a" is there twice]] },
  { "an action's value that is no path", [[body = "bulk", envelope = { x = "$word" }]],
    [[route "POST /x".envelope.x: "$word" is not a path in the action, such as "_index", nor "$action"]] },
  { "an action's value twice", [[body = "bulk", envelope = { x = "_id", y = "_id" }]],
    [[route "POST /x".envelope.y: "_id" is copied twice]] },
  { "an array in a bulk body", [[body = "bulk", events = "a"]],
    [[route "POST /x".events: needs body = "batch" or body = "events"]] },
  { "events with the path of an array", [[body = "event", events = "data"]],
    [[route "POST /x".events: needs body = "batch" or body = "events"]] },
}

describe("a mistake in what a route takes", function()
  local c
  setup(function() c = checking.new(BASE) end)
  teardown(function() c.remove() end)

  for _, row in ipairs(rows) do
    it("is told with its place: " .. row[1], function()
      local said, code = c.problems(
        ('{BASE}route "POST /x" { stream = "events", %s }'):format(row[2]))
      assert.equal("p.lua:4: " .. row[3], said)
      assert.equal(1, code)
    end)
  end
end)
