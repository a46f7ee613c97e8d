-- Mistakes in client_cert { } of a route's auth: what is said of each, word for word. Rows as in
-- diagnostics_spec.lua.
package.path = package.path .. ";./tests/e2e/?.lua"
local certificates = require "certificates"
local checking = require "spec.checking"
local h = require "harness"

local SHA = ("0123456789abcdef"):rep(4)

local BASE = [[
listen ":8443" { tls = { cert = "a.pem", key = "a.key", client = "optional", ca = "a.pem" } }
file "a" { dir = "a" }
stream "s" { sinks = { "a" } }
keys "machines" { file = "machines.csv" }
]]

local function route(auth, more)
  return ('{BASE}route "POST /x" { body = "event", stream = "s", auth = %s%s }')
    :format(auth, more and ", " .. more or "")
end

local AT = [[p.lua:5: route "POST /x".auth]]
local PLAIN = [[listen ":8080" {}
file "a" { dir = "a" }
stream "s" { sinks = { "a" } }
]]

local rows = {
  { "no options", route 'client_cert "shop"',
    AT .. [[.client_cert: needs its options: write client_cert { subject = "CN=app7,O=Example" }]] },
  { "an unknown option", route 'client_cert { issuer = "CN=a" }',
    AT .. [[.client_cert.issuer: unknown key]] },
  { "a subject without an attribute", route 'client_cert { subject = "shop7" }',
    AT .. [[.client_cert.subject[1]: "shop7" is no subject such as "CN=app7,O=Example"]] },
  { "a subject with slashes", route 'client_cert { subject = { "CN=a", "/O=Example/CN=app7" } }',
    AT .. [[.client_cert.subject[2]: "/O=Example/CN=app7": write "CN=app7,O=Example", as openssl x509 -noout -subject -nameopt RFC2253 prints it]] },
  { "a subject as openssl prints it by default", route 'client_cert { subject = "O = Example, CN = app7" }',
    AT .. [[.client_cert.subject[1]: "O = Example, CN = app7" has a space beside a comma or =: no subject has one there]] },
  { "a star that is escaped", route [[client_cert { ca = "CN=a\\*" }]],
    AT .. [[.client_cert.ca[1]: "CN=a\*": a * can't be escaped]] },
  { "a subject that is cut anyway", route(('client_cert { subject = "CN=%s" }'):format(("x"):rep(250))),
    AT .. [[.client_cert.subject[1]: 253 bytes; expected at most 250]] },
  { "a fingerprint of SHA-1", route(('client_cert { fingerprint = "%s" }'):format(SHA:sub(1, 40))),
    AT .. [[.client_cert.fingerprint[1]: "0123456789abcdef0123456789abcdef01234567" is no SHA-256 of 64 hex digits, as openssl x509 -noout -fingerprint -sha256 prints it]] },
  { "an empty list, which would let all in", route 'client_cert { fingerprint = {} }',
    AT .. [[.client_cert.fingerprint: a table is neither a text nor a list of texts]] },
  { "keys that are not there", route 'client_cert { keys = "machine" }',
    AT .. [[.client_cert: there are no keys "machine"; did you mean "machines"?]] },
  { "a row that is not asked for", route 'client_cert { by = "subject" }',
    AT .. [[.client_cert.by: needs keys: it says which row of them is the client's]] },
  { "a column without keys", route('client_cert {}', 'set = { m = "key:machine" }'),
    [[p.lua:5: route "POST /x".set.m: a request that comes with client_cert has no row of a key]] },
  { "fingerprints that a client could send as its password",
    route 'any_of { client_cert { keys = "machines" }, basic "machines" }',
    AT .. [[: the keys "machines" are those of client_cert in line 5, and certificates are no secrets: give basic keys of its own]] },
  { "the same, at another route", route('client_cert { keys = "machines" }')
    .. '\nroute "GET /q" { body = "query", stream = "s", auth = bearer "machines" }',
    [[p.lua:6: route "GET /q".auth: the keys "machines" are those of client_cert in line 5, and certificates are no secrets: give bearer keys of its own]] },
  { "a listener that asks for no certificate",
    PLAIN .. 'route "POST /x" { body = "event", stream = "s", auth = client_cert {} }',
    [[p.lua:4: route "POST /x".auth: client_cert needs a listener that asks for certificates, and the one at ":8080" does not: give its tls client = "optional" or "required", and ca]] },
  { "the same in any_of, and for two methods once", PLAIN .. 'keys "m" { file = "machines.csv" }\n'
    .. 'route { "POST", "PUT", "/x" } { body = "event", stream = "s", '
    .. 'auth = any_of { bearer "m", client_cert {} } }',
    [[p.lua:5: route "POST, PUT /x".auth: client_cert needs a listener that asks for certificates, and the one at ":8080" does not: give its tls client = "optional" or "required", and ca]] },
  { "a listener that asks, but serves other routes",
    ([[listen ":8443" { routes = { "GET /q" }, tls = { cert = "a.pem", key = "a.key", client = "optional", ca = "a.pem" } }
%sroute "GET /q" { body = "query", stream = "s" }
route "POST /x" { body = "event", stream = "s", auth = client_cert {} }]]):format(PLAIN),
    [[p.lua:6: route "POST /x".auth: client_cert needs a listener that asks for certificates, and the one at ":8080" does not: give its tls client = "optional" or "required", and ca]] },
}

describe("mistakes in client_cert { }", function()
  local c

  setup(function()
    c = checking.new(BASE)
    certificates.make(c.dir, "a")
    h.write(c.dir .. "/machines.csv", "sha256,machine\n" .. SHA .. ",shop7\n")
  end)

  teardown(function() c.remove() end)

  for _, row in ipairs(rows) do
    local title, text, expected = unpack(row)
    it("tells of " .. title, function()
      local got = c.problems(text)
      assert.equal(expected, got)
    end)
  end

  it("notes a listener by which no request gets in", function()
    local out, code = c.check(route('client_cert {}') .. '\nlisten ":8080" {}')
    assert.equal(0, code, out)
    assert.truthy(out:find('route "POST /x": no request that comes by the listener at ":8080" gets '
      .. 'in, because it asks for no client certificate', 1, true), out)
  end)

  it("takes fingerprints as openssl prints them, and all forms at once", function()
    local out, code = c.check(route(('any_of { client_cert { ca = "CN=senders", subject = { '
      .. '"CN=shop*,O=Example", "CN=blog" }, fingerprint = "%s" }, client_cert { keys = "machines", '
      .. 'by = "subject" }, client_cert {} }'):format(SHA:upper():gsub("(..)", "%1:"):sub(1, -2))))
    assert.equal(0, code, out)
  end)
end)
