-- A spool whose directory is moved away under a running server: no event is taken that nobody
-- would find, none is given up, and what commands say is true.
local faults = require "faults"
local h = require "harness"
local receiver = require "receiver"

local POLICY = [[
server { listen = "127.0.0.1:0", workers = 1, max_body = "1MiB" }
admin { listen = "127.0.0.1:0" }
spool { segment = "4MiB", max_bytes = "64MiB" }
http "out" { url = %q, batch = { linger = "5ms" } }
stream "events" { sinks = { "out" } }
route "POST /v1/events" { body = "event", stream = "events" }
]]

describe("a spool that is moved while the server runs", function()
  local s, r
  after_each(function()
    if s then s:close() s = nil end
    if r then r:close() r = nil end
  end)

  local function status()
    local out = h.shell(("%s status --admin 127.0.0.1:%d --during 20ms 2>&1; echo rc=$?"):format(
      h.binary, s.admin))
    return out, tonumber(out:match "rc=(%d+)\n$")
  end

  local N = 12
  local filler = ("x"):rep(900000)

  ---More than two segments, so that the first ones are read from their files.
  local function fill()
    for i = 1, N do
      local body = ('{"n":%d,"x":"%s"}'):format(i, filler)
      -- A busy disk may prepare the next segment late.
      h.wait_for("room", function() return s:post("/v1/events", body).status == 202 end)
    end
    h.wait_for("the sink to hold", function() return s:metric "sluice_sink_holding" == 1 end)
  end

  ---Every file below it with its checksum.
  local function files(dir)
    return h.shell(("cd '%s' && find . -type f -exec md5sum {} + | sort -k2"):format(dir))
  end

  it("takes no event, says why, and gives no event up", function()
    r = receiver.start()
    r:rule "status 503"
    s = h.server { policy = POLICY:format(r.url) }
    fill()
    local spool = s.data .. "/spool"
    -- What the stream uses is no more because the disk takes nothing.
    local function used() return tonumber(s:get("/status").body:match '"used_percent":%s*(%d+)') end
    local before = used()
    assert.is_true(before < 90, before)
    assert(os.rename(spool, spool .. ".moved"))
    s:logged("event=spool status=unwritable why=.*moved, removed or unmounted")
    local a = s:post("/v1/events", '{"n":0}')
    assert.equal(503, a.status)
    assert.matches("spool_unwritable", a.body)
    assert.equal(503, s:get("/readyz").status)
    assert.is_true(used() < before + 10, used())
    local out, code = status()
    assert.equal(1, code)
    assert.matches("WRONG  the spool can't be written: clients get 503; [^\n]* was moved, "
      .. "removed or unmounted; put it back\n", out)
    -- The endpoint is well again, and the sink wants the rest of its events.
    r:rule ""
    s:logged("event=segment_unreadable .*hint=\"the spool.s folder was moved", 60)
    assert(os.rename(spool .. ".moved", spool))
    s:logged "event=spool status=writable"
    h.wait_for("an event", function()
      return s:post("/v1/events", ('{"n":%d}'):format(N + 1)).status == 202
    end)
    s:deliver(60)
    local seen = {}
    for _, line in ipairs(r:events()) do seen[tonumber(line:match '"n":(%d+)')] = true end
    for i = 1, N + 1 do assert.is_true(seen[i], i) end
    assert.is_nil(s:text():find("segment_missing", 1, true))
    assert.equal(0, s:metric "sluice_sink_lost_events")
    assert.equal(0, select(2, status()))
  end)

  it("gets no record of a sink that delivers first then, in the spool in its place", function()
    r = receiver.start()
    r:rule "status 503"
    s = h.server { policy = POLICY:format(r.url)
      :gsub('sinks = { "out" } }', 'sinks = { "out" }, index = "n" }') }
    fill()
    local spool = s.data .. "/spool"
    h.shell(("cp -a '%s' '%s.copy'"):format(spool, spool))
    local before = files(spool .. ".copy")
    assert(os.rename(spool, spool .. ".moved"))
    assert(os.rename(spool .. ".copy", spool))
    r:rule ""
    h.request(s.admin, "POST", "/sinks/out/breaker?close")
    h.wait_for("an event", function() return #r:events() > 0 end)
    s:logged("event=spool status=unwritable why=.*moved, removed or unmounted")
    assert.equal(before, files(spool))
  end)

  it("changes nothing of a spool in its place, by delivery, a reload or an upgrade", function()
    r = receiver.start()
    r:rule "status 503"
    local policy = POLICY:format(r.url)
      :gsub('stream = "events" }',
        'stream = "events", limits = { limit "all" { quota = "1000/d" } } }')
      :gsub('sinks = { "out" } }', 'sinks = { "out" }, index = "n" }')
    s = h.server { policy = policy }
    fill()
    h.wait_for("the quota's file", function() return s:metric(
      "sluice_quota_saves_total", 'result="ok"') > 0 end)
    local spool = s.data .. "/spool"
    -- A copy of it, as from a snapshot.
    h.shell(("cp -a '%s' '%s.copy'"):format(spool, spool))
    local before = files(spool .. ".copy")
    r:rule ""
    h.request(s.admin, "POST", "/sinks/out/breaker?close")
    h.wait_for("an event", function() return #r:events() > 0 end)
    assert.equal(202, s:post("/v1/events", "{}").status)
    assert(os.rename(spool, spool .. ".moved"))
    assert(os.rename(spool .. ".copy", spool))
    s:logged("event=spool status=unwritable why=.*moved, removed or unmounted")
    h.write(s.path, POLICY:format(r.url) .. 'http "new" { url = "' .. r.url .. '" }\n'
      .. 'stream "more" { sinks = { "new" } }\n'
      .. 'route "POST /more" { body = "event", stream = "more" }\n')
    local a = h.request(s.admin, "POST", "/reload")
    assert.equal(500, a.status)
    assert.matches("was moved, removed or unmounted; put it back; still running", a.body)
    h.sleep(1.5) -- what was used is saved each second
    s:signal "SIGUSR2"
    s:logged "event=upgrade status=failed why=[^\n]*moved, removed or unmounted"
    assert.equal(before, files(spool))
    assert(os.rename(spool, spool .. ".copy"))
    assert(os.rename(spool .. ".moved", spool))
    s:logged "event=spool status=writable"
    assert.equal(200, h.request(s.admin, "POST", "/reload").status)
    s:deliver(60)
    assert.equal(0, s:metric "sluice_sink_lost_events")
  end)

  it("lets an upgrade begin no other spool, however soon it comes", function()
    r = receiver.start()
    s = h.server { policy = POLICY:format(r.url) }
    local spool = s.data .. "/spool"
    for i, path in ipairs { spool, spool .. "/events" } do
      assert(os.rename(path, s.data .. "/away"))
      s:signal "SIGUSR2"
      h.wait_for("the refusal", function()
        return select(2, s:text():gsub("event=upgrade status=failed why=[^\n]*put it back", ""))
          == i
      end)
      assert.is_nil(s:text():find("event=upgrade status=starts", 1, true))
      assert(os.rename(s.data .. "/away", path))
    end
  end)

  it("removes no sink, and drops none, in the spool that stands in its place", function()
    r = receiver.start()
    r:rule "status 503"
    local policy = POLICY:format(r.url)
    s = h.server { policy = policy:gsub('sinks = { "out" }', 'sinks = { "out", "old" }')
      .. ('http "old" { url = %q, batch = { linger = "5ms" } }\n'):format(r.url) }
    for i = 1, 3 do
      assert.equal(202, s:post("/v1/events", ('{"n":%d}'):format(i)).status)
    end
    h.wait_for("the sink to hold", function() return s:metric(
      "sluice_sink_holding", 'sink="old"') == 1 end)
    h.write(s.path, policy)
    assert.equal(200, h.request(s.admin, "POST", "/reload").status)
    s:logged "sink=old status=retiring"
    local spool = s.data .. "/spool"
    h.shell(("cp -a '%s' '%s.copy'"):format(spool, spool))
    local before = files(spool .. ".copy")
    assert(os.rename(spool, spool .. ".moved"))
    assert(os.rename(spool .. ".copy", spool))
    local a = h.request(s.admin, "POST", "/sinks/old/drop")
    assert.equal(503, a.status)
    assert.matches("nothing was dropped: put it back", a.body)
    r:rule ""
    for _, sink in ipairs { "old", "out" } do
      h.request(s.admin, "POST", ("/sinks/%s/breaker?close"):format(sink))
    end
    s:logged("sink=old status=not_removed why=[^\n]*put it back", 30)
    h.sleep(1.5) -- it is tried each second
    assert.equal(before, files(spool))
    assert.is_nil(s:text():find("sink=old status=removed", 1, true))
    assert(os.rename(spool, spool .. ".copy"))
    assert(os.rename(spool .. ".moved", spool))
    s:logged "sink=old status=removed left=nothing delivered=3 dead=0"
    h.wait_for("the journal to go", function()
      return h.read(spool .. "/sinks/old.journal") == nil
        and not (h.read(spool .. "/sinks/KEPT") or ""):find "old "
    end)
    s:deliver(60)
    assert.equal(0, s:metric "sluice_sink_lost_events")
  end)
end)

describe("one stream's directory that is moved while the server runs", function()
  local s, r
  after_each(function()
    if s then s:close() s = nil end
    if r then r:close() r = nil end
  end)

  local TWO = POLICY .. [[
http "other" { url = %q, batch = { linger = "5ms" } }
stream "more" { sinks = { "other" }, max_bytes = "16MiB" }
route "POST /v1/more" { body = "event", stream = "more" }
]]

  it("stops that stream, says so, gives no event up, and comes back", function()
    r = receiver.start()
    local filler, sent = ("x"):rep(900000), 0
    s = h.server { policy = TWO:format(r.url, r.url) }
    r:rule "status 503"
    local function post(path, body)
      sent = sent + 1
      local a = s:post(path, ('{"n":%d,"x":"%s"}'):format(sent, body or ""))
      if a.status ~= 202 then sent = sent - 1 end
      return a
    end
    for _ = 1, 10 do
      h.wait_for("room", function() return post("/v1/events", filler).status == 202 end)
    end
    h.wait_for("the sink to hold", function()
      return s:metric("sluice_sink_holding", 'sink="out"') == 1
    end)
    local folder = s.data .. "/spool/events"
    local kept = h.read(s.data .. "/spool/sinks/out.journal")
    assert(kept)
    assert(os.rename(folder, s.data .. "/moved"))
    local until_s = os.time() + 5
    local a
    repeat a = post "/v1/events" until a.status ~= 202 or os.time() > until_s
    assert.equal(503, a.status)
    assert.matches("spool_unwritable", a.body)
    s:logged('event=spool status=unwritable stream=events why=[^\n]*put it back')
    assert.equal(202, post("/v1/more").status)
    local tries = 0
    repeat
      tries, a = tries + 1, post("/v1/more", filler)
    until tries == 40 or (a.status == 503 and a.body:find "spool_full")
    assert.matches("spool_full", a.body) -- the other stream's trouble is not its
    assert.equal(503, s:get("/readyz").status)
    local out = h.shell(("%s status --admin 127.0.0.1:%d --during 20ms 2>&1; echo rc=$?")
      :format(h.binary, s.admin))
    assert.matches("rc=1\n$", out)
    assert.matches('WRONG  the spool can.t be written: clients get 503; [^\n]*'
      .. 'stream "events"[^\n]*put it back\n', out)
    r:rule ""
    s:logged("event=segment_unreadable .*hint=\"the spool.s folder was moved", 60)
    assert.is_nil(s:text():find("status=unwritable why", 1, true))
    assert(os.rename(s.data .. "/moved", folder))
    s:logged "event=spool status=writable stream=events"
    h.wait_for("room", function() return s:get("/readyz").status == 200 end)
    h.wait_for("an event", function() return post("/v1/events").status == 202 end)
    s:deliver(60)
    local seen = {}
    for _, line in ipairs(r:events()) do
      local n = tonumber(line:match '"n":(%d+)')
      seen[n] = true
    end
    for i = 1, sent do assert.is_true(seen[i], i) end
    assert.is_nil(s:text():find("segment_missing", 1, true))
    assert.equal(0, s:metric "sluice_sink_lost_events")
  end)

  it("is not filled by segments whose deletion fails without a word", function()
    local dir = h.folder()
    local f = faults.new(dir)
    r = receiver.start()
    s = h.server { policy = POLICY:format(r.url), dir = dir, wrap = f:wrap() }
    f:rules "on=unlink do=EIO path=.seg"
    r:rule "status 503" -- or each is used again as soon as it is delivered
    local filler = ("x"):rep(900000)
    for i = 1, 32 do
      h.wait_for("room", function()
        return s:post("/v1/events", ('{"n":%d,"x":"%s"}'):format(i, filler)).status == 202
      end)
    end
    r:rule ""
    s:deliver(60)
    s:logged "event=segment_not_deleted"
    h.sleep(2.5)
    local told, twice = {}, 0
    for file in s:text():gmatch "event=segment_not_deleted file=(%S+)" do
      twice = twice + (told[file] and 1 or 0)
      told[file] = true
    end
    assert.equal(0, twice)
    local deleted = s:metric("sluice_spool_segments_total", 'stream="events",op="deleted"')
    assert.equal(0, deleted)
    local n = 0
    for _ in pairs(told) do n = n + 1 end
    assert.is_true(s:metric("sluice_spool_bytes", 'stream="events"') >= n * 4 * 2 ^ 20)
    f:rules ""
    h.wait_for("the deletion", function()
      return s:metric("sluice_spool_segments_total", 'stream="events",op="deleted"') == n
    end)
    for file in pairs(told) do assert.is_nil(io.open((file:gsub('"', "")))) end
  end)
end)
