-- Nothing lost, over faults of a real server and of our own process, under load.
--
-- Each fault has a server of its own, and on it two instances of ours, of which one is
-- killed in the midst of the fault. Each delivers to two tables: a plain MergeTree,
-- where copies are counted, and a replicated one, which knows a block that was sent
-- before by its content: there every event is once, also when its copy comes by way of
-- another replica. All faults run at the same time.
--
-- A replica that loses ZooKeeper in the midst of an INSERT keeps the part, answers with
-- code 319, and shows the rows for minutes beside those of the next try. Of such a part
-- ZooKeeper knows nothing: only parts that it knows are counted.
local h = require "harness"
local clickhouse = require "clickhouse"
local proxy = require "proxy"
local zookeeper = require "zookeeper"

local why_not = clickhouse.missing()
local no_keeper = zookeeper.missing()
local PAUSE_S = tonumber(os.getenv("SLUICE_PAUSE_S") or "20")

local function policy(c, of)
  local sinks = {}
  for i, name in ipairs(c.sinks) do
    sinks[i] = ([[
clickhouse %q { urls = { %s }, table = "default.%s_%s", user = "ingest",
  password = "secret", timeout = "3s", breaker = { timeout = "1s" },
  columns = { event_id = "event_id", %s, raw = "@event" },
  batch = { target = 1000, min = 500, max = 2000, linger = "400ms" } }
]]):format(name, c.urls, of, name, c.words and [[device = "device"]]
      or [[value = "value"]])
  end
  return ([[
server { listen = "127.0.0.1:0", workers = 1 }
admin { listen = "127.0.0.1:0" }
spool { max_bytes = "4GiB" }
%s
stream "events" { sinks = { "%s" } }
route "POST /v1/events/batch" { body = "batch", stream = "events" }
]]):format(table.concat(sinks), table.concat(c.sinks, [[", "]]))
end

local COLUMNS = "(event_id String, value Float64, raw String)"
local WORDS = "(event_id String, device Enum8('ios' = 1), raw String)"
local ORDER = "PARTITION BY tuple() ORDER BY event_id"

local function in_keeper(c, of, again)
  return ("/%d/%s%s"):format(c.ch.http, of, again or "")
end

local function make_tables(c, of, again)
  c.again = again
  for _, name in ipairs(c.sinks) do
    for _, ch in ipairs { c.ch, c.other } do
      ch:must(("CREATE TABLE %s_%s %s ENGINE = %s %s"):format(of, name,
        c.words and WORDS or COLUMNS,
        name == "plain" and "MergeTree()"
        or ("ReplicatedMergeTree('%s', '{replica}')"):format(in_keeper(c, of, again)),
        ORDER))
    end
  end
end

local SIDES = { "steady", "killed" }

