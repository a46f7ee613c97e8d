local testing = require "sluice.testing"

describe("loki.lua", function()
  local policy = assert(testing.load("loki.lua", { env = { LOKI_USER = "u:p" } }))
  local AUTH = { Authorization = "Basic dTpw" } -- u:p

  local function push(body, headers)
    return policy:post("/loki/api/v1/push", body, { headers = headers or AUTH })
  end

  local function line(values, labels)
    return push(('{"streams":[{"stream":%s,"values":[%s]}]}'):format(
      labels or '{"app":"a"}', values))
  end

  it("makes each line an event with its labels", function()
    local r = push [==[{"streams":[
      {"stream":{"app":"a"},"values":[["17","x"],["18","y",{"trace":"t"}]]},
      {"values":[["19","z"]],"stream":{"app":"b"}}]}]==]
    assert.same({ 204, "" }, { r.status, r.body })
    assert.same({
      '{"time":"17","line":"x","labels":{"app":"a"},"tenant":"demo"}',
      '{"time":"18","line":"y","metadata":{"trace":"t"},"labels":{"app":"a"},'
        .. '"tenant":"demo"}',
      '{"time":"19","line":"z","labels":{"app":"b"},"tenant":"demo"}',
    }, r.stored.lines)
  end)

  it("keeps nanoseconds and texts as they were sent", function()
    local r = line [==[ [ "1700000000123456789" , "\u00e9 \"q\"" ] ]==]
    local e = r.stored.lines[1]
    assert.matches('"time":"1700000000123456789"', e, 1, true)
    assert.matches([["line":"\u00e9 \"q\""]], e, 1, true)
  end)

  it("refuses a bad line alone, and keeps it", function()
    local r = line '["1","a"],[2,"b"],["3"],[null,"c"],["4","d",{},5],"e",[NaN,"f"],["x","g"],["5","h"]'
    assert.same({ 204, 2, 7 }, { r.status, #r.stored.lines, #r.stored.dead })
    local codes = {}
    for i = 2, 8 do codes[#codes + 1] = r.events[i].code or r.events[i].reason end
    assert.same({ "wrong_type", "missing_field", "missing_field", "not_a_row", "not_a_row",
      "invalid_json", "bad_format" }, codes)
  end)

  it("says 400 where no line is good, or the body is no push", function()
    for _, body in ipairs { "", "{", "[]", '{"stream":[]}', '{"streams":{}}',
        '{"streams":[5]}', '{"streams":[{"stream":{},"values":[["1","a"]}]}',
        '{"streams":[{"stream":{},"values":[["x","a"]]}]}' } do
      local r = push(body)
      assert.same({ 400, {} }, { r.status, r.stored.lines or {} }, body)
    end
  end)

  it("stores a line once that is pushed twice, but not of other labels", function()
    assert.equal(1, #line('["21","a"]').stored.lines)
    assert.is_nil(line('["21","a"]').stored.lines)
    for _, r in ipairs { line('["22","a"]'), line('["21","b"]'),
        line('["21","a"]', '{"app":"b"}') } do
      assert.equal(1, #r.stored.lines)
    end
  end)

  it("asks for a user and password", function()
    for _, h in ipairs { {}, { Authorization = "Basic dTpx" } } do
      local r = push('{"streams":[]}', h)
      assert.same({ 401, "unknown_user", "no tenant has this user and password\n" },
        { r.status, r.code, r.body })
    end
  end)

  it("refuses protobuf, and says that it is ready", function()
    local r = policy:post("/loki/api/v1/push", "\10\2", { headers = AUTH,
      content_type = "application/x-protobuf" })
    assert.equal(415, r.status)
    r = policy:request("GET", "/ready")
    assert.same({ 200, "ready\n" }, { r.status, r.body })
  end)
end)
