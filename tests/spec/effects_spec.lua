-- Options that change nothing beside the others of their statement: each is a note, and
-- the policy is good.
local checking = require "spec.checking"

local BASE = "stream \"s\" { sinks = { \"x\" } } route \"POST /e\" { body = \"batch\", "
  .. "stream = \"s\" }\n"
local FILE = "file \"x\" { dir = \"d\" }\n"
local KAFKA = "{BASE}kafka \"x\" { brokers = \"b:1\", topic = \"t\", %s }"
local CLICKHOUSE = "{BASE}clickhouse \"x\" { urls = { %s }, table = \"a.b\", %s }"
local HTTP = "{BASE}http \"x\" { url = \"https://h\", %s }"
local BATCH = "with framing = \"event\": librdkafka forms the batches, by max and linger"

-- A policy; the option and why it has no effect; nil: it has one.
local rows = {
  { KAFKA:format("batch = { target = 300 }"), "kafka \"x\".batch.target", BATCH },
  { KAFKA:format("batch = { min = 10 }"), "kafka \"x\".batch.min", BATCH },
  { KAFKA:format("batch = { max_bytes = \"2MiB\" }"), "kafka \"x\".batch.max_bytes", BATCH },
  { KAFKA:format("batch = { adapt = \"latency\" }"), "kafka \"x\".batch.adapt", BATCH },
  { KAFKA:format("batch = { max = 900, linger = \"5ms\" }") },
  { KAFKA:format("framing = \"batch\", batch = { target = 300, min = 10, adapt = \"latency\" }") },
  { KAFKA:format("framing = \"batch\", batch = { target = 9, min = 9, max = 9, "
    .. "adapt = \"latency\" }"), "kafka \"x\".batch.adapt",
    "where min is max: target stays between them" },
  { KAFKA:format("topic_wait = \"2s\""), "kafka \"x\".topic_wait", "without topic_by" },
  { KAFKA:format("max_topics = 9"), "kafka \"x\".max_topics", "without topic_by" },
  { KAFKA:format("topic_by = \"type\", max_topics = 9, topic_wait = \"2s\"") },
  { KAFKA:format("breaker = { slow = \"1s\" }"), "kafka \"x\".breaker.slow",
    "without ready_to_trip: the default rule does not look at it" },
  { KAFKA:format("breaker = { slow = \"1s\", "
    .. "ready_to_trip = function(c) return c.slow > 3 end }") },
  { CLICKHOUSE:format("\"http://a\", \"http://b\"", "hedge = { may_duplicate = true }"),
    "clickhouse \"x\".hedge", "without after: sluice does not hedge" },
  { CLICKHOUSE:format("\"http://a\"", "hedge = { after = \"p95\" }"), "clickhouse \"x\".hedge",
    "with one url: the second insert goes to another one" },
  { CLICKHOUSE:format("\"http://a\", \"https://b\"", "hedge = { after = \"p95\" }, "
    .. "tls = { ca = \"x\" }") },
  { CLICKHOUSE:format("\"http://a\"", "tls = { ca = \"x\" }"), "clickhouse \"x\".tls",
    "without an https url" },
  { HTTP:format("tls = { verify = false, ca = \"x\" }"), "http \"x\".tls.ca",
    "with verify = false: no certificate is checked" },
  { HTTP:format("tls = { key = \"x\" }"), "http \"x\".tls.key", "without cert, whose key it is" },
  { HTTP:format("tls = { key = \"x\", cert = \"x\", ca = \"x\" }") },
  { FILE .. "stream \"s\" { sinks = { \"x\" }, timeout = \"3s\" } route \"POST /e\" { "
    .. "body = \"batch\", stream = \"s\" }", "stream \"s\".timeout",
    "without ack = \"delivered\"" },
  { FILE .. "stream \"s\" { sinks = { \"x\" }, timeout = \"3s\", ack = \"delivered\" } "
    .. "route \"POST /e\" { body = \"batch\", stream = \"s\", partial = false }" },
  { FILE .. "stream \"s\" { sinks = { \"x\" } } route \"POST /e\" { body = \"event\", "
    .. "stream = \"s\", partial = false }", "route \"POST /e\".partial",
    "with body = \"event\": a request is one event" },
  { FILE .. "stream \"s\" { sinks = { \"x\" } } route \"POST /e\" { body = \"event\", "
    .. "stream = \"s\", on_error = \"reject\" }", "route \"POST /e\".on_error",
    "without on_event or on_request" },
  { FILE .. "{BASE}counter \"n_total\" { max_series = 3 }", "counter \"n_total\".max_series",
    "without labels: there is one series" },
  { FILE .. "{BASE}gauge \"g\" { max_series = 3 }", "gauge \"g\".max_series",
    "without labels: there is one series" },
  { FILE .. "{BASE}gauge \"g\" { max_series = 3, labels = { \"a\" } }" },
  { FILE .. "{BASE}server { max_connections = 9, max_connections_per_address = 9 }",
    "server.max_connections_per_address", "where it is not less than max_connections" },
  { FILE .. "{BASE}example \"e\" { request = \"POST /e\", body = \"[]\", expect = {} }",
    "example \"e\".expect", "while it is empty: nothing is compared" },
}

