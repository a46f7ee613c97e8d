local h = require "harness"

-- Routes that ask for a key: who gets in, what others are told, and where no key is found.
describe("keys of clients", function()
  local s
  local KEY = "planted-s3cret-key"

  local function sha(text)
    return h.shell(("printf %%s '%s' | sha256sum"):format(text)):match("^%x+")
  end

  local function write_keys(rows)
    local lines = { "sha256,app,tenant,until,off" }
    for _, r in ipairs(rows) do
      lines[#lines + 1] = ("%s,%s"):format(sha(r[1]), r[2])
    end
    h.write(s.dir .. "/apps.csv.new", table.concat(lines, "\n") .. "\n")
    assert(os.rename(s.dir .. "/apps.csv.new", s.dir .. "/apps.csv"))
  end

  local USUAL = { { KEY, "shop,acme,," }, { KEY .. "-2", "blog,bolt,2999-01-01," },
    { KEY .. "-old", "old,acme,2020-01-01," }, { KEY .. "-off", "off,acme,,yes" } }

  local policy = h.policy { workers = 1, file = [[rotate = { age = "50ms" }]], top = [[
keys "apps" { file = "apps.csv", expires = "until", disabled = "off", label = "app" }
file "bad" { dir = "bad", linger = "20ms", rotate = { age = "50ms" } }
stream "refused" { sinks = { "bad" } }
local per = limit { rate = "1/h", burst = 2, key = "key:tenant" }
local any = any_of { bearer "apps", header "x-api-key" "apps", basic "apps", query "key" "apps" }
route "POST /in" { body = "event", stream = "events", auth = any, set = { app = "key:app" },
  on_refused = { stream = "refused" }, cors = { origins = { "https://shop.example" } },
  on_event = function(ev, req)
    ev.tenant = req.key.tenant
    if ev.bad then return reject("bad", "bad event") end
  end }
route "GET /q" { body = "query", stream = "events", auth = any,
  on_refused = { stream = "refused" }, schema = schema { n = int { } } }
route "POST /limited" { body = "event", stream = "events", auth = bearer "apps",
  on_request = function(req) return per:check(req) end }
]] }

  setup(function()
    s = { dir = h.folder() }
    write_keys(USUAL)
    s = h.server { policy = policy, dir = s.dir }
  end)

  teardown(function()
    s:close()
    h.remove(s.dir)
  end)

  local function code(a) return a.status .. " " .. (a.body:match('"code":"([%w_]+)"') or "") end
  local function bearer(key) return { Authorization = "Bearer " .. key } end

  -- The lines of a folder that have a text, when there are n.
  local function lines(where, text, n)
    return h.wait_for(n .. " of " .. text, function()
      local list = {}
      for _, line in ipairs(s:lines(where)) do
        if line:find(text, 1, true) then list[#list + 1] = line end
      end
      return #list >= n and list
    end)
  end

  it("lets a client in that sends its key in any of the ways of the route", function()
    local basic = h.shell(("printf 'anna:%s' | base64 -w0"):format(KEY))
    for _, headers in ipairs { bearer(KEY), { ["X-API-Key"] = KEY },
      { ["x-api-key"] = KEY .. "-2" }, { Authorization = "Basic " .. basic } } do
      assert.equal(202, s:post("/in", '{"a":1}', headers).status)
    end
    assert.equal(202, s:post("/in?key=" .. KEY:gsub("s", "%%73"), '{"a":1}').status)
    local out = h.shell(("curl -sS -o /dev/null -w '%%{http_code}' -u any:%s --json '{\"a\":1}' "
      .. "http://127.0.0.1:%d/in"):format(KEY, s.port))
    assert.equal("202", out)
    local n = {}
    for _, line in ipairs(lines("archive", '{"a":1,', 6)) do n[line] = (n[line] or 0) + 1 end
    assert.same({ ['{"a":1,"app":"shop","tenant":"acme"}'] = 5,
      ['{"a":1,"app":"blog","tenant":"bolt"}'] = 1 }, n)
    assert.equal(5, s:metric("sluice_key_requests_total", 'keys="apps",label="shop"'))
  end)

  it("tells others why not, with 401 and what they may try", function()
    local refused = 'route="POST /in",reason="%s"'
    for reason, headers in pairs { missing = {}, unknown = bearer "nope",
      malformed = bearer(KEY .. " " .. KEY), expired = bearer(KEY .. "-old"),
      disabled = { ["x-api-key"] = KEY .. "-off" } } do
      local before = s:metric("sluice_auth_refused_total", refused:format(reason)) or 0
      local a = s:post("/in", '{"a":1}', headers)
      assert.equal("401 " .. reason .. "_key", code(a))
      assert.matches("^Basic realm", a.headers["www-authenticate"]) -- the last of two
      assert.equal(before + 1, s:metric("sluice_auth_refused_total", refused:format(reason)))
      assert.is_nil((a.body .. a.head):find("s3cret", 1, true))
    end
    -- Who is refused is not counted as the client of the key.
    for _, label in ipairs { "old", "off" } do
      assert.is_nil(s:metric("sluice_key_requests_total", ('keys="apps",label="%s"'):format(label)))
    end
    local a = s:post("/limited", "{}")
    assert.equal('Bearer realm="sluice"', a.headers["www-authenticate"])
    a = s:post("/limited", "{}", bearer "nope")
    assert.equal('Bearer realm="sluice", error="invalid_token"', a.headers["www-authenticate"])
  end)

  it("refuses before it reads the body, and without 100-continue", function()
    local c = h.connect(s.port)
    c:send("POST /in HTTP/1.1\r\nHost: t\r\nContent-Type: application/json\r\n"
      .. "Content-Length: 1000000\r\nExpect: 100-continue\r\nAuthorization: Bearer nope\r\n\r\n")
    assert.equal("401 unknown_key", code(h.answer(c)))
    c:close()
    -- A wrong type of a client without a key is none of its business.
    assert.equal("401 missing_key", code(s:post("/in", "x", { ["Content-Type"] = "image/png" })))
  end)

  it("tells requests on one connection apart, also when they come at once", function()
    local function request(key)
      return "POST /in HTTP/1.1\r\nHost: t\r\nContent-Type: application/json\r\n"
        .. "Content-Length: 7\r\n" .. (key and "Authorization: Bearer " .. key .. "\r\n" or "")
        .. "\r\n{\"p\":1}"
    end
    local c, got = h.connect(s.port), {}
    c:send(request(KEY) .. request("nope") .. request(KEY .. "-2") .. request() .. request(KEY))
    for i = 1, 5 do got[i] = h.answer(c).status end
    c:close()
    assert.same({ 202, 401, 202, 401, 202 }, got)
    local text = table.concat(lines("archive", '{"p":1,', 3), "\n")
    assert.equal(2, select(2, text:gsub('{"p":1,"app":"shop","tenant":"acme"}', "")))
    assert.equal(1, select(2, text:gsub('{"p":1,"app":"blog","tenant":"bolt"}', "")))
  end)

  it("answers a browser's preflight without a key, and its refusal with CORS", function()
    local origin = { Origin = "https://shop.example",
      ["Access-Control-Request-Method"] = "POST",
      ["Access-Control-Request-Headers"] = "authorization" }
    local a = h.request(s.port, "OPTIONS", "/in", nil, origin)
    assert.equal(204, a.status)
    assert.equal("Content-Type, Authorization, x-api-key",
      a.headers["access-control-allow-headers"])
    a = s:post("/in", "{}", { Origin = "https://shop.example" })
    assert.equal(401, a.status)
    assert.equal("https://shop.example", a.headers["access-control-allow-origin"])
    local c = h.connect(s.port)
    c:send("HEAD /q?n=1 HTTP/1.1\r\nHost: t\r\n\r\n")
    assert.matches("^HTTP/1.1 401 ", c:receive("*l"))
    c:close()
  end)

  it("limits by a column of the key", function()
    assert.equal(202, s:post("/limited", "{}", bearer(KEY)).status)
    assert.equal(202, s:post("/limited", "{}", bearer(KEY)).status)
    assert.equal("429 rate_limited", code(s:post("/limited", "{}", bearer(KEY))))
    assert.equal(202, s:post("/limited", "{}", bearer(KEY .. "-2")).status)
  end)

  it("keeps a key of the query out of events, records, logs and answers", function()
    assert.equal(202, h.request(s.port, "GET", "/q?n=1&key=" .. KEY).status)
    assert.equal(422, h.request(s.port, "GET", "/q?n=x&key=" .. KEY).status)
    assert.equal(422, s:post("/in?b=1&key=" .. KEY, '{"bad":1}').status)
    assert.equal(400, s:post("/in?key=" .. KEY .. "&b=2", "{").status)
    assert.equal(401, s:post("/in?key=" .. KEY .. "&key=" .. KEY, "{}").status)
    local kept = table.concat(lines("bad", "refused", 3), "\n")
    lines("archive", '{"n":1}', 1)
    assert.matches('"raw":"n=x"', kept, 1, true)
    assert.matches('"query":"b=1"', kept, 1, true)
    assert.matches('"query":"b=2"', kept, 1, true)
    assert.equal("", h.shell(("grep -rla s3cret '%s'"):format(s.dir)))
    for _, path in ipairs { "/status", "/metrics" } do
      assert.is_nil(s:get(path).body:find("s3cret", 1, true))
    end
  end)

  it("takes new keys at a reload, and refuses a file that lost them or has a key itself", function()
    write_keys { USUAL[1], { "new-s3cret", "new,acme,," } }
    assert.equal("401 unknown_key", code(s:post("/in", "{}", bearer "new-s3cret")))
    assert.equal(200, s:reload().status)
    assert.equal(202, s:post("/in", "{}", bearer "new-s3cret").status)
    assert.equal("401 unknown_key", code(s:post("/in", "{}", bearer(KEY .. "-2"))))
    for _, text in ipairs { "", "sha256,app,tenant,until,off\n",
      "sha256,app,tenant,until,off\nnew-s3cret,new,acme,,\n" } do
      h.write(s.dir .. "/apps.csv", text)
      local a = s:reload()
      assert.equal(422, a.status, a.body)
      assert.is_nil(a.body:find("s3cret", 1, true))
      assert.equal(202, s:post("/in", "{}", bearer "new-s3cret").status)
    end
    os.remove(s.dir .. "/apps.csv")
    assert.equal("", h.shell(("grep -rla s3cret '%s'"):format(s.dir)))
  end)

  it("maps a large file, has it again after a rollback, and fails closed when it is cut", function()
    local rows = { "sha256,app,tenant,until,off" }
    for i = 1, 60000 do rows[#rows + 1] = ("%064x,shop,acme,,"):format(i) end
    rows[#rows + 1] = sha(KEY) .. ",shop,acme,,"
    h.write(s.dir .. "/apps.csv", table.concat(rows, "\n") .. "\n")
    assert.equal(200, s:reload().status)
    assert.equal(202, s:post("/in", "{}", bearer(KEY)).status)
    assert.equal("401 unknown_key", code(s:post("/in", "{}", bearer "new-s3cret")))
    write_keys { USUAL[2] }
    assert.equal(200, s:reload().status)
    assert.equal("401 unknown_key", code(s:post("/in", "{}", bearer(KEY))))
    assert.equal(200, s:reload("?rollback").status)
    assert.equal(202, s:post("/in", "{}", bearer(KEY)).status)
    assert.equal("401 unknown_key", code(s:post("/in", "{}", bearer "nope")))
    -- A disk that lost the rows: whoever has no key does not get in, who has one is not
    -- told that it is unknown.
    h.shell(("truncate -s 4096 '%s'/tables/*.table"):format(s.data))
    assert.equal("503 keys_unreadable", code(s:post("/in", "{}", bearer(KEY))))
    assert.equal("503 keys_unreadable", code(s:post("/in", "{}", bearer "nope")))
    assert.equal("401 missing_key", code(s:post("/in", "{}")))
    assert.equal("", h.shell(("grep -rla s3cret '%s'"):format(s.dir)))
  end)
end)
