local testing = require "sluice.testing"

local MAC = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like "
  .. "Gecko) Version/17.4.1 Safari/605.1.15"
local GALAXY = "Mozilla/5.0 (Linux; Android 14; sm-s918b) AppleWebKit/537.36 (KHTML, like Gecko) "
  .. "Chrome/124.0.6367.82 Mobile Safari/537.36"
local FACEBOOK = "Mozilla/5.0 (iPhone; CPU iPhone OS 17_4_1 like Mac OS X) AppleWebKit/605.1.15 "
  .. "(KHTML, like Gecko) Mobile/21E236 [FBAN/FBIOS;FBAV/458.0.0.35.110;FBDV/iPhone14,5]"
local PIXEL = "Mozilla/5.0 (Linux; Android 13; Pixel 7 Pro Build/TQ3A) AppleWebKit/537.36 "
  .. "(KHTML, like Gecko) Chrome/120.0.6099.43 Mobile Safari/537.36"
local BOT = "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"

describe("browsers.lua", function()
  local policy
  before_each(function() policy = assert(testing.load "browsers.lua") end)

  -- The event that is stored; nil: none is.
  local function stored(agent, event)
    local r = policy:post("/v1/events", { event or { type = "view" } },
      { headers = { ["User-Agent"] = agent } })
    assert.equal(202, r.status)
    local list = r.stored and r.stored.events or {}
    return list[1] and testing.decode(list[1])
  end

  it("gives an event the browser, the system and the device", function()
    assert.same({ type = "view", browser = "Safari", browser_version = "17.4.1",
      os = "Mac OS X", os_version = "10.15.7", brand = "Apple", model = "Macintosh" },
      stored(MAC))
    assert.same({ type = "view", browser = "Chrome Mobile", browser_version = "124.0.6367",
      os = "Android", os_version = "14", brand = "Samsung", model = "sm-s918b" },
      stored(GALAXY))
    assert.same({ type = "view", browser = "Chrome Mobile", browser_version = "120.0.6099",
      os = "Android", os_version = "13", brand = "Google", model = "Pixel 7 Pro" },
      stored(PIXEL))
  end)

  it("knows the web view of an app", function()
    local e = stored(FACEBOOK)
    assert.equal("Facebook", e.browser)
    assert.equal("458.0.0", e.browser_version)
    assert.equal("iPhone14,5", e.model)
  end)

  it("takes the user agent of the event before that of the request", function()
    assert.equal("Safari", stored(GALAXY, { type = "view", user_agent = MAC }).browser)
    assert.is_nil(stored(GALAXY, { type = "view", user_agent = MAC }).user_agent)
    assert.equal("Other", stored(GALAXY, { type = "view", user_agent = "" }).browser)
  end)

  it("counts crawlers, and stores none of their events", function()
    assert.is_nil(stored(BOT))
    assert.is_nil(stored(MAC, { type = "view", user_agent = "bingbot/2.0" }))
    assert.equal(1, policy:metric("crawlers_total", { "Googlebot" }))
    assert.equal(1, policy:metric("crawlers_total", { "bingbot" }))
  end)

  it("stores an event with any user agent", function()
    for _, text in ipairs { "", " ", "x", ("Chrome/"):rep(500), "\255\254", "(((((", "$1" } do
      assert.same({ type = "view", browser = "Other", os = "Other" }, stored(text), text)
    end
  end)
end)
