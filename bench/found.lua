-- The steps of bench/ledger.sh, which says what they are.
package.path = "bench/?.lua;tests/e2e/?.lua;" .. package.path
local clickhouse = require "clickhouse"
local h = require "harness"
local kafka = require "kafka"

local N, KIND = tonumber(arg[1]) or 100000000, arg[2] or "table"
local CHUNK, BATCH, FINDS = 1000000, 500, 40
local FREE_GB = 5 -- that must stay free on the disk
local LOST, DOUBLED = math.floor(N * 0.37), math.floor(N * 0.71)
local failed = false

local function id(n) return ("e-%012d"):format(n) end

local function say(text, ...)
  print(text:format(...))
  io.flush()
end

local function judge(ok, what)
  say("%s: %s", ok and "ok" or "FAILED", what)
  failed = failed or not ok
end

-- Runs a command; its output. Says its seconds and its memory.
local function timed(name, command)
  local out = h.shell(("/usr/bin/time -f 'took=%%e memory=%%M' sh -c %s 2>&1"):format(
    "'" .. command:gsub("'", "'\\''") .. "'"))
  local seconds, kb = out:match("took=([%d%.]+) memory=(%d+)\n$")
  say("%s: %.1f s, %.0f MB", name, seconds, kb / 1024)
  return (out:gsub("Command exited[^\n]*\n", ""):gsub("took=[^\n]*\n$", ""))
end

local function free_gb(dir)
  return tonumber(h.shell(("df -Pk '%s'"):format(dir)):match("\n%S+ +%d+ +%d+ +(%d+)")) / 2 ^ 20
end

-- ---- destinations ------------------------------------------------------------

local Table, Topic = {}, {}

function Table.start()
  local d = setmetatable({ ch = clickhouse.start() }, { __index = Table })
  d.dir, d.pid = d.ch.dir, d.ch.pid
  d.ch:must [[CREATE TABLE events (event_id String, at UInt64) ENGINE = MergeTree
    PARTITION BY intDiv(at, 3600000) ORDER BY (at, event_id)]]
  d.sink = ([[clickhouse "out" { urls = { %q }, table = "default.events",
    columns = { event_id = "event_id", at = "at" },
    batch = { target = 200000, max = 400000, max_bytes = "64MiB", linger = "500ms" } }]])
    :format(d.ch.url)
  return d
end

