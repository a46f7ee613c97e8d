local h = require "harness"
local signed = require "signed"
local cjson = require "cjson.safe"

-- Routes that accept only postbacks which Apple, or here a key of the test, has signed.
describe("signed postbacks", function()
  local dir, own, old, other, s

  local function policy(keys)
    return h.policy { workers = 2, file = [[rotate = { age = "50ms" }]],
      stream = [[dedup = { key = { "transaction-id" }, window = "30d", persist = true }]],
      top = ([[
file "bad" { dir = "bad", linger = "20ms", rotate = { age = "50ms" } }
file "jws" { dir = "jws", linger = "20ms", rotate = { age = "50ms" } }
stream "refused" { sinks = { "bad" } }
stream "payloads" { sinks = { "jws" },
  dedup = { key = { "postback.postback-identifier" }, window = "30d", persist = true } }
route "POST /skad" { body = "event", stream = "events", on_refused = { stream = "refused" },
  answer = { status = 200, body = "" }, schema = schema {
    ["transaction-id"] = str { required = true }, ["app-id"] = int {} },
  signed = { by = "skadnetwork", apple = "none", keys = { %s },
    versions = { "1.0", "2.0", "2.1", "2.2", "3.0", "4.0" } } }
route "POST /aak" { body = "event", stream = "payloads", on_refused = { stream = "refused" },
  schema = schema { ["postback.postback-identifier"] = str { required = true } },
  signed = { by = "adattributionkit", apple = "none", keys = { %s } } }
]]):format(keys .. (", old = \"%s\""):format(old.base64), keys) }
  end

  setup(function()
    dir = h.folder()
    own, other = signed.key(dir, "own"), signed.key(dir, "other")
    old = signed.key(dir, "old", "prime192v1")
    s = h.server { policy = policy("own = [[" .. own.pem .. "]]") }
  end)

  teardown(function()
    s:close()
    h.remove(dir)
  end)

  local function lines(where, pattern, n)
    return h.wait_for(n .. " of " .. pattern, function()
      local list = {}
      for _, line in ipairs(s:lines(where)) do
        if line:find(pattern, 1, true) then list[#list + 1] = line end
      end
      return #list >= n and list
    end)
  end

  local function postback(version, id)
    local list = { { "version", '"' .. version .. '"' }, { "ad-network-id", '"com.example"' },
      { "campaign-id", "42" }, { "transaction-id", '"' .. id .. '"' }, { "app-id", "525463029" },
      { "redownload", "true" }, { "source-app-id", "1234567891" }, { "fidelity-type", "1" },
      { "did-win", "true" } }
    if version == "1.0" then return { list[2], list[3], list[4], list[5] } end
    if version == "2.0" or version == "2.1" then list[8], list[9] = nil, nil end
    if version == "2.2" then list[9] = nil end
    if version == "4.0" then
      list[3] = { "source-identifier", '"5239"' }
      list[7] = { "source-domain", '"example.com"' }
      list[10] = { "postback-sequence-index", "0" }
    end
    list[#list + 1] = { "conversion-value", "20" }
    return list
  end

  local function refusal(a) return { a.status, cjson.decode(a.body).errors[1].code } end

  it("stores a postback of each version once, as it was sent", function()
    for _, version in ipairs { "1.0", "2.0", "2.1", "2.2", "3.0", "4.0" } do
      local id = "each-" .. version
      local body = signed.skadnetwork(version < "2.1" and old or own, version,
        postback(version, id))
      for _ = 1, 3 do
        local a = s:post("/skad", body)
        assert.same({ 200, "" }, { a.status, a.body }, version)
      end
      assert.same({ body }, lines("archive", '"' .. id .. '"', 1))
    end
  end)

  it("counts a postback once also when it is written otherwise, and after kill -9", function()
    local body = signed.skadnetwork(own, "4.0", postback("4.0", "repeat-1"))
    assert.equal(200, s:post("/skad", body).status)
    lines("archive", '"repeat-1"', 1)
    s:stop("SIGKILL")
    s:start()
    local escaped = body:gsub('"transaction%-id":"repeat', '"transaction\\u002did":"r\\u0065peat')
    assert.not_equal(body, escaped)
    for _, text in ipairs { body, escaped, (body:gsub('value":20', 'value":63')), " " .. body } do
      assert.equal(200, s:post("/skad", text).status)
    end
    assert.equal(4, s:metric("sluice_dedup_events_total", 'stream="events",result="repeat"'))
    s:deliver()
    assert.equal(1, #lines("archive", '"repeat-1"', 1))
  end)

  it("refuses others with 401, and keeps what was sent", function()
    local good = signed.skadnetwork(own, "4.0", postback("4.0", "bad-1"))
    local cases = {
      { "bad_signature", signed.skadnetwork(other, "4.0", postback("4.0", "bad-1")) },
      { "bad_signature", (good:gsub(":525463029", ":525463028")) },
      { "bad_postback", (good:gsub(":525463029", ':"525463029"')) },
      { "bad_postback", (good:gsub('{', '{"campaign-id":7,', 1)) },
      { "unsigned", '{"transaction-id":"bad-1"}' },
      { "unknown_version", (good:gsub('"4.0"', '"5.0"')) },
    }
    for i, case in ipairs(cases) do
      local a = s:post("/skad", case[2])
      assert.same({ 401, case[1] }, refusal(a), i)
      assert.equal('Postback-Signature realm="sluice"', a.headers["www-authenticate"], i)
    end
    -- The signature is looked at before the schema, the grammar before both.
    assert.equal("duplicate_key",
      refusal(s:post("/skad", (good:gsub("{", '{"app-id":1,', 1))))[2])
    assert.equal(400, s:post("/skad", "{").status)
    local kept = {}
    for _, line in ipairs(lines("bad", "bad-1", #cases + 1)) do
      local r = cjson.decode(line)
      kept[r.refused.code .. r.raw] = true
    end
    for _, case in ipairs(cases) do assert.is_true(kept[case[1] .. case[2]], case[1]) end
    assert.equal(0, #h.shell(("grep -rl bad-1 '%s' || true"):format(s.data .. "/archive")))
  end)

  it("stores the payload of a JWS, once", function()
    local payload = '{"postback-identifier":"jws-1",\n"ad-network-identifier":"e.adattributionkit",'
      .. '"advertised-item-identifier":525463029,"did-win":true}'
    local jws = signed.jws(own, '{"kid":"own","alg":"ES256"}', payload)
    local body = ('{"jws-string":"%s","conversion-value":24}'):format(jws)
    local first = s:post("/aak", body)
    assert.equal(202, first.status, first.body)
    assert.equal(202, s:post("/aak", (body:gsub(":24", ":25"))).status)
    local line = lines("jws", '"jws-1"', 1)
    assert.same({ body:sub(1, -2) .. ',"postback":' .. payload:gsub("\n", " ") .. "}" }, line)
    assert.same({ 401, "unknown_key" }, refusal(s:post("/aak", ('{"jws-string":"%s"}')
      :format(signed.jws(own, '{"kid":"else","alg":"ES256"}', payload)))))
    assert.same({ 401, "bad_signature" }, refusal(s:post("/aak", ('{"jws-string":"%s"}')
      :format(signed.jws(other, '{"kid":"own","alg":"ES256"}', payload)))))
    assert.same({ 401, "bad_signature" }, refusal(s:post("/aak", ('{"jws-string":"%s"}')
      :format(signed.jws(own, '{"kid":"own","alg":"ES256"}', '[1]')))))
    assert.same({ 401, "bad_signature" }, refusal(s:post("/aak", ('{"jws-string":"%s"}')
      :format(signed.jws(own, '{"kid":"own","alg":"ES256"}', '{"a":1,"a":2}')))))
    assert.same({ 422, "missing_field" }, refusal(s:post("/aak", ('{"jws-string":"%s"}')
      :format(signed.jws(own, '{"kid":"own","alg":"ES256"}', '{"a":1}')))))
  end)

  it("decides a request by the keys of its own policy over a reload", function()
    local body = signed.skadnetwork(own, "4.0", postback("4.0", "reload-1"))
    local function head()
      local c = h.connect(s.port)
      c:send(("POST /skad HTTP/1.1\r\nHost: t\r\nContent-Type: application/json\r\n"
        .. "Content-Length: %d\r\n\r\n"):format(#body) .. body:sub(1, 40))
      return c
    end
    local c = head()
    -- Its head is read before that of the next request on the worker, or after: 20 pass it.
    for _ = 1, 20 do assert.equal(400, s:post("/skad", "{").status) end
    h.write(s.path, policy("new = [[" .. other.pem .. "]]"))
    assert.equal(200, s:reload().status)
    assert.same({ 401, "bad_signature" }, refusal(s:post("/skad", body)))
    c:send(body:sub(41))
    assert.equal(200, h.answer(c).status)
    c:close()
    lines("archive", '"reload-1"', 1)
  end)
end)
