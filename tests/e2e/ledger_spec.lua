-- sluice ledger of streams that are damaged, of spools that change while it reads, and of
-- sinks that come, go, or have dead letters.
local cjson = require "cjson"
local faults = require "faults"
local h = require "harness"
local receiver = require "receiver"

local function ledger_of(data, args, wrap)
  local out = h.shell(("exec 2>&1; %s %s ledger %s '%s'; echo code=$?"):format(
    table.concat(wrap or {}, " "), h.binary, args or "", data))
  return out, tonumber(out:match("code=(%d+)\n$"))
end

local function json_of(data, args)
  local out, code = ledger_of(data, "--json " .. (args or ""))
  local ok, v = pcall(cjson.decode, out:match("^[^\n]+"))
  return assert(ok and v, out), code
end

local function batch(from, to, bad)
  local list = {}
  for i = from, to do
    list[#list + 1] = ([[{"id":"e%d"%s}]]):format(i,
      bad and i % bad == 0 and ',"value":"text"' or "")
  end
  return "[" .. table.concat(list, ",") .. "]"
end

describe("the ledger of all streams", function()
  local s, f
  setup(function()
    local dir = h.folder()
    f = faults.new(dir .. "/data")
    local streams = {}
    for i, name in ipairs { "one", "three", "two" } do
      streams[i] = ([[stream %q { sinks = { "archive" }, index = "id" }
route "POST /%s" { body = "batch", stream = %q }]]):format(name, name, name)
    end
    streams[4] = ([[stream "idless" { sinks = { "archive" }, index = "wrong" }
route "POST /idless" { body = "batch", stream = "idless" }]])
    s = h.server { dir = dir, data = dir .. "/data", policy = h.policy { workers = 1,
      top = table.concat(streams, "\n") } }
    for _, name in ipairs { "one", "two", "three", "idless" } do
      s:post("/" .. name, batch(1, 10))
    end
    s:post("/v1/events", "{}")
    s:deliver()
    s:stop()
  end)
  teardown(function()
    s:close()
    f:close()
  end)

  -- All but stream three, which is named with the reason.
  local function others(why, wrap)
    local out, code = ledger_of(s.data, "", wrap)
    assert.equal(3, code, out)
    assert.matches("stream=one minutes=%d differ=0 accepted=10 ", out)
    assert.matches("stream=two minutes=%d differ=0 accepted=10 ", out)
    assert.matches("not compared: stream=three can't be read: [^\n]*" .. why, out)
    assert.matches("not compared: stream=events has no index", out)
  end

  it("names a stream whose index can't be listed, and goes on with the others", function()
    local index = s.data .. "/spool/three/index"
    h.shell(("mv '%s' '%s.kept' && touch '%s'"):format(index, index, index))
    others "three/index: Not a directory"
    local v, code = json_of(s.data)
    assert.equal(3, code)
    assert.same({ 3, 1, "three" }, { #v.streams, #v.failed, v.failed[1].stream })
    assert.matches("Not a directory", v.failed[1].why)
    h.shell(("rm '%s' && mv '%s.kept' '%s'"):format(index, index, index))
    assert.equal(0, (select(2, ledger_of(s.data))))
  end)

  it("does so where the disk gives nothing of its folder", function()
    f:rules "on=list do=EIO path=/spool/three"
    others("three/index: Input/output error", f:wrap())
    f:rules "on=stat do=EACCES path=/spool/three/"
    local out, code = ledger_of(s.data, "", f:wrap())
    assert.equal(1, code, out)
    assert.matches("stream=three [^\n]*unread_segments=1", out)
    f:rules()
  end)

  it("goes on after such a stream with a destination too, until that fails", function()
    local index = s.data .. "/spool/one/index"
    h.shell(("mv '%s' '%s.kept' && touch '%s'"):format(index, index, index))
    local out, code = ledger_of(s.data, "--clickhouse http://127.0.0.1:1 --table t --time at")
    h.shell(("rm '%s' && mv '%s.kept' '%s'"):format(index, index, index))
    assert.equal(3, code, out)
    assert.matches("not compared: stream=one can't be read: [^\n]*Not a directory", out)
    assert.matches("not compared: stream=idless has no ids: stream \"idless\": none of the 10 ",
      out)
    assert.matches("sluice: ClickHouse: ", out, 1, true)
    assert.is_nil(out:find("two", 1, true)) -- asked for three, it has failed
  end)

  it("is an error where a stream is named that can't be read", function()
    f:rules "on=list do=EIO path=/spool/three"
    local out, code = ledger_of(s.data, "--stream three", f:wrap())
    f:rules()
    assert.equal(3, code)
    assert.matches("^sluice: [^\n]*Input/output error", out)
    assert.matches("stream \"none\" has no index", (ledger_of(s.data, "--stream none")))
  end)

  it("takes no option that it would not obey", function()
    for _, args in ipairs { "--id e1", "--user x", "--timeout 5s", "--memory 1MiB",
      "--clickhouse http://127.0.0.1:1 --table t --time at --timeout 5s" } do
      local out, code = ledger_of(s.data, args)
      assert.equal(2, code, args)
      assert.matches("^usage: sluice ledger", out)
    end
    assert.matches('stream "evnts" has no index and no events here: sluice inspect names those '
      .. "that have\ncode=3", (ledger_of(s.data, "--stream evnts")))
    assert.matches('stream "events" has no index: put index = ', (ledger_of(s.data,
      "--stream events")))
  end)

  it("is no \"all well\" of a period without a whole minute", function()
    -- 20 s and 10 s ago may lie in two minutes, which is fine: not within one second.
    local out, code = ledger_of(s.data, "--since 10s --until 10s")
    assert.equal(2, code)
    assert.matches("usage: sluice ledger", out)
    out, code = ledger_of(s.data, "--since 1h --until 2h")
    assert.equal(2, code)
    assert.matches("expected --since to be the larger age", out, 1, true)
    assert.equal(0, (select(2, ledger_of(s.data, "--since 2h --until 1h"))))
    out = ledger_of(s.data, "--since 99999d --stream events") -- before 1970
    assert.is_nil(out:find("not known", 1, true), out)
  end)
end)

describe("the ledger of a stream", function()
  local s, r
  before_each(function() r = receiver.start() end)
  after_each(function()
    if s then s:close() s = nil end
    r:close()
  end)

  local function policy(o)
    return ([[
server { listen = "127.0.0.1:0", workers = 2, max_body = "1MiB", max_events = 5000,
  drain = "300ms" }
admin { listen = "127.0.0.1:0" }
spool { segment = "4MiB" }
%s
file "archive" { dir = "archive", linger = "5ms" }
stream "events" { sinks = { %s "archive" }, index = "id" }
route "POST /b" { body = "batch", stream = "events" }
]]):format(o.top or "", o.sinks or "")
  end

  local function hook(name, more)
    return ([[http %q { url = %q, batch = { target = 50, max = 50, linger = "5ms" }, %s }
]]):format(name, r.url, more or "")
  end

  local function reload(o)
    h.write(s.path, policy(o))
    assert.equal(200, h.request(s.admin, "POST", "/reload").status)
  end

  local function ledger(args)
    local v, code = json_of(s.data, "--stream events " .. (args or ""))
    return v.streams[1], code
  end

  local function find(id)
    local v = cjson.decode(h.shell(("%s find --id %s --json '%s'"):format(h.binary, id,
      s.data)))
    local by = {}
    for _, sink in ipairs(v.events[1].sinks) do by[sink.sink] = sink.state end
    return by
  end

  local function becomes(sink, counts)
    h.wait_for("the ledger", function()
      local l = ledger()
      for k, n in pairs(counts) do
        if not l.sinks[sink] or l.sinks[sink][k] ~= n then return false end
      end
      return true
    end)
  end

  it("adds up while segments are sealed and deleted under it", function()
    s = h.server { policy = policy {} }
    local pad, sent, runs = ("x"):rep(900), 0, 0
    for _ = 1, 40 do
      local list = {}
      for i = 1, 1000 do list[i] = ([[{"id":"e%d","pad":"%s"}]]):format(sent + i, pad) end
      local body = "[" .. table.concat(list, ",") .. "]"
      -- A ledger begins before the request, and goes on beside it.
      local out = s.dir .. "/ledger"
      local pid = h.spawn({ h.binary, "ledger", "--json", "--stream", "events", s.data },
        out)
      assert.equal(202, s:post("/b", body).status)
      local code = h.reap(pid)
      local text = h.read(out)
      h.write(out, "")
      local l = sent > 0 and cjson.decode(text).streams[1]
      if l then
        local a = l.sinks.archive
        assert.is_true(code == 0 or code == 1, text)
        assert.same({ 0, 0, 0 }, { l.unknown, l.damaged_files, l.unread_segments }, text)
        assert.is_true(l.accepted == sent or l.accepted == sent + 1000, text)
        assert.equal(l.accepted, a.confirmed + a.pending, text)
        runs = runs + 1
      end
      sent = sent + 1000
    end
    s:deliver()
    local l, code = ledger()
    assert.same({ 0, 40000, 40000 }, { code, l.accepted, l.sinks.archive.confirmed })
    assert.is_true(runs > 30)
  end)

  it("calls nothing confirmed that was gone before a sink came", function()
    s = h.server { policy = policy {} }
    s:post("/b", batch(1, 10))
    s:deliver()
    s:stop()
    s:start()
    h.wait_for("the shards of before to be gone", function()
      return cjson.decode(h.shell(("%s find --id e1 --json '%s'"):format(h.binary, s.data)))
        .events[1].certain == false
    end)
    s:post("/b", batch(11, 20))
    s:deliver()
    reload { top = hook("late", 'from = "now",') .. hook("later", 'from = "oldest",'),
      sinks = '"late", "later", ' }
    s:post("/b", batch(21, 30))
    s:deliver()
    local l, code = ledger()
    assert.equal(1, code)
    assert.same({ 20, 10, 0 }, { l.sinks.late.never_seen, l.sinks.late.confirmed,
      l.sinks.late.pending })
    -- The spool may still have 11 to 20.
    assert.is_true(l.sinks.later.never_seen >= 10 and l.sinks.later.confirmed >= 10)
    assert.equal(30, l.sinks.later.never_seen + l.sinks.later.confirmed)
    assert.equal(30, l.sinks.archive.confirmed)
    for _, name in ipairs { "late", "later" } do
      assert.equal("never_seen", find("e1")[name])
      assert.equal("confirmed", find("e21")[name])
    end
    -- Also once the journals are written again.
    s:stop "SIGKILL"
    s:start()
    s:deliver()
    assert.same(l.sinks, ledger().sinks)
  end)

  it("calls lost what a deleted shard took with it, and not confirmed", function()
    -- One has planned a batch, and may have sent it; Kafka's never got as far.
    local gone = 'http "gone" { url = "http://127.0.0.1:1/x" }\n'
      .. 'kafka "bus" { brokers = "127.0.0.1:1", topic = "events" }\n'
    s = h.server { policy = policy { top = hook "out" .. gone,
      sinks = '"out", "gone", "bus", ' } }
    s:post("/b", batch(1, 20))
    becomes("out", { confirmed = 20 })
    becomes("gone", { pending = 20 })
    s:stop() -- it writes the index, without which nobody knows of the events
    h.shell(("rm -r '%s'/spool/events/1.*"):format(s.data))
    for _ = 1, 2 do
      s:start()
      becomes("out", { confirmed = 20, pending = 0 })
      becomes("gone", { confirmed = 0, settled = 20 })
      becomes("bus", { confirmed = 0, lost = 20 })
      s:stop "SIGKILL"
    end
  end)

  it("blames no loss on a sink for what came after the stream left it", function()
    local with = { sinks = '"bus", ',
      top = 'kafka "bus" { brokers = "127.0.0.1:1", topic = "events" }\n' }
    s = h.server { policy = policy(with) }
    s:post("/b", batch(1, 10))
    becomes("bus", { pending = 10 })
    s:stop()
    s:start()
    s:post("/b", batch(11, 20))
    becomes("bus", { pending = 20 })
    reload {}
    s:post("/b", batch(21, 40))
    becomes("archive", { confirmed = 40 })
    becomes("bus", { pending = 20, never_seen = 20 })
    s:stop()
    h.shell(("rm -r '%s'/spool/events/2.*"):format(s.data))
    s:start()
    becomes("bus", { pending = 10, lost = 10, never_seen = 20, confirmed = 0 })
    reload(with) -- that they led elsewhere only its places know from here on
    becomes("bus", { pending = 10, lost = 10, never_seen = 20, confirmed = 0 })
    assert.same({ "pending", "lost", "never_seen" },
      { find("e1").bus, find("e11").bus, find("e21").bus })
  end)

  it("counts what a sink has, and what it gave up while it could not deliver", function()
    local o = { top = hook "slow", sinks = 'slow = { when_full = "skip", max_lag = "4MiB" }, ' }
    s = h.server { policy = policy(o) }
    r:rule "status 503"
    s:post("/b", batch(1, 10))
    h.wait_for("a try", function() return r:count "fault" > 0 end)
    s:stop "SIGKILL"
    s:start() -- it has a batch in hand, and looks at nothing else
    local pad, sent = ("x"):rep(900), 10
    for _ = 1, 24 do
      local list = {}
      for i = 1, 1000 do list[i] = ([[{"id":"e%d","pad":"%s"}]]):format(sent + i, pad) end
      assert.equal(202, s:post("/b", "[" .. table.concat(list, ",") .. "]").status)
      sent = sent + 1000
    end
    r:rule ""
    h.wait_for("the sink to go on", function() return r:count "taken" > 1 end)
    s:deliver()
    local taken = {}
    for _, line in ipairs(r:events()) do taken[cjson.decode(line).id] = true end
    local n = 0
    for _ in pairs(taken) do n = n + 1 end
    for _ = 1, 2 do
      local c = ledger().sinks.slow
      assert.same({ n, sent - n, 0 }, { c.confirmed, c.skipped, c.pending }, cjson.encode(c))
      s:stop "SIGKILL"
      s:start()
      s:deliver()
    end
    assert.is_true(n < sent)
  end)

  it("tells two sinks apart of which one is dead, and forgets one that goes", function()
    s = h.server { policy = policy { top = hook "good"
      .. 'http "gone" { url = "http://127.0.0.1:1/x" }\n', sinks = '"good", "gone", ' } }
    s:post("/b", batch(1, 20))
    becomes("good", { confirmed = 20 })
    local l, code = ledger()
    assert.same({ 1, 20, 0, 20, 0 }, { code, l.sinks.good.confirmed, l.sinks.gone.confirmed,
      l.sinks.gone.pending, l.sinks.good.pending })
    reload { top = hook "good", sinks = '"good", ' }
    -- It retires with what it is owed: still named.
    assert.equal(20, ledger().sinks.gone.pending)
    h.shell(("%s sink drop gone --admin 127.0.0.1:%d"):format(h.binary, s.admin))
    h.wait_for("it to go", function() return not ledger().sinks.gone end)
    l, code = ledger()
    assert.same({ 0, 20 }, { code, l.sinks.good.confirmed })
    -- Another one of that name has nothing of it, but its server may have: that was planned.
    s:post("/b", batch(21, 30))
    s:deliver()
    reload { top = hook "good" .. hook("gone"), sinks = '"good", "gone", ' }
    s:post("/b", batch(31, 40))
    becomes("gone", { confirmed = 10, never_seen = 0, dead = 0, settled = 30 })
  end)

  it("counts a dead letter once, whatever is sent again", function()
    s = h.server { policy = policy { top = hook "out", sinks = '"out", ' } }
    r:rule "poison"
    s:post("/b", batch(1, 20, 10))
    becomes("out", { confirmed = 18, dead = 2 })
    r:rule ""
    for _ = 1, 2 do
      assert.matches("^replayed=", h.shell(
        ("%s dead replay --sink out --admin 127.0.0.1:%d 2>&1"):format(h.binary, s.admin)))
      local l = ledger()
      assert.same({ 20, 18, 2, 0, 20 }, { l.accepted, l.sinks.out.confirmed, l.sinks.out.dead,
        l.sinks.out.pending, l.sinks.archive.confirmed })
      assert.equal("dead", find("e10").out)
    end
    s:stop "SIGKILL"
    s:start()
    becomes("out", { confirmed = 18, dead = 2 })
  end)

  it("follows a sink to its new name, with its dead letters", function()
    s = h.server { policy = policy { top = hook "out", sinks = '"out", ' } }
    r:rule "poison"
    s:post("/b", batch(1, 20, 10))
    becomes("out", { confirmed = 18, dead = 2 })
    reload { top = hook("other", 'was = "out"'), sinks = '"other", ' }
    s:post("/b", batch(21, 25))
    becomes("other", { confirmed = 23, dead = 2, never_seen = 0 })
    assert.is_nil(ledger().sinks.out)
  end)

  it("calls nothing confirmed, and nothing lost, that came while a sink retires", function()
    s = h.server { policy = policy { top = 'http "gone" { url = "http://127.0.0.1:1/x" }\n',
      sinks = '"gone", ' } }
    s:post("/b", batch(1, 10))
    becomes("gone", { pending = 10 })
    reload {}
    s:stop()
    s:start()
    s:post("/b", batch(11, 20))
    becomes("archive", { confirmed = 20 })
    s:stop()
    s:start()
    h.wait_for("the shard to be gone", function()
      return cjson.decode(h.shell(("%s find --id e11 --json '%s'"):format(h.binary, s.data)))
        .events[1].certain == false
    end)
    local c = ledger().sinks.gone
    assert.same({ 0, 10, 10, 0 }, { c.confirmed, c.pending, c.never_seen, c.lost })
    assert.equal("never_seen", find("e11").gone)
    assert.equal("planned", find("e1").gone)
  end)

  it("owes nothing new to a sink that left the policy and whose own is lost", function()
    s = h.server { policy = policy { top = 'http "gone" { url = "http://127.0.0.1:1/x" }\n',
      sinks = '"gone", ' } }
    s:post("/b", batch(1, 10))
    becomes("gone", { pending = 10 })
    s:stop()
    h.write(s.path, policy {})
    h.shell(("rm '%s'/spool/sinks/*.policy"):format(s.data))
    s:start()
    s:logged "sink=gone status=holding why=.it is not in the policy"
    s:post("/b", batch(11, 20))
    becomes("archive", { confirmed = 20 })
    for _ = 1, 2 do
      becomes("gone", { pending = 10, never_seen = 10, confirmed = 0 })
      s:stop()
      s:start()
    end
    h.wait_for("the shard to be gone", function()
      return cjson.decode(h.shell(("%s find --id e11 --json '%s'"):format(h.binary, s.data)))
        .events[1].certain == false
    end)
    becomes("gone", { pending = 10, never_seen = 10, confirmed = 0 })
    assert.equal("never_seen", find("e11").gone)
  end)

  it("says what a stream missed while it led elsewhere", function()
    local with = { top = hook "out", sinks = '"out", ' }
    s = h.server { policy = policy(with) }
    s:post("/b", batch(1, 10))
    s:deliver()
    reload {}
    h.wait_for("it to go", function() return not ledger().sinks.out end)
    s:post("/b", batch(11, 20))
    s:deliver()
    reload(with)
    s:post("/b", batch(21, 30))
    s:deliver()
    local c = ledger().sinks.out
    assert.equal(0, c.dead + c.lost + c.skipped + c.pending)
    assert.equal(30, c.confirmed + c.settled + c.never_seen)
    assert.equal("confirmed", find("e21").out)
    assert.not_equal("confirmed", find("e11").out)
  end)

  it("says what the sinks had of a stream that left the policy, also after kill -9", function()
    s = h.server { policy = policy { top = hook "out", sinks = '"out", ' } }
    r:rule "poison"
    s:post("/b", batch(1, 10, 10))
    becomes("out", { confirmed = 9, dead = 1 })
    becomes("archive", { confirmed = 10 })
    -- Then it leads to another sink, and then it is gone.
    local all = hook "out" .. 'file "later" { dir = "later", linger = "5ms" }\n'
    h.write(s.path, (policy { top = all }:gsub('sinks = {  "archive" }, index',
      'sinks = { "later" }, index') .. 'stream "kept" { sinks = { "out", "archive" } }\n'))
    assert.equal(200, h.request(s.admin, "POST", "/reload").status)
    for _, sink in ipairs { "out", "archive" } do
      s:logged("event=sink sink=" .. sink .. " stream=events status=retired")
    end
    s:post("/b", batch(11, 15))
    becomes("later", { confirmed = 5 })
    h.write(s.path, (policy { top = all }:gsub('"events"', '"other"')
      :gsub("sinks = {", 'sinks = { "out", "later", ')))
    assert.equal(200, h.request(s.admin, "POST", "/reload").status)
    s:logged("event=sink sink=later stream=events status=retired")
    local function says()
      local l = ledger()
      assert.same({ 9, 1, 0, 5, 10 }, { l.sinks.out.confirmed, l.sinks.out.dead,
        l.sinks.out.settled, l.sinks.out.never_seen, l.sinks.archive.confirmed })
      assert.same({ 5, 0 }, { l.sinks.archive.never_seen, l.sinks.later.settled })
      assert.same({ 5, 10 }, { l.sinks.later.confirmed, l.sinks.later.never_seen })
    end
    says()
    s:stop "SIGKILL"
    says()
    s:start()
    says()
  end)

  it("agrees once a stream has left the policy, also where a sink left it first", function()
    local kept = hook "out" .. 'stream "kept" { sinks = { "out", "archive" } }\n'
    s = h.server { policy = policy { top = kept, sinks = '"out", ' } }
    s:post("/b", batch(1, 10))
    s:deliver()
    reload { top = kept }
    s:post("/b", batch(11, 15))
    s:deliver()
    h.write(s.path, (policy { top = kept }:gsub('"events"', '"other"')))
    assert.equal(200, s:reload().status)
    s:logged "sink=archive stream=events status=retired"
    local l, code = ledger()
    assert.same({ 0, 15, 10 }, { code, l.sinks.archive.confirmed, l.sinks.out.confirmed })
  end)
end)