---The faults of a server. c: ch, proxy, kill() for our own process.
local faults = {
  { name = "killed and started again", run = function(c)
    c.ch:kill()
    h.sleep(2)
    c.kill()
    c.ch:run()
  end },
  { name = "stopped for a while", seconds = 4 + PAUSE_S, run = function(c)
    c.ch:pause()
    h.sleep(PAUSE_S / 2)
    c.kill()
    h.sleep(PAUSE_S / 2)
    c.ch:go_on()
  end },
  { name = "its table dropped and made again", aside = "before", run = function(c)
    -- Its rows go with it: they are kept aside, to be counted.
    for _, of in ipairs(SIDES) do
      for _, t in ipairs(c.sinks) do
        c.ch:must(("RENAME TABLE %s_%s TO %s_%sbefore"):format(of, t, of, t))
      end
    end
    h.sleep(1)
    c.kill()
    h.sleep(1)
    for _, of in ipairs(SIDES) do make_tables(c, of, "again") end
  end },
  { name = "another password", lasts = true, run = function(c)
    c.ch:set_password("another")
    h.wait_for("refusals", function()
      return (c.steady:metric("sluice_sink_holding") or 0) > 0
    end, 60)
    c.kill()
    h.sleep(1)
    c.ch:set_password("secret")
  end },
  { name = "its disk full", disk = "60m", lasts = true, run = function(c)
    h.shell(("dd if=/dev/zero of='%s/data/fill' bs=1M"):format(c.ch.dir))
    h.wait_for("refusals", function()
      return (c.steady:metric("sluice_sink_holding") or 0) > 0
    end, 60)
    c.kill()
    h.sleep(1)
    os.remove(c.ch.dir .. "/data/fill")
  end },
  { name = "connections cut within the body", proxied = true, run = function(c)
    c.proxy:say "cut 100 800"
    h.sleep(3)
    c.kill()
    h.sleep(2)
    c.proxy:say "pass"
  end },
  { name = "answers lost", proxied = true, run = function(c)
    c.proxy:say "lose 40"
    h.sleep(3)
    c.kill()
    h.sleep(2)
    c.proxy:say "pass"
  end },
  { name = "status 500 to all", proxied = true, run = function(c)
    c.proxy:say "status 100 500"
    h.sleep(2)
    c.kill()
    h.sleep(2)
    c.proxy:say "pass"
  end },
  { name = "answers 2 s late", proxied = true, run = function(c)
    c.proxy:say "late 100 2000"
    h.sleep(5)
    c.kill()
    h.sleep(3)
    c.proxy:say "pass"
  end },
  { name = "a replica that is killed and started again", pair = true, run = function(c)
    c.ch:kill()
    h.sleep(3)
    c.kill()
    h.sleep(1)
    c.ch:run()
  end },
  { name = "a replica that stands still for a while", pair = true,
    seconds = 4 + PAUSE_S, run = function(c)
    c.ch:pause()
    h.sleep(PAUSE_S / 2)
    c.kill()
    h.sleep(PAUSE_S / 2)
    c.ch:go_on()
  end },
  { name = "a replica whose answers are lost", pair = true, proxied = true,
    run = function(c)
    c.proxy:say "lose 50"
    h.sleep(3)
    c.kill()
    h.sleep(2)
    c.proxy:say "pass"
  end },
  -- First before ZooKeeper hears of a part: only that takes so many bytes. Then behind.
  { name = "connections to ZooKeeper that are cut", leaves = true, lasts = true,
    run = function(c)
      c.way:say "cut 100 800"
      h.sleep(2)
      c.kill()
      h.sleep(1)
      -- Until an insert was among those whose answer is lost.
      c.way:say "lose 23"
      h.wait_for("a part that ZooKeeper does not know", function()
        h.sleep(0.5)
        return h.read(c.ch.dir .. "/log"):find("Unknown status", 1, true)
      end, 240)
      c.way:say "pass"
    end },
  -- Which row it is the server does not say: it is looked for by halves.
  { name = "one unknown word of an enum in 10,000, and answers lost", words = true,
    poison = 10000, batch = 100, rate = 100, proxied = true, run = function(c)
    c.proxy:say "lose 20"
    h.sleep(4)
    c.kill()
    h.sleep(2)
    c.proxy:say "pass"
  end },
  { name = "one poison row in 10,000", poison = 10000, batch = 100, rate = 100,
    run = function(c)
    h.sleep(4)
    c.kill()
  end },
}

---A table; of a replicated one what ZooKeeper knows, as ch shows it. While parts are
---merged it may be less.
local function rows(c, fault, of, sink_name, ch)
  local list = {}
  for i, aside in ipairs(fault.aside and { "", fault.aside } or { "" }) do
    list[i] = ("SELECT * FROM %s_%s%s"):format(of, sink_name, aside)
    if sink_name == "twin" then
      list[i] = list[i] .. (" WHERE _part IN (SELECT name FROM system.zookeeper "
        .. "WHERE path = '%s/replicas/%s/parts')"):format(
        in_keeper(c, of, aside == "" and c.again), ch == c.other and "other" or "one")
    end
  end
  return "(" .. table.concat(list, " UNION ALL ") .. ")"
end

---The events that are in the table or among the dead letters, in a file.
local function collect(c, fault, of, sink_name)
  local s, file = c[of], c[of].dir .. "/rows-" .. sink_name
  h.shell(("curl -s '%s' --data-binary \"SELECT raw FROM %s FORMAT TSVRaw\" > '%s'")
    :format(c.ch.url, rows(c, fault, of, sink_name, c.ch), file))
  local n = tonumber(h.shell("wc -l < '" .. file .. "'"))
  local letters = ("%s/dead/sink-%s.ndjson"):format(s.data, sink_name)
  if h.read(letters) then
    h.shell(([[sed 's/^{"event":\(.*\),"sink":.*/\1/' '%s' >> '%s']]):format(letters,
      file))
  end
  return file, tonumber(h.shell("wc -l < '" .. file .. "'")) - n
end

