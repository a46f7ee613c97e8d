-- Each answer is counted once, with the route, the method and the status that the client
-- saw: a hostile client compares what it was sent with what a scrape says.
local certificates = require "certificates"
local cjson = require "cjson"
local h = require "harness"

local POLICY = [[
server { listen = "127.0.0.1:0", workers = 1, max_body = "1KiB", max_events = 5,
  max_headers = "2KiB", max_connections = 30, header_timeout = "300ms",
  body_timeout = "300ms", idle_timeout = "10s" }
admin { listen = "127.0.0.1:0" }
listen "127.0.0.1:0" { proxy_protocol = true, trusted = { "127.0.0.0/8" } }
listen "127.0.0.1:0" { tls = { cert = "%s.pem", key = "%s.key" } }
listen "127.0.0.1:0" { health = "/health" }
null "kept" {}
stream "events" { sinks = { "kept" } }
local l = limit "l" { rate = "1/h", burst = 1 }
route "POST /v1/events" { body = "batch", stream = "events",
  schema = schema { n = int { required = true } },
  on_event = function(ev) if ev.n == 13 then error "unlucky" end end,
  cors = { origins = { "https://a.example" } } }
route "POST /limited" { body = "event", stream = "events",
  on_request = function() return l:check "all" end }
]]

local JSON = "Content-Type: application/json\r\n"
local ONE, GOOD = "POST /v1/events", '[{"n":1}]'

