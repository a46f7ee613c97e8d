local testing = require "sluice.testing"

describe("pixel.lua", function()
  local policy = assert(testing.load "pixel.lua")

  local function is_image(r)
    assert.same({ 200, "image/gif", "no-store", 43, "GIF89a", ";" },
      { r.status, r.headers["content-type"], r.headers["cache-control"], #r.body,
        r.body:sub(1, 6), r.body:sub(-1) })
  end

  it("answers an image and stores the view", function()
    local r = policy:get("/open.gif?mail=m1&user=u1", { headers = { ["User-Agent"] = "x" } })
    is_image(r)
    assert.equal("x", testing.decode(r.stored.views[1]).agent)
  end)

  it("answers the same image when it refuses a view", function()
    for _, query in ipairs { "", "mail=", "mail=%ff", "mail=m1&width=wide" } do
      local r = policy:get("/open.gif?" .. query)
      is_image(r)
      assert.same({ 1, {} }, { r.rejected, r.stored })
    end
  end)

  it("drops the views of bots", function()
    local r = policy:get("/open.gif?mail=m1", { headers = { ["User-Agent"] = "a bot" } })
    is_image(r)
    assert.same({ 1, {} }, { r.dropped, r.stored })
  end)
end)
