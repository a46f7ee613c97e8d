-- Makes file system calls below the data directory fail, linger or hang by chance, kills
-- the server and starts it again, under load, for a seed; then lets all go well. Each
-- acknowledged event has then arrived: once in the archives, at an endpoint that keeps
-- batch ids and in a table that keeps tokens, at least once in Kafka (once when nothing
-- ended the server). Meanwhile policies are loaded: one that is bad, one that renames a
-- sink, one without a sink, which is owed what came before, and one that has it again.
--
-- A few seeds; SLUICE_FAULT_SEEDS=500 for the first 500, =501-600 for those,
-- SLUICE_FAULT_SEED=n for one. With SLUICE_KEEP=1 the folder of one that fails stays.
local chance = require "fault_chance"
local faults = require "faults"
local h = require "harness"
local kafka = require "kafka"
local policies = require "fault_policies"
local receiver = require "receiver"
local socket = require "socket"

local SHORT = 20 -- seeds: about 30 s
local BESIDE = 4 -- of them at the same time: they mostly wait
local HEALTH_S = 1 -- an answer of /healthz takes at most that
local END_S = 20 -- a stop, whatever fails meanwhile
local CORE = 0.8 -- of one, over half a second: nothing is tried again without a pause
local STOPS = 4
local RECOVER_S = 60 -- delivery of all, once nothing fails any more

local STREAMS = { "written", "synced", "delivered" }

-- ---- clients that wait for nothing -----------------------------------------------

local Run = {}
Run.__index = Run

