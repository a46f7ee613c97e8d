local testing = require "sluice.testing"

-- The bodies are the examples of Apple's documentation, with Apple's signatures.
describe("skadnetwork.lua", function()
  local policy = assert(testing.load "skadnetwork.lua")
  local PATH = "/.well-known/skadnetwork/report-attribution/"

  local web = [[{"version":"4.0","ad-network-id":"com.example","source-identifier":"39",]]
    .. [["app-id":525463029,"transaction-id":"6aafb7a5-0170-41b5-bbe4-fe71dedf1e31",]]
    .. [["redownload":false,"source-domain":"example.com","fidelity-type":1,"did-win":true,]]
    .. [["coarse-conversion-value":"high","postback-sequence-index":0,]]
    .. [["attribution-signature":"MEUCIQD4rX6eh38qEhuUKHdap345UbmlzA7KEZ1bhWZuYM8MJwIgMnyiiZe]]
    .. [[6heabDkGwOaKBYrUXQhKtF3P/ERHqkR/XpuA="}]]
  local lost = [[{"version":"3.0","ad-network-id":"example123.skadnetwork","campaign-id":42,]]
    .. [["transaction-id":"f9ac267a-a889-44ce-b5f7-0166d11461f0","app-id":525463029,]]
    .. [["attribution-signature":"MEUCIQDDetUtkyc/MiQvVJ5I6HIO1E7l598572Wljot2Onzd4wIgVJLzVcyA]]
    .. [[V+TXksGNoa0DTMXEPgNPeHCmD4fw1ABXX0g=","redownload":true,"fidelity-type":1,]]
    .. [["did-win":false}]]
  local old = [[{"version":"2.2","ad-network-id":"com.example","campaign-id":42,]]
    .. [["transaction-id":"6aafb7a5-0170-41b5-bbe4-fe71dedf1e28","app-id":525463029,]]
    .. [["attribution-signature":"MEYCIQDTuQ1Z4Tpy9D3aEKbxLl5J5iKiTumcqZikuY/AOD2U7QIhAJAaiAv8]]
    .. [[9AoquHXJffcieEQXdWHpcV8ZgbKN0EwV9/sY","redownload":true,"source-app-id":1234567891,]]
    .. [["fidelity-type":1,"conversion-value":20}]]

  local function refused(body)
    local r = policy:post(PATH, body)
    assert.same({}, r.stored.installs or {})
    return { r.status, r.code, r.field }
  end

  it("stores what Apple has signed, byte by byte, and when it came", function()
    local r = policy:post(PATH, web)
    assert.same({ 200, "" }, { r.status, r.body })
    local received = r.stored.installs[1]:match('^.*,"received_at":(%d+)}$')
    assert.equal(web:sub(1, -2) .. ',"received_at":' .. received .. "}", r.stored.installs[1])
    assert.equal(200, policy:post(PATH, old).status)
  end)

  it("refuses every change of a signed value", function()
    for _, change in ipairs {
      { '"4.0"', '"3.0"' }, { "com.example", "com.examplf" }, { '"39"', '"38"' },
      { "525463029", "525463028" }, { "fe71dedf1e31", "fe71dedf1e32" },
      { '"redownload":false', '"redownload":true' }, { '"example.com"', '"exbmple.com"' },
      { 'type":1', 'type":0' }, { 'win":true', 'win":false' },
      { 'index":0', 'index":1' }, { '"source%-domain":"example.com",', "" },
    } do
      local body, n = web:gsub(change[1], change[2])
      assert.equal(1, n, change[1])
      assert.equal(401, refused(body)[1], change[1])
    end
  end)

  it("does not take an unsigned value for a signed one", function()
    assert.same({ 401, "bad_postback", "did-win" },
      refused((old:gsub("}$", ',"did-win":true}'))))
    assert.same({ 401, "bad_postback", "source-domain" },
      refused((web:gsub("}$", ',"source-app-id":7}'))))
    assert.same({ 401, "unsigned", "attribution-signature" }, refused [[{"version":"4.0"}]])
  end)

  it("accepts a conversion value that nobody has signed", function()
    assert.equal(200, policy:post(PATH, (old:gsub('value":20', 'value":63'))).status)
  end)

  it("refuses what Apple has signed for another network", function()
    assert.same({ 422, "not_in_enum", "ad-network-id" }, refused(lost))
  end)

  it("counts a postback once", function()
    local again = assert(testing.load "skadnetwork.lua")
    assert.equal(1, #again:post(PATH, web).stored.installs)
    assert.is_nil(again:post(PATH, web).stored.installs)
    local escaped = web:gsub("6aafb7a5", "6aaf\\u00627a5"):gsub("transaction%-id",
      "transaction\\u002did"):gsub('"39"', '"3\\u0039"')
    local r = again:post(PATH, escaped)
    assert.same({ 200, 1 }, { r.status, r.accepted })
    assert.is_nil(r.stored.installs)
  end)
end)
