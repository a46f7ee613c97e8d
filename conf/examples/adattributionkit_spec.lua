local testing = require "sluice.testing"

-- The JWS is the example of Apple's documentation, signed by a device in development.
describe("adattributionkit.lua", function()
  local PATH = "/.well-known/appattribution/report-attribution/"
  local HEADER = "eyJraWQiOiJhcHBsZS1kZXZlbG9wbWVudC1pZGVudGlmaWVyXC8xIiwiYWxnIjoiRVMyNTYifQ"
  local PAYLOAD = "eyJwb3N0YmFjay1pZGVudGlmaWVyIjoiODU1NDZFQjctRkQzOS00NEJDLTg5OTAtQzk4QTRBQzM2"
    .. "QTQ5IiwicHVibGlzaGVyLWl0ZW0taWRlbnRpZmllciI6MCwibWFya2V0cGxhY2UtaWRlbnRpZmllciI6ImNvbS5"
    .. "hcHBsZS5BcHBTdG9yZSIsImltcHJlc3Npb24tdHlwZSI6ImFwcC1pbXByZXNzaW9uIiwiYWQtbmV0d29yay1pZG"
    .. "VudGlmaWVyIjoiZGV2ZWxvcG1lbnQuYWRhdHRyaWJ1dGlvbmtpdCIsImRpZC13aW4iOnRydWUsInBvc3RiYWNrL"
    .. "XNlcXVlbmNlLWluZGV4IjowLCJjb252ZXJzaW9uLXR5cGUiOiJyZS1lbmdhZ2VtZW50Iiwic291cmNlLWlkZW50"
    .. "aWZpZXIiOiIxMjM0IiwiYWR2ZXJ0aXNlZC1pdGVtLWlkZW50aWZpZXIiOjEwNzM4MDI3NzU2fQ"
  local SIGNATURE = "bAdNwKd6OfHK9tofvjjua4X_JPcFTxXPQSspD9gZkinw97pY7R1aI-LSjl-oxZZF3_K2H5JK5TSEB"
    .. "ee4_1U4oQ"
  local JWS = HEADER .. "." .. PAYLOAD .. "." .. SIGNATURE

  local function body(jws, more)
    return ('{"jws-string":"%s","conversion-value":24%s}'):format(jws, more or "")
  end

  local function load()
    return assert(testing.load("adattributionkit.lua", { env = { APPLE_KEYS = "development" } }))
  end

  local function refused(text)
    local r = load():post(PATH, text)
    assert.same({}, r.stored.postbacks or {})
    return { r.status, r.code, r.field }
  end

  it("stores the signed payload beside what the device sent", function()
    local r = load():post(PATH, body(JWS))
    assert.same({ 200, "" }, { r.status, r.body })
    local ev = testing.decode(r.stored.postbacks[1])
    assert.equal(24, ev["conversion-value"])
    assert.equal("85546EB7-FD39-44BC-8990-C98A4AC36A49", ev.postback["postback-identifier"])
    assert.equal(10738027756, ev.postback["advertised-item-identifier"])
    assert.is_true(ev.postback["did-win"])
    assert.equal(JWS, ev["jws-string"])
  end)

  it("trusts no test device in production", function()
    local policy = assert(testing.load "adattributionkit.lua")
    local r = policy:post(PATH, body(JWS))
    assert.same({ 401, "unknown_key", "jws-string" }, { r.status, r.code, r.field })
  end)

  it("refuses a JWS that was changed anywhere", function()
    local changed = PAYLOAD:gsub("^(..........)(.)", "%1A")
    for _, jws in ipairs {
      HEADER .. "." .. changed .. "." .. SIGNATURE, HEADER .. "." .. PAYLOAD .. ".",
      HEADER .. "." .. PAYLOAD, JWS .. ".", JWS .. "=", " " .. JWS, JWS .. "." .. SIGNATURE,
      HEADER .. "." .. PAYLOAD .. "." .. SIGNATURE:gsub("^b", "c"),
      HEADER .. "." .. PAYLOAD .. "." .. SIGNATURE:gsub("Q$", "R"), "", ".", "..", "a.b.c",
    } do
      assert.same({ 401, "bad_signature", "jws-string" }, refused(body(jws)), jws)
    end
    assert.same({ 401, "unsigned", "jws-string" }, refused '{"conversion-value":1}')
  end)

  it("does not take a payload that the client claims", function()
    assert.same({ 422, "duplicate_key", "postback" },
      refused(body(JWS, ',"postback":{"did-win":true}')))
    assert.same({ 401, "unsigned", "jws-string" },
      refused '{"postback":{"postback-identifier":"85546EB7-FD39-44BC-8990-C98A4AC36A49"}}')
  end)

  it("counts a postback once, whatever stands beside the JWS", function()
    local policy = load()
    assert.equal(1, #policy:post(PATH, body(JWS)).stored.postbacks)
    local r = policy:post(PATH, body(JWS, ',"country-code":"DE"'))
    assert.same({ 200, 1 }, { r.status, r.accepted })
    assert.is_nil(r.stored.postbacks)
  end)
end)
