-- Series of what a policy names: they go with the last generation that has the name, and
-- memory and scrapes stay as large as the live policy, whatever reloads have named before.
local cjson = require "cjson"
local h = require "harness"
local socket = require "socket"

-- All series of one scrape: "name" or "name{labels}" -> value.
local function scrape(s)
  local all = {}
  for series, v in s:get("/metrics").body:gmatch "([^\n#][^\n]*) (%S+)\n" do
    assert.is_nil(all[series], series)
    all[series] = tonumber(v)
  end
  return all
end

local function rss(s)
  return tonumber(h.read("/proc/" .. s.real_pid .. "/status"):match "VmRSS:%s*(%d+)")
end

describe("series of a policy's names", function()
  local s
  after_each(function() if s then s:close() s = nil end end)

  local function load(text, answer)
    h.write(s.path, text)
    local a = s:reload()
    assert.equal(200, a.status, a.body)
    assert.equal(answer or "live", cjson.decode(a.body).status)
  end

  local function shows(text)
    return s:get("/metrics").body:find(text, 1, true) ~= nil
  end

  local function goes(text)
    h.wait_for(text .. " to go from /metrics", function() return not shows(text) end)
  end

  -- One name of each kind.
  local function names(x, more)
    local text = ([[
server { listen = "127.0.0.1:0", workers = 2 }
admin { listen = "127.0.0.1:0" }
null "sink_X" {}
stream "stream_X" { sinks = { "sink_X" }, dedup = { key = "id", window = "1h" } }
stream "refused_X" { sinks = { "sink_X" } }
local l = limit "limit_X" { rate = "1/h", burst = 1 }
local c = counter "count_X_total" { labels = { "k" } }
local g = gauge "gauge_X" {}
MORE
route "POST /route_X" { body = "event", stream = "stream_X", on_refused = { stream = "refused_X" },
  on_event = function(ev)
    if ev.no then return reject("code_X", "no") end
    c:inc(1, ev.k)
    g:set(1)
    if ev.limited then return l:check "all" end
  end }
]]):gsub("X", x):gsub("MORE", function() return more or "" end)
    return text
  end

  it("go with the last generation that has them, and sums stay", function()
    s = h.server { policy = names "one" }
    local function send(x)
      assert.equal(202, s:post("/route_" .. x, '{"id":1,"k":"v"}').status)
      assert.equal(422, s:post("/route_" .. x, '{"id":2,"no":1}').status)
      s:post("/route_" .. x, '{"id":3,"limited":1}')
      s:post("/route_" .. x, '{"id":4,"limited":1}')
    end
    send "one"
    assert.is_true(shows "count_one_total")
    local before = cjson.decode(s:get("/status").body).events
    assert.equal(4, before.received)
    load(names "two")
    s:logged "generation=1 status=retired"
    for _, word in ipairs { "route_one", "code_one", "limit_one", "count_one", "gauge_one",
      "sink_one", "stream_one", "refused_one" } do
      goes(word)
    end
    assert.same(before, cjson.decode(s:get("/status").body).events)
    send "two"
    assert.equal(8, cjson.decode(s:get("/status").body).events.received)
    for _, word in ipairs { "route_two", "code_two", "limit_two", "count_two", "gauge_two",
      "sink_two", "stream_two", "refused_two" } do
      assert.is_true(shows(word), word)
    end
  end)

  -- Two workers have the route; one of them has a request of it until its body has come.
  it("stay whole while a request of an earlier generation is under way", function()
    s = h.server { policy = names "one" }
    local NAME = 'sluice_received_events_total{route="POST /route_one"}'
    for i = 1, 40 do
      assert.equal(202, s:post("/route_one", ('{"id":"%d"}'):format(i)).status)
    end
    assert.equal(40, scrape(s)[NAME])
    local c = h.connect(s.port)
    c:send("POST /route_one HTTP/1.1\r\nHost: t\r\nContent-Type: application/json\r\n"
      .. 'Content-Length: 11\r\n\r\n{"id":')
    h.wait_for("the request to be under way", function()
      return (s:metric "sluice_body_buffer_bytes" or 0) > 0
    end)
    load(names "two")
    local till = h.now() + 1
    repeat assert.equal(40, scrape(s)[NAME]) until h.now() > till
    c:send '"41"}'
    assert.equal(202, h.answer(c).status)
    c:close()
    s:logged "generation=1 status=retired"
    goes "route_one"
    assert.equal(41, cjson.decode(s:get("/status").body).events.received)
  end)

  it("stay while a request waits for its sinks", function()
    local listener = assert(socket.bind("127.0.0.1", 0))
    listener:settimeout(60)
    local _, port = listener:getsockname()
    local function policy(route)
      return ([[
server { listen = "127.0.0.1:0", workers = 1 }
admin { listen = "127.0.0.1:0" }
http "up" { url = "http://127.0.0.1:%d/x" }
stream "slow" { ack = "delivered", timeout = "60s", sinks = { "up" } }
route "POST /%s" { body = "event", stream = "slow" }
]]):format(port, route)
    end
    s = h.server { policy = policy "first" }
    local c = h.connect(s.port)
    c:send("POST /first HTTP/1.1\r\nHost: t\r\nContent-Type: application/json\r\n"
      .. 'Content-Length: 8\r\n\r\n{"id":1}')
    local up = assert(listener:accept())
    load(policy "second")
    s:logged "event=policy [^\n]*generation=2 status=live"
    local till = h.now() + 1.5
    repeat
      assert.is_true(shows 'sluice_received_events_total{route="POST /first"} 1')
    until h.now() > till
    up:send "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
    assert.equal(202, h.answer(c).status)
    goes "POST /first"
    assert.equal(1, cjson.decode(s:get("/status").body).events.stored)
    c:close()
    up:close()
    listener:close()
  end)

  it("of two generations are there while a canary runs", function()
    s = h.server { policy = names "one" }
    s:post("/route_one", '{"id":1}')
    -- A canary adds no streams and no sinks.
    local function canary(x)
      local text = names(x, [[canary { share = "50%", during = "1h" }]]):gsub("stream_" .. x,
        "stream_one"):gsub("refused_" .. x, "refused_one"):gsub("sink_" .. x, "sink_one")
      return text
    end
    load(canary "two", "canary")
    assert.is_true(shows "route_one")
    h.wait_for("the canary's route", function() return shows "route_two" end)
    assert.equal(200, s:reload("?rollback").status)
    goes "route_two"
    assert.is_true(shows "route_one")
    load(canary "three", "canary")
    assert.equal(200, s:reload("?promote").status)
    goes "route_one"
    assert.is_true(shows "route_three")
  end)

  it("go on when a rollback brings them back", function()
    s = h.server { policy = names "one" }
    local NAME = 'sluice_received_events_total{route="POST /route_one"}'
    for i = 1, 7 do s:post("/route_one", ('{"id":%d,"k":"v"}'):format(i)) end
    for _ = 1, 2 do s:post("/route_one", '{"id":1}') end
    assert.equal(9, scrape(s)[NAME])
    -- Those that a scrape asks for their value.
    local OTHERS = { 'count_one_total{k="v"}', 'sluice_limit_refused_total{limit="limit_one"}',
      'sluice_dedup_events_total{stream="stream_one",result="repeat"}' }
    for i = 20, 23 do s:post("/route_one", ('{"id":%d,"limited":1}'):format(i)) end
    local before = scrape(s)
    assert.same({ 7, 3, 2 }, { before[OTHERS[1]], before[OTHERS[2]], before[OTHERS[3]] })
    load(names "two")
    goes "route_one"
    for _, name in ipairs(OTHERS) do goes(name) end
    assert.equal(200, s:reload("?rollback").status)
    assert.equal(13, scrape(s)[NAME])
    s:post("/route_one", '{"id":8,"k":"v"}')
    assert.equal(14, scrape(s)[NAME])
    local now = scrape(s)
    assert.same({ 8, 3, 2 }, { now[OTHERS[1]], now[OTHERS[2]], now[OTHERS[3]] })
    goes "route_two"
  end)

  it("never go back over reloads, for what stays", function()
    s = h.server { policy = names "one" }
    local load_ = h.load(s.port, { path = "/route_one", batch = 1, connections = 4, seconds = 60,
      rate = 400 })
    local before, n = {}, 0
    for i = 1, 12 do
      h.write(s.path, (names("one"):gsub("limit_one", "limit_" .. i)))
      assert.equal(200, s:reload().status)
      for _ = 1, 3 do
        local now = scrape(s)
        for series, v in pairs(now) do
          if before[series] and (series:find "_total" or series:find "_count") then
            assert.is_true(v >= before[series], series)
            n = n + 1
          end
        end
        before = now
      end
    end
    h.load_stop(load_)
    assert.is_true(n > 1000, n .. " compared")
  end)

  it("cost no memory once they are gone: 2,500 routes in 50 reloads", function()
    local function policy(round)
      local list = {}
      for i = 1, 50 do
        list[i] = ('route "POST /r%d/%d" { body = "event", stream = "events" }'):format(round, i)
      end
      return h.policy { workers = 2, top = table.concat(list, "\n") }
    end
    s = h.server { policy = policy(0) }
    local memory, size = {}, {}
    for round = 1, 50 do
      load(policy(round))
      for i = 1, 50 do
        assert.equal(202, s:post(("/r%d/%d"):format(round, i), "{}").status)
      end
      if round % 10 == 0 then
        goes(("/r%d/"):format(round - 1))
        memory[#memory + 1], size[#size + 1] = rss(s), #s:get("/metrics").body
      end
    end
    print(("# series: rss after 10, 20, … 50 reloads: %s kB; scrapes of %s bytes"):format(
      table.concat(memory, ", "), table.concat(size, ", ")))
    assert.is_true(size[5] < size[1] * 1.1)
    -- A sanitizer keeps freed memory.
    if h.build == "build" then assert.is_true(memory[5] < memory[1] + 10000) end
    assert.equal(2500, cjson.decode(s:get("/status").body).events.received)
  end)
end)
