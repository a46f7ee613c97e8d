local testing = require "sluice.testing"

describe("github.lua", function()
  -- The secret of GitHub's documentation, "Validating webhook deliveries".
  local SECRET = "It's a Secret to Everybody"

  local function load(more)
    local env = { GITHUB_SECRET = SECRET }
    for k, v in pairs(more or {}) do env[k] = v end
    return assert(testing.load("github.lua", { env = env }))
  end
  local policy = load()

  local function send(body, signature, to, headers)
    headers = headers or {}
    headers["X-Hub-Signature-256"] = signature
    return (to or policy):post("/webhooks", body, { headers = headers })
  end

  local function signed(body, secret) return "sha256=" .. testing.hmac(secret or SECRET, body) end

  it("knows the signature of GitHub's documentation", function()
    -- Its text is no JSON, so that a good signature is seen by the next refusal.
    local r = send("Hello, World!",
      "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17")
    assert.same({ 400, "invalid_json" }, { r.status, r.code })
    r = send("Hello, World?",
      "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17")
    assert.same({ 401, "bad_signature" }, { r.status, r.code })
  end)

  it("stores what GitHub has signed, once a delivery", function()
    local body, id = '{ "action":"opened" }', { ["X-GitHub-Delivery"] = "d-1" }
    local r = send(body, signed(body), nil, id)
    assert.same({ 202, { '{ "action":"opened" ,"delivery":"d-1"}' } },
      { r.status, r.stored.webhooks })
  end)

  it("refuses a body without its signature, and tells which header it misses", function()
    local r = send '{"action":"opened"}'
    assert.same({ 401, "unsigned" }, { r.status, r.code })
    assert.equal('HMAC-SHA256 header="X-Hub-Signature-256"', r.headers["www-authenticate"])
    assert.equal("bad_signature", send('{"action":"x"}', signed('{"action":"y"}')).code)
    assert.equal("bad_signature", send("{}", signed("{}", "another secret")).code)
    assert.equal("bad_signature", send("{}", testing.hmac(SECRET, "{}")).code)
  end)

  it("takes either secret while one replaces the other", function()
    local both = load { GITHUB_SECRET_OLD = "the secret before that" }
    assert.equal(202, send("{}", signed("{}"), both).status)
    assert.equal(202, send("{}", signed("{}", "the secret before that"), both).status)
    assert.equal(401, send("{}", signed("{}", "the secret before that")).status)
  end)

  it("says yes to a ping and keeps nothing of it", function()
    local r = send("{}", signed "{}", nil, { ["X-GitHub-Event"] = "ping" })
    assert.same({ 202, 1 }, { r.status, r.dropped })
  end)
end)
