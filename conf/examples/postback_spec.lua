local testing = require "sluice.testing"

describe("postback.lua", function()
  local policy = assert(testing.load "postback.lua")
  local FORM = { content_type = "application/x-www-form-urlencoded" }

  local function stored(r)
    return testing.decode(assert(r.stored.attribution, r.body)[1])
  end

  it("stores numbers and truths, not their texts", function()
    local ev = stored(policy:get "/postback/acme?click_id=c1&payout=.5&is_test=TRUE&token=secret")
    assert.equal(0.5, ev.payout)
    assert.is_true(ev.is_test)
    assert.equal("acme", ev.network)
    assert.is_nil(ev.token)
  end)

  it("takes an empty macro for an absent value", function()
    local r = policy:get "/postback/acme?click_id=&payout=&token=secret"
    assert.same({ 422, "too_short", "click_id" }, { r.status, r.code, r.field })
    assert.equal(testing.null, stored(policy:get
      "/postback/acme?click_id=c1&payout=&token=secret").payout)
  end)

  it("refuses a number that is none, and a wrong token", function()
    local r = policy:get "/postback/acme?click_id=c1&payout=1,20&token=secret"
    assert.same({ "wrong_type", "payout" }, { r.code, r.field })
    assert.equal("bad_token", policy:get("/postback/acme?click_id=c1&token=x").code)
    assert.equal("bad_token", policy:get("/postback/acme?click_id=c1").code)
  end)

  it("keeps the first of a parameter that comes twice", function()
    assert.equal("a", stored(policy:get
      "/postback/acme?click_id=a&token=secret&click_id=b").click_id)
    assert.equal("duplicate_key", policy:get("/conversions?click_id=a&click_id=b").code)
  end)

  it("takes a conversion as a query, as a form and as JSON", function()
    local expected = { click_id = "c 1", revenue = 9.99, is_test = false }
    for _, r in ipairs {
      policy:get "/conversions?click_id=c+1&revenue=9.99&is_test=0",
      policy:post("/conversions", "click_id=c%201&revenue=9.99&is_test=false", FORM),
      policy:post("/conversions", '{"click_id":"c 1","revenue":9.99,"is_test":false}'),
      policy:post("/conversions", '--x\r\nContent-Disposition: form-data; name="click_id"'
        .. '\r\n\r\nc 1\r\n--x\r\nContent-Disposition: form-data; name="revenue"\r\n\r\n9.99'
        .. '\r\n--x\r\nContent-Disposition: form-data; name=is_test\r\n\r\n0\r\n--x--\r\n',
        { content_type = "multipart/form-data; boundary=x" }),
    } do
      assert.same(expected, stored(r))
    end
  end)

  it("refuses a field that should hold JSON and does not", function()
    local r = policy:post("/sdk", "install_id=i1&data=%7B", FORM)
    assert.same({ 400, "invalid_form" }, { r.status, r.code })
    assert.truthy(r.message:find('parameter "data": its value is not JSON', 1, true))
    assert.equal("data.level", policy:post("/sdk", 'install_id=i1&data={"level":"x"}', FORM)
      .field)
  end)

  it("answers HEAD as GET, and stores nothing", function()
    local r = policy:request("HEAD", "/conversions?click_id=c1")
    assert.same({ 202, {} }, { r.status, r.stored })
    assert.equal(422, policy:request("HEAD", "/conversions").status)
  end)
end)
