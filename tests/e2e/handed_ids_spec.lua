-- A worker hands the fingerprints of ids to the index's thread in memory. The files that
-- come of them have, byte for byte, what a process makes that knows only the spool:
-- whatever clients send, policies change and disks refuse.
local faults = require "faults"
local h = require "harness"
local upgrades = require "upgrades"

local POLICY = [[
server { listen = "127.0.0.1:0", workers = %d, drain = "100ms", max_body = "1MiB" }
admin { listen = "127.0.0.1:0" }
spool { segment = "4MiB" }
http "nowhere" { url = "http://127.0.0.1:1/x" }
stream "plain" { sinks = { "nowhere" }, index = "%s", ack = "%s" }
stream "deep" { sinks = { "nowhere" }, index = "a.id" }
stream "once" { sinks = { "nowhere" }, index = "event_id",
  dedup = { key = "event_id", window = "1h" } }
stream "refused" { sinks = { "nowhere" }, index = "event_id" }
local named = schema { event_id = any {}, ["a.id"] = any {}, n = num { max = 9 } }
local strict = schema { event_id = str {}, n = num {}, others = "drop" }
local function edit(ev)
  if ev.n == 1 then ev.event_id = "set" end
  if ev.n == 2 then ev.event_id = 'a"\\\n' end
  if ev.n == 3 then ev.event_id = nil end
  if ev.n == 4 then ev.more = "x" end
  if ev.n == 5 then ev.a = { id = "below" } end
  if ev.n == 6 then ev.event_id = 12.5 end
  if ev.n == 7 then return to("deep") end
  if ev.n == 8 then return reject("no", "not this one") end
end
local function both(ev) return to("plain", "deep", "once") end
route "POST /named" { body = "batch", schema = named, stream = "plain" }
route "POST /edited" { body = "batch", schema = named, on_event = edit, stream = "plain" }
route "POST /open" { body = "batch", stream = "plain" }
route "POST /open_edited" { body = "batch", on_event = edit, stream = "plain" }
route "POST /deep" { body = "batch", schema = named, stream = "deep" }
route "POST /deep_open" { body = "batch", stream = "deep", on_event = edit }
route "POST /both" { body = "batch", schema = named, on_event = both, stream = "plain" }
route "POST /once" { body = "batch", schema = named, stream = "once" }
route "POST /refusing" { body = "batch", schema = named, stream = "plain", on_event = edit,
  on_refused = { stream = "refused" } }
route "POST /form" { body = "form", schema = named, stream = "plain" }
route "GET /query" { body = "query", schema = named, stream = "plain" }
route "POST /enriched/:id" { body = "batch", schema = named, stream = "plain",
  set = { event_id = "path:id" } }
route "POST /dropping" { body = "batch", schema = strict, stream = "plain" }
]]

local function policy(o)
  o = o or {}
  return (POLICY:format(o.workers or 1, o.field or "event_id", o.ack or "written"))
end

