local h = require "harness"
local kafka = require "kafka"

describe("ack = \"delivered\"", function()
  local m, s
  before_each(function()
    m = kafka.mock()
    s = h.server { policy = ([[
server { listen = "127.0.0.1:0", workers = 2 }
admin { listen = "127.0.0.1:0" }
kafka "bus" { brokers = %q, topic = "events", batch = { linger = "1ms" } }
file "archive" { dir = "archive", linger = "5ms" }
stream "events" { ack = "delivered", timeout = "1s", sinks = { "bus", "archive" } }
route "POST /v1/events" { body = "event", stream = "events" }
route "POST /v1/events/batch" { body = "batch", stream = "events" }
]]):format(m.brokers) }
  end)
  after_each(function() s:close() m:close() end)

  it("answers when every sink has the event", function()
    assert.equal(202, s:post("/v1/events", [[{"n":1}]]).status)
    assert.equal(1, kafka.count(m.brokers, "events", 4))
    assert.equal(2, s:metric("sluice_delivered_events_total"))
    local f = h.load_wait(h.load(s.port, { batch = 20, connections = 16,
      seconds = 2 }))
    print(("# delivered: %d events a second, p99 %.1f ms"):format(f.acked / 2,
      f.p99_ms))
    assert.equal(0, f.other + f.broken + f.full)
    assert.equal(f.acked + 1, kafka.count(m.brokers, "events", 4))
    assert.equal(0, s:stop())
  end)

  it("says 504 when one of them does not take it in time, and delivers it later",
  function()
    s:post("/v1/events", [[{"n":0}]])
    m:say("down 1")
    local began = h.now()
    local a = s:post("/v1/events", [[{"n":1}]])
    assert.equal(504, a.status)
    assert.is_true(h.now() - began >= 1 and h.now() - began < 3)
    assert.matches("delivery_timeout", a.body)
    assert.matches("kept and will be delivered", a.body)
    m:say("up 1")
    h.wait_for("its delivery", function()
      return kafka.count(m.brokers, "events", 4) == 2
    end)
    h.wait_for("202 again", function()
      return s:post("/v1/events", [[{"n":2}]]).status == 202
    end)
  end)
end)
