-- Mistakes in the TLS of listeners: in the policy's text, and in the files that it names.
-- Rows as in diagnostics_spec.lua.
package.path = package.path .. ";./tests/e2e/?.lua"
local certificates = require "certificates"
local checking = require "spec.checking"

local BASE = [[
null "a" {}
stream "events" { sinks = { "a" } }
route "POST /v1/events" { body = "event", stream = "events" }
]]

local rows = {
  { "a certificate without its key",
    [[{BASE}listen ":8443" { tls = { cert = "a.pem" } }]],
    [[p.lua:4: listen ":8443".tls: needs key: private key of the certificate: a PEM file without a passphrase]] },
  { "TLS that is no table",
    [[{BASE}listen ":8443" { tls = true }]],
    [[p.lua:4: listen ":8443".tls: true is not a table { }]] },
  { "a further certificate that is no table",
    [[{BASE}listen ":8443" { tls = { cert = "a.pem", key = "a.key", "b.pem" } }]],
    [[p.lua:4: listen ":8443".tls[1]: "b.pem" is not a table { }]] },
  { "a further certificate without a key, and with an unknown option",
    [[{BASE}listen ":8443" { tls = { cert = "a.pem", key = "a.key", { cert = "b.pem", kye = "b" } } }]],
    [[p.lua:4: listen ":8443".tls[1]: needs key: private key of the certificate: a PEM file without a passphrase
p.lua:4: listen ":8443".tls[1].kye: unknown key; did you mean "key"?]] },
  { "clients' certificates without an authority",
    [[{BASE}listen ":8443" { tls = { cert = "a.pem", key = "a.key", client = "required" } }]],
    [[p.lua:4: listen ":8443".tls.client: needs ca: the certificate authorities that sign clients' certificates]] },
  { "an authority that nothing is asked for",
    [[{BASE}listen ":8443" { tls = { cert = "a.pem", key = "a.key", ca = "ca.pem" } }]],
    [[p.lua:4: listen ":8443".tls.ca: needs client = "optional" or "required": without it sluice asks clients for no certificate]] },
  { "an unknown kind of client",
    [[{BASE}listen ":8443" { tls = { cert = "a.pem", key = "a.key", client = "require" } }]],
    [[p.lua:4: listen ":8443".tls.client: "require" is none of "none", "optional", "required"; did you mean "required"?]] },
  { "a version that is not served",
    [[{BASE}listen ":8443" { tls = { cert = "a.pem", key = "a.key", min_version = "1.1" } }]],
    [[p.lua:4: listen ":8443".tls.min_version: "1.1" is none of "1.2", "1.3"; did you mean "1.2"?]] },
  { "a name that is no host",
    [[{BASE}listen ":8443" { tls = { cert = "a.pem", key = "a.key", names = { "https://a" } } }]],
    [[p.lua:4: listen ":8443".tls.names[1]: "https://a" is not a host such as "in.example" or "*.in.example"]] },
  { "a name given twice to one certificate",
    [[{BASE}listen ":8443" { tls = { cert = "a.pem", key = "a.key", names = { "a.example", "A.example" } } }]],
    [[p.lua:4: listen ":8443".tls.names[2]: "A.example" is named twice]] },
  { "the same of the admin listener",
    [[{BASE}admin { tls = { cert = "a.pem", key = "a.key", ca = "ca.pem" } }]],
    [[p.lua:4: admin.tls.ca: needs client = "optional" or "required": without it sluice asks clients for no certificate]] },
  { "a certificate of the admin listener that is not there",
    [[{BASE}admin { tls = { cert = "no.pem", key = "a.key" } }]],
    [[p.lua: admin.tls: can't read the certificate "no.pem": No such file or directory]] },
  { "a certificate that is not there",
    [[{BASE}listen ":8443" { tls = { cert = "no.pem", key = "a.key" } }]],
    [[p.lua: listen ":8443".tls: can't read the certificate "no.pem": No such file or directory]] },
  { "a key that is not there",
    [[{BASE}listen ":8443" { tls = { cert = "a.pem", key = "no.key" } }]],
    [[p.lua: listen ":8443".tls: can't read the key "no.key": No such file or directory]] },
  { "a key of another certificate",
    [[{BASE}listen ":8443" { tls = { cert = "a.pem", key = "b.key" } }]],
    [[p.lua: listen ":8443".tls: the key "b.key" does not belong to the certificate "a.pem"]] },
  { "a key in the place of a certificate",
    [[{BASE}listen ":8443" { tls = { cert = "a.key", key = "a.key" } }]],
    [[p.lua: listen ":8443".tls: the certificate "a.key" holds no certificate; expected PEM with BEGIN CERTIFICATE]] },
  { "an authority that is not there",
    [[{BASE}listen ":8443" { tls = { cert = "a.pem", key = "a.key", client = "optional", ca = "no.pem" } }]],
    [[p.lua: listen ":8443".tls: can't read the CA "no.pem": No such file or directory]] },
  { "a host with two certificates of one kind",
    [[{BASE}listen ":8443" { tls = { cert = "a.pem", key = "a.key", names = { "a.example" },
  { cert = "b.pem", key = "b.key", names = { "a.example" } } } }]],
    [[p.lua: listen ":8443".tls: the name "a.example" has two certificates with the same kind of key: "a.pem" and "b.pem"]] },
}

describe("a mistake in a listener's TLS:", function()
  local c = checking.new(BASE)

  setup(function()
    certificates.make(c.dir, "a", { hosts = "DNS:a.example" })
    certificates.make(c.dir, "b")
  end)
  teardown(c.remove)

  for _, row in ipairs(rows) do
    it(row[1], function()
      local out, code = c.problems(row[2])
      assert.equal(row[3], out)
      assert.equal(1, code)
    end)
  end

  it("is none if a certificate has expired: that is a note", function()
    certificates.make(c.dir, "old", { by = c.dir .. "/b", days = -1 })
    local out, code = c.check(BASE .. 'listen ":8443" { tls = { cert = "old.pem", key = "old.key" } }')
    assert.matches('p.lua:1: note: listen ":8443".tls: the certificate "old.pem" expired on 20', out, 1, true)
    assert.equal(0, code)
  end)
end)
