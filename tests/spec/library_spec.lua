-- The helpers of a policy, each as a hook calls it: an example of a route whose
-- on_event puts its result into the event.
local h = require "harness"

local EVENT = [=[{"id":"u-1","items":[{"sku":"a"},{"sku":"b","n":[1,2,[3]]}],]=]
  .. [["deep":{"a.b":{"c":7}},"nil":null,"has":"mine","get":true,"x[1]":5,]]
  .. [["text":" Ärger \t","url":"a%20b+c%C3%A4","bad":"%C3x","n":1}]]

-- The call, and the JSON in ev.out after it (nil: nothing).
local rows = {
  { [[get(ev, "id")]], [["u-1"]] },
  { [[get(ev, "items[2].sku")]], [["b"]] },
  { [[get(ev, "items[2].n[3][1]")]], "3" },
  { [[get(ev, "items[3].sku")]] },
  { [[get(ev, "items.sku")]] },
  { [[get(ev, "id[1]")]] },
  { [[get(ev, "deep.a\\.b").c]], "7" },
  { [[get(ev, "x\\[1]")]], "5" },
  { [[get(ev, "nothing.at.all")]] },
  { [[#get(ev, "items")]], "2" },
  { [[has(ev, "nil")]], "true" },
  { [[has(ev, "none")]], "false" },
  { [[has(ev, "items[2].n[1]")]], "true" },
  { [[ev.has .. tostring(ev.get)]], [["minetrue"]] },
  { [[(function() ev.a = { b = { 4 } } return get(ev, "a.b[1]") end)()]], "4" },
  { [[(function() ev.items = nil return has(ev, "items[1]") end)()]], "false" },
  { [[(function() local n = 0 for i, x in items(ev, "items") do n = n + i * #x.sku end
      return n end)()]], "3" },
  { [[(function() for _ in items(ev, "id") do return 1 end return 0 end)()]], "0" },
  { [[pcall(get, ev, "items[0]")]], "false" },
  { [[select(2, pcall(get, ev, "items["))]],
    [["\"items[\" is not a path such as \"items[1].id\""]] },
  { [[trim(ev.text)]], [["Ärger"]] },
  { [[trim("")]], [[""]] },
  { [[trim("a")]], [["a"]] },
  { [[trim(ev.none)]] },
  { [[select(2, pcall(trim, 5))]], [["trim: expected a text, got number"]] },
  { [[lower("ÄBC")]], [["Äbc"]] },
  { [[upper("äbc")]], [["äBC"]] },
  { [[starts_with(ev.id, "u-")]], "true" },
  { [[starts_with("u", "u-")]], "false" },
  { [[starts_with(nil, "u-")]], "false" },
  { [[ends_with(ev.id, "-1")]], "true" },
  { [[contains("a.b", ".")]], "true" },
  { [[contains("ab", ".")]], "false" },
  { [[part("a,b,,d", ",", 2)]], [["b"]] },
  { [[part("a,b,,d", ",", 3)]], [[""]] },
  { [[part("a,b,,d", ",", 5)]] },
  { [[part("a,b", ",", 0)]] },
  { [[part("ab", "", 1)]] },
  { [[part("a::b", "::", 2)]], [["b"]] },
  { [[split("a,b,", ",")]], [=[["a","b",""]]=] },
  { [[#split(nil, ",")]], "0" },
  { [[url_decode(ev.url)]], [["a b cä"]] },
  { [[url_decode(ev.bad)]] },
  { [[url_decode("%4")]] },
  { [[url_decode("%zz")]] },
  { [[url_decode(("x"):rep(70000))]] },
  { [[#url_decode(("x"):rep(65536))]], "65536" },
  { [[mask(("x"):rep(70000))]] },
  { [[base64_encode(("x"):rep(50000))]] },
  { [[#base64_encode(("x"):rep(49152))]], "65536" },
  { [[base64_decode(("x"):rep(90000))]] },
  { [[param("a=1&utm=x%26y&b", "utm")]], [["x&y"]] },
  { [[param("a=1&utm=x", "ut")]] },
  { [[param("a=1&flag", "flag")]], [[""]] },
  { [[param(nil, "a")]] },
  { [[base64_encode("")]], [[""]] },
  { [[base64_encode("f")]], [["Zg=="]] },
  { [[base64_encode("foobar")]], [["Zm9vYmFy"]] },
  { [[base64_decode("Zm9vYg==")]], [["foob"]] },
  { [[base64_decode("Zm9vYmE")]], [["fooba"]] },
  { [[base64_decode("Z")]] },
  { [[base64_decode("Zm9v!mFy")]] },
  { [[#base64_decode("_-8")]], "2" },
  { [[mask("4111111111111111", 4)]], [["************1111"]] },
  { [[mask("äöü")]], [["***"]] },
  { [[mask("äöü", 1)]], [["**ü"]] },
  { [[mask("ab", 9)]], [["ab"]] },
  { [[mask_ip("203.0.113.77")]], [["203.0.113.0"]] },
  { [[mask_ip("2001:db8:1:2::9")]], [["2001:db8:1::"]] },
  { [[mask_ip("::ffff:203.0.113.77")]], [["203.0.113.0"]] },
  { [[mask_ip("::FFFF:cb00:714d")]], [["203.0.113.0"]] },
  { [[mask_ip("::fffe:203.0.113.77")]], [["::"]] },
  { [[mask_ip("no")]] },
  -- FIPS 180-4's "abc"; RFC 4231, cases 2 and 6.
  { [[sha256("abc")]],
    [["ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"]] },
  { [[sha256("")]],
    [["e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"]] },
  { [[hmac("Jefe", "what do ya want for nothing?")]],
    [["5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"]] },
  { [[hmac(("\170"):rep(131), "Test Using Larger Than Block-Size Key - Hash Key First")]],
    [["60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"]] },
  { [[equal("abc", "abc")]], "true" },
  { [[equal("abc", "abd")]], "false" },
  { [[equal("abc", "ab")]], "false" },
  { [[equal(nil, nil)]], "false" },
  { [[hash("u-1") == hash("u-1") and hash("u-1") ~= hash("u-2")]], "true" },
  { [[hash("u-1")]], "4982967204442717" },
  -- Long ids differ in their last digits only.
  { [[hash(100004567890123) == hash("100004567890123")]], "true" },
  { [[hash(1e17) ~= hash(1e17 + 16)]], "true" },
  { [[tostring(100004567890123)]], [["100004567890123"]] },
  { [[tostring(-9007199254740991)]], [["-9007199254740991"]] },
  { [[tostring(0.1) .. tostring(1e300) .. tostring(1/0)]], [["0.11e+300inf"]] },
  { [[sample(1, "x") and sample(1)]], "true" },
  { [[sample(0, "x") or sample(0)]], "false" },
  { [[(function() local n = 0 for i = 1, 10000 do if sample(0.1, i) then n = n + 1 end end
      return n > 900 and n < 1100 end)()]], "true" },
  { [[(function() local n = 0 for i = 1, 10000 do if sample(0.1) then n = n + 1 end end
      return n > 900 and n < 1100 end)()]], "true" },
  { [[iso8601(req.time_ms)]], [["2025-11-23T12:13:20.000Z"]] },
  { [[iso8601(-1)]], [["1969-12-31T23:59:59.999Z"]] },
  { [[iso8601(1709164800123)]], [["2024-02-29T00:00:00.123Z"]] },
  { [[iso8601(0/0)]] },
  { [[iso8601(1e18)]] },
  { [[parse_time("2025-11-23T12:13:20.5+00:00")]], "1763900000500" },
  { [[parse_time("noon")]] },
  { [[#uuid7()]], "36" },
  -- 2025-11-23T12:13:20Z is 0x19ab0a20700 ms.
  { [[uuid7():match("^019ab0a2%-0700%-7%x%x%x%-[89ab]%x%x%x%-%x+$") ~= nil]],
    "true" },
  { [[(function() local last = "" for i = 1, 10000 do local id = uuid7()
      if id <= last then return id end last = id end return true end)()]],
    "true" },
}

describe("a policy's helper", function()
  local dir = h.folder()
  teardown(function() h.remove(dir) end)

  local function check(text)
    h.write(dir .. "/p.lua", text)
    return h.shell(("%s check %s/p.lua"):format(h.binary, dir))
  end

  local function policy(expression, stored)
    return ([[
file "a" { dir = "a" }
stream "events" { sinks = { "a" } }
route "POST /v1/events" { body = "event", stream = "events",
  on_event = function(ev, req)
    local out = %s
    ev.items, ev.a = nil, nil
    ev.out = out
  end }
example "e" { at = "2025-11-23T12:13:20Z", request = "POST /v1/events",
  body = [=====[%s]=====],
  expect = { status = 202, stored = [=====[%s]=====] } }
]]):format(expression, EVENT, stored)
  end

  for _, row in ipairs(rows) do
    it(row[1]:gsub("%s+", " ") .. " gives " .. (row[2] or "nothing"), function()
      local stored = EVENT:gsub('"items":.-,"deep"', '"deep"')
      if row[2] then
        stored = stored:sub(1, -2) .. ',"out":' .. row[2] .. "}"
      end
      assert.matches("good: 1 route", check(policy(row[1], stored)), 1, true)
    end)
  end

  it("gives examples the same numbers at every load", function()
    local seen = {}
    for i = 1, 2 do
      seen[i] = check(policy("uuid7() .. tostring(sample(0.5))", "?"))
      assert.matches("019ab0a2%-0700%-7", seen[i])
    end
    assert.equal(seen[1], seen[2])
  end)

  it("is described: group, parameters, what it gives, help", function()
    local text = h.read("lua/sluice/library.lua")
    local n = 0
    for name in text:gmatch('{ name = "([%w_]+)", group = "%w+"') do
      assert.matches("\nlocal function " .. name .. "%(", text)
      n = n + 1
    end
    assert.is_true(n >= 25)
  end)
end)
