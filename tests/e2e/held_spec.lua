local cjson = require "cjson"
local faults = require "faults"
local h = require "harness"
local numbered = require "numbered"

---File sinks a and b (and more) of one stream.
local function policy(o)
  o = o or {}
  local sinks, names = {}, {}
  for _, f in ipairs(o) do
    sinks[#sinks + 1] = ([[file %q { dir = %q, linger = "5ms", %s }]]):format(f.name,
      f.dir or f.name, f.more or "")
    names[#names + 1] = ("%q"):format(f.name)
  end
  return ([[
server { listen = "127.0.0.1:0", workers = 1, drain = "200ms" }
admin { listen = "127.0.0.1:0" }
%s
stream "events" { sinks = { %s } }
route "POST /v1/events" { body = "event", stream = "events" }
]]):format(table.concat(sinks, "\n"), table.concat(names, ", "))
end

describe("a sink that can't start", function()
  local s
  after_each(function() if s then s:close() s = nil end end)

  local function post(count) numbered.post(s, count) end

  ---The numbers in a folder's files, growing ones too, each once, as one text.
  local function numbers(folder)
    local seen, list = {}, {}
    for line in h.shell(("cat '%s/%s/'*.ndjson* 2>/dev/null"):format(s.data,
      folder)):gmatch("[^\n]+") do
      local i = tonumber(line:match('"n":(%d+)'))
      if i and not seen[i] then list[#list + 1] = i end
      seen[i or 0] = true
    end
    table.sort(list)
    return table.concat(list, " ")
  end

  local function upto(from, to)
    local list = {}
    for i = from, to do list[#list + 1] = i end
    return table.concat(list, " ")
  end

  local function wait_numbers(folder, from, to)
    h.wait_for(folder .. " to have its events", function()
      return numbers(folder) == upto(from, to)
    end)
  end

  local function sink(name)
    for _, x in ipairs(cjson.decode(s:get("/status").body).sinks) do
      if x.name == name then return x end
    end
  end

  local function block(folder)
    h.block(s.data .. "/" .. folder, ("%s/%s.away"):format(s.data, folder))
  end

  local function unblock(folder)
    h.shell(("rm '%s/%s'; mv '%s/%s.away' '%s/%s'"):format(s.data, folder, s.data,
      folder, s.data, folder))
  end

  it("is held at the start of the server, says why, and starts by itself", function()
    s = h.server { policy = policy { { name = "a" }, { name = "b" } } }
    post(3)
    wait_numbers("b", 1, 3)
    s:stop "SIGKILL"
    block "a"
    s:start()
    s:logged("sink=a status=holding why=.*can't make the folder")
    post(3)
    wait_numbers("b", 1, 6)
    local x = sink "a"
    assert.is_true(x.holding)
    assert.matches("can't make the folder", x.why, 1, true)
    assert.equal(200, s:get("/readyz").status)
    unblock "a"
    s:logged("sink=a status=delivering")
    wait_numbers("a", 1, 6)
    assert.equal(0, s:stop())
  end)

  it("is held when the data directory is new, and misses nothing", function()
    local dir = h.folder()
    h.shell(("mkdir -p '%s/data' && touch '%s/data/a'"):format(dir, dir))
    s = h.server { dir = dir, policy = policy { { name = "a" }, { name = "b" } } }
    post(3)
    wait_numbers("b", 1, 3)
    os.remove(s.data .. "/a")
    wait_numbers("a", 1, 3)
  end)

  it("promises nothing before its journal has where it begins", function()
    local dir = h.folder()
    local f = faults.new(dir .. "/data")
    s = setmetatable({ dir = dir, data = dir .. "/data", log = dir .. "/log",
      path = dir .. "/policy.lua", wrap = f:wrap(), args = {} }, h.Server)
    h.write(s.path, policy { { name = "a" }, { name = "b" } })
    f:rules("on=write do=ENOSPC path=/a.journal")
    s:start(true)
    s:logged([[event=start_waits .*sink \"a\" is new to the stream \"events\", and where ]]
      .. "it begins can't be noted: .*No space left")
    f:rules()
    s:ready()
    post(3)
    wait_numbers("a", 1, 3)
    f:close()
  end)

  local function start_failing(text, rules)
    local dir = h.folder()
    local f = faults.new(dir .. "/data")
    s = setmetatable({ dir = dir, data = dir .. "/data", log = dir .. "/log",
      path = dir .. "/policy.lua", wrap = f:wrap(), args = {} }, h.Server)
    h.write(s.path, text)
    f:rules(rules)
    s:start(true)
    return f
  end

  it("promises nothing while it can't be seen whether its journal has where it begins",
  function()
    local ready = 0
    for from = 1, 12 do
      local f = start_failing(policy { { name = "a" }, { name = "b" } },
        "on=stat do=EIO path=/a.journal from=" .. from)
      h.wait_for("the end of the start", function()
        return s:ended() or s:text():find "event=ready "
      end)
      if s.pid then
        ready = ready + 1
        s:ready()
        post(3)
        wait_numbers("b", 1, 3)
        f:rules()
        wait_numbers("a", 1, 3)
      else
        assert.matches("journal.*Input/output error", s:text())
      end
      s:close()
      f:close()
    end
    s = nil
    assert.is_true(ready > 0 and ready < 12)
  end)

  it("begins a new stream where it was held first, also when its journal could not be read",
  function()
    local text = policy { { name = "a" } }
    local f = start_failing((text:gsub([["events"]], [["x"]])))
    s:ready()
    assert.equal(202, s:post("/v1/events", '{"n":0}').status)
    s:deliver()
    assert.equal(0, s:stop())
    h.write(s.path, text)
    f:rules "on=read do=EIO path=/a.journal"
    s:start()
    s:logged "sink=a status=holding why=.*Input/output error"
    post(3)
    f:rules()
    wait_numbers("a", 0, 3)
    f:close()
  end)

  it("keeps what it is owed while its journal can't be read", function()
    local f = start_failing(policy { { name = "a" }, { name = "b" } },
      "on=write do=EIO path=/a/")
    s:ready()
    post(3)
    s:stop "SIGKILL"
    f:rules "on=read do=EIO path=/a.journal"
    s:start()
    s:logged "sink=a status=holding why=.*Input/output error"
    post(3)
    wait_numbers("b", 1, 6)
    f:rules()
    wait_numbers("a", 1, 6)
    f:close()
  end)

  it("keeps its backlog over a normal stop, though the others have all", function()
    s = h.server { policy = policy { { name = "a" }, { name = "b" } } }
    block "a"
    post(6)
    wait_numbers("b", 1, 6)
    s:stop "SIGKILL"
    s:start()
    post(1)
    wait_numbers("b", 1, 7)
    assert.equal(0, s:stop())
    unblock "a"
    s:start()
    wait_numbers("a", 1, 7)
  end)

  it("keeps a backlog when a policy that renames it is refused", function()
    s = h.server { policy = policy { { name = "a" } } }
    block "a"
    post(20)
    s:logged "sink=a status=holding"
    h.write(s.data .. "/no", "")
    h.write(s.path, policy { { name = "c", dir = "no", more = 'was = "a"' } })
    assert.equal(500, s:reload().status)
    post(5)
    unblock "a"
    wait_numbers("a", 1, 25)
    -- And when it was another sink of that policy that could not start.
    block "a"
    post(20)
    h.write(s.path, policy { { name = "c", dir = "c", more = 'was = "a"' },
      { name = "d", dir = "no/d", more = 'was = "z"' } })
    assert.equal(500, s:reload().status)
    post(5)
    unblock "a"
    wait_numbers("a", 1, 50)
    assert.equal(0, s:stop())
    h.write(s.path, policy { { name = "a" } })
    s:start()
    post(5)
    wait_numbers("a", 1, 55)
  end)

  ---Kills the server while sink a lacks three events that b has; returns a's journal.
  local function killed_behind()
    s = h.server { policy = policy { { name = "a" }, { name = "b" } } }
    post(3)
    wait_numbers("a", 1, 3)
    block "a"
    post(3)
    wait_numbers("b", 1, 6)
    s:stop "SIGKILL"
    unblock "a"
    return s.data .. "/spool/sinks/a.journal"
  end

  it("is held when a byte of its journal is wrong; the others go on", function()
    local path = killed_behind()
    local bytes = h.read(path)
    h.write(path, bytes:sub(1, 14) .. "\255" .. bytes:sub(16))
    s:start()
    s:logged("sink=a status=holding why=.*damaged at byte 0")
    post(3)
    wait_numbers("b", 1, 9)
    assert.equal(upto(1, 3), numbers "a")
    assert.is_true(sink("a").left_events == nil or sink("a").left_events >= 6)

    -- The repair first says its plan, then does it under the running server.
    local command = ("%s sink repair a --spool '%s/spool'"):format(h.binary, s.data)
    local out = h.shell(command)
    assert.matches("damaged_bytes=", out)
    assert.matches("--yes", out, 1, true)
    assert.equal(bytes:sub(16), h.read(path):sub(16))
    out = h.shell(command .. " --yes")
    assert.matches("repaired", out)
    s:logged("sink=a status=delivering")
    wait_numbers("a", 1, 9)
    assert.is_not_nil(h.read(path .. ".damaged-1"))
    assert.matches("nothing to repair", h.shell(command .. " --yes"))
  end)

  ---Damages the record of where sink a begins to read its stream; returns its offset.
  -- The record of a journal's beginning that follows byte `from`.
  local function damage(path, from)
    local bytes = h.read(path)
    assert.equal(2, bytes:byte(from + 5), "RECORD_START")
    h.write(path, bytes:sub(1, from + 14) .. "\255" .. bytes:sub(from + 16))
  end
  local function damage_start(path)
    local bytes = h.read(path)
    -- The length of the first record is that of its payload.
    local second = 12 + bytes:byte(1) + 256 * bytes:byte(2)
    damage(path, second)
    return second
  end

  for _, running in ipairs { true, false } do
    it("delivers its backlog after a repair of a journal without its beginning, "
      .. (running and "under a server" or "without one"), function()
      local path = killed_behind()
      local at = damage_start(path)
      h.shell(("chown 65534:65534 '%s' && chmod 0600 '%s'"):format(path, path))
      s:start()
      s:logged("sink=a status=holding why=.*damaged at byte " .. at)
      post(3)
      wait_numbers("b", 1, 9)
      if not running then assert.equal(0, s:stop()) end
      assert.matches("repaired", h.shell(("%s sink repair a --spool '%s/spool' --yes")
        :format(h.binary, s.data)))
      if not running then
        -- Its owner is that of before, or a server of another user could not open it.
        assert.matches("^65534 65534 600", h.shell("stat -c '%u %g %a' " .. path))
        s:start()
      end
      wait_numbers("a", 1, 9)
    end)
  end

  -- Two records say where it begins: that of the stream, and that of its first shard.
  for _, last in ipairs { "stream", "shard" } do
    it("delivers its backlog when the last record of its journal said where it begins in its "
      .. last, function()
      s = h.server { policy = policy { { name = "a" }, { name = "b" } } }
      block "a"
      post(6)
      wait_numbers("b", 1, 6)
      s:stop "SIGKILL"
      unblock "a"
      local path = s.data .. "/spool/sinks/a.journal"
      local bytes = h.read(path)
      local from = 12 + bytes:byte(1)
      if last == "stream" then
        bytes = bytes:sub(1, from + 12 + bytes:byte(from + 1))
      else
        from = from + 12 + bytes:byte(from + 1)
      end
      assert.equal(#bytes, from + 12 + bytes:byte(from + 1))
      h.write(path, bytes)
      damage(path, from)
      s:start()
      post(3)
      wait_numbers("a", 1, 9)
    end)
  end

  it("begins at the oldest event when its journal is gone", function()
    s = h.server { policy = policy { { name = "a" }, { name = "b" } } }
    block "a"
    post(6)
    wait_numbers("b", 1, 6)
    s:stop "SIGKILL"
    unblock "a"
    os.remove(s.data .. "/spool/sinks/a.journal")
    s:start()
    s:logged("event=journal_missing.* sink=a")
    wait_numbers("a", 1, 6)
  end)

  it("that is dropped by hand frees the room at once, and gets none of it later",
  function()
    local small = [[spool { segment = "4MiB", max_bytes = "64MiB" }]]
    local function with(list)
      return small .. policy(list):gsub("workers = 1,", '%1 max_body = "1MiB",')
    end
    s = h.server { policy = with { { name = "a" }, { name = "b" } } }
    block "a"
    local line = ([[{"x":"%s"}]]):format(("x"):rep(900000))
    for _ = 1, 20 do
      h.wait_for("202", function() return s:post("/v1/events", line).status == 202 end)
    end
    local function bytes() return s:metric "sluice_spool_bytes" end
    h.wait_for("b", function()
      return s:metric("sluice_sink_lag_bytes", 'sink="b"') <= 8 * 1024 * 1024
        and s:metric("sluice_delivered_events_total", 'sink="b"') == 20
    end)
    local before = bytes()
    h.write(s.path, with { { name = "b" } })
    assert.equal(200, s:reload().status)
    assert.matches("dropped events=20", h.shell(("%s sink drop a --admin 127.0.0.1:%d")
      :format(h.binary, s.admin)))
    h.wait_for("room", function() return bytes() <= before - 8 * 1024 * 1024 end)
    unblock "a"
    h.write(s.path, with { { name = "a" }, { name = "b" } })
    assert.equal(200, s:reload().status)
    post()
    wait_numbers("a", 1, 1)
    assert.equal(0, s:stop())
    assert.equal("", h.shell(("cat '%s/a/'* | grep -c xxx | grep -v 0"):format(s.data)))
  end)

  it("tells all that the spool gives up for it, as it does", function()
    local dir = h.folder()
    h.shell(("mkdir '%s/data' && : > '%s/data/a'"):format(dir, dir))
    s = h.server { dir = dir, policy = [[spool { segment = "4MiB" }]]
      .. policy { { name = "a" } }:gsub("workers = 1,", '%1 max_body = "1MiB",')
        :gsub('sinks = { "a" }', 'sinks = { a = { when_full = "skip", max_lag = "8MiB" } }') }
    local line = ([[{"x":"%s"}]]):format(("x"):rep(200000))
    local stored, before = 0, 0
    -- It is tried again each second.
    for _ = 1, 3 do
      for _ = 1, 60 do
        h.wait_for("202", function() return s:post("/v1/events", line).status == 202 end)
        stored = stored + 1
      end
      h.wait_for("a sum", function()
        local skipped = s:metric "sluice_sink_skipped_events"
        local is = skipped > before
          and skipped + s:metric "sluice_sink_left_events" == stored
        before = is and skipped or before
        return is
      end, 10)
    end
    os.remove(s.data .. "/a")
    s:logged "sink=a status=delivering"
    s:deliver()
    assert.equal(0, s:stop())
    assert.equal(stored - before, #s:lines "a")
  end)

  it("calls nothing lost that its file has, though the spool gave it up", function()
    s = h.server { policy = [[spool { segment = "4MiB" }]] .. policy { { name = "a" } }
      :gsub("workers = 1,", '%1 max_body = "1MiB",')
      :gsub('sinks = { "a" }',
        'index = "id", sinks = { a = { when_full = "skip", max_lag = "5MiB" } }') }
    for i = 1, 240 do
      assert.equal(202, s:post("/v1/events", ([[{"id":"e%d"}]]):format(i)).status)
    end
    s:deliver()
    s:stop()
    block "a"
    s:start()
    local line = ([[{"x":"%s"}]]):format(("x"):rep(900000))
    for _ = 1, 25 do
      h.wait_for("202", function() return s:post("/v1/events", line).status == 202 end)
    end
    h.wait_for("the spool to give up its shard", function()
      return h.shell(("ls '%s/spool/events'"):format(s.data)):find("1.0", 1, true) == nil
    end)
    local status = h.shell(("%s status --during 20ms --admin 127.0.0.1:%d; true"):format(
      h.binary, s.admin))
    assert.matches("a has skipped %d+ events", status)
    assert.matches("the sink skips its oldest events beyond max_lag", status)
    s:stop()
    s:start()
    unblock "a"
    s:logged "sink=a status=delivering"
    for _, i in ipairs { 1, 240 } do
      local found = cjson.decode(h.shell(("%s find --id e%d --json '%s'"):format(h.binary, i,
        s.data)))
      assert.equal("confirmed", found.events[1].sinks[1].state, cjson.encode(found))
    end
  end)

  it("waits for a retiring sink whose folder it was given", function()
    s = h.server { policy = policy { { name = "a" } } }
    block "a"
    post(20)
    s:stop "SIGKILL"
    h.write(s.path, policy { { name = "c", dir = "a" } })
    h.shell(("rm '%s/a'; mkdir '%s/a'"):format(s.data, s.data))
    s:start()
    post(5)
    wait_numbers("a", 1, 25)
    s:logged "sink=a status=removed left=nothing"
    assert.equal(0, s:stop())
    s:start()
    assert.equal(upto(1, 25), numbers "a")
  end)
end)
