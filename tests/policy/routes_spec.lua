-- The requests that a route takes, its values in events and its answers; the words for
-- real protocols.
local testing = require "sluice.testing"

local function policy(routes)
  return assert(testing.load("p.lua", [[
file "a" { dir = "a" }
stream "s" { sinks = { "a" } }
]] .. routes, { time = 1748779200000 }))
end

local function lines(r)
  assert.is_true(r.status < 300, r.body)
  return r.stored.s
end

describe("a route's path", function()
  local p = policy [[
local function tell(ev, req)
  ev.kind, ev.tenant = req.params.kind, req.params.tenant
  ev.q = req.query_args.q
end
local function to(name)
  return { body = "event", stream = "s", set = { route = "header:x-" .. name },
    on_event = tell }
end
route "POST /v1/:kind" (to "kind")
route "POST /:tenant/:kind" (to "both")
route "PUT /v1/:kind" { body = "event", stream = "s" }
route "POST /:tenant/events" (to "events")
route "POST /v1/track" (to "track")
]]
  local names = { ["X-kind"] = "kind", ["X-both"] = "both",
    ["X-events"] = "events", ["X-track"] = "track" }

  local function taken(path)
    local r = p:post(path, "{}", { headers = names })
    return r.status == 202 and testing.decode(lines(r)[1]) or r.status
  end

  it("is tried before those with parameters, and these by what they say", function()
    assert.equal("track", taken("/v1/track").route)
    assert.equal("kind", taken("/v1/page").route)
    assert.equal("kind", taken("/v1/events").route)
    assert.equal("events", taken("/a/events").route)
    assert.equal("both", taken("/a/b").route)
    for _, path in ipairs { "/v1", "/v1/", "/a/b/c", "/a/b/", "/" } do
      assert.equal(404, taken(path))
    end
  end)

  it("gives its parameters and the query to hooks, decoded", function()
    local e = taken("/a%20b/c%2Fd?p=1&q=%C3%A9+%26")
    assert.same({ "c/d", "a b", "é &" }, { e.kind, e.tenant, e.q })
    assert.is_nil(taken("/v1/x?p=1").q)
  end)

  it("is told with its methods when another is used", function()
    local r = p:request("GET", "/v1/track", "")
    assert.same({ 405, "POST, PUT" }, { r.status, r.headers.allow })
  end)
end)

describe("set", function()
  local p = policy [[
local s = schema { kind = enum { "a", "b", required = true }, at = time {},
  agent = str { max = 8 } }
route "POST /:kind" { body = "batch", stream = "s", schema = s, set = {
  kind = "path:kind", key = "query:key", agent = "header:user-agent",
  user = "basic:user", from = "peer", at = "time" } }
route "POST /x/:kind" { body = "event", stream = "s", schema = s,
  set = { kind = "path:kind" }, on_event = function(ev)
    ev.seen = ev.kind .. tostring(ev.at)
  end }
]]
  local headers = { ["User-Agent"] = "curl/8", Authorization = "Basic dTpw" }

  it("takes what the request says, whatever the event says", function()
    local r = p:post("/a?key=k%31", [=[[{"kind":"z","key":0,"n":1.50},{}]]=],
      { headers = headers, peer = "10.0.0.7" })
    assert.same({
      [[{"kind":"a","key":"k1","n":1.50,"agent":"curl/8","at":1748779200000,]]
        .. [["from":"10.0.0.7","user":"u"}]],
      [[{"agent":"curl/8","at":1748779200000,"from":"10.0.0.7","key":"k1",]]
        .. [["kind":"a","user":"u"}]],
    }, lines(r))
  end)

  it("takes a field away that the request does not say", function()
    local r = p:post("/b", [=[[{"key":1,"user":2,"agent":"own"}]]=])
    assert.same({ [[{"at":1748779200000,"from":"127.0.0.1","kind":"b"}]] },
      lines(r))
  end)

  it("meets the schema's rules, for all events", function()
    local r = p:post("/c", [=[[{"kind":"a"},{}]]=])
    assert.same({ 422, "not_in_enum", "kind", 2 },
      { r.status, r.code, r.field, r.rejected })
    r = p:post("/a", "[{}]", { headers = { ["User-Agent"] = ("x"):rep(9) } })
    assert.same({ "too_long", "agent" }, { r.code, r.field })
  end)

  it("makes text of bytes that are none", function()
    local r = p:post("/a", "[{}]", { headers = { ["User-Agent"] = "M\xFCll" } })
    assert.matches('"agent":"M\239\191\189ll"', lines(r)[1], 1, true)
  end)

  it("is seen by hooks; other fields are read as before", function()
    local r = p:post("/x/b", '{"at":"2025-06-01T12:00:00Z","kind":"a"}')
    assert.equal("b1748779200000", testing.decode(lines(r)[1]).seen)
  end)
end)

