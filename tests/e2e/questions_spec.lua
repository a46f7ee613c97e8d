-- What an operator asks at night, each asked of a server that really has the fault: the
-- documented command says what is wrong, since when, why and what to do.
local cjson = require "cjson"
local h = require "harness"
local receiver = require "receiver"

local OPERATIONS = h.read "conf/OPERATIONS.md"

local POLICY = [[
server { listen = "127.0.0.1:0", workers = 1, drain = "100ms", max_body = "1MiB" }
admin { listen = "127.0.0.1:0" }
spool { segment = "4MiB", max_bytes = "32MiB" }
access_log { path = "%s/access.log", always = "refused", sample = "0%%" }
http "out" { url = %q, batch = { linger = "5ms" }, breaker = { timeout = "1s" } }
stream "events" { sinks = { "out" }, index = "id" }
route "POST /v1/events" { body = "event", stream = "events",
  schema = schema { id = str {}, n = int {} },
  on_event = function(ev, req)
%s
  end }
%s
]]

describe("an operator who asks", function()
  local s, r
  before_each(function() r = receiver.start() end)
  after_each(function()
    if s then s:close() s = nil end
    r:close()
  end)

  local function text(dir, hook, more)
    return POLICY:format(dir, r.url, hook or "", more or "")
  end
  local function start(o)
    o = o or {}
    o.dir = o.dir or h.folder()
    o.policy = text(o.dir, o.hook)
    s = h.server(o)
  end

  ---A documented command's output and its exit code.
  local function sluice(args)
    local words = args:match "^%S+"
    assert.is_true(OPERATIONS:find("sluice " .. words, 1, true) ~= nil, words)
    local where = words == "find" and s.data or ("--spool '%s/spool'"):format(s.data)
    local out = h.shell(("{ %s %s %s; } 2>&1; echo rc=$?"):format(h.binary, args, where))
    return (out:gsub("rc=%d+\n$", "")), tonumber(out:match "rc=(%d+)\n$")
  end

  -- The line of a problem, and the one that says what to do about it.
  local function wrong(screen, what)
    local line, next = screen:match("WRONG  (" .. what .. "[^\n]*)\n       do: ([^\n]+)\n")
    assert.is_truthy(line, screen)
    return line, next
  end
  local function send(n)
    local body = ('{"id":"e%s","n":%s}'):format(n, type(n) == "number" and n or '"x"')
    return s:post("/v1/events", body)
  end
  -- Sends until a status that looks meanwhile has seen it; answers its screen.
  local function during(f)
    local screen
    local _, errors = h.together {
      status = function()
        screen = sluice "status --during 2s"
      end,
      clients = function()
        while not screen do
          f()
          h.sleep(0.01)
        end
      end }
    assert.same({}, errors)
    return screen
  end

  it("which sink is 10 minutes behind gets its name, since when, why and what to do",
  function()
    local dir = h.folder()
    start { dir = dir, wrap = h.own_clock(dir .. "/clock") }
    r:rule "status 503"
    for i = 1, 3 do assert.equal(202, send(i).status) end
    h.wait_for("the sink to hold", function()
      return s:metric "sluice_sink_holding" == 1 and s:metric "sluice_sink_left_events" == 3
    end)
    h.set_clock(dir .. "/clock", 600000)
    local screen, code
    h.wait_for("10 minutes", function()
      screen, code = sluice "status --during 20ms"
      return screen:find "the oldest for 10 min"
    end)
    assert.equal(1, code)
    local line, next = wrong(screen, "sink out takes nothing")
    assert.matches("takes nothing for 10 min, 3 events wait for it, the oldest for 10 min: "
      .. "status 503", line)
    assert.matches("events wait in the spool, none is lost", next)
    assert.matches("\n  out +holds +10 min +3 ", screen)
    r:rule ""
    s:deliver()
    assert.equal(0, select(2, sluice "status --during 20ms"))
  end)

  it("why events are refused gets the code, its share, the route, since when, and an event",
  function()
    start()
    local n = 0
    local screen = during(function()
      n = n + 1
      send(n % 20 == 0 and "x" or n)
    end)
    local line, next = wrong(screen, "POST /v1/events refuses")
    local share = tonumber(line:match "refuses (%d+) %% of its events just now with wrong_type")
    assert.is_true(share ~= nil and share >= 4 and share <= 9, line)
    assert.matches("%d+ since the start", line)
    assert.matches("sluice tap %-%-refused", next)
    -- For how long this code does so, from the server's own memory.
    assert.matches("with wrong_type, for %d+ s, [%d.]+ k? ?since the start$",
      wrong(during(function() send "x" end), "POST /v1/events refuses"))
    local seen
    local _, errors = h.together {
      tap = function() seen = sluice "tap --refused --count 1" end,
      clients = function()
        while not seen do
          send "x"
          h.sleep(0.02)
        end
      end }
    assert.same({}, errors)
    local x = cjson.decode(seen:match "[^\n]+")
    assert.same({ "wrong_type", "n" }, { x.code, x.field })
    -- A stray one is not said to be wrong.
    n = 0
    screen = during(function()
      n = n + 1
      send(n == 50 and "x" or n)
    end)
    assert.falsy(screen:find("WRONG  POST", 1, true), screen)
  end)

  it("which hook raises gets the route, how often, and where the line is", function()
    start { hook = 'if ev.n == 7 then error("no luck") end' }
    local screen = during(function() send(7) end)
    local line, next = wrong(screen, "hooks raised an error")
    assert.matches("%d+ times just now, %d+ times since the start, most by on_event of "
      .. "POST /v1/events", line)
    assert.matches("event=policy status=raised", next)
    assert.matches('event=policy status=raised [^\n]*policy.lua:%d+: no luck', s:text())
    h.wait_for("the letter", function()
      return h.shell(("%s dead list %s/dead"):format(h.binary, s.data))
        :find "reason=policy_error"
    end)
    screen = sluice "status --during 20ms"
    assert.matches("note   hooks have raised an error %d+ times since the start, most by "
      .. "on_event of POST /v1/events", screen)
  end)

  it("why the disk fills gets how full it is and what is left, before writes fail", function()
    local dir = h.folder()
    h.shell(("mkdir %s/data && mount -t tmpfs -o size=100m tmpfs %s/data"):format(dir, dir))
    if h.shell(("stat -f -c %%T %s/data"):format(dir)) ~= "tmpfs\n" then
      h.remove(dir)
      pending "needs root"
      return
    end
    local ok, why = pcall(function()
      start { dir = dir }
      assert.equal(202, send(1).status)
      local screen, code = sluice "status --during 20ms"
      assert.equal(0, code, screen)
      h.shell(("fallocate -l $(($(stat -f -c '%%a*%%S' %s/data) - 5000000)) %s/data/filler")
        :format(dir, dir))
      h.wait_for("a look at the disk", function()
        screen, code = sluice "status --during 20ms"
        return code == 1
      end)
      local line, next = wrong(screen, "the disk of the spool is")
      assert.matches("is 95 %% full, 4%.%d MiB are left", line)
      assert.matches("free space", next)
      os.remove(dir .. "/data/filler")
      h.wait_for("the next look", function()
        return select(2, sluice "status --during 20ms") == 0
      end)
    end)
    if s then s:stop "SIGKILL" end
    h.shell(("umount %s/data"):format(dir))
    assert(ok, why)
  end)

  -- Locks files of another tmpfs whose numbers are those of a small spool, and waits.
  local LOCKS = [[
import fcntl, sys
held = [open("%s/%d" % (sys.argv[1], i), "w") for i in range(100)]
for f in held: fcntl.flock(f, fcntl.LOCK_EX)
print("held", flush=True)
sys.stdin.read()
]]

  it("a server whose spool is on a tmpfs is answered, though files of other tmpfs with the "
    .. "same numbers are locked", function()
    local dir = h.folder()
    h.shell(("cd %s && mkdir data a b && for d in data a b; do mount -t tmpfs -o size=100m "
      .. "tmpfs $d; done"):format(dir))
    if h.shell(("stat -f -c %%T %s/b"):format(dir)) ~= "tmpfs\n" then
      h.remove(dir)
      pending "needs root"
      return
    end
    local holders = {}
    local function hold(folder)
      local log = dir .. "/" .. folder .. ".log"
      h.write(dir .. "/locks.py", LOCKS)
      holders[#holders + 1] = h.spawn({ "sh", "-c", ("sleep 4 | exec python3 %s/locks.py %s/%s")
        :format(dir, dir, folder) }, log)
      h.wait_for("the locks", function() return h.read(log) == "held\n" end)
    end
    local ok, why = pcall(function()
      hold "a"
      start { dir = dir }
      hold "b"
      local screen, code = sluice "status --during 20ms"
      assert.equal(0, code, screen)
    end)
    if s then s:stop "SIGKILL" end
    for _, pid in ipairs(holders) do h.reap(pid) end
    h.shell(("cd %s && umount data a b"):format(dir))
    assert(ok, why)
  end)

  local function load(hook, more)
    h.write(s.path, text(s.dir, hook, more))
    return s:reload()
  end
  local BAD = 'if ev.n > 5 then return reject("too_much", "n is over 5") end'

  it("whether the canary is worse gets its figures while it runs, and why it went", function()
    start()
    assert.equal(200, load(BAD, [[canary { share = "50%", during = "1h", by = "request",
      roll_back_if = function(old, new) end }]]).status)
    for i = 1, 100 do send(i) end
    local screen, code = sluice "status --during 20ms"
    -- Its own rule may never end it: an operator has to.
    assert.equal(1, code)
    local line, next = wrong(screen, "canary 2 does worse than the live policy")
    assert.matches("it refuses 9%d%.%d %% of 50 events %(0%.0 %%%)", line)
    assert.matches("only its own roll_back_if ends it", line)
    assert.matches("sluice rollback", next)
    assert.equal(0, select(2, sluice "rollback"))
    screen, code = sluice "status --during 20ms"
    assert.equal(0, code, screen)
    assert.matches("note   canary 2: rolled_back %(by hand%)", screen)

    -- sluice's rule rolls it back; the file still has it.
    assert.equal(200, load(BAD .. " -- again", [[canary { share = "50%", during = "30s",
      by = "request" }]]).status)
    h.wait_for("the way back", function()
      for i = 1, 20 do send(i) end
      return s:text():find("generation=3 result=rolled_back", 1, true)
    end)
    h.wait_for("generation 3 to go", function()
      screen, code = sluice "status --during 20ms"
      return code == 1
    end)
    line, next = wrong(screen, "canary 3 was rolled back")
    assert.matches("rolled back [%d.]+ m?s ago: it refuses %d+%.%d %% of %d+ events, the live "
      .. "one 0%.0 %%; generation 1 stays live, but a restart would take the policy of the "
      .. "file", line)
    assert.matches("sluice reload", next)
    assert.equal(0, s:stop())
    s:start()
    assert.equal(422, send(9).status) -- as was said
    assert.equal(200, load("").status)
    assert.equal(0, select(2, sluice "status --during 20ms"))
  end)

  it("whether the last load runs gets why it does not", function()
    start()
    assert.equal(422, load("nonsense (").status)
    local screen, code = sluice "status --during 20ms"
    assert.equal(1, code)
    local line, next = wrong(screen, "the last load of the policy was refused")
    assert.matches("ago: .*generation 1 stays live, but a restart would fail", line)
    assert.matches("sluice check", next)
    assert.matches("last load: generation 2, refused, by POST, [^,]+ ago: [^,]*policy.lua:1",
      screen)
    assert.equal(200, load("").status)
    assert.equal(0, select(2, sluice "status --during 20ms"))
  end)

  it("who sends garbage gets the code, the bytes and the address", function()
    start()
    local screen = during(function()
      send(1)
      s:raw "\22\3\1garbage\r\n\r\n"
    end)
    local line, next = wrong(screen, "no route: refuses")
    assert.matches("refuses %d+ %% of all events just now with bad_request", line)
    assert.matches("access log", next)
    assert.matches("\n  none +bad_request +400 ", screen)
    h.wait_for("the access log", function()
      return (h.read(s.dir .. "/access.log") or ""):find("status=400", 1, true)
    end)
    assert.matches('client="127%.0%.0%.1"[^\n]*status=400', h.read(s.dir .. "/access.log")
      :match "[^\n]+")
  end)

  it("where one event is gets its place, or where it was looked for", function()
    start { hook = 'if ev.n == 7 then return reject("seven", "no sevens") end' }
    assert.equal(202, send(1).status)
    s:deliver()
    r:rule "status 503"
    assert.equal(202, send(2).status)
    assert.equal(422, send(7).status)
    h.wait_for("the sink to hold", function() return s:metric "sluice_sink_holding" == 1 end)
    local out, code = sluice "find --id e1"
    assert.equal(0, code, out)
    assert.matches("sink=out confirmed at=", out)
    out, code = sluice "find --id e2"
    assert.equal(0, code, out)
    assert.is_truthy(out:find "sink=out planned" or out:find "sink=out pending", out)
    out, code = sluice "find --id e7"
    assert.equal(1, code, out)
    assert.matches('id="e7" was not found\n', out)
  end)
