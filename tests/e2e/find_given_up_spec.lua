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

  ---down: a file sink, whose folder can be taken away, else one over HTTP.
  local function start(down)
    s = h.server { policy = ([[
server { listen = "127.0.0.1:0", workers = 1, drain = "100ms", max_body = "1MiB" }
admin { listen = "127.0.0.1:0" }
spool { segment = "4MiB", max_bytes = "256MiB" }
%s
file "archive" { dir = "archive", linger = "20ms" }
stream "events" { index = "id",
  sinks = { "archive", out = { when_full = "skip", max_lag = "5MiB" } } }
route "POST /e" { body = "batch", stream = "events" }
]]):format(down or ([[http "out" { url = %q, batch = { linger = "5ms", max = 10, min = 1,
  target = 10 }, breaker = { timeout = "1s" } }]]):format(r.url)) }
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

  ---How many of the shard's events are not in the spool any more.
  local function let_go(shard)
    return tonumber(h.shell(("%s inspect '%s'"):format(h.binary, s.data)):match(
      "shard=" .. shard .. " segment=%d+ first=(%d+) ")) - 1
  end

  ---Sends until the spool has let some go, and waits until it lets go no more.
  local function let_some_go(shard)
    h.wait_for("the first segment to go", function()
      send()
      return let_go(shard) > 0
    end, 60)
    h.wait_for("the archive to have all", function()
      for _, sink in ipairs(cjson.decode(s:get("/status").body).sinks) do
        if sink.name == "archive" then return sink.left_events == 0 end
      end
    end)
    local gone, since = let_go(shard), h.now()
    h.wait_for("the spool to let go no more", function()
      if let_go(shard) ~= gone then gone, since = let_go(shard), h.now() end
      return h.now() > since + 1.5
    end)
    return gone
  end

  it("is skipped", function()
    n = 0
    start()
    r:rule "status 503"
    local gone = let_some_go "1%.0"
    local l = ledger()
    -- The sink has the first ones in its hands: they may still come.
    assert.same({ gone, n - gone }, { l.skipped, l.pending })
    assert.same({ "skipped", "pending" }, { state(gone), state(gone + 1) })
    r:rule ""
    s:deliver()
    l = ledger()
    assert.equal(s:metric "sluice_sink_skipped_events", l.skipped)
    assert.same({ n, 0 }, { l.skipped + l.confirmed, l.pending })
    assert.same({ "skipped", "confirmed" }, { state(gone), state(n) })
  end)

  it("is skipped, also of a process that the sink has not met", function()
    n = 0
    start 'file "out" { dir = "out", linger = "5ms" }'
    send()
    s:deliver()
    assert.equal(0, s:stop())
    local out = s.data .. "/out"
    h.block(out, out .. ".away")
    s:start()
    local gone = let_some_go "2%.0"
    local l = ledger()
    assert.same({ 500, gone, n - 500 - gone }, { l.confirmed, l.skipped, l.pending })
    assert.same({ "confirmed", "skipped", "skipped", "pending" },
      { state(500), state(501), state(500 + gone), state(501 + gone) })
    h.shell(("rm '%s'; mv '%s.away' '%s'"):format(out, out, out))
    h.wait_for("the sink to have the rest", function() return ledger().pending == 0 end, 60)
    assert.same({ n - gone, gone }, { ledger().confirmed, ledger().skipped })
    h.wait_for("its series", function() return s:metric "sluice_sink_skipped_events" == gone end)
    assert.same({ "skipped", "skipped", "confirmed" },
      { state(501), state(500 + gone), state(501 + gone) })
  end)
end)