local function post(body, more, path)
  return ("POST %s HTTP/1.1\r\nHost: t\r\n%s%sContent-Length: %d\r\n\r\n%s"):format(
    path or "/v1/events", JSON, more or "", #body, body)
end

-- What is sent; then the answers that must come: route, method, status. `cut`: what is sent
-- is all that comes, and the client closes; `close`: the server closes after the answers.
local CASES = {
  { "an accepted batch", post(GOOD), { ONE, "POST", 202 } },
  { "a batch of which a part is refused", post '[{"n":1},{}]', { ONE, "POST", 202 } },
  { "a batch that is refused", post "[{},{}]", { ONE, "POST", 422 } },
  { "an event whose hook raises", post '[{"n":13}]', { ONE, "POST", 202 } },
  { "no JSON", post "[{", { ONE, "POST", 400 } },
  { "too many events", post "[{},{},{},{},{},{}]", { ONE, "POST", 413 } },
  { "a body that is too large", post(("x"):rep(2000)), { ONE, "POST", 413 } },
  { "a chunked body that is too large", "POST /v1/events HTTP/1.1\r\nHost: t\r\n" .. JSON
    .. "Transfer-Encoding: chunked\r\n\r\n7d0\r\n" .. ("x"):rep(2000) .. "\r\n0\r\n\r\n",
    { ONE, "POST", 413 }, close = true },
  { "another type", "POST /v1/events HTTP/1.1\r\nHost: t\r\nContent-Type: image/png\r\n"
    .. "Content-Length: 2\r\n\r\n[]", { ONE, "POST", 415 } },
  { "another encoding", post(GOOD, "Content-Encoding: lzma\r\n"), { ONE, "POST", 415 } },
  { "a body that is no gzip", post(GOOD, "Content-Encoding: gzip\r\n"),
    { ONE, "POST", 400 } },
  { "no length", "POST /v1/events HTTP/1.1\r\nHost: t\r\n" .. JSON .. "\r\n",
    { ONE, "POST", 411 } },
  { "an unknown path", post(GOOD, "", "/nowhere"), { "none", "POST", 404 } },
  { "an unknown method", "PUT /v1/events HTTP/1.1\r\nHost: t\r\nContent-Length: 0\r\n\r\n",
    { "none", "PUT", 405 } },
  { "a method nobody knows", "BREW /v1/events HTTP/1.1\r\nHost: t\r\n\r\n",
    { "none", "other", 501 } },
  { "HEAD", "HEAD /v1/events HTTP/1.1\r\nHost: t\r\n\r\n", { "none", "HEAD", 405 } },
  { "a preflight", "OPTIONS /v1/events HTTP/1.1\r\nHost: t\r\nOrigin: https://a.example\r\n"
    .. "Access-Control-Request-Method: POST\r\n\r\n", { "none", "OPTIONS", 204 } },
  { "a preflight of a stranger", "OPTIONS /v1/events HTTP/1.1\r\nHost: t\r\n"
    .. "Origin: https://b.example\r\nAccess-Control-Request-Method: POST\r\n\r\n",
    { "none", "OPTIONS", 405 } },
  { "OPTIONS *", "OPTIONS * HTTP/1.1\r\nHost: t\r\n\r\n", { "none", "OPTIONS", 404 } },
  { "no HTTP", "garbage\r\n\r\n", { "none", "none", 400 }, close = true },
  { "TLS where there is none", "\22\3\1\2\0\1\0\1\252\3\3\r\n\r\n", { "none", "none", 400 },
    close = true },
  { "an old version", "GET / HTTP/0.9\r\n\r\n", { "none", "GET", 505 }, close = true },
  { "two lengths", "POST /v1/events HTTP/1.1\r\nHost: t\r\nContent-Length: 2\r\n"
    .. "Content-Length: 3\r\n\r\n[]", { ONE, "POST", 400 }, close = true },
  { "a bad chunk", "POST /v1/events HTTP/1.1\r\nHost: t\r\n" .. JSON
    .. "Transfer-Encoding: chunked\r\n\r\nzz\r\n", { ONE, "POST", 400 }, close = true },
  { "no Host", "POST /v1/events HTTP/1.1\r\nContent-Length: 0\r\n\r\n",
    { ONE, "POST", 400 }, close = true },
  { "headers that are too large", "POST /v1/events HTTP/1.1\r\nHost: t\r\nX: "
    .. ("x"):rep(5000) .. "\r\n\r\n", { ONE, "POST", 431 }, close = true },
  { "a head that does not end", "POST /v1/events HTTP/1.1\r\nHost: t\r\n",
    { ONE, "POST", 408 }, close = true },
  { "a line that does not end", "POS", { "none", "none", 408 }, close = true },
  { "a body that does not end", (post(GOOD):sub(1, -3)), { ONE, "POST", 408 },
    close = true },
  { "100-continue", post("[]", "Expect: 100-continue\r\n"):sub(1, -3),
    { ONE, "POST", 100 }, more = "[]", { ONE, "POST", 202 } },
  { "100-continue that is refused", post(("x"):rep(2000), "Expect: 100-continue\r\n")
    :match "^(.-\r\n\r\n)", { ONE, "POST", 413 } },
  { "another expectation", post(GOOD, "Expect: 200-ok\r\n"), { ONE, "POST", 417 } },
  { "three in a row", post(GOOD) .. post "[{}]" .. post(GOOD, "", "/nowhere"),
    { ONE, "POST", 202 }, { ONE, "POST", 422 }, { "none", "POST", 404 } },
  { "garbage after a request", post(GOOD) .. "garbage\r\n\r\n", { ONE, "POST", 202 },
    { "none", "none", 400 }, close = true },
  { "one over the rate", post("{}", "", "/limited") .. post("{}", "", "/limited"),
    { "POST /limited", "POST", 202 }, { "POST /limited", "POST", 429 } },
  { "a body that is aborted", (post(GOOD):sub(1, -3)), cut = true },
  { "a head that is aborted", "POST /v1/events HT", cut = true },
  { "a connection without a word", "", cut = true },
  { "no PROXY header", post(GOOD), listener = 2 },
  { "a bad PROXY header", "PROXY TCP4 1.2.3.4\r\n" .. post(GOOD), listener = 2 },
  { "a PROXY header", "PROXY TCP4 1.2.3.4 127.0.0.1 1 2\r\n" .. post(GOOD), listener = 2,
    { ONE, "POST", 202 } },
  { "HTTP where TLS is", post(GOOD), listener = 3, close = true, { "none", "none", 400 } },
  { "no HTTP where TLS is", "garbage\r\n\r\n", listener = 3 },
}

describe("requests", function()
  local s, ports, dir
  setup(function()
    dir = h.folder()
    local own = certificates.make(dir, "own")
    s = h.server { policy = POLICY:format(own, own) }
    ports = {}
    for port in s:text():match "event=ready[^\n]*listen=(%S+)":gmatch "127%.0%.0%.1:(%d+)" do
      ports[#ports + 1] = tonumber(port)
    end
  end)
  teardown(function()
    s:close()
    h.remove(dir)
  end)

  -- All answers so far: by "route method status", and of the histogram by route.
  local function scrape(accept)
    local a = h.request(s.admin, "GET", "/metrics", nil, { Accept = accept or "text/plain" })
    local got, times, bad = {}, {}, {}
    local last
    for line in a.body:gmatch "[^\n]+" do
      local route, method, status, n = line:match
        '^sluice_requests_total{route="([^"]*)",method="(%w+)",status="(%w+)"} (%d+)$'
      if route and tonumber(n) > 0 then
        got[route .. " " .. method .. " " .. status] = tonumber(n)
      end
      local name, labels, le, count = line:match
        '^([%w_]+)_bucket{(.-),?le="([^"]+)"} (%d+)'
      if name then
        local id = name .. labels
        if last and last.id == id and tonumber(count) < last.n then bad[#bad + 1] = line end
        last = { id = id, n = tonumber(count), le = le }
      end
      local of, own, total = line:match "^([%w_]+)_count{?(.-)}? (%d+)$"
      if of then
        if not last or last.id ~= of .. own or last.le ~= "+Inf" or last.n ~= tonumber(total)
        then bad[#bad + 1] = line end
        if of == "sluice_request_seconds" then
          times[own:match 'route="([^"]*)"'] = tonumber(total)
        end
      end
    end
    return got, times, bad
  end

  local function difference(before, now)
    local d = {}
    for k, n in pairs(now) do
      if n ~= (before[k] or 0) then d[k] = n - (before[k] or 0) end
    end
    return d
  end

  local function totals(got)
    local sums = {}
    for k, n in pairs(got) do
      local route = k:match "^(.*) %w+ %w+$"
      sums[route] = (sums[route] or 0) + n
    end
    return sums
  end

  -- An answer to HEAD has the length of a body that does not come.
  local function answer(c, method)
    if method ~= "HEAD" then return h.answer(c) end
    local status = c:receive "*l":match " (%d+) "
    repeat local line = c:receive "*l" until line == ""
    return { status = tonumber(status) }
  end

  ---What was received has one fate each, also where no event of a request is known.
  local function each_has_a_fate()
    h.wait_for("each event to have its fate", function()
      local e = cjson.decode(s:get("/status").body).events
      return e.received == e.stored + e.rejected + e.dropped + e.duplicate + e.dead + e.refused
    end)
  end

  for _, case in ipairs(CASES) do
    it("are counted once, with what the client saw: " .. case[1], function()
      local before = scrape()
      local c = h.connect(ports[case.listener or 1])
      c:send(case[2])
      local expected = {}
      for i = 3, #case do
        local route, method, status = unpack(case[i])
        local a = assert(answer(c, method))
        assert.equal(status, a.status, a.body)
        if status == 100 then
          c:send(case.more)
        else
          local k = ("%s %s %d"):format(route, method, status)
          expected[k] = (expected[k] or 0) + 1
        end
      end
      if case.close or (case.listener and #case == 2) then
        -- TLS says in its own words what it expects, before it closes.
        assert.equal("closed", select(2, c:receive "*a") or "closed")
      end
      c:close()
      h.wait_for("the connection to end", function()
        return s:metric "sluice_connections_open" <= 1
      end)
      local now, times, bad = scrape()
      assert.same(expected, difference(before, now))
      assert.same(totals(now), times)
      assert.same({}, bad)
      each_has_a_fate()
    end)
  end

  local function settle()
    h.wait_for("the connections to end", function()
      return s:metric "sluice_connections_open" <= 1
    end)
  end

  -- Ends a connection by a reset: what the server sends is refused.
  local function reset(c)
    c:setoption("linger", { on = true, timeout = 0 })
    c:close()
  end

  it("are counted once each, also when the client resets the connection before it reads",
  function()
    local before, stored = scrape(), s:metric "sluice_stored_events_total"
    for i = 1, 30 do
      local c = h.connect(ports[1])
      c:send(post(GOOD):rep(i))
      if i % 2 == 0 then h.answer(c) end
      reset(c)
    end
    settle()
    local now, times, bad = scrape()
    local d = difference(before, now)
    local n = d["POST /v1/events POST 202"]
    assert.same({ ["POST /v1/events POST 202"] = n }, d)
    assert.equal(s:metric "sluice_stored_events_total" - stored, n)
    assert.is_true(n >= 15 and n <= 15 * 31, n)
    assert.same({ totals(now), {} }, { times, bad })
  end)

  it("are counted once for each connection that is one too many", function()
    local before, held = scrape(), {}
    for i = 1, 40 do held[i] = h.connect(ports[1]) end
    local refused = 0
    for _, c in ipairs(held) do
      c:settimeout(0.05)
      local line = c:receive "*l"
      if line then
        assert.matches(" 503 ", line)
        refused = refused + 1
      end
      c:close()
    end
    settle()
    local now, times = scrape()
    assert.equal(refused, difference(before, now)["none none 503"])
    assert.is_true(refused >= 10)
    assert.same(totals(now), times)
  end)

  it("for the health path are counted, and have no time", function()
    local before, times = scrape()
    assert.equal(200, h.request(ports[4], "GET", "/health").status)
    settle()
    local now, after = scrape()
    assert.same({ ["none GET 200"] = 1 }, difference(before, now))
    assert.same(times, after)
  end)
end)
