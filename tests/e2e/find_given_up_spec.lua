-- What the spool has given up (max_lag) for a sink that is down: sluice find and sluice ledger
-- do not call it pending, but what the sink will call it when it comes back.
local cjson = require "cjson"
local h = require "harness"
local receiver = require "receiver"

describe("an event that the spool gave up for a sink that is down", function()
  local s, r
  before_each(function() r = receiver.start() end)
  after_each(function()
    s:close()
    r:close()
  end)

  local function start()
    s = h.server { policy = ([[
server { listen = "127.0.0.1:0", workers = 1, drain = "100ms", max_body = "1MiB" }
admin { listen = "127.0.0.1:0" }
spool { segment = "4MiB", max_bytes = "256MiB" }
http "out" { url = %q, batch = { linger = "5ms", max = 10, min = 1, target = 10 }, breaker = { timeout = "1s" } }
file "archive" { dir = "archive", linger = "20ms" }
stream "events" { index = "id",
  sinks = { "archive", out = { when_full = "skip", max_lag = "5MiB" } } }
route "POST /e" { body = "batch", stream = "events" }
]]):format(r.url) }
  end

  local n = 0

  local function send()
    local list, pad = {}, ("x"):rep(900)
    for i = 1, 500 do list[i] = ([[{"id":"e%d","pad":"%s"}]]):format(n + i, pad) end
    h.wait_for("room", function()
      return s:post("/e", "[" .. table.concat(list, ",") .. "]").status == 202
    end)
    n = n + 500
  end

  local function state(i)
    local v = cjson.decode(h.shell(("%s find --id e%d --json '%s'"):format(h.binary, i, s.data)))
    for _, sink in ipairs(v.events[1].sinks) do
      if sink.sink == "out" then return sink.state end
    end
  end

  local function ledger()
    return cjson.decode(h.shell(("%s ledger --json '%s'"):format(h.binary, s.data)))
      .streams[1].sinks.out
  end

  for _, held in ipairs { false, true } do
    it("is skipped" .. (held and ", also of a process that the sink has not met" or ""), function()
      n = 0
      start()
      if held then
        send()
        s:deliver()
        r:rule "status 503"
        assert.equal(0, s:stop())
        s:start()
      end
      r:rule "status 503"
      local before = n
      h.wait_for("a skip", function()
        send()
        return s:metric "sluice_sink_skipped_events" > 0
      end)
      h.wait_for("all to be done", function()
        local status = cjson.decode(s:get("/status").body)
        return status.sinks[1].left_events == 0 or status.sinks[2].left_events == 0
      end)
      local skipped
      h.wait_for("the segments to go", function()
        skipped = s:metric "sluice_sink_skipped_events"
        return ledger().skipped >= skipped
      end)
      local l = ledger()
      local first, last = state(before + 1050), state(n)
      r:rule ""
      s:deliver()
      local after = ledger()
      assert.same({ "skipped", "pending" }, { first, last })
      -- Blocks that it has in hand may still come.
      assert.is_true(after.skipped >= l.skipped - 1000,
        ("%d then, %d now"):format(l.skipped, after.skipped))
      assert.equal(s:metric "sluice_sink_skipped_events", after.skipped)
      assert.equal("skipped", state(before + 1050))
    end)
  end
end)
