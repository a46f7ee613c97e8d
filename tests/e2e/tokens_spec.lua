local cjson = require "cjson"
local mime = require "mime"
local h = require "harness"
local signed = require "signed"

-- Routes that ask for a signature of the body or for a token: who gets in, what others are
-- told, and where no secret is found.
describe("signatures and tokens", function()
  local SECRET, OLD = "planted-s3cret-hook", "planted-s3cret-hook-old"
  local SHARED = "planted-s3cret of HS256, of more than 32 bytes"
  local s, ec, other

  local policy = h.policy { workers = 1, file = [[rotate = { age = "50ms" }]], top = [[
keys "apps" { file = "apps.csv" }
file "bad" { dir = "bad", linger = "20ms", rotate = { age = "50ms" } }
stream "refused" { sinks = { "bad" } }
local per = limit { rate = "1/h", burst = 2, key = "jwt:sub" }
local hook = hmac { secrets = { env "HOOK_SECRET", env "HOOK_OLD" }, header = "X-Signature",
  format = "sha256={hex}" }
local who = jwt { keys = "jwks.json", iss = "https://issuer.example", aud = { "events", "all" },
  claims = { "sub", "tenant" } }
route "POST /hook" { body = "event", stream = "events", auth = hook,
  on_refused = { stream = "refused" } }
route "POST /timed" { body = "event", stream = "events", auth = hmac { secret = env "HOOK_SECRET",
  header = "X-Signature", format = "t={timestamp},v1={hex}", signed = "{timestamp}.{body}",
  window = "5m" } }
route "POST /either" { body = "event", stream = "events", auth = any_of { bearer "apps", hook } }
route "POST /token" { body = "event", stream = "events", auth = who, set = { user = "jwt:sub" },
  on_event = function(ev, req) ev.tenant = req.jwt.tenant end }
route "POST /limited" { body = "event", stream = "events", auth = who,
  on_request = function(req) return per:check(req) end }
]] }

  local function shell_hmac(key, text)
    h.write(s.dir .. "/text", text)
    return h.shell(("openssl dgst -sha256 -hmac '%s' -r '%s/text'"):format(key, s.dir))
      :match("^%x+")
  end

  local function jwk(key, kid)
    local point = mime.unb64(key.base64):sub(-64)
    return ('{"kty":"EC","crv":"P-256","kid":"%s","x":"%s","y":"%s"}'):format(kid,
      signed.url(point:sub(1, 32)), signed.url(point:sub(33)))
  end

  local function write_set(...)
    h.write(s.dir .. "/jwks.json.new", '{"keys":[' .. table.concat({ ... }, ",") .. "]}")
    assert(os.rename(s.dir .. "/jwks.json.new", s.dir .. "/jwks.json"))
  end

  local function shared() return ('{"kty":"oct","kid":"h","k":"%s"}'):format(signed.url(SHARED)) end

  local function claims(more)
    return ('{"iss":"https://issuer.example","aud":["events"],"sub":"u1","tenant":7,"exp":%d%s}')
      :format(os.time() + 600, more or "")
  end

  local function token(payload, key, kid)
    return signed.jws(key or ec, ('{"alg":"ES256","kid":"%s"}'):format(kid or "e"),
      payload or claims())
  end

  local function bearer(text) return { Authorization = "Bearer " .. text } end
  local function code(a) return a.status .. " " .. (a.body:match('"code":"([%w_]+)"') or "") end

  local function stored(text, n)
    return h.wait_for(n .. " of " .. text, function()
      local list = {}
      for _, line in ipairs(s:lines("archive")) do
        if line:find(text, 1, true) then list[#list + 1] = line end
      end
      return #list >= n and list
    end)
  end

  setup(function()
    s = { dir = h.folder() }
    ec, other = signed.key(s.dir, "ec"), signed.key(s.dir, "other")
    write_set(jwk(ec, "e"), shared())
    h.write(s.dir .. "/apps.csv", "sha256,app\n"
      .. h.shell("printf known | sha256sum"):match("^%x+") .. ",a\n")
    s = h.server { policy = policy, dir = s.dir,
      wrap = { "env", "HOOK_SECRET=" .. SECRET, "HOOK_OLD=" .. OLD } }
  end)

  teardown(function()
    s:close()
    h.remove(s.dir)
  end)

  local JSON = "Content-Type: application/json\r\n"
  local function head(path, signature, more)
    return ("POST %s HTTP/1.1\r\nHost: t\r\n%sX-Signature: sha256=%s\r\n%s\r\n"):format(path, JSON,
      signature, more)
  end

  it("takes a body with its signature, by either secret, and no other", function()
    local body = '{"plain":1}'
    for _, secret in ipairs { SECRET, OLD } do
      assert.equal(202, s:post("/hook", body,
        { ["X-Signature"] = "sha256=" .. shell_hmac(secret, body) }).status)
    end
    local a = s:post("/hook", body, { ["X-Signature"] = "sha256=" .. shell_hmac("other", body) })
    assert.equal("401 bad_signature", code(a))
    assert.equal('HMAC-SHA256 header="X-Signature"', a.headers["www-authenticate"])
    assert.equal("401 unsigned", code(s:post("/hook", body)))
    assert.equal("401 bad_signature", code(s:post("/hook", body, { ["X-Signature"] = "" })))
    -- Not even a wrong type, or text that is no JSON, is looked at before.
    assert.equal("401 bad_signature", code(s:post("/hook", "{", { ["X-Signature"] = "x" })))
    assert.equal("401 unsigned", code(s:post("/hook", "x", { ["Content-Type"] = "image/png" })))
    assert.equal(2, #stored('{"plain":1}', 2))
    assert.equal(3, s:metric("sluice_auth_refused_total", 'route="POST /hook",reason="signature"'))
  end)

  it("checks the bytes as they came: in chunks, compressed, pipelined, after 100", function()
    local body = '{"wire":1}'
    local good = shell_hmac(SECRET, body)
    local chunks = "3\r\n" .. body:sub(1, 3) .. "\r\n7;x=y\r\n" .. body:sub(4) .. "\r\n0\r\n\r\n"
    assert.equal(202, s:raw(head("/hook", good, "Transfer-Encoding: chunked\r\n") .. chunks).status)
    h.write(s.dir .. "/body", body)
    h.shell(("gzip -nc '%s/body' >'%s/zipped'"):format(s.dir, s.dir))
    local zipped = h.read(s.dir .. "/zipped")
    local length = "Content-Encoding: gzip\r\nContent-Length: " .. #zipped .. "\r\n"
    assert.equal(202, s:raw(head("/hook", shell_hmac(SECRET, zipped), length) .. zipped).status)
    assert.equal("401 bad_signature", code(s:raw(head("/hook", good, length) .. zipped)))
    local plain = head("/hook", good, "Content-Length: " .. #body .. "\r\n")
    local wrong = head("/hook", ("0"):rep(64), "Content-Length: " .. #body .. "\r\n")
    local c, got = h.connect(s.port), {}
    c:send(plain .. body .. wrong .. body .. plain .. body)
    for i = 1, 3 do got[i] = h.answer(c).status end
    c:send(head("/hook", good, "Expect: 100-continue\r\nContent-Length: " .. #body .. "\r\n"))
    got[4] = h.answer(c).status
    c:send(body)
    got[5] = h.answer(c).status
    c:close()
    assert.same({ 202, 401, 202, 100, 202 }, got)
    assert.equal(5, #stored(body, 5))
  end)

  it("checks a signature before it inflates", function()
    h.shell(("head -c 40000000 /dev/zero | gzip -n >'%s/bomb'"):format(s.dir))
    for expected, sent in pairs { ["413 too_large"] = h.read(s.dir .. "/bomb"),
      ["400 bad_encoding"] = "\31\139no gzip" } do
      local length = "Content-Encoding: gzip\r\nContent-Length: " .. #sent .. "\r\n"
      assert.equal("401 bad_signature", code(s:raw(head("/hook", ("0"):rep(64), length) .. sent)))
      assert.equal(expected, code(s:raw(head("/hook", shell_hmac(SECRET, sent), length) .. sent)))
    end
  end)

  it("keeps nothing of a body that it can't know the sender of", function()
    assert.equal("401 bad_signature", code(s:post("/hook", '{"forged":1}',
      { ["X-Signature"] = "sha256=" .. ("a"):rep(64) })))
    local body = '{"refused":'
    assert.equal("400 invalid_json", code(s:post("/hook", body,
      { ["X-Signature"] = "sha256=" .. shell_hmac(SECRET, body) })))
    h.wait_for("a record", function()
      return table.concat(s:lines("bad")):find("refused", 1, true)
    end)
    assert.is_nil(table.concat(s:lines("bad")):find("forged", 1, true))
  end)

  it("refuses an old time, and takes a repeat within the window", function()
    local function send(t)
      local body = '{"timed":1}'
      return code(s:post("/timed", body, { ["X-Signature"] = ("t=%d,v1=%s"):format(t,
        shell_hmac(SECRET, t .. "." .. body)) }))
    end
    local now = os.time()
    assert.equal("202 ", send(now))
    assert.equal("202 ", send(now))
    assert.equal("401 expired", send(now - 400))
    assert.equal("401 expired", send(now + 400))
  end)

  it("lets a client in by a key or by a signature", function()
    local body = '{"either":1}'
    local good = { ["X-Signature"] = "sha256=" .. shell_hmac(SECRET, body) }
    assert.equal(202, s:post("/either", body, bearer "known").status)
    assert.equal(202, s:post("/either", body, good).status)
    good.Authorization = "Bearer unknown"
    assert.equal(202, s:post("/either", body, good).status)
    assert.equal("401 unknown_key", code(s:post("/either", body, bearer "unknown")))
    assert.equal("401 missing_key", code(s:post("/either", body)))
  end)

  it("takes a token, and gives its claims to hooks, set and limit", function()
    local good = token()
    for _ = 1, 2 do assert.equal(202, s:post("/token", '{"token":1}', bearer(good)).status) end
    assert.equal(202, s:post("/token", '{"token":1}', bearer(signed.hs256(SHARED,
      '{"alg":"HS256","kid":"h"}', claims()))).status)
    assert.same({ '{"token":1,"user":"u1","tenant":7}' }, { stored('{"token":1', 3)[3] })
    for i = 1, 3 do
      assert.equal(i < 3 and 202 or 429, s:post("/limited", "{}", bearer(good)).status)
    end
    local second = token((claims():gsub('"u1"', '"u2"')))
    assert.equal(202, s:post("/limited", "{}", bearer(second)).status)
    -- A truth is counted as its text, and a list as no key.
    for _, sub in ipairs { "true", "[1]" } do
      local odd = token((claims():gsub('"u1"', sub)))
      for i = 1, 3 do
        assert.equal(i < 3 and 202 or 429, s:post("/limited", "{}", bearer(odd)).status)
      end
    end
  end)

  it("refuses forged, expired and foreign tokens with 401, before the body", function()
    local good = token()
    local none = signed.url '{"alg":"none"}' .. "." .. signed.url(claims()) .. "."
    for want, text in pairs { bad_token = none, unknown_key = token(nil, other, "o"),
      expired_token = token((claims(',"x":1'):gsub('"exp":%d+', '"exp":1700000000'))),
      early_token = token(claims(',"nbf":4102444800')),
      wrong_issuer = token((claims():gsub("issuer%.", "other."))),
      wrong_audience = token((claims():gsub('"events"', '"others"'))) } do
      local a = s:post("/token", "{}", bearer(text))
      assert.equal("401 " .. want, code(a))
      assert.equal('Bearer realm="sluice", error="invalid_token"', a.headers["www-authenticate"])
    end
    assert.equal("401 bad_token", code(s:post("/token", "{}", bearer(token(nil, other)))))
    assert.equal("401 bad_token", code(s:post("/token", "{}", bearer(good .. "="))))
    local a = s:post("/token", "{}")
    assert.equal("401 missing_key", code(a))
    assert.equal('Bearer realm="sluice"', a.headers["www-authenticate"])
    local c = h.connect(s.port)
    c:send("POST /token HTTP/1.1\r\nHost: t\r\n" .. JSON .. "Content-Length: 1000000\r\n"
      .. "Expect: 100-continue\r\nAuthorization: Bearer " .. none .. "\r\n\r\n")
    assert.equal("401 bad_token", code(h.answer(c)))
    c:close()
  end)

  it("has no secret in an answer, a metric, the log, or what it keeps", function()
    assert.equal(200, s:reload().status)
    -- The set itself, the openssl key files and the text of the spec apart.
    assert.equal("", h.shell(("grep -rlaE 's3cret|%s' '%s/data' '%s/log'"):format(
      signed.url(SHARED), s.dir, s.dir)))
    for _, path in ipairs { "/status", "/metrics", "/policies" } do
      assert.is_nil((s:get(path).body or ""):find("s3cret", 1, true))
    end
  end)

  it("refuses a token whose key a reload took away, though it was good before", function()
    local good = token()
    assert.equal(202, s:post("/token", "{}", bearer(good)).status)
    write_set(jwk(other, "o"))
    assert.equal(200, s:reload().status)
    assert.equal("401 unknown_key", code(s:post("/token", "{}", bearer(good))))
    local new = token(nil, other, "o")
    assert.equal(202, s:post("/token", "{}", bearer(new)).status)
    write_set((jwk(other, "o"):gsub("}$", ',"d":"c2VjcmV0"}')))
    local a = s:reload()
    assert.equal(422, a.status)
    assert.matches("key 1 is a private key", a.body, 1, true)
    assert.equal(202, s:post("/token", "{}", bearer(new)).status)
  end)

  it("shows no body of an unknown sender among a shadow's samples", function()
    write_set(jwk(ec, "e"), shared())
    h.write(s.path, (policy:gsub('auth = hook,\n', 'on_event = nil,\n', 1))
      .. '\nshadow { during = "1h", sample = 5 }')
    local a = s:reload()
    assert.equal(200, a.status, a.body)
    assert.equal("401 bad_signature", code(s:post("/hook", '{"planted":1}',
      { ["X-Signature"] = "sha256=" .. ("b"):rep(64) })))
    local body = s:get("/status").body
    local trial = cjson.decode(body).trial
    assert.equal(1, trial.differ.refused_accepted)
    assert.equal("bad_signature", trial.samples[1].code)
    assert.is_nil((body .. s:text()):find("planted\\*\":1"))
  end)
end)
