-- Upgrades while the index, the journals and the records of places are written, under load:
-- what sluice find and sluice ledger say of each event is what became of it. The suite's form
-- is three upgrades; SLUICE_UPGRADES=40 is the campaign.
local cjson = require "cjson"
local h = require "harness"
local receiver = require "receiver"
local upgrades = require "upgrades"

local N = tonumber(os.getenv("SLUICE_UPGRADES") or 3)
local SAMPLE = 40 -- events of each kind that find is asked for

-- Each of three clients sends batches of 7 events until the file "stop" is there; one event
-- of 500 has a value that the endpoint refuses. "acks" gets a line for each batch.
local CLIENTS = [[
import http.client, os, sys, threading, time
port, folder = int(sys.argv[1]), sys.argv[2]
lock, acks = threading.Lock(), open(folder + "/acks", "a")
def is_bad(x):
    return int(x.split("-")[1]) % 500 == 0
def client(name):
    conn, n = None, 0
    while not os.path.exists(folder + "/stop"):
        ids = ["%s-%d" % (name, n + i) for i in range(7)]
        n += 7
        body = ",".join('{"id":"%s"%s}' % (x, ',"value":"text"' if is_bad(x) else "")
                        for x in ids)
        try:
            conn = conn or http.client.HTTPConnection("127.0.0.1", port, timeout=30)
            conn.request("POST", "/b", "[" + body + "]", {"Content-Type": "application/json"})
            answer = conn.getresponse()
            answer.read()
            time.sleep(0.002)
            status = answer.status
        except (OSError, http.client.HTTPException):
            conn, status = None, 0
        with lock:
            acks.write("%d %s\n" % (status, " ".join(ids)))
for t in [threading.Thread(target=client, args=("abc"[i],)) for i in range(3)]: t.start()
]]

local function policy(r)
  return ([[
server { listen = "127.0.0.1:0", workers = 2, max_body = "1MiB" }
admin { listen = "127.0.0.1:0" }
spool { segment = "4MiB" }
http "hook" { url = %q, batch = { target = 200, min = 1, linger = "5ms" } }
file "archive" { dir = "archive", linger = "5ms" }
stream "events" { sinks = { "hook", "archive" }, index = "id" }
route "POST /b" { body = "batch", stream = "events" }
]]):format(r.url)
end

local function is_bad(id) return tonumber(id:match("-(%d+)")) % 500 == 0 end

describe("what find and ledger say after upgrades under load", function()
  local s, r
  after_each(function()
    if s then s:close() s = nil end
    if r then r:close() r = nil end
  end)

  local function find(id)
    local v = cjson.decode(h.shell(("%s find --id '%s' --json '%s'"):format(h.binary, id,
      s.data)))
    local by, list = {}, v.events
    for _, sink in ipairs(list[1] and list[1].sinks or {}) do by[sink.sink] = sink.state end
    return by, #list, v
  end

  ---Batches that were stored for certain, and those without an answer.
  local function answers()
    local acked, unheard = {}, {}
    for line in io.lines(s.dir .. "/acks") do
      local status, ids = line:match("^(%d+) (.*)$")
      for id in ids:gmatch("%S+") do
        if status == "202" then acked[#acked + 1] = id end
        if status == "0" then unheard[#unheard + 1] = id end
      end
    end
    return acked, unheard
  end

  ---How often the endpoint has each event.
  local function taken()
    local times = {}
    for line in io.lines(r.dir .. "/events.ndjson") do
      local id = line:match('"id":%s*"([^"]+)"')
      if id then times[id] = (times[id] or 0) + 1 end
    end
    return times
  end

  it("is what became of each event", function()
    r = receiver.start()
    r:rule "poison"
    s = h.server { policy = policy(r) }
    h.write(s.dir .. "/clients.py", CLIENTS)
    local pid = h.spawn({ "python3", s.dir .. "/clients.py", tostring(s.port), s.dir },
      s.dir .. "/clients.log")
    for i = 1, N do
      h.wait_for("events", function()
        return (s:metric "sluice_stored_events_total" or 0) > 200
      end)
      upgrades.upgrade(s)
      -- At no time does a sink's record hide what became of an event.
      if i % 4 == 0 then h.shell(("%s ledger --json '%s'"):format(h.binary, s.data)) end
    end
    h.write(s.dir .. "/stop", "")
    assert.equal(0, h.reap(pid, 60))
    h.wait_for("delivery", function()
      return s:metric("sluice_sink_left_events") == 0
    end, 60)
    local acked, unheard = answers()
    local bad, there = 0, taken()
    local stored = #acked
    for _, id in ipairs(unheard) do
      local _, n = find(id)
      stored = stored + n
      if n > 0 and is_bad(id) then bad = bad + 1 end
    end
    for _, id in ipairs(acked) do
      if is_bad(id) then bad = bad + 1 end
      assert.equal(is_bad(id) and 0 or 1, there[id] or 0, id)
    end
    assert.equal(0, s:stop())
    local text = h.shell(("%s ledger --json --all '%s'"):format(h.binary, s.data))
    local l = cjson.decode(text).streams[1]
    assert.same({ stored, 0, 0, 0, 0 }, { l.accepted, l.unknown, l.damaged_files,
      l.unread_segments, #l.holes }, text)
    local hook, archive = l.sinks.hook, l.sinks.archive
    assert.same({ stored - bad, bad, 0, 0, 0, 0, 0 }, { hook.confirmed, hook.dead, hook.pending,
      hook.settled, hook.lost, hook.skipped, hook.never_seen })
    assert.same({ stored, 0, 0, 0 }, { archive.confirmed, archive.pending, archive.settled,
      archive.lost })
    local step, asked = math.max(1, math.floor(#acked / SAMPLE)), 0
    local function look(id)
      local by, n = find(id)
      asked = asked + 1
      assert.same({ 1, is_bad(id) and "dead" or "confirmed", "confirmed" },
        { n, by.hook, by.archive }, id)
    end
    for i = 1, #acked, step do look(acked[i]) end
    for i = 1, #acked do
      if is_bad(acked[i]) and i % math.max(1, math.floor(step / 4)) == 0 then look(acked[i]) end
    end
    print(("# upgrades=%d acked=%d unheard=%d dead=%d asked=%d"):format(N, #acked, #unheard,
      bad, asked))
  end)
end)
