-- A Kafka cluster that fails is left alone; one that is late gets help from a second.
local h = require "harness"
local hanging = require "hanging"
local kafka = require "kafka"

local function policy(brokers, more)
  return ([[
server { listen = "127.0.0.1:0", workers = 1 }
admin { listen = "127.0.0.1:0" }
kafka "bus" { brokers = %q, topic = "events", position = "headers",
  batch = { linger = "5ms" }, %s }
stream "events" { sinks = { "bus" } }
route "POST /v1/events" { body = "event", stream = "events" }
route "POST /v1/events/batch" { body = "batch", stream = "events" }
]]):format(brokers, more or "")
end

local function delivered(s, n, seconds)
  h.wait_for(n .. " delivered", function()
    return s:metric("sluice_delivered_events_total") == n
  end, seconds or 30)
end

describe("a Kafka cluster that takes no message", function()
  local m, s
  before_each(function() m = kafka.mock() end)
  after_each(function()
    if s then s:close() s = nil end
    m:close()
  end)

  it("because it is not there makes the sink hold and say so, with three events in hand "
    .. "and no more", function()
    s = h.server { policy = policy(m.brokers) }
    m:down()
    for i = 1, 3 do s:post("/v1/events", ('{"n":%d}'):format(i)) end
    s:logged('sink=bus status=holding why="[^\n]*Connect[^\n]* failed', 15)
    assert.equal(1, s:metric "sluice_sink_holding")
    assert.matches("WRONG +sink bus takes nothing for [^\n]*Connect[^\n]* failed",
      h.shell(("%s status --admin 127.0.0.1:%d"):format(h.binary, s.admin)))
    m:say("up 1")
    delivered(s, 3, 60)
    h.wait_for("no holding", function() return s:metric "sluice_sink_holding" == 0 end)
    assert.equal(3, kafka.count(m.brokers, "events", 4))
    h.sleep(2) -- it does not say so once more
    assert.equal(0, s:metric "sluice_endpoint_failing") -- also when no more events come
    local _, n = s:text():gsub("status=holding", "")
    assert.equal(1, n)
    assert.equal(0, s:stop())
  end)

  it("and then answers after more than five seconds closes the breaker all the same",
  function()
    s = h.server { policy = policy(m.brokers, [[breaker = { timeout = "1s" },]]) }
    m:down()
    for i = 1, 3 do s:post("/v1/events", ('{"n":%d}'):format(i)) end
    h.wait_for("an open breaker", function() return s:metric "sluice_breaker_state" == 2 end, 20)
    m:say "rtt 1 6500"
    m:say "up 1"
    local n = 3
    h.wait_for("a closed one", function()
      n = n + 1
      s:post("/v1/events", ('{"n":%d}'):format(n))
      h.sleep(0.5)
      return s:metric "sluice_breaker_state" == 0
    end, 60)
    m:say "rtt 1 0"
    delivered(s, n, 60)
  end)

  it("and is away for a moment while a message lingers for longer than that does not "
    .. "hold it", function()
    s = h.server { policy = policy(m.brokers):gsub('"5ms"', '"9s"') }
    s:post("/v1/events", "{}")
    h.sleep(6.5)
    m:down()
    h.sleep(1.3) -- long enough for librdkafka's statistics to tell
    m:say "up 1"
    delivered(s, 1)
    assert.is_nil(s:text():match "status=holding")
    assert.equal(0, s:stop())
  end)

  it("and is back does not hold it for a message that lingers on", function()
    s = h.server { policy = policy(m.brokers):gsub("5ms", "5m") }
    s:post("/v1/events", "{}")
    h.sleep(1)
    m:down()
    s:logged("sink=bus status=holding", 20)
    m:say("up 1")
    s:logged("sink=bus status=delivering", 20)
    assert.equal(0, s:metric "sluice_sink_holding")
  end)

  it("and is back does not hold it for messages that came while its breaker was open",
  function()
    s = h.server { policy = policy(m.brokers, [[breaker = { timeout = "14s" }]])
      :gsub("5ms", "5m") }
    s:post("/v1/events", "{}")
    h.sleep(1)
    m:down()
    s:logged("sink=bus status=holding", 20)
    h.wait_for("an open breaker", function() return s:metric "sluice_breaker_state" == 2 end, 20)
    for _ = 1, 10 do
      s:post("/v1/events", "{}")
      h.sleep(0.1)
    end
    m:say("up 1")
    h.wait_for("no holding", function() return s:metric "sluice_sink_holding" == 0 end, 40)
    h.sleep(3)
    assert.equal(0, s:metric "sluice_sink_holding")
    assert.equal(1, select(2, s:text():gsub("status=holding", "")))
  end)

  it("because its rules let no producer in gets a new one every two seconds, no more",
  function()
    m:say("err 22 3 31") -- InitProducerId: CLUSTER_AUTHORIZATION_FAILED
    local began = h.now()
    s = h.server { policy = policy(m.brokers) }
    s:post("/v1/events", "{}")
    h.wait_for("its words", function()
      return s:get("/status").body:find("Cluster authorization failed", 1, true)
    end, 20)
    delivered(s, 1, 60)
    assert.equal(3, s:metric "sluice_kafka_fatal_errors_total")
    assert.is_true(h.now() - began > 3.5)
    assert.equal(1, kafka.count(m.brokers, "events", 4))
    assert.equal(0, s:stop())
  end)
end)