function Run:wrong(text, ...)
  self.faults[#self.faults + 1] = text:format(...)
end

local function send(port, text)
  local c = socket.tcp()
  c:settimeout(1)
  if not c:connect("127.0.0.1", port) then
    c:close()
    return nil
  end
  c:send(text)
  c:settimeout(0)
  return c
end

function Run:post(stream)
  local list = {}
  for i = 1, self.roll(5) do
    self.n = self.n + 1
    list[i] = ([[{"id":"%d.%d"}]]):format(self.seed, self.n)
  end
  local body = "[" .. table.concat(list, ",") .. "]"
  local c = send(self.s.port, ("POST /%s HTTP/1.1\r\nHost: t\r\nConnection: close\r\n"
    .. "Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%s"):format(stream,
    #body, body))
  if c then
    self.open[#self.open + 1] = { c = c, list = list, text = "", stream = stream,
      turn = self.p:has_extra() and self.p.turns }
    self.waiting = self.waiting + (stream == "delivered" and 1 or 0)
  end
end

---Reads the bytes that came; true once the answer is complete, or the connection ended.
local function ended(o)
  local text, why, part = o.c:receive("*a")
  o.text = o.text .. (text or part or "")
  if text or why == "closed" then
    o.c:close()
    return true
  end
end

function Run:read()
  for i = #self.open, 1, -1 do
    local o = self.open[i]
    if ended(o) then
      table.remove(self.open, i)
      self.waiting = self.waiting - (o.stream == "delivered" and 1 or 0)
      local status = tonumber(o.text:match("^HTTP/1.1 (%d+)"))
      if status == 202 then
        self.s.accepted = self.s.accepted + #o.list
        for _, e in ipairs(o.list) do
          self.acked[#self.acked + 1] = e
          if o.turn == self.p.turns then self.owed[#self.owed + 1] = e end
        end
      elseif status and status ~= 503
          and not (status == 504 and o.stream == "delivered") then
        self:wrong("answer %s", o.text:sub(1, 300))
      end
    end
  end
end

---Asks how it is, again and again. Time in which this process stood still itself does
---not count.
function Run:health()
  local now = h.now()
  local q = self.question
  if not q then
    if now < (self.next_question or 0) then return end
    self.next_question = now + 0.05
    local c = send(self.s.admin,
      "GET /healthz HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n")
    if c then self.question = { c = c, text = "", waited = 0, at = h.now() } end
    return
  end
  q.waited = q.waited + math.min(now - q.at, 0.05)
  q.at = now
  if ended(q) then
    self.question = nil
    if q.text ~= "" and not q.text:find("^HTTP/1.1 200") then
      self:wrong("/healthz: %s under\n%s", q.text:sub(1, 300), self.rules)
    end
  elseif q.waited > HEALTH_S and not q.told then
    q.told = true
    self:wrong("/healthz was silent for %g s under\n%s", HEALTH_S, self.rules)
  end
end

---Closes connections of a server that ended; its answers may have come.
function Run:hang_up()
  self:read()
  for _, o in ipairs(self.open) do o.c:close() end
  if self.question then self.question.c:close() end
  self.open, self.question, self.waiting = {}, nil, 0
end

-- ---- a run ---------------------------------------------------------------------

function Run:set(rules)
  self.rules = rules
  self.kills = self.kills or rules:find("do=kill", 1, true) -- it, until the next start
  self.log[#self.log + 1] = rules
  self.f:rules(rules)
end

---It ended without having been asked.
function Run:died(how)
  local code = self.s.code
  self:hang_up()
  self:forget()
  self.ends = self.ends + 1
  self.log[#self.log + 1] = ("# ended %s: %s"):format(how, tostring(code))
  if code == "signal 9" and self.kills then return end
  if type(code) == "string" or how ~= "at start" then
    self:wrong("ended %s with %s under\n%s\n%s", how, tostring(code), self.rules,
      self.s:text():sub(-1500))
  elseif not self.s:text():find("error") then
    self:wrong("ended %s and did not say why", how)
  end
end

-- ---- reloads -------------------------------------------------------------------

---The server's answer to the last reload, if there is one.
function Run:heard()
  local a = self.asked
  if not a then return end
  local text = self.s:text():sub(a.from)
  if text:find("status=live cause=SIGHUP", 1, true) then
    if a.what == "bad" then
      self:wrong("a bad policy is live")
    else
      self.p:is_live()
    end
  elseif text:find("still running generation", 1, true) then
    self.refused = self.refused + 1
    if a.what ~= "bad" and self.rules == "" and a.calm then
      self:wrong("a good policy was refused (%s): %s", a.what, text:sub(-1500))
    end
  elseif not text:find("status=busy", 1, true) then
    return
  end
  if a.what == "bad" then self.p:put() end
  self.asked = nil
  return true
end

---SIGHUP with another policy, or with one that was refused before.
function Run:reload(again)
  if self.asked then return end
  local what = again and "the same" or self.p:change()
  self.log[#self.log + 1] = "# SIGHUP: " .. what
  if what == "bad" then self.p:put("rout {}\n") end
  self.asked = { what = what, from = #self.s:text() + 1, calm = again }
  self.reloads = self.reloads + 1
  self.s:signal "SIGHUP"
end

---It ended: the next one starts with the policy in the file.
function Run:forget()
  if self.asked and self.asked.what == "bad" then self.p:put() end
  self.asked = nil
end

---Starts it; hanging calls go on after a while. False: it ended.
function Run:start()
  self.log[#self.log + 1] = "# start"
  self.kills = self.rules:find("do=kill", 1, true)
  self.s:start(true)
  local till = h.now() + 3
  local how = pcall(h.wait_for, "", function()
    return self.s:text():find("event=ready ", 1, true) or self.s:ended()
      or h.now() > till
  end, 4)
  if not how or (self.s.pid and not self.s:text():find("event=ready ", 1, true)) then
    self:set("")
  end
  if self.s.pid and pcall(self.s.ready, self.s, 20) then
    self.p:is_live()
    return true
  end
  if self.s.pid then
    self:wrong("not ready in 20 s:\n%s", self.s:text():sub(-1500))
    self.s:ready(60)
  end
  self:died("at start")
  return false
end

---The share of a core that it uses while calls fail.
function Run:busy()
  local m, now = self.meter, h.now()
  if not m or m.pid ~= self.s.pid then
    self.meter = { pid = self.s.pid, at = now, cpu = faults.cpu(self.s.pid) }
  elseif now - m.at > 0.5 then
    local share = ((faults.cpu(m.pid) or m.cpu) - m.cpu) / (now - m.at)
    self.busiest, self.meter = math.max(self.busiest, share), nil
    if share > CORE then self:wrong("%.2f of a core under\n%s", share, self.rules) end
  end
end

function Run:turn()
  self:busy()
  self:health()
  self:read()
  self:heard()
  if #self.open < 12 then
    local stream = STREAMS[self.roll(3)]
    if stream == "delivered" and self.waiting >= 5 then stream = "synced" end
    self:post(stream)
  end
  h.sleep(0.01)
  if self.s:ended() then
    self:died("by itself")
    return false
  end
  return true
end

function Run:load(seconds)
  local till = h.now() + seconds
  while h.now() < till do
    if not self:turn() then return false end
  end
  return true
end

function Run:end_it()
  local what = self.roll(6)
  if what <= 2 then
    self.log[#self.log + 1] = "# kill -9"
    self.s:stop("SIGKILL")
  elseif what == 3 then
    self.log[#self.log + 1] = "# SIGTERM"
    self.s:signal("SIGTERM")
    local at = h.now()
    while not self.s:ended() do
      self:read()
      h.sleep(0.01)
      if h.now() - at > END_S then
        self:wrong("SIGTERM: not ended in %d s under\n%s", END_S, self.rules)
        self.s:stop("SIGKILL")
        break
      end
    end
    if type(self.s.code) == "string" and not self.kills then
      self:wrong("SIGTERM: %s under\n%s", self.s.code, self.rules)
    end
  else
    return
  end
  self.ends = self.ends + 1
  self:hang_up()
  self:forget()
end

---All reloads are over, and the wanted policy is live.
function Run:settle()
  local tries = 0
  local ok = pcall(h.wait_for, "a reload", function()
    self:health()
    self:read()
    self:heard()
    if self.asked then return end
    if self.p.live == self.p.wanted then return true end
    tries = tries + 1
    if tries > 1 then h.sleep(0.2) end
    self:reload(true)
  end, 30)
  if not ok then
    self:wrong("no reload in 30 s, of %d:\n%s", tries, self.s:text():sub(-2000))
  end
end

function Run:recover()
  self:set("")
  if self.s.pid and self.s:ended() then self:died("by itself") end
  if not self.s.pid and not self:start() then return false end
  self:settle()
  local ok = pcall(h.wait_for, "answers", function()
    self:health()
    self:read()
    return #self.open == 0
  end, 20)
  if not ok then self:wrong("%d requests have no answer", #self.open) end
  self:hang_up()
  local calm -- since when; what came last may not be counted at once
  ok = pcall(h.wait_for, "delivery", function()
    self:health()
    if self.s:metric("sluice_sink_lag_bytes") ~= 0
      or not self.s:get("/status").body:find('"retiring":%s*%[%]') then calm = nil return end
    calm = calm or h.now()
    return h.now() - calm > 0.2
  end, RECOVER_S)
  if not ok then
    self:wrong("not delivered in %d s:\n%s\n%s", RECOVER_S, self.s:get("/status").body,
      self.s:text():sub(-3000))
  end
  return true
end

-- ---- arrived events ----------------------------------------------------------------

local function count(lines)
  local seen = {}
  for _, line in ipairs(lines) do seen[line] = (seen[line] or 0) + 1 end
  return seen
end

function Run:compare(where, lines, owed, copies)
  local seen, missing, twice = count(lines), {}, {}
  for _, e in ipairs(owed) do
    if not seen[e] then missing[#missing + 1] = e end
  end
  for e, n in pairs(seen) do
    if n > 1 and not copies then twice[#twice + 1] = e end
    if not e:match('^{"id":"%d+%.%d+"}$') then self:wrong("%s has %s", where, e) end
  end
  if #missing + #twice > 0 then
    self:wrong("%s: %d of %d acknowledged missing (%s), %d twice (%s)", where, #missing,
      #owed, table.concat(missing, " ", 1, math.min(#missing, 5)), #twice,
      table.concat(twice, " ", 1, math.min(#twice, 5)))
  end
end

---What there is to see of an archive whose events are missing or doubled: its files, those
---that do not unpack, and what the server said of it.
function Run:evidence(name)
  return h.shell(([[cd '%s/%s' && ls -ln --full-time | cut -d' ' -f5-; zstd -tq *.zst 2>&1
    ls -ln ../spool/sinks; cat ../spool/sinks/KEPT
    grep -E 'sink=%s|event=archive|file=|lost|cut|torn' '%s' | grep -vE 'sink=(packed|extra)' \
      | tail -60]]):format(self.s.data, name, name, self.s.log))
end

---The events of this seed that an endpoint took.
function Run:taken(endpoint)
  local mine, mark = {}, ('"id":"%d.'):format(self.seed)
  for _, line in ipairs(endpoint:events()) do
    if line:find(mark, 1, true) then mine[#mine + 1] = line end
  end
  return mine
end

---A disk that stalls for longer than a stop waits keeps a file from its last name, which
---the next start gives it.
function Run:last_stop()
  for _ = 1, STOPS do
    local ok, code = pcall(self.s.stop, self.s)
    if not ok or code ~= 0 then self:wrong("the last stop: %s", tostring(code)) end
    if self.s.pid then self.s:stop("SIGKILL") end
    if not self.s:text():find("event=stopped exit=0 stuck=true", 1, true) then return end
    if not self:start() then return end
  end
  self:wrong("%d stops did not come to their end", STOPS)
end

function Run:check()
  for _, name in ipairs { "sluice_sink_lost_events", "sluice_sink_skipped_events",
    "sluice_dead_events_total", "sluice_spool_damaged_blocks_total" } do
    local n = self.s:metric(name) or 0
    if n > 0 then self:wrong("%s is %d", name, n) end
  end
  for line in h.read(self.s.log):gmatch("[^\n]+") do
    local torn = line:find("event=tail_torn", 1, true) -- by a kill, or a short write
    -- What there might be no room to note, not what was lost.
    line = line:gsub("takes no record of events that are dead, skipped or lost", "")
    if line:find("lost=[1-9]") or line:find("skipped=[1-9]") or line:find(" lost")
      or line:find("status=lost") or (line:find("damaged") and not torn)
      or line:find("Assertion") or line:find("Sanitizer") then
      self:wrong("log: %s", line)
    end
  end
  self:last_stop()
  for _, name in ipairs { "plain", "packed" } do
    local before = #self.faults
    self:compare(name, self.s:lines(name), self.acked)
    if #self.faults > before then self:wrong("%s", self:evidence(name)) end
  end
  self:compare("extra", self.s:lines("extra"), self.owed)
  self:compare("endpoint", self:taken(self.endpoint), self.acked)
  self:compare("table", self:taken(self.table), self.acked)
  self:compare("Kafka", kafka.consume(self.mock.brokers, self.topic), self.acked,
    self.ends > 0)
end

local function run(seed, to)
  local roll, dir = chance.dice(seed), h.folder()
  local r = setmetatable({ seed = seed, roll = roll, n = 0, ends = 0, open = {},
    acked = {}, owed = {}, faults = {}, log = {}, rules = "", waiting = 0, reloads = 0, busiest = 0,
    refused = 0, endpoint = to.endpoint, table = to.table, mock = to.mock,
    topic = "seed" .. seed, f = faults.new(dir .. "/data") }, Run)
  to.mock:say(("topic %s 2"):format(r.topic))
  r.s = setmetatable({ dir = dir, data = dir .. "/data", log = dir .. "/log",
    path = dir .. "/policy.lua", wrap = r.f:wrap(), args = {} }, h.Server)
  r.p = policies.new(roll, { out = to.endpoint.url, brokers = to.mock.brokers,
    table = ("http://127.0.0.1:%d"):format(to.table.port), topic = r.topic }, r.s.path)
  if roll(4) == 1 then r:set(chance.rules(roll)) end
  for _ = 1, 1 + roll(4) do
    if r.s.pid or r:start() then
      if roll(3) == 1 then r:set("") end
      if r:load(0.05 + roll(10) / 50) then
        r:set(chance.rules(roll))
        if roll(2) == 1 then r:reload() end
        if r:load(0.1 + roll(10) / 25) then r:end_it() end
      end
    end
    if not r.s.pid then r:set(roll(2) == 1 and chance.rules(roll) or "") end
  end
  if r:recover() then r:check() end
  r.made = r.f:made()
  r.f:close()
  return r
end

-- ---- seeds ---------------------------------------------------------------------

local function wanted()
  local one = tonumber(os.getenv("SLUICE_FAULT_SEED") or "")
  if one then return one, one end
  local text = os.getenv("SLUICE_FAULT_SEEDS") or tostring(SHORT)
  local from, to = text:match("^(%d+)%-(%d+)$")
  return tonumber(from or 1), tonumber(to or text)
end

describe("a server whose file system fails by chance", function()
  it("delivers each acknowledged event, and never stands still", function()
    local from, last = wanted()
    local to = { endpoint = receiver.start(), table = receiver.start(),
      mock = kafka.mock() }
    to.table:rule "clickhouse 23.8.1"
    local began, acked, made, ends, bad = h.now(), 0, 0, 0, {}
    local reloads, refused, busiest = 0, 0, 0
    local function one(seed)
      local r = run(seed, to)
      reloads, refused = reloads + r.reloads, refused + r.refused
      busiest = math.max(busiest, r.busiest)
      acked, made, ends = acked + #r.acked, made + r.made, ends + r.ends
      if #r.faults > 0 then
        bad[#bad + 1] = seed
        print(("# SLUICE_FAULT_SEED=%d failed:\n%s\n# what was done:\n%s%s"):format(seed,
          table.concat(r.faults, "\n"), table.concat(r.log, "\n"),
          os.getenv("SLUICE_KEEP") and "\n# kept: " .. r.s.dir or ""))
      end
      if #r.faults == 0 or not os.getenv("SLUICE_KEEP") then r.s:close() end
    end
    local seed, jobs = from - 1, {}
    for i = 1, BESIDE do
      jobs[i] = function()
        while seed < last do
          seed = seed + 1
          one(seed)
        end
      end
    end
    local _, errors = h.together(jobs)
    print(("# fault fuzz: %d seeds in %.0f s, %d faults, %d ends, %d reloads (%d "
      .. "refused), %d acknowledged, %.2f of a core, %d seeds wrong"):format(last - from + 1,
      h.now() - began, made, ends, reloads, refused, acked, busiest, #bad))
    for _, x in pairs(to) do x:close() end
    assert.same({}, errors)
    assert.same({}, bad)
  end)
end)
