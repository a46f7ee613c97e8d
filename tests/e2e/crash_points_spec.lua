-- Kills the server before the n-th call that changes something below its data
-- directory (write, sync, rename, link, create, unlink, allocate), for every n that a
-- scripted run has, and once more while the next start recovers. Each acknowledged
-- event is then delivered exactly once to a file and to an endpoint that keeps batch
-- ids, and at least once to Kafka.
--
-- A few points; SLUICE_CRASH_POINTS=all for every one, =all:NAME for those of a case.
local faults = require "faults"
local h = require "harness"
local kafka = require "kafka"
local receiver = require "receiver"

local WANTED = os.getenv("SLUICE_CRASH_POINTS") or ""
local ALL, ONLY = WANTED:match("^all") ~= nil, WANTED:match("^all:(.+)$")
local SHORT = 6 -- points a case
local REQUESTS, EVENTS = 4, 5

local function policy(case, url, brokers)
  return ([[
server { listen = "127.0.0.1:0", workers = %d, drain = "5s", max_body = "1MiB" }
admin { listen = "127.0.0.1:0" }
spool { segment = "4MiB", max_bytes = "256MiB" }
file "archive" { dir = "archive", linger = "5ms", %s rotate = { age = "1s" } }
http "out" { url = %q, batch = { linger = "5ms", target = 3 } }
%s
stream "events" { ack = %q, sinks = { "archive", "out"%s } }
route "POST /v1/events/batch" { body = "batch", stream = "events" }
]]):format(case.workers, case.zstd and [[compress = "zstd",]] or "", url,
    brokers and ([[kafka "bus" { brokers = %q, topic = "events" }]]):format(brokers)
    or "", case.ack, brokers and [[, "bus"]] or "")
end

local function batch(point, request)
  local list = {}
  for i = 1, EVENTS do
    list[i] = ([[{"id":"%s.%d.%d"}]]):format(point, request, i)
  end
  return "[" .. table.concat(list, ",") .. "]", list
end

-- Dead, or all that was taken is delivered.
local function settled(s)
  local ok, lag = pcall(s.metric, s, "sluice_sink_lag_bytes")
  return not ok or lag == 0
end

local function start(s)
  local ok, why = pcall(s.start, s)
  if not ok and not tostring(why):find("the server ended", 1, true) then
    error(why, 0)
  end
  return ok
end

-- The scripted run; returns the events that were acknowledged.
local function script(s, point)
  local acked = {}
  if not start(s) then return acked end
  for r = 1, REQUESTS do
    local body, list = batch(point, r)
    local ok, a = pcall(s.post, s, "/v1/events/batch", body)
    if not ok or not a then break end
    if a.status == 202 then
      for _, e in ipairs(list) do acked[#acked + 1] = e end
    end
  end
  h.wait_for("the end of the run", function() return settled(s) end, 30)
  if s.pid then s:stop() end
  return acked
end

-- In seen: how often each line is there.
local function count(seen, lines)
  for _, line in ipairs(lines) do seen[line] = (seen[line] or 0) + 1 end
  return seen
end

local function text_lines(text)
  local list = {}
  for line in text:gmatch("[^\n]+") do list[#list + 1] = line end
  return list
end

for _, case in ipairs {
  { name = "written", ack = "written", workers = 1 },
  { name = "written, zstd, two workers", ack = "written", workers = 2, zstd = true },
  { name = "synced, zstd", ack = "synced", workers = 1, zstd = true },
  { name = "synced, two workers", ack = "synced", workers = 2 },
  { name = "synced, Kafka", ack = "synced", workers = 1, kafka = true },
} do
  describe("a server that is killed (" .. case.name .. ")", function()
    it("has delivered each acknowledged event once, whenever that was", function()
      if ALL and ONLY and ONLY ~= case.name then pending("not asked for") return end
      local r = receiver.start()
      local m = case.kafka and kafka.mock() or nil
      local acked, points, kills, twice_killed, wrong = {}, 0, 0, 0, {}

      local function server(dir, f)
        local s = setmetatable({ dir = dir, data = dir .. "/data",
          log = dir .. "/log", path = dir .. "/policy.lua", wrap = f:wrap(),
          args = {} }, h.Server)
        h.write(s.path, policy(case, r.url, m and m.brokers))
        return s
      end

      local function check(what, seen, list)
        for _, e in ipairs(list) do
          if seen[e] ~= 1 then
            wrong[#wrong + 1] = ("%s: %s %d times"):format(what, e, seen[e] or 0)
          end
          seen[e] = nil
        end
        for e, n in pairs(seen) do -- not acknowledged: at most once
          if n > 1 then
            wrong[#wrong + 1] = ("%s: %s %d times"):format(what, e, n)
          end
        end
      end

      -- Kills at call n, and at call `again` of the start after it (0: not).
      local function run(n, again)
        local point = ("%d-%d"):format(n, again)
        local dir = h.folder()
        local f = faults.new(dir .. "/data")
        local s = server(dir, f)
        if n > 0 then f:rules(("on=change do=kill from=%d times=1"):format(n)) end
        local list = script(s, point)
        local changes = f:changes()
        kills = kills + f:made()
        if again > 0 then
          local made = f:made()
          f:rules(("on=change do=kill from=%d times=1"):format(again))
          if start(s) then
            h.wait_for("the end of recovery", function() return settled(s) end, 30)
            if s.pid then s:stop() end
          end
          twice_killed = twice_killed + f:made() - made
        end
        f:rules()
        s:start()
        s:deliver()
        local code = s:stop()
        if code ~= 0 then wrong[#wrong + 1] = point .. ": exit " .. tostring(code) end
        local before = #wrong
        check(point .. " archive", count({}, s:lines()), list)
        if #wrong > before and os.getenv("SLUICE_KEEP") then
          print("# kept: " .. dir)
        else
          h.remove(dir)
        end
        f:close()
        for _, e in ipairs(list) do acked[#acked + 1] = e end
        points = points + 1
        return changes
      end

      local total = run(0, 0)
      local step = ALL and 1 or math.max(1, math.floor(total / SHORT))
      math.randomseed(total)
      for n = ALL and 1 or math.random(step), total, step do
        run(n, 1 + (n * 7) % 60)
      end
      check("endpoint", count({}, r:events()), acked)
      if m then
        local seen = count({}, kafka.consume(m.brokers, "events"))
        for _, e in ipairs(acked) do
          if not seen[e] then wrong[#wrong + 1] = "Kafka lacks " .. e end
        end
        m:close()
      end
      print(("# crash points (%s): %d runs, %d kills, %d in recovery, %d "
        .. "acknowledged, %d wrong"):format(case.name, points, kills, twice_killed,
        #acked, #wrong))
      r:close()
      assert.same({}, text_lines(table.concat(wrong, "\n"):sub(1, 2000)))
    end)
  end)
end
