-- bench: what the delivery benches share: policies, backlogs, CPU by thread, and the
-- quantiles of histograms.
package.path = "tests/e2e/?.lua;" .. package.path
local h = require "harness"

local M = { h = h }

-- The fields of /proc/PID/stat that count: user and system time, in seconds.
local function times(path)
  local text = h.read(path)
  local name, rest = (text or ""):match("%((.*)%) (.*)$")
  if not name then return nil end
  local u, k = rest:match(("%S+ "):rep(11) .. "(%d+) (%d+)")
  return (tonumber(u) + tonumber(k)) / 100, name
end

function M.cpu(pid) return times("/proc/" .. pid .. "/stat") or 0 end

---CPU seconds of each thread by its name.
function M.threads(pid)
  local list = {}
  for id in h.shell("ls /proc/" .. pid .. "/task"):gmatch("%d+") do
    local t, name = times(("/proc/%d/task/%s/stat"):format(pid, id))
    if t then list[name] = (list[name] or 0) + t end
  end
  return list
end

function M.policy(sink, name)
  return ([[
server { listen = "127.0.0.1:0", workers = 1 }
admin { listen = "127.0.0.1:0" }
spool { max_bytes = "8GiB" }
%s
stream "events" { sinks = { %q } }
local event = schema { event_id = str {}, user_id = str {} }
route "POST /v1/events" { body = "event", schema = event, stream = "events" }
route "POST /v1/events/batch" { body = "batch", schema = event,
  stream = "events" }
]]):format(sink, name or "out")
end

---A stopped server with at least n events in its spool, which reached nothing.
---@param dead string the sink, of the kind that is measured later
---@param name string? its name; default: out
function M.backlog(dead, n, name)
  local s = h.server { policy = M.policy(dead, name) }
  local l = h.load(s.port, { batch = 200, connections = 8, seconds = 120 })
  h.wait_for("the backlog", function()
    return (s:metric("sluice_stored_events_total") or 0) >= n
  end, 120)
  h.load_stop(l)
  s.stored = s:metric("sluice_stored_events_total")
  s:stop("SIGKILL")
  return s
end

---Delivers a backlog to the sink; what it took.
---@param peer integer? the process at the other end
function M.drain(s, sink, peer)
  h.write(s.path, M.policy(sink))
  s:start()
  local began, used = h.now(), M.cpu(s.real_pid)
  local threads, there = M.threads(s.real_pid), peer and M.cpu(peer) or 0
  h.wait_for("delivery", function()
    h.sleep(0.02)
    return s:metric("sluice_delivered_events_total") >= s.stored
  end, 300)
  local r = { n = s.stored, seconds = h.now() - began }
  r.cpu = (M.cpu(s.real_pid) - used) * 1e6 / r.n
  r.peer_cpu = peer and (M.cpu(peer) - there) * 1e6 / r.n or 0
  r.rate = r.n / r.seconds
  r.busiest, r.busy = "?", 0
  for name, t in pairs(M.threads(s.real_pid)) do
    local share = (t - (threads[name] or 0)) / r.seconds
    if share > r.busy then r.busiest, r.busy = name, share end
  end
  r.peer_busy = r.peer_cpu * r.n / 1e6 / r.seconds
  r.server = s
  return r
end

---Which of the processes kept a sink from being faster.
function M.bottleneck(r, peer)
  local ours = r.cpu * r.n / 1e6 / r.seconds
  local all = ("%s %.2f cores, sluice %.2f (thread %s %.2f)"):format(peer,
    r.peer_busy, ours, r.busiest, r.busy)
  local cores = tonumber(h.shell("nproc"))
  if ours + r.peer_busy > 0.85 * cores then return "all cores: " .. all end
  if r.busy > 0.85 then return "our thread " .. r.busiest .. ": " .. all end
  if r.peer_busy > 0.85 then return peer .. ": " .. all end
  return "none of both (other processes, or waiting): " .. all
end

---The upper bound of a histogram's q quantile; nil: nothing was recorded.
function M.quantile(s, name, q)
  local at, count = {}, s:metric(name .. "_count") or 0
  for line in s:get("/metrics").body:gmatch("[^\n]+") do
    local le, n = line:match("^" .. name .. '_bucket{.*sink="out".*le="([%d%.e%-]+)"} (%d+)')
    if le then at[#at + 1] = { tonumber(le), tonumber(n) } end
  end
  if count == 0 then return nil end
  table.sort(at, function(a, b) return a[1] < b[1] end)
  for _, b in ipairs(at) do
    if b[2] >= count * q then return b[1] end
  end
  return math.huge
end

---The load generator's events as NDJSON lines, n of them, in a file.
function M.events(n)
  local path = os.tmpname()
  h.shell(([[%s/bench/gen %d 200 | sed 's/^\[//; s/\]$//;
    s/},{"event_id"/}\n{"event_id"/g' > %s]]):format(h.build, n / 200, path))
  return path
end

return M
