local h = require "harness"

-- The answers of routes about themselves, over real connections.
describe("routes", function()
  local s

  setup(function()
    s = h.server { policy = h.policy { top = [[
route "POST /gone" { body = "event", stream = "events",
  answer = { status = 204 } }
route "POST /text" { body = "event", stream = "events",
  answer = { status = 200, body = "thanks", type = "text/plain" } }
route "POST /in/:kind" { body = "batch", stream = "events", types = { "text/plain" },
  set = { kind = "path:kind" },
  cors = { origins = { "https://shop.example", "http://localhost:3000" },
    headers = { "Content-Type", "X-Key" }, credentials = true, max_age = "10m" } }
route "POST /all" { body = "event", stream = "events",
  answer = { status = 200, body = "{}", type = "application/json" },
  cors = { origins = { "*" } } }
route "POST /hooks" { body = "cloudevents", stream = "events",
  webhook = { origins = { "eventgrid.azure.net" }, rate = 120 } }
route "POST /open" { body = "cloudevents", stream = "events",
  webhook = { origins = { "*" } }, cors = { origins = { "*" } } }
]] } }
  end)

  teardown(function() s:close() end)

  local function on_one_connection(path)
    local c = h.connect(s.port)
    local post = ("POST %s HTTP/1.1\r\nHost: t\r\nContent-Type: application/json"
      .. "\r\nContent-Length: 2\r\n\r\n{}"):format(path)
    c:send(post .. post)
    local a, b = h.answer(c), h.answer(c)
    c:send(post)
    local third = h.answer(c)
    c:close()
    return a, b, third
  end

  it("may answer 204, with neither a body nor its length", function()
    for _, a in ipairs { on_one_connection("/gone") } do
      assert.equal("HTTP/1.1 204 No Content", a.head)
      assert.same({ "", nil, nil }, { a.body, a.headers["content-length"],
        a.headers["content-type"] })
    end
  end)

  it("may answer a text of their own", function()
    for _, a in ipairs { on_one_connection("/text") } do
      assert.same({ 200, "thanks", "text/plain" },
        { a.status, a.body, a.headers["content-type"] })
    end
    local a = s:post("/text", "{")
    assert.same({ 400, "application/json" }, { a.status, a.headers["content-type"] })
  end)

  it("let browsers of the named origins in, and no others", function()
    local function ask(origin, method)
      return h.request(s.port, "OPTIONS", "/in/a", nil, { Origin = origin,
        ["Access-Control-Request-Method"] = method or "POST" })
    end
    local a = ask("https://shop.example")
    assert.equal(204, a.status)
    assert.same({ "https://shop.example", "POST", "Content-Type, X-Key", "600",
      "true", "Origin" }, { a.headers["access-control-allow-origin"],
      a.headers["access-control-allow-methods"],
      a.headers["access-control-allow-headers"],
      a.headers["access-control-max-age"],
      a.headers["access-control-allow-credentials"], a.headers.vary })
    assert.equal("http://localhost:3000",
      ask("http://localhost:3000").headers["access-control-allow-origin"])
    for _, other in ipairs { ask("https://shop.example.org"),
      ask("https://shop.example", "PUT"), ask("null") } do
      assert.same({ 405, nil },
        { other.status, other.headers["access-control-allow-origin"] })
    end
  end)

  it("tell a browser on every answer that it may read it", function()
    local function post(path, body, origin, type)
      local a = s:post(path, body, { Origin = origin, ["Content-Type"] = type })
      return { a.status, a.headers["access-control-allow-origin"] }
    end
    local shop = "https://shop.example"
    assert.same({ 202, shop }, post("/in/a", "[{}]", shop, "text/plain"))
    assert.same({ 422, shop }, post("/in/a", "[1]", shop, "text/plain"))
    assert.same({ 400, shop }, post("/in/a", "[", shop, "text/plain"))
    assert.same({ 415, shop }, post("/in/a", "[]", shop, "image/png"))
    assert.same({ 202 }, post("/in/a", "[{}]", "https://other", "text/plain"))
    assert.same({ 202 }, post("/in/a", "[{}]", nil, "text/plain"))
    assert.same({ 200, "*" }, post("/all", "{}", "https://other"))
    assert.same({ 202 }, post("/v1/events", "{}", shop))
  end)

  it("tell senders of web hooks that they are welcome, or nothing", function()
    local function ask(path, origin, more)
      local headers = { ["WebHook-Request-Origin"] = origin }
      for k, v in pairs(more or {}) do headers[k] = v end
      local a = h.request(s.port, "OPTIONS", path, nil, headers)
      return { a.status, a.headers["webhook-allowed-origin"],
        a.headers["webhook-allowed-rate"], a.headers.allow }
    end
    assert.same({ 204, "EventGrid.azure.net", "120", "POST" },
      ask("/hooks", "EventGrid.azure.net", { ["WebHook-Request-Rate"] = "500" }))
    assert.same({ 204, "*", "*", "POST" }, ask("/open", "a.example"))
    assert.same({ 405, nil, nil, "POST" }, ask("/hooks", "a.example"))
    assert.same({ 405, nil, nil, "POST" }, ask("/hooks"))
    assert.same({ 405, nil, nil, "POST" }, ask("/gone", "eventgrid.azure.net"))
  end)

  it("store what the path says", function()
    assert.equal(202, s:post("/in/caf%C3%A9", '[{"n":1.50}]',
      { ["Content-Type"] = "text/plain" }).status)
    assert.equal(0, s:stop())
    local found
    for _, line in ipairs(s:lines()) do
      found = found or line == '{"n":1.50,"kind":"café"}'
    end
    assert.is_true(found)
    -- The route's values are not put in again.
    local said = h.shell(("%s replay --policy %s --route 'POST /in/other' %s")
      :format(h.binary, s.path, s.data .. "/archive"))
    assert.matches("0 would change", said)
  end)
end)
