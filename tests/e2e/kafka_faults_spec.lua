-- Nothing lost, over faults of a real Kafka broker and of our own process, under load;
-- what is there twice has the same spool position.
--
-- Each fault has two instances of ours with a topic each, of which one is killed in the
-- midst of the fault. What ends or stops a broker has one of its own; the others share
-- one, with a listener for each way of reaching it. All faults run at the same time.
local h = require "harness"
local kafka = require "kafka"
local proxy = require "proxy"
local free_port = require "clickhouse".free_port

local jars, why_not = kafka.jars()
local PAUSE_S = tonumber(os.getenv("SLUICE_PAUSE_S") or "20")
local SIDES = { "steady", "killed" }
local PARTITIONS = 8 -- of a mock cluster's topics one holds 5 MB

local function policy(brokers, topic, more)
  return ([[
server { listen = "127.0.0.1:0", workers = 1 }
admin { listen = "127.0.0.1:0" }
spool { max_bytes = "4GiB" }
kafka "bus" { brokers = %q, topic = %q, key = "user_id", position = "headers",
  batch = { linger = "5ms" }, breaker = { timeout = "1s" }, %s }
stream "events" { sinks = { "bus" } }
route "POST /v1/events/batch" { body = "batch", stream = "events" }
]]):format(brokers, topic, more or "")
end

local function password(text)
  return ([[options = { ["security.protocol"] = "sasl_plaintext",
    ["sasl.mechanisms"] = "PLAIN", ["sasl.username"] = "ingest",
    ["sasl.password"] = %q }]]):format(text)
end

local function set_password(c, text)
  for _, of in ipairs(SIDES) do
    h.write(c[of].path, policy(c.brokers, c.topics[of], password(text)))
    assert.equal(200, c[of]:reload().status)
  end
end

---The faults of a broker. c: r (the broker), proxy, say() to it; kill() for our own
---process.
local faults = {
  { name = "killed and started again", own = true, run = function(c)
    c.r:kill()
    h.sleep(1)
    c.kill()
    c.r:run()
  end },
  { name = "stopped for a while", own = true, seconds = 4 + PAUSE_S, run = function(c)
    c.r:signal "SIGSTOP"
    h.sleep(PAUSE_S / 2)
    c.kill()
    h.sleep(PAUSE_S / 2)
    c.r:signal "SIGCONT"
  end },
  { name = "its disk full", own = true, disk = "64m", run = function(c)
    h.shell(("dd if=/dev/zero of='%s/logs/fill' bs=1M"):format(c.r.dir))
    -- A broker without a disk left to write to ends itself.
    h.reap(c.r.pid, 60)
    c.r.pid = nil
    c.kill()
    os.remove(c.r.dir .. "/logs/fill")
    c.r:run()
  end },
  { name = "connections cut within the body", way = "CUT", run = function(c)
    c.proxy:say "cut 30 3000"
    h.sleep(3)
    c.kill()
    h.sleep(2)
    c.proxy:say "pass"
  end },
  { name = "answers lost", way = "LOST", run = function(c)
    c.proxy:say "lose 30"
    h.sleep(3)
    c.kill()
    h.sleep(2)
    c.proxy:say "pass"
  end },
  { name = "answers 2 s late", way = "LATE", run = function(c)
    c.proxy:say "late 100 2000"
    h.sleep(5)
    c.kill()
    h.sleep(3)
    c.proxy:say "pass"
  end },
  { name = "another password", way = "SASL", more = password "secret", reloads = true,
    run = function(c)
    set_password(c, "wrong")
    h.sleep(2)
    c.kill()
    h.sleep(2)
    set_password(c, "secret")
  end },
  { name = "its topic deleted and made again", run = function(c)
    -- Its messages go with it: they are read before, while ours stand still.
    for _, of in ipairs(SIDES) do
      c[of]:signal "SIGSTOP"
      local before
      h.wait_for("what is on its way", function()
        local n = kafka.count(c.r.brokers, c.topics[of], PARTITIONS)
        if n == before then return true end
        before = n
        h.sleep(1)
      end)
      os.rename(c.consume(of), c[of].dir .. "/before")
      c.r:admin("delete " .. c.topics[of])
      -- Until then it takes messages, and confirms them, and has them no more.
      h.wait_for("the end of the topic", function()
        return h.shell(("kcat -q -L -b %s -t %s"):format(c.r.brokers, c.topics[of]))
          :find("Unknown topic", 1, true)
      end)
      c[of]:signal "SIGCONT"
    end
    h.sleep(1)
    c.kill()
    h.sleep(1)
    for _, of in ipairs(SIDES) do c.make(of) end
  end },
  { name = "errors of every kind", mock = true, run = function(c)
    -- LEADER_NOT_AVAILABLE, NOT_LEADER, REQUEST_TIMED_OUT, MSG_SIZE_TOO_LARGE,
    -- NOT_ENOUGH_REPLICAS, ..._AFTER_APPEND, TOPIC_AUTHORIZATION_FAILED,
    -- KAFKA_STORAGE_ERROR, INVALID_RECORD, UNKNOWN
    for i, code in ipairs { 5, 6, 7, 10, 19, 20, 29, 56, 87, -1 } do
      c.r:say("err 0 2 " .. code)
      h.sleep(0.5)
      if i == 5 then c.kill() end
    end
  end },
  { name = "one message in 10,000 larger than the topic takes", poison = "10000 200000",
    batch = 100, rate = 100, config = "max.message.bytes 100000",
    more = [[compression = "none"]], run = function(c)
    h.sleep(4)
    c.kill()
  end },
  { name = "one message in 10,000 too large", poison = "10000 1100000", batch = 100,
    rate = 100, run = function(c)
    h.sleep(4)
    c.kill()
  end },
}

