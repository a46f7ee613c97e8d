-- Nothing lost, over faults of a real server and of our own process, under load.
local h = require "harness"
local clickhouse = require "clickhouse"

local why_not = clickhouse.missing()
local PAUSE_S = tonumber(os.getenv("SLUICE_PAUSE_S") or "5")

local function policy(url, more)
  return ([[
server { listen = "127.0.0.1:0", workers = 1 }
admin { listen = "127.0.0.1:0" }
spool { max_bytes = "4GiB" }
clickhouse "olap" { urls = { %q }, table = "default.events", user = "ingest",
  password = "secret", columns = { event_id = "event_id", raw = "@event" },
  timeout = "3s", %s
  breaker = { timeout = "1s" },
  batch = { target = 1000, min = 100, max = 2000, linger = "100ms" } }
stream "events" { sinks = { "olap" } }
route "POST /v1/events/batch" { body = "batch", stream = "events" }
]]):format(url, more or "")
end

describe("ClickHouse delivery under load", function()
  local ch, s
  setup(function() if not why_not then ch = clickhouse.start() end end)
  teardown(function() if ch then ch:close() end end)
  after_each(function() if s then s:close() s = nil end end)

  local function table_of_events()
    ch:must "DROP TABLE IF EXISTS events"
    ch:must [[CREATE TABLE events (event_id String, raw String)
      ENGINE = MergeTree() PARTITION BY tuple() ORDER BY event_id]]
  end

  local function answers() return ch:query("SELECT 1") == "1\n" end

  local faults = {
    { "the server killed and started again", function()
      ch:kill()
      h.sleep(2)
      ch:run()
    end },
    { "the server stopped for a while", function()
      ch:pause()
      h.sleep(PAUSE_S)
      ch:go_on()
    end },
    { "the table dropped and made again", function()
      h.sleep(0.5)
      -- What it held goes with it: it is kept aside, to be counted.
      ch:must "RENAME TABLE events TO before"
      h.sleep(2)
      ch:must [[CREATE TABLE events (event_id String, raw String)
        ENGINE = MergeTree() PARTITION BY tuple() ORDER BY event_id]]
    end, "before" },
    { "a wrong password", function()
      ch:set_password("another")
      h.wait_for("refusals", function()
        return (s:metric("sluice_sink_holding") or 0) == 1
      end, 30)
      h.sleep(1)
      ch:set_password("secret")
    end },
    { "our own process killed twice", function()
      for _ = 1, 2 do
        s:stop("SIGKILL")
        s:start()
        h.sleep(1)
      end
    end, nil, true },
    { "both killed at once", function()
      ch:kill()
      s:stop("SIGKILL")
      ch:run()
      s:start()
    end, nil, true },
  }

  for _, row in ipairs(faults) do
    local name, fault, aside, own = row[1], row[2], row[3], row[4]

    it("loses nothing: " .. name, function()
      if why_not then pending(why_not) return end
      ch:set_password("secret") -- also after a test that failed
      ch:query "DROP TABLE before"
      table_of_events()
      local port = clickhouse.free_port()
      s = h.server { policy = policy(ch.url),
        args = own and { "--listen", "127.0.0.1:" .. port } or nil }
      local acks = s.dir .. "/acks"
      local l = h.load(own and port or s.port, { batch = 20, connections = 8,
        seconds = own and 8 or 6 + PAUSE_S, rate = 500, acks = acks,
        patient = own })
      h.sleep(1)
      fault()
      local f = h.load_wait(l)
      if not own then assert.equal(0, f.other + f.broken + f.full) end
      h.wait_for("the server", answers)
      local from = ("(SELECT event_id, raw FROM events%s)"):format(aside and
        " UNION ALL SELECT event_id, raw FROM " .. aside or "")
      h.wait_for("all events", function()
        return s:metric("sluice_sink_lag_bytes") and ch:count(
          "SELECT uniqExact(event_id) FROM " .. from) >= f.acked
      end, 60)
      local file = s.dir .. "/rows"
      h.shell(("curl -s '%s' --data-binary 'SELECT raw FROM %s FORMAT TSVRaw' > '%s'")
        :format(ch.url, from, file))
      local v = h.verify(acks, file)
      print(("# clickhouse faults: %s: %s"):format(name, v.text))
      assert.same({ 0, 0 }, { v.missing, v.torn })
      assert.equal(0, s:metric("sluice_dead_events_total"))
      assert.equal(0, s:stop())
    end)
  end
end)
