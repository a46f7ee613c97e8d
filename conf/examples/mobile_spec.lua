local testing = require "sluice.testing"

describe("mobile.lua", function()
  local policy = assert(testing.load "mobile.lua")
  local n = 0

  local function event(more)
    n = n + 1
    return ('{"id":"e%d","event":"open"%s}'):format(n, more or "")
  end

  local function send(body, headers, content_type)
    headers = headers or {}
    headers["X-App"] = "shop"
    return policy:post("/v1/mobile", body, { headers = headers, content_type = content_type })
  end

  it("takes one event, a list, and events one behind the other", function()
    for body, accepted in pairs {
      [event()] = 1, ["[" .. event() .. "," .. event() .. "]"] = 2,
      [event() .. event()] = 2, [event() .. "\r\n" .. event() .. "\n"] = 2,
      ["\239\187\191" .. event() .. " " .. event()] = 2,
    } do
      local r = send(body)
      assert.same({ 202, accepted, 0 }, { r.status, r.accepted, r.rejected }, body)
    end
    assert.equal(202, send(event(), nil, "text/plain").status)
    assert.equal(415, send(event(), nil, "text/csv").status)
  end)

  it("takes compressed bodies, whatever their header says", function()
    -- printf '{"id":"z","event":"open"}' | gzip -n | xxd -p
    local packed = ("1f8b0800000000000003ab56ca4c51b252aa52d2514a2d4bcd2b01b2f30b52f3946a01"
      .. "1d550b4319000000"):gsub("%x%x", function(x) return string.char(tonumber(x, 16)) end)
    local r = send(packed)
    assert.same({ 202, { '{"id":"z","event":"open","app":"shop"}' } },
      { r.status, r.stored.events })
    r = send(packed:sub(1, -2))
    assert.same({ 400, "bad_encoding" }, { r.status, r.code })
    assert.equal(202, send(event(), { ["Content-Encoding"] = "gzip" }).status)
  end)

  it("refuses a large event alone, and keeps it", function()
    local long = event((',"x":"%s"'):format(("x"):rep(16384)))
    local r = send(event() .. long .. event())
    assert.same({ 202, 2, 1, "event_too_large" },
      { r.status, r.accepted, r.rejected, r.events[2].code })
  end)

  it("stores an event once that comes again", function()
    local body = event() .. event()
    assert.equal(2, #send(body).stored.events)
    local r = send(body)
    assert.same({ 202, 2, {} }, { r.status, r.dropped, r.stored })
  end)

  it("refuses events without their app", function()
    local r = policy:post("/v1/mobile", event())
    assert.same({ 422, "missing_field" }, { r.status, r.code })
  end)
end)