local SKIP = FILE .. "server { workers = 1 } stream \"s\" { max_bytes = \"%s\", sinks = { "
  .. "x = { when_full = \"skip\", max_lag = \"%s\" } } } route \"POST /e\" { body = \"batch\", "
  .. "stream = \"s\" }\n"
rows[#rows + 1] = { SKIP:format("1GiB", "1GiB"), "stream \"s\".sinks.x.max_lag",
  "where it is not less than max_bytes, 1GiB: the stream is full before the sink skips" }
rows[#rows + 1] = { SKIP:format("1GiB", "512MiB") }

-- Policies with a schema that drops fields; the option that reads one of them, and why.
local DROPS = "stream \"s\" { %s sinks = { \"x\" } } route \"POST /e\" { body = \"batch\", "
  .. "stream = \"s\", schema = schema { others = \"drop\", a = str { }, %s }, %s }\n"
local ID = "dedup = { key = \"id\" },"
local WHY = ": no event of route \"POST /e\" has \"%s\": its schema says others = \"drop\" and "
  .. "does not name it, so %s"
local drops = {
  { FILE .. DROPS:format(ID, "", ""), "stream \"s\".dedup.key", "id",
    "dedup takes each for new" },
  { FILE .. DROPS:format("dedup = { key = { \"a\", \"b.id\" } },", "", ""),
    "stream \"s\".dedup.key", "b.id", "dedup takes each for new" },
  { FILE .. DROPS:format(ID, "id = str { }", "") },
  { FILE .. DROPS:format("dedup = { key = \"u.id\" },", "u = any { }", "") },
  { FILE .. DROPS:format("dedup = { key = \"u\" },", "[\"u.id\"] = str { }", "") },
  { FILE .. DROPS:format("dedup = { key = \"u.name\" },", "[\"u.names\"] = str { }", ""),
    "stream \"s\".dedup.key", "u.name", "dedup takes each for new" },
  { FILE .. DROPS:format(ID, "", "set = { id = \"header:x-id\" }") },
  { FILE .. DROPS:format(ID, "", "on_event = function(ev) ev.id = 1 end") },
  { FILE .. DROPS:format(ID, "", ""):gsub("\"drop\"", "\"keep\"") },
  { DROPS:format("", "", "") .. "kafka \"x\" { brokers = \"b:1\", topic = \"t\", key = \"k\", "
    .. "topic_by = \"a\" }", "kafka \"x\".key", "k", "its messages have no key" },
  { DROPS:format("", "", "") .. "kafka \"x\" { brokers = \"b:1\", topic = \"t\", key = \"a\", "
    .. "topic_by = \"k\" }", "kafka \"x\".topic_by", "k", "they go to the sink's topic" },
}

describe("sluice check", function()
  local c
  setup(function() c = checking.new(BASE) end)
  teardown(function() c.remove() end)

  it("notes options that have no effect beside the others", function()
    for _, row in ipairs(rows) do
      local out, code = c.check(row[1])
      assert.equal(0, code, row[1] .. "\n" .. out)
      assert.equal(row[2] and row[2] .. ": has no effect " .. row[3],
        out:match("note: ([^\n]*)"), row[1])
    end
  end)

  it("notes a max_lag that a stream may be full before it reaches", function()
    local out, code = c.check(SKIP:format("1GiB", "1000MiB"))
    assert.equal(0, code, out)
    assert.equal("stream \"s\".sinks.x.max_lag: 1000MiB is close to max_bytes, 1GiB: the stream "
      .. "may be full before the sink skips; at most half of max_bytes is safe",
      out:match("note: ([^\n]*)"))
  end)

  it("notes keys that a schema drops", function()
    for _, row in ipairs(drops) do
      local out, code = c.check(row[1])
      assert.equal(0, code, row[1] .. "\n" .. out)
      assert.equal(row[2] and row[2] .. WHY:format(row[3], row[4]),
        out:match("note: ([^\n]*)"), row[1])
    end
  end)
end)
