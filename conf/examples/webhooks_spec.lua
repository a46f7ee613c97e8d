local testing = require "sluice.testing"

describe("webhooks.lua", function()
  local policy = assert(testing.load "webhooks.lua")

  local function hook(body, event)
    return policy:post("/webhooks", body,
      { headers = { ["X-GitHub-Event"] = event or "issues" } })
  end

  it("archives a payload byte by byte", function()
    local text = [[{ "action":"opened", "n":1.50e1, "t":"\u00e9",]]
      .. [["sender": { "login":"octocat" } }]]
    assert.same({ webhooks = { text } }, hook(text).stored)
  end)

  it("says yes to a ping and keeps nothing of it", function()
    local r = hook({ zen = "Keep it logically awesome." }, "ping")
    assert.same({ 202, 1, 1 }, { r.status, r.accepted, r.dropped })
    assert.same({}, r.stored)
  end)

  it("answers only when a payload is on stable storage", function()
    assert.equal("synced", policy.streams.webhooks.ack)
  end)

  it("asks nothing of a payload but that it looks like one", function()
    assert.equal(202, hook("{}").status)
    assert.equal("wrong_type", hook({ action = 7 }).code)
    assert.equal("sender.login", hook({ sender = { login = ("x"):rep(101) } })
      .field)
    assert.equal(400, hook("[]").status)
  end)

  it("takes many at once", function()
    local r = policy:post("/webhooks/batch", { { action = "a" }, 7, {} })
    assert.same({ 2, 1 }, { r.accepted, r.rejected })
    assert.equal("not_an_object", r.events[2].code)
  end)
end)
