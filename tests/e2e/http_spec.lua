local h = require "harness"

describe("the HTTP interface", function()
  local s
  setup(function()
    s = h.server { policy = h.policy {
      server = [[max_body = "64KiB", max_events = 100, header_timeout = "400ms",
        body_timeout = "400ms", idle_timeout = "600ms"]],
      top = [[local event = schema { id = str { required = true, max = 8 } }]],
      route = "schema = event" } }
  end)
  teardown(function()
    assert.equal(0, s:stop())
    s:close()
  end)

  it("accepts one event", function()
    local a = s:post("/v1/events", [[{"id":"a"}]])
    assert.equal(202, a.status)
    assert.equal([[{"status":"accepted","accepted":1}]], a.body)
  end)

  it("tells which events of a batch it refused, and why", function()
    local a = s:post("/v1/events/batch",
      [[{"events":[{"id":"b"},{"x":1},{"id":"123456789"},7,{"id":null}]}]])
    assert.equal(202, a.status)
    assert.equal([[{"status":"accepted","accepted":1,"rejected":4,"errors":[]]
      .. [[{"index":1,"code":"missing_field","field":"id",]]
      .. [["message":"id: the event needs this field","retry":false},]]
      .. [[{"index":2,"code":"too_long","field":"id",]]
      .. [["message":"id: longer than 8 characters","retry":false},]]
      .. [[{"index":3,"code":"not_an_object",]]
      .. [["message":"expected a JSON object as the event","retry":false},]]
      .. [[{"index":4,"code":"missing_field","field":"id",]]
      .. [["message":"id: the event needs this field","retry":false}]}]],
      a.body)
  end)

  it("answers 422 when every event is refused", function()
    local a = s:post("/v1/events", [[{"x":1}]])
    assert.equal(422, a.status)
    assert.matches([["status":"rejected","accepted":0,"rejected":1]], a.body,
      1, true)
  end)

  it("takes an array, an envelope and NDJSON as a batch", function()
    for _, body in ipairs { [=[[{"id":"1"},{"id":"2"}]]=],
      [[{"source":"x","events":[{"id":"1"},{"id":"2"}],"v":1}]] } do
      assert.matches([["accepted":2]], s:post("/v1/events/batch", body).body)
    end
    local a = s:post("/v1/events/batch", '{"id":"1"}\n\n{"id":\n{"id":"2"}',
      { ["Content-Type"] = "application/x-ndjson; charset=utf-8" })
    assert.equal(202, a.status)
    assert.matches([["accepted":2,"rejected":1]], a.body, 1, true)
    assert.matches([["index":1,"code":"invalid_json"]], a.body, 1, true)
  end)

  it("answers pipelined requests in order", function()
    local c = h.connect(s.port)
    local out = {}
    for i = 1, 150 do
      local body = i % 3 == 0 and [[{"x":1}]] or ([[{"id":"%d"}]]):format(i)
      out[i] = ("POST /v1/events HTTP/1.1\r\nHost: t\r\nContent-Length: %d"
        .. "\r\n\r\n%s"):format(#body, body)
    end
    c:send(table.concat(out))
    for i = 1, 150 do
      assert.equal(i % 3 == 0 and 422 or 202, h.answer(c).status)
    end
    c:close()
  end)

  it("takes chunked bodies, cut anywhere", function()
    local c = h.connect(s.port)
    local text = "POST /v1/events HTTP/1.1\r\nHost: t\r\n"
      .. "Transfer-Encoding: chunked\r\n\r\n"
      .. "4\r\n{\"id\r\n7;x=y\r\n\":\"ab\"}\r\n0\r\nTrailer: z\r\n\r\n"
    for i = 1, #text do
      c:send(text:sub(i, i))
      if i % 7 == 0 then h.sleep(0.001) end
    end
    assert.equal(202, h.answer(c).status)
    c:close()
  end)

  it("says 100 before a body that waits for it, and not when it refuses",
  function()
    local c = h.connect(s.port)
    c:send("POST /v1/events HTTP/1.1\r\nHost: t\r\nContent-Length: 10\r\n"
      .. "Expect: 100-continue\r\n\r\n")
    assert.equal(100, h.answer(c).status)
    c:send([[{"id":"a"}]])
    assert.equal(202, h.answer(c).status)
    c:close()
    c = h.connect(s.port)
    c:send("POST /nope HTTP/1.1\r\nHost: t\r\nContent-Length: 10\r\n"
      .. "Expect: 100-continue\r\n\r\n")
    local a = h.answer(c)
    assert.equal(404, a.status)
    assert.equal("close", a.headers.connection)
    assert.is_true(h.closed(c))
  end)

  it("keeps the connection after a small refused body", function()
    local c = h.connect(s.port)
    local body = ("x"):rep(1000)
    c:send(("POST /nope HTTP/1.1\r\nHost: t\r\nContent-Length: %d\r\n\r\n")
      :format(#body))
    assert.equal(404, h.answer(c).status)
    c:send(body)
    c:send("POST /v1/events HTTP/1.1\r\nHost: t\r\nContent-Length: 10\r\n\r\n"
      .. [[{"id":"a"}]])
    assert.equal(202, h.answer(c).status)
    c:close()
  end)

  it("inflates gzip, deflate, brotli and zstd under a cap", function()
    local dir = s.dir
    h.write(dir .. "/body", [[{"id":"zip"}]])
    h.shell(("cd '%s'; gzip -kc body > b.gz; zstd -qc body > b.zst"):format(dir))
    for name, how in pairs { ["b.gz"] = "gzip", ["b.zst"] = "zstd" } do
      local a = s:post("/v1/events", h.read(dir .. "/" .. name),
        { ["Content-Encoding"] = how })
      assert.equal(202, a.status, how)
    end
    h.write(dir .. "/bomb", (" "):rep(1024 * 1024))
    h.shell(("cd '%s'; gzip -kc bomb > bomb.gz"):format(dir))
    local a = s:post("/v1/events", h.read(dir .. "/bomb.gz"),
      { ["Content-Encoding"] = "gzip" })
    assert.equal(413, a.status)
    a = s:post("/v1/events", "nonsense", { ["Content-Encoding"] = "gzip" })
    assert.equal(400, a.status)
    assert.matches("bad_encoding", a.body)
    a = s:post("/v1/events", "x", { ["Content-Encoding"] = "compress" })
    assert.equal(415, a.status)
    assert.equal("gzip, deflate, br, zstd", a.headers["accept-encoding"])
    -- Brotli's own tool wrote these: {"id":"zip"}, and a megabyte of spaces.
    local zip = "\139\005\128\123\034\105\100\034\058\034\122\105\112\034\125\003"
    local bomb = "\091\255\255\143\095\002\036\030\011\004\114\239\031\000"
    for body, status in pairs { [zip] = 202, [zip:sub(1, -2)] = 400, [zip .. "\n"] = 400,
      [bomb] = 413 } do
      assert.equal(status, s:post("/v1/events", body, { ["Content-Encoding"] = "br" }).status)
    end
  end)

  it("gives a slow client 408 and closes", function()
    local c = h.connect(s.port)
    c:send("POST /v1/events HTTP/1.1\r\nHost: t\r\n")
    assert.equal(408, h.answer(c).status)
    assert.is_true(h.closed(c))
    c = h.connect(s.port)
    c:send("POST /v1/events HTTP/1.1\r\nHost: t\r\nContent-Length: 10\r\n\r\n{")
    assert.equal(408, h.answer(c).status)
    assert.is_true(h.closed(c))
  end)

  it("closes idle connections without a word", function()
    local c = h.connect(s.port)
    assert.is_true(h.closed(c))
  end)

  it("lets a client read 413 although it is still sending", function()
    local c = h.connect(s.port)
    c:send("POST /v1/events HTTP/1.1\r\nHost: t\r\n"
      .. "Content-Length: 4000000\r\n\r\n")
    local sent = 0
    c:settimeout(2)
    for _ = 1, 40 do
      local n = c:send(("x"):rep(100000))
      if not n then break end
      sent = sent + n
    end
    local a = h.answer(c)
    assert.equal(413, a and a.status)
    c:close()
  end)

  it("serves the admin pages", function()
    assert.equal("ok\n", s:get("/healthz").body)
    assert.equal("ready\n", s:get("/readyz").body)
    assert.matches('"generation":%s*1', s:get("/status").body)
    assert.is_true(s:metric("sluice_requests_total", 'status="202"') > 0)
    assert.equal(404, s:get("/nope").status)
    assert.equal(405, h.request(s.admin, "GET", "/reload").status)
  end)
end)

describe("SIGTERM", function()
  it("finishes what is under way and exits 0", function()
    local s = h.server { policy = h.policy { workers = 1 } }
    local c, idle = h.connect(s.port), h.connect(s.port)
    c:send("POST /v1/events HTTP/1.1\r\nHost: t\r\nContent-Length: 10\r\n\r\n")
    idle:send("GET /nowhere HTTP/1.1\r\nHost: t\r\n\r\n")
    assert.equal(404, h.answer(idle).status)
    s:signal("SIGTERM")
    -- The worker knows of it once it closes connections that send nothing.
    assert.is_true(h.closed(idle))
    c:send([[{"id":"a"}]])
    local a = h.answer(c)
    assert.equal(202, a.status)
    assert.equal("close", a.headers.connection)
    c:close()
    assert.equal(0, s:stop())
    assert.same({ [[{"id":"a"}]] }, s:lines())
    s:close()
  end)
end)

describe("too many connections", function()
  it("are turned away, and those that are there are served", function()
    -- By the policy's word, and by the descriptors that the process may have:
    -- those behind the connections are enough for a reload and for the admin side.
    for what, o in pairs {
      ["max_connections"] = { server = "max_connections = 40", most = 40 },
      ["descriptors"] = { server = "", most = 96,
        wrap = { "sh", "-c", 'ulimit -n 128; exec "$0" "$@"' } },
    } do
      local t = h.server { policy = h.policy { server = o.server, workers = 1 },
        wrap = o.wrap }
      local open, away = {}, 0
      for i = 1, 120 do open[i] = h.connect(t.port) end
      h.wait_for("connections turned away", function()
        away = t:metric("sluice_connections_refused_total")
        return away >= 120 - o.most
      end)
      assert.is_true(away < 120 - 20, what)
      local a = h.answer(open[120])
      assert.equal(503, a.status)
      assert.equal("2", a.headers["retry-after"])
      assert.matches("too_many_connections", a.body)
      open[1]:send("POST /v1/events HTTP/1.1\r\nHost: t\r\nContent-Type: "
        .. "application/json\r\nContent-Length: 2\r\n\r\n{}")
      assert.equal(202, h.answer(open[1]).status)
      assert.equal(200, t:reload().status)
      for _, c in ipairs(open) do c:close() end
      h.wait_for("room again", function()
        return t:metric("sluice_connections_open") < 5
      end)
      assert.equal(202, t:post("/v1/events", "{}").status)
      t:close()
    end
  end)
end)
