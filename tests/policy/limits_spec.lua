-- The limits of a route: several at once, and what a request is told of them.
local testing = require "sluice.testing"

local NOON = 1767268800000 -- 2026-01-01, 12:00 UTC

describe("the limits of a route", function()
  local p

  before_each(function()
    p = assert(testing.load("p.lua", [[
file "a" { dir = "a" }
stream "s" { sinks = { "a" } }
local second = limit "second" { rate = "2/s", burst = 4 }
local hour = limit "hour" { quota = "6/h" }
local day = limit "day" { quota = "8/d", key = "header:x-user" }
route "POST /x" { body = "batch", stream = "s", limits = { second, hour, day },
  limit_headers = "combined" }
route "POST /tightest" { body = "batch", stream = "s", limits = { day, second },
  limit_headers = "separate" }
route "POST /bare" { body = "batch", stream = "s", limits = { hour } }
]], { time = NOON }))
  end)

  local function post(path, n, later_ms)
    local r = p:post(path, "[" .. ("{},"):rep(n - 1) .. "{}]",
      { time = NOON + (later_ms or 0), headers = { ["X-User"] = "u" } })
    return r, r.headers["retry-after"]
  end

  it("takes from all or from none", function()
    assert.equal(202, post("/x", 4).status)
    -- The hour has 2 left, and the second 0: nothing is taken of the day.
    for _ = 1, 20 do assert.equal(429, post("/x", 2).status) end
    local r = post("/x", 2, 1000)
    assert.equal(202, r.status)
    assert.equal('"second";r=0;t=2, "hour";r=0;t=3599, "day";r=2;t=43199', r.headers.ratelimit)
    assert.equal('"second";q=4;w=2, "hour";q=6;w=3600, "day";q=8;w=86400',
      r.headers["ratelimit-policy"])
  end)

  it("says when the slowest of those that refuse has room", function()
    assert.equal(202, post("/x", 4).status)
    assert.equal(202, post("/x", 2, 1000).status)
    -- The second would have one in 500 ms, the hour's window ends in 3599 s.
    local r, after = post("/x", 1, 1000)
    assert.same({ 429, "3599" }, { r.status, after })
    r, after = post("/bare", 1, 3599999)
    assert.same({ 429, "1" }, { r.status, after }) -- 1 ms, rounded up
    assert.equal(202, post("/bare", 1, 3600000).status)
  end)

  it("tells of the tightest limit alone, if the route says so", function()
    local r = post("/tightest", 3)
    assert.same({ 202, "4", "1", "2" }, { r.status, r.headers["ratelimit-limit"],
      r.headers["ratelimit-remaining"], r.headers["ratelimit-reset"] })
    assert.equal(202, post("/tightest", 4, 60000).status)
    r = post("/tightest", 1, 120000)
    assert.same({ "8", "0" }, { r.headers["ratelimit-limit"], r.headers["ratelimit-remaining"] })
  end)

  it("says nothing of them unless the route says so", function()
    local r = post("/bare", 7)
    assert.same({ 413, "batch_over_limit" }, { r.status, r.code })
    assert.is_nil(r.headers.ratelimit)
    assert.is_nil(r.headers["ratelimit-limit"])
  end)
end)

describe("a limit of numbers", function()
  it("has a bucket for each, also if they differ in the last digits only", function()
    local p = assert(testing.load("p.lua", [[
file "a" { dir = "a" }
stream "s" { sinks = { "a" } }
local l = limit "each" { rate = "1/d", key = "id" }
route "POST /x" { body = "event", stream = "s", on_event = function(ev)
  return l:check(ev)
end }
]], { time = NOON }))
    for _, id in ipairs { "100004567890123", "100004567890149", "9007199254740991",
      "9007199254740990", "12345678901234567890", "12345678901234569999" } do
      local body = ('{"id":%s}'):format(id)
      assert.equal(202, p:post("/x", body).status, id)
      assert.equal(429, p:post("/x", body).status, id)
    end
  end)
end)
