local testing = require "sluice.testing"

describe("click.lua", function()
  local policy = assert(testing.load "click.lua")

  local function click(redirect)
    return policy:get("/click", { query = { click_id = "c1", redirect = redirect } })
  end

  it("stores a click and redirects its user", function()
    local r = click "https://Shop.example/sale?a=1&b=ü#x"
    assert.same({ 302, "https://shop.example/sale?a=1&b=%C3%BC#x", "no-store", "" },
      { r.status, r.headers.location, r.headers["cache-control"], r.body })
    assert.equal(1, #r.stored.clicks)
    assert.equal(302, click("http://sale.shop.example/").status)
  end)

  it("redirects to no other host", function()
    for _, url in ipairs { "https://evil.example/", "//shop.example/", "javascript:alert(1)",
      "https://shop.example@evil.example/", "https://shop.example.evil.example/",
      "https://evil.example\\.shop.example/", "https://shop.example:8080/", "/sale", "",
      "https://shop.example/\r\nSet-Cookie: a=b" } do
      local r = click(url)
      assert.same({ 422, "bad_location", nil }, { r.status, r.code, r.headers.location })
      assert.same({}, r.stored)
    end
  end)

  it("escapes what stands in the url of a campaign", function()
    local r = policy:get "/go/summer%2F..?click_id=a%26b%3D%23&click_id=2"
    assert.equal("https://shop.example/summer%2F..?click_id=a%26b%3D%23", r.headers.location)
    assert.equal(302, r.status)
  end)

  it("redirects also a click that it refuses, and stores nothing of it", function()
    for _, query in ipairs { "", "click_id=", "click_id=%ff" } do
      local r = policy:get("/go/summer?" .. query)
      assert.same({ 302, 1, {} }, { r.status, r.rejected, r.stored })
    end
  end)

  it("chooses the store by the browser, and falls back", function()
    local function install(agent, query)
      return policy:get("/install?" .. (query or "click_id=c1"),
        { headers = { ["User-Agent"] = agent } }).headers.location
    end
    assert.equal("https://apps.shop.example/app/id1", install "iPhone OS 19")
    assert.equal("https://play.shop.example/store?id=1&c=c1", install "Android 16")
    assert.equal("https://shop.example/app", install "curl")
    assert.equal("https://shop.example/app", install("Android 16", "x=1"))
    assert.equal("https://shop.example/app", install("iPhone", "click_id=%ff"))
  end)

  it("answers a script with the id", function()
    local r = policy:post("/click", { click_id = 'a"b\n' })
    assert.equal(200, r.status)
    assert.equal('a"b\n', r.json.click_id)
    assert.equal(36, #r.json.id)
    assert.truthy(r.stored.clicks[1]:find(r.json.id, 1, true))
  end)

  it("answers HEAD without storing a click", function()
    local r = policy:request("HEAD", "/go/summer?click_id=c1")
    assert.same({ 302, {} }, { r.status, r.stored })
  end)
end)
