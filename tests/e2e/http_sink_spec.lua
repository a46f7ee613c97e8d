-- The http sink against a real endpoint: its requests, and that no event is lost.
local cjson = require "cjson"
local free_port = require "clickhouse".free_port
local h = require "harness"
local proxy = require "proxy"
local receiver = require "receiver"

local function policy(url, more)
  return ([[
server { listen = "127.0.0.1:0", workers = 1 }
admin { listen = "127.0.0.1:0" }
spool { max_bytes = "1GiB" }
http "out" { url = %q, %s }
stream "events" { sinks = { "out" } }
route "POST /v1/events" { body = "event", stream = "events" }
route "POST /v1/events/batch" { body = "batch", stream = "events" }
]]):format(url, more or "")
end

local function letters(s)
  local list = {}
  local text = h.read(s.data .. "/dead/sink-out.ndjson") or ""
  for line in text:gmatch("[^\n]+") do list[#list + 1] = cjson.decode(line) end
  return list
end

describe("the http sink", function()
  local r, s, p
  before_each(function() r = receiver.start() end)
  after_each(function()
    if s then s:close() s = nil end
    if p then p:close() p = nil end
    r:close()
  end)

  local function run(more, url)
    s = h.server { policy = policy(url or r.url, more) }
  end

  local function arrive(n, seconds)
    h.wait_for(n .. " events", function() return #r:events() >= n end, seconds or 30)
  end

  it("sends a batch as lines, byte by byte, under an id of its own", function()
    run [[batch = { linger = "50ms" }, headers = { ["X-Api-Key"] = "k", Via = "us" }]]
    s:post("/v1/events/batch", '[{"a":1.10,"b":"\\u00e9"},{"c":[1, 2]}]')
    arrive(2)
    s:post("/v1/events", '{"d":3}')
    arrive(3)
    assert.same({ '{"a":1.10,"b":"\\u00e9"}', '{"c":[1, 2]}', '{"d":3}' }, r:events())
    -- The receiver notes a request behind its events.
    h.wait_for("both requests", function() return #r:requests() == 2 end)
    local list = r:requests()
    assert.same({ "POST", "/in" }, { list[1].method, list[1].path })
    local got = list[1].headers
    assert.same({ "application/x-ndjson", "k", "us" },
      { got["content-type"], got["x-api-key"], got.via })
    assert.is_nil(got.expect)
    assert.matches("^%x+%-[%x-]+:out:%d+%.%d+%.%d+%+2%-%x+$", got["idempotency-key"])
    assert.not_equal(got["idempotency-key"], list[2].headers["idempotency-key"])
  end)

  it("sends an array, by another method, compressed", function()
    run [[format = "json_array", method = "PUT", compression = "gzip",
      id_header = "X-Batch", batch = { linger = "50ms" }]]
    s:post("/v1/events/batch", '[{"a":1},{"b":"x"},{"c":[2]}]')
    arrive(3)
    assert.same({ '{"a":1}', '{"b":"x"}', '{"c":[2]}' }, r:events())
    local q = r:requests()[1]
    assert.same({ "PUT", "application/json", "gzip" },
      { q.method, q.headers["content-type"], q.headers["content-encoding"] })
    assert.matches(":out:", q.headers["x-batch"], 1, true)
    assert.is_nil(q.headers["idempotency-key"])
  end)

  it("leaves out bad events, and only those, from any format", function()
    for _, format in ipairs { "ndjson", "json_array" } do
      r:rule "poison"
      run(([[format = %q, batch = { target = 400, max = 400, linger = "300ms" }]])
        :format(format))
      local acks = s.dir .. "/acks"
      local f = h.load_wait(h.load(s.port, { batch = 100, connections = 1, rate = 60,
        seconds = 1, poison = 200, acks = acks }))
      assert.equal(0, f.other + f.broken)
      local bad = math.floor((f.next - 1) / 200)
      h.wait_for("the rest", function()
        return #r:events() + #letters(s) >= f.acked
      end, 60)
      assert.equal(0, s:stop())
      local dead = letters(s)
      assert.equal(bad, #dead)
      for _, l in ipairs(dead) do assert.matches("status 400: an event is bad",
        l.why or l.reason, 1, true) end
      assert.equal(f.acked - bad, #r:events())
      print(("# http: %s: %d events, %d bad, %d requests to find them"):format(format,
        f.acked, bad, #r:requests()))
      s:close()
      r:close()
      r = receiver.start()
    end
    s = nil
  end)

  it("halves what is too large, and sets one event aside that is too large alone",
    function()
    r:rule "limit 20000"
    run [[batch = { target = 400, max = 400, linger = "300ms" }]]
    local list = {}
    for i = 1, 300 do list[i] = ('{"n":%d,"pad":"%s"}'):format(i, ("x"):rep(300)) end
    list[150] = '{"n":150,"pad":"' .. ("y"):rep(25000) .. '"}'
    s:post("/v1/events/batch", "[" .. table.concat(list, ",") .. "]")
    h.wait_for("all", function() return #r:events() + #letters(s) >= 300 end, 60)
    local dead = letters(s)
    assert.equal(1, #dead)
    assert.equal(150, dead[1].event.n)
    table.remove(list, 150)
    -- It remembers: the next batch is halved immediately.
    local too_large = r:count("limit")
    s:post("/v1/events/batch", "[" .. table.concat(list, ",") .. "]")
    h.wait_for("all again", function() return #r:events() >= 2 * 299 end, 60)
    print(("# http: too large: %d requests, then %d of %d"):format(too_large,
      r:count("limit") - too_large, #r:requests()))
    assert.is_true(r:count("limit") - too_large <= 2)
    assert.is_true(#r:requests() < 40)
    for i = 1, 299 do list[299 + i] = list[i] end
    local got = r:events()
    table.sort(got)
    table.sort(list)
    assert.same(list, got)
  end)

  it("holds everything while the endpoint refuses it, and goes on when mended", function()
    r:rule "key right"
    run [[batch = { linger = "50ms" }, headers = { ["x-api-key"] = "wrong" },
      breaker = { timeout = "1s" }]]
    for i = 1, 20 do s:post("/v1/events", ('{"n":%d}'):format(i)) end
    s:logged('event=sink .*status=holding why="status 401: key"')
    h.wait_for("some tries", function() return r:count("key") >= 3 end, 30)
    assert.equal(0, #letters(s))
    h.write(s.path, (h.read(s.path):gsub("wrong", "right")))
    assert.equal(200, s:reload().status)
    arrive(20, 60)
    assert.equal(0, s:stop())
    assert.equal(0, #letters(s))
    print(("# http: held over %d refusals"):format(r:count("key")))
  end)

  it("speaks TLS with whom the policy's authority vouches for, and no one else", function()
    r:close()
    r = receiver.start(true)
    run [[batch = { linger = "50ms" }, breaker = { timeout = "200ms" }]]
    s:post("/v1/events", '{"a":1}')
    s:logged("event=sink .*certificate")
    assert.same({}, r:events())
    h.shell(("cp '%s/cert.pem' '%s/ca.pem'"):format(r.dir, s.dir))
    h.write(s.path, (h.read(s.path):gsub('batch = { linger = "50ms" }', function(all)
      return all .. (", tls = { ca = %q }"):format(s.dir .. "/ca.pem")
    end)))
    assert.equal(200, s:reload().status)
    arrive(1)
    assert.same({ '{"a":1}' }, r:events())
    assert.equal(0, s:stop())
  end)

  it("goes to another url while one is dead, and to a new one behind a reload", function()
    local text = policy(r.url):gsub("url = (%b\"\")", "url = { \"http://127.0.0.1:1/in\", %1 }")
    s = h.server { policy = text }
    for i = 1, 10 do s:post("/v1/events", ('{"n":%d}'):format(i)) end
    arrive(10)
    local other = receiver.start()
    h.write(s.path, (h.read(s.path):gsub("{ \"http.-}", function()
      return ("%q"):format(other.url)
    end)))
    assert.equal(200, s:reload().status)
    for i = 11, 20 do s:post("/v1/events", ('{"n":%d}'):format(i)) end
    local ok = pcall(h.wait_for, "the new one", function()
      return #r:events() + #other:events() >= 20
    end, 30)
    local n = #other:events()
    other:close()
    assert.is_true(ok)
    assert.equal(10, n)
    assert.equal(0, s:stop())
  end)

  it("does not send to a new url what the old one has in hand", function()
    r:rule "late 1"
    s = h.server { policy = policy(r.url) }
    s:post("/v1/events", '{"n":1}')
    h.wait_for("it to be under way", function()
      return s:metric("sluice_sink_connections_active") == 1
    end)
    local other = receiver.start()
    finally(function() other:close() end)
    h.write(s.path, policy(other.url))
    assert.equal(200, s:reload().status)
    s:post("/v1/events", '{"n":2}')
    h.wait_for("the second", function() return #other:events() == 1 end)
    s:deliver()
    assert.same({ '{"n":1}' }, r:events())
    assert.same({ '{"n":2}' }, other:events())
    assert.equal(0, s:stop())
  end)

  it("does not come back before Retry-After", function()
    r:rule "status 503 2"
    run [[batch = { linger = "20ms" }, breaker = { timeout = "100ms" }]]
    s:post("/v1/events", '{"a":1}')
    h.wait_for("two tries", function() return r:count("fault") >= 2 end, 30)
    local list = r:requests()
    assert.is_true(list[2].at - list[1].at >= 2)
    r:rule ""
    arrive(1)
    assert.equal(list[1].headers["idempotency-key"],
      r:requests()[#r:requests()].headers["idempotency-key"])
  end)

  it("loses nothing over faults, and each copy has the id of the first", function()
    p = proxy.start(free_port(), r.port)
    run([[batch = { target = 200, max = 400, linger = "100ms" }, timeout = "1s",
      breaker = { timeout = "200ms" }]], p.url .. "/in")
    -- A port that stays, for the load goes on over our own end.
    local port = free_port()
    s:stop()
    s.args = { "--listen", "127.0.0.1:" .. port }
    s:start()
    local acks = s.dir .. "/acks"
    local load = h.load(port, { batch = 20, connections = 4, rate = 60, seconds = 12,
      acks = acks, patient = true })
    local function fault(seconds, line)
      h.sleep(0.5)
      p:say(line)
      h.sleep(seconds)
      p:say "pass"
    end
    fault(0.7, "status 100 500")
    fault(1, "lose 50")
    fault(1, "cut 50 3000")
    fault(1.7, "late 100 1500")
    r:pause()
    h.sleep(2)
    r:go_on()
    s:stop "SIGKILL"
    s:start()
    r:rule "status 429 1"
    h.sleep(1)
    r:rule ""
    r:kill()
    h.sleep(0.5)
    s:stop "SIGKILL"
    s:start()
    r:run()
    local f = h.load_wait(load)
    arrive(f.acked, 60)
    assert.equal(0, s:stop())
    local v = h.verify(acks, r:collect())
    print(("# http: faults: acked=%d missing=%d twice=%d copies_known_by_id=%d")
      :format(f.acked, v.missing, v.twice, r:count("copy")))
    assert.equal(0, v.missing)
    assert.equal(0, v.torn)
    assert.equal(0, v.twice)
    assert.equal(0, #letters(s))
  end)
end)

describe("an http sink", function()
  local s, r
  before_each(function() r = receiver.start() end)
  after_each(function()
    if s then s:close() s = nil end
    r:close()
  end)

  it("of two streams has an id for each batch of either", function()
    s = h.server { policy = policy(r.url, [[batch = { linger = "10ms" }]]) .. [[
stream "more" { sinks = { "out" } }
route "POST /more" { body = "event", stream = "more" }
]] }
    s:post("/v1/events", '{"a":1}')
    s:post("/more", '{"b":1}')
    h.wait_for("both", function() return #r:requests() >= 2 end)
    local list = r:events()
    table.sort(list)
    assert.same({ '{"a":1}', '{"b":1}' }, list)
    assert.equal(0, s:stop())
  end)

  it("calls nothing lost that it had planned before kill -9, and sent then", function()
    s = h.server { policy = policy(r.url,
      [[batch = { target = 1, min = 1, max = 1, linger = "1ms" }]]) }
    r:rule "late 60"
    for i = 1, 6 do s:post("/v1/events", ('{"a":%d}'):format(i)) end
    h.wait_for("all in flight that may be", function() return #r:requests() >= 2 end)
    s:stop "SIGKILL"
    r:rule ""
    s:start()
    h.wait_for("all", function() return #r:events() >= 6 end)
    s:deliver()
    assert.is_nil(s:text():match("event=gap[^\n]*"))
    assert.equal(0, s:metric("sluice_sink_lost_events") or 0)
    assert.equal(6, #r:events())
    assert.equal(0, s:stop())
  end)
end)

describe("one server of ours behind another", function()
  it("loses nothing when either is killed", function()
    local port, to = free_port(), free_port()
    local second = h.server { policy = h.policy { workers = 1 },
      args = { "--listen", "127.0.0.1:" .. to } }
    local first = h.server { policy = policy(
      ("http://127.0.0.1:%d/v1/events/batch"):format(to),
      [[batch = { linger = "50ms" }, compression = "zstd", timeout = "2s",
        breaker = { timeout = "200ms" }]]),
      args = { "--listen", "127.0.0.1:" .. port } }
    local acks = first.dir .. "/acks"
    local load = h.load(port, { batch = 50, connections = 4, rate = 80, seconds = 6,
      acks = acks, patient = true })
    for _, s in ipairs { second, first, second } do
      h.sleep(1)
      s:stop "SIGKILL"
      s:start()
    end
    local f = h.load_wait(load)
    h.wait_for("all delivered", function()
      return (first:metric("sluice_sink_lag_bytes") or 1) == 0
    end, 60)
    assert.equal(0, first:stop())
    assert.equal(0, second:stop())
    local v = h.verify(acks, second:collect())
    print(("# http: chain: acked=%d missing=%d twice=%d"):format(f.acked, v.missing,
      v.twice))
    first:close()
    second:close()
    assert.equal(0, v.missing)
    assert.equal(0, v.torn)
  end)
end)
