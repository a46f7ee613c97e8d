-- Every form of auth against every kind of wrong credential: the status and the code that
-- conf/SECURITY.md gives, and which of the events are stored.
local mime = require "mime"
local certificates = require "certificates"
local h = require "harness"
local signed = require "signed"

local SECRET, OLD, OTHER = "planted-s3cret-a", "planted-s3cret-old", "planted-s3cret-b"
local SHARED = "planted-s3cret of HS256, of more than 32 bytes"

local POLICY = [[
server { workers = 1 }
listen "127.0.0.1:0" { tls = { cert = "ec.pem", key = "ec.key", client = "optional",
  ca = "ca.pem" } }
file "archive" { dir = "archive", linger = "20ms", rotate = { age = "50ms" } }
stream "events" { sinks = { "archive" } }
keys "a" { file = "a.csv", expires = "until", disabled = "off" }
keys "b" { file = "b.csv" }
keys "machines" { file = "machines.csv", disabled = "off" }
local S = { env "S_NEW", env "S_OLD" }
local github = hmac { secrets = S, header = "X-Hub-Signature-256", format = "sha256={hex}" }
local who = jwt { keys = "jwks.json", iss = "https://i.example", aud = "events", leeway = "0s" }
local function at(path, auth)
  route("POST /" .. path) { body = "event", stream = "events", auth = auth }
end
at("bearer", bearer "a")
at("header", header "x-api-key" "a")
at("basic", basic "a")
at("query", query "key" "a")
at("github", github)
at("shopify", hmac { secrets = S, header = "X-Shopify-Hmac-SHA256", format = "{base64}" })
at("stripe", hmac { secrets = S, header = "Stripe-Signature", format = "t={timestamp},v1={hex}",
  signed = "{timestamp}.{body}", window = "5m" })
at("slack", hmac { secrets = S, header = "X-Slack-Signature", format = "v0={hex}",
  signed = "v0:{timestamp}:{body}", timestamp = "X-Slack-Request-Timestamp", window = "5m" })
at("jwt", who)
at("cert", client_cert { keys = "machines" })
at("any", any_of { bearer "a", header "x-api-key" "b", github })
]]

