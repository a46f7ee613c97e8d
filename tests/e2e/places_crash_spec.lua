-- What sluice find and sluice ledger say of events whose sink was killed, or lost its power,
-- between two steps: "confirmed" only of what the destination has taken.
local cjson = require "cjson"
local faults = require "faults"
local h = require "harness"
local receiver = require "receiver"

local function policy(r, o)
  o = o or {}
  local hook = ([[
http "hook" { url = %q, batch = { target = 3, min = 1, linger = "5ms" }, %s }
]]):format(r.url, o.more or "")
  return ([[
server { listen = "127.0.0.1:0", workers = 1, max_body = "1MiB" }
admin { listen = "127.0.0.1:0" }
%s %s
file "archive" { dir = "archive", linger = "5ms" }
stream "events" { sinks = { %s "archive" }, %s }
route "POST /b" { body = "batch", stream = "events" }
]]):format(o.hook == false and "" or hook, o.top or "",
    (o.hook == false and "" or '"hook", ') .. (o.sinks or ""), o.stream or 'index = "id"')
end

describe("the fate of an event whose sink was interrupted", function()
  local r, s, f

  before_each(function()
    r = receiver.start()
    local dir = h.folder()
    f = faults.new(dir .. "/data")
    s = setmetatable({ dir = dir, data = dir .. "/data", log = dir .. "/log",
      path = dir .. "/policy.lua", wrap = f:wrap(), args = {} }, h.Server)
  end)
  after_each(function()
    s:close()
    f:close()
    r:close()
  end)

  local function start(o)
    h.write(s.path, policy(r, o))
    s:start()
  end

  local function find(id, args)
    local v = cjson.decode(h.shell(("%s find --id '%s' --json %s '%s'"):format(h.binary, id,
      args or "", s.data)))
    local by = {}
    for _, sink in ipairs(v.events[1] and v.events[1].sinks or {}) do by[sink.sink] = sink end
    return by
  end

  local function ledger(args)
    local out = h.shell(("%s ledger --json --stream events %s '%s'; echo code=$?"):format(
      h.binary, args or "", s.data))
    return cjson.decode(out:match("^[^\n]+")).streams[1], tonumber(out:match("code=(%d+)"))
  end

  local function batch(...)
    local list = {}
    for i, id in ipairs { ... } do
      list[i] = ([[{"id":"%s"%s}]]):format(id, id:find("^bad") and ',"value":"text"' or "")
    end
    return "[" .. table.concat(list, ",") .. "]"
  end

  local function apart(tail) return s.data .. "/spool/sinks/hook.apart" .. (tail or "") end

  local function killed()
    h.wait_for("the kill", function() return s:ended() end)
  end

  local function deliver()
    h.wait_for("delivery", function()
      return s:metric("sluice_sink_lag_bytes", 'sink="hook"') == 0
        and s:metric("sluice_sink_lag_bytes", 'sink="archive"') == 0
    end)
  end

  -- A start writes the journal again: only the places tell how an event ended.
  local function again()
    for _ = 1, 2 do
      s:start()
      deliver()
      s:stop "SIGKILL"
    end
  end

  local function is_dead(id, good)
    assert.equal("dead", (find(id).hook or {}).state, h.shell(("%s find --id %s '%s'"):format(
      h.binary, id, s.data)))
    local l, code = ledger()
    assert.same({ 1, 1, good, 0, 0 }, { code, l.sinks.hook.dead, l.sinks.hook.confirmed,
      l.sinks.hook.pending, l.sinks.hook.settled })
  end

  it("is dead when a kill comes between the journal and the note", function()
    start()
    r:rule "poison"
    s:post("/b", batch("a"))
    deliver()
    f:rules "on=write do=kill path=hook.apart times=1"
    s:post("/b", batch("b", "bad", "c"))
    killed()
    f:rules()
    assert.equal("dead", find("bad").hook.state)
    again()
    is_dead("bad", 3)
    assert.equal("confirmed", find("c").hook.state)
  end)

  -- A dead letter, noted; the size of the file before it.
  local function one_dead(o)
    start(o)
    r:rule "poison"
    s:post("/b", batch("a"))
    deliver()
    local before = #(h.read(apart()) or "")
    s:post("/b", batch("b", "bad", "c"))
    deliver()
    s:stop "SIGKILL"
    return before
  end

  it("is dead when a power cut takes the note, a part of it, or leaves zeros", function()
    local before = one_dead()
    local whole = h.read(apart())
    assert.is_true(#whole > before)
    for _, text in ipairs { whole:sub(1, before), whole:sub(1, before + 30),
      whole:sub(1, before) .. ("\0"):rep(4000) } do
      -- The journal as it was: the one of now has forgotten the letter.
      h.shell(("cp -a '%s/spool' '%s/spool.kept'"):format(s.data, s.data))
      h.write(apart(), text)
      is_dead("bad", 3)
      again()
      is_dead("bad", 3)
      assert.is_nil(h.read(apart(".cut")))
      h.shell(("rm -r '%s/spool' && mv '%s/spool.kept' '%s/spool'"):format(s.data, s.data,
        s.data))
    end
  end)

  it("is dead after a power cut, once the journal has forgotten it", function()
    if not h.shell("id -u"):match "^0" or not h.shell("losetup -f"):match "^/dev/loop" then
      pending "needs root and a loop device"
      return
    end
    local image, mnt = s.dir .. "/image", s.dir .. "/mnt"
    local function mount() h.shell(("mount -o loop '%s' '%s'"):format(image, mnt)) end
    h.shell(("truncate -s 200M '%s' && mkfs.ext4 -q -F '%s' && mkdir '%s'"):format(image, image,
      mnt))
    mount()
    finally(function()
      if s.pid then s:stop "SIGKILL" end
      h.shell(("umount '%s'"):format(mnt))
    end)
    s.data, s.wrap = mnt .. "/data", {}
    one_dead { stream = 'index = "id", ack = "synced"' } -- the events outlive it, too
    s:start() -- it writes the journal again, and syncs it
    s:stop "SIGKILL"
    h.shell(("xfs_io -x -c shutdown '%s'; umount '%s'"):format(mnt, mnt))
    mount()
    is_dead("bad", 3)
  end)

  it("is dead as long as the disk takes no record of it: the journal does not forget it",
  function()
    r:rule "poison"
    f:rules "on=create do=ENOSPC path=hook.apart"
    start()
    s:post("/b", batch("b", "bad", "c"))
    deliver()
    s:stop "SIGKILL"
    for _ = 1, 2 do
      s:start()
      s:logged "event=journal_not_rewritten sink=hook why=.*hook.apart takes no record"
      deliver()
      s:stop "SIGKILL"
      is_dead("bad", 2)
    end
    f:rules()
    again()
    assert.equal("dead", find("bad").hook.state)
    assert.equal("confirmed", find("b").hook.state) -- its place is recorded
  end)

  it("is known also of a stream that had no index then", function()
    one_dead { stream = "", top = 'http "down" { url = "http://127.0.0.1:1/x" }',
      sinks = '"down", ' }
    again()
    assert.equal("dead", find("bad", "--field id").hook.state)
    assert.equal("confirmed", find("b", "--field id").hook.state)
  end)

  it("is not known where the record of what is dead was damaged", function()
    one_dead()
    again()
    local text = h.read(apart())
    -- One byte of the letter's record; another one comes after it.
    local at = assert(text:find("an event is bad", 1, true))
    h.write(apart(), text:sub(1, at - 1) .. "A" .. text:sub(at + 1))
    s:start()
    s:post("/b", batch("d", "bad2", "e"))
    deliver()
    s:stop "SIGKILL"
    local l, code = ledger()
    assert.same({ 1, 1, 0 }, { code, l.sinks.hook.dead, l.sinks.hook.pending })
    assert.equal(7, l.sinks.hook.settled + l.sinks.hook.confirmed + 1)
    assert.not_equal("confirmed", find("bad").hook.state)
    assert.equal("confirmed", find("b").hook.state) -- its place is recorded
    assert.equal("dead", find("bad2").hook.state)
  end)

  it("is unread where the disk does not give the record of what is dead", function()
    one_dead()
    again()
    h.shell(("mv '%s' '%s/kept' && mkdir '%s'"):format(apart(), s.data, apart()))
    local l, code = ledger()
    assert.equal(1, code)
    assert.matches("^hook: .*hook%.apart", l.unread)
    assert.is_nil(l.sinks.hook)
    assert.is_nil(find("bad").hook)
    assert.matches("unread: hook%.journal: .*apart", h.shell(("%s find --id bad '%s'"):format(
      h.binary, s.data)))
  end)

  it("is never_seen of a sink with from = \"now\", killed before it can say so", function()
    start { hook = false }
    s:post("/b", batch("a", "b", "c"))
    s:deliver()
    s:stop()
    h.write(s.path, policy(r, { more = 'from = "now",' }))
    f:rules "on=write do=kill path=hook.apart times=1"
    s:start(true)
    killed()
    f:rules()
    s:start()
    s:post("/b", batch("d"))
    deliver()
    s:stop "SIGKILL"
    again()
    assert.equal("never_seen", find("a").hook.state)
    assert.equal("confirmed", find("d").hook.state)
    local l, code = ledger()
    assert.same({ 1, 3, 1, 4 }, { code, l.sinks.hook.never_seen, l.sinks.hook.confirmed,
      l.sinks.archive.confirmed })
  end)

  -- A sink that has a journal, and is new to the stream.
  local function late_hook()
    local other = '\nstream "x" { sinks = { "hook" } }\n'
      .. 'route "POST /x" { body = "event", stream = "x" }\n'
    start { hook = false }
    s:post("/b", batch("a", "b", "c"))
    s:deliver()
    s:stop()
    h.write(s.path, (policy(r, { more = 'from = "now",' }):gsub('"hook", +"archive"',
      '"archive"')) .. other)
    s:start()
    return policy(r, { more = 'from = "now",' }) .. other
  end

  it("is never_seen where the record of that is not there when a sink begins to read",
  function()
    local with = late_hook()
    s:stop()
    h.write(s.path, with)
    f:rules "on=read do=EIO path=/hook.journal"
    s:start()
    s:logged "sink=hook status=holding why=.*Input/output error"
    f:rules "on=write do=kill path=hook.apart times=1"
    killed()
    f:rules()
    again()
    assert.equal("never_seen", find("a").hook.state)
    assert.equal(3, ledger().sinks.hook.never_seen)
  end)

  it("is never_seen after a power cut: the record is on the disk before the journal has a "
    .. "beginning", function()
    local with = late_hook()
    h.write(s.path, with)
    f:rules "on=sync do=kill path=hook.apart times=1"
    pcall(s.reload, s)
    killed()
    f:rules()
    local journal = h.read(s.data .. "/spool/sinks/hook.journal")
    assert.is_nil(journal:find("events", 1, true))
    assert.is_truthy(h.read(apart()):find("events", 1, true))
  end)

  it("is pending in a file that a power cut may have made shorter, until the next start",
  function()
    if not h.shell("id -u"):match "^0" or not h.shell("unshare -m true && echo y"):match "y" then
      pending "needs root and mount namespaces"
      return
    end
    start()
    s:post("/b", batch("a", "b", "c"))
    deliver()
    s:stop "SIGKILL"
    local file = h.shell(("ls '%s'/archive/*.part"):format(s.data)):match "[^\n]+"
    h.write(file, h.read(file):sub(1, 5))
    local id = s.dir .. "/boot_id"
    h.write(id, "00000000-0000-4000-8000-000000000000\n")
    -- The machine has another number now, for that command.
    local function restarted(command)
      return h.shell(([[unshare -m sh -c 'mount --bind "%s" /proc/sys/kernel/random/boot_id &&
        exec "$0" "$@"' %s %s]]):format(id, h.binary, command))
    end
    local out = restarted(("find --id a '%s'"):format(s.data))
    assert.matches("sink=archive pending file=events%S+ before_byte=%d+ %(the machine has "
      .. "restarted", out)
    assert.matches("sink=hook confirmed", out)
    local c = cjson.decode(restarted(("ledger --json '%s'"):format(s.data)):match "^[^\n]+")
      .streams[1].sinks
    assert.same({ 0, 3, 3 }, { c.archive.confirmed, c.archive.pending, c.hook.confirmed })
    s:start()
    deliver()
    assert.equal(3, ledger().sinks.archive.confirmed)
    assert.equal("confirmed", find("a").archive.state)
    local _, n = h.read(h.shell(("ls '%s'/archive/*"):format(s.data)):match "[^\n]+")
      :gsub("\n", "")
    assert.equal(3, n)
  end)

  it("is right at each step at which the server is killed", function()
    -- One run without a kill tells how many steps there are.
    local function run(n, m)
      s.data = ("%s/data/%d"):format(s.dir, n)
      h.shell(("mkdir -p '%s'"):format(s.data))
      r:rule "poison"
      h.write(s.path, policy(r))
      local from = f:changes()
      if n > 0 then f:rules(("on=change do=kill from=%d times=1"):format(n)) end
      local ids, ok = {}, pcall(s.start, s)
      for i = 1, ok and 3 or 0 do
        local a, b, c = ("g%d.%d"):format(n, i), ("bad%d.%d"):format(n, i),
          ("h%d.%d"):format(n, i)
        local posted, answer = pcall(s.post, s, "/b", batch(a, b, c))
        if not posted or not answer or answer.status ~= 202 then break end
        for _, id in ipairs { a, b, c } do ids[#ids + 1] = id end
        h.wait_for("the step", function()
          local read, lag = pcall(s.metric, s, "sluice_sink_lag_bytes")
          return not read or lag == 0
        end)
      end
      local steps = f:changes() - from
      f:rules()
      if s.pid then s:stop "SIGKILL" end
      local wrong = {}
      local function check(done)
        local taken, letters = {}, h.read(s.data .. "/dead/sink-hook.ndjson") or ""
        for _, line in ipairs(r:events()) do taken[cjson.decode(line).id] = true end
        for _, id in ipairs(ids) do
          local state = (find(id).hook or {}).state or "unknown"
          local dead = letters:find(('"%s"'):format(id), 1, true) ~= nil
          local is = dead and "dead" or taken[id] and "confirmed" or "pending"
          if (state == "confirmed" and not taken[id]) or (state == "dead" and not dead)
              or state == "settled" or (done and state ~= is) then
            wrong[#wrong + 1] = ("step %d: %s is %s, and find says %s"):format(n, id, is,
              state)
          end
        end
        if done and #ids > 0 then
          local l = ledger()
          -- A request that had no answer may have been stored.
          if l.accepted < #ids or l.sinks.hook.dead * 3 ~= l.accepted
              or l.sinks.hook.confirmed * 3 ~= 2 * l.accepted then
            wrong[#wrong + 1] = ("step %d: %s"):format(n, cjson.encode(l.sinks.hook))
          end
        end
      end
      check(false)
      if m then
        f:rules(("on=change do=kill from=%d times=1"):format(m))
        if pcall(s.start, s) then
          h.wait_for("the end of recovery", function()
            local read, lag = pcall(s.metric, s, "sluice_sink_lag_bytes")
            return not read or lag == 0
          end)
          if s.pid then s:stop "SIGKILL" end
        end
        f:rules()
        check(false)
      end
      again()
      check(true)
      return steps, wrong
    end

    local total, wrong = run(0)
    assert.same({}, wrong)
    local all = os.getenv("SLUICE_CRASH_POINTS") or ""
    local step = all:match("^all") and 1 or math.max(1, math.floor(total / 5))
    for n = step == 1 and 1 or math.random(step), total, step do
      local _, list = run(n, 1 + (n * 7) % 40)
      for _, w in ipairs(list) do wrong[#wrong + 1] = w end
    end
    assert.same({}, wrong)
  end)
end)
