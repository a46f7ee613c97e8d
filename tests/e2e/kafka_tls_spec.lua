-- A real broker behind TLS and a password, by librdkafka's own options.
local h = require "harness"
local kafka = require "kafka"
local free_port = require "clickhouse".free_port

local jars, why_not = kafka.jars()

local function policy(port, password, ca)
  return ([[
server { listen = "127.0.0.1:0", workers = 1 }
admin { listen = "127.0.0.1:0" }
kafka "bus" { brokers = "127.0.0.1:%d", topic = "events", key = "user_id",
  batch = { linger = "5ms" }, breaker = { timeout = "1s" },
  options = { ["security.protocol"] = "SASL_SSL", ["sasl.mechanism"] = "PLAIN",
    ["sasl.username"] = "ingest", ["sasl.password"] = env("KAFKA_PASSWORD", %q),
    ["ssl.ca.location"] = %q, ["ssl.endpoint.identification.algorithm"] = "https" } }
stream "events" { sinks = { "bus" }, index = "user_id" }
route "POST /v1/events" { body = "event", stream = "events" }
]]):format(port, password, ca)
end

describe("Kafka behind TLS and a password", function()
  local r, s, port
  setup(function()
    if why_not then return end
    port = free_port()
    r = kafka.real(jars, free_port(), free_port(),
      { listeners = { SECURE = { port = port, password = true, tls = true } } })
  end)
  teardown(function() if r then r:close() end end)
  after_each(function() if s then s:close() s = nil end end)

  it("takes events; with a wrong password all is kept, and goes when it is mended",
    function()
      if why_not then pending(why_not) return end
      s = h.server { policy = policy(port, "wrong", r.dir .. "/cert.pem") }
      for i = 1, 20 do
        assert.equal(202, s:post("/v1/events", ([[{"user_id":"u%d"}]]):format(i)).status)
      end
      s:logged("event=breaker .* state=open", 30)
      assert.equal(0, s:metric("sluice_delivered_events_total"))
      h.write(s.path, policy(port, "secret", r.dir .. "/cert.pem"))
      assert.equal(200, s:reload().status)
      h.wait_for("all events", function()
        return s:metric("sluice_delivered_events_total") == 20
      end, 60)
      assert.equal(20, kafka.count(r.brokers, "events", 4))
      -- By the options of the sink.
      assert.matches("accepted=20 messages=20 missing=0 doubled=0", h.shell(
        ("%s ledger --kafka bus --policy '%s' '%s' 2>&1"):format(h.binary, s.path, s.data)))
      assert.equal(0, s:stop())
    end)

  it("is authenticated by the files of its options as they are at a reload", function()
    if why_not then pending(why_not) return end
    local dir = h.folder()
    finally(function() h.remove(dir) end)
    h.shell(("openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=other "
      .. "-keyout '%s/key.pem' -out '%s/cert.pem'"):format(dir, dir))
    local before = kafka.count(r.brokers, "events", 4)
    s = h.server { policy = policy(port, "secret", dir .. "/cert.pem") }
    assert.equal(202, s:post("/v1/events", "{}").status)
    s:logged("certificate verify failed", 30)
    -- The same path, renewed in place; the policy is the same.
    h.write(dir .. "/cert.pem", h.read(r.dir .. "/cert.pem"))
    assert.equal(200, s:reload().status)
    h.wait_for("the event", function()
      return s:metric("sluice_delivered_events_total") == 1
    end, 60)
    assert.equal(before + 1, kafka.count(r.brokers, "events", 4))
    assert.equal(0, s:stop())
  end)

  it("is not spoken to when its certificate is another's", function()
    if why_not then pending(why_not) return end
    local other = h.folder()
    h.shell(("openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=other "
      .. "-keyout '%s/key.pem' -out '%s/cert.pem'"):format(other, other))
    local before = kafka.count(r.brokers, "events", 4)
    s = h.server { policy = policy(port, "secret", other .. "/cert.pem") }
    s:post("/v1/events", "{}")
    s:logged("certificate verify failed", 30)
    s:logged("event=breaker .* state=open", 30)
    assert.equal(before, kafka.count(r.brokers, "events", 4))
    h.remove(other)
  end)
end)
