local testing = require "sluice.testing"

-- Shopify publishes no signature with its secret; these are made as its documentation says,
-- "Validate the origin of your webhook".
describe("shopify.lua", function()
  local SECRET = "shpss_of_the_spec_only"
  local policy = assert(testing.load("shopify.lua", { env = { SHOPIFY_SECRET = SECRET } }))
  local LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"

  -- Hex digits as base64.
  local function base64(hex)
    local out = {}
    for group in (hex):gmatch("%x%x?%x?%x?%x?%x?") do
      local bytes, n = tonumber(group .. ("0"):rep(6 - #group), 16), #group / 2
      for i = 0, 3 do
        local at = math.floor(bytes / 64 ^ (3 - i)) % 64
        out[#out + 1] = i <= n and LETTERS:sub(at + 1, at + 1) or "="
      end
    end
    return table.concat(out)
  end
  local function send(body, signature, topic)
    return policy:post("/shopify/" .. (topic or "orders"), body,
      { headers = { ["X-Shopify-Hmac-Sha256"] = signature, ["X-Shopify-Event-Id"] = "e-1" } })
  end

  it("takes the base64 of the body's digest", function()
    local r = send('{"id":1}', base64(testing.hmac(SECRET, '{"id":1}')))
    assert.equal(202, r.status)
    assert.same({ '{"id":1,"event_id":"e-1","topic":"orders"}' }, r.stored.shopify)
  end)

  it("stores an event once for each topic", function()
    local signature = base64(testing.hmac(SECRET, '{"id":5}'))
    for try, n in ipairs { 1, 0 } do
      for _, topic in ipairs { "create", "paid" } do
        assert.equal(n, #(send('{"id":5}', signature, topic).stored.shopify or {}), try)
      end
    end
  end)

  it("refuses the digest of another body or secret, in hex, and without its padding", function()
    local good = base64(testing.hmac(SECRET, '{"id":1}'))
    for _, bad in ipairs { base64(testing.hmac(SECRET, '{"id":2}')),
      base64(testing.hmac("shpss_another", '{"id":1}')), testing.hmac(SECRET, '{"id":1}'),
      good:sub(1, -2), good .. "=", "" } do
      assert.equal("bad_signature", send('{"id":1}', bad).code)
    end
    assert.equal("unsigned", send('{"id":1}').code)
  end)
end)
