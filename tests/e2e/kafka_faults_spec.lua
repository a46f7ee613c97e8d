-- Nothing lost, over faults of a real Kafka broker and of our own process, under
-- load; what is there twice has the same spool position.
local h = require "harness"
local kafka = require "kafka"
local free_port = require "clickhouse".free_port

local jars, why_not = kafka.jars()
local PAUSE_S = tonumber(os.getenv("SLUICE_PAUSE_S") or "5")

local function policy(brokers)
  return ([[
server { listen = "127.0.0.1:0", workers = 1 }
admin { listen = "127.0.0.1:0" }
kafka "bus" { brokers = %q, topic = "events", key = "user_id",
  position = "headers", batch = { linger = "5ms" } }
stream "events" { sinks = { "bus" } }
route "POST /v1/events/batch" { body = "batch", stream = "events" }
]]):format(brokers)
end

describe("Kafka delivery under load, to a real broker,", function()
  local r, s
  after_each(function()
    if s then s:close() s = nil end
    if r then r:close() r = nil end
  end)

  local faults = {
    { "the broker killed and started again", function()
      r:kill()
      h.sleep(1)
      r:run()
    end },
    { "the broker stopped for a while", function()
      r:signal "SIGSTOP"
      h.sleep(PAUSE_S)
      r:signal "SIGCONT"
    end },
    { "our own process killed twice", function()
      for _ = 1, 2 do
        s:stop("SIGKILL")
        s:start()
        h.sleep(1)
      end
    end, true },
  }

  for _, row in ipairs(faults) do
    local name, fault, own = row[1], row[2], row[3]

    it("loses nothing: " .. name, function()
      if why_not then pending(why_not) return end
      local port = free_port()
      r = kafka.real(jars, free_port(), free_port())
      s = h.server { policy = policy(r.brokers),
        args = own and { "--listen", "127.0.0.1:" .. port } or nil }
      local acks = s.dir .. "/acks"
      local l = h.load(own and port or s.port, { batch = 20, connections = 8,
        seconds = own and 6 or 8 + PAUSE_S, rate = 200, acks = acks, patient = own })
      h.sleep(1)
      fault()
      local f = h.load_wait(l)
      h.wait_for("all events", function()
        return kafka.count(r.brokers, "events", 4) >= f.acked
          and s:metric("sluice_sink_lag_bytes", "bus") < 1e6
      end, 60)
      h.sleep(1)
      local file = s.dir .. "/messages"
      h.shell(("kcat -q -C -b %s -t events -o beginning -e -f '%%h\\t%%s\\n' > '%s'")
        :format(r.brokers, file))
      -- A consumer that drops what has a position it has seen.
      h.shell(([[cut -f1 '%s' | sort | uniq -d | wc -l > '%s.twice';
        awk -F '\t' '!seen[$1]++' '%s' | cut -f2- > '%s.once']]):format(file, file,
        file, file))
      local v = h.verify(acks, file .. ".once")
      print(("# kafka faults: %s: %s copies=%s"):format(name, (v.text:gsub("\n", "")),
        h.read(file .. ".twice"):match("%d+")))
      assert.same({ 0, 0, 0 }, { v.missing, v.twice, v.torn })
      assert.equal(0, s:metric("sluice_dead_events_total"))
    end)
  end
end)