describe("each form of auth", function()
  local dir, s, tls, ec, other, rsa
  local n, stored = 0, {} -- bodies sent; those that must be stored

  local function sha(text)
    return h.shell(("printf %%s '%s' | sha256sum"):format(text)):match("^%x+")
  end

  local function mac(key, text)
    h.write(dir .. "/text", text)
    return h.shell(("openssl dgst -sha256 -hmac '%s' -r '%s/text'"):format(key, dir))
      :match("^%x+")
  end

  local function bytes(hex)
    return (hex:gsub("%x%x", function(x) return string.char(tonumber(x, 16)) end))
  end

  local function b64(hex) return (mime.b64(bytes(hex))) end

  ---A new body, as no other case has it.
  local function body()
    n = n + 1
    return ('{"n":%d}'):format(n)
  end

  local function note(text, got)
    if got:match("^202") then stored[#stored + 1] = text end
    return got
  end

  ---What the server says to a request with these lines of headers.
  local function send(path, text, ...)
    local lines = { ("POST /%s HTTP/1.1\r\nHost: t\r\nContent-Type: application/json\r\n"
      .. "Content-Length: %d\r\n"):format(path, #text) }
    for _, line in ipairs { ... } do lines[#lines + 1] = line .. "\r\n" end
    local a = s:raw(table.concat(lines) .. "\r\n" .. text)
    assert.is_nil((a.head .. a.body):find("s3cret", 1, true))
    return note(text, a.status .. " " .. (a.body:match('"code":"([%w_]+)"') or ""))
  end

  ---Rows of { what, expected, … }; all differences at once. Only what begins with 202 is
  ---stored, which the last test compares.
  local function table_of(rows, ask)
    local want, got = {}, {}
    for _, r in ipairs(rows) do
      want[#want + 1] = r[1] .. ": " .. r[2]
      got[#got + 1] = r[1] .. ": " .. ask(unpack(r, 3))
    end
    assert.same(want, got)
  end

  local function jwk(key, kid)
    local point = mime.unb64(key.base64):sub(-64)
    return ('{"kty":"EC","crv":"P-256","kid":"%s","x":"%s","y":"%s"}'):format(kid,
      signed.url(point:sub(1, 32)), signed.url(point:sub(33)))
  end

  -- A pair of another kind: openssl makes it and signs files with it.
  local function pair(name, options)
    local k = dir .. "/" .. name
    h.shell(("openssl genpkey %s -out '%s.pem' && openssl pkey -in '%s.pem' -pubout -out "
      .. "'%s.pub'"):format(options, k, k, k))
    return k
  end

  local function sign(key, header, payload, options)
    local input = signed.url(header) .. "." .. signed.url(payload)
    h.write(dir .. "/text", input)
    h.shell(("openssl pkeyutl -sign -rawin %s -inkey '%s.pem' -in '%s/text' -out '%s/raw'")
      :format(options or "", key, dir, dir))
    return input .. "." .. signed.url(h.read(dir .. "/raw"))
  end

  setup(function()
    dir = h.folder()
    local ca = certificates.make(dir, "ca")
    certificates.make(dir, "ec", { hosts = "DNS:a.example" })
    local rows = { "sha256,off" }
    for name, off in pairs { good = "", off = "yes" } do
      certificates.make(dir, name, { by = ca })
      rows[#rows + 1] = h.shell(("openssl x509 -in '%s/%s.pem' -outform der | sha256sum")
        :format(dir, name)):match("^%x+") .. "," .. off
    end
    certificates.make(dir, "stranger", { by = ca })
    certificates.make(dir, "forged")
    h.write(dir .. "/machines.csv", table.concat(rows, "\n") .. "\n")
    h.write(dir .. "/a.csv", ("sha256,until,off\n%s,,\n%s,,\n%s,2020-01-01,\n%s,,yes\n"):format(
      sha(SECRET), sha(("l"):rep(2048)), sha(SECRET .. "-past"), sha(SECRET .. "-off")))
    h.write(dir .. "/b.csv", "sha256,app\n" .. sha(OTHER) .. ",b\n")
    ec, other = signed.key(dir, "signer"), signed.key(dir, "foreign")
    rsa = pair("rsa_signer", "-algorithm RSA -pkeyopt rsa_keygen_bits:2048")
    local ed = pair("ed_signer", "-algorithm ed25519")
    local modulus = h.shell(("openssl rsa -pubin -in '%s.pub' -noout -modulus"):format(rsa))
      :match("Modulus=(%x+)")
    local x = h.shell(("openssl pkey -pubin -in '%s.pub' -outform der | tail -c 32 | base64")
      :format(ed)):gsub("%s", "")
    h.write(dir .. "/jwks.json", ('{"keys":[%s,{"kty":"oct","kid":"h","k":"%s"},'
      .. '{"kty":"RSA","kid":"r","n":"%s","e":"AQAB"},'
      .. '{"kty":"OKP","crv":"Ed25519","kid":"d","x":"%s"}]}'):format(jwk(ec, "e"),
      signed.url(SHARED), signed.url(bytes(modulus)), signed.url(mime.unb64(x))))
    s = h.server { dir = dir, policy = POLICY,
      wrap = { "env", "S_NEW=" .. SECRET, "S_OLD=" .. OLD } }
    tls = tonumber(s:text():match("listen=[%d.]+:%d+,127%.0%.0%.1:(%d+)"))
  end)

  teardown(function()
    if s then s:close() end
    h.remove(dir)
  end)

  -- The same credentials for each form of a key; {} is how the form sends one.
  local function keys(path, line, changed)
    local rows = {
      { "right", "202 ", SECRET }, { "wrong", "401 unknown_key", SECRET .. "x" },
      { "shorter", "401 unknown_key", SECRET:sub(1, -2) },
      { "of another case", "401 unknown_key", SECRET:upper() },
      { "of another tenant", "401 unknown_key", OTHER },
      { "expired", "401 expired_key", SECRET .. "-past" },
      { "revoked", "401 disabled_key", SECRET .. "-off" },
      { "its hash", "401 unknown_key", sha(SECRET) },
      { "of 2048 bytes", "202 ", ("l"):rep(2048) },
      { "of 2049 bytes", "401 unknown_key", ("l"):rep(2049) },
      { "missing", "401 missing_key" }, { "empty", "401 missing_key", "" } }
    for _, r in ipairs(rows) do r[2] = changed and changed[r[1]] or r[2] end
    table_of(rows, function(key)
      return send(path, body(), key and line(key))
    end)
  end

  local function bearer(key) return "Authorization: Bearer " .. key end

  it("bearer", function()
    keys("bearer", bearer, { empty = "401 malformed_key" })
    table_of({
      { "scheme in another case", "202 ", "Authorization: bEARER " .. SECRET },
      { "spaces around", "202 ", "Authorization:  Bearer   " .. SECRET .. "  " },
      { "twice", "401 malformed_key", bearer(SECRET), bearer(SECRET) },
      { "two in one", "401 malformed_key", bearer(SECRET .. "," .. SECRET) },
      { "a space within", "401 malformed_key", bearer(SECRET .. " x") },
      { "a tab for the space", "401 malformed_key", "Authorization: Bearer\t" .. SECRET },
      { "no space", "401 missing_key", "Authorization: Bearer" .. SECRET },
      { "another scheme", "401 missing_key", "Authorization: Token " .. SECRET },
      { "no scheme", "401 missing_key", "Authorization: " .. SECRET },
      { "the key of another form", "401 missing_key", "X-API-Key: " .. SECRET },
    }, function(...) return send("bearer", body(), ...) end)
  end)

  it("a header", function()
    keys("header", function(key) return "X-API-Key: " .. key end)
    table_of({
      { "name in another case", "202 ", "x-aPi-kEY: " .. SECRET },
      { "spaces around", "202 ", "X-API-Key:   " .. SECRET .. " \t" },
      { "twice", "401 malformed_key", "X-API-Key: " .. SECRET, "X-API-Key: " .. SECRET },
      { "a good one and a bad one", "401 malformed_key", "X-API-Key: " .. SECRET,
        "X-API-Key: x" },
      { "a space within", "401 malformed_key", "X-API-Key: " .. SECRET .. " x" },
      { "with a scheme", "401 malformed_key", "X-API-Key: Bearer " .. SECRET },
      { "in Authorization", "401 missing_key", bearer(SECRET) },
    }, function(...) return send("header", body(), ...) end)
  end)

  it("basic", function()
    local function basic(text) return "Authorization: Basic " .. (mime.b64(text)) end
    keys("basic", function(key) return basic("user:" .. key) end, { empty = "401 unknown_key" })
    local right = (mime.b64("u:" .. SECRET))
    table_of({
      { "as the user", "202 ", basic(SECRET .. ":") },
      { "user and another password", "401 unknown_key", basic(SECRET .. ":x") },
      { "unpadded", "202 ", "Authorization: Basic " .. right:gsub("=", "") },
      { "a sign of padding too many", "401 malformed_key",
        "Authorization: Basic " .. right:gsub("=", "") .. "===" },
      { "no base64", "401 malformed_key", "Authorization: Basic !!!!" },
      { "no colon", "401 malformed_key", basic(SECRET) },
      { "twice", "401 malformed_key", basic("u:" .. SECRET), basic("u:" .. SECRET) },
      { "as bearer", "401 missing_key", bearer(SECRET) },
    }, function(...) return send("basic", body(), ...) end)
  end)

  it("a parameter of the query", function()
    keys("query", function() end, { right = "401 missing_key", wrong = "401 missing_key",
      shorter = "401 missing_key", expired = "401 missing_key", revoked = "401 missing_key",
      ["of another case"] = "401 missing_key", ["of another tenant"] = "401 missing_key",
      ["its hash"] = "401 missing_key", ["of 2048 bytes"] = "401 missing_key",
      ["of 2049 bytes"] = "401 missing_key" })
    table_of({
      { "right", "202 ", "key=" .. SECRET },
      { "escaped", "202 ", "k%65y=" .. SECRET:gsub("-", "%%2d") },
      { "wrong", "401 unknown_key", "key=x" .. SECRET },
      { "expired", "401 expired_key", "key=" .. SECRET .. "-past" },
      { "revoked", "401 disabled_key", "key=" .. SECRET .. "-off" },
      { "of another tenant", "401 unknown_key", "key=" .. OTHER },
      { "empty", "401 missing_key", "key=" }, { "name in another case", "401 missing_key",
        "Key=" .. SECRET },
      { "twice", "401 malformed_key", "key=" .. SECRET .. "&key=" .. SECRET },
      { "twice, one escaped", "401 malformed_key", "key=" .. SECRET .. "&%6bey=x" },
      { "a space behind", "401 unknown_key", "key=" .. SECRET .. "+" },
      { "of 2049 bytes", "401 unknown_key", "key=" .. ("k"):rep(2049) },
      { "of 2048 bytes, all escaped", "202 ", "key=" .. ("%6c"):rep(2048) },
    }, function(query) return send("query?" .. query, body()) end)
  end)

  it("hmac, in the form of each sender", function()
    local forms = {
      github = function(key, text) return { "X-Hub-Signature-256: sha256=" .. mac(key, text) } end,
      shopify = function(key, text) return { "X-Shopify-Hmac-SHA256: " .. b64(mac(key, text)) } end,
      stripe = function(key, text, t)
        return { ("Stripe-Signature: t=%s,v1=%s"):format(t, mac(key, t .. "." .. text)) }
      end,
      slack = function(key, text, t)
        return { "X-Slack-Signature: v0=" .. mac(key, "v0:" .. t .. ":" .. text),
          "X-Slack-Request-Timestamp: " .. t }
      end }
    for _, path in ipairs { "github", "shopify", "stripe", "slack" } do
      local timed = path == "stripe" or path == "slack"
      local function try(key, o)
        o = o or {}
        local text, t = body(), tostring(os.time() + (o.late or 0))
        local lines = forms[path](key, text, o.stamp or t)
        if o.change then lines[1] = o.change(lines[1]) end
        if o.twice then lines[#lines + 1] = lines[1] end
        return send(path, o.other and body() or text, unpack(lines))
      end
      local rows = {
        { "right", "202 ", SECRET }, { "by the second secret", "202 ", OLD },
        { "of another tenant", "401 bad_signature", OTHER },
        { "of another body", "401 bad_signature", SECRET, { other = true } },
        { "twice", path == "stripe" and "202 " or "401 bad_signature", SECRET, { twice = true } },
        { "one letter less", "401 bad_signature", SECRET,
          { change = function(l) return l:sub(1, -2) end } },
        { "one letter more", "401 bad_signature", SECRET,
          { change = function(l) return l .. "a" end } },
        { "over-long", "401 bad_signature", SECRET,
          { change = function(l) return l .. ("a"):rep(3000) end } },
        { "a wrong letter", "401 bad_signature", SECRET,
          { change = function(l) return l:sub(1, -3) .. "!" .. l:sub(-1) end } },
        { "empty", "401 bad_signature", SECRET,
          { change = function(l) return l:match("^[^:]*:") end } },
        { "spaces around", "202 ", SECRET, { change = function(l) return l .. "  " end } } }
      local function row(...) rows[#rows + 1] = { ... } end
      if path == "shopify" then
        row("the hash in hex", "401 bad_signature", SECRET, { change = function(l)
          return "X-Shopify-Hmac-SHA256: " .. ("0"):rep(64) .. l:sub(1, 0)
        end })
        row("unpadded", "401 bad_signature", SECRET,
          { change = function(l) return (l:gsub("=", "")) end })
        row("in base64url", "401 bad_signature", SECRET,
          { change = function(l) return l:gsub("=$", "-") end })
      else
        row("digits in another case", "202 ", SECRET, { change = function(l)
          return (l:gsub("=(%x+)$", function(x) return "=" .. x:upper() end))
        end })
        row("the scheme in another case", "401 bad_signature", SECRET, { change = function(l)
          return (l:gsub("(%w+)=(%x+)$", function(k, x) return k:upper() .. "=" .. x end))
        end })
      end
      if timed then
        row("late", "401 expired", SECRET, { late = -400 })
        row("early", "401 expired", SECRET, { late = 400 })
        row("a time with a sign", "401 bad_signature", SECRET, { stamp = "+" .. os.time() })
        row("a time that is none", "401 bad_signature", SECRET, { stamp = "now" })
        row("a time of 30 digits", "401 bad_signature", SECRET, { stamp = ("1"):rep(30) })
      end
      table_of(rows, try)
      assert.equal("401 unsigned", send(path, body()))
    end
    -- The time is another than the signed one.
    local text, now = body(), os.time()
    assert.equal("401 bad_signature", send("slack", text,
      "X-Slack-Signature: v0=" .. mac(SECRET, ("v0:%d:%s"):format(now - 400, text)),
      "X-Slack-Request-Timestamp: " .. now))
    assert.equal("401 bad_signature", send("stripe", text, ("Stripe-Signature: t=%d,t=%d,v1=%s")
      :format(now, now - 400, mac(SECRET, now .. "." .. text))))
    assert.equal("401 unsigned", send("slack", text, "X-Slack-Signature: v0=" .. ("0"):rep(64)))
  end)

  it("a token, of each algorithm", function()
    local function claims(o)
      o = o or {}
      return ('{"iss":"%s","aud":%s,"exp":%s%s}'):format(o.iss or "https://i.example",
        o.aud or '"events"', o.exp or os.time() + 600, o.more or "")
    end
    local function head(alg, kid, more)
      return ('{"alg":"%s"%s%s}'):format(alg, kid and (',"kid":"%s"'):format(kid) or "",
        more or "")
    end
    local function es(payload, header, key)
      return signed.jws(key or ec, header or head("ES256", "e"), payload or claims())
    end
    local none = signed.url(head "none") .. "." .. signed.url(claims()) .. "."
    local good = es()
    local public = h.read(rsa .. ".pub")
    -- The signed text by the public key as a secret: what RS256's confusion with HS256 is.
    local function confused(kid)
      local input = signed.url(head("HS256", kid)) .. "." .. signed.url(claims())
      h.write(dir .. "/text", input)
      local hex = h.shell(("openssl dgst -sha256 -mac HMAC -macopt hexkey:%s -r '%s/text'"):format(
        (public:gsub(".", function(c) return ("%02x"):format(c:byte()) end)), dir)):match("^%x+")
      return input .. "." .. signed.url(bytes(hex))
    end
    local hs = signed.hs256(SHARED, head("HS256", "h"), claims())
    table_of({
      { "ES256", "202 ", good },
      { "HS256", "202 ", hs },
      { "RS256", "202 ", sign(rsa, head("RS256", "r"), claims(), "-digest sha256") },
      { "EdDSA", "202 ", sign(dir .. "/ed_signer", head("EdDSA", "d"), claims()) },
      { "none", "401 bad_token", none },
      { "None", "401 bad_token", (none:gsub("^[^.]+", signed.url(head "None"))) },
      { "none with a signature", "401 bad_token", none .. good:match("[^.]+$") },
      { "no signature", "401 bad_token", good:match("^[^.]+%.[^.]+%.") },
      { "two parts", "401 bad_token", (good:match("^[^.]+%.[^.]+")) },
      { "four parts", "401 bad_token", good .. ".x" },
      { "HS256 by RSA's public key", "401 unknown_key", confused "r" },
      { "HS256 by RSA's public key, no kid", "401 bad_token", confused() },
      { "ES256's kid with HS256", "401 unknown_key", signed.hs256(SHARED, head("HS256", "e"),
        claims()) },
      { "ES384", "401 bad_token", es(nil, head("ES384", "e")) },
      { "PS256", "401 bad_token", es(nil, head("PS256", "r")) },
      { "HS512", "401 bad_token", signed.hs256(SHARED, head("HS512", "h"), claims()) },
      { "es256", "401 bad_token", es(nil, head("es256", "e")) },
      { "alg twice", "401 bad_token", es(nil, head("ES256", "e", ',"alg":"ES256"')) },
      { "crit", "401 bad_token", es(nil, head("ES256", "e", ',"crit":["x"]')) },
      { "b64", "401 bad_token", es(nil, head("ES256", "e", ',"b64":false')) },
      { "a key in its header", "401 bad_token", es(nil, head("ES256", "e", ',"jwk":'
        .. jwk(other, "e")), other) },
      { "an address of keys", "401 bad_token", es(nil, head("ES256", "e",
        ',"jku":"http://127.0.0.1/jwks.json"'), other) },
      { "unknown kid", "401 unknown_key", es(nil, head("ES256", "x")) },
      { "kid like a path", "401 unknown_key", es(nil, head("ES256", "../../../dev/null")) },
      { "kid with an escape", "202 ", es(nil, '{"alg":"ES256","kid":"\\u0065"}') },
      { "kid that is a number", "401 bad_token", es(nil, '{"alg":"ES256","kid":1}') },
      { "kid of 257 bytes", "401 bad_token", es(nil, head("ES256", ("e"):rep(257))) },
      { "no kid, one key of its alg", "202 ", es(nil, head "ES256") },
      { "of another key", "401 bad_token", es(nil, nil, other) },
      { "claims of another token", "401 bad_token", (good:gsub("^([^.]+)%.[^.]+",
        "%1." .. signed.url(claims { exp = os.time() + 9999 }))) },
      { "padded", "401 bad_token", good .. "=" },
      { "one letter more", "401 bad_token", good .. "A" },
      { "plus and slash", "401 bad_token", (good:gsub("[^.]+$", ("+/"):rep(43))) },
      { "HS256 with loose bits", "401 bad_token", hs:sub(1, -2)
        .. ({ A = "B", E = "F", I = "J", M = "N", Q = "R", U = "V", Y = "Z", c = "d", g = "h",
          k = "l", o = "p", s = "t", w = "x", ["0"] = "1", ["4"] = "5", ["8"] = "9" })[hs:sub(-1)]
      },
      { "expired", "401 expired_token", es(claims { exp = os.time() - 1 }) },
      { "no exp", "401 bad_token", es '{"iss":"https://i.example","aud":"events"}' },
      { "exp null", "401 bad_token", es(claims { exp = "null" }) },
      { "exp a text", "401 bad_token", es(claims { exp = '"4102444800"' }) },
      { "exp with an exponent", "401 bad_token", es(claims { exp = "4e9" }) },
      { "exp twice", "401 bad_token", es(claims { more = ',"exp":4102444800' }) },
      { "nbf to come", "401 early_token", es(claims { more = ',"nbf":4102444800' }) },
      { "of another issuer", "401 wrong_issuer", es(claims { iss = "https://i.example/" }) },
      { "for another service", "401 wrong_audience", es(claims { aud = '"Events"' }) },
      { "for several", "202 ", es(claims { aud = '["x","events"]' }) },
      { "for nobody", "401 wrong_audience", es(claims { aud = "[]" }) },
      { "of 8193 bytes", "401 bad_token", good .. ("A"):rep(8193 - #good) },
      { "a space within", "401 malformed_key", (good:gsub("%.", ". ", 1)) },
      { "empty", "401 malformed_key", "" },
    }, function(token)
      -- Twice: what was refused once must not be known as good from a cache.
      local first = send("jwt", body(), bearer(token))
      assert.equal(first, send("jwt", body(), bearer(token)))
      return first
    end)
    assert.equal("401 missing_key", send("jwt", body()))
    assert.equal("401 malformed_key", send("jwt", body(), bearer(good), bearer(good)))
  end)

  it("a client's certificate", function()
    table_of({
      { "right", "202 ", "good" }, { "revoked", "401 disabled_certificate", "off" },
      { "unknown", "401 unknown_certificate", "stranger" },
      { "missing", "401 missing_certificate" },
      { "of another authority", "000 ", "forged" },
    }, function(name)
      local text = body()
      local out = h.shell(("curl -s --max-time 20 --cacert '%s/ec.pem' %s --resolve "
        .. "a.example:%d:127.0.0.1 -w ' %%{http_code}' -H 'Content-Type: application/json' "
        .. "-H 'X-Client-Cert: good' -d '%s' https://a.example:%d/cert"):format(dir,
        name and ("--cert '%s/%s.pem' --key '%s/%s.key'"):format(dir, name, dir, name) or "",
        tls, text, tls))
      return note(text, out:match("(%d+)%s*$") .. " " .. (out:match('"code":"([%w_]+)"') or ""))
    end)
    -- A listener without TLS has none, whatever a header says.
    assert.equal("401 missing_certificate", send("cert", body(), "X-Client-Cert: good"))
  end)

  it("one of several", function()
    local function hub(key, text) return "X-Hub-Signature-256: sha256=" .. mac(key, text) end
    local function any(want, make)
      local text = body()
      assert.equal(want, send("any", text, unpack(make(text))))
    end
    any("202 ", function() return { bearer(SECRET) } end)
    any("202 ", function() return { "X-API-Key: " .. OTHER } end)
    any("202 ", function(text) return { hub(SECRET, text) } end)
    any("202 ", function(text) return { bearer "wrong", "X-API-Key: x", hub(OLD, text) } end)
    any("202 ", function(text) return { bearer(SECRET), hub(OTHER, text) } end)
    -- Each form has keys of its own.
    any("401 unknown_key", function() return { bearer(OTHER) } end)
    any("401 unknown_key", function() return { "X-API-Key: " .. SECRET } end)
    any("401 bad_signature", function(text) return { bearer "wrong", hub(OTHER, text) } end)
    any("401 expired_key", function() return { bearer(SECRET .. "-past"), "X-API-Key: x" } end)
    any("401 missing_key", function() return {} end)
  end)

  it("refuses before it reads the body, where the body can't make it good", function()
    for path, want in pairs { github = "401 unsigned", slack = "401 unsigned",
      any = "401 missing_key", jwt = "401 missing_key", bearer = "401 missing_key" } do
      local c = h.connect(s.port)
      c:send(("POST /%s HTTP/1.1\r\nHost: t\r\nContent-Type: application/json\r\n"
        .. "Content-Length: 1000000\r\nExpect: 100-continue\r\n\r\n"):format(path))
      local a = h.answer(c)
      assert.equal(want, a.status .. " " .. a.body:match('"code":"([%w_]+)"'))
      c:close()
    end
  end)

  it("stores what it took, and nothing else", function()
    assert.is_true(#stored > 40, #stored)
    h.wait_for("all that was taken", function() return #s:lines("archive") >= #stored end)
    assert.equal(0, s:stop())
    local got = s:lines("archive")
    table.sort(got)
    table.sort(stored)
    assert.same(stored, got)
    assert.equal("", h.shell(("grep -rlaE 's3cret|%s' '%s/data' '%s/log'"):format(
      signed.url(SHARED), s.dir, s.dir)))
  end)
end)
