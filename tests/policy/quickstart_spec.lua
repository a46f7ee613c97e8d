local testing = require "sluice.testing"

describe("conf/quickstart.lua", function()
  local NOON = 1735732800000 -- 2025-01-01T12:00:00Z
  local policy

  before_each(function()
    policy = assert(testing.load("conf/quickstart.lua", { time = NOON }))
  end)

  -- A good click, changed by `over`.
  local function click(over)
    local e = { event_id = "e1", event_type = "click", user_id = "u-1",
      timestamp = NOON }
    for k, v in pairs(over or {}) do e[k] = v end
    return e
  end

  describe("POST /v1/events", function()
    local function post(over) return policy:post("/v1/events", click(over)) end

    it("accepts a click and answers how many", function()
      local r = post()
      assert.equal(202, r.status)
      assert.equal('{"status":"accepted","accepted":1}', r.body)
    end)

    it("stores a click as it was sent, with the time it came", function()
      local text = [[{"event_id": "e1", "event_type":"click", "user_id":"u-1", ]]
        .. [["timestamp":1735732800000, "extra":[1.50, null]}]]
      local r = policy:post("/v1/events", text)
      assert.same({ events = {
        text:sub(1, -2) .. [[,"received_at":1735732800000}]] } }, r.stored)
    end)

    it("names the field that is missing", function()
      local r = post { user_id = testing.null }
      assert.equal(422, r.status)
      assert.same({ "missing_field", "user_id" }, { r.code, r.field })
      assert.same({}, r.stored)
    end)

    it("refuses an event from the future, but not from a slow clock", function()
      assert.equal(202, post { timestamp = NOON + 5 * 60000 }.status)
      local r = post { timestamp = NOON + 5 * 60000 + 1 }
      assert.equal("in_future", r.code)
      assert.equal(202, post { timestamp = "2024-01-01T00:00:00Z" }.status)
    end)

    it("refuses a type of event that nobody knows", function()
      local r = post { event_type = "clack" }
      assert.equal("not_in_enum", r.code)
      assert.matches('"clack" is none of click, impression', r.message, 1, true)
    end)

    it("asks a purchase for its value, which may be nought", function()
      assert.equal("missing_value", post { event_type = "purchase" }.code)
      assert.equal(202, post { event_type = "purchase", value = 0 }.status)
      assert.equal("too_small",
        post { event_type = "purchase", value = -1 }.code)
    end)

    it("takes nothing but one JSON object", function()
      assert.equal(400, policy:post("/v1/events", "{").status)
      assert.equal(415, policy:post("/v1/events", "{}",
        { content_type = "text/plain" }).status)
      local r = policy:request("GET", "/v1/events")
      assert.same({ 405, "POST" }, { r.status, r.headers.allow })
      assert.equal(404, policy:post("/v1/event", click()).status)
    end)
  end)

  describe("POST /v1/events/batch", function()
    it("keeps the good events of a batch and lists the bad ones", function()
      local r = policy:post("/v1/events/batch", { events = {
        click(), click { user_id = "u" }, click { event_id = "e3" } } })
      assert.equal(202, r.status)
      assert.same({ 2, 1 }, { r.accepted, r.rejected })
      assert.equal(1, r.json.errors[1].index)
      assert.equal("too_short", r.events[2].code)
      assert.equal(2, #r.stored.events)
    end)

    it("takes a line an event as well", function()
      local r = policy:post("/v1/events/batch", testing.encode(click()) .. "\n"
        .. "{oops\n" .. testing.encode(click { event_id = "e2" }) .. "\n",
        { content_type = "application/x-ndjson" })
      assert.same({ "accepted", "rejected", "accepted" },
        { r.events[1].fate, r.events[2].fate, r.events[3].fate })
    end)

    it("refuses a body that is larger than the server takes", function()
      local r = policy:post("/v1/events/batch",
        (" "):rep(policy.plan.server.max_body + 1))
      assert.same({ 413, "too_large" }, { r.status, r.code })
    end)
  end)
end)
