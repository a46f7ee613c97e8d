-- sluice ledger --kafka: of 200,000 events the one that a topic lacks and the one that it
-- has twice are named; none is, where all are there. What brokers have deleted is not
-- called lost, and a topic that can't be read whole is no "all well".
local h = require "harness"
local kafka = require "kafka"
local free_port = require "clickhouse".free_port

local jars, why_not = kafka.jars()
local EVENTS, BATCH = 200000, 5000

local function policy(brokers, o)
  o = o or {}
  return ([[
server { listen = "127.0.0.1:0", workers = 2 }
admin { listen = "127.0.0.1:0" }
spool { segment = "32MiB" }
kafka "bus" { brokers = %q, topic = "events", compression = "lz4",
  batch = { target = 3000, max = 6000, linger = "20ms" }, %s }
stream "events" { sinks = { "bus" }, index = "event_id" }
route "POST /b" { body = "batch", stream = "events" }
]]):format(brokers, o.sink or 'key = "user",')
end

local function ledger(s, args, path)
  return h.shell(("exec 2>&1; %s ledger --kafka bus --policy '%s' %s '%s'; echo code=$?")
    :format(h.binary, path or s.path, args or "", s.data))
end

local function batch(from, to)
  local lines = {}
  for i = from, to do
    lines[#lines + 1] = ([[{"event_id":"e%d","user":"u%d"}]]):format(i, i % 97)
  end
  return "[" .. table.concat(lines, ",") .. "]"
end

describe("the ledger against a Kafka topic", function()
  local r, s
  setup(function()
    if why_not then return end
    r = kafka.real(jars, free_port(), free_port(), { no_auto = true })
    for _, name in ipairs { "events", "bad", "short", "mixed" } do
      r:admin("create " .. name .. " 4")
    end
    r:admin "create keys 4 cleanup.policy compact"
    r:admin "create stamped 4 message.timestamp.type LogAppendTime"
    s = h.server { policy = policy(r.brokers) }
    for from = 1, EVENTS, BATCH do
      assert.equal(202, s:post("/b", batch(from, from + BATCH - 1)).status)
    end
    h.wait_for("all messages", function()
      return s:metric("sluice_delivered_events_total") == EVENTS
    end, 120)
  end)
  teardown(function()
    if s then s:close() end
    if r then r:close() end
  end)

  local function copy(to, words)
    local out = h.shell(("%s/tools/kcopy %s events %s %s; echo $?"):format(h.build, r.brokers,
      to, words or ""))
    assert.equal("0\n", out)
  end

  local WHOLE = "accepted=200000 messages=200000 missing=0 doubled=0 foreign=0\n"

  it("finds no difference where there is none", function()
    if why_not then pending(why_not) return end
    local out = ledger(s)
    assert.matches("^topic=events stream=events partitions=4 minutes=%d+ " .. WHOLE
      .. "code=0\n$", out)
    assert.matches(WHOLE .. "code=0", ledger(s, "--since 1h"))
  end)

  it("leaves no trace in the cluster", function()
    if why_not then pending(why_not) return end
    assert.is_nil(h.shell("timeout 9 kcat -q -L -b " .. r.brokers):find("__consumer_offsets"))
  end)

  it("names the lost event and the doubled one, with the places of its copies", function()
    if why_not then pending(why_not) return end
    copy("bad", [[skip '"e123456"' double '"e77"']])
    local out = ledger(s, "--topic bad")
    assert.matches('missing id="e123456" accepted=1 messages=0 stream=events '
      .. 'position=1%.%d/%d+\n', out)
    assert.matches('doubled id="e77" accepted=1 messages=2 stream=events position=1%.%d/%d+ '
      .. 'at=bad/%d@%d+,bad/%d@%d+\n', out)
    assert.matches("messages=200000 missing=1 doubled=1 foreign=0\ncode=1\n$", out)
  end)

  it("is not misled by tombstones, foreign messages and a copy of another minute", function()
    if why_not then pending(why_not) return end
    copy("mixed")
    h.shell(([[printf 'k1:\nk2:{"event_id":"stranger"}\nk3:no JSON\nk4:{"a":1}\n' | kcat -q -P -b ]]
      .. [[%s -t mixed -K : -Z]]):format(r.brokers))
    local out = ledger(s, "--topic mixed")
    assert.matches("missing=0 doubled=0 foreign=1 tombstones=1 without_id=2\ncode=0\n$", out)
    h.shell(([[printf '{"event_id":"e5"}\n' | kcat -q -P -b %s -t mixed]]):format(r.brokers))
    out = ledger(s, "--topic mixed")
    assert.matches('doubled id="e5" accepted=1 messages=2 ', out)
    assert.matches("doubled=1 foreign=1 tombstones=1 without_id=2\ncode=1\n$", out)
  end)

  it("compares all at once where times are the broker's", function()
    if why_not then pending(why_not) return end
    copy("stamped", [[skip '"e9"']])
    local out = ledger(s, "--topic stamped")
    assert.matches('missing id="e9" ', out)
    assert.matches("missing=1 doubled=0 foreign=0\ncode=1", out)
  end)

  it("says that a compacted topic may have removed what is missing", function()
    if why_not then pending(why_not) return end
    copy("keys", [[skip '"e9"']])
    assert.matches("missing=1 .*missing may be no loss: brokers compact the topic",
      ledger(s, "--topic keys"))
  end)

  it("calls nothing lost that the brokers have deleted", function()
    if why_not then pending(why_not) return end
    copy("short")
    r:admin "trim short 2 100"
    assert.matches("deleted messages of the whole period: nothing was compared\ncode=3",
      ledger(s, "--topic short"))
  end)

  it("compares what came after the deleted messages", function()
    if why_not then pending(why_not) return end
    local clock = h.folder() .. "/clock"
    r:admin "create later 1"
    local t = h.server { policy = policy(r.brokers):gsub('topic = "events"', 'topic = "later"'),
      wrap = h.own_clock(clock) }
    finally(function() t:close() end)
    t:post("/b", batch(1, 100))
    h.wait_for("the first", function()
      return t:metric("sluice_delivered_events_total") == 100
    end)
    h.set_clock(clock, 600000)
    t:post("/b", batch(101, 300))
    h.wait_for("the rest", function()
      return t:metric("sluice_delivered_events_total") == 300
    end)
    r:admin "trim later 0 50"
    local out = ledger(t)
    assert.matches("minutes=1 accepted=200 messages=%d+ missing=0 doubled=0 ", out)
    assert.matches("compared from %S+ on: the brokers have deleted older messages, so 100 "
      .. "events before that were not compared\ncode=1", out)
  end)

  ---The ledger's words, while a command runs after some seconds.
  local function meanwhile(t, delay, command)
    return h.shell(("(sleep %g; %s) & exec 2>&1; %s ledger --kafka bus --policy '%s' '%s'; "
      .. "echo code=$?; wait"):format(delay, command, h.binary, t.path, t.data))
  end

  local function to_topic(name)
    return (policy(r.brokers, { sink = [[key = "user",
      options = { ["topic.metadata.refresh.interval.ms"] = "200" }]] })
      :gsub('topic = "events"', ('topic = "%s"'):format(name)))
  end

  it("calls nothing missing that brokers delete while it reads", function()
    if why_not then pending(why_not) return end
    local clock = h.folder() .. "/clock"
    r:admin "create cut 4"
    local t = h.server { policy = to_topic "cut", wrap = h.own_clock(clock) }
    finally(function() t:close() end)
    for minute = 1, 8 do
      h.set_clock(clock, (minute - 8) * 60000)
      for k = 1, 2 do
        local from = (2 * minute + k) * BATCH
        assert.equal(202, t:post("/b", batch(from, from + BATCH - 1)).status)
      end
      h.wait_for("delivery", function()
        return t:metric("sluice_delivered_events_total") == 2 * BATCH * minute
      end)
    end
    local codes = { ["1"] = "compared from", ["3"] = "ut of range" }
    for i = 1, 8 do
      local out = meanwhile(t, 0.03 * i, ("%s/tools/kadmin %s trim cut %d %d"):format(h.build,
        r.brokers, i % 4, 1200 * i))
      local code = out:match "code=(%d)"
      if code == "0" then -- it was deleted after the end
        assert.equal(1, i, out)
      else
        assert.truthy(out:find(codes[code], 1, true), out)
      end
      assert.is_nil(out:find "missing=[1-9]", out)
    end
  end)

  it("calls nothing missing while the topic gets partitions", function()
    if why_not then pending(why_not) return end
    r:admin "create grow 1"
    local t = h.server { policy = to_topic "grow" }
    finally(function() t:close() end)
    local n = 0
    for partitions = 2, 5 do
      for _ = 1, 4 do
        t:post("/b", batch(n + 1, n + 500))
        n = n + 500
      end
      h.write(t.dir .. "/body", batch(n + 1, n + 500))
      n = n + 500
      local out = meanwhile(t, 0.02, ("%s/tools/kadmin %s grow grow %d; curl -s --data @%s/body "
        .. "-H 'Content-Type: application/json' http://127.0.0.1:%d/b >/dev/null"):format(h.build,
        r.brokers, partitions, t.dir, t.port))
      assert.matches("missing=0 doubled=0 ", out)
    end
    t:deliver()
    assert.matches(("partitions=5 .*accepted=%d messages=%d missing=0 doubled=0 foreign=0\n"
      .. "code=0"):format(n, n), ledger(t))
  end)

  it("compares more ids than fit into its memory, part by part", function()
    if why_not then pending(why_not) return end
    local out = ledger(s, "--topic bad --memory 1MiB")
    assert.matches('missing id="e123456" accepted=1 messages=0 ', out)
    assert.matches('doubled id="e77" accepted=1 messages=2 ', out)
    assert.matches("messages=200000 missing=1 doubled=1 foreign=0\ncode=1\n$", out)
    assert.matches("usage: sluice ledger", ledger(s, "--memory 1KiB"))
  end)

  -- A producer of transactions, which begins one; what it writes goes to partition 0.
  local function transaction(topic)
    local dir = h.folder()
    h.shell(("mkfifo '%s/in'"):format(dir))
    local pid = h.spawn({ "sh", "-c", ("exec kcat -q -P -b %s -t %s -p 0 -X transactional.id=t "
      .. "-X linger.ms=1 <>'%s/in' "):format(r.brokers, topic, dir) }, dir .. "/log")
    local f = assert(io.open(dir .. "/in", "w"))
    f:write(('{"event_id":"e5"}\n'):rep(5000)) -- kcat reads by the block
    f:close()
    local ok, why = pcall(h.wait_for, "a message", function()
      local at = h.shell(("kcat -q -Q -X isolation.level=read_uncommitted -b %s -t %s:0:-1"):format(
        r.brokers, topic)):match("offset (%d+)")
      return at ~= nil and at ~= "0"
    end, 90)
    if not ok then error(why .. "; its producer said: " .. h.read(dir .. "/log")) end
    return pid
  end

  it("waits for open transactions, which hide what stands behind them", function()
    if why_not then pending(why_not) return end
    for _, name in ipairs { "open", "other" } do r:admin("create " .. name .. " 4") end
    local pid = transaction "open"
    finally(function() if pid then h.kill(pid) end end)
    copy "open"
    assert.matches('topic "open" partition 0: a transaction open since offset 0 hides all '
      .. "messages from there up to %d+, .*\ncode=3", ledger(s, "--topic open --timeout 2s"))
    h.kill(pid)
    pid = transaction "other" -- of the same name: the broker aborts the first one
    assert.matches(WHOLE .. "code=0", ledger(s, "--topic open --timeout 30s"))
    copy("other", [[skip '"e9"']])
    h.kill(pid)
    pid = transaction "open" -- and the broker aborts the second one
    assert.matches("missing=1 .*missing may be no loss: %d+ offsets have no message: ",
      ledger(s, "--topic other --timeout 30s"))
  end)

  it("ends where a broker falls silent in the middle of a topic", function()
    if why_not then pending(why_not) return end
    finally(function() r:signal "SIGCONT" end)
    local stop = ("(sleep 0.7; kill -STOP %d) & "):format(r.pid)
    local began = h.now()
    local out = h.shell(stop .. ("exec 2>&1; %s ledger --kafka bus --policy '%s' --timeout 3s "
      .. "--topic events,mixed,stamped '%s'; echo code=$?"):format(h.binary, s.path, s.data))
    assert.matches("sluice: Kafka .*within 3 s.*\ncode=3", out)
    assert.is_true(h.now() - began < 60)
  end)

  it("joins several topics, by name or by pattern", function()
    if why_not then pending(why_not) return end
    local out = ledger(s, "--topic events,bad")
    assert.matches("partitions=8 .* missing=0 doubled=199999 foreign=0 and more: there "
      .. "are too many differences to name\n", out)
    local _, named = out:gsub("doubled id=", "")
    assert.equal(1000, named)
    assert.matches("partitions=4 .*missing=0 doubled=0 foreign=0", ledger(s, "--topic 'event?'"))
  end)

  it("refuses what it can't compare, and says why", function()
    if why_not then pending(why_not) return end
    assert.matches('sluice: Kafka .*: topic "nowhere": .*nown topic or partition\ncode=3',
      ledger(s, "--topic nowhere"))
    assert.matches('no topic "nope%*"\ncode=3', ledger(s, "--topic 'nope*'"))
    local path = h.folder() .. "/p.lua"
    h.write(path, policy(r.brokers, { sink = 'topic_by = "user",' }))
    assert.matches("chooses the topic of each event: name all topics.*code=3", ledger(s, "", path))
    h.write(path, policy("127.0.0.1:1"))
    assert.matches("sluice: Kafka 127.0.0.1:1: no answer within 2 s: .*refused.*code=3",
      ledger(s, "--timeout 2s", path))
    assert.matches("usage: sluice ledger", h.shell(h.binary .. " ledger --kafka bus 2>&1"))
  end)

  it("is no \"all well\" while a broker is silent", function()
    if why_not then pending(why_not) return end
    r:signal "SIGSTOP"
    finally(function() r:signal "SIGCONT" end)
    local out = ledger(s, "--timeout 2s")
    assert.matches("sluice: Kafka .*within 2 s.*code=3", out)
  end)
end)

-- librdkafka's mock cluster has what a real broker can't be told to have.
describe("the ledger against a mock cluster", function()
  local m, s
  before_each(function()
    m = kafka.mock()
    s = h.server { policy = policy(m.brokers, { sink = 'framing = "batch",' }) }
    s:post("/b", batch(1, 300))
    h.wait_for("all messages", function()
      return s:metric("sluice_delivered_events_total") == 300
    end)
  end)
  after_each(function()
    if s then s:close() s = nil end
    m:close()
  end)

  it("reads the events of batches in one message", function()
    assert.matches("accepted=300 messages=300 missing=0 doubled=0 foreign=0\ncode=0", ledger(s))
  end)

  it("misses no event of a batch that stands before the period", function()
    s:close()
    local clock = h.folder() .. "/clock"
    s = h.server { wrap = h.own_clock(clock), policy = policy(m.brokers,
      { sink = 'framing = "batch", batch = { target = 400, min = 300, linger = "5s" },' })
      :gsub("workers = 2", "workers = 1") }
    local edge = math.floor(h.now() / 60 - 5) * 60000
    local function send(from, to, ms)
      h.set_clock(clock, math.floor(ms - h.now() * 1000))
      assert.equal(202, s:post("/b", batch(from, to)).status)
    end
    send(301, 310, edge - 500)
    send(311, 320, edge + 1000)
    h.wait_for("all messages", function()
      return s:metric("sluice_delivered_events_total") == 20
    end)
    h.set_clock(clock, 0)
    local since = ("--since %ds"):format(h.now() - (edge / 1000 + 20))
    assert.matches("accepted=10 messages=%d+ missing=0 doubled=0 foreign=%d+\ncode=0",
      ledger(s, since))
    m:say "topic empty 4"
    assert.matches("accepted=10 messages=0 missing=10 ", ledger(s, since .. " --topic empty"))
  end)

  it("calls nothing missing that the sink sent to another topic", function()
    m:say "topic second 4"
    local text = h.read(s.path)
    h.write(s.path, (text:gsub('topic = "events"', 'topic = "second"')))
    assert.equal(200, s:reload().status)
    s:post("/b", batch(301, 400))
    h.wait_for("all messages", function()
      return s:metric("sluice_delivered_events_total") == 400
    end)
    local out = ledger(s)
    assert.matches("topic=second .*accepted=400 messages=100 missing=0 doubled=0 foreign=0 "
      .. "elsewhere=300\n.*%-%-topic 'second,events' compares all\ncode=1", out)
    assert.matches("accepted=400 messages=400 missing=0 doubled=0 foreign=0\ncode=0",
      ledger(s, "--topic second,events"))
    m:say "topic third 4"
    h.write(s.path, (text:gsub('topic = "events"', 'topic = "third"')))
    assert.matches("missing=0 .*elsewhere=400", ledger(s))
  end)

  it("calls nothing doubled that another stream of the sink has", function()
    local text = h.read(s.path)
    h.write(s.path, text .. 'stream "more" { sinks = { "bus" }, index = "event_id" }\n'
      .. 'route "POST /more" { body = "batch", stream = "more" }\n')
    assert.equal(200, s:reload().status)
    s:post("/more", batch(291, 310))
    h.wait_for("all messages", function()
      return s:metric("sluice_delivered_events_total") == 320
    end)
    assert.matches("missing=0 doubled=0 foreign=10\ncode=0", ledger(s, "--stream events"))
    assert.matches("missing=0 doubled=0 foreign=290\ncode=0", ledger(s, "--stream more"))
    h.shell(([[printf '{"event_id":"e300"}\n' | kcat -q -P -b %s -t events]]):format(m.brokers))
    assert.matches('doubled id="e300" accepted=2 messages=3 ', (ledger(s, "--stream events")))
  end)

  it("is an error while a partition has no leader", function()
    m:say "leader events 2 -1"
    assert.matches('topic "events" partition 2: .*\ncode=3', ledger(s, "--timeout 3s"))
  end)

  it("calls nothing missing of which no record tells whether the sink has it", function()
    m:say "topic empty 4"
    s:stop()
    local sink = s.data .. "/spool/sinks/bus"
    assert.matches("missing=300 ", ledger(s, "--topic empty"))
    h.write(sink .. ".apart", ("damage"):rep(30))
    os.remove(sink .. ".places")
    assert.matches("messages=0 missing=0 doubled=0 foreign=0 unconfirmed=300\ncode=1",
      ledger(s, "--topic empty"))
  end)

  it("does not call pending events lost, and does not say that all is well", function()
    m:down()
    s:post("/b", batch(301, 400))
    m:say "up 1"
    -- What the sink confirms meanwhile is in the topic, too.
    local out = ledger(s, "--timeout 20s")
    assert.matches("missing=0 doubled=0 foreign=0", out)
    assert.matches(out:find("unconfirmed=") and "code=1" or "code=0", out)
  end)
end)
