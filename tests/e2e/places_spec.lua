-- sluice find names the place of a confirmed event in the words of its destination: a
-- partition and offset, a request's identity and status, a file; and why one is dead.
local cjson = require "cjson"
local h = require "harness"
local kafka = require "kafka"
local receiver = require "receiver"

describe("the place of an event at each sink", function()
  local s, mock, http

  setup(function()
    mock, http = kafka.mock(), receiver.start()
    s = h.server { policy = h.policy { workers = 1,
      stream = 'index = "id"',
      top = ([[kafka "bus" { brokers = "%s", topic = "events", key = "user",
        batch = { target = 1, min = 1, linger = "5ms" } }
        http "hook" { url = "%s", batch = { target = 4, min = 1, linger = "5ms" } }
        stream "all" { sinks = { "bus", "hook", "archive" }, index = "id" }
        route "POST /all" { body = "events", stream = "all" }
      ]]):format(mock.brokers, http.url) } }
  end)
  teardown(function()
    if s then s:close() end
    if http then http:close() end
    if mock then mock:close() end
  end)

  local function fates(id)
    local v = cjson.decode(h.shell(("%s find --id '%s' --stream all --json '%s'"):format(
      h.binary, id, s.data)))
    local by = {}
    for _, sink in ipairs(v.events[1].sinks) do by[sink.sink] = sink end
    return by
  end

  local function settled(id)
    return h.wait_for("all sinks to have " .. id, function()
      local by = fates(id)
      for _, name in ipairs { "bus", "hook", "archive" } do
        -- The journal has it first, then the place is noted.
        if not by[name] or not (by[name].place or by[name].why) then return false end
      end
      return by
    end)
  end

  it("is the one that the destinations themselves tell", function()
    for i = 1, 3 do s:post("/all", ('{"id":"e%d","user":"u%d"}'):format(i, i)) end
    local where = {}
    for i = 1, 3 do
      local by = settled("e" .. i)
      -- Of the batch that had it: more than one event may have been in that.
      where[i] = assert(by.bus.place:match "^topic=events( p.+)$", by.bus.place)
      assert.matches("^token=%S+ status=200 url=http://127%.0%.0%.1:%d+/in$", by.hook.place)
      assert.matches("^file=all%-%x+%-00000001%.ndjson before_byte=%d+$", by.archive.place)
      assert.is_true(math.abs(by.hook.time_ms / 1000 - h.now()) < 600)
    end
    for _, line in ipairs(kafka.consume(mock.brokers, "events", "%p %o %s\\n")) do
      local p, offset, i = line:match('^(%d+) (%d+) {"id":"e(%d)"')
      local first, last = where[tonumber(i)]:match(" p" .. p .. "=(%d+)%.*(%d*)")
      assert.is_true(tonumber(offset) >= tonumber(first)
        and tonumber(offset) <= (tonumber(last) or tonumber(first)), where[tonumber(i)])
    end
  end)

  it("is remembered after kill -9", function()
    local before = settled "e2"
    s:stop("SIGKILL")
    assert.same(before, fates "e2")
    s:start()
    h.wait_for("the index", function() return fates("e2").bus end)
    assert.equal(before.bus.place, fates("e2").bus.place)
    assert.equal(before.hook.place, fates("e2").hook.place)
  end)

  it("is the server's words for a dead letter", function()
    http:rule "poison"
    s:post("/all", '[{"id":"a","value":1},{"id":"b","value":1},{"id":"bad","value":"text"},'
      .. '{"id":"c","value":1}]')
    assert.equal("dead", settled("bad").hook.state)
    assert.matches("status 400: an event is bad", settled("bad").hook.why)
    assert.equal("confirmed", settled("c").hook.state)
    assert.equal(0, s:metric("sluice_sink_unrecorded_places_total", 'sink="hook"'))
  end)

  local function ledger(args)
    local out = h.shell(("%s ledger --json --stream all %s '%s'; echo code=$?"):format(
      h.binary, args or "", s.data))
    return cjson.decode(out:match("^[^\n]+")).streams[1], tonumber(out:match("code=(%d+)"))
  end

  it("adds up in the ledger, whose checksum no kill -9 changes", function()
    local l, code = ledger "--all"
    assert.same({ 1, 7, 0, 0 }, { code, l.accepted, l.without_id, l.unknown })
    assert.same({ 7, 0, 0 }, { l.sinks.bus.confirmed, l.sinks.bus.pending, l.sinks.bus.dead })
    assert.same({ 6, 0, 1 }, { l.sinks.hook.confirmed, l.sinks.hook.pending,
      l.sinks.hook.dead })
    local n = 0
    for _, minute in ipairs(l.minutes) do n = n + minute.accepted end
    assert.equal(7, n)
    assert.equal(1, #ledger().minutes) -- the one with the dead letter
    s:stop("SIGKILL")
    assert.same(l, (ledger "--all"))
    s:start()
    assert.equal(l.checksum, ledger().checksum)
    assert.equal(7, ledger("--since 1h").accepted)
  end)

  it("is pending in the ledger while a sink does not take it", function()
    http:rule "status 503"
    s:post("/all", '{"id":"late"}')
    local l, code = ledger()
    assert.same({ 1, 8 }, { code, l.accepted })
    assert.equal(1, l.sinks.hook.pending)
    h.wait_for("the other sinks", function() return ledger().sinks.bus.confirmed == 8 end)
  end)

  it("is not recorded where the record was lost, and find says so", function()
    s:stop("SIGKILL")
    h.shell(("rm '%s/spool/sinks/bus.places'"):format(s.data))
    local f = fates("e1").bus
    assert.equal("confirmed", f.state)
    assert.is_nil(f.place)
  end)

  it("is no certainty once records of what is dead were dropped", function()
    local cut = s.data .. "/spool/sinks/bus.apart.cut"
    h.write(cut, "")
    local f = fates("e1")
    assert.equal("settled", f.bus.state)
    assert.equal("confirmed", f.archive.state)
    assert.matches("sink=bus settled .*is not recorded any more", h.shell(
      ("%s find --id e1 --stream all '%s'"):format(h.binary, s.data)))
    local l, code = ledger()
    assert.same({ 1, 0, 8 }, { code, l.sinks.bus.confirmed, l.sinks.bus.settled })
    -- What came later has its record.
    h.shell(("touch -d 2020-01-01 '%s'"):format(cut))
    assert.equal("confirmed", fates("e1").bus.state)
    h.shell(("rm '%s'"):format(cut))
  end)

  -- The policy with another name of the Kafka sink, or without it.
  local function rename(from, to, was)
    h.write(s.path, (h.read(s.path):gsub('kafka "' .. from .. '" {', 'kafka "' .. to .. '" {'
      .. (was and (" was = %q,"):format(was) or "")):gsub('"' .. from .. '", "hook"',
      '"' .. to .. '", "hook"')))
  end

  local function places(name)
    return h.read(("%s/spool/sinks/%s.places"):format(s.data, name))
  end

  it("is kept by a sink that gets another name", function()
    http:rule ""
    s:start()
    s:post("/all", '{"id":"moves","user":"u"}')
    local before = settled("moves").bus
    rename("bus", "queue", "bus")
    assert.equal(200, h.request(s.admin, "POST", "/reload").status)
    assert.same({ before.place, before.time_ms }, { fates("moves").queue.place,
      fates("moves").queue.time_ms })
    assert.is_nil(places "bus")
    assert.is_nil(fates("moves").bus)
  end)

  it("is kept when kill -9 comes between the journal's new name and its own", function()
    local place = fates("moves").queue.place
    s:stop("SIGKILL")
    local sinks = s.data .. "/spool/sinks/"
    os.rename(sinks .. "queue.places", sinks .. "bus.places")
    assert.is_nil(fates("moves").queue.place)
    s:start()
    h.wait_for("the place", function() return fates("moves").queue.place == place end)
  end)

  it("goes with its sink, when that is dropped", function()
    mock:down()
    s:post("/all", '{"id":"given-up","user":"u"}')
    assert.is_truthy(places "queue")
    h.write(s.path, (h.read(s.path):gsub('kafka "queue".-}%s+}', ""):gsub('"queue", ', "")))
    assert.equal(200, h.request(s.admin, "POST", "/reload").status)
    assert.matches("^dropped events=1 ", h.shell(("%s sink drop queue --admin 127.0.0.1:%d")
      :format(h.binary, s.admin)))
    assert.is_nil(places "queue")
  end)
end)