-- What a client may send as an event. %d: so that some are alike and some are not.
local EVENTS = {
  '{"event_id":"e%d","n":0}', '{"event_id":"","n":4}', '{"n":5}', '{"event_id":null,"n":4}',
  '{"event_id":%d}', '{"event_id":-0.5e%d,"n":4}', '{"event_id":true,"n":4}',
  '{"event_id":{"event_id":"in%d"}}', '{"event_id":["x%d"],"n":4}',
  '{"event_id":"a\\u0041\\n\\"%d"}', '{"event_id":"\\ud83d\\ude00%d","n":4}',
  '{"event\\u005fid":"escaped key %d"}', '{"x\\u0079":1,"event_id":"after %d","n":4}',
  '{"event_id":"one %d","event_id":"two"}', '{"event_id":1,"event\\u005fid":"%d"}',
  '{"a":{"id":"deep %d"},"event_id":"e","n":4}', '{"a":{"id":%d},"n":5}',
  '{"a":{"id":"a\\/b%d"}}', '{"a":{"id":1},"a":{"id":%d}}', '{"a":{"id":1,"id":%d}}',
  '{"a.id":"dotted %d"}', '{"a":null,"n":5}', '{"a":[{"id":%d}]}',
  '{"t":"a \\"event_id\\":\\"no\\" %d","event_id":"yes %d"}',
  ' { "n" : 4 ,\t"event_id"\t:\t"spaces %d" } ', '{"o":{"event_id":"inner %d"},"event_id":"o"}',
  '{"event_id":"' .. ("h"):rep(5000) .. '%d"}',
  '{"event_id":"' .. ("\\n"):rep(4000) .. '%d","n":4}', '{"event_id":"dup","n":0}',
  '{"event_id":"over %d","n":99}', '{"event_id":"\195\164\226\130\172%d"}',
  '{"event_id":"1","n":1}', '{"event_id":"2","n":2}', '{"event_id":"3","n":3}',
  '{"event_id":"7","n":7}', '{"event_id":"8 %d","n":8}', '{"n":6}', '{"n":2}', '{}',
  '{"event_id":"' .. ("w"):rep(36) .. '"}', '{"n":"no number","event_id":"%d"}',
}
local ROUTES = { "/named", "/edited", "/open", "/open_edited", "/deep", "/deep_open",
  "/both", "/once", "/refusing", "/dropping" }