---The acknowledged events that are there.
local function verified(c, fault, of, sink_name)
  local v
  pcall(h.wait_for, "merges", function()
    local file, dead = collect(c, fault, of, sink_name)
    v = h.verify(c[of].dir .. "/acks", file, fault.poison)
    v.dead = dead
    return v.missing == 0 and v.torn == 0
  end)
  return v
end

---Of events that are there twice: their parts, the senders, and the log.
local function evidence(c, of, sink_name)
  local t = of .. "_" .. sink_name
  local why = { c.ch:query(("SELECT _part, count() FROM %s WHERE event_id IN (SELECT "
    .. "event_id FROM %s GROUP BY event_id HAVING count() > 1) GROUP BY _part")
    :format(t, t)) }
  for _, sql in ipairs { "name, active, rows, modification_time FROM system.parts",
    "parts_to_check, queue_size, is_session_expired FROM system.replicas" } do
    why[#why + 1] = c.ch:query(("SELECT %s WHERE table = '%s'"):format(sql, t))
  end
  why[#why + 1] = h.shell(("grep -hE '%s .*(Wrote block|Block with ID|will|heck)|"
    .. "Unknown status' '%s/log' | cut -c1-300 | tail -200"):format(t, c.ch.dir))
  why[#why + 1] = h.read(c[of].log):sub(-4000)
  return table.concat(why, "\n")
end

local function delivered(c, fault, of, sink_name, acked)
  local n
  local ch = c.other or c.ch
  local ok = pcall(h.wait_for, "all events", function()
    n = ch:count("SELECT uniqExact(event_id) FROM " .. rows(c, fault, of, sink_name,
      ch)) or -1e9
    local letters = h.read(("%s/dead/sink-%s.ndjson"):format(c[of].data, sink_name))
    n = n + select(2, (letters or ""):gsub("\n", ""))
    if n >= acked then return true end
    h.sleep(0.2)
  end, 60)
  if not ok then
    error(("%s, %s, %s: %d of %d events after a minute; %s\n%s"):format(fault.name,
      of, sink_name, n, acked, c[of]:get("/status").body, c[of]:text():sub(-2000)), 0)
  end
end

local function open(fault, keeper)
  if (fault.pair or fault.leaves) and not keeper then return nil, no_keeper end
  local c = { dir = h.folder(), words = fault.words }
  if fault.disk then
    h.shell(("mkdir -p '%s/data'; mount -t tmpfs -o size=%s tmpfs '%s/data'"):format(
      c.dir, fault.disk, c.dir))
    c.mounted = h.shell(("stat -f -c %%T '%s/data'"):format(c.dir)) == "tmpfs\n"
    if not c.mounted then
      h.remove(c.dir)
      return nil, "no right to mount a small disk"
    end
  end
  if fault.leaves and keeper then
    c.way = proxy.start(clickhouse.free_port(), keeper.port)
    keeper = c.way
  end
  c.ch = clickhouse.start { dir = c.dir, keeper = keeper and keeper.port }
  if fault.proxied then c.proxy = proxy.start(clickhouse.free_port(), c.ch.http) end
  c.urls = ("%q"):format(c.proxy and c.proxy.url or c.ch.url)
  c.sinks = keeper and { "plain", "twin" } or { "plain" }
  if fault.pair then
    c.other = clickhouse.start { keeper = keeper.port, replica = "other" }
    c.urls = ("%s, %q"):format(c.urls, c.other.url)
    c.sinks = { "twin" }
  end
  return c
end

---All of it; the first sanitizer's report, if there is one.
local function close(c)
  local why
  for _, of in ipairs(SIDES) do
    local ok, report = pcall(function() if c[of] then c[of]:close() end end)
    why = why or not ok and report
  end
  if c.proxy then c.proxy:close() end
  if c.other then c.other:close() end
  c.ch:kill()
  if c.way then c.way:close() end
  if c.mounted then h.shell(("umount -l '%s/data'"):format(c.dir)) end
  c.ch:close()
  return why
end

---Parts that ZooKeeper does not know stay: until the table is attached anew.
local function look_again(c, found)
  assert.truthy(h.read(c.ch.dir .. "/log"):find("Unknown status", 1, true))
  local left = 0
  for _, of in ipairs(SIDES) do
    local t = of .. "_twin"
    left = left + found[of .. " twin"].left
    c.ch:must("DETACH TABLE " .. t)
    c.ch:must("ATTACH TABLE " .. t)
    assert.same({ 0, found[of .. " twin"].found }, {
      c.ch:count("SELECT count() - uniqExact(event_id) FROM " .. t),
      c.ch:count("SELECT count() FROM " .. t) })
  end
  assert.truthy(left > 0)
end

local function under_load(c, fault)
  -- With lasts it outlasts the fault, however slow the machine is.
  local loads, till = {}, h.now() + (fault.seconds or 10)
  for _, of in ipairs(SIDES) do
    make_tables(c, of)
    local port = clickhouse.free_port()
    c[of] = h.server { policy = policy(c, of),
      args = { "--listen", "127.0.0.1:" .. port } }
    loads[of] = h.load(port, { batch = fault.batch or 20, connections = 4,
      seconds = fault.lasts and 180 or fault.seconds or 10,
      rate = fault.rate or 50, poison = fault.poison,
      acks = c[of].dir .. "/acks", patient = of == "killed" })
  end
  function c.kill()
    c.killed:stop("SIGKILL")
    c.killed:start()
  end
  h.sleep(1.5)
  fault.run(c)
  h.wait_for("the load's end", function() return h.now() >= till end, 60)
  local over, found, figures = h.now(), {}, {}
  for _, of in ipairs(SIDES) do
    figures[of] = fault.lasts and h.load_stop(loads[of])
      or h.load_wait(loads[of], 180)
  end
  for _, of in ipairs(SIDES) do
    local f = figures[of]
    if of == "steady" then
      assert.equal(0, f.other + f.broken + f.full, "refused: " .. f.text)
    end
    for _, t in ipairs(c.sinks) do
      delivered(c, fault, of, t, f.acked)
    end
    local seconds = h.now() - over
    assert.equal(0, c[of]:stop())
    for _, t in ipairs(c.sinks) do
      if c.other then
        for _, ch in ipairs { c.ch, c.other } do
          -- A replica whose session has expired looks for that once a minute.
          local why
          local ok, late = pcall(h.wait_for, "the replica", function()
            local text, words = ch:query(("SYSTEM SYNC REPLICA %s_%s"):format(of, t))
            why = words
            return text
          end, 90)
          if not ok then error(late .. ": " .. tostring(why), 0) end
        end
      end
      local v = verified(c, fault, of, t)
      v.seconds = seconds
      v.left = fault.leaves and c.ch:count(("SELECT count() FROM %s_%s"):format(of, t))
        - v.found
      v.why = v.copies > 0 and t == "twin" and evidence(c, of, t)
      found[of .. " " .. t] = v
    end
  end
  if fault.leaves then look_again(c, found) end
  return found
end

describe("ClickHouse delivery under load loses nothing when the server has", function()
  local found, errors, skipped, ran = {}, {}, {}, {}

  setup(function()
    if why_not then return end
    local keeper = not no_keeper and zookeeper.start(clickhouse.free_port())
    local jobs = {}
    for _, fault in ipairs(faults) do
      -- For debugging: a pattern of a fault's name.
      if fault.name:find(os.getenv("SLUICE_FAULT") or "") then
        ran[fault.name] = true
        jobs[fault.name] = function()
          local c, why = open(fault, keeper)
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
    if keeper then keeper:close() end
  end)

  for _, fault in ipairs(faults) do
    local function row(of, t)
      local v = (found[fault.name] or {})[of .. " " .. t]
      if errors[fault.name] then error(errors[fault.name], 0) end
      print(("# clickhouse faults: %s; %s, %s: %s dead=%d%s; all in %.1f s behind it")
        :format(fault.name, of == "killed" and "our own process killed too"
        or "ours going on", t == "twin" and "ReplicatedMergeTree" or "MergeTree",
        (v.text:gsub("\n", "")), v.dead,
        v.left and " left=" .. v.left or "", v.seconds))
      assert.same({ 0, 0 }, { v.missing, v.torn })
      assert.equal(fault.poison ~= nil, v.dead > 0)
      return v
    end

    if not fault.pair then it(fault.name, function()
      local why = why_not or skipped[fault.name] or not ran[fault.name] and "not asked for"
      if why then pending(why) return end
      for _, of in ipairs(SIDES) do row(of, "plain") end
    end) end

    it(fault.name .. ", and a replicated table has each event once", function()
      local why = why_not or no_keeper or skipped[fault.name]
        or not ran[fault.name] and "not asked for"
      if why then pending(why) return end
      for _, of in ipairs(SIDES) do
        local v = row(of, "twin")
        assert.equal(0, v.copies, v.why or nil)
      end
    end)
  end
end)
