-- A hedge between two servers of which each answers 2 % of its requests late.
local h = require "harness"
local clickhouse = require "clickhouse"
local proxy = require "proxy"
local zookeeper = require "zookeeper"

local why_not = clickhouse.missing()
local no_pair = why_not or zookeeper.missing()
local ROUNDS = 3 -- for the figures, on a machine that has other things to do
local LATE_MS = 1000

local function policy(urls, hedge, table_name)
  return ([[
server { listen = "127.0.0.1:0", workers = 1 }
admin { listen = "127.0.0.1:0" }
clickhouse "olap" { urls = { %q, %q }, table = "default.%s",
  columns = { event_id = "event_id" }, timeout = "5s",
  batch = { target = 20, min = 1, max = 20, linger = "20ms" }, %s }
stream "events" { ack = "delivered", timeout = "10s", sinks = { "olap" } }
route "POST /v1/events" { body = "event", stream = "events" }
route "POST /v1/events/batch" { body = "batch", stream = "events" }
]]):format(urls[1], urls[2], table_name or "events", hedge or "")
end

local HEDGE = [[hedge = { after = "200ms", max_ratio = 0.05, %s }]]

describe("a hedge", function()
  local s, keeper
  local servers, proxies = {}, {}
  local urls = { {}, {} } -- of two servers of ours, each with its own way to both

  setup(function()
    if why_not then return end
    keeper = not no_pair and zookeeper.start(clickhouse.free_port()) or nil
    for i = 1, 2 do
      servers[i] = clickhouse.start { keeper = keeper and keeper.port,
        replica = "r" .. i }
      for k = 1, 2 do
        local p = proxy.start(clickhouse.free_port(), servers[i].http,
          "late 2 " .. LATE_MS)
        proxies[#proxies + 1], urls[k][i] = p, p.url
        -- Each is late every 50th time: not both at once.
        for _ = 1, i == 2 and 25 or 0 do h.request(p.port, "GET", "/ping") end
      end
    end
  end)
  teardown(function()
    for _, p in ipairs(proxies) do p:close() end
    for _, ch in ipairs(servers) do ch:close() end
    if keeper then keeper:close() end
  end)
  local ours = {}
  after_each(function()
    if s then s:close() s = nil end
    for _, o in ipairs(ours) do o:close() end
    ours = {}
  end)

  local function tables(engine, name)
    name = name or "events"
    for _, ch in ipairs(servers) do
      ch:query("DROP TABLE " .. name)
      ch:must(([[CREATE TABLE %s (event_id String) ENGINE = %s
        PARTITION BY tuple() ORDER BY event_id
        SETTINGS parts_to_delay_insert = 10000, parts_to_throw_insert = 20000 %s]])
        :format(name, engine, engine:find("Replicated", 1, true)
        and ", max_replicated_merges_in_queue = 0" -- they would make others late
        or ""))
    end
  end

  ---Inserts of 20 rows at a steady rate, to all at the same time, so that what else the
  ---machine does slows them alike; how long a client waits for its own.
  ---@param list table of { hedge, urls, table name }
  local function run(list)
    local loads, figures = {}, {}
    for i, o in ipairs(list) do
      ours[i] = h.server { policy = policy(o[2], o[1] or nil, o[3]) }
      ours[i]:post("/v1/events", [[{"event_id":"first"}]])
      if o[1] then ours[i]:logged "event=hedge sink=olap hedge=o%a+" end
    end
    for i in ipairs(list) do
      loads[i] = h.load(ours[i].port, { batch = 20, connections = 32, seconds = 8,
        rate = 30 })
    end
    for i, o in ipairs(ours) do
      local f = h.load_wait(loads[i])
      assert.equal(0, f.other + f.broken + f.full, f.text)
      f.hedges = o:metric("sluice_hedges_total")
      f.inserts = o:metric("sluice_insert_seconds_count")
      f.status = o:get("/status").body
      assert.equal(0, o:stop())
      figures[i] = f
    end
    for _, o in ipairs(ours) do o:close() end
    ours = {}
    return figures
  end

  local function show(what, f, rows)
    print(("# hedge: %s: p50 = %.1f ms, p99 = %.1f ms, inserts = %d, hedges = %d, "
      .. "acked = %d, rows = %d"):format(what, f.p50_ms, f.p99_ms, f.inserts,
      f.hedges, f.acked, rows))
  end

  it("between replicas cuts the late answers, within its ratio, and no row is "
    .. "there twice", function()
    if no_pair then pending(no_pair) return end
    local NAMES, cut = { "alone", "hedged" }, nil
    for round = 1, ROUNDS do
      for i, name in ipairs(NAMES) do
        tables(("ReplicatedMergeTree('/t/%d-%d', '{replica}')"):format(round, i), name)
      end
      local list = run { { false, urls[1], NAMES[1] },
        { HEDGE:format "", urls[2], NAMES[2] } }
      for i, f in ipairs(list) do
        -- Also what a loser was still doing when it was called off has come to rest.
        for _, ch in ipairs(servers) do ch:must("SYSTEM SYNC REPLICA " .. NAMES[i]) end
        local rows = servers[1]:count("SELECT count() FROM " .. NAMES[i])
        show(NAMES[i], f, rows)
        assert.equal(f.acked + 1, rows)
        assert.equal(rows, servers[2]:count("SELECT count() FROM " .. NAMES[i]))
        assert.equal(rows, servers[2]:count("SELECT uniqExact(event_id) FROM "
          .. NAMES[i]))
        assert.is_true(f.hedges <= 0.05 * f.inserts)
      end
      assert.is_true(list[2].hedges > 0)
      assert.matches('"hedge":%s*{%s*"on":%s*true', list[2].status)
      cut = (list[1].p99_ms - list[2].p99_ms) / LATE_MS
      if cut >= 0.6 then break end
    end
    print(("# hedge: p99: %.2f of what a late answer costs is cut"):format(cut))
    assert.is_true(cut >= 0.6)
  end)

  it("stays off where a copy would be a second row, and says why", function()
    if why_not then pending(why_not) return end
    tables "MergeTree()"
    local why = "default.events of " .. urls[1][1] .. " is a MergeTree, which takes a "
      .. "copy for new rows; may_duplicate = true hedges all the same"
    s = h.server { policy = policy(urls[1], HEDGE:format "") }
    s:post("/v1/events", [[{"event_id":"first"}]])
    for _ = 1, 60 do s:post("/v1/events", [[{"event_id":"more"}]]) end
    h.wait_for("the log", function()
      return s:text():find(("level=warn event=hedge sink=olap hedge=off why=%q")
        :format(why), 1, true)
    end)
    h.wait_for("the status", function()
      return s:get("/status").body:find('"why":\t"' .. why .. '"', 1, true)
    end)
    assert.equal(0, s:metric("sluice_hedging"))
    assert.equal(0, s:metric("sluice_hedges_total"))
    h.wait_for("the rows", function()
      return servers[1]:count("SELECT count() FROM events")
        + servers[2]:count("SELECT count() FROM events") == 61
    end)
    assert.equal(0, s:stop())
  end)

  it("stays off between replicas of different tables", function()
    if no_pair then pending(no_pair) return end
    tables(("ReplicatedMergeTree('/t/apart-%d', '{replica}')"):format(1))
    servers[2]:must "DROP TABLE events"
    servers[2]:must [[CREATE TABLE events (event_id String)
      ENGINE = ReplicatedMergeTree('/t/apart-2', '{replica}') ORDER BY event_id]]
    s = h.server { policy = policy(urls[1], HEDGE:format "") }
    s:post("/v1/events", [[{"event_id":"first"}]])
    s:logged "hedge=off why=\"%S+ and %S+ are not replicas of one table"
  end)

  it("that may duplicate counts what it does", function()
    if why_not then pending(why_not) return end
    tables "MergeTree()"
    local f = run({ { HEDGE:format "may_duplicate = true", urls[1] } })[1]
    local rows = servers[1]:count("SELECT count() FROM events")
      + servers[2]:count("SELECT count() FROM events")
    show("between two tables", f, rows)
    assert.is_true(f.hedges <= 0.05 * f.inserts)
    assert.is_true(rows >= f.acked + 1 and rows <= f.acked + 1 + 20 * f.hedges)
  end)
end)
