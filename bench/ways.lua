-- What an event costs by each way in, beside the same event as JSON: CPU seconds of the
-- server process a million events, medians of alternating rounds.
--
--   luajit bench/ways.lua [rounds] [seconds]     default: 3 rounds of 2 s for each way
--
-- The server has one worker, on core 0; wrk is on core 1. A null sink reads every event.
package.path = "bench/?.lua;" .. package.path
local bench = require "bench"

local h = bench.h
local ROUNDS, SECONDS = tonumber(arg[1]) or 3, tonumber(arg[2]) or 2

local POLICY = [[
server { listen = "127.0.0.1:0", workers = 1 }
admin { listen = "127.0.0.1:0" }
spool { max_bytes = "8GiB" }
null "out" {}
stream "events" { sinks = { "out" } }
stream "seen" { sinks = { "out" }, dedup = { key = "click_id", window = "1h" } }
stream "kept" { sinks = { "out" },
  dedup = { key = "click_id", window = "1h", persist = true } }
stream "refused" { sinks = { "out" } }
local shape = schema {
  click_id = str { required = true, max = 64 }, payout = num { min = 0 },
  installs = int {}, is_test = bool {}, ts = time {}, country = str { max = 2 },
}
local function on_event(ev, req) ev.received_at = req.time_ms end
local function way(name, o)
  o.schema, o.on_event = shape, on_event
  o.stream = o.stream or "events"
  route(name) (o)
end
way("POST /json", { body = "event" })
way("GET /query", { body = "query" })
way("GET /first", { body = "query", repeated = "first" })
way("POST /form", { body = "form" })
way("POST /multipart", { body = "form" })
way("GET /pixel", { body = "query", answer = "pixel" })
way("GET /template", { body = "query", answer = {
  location = "https://shop.example/?click={click_id}" } })
way("GET /redirect", { body = "query", answer = { location = "field:ua",
  hosts = { "shop.example" }, fallback = "https://shop.example/" } })
way("POST /refused", { body = "event" })
way("POST /recorded", { body = "event",
  on_refused = { stream = "refused", rate = "1000000/s" } })
way("POST /dedup", { body = "event", stream = "seen" })
way("POST /persist", { body = "event", stream = "kept" })
way("POST /batch", { body = "batch" })
way("POST /batch-dedup", { body = "batch", stream = "seen" })
way("POST /batch-persist", { body = "batch", stream = "kept" })
]]

-- Each event has an id of its own, so that dedup has a new key each time.
local WRK = [[
local way
local QUERY = "campaign=spring_sale_2026&network=acme&payout=1.25&currency=EUR&installs=1"
  .. "&is_test=0&ts=1795834211613&country=DE&os=android&os_version=16.0.1&ip=203.0.113.7"
  .. "&ua=Mozilla%2F5.0%20%28Linux%3B%20Android%2016%29&sub1=a%2Bb&sub2="
local JSON = '"campaign":"spring_sale_2026","network":"acme","payout":1.25,"currency":"EUR",'
  .. '"installs":1,"is_test":false,"ts":1795834211613,"country":"DE","os":"android",'
  .. '"os_version":"16.0.1","ip":"203.0.113.7","ua":"Mozilla/5.0 (Linux; Android 16)",'
  .. '"sub1":"a+b","sub2":""}'
local parts = {}
for name, value in QUERY:gmatch "([^&=]+)=([^&]*)" do
  parts[#parts + 1] = '--b\r\nContent-Disposition: form-data; name="' .. name .. '"\r\n\r\n'
    .. value:gsub("%%(%x%x)", function(x) return string.char(tonumber(x, 16)) end) .. "\r\n"
end
local MULTIPART = table.concat(parts) .. "--b--\r\n"
local serial, base = 0, os.time() .. "-"

local function id()
  serial = serial + 1
  return base .. serial
end
local function json() return '{"click_id":"' .. id() .. '",' .. JSON end
local makes = {
  form = function() return "click_id=" .. id() .. "&" .. QUERY end,
  multipart = function()
    return '--b\r\nContent-Disposition: form-data; name="click_id"\r\n\r\n' .. id()
      .. "\r\n" .. MULTIPART
  end,
  refused = function() return (json():gsub('"payout":1.25', '"payout":"x"')) end,
  batch = function()
    local list = {}
    for i = 1, 200 do list[i] = json() end
    return "[" .. table.concat(list, ",") .. "]"
  end,
}
makes.recorded = makes.refused
makes["batch-dedup"], makes["batch-persist"] = makes.batch, makes.batch
local types = { form = "application/x-www-form-urlencoded",
  multipart = "multipart/form-data; boundary=b" }
local gets = { query = true, first = true, pixel = true, template = true, redirect = true }

function init(args) way = args[1] end
function request()
  if gets[way] then return wrk.format("GET", "/" .. way .. "?" .. makes.form()) end
  return wrk.format("POST", "/" .. way, { ["Content-Type"] = types[way] or "application/json" },
    (makes[way] or json)())
end
]]

local ways = {
  { "json", "a JSON event" }, { "query", "a query" },
  { "first", "a query, `repeated = \"first\"`" }, { "form", "an urlencoded form" },
  { "multipart", "a multipart form" }, { "pixel", "a query, answered by the pixel" },
  { "template", "a query, redirected by the policy's url" },
  { "redirect", "a query, redirected by a field" },
  { "refused", "a JSON event that the schema refuses" },
  { "recorded", "the same, kept by `on_refused`" },
  { "dedup", "a JSON event, `dedup`" }, { "persist", "a JSON event, `dedup { persist = true }`" },
  { "batch", "JSON in batches of 200", 200 }, { "batch-dedup", "the same, `dedup`", 200 },
  { "batch-persist", "the same, `dedup { persist = true }`", 200 },
}

local s = h.server { policy = POLICY, wrap = { "taskset", "-c", "0" } }
h.write(s.dir .. "/ways_wrk.lua", WRK)

local function received()
  return s:metric "sluice_received_events_total"
end

-- Microseconds of CPU an event, with what the sink and the keys of dedup take meanwhile.
local function one(way)
  local before, cpu = received(), bench.cpu(s.real_pid)
  h.shell(("taskset -c 1 wrk -t1 -c32 -d%ds -s %s/ways_wrk.lua http://127.0.0.1:%d -- %s"):format(
    SECONDS, s.dir, s.port, way))
  local took = bench.cpu(s.real_pid) - cpu -- /metrics costs, too
  h.wait_for("delivery", function()
    h.sleep(0.1)
    return s:metric "sluice_sink_lag_bytes" == 0
  end, 60)
  return took * 1e6 / (received() - before)
end

local results = {}
for _ = 1, ROUNDS do
  for _, w in ipairs(ways) do
    results[w[1]] = results[w[1]] or {}
    table.insert(results[w[1]], one(w[1]))
  end
end

local function median(list)
  table.sort(list)
  return list[math.floor((#list + 1) / 2)]
end

print "| way in | CPU s a million | × JSON | ns an event more |"
print "|---|---|---|---|"
local base
for _, w in ipairs(ways) do
  local cost = median(results[w[1]])
  if w[1] == "json" or w[1] == "batch" then base = cost end
  print(("| %s | %.3f | %.2f | %.0f |"):format(w[2], cost, cost / base, (cost - base) * 1000))
end
s:close()