---All messages of a topic as position, tab, event, in a file.
local function consume(c, of)
  local file = c[of].dir .. "/messages"
  h.shell(("%s -b %s -t %s -f '%%h\t%%s\\n' > '%s'"):format(kafka.READ, c.r.brokers,
    c.topics[of], file))
  if h.read(c[of].dir .. "/before") then
    h.shell(("cat '%s/before' >> '%s'"):format(c[of].dir, file))
  end
  return file
end

local function lines(path)
  return h.read(path) and tonumber(h.shell(("wc -l < '%s'"):format(path))) or 0
end

---What a consumer has who drops what has a position that it has seen, and the dead
---letters.
local function collect(c, of)
  local file, s = consume(c, of), c[of]
  h.shell(([[awk -F '\t' '!seen[$1]++' '%s' | cut -f2- > '%s.once']]):format(file, file))
  local letters = s.data .. "/dead/sink-bus.ndjson"
  local copies, dead = lines(file) - lines(file .. ".once"), lines(letters)
  if dead > 0 then
    h.shell(([[sed 's/^{"event":\(.*\),"sink":.*/\1/' '%s' >> '%s.once']]):format(
      letters, file))
  end
  return file .. ".once", copies, dead
end

local function delivered(c, fault, of, acked)
  local n
  local ok = pcall(h.wait_for, "all events", function()
    n = kafka.count(c.r.brokers, c.topics[of], PARTITIONS)
      + lines(c[of].dir .. "/before") + lines(c[of].data .. "/dead/sink-bus.ndjson")
    if n >= acked and c[of]:metric("sluice_sink_lag_bytes", "bus") < 1e6 then return true end
    h.sleep(0.5)
  end, 180)
  if not ok then
    error(("%s, %s: %d of %d events; %s\n%s"):format(fault.name, of, n, acked,
      c[of]:get("/status").body, c[of]:text():sub(-3000)), 0)
  end
end

local function under_load(c, fault)
  local loads, found = {}, {}
  local events_a_second = (fault.batch or 20) * (fault.rate or 50)
  function c.consume(of) return consume(c, of) end
  function c.make(of)
    if fault.mock then
      c.r:say(("topic %s %d"):format(c.topics[of], PARTITIONS))
    else
      c.r:admin(("create %s %d %s"):format(c.topics[of], PARTITIONS,
        fault.config or ""))
    end
  end
  for _, of in ipairs(SIDES) do
    local port = free_port()
    c.make(of)
    c[of] = h.server { policy = policy(c.brokers, c.topics[of], fault.more),
      args = { "--listen", "127.0.0.1:" .. port } }
    local bytes = fault.poison and fault.poison:match(" (%d+)")
    loads[of] = h.load(port, { batch = fault.batch or 20, connections = 4,
      seconds = fault.seconds or 10, rate = fault.rate or 50,
      poison = fault.poison and fault.poison:match("%d+"), poison_bytes = bytes,
      acks = c[of].dir .. "/acks", patient = of == "killed" })
  end
  function c.kill()
    -- Messages that may be there twice: all unconfirmed ones, and later ones.
    local s = c.killed
    c.in_flight = s:metric("sluice_stored_events_total")
      - s:metric("sluice_delivered_events_total") + events_a_second
    s:stop("SIGKILL")
    s:start()
  end
  h.sleep(2)
  fault.run(c)
  local over = h.now()
  for _, of in ipairs(SIDES) do
    local f = h.load_wait(loads[of], 180)
    if of == "steady" then
      assert.equal(0, f.other + f.broken + f.full, "refused: " .. f.text)
    end
    delivered(c, fault, of, f.acked)
    local seconds = h.now() - over
    assert.equal(0, c[of]:stop())
    local file, copies, dead = collect(c, of)
    local v = h.verify(c[of].dir .. "/acks", file, fault.poison)
    v.copies, v.dead, v.seconds = copies, dead, seconds
    v.most = of == "killed" and c.in_flight or 0
    found[of] = v
  end
  return found
