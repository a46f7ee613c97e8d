local testing = require "sluice.testing"

-- Stripe publishes no signature with its secret; these are made by the steps of its
-- documentation, "Verify webhook signatures manually".
describe("stripe.lua", function()
  local SECRET, AT = "whsec_of_the_spec_only", 1735689600
  local BODY = '{"id":"evt_1","type":"charge.succeeded"}'
  local policy = assert(testing.load("stripe.lua",
    { env = { STRIPE_SECRET = SECRET }, time = AT * 1000 }))

  local function v1(t, body, secret)
    return testing.hmac(secret or SECRET, ("%d.%s"):format(t, body or BODY))
  end
  local function code(header, body)
    local r = policy:post("/stripe", body or BODY, { headers = { ["Stripe-Signature"] = header } })
    return r.status == 202 and 202 or r.code
  end

  it("takes a signature of the time and the body", function()
    assert.equal(202, code(("t=%d,v1=%s"):format(AT, v1(AT))))
  end)

  it("takes one of several signatures, while a secret is rolled", function()
    assert.equal(202, code(("t=%d,v1=%s,v1=%s,v0=%s"):format(AT, v1(AT, nil, "whsec_new"), v1(AT),
      v1(AT, nil, "test"))))
  end)

  it("refuses another time, another body, and a signature of another scheme", function()
    for _, header in ipairs { ("t=%d,v1=%s"):format(AT + 1, v1(AT)), ("v1=%s"):format(v1(AT)),
      ("t=%d,v0=%s"):format(AT, v1(AT)), ("t=%d"):format(AT), "",
      ("t=%d,t=%d,v1=%s"):format(AT, AT + 1, v1(AT)) } do
      assert.equal("bad_signature", code(header))
    end
    assert.equal("bad_signature", code(("t=%d,v1=%s"):format(AT, v1(AT)),
      '{"id":"evt_2","type":"charge.succeeded"}'))
    assert.equal("unsigned", code(nil))
  end)

  it("refuses a request that is older than five minutes, or as far ahead", function()
    for t, want in pairs { [AT - 300] = 202, [AT - 301] = "expired", [AT + 300] = 202,
      [AT + 301] = "expired" } do
      assert.equal(want, code(("t=%d,v1=%s"):format(t, v1(t))))
    end
  end)
end)
