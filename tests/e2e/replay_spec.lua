local cjson = require "cjson"
local h = require "harness"

local HEAD = [[
server { listen = "127.0.0.1:0", workers = 1 }
admin { listen = "127.0.0.1:0" }
file "archive" { dir = "archive", linger = "20ms", compress = "zstd" }
stream "events" { sinks = { "archive" } }
stream "other" { sinks = { "archive" } }
]]
local OLD = HEAD .. [[
local event = schema { n = int { required = true } }
local function on_event(ev, req)
  if ev.n < 0 then error("less than nothing") end
  ev.at = req.time_ms
end
route "POST /v1/events" { body = "event", schema = event, on_event = on_event,
  stream = "events" }
route "POST /v1/events/batch" { body = "batch", schema = event,
  on_event = on_event, stream = "events" }
]]
local NEW = HEAD .. [[
local event = schema { n = int { required = true, max = 89 } }
local function on_event(ev, req)
  ev.at = req.time_ms
  if ev.n < 10 then return drop("few") end
  if ev.n < 20 then error("no " .. ev.kind) end
  if ev.n < 30 then return to("other") end
  if ev.n < 40 then ev.n = 0 end
  if ev.n == 50 then return reject("fifty", "no fifty") end
end
route "POST /v1/events" { body = "event", schema = event, on_event = on_event,
  stream = "events" }
]]

