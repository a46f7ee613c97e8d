local h = require "harness"

-- Events that are queries and forms, over real connections.
describe("queries and forms", function()
  local s

  setup(function()
    s = h.server { policy = h.policy { server = [[max_body = "64KiB"]],
      file = [[rotate = { age = "50ms" }]], top = [[
local shape = schema { id = str { required = true }, n = int {}, v = num {}, ok = bool {},
  at = time {} }
route "GET /postback" { body = "query", schema = shape, stream = "events",
  set = { peer = "peer" } }
route "GET /first" { body = "query", repeated = "first", stream = "events" }
route "GET /array" { body = "query", repeated = "array", stream = "events" }
route "GET /list" { body = "query", repeated = "array", stream = "events",
  schema = schema { ids = list { int { min = 1 } }, tags = list { str {} } } }
route "POST /form" { body = "form", form = { data = "json", packed = "base64" },
  schema = shape, stream = "events" }
route { "GET", "POST", "PUT", "/any" } { body = "any", schema = shape, stream = "events" }
]] } }
  end)

  teardown(function() s:close() end)

  local function get(target) return h.request(s.port, "GET", target) end
  local function stored(text)
    return h.wait_for("the line " .. text, function()
      for _, line in ipairs(s:lines "archive") do
        if line == text then return true end
      end
    end)
  end

  it("stores a query as a JSON event, typed by the schema", function()
    local a = get "/postback?id=a%20b+c&n=007&v=.5&ok=1&at=1700000000000&x=%E2%82%AC%22"
    assert.same({ 202, '{"status":"accepted","accepted":1}' }, { a.status, a.body })
    stored '{"id":"a b c","n":7,"v":0.5,"ok":true,"at":1700000000000,"x":"€\\"","peer":"127.0.0.1"}'
    assert.equal(202, get("/first?a=1&a=2").status)
    stored '{"a":"1"}'
    assert.equal(202, get("/array?a=1&b=x&a=2").status)
    stored '{"a":["1","2"],"b":"x"}'
    assert.equal(202, get("/list?ids=1&tags=a&ids=02&x=1").status)
    stored '{"ids":[1,2],"tags":["a"],"x":"1"}'
    assert.equal(422, get("/list?ids=1&ids=0").status)
  end)

  it("stores a form, urlencoded and multipart, whole and in chunks", function()
    local form = { ["Content-Type"] = "application/x-www-form-urlencoded" }
    assert.equal(202, s:post("/form", "id=u1&n=1&data=%5B1%5D&packed=eyJhIjoxfQ", form).status)
    stored '{"id":"u1","n":1,"data":[1],"packed":{"a":1}}'
    local text = '--b\r\nContent-Disposition: form-data; name="id"\r\n\r\nm1\r\n--b\r\n'
      .. 'Content-Disposition: form-data; name="v"\r\n\r\n2.50\r\n--b--\r\n'
    assert.equal(202, s:post("/form", text,
      { ["Content-Type"] = 'multipart/form-data; boundary="b"' }).status)
    stored '{"id":"m1","v":2.50}'
    local c = h.connect(s.port)
    c:send("POST /any HTTP/1.1\r\nHost: t\r\nContent-Type: multipart/form-data; boundary=b\r\n"
      .. "Transfer-Encoding: chunked\r\n\r\n")
    text = text:gsub("m1", "m2")
    for i = 1, #text do c:send("1\r\n" .. text:sub(i, i) .. "\r\n") end
    c:send("0\r\n\r\n")
    assert.equal(202, h.answer(c).status)
    c:close()
    stored '{"id":"m2","v":2.50}'
  end)

  it("answers HEAD as GET without a body, on a connection that goes on", function()
    local c = h.connect(s.port)
    c:send("HEAD /any?id=h1 HTTP/1.1\r\nHost: t\r\n\r\n"
      .. "GET /any?id=h2 HTTP/1.1\r\nHost: t\r\n\r\n")
    local head = {}
    repeat
      local line = assert(c:receive("*l"))
      head[#head + 1] = line
    until line == ""
    assert.equal("HTTP/1.1 202 Accepted", head[1])
    assert.truthy(table.concat(head, "\n"):find("Content-Length: 34", 1, true))
    assert.same({ 202, '{"status":"accepted","accepted":1}' },
      { (function(a) return a.status, a.body end)(h.answer(c)) })
    c:close()
    stored '{"id":"h2"}'
    for _, line in ipairs(s:lines "archive") do assert.falsy(line:find("h1", 1, true)) end
  end)

  it("tells the methods of a path with several", function()
    local a = h.request(s.port, "DELETE", "/any?id=1")
    assert.same({ 405, "GET, HEAD, POST, PUT" }, { a.status, a.headers.allow })
  end)

  it("takes pipelined queries in their order, with a body on none of them", function()
    local c = h.connect(s.port)
    local list = {}
    for i = 1, 50 do
      list[i] = ("GET /postback?id=p%d HTTP/1.1\r\nHost: t\r\n\r\n"):format(i)
    end
    c:send(table.concat(list))
    for _ = 1, 50 do assert.equal(202, h.answer(c).status) end
    c:send("GET /postback?id=p HTTP/1.1\r\nHost: t\r\nContent-Length: 4\r\n\r\nid=1")
    local a = h.answer(c)
    assert.equal(400, a.status)
    assert.truthy(a.body:find('"code":"unexpected_body"', 1, true))
    c:send("GET /postback?id=last HTTP/1.1\r\nHost: t\r\n\r\n")
    assert.equal(202, h.answer(c).status)
    c:close()
    stored '{"id":"last","peer":"127.0.0.1"}'
  end)

  it("counts what it refuses, and names the parameter and the place", function()
    local a = get "/postback?id=1&caf%E9=1"
    assert.same({ 400, '{"error":"Invalid query","code":"invalid_query","offset":5,"detail":'
      .. '"parameter \\"caf%E9\\": its name is not UTF-8"}' }, { a.status, a.body })
    a = s:post("/form", ("x"):rep(59) .. "é=%ff",
      { ["Content-Type"] = "application/x-www-form-urlencoded" })
    local name = 'parameter \\"' .. ("x"):rep(59) .. '\\": its value'
    assert.truthy(a.body:find(name, 1, true), a.body)
    assert.equal(422, get("/postback?id=1&v=x").status)
    assert.equal(422, get("/postback?v=1").status)
    assert.equal(415, s:post("/form", "{}").status)
  end)
end)
