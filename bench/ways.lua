-- What an event costs by each way in, beside the same event as JSON: CPU time of all threads
-- of the server an event, medians of alternating rounds.
--
--   luajit bench/ways.lua [rounds] [events]     default: 5 rounds of 64,000 for each way
--
-- One connection sends 64 requests at a time, so that system calls cost each way the same and
-- little. The server has one worker, on core 0. A null sink reads every event.
package.path = "bench/?.lua;" .. package.path
local bench = require "bench"

local h = bench.h
local ROUNDS, EVENTS, AT_ONCE = tonumber(arg[1]) or 5, tonumber(arg[2]) or 64000, 64

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
local few = schema {
  others = "drop", click_id = str { required = true, max = 64 }, payout = num { min = 0 },
  installs = int {}, is_test = bool {}, ts = time {}, country = str { max = 2 },
}
local function on_event(ev, req) ev.received_at = req.time_ms end
local function way(name, o)
  o.schema, o.on_event = o.schema or shape, on_event
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
way("POST /batch-drop", { body = "batch", schema = few })
way("POST /bulk", { body = "bulk" })
way("POST /bulk-id", { body = "bulk", envelope = { click_id = "_id" } })
way("POST /columns", { body = "batch", columns = { "click_id", "campaign", "network", "payout",
  "currency", "installs", "is_test", "ts", "country", "os", "os_version", "ip", "ua", "sub1",
  "sub2" } })
]]

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
local GOOD, BAD = JSON, JSON:gsub('"payout":1.25', '"payout":"x"')

-- Each event has an id of its own, so that dedup has a new key each time.
local serial = 1e9
local function id()
  serial = serial + 1
  return ("3f2b8c1e-%d"):format(serial)
end
local function json(rest) return '{"click_id":"' .. id() .. '",' .. (rest or GOOD) end
local function query() return "click_id=" .. id() .. "&" .. QUERY end
local function multipart()
  return '--b\r\nContent-Disposition: form-data; name="click_id"\r\n\r\n' .. id() .. "\r\n"
    .. MULTIPART
end
local function batch()
  local list = {}
  for i = 1, 200 do list[i] = json() end
  return "[" .. table.concat(list, ",") .. "]"
end

-- Lines in pairs: the action has the id as well, or alone.
local function bulk(alone)
  local list = {}
  for i = 1, 200 do
    list[i] = ('{"index":{"_id":"%s"}}\n%s\n'):format(id(), alone and "{" .. GOOD or json())
  end
  return table.concat(list)
end
local VALUES = GOOD:gsub('"[%w_]+":', ""):gsub("}$", "]")
local function columns()
  local list = {}
  for i = 1, 200 do list[i] = '["' .. id() .. '",' .. VALUES end
  return "[" .. table.concat(list, ",") .. "]"
end

local function post(path, body, content_type)
  return ("POST /%s HTTP/1.1\r\nHost: t\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n%s")
    :format(path, content_type or "application/json", #body, body)
end
local makes = {
  form = function() return post("form", query(), "application/x-www-form-urlencoded") end,
  multipart = function()
    return post("multipart", multipart(), "multipart/form-data; boundary=b")
  end,
  refused = function() return post("refused", json(BAD)) end,
  recorded = function() return post("recorded", json(BAD)) end,
}
for _, path in ipairs { "query", "first", "pixel", "template", "redirect" } do
  makes[path] = function()
    return ("GET /%s?%s HTTP/1.1\r\nHost: t\r\n\r\n"):format(path, query())
  end
end
for _, path in ipairs { "json", "dedup", "persist" } do
  makes[path] = function() return post(path, json()) end
end
for _, path in ipairs { "batch", "batch-dedup", "batch-persist", "batch-drop" } do
  makes[path] = function() return post(path, batch()) end
end
makes.bulk = function() return post("bulk", bulk(), "application/x-ndjson") end
makes["bulk-id"] = function() return post("bulk-id", bulk(true), "application/x-ndjson") end
makes.columns = function() return post("columns", columns()) end

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
  { "batch-drop", "the same, `others = \"drop\"` of 9 fields", 200 },
  { "bulk", "`body = \"bulk\"`, 200 lines in pairs", 200 },
  { "bulk-id", "the same, `envelope` of the action's id", 200 },
  { "columns", "arrays with `columns`, 200 in a batch", 200 },
}

local s = h.server { policy = POLICY, wrap = { "taskset", "-c", "0" } }
local c = h.connect(s.port)

-- Nanoseconds of all threads since they began.
local function cpu()
  local sum = 0
  for ns in h.shell(("cat /proc/%d/task/*/schedstat"):format(s.real_pid)):gmatch "(%d+) %d+ %d+" do
    sum = sum + tonumber(ns)
  end
  return sum
end

-- Nanoseconds an event, with what the sink and the keys of dedup take meanwhile.
local function one(way, a_request)
  local make = makes[way]
  c:send(make())
  local a = assert(h.answer(c))
  local head = #a.head + 4 + #a.body
  for name, value in pairs(a.headers) do head = head + #name + #value + 4 end
  local turns = math.ceil(EVENTS / AT_ONCE / a_request)
  local before, n = cpu(), 0
  for _ = 1, turns do
    local list = {}
    for i = 1, AT_ONCE do list[i] = make() end
    assert(c:send(table.concat(list)))
    assert(#assert(c:receive(head * AT_ONCE)) == head * AT_ONCE)
    n = n + AT_ONCE * a_request
  end
  return (cpu() - before) / n
end

local results = {}
for _ = 1, ROUNDS do
  for _, w in ipairs(ways) do
    results[w[1]] = results[w[1]] or {}
    table.insert(results[w[1]], one(w[1], w[3] or 1))
  end
end

local function median(list)
  table.sort(list)
  return list[math.floor((#list + 1) / 2)]
end

print "| way in | ns an event | more than JSON |"
print "|---|---|---|"
local base
for _, w in ipairs(ways) do
  local cost = median(results[w[1]])
  if w[1] == "json" or w[1] == "batch" then base = cost end
  print(("| %s | %.0f | %s |"):format(w[2], cost,
    cost == base and "" or ("%+.0f"):format(cost - base)))
end
c:close()
s:close()
