-- Every mistake in a policy: what is said of it, word for word. A row: what is
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
    [[p.lua:1: server.idle_timeout: "5 parsecs" is not a duration such as "50ms"]] },
  { "no unit of time",
    [[server { idle_timeout = "5" }
{BASE}]],
    [[p.lua:1: server.idle_timeout: "5" is not a duration such as "50ms"]] },
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
    [[p.lua:1: server.max_body: "4" is not a size such as "64MiB"]] },
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
  { "no route at all",
    [[file "a" { dir = "a" }
stream "events" { sinks = { "a" } }
]],
    [[p.lua:1: the policy has no route: route "POST /v1/events" { }]] },
  { "a route twice",
    [[{BASE}route "POST /v1/events" { body = "batch", stream = "events" }]],
    [[p.lua:4: route "POST /v1/events": is unreachable: the same route stands in line 3]] },
  { "a route without a method",
    [[{BASE}route "/x" { body = "batch", stream = "events" }]],
    [[p.lua:4: route "/x": expected a method and a path: route "POST /v1/events" { }]] },
  { "a route of an unknown method",
    [[{BASE}route "PSOT /x" { body = "batch", stream = "events" }]],
    [[p.lua:4: route "PSOT /x": expected a method and a path: route "POST /v1/events" { }]] },
  { "a route with a query",
    [[{BASE}route "POST /x?a=1" { body = "batch", stream = "events" }]],
    [[p.lua:4: route "POST /x?a=1": expected a method and a path: route "POST /v1/events" { }]] },
  { "a route without a body",
    [[{BASE}route "POST /x" { stream = "events" }]],
    [=[p.lua:4: route "POST /x": needs body: form of a request: "event", "batch", "cloudevents", "query", "form" or "any"]=] },
  { "a body that is none",
    [[{BASE}route "POST /x" { body = "bach", stream = "events" }]],
    [[p.lua:4: route "POST /x".body: "bach" is none of "event", "batch", "cloudevents", "query", "form", "any"; did you mean "batch"?]] },
  { "a path with a parameter in braces",
    [[{BASE}route "POST /v1/{kind}" { body = "event", stream = "events" }]],
    [[p.lua:4: route "POST /v1/{kind}": a parameter is written :kind]] },
  { "a path with a star",
    [[{BASE}route "POST /v1/*" { body = "event", stream = "events" }]],
    [[p.lua:4: route "POST /v1/*": "*": a parameter is a whole part of the path, such as :kind]] },
  { "a path with half a parameter",
    [[{BASE}route "POST /v1/x:kind" { body = "event", stream = "events" }]],
    [[p.lua:4: route "POST /v1/x:kind": "x:kind": a parameter is a whole part of the path, such as :kind]] },
  { "a parameter twice",
    [[{BASE}route "POST /:a/:a" { body = "event", stream = "events" }]],
    [[p.lua:4: route "POST /:a/:a": has the parameter :a twice]] },
  { "too many parameters",
    [[{BASE}route "POST /:a/:b/:c/:d/:e/:f/:g/:h/:i" { body = "event", stream = "events" }]],
    [[p.lua:4: route "POST /:a/:b/:c/:d/:e/:f/:g/:h/:i": has more than 8 parameters]] },
  { "two patterns that take the same paths",
    [[{BASE}route "POST /x/:a" { body = "event", stream = "events" }
route "POST /x/:b" { body = "event", stream = "events" }]],
    [[p.lua:5: route "POST /x/:b": is unreachable: the same route stands in line 4]] },
  { "types that are no list",
    [[{BASE}route "POST /x" { body = "event", stream = "events", types = "text/plain" }]],
    [[p.lua:4: route "POST /x".types: "text/plain" is not a list of texts: { "a", "b" }]] },
  { "a type with a parameter",
    [[{BASE}route "POST /x" { body = "event", stream = "events", types = { "text/plain; charset=utf-8" } }]],
    [[p.lua:4: route "POST /x".types[1]: "text/plain; charset=utf-8" is not a content type such as "text/plain" (without parameters), nor "*/*"]] },
  { "lines for a route of one event",
    [[{BASE}route "POST /x" { body = "event", stream = "events", types = { "application/x-ndjson" } }]],
    [[p.lua:4: route "POST /x".types[1]: is many events: it needs body = "batch"]] },
  { "lines in an envelope",
    [[{BASE}route "POST /x" { body = "batch", events = "e", stream = "events", types = { "application/jsonl" } }]],
    [[p.lua:4: route "POST /x".types[1]: has no envelope: it can't be taken together with events]] },
  { "types of CloudEvents",
    [[{BASE}route "POST /x" { body = "cloudevents", stream = "events", types = { "text/plain" } }]],
    [[p.lua:4: route "POST /x".types: CloudEvents say their content types themselves]] },
  { "events of a route of one event",
    [[{BASE}route "POST /x" { body = "event", stream = "events", events = "batch" }]],
    [[p.lua:4: route "POST /x".events: needs body = "batch"]] },
  { "events at no path",
    [[{BASE}route "POST /x" { body = "batch", stream = "events", events = "a..b" }]],
    [[p.lua:4: route "POST /x".events: "a..b" is not a path such as "data.events"]] },
  { "an envelope without events",
    [[{BASE}route "POST /x" { body = "batch", stream = "events", envelope = { a = "b" } }]],
    [[p.lua:4: route "POST /x".envelope: needs events: where in that envelope the array of events lies]] },
  { "an envelope that is no table",
    [[{BASE}route "POST /x" { body = "batch", stream = "events", events = "e", envelope = { "b" } }]],
    [[p.lua:4: route "POST /x".envelope: a table is not a table { field = "text" }]] },
  { "a value of the envelope that holds the events",
    [[{BASE}route "POST /x" { body = "batch", stream = "events", events = "d.e", envelope = { a = "d" } }]],
    [[p.lua:4: route "POST /x".envelope.a: "d" holds the events, or lies in them]] },
  { "a value of the envelope in the events",
    [[{BASE}route "POST /x" { body = "batch", stream = "events", events = "e", envelope = { a = "e.x" } }]],
    [[p.lua:4: route "POST /x".envelope.a: "e.x" holds the events, or lies in them]] },
  { "a value of the envelope at no path",
    [[{BASE}route "POST /x" { body = "batch", stream = "events", events = "e", envelope = { a = 1 } }]],
    [[p.lua:4: route "POST /x".envelope.a: 1 is not a path such as "context.ip"]] },
  { "a value of the envelope twice",
    [[{BASE}route "POST /x" { body = "batch", stream = "events", events = "e", envelope = { a = "x", b = "x" } }]],
    [[p.lua:4: route "POST /x".envelope.b: "x" is copied twice]] },
  { "a value of the envelope into a nested field",
    [[{BASE}route "POST /x" { body = "batch", stream = "events", events = "e", envelope = { ["a.b"] = "x" } }]],
    [[p.lua:4: route "POST /x".envelope.a.b: expected a field of the event itself, without a dot]] },
  { "a field set from nowhere",
    [[{BASE}route "POST /x" { body = "event", stream = "events", set = { a = "heder:x" } }]],
    [[p.lua:4: route "POST /x".set.a: "heder:x" is none of "path:NAME", "query:NAME", "header:NAME", "basic:user", "peer" or "time"; did you mean "header"?]] },
  { "a field set to a number",
    [[{BASE}route "POST /x" { body = "event", stream = "events", set = { a = 1 } }]],
    [[p.lua:4: route "POST /x".set.a: 1 is none of "path:NAME", "query:NAME", "header:NAME", "basic:user", "peer" or "time"]] },
  { "a field set from an unnamed header",
    [[{BASE}route "POST /x" { body = "event", stream = "events", set = { a = "header" } }]],
    [[p.lua:4: route "POST /x".set.a: needs a name: "header:NAME"]] },
  { "a field set from a named peer",
    [[{BASE}route "POST /x" { body = "event", stream = "events", set = { a = "peer:x" } }]],
    [[p.lua:4: route "POST /x".set.a: peer has no name: write "peer"]] },
  { "a field set from a password",
    [[{BASE}route "POST /x" { body = "event", stream = "events", set = { a = "basic:password" } }]],
    [[p.lua:4: route "POST /x".set.a: expected "basic:user": passwords are not stored]] },
  { "a field set from a header that can't be",
    [[{BASE}route "POST /x" { body = "event", stream = "events", set = { a = "header:user agent" } }]],
    [[p.lua:4: route "POST /x".set.a: "user agent" is not the name of a header]] },
  { "a field set from a parameter that the path lacks",
    [[{BASE}route "POST /x/:kind" { body = "event", stream = "events", set = { a = "path:knd" } }]],
    [[p.lua:4: route "POST /x/:kind".set.a: the path of "POST /x/:kind" has no parameter :knd; did you mean "kind"?]] },
  { "a field set and copied",
    [[{BASE}route "POST /x" { body = "batch", stream = "events", events = "e", envelope = { a = "x" }, set = { a = "peer" } }]],
    [[p.lua:4: route "POST /x".set.a: is in envelope as well]] },
  { "a field set over a schema's object",
    [[{BASE}local s = schema { ["a.b"] = str {} }
route "POST /x" { body = "event", stream = "events", schema = s, set = { a = "peer" } }]],
    [[p.lua:5: route "POST /x".set.a: the schema has a.b below it]] },
  { "too many fields set",
    [[{BASE}local t = {}
for i = 1, 17 do t["f" .. i] = "peer" end
route "POST /x" { body = "event", stream = "events", set = t }]],
    [[p.lua:6: route "POST /x": envelope and set have more than 16 fields]] },
  { "an answer of failure",
    [[{BASE}route "POST /x" { body = "event", stream = "events", answer = { status = 400 } }]],
    [[p.lua:4: route "POST /x".answer.status: 400 is more than 299]] },
  { "an answer that is no JSON",
    [[{BASE}route "POST /x" { body = "event", stream = "events", answer = { body = "ok" } }]],
    [[p.lua:4: route "POST /x".answer.body: is no JSON; say its type, such as type = "text/plain"]] },
  { "an answer's type without its body",
    [[{BASE}route "POST /x" { body = "event", stream = "events", answer = { type = "text/plain" } }]],
    [[p.lua:4: route "POST /x".answer.type: means nothing without body]] },
  { "an answer of no content with a body",
    [[{BASE}route "POST /x" { body = "event", stream = "events", answer = { status = 204, body = "{}" } }]],
    [[p.lua:4: route "POST /x".answer.body: a 204 has no body]] },
  { "an answer of no type",
    [[{BASE}route "POST /x" { body = "event", stream = "events", answer = { body = "ok", type = "text" } }]],
    [[p.lua:4: route "POST /x".answer.type: "text" is not a content type]] },
  { "an answer too long",
    [[{BASE}route "POST /x" { body = "event", stream = "events", answer = { type = "text/plain", body = ("x"):rep(5000) } }]],
    [[p.lua:4: route "POST /x".answer.body: is longer than 4096 bytes]] },
  { "origins not given",
    [[{BASE}route "POST /x" { body = "event", stream = "events", cors = {} }]],
    [[p.lua:4: route "POST /x".cors: needs origins: origins of the pages, such as "https://shop.example", or "*" for all]] },
  { "an origin with a path",
    [[{BASE}route "POST /x" { body = "event", stream = "events", cors = { origins = { "https://a.b/" } } }]],
    [[p.lua:4: route "POST /x".cors.origins[1]: "https://a.b/" is not an origin such as "https://shop.example", nor "*"]] },
  { "a header that can't be",
    [[{BASE}route "POST /x" { body = "event", stream = "events", cors = { origins = { "*" }, headers = { "a b" } } }]],
    [[p.lua:4: route "POST /x".cors.headers[1]: "a b" is not the name of a header]] },
  { "credentials for every origin",
    [[{BASE}route "POST /x" { body = "event", stream = "events", cors = { origins = { "*" }, credentials = true } }]],
    [[p.lua:4: route "POST /x".cors.credentials: browsers refuse it with "*": name the origins]] },
  { "a sender of web hooks that is no name",
    [[{BASE}route "POST /x" { body = "cloudevents", stream = "events", webhook = { origins = { "https://a.b" } } }]],
    [[p.lua:4: route "POST /x".webhook.origins[1]: "https://a.b" is not a name such as "eventgrid.azure.net", nor "*"]] },
  { "web hooks without senders",
    [[{BASE}route "POST /x" { body = "cloudevents", stream = "events", webhook = { rate = 5 } }]],
    [[p.lua:4: route "POST /x".webhook: needs origins: names of the senders, such as "eventgrid.azure.net", or "*" for all]] },
  { "web hooks by another method",
    [[{BASE}route "PUT /x" { body = "cloudevents", stream = "events", webhook = { origins = { "*" } } }]],
    [[p.lua:4: route "PUT /x".webhook: web hooks come by POST]] },
  { "a route without a stream",
    [[{BASE}route "POST /x" { body = "event" }]],
    [[p.lua:4: route "POST /x": needs stream, or an on_event that says to("stream")]] },
  { "a schema that is none",
    [[{BASE}route "POST /x" { body = "event", stream = "events", schema = { a = 1 } }]],
    [[p.lua:4: route "POST /x".schema: a table is no schema { }]] },
  { "an on_error that is none",
    [[{BASE}route "POST /x" { body = "event", stream = "events", on_error = "ignore" }]],
    [[p.lua:4: route "POST /x".on_error: "ignore" is none of "dead_letter", "reject", "accept"]] },
  { "a hook with too many parameters",
    [[{BASE}route "POST /x" { body = "event", stream = "events", on_event = function(a, b, c) end }]],
    [[p.lua:4: route "POST /x".on_event: the function takes 3 parameters; it is given 2]] },
  { "a hook of the request with two",
    [[{BASE}route "POST /x" { body = "event", stream = "events", on_request = function(a, b) end }]],
    [[p.lua:4: route "POST /x".on_request: the function takes 2 parameters; it is given 1]] },
  { "a hook that is no function",
    [[{BASE}route "POST /x" { body = "event", stream = "events", on_event = 5 }]],
    [[p.lua:4: route "POST /x".on_event: 5 is not a function]] },
  { "a hook that is a C function",
    [[{BASE}route "POST /x" { body = "event", stream = "events", on_event = string.rep }]],
    [[p.lua:4: route "POST /x".on_event: the function takes 3 parameters; it is given 2]] },
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
  { "a counter's name that does not end in _total",
    [[{BASE}counter "clicks" {}]],
    [[p.lua:4: counter "clicks": a counter's name ends in _total: "clicks_total"]] },
  { "a counter's name that is no metric's",
    [[{BASE}counter "Clicks-total" {}]],
    [[p.lua:4: counter "Clicks-total": a metric's name is a to z, 0 to 9 and _, and begins with a letter]] },
  { "a counter that would be sluice's own",
    [[{BASE}counter "sluice_events_total" {}]],
    [[p.lua:4: counter "sluice_events_total": names that begin with sluice_ are the server's own]] },
  { "a gauge named as a counter",
    [[{BASE}gauge "clicks_total" {}]],
    [[p.lua:4: gauge "clicks_total": a gauge's name does not end in _total, _count, _sum or _bucket]] },
  { "a metric given twice",
    [[{BASE}counter "a_total" {}
counter "a_total" {}]],
    [[p.lua:5: counter "a_total": is given twice, first in line 4]] },
  { "a counter without a name",
    [[{BASE}counter { help = "x" }]],
    [[p.lua:4: counter "?": expected a name: counter "name" { }
p.lua:4: counter "?": a metric's name is a to z, 0 to 9 and _, and begins with a letter]] },
  { "an unknown key of a counter",
    [[{BASE}counter "a_total" { hlep = "x" }]],
    [[p.lua:4: counter "a_total".hlep: unknown key; did you mean "help"?]] },
  { "a label that is none",
    [[{BASE}counter "a_total" { labels = { "a-b" } }]],
    [[p.lua:4: counter "a_total".labels[1]: "a-b" is no label: a to z, 0 to 9 and _]] },
  { "a label with a meaning of its own",
    [[{BASE}counter "a_total" { labels = { "le" } }]],
    [[p.lua:4: counter "a_total".labels[1]: the label "le" has a meaning of its own]] },
  { "a label given twice",
    [[{BASE}counter "a_total" { labels = { "a", "a" } }]],
    [[p.lua:4: counter "a_total".labels[2]: the label "a" is given twice]] },
  { "more labels than there may be",
    [[{BASE}gauge "a" { labels = { "a", "b", "c", "d" } }]],
    [[p.lua:4: gauge "a".labels: more than 3 labels]] },
  { "too many series",
    [[{BASE}gauge "a" { max_series = 100000 }]],
    [[p.lua:4: gauge "a".max_series: 100000 is more than 1000]] },
  { "options that are no table behind a counter",
    [[{BASE}counter "a_total" "x"]],
    [[p.lua:4: counter "a_total": expected a table { }, got "x"]] },
  { "a limit without a rate",
    [[{BASE}limit "a" {}]],
    [[p.lua:4: limit "a": needs rate: tokens that each bucket gets, such as "100/s", "10/m", "5/h" or "1/d"]] },
  { "a rate without a unit",
    [[{BASE}limit { rate = 100 }]],
    [[p.lua:4: limit.rate: 100 is not a rate such as "100/s"]] },
  { "a rate with a wrong unit",
    [[{BASE}limit { rate = "100/sec" }]],
    [[p.lua:4: limit.rate: "100/sec" is not a rate such as "100/s"]] },
  { "a rate beyond the bounds",
    [[{BASE}limit { rate = "9000000/s" }]],
    [[p.lua:4: limit.rate: "9000000/s" is more than 1000000/s]] },
  { "a lookup in the folder above",
    [[{BASE}local l = lookup "../geo.csv" { key = "ip" }]],
    [[p.lua:4: lookup "../geo.csv": expected a file beside the policy, such as "geo.csv"]] },
  { "a port beyond the last one",
    [[server { listen = "127.0.0.1:65536" }
{BASE}]],
    [[p.lua:1: server.listen: "127.0.0.1:65536" is not an address such as "127.0.0.1:8080"]] },
  { "a burst of nothing",
    [[{BASE}limit { rate = "1/s", burst = 0 }]],
    [[p.lua:4: limit.burst: 0 is less than 1]] },
  { "a limit given twice",
    [[{BASE}limit "a" { rate = "1/s" }
limit "a" { rate = "1/s" }]],
    [[p.lua:5: limit "a": is given twice, first in line 4]] },
  { "a limit's name that is none",
    [[{BASE}limit "A b" { rate = "1/s" }]],
    [[p.lua:4: limit "A b": a name is 1 to 64 of a-z, 0-9, _ and -]] },
  { "a counter that is changed",
    [[{BASE}local c = counter "a_total"
c.x = 1]],
    [[p.lua:5: a counter can't be changed]] },
  { "a method that a counter has not",
    [[{BASE}local c = counter "a_total"
c:add(1)]],
    [[p.lua:5: a counter has no "add"]] },
  { "a canary's share without a sign",
    [[{BASE}canary { share = "10" }]],
    [[p.lua:4: canary.share: "10" is not a share such as "10%"]] },
  { "a canary of everything",
    [[{BASE}canary { share = "100%" }]],
    [[p.lua:4: canary.share: "100%" is more than 99%]] },
  { "a canary of nothing",
    [[{BASE}canary { share = "0%" }]],
    [[p.lua:4: canary.share: "0%" is less than 0.01%]] },
  { "a canary's split that is none",
    [[{BASE}canary { by = "conection" }]],
    [[p.lua:4: canary.by: "conection" is none of "connection", "request", "peer", "header:NAME"; did you mean "connection"?]] },
  { "a canary's split by a header without a name",
    [[{BASE}canary { by = "header:" }]],
    [[p.lua:4: canary.by: "header:" is none of "connection", "request", "peer", "header:NAME"]] },
  { "a canary's time without a unit",
    [[{BASE}canary { during = 60 }]],
    [[p.lua:4: canary.during: 60 needs a unit, such as "50ms"]] },
  { "a canary's judge that is none",
    [[{BASE}canary { roll_back_if = true }]],
    [[p.lua:4: canary.roll_back_if: true is not a function]] },
  { "a canary with a name",
    [[{BASE}canary "k" { }]],
    [[p.lua:4: canary: expected a table { }, got "k"
p.lua:4: attempt to call a nil value]] },
  { "two canaries",
    [[{BASE}canary { }
canary { }]],
    [[p.lua:5: canary: is given twice, first in line 4]] },
  { "a canary that is a shadow",
    [[{BASE}canary { }
shadow { }]],
    [[p.lua:5: shadow: a policy is either a canary or a shadow; canary stands in line 4]] },
  { "a shadow's sample that is too large",
    [[{BASE}shadow { sample = 5000 }]],
    [[p.lua:4: shadow.sample: 5000 is more than 1000]] },
  { "a shadow's share of more than all",
    [[{BASE}shadow { share = "101%" }]],
    [[p.lua:4: shadow.share: "101%" is more than 100%]] },
  { "a dedup without a key",
    [[file "a" { dir = "a" }
stream "events" { sinks = { "a" }, dedup = { window = "1m" } }
route "POST /x" { body = "event", stream = "events" }]],
    [[p.lua:2: stream "events".dedup: needs key: path of the text or number that identifies an event]] },
  { "a dedup whose window is too long",
    [[file "a" { dir = "a" }
stream "events" { sinks = { "a" }, dedup = { key = "id", window = "30d" } }
route "POST /x" { body = "event", stream = "events" }]],
    [[p.lua:2: stream "events".dedup.window: "30d" is more than 7d]] },
  { "a dedup that is no table",
    [[file "a" { dir = "a" }
stream "events" { sinks = { "a" }, dedup = "event_id" }
route "POST /x" { body = "event", stream = "events" }]],
    [[p.lua:2: stream "events".dedup: "event_id" is not a table { }]] },
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
p.lua:1: server.idle_timeout: "5" is not a duration such as "50ms"
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

  it("takes 64 counters and limits, and not one more", function()
    local function policy(n, word)
      local lines = { "{BASE}" }
      for i = 1, n do lines[#lines + 1] = word:format(i) end
      return table.concat(lines, "\n")
    end
    local counter, limit = 'counter "c%d_total" {}', 'limit "l%d" { rate = "1/s" }'
    for word, what in pairs { [counter] = "counters and gauges", [limit] = "limits" } do
      local out, code = check(policy(64, word))
      assert.equal(0, code, out)
      out, code = check(policy(65, word))
      assert.equal(1, code)
      assert.matches("more than 64 " .. what, out, 1, true)
    end
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
