-- campaign: unchanged clients deliver events to the example policies, while each server
-- loads its policy three times and is killed once: between the write of events and their
-- sync, so that they are stored, and their sender has no answer and sends them again.
-- Nothing may be lost, nothing stored twice.
--
-- A client is a program tests/clients/campaign/NAME.cjs FOLDER URL DIR N [ARGS]. With
-- paced.cjs it hands event 0 to N-1 to its library, as far as DIR/go says, each with its
-- number; then it flushes and ends. The library sends again by its own rules.
--
-- The suite's form is short: few events, and delays between tries that a client's own
-- options make small. SLUICE_CLIENTS=1000 is the long form, with the client's own delays.
local cjson = require "cjson"
local faults = require "faults"
local h = require "harness"

local M = {}

M.long = os.getenv("SLUICE_CLIENTS") ~= nil
M.events = tonumber(os.getenv("SLUICE_CLIENTS") or 60)

-- After part 1 each part has its disturbance.
local PARTS, KILLED = 5, 4

---The folder of an npm package that is installed with what it needs; nil without npm.
function M.fetch(package)
  return h.shell("sh tests/fetch.sh --installed " .. package):match("^(/%S+)")
end

---@class campaign.client
---@field name string names the client in titles and figures
---@field example string its policy: conf/examples/EXAMPLE.lua
---@field package string? of npm, with its version: "posthog-node 5.70.0"
---@field needs string? a program that must be there, instead of a package: "chromium"
---@field script string tests/clients/campaign/SCRIPT.cjs
---@field args string[]? more arguments of the script
---@field folder string? where the file sink writes ("archive")
---@field number fun(event: table, line: string): number? which event a stored one is;
--- nil for one that is not the client's
---@field repeats boolean? the protocol has no id: an event may be stored more than once

---What is stored: how often each number is, and what has none.
local function count(s, c)
  local times, strange = {}, {}
  for _, line in ipairs(s:lines(c.folder)) do
    local n = c.number(cjson.decode(line), line)
    if n then times[n] = (times[n] or 0) + 1 else strange[#strange + 1] = line end
  end
  local r = { events = M.events, lost = {}, twice = {}, strange = strange }
  for n = 0, M.events - 1 do
    if not times[n] then r.lost[#r.lost + 1] = n end
    if (times[n] or 0) > 1 then r.twice[#r.twice + 1] = n end
  end
  return r
end

local function reload(s, part)
  h.write(s.path, h.read(s.path) .. "\n-- " .. part .. "\n")
  local _, before = s:text():gsub("status=live cause=SIGHUP", "")
  s:signal("SIGHUP")
  h.wait_for("the policy to be live", function()
    local _, now = s:text():gsub("status=live cause=SIGHUP", "")
    return now > before
  end)
end

---The client may send the events up to this part.
local function go(s, part)
  h.write(s.dir .. "/go.new", tostring(math.floor(M.events * part / PARTS)))
  os.rename(s.dir .. "/go.new", s.dir .. "/go")
end

local function send_parts(s, f)
  local stored = function() return s:metric("sluice_stored_events_total") or 0 end
  for part = 1, PARTS do
    if part == KILLED then
      -- Of the segment that has the events; the next one is filled and synced meanwhile.
      f:rules "on=sync path=/0000000001.seg do=kill"
      go(s, part)
      h.wait_for("the server's end", function() return s:ended() end, 60)
      f:rules()
      s:start()
    else
      local before = stored()
      go(s, part)
      h.wait_for("events of part " .. part, function() return stored() > before end, 60)
      if part > 1 then reload(s, part) end
    end
  end
end

local function deliver(s, c, dir, f)
  local started = h.now()
  local argv = { "env", "SLUICE_LONG=" .. (M.long and 1 or ""), "node",
    "tests/clients/campaign/" .. c.script .. ".cjs", dir,
    "http://127.0.0.1:" .. s.port, s.dir, tostring(M.events), unpack(c.args or {}) }
  local out = s.dir .. "/client"
  local pid = h.spawn(argv, out)
  local ok, why = pcall(send_parts, s, f)
  if not ok then
    h.kill(pid)
    error(why .. "\n" .. h.read(out), 0)
  end
  local code = h.reap(pid, 120)
  assert(code == 0, h.read(out))
  local again = s:metric("sluice_events_total", 'result="duplicate"') or 0
  s:deliver()
  assert(s:stop() == 0, "the server's end")
  local r = count(s, c)
  r.again, r.seconds, r.said = again, h.now() - started, h.read(out)
  return r
end

---Runs one client's campaign; nil, why if the client is not here.
---@param c campaign.client
function M.run(c)
  local dir = c.package and M.fetch(c.package) or "-"
  if c.package and dir == "-" then return nil, "no npm, or its registry can't be reached" end
  if c.needs and h.shell("command -v " .. c.needs) == "" then
    return nil, "no " .. c.needs .. ": apt-get install " .. c.needs
  end
  local folder = h.folder()
  local f = faults.new(folder)
  local s = h.server { dir = folder, wrap = f:wrap(),
    policy = h.read("conf/examples/" .. c.example .. ".lua") }
  s.args = { "--listen", "127.0.0.1:" .. s.port }
  local ok, r = pcall(deliver, s, c, dir, f)
  local log = s:text()
  s:close()
  f:close()
  if not ok then error(r .. "\n" .. log:sub(-4000), 0) end
  return r
end

---Runs the campaigns of all clients beside each other, and gives what a test asks for the
---result of one: results(c) is its figures, or nil and why there are none.
---@param clients campaign.client[]
function M.start(clients)
  local jobs = {}
  for _, c in ipairs(clients) do
    jobs[c.name] = function() return { M.run(c) } end
  end
  local found, errors = h.together(jobs)
  return function(c)
    if errors[c.name] then error(errors[c.name], 0) end
    return found[c.name][1], found[c.name][2]
  end
end

---A line for the output.
function M.figures(c, r)
  return ("# %s: %d events, %d lost, %d stored twice, %d sent again, 3 reloads, "
    .. "1 kill, %.1f s"):format(c.name, r.events, #r.lost, #r.twice, r.again, r.seconds)
end

return M
