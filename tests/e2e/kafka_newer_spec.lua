-- Another librdkafka than the one that is installed, such as a newer one:
-- SLUICE_LIBRDKAFKA names its file, librdkafka.so.1.
local h = require "harness"
local kafka = require "kafka"

local library = os.getenv "SLUICE_LIBRDKAFKA"

describe("another librdkafka", function()
  it("delivers each event once, and says why a broker takes nothing", function()
    if not library then pending("SLUICE_LIBRDKAFKA names none") return end
    local m = kafka.mock { partitions = 1 }
    -- The mock does not look at sequences, as brokers do: one request at a time.
    local s = h.server { wrap = { "env", "LD_PRELOAD=" .. library }, policy = ([[
server { listen = "127.0.0.1:0", workers = 1 }
admin { listen = "127.0.0.1:0" }
kafka "bus" { brokers = %q, topic = "events", key = "id", batch = { linger = "5ms" },
  options = { ["max.in.flight"] = 1 }, breaker = { timeout = "500ms" } }
stream "events" { sinks = { "bus" } }
route "POST /v1/events" { body = "event", stream = "events" }
]]):format(m.brokers) }
    finally(function()
      s:close()
      m:close()
    end)
    local function post() assert.equal(202, s:post("/v1/events", [[{"id":1}]]).status) end
    local function delivered(n)
      h.wait_for(n .. " delivered", function()
        return s:metric("sluice_delivered_events_total") == n
      end, 30)
    end
    for _ = 1, 300 do post() end
    delivered(300)
    assert.matches(library, h.read(("/proc/%d/maps"):format(s.real_pid)), 1, true)
    m:say "err 0 10000 19"
    post()
    s:logged('event=kafka_refused sink=bus .*why="NOT_ENOUGH_REPLICAS: ', 30)
    m:say "clear 0"
    delivered(301)
    assert.equal(0, s:stop())
    assert.equal(301, kafka.count(m.brokers, "events", 1))
  end)
end)
