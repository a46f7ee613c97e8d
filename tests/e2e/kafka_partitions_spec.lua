-- Which partition a message goes to, by the policy's partitioner.
local h = require "harness"
local kafka = require "kafka"

local function policy(brokers, partitioner)
  return ([[
server { listen = "127.0.0.1:0", workers = 1 }
admin { listen = "127.0.0.1:0" }
kafka "bus" { brokers = %q, topic = "events", key = "id", partitioner = %q,
  batch = { target = 10, min = 1, max = 20, linger = "5ms" } }
stream "events" { sinks = { "bus" } }
route "POST /v1/events/batch" { body = "batch", stream = "events" }
]]):format(brokers, partitioner)
end

describe("the partitioner", function()
  local m, s
  after_each(function()
    if s then s:close() s = nil end
    m:close()
  end)

  -- n requests of 20 events, all of one key; messages of each partition.
  local function send(n, partitioner, during)
    s = h.server { policy = policy(m.brokers, partitioner) }
    for i = 1, n do
      local list = {}
      for k = 1, 20 do list[k] = ([[{"id":"same","n":%d}]]):format(i * 20 + k) end
      assert.equal(202, s:post("/v1/events/batch",
        "[" .. table.concat(list, ",") .. "]").status)
      if during then during(i) end
    end
    h.wait_for("all messages", function()
      return s:metric("sluice_delivered_events_total") == n * 20
    end, 60)
    if during then during() end
    local at = { [0] = 0, 0, 0, 0 }
    for _, line in ipairs(kafka.consume(m.brokers, "events", "%p %k\\n")) do
      local p, key = line:match("^(%d) (%S+)$")
      assert.equal("same", key)
      at[tonumber(p)] = at[tonumber(p)] + 1
    end
    assert.equal(n * 20, at[0] + at[1] + at[2] + at[3])
    return at
  end

  it("\"key\" keeps a key in one partition", function()
    m = kafka.mock()
    local at = send(10, "key")
    table.sort(at)
    assert.is_true(at[0] == 200 or at[3] == 200)
  end)

  it("\"sticky\" takes partitions in turn, whatever the key", function()
    m = kafka.mock()
    local at = send(50, "sticky")
    for p = 0, 3 do assert.is_true(at[p] >= 20, p .. ": " .. at[p]) end
  end)

  it("\"least_bytes\" spreads, and leaves a slow broker's partitions alone", function()
    m = kafka.mock { brokers = 2 }
    local at = send(50, "least_bytes")
    for p = 0, 3 do assert.is_true(at[p] >= 100, p .. ": " .. at[p]) end
    s:close()
    m:close()
    m = kafka.mock { brokers = 2 }
    for p = 0, 3 do m:say(("leader events %d %d"):format(p, p % 2 + 1)) end
    at = send(50, "least_bytes", function(i)
      if i == 10 then
        h.wait_for("both brokers' first words", function()
          return s:metric("sluice_delivered_events_total") == 200
        end)
        m:say("rtt 1 2000")
      end
      if not i then m:say("rtt 1 0") end
      h.sleep(0.02) -- the quick broker's word comes meanwhile
    end)
    local late, quick = at[0] + at[2], at[1] + at[3]
    print(("# kafka partitions: least_bytes with a broker 2 s late: to it=%d to the "
      .. "other=%d"):format(late, quick))
    assert.is_true(quick > 2 * late)
    assert.is_true(math.min(at[1], at[3]) > quick / 4)
  end)
end)