describe("sluice replay", function()
  local s, new
  setup(function()
    s = h.server { policy = OLD }
    new = s.dir .. "/new.lua"
    h.write(new, NEW)
    local lines = {}
    for n = 0, 99 do lines[#lines + 1] = ('{"kind":"x", "n":%d}'):format(n) end
    assert.equal(202, s:post("/v1/events/batch", "[" .. table.concat(lines, ",")
      .. "]").status)
    assert.equal(202, s:post("/v1/events", '{"n":-1}').status)
  end)
  teardown(function() s:close() end)

  -- Output and exit code.
  local function replay(args)
    local out = h.shell(("(%s replay %s) 2>&1; echo exit=$?"):format(h.binary,
      args))
    return out:gsub("exit=%d+\n$", ""), tonumber(out:match("exit=(%d+)\n$"))
  end

  local function figures(args)
    local out, code = replay("--json " .. args)
    assert.equal(1, code, out)
    return cjson.decode(out)
  end

  -- The decisions of NEW on the hundred events, wherever they lie.
  local function check(t)
    assert.same({ 100, 49, 51 }, { t.events, t.unchanged, t.changed })
    assert.same({ 11, 10, 10, 10, 10 },
      { t.refused, t.dropped, t.failed, t.routed, t.edited })
    local by = {}
    for _, c in ipairs(t.changes) do by[c.kind .. " " .. c.what] = c end
    assert.equal(10, by["refused too_large n"].events)
    assert.equal(1, by["refused fifty"].events)
    assert.equal(10, by["routed events -> other"].events)
    assert.equal(2, #by["dropped "].samples)
    local sample = by["edited "].samples[1]
    assert.matches('"n":30,"at":%d+', sample.before)
    assert.equal((sample.before:gsub(' ?"n":30', '"n":0')), sample.after)
  end

  it("finds no change in a policy that says the same, also while the server runs",
  function()
    local out, code = replay(("--policy %s %s/spool"):format(s.path, s.data))
    assert.equal(0, code, out)
    assert.matches("100 events of [^\n]*: 0 would change", out)
    assert.matches("100  unchanged", out)
  end)

  it("counts what another policy refuses, drops, edits, fails on and sends elsewhere",
  function()
    check(figures(("--policy %s %s/spool"):format(new, s.data)))
    local out, code = replay(("--policy %s %s/spool"):format(new, s.data))
    assert.equal(1, code)
    assert.matches("10  refused: too_large n\n      {\"kind\":\"x\", \"n\":90,",
      out)
    assert.matches("10  failed: [^\n]*new.lua:%d+: no x\n", out)
    assert.matches("\n    %- {[^\n]*\"n\":30[^\n]*\n    %+ {[^\n]*\"n\":0,", out)
  end)

  it("says where two policies differ", function()
    local out, code = replay(("--policy %s --old %s %s/spool"):format(new, new,
      s.data))
    assert.equal(0, code, out)
    local t = figures(("--policy %s --old %s %s/spool"):format(s.path, new,
      s.data))
    assert.same({ 100, 51, 31 }, { t.events, t.changed, t.accepted })
    check(figures(("--policy %s --old %s %s/spool"):format(new, s.path, s.data)))
  end)

  it("reads archives, plain or compressed, and says where one is cut off",
  function()
    h.wait_for("the archive", function()
      return h.shell("zstdcat " .. s.data .. "/archive/*.part 2>/dev/null | wc -l")
        :match("100")
    end)
    local dir = s.dir .. "/copy"
    h.shell(("mkdir %s; cd %s; zstdcat %s/archive/*.part > events-0-1.ndjson")
      :format(dir, dir, s.data))
    for _, pack in ipairs { "true", "gzip -f *.ndjson",
      "gunzip -f *.gz; head -50 *.ndjson | zstd -q > events-0-2.ndjson.zst; "
      .. "tail -50 *.ndjson | zstd -q >> events-0-2.ndjson.zst; rm *.ndjson" } do
      h.shell(("cd %s; %s"):format(dir, pack))
      check(figures(("--policy %s --time at %s"):format(new, dir)))
    end
    -- By the file's time each event would come at another time than it did.
    assert.equal(100, figures(("--policy %s --at 2025-01-01T00:00:00Z %s")
      :format(s.path, dir)).edited)
    h.shell(("cd %s; head -c 200 *.zst > cut-0-1.ndjson.zst; rm events*")
      :format(dir))
    local out, code = replay(("--policy %s --route 'POST /v1/events' %s")
      :format(new, dir))
    assert.equal(2, code)
    assert.matches("cut%-0%-1.ndjson.zst: cut off before its end", out)
  end)

  it("judges events as requests of their own, whatever a request may take",
  function()
    local other = s.dir .. "/other.lua"
    local function same(text)
      h.write(other, text)
      local out, code = replay(("--policy %s %s/spool"):format(other, s.data))
      assert.equal(0, code, out)
    end
    -- A millisecond an event: a request of them all would be stopped after 50.
    same((OLD:gsub("ev.at = req.time_ms", "for i = 1, 2e4 do ev.at = nil end %0")))
    same((OLD:gsub("workers = 1", "%0, max_events = 3, max_depth = 1")))
  end)

  it("reads what is damaged as refused, and shows it as text", function()
    local dir = s.dir .. "/odd"
    h.shell("mkdir " .. dir)
    h.write(dir .. "/events-0-1.ndjson", table.concat {
      "\n \t\r\n", '{"n":77}\n', "\255\0\27[31m{\n", '{"n":1,\n', "\n",
      '{"n":', ("["):rep(300), "\n", '{"n":78}' })
    local t = figures(("--policy %s --at 2025-01-01T00:00:00Z %s"):format(s.path,
      dir))
    assert.same({ 5, 3, 2 }, { t.events, t.refused, t.edited })
    local by = {}
    for _, c in ipairs(t.changes) do by[c.kind .. " " .. c.what] = c end
    assert.equal(2, by["refused invalid_json"].events)
    assert.equal(1, by["refused too_deep"].events)
    assert.equal("?  [31m{", by["refused invalid_json"].samples[1].before)
  end)

  it("opens dead letters, and says which would pass now", function()
    local name = h.wait_for("a dead letter", function()
      return h.shell("grep -l nothing " .. s.data .. "/dead/* 2>/dev/null")
        :match("[^\n]+")
    end)
    local dir, mended = s.dir .. "/letters", s.dir .. "/mended.lua"
    h.shell(("mkdir %s && cp %s %s/%s"):format(dir, name, dir,
      name:match("([^/]+)%.part$")))
    -- As it was, the hook raises again.
    local out, code = replay(("--policy %s %s"):format(s.path, dir))
    assert.equal(0, code, out)
    assert.matches("1 event of", out)
    h.write(mended, (OLD:gsub("error%(.-%)", 'ev.n = 0')))
    local t = figures(("--policy %s %s"):format(mended, dir))
    assert.same({ 1, 1, "policy_error" }, { t.events, t.accepted,
      t.changes[1].what })
    assert.equal('{"n":-1}', t.changes[1].samples[1].before)
    assert.matches('^{"n":0,"at":%d+}$', t.changes[1].samples[1].after)
    -- A sink's, of the events that it refused.
    h.write(dir .. "/sink-olap.ndjson", '{"event":{"n":5},"sink":"olap",'
      .. '"stream":"events","reason":"data","code":27,"why":"x","time":1}\n')
    t = figures(("--policy %s %s"):format(mended, dir))
    assert.same({ 2, 2, "data" }, { t.events, t.accepted, t.changes[2].what })
    os.remove(dir .. "/sink-olap.ndjson")
    h.write(mended, (OLD:gsub("required = true", "%0, min = 0")))
    assert.equal(1, figures(("--policy %s %s"):format(mended, dir)).refused)
  end)

  it("takes repeats out, as a stream with dedup does", function()
    local once = s.dir .. "/once.lua"
    h.write(once, (OLD:gsub('stream "events" {%s*',
      '%0dedup = { key = "kind", window = "10m" }, ')))
    local t = figures(("--policy %s %s/spool"):format(once, s.data))
    assert.same({ 100, 1, 99 }, { t.events, t.unchanged, t.dropped })
  end)

  it("asks which route when several could be meant", function()
    local two = s.dir .. "/two.lua"
    h.write(two, NEW .. [[route "POST /v2" { body = "event", stream = "events" }]])
    local out, code = replay(("--policy %s %s/spool"):format(two, s.data))
    assert.equal(2, code)
    assert.matches("more than one route of %S+ fits events of \"events\" "
      .. "%(\"POST /v1/events\", \"POST /v2\"%): name one with %-%-route", out)
    check(figures(("--policy %s --route 'POST /v1/events' %s/spool"):format(two,
      s.data)))
    out, code = replay(("--policy %s --route 'POST /v2' %s/spool"):format(two,
      s.data))
    assert.equal(0, code, out)
    out, code = replay(("--policy %s --route 'POST /v3' %s/spool"):format(two,
      s.data))
    assert.same({ 2, true }, { code, out:find("has no route", 1, true) ~= nil })
  end)

  it("shows how far it is to a terminal only", function()
    local out = h.shell(("script -qec '%s replay --policy %s %s/spool' /dev/null")
      :format(h.binary, new, s.data))
    assert.matches("%[=*%s*%]%s+%d+ %%  100 events", out)
    assert.not_matches("%[=", (replay(("--policy %s %s/spool"):format(new,
      s.data))))
  end)

  it("exits 2 when it can't be told, and says why", function()
    local bad = s.dir .. "/bad.lua"
    h.write(bad, [[rout "POST /" {}]])
    for args, why in pairs {
      ["--policy " .. bad .. " " .. s.data .. "/spool"] = "did you mean \"route\"",
      ["--policy " .. new .. " " .. s.dir] = "neither a spool .* nor an archive",
      ["--policy " .. new .. " " .. s.dir .. "/none"] = "No such file",
      ["--policy " .. new .. " --stream evnts " .. s.data .. "/spool"] =
        "no event of a stream \"evnts\"",
      ["--policy " .. new] = "usage:",
      ["--policy " .. new .. " --header x " .. s.dir] = "%-%-header can't be \"x\"\nusage:",
      ["--policy " .. new .. " --at noon " .. s.dir] = "%-%-at can't be \"noon\"\nusage:",
      ["--policy " .. new .. " --samples -1 " .. s.dir] = "%-%-samples can't be \"%-1\"\nusage:",
    } do
      local out, code = replay(args)
      assert.equal(2, code, args)
      assert.matches(why, out)
    end
  end)

  it("exits 2 when a part of the spool can't be read", function()
    local copy = s.dir .. "/hurt"
    h.shell(("cp -r '%s/spool' '%s' && truncate -s 0 '%s'/events/*/0000000001.seg")
      :format(s.data, copy, copy))
    local out, code = replay("--policy " .. new .. " " .. copy)
    assert.equal(2, code, out)
    assert.matches("0 events of .*damaged or unreadable segments, .*: 1;", out)
  end)

  it("is fast, and does not grow with its input", function()
    if h.build:find("asan") or h.build:find("tsan") then
      pending("a sanitizer needs all the address space")
      return
    end
    local big = s.dir .. "/big-0-1.ndjson"
    local list = {}
    for n = 1, 1000 do
      list[n] = ('{"n":%d,"user_id":"user-%06d","properties":{"page":"/home",'
        .. '"ref":"https://example.com/a/%08x"},"value":%d.50}'):format(n % 40 + 40,
          n, n * 7919, n)
    end
    local text = table.concat(list, "\n") .. "\n"
    local f = assert(io.open(big, "w"))
    for _ = 1, 500 do f:write(text) end
    f:close()
    local out = h.shell(("/usr/bin/env bash -c 'ulimit -v 900000; %s replay "
      .. "--policy %s --route \"POST /v1/events\" --json %s'"):format(h.binary,
      s.path, big))
    local t = cjson.decode(out)
    assert.equal(500000, t.events)
    assert.equal(500000, t.edited) -- the time it came
    print(("# replay: %d events, %.0f events/s"):format(t.events,
      t.events_per_second))
  end)
end)
