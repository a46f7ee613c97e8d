-- Mistakes in hmac { } and jwt { } of a route's auth: what is said of each, word for word. Rows
-- as in diagnostics_spec.lua. No secret is said.
local checking = require "spec.checking"
local h = require "harness"

local BASE = [[
file "a" { dir = "a" }
stream "s" { sinks = { "a" } }
]]

local function route(auth, more)
  return ('{BASE}route "POST /x" { body = "event", stream = "s", auth = %s%s }')
    :format(auth, more and ", " .. more or "")
end

local function hook(more)
  return route(('hmac { secret = "planted-s3cret-of-many-bytes", %s }'):format(more))
end

local function token(more) return route(("jwt { %s }"):format(more)) end

local AT = [[p.lua:3: route "POST /x".auth]]

local rows = {
  { "a hook without a secret", route 'hmac { header = "X-S", format = "{hex}" }',
    AT .. [[.hmac: needs a secret: write secret = env "NAME"]] },
  { "an empty secret", route 'hmac { secret = "", header = "X-S", format = "{hex}" }',
    AT .. [[.hmac.secret: "" is empty: expected a text]] },
  { "a secret of spaces alone", route 'hmac { secret = " \\n ", header = "X-S", format = "{hex}" }',
    AT .. [[.hmac.secrets: secret 1 is empty, or only spaces: anyone could sign]] },
  { "a secret in two places", route('hmac { secret = "planted-s3cret-of-many-bytes", '
    .. 'secrets = { "planted-s3cret-of-many-bytes" }, header = "X-S", format = "{hex}" }'),
    AT .. [[.hmac.secrets: stands beside secret: write one of them]] },
  { "more than four secrets", route('hmac { secrets = { "s3cret-of-many-bytes-1", '
    .. '"s3cret-of-many-bytes-2", "s3cret-of-many-bytes-3", "s3cret-of-many-bytes-4", '
    .. '"s3cret-of-many-bytes-5" }, header = "X-S", format = "{hex}" }'),
    AT .. [[.hmac.secrets: 5 secrets; expected at most 4]] },
  { "a secret that the environment lacks",
    route 'hmac { secret = env "NO_SUCH_SECRET", header = "X-S", format = "{hex}" }',
    [[p.lua:3: env "NO_SUCH_SECRET": not set, and no default given]] },
  { "a hook without a header", hook 'format = "{hex}"',
    AT .. [[.hmac: needs header: header that has the signature, such as "X-Hub-Signature-256"]] },
  { "what is no header", hook 'header = "X S", format = "{hex}"',
    AT .. [[.hmac.header: "X S" is not the name of a header]] },
  { "a format without a digest", hook 'header = "X-S", format = "sha256="',
    AT .. [[.hmac.format: expected a text before {hex} or {base64} such as "sha256={hex}", or a list such as "t={timestamp},v1={hex}"]] },
  { "a text without the body", hook 'header = "X-S", format = "{hex}", signed = "x"',
    AT .. [[.hmac.signed: expected {body} once, {timestamp} at most once and other texts, such as "{timestamp}.{body}"]] },
  { "a time that is not signed", hook 'header = "X-S", format = "t={timestamp},v1={hex}"',
    AT .. [[.hmac.signed: does not sign {timestamp}: anyone could write another time]] },
  { "a time that is nowhere", hook 'header = "X-S", format = "{hex}", signed = "{timestamp}.{body}"',
    AT .. [[.hmac.signed: signs {timestamp}, and the request has none: name its header by timestamp, or write {timestamp} into format]] },
  { "a time in two places", hook('header = "X-S", format = "t={timestamp},v1={hex}", '
    .. 'signed = "{timestamp}.{body}", timestamp = "X-T", window = "5m"'),
    AT .. [[.hmac.format: has {timestamp}, and timestamp names a header for it: one is too many]] },
  { "a time without a window", hook('header = "X-S", format = "t={timestamp},v1={hex}", '
    .. 'signed = "{timestamp}.{body}"'),
    AT .. [[.hmac: needs window: without it a request could be sent again for ever; write window = "5m"]] },
  { "a window without a time", hook 'header = "X-S", format = "{hex}", window = "5m"',
    AT .. [[.hmac.window: needs {timestamp} in signed: nothing else says when the request was made]] },
  { "an unknown option", hook 'header = "X-S", format = "{hex}", windo = "5m"',
    AT .. [[.hmac.windo: unknown key; did you mean "window"?]] },
  { "a signature of a body that is not the event", ('{BASE}route "GET /x" { body = "query", '
    .. 'stream = "s", auth = hmac { secret = "planted-s3cret-of-many-bytes", header = "X-S", '
    .. 'format = "{hex}" } }'),
    [[p.lua:3: route "GET /x".auth: hmac signs the body, and with body = "query" an event may be the query, which is not signed: write body = "event" or "form"]] },
  { "a token without keys", token 'iss = "me"',
    AT .. [[.jwt: needs keys: path of the JWK set, from the policy's folder]] },
  { "a set that is not there", token 'keys = "gone.json"',
    AT .. [[.jwt.keys: gone.json: No such file or directory]] },
  { "a set outside the folder", token 'keys = "../jwks.json"',
    AT .. [[.jwt.keys: expected a file beside the policy, such as "jwks.json"]] },
  { "a private key", token 'keys = "private.json"',
    AT .. [[.jwt.keys: private.json: key 1 is a private key: the file must have public keys only]] },
  { "a file that is no set", token 'keys = "pem.json"',
    AT .. [[.jwt.keys: pem.json: is no JSON object: expected {"keys": […]}]] },
  { "a secret of few bytes", token 'keys = "short.json"',
    AT .. [[.jwt.keys: short.json: key 1 has a secret of less than 32 bytes, too few for HS256]] },
  { "none", token 'keys = "jwks.json", algs = { "none" }',
    AT .. [[.jwt.algs[1]: none is no signature: anyone could write a token]] },
  { "an algorithm that is not known", token 'keys = "jwks.json", algs = { "ES512" }',
    AT .. [[.jwt.algs[1]: "ES512" is none of ES256, RS256, EdDSA, HS256]] },
  { "an audience that is no text", token 'keys = "jwks.json", aud = { 7 }',
    AT .. [[.jwt.aud: 7 is neither a text nor a list of texts]] },
  { "an audience in an empty list", token 'keys = "jwks.json", aud = {}',
    AT .. [[.jwt.aud: a table is neither a text nor a list of texts]] },
  { "an issuer with a name", token 'keys = "jwks.json", iss = { x = "me" }',
    AT .. [[.jwt.iss: a table is neither a text nor a list of texts]] },
  { "an audience behind nil", token 'keys = "jwks.json", aud = { nil, "us" }',
    AT .. [[.jwt.aud: a table is neither a text nor a list of texts]] },
  { "an algorithm behind nil", token 'keys = "jwks.json", algs = { nil, "ES256" }',
    AT .. [[.jwt.algs: a table is not a list of texts: { "a", "b" }]] },
  { "a method behind nil", route 'any_of { nil, jwt { keys = "jwks.json" } }',
    AT .. [[: any_of needs a list: any_of { bearer "KEYS", header "NAME" "KEYS" }]] },
  { "a method before nil", route 'any_of { jwt { keys = "jwks.json" }, nil, 7 }',
    AT .. [[: any_of needs a list: any_of { bearer "KEYS", header "NAME" "KEYS" }]] },
  { "too much leeway", token 'keys = "jwks.json", leeway = "1h"',
    AT .. [[.jwt.leeway: "1h" is more than 10m]] },
  { "a claim that is not named", route('jwt { keys = "jwks.json", claims = { "sub" } }',
    'set = { u = "jwt:subject" }'),
    [[p.lua:3: route "POST /x".set.u: the token's claims that may be read have no "subject": add it to claims of jwt { }]] },
  { "a claim on a route without a token",
    '{BASE}route "POST /x" { body = "event", stream = "s", set = { u = "jwt:sub" } }',
    [[p.lua:3: route "POST /x".set.u: needs auth = jwt { … }: a token is known only then]] },
  { "a set of keys alone, where a claim of its tokens is stored",
    route('jwt { keys = "short.json", claims = { "sub" } }', 'set = { u = "jwt:sub" }'),
    AT .. [[.jwt.keys: short.json: key 1 has a secret of less than 32 bytes, too few for HS256]] },
  { "a limit by a claim of no token", token 'keys = "jwks.json"'
    .. '\nlocal l = limit { rate = "1/s", key = "jwt:sub" }',
    [[p.lua:4: limit.key: no jwt { } of a route has the claim "sub" in claims]] },
  { "a token that would be stored", route('jwt { keys = "jwks.json" }',
    'set = { k = "header:authorization" }'),
    [[p.lua:3: route "POST /x".set.k: would store the client's key: write "key:COLUMN" for a column of its row]] },
}

describe("sluice check, of signatures and tokens,", function()
  local c = checking.new(BASE)

  setup(function()
    local point = '"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",'
      .. '"y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"'
    h.write(c.dir .. "/jwks.json", ('{"keys":[{%s}]}'):format(point))
    h.write(c.dir .. "/private.json", ('{"keys":[{%s,"d":"planted-s3cret"}]}'):format(point))
    h.write(c.dir .. "/pem.json", "-----BEGIN PUBLIC KEY-----\n")
    h.write(c.dir .. "/short.json", '{"keys":[{"kty":"oct","k":"cGxhbnRlZC1zM2NyZXQ"}]}')
  end)
  teardown(c.remove)

  for _, row in ipairs(rows) do
    it("names " .. row[1], function()
      local out, code = c.problems(row[2])
      assert.equal(row[3], out)
      assert.equal(1, code)
      assert.is_nil(out:find("s3cret", 1, true))
      assert.is_nil(out:find("cGxhbnRlZ", 1, true))
    end)
  end

  it("notes a secret that can be guessed, and takes it", function()
    local out, code = c.check(route 'hmac { secret = "s3cret", header = "X-S", format = "{hex}" }')
    assert.equal(0, code, out)
    assert.matches("note: auth.hmac: secret 1 has 6 bytes: one of less than 16 can be guessed", out,
      1, true)
    assert.is_nil(out:find("s3cret", 1, true))
  end)

  it("notes a signed text whose time and body can't be told apart", function()
    local function notes(signed)
      local out, code = c.check(hook(('header = "X-S", format = "{hex}", timestamp = "X-T", '
        .. 'window = "5m", signed = "%s"'):format(signed)))
      assert.equal(0, code, out)
      return out:find("a digit can be moved from one to the other", 1, true) ~= nil
    end
    for signed, noted in pairs { ["{body}{timestamp}"] = true, ["{timestamp}00{body}"] = true,
      ["v0:{timestamp}.{body}"] = false, ["{body}\\n{timestamp}"] = false } do
      assert.equal(noted, notes(signed), signed)
    end
  end)

  it("takes both, one value for several routes, and hmac(key, s) as before", function()
    local out, code = c.check([[{BASE}
local who = jwt { keys = "jwks.json", iss = "me", aud = { "us" }, algs = { "ES256" },
  leeway = "30s", claims = { "sub" } }
local l = limit { rate = "1/s", key = "jwt:sub" }
local id = hmac("a", "b")
route "POST /x" { body = "event", stream = "s", auth = who, set = { u = "jwt:sub" },
  on_request = function(req) return l:check(req) end }
route "POST /y" { body = "batch", stream = "s", auth = any_of { who, hmac { secrets = {
  "planted-s3cret-of-many-bytes" }, header = "X-S", format = "v0={base64}",
  signed = "v0:{timestamp}:{body}", timestamp = "X-T", window = "5m" } },
  on_event = function(ev, req) ev.id, ev.who = hmac(id, ev.id), req.jwt.sub end }
]])
    assert.equal(0, code, out)
  end)
end)
