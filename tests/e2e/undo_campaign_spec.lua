-- Policies that are refused late, one after the other under load, between live ones that
-- rename all sinks, canaries and upgrades: each sink has every event that was accepted once,
-- and a sink that no live policy has gets none.
local cjson = require "cjson"
local clickhouse = require "clickhouse"
local h = require "harness"
local hanging = require "hanging"
local kafka = require "kafka"
local upgrades = require "upgrades"

local why_not = clickhouse.missing()

---@param o table names and was of bus, olap, archive; more: sinks of a refused policy; to:
---their names; kafka, clickhouse, file: options; without: a sink that it does not have;
---where: of the sinks' topic, table and folders
local function policy(ch, m, o)
  local function sink(kind, key, text)
    local name, was = o[key] or key, o[key .. "_was"]
    return o.without == key and "" or ("%s %q { %s %s %s }\n"):format(kind, name, text,
      was and ("was = %q,"):format(was) or "", o[kind] or "")
  end
  local to = {}
  for _, key in ipairs { "bus", "olap", "archive" } do
    if o.without ~= key then to[#to + 1] = ("%q"):format(o[key] or key) end
  end
  for _, name in ipairs(o.to or {}) do to[#to + 1] = ("%q"):format(name) end
  return table.concat { [[
server { listen = "127.0.0.1:0", workers = 2, drain = "5s" }
admin { listen = "127.0.0.1:0" }
]], o.top or "",
    sink("kafka", "bus", ('brokers = %q, topic = %q,'):format(m.brokers, o.where or "events")),
    ch and sink("clickhouse", "olap", ([[urls = { %q }, table = "default.%s",
      columns = { raw = "@event" }, breaker = { timeout = "1m" },]]):format(ch.url,
      o.where or "events"))
      or sink("file", "olap", ('dir = %q, linger = "5ms",'):format(o.where or "olap")),
    sink("file", "archive", ('dir = "archive%s", linger = "5ms",'):format(o.where or "")),
    o.more or "", ([[
stream "events" { sinks = { %s } }
route "POST /v1/events/batch" { body = "batch", stream = "events" }
]]):format(table.concat(to, ", ")) }
end

describe("policies that are refused late, under load", function()
  local ch, m, s
  setup(function() if not why_not then ch = clickhouse.start() end end)
  teardown(function() if ch then ch:close() end end)
  before_each(function()
    m = kafka.mock()
    m:say "topic never 1"
    if ch then
      ch:must "DROP TABLE IF EXISTS events"
      ch:must "CREATE TABLE events (raw String) ENGINE = Memory"
      ch:must "DROP TABLE IF EXISTS never"
      ch:must "CREATE TABLE never (raw String) ENGINE = Memory"
    end
  end)
  after_each(function()
    if s then s:close() s = nil end
    m:close()
  end)

  ---What a refused policy may have beside the sink that can't start.
  local function refused(live, i)
    local o = {}
    for k, v in pairs(live) do o[k] = v end
    local never = ('kafka "never" { brokers = %q, topic = "never" }\n'):format(m.brokers)
    local how = i % 6
    o.more, o.to = hanging.sink(hanging.BAD), { "bad" }
    if how == 0 then
      o.more, o.to = never .. o.more, { "never", "bad" }
    elseif how == 1 then
      o.bus, o.bus_was = "other", live.bus or "bus"
    elseif how == 2 then
      o.olap, o.olap_was = "other", live.olap or "olap"
    elseif how == 3 then
      o.archive, o.archive_was = "other", live.archive or "archive"
    elseif how == 4 then
      o.without = "bus"
    else
      o.where = "never"
      o.kafka = [[batch = { linger = "7ms" }, options = { ["client.id"] = "x" },]]
      o.clickhouse = [[pool = { max_open = 2 }, batch = { min = 10, target = 20, linger = "9ms" },]]
    end
    return o
  end

  local function load_policy(o, expected)
    h.write(s.path, policy(ch, m, o))
    local a = s:reload()
    assert.equal(expected, a.status, a.body)
  end

  local function arrived()
    local files = { kafka = s.dir .. "/messages", archive = s:collect "archive" }
    h.write(files.kafka, table.concat(kafka.consume(m.brokers, "events"), "\n") .. "\n")
    h.shell(("cp '%s' '%s/a'"):format(files.archive, s.dir))
    files.archive = s.dir .. "/a"
    if ch then
      files.clickhouse = s.dir .. "/rows"
      h.write(files.clickhouse, ch:must "SELECT raw FROM events FORMAT TSVRaw")
    else
      files.clickhouse = s:collect "olap"
    end
    return files
  end

  it("lose nothing, double nothing, and give no event to a sink of their own", function()
    local live, acks = {}, h.folder() .. "/acks"
    s = h.server { policy = policy(ch, m, live) }
    local rounds = tonumber(os.getenv "SLUICE_ROUNDS" or 12)
    local l = h.load(s.port, { path = "/v1/events/batch", batch = 10, connections = 4,
      rate = 60, seconds = 3600, acks = acks })
    finally(function() if l then h.kill(l.pid) end end)
    for i = 1, rounds do
      load_policy(refused(live, i), 500)
      if i % 4 == 0 then
        for _, key in ipairs { "bus", "olap", "archive" } do
          live[key .. "_was"] = live[key] or key
          live[key] = key .. i
        end
        load_policy(live, 200)
      elseif i % 4 == 2 then
        live.top = 'canary { share = "50%", during = "1h" }\n'
        load_policy(live, 200)
        live.top = nil
        load_policy(live, 200)
      elseif i % 4 == 3 then
        h.write(s.path, policy(ch, m, live))
        upgrades.upgrade(s)
      end
    end
    local f = h.load_end(l)
    l = nil
    assert.equal(0, f.other + f.broken + f.full)
    s:deliver(60)
    assert.equal(0, kafka.count(m.brokers, "never", 1))
    h.wait_for("the end of those that retire", function()
      return #cjson.decode(s:get("/status").body).retiring == 0
    end)
    assert.is_nil(h.read(s.log):find("not_undone", 1, true))
    assert.equal(0, s:stop())
    for name, file in pairs(arrived()) do
      local v = h.verify(acks, file)
      print(("# undo: %s, %d refused: %s"):format(name, rounds, (v.text:gsub("%s+$", ""))))
      assert.same({ 0, 0, 0 }, { v.missing, v.twice, v.torn }, name)
    end
    os.remove(acks)
  end)
end)
