local h = require "harness"

-- Each row: what is sent, the status, a word of the answer, and what becomes of the
-- connection. Nothing of it may be stored.
local POST = "POST /v1/events HTTP/1.1\r\nHost: t\r\n"
local BATCH = "POST /v1/events/batch HTTP/1.1\r\nHost: t\r\n"

local function body(text, head)
  return (head or POST) .. "Content-Length: " .. #text .. "\r\n\r\n" .. text
end

local rows = {}
local function row(what, sent, status, word, closes)
  rows[#rows + 1] = { what = what, sent = sent, status = status, word = word,
    closes = closes }
end

-- Requests that are no HTTP, or not ours.
for what, line in pairs {
  ["no request at all"] = "hello\r\n\r\n",
  ["a TLS hello"] = "\22\3\1\2\0\1\0\1\252\3\3",
  ["no path"] = "POST HTTP/1.1\r\nHost: t\r\n\r\n",
  ["a bad version"] = "POST /v1/events HTTP/x.1\r\nHost: t\r\n\r\n",
  ["a space in the path"] = "POST /v1/ events HTTP/1.1\r\nHost: t\r\n\r\n",
  ["a header without colon"] = POST .. "Oops\r\n\r\n",
  ["a space in a header's name"] = POST .. "X Y: 1\r\n\r\n",
  ["a NUL in a header"] = POST .. "X: a\0b\r\n\r\n",
  ["two lengths"] = POST .. "Content-Length: 1\r\nContent-Length: 2\r\n\r\n{}",
  ["a length and chunks"] = POST .. "Content-Length: 2\r\n"
    .. "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
  ["a length that is no number"] = POST .. "Content-Length: two\r\n\r\n{}",
  ["a negative length"] = POST .. "Content-Length: -2\r\n\r\n{}",
  ["a list as length"] = POST .. "Content-Length: 2, 2\r\n\r\n{}",
  ["a length beyond 64 bits"] = POST
    .. "Content-Length: 99999999999999999999999\r\n\r\n{}",
  ["a transfer coding that nobody knows"] = POST
    .. "Transfer-Encoding: gzip\r\n\r\n",
  ["a transfer coding within the chunks"] = POST
    .. "Transfer-Encoding: gzip, chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
  ["a chunk size that is none"] = POST
    .. "Transfer-Encoding: chunked\r\n\r\nzz\r\n",
  ["no line end behind a chunk"] = POST
    .. "Transfer-Encoding: chunked\r\n\r\n2\r\n{}}0\r\n\r\n",
  ["a bad method character"] = "PO@ST / HTTP/1.1\r\nHost: t\r\n\r\n",
} do row(what, line, 400, "bad_request", true) end

row("an unknown method", "BREW /v1/events HTTP/1.1\r\nHost: t\r\n\r\n", 501,
  "unknown_method", true)
row("HTTP/2 by prior knowledge", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 501, "",
  true)
row("HTTP/1.2", "POST /v1/events HTTP/1.2\r\nHost: t\r\nContent-Length: 0\r\n\r\n",
  505, "version_not_supported", true)
row("no version", "POST /v1/events\r\nHost: t\r\n\r\n", 505,
  "version_not_supported", true)
row("HTTP/3.0", "POST /v1/events HTTP/3.0\r\nHost: t\r\nContent-Length: 0\r\n\r\n",
  505, "version_not_supported", true)
row("no Host", "POST /v1/events HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}", 400,
  "bad_host", true)
row("two Hosts", POST .. "Host: u\r\nContent-Length: 2\r\n\r\n{}", 400,
  "bad_host", true)
row("no length", POST .. "\r\n", 411, "length_required",
  true)
row("too long a body", POST .. "Content-Length: 70000\r\n\r\n", 413, "65536")
row("far too long a body", POST .. "Content-Length: 9000000\r\n\r\n", 413,
  "65536", true)
row("too long in chunks", POST .. "Transfer-Encoding: chunked\r\n\r\n"
  .. ("8000\r\n" .. ("x"):rep(32768) .. "\r\n"):rep(3), 413, "65536", true)
row("an unknown Expect", POST .. "Expect: tea\r\nContent-Length: 2\r\n\r\n{}",
  417, "expectation_failed")
