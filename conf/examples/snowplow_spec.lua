local testing = require "sluice.testing"

describe("snowplow.lua", function()
  local policy = assert(testing.load("snowplow.lua", { time = "2025-06-01T12:00:00Z" }))
  local TP2 = "/com.snowplowanalytics.snowplow/tp2"
  local id = 0

  local function event(over)
    id = id + 1
    local e = { e = "pv", p = "web", tv = "js-4.0.0",
      eid = ("0f5dc1ae-1c1f-4a5c-8b0a-%012x"):format(id) }
    for k, v in pairs(over or {}) do e[k] = v end
    return e
  end

  local function post(events, headers)
    return policy:post(TP2, { schema = "iglu:com.snowplowanalytics.snowplow/payload_data/"
      .. "jsonschema/1-0-4", data = events }, { headers = headers,
      content_type = "application/json; charset=UTF-8" })
  end

  local function line(r) return testing.decode(r.stored.events[1]) end

  it("stores each event of a batch, with the times in milliseconds", function()
    local r = post { event { dtm = "1748779200000", stm = "1748779200001" }, event() }
    assert.same({ 200, "ok", 2 }, { r.status, r.body, #r.stored.events })
    assert.same({ 1748779200000, 1748779200001, 1748779200000 },
      { line(r).dtm, line(r).stm, line(r).received_at })
  end)

  it("stores the same event from a query, and answers an image", function()
    local r = policy:get("/i?stm=1748779200001&e=se&p=srv&tv=node-4&se_va=7&eid="
      .. event().eid .. "&cx=eyJhIjoxfQ&cx=x")
    assert.same({ 200, "image/gif", 43 }, { r.status, r.headers["content-type"], #r.body })
    assert.same({ "se", "7", "eyJhIjoxfQ", 1748779200001 },
      { line(r).e, line(r).se_va, line(r).cx, line(r).stm })
  end)

  it("stores an event once that comes by both ways", function()
    local e = event()
    assert.equal(1, #post({ e }).stored.events)
    local again = policy:get(("/i?e=pv&p=web&tv=js-4.0.0&eid=%s"):format(e.eid))
    assert.same({ 200, {} }, { again.status, again.stored })
  end)

  it("stores no address with SP-Anonymous", function()
    assert.equal("127.0.0.1", line(post { event() }).ip)
    local e = line(post({ event() }, { ["SP-Anonymous"] = "*" }))
    assert.is_nil(e.ip or e.anonymous)
    -- Not among the dead letters either, where one is refused beside others.
    local r = post({ event(), { e = "pv" } }, { ["SP-Anonymous"] = "*" })
    assert.equal(1, #r.stored.dead)
    assert.is_nil(r.stored.dead[1]:find("127.0.0.1", 1, true))
  end)

  it("keeps the address that a server names for its user", function()
    assert.equal("192.0.2.7", line(post { event { ip = "192.0.2.7" } }).ip)
    assert.equal("192.0.2.7", line(post({ event { ip = "192.0.2.7" } },
      { ["SP-Anonymous"] = "*" })).ip)
  end)

  it("refuses what the protocol does not have", function()
    for field, bad in pairs { e = event { e = "" }, eid = event { eid = "7" },
      dtm = event { dtm = "1748779200" } } do
      local r = post { bad }
      assert.same({ 422, field }, { r.status, r.field })
    end
    local r = policy:get "/i?p=web"
    assert.same({ 200, 1 }, { r.status, r.rejected })
  end)

  it("leads clicks to its own hosts only", function()
    local r = policy:get "/r/tp2?e=pv&u=https%3A%2F%2Fshop.example%2Fsale"
    assert.same({ 302, "https://shop.example/sale" }, { r.status, r.headers.location })
    assert.equal("https://shop.example/sale", line(r).u)
    for _, u in ipairs { "https%3A%2F%2Fevil.example%2F", "%2F%2Fevil.example", "" } do
      r = policy:get("/r/tp2?u=" .. u)
      assert.same({ 422, nil }, { r.status, r.headers.location })
    end
  end)
end)