end)

describe("an operator who asks a server that", function()
  local s, dir
  before_each(function() dir = h.folder() end)
  after_each(function() if s then s:close() s = nil end end)
  local function sluice(args)
    local out = h.shell(("{ %s %s --spool '%s/spool'; } 2>&1; echo rc=$?"):format(h.binary,
      args, s.data))
    return (out:gsub("rc=%d+\n$", "")), tonumber(out:match "rc=(%d+)\n$")
  end

  it("has a worker that hangs is told which one and for how long", function()
    local hang = dir .. "/hang"
    s = h.server { dir = dir, policy = h.policy { workers = 2 }, wrap = { "env",
      ("LD_PRELOAD=%s/tools/libhang.so"):format(h.build), "SLUICE_HANG=" .. hang } }
    local screen, code = sluice "status --during 20ms"
    assert.equal(0, code, screen)
    h.write(hang, "worker 1")
    h.wait_for("the thread to be missed", function()
      screen, code = sluice "status --during 20ms"
      return code == 1
    end)
    assert.matches("WRONG  the thread worker=1 has not come back for [%d.]+ s: what it serves "
      .. "waits\n       do: ", screen)
    s:logged 'level=error event=thread_silent worker=1 ms=%d+ why="its thread does not come back'
    -- Others are not held up: two scrapes at the same time.
    local results, errors = h.together {
      one = function() return h.shell("curl -s -m 5 127.0.0.1:" .. s.admin .. "/metrics") end,
      two = function() return h.shell("curl -s -m 5 127.0.0.1:" .. s.admin .. "/metrics") end }
    assert.same({}, errors)
    for _, text in pairs(results) do assert.matches("sluice_requests_total{", text) end
    assert.equal(1, s:metric "sluice_silent_threads")
    os.remove(hang)
    s:logged "event=thread_silent status=back"
    h.wait_for("all to be well", function()
      return select(2, sluice "status --during 20ms") == 0
    end)
    assert.equal(0, s:metric "sluice_silent_threads")
  end)

  it("is stopped by a signal is told that it does not answer, and none is missed after it",
  function()
    s = h.server { dir = dir, policy = h.policy() }
    s:signal "SIGSTOP"
    local out, code = sluice "status --during 20ms"
    s:signal "SIGCONT"
    assert.equal(3, code, out)
    assert.matches("no answer", out)
    h.wait_for("an answer", function()
      return select(2, sluice "status --during 20ms") == 0
    end)
    assert.is_nil(s:text():find("event=thread_silent", 1, true))
  end)

  -- Neither it nor its threads ran meanwhile.
  it("was stopped for some seconds while a thread was slow is not told that the thread hangs",
  function()
    local hang = dir .. "/hang"
    s = h.server { dir = dir, policy = h.policy { workers = 2 }, wrap = { "env",
      ("LD_PRELOAD=%s/tools/libhang.so"):format(h.build), "SLUICE_HANG=" .. hang } }
    h.write(hang, "worker 1")
    h.wait_for("the worker to hang", function()
      return h.shell(("curl -s -m 1 127.0.0.1:%d/status"):format(s.admin)):find '"silent"'
    end)
    os.remove(hang)
    h.wait_for("the worker to be back", function()
      return not h.shell(("curl -s -m 1 127.0.0.1:%d/status"):format(s.admin)):find '"silent"'
    end)
    -- The question waits for the worker while the process is stopped, and a moment after it.
    -- A busy machine may make the moment too long to tell: then once more.
    local told
    for _ = 1, 20 do
      h.wait_for("the worker to run", function() return h.read(hang .. ".hung") == "" end)
      h.write(hang, "worker 1")
      h.wait_for("the worker to hang", function() return h.read(hang .. ".hung") == "h" end)
      h.sleep(1.05) -- a question comes each second
      local began = h.now()
      s:signal "SIGSTOP"
      h.sleep(3)
      s:signal "SIGCONT"
      local text = h.shell(("curl -s -m 5 127.0.0.1:%d/status"):format(s.admin))
      local ran = h.now() - began - 3
      os.remove(hang)
      assert.matches('"workers":2', (text:gsub("%s", "")))
      h.wait_for("the worker to be back", function()
        return s:metric "sluice_silent_threads" == 0
          and not h.shell(("curl -s -m 5 127.0.0.1:%d/status"):format(s.admin)):find '"silent"'
      end)
      if ran < 0.35 then
        told = text:find '"silent"' ~= nil
        break
      end
    end
    assert.is_falsy(told)
  end)

  it("stops is told so, and one that has stopped that no server runs", function()
    s = h.server { dir = dir, policy = h.policy { server = 'drain = "20s", drain_delay = "20s"' } }
    s:signal "SIGTERM"
    s:logged "event=drain cause=SIGTERM"
    local screen, code = sluice "status --during 20ms"
    assert.equal(1, code)
    assert.matches("WRONG  the server stops: it finishes requests and sinks", screen)
    s:stop "SIGKILL"
    local out
    out, code = sluice "status"
    assert.equal(3, code)
    assert.matches("no server runs with the spool", out)
  end)

  it("was drained finds it so after an upgrade, too", function()
    s = h.server { dir = dir, policy = h.policy() }
    assert.equal(0, select(2, sluice "drain"))
    local out, code = sluice "upgrade"
    assert.equal(0, code, out)
    s:logged "event=ready.*event=ready"
    s.real_pid = tonumber(s:text():match "event=ready.*event=ready [^\n]*pid=(%d+)")
    s.admin = tonumber(s:text():match "event=ready.*event=ready [^\n]*admin=127%.0%.0%.1:(%d+)")
    assert.equal(503, s:get("/readyz").status)
    local screen
    screen, code = sluice "status --during 20ms"
    assert.equal(1, code)
    assert.matches("WRONG  the server drains: its health is 503\n       do: sluice drain %-%-undo",
      screen)
    assert.equal(0, select(2, sluice "drain --undo"))
    assert.equal(200, s:get("/readyz").status)
    assert.equal(202, s:post("/v1/events", "{}").status)
    assert.equal(0, select(2, sluice "upgrade"))
    h.wait_for("the next process to be ready", function()
      return select(2, s:text():gsub("event=ready ", "")) == 3
    end)
    assert.equal(200, s:get("/readyz").status)
    s.real_pid = tonumber(s:text():match ".*event=ready [^\n]*pid=(%d+)")
  end)
end)
