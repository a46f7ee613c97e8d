-- One event's fault stays that event's, from the scanner to the answer.
local h = require "harness"

describe("decoding", function()
  local s
  after_each(function() if s then s:close() s = nil end end)

  it("refuses one event of a JSON batch alone, and says where the error is", function()
    s = h.server { policy = h.policy() }
    local deep = '{"a":' .. ("["):rep(70) .. ("]"):rep(70) .. "}"
    local faulty = { '{"a":"\\ud800"}', '{"a":NaN}', '{"a":"x\xFF"}', deep }
    local list = { '{"id":0}' }
    for i, text in ipairs(faulty) do
      list[#list + 1] = text
      list[#list + 1] = ('{"id":%d}'):format(i)
    end
    local body = '{"events":[' .. table.concat(list, ",") .. "]}"
    local a = s:post("/v1/events/batch", body)
    assert.equal(202, a.status)
    assert.matches('"accepted":5,"rejected":4', a.body, 1, true)
    local at = body:find("\\ud800", 1, true) - 1
    assert.matches(('{"index":1,"code":"invalid_json","offset":%d,"message":'
      .. '"lone surrogate in a string","retry":false}'):format(at), a.body, 1, true)
    for i, code in ipairs { "invalid_json", "invalid_json", "invalid_json",
      "too_deep" } do
      assert.matches(('"index":%d,"code":"%s"'):format(2 * i - 1, code), a.body, 1,
        true)
    end
    a = s:post("/v1/events/batch", '[{"id":"a"},{"id":"b},{"id":"c"}]')
    assert.equal(400, a.status)
    assert.matches('"code":"invalid_json"', a.body, 1, true)
    assert.equal(0, s:stop())
    assert.equal(5, #s:lines())
  end)

  it("reads a text although the request's memory is used up", function()
    -- Each read of a text with escapes takes its length; smaller and smaller ones
    -- leave less than any key of the other events needs.
    local function reads(key, n) return ("a = ev.%s "):format(key):rep(n) end
    s = h.server { policy = h.policy { stream = 'dedup = { key = "event_id" }',
      route = "on_event = function(ev) local a " .. reads("big", 24)
        .. reads("middle", 24) .. reads("small", 90) .. reads("least", 120)
        .. 'if ev.event_id == "" then return reject("empty", "it is not") end end' } }
    local function text(n) return "\\u0061" .. ("x"):rep(n) end
    local list = { ('{"event_id":"0","big":"%s","middle":"%s","small":"%s",'
      .. '"least":"%s"}'):format(text(3e6), text(6e4), text(800), text(0)) }
    for i = 1, 20 do
      list[#list + 1] = ('{"event_id":"\\u0061%d"}'):format(i)
    end
    local a = s:post("/v1/events/batch", "[" .. table.concat(list, ",") .. "]")
    assert.equal(202, a.status)
    assert.matches('"accepted":21', a.body, 1, true)
    assert.equal(0, s:metric("sluice_dedup_events_total", 'result="repeat"'))
    assert.equal(0, s:stop())
    -- On a busy machine the first one runs longer than a hook may.
    assert.equal(21, #s:lines() + #s:lines("dead"))
  end)

  it("tells when what a limit refuses in on_event may come again", function()
    s = h.server { policy = h.policy { workers = 1, top =
      [[local slow = limit { rate = "1/m", burst = 1, key = "user" }]],
      route = [[on_event = function(ev) return slow:check(ev) end]] } }
    assert.equal(202, s:post("/v1/events", '{"user":"a"}').status)
    local a = s:post("/v1/events", '{"user":"a"}')
    assert.equal(429, a.status)
    local after = tonumber(a.headers["retry-after"])
    assert.is_true(after > 30 and after <= 60, "Retry-After: " .. after)
  end)

  it("writes only UTF-8, whatever bytes a policy's message holds", function()
    s = h.server { policy = h.policy { route = [[on_event = function(ev, req)
        if ev.raise then error(req.headers["x-raw"]) end
        return reject("bad", req.headers["x-raw"])
      end]] } }
    local function is_utf8(text)
      h.write(s.dir .. "/text", text)
      return h.shell("iconv -f UTF-8 -t UTF-8 -o /dev/null '" .. s.dir .. "/text'")
        == ""
    end
    local raw = { ["x-raw"] = 'a"\xFF\xC3b\xE2\x82' }
    local a = s:post("/v1/events", "{}", raw)
    assert.equal(422, a.status)
    assert.matches('a\\"\xEF\xBF\xBD\xEF\xBF\xBDb\xEF\xBF\xBD', a.body, 1, true)
    assert.is_true(is_utf8(a.body))
    -- The message of the letter is cut, here inside a character.
    for pad = 1, 3 do
      raw["x-raw"] = ("x"):rep(pad) .. ("\xE2\x82\xAC"):rep(1000) .. "\xFF"
      assert.equal(202, s:post("/v1/events", '{"raise":1}', raw).status)
    end
    assert.is_true(is_utf8(s:get("/status").body))
    assert.equal(0, s:stop())
    local dead = h.shell("cat '" .. s.data .. "'/dead/*")
    assert.matches('"why":', dead, 1, true)
    assert.is_true(is_utf8(dead))
    assert.is_true(is_utf8(s:text()))
  end)

  it("cuts what /status shows of an event between two characters", function()
    local policy = h.policy { workers = 1 }
    s = h.server { policy = policy }
    h.write(s.path, policy:gsub('stream = "events",', '%0 on_event = function()'
      .. ' return reject("no", "no") end,') .. '\nshadow { during = "1h", sample = 9 }')
    assert.equal(200, s:reload().status)
    for pad = 1, 6 do
      assert.equal(202, s:post("/v1/events",
        ('{"%s":"%s"}'):format(("k"):rep(pad), ("\xE2\x82\xAC"):rep(1000))).status)
    end
    local text = h.wait_for("samples", function()
      local body = s:get("/status").body
      return select(2, body:gsub("\xE2\x82\xAC\xE2\x82\xAC", "")) > 100 and body
    end)
    assert.is_nil(text:find("\xEF\xBF\xBD", 1, true))
    h.write(s.dir .. "/text", text)
    assert.equal("", h.shell("iconv -f UTF-8 -t UTF-8 -o /dev/null '" .. s.dir
      .. "/text'"))
  end)
end)
