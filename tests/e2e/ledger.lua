-- ledger: the counters of /metrics add up, route by route.
local M = {}

-- The events that each route has received, and their fates.
local function read(text)
  local routes, waiting = {}, 0
  for line in text:gmatch("[^\n]+") do
    local name, labels, v = line:match("^([%w_]+)(%b{}) (%d+)$")
    if name == "sluice_received_events_total"
        or name == "sluice_events_total" then
      local route = labels:match('^{route="(.-)"[,}]')
      local result = labels:match('result="(%w+)"') or "received"
      local r = routes[route] or { received = 0, ended = 0 }
      routes[route] = r
      if result == "received" then r.received = r.received + v
      else r.ended = r.ended + v end
    end
    waiting = waiting + (tonumber(line:match("^sluice_waiting_events (%d+)$")) or 0)
  end
  return routes, waiting
end

-- Events kept since the start, also of routes that left the policy; nil: no answer.
local function kept(s, h)
  local ok, a = pcall(h.request, s.admin, "GET", "/status", nil, nil, 2)
  local events = ok and a and a.status == 200 and a.body:match '"events":(%b{})'
  local n = events and 0
  for word, v in (events or ""):gmatch '"(%w+)":(%d+)' do
    if word == "stored" or word == "dropped" or word == "duplicate" or word == "dead" then
      n = n + v
    end
  end
  return n
end

---Every event that came in has one end: checked on a server that is about to stop, as
---long as it answers and no client sends. Events that its answers called accepted were
---kept.
function M.check(s, h)
  local why
  for _ = 1, 20 do
    local ok, a = pcall(h.request, s.admin, "GET", "/metrics", nil, nil, 2)
    if not ok or not a or a.status ~= 200 then return end
    local routes, waiting = read(a.body)
    local n_kept = kept(s, h)
    if not n_kept then return end
    local open = 0
    why = nil
    for name, r in pairs(routes) do
      open = open + r.received - r.ended
      if r.received < r.ended or (waiting == 0 and r.received ~= r.ended) then
        why = ("%s: %d events received, %d accounted for"):format(name, r.received,
          r.ended)
      end
    end
    if not why and open ~= waiting then
      why = ("%d events wait, %d have no end"):format(waiting, open)
    end
    if not why and n_kept + waiting < s.accepted then
      why = ("%d events answered as accepted, %d kept"):format(s.accepted, n_kept)
    end
    if not why then return end
    h.sleep(0.02)
  end
  error("the counters do not add up: " .. why, 3)
end

return M
