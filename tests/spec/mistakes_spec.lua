-- Mistakes in what a policy delivers to, in its hooks and its schemas: what is said
-- of each, word for word. Rows as in diagnostics_spec.lua.
local checking = require "spec.checking"
local h = require "harness"

local BASE = [[
file "a" { dir = "a" }
stream "events" { sinks = { "a" } }
route "POST /v1/events" { body = "event", stream = "events" }
]]

local rows = {
  { "a comma too few",
    [[{BASE}server { listen = "0.0.0.0:1" workers = 1 }]],
    [[p.lua:4: syntax: '}' expected near 'workers'; a comma or a } is missing before it]] },
  { "a bracket of the wrong kind",
    [[{BASE}server { listen = "0.0.0.0:1" )]],
    [[p.lua:4: syntax: '}' expected near ')']] },
  { "a word that is misspelt in a hook",
    [[{BASE}route "POST /x" { body = "event", stream = "events",
  on_event = function(ev) if ev.a then return rejct("a") end end }]],
    [[p.lua:5: rejct: unknown word; did you mean "reject"?]] },
  { "a global that a hook sets",
    [[{BASE}route "POST /x" { body = "event", stream = "events",
  on_event = function(ev) n = 1 end }]],
    [[p.lua:5: n: sets a global: write local n]] },
  { "a forbidden global in a hook",
    [[{BASE}route "POST /x" { body = "event", stream = "events",
  on_event = function(ev) ev.at = os.time() end }]],
    [[p.lua:5: os: not available to a policy: a policy works on the event and the request alone; req.time_ms is the time]] },
  { "an unknown global in a helper of a hook",
    [[{BASE}local M = {}
function M.f(ev) return strng.lower(ev.a) end
route "POST /x" { body = "event", stream = "events", on_event = function(ev) M.f(ev) end }]],
    [[p.lua:5: strng: unknown word; did you mean "string"?]] },
  { "debug",
    [[local d = debug
{BASE}]],
    [[p.lua:1: debug: not available to a policy: a policy works on the event and the request alone]] },
  { "coroutines",
    [[coroutine.wrap(error)
{BASE}]],
    [[p.lua:1: coroutine: not available to a policy: a hook runs to its end without a pause]] },
  { "getfenv",
    [[getfenv(1).x = 1
{BASE}]],
    [[p.lua:1: getfenv: not available to a policy: a policy works on the event and the request alone]] },
  { "collectgarbage",
    [[collectgarbage()
{BASE}]],
    [[p.lua:1: collectgarbage: not available to a policy: sluice manages the policy's memory]] },
  { "package",
    [[package.path = ""
{BASE}]],
    [[p.lua:1: package: not available to a policy: use require "name" for a file beside the policy]] },
  { "whole numbers that are none",
    [[{BASE}local s = schema { a = int { min = 1.2, max = 1.8, required = true } }
route "POST /x" { body = "event", stream = "events", schema = s }]],
    [[p.lua:4: schema.a: no whole number is from 1.2 to 1.8]] },
  { "a number's least above its most",
    [[{BASE}local s = schema { a = num { min = 1, max = 0 } }
route "POST /x" { body = "event", stream = "events", schema = s }]],
    [[p.lua:4: schema.a: min 1 is more than max 0]] },
  { "a text that no body can hold",
    [[{BASE}local s = schema { a = str { min = 8388608, required = true } }
route "POST /x" { body = "event", stream = "events", schema = s }]],
    [[p.lua:4: schema.a: min 8388608 is more than server.max_body, 4194304]] },
  { "a path that is deeper than an event",
    [[server { max_depth = 2 }
{BASE}local s = schema { ["a.b.c"] = str {} }
route "POST /x" { body = "event", stream = "events", schema = s }]],
    [[p.lua:5: schema.a.b.c: is 3 deep; server.max_depth is 2]] },
  { "a path with nothing between dots",
    [[{BASE}local s = schema { ["a..b"] = str {} }
route "POST /x" { body = "event", stream = "events", schema = s }]],
    [[p.lua:4: schema.a..b: a path has a name on each side of a dot]] },
  { "a field inside of one that is a text, and needed",
    [[{BASE}local s = schema { a = str {}, ["a.b"] = str { required = true } }
route "POST /x" { body = "event", stream = "events", schema = s }]],
    [[p.lua:4: schema.a.b: is inside of a, which is str { } and so no object: every event is refused; an object is any { }]] },
  { "a text for a number of a field",
    [[{BASE}local s = schema { a = num { min = "1" } }
route "POST /x" { body = "event", stream = "events", schema = s }]],
    [[p.lua:4: schema.a.min: "1" is not a number]] },
  { "a number that is none for a field",
    [[{BASE}local s = schema { a = num { min = 0/0 } }
route "POST /x" { body = "event", stream = "events", schema = s }]],
    [[p.lua:4: schema.a.min: nan is not a number]] },
  { "an option of another type of field",
    [[{BASE}local s = schema { a = bool { max = 3 } }
route "POST /x" { body = "event", stream = "events", schema = s }]],
    [[p.lua:4: schema.a.max: unknown key]] },
  { "required that is no truth",
    [[{BASE}local s = schema { a = str { required = "yes" } }
route "POST /x" { body = "event", stream = "events", schema = s }]],
    [[p.lua:4: schema.a.required: "yes" is neither true nor false]] },
  { "a field without its table",
    [[{BASE}local s = schema { a = str "x" }
route "POST /x" { body = "event", stream = "events", schema = s }]],
    [[p.lua:4: str: expected a table: str { }]] },
  { "a statement without its table",
    [[{BASE}server "x"]],
    [[p.lua:4: server: expected a table { }, got "x"]] },
  { "a name that is sluice's own",
    [[file "dead" { dir = "a" }
stream "events" { sinks = { "dead" } }
route "POST /x" { body = "event", stream = "events" }]],
    [[p.lua:1: file "dead": this name is sluice's own]] },
  { "a stream with the name of a folder of the spool",
    [[file "damaged" { dir = "a" }
stream "damaged" { sinks = { "damaged" } }
route "POST /x" { body = "event", stream = "damaged" }]],
    [[p.lua:2: stream "damaged": this name is sluice's own: the spool has a folder of that name]] },
  { "sinks that are no list",
    [[file "a" { dir = "a" }
stream "events" { sinks = "a" }
route "POST /x" { body = "event", stream = "events" }]],
    [[p.lua:1: file "a": no stream delivers to this sink
p.lua:2: stream "events".sinks: "a" is not a list of sinks]] },
  { "a sink's options that are no table",
    [[file "a" { dir = "a" }
stream "events" { sinks = { a = "skip" } }
route "POST /x" { body = "event", stream = "events" }]],
    [[p.lua:2: stream "events".sinks.a: "skip" is not a table { }]] },
  { "an expectation that is misspelt",
    [[{BASE}example "e" { request = "POST /v1/events", body = "{}", expect = { stauts = 200 } }]],
    [[p.lua:4: example "e".expect.stauts: unknown key; did you mean "status"?]] },
  { "an example's body that is a table",
    [[{BASE}example "e" { request = "POST /v1/events", body = { a = 1 }, expect = { status = 202 } }]],
    [[p.lua:4: example "e".body: a table is not a text]] },
  { "kafka without brokers and topic",
    [[{BASE}kafka "k" { }
stream "s" { sinks = { "k" } }]],
    [[p.lua:4: kafka "k": needs brokers: addresses of the first brokers to ask, "host:port,host:port"
p.lua:4: kafka "k": needs topic: topic of the messages]] },
  { "a batch whose least is above its target",
    [[{BASE}kafka "k" { brokers = "b:1", topic = "t", batch = { min = 300 } }
stream "s" { sinks = { "k" } }]],
    [[p.lua:4: kafka "k".batch.min: 300 is more than target 200]] },
  { "a batch whose target is above its most",
    [[{BASE}kafka "k" { brokers = "b:1", topic = "t", batch = { target = 900 } }
stream "s" { sinks = { "k" } }]],
    [[p.lua:4: kafka "k".batch.target: 900 is more than max 500]] },
  { "a second cluster that may not duplicate",
    [[{BASE}kafka "k" { brokers = "b:1", topic = "t", hedge = { brokers = "c:1", after = "1s" } }
stream "s" { sinks = { "k" } }]],
    [[p.lua:4: kafka "k".hedge.may_duplicate: must be true: a message that both clusters take is there twice, and only its sluice-position (position = "headers") tells]] },
  { "a second cluster without its brokers and its time",
    [[{BASE}kafka "k" { brokers = "b:1", topic = "t", hedge = { may_duplicate = true } }
stream "s" { sinks = { "k" } }]],
    [[p.lua:4: kafka "k".hedge: needs brokers: the second cluster
p.lua:4: kafka "k".hedge: needs after: how long the first may take]] },
  { "a second cluster's unknown option",
    [[{BASE}kafka "k" { brokers = "b:1", topic = "t", hedge = { brokers = "c:1", after = "1s", may_duplicates = true, may_duplicate = true } }
stream "s" { sinks = { "k" } }]],
    [[p.lua:4: kafka "k".hedge.may_duplicates: unknown key; did you mean "may_duplicate"?]] },
  { "a Kafka breaker's time without a unit",
    [[{BASE}kafka "k" { brokers = "b:1", topic = "t", breaker = { timeout = 30 } }
stream "s" { sinks = { "k" } }]],
    [[p.lua:4: kafka "k".breaker.timeout: 30 needs a unit, such as "50ms"]] },
  { "a topic that is a function",
    [[{BASE}kafka "k" { brokers = "b:1", topic = function(ev) return "t" end }
stream "s" { sinks = { "k" } }]],
    [[p.lua:4: kafka "k".topic: a function is not a text; by event: topic_by = function(ev) ... end]] },
  { "a topic_by that is neither path nor function",
    [[{BASE}kafka "k" { brokers = "b:1", topic = "t", topic_by = 5 }
stream "s" { sinks = { "k" } }]],
    [[p.lua:4: kafka "k".topic_by: 5 is neither the path of a field nor a function]] },
  { "a topic_by with two parameters",
    [[{BASE}kafka "k" { brokers = "b:1", topic = "t", topic_by = function(ev, req) end }
stream "s" { sinks = { "k" } }]],
    [[p.lua:4: kafka "k".topic_by: the function takes 2 parameters; it is given 1]] },
  { "a topic by event for a message of many events",
    [[{BASE}kafka "k" { brokers = "b:1", topic = "t", framing = "batch", topic_by = "type" }
stream "s" { sinks = { "k" } }]],
    [[p.lua:4: kafka "k".topic_by: means nothing with framing = "batch": a message has many events]] },
  { "a key for a message of many events",
    [[{BASE}kafka "k" { brokers = "b:1", topic = "t", framing = "batch", key = "id" }
stream "s" { sinks = { "k" } }]],
    [[p.lua:4: kafka "k".key: means nothing with framing = "batch": a message has many events]] },
  { "options of librdkafka that hold a table",
    [[{BASE}kafka "k" { brokers = "b:1", topic = "t", options = { a = {} } }
stream "s" { sinks = { "k" } }]],
    [[p.lua:4: kafka "k".options: expected name = value pairs of texts, numbers and truths]] },
  { "a compression that is none",
    [[{BASE}kafka "k" { brokers = "b:1", topic = "t", compression = "lz5" }
stream "s" { sinks = { "k" } }]],
    [[p.lua:4: kafka "k".compression: "lz5" is none of "none", "gzip", "snappy", "lz4", "zstd"; did you mean "lz4"?]] },
  { "an adapt that is neither",
    [[{BASE}kafka "k" { brokers = "b:1", topic = "t", batch = { adapt = "speed" } }
stream "s" { sinks = { "k" } }]],
    [[p.lua:4: kafka "k".batch.adapt: "speed" is neither "latency" nor a function]] },
  { "an adapt with two parameters",
    [[{BASE}kafka "k" { brokers = "b:1", topic = "t", batch = { adapt = function(a, b) end } }
stream "s" { sinks = { "k" } }]],
    [[p.lua:4: kafka "k".batch.adapt: the function takes 2 parameters; it is given 1]] },
  { "a topic that Kafka does not take",
    [[{BASE}kafka "k" { brokers = "b:1", topic = "my events" }
stream "s" { sinks = { "k" } }]],
    [[p.lua:4: kafka "k".topic: "my events" is no name that Kafka takes: expected 1 to 249 of ]]
      .. [[a-z, A-Z, 0-9, ., _ and -]] },
  { "a text with a NUL, whole",
    [[{BASE}access_log { path = "a\0b.log" }]],
    [[p.lua:4: access_log.path: "a\0b.log" has a NUL byte: write it without]] },
  { "a text of two lines in one",
    [[{BASE}log { level = "in\nfo" }]],
    [[p.lua:4: log.level: "in\nfo" is none of "debug", "info", "warn", "error"; ]]
      .. [[did you mean "info"?]] },
  { "a text that is empty",
    [[{BASE}access_log { path = "" }]],
    [[p.lua:4: access_log.path: "" is empty: expected a text]] },
  { "networks that are no list",
    [[{BASE}listen "127.0.0.1:2" { trusted = "10.0.0.0/8" }]],
    [[p.lua:4: listen "127.0.0.1:2".trusted: "10.0.0.0/8" is not a list of networks: ]]
      .. [[{ "10.0.0.0/8" }]] },
  { "a list where a table of fields belongs",
    [[{BASE}route "POST /y" { body = "event", stream = "events", set = { "peer" } }]],
    [[p.lua:4: route "POST /y".set: a list is not a table { field = "text" }]] },
  { "clickhouse without urls",
    [[{BASE}clickhouse "c" { table = "a.b" }
stream "s" { sinks = { "c" } }]],
    [[p.lua:4: clickhouse "c": needs urls: addresses of the ClickHouse servers]] },
  { "urls that are no list",
    [[{BASE}clickhouse "c" { urls = "http://x", table = "a.b" }
stream "s" { sinks = { "c" } }]],
    [[p.lua:4: clickhouse "c".urls: "http://x" is not a list of texts: { "a", "b" }]] },
  { "a url that is no text",
    [[{BASE}clickhouse "c" { urls = { 5 }, table = "a.b" }
stream "s" { sinks = { "c" } }]],
    [[p.lua:4: clickhouse "c".urls: 5 is not an address such as "https://host:8443/path"]] },
  { "columns that are no table",
    [[{BASE}clickhouse "c" { urls = { "http://x" }, table = "a.b", columns = 5 }
stream "s" { sinks = { "c" } }]],
    [[p.lua:4: clickhouse "c".columns: 5 is not a table { name = value }]] },
  { "a hedge's time that is none",
    [[{BASE}clickhouse "c" { urls = { "http://x" }, table = "a.b", hedge = { after = "p99" } }
stream "s" { sinks = { "c" } }]],
    [[p.lua:4: clickhouse "c".hedge.after: "p99" is neither a duration such as "50ms" nor "p95"]] },
  { "a hedge's ratio above 1",
    [[{BASE}clickhouse "c" { urls = { "http://x" }, table = "a.b", hedge = { max_ratio = 5 } }
stream "s" { sinks = { "c" } }]],
    [[p.lua:4: clickhouse "c".hedge.max_ratio: 5 is more than 1]] },
  { "a breaker's function with two parameters",
    [[{BASE}clickhouse "c" { urls = { "http://x" }, table = "a.b", breaker = { ready_to_trip = function(a, b) end } }
stream "s" { sinks = { "c" } }]],
    [[p.lua:4: clickhouse "c".breaker.ready_to_trip: the function takes 2 parameters; it is given 1]] },
  { "a breaker's function that is none",
    [[{BASE}clickhouse "c" { urls = { "http://x" }, table = "a.b", breaker = { ready_to_trip = true } }
stream "s" { sinks = { "c" } }]],
    [[p.lua:4: clickhouse "c".breaker.ready_to_trip: true is not a function]] },
  { "a misspelt key three deep",
    [[{BASE}clickhouse "c" { urls = { "http://x" }, table = "a.b", breaker = { time_out = "1s" } }
stream "s" { sinks = { "c" } }]],
    [[p.lua:4: clickhouse "c".breaker.time_out: unknown key; did you mean "timeout"?]] },
  { "a pool without connections",
    [[{BASE}clickhouse "c" { urls = { "http://x" }, table = "a.b", pool = { max_open = 0 } }
stream "s" { sinks = { "c" } }]],
    [[p.lua:4: clickhouse "c".pool.max_open: 0 is less than 1]] },
  { "a url without its scheme",
    [[{BASE}clickhouse "c" { urls = { "localhost:8123" }, table = "a.b" }
stream "s" { sinks = { "c" } }]],
    [[p.lua:4: clickhouse "c".urls: "localhost:8123" is not an address such as "https://host:8443/path"]] },
  { "http without a url",
    [[{BASE}http "h" { }
stream "s" { sinks = { "h" } }]],
    [[p.lua:4: http "h": needs url: address of the endpoint, or a list of addresses that take turns]] },
  { "a url of another scheme",
    [[{BASE}http "h" { url = "ftp://x/y" }
stream "s" { sinks = { "h" } }]],
    [[p.lua:4: http "h".url: "ftp://x/y" is not an address such as "https://host:8443/path"]] },
  { "a url that is neither text nor list",
    [[{BASE}http "h" { url = 5 }
stream "s" { sinks = { "h" } }]],
    [[p.lua:4: http "h".url: 5 is neither a url nor a list of urls]] },
  { "a bad url in a list",
    [[{BASE}http "h" { url = { "https://a/", "b" } }
stream "s" { sinks = { "h" } }]],
    [[p.lua:4: http "h".url: "b" is not an address such as "https://host:8443/path"]] },
  { "a method that sends no body",
    [[{BASE}http "h" { url = "http://x", method = "GET" }
stream "s" { sinks = { "h" } }]],
    [[p.lua:4: http "h".method: "GET" is none of "POST", "PUT", "PATCH"]] },
  { "a format that is none",
    [[{BASE}http "h" { url = "http://x", format = "json" }
stream "s" { sinks = { "h" } }]],
    [[p.lua:4: http "h".format: "json" is none of "ndjson", "json_array"]] },
  { "a header whose name is none",
    [[{BASE}http "h" { url = "http://x", headers = { ["a b"] = "c" } }
stream "s" { sinks = { "h" } }]],
    [[p.lua:4: http "h".headers: "a b" is no name of a header]] },
  { "a header with a second line",
    [[{BASE}http "h" { url = "http://x", headers = { a = "b\r\nc: d" } }
stream "s" { sinks = { "h" } }]],
    [[p.lua:4: http "h".headers: the value of a has a control character]] },
  { "a header that the body decides",
    [[{BASE}http "h" { url = "http://x", headers = { ["Content-Length"] = "5" } }
stream "s" { sinks = { "h" } }]],
    [[p.lua:4: http "h".headers: Content-Length can't be set: the body decides it]] },
  { "a header that has its own option",
    [[{BASE}http "h" { url = "http://x", headers = { ["content-type"] = "a/b" } }
stream "s" { sinks = { "h" } }]],
    [[p.lua:4: http "h".headers: content-type can't be set: say content_type]] },
  { "headers that are a list",
    [[{BASE}http "h" { url = "http://x", headers = { "a: b" } }
stream "s" { sinks = { "h" } }]],
    [[p.lua:4: http "h".headers: expected name = value pairs of texts, numbers and truths]] },
  { "a breaker of http with a bare number",
    [[{BASE}http "h" { url = "http://x", breaker = { timeout = 5 } }
stream "s" { sinks = { "h" } }]],
    [[p.lua:4: http "h".breaker.timeout: 5 needs a unit, such as "50ms"]] },
  { "a hedge, which http has not",
    [[{BASE}http "h" { url = "http://x", hedge = { } }
stream "s" { sinks = { "h" } }]],
    [[p.lua:4: http "h".hedge: unknown key]] },
  { "an id's header whose name is none",
    [[{BASE}http "h" { url = "http://x", id_header = "a:b" }
stream "s" { sinks = { "h" } }]],
    [[p.lua:4: http "h".id_header: "a:b" is no name of a header]] },
  { "a sink that was itself",
    [[file "a" { dir = "a", was = "a" }
stream "events" { sinks = { "a" } }
route "POST /x" { body = "event", stream = "events" }]],
    [[p.lua:1: file "a".was: is its own name]] },
  { "a sink that was another which is still there",
    [[file "a" { dir = "a" }
file "b" { dir = "b", was = "a" }
stream "events" { sinks = { "a", "b" } }
route "POST /x" { body = "event", stream = "events" }]],
    [[p.lua:2: file "b".was: the sink "a" is still there, in line 1: was names one that is gone]] },
  { "two sinks that were the same",
    [[file "a" { dir = "a", was = "z" }
file "b" { dir = "b", was = "z" }
stream "events" { sinks = { "a", "b" } }
route "POST /x" { body = "event", stream = "events" }]],
    [[p.lua:2: file "b".was: "z" is taken over in line 1 already]] },
  { "two sinks in one folder",
    [[file "a" { dir = "logs" }
file "b" { dir = "./logs/" }
stream "events" { sinks = { "a", "b" } }
route "POST /x" { body = "event", stream = "events" }]],
    [[p.lua:2: file "b".dir: "./logs/" is the folder of the sink "a" in line 1: give each file sink its own folder]] },
  { "a place to begin that is none",
    [[file "a" { dir = "a", from = "new" }
stream "events" { sinks = { "a" } }
route "POST /x" { body = "event", stream = "events" }]],
    [[p.lua:1: file "a".from: "new" is none of "now", "oldest"; did you mean "now"?]] },
  { "a hook's stream that is not there",
    [[{BASE}route "POST /x" { body = "event", stream = "events",
  on_event = function(ev) if ev.a then return to("evnts") end end }]],
    [[p.lua:5: to: there is no stream "evnts"; did you mean "events"?]] },
  { "the second stream of a hook",
    [[{BASE}route "POST /x" { body = "event",
  on_event = function(ev) return to("events", "zebra") end }]],
    [[p.lua:5: to: there is no stream "zebra"]] },
  { "a hook's code that is none",
    [[{BASE}route "POST /x" { body = "event", stream = "events",
  on_request = function(req) if req.query == "" then return reject("not good") end end }]],
    [[p.lua:5: reject: "not good" is not a code such as "missing_value"]] },
  { "a stream that a helper of a hook names",
    [[{BASE}local function go(s) return to "event" end
route "POST /x" { body = "event", on_event = function(ev) return go(ev) end }]],
    [[p.lua:4: to: there is no stream "event"; did you mean "events"?]] },
  { "a word that a hook sets",
    [[{BASE}route "POST /x" { body = "event", stream = "events",
  on_event = function(ev) time = ev.time end }]],
    [[p.lua:5: time: is a word of the policy language and can't be set]] },
}

describe("sluice check", function()
  local c = checking.new(BASE)
  teardown(c.remove)
  for _, row in ipairs(rows) do
    it("names " .. row[1], function()
      local out, code = c.problems(row[2])
      assert.equal(1, code)
      assert.equal(row[3], out)
    end)
  end

  local function modules(files)
    for name, text in pairs(files) do h.write(c.dir .. "/" .. name, text) end
  end

  local function lines(out)
    return (out:gsub("\n%s+%d* |[^\n]*", ""))
  end

  it("names the files of a circle of requires", function()
    modules { ["a.lua"] = 'local b = require "b"\nreturn b',
      ["b.lua"] = '\nlocal a = require "a"\nreturn a' }
    local out, code = c.check('require "a"\n{BASE}')
    assert.equal(1, code)
    assert.equal('b.lua:2: require "a": needs itself: a → b → a\n1 problem\n',
      lines(out))
  end)

  it("names the file of a mistake in a module", function()
    modules { ["rules.lua"] = "local M = {}\nfunction M.f( return M" }
    local out, code = c.check('require "rules"\n{BASE}')
    assert.equal(1, code)
    assert.equal("rules.lua:2: syntax: <name> or '...' expected near 'return'\n1 problem\n",
      lines(out))
  end)

  it("stops a loop without an end in a module", function()
    modules { ["spin.lua"] = "\nlocal i = 0\nwhile true do i = i + 1 end" }
    local out, code = c.check('require "spin"\n{BASE}')
    assert.equal(1, code)
    assert.equal("spin.lua:3: the policy's top level ran too long and was stopped\n"
      .. "1 problem\n", lines(out))
  end)

  it("names an unknown word in a hook's module", function()
    modules { ["rules.lua"] = "local M = {}\nfunction M.f(ev)\n"
      .. "  ev.a = tostrng(ev.a)\nend\nreturn M" }
    local out, code = c.check([[local rules = require "rules"
{BASE}route "POST /x" { body = "event", stream = "events", on_event = rules.f }]])
    assert.equal(1, code)
    assert.equal([[
rules.lua:3: tostrng: unknown word; did you mean "tostring"?
     3 |   ev.a = tostrng(ev.a)
       |          ^^^^^^^
1 problem
]], out)
  end)

  it("takes what it can't see through, and globals that the top level has", function()
    local out, code = c.check([[n = 0
{BASE}stream "more" { sinks = { "a" } }
local function of(s) return s end
route "POST /x" { body = "event", on_event = function(ev)
  n = n + 1
  if ev.a then return to(of("zebra")) end
  if ev.b then return to(ev.b == 1 and "events" or "more") end
  if ev.c then return reject(ev.c, "a b c") end
  return to("events", "more")
end }]])
    assert.matches("^p.lua: good: 2 routes, 2 streams", out)
    assert.equal(0, code)
  end)

  it("notes a field that no event has, inside of one that is no object", function()
    local function said(fields)
      local out, code = c.check("{BASE}local s = schema { " .. fields .. " } route \"POST /x\" "
        .. "{ body = \"event\", stream = \"events\", schema = s }")
      assert.equal(0, code, out)
      return out:match("[^\n]*note:[^\n]*")
    end
    assert.equal("p.lua:4: note: schema.a.b: is inside of a, which is int { } and so no object: "
      .. "no event has it", said([=[a = int {}, ["a.b"] = str {}]=]))
    for _, fields in ipairs { 'a = any {}, ["a.b"] = str { required = true }',
      'a = str {}, ["a\\\\.b"] = str { required = true }', 'a = str {}, ["ab.c"] = str {}',
      '["a.b"] = str {}, ["a.c"] = str {}' } do
      assert.is_nil(said(fields))
    end
  end)

  local function note(hook, top)
    local out, code = c.check((top or "") .. "{BASE}route \"POST /x\" "
      .. "{ body = \"event\", stream = \"events\", on_event = " .. hook .. " }")
    assert.equal(0, code)
    return out:match("note: (.-):")
  end

  it("says of each hook that may not end why", function()
    assert.equal("on_event has a loop in line 4 of p.lua",
      note("function(ev) while ev.a do end end"))
    assert.equal("on_event has a loop in line 4 of p.lua",
      note("function(ev) for k in pairs(ev) do end end"))
    assert.equal("on_event has a loop in line 4 of p.lua",
      note("function(ev) ::top:: if ev.a then goto top end end"))
    assert.equal("on_event makes a function in line 4 of p.lua",
      note("function(ev) local function f() return f() end f() end"))
    assert.equal("on_event calls itself in line 1 of p.lua",
      note("function(ev) f(ev) end", "local function f(ev) return f(ev) end "
        .. "local function g() return f end f = g() "))
    assert.equal("on_event has a loop in line 1 of p.lua",
      note("function(ev) M.sub.f(ev) end",
        "local M = { sub = { f = function() while true do end end } } "))
    assert.equal("on_event calls itself in line 1 of p.lua",
      note("function(ev) M.f(ev) end",
        "local M = {} function M.f(ev) return M.g(ev) end "
          .. "function M.g(ev) return M.f(ev) end "))
    assert.equal("on_event has a loop in line 1 of p.lua",
      note("function(ev) f(ev) end", "function f() repeat until false end "))
    assert.is_nil(note("function(ev) M.f(ev) end",
      "local M = {} function M.f(ev) return M.g(ev) end "
        .. "function M.g(ev) ev.a = 1 end function M.h() while true do end end "))
  end)
end)
