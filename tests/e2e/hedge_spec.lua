-- A hedge between two servers of which each answers 2 % of its requests late.
local h = require "harness"
local clickhouse = require "clickhouse"
local proxy = require "proxy"
local zookeeper = require "zookeeper"

local why_not = clickhouse.missing()
local no_pair = why_not or zookeeper.missing()
local ROUNDS = 3 -- for the figures, on a machine that has other things to do

local function policy(urls, hedge)
  return ([[
server { listen = "127.0.0.1:0", workers = 1 }
admin { listen = "127.0.0.1:0" }
clickhouse "olap" { urls = { %q, %q }, table = "default.events",
  columns = { event_id = "event_id" }, timeout = "5s",
  batch = { target = 20, min = 1, max = 20, linger = "20ms" }, %s }
stream "events" { ack = "delivered", timeout = "10s", sinks = { "olap" } }
route "POST /v1/events" { body = "event", stream = "events" }
route "POST /v1/events/batch" { body = "batch", stream = "events" }
]]):format(urls[1], urls[2], hedge or "")
end

local HEDGE = [[hedge = { after = "100ms", max_ratio = 0.05, %s }]]

describe("a hedge", function()
  local s, keeper
  local servers, proxies, urls = {}, {}, {}

  setup(function()
    if why_not then return end
    keeper = not no_pair and zookeeper.start(clickhouse.free_port()) or nil
    for i = 1, 2 do
      servers[i] = clickhouse.start { keeper = keeper and keeper.port,
        replica = "r" .. i }
      proxies[i] = proxy.start(clickhouse.free_port(), servers[i].http, "late 2 500")
      urls[i] = proxies[i].url
    end
    -- Each is late every 50th time: not both at once.
    for _ = 1, 25 do h.request(proxies[2].port, "GET", "/ping") end
  end)
  teardown(function()
    for i = 1, #servers do
      proxies[i]:close()
      servers[i]:close()
    end
    if keeper then keeper:close() end
  end)
  after_each(function() if s then s:close() s = nil end end)

  local function tables(engine)
    for _, ch in ipairs(servers) do
      ch:query "DROP TABLE events"
      ch:must(([[CREATE TABLE events (event_id String) ENGINE = %s
        PARTITION BY tuple() ORDER BY event_id
        SETTINGS parts_to_delay_insert = 10000, parts_to_throw_insert = 20000 %s]])
        :format(engine, engine:find("Replicated", 1, true)
        and ", max_replicated_merges_in_queue = 0" -- they would make others late
        or ""))
    end
  end

  ---Inserts of 20 rows at a steady rate; how long a client waits for its own.
  local function run(hedge)
    s = h.server { policy = policy(urls, hedge) }
    s:post("/v1/events", [[{"event_id":"first"}]])
    if hedge then s:logged "event=hedge sink=olap hedge=o%a+" end
    local f = h.load_wait(h.load(s.port, { batch = 20, connections = 32,
      seconds = 8, rate = 30 }))
    assert.equal(0, f.other + f.broken + f.full, f.text)
    f.hedges = s:metric("sluice_hedges_total")
    f.inserts = s:metric("sluice_insert_seconds_count")
    f.status = s:get("/status").body
    assert.equal(0, s:stop())
    s:close()
    s = nil
    return f
  end

  local function show(what, f, rows)
    print(("# hedge: %s: p50 = %.1f ms, p99 = %.1f ms, inserts = %d, hedges = %d, "
      .. "acked = %d, rows = %d"):format(what, f.p50_ms, f.p99_ms, f.inserts,
      f.hedges, f.acked, rows))
  end

  it("between replicas cuts the late answers, within its ratio, and no row is "
    .. "there twice", function()
    if no_pair then pending(no_pair) return end
    local cut
    for round = 1, ROUNDS do
      local p99 = {}
      for i, hedge in ipairs { false, HEDGE:format "" } do
        tables(("ReplicatedMergeTree('/t/%d-%d', '{replica}')"):format(round, i))
        local f = run(hedge or nil)
        -- The work of a cancelled request has come to rest, too.
        for _, ch in ipairs(servers) do ch:must "SYSTEM SYNC REPLICA events" end
        local rows = servers[1]:count("SELECT count() FROM events")
        show(hedge and "with" or "without", f, rows)
        assert.equal(f.acked + 1, rows)
        assert.equal(rows, servers[2]:count("SELECT count() FROM events"))
        assert.equal(rows, servers[2]:count("SELECT uniqExact(event_id) FROM events"))
        assert.is_true(f.hedges <= 0.05 * f.inserts)
        if hedge then
          assert.is_true(f.hedges > 0)
          assert.matches('"hedge":%s*{%s*"on":%s*true', f.status)
        end
        p99[i] = f.p99_ms
      end
      cut = p99[2] / p99[1]
      if cut <= 0.4 then break end
    end
    print(("# hedge: p99 with = %.2f of without"):format(cut))
    assert.is_true(cut <= 0.4)
  end)

  it("stays off where a copy would be a second row, and says why", function()
    if why_not then pending(why_not) return end
    tables "MergeTree()"
    local why = "default.events of " .. urls[1] .. " is a MergeTree, which takes a "
      .. "copy for new rows; may_duplicate = true hedges all the same"
    s = h.server { policy = policy(urls, HEDGE:format "") }
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
    s = h.server { policy = policy(urls, HEDGE:format "") }
    s:post("/v1/events", [[{"event_id":"first"}]])
    s:logged "hedge=off why=\"%S+ and %S+ are not replicas of one table"
  end)

  it("that may duplicate counts what it does", function()
    if why_not then pending(why_not) return end
    tables "MergeTree()"
    local f = run(HEDGE:format "may_duplicate = true")
    local rows = servers[1]:count("SELECT count() FROM events")
      + servers[2]:count("SELECT count() FROM events")
    show("between two tables", f, rows)
    assert.is_true(f.hedges <= 0.05 * f.inserts)
    assert.is_true(rows >= f.acked + 1 and rows <= f.acked + 1 + 20 * f.hedges)
  end)
end)
