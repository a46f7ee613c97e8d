-- What dedup remembers on disk: over stops, crashes, reloads, and disks that refuse.
local faults = require "faults"
local h = require "harness"

local function policy(o)
  o = o or {}
  return h.policy { workers = o.workers or 2, ack = o.ack, top = o.top, spool = o.spool,
    stream = ("dedup = { key = %s, window = \"30d\", persist = true }")
      :format(o.key or '"event_id"') }
end

describe("dedup with persist", function()
  local s, f
  after_each(function()
    if s then s:close() s = nil end
    if f then f:close() f = nil end
  end)

  -- A server whose disk fails by rules.
  local function failing(o)
    o.dir = h.folder()
    f = faults.new(o.dir)
    o.wrap = f:wrap()
    s = h.server(o)
  end

  -- The next start gets three errors where it reads a segment.
  local function start_unread(segment)
    f:rules("on=read do=EIO times=3 path=" .. segment:match "/spool/events/.*")
    s:start()
    s:logged("event=dedup_unread stream=events")
  end

  local function post(id, more)
    return s:post("/v1/events", ('{"event_id":"%s"%s}'):format(id, more or ""))
  end

  local function repeats()
    return s:metric("sluice_dedup_events_total", 'result="repeat"')
  end

  -- Posts ids from..to in batches of 100.
  local function post_all(from, to)
    for i = from, to, 100 do
      local list = {}
      for k = i, math.min(i + 99, to) do
        list[#list + 1] = ('{"event_id":"e%d"}'):format(k)
      end
      assert.equal(202, s:post("/v1/events/batch",
        "[" .. table.concat(list, ",") .. "]").status)
    end
  end

  -- How often each id is in the archive, and how many lines there are.
  local function stored()
    local n, all = {}, 0
    for _, line in ipairs(s:lines()) do
      local id = line:match('"event_id":"([%w%-]+)"')
      if id then n[id], all = (n[id] or 0) + 1, all + 1 end
    end
    return n, all
  end

  for _, ack in ipairs { "written", "synced", "delivered" } do
    it("remembers over a stop and a kill -9, " .. ack, function()
      s = h.server { policy = policy { ack = ack } }
      post_all(1, 500)
      assert.equal(0, s:stop())
      for round = 1, 3 do
        s:start()
        post_all(1, 500)
        assert.equal(500, repeats())
        post_all(round * 1000, round * 1000 + 99)
        post_all(round * 1000, round * 1000 + 99)
        assert.equal(600, repeats())
        for k = 1, round - 1 do post_all(k * 1000, k * 1000 + 99) end
        assert.equal(600 + (round - 1) * 100, repeats())
        s:deliver()
        s:stop(round < 3 and "SIGKILL" or "SIGTERM")
      end
      local n, all = stored()
      assert.equal(800, all)
      assert.equal(1, n.e1)
    end)
  end

  it("remembers a first request that is larger than a block", function()
    s = h.server { policy = policy { workers = 1 } }
    local large = ',"x":"' .. ("x"):rep(1500000) .. '"'
    assert.equal(202, post("large", large).status)
    assert.equal(202, post("large", large).status)
    assert.equal(1, repeats())
    s:deliver()
    assert.equal(0, s:stop())
    s:start()
    assert.equal(202, post("large").status)
    assert.equal(1, repeats())
  end)

  it("takes several values for one key", function()
    s = h.server { policy = policy { key = '{ "app_id", "event_id" }' } }
    local function send(app, id)
      assert.equal(202, post(id, (',"app_id":%s'):format(app)).status)
    end
    for _ = 1, 2 do
      send('"a"', "x")
      send('"b"', "x")
      send('"a"', "y")
      send("1", "x")
      send('"1"', "x")
    end
    assert.equal(5, repeats())
    -- Together they are one text in both cases.
    send('"ab"', "c")
    send('"a"', "bc")
    assert.equal(5, repeats())
    -- One that lacks a part has no key.
    post("x")
    post("x")
    assert.equal(5, repeats())
    -- An object counts by its text, and is no text.
    send('{"a":[1]}', "o")
    send('{"a":[1]}', "o")
    assert.equal(6, repeats())
    send('{"a":[2]}', "o")
    send('"{\\"a\\":[1]}"', "o")
    assert.equal(6, repeats())
    assert.equal(0, s:stop("SIGTERM"))
    s:start()
    send('"a"', "x")
    assert.equal(1, repeats())
  end)

  it("does not remember an event whose write failed", function()
    failing { policy = policy { workers = 1 } }
    post_all(1, 10)
    f:rules "on=write do=EIO path=/spool/events/"
    for i = 11, 20 do assert.equal(503, post("e" .. i).status) end
    f:rules()
    s:stop("SIGKILL")
    s:start()
    post_all(1, 20)
    assert.equal(10, repeats())
    s:deliver()
    assert.equal(0, s:stop())
    local n, all = stored()
    assert.equal(20, all)
    for i = 1, 20 do assert.equal(1, n["e" .. i]) end
  end)

  -- The keys wait for a sync of the events, the clients do not.
  for ack, more in pairs {
    written = "\non=create do=EIO path=/archive/", -- the sink is behind meanwhile
    delivered = "",
  } do
    it("stores each event once when a sync for its keys fails, " .. ack, function()
      failing { policy = policy { workers = 1, ack = ack } }
      f:rules("on=sync do=EIO path=.seg" .. more)
      local n, again = 0, {}
      h.wait_for("a failed sync", function()
        n = n + 1
        if post("w" .. n).status ~= 202 then again[#again + 1] = "w" .. n end
        return (s:metric("sluice_spool_segments_total", 'op="poisoned"') or 0) > 0
      end)
      f:rules()
      h.wait_for("a new segment", function() return post("after").status == 202 end)
      for _, id in ipairs(again) do assert.equal(202, post(id).status) end
      s:stop("SIGKILL")
      s:start()
      s:deliver()
      assert.equal(0, s:stop())
      local found = stored()
      for i = 1, n do assert.equal(1, found["w" .. i], "w" .. i) end
      assert.equal(1, found.after)
    end)
  end

  it("remembers in memory what the disk does not take, and saves it later", function()
    s = h.server { policy = policy() }
    post_all(1, 100)
    local keys = s.data .. "/spool/keys/events"
    h.shell(("mv '%s' '%s.away' && : > '%s'"):format(keys, keys, keys))
    s:logged("event=dedup_not_saved stream=events unsaved=100 why=[^\n]*", 30)
    post_all(50, 200)
    assert.equal(51, repeats())
    h.shell(("rm '%s' && mv '%s.away' '%s'"):format(keys, keys, keys))
    s:logged("event=dedup_saved stream=events", 30)
    assert.equal(200, s:metric("sluice_dedup_saved_keys"))
    assert.equal(0, s:metric("sluice_dedup_keys"))
    assert.is_true(s:metric("sluice_dedup_disk_bytes") > 200 * 16)
    s:stop("SIGKILL")
    s:start()
    post_all(1, 200)
    assert.equal(200, repeats())
  end)

  it("remembers over reloads, also those that change the key, and back", function()
    s = h.server { policy = policy() }
    post_all(1, 100)
    assert.equal(200, s:reload().status)
    post_all(1, 100)
    assert.equal(100, repeats())
    h.write(s.path, policy { key = '{ "event_id", "app_id" }' })
    assert.equal(200, s:reload().status)
    post("e1", ',"app_id":"a"') -- another key
    post("e1", ',"app_id":"a"')
    assert.equal(101, repeats())
    h.write(s.path, policy())
    assert.equal(200, s:reload().status)
    post_all(1, 100)
    assert.equal(201, repeats())
    s:stop("SIGKILL")
    s:start()
    post_all(1, 100)
    assert.equal(100, repeats())
  end)

  it("remembers over reloads and restarts in turn", function()
    local rounds, seen = tonumber(os.getenv("SLUICE_ROUNDS")) or 3, 0
    s = h.server { policy = policy { ack = "synced" } }
    for round = 1, rounds do
      post_all(round * 100, round * 100 + 99)
      h.write(s.path, policy { ack = "synced", top = "-- " .. round })
      assert.equal(200, s:reload().status)
      local before = math.random(1, round) -- one that is in memory, or on disk
      post_all(before * 100, before * 100 + 99)
      assert.equal(200, s:reload().status)
      post_all(round * 100, round * 100 + 99)
      assert.equal(200, repeats())
      seen = seen + 200
      s:stop(round % 3 == 1 and "SIGTERM" or "SIGKILL")
      s:start()
    end
    post_all(100, rounds * 100 + 99)
    assert.equal(rounds * 100, repeats())
    s:deliver()
    assert.equal(0, s:stop())
    local _, all = stored()
    print(("# dedup over %d reloads, %d restarts: ids=%d stored=%d repeats=%d"):format(
      2 * rounds, rounds, rounds * 100, all, seen + rounds * 100))
    assert.equal(rounds * 100, all)
  end)

  it("takes any number of keys one after the other", function()
    s = h.server { policy = policy() }
    post_all(1, 100)
    for i = 1, 20 do
      h.write(s.path, policy { key = ('"k%d"'):format(i) })
      local a
      h.wait_for("the memories of policies that are gone to go", function()
        a = s:reload()
        return a.status == 200
      end)
    end
    h.write(s.path, policy())
    assert.equal(200, s:reload().status)
    post_all(1, 100)
    assert.equal(100, repeats())
  end)

  it("refuses what it may have stored while the disk does not give the spool", function()
    failing { policy = policy { workers = 1 } }
    post_all(1, 100)
    s:stop("SIGKILL")
    local segment = h.shell("find '" .. s.data .. "/spool/events' -name '*01.seg'"):match("%S+")
    start_unread(segment)
    local refused = 0
    h.wait_for("the keys to be read", function()
      local a = post("e1")
      refused = refused + (a.status == 503 and 1 or 0)
      assert.is_true(a.status == 202 or a.body:find("dedup_unreadable", 1, true) ~= nil)
      return a.status == 202
    end)
    assert.is_true(refused > 0)
    s:logged("event=dedup_read stream=events")
    post_all(1, 100)
    assert.equal(101, repeats())
    s:deliver()
    s:stop()
    local _, all = stored()
    assert.equal(100, all)
  end)

  it("counts no repeat of a batch that it refuses, on the disk or in its own", function()
    failing { policy = policy { workers = 1, top = [[
route "POST /whole" { body = "batch", stream = "events", partial = false,
  schema = schema { event_id = str { required = true } } }
]] } }
    post_all(1, 100)
    assert.equal(202, post("e1").status)
    assert.equal(422, s:post("/whole", '[{"event_id":"e1"},{"event_id":5}]').status)
    assert.equal(1, repeats())
    s:stop() -- the keys up to here are on disk
    s:start()
    post_all(101, 200)
    s:stop("SIGKILL")
    local segment = h.shell("find '" .. s.data
      .. "/spool/events' -name '*01.seg' | sort | tail -1"):match("%S+")
    start_unread(segment)
    local refused, accepted = 0, 0
    h.wait_for("the keys to be read", function()
      local a = s:post("/v1/events/batch", '[{"event_id":"e1"},{"event_id":"e150"}]')
      refused = refused + (a.status == 503 and 1 or 0)
      accepted = accepted + (a.status == 202 and 1 or 0)
      return a.status == 202
    end)
    assert.is_true(refused > 0)
    assert.equal(2 * accepted, repeats())
  end)

  it("forgets no key for good when it starts with a clock that is far ahead", function()
    local dir = h.folder()
    local clock = dir .. "/clock"
    s = h.server { dir = dir, policy = policy(), wrap = h.own_clock(clock) }
    post_all(1, 100)
    assert.equal(0, s:stop())
    h.set_clock(clock, 60 * 24 * 3600 * 1000)
    for _ = 1, 2 do
      s:start()
      s:logged("event=dedup_clock_ahead stream=events ahead_s=51%d+")
      post_all(1001, 1100) -- saved with a time to come
      assert.equal(0, s:stop())
    end
    h.set_clock(clock, 0)
    s:start()
    post_all(1, 100)
    assert.equal(100, repeats())
    assert.equal(0, s:stop())
  end)

  it("frees the segments of earlier processes once their keys are saved", function()
    s = h.server { policy = policy() }
    post_all(1, 100)
    s:stop("SIGKILL")
    s:start()
    s:deliver()
    h.wait_for("the first process's segments to go", function()
      return h.read(s.data .. "/spool/events/1.0/1.seg") == nil
        and h.shell("ls " .. s.data .. "/spool/events"):find("^1%.") == nil
    end, 40)
    post_all(1, 100)
    assert.equal(100, repeats())
  end)

  it("starts with damaged files, says what is lost, and remembers the rest", function()
    s = h.server { policy = policy() }
    post_all(1, 100)
    assert.equal(0, s:stop())
    s:start()
    post_all(101, 200)
    assert.equal(0, s:stop())
    local keys = s.data .. "/spool/keys/events/"
    h.shell(("truncate -s 2000 '%s1.keys' && rm '%sMANIFEST'"):format(keys, keys))
    s:start()
    s:logged("event=dedup_keys_damaged file=[^\n]*1%.keys")
    assert.equal(1, s:metric("sluice_dedup_damaged_total"))
    post_all(101, 200)
    assert.equal(100, repeats())
    post_all(1, 100)
    assert.equal(100, repeats())
  end)

  it("stores each event once over kills while clients send again", function()
    local rounds, next_id, open = tonumber(os.getenv("SLUICE_ROUNDS")) or 6, 0, {}
    local sent, acked, again = 0, 0, 0
    s = h.server { policy = policy { ack = "synced" } }
    for round = 1, rounds do
      if round > 1 then s:start() end
      local killer = h.spawn({ "sh", "-c", ("sleep 0.%d; kill -9 %d"):format(
        math.random(10, 60), s.real_pid) }, s.dir .. "/killer")
      local up = true
      while up do
        -- What was not acknowledged comes again, as a client sends it; some of what was,
        -- too.
        local batch = {}
        for id in pairs(open) do if #batch < 20 then batch[#batch + 1] = id end end
        while #batch < 30 do
          next_id = next_id + 1
          open[next_id] = true
          batch[#batch + 1] = next_id
        end
        if next_id > 100 then batch[#batch + 1] = math.random(1, next_id - 50) end
        local list = {}
        for i, id in ipairs(batch) do list[i] = ('{"event_id":"e%d"}'):format(id) end
        local ok, a = pcall(s.post, s, "/v1/events/batch",
          "[" .. table.concat(list, ",") .. "]")
        sent = sent + #batch
        if ok and a and a.status == 202 then
          for _, id in ipairs(batch) do
            acked = acked + (open[id] and 1 or 0)
            open[id] = nil
          end
        elseif ok and a then
          again = again + 1
        else
          up = false
        end
      end
      h.reap(killer)
      h.reap(s.pid)
      s.pid = nil
    end
    s:start()
    for id in pairs(open) do post("e" .. id) end
    s:deliver()
    assert.equal(0, s:stop("SIGTERM"))
    local n, all = stored()
    local missing, twice = 0, 0
    for id = 1, next_id do
      missing = missing + (n["e" .. id] and 0 or 1)
      twice = twice + (n["e" .. id] and n["e" .. id] > 1 and 1 or 0)
    end
    print(("# dedup over %d kills: sent=%d acked=%d refused=%d ids=%d stored=%d missing=%d "
      .. "twice=%d"):format(rounds, sent, acked, again, next_id, all, missing, twice))
    assert.same({ 0, 0 }, { missing, twice })
    assert.equal(next_id, all)
  end)
end)