describe("a Kafka cluster's breaker", function()
  local m, s
  before_each(function() m = kafka.mock() end)
  after_each(function()
    if s then s:close() s = nil end
    m:close()
  end)

  local function state() return s:metric("sluice_breaker_state") end

  it("opens while no broker is reached, costs the client nothing, and closes "
    .. "within one timeout of the cluster's return", function()
    s = h.server { policy = policy(m.brokers, [[breaker = { timeout = "1s",
      interval = "4s" }]]) }
    s:post("/v1/events", "{}")
    delivered(s, 1)
    local load = { batch = 10, connections = 4, seconds = 2, rate = 200 }
    local closed = h.load_wait(h.load(s.port, load))
    delivered(s, closed.acked + 1)
    m:say("down 1")
    s:post("/v1/events", "{}")
    s:logged("event=breaker .* state=open", 20)
    assert.matches('"breaker":%s*"', s:get("/status").body)
    load.first = closed.next
    local open = h.load_wait(h.load(s.port, load))
    assert.equal(0, open.other + open.broken + open.full)
    assert.is_true(state() >= 1) -- it is tried again
    assert.is_true(open.p99_ms < 3 * closed.p99_ms + 100)
    m:say("up 1")
    local began = h.now()
    delivered(s, closed.acked + open.acked + 2)
    local took = h.now() - began
    s:post("/v1/events", "{}") -- one success more, if it is half-open
    h.wait_for("a closed breaker", function()
      if state() == 0 then return true end
      s:post("/v1/events", "{}")
      h.sleep(0.05)
    end)
    print(("# kafka breaker: p99 of POST closed = %.2f ms, open = %.2f ms; all "
      .. "delivered %.2f s after the cluster's return"):format(closed.p99_ms,
      open.p99_ms, took))
    assert.is_true(took < 8)
    assert.is_true(kafka.count(m.brokers, "events", 4)
      >= closed.acked + open.acked + 2)
    assert.equal(0, s:stop())
  end)

  -- A key for partition 0 and one for another, as the cluster m has put them.
  local function keys()
    for i = 1, 20 do s:post("/v1/events", ([[{"k":"k%d"}]]):format(i)) end
    delivered(s, 20)
    local of = {}
    for _, line in ipairs(kafka.consume(m.brokers, "events", "%p %k\\n")) do
      local p, key = line:match("^(%d+) (%S+)")
      of[p == "0"] = key
    end
    return of[true], of[false]
  end

  it("that is half open closes though each try has a message for one partition whose leader "
    .. "is away, and the events of the others do not wait for it", function()
    m:close()
    m = kafka.mock { brokers = 2 }
    m:say "leader events 0 1"
    for p = 1, 3 do m:say(("leader events %d 2"):format(p)) end
    s = h.server { policy = policy(m.brokers, [[key = "k", breaker = { timeout = "1s" },]]) }
    local away, here = keys()
    m:say "down 2"
    m:down()
    s:post("/v1/events", ([[{"k":%q}]]):format(away))
    s:logged("event=breaker .* state=open", 20)
    m:say "up 2"
    for _ = 1, 20 do -- three of these are the half-open breaker's tries
      s:post("/v1/events", ([[{"k":%q}]]):format(away))
      h.sleep(0.2)
    end
    local began = h.now()
    for _ = 1, 5 do s:post("/v1/events", ([[{"k":%q}]]):format(here)) end
    delivered(s, 25, 40)
    h.wait_for("a closed breaker", function()
      s:post("/v1/events/batch", ([=[[{"k":%q},{"k":%q}]]=]):format(away, here))
      h.sleep(0.5)
      return state() == 0
    end, 20)
    print(("# kafka breaker: other partitions' events after %.1f s of one without its leader")
      :format(h.now() - began))
    m:say "up 1"
    h.wait_for("all", function() return s:metric "sluice_sink_left_events" == 0 end, 60)
    assert.equal(0, s:stop())
  end)

  it("closes though one partition has no leader, and stays closed while others take events",
  function()
    s = h.server { policy = policy(m.brokers, [[key = "k", breaker = { timeout = "8s" },]]) }
    local away, here = keys()
    m:down()
    s:post("/v1/events", ([[{"k":%q}]]):format(away))
    s:logged("event=breaker .* state=open", 20)
    m:say "leader events 0 -1"
    m:say "up 1"
    s:logged("event=breaker .* state=half_open", 20)
    local opened
    for i = 1, 60 do
      s:post("/v1/events/batch", ([=[[{"k":%q},{"k":%q}]]=]):format(away, here))
      h.sleep(0.25)
      if i > 20 then opened = opened or state() end
      if i > 20 and state() ~= 0 then opened = i end
    end
    assert.equal(0, opened)
    delivered(s, 80, 5)
    m:say "leader events 0 1"
    delivered(s, 141, 60)
    assert.equal(0, s:stop())
  end)

  it("asks the policy's ready_to_trip", function()
    s = h.server { policy = policy("127.0.0.1:1", [[
      breaker = { timeout = "10s", ready_to_trip = function(c)
        return c.requests == 5 and c.consecutive_failures == 5
      end }]]) }
    s:post("/v1/events", "{}")
    s:logged("event=breaker .* state=open", 20)
    assert.equal(5, s:metric("sluice_endpoint_requests_total", 'result="failed"'))
  end)

  it("is opened and closed by hand: open, nothing is produced", function()
    s = h.server { policy = policy(m.brokers) }
    s:post("/v1/events", "{}")
    delivered(s, 1)
    local function force(what)
      return h.request(s.admin, "POST", "/sinks/bus/breaker?" .. what, "").status
    end
    assert.equal(200, force "open")
    h.wait_for("open", function() return state() == 2 end)
    for _ = 1, 20 do assert.equal(202, s:post("/v1/events", "{}").status) end
    h.wait_for("a sink that holds", function()
      return s:metric("sluice_sink_holding") == 1
    end)
    assert.equal(1, kafka.count(m.brokers, "events", 4))
    assert.equal(200, force "close")
    delivered(s, 21)
    assert.equal(21, kafka.count(m.brokers, "events", 4))
    assert.equal(0, state())
  end)

  -- A breaker that has opened by itself, for ten minutes, and a batch that waits for it.
  local function opened(brokers)
    s = h.server { policy = policy(brokers, [[breaker = { timeout = "10m" },]]) }
    s:post("/v1/events", "{}")
    s:logged("event=breaker .* state=open", 20)
    s:post("/v1/events", "{}")
    h.wait_for("its words", function()
      return s:get("/status").body:find("the breaker is open", 1, true)
    end, 20)
  end

  it("that is open for long is closed by hand, and the events go at once", function()
    m:down()
    opened(m.brokers)
    m:say "up 1"
    assert.equal(200, h.request(s.admin, "POST", "/sinks/bus/breaker?close", "").status)
    delivered(s, 2, 15)
  end)

  it("that is open for long does not keep the events from other brokers", function()
    opened "127.0.0.1:1"
    h.write(s.path, policy(m.brokers, [[breaker = { timeout = "10m" },]]))
    assert.equal(200, s:reload().status)
    delivered(s, 2, 25)
    assert.equal(0, state())
  end)

  it("that was opened by hand stays open when the sink gets another name, by a policy that is "
    .. "refused or not, or other brokers", function()
    local other = kafka.mock()
    finally(function() other:close() end)
    s = h.server { policy = policy(m.brokers) }
    s:post("/v1/events", "{}")
    delivered(s, 1)
    assert.equal(200, h.request(s.admin, "POST", "/sinks/bus/breaker?open", "").status)
    s:post("/v1/events", "{}")
    s:logged "sink=bus status=holding"
    local function stays_open(sink, text, status)
      local from = #s:text()
      h.write(s.path, text)
      assert.equal(status, s:reload().status)
      h.wait_for("a sink that holds", function()
        return s:text():find(("sink=%s status=holding why=\"the breaker was opened by hand\"")
          :format(sink), from, true)
      end)
      assert.equal(2, state())
      assert.equal(1, kafka.count(m.brokers, "events", 4))
    end
    local renamed = policy(m.brokers, 'was = "bus"'):gsub('kafka "bus"', 'kafka "new"')
      :gsub('sinks = { "bus"', 'sinks = { "new"')
    stays_open("bus", (renamed:gsub('stream "events" { sinks = { ',
      hanging.sink(hanging.BAD) .. '\n%0"bad", ')), 500)
    stays_open("new", renamed, 200)
    h.write(s.path, (renamed:gsub(m.brokers:gsub("%p", "%%%0"), other.brokers)))
    assert.equal(200, s:reload().status)
    s:logged("endpoint=" .. other.brokers:gsub("%p", "%%%0") .. " state=open")
    assert.equal(0, kafka.count(other.brokers, "events", 4))
    assert.equal(200, h.request(s.admin, "POST", "/sinks/new/breaker?close", "").status)
    h.wait_for("the event", function() return s:metric "sluice_sink_left_events" == 0 end)
    assert.equal(1, kafka.count(other.brokers, "events", 4))
    assert.equal(0, s:stop())
  end)

  it("and all else stay as they are when new settings can't be had", function()
    s = h.server { policy = policy(m.brokers) }
    s:post("/v1/events", "{}")
    delivered(s, 1)
    for _, more in ipairs { [[options = { ["no.such.option"] = 1 }]],
      ([[key = "id", hedge = { brokers = %q, after = "1s", may_duplicate = true }]])
        :format(("127.0.0.1:9092,"):rep(60)) } do
      h.write(s.path, policy(m.brokers, more))
      local a = s:reload()
      assert.is_true(a.status >= 400)
      assert.matches(more:find("hedge", 1, true) and "brokers are more than"
        or "no%.such%.option", a.body)
      s:post("/v1/events", "{}")
    end
    delivered(s, 3)
    h.write(s.path, policy(m.brokers, [[compression = "zstd"]]))
    assert.equal(200, s:reload().status)
    s:post("/v1/events", "{}")
    delivered(s, 4)
    assert.equal(0, s:stop())
  end)

  it("stays as it is over a reload that leaves the sink alone", function()
    s = h.server { policy = policy(m.brokers) }
    s:post("/v1/events", "{}")
    delivered(s, 1)
    assert.equal(200,
      h.request(s.admin, "POST", "/sinks/bus/breaker?open", "").status)
    h.wait_for("open", function() return state() == 2 end)
    h.write(s.path, policy(m.brokers) .. "\n-- another generation\n")
    assert.equal(200, s:reload().status)
    s:post("/v1/events", "{}")
    h.wait_for("a sink that holds", function()
      return s:metric("sluice_sink_holding") == 1
    end)
    assert.equal(2, state())
    assert.matches('"why":%s*"the breaker was opened by hand"', s:get("/status").body)
    assert.equal(1, s:metric("sluice_delivered_events_total"))
  end)
end)

