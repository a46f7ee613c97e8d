-- Mistakes in routes that accept signed postbacks: what is said of each, word for word.
-- Rows as in diagnostics_spec.lua.
local checking = require "spec.checking"

-- Keys of the curves P-256 and P-192: those that Apple documents.
local GOOD = "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEWdp8GPcGqmhgzEFj9Z2nSpQVddayaPe4FMzqM9wib1+a"
  .. "HaaIzoHoLN9zW4K8y4SPykE3YVK3sVqW6Af0lfx3gg=="
local WEAK = "MEkwEwYHKoZIzj0CAQYIKoZIzj0DAQEDMgAEMyHD625uvsmGq4C43cQ9BnfN2xslVT5V1nOmAMP6qaRR"
  .. "Ull3PB1JYmgSm+62sosG"

local BASE = [[
file "a" { dir = "a" }
stream "s" { sinks = { "a" } }
local GOOD = "]] .. GOOD .. [["
local WEAK = "]] .. WEAK .. [["
]]

local function route(signed, more)
  return ('route "POST /x" { body = "event", stream = "s", signed = { %s }%s }')
    :format(signed, more or "")
end

local rows = {
  { "no word for who signs", route '',
    [[p.lua:5: route "POST /x".signed: needs by: which postbacks: "skadnetwork", signed by attribution-signature, or "adattributionkit", whose jws-string is a JWS]] },
  { "an unknown signer", route 'by = "skadnetwrk"',
    [[p.lua:5: route "POST /x".signed.by: "skadnetwrk" is none of "skadnetwork", "adattributionkit"; did you mean "skadnetwork"?]] },
  { "a batch of postbacks",
    [[route "POST /x" { body = "batch", stream = "s", signed = { by = "skadnetwork" } }]],
    [[p.lua:5: route "POST /x".signed: needs body = "event": a request is one postback]] },
  { "a development key of SKAdNetwork", route 'by = "skadnetwork", apple = "development"',
    [[p.lua:5: route "POST /x".signed.apple: Apple documents no such key for SKAdNetwork: write keys = { … } for those of tests]] },
  { "no key at all", route 'by = "adattributionkit", apple = "none"',
    [[p.lua:5: route "POST /x".signed: trusts no key: write keys = { … }, or another word for apple]] },
  { "a key that is a secret", route 'by = "adattributionkit", keys = { own = "secret" }',
    [[p.lua:5: route "POST /x".signed.keys.own: is neither a PEM nor base64: write a PEM, or the DER of a public key in base64]] },
  { "a key that was cut", route 'by = "adattributionkit", keys = { own = GOOD:sub(1, 80) }',
    [[p.lua:5: route "POST /x".signed.keys.own: is no public key: expected a SubjectPublicKeyInfo: write a PEM, or the DER of a public key in base64]] },
  { "a weak key for a JWS", route 'by = "adattributionkit", keys = { own = WEAK }',
    [[p.lua:5: route "POST /x".signed.keys.own: is of the curve P-192: a JWS with ES256 has a key of P-256]] },
  { "Apple's kid again", route 'by = "adattributionkit", keys = { ["apple-cas-identifier/0"] = GOOD }',
    [[p.lua:5: route "POST /x".signed.keys.apple-cas-identifier/0: is one of Apple's keys that apple = "production" trusts already]] },
  { "too many keys",
    route 'by = "skadnetwork", keys = { a = GOOD, b = GOOD, c = GOOD, d = GOOD, e = GOOD, f = GOOD, g = GOOD }',
    [[p.lua:5: route "POST /x".signed.keys: 9 keys, 2 of them Apple's; expected at most 8]] },
  { "an unknown version", route 'by = "skadnetwork", versions = { "4.0", "4.1" }',
    [[p.lua:5: route "POST /x".signed.versions[2]: "4.1" is no version of SKAdNetwork that is known: expected 1.0, 2.0, 2.1, 2.2, 3.0, 4.0]] },
  { "versions of a JWS", route 'by = "adattributionkit", versions = { "4.0" }',
    [[p.lua:5: route "POST /x".signed.versions: is of by = "skadnetwork"]] },
  { "a payload of SKAdNetwork", route 'by = "skadnetwork", payload = "p"',
    [[p.lua:5: route "POST /x".signed.payload: is of by = "adattributionkit"]] },
  { "a payload below a field", route 'by = "adattributionkit", payload = "a.b"',
    [[p.lua:5: route "POST /x".signed.payload: expected a field of the event itself, without a dot, that has no other meaning]] },
  { "a payload that is set as well", route('by = "adattributionkit"', ', set = { postback = "peer" }'),
    [[p.lua:5: route "POST /x".set.postback: is the field of the signed payload]] },
  { "a version without a key of its curve",
    route 'by = "skadnetwork", apple = "none", keys = { own = GOOD }, versions = { "2.0" }',
    [[p.lua:5: route "POST /x".signed.keys: version 2.0 is signed with a key of the curve P-192, and there is none: add one, or say versions]] },
  { "a weak key alone", route 'by = "skadnetwork", apple = "none", keys = { own = WEAK }',
    [[p.lua:5: route "POST /x".signed.keys: version 2.1 is signed with a key of the curve P-256, and there is none: add one, or say versions]] },
  { "an unknown option", route 'by = "skadnetwork", key = GOOD',
    [[p.lua:5: route "POST /x".signed.key: unknown key; did you mean "keys"?]] },
}

describe("sluice check, of signed postbacks,", function()
  local c = checking.new(BASE)
  teardown(c.remove)

  for _, row in ipairs(rows) do
    it("names " .. row[1], function()
      local out, code = c.problems("{BASE}" .. row[2])
      assert.equal(row[3], out)
      assert.equal(1, code)
    end)
  end

  it("takes keys as a PEM and as base64, and both curves for old versions", function()
    local pem = "-----BEGIN PUBLIC KEY-----\n" .. GOOD:sub(1, 64) .. "\n" .. GOOD:sub(65)
      .. "\n-----END PUBLIC KEY-----\n"
    local out, code = c.check("{BASE}" .. route('by = "skadnetwork", apple = "none", '
      .. 'keys = { own = [[' .. pem .. ']], old = WEAK }, versions = { "1.0", "4.0" }'))
    assert.equal(0, code, out)
    out, code = c.check("{BASE}" .. route 'by = "adattributionkit", apple = "development"')
    assert.equal(0, code, out)
  end)
end)
