local h = require "harness"
local cjson = require "cjson.safe"

-- What a route refuses, kept in a stream (on_refused).
describe("refusals that are kept", function()
  local TOP = [[
file "bad" { dir = "bad", linger = "20ms", rotate = { age = "50ms" } }
stream "refused" { sinks = { "bad" } }
local shape = schema { id = str { required = true, max = 20 } }
local keep = { stream = "refused", rate = "10000/s" }
local function hook(ev)
  if ev.id == "no" then return reject("unwanted", "not this one") end
  if ev.id == "later" then error("broken") end
end
route "POST /one" { body = "event", schema = shape, stream = "events", on_event = hook,
  on_error = "reject", on_refused = keep }
route "POST /many" { body = "batch", schema = shape, stream = "events", on_event = hook,
  on_refused = keep }
route "POST /values" { body = "events", schema = shape, stream = "events", on_event = hook,
  max_event = "64B", on_refused = keep }
route "POST /all" { body = "batch", schema = shape, stream = "events", partial = false,
  on_refused = keep }
route "POST /in/:kind" { body = "batch", events = "data.events", schema = shape,
  stream = "events", set = { kind = "path:kind" }, on_refused = keep }
route "GET /pixel" { body = "query", schema = shape, stream = "events", on_refused = keep }
route "POST /twin" { body = "event", schema = shape, stream = "events" }
route "POST /few" { body = "batch", schema = shape, stream = "events",
  on_refused = { stream = "refused", rate = "1/h", max_record = "1KiB" } }
route "POST /mixed" { body = "batch", schema = shape, stream = "events", on_event = hook,
  on_error = "reject", on_refused = keep }
local few = schema { others = "drop", id = str { required = true }, ["p.page"] = num { } }
local function few_hook(ev)
  if ev.mail or ev["p.mail"] then error("it sees what was dropped") end
  if ev.id == "no" then return reject("unwanted", "not this one") end
  ev.seen, ev["p.more"] = true, ev["p.page"]
end
route "POST /named" { body = "batch", schema = few, stream = "events", on_event = few_hook,
  on_refused = keep, set = { kind = "query:kind" } }
route "POST /strict" { body = "batch", stream = "events", on_refused = keep,
  schema = schema { others = "refuse", id = str { }, ["p.page"] = num { } } }
route "POST /large" { body = "event", schema = shape, stream = "events",
  on_refused = { stream = "refused", rate = "20/h", max_record = "128KiB" } }
]]
  local s

  setup(function()
    s = h.server { policy = h.policy { file = [[rotate = { age = "50ms" }]], top = TOP,
      server = [[max_body = "256KiB"]] } }
  end)

  teardown(function() s:close() end)

  local seen = 0
  -- The next n records.
  local function records(n)
    local lines = h.wait_for(n .. " records", function()
      local all = s:lines "bad"
      return #all >= seen + n and all
    end)
    local out = {}
    assert.equal(seen + n, #lines)
    local from = seen
    seen = #lines
    for i = from + 1, #lines do out[#out + 1] = assert(cjson.decode(lines[i]), lines[i]) end
    table.sort(out, function(a, b) return (a.index or 0) < (b.index or 0) end)
    return out
  end

  it("keeps an event that the schema refuses, and answers as without", function()
    local body = '{"id": 7,\t"x":"é\\u0000"}'
    local plain, a = s:post("/twin", body), s:post("/one", body)
    assert.same({ 422, plain.body }, { a.status, a.body })
    local r = records(1)[1]
    assert.equal("number", type(r.time))
    r.time = nil
    assert.same({ refused = { code = "wrong_type", field = "id", message = r.refused.message },
      route = "POST /one", path = "/one", peer = "127.0.0.1", type = "application/json",
      raw = body, bytes = #body }, r)
  end)

  local function kept(route, path, body, n)
    local a = s:post(path, body)
    local list = records(n)
    for _, r in ipairs(list) do assert.equal("POST " .. route, r.route) end
    return a, list
  end

  it("keeps what was sent, also fields that the schema drops", function()
    local no, bad = [[{"id":"no","mail":"a@b.example"}]], [[{"id":1,"p":{"mail":"x"}}]]
    local a, list = kept("/named", "/named?kind=k", ([==[[%s, %s,
      {"mail":"a@b.example", "p":{"mail":"x","page": 7 },"id":"named\n","q":[{"id":1}]}]]==])
      :format(no, bad), 2)
    assert.same({ 202, 1 }, { a.status, cjson.decode(a.body).accepted })
    assert.same({ no, bad }, { list[1].raw, list[2].raw })
    local found = h.wait_for("the event", function()
      for _, line in ipairs(s:lines()) do
        if line:find("named", 1, true) then return line end
      end
    end)
    assert.equal([[{"p":{"page":7,"more":7},"id":"named\n","kind":"k","seen":true}]], found)
  end)

  it("keeps what has a field that the schema refuses", function()
    local odd = [[{"id":"a","p":{"page":1,"mail":"x"}}]]
    local a, list = kept("/strict", "/strict", ('[{"id":"b","p":{"page":1}},%s]'):format(odd), 1)
    assert.equal(202, a.status)
    assert.same({ odd, "unknown_field", "p.mail" },
      { list[1].raw, list[1].refused.code, list[1].refused.field })
  end)

  it("keeps what the hook refuses, but not what may be sent again", function()
    assert.equal(500, s:post("/one", '{"id":"later"}').status)
    local _, list = kept("/one", "/one?k=v", '{"id":"no"}', 1)
    assert.same({ code = "unwanted", message = "not this one" }, list[1].refused)
    assert.equal("k=v", list[1].query)
    _, list = kept("/mixed", "/mixed", '[{"id":"later"},{"id":"a"},{"id":1}]', 1)
    assert.same({ 2, "wrong_type" }, { list[1].index, list[1].refused.code })
  end)

  it("keeps the refused events of a batch, each with its place", function()
    local a, list = kept("/many", "/many", '[{"id":"a"}, {"id":1},7,{"id":"no"} ,{"id":"b"}]', 3)
    assert.equal(202, a.status)
    local got = {}
    for i, r in ipairs(list) do got[i] = { r.index, r.raw, r.refused.code, r.bytes } end
    assert.same({ { 1, '{"id":1}', "wrong_type", 8 }, { 2, "7", "not_an_object", 1 },
      { 3, '{"id":"no"}', "unwanted", 11 } }, got)
    a = s:post("/many", '{"id":"a"}\n{"id":1\n 7 \n', { ["Content-Type"] = "application/x-ndjson" })
    list = records(2)
    assert.same({ 202, '{"id":1', " 7 " }, { a.status, list[1].raw, list[2].raw })
  end)

  it("keeps the refused ones of values one behind the other, each with its place", function()
    local long = ('{"id":"a","x":"%s"}'):format(("x"):rep(64))
    local a, list = kept("/values", "/values", '{"id":"a"}{"id":1} [7,{"id":"no"}]' .. long, 4)
    assert.equal(202, a.status)
    local got = {}
    for i, r in ipairs(list) do got[i] = { r.index, r.raw, r.refused.code } end
    assert.same({ { 1, '{"id":1}', "wrong_type" }, { 2, "7", "not_an_object" },
      { 3, '{"id":"no"}', "unwanted" }, { 4, long, "event_too_large" } }, got)
  end)

  it("keeps all events of a batch that is refused for one of them", function()
    local _, list = kept("/all", "/all", '[{"id":"a"},{"id":1}]', 2)
    assert.same({ "batch_refused", "wrong_type" },
      { list[1].refused.code, list[2].refused.code })
  end)

  it("keeps a body that is not JSON, has no events, or repeats a key", function()
    local a, list = kept("/many", "/many", '[{"id":"a"}', 1)
    assert.equal(400, a.status)
    assert.same({ "invalid_json", '[{"id":"a"}' }, { list[1].refused.code, list[1].raw })
    assert.is_nil(list[1].index)
    list = select(2, kept("/in/:kind", "/in/x", '{"data":{"event":[]}}', 1))
    assert.same({ "invalid_json", "/in/x" }, { list[1].refused.code, list[1].path })
    list = select(2, kept("/one", "/one", '{"id":"a","id":"b"}', 1))
    assert.equal("duplicate_key", list[1].refused.code)
  end)

  it("keeps a query", function()
    assert.equal(422, h.request(s.port, "GET", "/pixel?idd=1&x=%20").status)
    local r = records(1)[1]
    assert.same({ "idd=1&x=%20", "GET /pixel", 11, "missing_field" },
      { r.raw, r.route, r.bytes, r.refused.code })
    assert.is_nil(r.query)
    assert.equal(400, h.request(s.port, "GET", "/pixel?id=%FF").status)
    assert.same({ "id=%FF" }, { records(1)[1].raw })
    local c = h.connect(s.port)
    c:send("HEAD /pixel?idd=1 HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n")
    assert.truthy(c:receive("*l"):find("422", 1, true))
    c:close()
  end)

  it("keeps bytes that are not UTF-8 in base64, and cuts what is too long", function()
    local _, list = kept("/one", "/one", '{"id":"\255\0"}', 1)
    assert.same({ "eyJpZCI6Iv8AIn0=", 11 }, { list[1].raw_base64, list[1].bytes })
    assert.is_nil(list[1].raw)
    local long = '{"id":"' .. ("é"):rep(50000) .. '"}'
    _, list = kept("/one", "/one", long, 1)
    assert.same({ long:sub(1, 65535), #long, true },
      { list[1].raw, list[1].bytes, list[1].cut })
  end)

  it("keeps nothing of a request that is refused before its body is read", function()
    assert.equal(404, s:post("/nothing", "{").status)
    assert.equal(405, h.request(s.port, "GET", "/one").status)
    assert.equal(415, s:post("/one", "{", { ["Content-Type"] = "text/csv" }).status)
    assert.equal(413, s:post("/one", ("x"):rep(300000)).status)
    local before = s:metric("sluice_refused_records_total", 'stream="refused",result="stored"')
    assert.equal(before, seen)
  end)

  it("counts what is over the rate, and answers the same", function()
    local events = {}
    for i = 1, 100 do events[i] = '{"id":' .. i .. "}" end
    local function count(result)
      return s:metric("sluice_refused_records_total",
        ('stream="refused",result="%s"'):format(result)) or 0
    end
    local stored, over = count "stored", count "over_rate"
    local a = s:post("/few", "[" .. table.concat(events, ",") .. "]")
    assert.equal(422, a.status)
    assert.equal(100, cjson.decode(a.body).rejected)
    assert.equal(stored + over + 100, count "stored" + count "over_rate")
    assert.is_true(count "stored" < stored + 30)
    -- One that is large counts as many.
    stored, over = count "stored", count "over_rate"
    for _ = 1, 20 do
      assert.equal(422, s:post("/large", '{"id":"' .. ("x"):rep(100000) .. '"}').status)
    end
    assert.equal(stored + over + 20, count "stored" + count "over_rate")
    assert.is_true(count "stored" > stored and count "stored" < stored + 10)
    seen = count "stored"
    h.wait_for("the records", function() return #s:lines "bad" == seen end)
  end)

  it("counts each event once, whatever is kept", function()
    local function sum(name)
      local n = 0
      for v in s:get("/metrics").body:gmatch(name .. "{[^}]*} (%d+)") do n = n + tonumber(v) end
      return n
    end
    assert.is_true(sum "sluice_received_events_total" > 100)
    assert.equal(sum "sluice_received_events_total", sum "sluice_events_total")
    assert.equal(5, s:metric("sluice_events_total", 'route="POST /many",result="rejected"'))
  end)
end)
