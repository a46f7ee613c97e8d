-- What may be in a table already is sent again as it was, whatever a reload has changed
-- meanwhile: two replicas know it then, and have each event once.
local h = require "harness"
local clickhouse = require "clickhouse"
local proxy = require "proxy"
local receiver = require "receiver"
local zookeeper = require "zookeeper"

local why_not = clickhouse.missing() or zookeeper.missing()

local function policy(urls, columns, more)
  return ([[
server { listen = "127.0.0.1:0", workers = 1 }
admin { listen = "127.0.0.1:0" }
clickhouse "olap" { urls = { "%s" }, table = "default.events", timeout = "1s",
  breaker = { timeout = "200ms" }, columns = { %s }, %s
  batch = { target = 10, min = 1, max = 10, linger = "20ms" } }
stream "events" { sinks = { "olap" } }
route "POST /v1/events/batch" { body = "batch", stream = "events" }
]]):format(table.concat(urls, [[", "]]), columns, more or "")
end

local PLAIN, MORE = [[id = "id"]], [[id = "id", more = "more"]]

describe("a batch that may be in the table", function()
  local s, keeper
  local servers, proxies, urls = {}, {}, {}

  setup(function()
    if why_not then return end
    keeper = zookeeper.start(clickhouse.free_port())
    for i = 1, 2 do
      servers[i] = clickhouse.start { keeper = keeper.port, replica = "r" .. i }
      proxies[i] = proxy.start(clickhouse.free_port(), servers[i].http)
      urls[i] = proxies[i].url
    end
  end)
  teardown(function()
    for i = 1, #servers do
      proxies[i]:close()
      servers[i]:close()
    end
    if keeper then keeper:close() end
  end)
  after_each(function() if s then s:close() s = nil end end)

  local function tables(name)
    for i, ch in ipairs(servers) do
      proxies[i]:say "pass"
      ch:query "DROP TABLE events"
      ch:must(([[CREATE TABLE events (id String, more String) ENGINE =
        ReplicatedMergeTree('/t/%s', '{replica}') ORDER BY id]]):format(name))
    end
  end

  local function post(first)
    local list = {}
    for i = 1, 10 do
      list[i] = ([[{"id":"e%03d","more":"m"}]]):format(first + i)
    end
    assert.equal(202, s:post("/v1/events/batch", "[" .. table.concat(list, ",")
      .. "]").status)
  end

  local function rows() return servers[2]:count("SELECT count() FROM events") end

  local function reload(new_urls, columns, more)
    h.write(s.path, policy(new_urls, columns, more))
    assert.equal(200, s:reload().status)
  end

  ---After all events have come, and doubled ones would have, too.
  local function at_last(want)
    h.wait_for("the rows", function() return rows() >= want end)
    h.wait_for("rest", function() return s:metric("sluice_sink_lag_bytes") ~= nil
      and s:metric("sluice_delivered_events_total") == want end)
    for _, ch in ipairs(servers) do ch:must "SYSTEM SYNC REPLICA events" end
    assert.equal(want, rows())
    assert.equal(want, servers[1]:count("SELECT uniqExact(id) FROM events"))
  end

  it("keeps its columns over a reload; the next ones have the new", function()
    if why_not then pending(why_not) return end
    tables "columns"
    s = h.server { policy = policy({ urls[1] }, PLAIN) }
    post(0)
    at_last(10)
    proxies[1]:say "lose 100"
    post(10)
    h.wait_for("rows whose answer was lost", function() return rows() == 20 end)
    s:logged "status=holding"
    reload({ urls[1] }, MORE)
    proxies[1]:say "pass"
    post(20)
    at_last(30)
    assert.equal("e021\n", servers[1]:must(
      "SELECT min(id) FROM events WHERE more = 'm'"))
    assert.equal(0, s:stop())
  end)

  it("goes as it is to the url that a reload names instead", function()
    if why_not then pending(why_not) return end
    tables "urls"
    s = h.server { policy = policy({ urls[1] }, PLAIN) }
    post(0)
    at_last(10)
    proxies[1]:say "late 100 900"
    post(10)
    h.wait_for("rows whose answer is late", function() return rows() == 20 end)
    reload({ urls[2] }, MORE)
    post(20)
    at_last(30)
    assert.equal(0, s:stop())
  end)

  it("of dead letters that are replayed is there once over kill -9", function()
    if why_not then pending(why_not) return end
    tables "letters"
    servers[1]:must "ALTER TABLE events MODIFY COLUMN more UInt8"
    s = h.server { policy = policy({ urls[1] }, MORE) }
    for first = 1, 91, 10 do
      local list = {}
      for i = first, first + 9 do
        list[#list + 1] = ([[{"id":"g%d","more":1}]]):format(i)
        list[#list + 1] = i % 5 == 0 and ([[{"id":"b%d","more":"m"}]]):format(i) or nil
      end
      s:post("/v1/events/batch", "[" .. table.concat(list, ",") .. "]")
    end
    h.wait_for("the letters", function()
      return s:metric("sluice_dead_events_total") == 20
    end)
    s:deliver()
    servers[1]:must "ALTER TABLE events MODIFY COLUMN more String"
    proxies[1]:say "lose 100"
    assert.equal(202, h.request(s.admin, "POST", "/sinks/olap/replay", "").status)
    h.wait_for("rows whose answer was lost", function() return rows() == 120 end)
    s:stop("SIGKILL")
    proxies[1]:say "pass"
    s:start()
    assert.matches("^replayed=20 dead_again=0 .*resumed=true.*\nrc=0", h.shell(
      ("%s dead replay --sink olap --admin 127.0.0.1:%d 2>&1; echo rc=$?"):format(
        h.binary, s.admin)))
    for _, ch in ipairs(servers) do ch:must "SYSTEM SYNC REPLICA events" end
    assert.equal(120, rows())
    assert.equal(120, servers[1]:count("SELECT uniqExact(id) FROM events"))
    assert.equal(0, s:stop())
  end)

  ---The table has 20 rows, and the answer to the last 10 is that it takes only less.
  local function wants_less(name)
    tables(name)
    s = h.server { policy = policy({ urls[1] }, PLAIN) }
    post(0)
    at_last(10)
    proxies[1]:say "lose 100"
    post(10)
    h.wait_for("rows whose answer was lost", function() return rows() == 20 end)
    reload({ urls[1] }, PLAIN, [[settings = { max_memory_usage = "1" },]])
    proxies[1]:say "pass"
  end

  it("goes whole to a server that takes only less for a while", function()
    if why_not then pending(why_not) return end
    wants_less "whole"
    h.wait_for("its wish for less", function()
      return s:get("/status").body:find("Code: 241", 1, true)
    end)
    reload({ urls[1] }, PLAIN)
    post(20)
    at_last(30)
    assert.equal(0, s:metric("sluice_insert_extra_total"))
    assert.equal(0, s:stop())
  end)

  it("goes in halves to one that never takes it whole, and the log says so", function()
    if why_not then pending(why_not) return end
    wants_less "halves"
    s:logged "status=halved rows=10 why=\"a batch that may be in the table"
    reload({ urls[1] }, PLAIN)
    s:deliver()
    assert.equal(20, s:metric("sluice_delivered_events_total"))
    assert.equal(20, servers[1]:count("SELECT uniqExact(id) FROM events"))
    assert.equal(0, s:stop())
  end)

  it("takes the new columns when the server wants it no more as it was", function()
    if why_not then pending(why_not) return end
    tables "setup"
    s = h.server { policy = policy({ urls[1] }, MORE) }
    post(0)
    at_last(10)
    proxies[1]:say "lose 100"
    post(10)
    h.wait_for("rows whose answer was lost", function() return rows() == 20 end)
    for _, ch in ipairs(servers) do
      ch:query "DROP TABLE events"
      ch:must [[CREATE TABLE events (id String) ENGINE =
        ReplicatedMergeTree('/t/other', '{replica}') ORDER BY id]]
    end
    proxies[1]:say "pass"
    h.wait_for("the mistake", function()
      return s:get("/status").body:find("more", 1, true)
    end)
    reload({ urls[1] }, PLAIN)
    h.wait_for("the rows in the new table", function() return rows() == 10 end)
    assert.equal(0, s:stop())
  end)
end)

describe("a batch whose answer was lost", function()
  local LARGE = 600 -- bytes: less than a batch has, more than a half
  local s, r
  before_each(function() r = receiver.start() end)
  after_each(function()
    if s then s:close() s = nil end
    r:close()
  end)

  local function set(rule) r:rule("clickhouse 23.8.1\n" .. rule) end

  local function conf(columns, more)
    return policy({ ("http://127.0.0.1:%d"):format(r.port) }, columns,
      [[check = false, compression = "gzip",]] .. (more or "")) .. [[
stream "more" { sinks = { "olap" } }
route "POST /more" { body = "event", stream = "more" }
]]
  end

  ---Rows that gzip does not make small.
  local function post(first, n)
    local list = {}
    for i = 1, n or 10 do
      local words = {}
      for k = 1, 20 do words[k] = ("%08x"):format(math.random(0, 0x7fffffff)) end
      list[i] = ([[{"id":"e%03d","more":"%s"}]]):format(first + i, table.concat(words))
    end
    assert.equal(202, s:post("/v1/events/batch", "[" .. table.concat(list, ",")
      .. "]").status)
  end

  ---A batch of which the server has all rows, and sluice no answer.
  local function lost(more)
    set "lose"
    s = h.server { policy = conf(MORE, more) }
    post(0)
    h.wait_for("a try more", function() return r:count "copy" >= 1 end)
  end

  local function says(words, seconds)
    h.wait_for(words, function()
      return s:get("/status").body:find(words, 1, true)
    end, seconds)
  end

  ---Nothing but the batch itself was sent, and each event is there once.
  local function once(n)
    h.wait_for("its delivery", function()
      return s:metric("sluice_delivered_events_total") == n
    end)
    assert.equal(n, #r:events())
    assert.equal(0, s:stop())
  end

  for name, rule in pairs { ["with another password"] = "allbad 516",
    ["without its table"] = "allbad 60" } do
    it("stays whole after a word of a server " .. name, function()
      lost()
      set(rule)
      says "DB::Exception: no column"
      set("memory " .. LARGE)
      says "Code: 241"
      set ""
      once(10)
    end)
  end

  it("keeps its columns over a reload and a wrong password", function()
    lost()
    set "allbad 516"
    says "Code: 516"
    h.write(s.path, conf(PLAIN))
    assert.equal(200, s:reload().status)
    local before = r:count "Code: 516. DB::Exception: no column"
    h.wait_for("a try more", function()
      return r:count "Code: 516. DB::Exception: no column" > before
    end)
    set ""
    once(10)
    for _, q in ipairs(r:requests()) do
      assert.is_truthy(q.path:find("more", 1, true) or q.path:find("SELECT", 1, true))
    end
  end)

  it("takes the columns of a reload, and its name, once its table is another", function()
    lost()
    set "allbad 16"
    says "Code: 16"
    h.write(s.path, conf(PLAIN))
    assert.equal(200, s:reload().status)
    h.wait_for("other columns", function()
      local list = r:requests()
      return list[#list].path:find("INSERT", 1, true)
        and not list[#list].path:find("more", 1, true)
    end)
    set ""
    once(10)
  end)

  it("stays whole when the server says three times what nobody knows", function()
    lost()
    set "allbad 9999"
    h.wait_for("four words", function()
      return r:count "Code: 9999. DB::Exception: no column" >= 4
    end)
    set ""
    once(10)
  end)

  it("stays whole after a kept connection ended for an answer, unasked", function()
    set("drop\nmemory " .. LARGE)
    s = h.server { policy = conf(MORE) }
    post(0)
    says "Code: 241"
    set ""
    once(10)
  end)

  it("is there for a server that then wants a password, and then says 409", function()
    r:rule "lose"
    s = h.server { policy = ([[
server { listen = "127.0.0.1:0", workers = 1 }
admin { listen = "127.0.0.1:0" }
http "out" { url = "http://127.0.0.1:%d/in", batch = { linger = "20ms" },
  breaker = { timeout = "200ms" } }
stream "events" { sinks = { "out" } }
route "POST /v1/events" { body = "event", stream = "events" }
]]):format(r.port) }
    s:post("/v1/events", [[{"id":"one"}]])
    h.wait_for("a try more", function() return r:count "copy" >= 1 end)
    r:rule "status 401"
    says "status 401"
    r:rule "conflict"
    once(1)
  end)

  ---How long the server heard of nothing but the whole after it wanted less, and how
  ---often: its words, and the first request for a part of it.
  local function whole_for()
    local first, n, last = nil, 0, nil
    for _, q in ipairs(r:requests()) do
      if q.what:find("Code: 241", 1, true) then
        first = first or q.at
        n = n + 1
      elseif first and q.what == "taken" and q.bytes > 200 then
        last = last or q.at
      end
    end
    return last - first, n
  end

  it("stays whole for four seconds while others are delivered", function()
    lost()
    set("memory " .. LARGE)
    says "Code: 241"
    local n_others = 0
    h.wait_for("halves", function()
      n_others = n_others + 1
      s:post("/more", [[{"id":"other"}]])
      return s:text():find("status=halved rows=10", 1, true)
    end)
    h.wait_for("all", function()
      return s:metric("sluice_delivered_events_total") == 10 + n_others
    end)
    local seconds, n = whole_for()
    assert.is_true(seconds >= 4 and n >= 7, seconds .. " s, " .. n .. " tries")
  end)
end)
