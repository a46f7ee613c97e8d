local faults = require "faults"
local h = require "harness"

-- What routes answer of their own: pixels, redirects, ids; also when the disk fails.
describe("a route's own answer", function()
  local dir = h.folder()
  local f = faults.new(dir)
  local s

  setup(function()
    s = h.server { data = dir, wrap = f:wrap(), policy = h.policy { workers = 1,
      file = [[rotate = { age = "50ms" }]], top = [[
local click = schema { id = str { required = true } }
route "GET /pixel.gif" { body = "query", schema = click, stream = "events", answer = "pixel" }
route "GET /click" { body = "query", schema = click, stream = "events",
  on_event = function(ev) if ev.to == "none" then ev.to = nil end end,
  answer = { location = "field:to", hosts = { "shop.example", "*.shop.example" } } }
route "GET /go" { body = "query", schema = click, stream = "events",
  answer = { status = 307, location = "https://shop.example/?id={id}&n={n}",
    refused = "same", unstored = "same", headers = { ["X-Served-By"] = "sluice" } } }
route "GET /by" { body = "query", schema = click, stream = "events",
  answer = { location = function(ev, req)
      ev.secret = "not stored"
      if ev.id == "loop" then while true do end end
      return "https://" .. ev.id .. ".shop.example" .. req.path
    end, hosts = { "*.shop.example" }, fallback = "https://shop.example/" } }
route { "GET", "POST", "/id" } { body = "any", stream = "events",
  on_event = function(ev) ev.event_id = "e-" .. ev.id end,
  cors = { origins = { "*" } },
  answer = { status = 201, body = '{"id":"{event_id}","n":"{n}","none":"{x.y}"}',
    headers = { ["Cache-Control"] = "no-store" } } }
]] } }
  end)

  teardown(function() s:close() end)

  local function get(target, headers) return h.request(s.port, "GET", target, nil, headers) end
  local function refused()
    return s:metric("sluice_refusals_total", 'route="GET /go"') or 0
  end

  it("is a pixel of 43 bytes that nobody caches", function()
    local a = get "/pixel.gif?id=1"
    assert.same({ 200, "image/gif", "no-store", 43, "GIF89a\1\0\1\0" },
      { a.status, a.headers["content-type"], a.headers["cache-control"], #a.body,
        a.body:sub(1, 10) })
    assert.equal(a.body, get("/pixel.gif").body)
    assert.equal(a.body, get("/pixel.gif?id=%ff").body)
  end)

  it("is a redirect to the url of a field, to listed hosts alone", function()
    local a = get "/click?id=1&to=https%3A%2F%2Fa.shop.example%2Fb%3Fc"
    assert.same({ "HTTP/1.1 302 Found", "https://a.shop.example/b?c", "no-store", "0", nil },
      { a.head, a.headers.location, a.headers["cache-control"], a.headers["content-length"],
        a.headers["content-type"] })
    for _, to in ipairs { "https%3A%2F%2Fevil.example", "%2F%2Fevil.example", "javascript:1",
      "https%3A%2F%2Fshop.example%0D%0ASet-Cookie:a", "https:%5C%5Cshop.example",
      "https://shop.example%40evil.example", "none", "" } do
      a = get("/click?id=1&to=" .. to)
      assert.same({ 422, nil, nil },
        { a.status, a.headers.location, a.headers["set-cookie"] })
      assert.truthy(a.body:find('"code":"bad_location","field":"to"', 1, true))
    end
  end)

  it("is a url with escaped fields, also for a request that is refused", function()
    local a = get "/go?id=a%26b%0D%0A&n=5"
    assert.same({ "HTTP/1.1 307 Temporary Redirect",
      "https://shop.example/?id=a%26b%0D%0A&n=5", "sluice" },
      { a.head, a.headers.location, a.headers["x-served-by"] })
    local before = refused()
    for _, query in ipairs { "", "?n=1", "?id=%ff", "?id=1&id=2" } do
      a = get("/go" .. query)
      assert.equal(307, a.status)
      assert.truthy(a.headers.location:find("^https://shop%.example/%?id="))
    end
    assert.equal(before + 4, refused())
  end)

  it("is a url of a function, or the fallback when that fails", function()
    assert.equal("https://a.shop.example/by", get("/by?id=a").headers.location)
    assert.equal("https://shop.example/", get("/by?id=evil.example/").headers.location)
    assert.equal("https://shop.example/", get("/by?id=loop").headers.location)
    assert.equal("https://b.shop.example/by", get("/by?id=b").headers.location)
    s:logged('status=raised route="GET /by"')
  end)

  it("has values of the event, in JSON and with the headers of cors", function()
    local a = h.request(s.port, "POST", "/id", '{"id":"a\\"\\n\\u00e9","n":1.50}',
      { ["Content-Type"] = "application/json", Origin = "https://shop.example" })
    assert.same({ 201, '{"id":"e-a\\"\\né","n":"1.50","none":""}', "no-store", "*" },
      { a.status, a.body, a.headers["cache-control"],
        a.headers["access-control-allow-origin"] })
    assert.equal('{"id":"e-7","n":"","none":""}', get("/id?id=7").body)
  end)

  it("is given when the event can't be stored, if the route says so", function()
    f:rules "on=write do=EIO path=/spool/"
    assert.equal(503, get("/click?id=1&to=https://shop.example/").status)
    assert.equal(nil, get("/click?id=1&to=https://shop.example/").headers.location)
    local a = get "/go?id=lost"
    assert.same({ 307, "https://shop.example/?id=lost&n=" }, { a.status, a.headers.location })
    assert.equal(43, #get("/pixel.gif?id=lost").body)
    f:rules()
    h.wait_for("the disk", function()
      return get("/click?id=1&to=https://shop.example/").status == 302
    end)
    assert.equal(307, get("/go?id=kept").status)
    h.wait_for("the event", function()
      local kept
      for _, line in ipairs(s:lines "archive") do
        assert.falsy(line:find("lost", 1, true) or line:find("secret", 1, true))
        kept = kept or line == '{"id":"kept"}'
      end
      return kept
    end)
  end)
end)

describe("a fixed answer that does not name refused events", function()
  it("leaves them among the dead letters, also of a route without a hook", function()
    local s = h.server { policy = h.policy { workers = 1, top = [[
route "POST /batch" { body = "batch", stream = "events",
  schema = schema { id = str { required = true } }, answer = { status = 200, body = "{}" } }
]] } }
    finally(function() s:close() end)
    assert.equal(200, s:post("/batch", '[{"id":"a"},{"id":1}]').status)
    h.wait_for("the letter", function()
      return h.shell(("cat %s/dead/* 2>&1"):format(s.data)):find('{"event":{"id":1}', 1, true)
    end, 10)
    -- When none is accepted, the client hears of it.
    assert.equal(422, s:post("/batch", '[{"id":1}]').status)
  end)
end)
