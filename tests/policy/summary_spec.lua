-- Answers of a route that tell many events: their numbers, and a text for each.
local testing = require "sluice.testing"

local function policy(answer, more)
  return assert(testing.load("p.lua", ([[
server { listen = "127.0.0.1:0" }
file "a" { dir = "a" }
stream "s" { sinks = { "a" } }
local scarce = limit { rate = "1/h", burst = 2, key = "n" }
route "POST /x" { body = "batch", stream = "s", schema = schema { n = int { } },
  on_event = function(ev)
    if ev.n == 7 then return scarce:check(ev) end
    if ev.n == 8 then error("at eight") end
    if ev.n == 9 then return drop() end
    ev.kept = "k" .. tostring(ev.n)
  end, on_error = "reject", %s
  answer = { status = 200, refused = 400, %s } }
]]):format(more or "", answer)))
end

describe("an answer to many events", function()
  local items = [==[
    body = '{"all":{$accepted},"bad":{$rejected},"errors":{$errors},"list":[{$items}]}',
    item = '{"i":{$index},"kept":"{kept}","n":"{n}"}',
    item_refused = '{"i":{$index},"status":{$status},"code":"{$code}","why":"{$message}"}']==]

  it("has a text for each, with what the hook has set", function()
    local r = policy(items):post("/x", '[{"n":1},{"n":9},{"n":2,"kept":"own"},{"n":-3}]')
    assert.equal('{"all":4,"bad":0,"errors":false,"list":[{"i":0,"kept":"k1","n":"1"},'
      .. '{"i":1,"kept":"","n":"9"},{"i":2,"kept":"k2","n":"2"},{"i":3,"kept":"k-3","n":"-3"}]}',
      r.body)
  end)

  it("tells each refused one by its own status", function()
    local r = policy(items):post("/x",
      '[{"n":1},{"n":7},{"n":7},{"n":7},{"n":8},{"n":"x\\"y"},{"n":},5]')
    assert.equal(200, r.status)
    local list, got = testing.decode(r.body).list, {}
    for i, x in ipairs(list) do got[i] = x.status or 200 end
    assert.same({ 200, 200, 200, 429, 500, 400, 400, 400 }, got)
    assert.same({ "rate_limited", "policy_error", "wrong_type", "invalid_json",
      "not_an_object" }, { list[4].code, list[5].code, list[6].code, list[7].code,
      list[8].code })
  end)

  it("keeps its status where all are refused", function()
    local r = policy(items):post("/x", '[{"n":"x"},{"n":"y"}]')
    assert.same({ 200, true, 2, 0 }, { r.status, testing.decode(r.body).errors,
      testing.decode(r.body).bad, testing.decode(r.body).all })
  end)

  it("says nothing of refused events when there are none, if the route says so", function()
    local p = policy [==[body = '{"bad":"{$rejected}"}', body_accepted = "{}"]==]
    assert.equal("{}", p:post("/x", '[{"n":1},{"n":9}]').body)
    assert.equal("{}", p:post("/x", "[]").body)
    assert.equal('{"bad":"1"}', p:post("/x", '[{"n":1},{"n":"x"}]').body)
    assert.equal(400, p:post("/x", '[{"n":"x"}]').status)
  end)

  it("makes dead letters that are JSON of events that are not", function()
    local p = policy [==[body = '{"bad":"{$rejected}"}']==]
    for text, raw in pairs { ['{"n":,}'] = false, ['{"n":"\\ud83d é"}'] = false,
      ['{"n":"a\tb"}'] = false, ['{"n":"\255"}'] = "eyJuIjoi/yJ9",
      ['{"n":"\1\1\1\1\1"}'] = "eyJuIjoiAQEBAQEifQ==" } do
      local r = p:post("/x", '[{"n":1},' .. text .. "]")
      local letter = testing.decode(r.stored.dead[1])
      assert.same({ 200, "invalid_json" }, { r.status, letter.reason })
      assert.equal(raw and "base64" or nil, letter.encoding)
      assert.equal(raw or text, letter.event)
    end
  end)

  it("refuses as usual what can't be read", function()
    local r = policy(items):post("/x", "[{")
    assert.same({ 400, "invalid_json" }, { r.status, r.code })
  end)

  it("tells numbers and the first reason, and makes dead letters of the refused ones",
    function()
      local p = policy [==[body = '{"good":{$accepted},"bad":"{$rejected}","why":"{$message}"}']==]
      local r = p:post("/x", '[{"n":1},{"n":"x"},{"n":2},{"n":1.5}]')
      assert.same({ 200, 2, 2 }, { r.status, #r.stored.s, #r.stored.dead })
      assert.same({ good = 2, bad = "2", why = "n: expected an integer, got a string" },
        testing.decode(r.body))
      assert.same({ good = 1, bad = "0", why = "" }, testing.decode(p:post("/x", '[{}]').body))
      assert.equal(400, p:post("/x", '[{"n":"x"}]').status)
    end)
end)
