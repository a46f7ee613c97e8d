local testing = require "sluice.testing"

describe("ga4.lua", function()
  local policy = assert(testing.load("ga4.lua",
    { env = { GA4_STREAM = "G-1", GA4_SECRET = "s1" }, time = "2025-06-01T12:00:00Z" }))
  local URL = "/mp/collect?measurement_id=G-1&api_secret=s1"

  local function send(events, more, url)
    local body = more or {}
    body.client_id, body.events = body.client_id or "c.1", events
    return policy:post(url or URL, body)
  end
  local function line(r) return testing.decode(r.stored.events[1]) end

  it("answers 204 without a body, and stores each event", function()
    local r = send { { name = "login", params = { method = "x" } }, { name = "sign_up" } }
    assert.same({ 204, "", 2 }, { r.status, r.body, #r.stored.events })
    assert.same({ "c.1", "G-1", 1748779200000 },
      { line(r).client_id, line(r).stream_id, line(r).received_at })
  end)

  it("reads microseconds, of the event before those of the request", function()
    local r = send({ { name = "a", timestamp_micros = 1748779200123456 }, { name = "b" } },
      { timestamp_micros = "1748779200999000" })
    assert.same({ 1748779200123, 1748779200999 }, { line(r).timestamp_micros,
      testing.decode(r.stored.events[2]).timestamp_micros })
    r = send({ { name = "a" } }, { timestamp_micros = 1748779200 }) -- seconds
    assert.same({ 422, "bad_time" }, { r.status, r.code })
  end)

  it("stores a purchase once by its transaction, and all other events", function()
    local function stored(name, id)
      return #(send { { name = name, params = { transaction_id = id } } }.stored.events or {})
    end
    assert.same({ 1, 0, 1, 1 }, { stored("purchase", "t1"), stored("purchase", "t1"),
      stored("refund", "t1"), stored("purchase", "t2") })
    assert.same({ 1, 1 }, { stored("login"), stored("login") })
  end)

  it("takes no other secret, and no other stream", function()
    for _, query in ipairs { "measurement_id=G-1&api_secret=s2", "measurement_id=G-1",
      "measurement_id=G-2&api_secret=s1", "api_secret=s1", "" } do
      local r = send({ { name = "a" } }, nil, "/mp/collect?" .. query)
      assert.same({ 403, "bad_secret" }, { r.status, r.code })
    end
  end)

  it("takes an app by its Firebase id", function()
    local r = policy:post("/mp/collect?firebase_app_id=G-1&api_secret=s1",
      { app_instance_id = "i", events = { { name = "open" } } })
    assert.same({ 204, "i" }, { r.status, line(r).app_instance_id })
  end)

  it("refuses what Google drops without a word", function()
    for _, name in ipairs { "", "_x", "1x", "a b", ("x"):rep(41) } do
      assert.same({ 422, "name" }, { send({ { name = name } }).status,
        send({ { name = name } }).field })
    end
    local r = policy:post(URL, { events = { { name = "a" } } })
    assert.same({ 422, "no_client" }, { r.status, r.code })
    assert.equal(400, policy:post(URL, "{").status)
  end)
end)
