-- Ids as clients write them, many events with one id, a clock that is set back by a day,
-- and an index that lies in a directory in which nothing can be written.
local cjson = require "cjson"
local faults = require "faults"
local h = require "harness"

describe("sluice find", function()
  local s, dir, f
  after_each(function() if s then s:close() s = nil end end)

  local function start(o)
    o = o or {}
    dir = h.folder()
    f = faults.new(dir)
    s = h.server { dir = dir, wrap = o.wrap or f:wrap(), policy = h.policy { workers = 1,
      server = 'max_body = "1MiB", drain = "100ms"', spool = 'segment = "4MiB"',
      stream = 'index = "event_id"',
      top = 'stream "deep" { sinks = { "archive" }, index = "a.b.id" }\n'
        .. 'route "POST /deep" { body = "batch", stream = "deep" }' } }
  end

  local function quoted(text) return "'" .. text:gsub("'", "'\\''") .. "'" end

  local function run(id, args)
    return h.shell(("%s find --id %s %s '%s' 2>&1; echo code=$?"):format(h.binary, quoted(id),
      args or "", s.data))
  end

  local function find(id, args)
    local out = run(id, "--json " .. (args or ""))
    local ok, v = pcall(cjson.decode, (out:gsub("code=%d+\n$", "")))
    return assert(ok and v, out)
  end

  local function code(id, args)
    return tonumber(run(id, args):match("code=(%d+)"))
  end

  ---The files of all that was sent so far are there.
  local function in_files()
    assert.equal(0, s:stop())
    assert.is_true(#h.shell(("ls '%s'/spool/*/index/*.idx"):format(s.data)) > 0)
  end

  it("finds ids as they are, whatever a client writes for them", function()
    start()
    local long = ("L"):rep(65536)
    local ids = {
      -- what is sent, the id, other ids that it is not
      { '"a\\u0062c"', "abc", "a\\u0062c" }, { '"s\\/l\\"\\\\\\n"', 's/l"\\\n', "s\\/l" },
      { '"\\ud83d\\ude00x"', "\240\159\152\128x", "x" }, { "17", "17", "170" },
      { "-0.5e3", "-0.5e3", "-500" }, { "17.0", "17.0", "170" }, { '""', "" },
      { '"' .. long .. '"', long, long:sub(2) }, { '"it\'s"', "it's", "its" },
      { '"null"', "null" }, { "null" }, { "true", nil, "true" }, { '{"event_id":"in"}', nil, "in" },
      { '["el"]', nil, "el" }, { '" sp "', " sp ", "sp" }, { '"$(x)`%"', "$(x)`%", "x" },
      { '"\195\164"', "\195\164", "a" },
    }
    for _, e in ipairs(ids) do
      assert.equal(202, s:post("/v1/events", '{"x":"\\u0079","event_id":' .. e[1] .. "}").status)
      -- A neighbour without any escape is searched in another way.
      assert.equal(202, s:post("/deep", '[{"a":{"b":{"id":' .. e[1] .. "}}}]").status)
    end
    local function look(indexed)
      for i, e in ipairs(ids) do
        if e[2] then
          local events = find(e[2]).events
          assert.equal(2, #events, i)
          for _, at in ipairs(events) do
            assert.same({ i, indexed }, { at.sequence, at.indexed })
          end
        end
        if e[3] then assert.equal(1, code(e[3]), i) end
      end
    end
    look(false)
    in_files()
    look(true)
    for _, stream in ipairs { "events", "deep" } do
      h.shell(("rm -r '%s'/spool/%s/1.0"):format(s.data, stream))
    end
    for i, e in ipairs(ids) do
      if e[2] then assert.equal(2, #find(e[2]).events, i) end
      if e[3] then assert.equal(1, code(e[3]), i) end
    end
  end)

  it("counts each of many events with one id once", function()
    start()
    local function send(n)
      local list = {}
      for i = 1, n do list[i] = '{"event_id":"same"}' end
      assert.equal(202, s:post("/v1/events/batch", "[" .. table.concat(list, ",") .. "]").status)
    end
    send(1000)
    local got = find "same"
    assert.same({ 1000, 0 }, { #got.events, got.more })
    send(700)
    got = find "same"
    assert.same({ 1000, 700 }, { #got.events, got.more })
    in_files()
    s:start()
    send(500)
    -- In a file and in a segment, or in the last segment only.
    got = find "same"
    assert.same({ 1000, 1200 }, { #got.events, got.more })
    local out = run "same"
    assert.matches('id="same" events=2200\n', out)
    assert.matches("and 1200 more, which are not shown\n", out)
    assert.equal(1, code "sam")
    h.wait_for("the archive", function() return find("same").events[1].sinks[1].state
      == "confirmed" end)
  end)

  it("judges --since by the clock of the server, also when that is set back by a day", function()
    local clock = h.folder() .. "/clock"
    start { wrap = h.own_clock(clock) }
    local pad = ("x"):rep(900)
    local function send(name)
      for part = 1, 6 do
        local list = {}
        for i = 1, 1000 do
          list[i] = ('{"event_id":"%s-%d","pad":"%s"}'):format(name, part * 1000 + i, pad)
        end
        assert.equal(202, s:post("/v1/events/batch", "[" .. table.concat(list, ",") .. "]").status)
      end
    end
    send "now"
    h.set_clock(clock, -86400 * 1000)
    send "past"
    h.set_clock(clock, 0)
    send "again"
    local function look()
      for name, codes in pairs { now = { 0, 0 }, past = { 1, 0 }, again = { 0, 0 } } do
        for _, i in ipairs { 1001, 7000 } do
          local id = name .. "-" .. i
          assert.same(codes, { code(id, "--since 2h"), code(id, "--since 25h") }, id)
          assert.equal(0, code(id))
        end
      end
    end
    look()
    in_files()
    look()
    local out = h.shell(("%s ledger '%s'; echo code=$?"):format(h.binary, s.data))
    assert.matches("accepted=18000 .*code=0", out)
    assert.is_nil(out:find "unknown=")
  end)

  it("finds by --since an event that shares its row of times with earlier ones", function()
    local clock = h.folder() .. "/clock"
    start { wrap = h.own_clock(clock) }
    local now = math.floor(h.now() / 60) * 60000
    local function send(id, ms)
      h.set_clock(clock, math.floor(ms - h.now() * 1000))
      assert.equal(202, s:post("/v1/events", ('{"event_id":"%s"}'):format(id)).status)
    end
    -- More rows than a file may have: their times are kept to a minute.
    for i = 1, 200 do send("e" .. i, now - 3600000 + i * 15000) end
    send("first", now - 119000)
    send("last", now - 66000)
    in_files()
    local function age(ms) return ("--since %ds"):format((h.now() * 1000 - ms) / 1000) end
    assert.same({ 0, 0 }, { code("last", age(now - 110000)), code("last", age(now - 121000)) })
    assert.same({ 1, 1 }, { code("e10", age(now - 110000)), code("last", age(now - 50000)) })
  end)

  it("says that an event may have been stored while its index was read-only", function()
    start()
    local pad = ("x"):rep(900)
    local n = 0
    local function send()
      local list = {}
      n = n + 1
      for i = 1, 1000 do list[i] = ('{"event_id":"r%d-%d","pad":"%s"}'):format(n, i, pad) end
      assert.equal(202, s:post("/v1/events/batch", "[" .. table.concat(list, ",") .. "]").status)
    end
    send()
    in_files()
    f:rules "on=create do=EROFS path=/index/"
    for _ = 1, 2 do
      local before = n
      s:start()
      s:logged("event=index_not_noted stream=events .*Read%-only")
      h.wait_for("files to be dropped", function()
        for _ = 1, 4 do send() end
        return s:metric("sluice_index_dropped_events_total", 'stream="events"') > 0
      end, 60)
      for _, i in ipairs { 1, before, before + 1, n } do
        local c = code(("r%d-7"):format(i))
        assert.is_true(c == 0 or c == 3, i .. " " .. c)
      end
      assert.equal(3, code "nobody")
      s:stop "SIGKILL"
      assert.equal(3, code "nobody")
    end
    f:rules()
    s:start()
    local lost = 0
    for i = 1, n do
      local c = code(("r%d-7"):format(i))
      assert.is_true(c == 0 or c == 3, i .. " " .. c)
      lost = lost + (c == 3 and 1 or 0)
    end
    assert.is_true(lost > 0)
    assert.equal(0, code "r1-7")
  end)
end)