row("too large headers", POST .. "X: " .. ("y"):rep(20000) .. "\r\n\r\n", 431,
  "headers_too_large", true)
row("too many headers", POST .. ("X: y\r\n"):rep(100) .. "\r\n", 431,
  "headers_too_large", true)
row("too long a path", "POST /" .. ("p"):rep(20000) .. " HTTP/1.1\r\n\r\n", 431,
  "headers_too_large", true)

for _, path in ipairs { "/", "/v1", "/v1/events/", "/v1/events/x", "/V1/EVENTS",
  "//v1/events", "/v1/../v1/events", "/v1%2Fevents", "/v1/events;x=1" } do
  row("the path " .. path, body("{}", "POST " .. path
    .. " HTTP/1.1\r\nHost: t\r\n"), 404, "unknown_path")
end
for _, m in ipairs { "GET", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE" } do
  row("the method " .. m, body("{}", m .. " /v1/events HTTP/1.1\r\nHost: t\r\n"),
    405, "method_not_allowed")
end
for _, t in ipairs { "text/plain", "application/xml", "multipart/form-data",
  "application/x-www-form-urlencoded", "application/jsonp", "json", "/",
  "application/x-ndjson" } do
  row("the type " .. t, body("{}", POST .. "Content-Type: " .. t .. "\r\n"), 415,
    "unsupported_type")
end
for _, e in ipairs { "brotli", "compress", "gzip, gzip", "lz4", "x" } do
  row("the encoding " .. e, body("{}", POST .. "Content-Encoding: " .. e
    .. "\r\n"), 415, "unsupported_encoding")
end
for _, e in ipairs { "gzip", "deflate", "br", "zstd" } do
  row("no " .. e, body("{}", POST .. "Content-Encoding: " .. e .. "\r\n"), 400,
    "bad_encoding", true)
end

-- Bodies that are no JSON.
for _, text in ipairs { "", " ", "{", "}", "[", "{]", "{\"a\"}", "{\"a\":}",
  "{\"a\":1,}", "{,}", "{a:1}", "{'a':1}", "{\"a\" 1}", "{\"a\":1 \"b\":2}",
  "{\"a\":01}", "{\"a\":1.}", "{\"a\":.5}", "{\"a\":+1}", "{\"a\":1e}",
  "{\"a\":-}", "{\"a\":0x1}", "{\"a\":NaN}", "{\"a\":Infinity}",
  "{\"a\":tru}", "{\"a\":nul}", "{\"a\":True}", "{\"a\":\"}",
  "{\"a\":\"\\x\"}", "{\"a\":\"\\u12\"}", "{\"a\":\"\\ud800\"}",
  "{\"a\":\"\\udc00\"}", "{\"a\":\"\n\"}", "{\"a\":\"\1\"}", "{\"a\":\"\128\"}",
  "{\"a\":\"\192\128\"}", "{\"a\":\"\195\"}", "{\"a\":\"\237\160\128\"}",
  "{\"a\":\"\244\144\128\128\"}", "{\"a\":[1,]}", "{\"a\":[,1]}", "{\"a\":[1}",
  "{\"a\":1}x", "{\"a\":1}{}", "{\"a\":1}\0", "{\239\187\191}", "nonsense",
  "{\"a\":1/*c*/}", "undefined", "{\"a\":1}]", "{\"\\q\":1}" } do
  row("the body " .. text:gsub("%c", "?"), body(text), 400, "invalid_json")
end
for _, text in ipairs { "1", "\"a\"", "true", "null", "[]", "[{}]", "-1.5" } do
  row("an event that is " .. text, body(text), 400, "invalid_json")
end
for _, text in ipairs { "{}", "{\"event\":[]}", "{\"events\":{}}",
  "{\"events\":1}", "{\"events\":[{}],\"events\":[]}", "{\"events\":[{}]",
  "[{}", "[{},]", "[{} {}]", "[{}]x", "1", "null", "{\"events\":[{}]}}" } do
  row("a batch that is " .. text, body(text, BATCH), 400, "invalid_json")
end
row("too many events", body("[" .. ("{\"id\":\"1\"},"):rep(100)
  .. "{\"id\":\"1\"}]", BATCH), 413, "too_many_events")
row("too deep an event", body("{\"a\":" .. ("["):rep(100) .. ("]"):rep(100)
  .. "}"), 413, "too_deep")

-- Events that the schema or the scanner refuses.
local refused = {
  missing_field = { "{}", "{\"id\":null}", "{\"ID\":\"1\"}", "{\"n\":1}" },
  wrong_type = { "{\"id\":1}", "{\"id\":{}}", "{\"id\":[]}", "{\"id\":true}",
    "{\"id\":\"1\",\"n\":\"1\"}", "{\"id\":\"1\",\"n\":true}",
    "{\"id\":\"1\",\"i\":1.5}", "{\"id\":\"1\",\"b\":1}",
    "{\"id\":\"1\",\"e\":1}", "{\"id\":\"1\",\"t\":true}" },
  too_short = { "{\"id\":\"\"}" },
  too_long = { "{\"id\":\"123456789\"}",
    "{\"id\":\"\195\169\195\169\195\169\195\169\195\169\195\169\195\169"
      .. "\195\169\195\169\"}" },
  too_small = { "{\"id\":\"1\",\"n\":-1}", "{\"id\":\"1\",\"n\":-0.001}" },
  too_large = { "{\"id\":\"1\",\"n\":101}", "{\"id\":\"1\",\"n\":1e400}" },
  not_in_enum = { "{\"id\":\"1\",\"e\":\"\"}", "{\"id\":\"1\",\"e\":\"X\"}" },
  bad_time = { "{\"id\":\"1\",\"t\":\"today\"}", "{\"id\":\"1\",\"t\":-1}",
    "{\"id\":\"1\",\"t\":\"2025-13-01T00:00:00Z\"}",
    "{\"id\":\"1\",\"t\":\"2025-02-29T00:00:00Z\"}",
    "{\"id\":\"1\",\"t\":\"2025-01-01T00:00:00\"}" },
  in_future = { "{\"id\":\"1\",\"t\":9999999999999}" },
  duplicate_key = { "{\"id\":\"1\",\"id\":\"2\"}",
    "{\"id\":\"1\",\"i\\u0064\":\"2\"}" },
  no_luck = { "{\"id\":\"bad\"}" },
}
local codes = {}
for code in pairs(refused) do codes[#codes + 1] = code end
table.sort(codes)
for _, code in ipairs(codes) do
  for _, text in ipairs(refused[code]) do
    row(code .. " in " .. text, body(text), 422, '"code":"' .. code .. '"')
  end
end
-- The largest body is read, a byte more is not, however its length is said.
local MAX_BODY = 64 * 1024
for n, status in pairs { [MAX_BODY] = 422, [MAX_BODY + 1] = 413 } do
  local text = [[{"id":"bad"}]]
  local large = status == 413
  local word = large and "too_large" or "no_luck"
  text = text .. (" "):rep(n - #text)
  row("a body of " .. n .. " bytes", body(text), status, word)
  row("a chunk of " .. n .. " bytes", POST .. "Transfer-Encoding: chunked\r\n\r\n"
    .. ("%x\r\n"):format(n) .. text .. "\r\n0\r\n\r\n", status, word, large)
end

-- Queries and forms.
local function query(text) return "GET /v1/query?" .. text .. " HTTP/1.1\r\nHost: t\r\n\r\n" end
local function form(text, type)
  return body(text, "POST /v1/form HTTP/1.1\r\nHost: t\r\nContent-Type: "
    .. (type or "application/x-www-form-urlencoded") .. "\r\n")
end
local function parts(text) return form(text, "multipart/form-data; boundary=B") end
local FIELD = '--B\r\nContent-Disposition: form-data; name="id"'

for _, bytes in ipairs { "%ff", "%C3", "%C0%80", "%ED%A0%80", "a%E9b" } do
  row("the query value " .. bytes, query("id=" .. bytes), 400, '"code":"invalid_query"')
  row("the query name " .. bytes, query("id=1&" .. bytes .. "=2"), 400, '"offset":5')
  row("the form value " .. bytes, form("id=" .. bytes), 400, '"code":"invalid_form"')
end
row("a query without a needed field", query("n=1"), 422, "missing_field")
row("an empty query", query(""), 422, "missing_field")
row("a number that is none in a query", query("id=1&n=x"), 422, "wrong_type")
row("a fraction for an integer in a query", query("id=1&i=1.5"), 422, "wrong_type")
row("a truth that is none in a query", query("id=1&b=maybe"), 422, "wrong_type")
row("a time that is none in a query", query("id=1&t=now"), 422, "bad_time")
row("a parameter twice", query("id=1&id=2"), 422, "duplicate_key")
row("1025 parameters", query(("&a"):rep(1025)), 413, '"code":"too_many_parameters"')
row("a body to a query", body("id=1", "GET /v1/query?id=1 HTTP/1.1\r\nHost: t\r\n"), 400,
  "unexpected_body")
row("JSON in a form", form("{}", "application/json"), 415, "multipart/form-data")
row("1025 fields", form(("a&"):rep(1025)), 413, '"limit":1024')
row("no JSON in a field of JSON", form("id=1&j=%7B"), 400, 'parameter \\"j\\"')
row("JSON that breaks out of its field", form('id=1&j=1,"n":2'), 400, "invalid_form")
row("no base64 in a field of base64", form("id=1&p=*"), 400, "not base64")
row("a form that grows beyond its bound", form("id=" .. ("\1"):rep(60000)), 422, "too_long")
row("no boundary", form(FIELD, "multipart/form-data"), 400, "expected a boundary")
row("too long a boundary", form(FIELD, "multipart/form-data; boundary=" .. ("x"):rep(71)), 400,
  "expected a boundary")
row("another boundary", parts("--C\r\n\r\n--C--"), 400, "expected the boundary")
row("a part that ends early", parts(FIELD .. "\r\n\r\n1"), 400, "cut off")
row("a part without a name", parts("--B\r\nX: y\r\n\r\n1\r\n--B--"), 400, "form-data; name=")
row("a file", parts(FIELD
  .. '; filename="x"\r\n\r\n1\r\n--B--'), 400, '"code":"file_refused"')
row("bare line feeds in a form", parts(FIELD .. "\n\n1\n--B--"), 400, "CR LF")
row("bytes behind the last boundary", parts(FIELD .. "\r\n\r\n1\r\n--B--x"), 400,
  "behind the last boundary")
row("a part in base64", parts(FIELD
  .. "\r\nContent-Transfer-Encoding: base64\r\n\r\nMQ==\r\n--B--"),
  400, "Content-Transfer-Encoding")
table.sort(rows, function(a, b) return a.what < b.what end)

describe("bad input", function()
  local s
  setup(function()
    s = h.server { policy = h.policy { workers = 1,
      server = [[max_body = "64KiB", max_events = 100]],
      top = [[
local event = schema {
  id = str { required = true, min = 1, max = 8 },
  n = num { min = 0, max = 100 }, i = int {}, b = bool {},
  e = enum { "x", "y" }, t = time { max_skew = "1m" },
}
local function on_event(ev)
  if ev.id == "bad" then return reject("no_luck", "never") end
end
route "GET /v1/query" { body = "query", schema = event, stream = "events" }
route "POST /v1/form" { body = "form", form = { j = "json", p = "base64" }, schema = event,
  stream = "events" }]], route = "schema = event, on_event = on_event" } }
  end)
  teardown(function() s:close() end)

  it("has at least 150 rows", function()
    print("# bad input: " .. #rows .. " rows")
    assert.is_true(#rows >= 150)
  end)

  for _, r in ipairs(rows) do
    it("answers " .. r.status .. " to " .. r.what, function()
      local c = h.connect(s.port)
      c:send(r.sent)
      local a = h.answer(c)
      assert.equal(r.status, a and a.status)
      assert.truthy(a.body:find(r.word, 1, true), a.body)
      if r.status ~= 422 then
        assert.matches('^{"error":".+","code":"[a-z_]+".*}$', a.body)
      end
      if r.closes then
        assert.equal("close", a.headers.connection)
        c:shutdown("send")
        assert.is_true(h.closed(c))
      else
        assert.is_nil(a.headers.connection)
      end
      c:close()
    end)
  end

  it("has stored nothing", function()
    assert.equal(202, s:post("/v1/events", [[{"id":"good"}]]).status)
    assert.equal(1, s:metric("sluice_stored_events_total",
      'stream="events"'))
    assert.equal(0, s:stop())
    assert.same({ [[{"id":"good"}]] }, s:lines())
  end)
end)
