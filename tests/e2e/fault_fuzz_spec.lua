-- Makes file system calls below the data directory fail, linger or hang by chance, kills
-- the server and starts it again, under load, for a seed; then lets all go well. Each
-- acknowledged event has then arrived: once in the archives and at an endpoint that
-- keeps batch ids, at least once in Kafka (once when nothing ended the server).
--
-- A few seeds; SLUICE_FAULT_SEEDS=500 for the first 500, =501-600 for those,
-- SLUICE_FAULT_SEED=n for one. With SLUICE_KEEP=1 the folder of one that fails stays.
local faults = require "faults"
local h = require "harness"
local kafka = require "kafka"
local receiver = require "receiver"
local socket = require "socket"

local SHORT = 12 -- seeds: about 40 s
local HEALTH_S = 1 -- an answer of /healthz takes at most that
local END_S = 20 -- a stop, whatever fails meanwhile
local RECOVER_S = 60 -- delivery of all, once nothing fails any more

local function policy(workers, url, brokers, topic)
  return ([[
server { listen = "127.0.0.1:0", workers = %d, drain = "2s", max_body = "1MiB" }
admin { listen = "127.0.0.1:0" }
spool { segment = "4MiB", max_bytes = "256MiB" }
file "plain" { dir = "plain", linger = "5ms", rotate = { age = "1s" } }
file "packed" { dir = "packed", linger = "5ms", compress = "zstd",
  rotate = { age = "1s" } }
http "out" { url = %q, batch = { linger = "5ms", target = 3 } }
kafka "bus" { brokers = %q, topic = %q }
stream "written" { ack = "written", sinks = { "plain", "packed", "out", "bus" } }
stream "synced" { ack = "synced", sinks = { "plain", "packed", "out", "bus" } }
route "POST /written" { body = "batch", stream = "written" }
route "POST /synced" { body = "batch", stream = "synced" }
]]):format(workers, url, brokers, topic)
end

-- ---- chance ------------------------------------------------------------------

---Numbers 1..n that depend on the seed alone.
local function dice(seed)
  local x = seed * 7919 + 17
  for _ = 1, 5 do x = (x * 16807) % 2147483647 end
  return function(n)
    x = (x * 16807) % 2147483647
    return math.floor(x / 64) % n + 1
  end
end

local OPS = { "read", "write", "write", "sync", "sync", "rename", "link", "create",
  "open", "unlink", "alloc", "list", "stat", "range" }
local WHATS = { "EIO", "EIO", "EIO", "ENOSPC", "ENOSPC", "EROFS", "EMFILE", "EINTR",
  "short", "short", "delay", "delay", "hang" }
local PATHS = { "", "", "", "", "path=/spool/ ", "path=/plain ", "path=/packed ",
  "path=.journal ", "path=/spool/w" }
local RATES = { 1000, 1000, 500, 200, 50 }

