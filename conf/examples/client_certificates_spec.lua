local testing = require "sluice.testing"

describe("client_certificates.lua", function()
  local policy = assert(testing.load("client_certificates.lua"))

  local function post(tls)
    return policy:post("/v1/events", { event = "x", sender = "me" }, { tls = tls })
  end

  it("says in each event whose certificate it came with, whatever the client says", function()
    local r = post { subject = "CN=shop7", fingerprint = ("0"):rep(64) }
    assert.same({ '{"event":"x","sender":"CN=shop7"}' }, r.stored.events)
  end)

  it("refuses a client without a certificate, with TLS or without", function()
    for _, tls in ipairs { {}, false } do
      local r = post(tls or nil)
      assert.same({ 403, "no_certificate" }, { r.status, r.code })
    end
  end)

  it("refuses a certificate that was revoked", function()
    local r = post { subject = "CN=shop3", fingerprint =
      "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08" }
    assert.same({ 403, "revoked" }, { r.status, r.code })
  end)
end)
