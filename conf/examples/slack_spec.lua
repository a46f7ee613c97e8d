local testing = require "sluice.testing"

describe("slack.lua", function()
  -- The example of Slack's documentation, "Verifying requests from Slack".
  local SECRET, AT = "8f742231b10e8888abcd99yyyzzz85a5", 1531420618
  local SIGNATURE = "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503"
  local BODY = "token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow"
    .. "&channel_id=G8PSS9T3V&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner"
    .. "&command=%2Fwebhook-collect&text=&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands"
    .. "%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN"
    .. "&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c"

  local function send(headers, body, at)
    local policy = assert(testing.load("slack.lua",
      { env = { SLACK_SECRET = SECRET }, time = (at or AT) * 1000 }))
    return policy:post("/slack/command", body or BODY, { headers = headers,
      content_type = "application/x-www-form-urlencoded" })
  end
  local GOOD = { ["X-Slack-Signature"] = SIGNATURE, ["X-Slack-Request-Timestamp"] = tostring(AT) }

  it("takes the request of Slack's documentation, and stores it without its token", function()
    local r = send(GOOD)
    assert.equal(200, r.status)
    local event = testing.decode(r.stored.commands[1])
    assert.same({ "/webhook-collect", "roadrunner" }, { event.command, event.user_name })
    assert.is_nil(event.token)
  end)

  it("refuses it with another time, another body, and without either header", function()
    assert.equal("bad_signature", send({ ["X-Slack-Signature"] = SIGNATURE,
      ["X-Slack-Request-Timestamp"] = tostring(AT + 1) }).code)
    assert.equal("bad_signature", send(GOOD, BODY .. "&x=1").code)
    assert.equal("unsigned", send({ ["X-Slack-Signature"] = SIGNATURE }).code)
    assert.equal("unsigned", send({ ["X-Slack-Request-Timestamp"] = tostring(AT) }).code)
  end)

  it("refuses it five minutes later", function()
    assert.equal(200, send(GOOD, nil, AT + 300).status)
    local r = send(GOOD, nil, AT + 301)
    assert.same({ 401, "expired" }, { r.status, r.code })
  end)
end)
