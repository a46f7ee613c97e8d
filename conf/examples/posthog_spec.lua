local testing = require "sluice.testing"

describe("posthog.lua", function()
  local policy = assert(testing.load("posthog.lua", { env = { POSTHOG_TOKEN = "phc_1" },
    time = "2025-06-01T12:00:00Z" }))

  local function line(r) return testing.decode(r.stored.events[1]) end

  local function batch(path, events, more)
    local body = more or {}
    body.api_key, body.batch = body.api_key or "phc_1", events
    return policy:post(path, body)
  end

  it("takes a batch with and without a slash at the end", function()
    for _, path in ipairs { "/batch", "/batch/", "/i/v0/ai/batch/" } do
      local r = batch(path, { { event = "paid", distinct_id = "u", properties = { n = 1 } } },
        { sent_at = "2025-06-01T12:00:00.000Z" })
      assert.same({ 200, '{"status":1}' }, { r.status, r.body })
      local e = line(r)
      assert.same({ nil, "demo", "2025-06-01T12:00:00.000Z", 1748779200000 },
        { e.api_key, e.project, e.sent_at, e.received_at })
    end
  end)

  it("takes the token and the person from where a library puts them", function()
    for _, e in ipairs {
      { api_key = "phc_1", event = "x", distinct_id = "u" },
      { token = "phc_1", event = "x", distinct_id = 7 },
      { event = "x", properties = { token = "phc_1", distinct_id = "u" } },
    } do
      local r = policy:post("/capture/", e)
      assert.equal(200, r.status)
      local stored = line(r)
      assert.is_nil(stored.api_key or stored.token or stored.properties
        and stored.properties.token)
    end
  end)

  it("takes one event, an array and a batch on each path", function()
    local e = { event = "x", distinct_id = "u", properties = { token = "phc_1" } }
    for _, path in ipairs { "/e/?ip=0&_=1&ver=1.200.0", "/i/v0/e/", "/capture", "/batch/" } do
      for _, body in ipairs { e, { e }, { api_key = "phc_1", batch = { e } } } do
        local r = policy:post(path, body, { content_type = "text/plain" })
        assert.same({ 200, 1 }, { r.status, #r.stored.events })
      end
    end
  end)

  it("refuses a batch that stands in an array, instead of storing it as one event", function()
    local r = policy:post("/e/", [==[[{"api_key":"phc_1","batch":[{"event":"x","distinct_id":"u"}],
      "event":"e","distinct_id":"u"}]]==])
    assert.same({ 400, "batch_as_event", {} }, { r.status, r.code, r.stored.events or {} })
    assert.matches('its events at "batch": send it alone as the body', r.message)
  end)

  it("takes a form whose field has the same in base64", function()
    local function post(body)
      return policy:post("/e/?compression=base64", body,
        { content_type = "application/x-www-form-urlencoded" })
    end
    -- {"event":"é>~","distinct_id":"u","properties":{"token":"phc_1","n":1.50}}, the same in
    -- an array, and in {"api_key":"phc_1","batch":[…]}.
    for _, letters in ipairs {
      "eyJldmVudCI6IsOpPn4iLCJkaXN0aW5jdF9pZCI6InUiLCJwcm9wZXJ0aWVzIjp7InRva2VuIjoicGhj"
        .. "XzEiLCJuIjoxLjUwfX0=",
      "W3siZXZlbnQiOiLDqT5+IiwiZGlzdGluY3RfaWQiOiJ1IiwicHJvcGVydGllcyI6eyJ0b2tlbiI6InBo"
        .. "Y18xIiwibiI6MS41MH19XQ==",
      "eyJhcGlfa2V5IjoicGhjXzEiLCJiYXRjaCI6W3siZXZlbnQiOiLDqT5+IiwiZGlzdGluY3RfaWQiOiJ1"
        .. "IiwicHJvcGVydGllcyI6eyJ0b2tlbiI6InBoY18xIiwibiI6MS41MH19XX0=",
    } do
      for _, text in ipairs { letters, (letters:gsub("%+", "%%2B"):gsub("/", "%%2F")
        :gsub("=", "%%3D")) } do
        local r = post("data=" .. text)
        assert.same({ 200, 1 }, { r.status, #r.stored.events })
        assert.matches('"é>~".*"n":1.50', r.stored.events[1])
      end
    end
    for body, detail in pairs { [""] = "lacks the field", ["x=1"] = "lacks the field",
      ["data=e30&data=e30"] = "more than once", ["data=%25"] = "is not base64",
      ["data=bm8"] = "is not JSON" } do
      local r = post(body)
      assert.same({ 400, "invalid_form" }, { r.status, r.code }, body)
      assert.matches(detail, r.message)
    end
  end)

  it("stores an event once that is sent again", function()
    local e = { event = "paid", distinct_id = "u", uuid = "0190-1" }
    assert.equal(1, #batch("/batch/", { e }).stored.events)
    local again = batch("/batch/", { e })
    assert.same({ 200, {} }, { again.status, again.stored })
  end)

  it("refuses an unknown token, and what is no event", function()
    local r = batch("/batch/", { { event = "x", distinct_id = "u" } }, { api_key = "other" })
    assert.same({ 400, "unknown_token" }, { r.status, r.code })
    for _, e in ipairs { { distinct_id = "u" }, { event = "x" }, { event = ("x"):rep(201),
      distinct_id = "u" }, { event = "x", distinct_id = "u", timestamp = "noon" } } do
      r = batch("/batch/", { e })
      assert.same({ 400, 1 }, { r.status, r.rejected })
    end
  end)

  it("keeps the good events of a batch, and the bad one beside them", function()
    local r = batch("/batch/", { { event = "x", distinct_id = "u" }, { event = "y" } })
    assert.same({ 200, 1, 1 }, { r.status, #r.stored.events, #r.stored.dead })
  end)

  it("answers questions about flags, and stores none", function()
    for _, path in ipairs { "/flags/?v=2&config=true", "/decide/?v=3", "/flags" } do
      local r = policy:post(path, { token = "phc_1", distinct_id = "u" })
      assert.same({ 200, {} }, { r.status, r.stored })
      local answer = testing.decode(r.body)
      assert.same({ false, {} }, { answer.errorsWhileComputingFlags, answer.featureFlags })
    end
    assert.equal(200, policy:get("/array/phc_1/config?ip=0&ip=1").status)
  end)
end)