end

---The shared broker, and a proxy in front of each of its listeners that wants one.
local function open_shared()
  local shared, listeners = { proxies = {}, ways = {} }, {}
  for _, fault in ipairs(faults) do
    if fault.way then
      local l = { port = free_port(), password = fault.way == "SASL" }
      listeners[fault.way] = l
      shared.ways[fault.way] = l.port
      if not l.password then
        l.advertised = free_port()
        shared.ways[fault.way] = l.advertised
        shared.proxies[fault.way] = proxy.start(l.advertised, l.port)
      end
    end
  end
  shared.r = kafka.real(jars, free_port(), free_port(), { listeners = listeners,
    no_auto = true, no_wait = true })
  return shared
end

local function open(fault, shared)
  local c = { topics = {} }
  for i, of in ipairs(SIDES) do
    c.topics[of] = ("%s-%d"):format(fault.name:gsub("%W", "-"), i)
  end
  if fault.mock then
    c.r = kafka.mock()
    c.brokers = c.r.brokers
    return c
  end
  if not fault.own then
    c.r = shared.r
    c.brokers = "127.0.0.1:" .. (shared.ways[fault.way] or shared.r.port)
    c.proxy = shared.proxies[fault.way]
    c.r:ready()
    return c
  end
  c.dir = h.folder()
  if fault.disk then
    h.shell(("mkdir '%s/logs'; mount -t tmpfs -o size=%s tmpfs '%s/logs'"):format(
      c.dir, fault.disk, c.dir))
    c.mounted = h.shell(("stat -f -c %%T '%s/logs'"):format(c.dir)) == "tmpfs\n"
    if not c.mounted then return nil, "no right to mount a small disk" end
  end
  c.r = kafka.real(jars, free_port(), free_port(), { dir = c.dir })
  c.brokers = c.r.brokers
  return c
end

---All of it; the first sanitizer's report, if there is one.
local function close(c)
  local why
  for _, of in ipairs(SIDES) do
    local ok, report = pcall(function() if c[of] then c[of]:close() end end)
    why = why or not ok and report
  end
  if c.r.say then c.r:close() end
  if not c.dir then return why end
  if c.r.pid then c.r:kill() end
  if c.mounted then h.shell(("umount -l '%s/logs'"):format(c.dir)) end
  c.r:close()
  return why
end

describe("Kafka delivery under load loses nothing when a real broker has", function()
  local found, errors, skipped, ran = {}, {}, {}, {}

  setup(function()
    if why_not then return end
    local shared, jobs = open_shared(), {}
    for _, fault in ipairs(faults) do
      -- For debugging: a pattern of a fault's name.
      if fault.name:find(os.getenv("SLUICE_FAULT") or "") then
        ran[fault.name] = true
        jobs[fault.name] = function()
          local c, why = open(fault, shared)
          if not c then
            skipped[fault.name] = why
            return
          end
          local ok, v = pcall(under_load, c, fault)
          why = close(c)
          if why or not ok then error(why or v, 0) end
          return v
        end
      end
    end
    found, errors = h.together(jobs)
    for _, p in pairs(shared.proxies) do p:close() end
    shared.r:close()
  end)

  for _, fault in ipairs(faults) do
    it(fault.name, function()
      local why = why_not or skipped[fault.name] or not ran[fault.name] and "not asked for"
      if why then pending(why) return end
      if errors[fault.name] then error(errors[fault.name], 0) end
      for _, of in ipairs(SIDES) do
        local v = found[fault.name][of]
        assert.is_truthy(v.twice, v.text)
        print(("# kafka faults: %s; %s: acked=%d found=%d missing=%d torn=%d copies=%d "
          .. "of them known by their position=%d in flight=%d dead=%d; all in %.1f s behind it")
          :format(fault.name, of == "killed" and "our own process killed too"
          or "ours going on", v.acked, v.found, v.missing, v.torn, v.copies + v.twice,
          v.copies, v.most, v.dead, v.seconds))
        assert.same({ 0, 0, 0 }, { v.missing, v.torn, v.twice })
        -- A reload with another password is another producer to the broker.
        assert.is_true(v.copies <= v.most or fault.reloads == true)
        assert.equal(fault.poison ~= nil, v.dead > 0)
      end
    end)
  end
end)