function Table:spoil()
  local copies = timed("double an event", ([[clickhouse-client --port %d --query "INSERT INTO ]]
    .. [[events SELECT * FROM events WHERE event_id = '%s'"]]):format(self.ch.tcp, id(DOUBLED)))
  if copies ~= "" then say("%s", copies) end
  local began = h.now()
  self.ch:must(("ALTER TABLE events DELETE WHERE event_id = '%s'"):format(id(LOST)))
  h.wait_for("the deletion", function()
    h.sleep(1)
    return self.ch:count("SELECT count() FROM system.mutations WHERE is_done = 0") == 0
  end, 3600)
  say("take an event out: %.1f s", h.now() - began)
end

-- Its merges take both cores for a while after the last insert.
function Table:rest()
  h.wait_for("the merges", function()
    h.sleep(0.2)
    return self.ch:count("SELECT count() FROM system.merges") == 0
  end, 600)
end

function Table:ledger(s)
  return ("%s ledger --clickhouse %s --table events --time 'intDiv(at, 1000)' '%s'"):format(
    h.binary, self.ch.url, s.data)
end

function Table:close() self.ch:close() end

function Topic.start()
  local jars = assert(kafka.jars())
  local r = kafka.real(jars, clickhouse.free_port(), clickhouse.free_port(), { no_auto = true })
  local d = setmetatable({ r = r, dir = r.dir, pid = r.pid, topic = "events" },
    { __index = Topic })
  for _, name in ipairs { "events", "spoilt" } do r:admin("create " .. name .. " 4") end
  d.sink = ([[kafka "out" { brokers = %q, topic = "events", compression = "lz4",
    batch = { target = 20000, max = 40000, linger = "100ms" } }]]):format(r.brokers)
  return d
end

-- The copy has the messages' times; the first topic is of no use any more.
function Topic:spoil()
  local out = timed("copy without one event, and another twice", ([[%s/tools/kcopy %s events ]]
    .. [[spoilt skip %s double %s; echo code=$?]]):format(h.build, self.r.brokers, id(LOST),
    id(DOUBLED)))
  judge(out:find("code=0", 1, true), "the copy")
  self.r:admin "delete events"
  self.topic = "spoilt"
end

function Topic:rest() return self end

function Topic:ledger(s)
  return ("%s ledger --kafka out --policy '%s' --topic %s '%s'"):format(h.binary, s.path,
    self.topic, s.data)
end

function Topic:close() self.r:close() end

-- ---- steps -------------------------------------------------------------------

local function policy(sink)
  return ([[
server { listen = "127.0.0.1:0", workers = 1 }
admin { listen = "127.0.0.1:0" }
spool { max_bytes = "4GiB" }
%s
stream "events" { sinks = { "out" },
  index = { field = "event_id", keep = "30d", max_bytes = "16GiB" } }
local function on_event(ev, req) ev.at = req.time_ms end
route "POST /v1/events/batch" { body = "batch", stream = "events", on_event = on_event }
]]):format(sink)
end

local function write_all(s, d)
  local began = h.now()
  for first = 1, N, CHUNK do
    local n = math.min(CHUNK, N - first + 1)
    local out = h.shell(("%s/tools/load --port %d --path /v1/events/batch --small --batch %d "
      .. "--connections 4 --seconds 3600 --first %d --events %d"):format(h.build, s.port, BATCH,
      first, n))
    if tonumber(out:match("acked=(%d+)")) ~= n then error("not all was accepted: " .. out, 0) end
    h.wait_for("the sink", function()
      h.sleep(0.1)
      return s:metric("sluice_delivered_events_total") >= first + n - 1 - CHUNK
    end, 3600)
    local free = free_gb(d.dir)
    if free < FREE_GB then error(("only %.0f GB of the disk are free"):format(free), 0) end
    if (first - 1) % (10 * CHUNK) == 0 or first + n > N then
      say("%d events written after %.0f s, %.0f GB free", first + n - 1, h.now() - began, free)
    end
  end
  h.wait_for("delivery", function()
    h.sleep(0.2)
    return s:metric("sluice_delivered_events_total") >= N
      and s:metric("sluice_index_events_total") >= N
  end, 3600)
  local rss = h.read("/proc/" .. s.real_pid .. "/status"):match("VmHWM:%s+(%d+)")
  say("write and deliver: %.1f s, %.0f MB", h.now() - began, rss / 1024)
end

local function finds(s, is_there)
  local list = {}
  for i = 1, FINDS do
    local n = is_there and math.floor((i - 0.5) * N / FINDS) + 1 or N + i
    local began = h.now()
    local out = h.shell(("%s find --id %s '%s'; echo code=$?"):format(h.binary, id(n), s.data))
    list[i] = (h.now() - began) * 1000
    if not out:find(is_there and "code=0" or "code=1", 1, true) then
      judge(false, "find " .. id(n) .. ": " .. out)
      return
    end
  end
  -- The first one of all reads what no page cache has yet.
  local first = table.remove(list, 1)
  table.sort(list)
  say("find, an id that is %s: the first %.1f ms; then median %.1f ms, worst %.1f ms, of %d",
    is_there and "there" or "not there", first, list[FINDS / 2], list[#list], #list)
  judge(list[FINDS / 2] <= 100, "at most 100 ms")
end

-- As after a restart of the machine: no file of the server is in the page cache.
local function cold_finds(s)
  local list = {}
  for i = 1, 5 do
    h.shell(("find '%s' -type f | while read -r f; do "
      .. "dd of=\"$f\" oflag=nocache conv=notrunc,fdatasync count=0 2>&1; done"):format(s.data))
    local began = h.now()
    h.shell(("%s find --id %s '%s'"):format(h.binary, id(i * math.floor(N / 7)), s.data))
    list[i] = (h.now() - began) * 1000
  end
  table.sort(list)
  say("find, nothing in the page cache: median %.1f ms, worst %.1f ms, of 5", list[3], list[5])
end

-- The event of that number, in the ledger's words. Where its bytes are gone the ledger does
-- not know its id: then its position is that which find gives.
local function is_named(out, word, n, s)
  local named, at = out:match(word .. ' id="(.-)" [^\n]*position=(%S+)')
  if named ~= "" then return named == id(n) end
  say("%s: the ledger knows the fingerprint only, and the position %s", id(n), at)
  return h.shell(("%s find --id %s '%s'"):format(h.binary, id(n), s.data))
    :find("position=" .. at .. " ", 1, true) ~= nil
end

local function whole(s, d)
  local out = timed("ledger", ("%s ledger '%s'; echo code=$?"):format(h.binary, s.data))
  judge(out:find("code=0", 1, true) and out:find("accepted=" .. N, 1, true),
    "every event is confirmed")
  out = timed("ledger of the destination, all there", d:ledger(s) .. "; echo code=$?")
  judge(out:find("missing=0 doubled=0", 1, true) and out:find("code=0", 1, true),
    "no event is named")
  d:spoil()
  out = timed("ledger of the destination, spoilt", d:ledger(s) .. "; echo code=$?")
  say("%s", out)
  judge(out:find("missing=1 doubled=1", 1, true) and out:find("code=1", 1, true)
    and is_named(out, "missing", LOST, s) and is_named(out, "doubled", DOUBLED, s),
    "the two events are named, and no other")
end

local function run(d)
  local s = h.server { policy = policy(d.sink) }
  local ok, why = pcall(function()
    say("%d events to a %s; %.0f GB free", N, KIND, free_gb(s.dir))
    write_all(s, d)
    d:rest()
    finds(s, true)
    finds(s, false)
    cold_finds(s)
    say("index: %s", h.shell(("du -sh '%s'/spool/events/index"):format(s.data)):match("%S+"))
    whole(s, d)
  end)
  pcall(s.close, s)
  if not ok then error(why, 0) end
end

local d = assert(({ table = Table, kafka = Topic })[KIND], "table or kafka").start()
local ok, why = pcall(run, d)
d:close()
if not ok then print(why) end
os.exit(ok and not failed and 0 or 1)
