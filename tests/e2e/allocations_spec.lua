local h = require "harness"

-- The design's schema and hook: a read, a test, an edit.
local HOOK = [[on_event = function(ev, req)
  if ev.event_type == "purchase" and not ev.value then return reject("v", "v") end
  ev.received_at = req.time_ms
end]]

local function allocations(path)
  local text, n = h.read(path), 0
  for i = 8, 1, -1 do n = n * 256 + text:byte(i) end
  return n
end

---A folder in memory, where that has 4 GB: a million events a second are as much as a disk
---takes, and one that is busy with other tests gets clients 503.
local function quick_folder()
  local free = tonumber(h.shell "df -k --output=avail /dev/shm 2>/dev/null | tail -1")
  return free and free > 4e6 and h.shell("mktemp -d /dev/shm/sluice-test-XXXXXX"):match "%S+"
end

describe("memory in steady state", function()
  local s, quick
  after_each(function()
    if s then s:close() s = nil end
    if quick then h.remove(quick) quick = nil end
  end)

  for _, batch in ipairs { 1, 200 } do
    it("is not allocated by an event or a request, in batches of " .. batch,
    function()
      local dir = h.folder()
      local count = dir .. "/mallocs"
      quick = quick_folder()
      s = h.server { dir = dir, data = quick and quick .. "/data",
        policy = h.policy { route = HOOK },
        wrap = { "env", "LD_PRELOAD=" .. h.build .. "/tools/libmallocs.so",
          "SLUICE_MALLOCS=" .. count } }
      local load = { batch = batch, connections = 16, seconds = 3,
        path = batch == 1 and "/v1/events" or nil }
      h.load_wait(h.load(s.port, load))
      local requests = s:metric("sluice_requests_total", 'status="202"')
      local before = allocations(count)
      assert.is_true(before > 1000)
      local f = h.load_wait(h.load(s.port, load))
      local made = allocations(count) - before
      requests = s:metric("sluice_requests_total", 'status="202"') - requests
      print(("# memory: batches of %d: requests=%d allocations=%d"):format(batch,
        requests, made))
      assert.equal(0, f.other + f.broken + f.full, f.text .. "\n" .. s:text():sub(-1000))
      -- A connection has some when it opens, a segment when it is made, a
      -- finished file too; a request would have them by the thousand.
      assert.is_true(made < requests / 20 and made < 1000)
    end)
  end

  -- Further options of a route; none of them reads a text of the event.
  for what, o in pairs {
    ["envelope, set, answer and dropped fields"] = { path = "/v1/in/web?k=1", envelope = true,
      top = [[
      route "POST /v1/in/:kind" { body = "batch", stream = "events",
        events = "batch", envelope = { sentAt = "sentAt" },
        schema = schema { others = "drop", event_id = str { }, event_type = str { } },
        set = { kind = "path:kind", key = "query:k",
          host = "header:host", ip = "peer", at = "time" },
        answer = { status = 200, body = "{}" } }]] },
    ["on_request and its limit"] = { top = [[
      local l = limit { rate = "1000000/s", burst = 1000000, key = "peer" }]],
      route = "on_request = function(req) return l:check(req) end" },
    ["dedup"] = { stream = [[dedup = { key = "event_id", max_keys = 10000 }]] },
    ["to(), drop, a lookup, a cidr, an mmdb and agents"] = { path = "/v1/two", top = [[
      stream "more" { sinks = { "archive" } }
      local t = lookup "t.csv"
      local nets = cidr "nets.txt"
      local geo = mmdb "geo.mmdb"
      local agent = agents "agents.yaml"
      local event = schema { event_type = enum { "click", "impression", "install",
        "purchase" } }
      route "POST /v1/two" { body = "batch", schema = event, stream = "events",
        on_event = function(ev, req)
          if not t[ev.event_type] then return drop("other") end
          ev.net = nets[req.peer]
          ev.country = geo:get("192.0.2.7", "country.iso_code")
          ev.family = agent:get(ev.event_type, "browser.family")
          if not ev.net or not ev.country or not ev.family then return reject("nothing") end
          return to("events", "more")
        end }]] },
    ["a shadow"] = { tail = [[shadow { share = "100%", during = "1h" }]] },
    ["counters, limits, dedup and digests"] = {
      stream = [[dedup = { key = "event_id", max_keys = 10000 }]],
      top = [[local c = counter "c_total" { labels = { "type" } }
        local g = gauge "g"
        local l = limit { rate = "1000000/s", burst = 1000000 }
        local event = schema { event_type = enum { "click", "impression", "install",
          "purchase" } }]],
      route = [[schema = event, on_event = function(ev, req)
        c:inc(1, ev.event_type)
        g:set(req.time_ms)
        if not l:take(ev.event_type) or sha256(ev.event_type) == "" or
            not sample(1, ev.event_type) then return drop() end
      end]], counts = "c_total" },
  } do
    it("is not allocated by " .. what .. " either", function()
      local dir = h.folder()
      local count = dir .. "/mallocs"
      h.write(dir .. "/t.csv", "type,n\nclick,1\npurchase,2\n")
      h.write(dir .. "/nets.txt", "127.0.0.0/8 here\n")
      h.write(dir .. "/geo.mmdb", h.read "conf/examples/geo.mmdb")
      h.write(dir .. "/agents.yaml", "user_agent_parsers:\n- regex: '(cl)ick'\n")
      s = h.server { dir = dir, policy = h.policy(o),
        wrap = { "env", "LD_PRELOAD=" .. h.build .. "/tools/libmallocs.so",
          "SLUICE_MALLOCS=" .. count } }
      if o.tail then
        h.write(s.path, h.policy(o) .. o.tail)
        assert.equal(200, s:reload().status)
      end
      local load = { batch = 200, connections = 16, seconds = 2, rate = 500,
        path = o.path, envelope = o.envelope }
      local first = h.load_wait(h.load(s.port, load))
      local before = allocations(count)
      load.first = first.next
      local f = h.load_wait(h.load(s.port, load))
      local made = allocations(count) - before
      print(("# memory: %s: requests=%d allocations=%d"):format(what, f.ok, made))
      assert.equal(0, f.other + f.broken + f.full)
      assert.is_true(f.ok > 0)
      if o.counts then
        assert.equal(200 * (first.ok + f.ok), s:metric(o.counts))
      end
      assert.is_true(made < f.ok / 2 and made < 1000)
    end)
  end
end)
