-- Rows that a server refuses: which are bad, and when it is the table that is wrong.
local cjson = require "cjson"
local clickhouse = require "clickhouse"
local h = require "harness"
local receiver = require "receiver"

local KINDS = {
  clickhouse = [[clickhouse "out" { urls = { "URL" }, table = "default.events",
    check = false, compression = "gzip", %s }]],
  http = [[http "out" { url = "URL/in", %s }]],
}

local function policy(kind, url, more)
  return ([[
server { listen = "127.0.0.1:0", workers = 1 }
admin { listen = "127.0.0.1:0" }
%s
stream "events" { sinks = { "out" } }
route "POST /v1/events" { body = "event", stream = "events" }
route "POST /v1/events/batch" { body = "batch", stream = "events" }
]]):format((KINDS[kind]:gsub("URL", url)):format(more))
end

local BATCH = 'batch = { target = 500, min = 500, max = 500, linger = "200ms" }'
local LONE = 'batch = { target = 1, min = 1, max = 1, linger = "5ms" }'

describe("rows that are refused", function()
  local r, s
  before_each(function() r = receiver.start() end)
  after_each(function()
    if s then s:close() s = nil end
    r:close()
  end)

  local function run(kind, rule, more)
    r:rule("clickhouse 23.8.1\n" .. rule)
    s = h.server { policy = policy(kind, ("http://127.0.0.1:%d"):format(r.port), more) }
  end

  ---n events, of which those at the places in bad have that text.
  local function post(n, bad, from)
    local list = {}
    for i = 1, n do
      list[i] = cjson.encode { n = (from or 0) + i, value = bad[i] or 1 }
    end
    assert.equal(202, s:post("/v1/events/batch", "[" .. table.concat(list, ",") .. "]")
      .status)
  end

  local function letters()
    local list = {}
    for line in (h.read(s.data .. "/dead/sink-out.ndjson") or ""):gmatch "[^\n]+" do
      list[#list + 1] = cjson.decode(line)
    end
    return list
  end

  ---The deduplication tokens of the inserts so far.
  local function inserts()
    local list = {}
    for _, q in ipairs(r:requests()) do
      list[#list + 1] = q.path:match "insert_deduplication_token=([^&]*)"
    end
    return list
  end

  local function settled(good, bad, seconds)
    h.wait_for(("%d rows and %d letters"):format(good, bad), function()
      return #r:events() >= good and #letters() >= bad
    end, seconds or 30)
    assert.same({ good, bad }, { #r:events(), #letters() })
    for _, line in ipairs(r:events()) do
      assert.is_number(cjson.decode(line).value, line)
    end
  end

  -- Places far apart and side by side; a text that looks like the server's words.
  local BAD = { [1] = "a", [7] = "b", [8] = "c", [9] = "(at row 3)", [100] = "d",
    [101] = "e", [250] = "(at row 9) f", [300] = "g", [301] = "h", [444] = "i",
    [499] = "j", [500] = "k" }

  for name, c in pairs {
    ["whose number the server says"] = { "clickhouse", "badrow 27 row" },
    ["that the server does not name"] = { "clickhouse", "badrow 27" },
    ["with a code that nobody knows"] = { "clickhouse", "badrow 9999 row" },
    ["of any endpoint"] = { "http", "poison" },
  } do
    it(name .. " are dead letters, 12 of 500, and no other", function()
      -- Where the good batch comes late, the bad one has opened the breaker.
      run(c[1], c[2], BATCH .. ', breaker = { timeout = "300ms" }')
      post(500, BAD)
      post(500, {}, 500)
      settled(988, 12)
      for _, l in ipairs(letters()) do
        assert.equal(BAD[l.event.n], l.event.value)
        if c[1] == "clickhouse" then
          assert.matches("Cannot parse '" .. l.event.value, l.why, 1, true)
        end
      end
      print(("# poison: 12 bad of 1000 %s: %d requests"):format(name, #r:requests()))
      assert.equal(0, s:stop())
    end)
  end

  it("one at a time, by a wrong table, are held and none of them is dead", function()
    for _, kind in ipairs { "clickhouse", "http" } do
      run(kind, kind == "http" and "status 422" or "allbad 27", LONE)
      for i = 1, 8 do post(1, {}, i) end
      s:logged "event=sink .*sink=out status=held batches=3 row=.*why="
      s:logged "event=sink .*status=holding"
      assert.equal(1, s:metric "sluice_sink_holding")
      h.wait_for("an open breaker", function()
        return s:get("/status").body:match '"breaker":%s*"open"'
      end)
      local n = #r:requests()
      h.sleep(4)
      assert.is_true(#r:requests() - n <= 3)
      assert.equal(0, #letters())
      r:rule "clickhouse 23.8.1"
      settled(8, 0)
      assert.equal(0, s:stop())
      s:close()
      r:close()
      r = receiver.start()
    end
    s = nil
  end)

  it("and are left over by a crash are no evidence against the table", function()
    run("http", "poison", 'batch = { target = 4, min = 4, max = 4, linger = "20ms" }')
    -- Four batches of three bad rows and a good one, which go together when that many
    -- may; of them only the good ones are done, for there is no room for letters.
    local good = 0
    h.wait_for("a window of four", function()
      post(4, {}, 100 * good)
      good = good + 4
      h.wait_for("the rows", function() return #r:events() == good end)
      return s:metric "sluice_sink_window" >= 4
    end)
    h.shell(("rm -rf '%s/dead'"):format(s.data))
    h.write(s.data .. "/dead", "no folder")
    local bad = {}
    for i = 1, 16 do bad[i] = i % 4 ~= 2 and "x" .. i or nil end
    post(16, bad)
    h.wait_for("the good rows", function() return #r:events() == good + 4 end)
    for _ = 1, 2 do -- what is known of them outlives the journal's being written anew
      s:stop "SIGKILL"
      s:start()
    end
    s:stop "SIGKILL"
    os.remove(s.data .. "/dead")
    s:start()
    settled(good + 4, 12)
    assert.is_nil(s:text():find("status=held", 1, true))
    assert.equal(0, s:stop())
  end)

  it("and are left over by a crash are dead as soon as the good row is taken", function()
    run("http", "poison\nlose", LONE:gsub("= 1,", "= 6,") .. "")
    local bad = {}
    for i = 1, 6 do bad[i] = i ~= 4 and "x" .. i or nil end
    post(6, bad)
    h.wait_for("the good row", function() return #r:events() == 1 end)
    s:stop "SIGKILL" -- which never heard of it
    r:rule "poison"
    s:start()
    settled(1, 5)
    assert.equal(0, s:stop())
  end)

  it("in whole batches of one client do not stop those of others", function()
    run("clickhouse", "badrow 27", LONE:gsub("max = 1,", "max = 6,") .. "")
    local bad = {}
    for i = 1, 6 do bad[i] = "x" .. i end
    for i = 1, 30 do post(6, bad, 10 * i) end
    s:logged "status=held"
    h.wait_for("30 batches in the sink", function()
      return s:metric "sluice_sink_apart_batches" == 30
    end)
    -- A late answer must not make the next probe meet an open breaker, which would take
    -- the turn from the newest batches, or from the oldest.
    r:rule "clickhouse 23.8.1\nbadrow 27\nlate 0.4"
    local before, newest = #inserts(), 0
    h.wait_for("four probes", function() return #inserts() >= before + 4 end, 20)
    for k, token in ipairs(inserts()) do -- ...:epoch.worker.first+n-hash
      if k > before and k <= before + 4 and tonumber(token:match "%.(%d+)%%2B") > 90 then
        newest = newest + 1
      end
    end
    assert.equal(2, newest)
    post(2, {}, 1000) -- found by one of the next two probes
    r:rule "clickhouse 23.8.1\nbadrow 27"
    settled(2, 180)
    assert.equal(0, s:metric "sluice_sink_holding")
    assert.equal(0, s:stop())
  end)

  it("beyond what may be looked for in a minute wait, and later batches go on", function()
    run("clickhouse", "badrow 27", BATCH .. ", dead = { searches = 20 }")
    local bad = {}
    for i = 10, 400, 10 do bad[i] = "x" .. i end
    post(500, bad)
    h.wait_for("the batch apart", function()
      return s:metric "sluice_sink_apart_batches" == 1
    end)
    local before = #r:events()
    post(300, {}, 1000)
    h.wait_for("later rows", function() return #r:events() >= before + 300 end, 5)
    assert.equal(0, s:metric "sluice_sink_holding")
    -- Rows that were not found are found by the next process.
    s:stop "SIGKILL"
    h.write(s.path, (h.read(s.path):gsub("searches = 20", "searches = 10000")))
    s:start()
    settled(460 + 300, 40)
    assert.equal(0, s:stop())
  end)

  it("as a whole for their size go in halves, also when planned by an earlier process",
  function()
    for _, rule in ipairs { "limit 1500", "memory 1500" } do
      run("clickhouse", "status 503", BATCH)
      post(500, {})
      h.wait_for("a try", function() return r:count "fault" >= 1 end)
      s:stop "SIGKILL"
      h.write(s.path, (h.read(s.path):gsub("target = 500, min = 500, max = 500",
        "target = 10, min = 10, max = 10")))
      r:rule("clickhouse 23.8.1\n" .. rule)
      s:start()
      settled(500, 0)
      local n = #r:requests()
      post(500, {}, 1000)
      settled(1000, 0)
      print(("# too large (%s): %d requests, then %d"):format(rule, n,
        #r:requests() - n))
      assert.equal(0, s:stop())
      s:close()
      r:close()
      r = receiver.start()
    end
    s = nil
  end)

  it("only by a materialized view say so", function()
    local why_not = clickhouse.missing()
    if why_not then pending(why_not) return end
    local ch = clickhouse.start()
    ch:must "CREATE TABLE events (n UInt32, value Float64) ENGINE = Memory"
    ch:must [[CREATE MATERIALIZED VIEW v ENGINE = Memory AS SELECT n,
      throwIf(value < 0) AS bad FROM events]]
    s = h.server { policy = policy("clickhouse", ch.url, BATCH) }
    s:post("/v1/events/batch", '[{"n":1,"value":1},{"n":2,"value":-1},{"n":3,"value":2}]')
    h.wait_for("the letter", function() return #letters() == 1 end)
    local l = letters()[1]
    assert.equal(2, l.event.n)
    assert.matches("^a materialized view failed, so the table may have rows", l.why)
    h.wait_for("the others", function()
      return ch:query "SELECT DISTINCT n FROM v ORDER BY n" == "1\n3\n"
    end)
    assert.equal(0, s:stop())
    ch:close()
  end)
end)
