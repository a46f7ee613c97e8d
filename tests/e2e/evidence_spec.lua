-- What a server's refusal says of the rows, and who goes on behind it: a sink over HTTP
-- with wrong rows, wrong tables and wrong servers at the same time.
local cjson = require "cjson"
local h = require "harness"
local receiver = require "receiver"

local function policy(sink, more)
  return ([[
server { listen = "127.0.0.1:0", workers = 1, max_body = "1MiB" }
admin { listen = "127.0.0.1:0" }
%s
stream "events" { sinks = { "out" } }
stream "others" { sinks = { "out" } }
route "POST /v1/events" { body = "event", stream = "events" }
route "POST /v1/others" { body = "event", stream = "others" }
route "POST /v1/events/batch" { body = "batch", stream = "events" }
%s]]):format(sink, more or "")
end

local function batch(n, more)
  return ('batch = { target = %d, min = %d, max = %d, linger = "20ms"%s }'):format(n, n, n,
    more or "")
end

describe("a refusal", function()
  local r, second, s
  before_each(function() r = receiver.start() end)
  after_each(function()
    if s then s:close() s = nil end
    r:close()
    if second then second:close() second = nil end
  end)

  local function run(kind, more, urls)
    local list = {}
    for _, x in ipairs(urls or { r }) do
      list[#list + 1] = ('"http://127.0.0.1:%d%s"'):format(x.port,
        kind == "http" and "/in" or "")
    end
    s = h.server { policy = policy(kind == "http"
      and ('http "out" { url = %s, %s }'):format(list[1], more)
      or ([[clickhouse "out" { urls = { %s }, table = "default.events", check = false,
        compression = "gzip", %s }]]):format(table.concat(list, ", "), more)) }
  end

  local function post(values, path)
    local list = {}
    for i, v in ipairs(values) do list[i] = cjson.encode { n = i, value = v } end
    local text = path and list[1] or "[" .. table.concat(list, ",") .. "]"
    assert.equal(202, s:post(path or "/v1/events/batch", text).status)
  end

  local function values(n, every, bad)
    local list = {}
    for i = 1, n do list[i] = i % (every or n + 1) == 0 and (bad or "bad") or 1 end
    return list
  end

  local function letters()
    local list = {}
    for line in (h.read(s.data .. "/dead/sink-out.ndjson") or ""):gmatch "[^\n]+" do
      list[#list + 1] = cjson.decode(line)
    end
    return list
  end

  local function taken(n, seconds)
    h.wait_for(n .. " rows", function() return #r:events() >= n end, seconds or 20)
  end

  it("of a batch's last row lets those go on that wait for it", function()
    run("http", batch(2) .. ', breaker = { timeout = "300ms" }')
    r:rule "poison\nlate 0.5"
    post { "bad", 1 } -- the second row is sent first
    taken(1)
    -- Both are refused for the key: first the bad row, then the later batch.
    r:rule "status 401\nlate 1.2"
    post { 1, 1 }
    h.wait_for("the later batch", function() return r:count "fault" == 1 end)
    r:rule "status 401"
    h.wait_for("a hold", function() return s:metric "sluice_sink_holding" == 1 end)
    h.sleep(1.2)
    r:rule "poison"
    taken(3)
    assert.equal(1, #letters())
    assert.equal(0, s:stop())
  end)

  it("for a moment, of one that is tried again, lets those go on that wait for it", function()
    run("http", batch(1) .. ', breaker = { timeout = "300ms" }')
    r:rule "status 401"
    post({ ("x"):rep(3000) }, "/v1/events")
    post({ 1 }, "/v1/others")
    h.wait_for("a hold", function() return s:metric "sluice_sink_holding" == 1 end)
    r:rule "memory 1500"
    taken(1)
    r:rule ""
    taken(2)
    assert.equal(0, s:stop())
  end)

  it("of a wrong table is no row's fault, also where rows of its batch passed", function()
    run("clickhouse", batch(500) .. ", dead = { searches = 600 }")
    r:rule "clickhouse 23.8.1\nbadrow 27"
    post(values(500, 2)) -- its search takes more than a minute has
    h.wait_for("the batch apart", function()
      return s:metric "sluice_sink_apart_batches" == 1
    end)
    r:rule "clickhouse 23.8.1\nallbad 27"
    for _ = 1, 3 do
      post({ 1 }, "/v1/others")
      h.sleep(0.1)
    end
    s:logged "event=sink .*status=held"
    local known, good = #letters(), 0
    for _, l in ipairs(letters()) do -- before it was held
      good = good + (l.event.value == 1 and 1 or 0)
    end
    post({ 1 }, "/v1/others")
    h.sleep(4) -- a probe
    assert.equal(known, #letters())
    -- Nor is it after a reload, as long as the table is wrong.
    assert.equal(200, s:reload().status)
    h.wait_for("the next hold", function()
      return select(2, s:text():gsub("status=held", "")) == 2
    end)
    assert.equal(known, #letters())
    r:rule "clickhouse 23.8.1\nbadrow 27"
    taken(254 - good, 60)
    h.wait_for("the letters", function() return #letters() == 250 + good end, 60)
    assert.equal(254 - good, #r:events())
    print(("# evidence: %d of 250 good rows refused before the hold"):format(good))
    assert.equal(0, s:stop())
  end)

  it("of a wrong table ends with a row of a batch that waits for its search", function()
    run("clickhouse", batch(500) .. ", dead = { searches = 6 }")
    r:rule "clickhouse 23.8.1\nbadrow 27"
    post(values(500, 2))
    h.wait_for("the batch apart", function()
      return s:metric "sluice_sink_apart_batches" == 1
    end)
    for _ = 1, 3 do
      post({ "bad" }, "/v1/others")
      h.sleep(0.1)
    end
    s:logged "event=sink .*status=held"
    h.wait_for("its end", function() return s:metric "sluice_sink_holding" == 0 end, 40)
    assert.equal(0, s:stop())
  end)

  it("of a wrong table is no row's fault, when it is mended in mid-search", function()
    run("clickhouse", batch(500) .. ", dead = { searches = 6 }")
    r:rule "clickhouse 23.8.1\nallbad 27"
    post(values(500))
    h.wait_for("the batch apart", function()
      return s:metric "sluice_sink_apart_batches" == 1
    end)
    for _ = 1, 3 do
      post({ 1 }, "/v1/others")
      h.sleep(0.1)
    end
    s:logged "event=sink .*status=held"
    r:rule "clickhouse 23.8.1\nbadrow 27"
    h.write(s.path, (h.read(s.path):gsub("searches = 6 ", "searches = 600 ")))
    assert.equal(200, s:reload().status)
    taken(503)
    assert.equal(0, #letters())
    assert.equal(0, s:stop())
  end)

  it("of a wrong table is doubted by an answer that comes late", function()
    r:rule "clickhouse 23.8.1\nbadrow 27\nlate 1 insert"
    run("clickhouse", batch(4))
    post(values(4))
    taken(4)
    r:rule "clickhouse 23.8.1\nbadrow 27"
    for _ = 1, 3 do
      post({ "bad" }, "/v1/others")
      h.sleep(0.05)
    end
    s:logged "event=sink .*status=held"
    post(values(4))
    taken(8)
    s:logged "event=sink .*status=delivering"
    local function seconds(words)
      local hours, minutes, rest = s:text():match("T(%d+):(%d+):([%d.]+)Z [^\n]*" .. words)
      return hours * 3600 + minutes * 60 + rest
    end
    -- The next probe does not wait for the 3 s.
    local took = (seconds "status=delivering" - seconds "status=held") % 86400
    assert.is_true(took < 2.8, took .. " s")
    assert.equal(0, s:stop())
  end)

  it("by one of two servers that refuses all is no row's fault", function()
    second = receiver.start()
    second:rule "clickhouse 23.8.1\nallbad 27"
    r:rule "clickhouse 23.8.1\nbadrow 27"
    run("clickhouse", batch(50), { r, second })
    for _ = 1, 20 do post(values(50, 25)) end
    taken(20 * 48)
    h.wait_for("the letters", function() return #letters() == 40 end)
    for _, l in ipairs(letters()) do assert.equal("bad", l.event.value) end
    assert.equal(960, #r:events())
    s:logged(("event=breaker .*endpoint=http://127.0.0.1:%d state=open"):format(second.port))
    print(("# evidence: 40 bad of 1000, a second server refuses all: %d and %d requests")
      :format(#r:requests(), #second:requests()))
    assert.equal(0, s:stop())
  end)

  it("by one of two servers that begins to refuse all is at most three rows' fault",
  function()
    second = receiver.start()
    local rule = "clickhouse 23.8.1\nlate 0.02\n"
    second:rule(rule .. "badrow 27")
    r:rule(rule .. "badrow 27")
    run("clickhouse", batch(500) .. ", dead = { searches = 10000 }", { r, second })
    post(values(500, 10))
    h.wait_for("rows of both", function()
      return #r:events() > 20 and #second:events() > 20
    end)
    second:rule(rule .. "allbad 27")
    local known = #letters() + #r:events() + #second:events()
    assert.is_true(known < 400, known .. " rows before it does")
    h.wait_for("the batch's end", function()
      return #letters() + #r:events() + #second:events() >= 500
    end, 60)
    local good = 0
    for _, l in ipairs(letters()) do good = good + (l.event.value == 1 and 1 or 0) end
    assert.is_true(good <= 3, good .. " good rows are letters")
    assert.equal(500, #letters() + #r:events() + #second:events())
    assert.equal(0, s:stop())
  end)

  it("by one of two servers is settled once the other can be asked", function()
    second = receiver.start()
    second:rule "clickhouse 23.8.1\nbadrow 27"
    r:rule "clickhouse 23.8.1\nallbad 27"
    run("clickhouse", batch(2) .. ', breaker = { timeout = "4s" }', { r, second })
    post { "bad", 1 } -- the second row is sent first
    h.wait_for("the good row", function() return #second:events() == 1 end)
    second:rule "status 503"
    h.wait_for("the row apart, or its letter", function()
      return s:metric "sluice_sink_apart_batches" == 1 or #letters() == 1
    end)
    second:rule "clickhouse 23.8.1\nbadrow 27"
    h.wait_for("the letter", function() return #letters() == 1 end, 60)
    assert.equal(0, s:metric "sluice_sink_apart_batches")
    assert.equal(0, s:stop())
  end)

  it("is not judged by an answer to rows that were sent before", function()
    r:rule "late 6"
    run("http", batch(4))
    post(values(4))
    taken(4)
    r:rule "status 400"
    post(values(4))
    s:logged "event=sink .*status=suspect"
    h.wait_for("the late answer", function()
      return s:metric "sluice_insert_rows_total" == 4
    end)
    h.sleep(1)
    assert.equal(0, #letters())
    r:rule ""
    taken(8, 30)
    assert.equal(0, #letters())
    assert.equal(0, s:stop())
  end)

  it("costs the uploads of a minute in the order of the batches", function()
    run("clickhouse", batch(500) .. ", dead = { searches = 600 }")
    r:rule "clickhouse 23.8.1\nbadrow 27"
    post(values(500, 2))
    h.wait_for("the batch apart", function()
      return s:metric "sluice_sink_apart_batches" == 1
    end)
    for _ = 1, 20 do
      post { 1, "later", 1, "later", 1, "later" }
      h.sleep(0.06) -- a batch of its own
    end
    local first, later = 0, 0
    h.wait_for("the first batch's letters", function()
      first, later = 0, 0
      for _, l in ipairs(letters()) do
        first = first + (l.event.value == "bad" and 1 or 0)
        later = later + (l.event.value == "later" and 1 or 0)
      end
      return first == 250
    end, 60)
    assert.is_true(later < 30, later .. " of 60 letters of later batches")
    h.wait_for("all letters", function() return #letters() == 310 end, 60)
    assert.equal(0, s:stop())
  end)

  it("of a batch of 70 MiB is looked at again", function()
    run("http", 'format = "ndjson", batch = { target = 75, min = 75, max = 75, '
      .. 'max_bytes = "128MiB", linger = "60s" }')
    r:rule "status 400"
    local text = cjson.encode { n = 1, value = 1, text = ("x"):rep(1000000) }
    for _ = 1, 3 * 75 do assert.equal(202, s:post("/v1/events", text).status) end
    s:logged("event=sink .*status=held", 60)
    r:rule ""
    taken(225, 60)
    assert.equal(0, #letters())
    assert.equal(0, s:stop())
  end)

  it("of the table's columns is asked for again where a reload names another table", function()
    r:rule "clickhouse 23.8.1\nlate 3"
    run("clickhouse", batch(4))
    h.wait_for("the question", function() return #r:requests() == 1 end)
    h.write(s.path, (h.read(s.path):gsub("default.events", "default.renamed")))
    assert.equal(200, s:reload().status)
    r:rule "clickhouse 23.8.1"
    post(values(4))
    taken(4)
    local at
    for k, q in ipairs(r:requests()) do
      if q.path:find("SELECT", 1, true) and q.path:find("renamed", 1, true) then at = k end
      if q.path:find("INSERT", 1, true) then
        assert.is_truthy(at, "an insert before the question")
        break
      end
    end
    assert.equal(0, s:stop())
  end)
end)