describe("a second Kafka cluster", function()
  local a, b, s
  before_each(function() a, b = kafka.mock(), kafka.mock() end)
  after_each(function()
    if s then s:close() s = nil end
    a:close()
    b:close()
  end)

  local function hedged(more)
    return policy(a.brokers, ([[hedge = { brokers = %q, may_duplicate = true, %s },
      breaker = { timeout = "1s" }]]):format(b.brokers, more))
  end

  -- Every position of both clusters: how often it is in each.
  local function positions(m)
    local n, list = 0, {}
    for _, line in ipairs(kafka.consume(m.brokers, "events", "%h\\n")) do
      local at = line:match("sluice%-position=([^,]+)")
      assert.is_nil(list[at])
      list[at] = true
      n = n + 1
    end
    return list, n
  end

  it("gets what the first is late with; the first success settles", function()
    s = h.server { policy = hedged [[after = "100ms", max_ratio = 1]] }
    s:post("/v1/events", "{}")
    delivered(s, 1)
    assert.equal(0, s:metric("sluice_hedges_total"))
    a:say("rtt 1 3000")
    local began = h.now()
    for i = 1, 50 do s:post("/v1/events", ([[{"n":%d}]]):format(i)) end
    delivered(s, 51)
    local took = h.now() - began
    -- All that B has was late at A; the first success was B's.
    local hedges, wins = s:metric("sluice_hedges_total"),
      s:metric("sluice_hedge_wins_total")
    print(("# kafka hedge: 50 events with a first cluster 3 s late: delivered "
      .. "after %.2f s, hedges=%d wins=%d"):format(took, hedges, wins))
    assert.is_true(took < 2.5)
    assert.same({ 50, 50 }, { hedges, wins })
    a:say("rtt 1 0")
    h.wait_for("the first's late copies", function()
      return kafka.count(a.brokers, "events", 4) == 51
    end)
    local of_a, n_a = positions(a)
    local of_b, n_b = positions(b)
    assert.same({ 51, 50 }, { n_a, n_b })
    for at in pairs(of_b) do assert.is_true(of_a[at]) end
    assert.equal(0, s:metric("sluice_dead_events_total"))
    assert.equal(0, s:stop())
  end)

  it("gets at most max_ratio", function()
    s = h.server { policy = hedged [[after = "20ms", max_ratio = 0.1]] }
    for i = 1, 100 do s:post("/v1/events", ([[{"n":%d}]]):format(i)) end
    delivered(s, 100)
    a:say("rtt 1 300")
    for i = 101, 200 do s:post("/v1/events", ([[{"n":%d}]]):format(i)) end
    delivered(s, 200)
    a:say("rtt 1 0")
    local hedges = s:metric("sluice_hedges_total")
    print(("# kafka hedge: max_ratio 0.1 of 200 messages: hedges=%d"):format(hedges))
    assert.is_true(hedges > 0 and hedges <= 20)
    assert.equal(hedges, kafka.count(b.brokers, "events", 4))
    assert.equal(200, kafka.count(a.brokers, "events", 4))
    -- Of one large batch, too, only some go. Quick ones before it give it a share.
    for i = 201, 300 do s:post("/v1/events", ([[{"n":%d}]]):format(i)) end
    delivered(s, 300)
    local list = {}
    for i = 1, 400 do list[i] = ([[{"n":%d}]]):format(300 + i) end
    a:say("rtt 1 300")
    s:post("/v1/events/batch", "[" .. table.concat(list, ",") .. "]")
    delivered(s, 700)
    local more = s:metric("sluice_hedges_total")
    assert.is_true(more > hedges and more <= 70, more)
    assert.equal(more, kafka.count(b.brokers, "events", 4))
  end)

  it("does not stand in for the first: while that is left alone an answer of "
    .. "delivered is refused at once", function()
    s = h.server { policy = (hedged [[after = "10s", max_ratio = 1]]):gsub(
      'stream "events" {', 'stream "events" { ack = "delivered", timeout = "1s",') }
    assert.equal(202, s:post("/v1/events", "{}").status)
    a:say("down 1")
    h.wait_for("a refusal", function()
      return s:post("/v1/events", "{}").status == 503
    end, 60)
    assert.equal(0, s:metric("sluice_breaker_state", b.brokers))
    a:say("up 1")
    h.wait_for("an acceptance", function()
      return s:post("/v1/events", "{}").status == 202
    end, 60)
  end)

  it("that comes back is closed, if the breaker was closed while it was not there", function()
    s = h.server { policy = hedged [[after = "1s", max_ratio = 1]] }
    local function breaker(order)
      assert.equal(200, h.request(s.admin, "POST", "/sinks/bus/breaker?" .. order, "").status)
    end
    local function follow(text)
      h.write(s.path, text)
      assert.equal(200, s:reload().status)
    end
    breaker "open"
    follow(policy(a.brokers))
    breaker "close"
    follow(hedged [[after = "1s", max_ratio = 1]])
    -- /metrics shows it once the delivery has looked.
    h.wait_for("both breakers", function()
      return s:metric("sluice_breaker_state", a.brokers) and
        s:metric("sluice_breaker_state", b.brokers)
    end)
    h.sleep(0.5)
    assert.same({ 0, 0 }, { s:metric("sluice_breaker_state", a.brokers),
      s:metric("sluice_breaker_state", b.brokers) })
  end)

  it("loses nothing under load while the first is late, down and back", function()
    s = h.server { policy = hedged [[after = "50ms", max_ratio = 1]] }
    local acks = s.dir .. "/acks"
    local l = h.load(s.port, { batch = 20, connections = 4, seconds = 5, rate = 140,
      acks = acks })
    for _, line in ipairs { "rtt 1 400", "rtt 1 0", "down 1", "up 1", "rtt 1 200",
      "rtt 1 0" } do
      h.sleep(0.7)
      a:say(line)
    end
    local f = h.load_wait(l)
    assert.equal(0, f.other + f.broken)
    h.wait_for("all events", function()
      return s:metric("sluice_delivered_events_total") >= f.acked
    end, 60)
    assert.equal(f.acked, s:metric("sluice_delivered_events_total"))
    -- A message that both have is one event by its position.
    local file = s.dir .. "/messages"
    for _, m in ipairs { a, b } do
      h.shell(("%s -b %s -t events -f '%%h\\t%%s\\n' >> '%s'"):format(kafka.READ,
        m.brokers, file))
    end
    h.shell(("awk -F '\\t' '!seen[$1]++' '%s' | cut -f2- > '%s.once'"):format(file,
      file))
    local v = h.verify(acks, file .. ".once")
    print(("# kafka hedge: under load, the first cluster late, down and back: %s "
      .. "hedges=%d wins=%d"):format((v.text:gsub("\n", "")),
      s:metric("sluice_hedges_total"), s:metric("sluice_hedge_wins_total")))
    assert.same({ 0, 0, 0 }, { v.missing, v.twice, v.torn })
    assert.is_true(s:metric("sluice_hedge_wins_total") > 0)
    assert.equal(0, s:stop())
  end)

  it("has a breaker of its own, and its failure hurts nothing", function()
    s = h.server { policy = hedged [[after = "20ms", max_ratio = 1]] }
    s:post("/v1/events", "{}")
    delivered(s, 1)
    local wins = s:metric("sluice_hedge_wins_total") -- of the first, on a busy machine
    b:say("down 1")
    a:say("rtt 1 200")
    for i = 1, 40 do
      s:post("/v1/events", ([[{"n":%d}]]):format(i))
      h.sleep(0.1)
    end
    delivered(s, 41)
    a:say("rtt 1 0")
    assert.equal(41, kafka.count(a.brokers, "events", 4))
    assert.equal(wins, s:metric("sluice_hedge_wins_total"))
    assert.is_true(s:metric("sluice_breaker_state", b.brokers) >= 1)
    assert.equal(0, s:metric("sluice_breaker_state", a.brokers))
  end)
end)
