local cjson = require "cjson"
local faults = require "faults"
local h = require "harness"
local kafka = require "kafka"
local numbered = require "numbered"

---Two sinks of one stream, or with the options in `o`.
local function policy(m, o)
  o = o or {}
  local sinks = {}
  if o.bus ~= false then
    sinks[1] = ([[kafka %q { brokers = %q, topic = "events", %s
      batch = { linger = "1ms" } }]]):format(o.bus or "bus", m.brokers,
      o.more or "")
  end
  return ([[
server { listen = "127.0.0.1:0", workers = 2, drain = "1s" }
admin { listen = "127.0.0.1:0" }
%s
file "archive" { dir = "archive", linger = "5ms" }
stream "events" { sinks = { %s "archive" } }
route "POST /v1/events" { body = "event", stream = "events" }
]]):format(table.concat(sinks, "\n"),
    o.bus ~= false and ("%q,"):format(o.bus or "bus") or "")
end

describe("a sink that the policy no longer has", function()
  local m, s
  before_each(function() m = kafka.mock() end)
  after_each(function()
    if s then s:close() s = nil end
    m:close()
  end)

  local function post(n) numbered.post(s, n) end
  local function reload(text) return numbered.reload(s, text) end

  ---The numbers in Kafka, sorted, as one text.
  local function in_kafka()
    local list = {}
    for _, line in ipairs(kafka.consume(m.brokers, "events")) do
      list[#list + 1] = tonumber(line:match('"n":(%d+)'))
    end
    table.sort(list)
    return table.concat(list, " ")
  end

  local function numbers(from, to)
    local list = {}
    for i = from, to do list[#list + 1] = i end
    return table.concat(list, " ")
  end

  local function kept() return h.read(s.data .. "/spool/sinks/KEPT") end
  local function journal(name)
    return h.read(s.data .. "/spool/sinks/" .. name .. ".journal") ~= nil
  end

  ---Ten events that Kafka does not have, and the policy without it.
  local function leave(o)
    s = h.server { policy = policy(m, o), wrap = o and o.wrap }
    post(1)
    h.wait_for("the first", function() return in_kafka() == "1" end)
    m:down()
    post(10)
    local began = h.now()
    local a = reload(policy(m, { bus = false }))
    assert.is_true(h.now() - began < 4) -- it does not wait for Kafka; a disk may stall
    return a
  end

  it("delivers what it had at the reload, and no more, and goes", function()
    local a = leave()
    assert.same({ "bus", 10 }, { a.retiring[1].name, a.retiring[1].left_events })
    assert.is_true(a.retiring[1].left_bytes > 0)
    assert.equal("bus", cjson.decode(s:get("/status").body).retiring[1].name)
    post(5)
    m:say "up 1"
    s:logged("sink=bus status=removed left=nothing", 30)
    assert.equal(numbers(1, 11), in_kafka())
    h.wait_for("it to be gone", function()
      return #cjson.decode(s:get("/status").body).retiring == 0
    end)
    assert.is_false(journal "bus")
    assert.is_nil(kept():find("bus", 1, true))
    assert.equal(0, s:stop())
    assert.equal(16, #s:lines())
  end)

  it("does so after a crash as well, by its own policy, without its secrets on "
    .. "the disk", function()
    leave { wrap = { "env", "SLUICE_TEST_SECRET=hush-hush" },
      more = [[options = { ["client.id"] = env("SLUICE_TEST_SECRET") },]] }
    post(5)
    s:stop "SIGKILL"
    assert.equal("", h.shell(("grep -rl hush-hush '%s'"):format(s.data)))
    s:start()
    s:logged("sink=bus status=retiring left_events=10")
    post(5)
    m:say "up 1"
    s:logged("sink=bus status=removed left=nothing", 30)
    assert.equal(numbers(1, 11), in_kafka())
    assert.equal(0, s:stop())
    assert.equal(21, #s:lines())
  end)

  it("goes on without a gap when it is put back", function()
    leave()
    post(5)
    assert.equal(0, #reload(policy(m)).retiring)
    s:logged "sink=bus status=back"
    post(5)
    m:say "up 1"
    h.wait_for("all", function() return in_kafka() == numbers(1, 21) end, 30)
    h.write(s.path, policy(m, { bus = false }))
    assert.equal(200, s:reload().status)
    s:logged("sink=bus status=removed left=nothing", 30)
  end)

  it("goes on without a gap when it is put back after a restart", function()
    leave()
    post(5)
    s:stop "SIGKILL"
    s:start()
    post(5)
    reload(policy(m))
    post(5)
    m:say "up 1"
    h.wait_for("all", function() return in_kafka() == numbers(1, 26) end, 30)
    assert.equal(0, s:stop())
  end)

  it("holds its events when its own policy can't be used, until it is put back",
  function()
    leave { wrap = { "env", "SLUICE_TEST_SECRET=hush" },
      more = [[options = { ["client.id"] = env("SLUICE_TEST_SECRET") },]] }
    assert.equal(0, s:stop())
    m:say "up 1"
    s.wrap = {}
    s:start()
    s:logged 'sink=bus status=holding .*SLUICE_TEST_SECRET.*sluice sink drop bus'
    assert.equal(10, cjson.decode(s:get("/status").body).retiring[1].left_events)
    assert.equal(0, s:stop())
    h.write(s.path, policy(m))
    s:start()
    h.wait_for("all", function() return in_kafka() == numbers(1, 11) end, 30)
  end)

  it("gives its events up by hand, and only then", function()
    leave()
    post(5)
    local drop = ("%s sink drop %%s --admin 127.0.0.1:%d 2>&1; echo rc=$?"):format(
      h.binary, s.admin)
    assert.matches("%(409%): this sink is in the policy: take it out first\nrc=1\n",
      h.shell(drop:format("archive")))
    assert.matches("there is no such sink\nrc=1\n", h.shell(drop:format("nobody")))
    assert.matches("no server answers at 127.0.0.1:1: .*\nrc=3\n", h.shell(
      ("%s sink drop bus --admin 127.0.0.1:1 2>&1; echo rc=$?"):format(h.binary)))
    assert.matches("^dropped events=10 bytes=%d+\nrc=0\n$",
      h.shell(drop:format("bus")))
    s:logged "sink=bus status=dropped cause=POST events=10"
    assert.equal(10, s:metric("sluice_sink_dropped_events_total"))
    assert.is_false(journal "bus")
    m:say "up 1"
    assert.equal(0, s:stop())
    assert.equal("1", in_kafka())
    assert.equal(16, #s:lines())
  end)

  it("gives them up in the spool of a server that does not run", function()
    leave()
    local drop = ("%s sink drop bus --spool '%s/spool' 2>&1; echo rc=$?"):format(
      h.binary, s.data)
    assert.matches("take it out first\nrc=1\n$", h.shell((drop:gsub("bus", "archive", 1))))
    assert.equal(0, s:stop())
    assert.matches("^dropped events=10 bytes=%d+\nrc=0\n$", h.shell(drop))
    assert.matches("there is no such sink: .*\nrc=1\n$", h.shell(drop))
    local loop = s.data .. "/spool/sinks/bus.journal"
    h.shell(("ln -s '%s' '%s'"):format(loop, loop))
    assert.matches("can't look for the sink: .*\nrc=1\n$", h.shell(drop))
    os.remove(loop)
    s:start()
    assert.equal(0, #cjson.decode(s:get("/status").body).retiring)
    assert.equal(0, s:stop())
    assert.equal(11, #s:lines())
  end)

  it("hands its journal to the sink that was it", function()
    s = h.server { policy = policy(m) }
    post(1)
    h.wait_for("the first", function() return in_kafka() == "1" end)
    m:down()
    post(10)
    assert.equal(0, #reload(policy(m, { bus = "queue",
      more = [[was = "bus",]] })).retiring)
    assert.is_false(journal "bus")
    post(5)
    m:say "up 1"
    h.wait_for("all", function() return in_kafka() == numbers(1, 16) end, 30)
    -- And at a start.
    m:down()
    post(5)
    s:stop "SIGKILL"
    h.write(s.path, policy(m, { bus = "line", more = [[was = "queue",]] }))
    s:start()
    m:say "up 1"
    h.wait_for("all", function() return in_kafka() == numbers(1, 21) end, 30)
    assert.equal(0, s:stop())
  end)

  it("holds nothing behind what it is owed: the stream does not fill", function()
    local function small(bus)
      return (policy(m, { bus = bus }):gsub("workers = 2", [[workers = 1,
        max_body = "1MiB"]]):gsub('file "archive"', [[spool { segment = "4MiB",
        max_bytes = "128MiB" } %0]]):gsub('stream "events" {',
        '%0 max_bytes = "32MiB",'))
    end
    s = h.server { policy = small() }
    post(1)
    h.wait_for("the first", function() return in_kafka() == "1" end)
    m:down()
    post(1)
    assert.equal(1, #reload(small(false)).retiring)
    -- Twice the bytes that the stream may have.
    local body = ([[{"x":"%s"}]]):format(("y"):rep(900000))
    for _ = 1, 70 do
      h.wait_for("room", function()
        return s:post("/v1/events", body).status == 202
      end)
    end
    assert.equal(1, s:metric("sluice_spool_segments_total", 'op="deleted"') > 0 and 1
      or s:metric("sluice_spool_segments_total", 'op="recycled"') > 0 and 1 or 0)
    assert.equal(1, cjson.decode(s:get("/status").body).retiring[1].left_events)
    -- Put back, it goes on with the events that are still there: the rest was not its
    -- own.
    reload(small())
    m:say "up 1"
    post(1)
    h.wait_for("the last", function() return in_kafka() == "1 2 3" end, 30)
    assert.equal(0, s:metric("sluice_sink_lost_events"))
    assert.equal(0, s:stop())
  end)

  it("is as it was when a reload is refused for another sink", function()
    s = h.server { policy = policy(m) }
    post(1)
    local function more(dir)
      return (policy(m, { bus = false }):gsub('stream "events" { sinks = {', ([[
file "good" { dir = "good" }
file "new" { dir = %q }
%%0 "good", "new",]]):format(dir)))
    end
    h.write(s.path, more "/proc/none")
    local a = s:reload()
    assert.equal(500, a.status)
    assert.matches('sink "new"', cjson.decode(a.body).report, 1, true)
    assert.is_false(journal "good")
    local names = {}
    for _, sink in ipairs(cjson.decode(s:get("/status").body).sinks) do
      assert.is_false(sink.retiring)
      names[#names + 1] = sink.name
    end
    table.sort(names)
    assert.same({ "archive", "bus" }, names)
    post(1)
    h.wait_for("both", function() return in_kafka() == "1 2" end)
    reload(more "new")
    s:logged("sink=bus status=removed left=nothing", 30)
    assert.equal(0, s:stop())
  end)

  it("gives its files their names, also when the disk fails as it goes", function()
    local dir = h.folder()
    local f = faults.new(dir .. "/data")
    s = h.server { dir = dir, wrap = f:wrap(),
      policy = policy(m, { bus = false }):gsub('stream "ev',
        'file "gone" { dir = "gone", linger = "5ms" }\n%0'):gsub('"archive" }',
        '"archive", "gone" }') }
    post(3)
    s:deliver()
    f:rules "on=alloc do=EIO path=/gone/"
    assert.equal(1, #reload(policy(m, { bus = false })).retiring)
    s:logged "sink=gone status=holding"
    assert.is_true(journal "gone")
    s:stop "SIGKILL"
    s:start(true)
    f:rules()
    s:ready()
    h.wait_for("its end", function() return not journal "gone" end)
    local lines = s:lines "gone" -- two workers took them: in any order
    table.sort(lines)
    assert.same({ [[{"n":1}]], [[{"n":2}]], [[{"n":3}]] }, lines)
    assert.equal(0, s:stop())
    f:close()
  end)

  it("can't come back as another kind", function()
    leave()
    local file = policy(m, { bus = false }):gsub('stream "events" { sinks = {',
      'file "bus" { dir = "bus" }\n%0 "bus",')
    h.write(s.path, file)
    local a = s:reload()
    assert.equal(500, a.status)
    assert.matches('sink "bus" is a file and "bus" was a kafka: give the new one '
      .. 'another name', cjson.decode(a.body).report, 1, true)
    assert.matches("sluice sink drop bus", a.body, 1, true)
    post(1)
    m:say "up 1"
    s:logged("sink=bus status=removed left=nothing", 30)
    reload(file) -- it is a new one now
    assert.equal(0, s:stop())
  end)
end)

describe("a sink that is new", function()
  it("begins at what comes, or at what the spool still has", function()
    local s = h.server { policy = h.policy { linger = "1h" } }
    for i = 1, 3 do
      assert.equal(202, s:post("/v1/events", ([[{"n":%d}]]):format(i)).status)
    end
    h.write(s.path, (h.policy { linger = "1h" }:gsub('stream "events"', [[
file "now" { dir = "now", linger = "1ms" }
file "oldest" { dir = "oldest", linger = "1ms", from = "oldest" }
%0]]):gsub('sinks = { "archive" }', 'sinks = { "archive", "now", "oldest" }')))
    local a = s:reload()
    assert.equal(200, a.status, a.body)
    assert.equal(202, s:post("/v1/events", [[{"n":4}]]).status)
    assert.equal(0, s:stop())
    local function sorted(folder)
      local list = s:lines(folder)
      table.sort(list)
      return table.concat(list)
    end
    assert.equal([[{"n":4}]], sorted "now")
    assert.equal([[{"n":1}{"n":2}{"n":3}{"n":4}]], sorted "oldest")
    assert.equal([[{"n":1}{"n":2}{"n":3}{"n":4}]], sorted "archive")
    s:close()
  end)

  it("that was another takes over under load, and nothing is lost or twice",
  function()
    local function named(i)
      local text = h.policy { workers = 1 }:gsub('"archive" {',
        ('"archive%d" {%s'):format(i, i > 0 and (' was = "archive%d",'):format(
        i - 1) or "")):gsub('{ "archive" }', ('{ "archive%d" }'):format(i))
      return text
    end
    local s = h.server { policy = named(0) }
    local acks = s.dir .. "/acks"
    local l = h.load(s.port, { path = "/v1/events", batch = 1, connections = 8,
      seconds = 4, rate = 2000, acks = acks })
    for i = 1, 15 do
      h.write(s.path, named(i))
      local a = s:reload()
      assert.equal(200, a.status, a.body)
      h.sleep(0.1)
    end
    local f = h.load_wait(l)
    assert.same({ 0, 0, 0 }, { f.full, f.other, f.broken })
    assert.equal(0, s:stop())
    local v = h.verify(acks, s:collect())
    print("# renamed: 15 times under load: " .. v.text:gsub("%s+$", ""))
    assert.same({ 0, 0, 0 }, { v.missing, v.twice, v.torn })
    s:close()
  end)
end)

describe("a sink that the policy no longer has", function()
  -- Its end is noted, then the sync of the last events before it fails.
  it("goes also when the disk fails below the events that it was to get", function()
    local dir = h.folder()
    local f = faults.new(dir .. "/data")
    local function text(sinks)
      return ([[
server { listen = "127.0.0.1:0", workers = 1, drain = "1s" }
admin { listen = "127.0.0.1:0" }
file "archive" { dir = "archive", linger = "5ms" }
file "left" { dir = "left", linger = "5ms" }
stream "events" { ack = "synced", sinks = { %s } }
stream "more" { sinks = { "left" } }
route "POST /v1/events" { body = "event", stream = "events" }
route "POST /v1/more" { body = "event", stream = "more" }
]]):format(sinks)
    end
    local s = h.server { dir = dir, wrap = f:wrap(), policy = text [["archive", "left"]] }
    numbered.post(s, 3)
    f:rules "on=sync do=hang path=/spool/events/"
    local c = h.connect(s.port)
    c:send("POST /v1/events HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
      .. "Content-Length: 7\r\n\r\n{\"n\":4}")
    h.wait_for("its sync", function() return f:made() > 0 end)
    numbered.reload(s, text [["archive"]])
    f:rules "on=sync do=EIO path=/spool/events/ times=1"
    s:logged("sink=left stream=events status=retired", 20)
    c:close()
    assert.equal(0, s:stop())
    assert.same({ [[{"n":1}]], [[{"n":2}]], [[{"n":3}]] }, s:lines "left")
    s:close()
    f:close()
  end)
end)

describe("a stream that the policy no longer has", function()
  local m, s
  before_each(function() m = kafka.mock() end)
  after_each(function() s:close() m:close() end)

  local function two(both)
    return ([[
server { listen = "127.0.0.1:0", workers = 2, drain = "1s" }
admin { listen = "127.0.0.1:0" }
kafka "bus" { brokers = %q, topic = "events", batch = { linger = "1ms" } }
stream "events" { sinks = { "bus" } }
route "POST /v1/events" { body = "event", stream = "events" }
]]):format(m.brokers) .. (both and [[
stream "more" { sinks = { "bus" } }
route "POST /v1/more" { body = "event", stream = "more" }
]] or "")
  end

  local function reload(both) numbered.reload(s, two(both)) end

  it("loses nothing: not by the reload, a crash, or its return", function()
    s = h.server { policy = two(true) }
    m:down()
    local function more(n)
      assert.equal(202, s:post("/v1/more", ([[{"more":%d}]]):format(n)).status)
    end
    more(1)
    -- Its body comes when the stream is gone.
    local c = h.connect(s.port)
    c:send("POST /v1/more HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
      .. "Content-Length: 10\r\n\r\n{\"more\"")
    -- It is read before the next request of its worker is answered.
    for _ = 1, 20 do s:post("/v1/events", "{") end
    reload(false)
    c:send(":2}")
    assert.equal(202, h.answer(c).status)
    c:close()
    assert.equal(404, s:post("/v1/more", [[{"more":0}]]).status)
    s:stop "SIGKILL"
    s:start()
    reload(true)
    more(3)
    reload(false)
    reload(true)
    more(4)
    m:say "up 1"
    h.wait_for("all of it", function()
      local list = kafka.consume(m.brokers, "events")
      table.sort(list)
      return table.concat(list) ==
        [[{"more":1}{"more":2}{"more":3}{"more":4}]]
    end, 30)
    reload(false)
    s:logged("sink=bus stream=more status=retired", 20)
    assert.equal(0, s:stop())
  end)
end)
