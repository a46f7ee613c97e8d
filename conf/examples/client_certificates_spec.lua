local testing = require "sluice.testing"

describe("client_certificates.lua", function()
  local policy = assert(testing.load("client_certificates.lua"))

  local SHOP7 = "60303ae22b998861bce3b28f33eec1be758a213c86c93c076dbe9f558c11c752"
  local SHOP3 = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"

  local function post(path, tls)
    return policy:post(path, { event = "x", sender = "me" }, { tls = tls })
  end

  local function refusal(r) return { r.status, r.code } end

  it("says in each event whose certificate it came with, whatever the client says", function()
    local r = post("/v1/events", { subject = "CN=any", ca = "CN=senders", fingerprint = SHOP7 })
    assert.same({ '{"event":"x","sender":"shop7"}' }, r.stored.events)
  end)

  it("refuses a client without a certificate, with TLS or without", function()
    for _, tls in ipairs { {}, false } do
      assert.same({ 401, "missing_certificate" }, refusal(post("/v1/events", tls or nil)))
    end
  end)

  it("refuses a certificate that was revoked, that is not known, or that has expired", function()
    assert.same({ 401, "disabled_certificate" }, refusal(post("/v1/events",
      { subject = "CN=shop3", fingerprint = SHOP3 })))
    assert.same({ 401, "unknown_certificate" }, refusal(post("/v1/events",
      { subject = "CN=shop7", fingerprint = ("0"):rep(64) })))
    assert.same({ 401, "expired_certificate" }, refusal(post("/v1/events",
      { subject = "CN=shop7", fingerprint = SHOP7, expires = "2020-01-01T00:00:00Z" })))
  end)

  it("takes machines by their names, if their authority is the right one", function()
    local function at(subject, ca)
      return post("/v1/metrics", { subject = subject, ca = ca, fingerprint = ("1"):rep(64) })
    end
    assert.same({ '{"event":"x","sender":"CN=meter12"}' },
      at("CN=meter12", "CN=senders").stored.events)
    assert.same({ 401, "unknown_certificate" }, refusal(at("CN=meter12", "CN=partners")))
    assert.same({ 401, "unknown_certificate" }, refusal(at("CN=shop7", "CN=senders")))
    assert.same({ 401, "unknown_certificate" }, refusal(at("CN=meter12,OU=x", "CN=senders")))
  end)
end)