local function rule(roll)
  local ops = {}
  for i = 1, roll(3) do ops[i] = OPS[roll(#OPS)] end
  local what = WHATS[roll(#WHATS)]
  if what == "short" then ops = { "read", "write" } end
  return ("on=%s do=%s %s from=%d times=%d permille=%d seed=%d ms=%d"):format(
    table.concat(ops, ","), what, PATHS[roll(#PATHS)], roll(3) == 1 and roll(40) or 1,
    ({ 1, 3, 1000000 })[roll(3)], RATES[roll(#RATES)], roll(1000), roll(300))
end

local function some_rules(roll)
  local list = {}
  if roll(5) == 1 then
    list[1] = ("on=change do=kill from=%d times=1"):format(roll(120))
  end
  for _ = 1, roll(4) do list[#list + 1] = rule(roll) end
  return table.concat(list, "\n")
end

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
    self.open[#self.open + 1] = { c = c, list = list, text = "" }
  end
end

---Reads what came; true once the answer is complete, or the connection ended.
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
      local status = tonumber(o.text:match("^HTTP/1.1 (%d+)"))
      if status == 202 then
        self.s.accepted = self.s.accepted + #o.list
        for _, e in ipairs(o.list) do self.acked[#self.acked + 1] = e end
      elseif status and status ~= 503 then
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

---What is open when a server ended; its answers may have come.
function Run:hang_up()
  self:read()
  for _, o in ipairs(self.open) do o.c:close() end
  if self.question then self.question.c:close() end
  self.open, self.question = {}, nil
end

-- ---- a run ---------------------------------------------------------------------

function Run:set(rules)
  self.rules = rules
  self.log[#self.log + 1] = rules
  self.f:rules(rules)
end

---It ended without having been asked.
function Run:died(how)
  local kill = self.rules:find("do=kill", 1, true)
  local code = self.s.code
  self:hang_up()
  self.ends = self.ends + 1
  self.log[#self.log + 1] = ("# ended %s: %s"):format(how, tostring(code))
  if code == "signal 9" and kill then return end
  if type(code) == "string" or how ~= "at start" then
    self:wrong("ended %s with %s under\n%s\n%s", how, tostring(code), self.rules,
      self.s:text():sub(-1500))
  elseif not self.s:text():find("error") then
    self:wrong("ended %s and did not say why", how)
  end
end

---Starts it; what hangs goes on after a while. False: it ended.
function Run:start()
  self.log[#self.log + 1] = "# start"
  self.s:start(true)
  local till = h.now() + 3
  local how = pcall(h.wait_for, "", function()
    return self.s:text():find("event=ready ", 1, true) or self.s:ended()
      or h.now() > till
  end, 4)
  if not how or (self.s.pid and not self.s:text():find("event=ready ", 1, true)) then
    self:set("")
  end
  if self.s.pid and pcall(self.s.ready, self.s, 20) then return true end
  if self.s.pid then
    self:wrong("not ready in 20 s:\n%s", self.s:text():sub(-1500))
    self.s:ready(60)
  end
  self:died("at start")
  return false
end

function Run:turn()
  self:health()
  self:read()
  if #self.open < 12 then
    self:post(self.roll(2) == 1 and "written" or "synced")
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
    if type(self.s.code) == "string" and not self.rules:find("do=kill", 1, true) then
      self:wrong("SIGTERM: %s under\n%s", self.s.code, self.rules)
    end
  else
    return
  end
  self.ends = self.ends + 1
  self:hang_up()
end

function Run:recover()
  self:set("")
  if self.s.pid and self.s:ended() then self:died("by itself") end
  if not self.s.pid and not self:start() then return false end
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
    if self.s:metric("sluice_sink_lag_bytes") ~= 0 then calm = nil return end
    calm = calm or h.now()
    return h.now() - calm > 0.2
  end, RECOVER_S)
  if not ok then
    self:wrong("not delivered in %d s:\n%s\n%s", RECOVER_S, self.s:get("/status").body,
      self.s:text():sub(-3000))
  end
  return true
end

-- ---- what arrived ----------------------------------------------------------------

local function count(lines)
  local seen = {}
  for _, line in ipairs(lines) do seen[line] = (seen[line] or 0) + 1 end
  return seen
end

function Run:compare(where, lines, copies)
  local seen, missing, twice = count(lines), {}, {}
  for _, e in ipairs(self.acked) do
    if not seen[e] then missing[#missing + 1] = e end
  end
  for e, n in pairs(seen) do
    if n > 1 and not copies then twice[#twice + 1] = e end
    if not e:match('^{"id":"%d+%.%d+"}$') then self:wrong("%s has %s", where, e) end
  end
  if #missing + #twice > 0 then
    self:wrong("%s: %d of %d acknowledged missing (%s), %d twice (%s)", where, #missing,
      #self.acked, table.concat(missing, " ", 1, math.min(#missing, 5)), #twice,
      table.concat(twice, " ", 1, math.min(#twice, 5)))
  end
end

function Run:check()
  for _, name in ipairs { "sluice_sink_lost_events", "sluice_sink_skipped_events",
    "sluice_dead_events_total", "sluice_spool_damaged_blocks_total" } do
    local n = self.s:metric(name) or 0
    if n > 0 then self:wrong("%s is %d", name, n) end
  end
  for line in h.read(self.s.log):gmatch("[^\n]+") do
    local torn = line:find("event=tail_torn", 1, true) -- by a kill, or a short write
    if line:find("lost=[1-9]") or line:find("skipped=[1-9]") or line:find(" lost")
      or line:find("status=lost") or (line:find("damaged") and not torn)
      or line:find("Assertion") or line:find("Sanitizer") then
      self:wrong("log: %s", line)
    end
  end
  local ok, code = pcall(self.s.stop, self.s)
  if not ok or code ~= 0 then self:wrong("the last stop: %s", tostring(code)) end
  if self.s.pid then self.s:stop("SIGKILL") end
  self:compare("plain", self.s:lines("plain"))
  self:compare("packed", self.s:lines("packed"))
  local mine, mark = {}, ('"id":"%d.'):format(self.seed)
  for _, line in ipairs(self.endpoint:events()) do
    if line:find(mark, 1, true) then mine[#mine + 1] = line end
  end
  self:compare("endpoint", mine)
  self:compare("Kafka", kafka.consume(self.mock.brokers, self.topic), self.ends > 0)
end

local function run(seed, endpoint, mock)
  local roll, dir = dice(seed), h.folder()
  local r = setmetatable({ seed = seed, roll = roll, n = 0, ends = 0, open = {},
    acked = {}, faults = {}, log = {}, rules = "", endpoint = endpoint, mock = mock,
    topic = "seed" .. seed, f = faults.new(dir .. "/data") }, Run)
  mock:say(("topic %s 2"):format(r.topic))
  r.s = setmetatable({ dir = dir, data = dir .. "/data", log = dir .. "/log",
    path = dir .. "/policy.lua", wrap = r.f:wrap(), args = {} }, h.Server)
  h.write(r.s.path, policy(roll(2), endpoint.url, mock.brokers, r.topic))
  if roll(4) == 1 then r:set(some_rules(roll)) end
  for _ = 1, 1 + roll(4) do
    if r.s.pid or r:start() then
      if roll(3) == 1 then r:set("") end
      if r:load(0.05 + roll(10) / 50) then
        r:set(some_rules(roll))
        if r:load(0.1 + roll(10) / 25) then r:end_it() end
      end
    end
    if not r.s.pid then r:set(roll(2) == 1 and some_rules(roll) or "") end
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
    local from, to = wanted()
    local endpoint, mock = receiver.start(), kafka.mock()
    local began, acked, made, ends, bad = h.now(), 0, 0, 0, {}
    for seed = from, to do
      local r = run(seed, endpoint, mock)
      acked, made, ends = acked + #r.acked, made + r.made, ends + r.ends
      if #r.faults > 0 then
        bad[#bad + 1] = seed
        print(("# SLUICE_FAULT_SEED=%d failed:\n%s\n# what was done:\n%s%s"):format(seed,
          table.concat(r.faults, "\n"), table.concat(r.log, "\n"),
          os.getenv("SLUICE_KEEP") and "\n# kept: " .. r.s.dir or ""))
      end
      if #r.faults == 0 or not os.getenv("SLUICE_KEEP") then r.s:close() end
    end
    print(("# fault fuzz: %d seeds in %.0f s, %d faults, %d ends, %d acknowledged, "
      .. "%d seeds wrong"):format(to - from + 1, h.now() - began, made, ends, acked,
      #bad))
    endpoint:close()
    mock:close()
    assert.same({}, bad)
  end)
end)