describe("ids that workers hand over", function()
  local s, f
  before_each(function() math.randomseed(7) end)
  after_each(function() if s then s:close() s = nil end end)

  local function start(o)
    o = o or {}
    local dir = h.folder()
    f = faults.new(dir)
    s = h.server { dir = dir, wrap = f:wrap(), policy = policy(o) }
  end

  local function event(i)
    local text = EVENTS[i]
    return (text:gsub("%%d", function() return tostring(math.random(1, 3000)) end))
  end

  local function body(n)
    local list = {}
    for i = 1, n do list[i] = event(math.random(#EVENTS)) end
    return "[" .. table.concat(list, ",") .. "]"
  end

  ---Sends n requests of up to `most` events each; how many were answered, by status.
  local function send(n, most)
    local got = {}
    local function count(ok, a)
      local k = ok and a and a.status or 0
      got[k] = (got[k] or 0) + 1
    end
    for i = 1, n do
      count(pcall(s.post, s, ROUTES[i % #ROUTES + 1], body(math.random(most))))
      if i % 5 == 0 then
        count(pcall(s.post, s, "/form", "event_id=f" .. i .. "&n=3",
          { ["Content-Type"] = "application/x-www-form-urlencoded" }))
        count(pcall(h.request, s.port, "GET", "/query?n=1&event_id=q%20" .. i))
        count(pcall(s.post, s, "/enriched/p" .. i,
          '[{"n":1},{"event_id":"own"},{"event_id":null},{"event_id":"x","n":4}]'))
      end
    end
    return got
  end

  local function uniform(n, tag)
    local list = {}
    for i = 1, n do list[i] = ('{"event_id":"%s-%08d"}'):format(tag, i) end
    return "[" .. table.concat(list, ",") .. "]"
  end

  local function metric(name, stream)
    return s:metric(name, ('stream="%s"'):format(stream or "plain"))
  end

  ---Waits until all that this process has stored is indexed, before is what it had
  ---indexed of others'.
  local function settle(before)
    h.wait_for("the index of all that is stored", function()
      for _, name in ipairs { "plain", "deep", "once", "refused" } do
        if metric("sluice_index_events_total", name) - (before and before[name] or 0)
          < metric("sluice_stored_events_total", name) then return false end
      end
      return true
    end, 60)
  end

  ---Sends an event to this process and waits until another one has indexed it.
  local function mark(id)
    for _, stream in ipairs { "open", "deep_open", "once" } do
      h.wait_for("the mark", function()
        return s:post("/" .. stream, ('[{"event_id":"%s","a":{"id":"%s"}}]'):format(id, id))
          .status == 202
      end)
    end
  end
  local function marked(id)
    h.wait_for("the mark in a file", function()
      return select(2, h.shell(("%s find --id '%s' --json '%s'"):format(h.binary, id, s.data))
        :gsub('"indexed":%s*true', "")) >= 3
    end, 30)
    local before = {}
    for _, name in ipairs { "plain", "deep", "once", "refused" } do
      before[name] = metric("sluice_index_events_total", name)
        - metric("sluice_stored_events_total", name)
    end
    return before
  end

  ---The index files, and of which field each is.
  local function files(data)
    local all, fields = {}, {}
    local names = h.shell(("cd '%s/spool' && find . -name '*.idx' | sort"):format(data))
    for name in names:gmatch("[^\n]+") do
      all[name] = h.read(data .. "/spool/" .. name)
      fields[name] = all[name]:sub(129, 640):match("^%Z+")
    end
    return all, fields
  end

  ---A process that has the same segments, but not the files of that field, makes the same
  ---ones; how many.
  local function same_from_spool(o)
    local handed, fields = files(s.data)
    local copy, n = h.folder(), 0
    h.shell(("cp -a '%s' '%s/data'"):format(s.data, copy))
    for name, field in pairs(fields) do
      if not o or field == o.field or not name:find "plain" then
        n = n + 1
        os.remove(copy .. "/data/spool/" .. name)
      end
    end
    -- It has no account: that names the field by which a process's events are indexed.
    h.shell(("rm -f '%s'/data/spool/*/index/ACCOUNT"):format(copy))
    local other = h.server { dir = copy, policy = policy(o) }
    local read = {}
    h.wait_for("as many files", function()
      read = files(other.data)
      for name in pairs(handed) do
        if not read[name] then return false end
      end
      return true
    end, 30)
    other:close()
    for name, bytes in pairs(handed) do
      assert.is_true(bytes == read[name], name .. " differs")
      read[name] = nil
    end
    assert.is_nil(next(read))
    return n
  end

  local function read_share(stream)
    return metric("sluice_index_read_events_total", stream)
      / metric("sluice_index_events_total", stream)
  end

  it("are those that reading gives, whatever clients send", function()
    start()
    local got = send(220, 60)
    for status in pairs(got) do
      assert.is_true(status == 202 or status == 422, "status " .. status)
    end
    settle()
    for _, stream in ipairs { "plain", "deep", "once", "refused" } do
      assert.is_true(metric("sluice_index_events_total", stream) > 20, stream)
    end
    -- Blocks with an event that is not sure are read; others are not.
    assert.is_true(read_share "plain" < 0.9)
    assert.equal(0, s:stop())
    assert.is_true(same_from_spool() >= 4)
  end)

  it("come without a read, over segments and files", function()
    start()
    for i = 1, 40 do
      assert.equal(202, s:post("/named", uniform(9000, "r" .. i)).status)
    end
    settle()
    -- A block may be seen in the moment before its ids are there.
    assert.is_true(read_share() < 0.2)
    assert.equal(0, s:stop())
    local _, segments = h.shell(("ls '%s'/spool/plain/*/"):format(s.data)):gsub("%.seg", "")
    assert.is_true(segments >= 3)
    assert.is_true(same_from_spool() >= 3)
  end)

  it("are dropped when the index's thread hangs, and no worker waits", function()
    start()
    s:post("/named", uniform(10, "first"))
    f:rules "on=write do=delay ms=2500 path=/index/ thread=index"
    local slowest = 0
    for i = 1, 60 do
      local began = h.now()
      assert.equal(202, s:post("/named", uniform(9900, "f" .. i)).status)
      slowest = math.max(slowest, h.now() - began)
    end
    f:rules()
    settle()
    assert.is_true(metric "sluice_index_read_events_total" > 0)
    assert.is_true(slowest < 2)
    assert.equal(0, s:stop())
    assert.is_true(same_from_spool() >= 3)
  end)

  for _, c in ipairs {
    { "the disk is full now and then", "on=write do=ENOSPC path=/spool/ permille=150 seed=5" },
    { "blocks are cut", "on=write do=short path=/plain/ permille=300 seed=9" },
    { "syncs are slow", "on=sync do=delay ms=40 path=/plain/", "synced" },
  } do
    it("are those of the blocks that lie there when " .. c[1], function()
      start { ack = c[3] }
      send(10, 20)
      f:rules(c[2])
      send(60, 40)
      f:rules()
      mark "end"
      send(20, 20)
      settle()
      assert.equal(0, s:stop())
      assert.is_true(same_from_spool { ack = c[3], field = "event_id" } >= 3)
    end)
  end

  -- Another process sees events of a sync that failed as the disk has them, this one as its
  -- clients were told. So they are looked up, one by one.
  it("are those of all acknowledged events, and of no others, when syncs fail", function()
    start { ack = "synced" }
    local answers, n_failed = {}, 0
    for i = 1, 40 do
      if i % 8 == 0 then f:rules "on=sync do=EIO path=/plain/" end
      answers[i] = s:post("/named", uniform(1, "i" .. i)).status
      if i % 8 == 0 then
        f:rules()
        h.wait_for("syncs to work", function()
          return s:post("/named", uniform(1, "probe")).status == 202
        end)
      end
      n_failed = n_failed + (answers[i] == 202 and 0 or 1)
    end
    mark "end"
    assert.equal(5, n_failed)
    assert.equal(0, s:stop())
    h.shell(("rm -r '%s'/spool/plain/*.0"):format(s.data)) -- the index alone tells
    for i, status in pairs(answers) do
      local out = h.shell(("%s find --id 'i%d-%08d' --json '%s'"):format(h.binary, i, 1, s.data))
      assert.equal(status == 202, out:find('"indexed":%s*true') ~= nil, i .. " " .. out)
    end
  end)

  it("are of the field that the file has, whatever a reload changes", function()
    start { workers = 2 }
    for round = 1, 3 do
      -- Busy with the files of one field while ids of the next come.
      if round == 3 then f:rules "on=write do=delay ms=300 path=/index/ thread=index" end
      for _, field in ipairs { "a.id", "n", "event_id" } do
        send(10, 30)
        h.write(s.path, policy { workers = 2, field = field })
        assert.equal(200, h.request(s.admin, "POST", "/reload").status)
        if round == 2 then h.sleep(0.15) end
      end
      -- The index option goes, and comes back: its thread goes on with the last field.
      send(5, 30)
      h.write(s.path, (policy { workers = 2 }:gsub(', index = "event_id", ack', ", ack")))
      assert.equal(200, h.request(s.admin, "POST", "/reload").status)
      send(5, 30)
    end
    f:rules()
    h.write(s.path, policy { workers = 2 })
    assert.equal(200, h.request(s.admin, "POST", "/reload").status)
    send(5, 30)
    settle()
    local before = metric "sluice_index_read_events_total"
    for i = 1, 10 do s:post("/named", uniform(2000, "last" .. i)) end
    settle()
    assert.is_true(metric "sluice_index_read_events_total" - before < 10000)
    assert.equal(0, s:stop())
    local _, fields = files(s.data)
    local seen = {}
    for _, field in pairs(fields) do seen[field] = true end
    for _, field in ipairs { "a.id", "event_id" } do
      assert.is_true(seen[field])
      assert.is_true(same_from_spool { workers = 2, field = field } >= 2)
    end
  end)

  it("are whole over kill -9 and restarts, and when another process takes over", function()
    start { workers = 2 }
    local before
    for i = 1, 4 do
      send(15, 40)
      mark("m" .. i)
      send(5, 10)
      if i % 2 == 1 then
        s:stop "SIGKILL"
        s:start()
      else
        upgrades.upgrade(s)
      end
      before = marked("m" .. i)
    end
    send(10, 40)
    settle(before)
    assert.equal(0, s:stop())
    assert.is_true(same_from_spool() >= 12)
  end)
end)
