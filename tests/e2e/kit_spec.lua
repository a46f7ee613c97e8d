local h = require "harness"
local testing = require "sluice.testing"

-- A policy in which everything happens that a policy can decide.
local POLICY = [[
server { listen = "127.0.0.1:0", workers = 1, max_body = "64KiB", max_events = 5,
  max_depth = 8 }
admin { listen = "127.0.0.1:0" }
file "archive" { dir = "archive", linger = "20ms" }
file "copy" { dir = "copy", linger = "20ms" }
stream "events" { sinks = { "archive" } }
stream "other" { sinks = { "copy" } }
file "refused" { dir = "refused", linger = "20ms" }
stream "refused" { sinks = { "refused" } }
local keep = { stream = "refused", rate = "10000/s", max_record = "1KiB" }
local shape = schema { n = int { required = true, min = 0 }, s = str { max = 5 },
  kind = enum { "raise", "drop", "both", "edit", "reject" } }
local function on_event(ev, req)
  if ev.kind == "raise" then error("oops") end
  if ev.kind == "drop" then return drop("because") end
  if ev.kind == "both" then return to("events", "other") end
  if ev.kind == "reject" then return reject("no_good", "it is \"no\" good") end
  if ev.kind == "edit" then
    ev.s, ev.added, ev.n = nil, { req.query, req.headers["x-tenant"] }, ev.n + 0.5
  end
end
local function on_request(req)
  if req.headers["x-tenant"] == "none" then return reject("no_tenant", "who?") end
end
route "POST /one"  { body = "event", schema = shape, on_event = on_event,
  on_request = on_request, stream = "events" }
route "POST /many" { body = "batch", schema = shape, on_event = on_event,
  stream = "events", on_refused = keep }
route "POST /strict" { body = "batch", schema = shape, on_event = on_event,
  stream = "events", partial = false, on_error = "reject", on_refused = keep }

route "PUT /t/:tenant/own" { body = "event", stream = "events",
  on_request = function(req)
    if req.headers["x-key"] ~= "k" then return reject("no_key", "who?", 401) end
    if req.query_args.slow then return reject("slow_down", "later", 429) end
  end,
  on_event = function(ev, req) ev.tenant = req.params.tenant end,
  answer = { status = 200, body = "ok", type = "text/plain" },
  cors = { origins = { "https://shop.example" } } }
stream "once" { sinks = { "copy" }, dedup = { key = "id", window = "10m" } }
route "POST /once" { body = "batch", stream = "once" }
route "POST /detect" { body = "event", schema = shape, stream = "events", encoding = "detect",
  on_refused = keep }
route "POST /asked" { body = "event", schema = shape, stream = "events",
  encoding = "query:compression" }
route { "GET", "POST", "/either" } { body = "any", schema = shape, stream = "events",
  encoding = "query:compression" }
route "POST /values" { body = "events", schema = shape, stream = "events", max_event = "30B",
  on_refused = keep }
route "POST /nested" { body = "batch", schema = shape, stream = "events",
  events = "a[].b[]", envelope = { s = "a[].s", top = "top" }, on_refused = keep }
route "POST /forms" { body = "events", stream = "events", schema = schema {
  at = time { formats = { "iso8601", "http" }, unit = "auto" }, i = int { convert = true },
  t = str { cut = 3 }, l = list { str {}, max = 2 } } }
route "POST /cloud" { body = "cloudevents", stream = "other" }
route { "GET", "POST", "/any" } { body = "any", schema = shape, on_event = on_event,
  repeated = "array", form = { j = "json" }, stream = "events", on_refused = keep }
route "GET /to" { body = "query", schema = shape, on_event = on_event, stream = "events",
  on_refused = keep,
  answer = { location = "field:u", hosts = { "shop.example" } } }
route { "GET", "POST", "/go" } { body = "any", schema = shape, on_event = on_event,
  stream = "events", answer = { location = function(ev, req)
    return "https://" .. ev.s .. ".example" .. req.path end, hosts = { "shop.example" },
    fallback = "https://shop.example/", refused = "same", headers = { ["X-A"] = "b" } } }
route "GET /pixel" { body = "query", schema = shape, stream = "events", answer = "pixel",
  on_refused = "dead_letter" }
route "POST /filled" { body = "event", schema = shape, on_event = on_event, stream = "events",
  answer = { status = 200, body = '{"n":"{n}","s":"{s}"}', refused = 404 } }
]]

local own = { ["X-Key"] = "k", Origin = "https://shop.example" }
local function with(more)
  local t = {}
  for k, v in pairs(own) do t[k] = v end
  for k, v in pairs(more) do t[k] = v end
  return t
