local testing = require "sluice.testing"

describe("appsflyer.lua", function()
  local policy = assert(testing.load("appsflyer.lua",
    { env = { APPSFLYER_TOKEN = "t1" }, time = "2025-06-01T12:00:00Z" }))
  local URL = "/appsflyer?token=t1"

  local function message(over)
    local m = { app_id = "id1", appsflyer_id = "17-1", event_name = "af_purchase",
      event_time = "2025-06-01 11:59:59.123", event_value = [[{"af_revenue":"1.10"}]] }
    for k, v in pairs(over or {}) do m[k] = v end
    return m
  end
  local function line(r) return testing.decode(r.stored.messages[1]) end

  it("stores a message with its times in milliseconds", function()
    local r = policy:post(URL, message { install_time = "2025-05-31 00:00:00.000" })
    assert.same({ 200, "OK" }, { r.status, r.body })
    assert.same({ 1748779199123, 1748649600000, [[{"af_revenue":"1.10"}]] },
      { line(r).event_time, line(r).install_time, line(r).event_value })
  end)

  it("takes a local time with its zone", function()
    local r = policy:post(URL, message { event_time = "2025-06-01 20:59:59.123+0900" })
    assert.equal(1748779199123, line(policy:post(URL, message { event_time =
      "2025-06-01 20:59:59.124+0900" })).event_time - 1)
    assert.equal(200, r.status)
  end)

  it("stores the same from a query, without the token", function()
    local r = policy:get(URL .. "&app_id=id1&appsflyer_id=18&event_name=install"
      .. "&event_time=2025-06-01+11%3A59%3A59.123&event_revenue=2.5")
    assert.same({ 200, nil, 2.5, 1748779199123 },
      { r.status, line(r).token, line(r).event_revenue, line(r).event_time })
  end)

  it("stores a message once that comes twice, by either way", function()
    local m = message { appsflyer_id = "19" }
    assert.equal(1, #policy:post(URL, m).stored.messages)
    assert.same({}, policy:post(URL, m).stored)
    local r = policy:get(URL .. "&app_id=id1&appsflyer_id=19&event_name=af_purchase"
      .. "&event_time=2025-06-01+11%3A59%3A59.123&event_value=%7B%22af_revenue%22%3A%221.10%22%7D")
    assert.same({ 200, {} }, { r.status, r.stored })
    m.event_value = [[{"af_revenue":"2.10"}]]
    assert.equal(1, #policy:post(URL, m).stored.messages)
  end)

  it("stores money as a number, and a text that is none as a text", function()
    for sent, stored in pairs { ["1.10"] = 1.1, ["-2"] = -2, ["0x10"] = "0x10",
      nan = "nan", ["1e999"] = "1e999", [""] = "" } do
      local r = policy:post(URL, message { appsflyer_id = "m" .. sent, event_revenue = sent })
      assert.equal(stored, line(r).event_revenue)
    end
  end)

  it("stores a message each time whose value is no text", function()
    for n = 1, 2 do
      local r = policy:post(URL, message { appsflyer_id = "o", event_value = { n = n } })
      assert.equal(1, #r.stored.messages)
    end
  end)

  it("refuses what lacks an app or a name, a bad time and a wrong token", function()
    for _, over in ipairs { { app_id = "" }, { event_name = "" }, { event_time = "soon" } } do
      assert.equal(422, policy:post(URL, message(over)).status)
    end
    for _, url in ipairs { "/appsflyer", "/appsflyer?token=t2" } do
      local r = policy:post(url, message())
      assert.same({ 403, "bad_token" }, { r.status, r.code })
    end
  end)
end)