describe("events and envelope", function()
  local p = policy [[
local s = schema { sent = time { required = true }, ["ctx.ip"] = str { max = 9 },
  own = str { } }
route "POST /e" { body = "batch", stream = "s", schema = s, events = "d.list",
  envelope = { sent = "sentAt", ctx = "d.context", n = "n", own = "mine" },
  on_event = function(ev)
    if ev.ask then
      ev.told = ("%s %s %s"):format(ev.sent, ev["ctx.ip"], ev.own)
    end
  end }
]]
  local function post(list, around)
    return p:post("/e", ('{"n":1.500,"d":{"context":{"ip":"1.2.3.4"},"list":%s}%s}')
      :format(list, around or ',"sentAt":"2025-06-01T12:00:00Z"'))
  end

  it("copies values as they stand, to events that lack them", function()
    assert.same({
      [[{"a":1,"ctx":{"ip":"1.2.3.4"},"n":1.500,"sent":"2025-06-01T12:00:00Z"}]],
      [[{"n":null,"ctx":{},"sent":1748779200000}]],
    }, lines(post('[{"a":1},{"n":null,"ctx":{},"sent":1748779200000}]')))
  end)

  it("checks them as if the event had sent them", function()
    local r = post('[{"sent":1748779200000},{}]', "")
    assert.same({ 1, 1, "missing_field", "sent" },
      { r.accepted, r.rejected, r.code, r.field })
    r = post("[{}]", ',"sentAt":"soon"')
    assert.same({ "bad_time", "sent" }, { r.code, r.field })
    r = p:post("/e", '{"d":{"list":[{},{"ctx":{}}],"context":{"ip":"too long it is"}}'
      .. ',"sentAt":1748779200000}')
    assert.same({ "rejected", "accepted" }, { r.events[1].fate, r.events[2].fate })
    assert.same({ "too_long", "ctx.ip" }, { r.code, r.field })
  end)

  it("lets hooks read them", function()
    local r = post('[{"ask":1},{"ask":2,"own":"o","ctx":{"ip":"0"}},{"ask":3,"ctx":{}}]',
      ',"sentAt":1748779200000,"mine":"\\u006D"')
    local told = {}
    for i, line in ipairs(lines(r)) do told[i] = testing.decode(line).told end
    assert.same({ "1748779200000 1.2.3.4 m", "1748779200000 0 o",
      "1748779200000 nil m" }, told)
  end)

  it("keeps a line a line", function()
    local r = p:post("/e", '{"sentAt":1748779200000,"d":{"context":{\n"ip":\r\n"x"},"list":[{}]}}')
    assert.same({ [[{"ctx":{ "ip":  "x"},"sent":1748779200000}]] }, lines(r))
  end)

  it("refuses to make a small body a large one", function()
    local context = ('{"x":"%s"}'):format(("y"):rep(100000))
    local function all(n)
      return p:post("/e", ('{"sentAt":1748779200000,"d":{"context":%s,"list":[%s{}]}}')
        :format(context, ("{},"):rep(n - 1)))
    end
    assert.equal(41, all(41).accepted)
    local r = all(42)
    assert.same({ 413, "copies_too_large" }, { r.status, r.code })
    r = p:post("/e", ('{"sentAt":1748779200000,"d":{"context":%s,"list":[%s{}]}}')
      :format(context, ('{"ctx":0},'):rep(9000)))
    assert.equal(9001, r.accepted)
  end)

  it("refuses other bodies, with the place", function()
    for _, row in ipairs {
      { "[{}]", 'expected an object with the events at "d.list"' },
      { "{}", 'expected an object with the events at "d.list"' },
      { '{"d":{"list":{}}}', 'expected an array at "d.list"' },
      { '{"d":{"list":[]},"d":{}}', "a key of the envelope is given twice" },
    } do
      local r = p:post("/e", row[1])
      assert.same({ 400, row[2] }, { r.status, r.message })
    end
    assert.equal(415, p:post("/e", "{}", { content_type = "application/x-ndjson" })
      .status)
  end)
end)

describe("types and answer", function()
  local p = policy [[
route "POST /a" { body = "event", stream = "s", types = { "text/plain" },
  answer = { status = 200, body = "ok", type = "text/plain", refused = 400 } }
route "POST /b" { body = "batch", stream = "s", types = { "*/*" }, partial = false,
  answer = { status = 204, refused = 418 } }
route "POST /c" { body = "event", stream = "s", answer = { status = 201 },
  on_request = function(req)
    if req.basic.password ~= "p" then
      return reject("who", "say who you are", 401)
    end
  end }
]]

  it("is what the route says", function()
    local r = p:post("/a", "{}", { content_type = "Text/Plain; charset=utf-8" })
    assert.same({ 200, "ok", "text/plain" },
      { r.status, r.body, r.headers["content-type"] })
    r = p:post("/a", "{}")
    assert.same({ 415, "expected text/plain" }, { r.status, r.message })
    r = p:post("/b", "[{}]", { content_type = "image/gif" })
    assert.same({ 204, "" }, { r.status, r.body })
    r = p:post("/b", "[{},1]")
    assert.same({ 418, "rejected" }, { r.status, r.json.status })
  end)

  it("may ask who is there", function()
    local r = p:post("/c", "{}")
    assert.same({ 401, "who" }, { r.status, r.code })
    r = p:post("/c", "{}", { headers = { Authorization = "Basic dTpw" } })
    assert.same({ 201, 1 }, { r.status, r.json.accepted })
  end)
end)

describe("a hook's mistake with a request", function()
  local function why(code)
    local p = policy(([[
route "POST /:kind" { body = "event", stream = "s",
  on_event = function(ev, req) %s end }]]):format(code))
    local e = p:post("/a?b=c", "{}").events[1]
    assert.equal("dead", e.fate)
    return e.message
  end

  it("is told", function()
    for code, message in pairs {
      ["req.params.kind = 1"] = "a request's params can't be set",
      ["req.query_args.b = 1"] = "a request's query_args can't be set",
      ["return req.basic.name"] = 'basic has user and password, no "name"',
      -- As constants these are refused at load.
      ["local word = 'args' return req[word]"] = 'a request has no "args"',
      ['local n = 500 return reject("a", "b", n)'] =
        "reject: expected a status from 400 to 499",
      ['local n = 401 return reject("a", "b", n)'] = "reject: a status is on_request's to "
        .. "give; the route's answer says the one of refused events",
    } do
      assert.matches(message, why(code), 1, true)
    end
  end)
end)