end

local function gzip(text)
  local name = os.tmpname()
  h.write(name, text)
  local packed = h.shell("gzip -c " .. name)
  os.remove(name)
  return packed
end
local GZIP = { ["Content-Encoding"] = "gzip" }

local requests = {
  { "POST", "/one", gzip [[{"n":77}]], GZIP },
  { "POST", "/one", gzip([[{"n":77}]]):sub(1, -5), GZIP },
  { "POST", "/one", gzip((" "):rep(70000)), GZIP },
  { "POST", "/one", [[{"n":78}]], { ["Content-Encoding"] = "br" } },
  { "POST", "/one", "\139\003\128\123\034\110\034\058\055\055\125\003",
    { ["Content-Encoding"] = "br" } },
  { "POST", "/one", [[{"n":78}]], { ["Content-Encoding"] = "lzma" } },
  { "POST", "/detect", gzip [[{"n":79}]] },
  { "POST", "/detect", [[{"n":80}]], GZIP },
  { "POST", "/detect", gzip((" "):rep(70000)) },
  { "POST", "/asked?compression=gzip-js", gzip [[{"n":81}]] },
  { "POST", "/asked?compression=none", [[{"n":82}]], GZIP },
  { "POST", "/asked", gzip [[{"n":83}]], GZIP },
  { "POST", "/asked?compression=lz64", [[{"n":84}]] },
  { "POST", "/asked?compression=%67zip", [[{"n":85}]] },
  { "GET", "/either?compression=gzip-js&n=86", "" },
  { "GET", "/either?compression=lz64&n=87", "" },
  { "POST", "/either?compression=gzip", gzip [[{"n":88}]] },
  { "POST", "/values", '\239\187\191{"n":1}{"n":2} [{"n":3},{"n":"x"}]\n{"n":4}' },
  { "POST", "/values", '{"n":1},{"n":2}' },
  { "POST", "/values", '{"n":1}' .. '{"n":2,"more":"than thirty bytes"}' },
  { "POST", "/values", ('{"n":1}'):rep(6) },
  { "POST", "/nested", '{"a":[{"b":[{"n":1},{"n":2,"s":"own"}],"s":"x"},{},{"b":[{}]}],'
    .. '"top":[1]}' },
  { "POST", "/nested", '{"a":[{"b":{}}]}' },
  { "POST", "/nested", '{"a":[1]}' },
  { "POST", "/forms", '{"at":"2025-11-23 12:13:20 +0100","i":"007","t":"äöüß","l":["a"]}'
    .. '{"at":1763900000,"i":1e2}{"at":"Sun, 23 Nov 2025 12:13:20 GMT"}{"l":[1]}' },
  { "POST", "/nowhere", "?", GZIP },
  { "POST", "/once", [=[[{"id":1},{"id":"1"},{}]]=] },
  { "POST", "/once", [=[[{"id":1}]]=] },
  { "POST", "/once", [=[[{"id":2},{"id":2,"x":1},{"id":"1"}]]=] },
  { "PUT", "/t/acme%20x/own", "{}", own },
  { "PUT", "/t/a/own", "{}", with { Origin = "https://evil.example" } },
  { "PUT", "/t/a/own", "{}", with { ["X-Key"] = "?" } },
  { "PUT", "/t/a/own?slow=1", "{}", own },
  { "PUT", "/t/a/own", "{", own },
  { "POST", "/t/a/own", "{}", own },
  { "OPTIONS", "/t/a/own", "", { Origin = "https://shop.example",
    ["Access-Control-Request-Method"] = "PUT" } },
  { "OPTIONS", "/t/a/own", "", { Origin = "https://evil.example",
    ["Access-Control-Request-Method"] = "PUT" } },
  { "POST", "/cloud", [[{"specversion":"1.0","id":"1","source":"/s","type":"t"}]],
    { ["Content-Type"] = "application/cloudevents+json" } },
  { "POST", "/cloud", [[{"a":1}]], { ["ce-specversion"] = "1.0", ["ce-id"] = "2",
    ["ce-source"] = "/s", ["ce-type"] = "t" } },
  { "POST", "/cloud", [[{"a":1}]], { ["ce-specversion"] = "1.0" } },
  { "POST", "/one", [[{"n":1}]] },
  { "POST", "/one", [[ { "n" : 1.0 , "x":[1,{"y":"\u00e9"}] } ]] },
  { "POST", "/one?a=1&b", [[{"n":1,"kind":"edit","s":"x"}]] },
  { "POST", "/one", [[{"n":1,"kind":"raise"}]] },
  { "POST", "/one", [[{"n":1,"kind":"drop"}]] },
  { "POST", "/one", [[{"n":1,"kind":"both"}]] },
  { "POST", "/one", [[{"n":1,"kind":"reject"}]] },
  { "POST", "/one", [[{"n":1}]], { ["X-Tenant"] = "none" } },
  { "POST", "/one", [[{"n":1,"kind":"edit"}]], { ["X-Tenant"] = "t" } },
  { "POST", "/one", [[{"n":-1}]] },
  { "POST", "/one", [[{"n":1,"n":2}]] },
  { "POST", "/one", [[{"n":1]] },
  { "POST", "/one", "" },
  { "POST", "/one", ("["):rep(20) },
  { "POST", "/one", [[{"n":1,"s":"123456"}]] },
  { "POST", "/one", [[{}]], { ["Content-Type"] = "text/xml" } },
  { "POST", "/many", [[{"events":[{"n":1},7,{"n":2,"kind":"drop"}]}]] },
  { "POST", "/many", "{\"n\":1}\n{bad\n{\"n\":2,\"kind\":\"raise\"}\n",
    { ["Content-Type"] = "application/x-ndjson" } },
  { "POST", "/many", [[[{"n":1},{"n":1},{"n":1},{"n":1},{"n":1},{"n":1}] ]] },
  { "POST", "/many", "[]" },
  { "POST", "/many", "[" .. (" "):rep(70000) .. "]" },
  { "POST", "/strict", [[[{"n":1},{"n":-2}] ]] },
  { "POST", "/strict", [[[{"n":1,"kind":"raise"}] ]] },
  { "POST", "/strict", [[[{"n":1},{"n":2}] ]] },
  { "GET", "/any?n=1&s=%C3%A9&x=1&x=2", "" },
  { "GET", "/any?n=1&kind=raise", "" },
  { "GET", "/any?n=x", "" },
  { "GET", "/any?n=1&x=%ff", "" },
  { "GET", "/any?" .. ("a&"):rep(1025), "" },
  { "GET", "/any?n=1", "{}" },
  { "POST", "/any", "n=2&j=%7B%7D", { ["Content-Type"] = "application/x-www-form-urlencoded" } },
  { "POST", "/any", "n=2&j=%7B", { ["Content-Type"] = "application/x-www-form-urlencoded" } },
  { "POST", "/any", "--b\r\nContent-Disposition: form-data; name=n\r\n\r\n3\r\n--b--",
    { ["Content-Type"] = "multipart/form-data; boundary=b" } },
  { "POST", "/any", "--b\r\nContent-Disposition: form-data; name=n; filename=f\r\n\r\n3\r\n--b--",
    { ["Content-Type"] = "multipart/form-data; boundary=b" } },
  { "POST", "/any", "--b--", { ["Content-Type"] = "multipart/form-data" } },
  { "POST", "/any", [[{"n":4}]] },
  { "PUT", "/any", "{}" },
  { "GET", "/to?n=1&u=https://shop.example/%C3%A9", "" },
  { "GET", "/to?n=1&u=https://evil.example/", "" },
  { "GET", "/to?n=x&u=https://shop.example/", "" },
  { "GET", "/to?n=1&x=%ff&u=https://shop.example/", "" },
  { "GET", "/go?n=1&s=shop", "" },
  { "GET", "/go?n=1&s=evil", "" },
  { "GET", "/go?n=1", "" },
  { "GET", "/go?n=x&s=shop", "" },
  { "GET", "/go?n=1&s=shop&x=%ff", "" },
  { "POST", "/go", "{", own },
  { "POST", "/go", [[{"n":1,"s":"shop","kind":"reject"}]] },
  { "GET", "/pixel?n=1", "" },
  { "GET", "/pixel", "" },
  { "POST", "/filled", [[{"n":1,"s":"a\"b"}]] },
  { "POST", "/filled", [[{"n":1,"kind":"edit"}]] },
  { "POST", "/filled", [[{"n":1,"kind":"drop"}]] },
  { "POST", "/filled", [[{}]] },
  { "GET", "/one", "" },
  { "POST", "/nowhere", "{}" },
}

-- Rules that depend on the moment.
local function same_moment(line)
  return (line:gsub('"time":%d+,"generation":%d+', '"time":0,"generation":0')
    :gsub('^({"refused":.-"time":)%d+', "%10"))
end

describe("the testing kit", function()
  it("gives a policy the test's clock, environment and random numbers",
  function()
    local text = [[
file "f" { dir = "d" }
stream "s" { sinks = { "f" } }
route "POST /" { body = "event", stream = "s", on_event = function(ev, req)
  ev.at, ev.id, ev.home, ev.luck = req.time_ms, uuid7(), HOME, sample(0.5)
end }
HOME = env("HOME", "nowhere")
]]
    local function line(o)
      return assert(testing.load("p.lua", text, o)):post("/", "{}").stored.s[1]
    end
    assert.equal(line(), line())
    assert.matches('"home":"nowhere",.*"at":1735689600000', line())
    assert.matches('"home":"/h"', line { env = { HOME = "/h" } })
    assert.matches('"at":1763900000000', line { time = "2025-11-23T12:13:20Z" })
    local function id(o) return line(o):match('"id":"([%x-]+)"') end
    assert.matches("^01941f29%-7c00%-7%x%x%x%-", id())
    assert.not_equal(id(), id { seed = 2 })
    assert.not_equal(id { seed = 0 }, id { seed = 0 })
  end)

  it("tells all that is wrong with a policy, and what is worth a note", function()
    local p, why = testing.load("bad.lua", [[
file "f" { dirr = "x" }
stream "s" { sinks = { "g" } }]])
    assert.is_nil(p)
    assert.matches('bad.lua:1: file "f".dirr: unknown key; did you mean "dir"?',
      why, 1, true)
    assert.matches('bad.lua:2: stream "s".sinks[1]: there is no sink "g"', why, 1,
      true)
    local good = assert(testing.load("loop.lua", [[
file "f" { dir = "d" }
stream "s" { sinks = { "f" } }
route "POST /" { body = "event", stream = "s",
  on_event = function(ev) for _ = 1, 2 do ev.x = 1 end end }]]))
    assert.matches("loop.lua:%d+: note: on_event has a loop", good.notes)
  end)

  it("counts in the policy's own counters, and limits by the test's clock",
  function()
    local p = assert(testing.load("p.lua", [[
file "f" { dir = "d" }
stream "s" { sinks = { "f" } }
local sold = counter "sold_total" { labels = { "shop" } }
local last = gauge "last_value"
local slow = limit { rate = "1/s", burst = 2, key = "header:x-key" }
route "POST /" { body = "event", stream = "s",
  on_request = function(req) return slow:check(req) end,
  on_event = function(ev) sold:inc(ev.n, ev.shop) last:set(ev.n) end }]]))
    local function post(at, key)
      return p:post("/", { n = 2.5, shop = "a" }, { headers = { ["X-Key"] = key },
        time = 1735689600000 + at }).status
    end
    assert.same({ 202, 202, 429, 202, 429, 202 }, { post(0, "k"), post(0, "k"),
      post(0, "k"), post(0, "other"), post(999, "k"), post(1000, "k") })
    assert.equal(10, p:metric("sold_total", { "a" }))
    assert.equal(0, p:metric("sold_total", { "b" }))
    assert.equal(2.5, p:metric("last_value"))
    assert.has_error(function() p:metric("last") end,
      'the policy has no metric "last" with 0 labels')
    -- Another policy begins with full buckets.
    p = assert(testing.load("conf/quickstart.lua"))
    assert.has_error(function() p:metric("sold_total", { "a" }) end)
  end)

  it("takes repeats out by the test's clock", function()
    local p = assert(testing.load("p.lua", [[
file "f" { dir = "d" }
stream "s" { sinks = { "f" }, dedup = { key = "id", window = "1m" } }
route "POST /" { body = "event", stream = "s" }]]))
    local function fate(at)
      return p:post("/", { id = 7 }, { time = 1735689600000 + at }).events[1].fate
    end
    assert.same({ "accepted", "dropped", "dropped" },
      { fate(0), fate(1), fate(59000) })
    assert.equal("accepted", fate(600000))
  end)

  it("makes the message that Kafka would get", function()
    local function message(sink, event)
      local p = assert(testing.load("p.lua", ([[
kafka "k" { brokers = "b:1", topic = "rest", %s }
stream "s" { sinks = { "k" } }
route "POST /" { body = "event", stream = "s" }]]):format(sink)))
      return p.sinks.k.message(event)
    end
    local by = [[key = "user.id", topic_by = "kind"]]
    assert.same({ topic = "clicks", key = "ü1" },
      message(by, [[{"kind":"clicks","user":{"id":"\u00fc1"}}]]))
    assert.same({ topic = "rest", key = "7" },
      message(by, { kind = "no such/name", user = { id = 7 } }))
    assert.same({ topic = "rest" }, message("", { kind = "clicks" }))
    local fn = [[topic_by = function(ev) return "t_" .. ev.kind end]]
    assert.same({ topic = "t_a" }, message(fn, { kind = "a" }))
    assert.same({ topic = "rest" }, message(fn, {}))
  end)

  it("signs as a hook does, and names where a route keeps its refusals", function()
    -- RFC 4231, case 2, and FIPS 180-4's "abc".
    assert.equal("5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
      testing.hmac("Jefe", "what do ya want for nothing?"))
    assert.equal("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
      testing.sha256 "abc")
    local p = assert(testing.load("p.lua", [[
null "n" {}
stream "s" { sinks = { "n" } }
stream "bad" { sinks = { "n" } }
route "POST /a" { body = "event", stream = "s", on_refused = { stream = "bad" } }
route "POST /b" { body = "event", stream = "s", on_refused = "dead_letter" }
route "POST /c" { body = "event", stream = "s" }]]))
    assert.same({ "bad", "dead_letter" },
      { p.routes[1].on_refused, p.routes[2].on_refused, p.routes[3].on_refused })
  end)

  it("reads and writes JSON, and says where it is none", function()
    local text = '{"a":[1,2.5,"\\u00e9\\n",null,true],"b":{}}'
    local t = testing.decode(" " .. text)
    assert.equal("é\n", t.a[3])
    assert.equal('{"a":null,"b":"x"}',
      testing.encode { b = "x", a = testing.null })
    assert.same({ nil, "no JSON at byte 6: expected ',' or '}'" },
      { testing.decode('{"a":1') })
  end)

  it("stops a function that does not end, and asks for known numbers only",
  function()
    local p = assert(testing.load("p.lua", [[
kafka "k" { brokers = "b:1", topic = "t", batch = { max = 300,
  adapt = function(s) if s.rate > 9 then while true do end end return 1e6 end } }
stream "s" { sinks = { "k" } }
route "POST /" { body = "event", stream = "s" }]]))
    assert.equal(300, p.sinks.k.batch.adapt { rate = 1 })
    assert.equal(200, p.sinks.k.batch.adapt { rate = 10 })
    assert.has_error(function() p.sinks.k.batch.adapt { rat = 1 } end,
      'adapt has no "rat"; it has events bytes age_ms backlog_bytes rate '
      .. "latency_ms errors target")
    assert.has_error(function() p:post("/", "{}", { time = "noon" }) end,
      '"noon" is no time such as "2025-11-23T12:13:20Z"')
  end)

  it("decides, answers and stores exactly as the server does", function()
    local s = h.server { policy = POLICY }
    local kit = assert(testing.load(s.path, POLICY))
    local stored, want = {}, { archive = {}, copy = {}, dead = {}, refused = {} }
    local folders = { events = "archive", other = "copy", once = "copy",
      dead = "dead" }
    for i, q in ipairs(requests) do
      local headers = { ["Content-Type"] = "application/json" }
      for k, v in pairs(q[4] or {}) do headers[k] = v end
      local a = h.request(s.port, q[1], q[2], q[3], headers)
      local r = kit:request(q[1], q[2], q[3], { headers = headers })
      assert.same({ i, a.status, a.body }, { i, r.status, r.body })
      for _, name in ipairs { "allow", "accept-encoding",
        "www-authenticate", "vary", "location", "cache-control", "x-a",
        "access-control-allow-origin", "access-control-allow-methods" } do
        assert.same({ i, name, a.headers[name] }, { i, name, r.headers[name] })
      end
      if r.headers["content-type"] then
        assert.equal(a.headers["content-type"], r.headers["content-type"])
      end
      assert.equal(a.headers["retry-after"] ~= nil,
        r.headers["retry-after"] ~= nil)
      for stream, lines in pairs(r.stored) do
        for _, line in ipairs(lines) do
          table.insert(want[folders[stream]], same_moment(line))
        end
      end
      for _, record in ipairs(r.refusals) do
        table.insert(want[q[2]:find "^/pixel" and "dead" or "refused"], same_moment(record))
      end
    end
    assert.equal(0, s:stop())
    for folder, lines in pairs(want) do
      stored[folder] = {}
      for _, line in ipairs(s:lines(folder)) do
        table.insert(stored[folder], same_moment(line))
      end
      table.sort(lines)
      table.sort(stored[folder])
    end
    assert.same(want, stored)
    assert.is_true(#want.archive > 5 and #want.copy == 8 and #want.dead == 4
      and #want.refused > 20)
    print(("# kit: %d requests answered and stored as by the server")
      :format(#requests))
    s:close()
  end)
end)
