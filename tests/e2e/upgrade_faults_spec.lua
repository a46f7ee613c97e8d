-- Upgrades that fail, or that change what is listened to.
local faults = require "faults"
local h = require "harness"
local signal = require "posix.signal"
local socket = require "posix.sys.socket"
local unistd = require "posix.unistd"
local upgrades = require "upgrades"

local alive, post, upgrade = upgrades.alive, upgrades.post, upgrades.attempt

local function answers(path)
  local fd = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM, 0)
  local ok = socket.connect(fd, { family = socket.AF_UNIX, path = path })
  unistd.close(fd)
  return ok ~= nil
end

describe("an upgrade", function()
  local s, text, path
  before_each(function()
    s = h.server { policy = h.policy {} }
    text, path = h.read(s.path), s.dir .. "/in.sock"
  end)
  after_each(function() s:close() end)

  it("keeps the file of a Unix socket when it is taken back, and else removes it",
    function()
      local with = text .. ('\nlisten "unix:%s" {}\n'):format(path)
      h.write(s.path, with)
      upgrade(s)
      assert.is_true(answers(path))
      h.write(s.path, with .. ('listen "unix:%s/none/x.sock" {}\n'):format(s.dir))
      upgrade(s)
      assert.is_truthy(s:text():find("event=upgrade status=failed", 1, true))
      assert.is_true(answers(path))
      h.write(s.path, with)
      upgrade(s)
      assert.is_true(answers(path))
      s:stop()
      assert.is_nil(unistd.access(path))
    end)

  it("closes the sockets and connections of listeners that there are no more", function()
    h.write(s.path, text .. ('\nlisten "unix:%s" {}\nlisten "0.0.0.0:0" {}\n')
      :format(path))
    upgrade(s)
    local port = tonumber(s:text():match("listen=127%.0%.0%.1:%d+,0%.0%.0%.0:(%d+),"))
    local c = h.connect(port)
    assert.equal(202, post(c).status)
    h.write(s.path, text)
    upgrade(s)
    s:logged("event=upgrade status=took_over")
    assert.is_true(h.closed(c, 60))
    c:close()
    assert.is_false(h.open_port(port))
    assert.is_nil(unistd.access(path))
    assert.equal(202, s:post("/v1/events", '{"a":1}').status)
  end)

  it("tells listeners of one address apart, whose ports the system chose", function()
    -- One is --listen's.
    h.write(s.path, (text:gsub('listen = "127.0.0.1:0", ', "", 1))
      .. 'listen "127.0.0.1:0" { routes = { "POST /v1/events/batch" } }\n')
    upgrade(s)
    local first, other = s:text():match("listen=127%.0%.0%.1:(%d+),127%.0%.0%.1:(%d+)")
    local c, d = h.connect(first), h.connect(other)
    for _ = 1, 2 do
      assert.equal(202, post(c).status)
      assert.equal(404, post(d).status)
      upgrade(s)
      s:logged("event=upgrade status=took_over")
      assert.equal(first .. other, table.concat({ s:text()
        :match("listen=127%.0%.0%.1:(%d+),127%.0%.0%.1:(%d+)") }))
    end
    assert.equal(202, post(c).status)
    assert.equal(404, post(d).status)
    c:close()
    d:close()
  end)

  it("waits for a reload that is under way", function()
    s:close()
    -- A busy machine may need longer for the reload than the drain's own time.
    s = h.server { policy = h.policy { server = 'drain = "2m"' } }
    text = h.read(s.path)
    h.write(s.path, "local t = 0\nfor i = 1, 1e9 do t = t + i end\n" .. text)
    local c = h.connect(s.admin)
    c:send("POST /reload HTTP/1.1\r\nHost: test\r\nContent-Length: 0\r\n\r\n")
    s:logged("generation=2 status=loading")
    h.write(s.path, text)
    upgrade(s)
    s:logged("event=upgrade status=took_over")
    assert.is_truthy(s:text():find("generation=2 status=live", 1, true))
    assert.equal(0, s:stop())
    c:close()
  end)

  it("is given up for a reload that does not end in time", function()
    s:close()
    local dir = h.folder()
    local f = faults.new(dir)
    s = h.server { dir = dir, wrap = f:wrap(), policy = h.policy { server = 'drain = "50ms"' } }
    local c = upgrades.hang_reload(s, f)
    s:signal("SIGUSR2")
    s:logged("event=upgrade status=failed [^\n]*a reload that is under way")
    assert.equal(202, s:post("/v1/events", '{"a":1}').status)
    f:rules()
    c:close()
  end)

  it("moves a listener to another host on the same port, with its connections", function()
    h.write(s.path, text .. 'listen "0.0.0.0:0" {}\n')
    upgrade(s)
    local port = tonumber(s:text():match("listen=127%.0%.0%.1:%d+,0%.0%.0%.0:(%d+)"))
    local c = h.connect(port)
    assert.equal(202, post(c).status)
    for _, host in ipairs { "127.0.0.1", "0.0.0.0", "*", "127.0.0.1" } do
      h.write(s.path, text .. ('listen "%s:%d" {}\n'):format(host, port))
      upgrade(s)
      s:logged("event=upgrade status=took_over")
      assert.equal(202, post(c).status)
      local new = h.connect(port)
      assert.equal(202, post(new).status)
      new:close()
    end
    c:close()
  end)

  it("does not share the port of another server", function()
    local other = h.server { policy = h.policy {} }
    h.write(s.path, text .. '\nlisten "0.0.0.0:0" {}\n') -- which is given up then
    upgrade(s)
    h.write(s.path, text .. ('listen "127.0.0.1:%d" {}\n'):format(other.port))
    upgrade(s)
    assert.is_truthy(s:text():find("event=upgrade status=failed", 1, true))
    assert.equal(202, s:post("/v1/events", '{"a":1}').status)
    other:close()
  end)

  it("does not make a canary live, and keeps what is", function()
    h.write(s.path, text .. '\ncanary { share = "20%", during = "10m" }\n')
    assert.matches("canary", s:reload().body)
    upgrade(s)
    local live, file = s:text():match("status=kept_policy hash=(%x+) file=(%x+)")
    assert.not_equal(live, file)
    assert.equal(202, s:post("/v1/events", '{"a":1}').status)
    assert.matches('"hash":%s*"' .. live .. '%x*",%s*"status":%s*"live"',
      s:get("/status").body)
    h.write(s.path, text) -- without it the file is what counts
    upgrade(s)
    assert.is_nil(s:text():find("status=kept_policy", 1, true))
  end)

  it("knows the keys of dedup that were seen before it", function()
    h.write(s.path, (text:gsub('stream "events" {',
      'stream "events" { dedup = { key = "id", window = "1h", persist = true },', 1)))
    upgrade(s)
    for n = 1, 3 do
      for _ = 1, 2 do
        assert.equal(202, s:post("/v1/events", ('{"id":"%d"}'):format(n)).status)
        upgrade(s)
        assert.equal(202, s:post("/v1/events", '{"id":"1"}').status)
      end
    end
    s:deliver()
    assert.equal(0, s:stop())
    assert.equal(3, #s:lines())
  end)

  it("reads the policy once more for a SIGHUP that came meanwhile", function()
    local x = upgrades.slow_sink()
    h.write(s.path, text .. x.policy)
    upgrade(s)
    local c = x:take(s)
    s.log_from = #h.read(s.log)
    s:signal("SIGUSR2")
    s:logged("event=upgrade status=ready")
    h.write(s.path, text .. x.policy .. [[
      stream "more" { sinks = { "archive" } }
      route "POST /v1/more" { body = "event", stream = "more" }
    ]])
    s:signal("SIGHUP")
    x.answer(c)
    s:ready()
    s:logged("generation=2 status=live")
    assert.equal(202, s:post("/v1/more", '{"a":1}').status)
    c:close()
    x:close()
  end)

  ---Has a policy go live by act while a new process starts, which has read the file by then.
  ---began: the processor's time that a start takes.
  local function meanwhile(began, act)
    s.log_from = #h.read(s.log)
    s:signal("SIGUSR2")
    local new = tonumber(s:logged("event=upgrade status=starts pid=(%d+)"))
    -- Of the time of a start, most goes into the workers' states.
    h.wait_for("the new process", function() return faults.cpu(new) > 0.6 * began end)
    signal.kill(new, signal.SIGSTOP)
    act()
    signal.kill(new, signal.SIGCONT)
  end
  local SLOW = "local t = 0\nfor i = 1, 1e7 do t = t + i end\n"

  it("reads the policy once more for a POST /reload that came while it began", function()
    s:close()
    text = h.policy { workers = 8 }
    s = h.server { policy = SLOW .. text }
    meanwhile(faults.cpu(s.real_pid), function()
      h.write(s.path, text .. [[
        stream "more" { sinks = { "archive" } }
        route "POST /v1/more" { body = "event", stream = "more" }
      ]])
      assert.equal(200, s:reload().status)
      assert.equal(202, s:post("/v1/more", '{"a":1}').status)
    end)
    s:ready()
    s:logged("event=upgrade status=took_over")
    s:logged("generation=2 status=live cause=SIGHUP")
    assert.equal(202, s:post("/v1/more", '{"a":1}').status)
    assert.equal(0, s:stop())
  end)

  it("is given up for a canary that goes live while it begins", function()
    s:close()
    text = SLOW .. h.policy { workers = 8 }
    s = h.server { policy = text }
    local pid, began = s.real_pid, faults.cpu(s.real_pid)
    h.write(s.path, text .. '\ncanary { share = "20%", during = "10m" }\n')
    assert.matches("canary", s:reload().body)
    meanwhile(began, function() assert.equal(200, s:reload("?promote").status) end)
    s:logged("event=upgrade status=failed [^\n]*another policy went live meanwhile")
    assert.equal(202, s:post("/v1/events", '{"a":1}').status)
    assert.equal(pid, tonumber(s:get("/status").body:match('"pid":%s*(%d+)')) or pid)
    upgrades.upgrade(s)
    assert.is_nil(s:text():find("status=kept_policy", 1, true))
    assert.equal(0, s:stop())
  end)

  it("is given up for a rollback while it begins, also after a load of the file", function()
    s:close()
    text = h.policy { workers = 8 }
    s = h.server { policy = SLOW .. text }
    local pid = s.real_pid
    meanwhile(faults.cpu(pid), function()
      h.write(s.path, text .. 'stream "more" { sinks = { "archive" } }\n')
      assert.equal(200, s:reload().status)
      assert.equal(200, s:reload("?rollback").status)
    end)
    s:logged("event=upgrade status=failed [^\n]*another policy went live meanwhile")
    assert.equal(202, s:post("/v1/events", '{"a":1}').status)
    assert.is_true(upgrades.alive(pid))
    assert.is_nil(s:text():find("generation=4", 1, true))
    assert.equal(0, s:stop())
  end)

  it("gives no batch up that a slow server has in hand", function()
    local x = upgrades.slow_sink()
    h.write(s.path, text .. x.policy)
    upgrade(s)
    local c = x:take(s)
    s.log_from = #h.read(s.log)
    s:signal("SIGUSR2")
    s:logged("event=upgrade status=ready")
    h.sleep(0.3) -- so long that one that gives up would
    x.answer(c)
    s:ready()
    assert.equal(0, s:metric("sluice_sink_lag_bytes"))
    x.listener:settimeout(0)
    assert.is_nil((x.listener:accept()))
    c:close()
    x:close()
  end)
end)

describe("an upgrade to a binary that does not run", function()
  local binary, s = h.binary, nil
  after_each(function()
    h.binary = binary
    if s then s:close() end
  end)

  it("leaves the old process serving, and says what became of the new one", function()
    local dir = h.folder()
    local path = dir .. "/sluice"
    local function put(text, mode)
      os.remove(path)
      if text then h.write(path, text) end
      h.shell(("chmod %s '%s'"):format(mode or "755", path))
    end
    h.binary = path
    h.shell(("cp '%s' '%s'"):format(binary, path))
    s = h.server { dir = dir, policy = h.policy {} }
    local kept = h.connect(s.port)
    for _, x in ipairs {
      { nil, nil, "can't start .*No such file" },
      { "#!/bin/sh\nexit 0\n", "644", "can't start .*Permission denied" },
      { "garbage", nil, "can't start .*Exec format error" },
      { "#!/bin/sh\nexit 3\n", nil, "ended with code 3 before it was ready" },
      { "#!/bin/sh\nkill -SEGV $$\n", nil, "signal 11 ended the new process" },
      -- Without a limit of its own: the old process ends it.
      { "#!/bin/bash\neval \"exec $SLUICE_TAKES_OVER>&-\"\nexec sleep 1000\n", nil,
        "closed its channel" },
    } do
      s.log_from = #h.read(s.log)
      put(x[1], x[2])
      s:signal("SIGUSR2")
      local ok, why = pcall(s.logged, s, "event=upgrade status=failed [^\n]*" .. x[3], 20)
      assert.is_true(ok, tostring(why) .. s:text())
      assert.equal(202, post(kept).status)
      local said = h.shell(("%s upgrade --status --admin 127.0.0.1:%d; echo $?"):format(binary,
        s.admin))
      assert.matches("the last upgrade failed.*\n1\n$", said)
    end
    put(h.read(binary))
    upgrades.upgrade(s)
    assert.equal(202, post(kept).status)
    kept:close()
  end)
end)

describe("an upgrade that hangs", function()
  local s
  after_each(function() if s then s:close() end end)

  local function new_pid()
    return tonumber(s:logged("event=upgrade status=ready pid=(%d+)"))
  end

  it("ends at SIGTERM, also while the new process does not serve", function()
    local x = upgrades.slow_sink()
    s = h.server { policy = h.policy {} .. x.policy }
    local new, c = upgrades.stop_new(s, x)
    s:signal("SIGTERM")
    assert.equal(0, h.reap(s.pid, 20))
    s.pid = nil
    assert.is_false(alive(new))
    c:close()
    x:close()
  end)

  it("ends the new process for a SIGTERM that came before it served", function()
    local x = upgrades.slow_sink()
    s = h.server { policy = h.policy {} .. x.policy }
    local new, c = upgrades.stop_new(s, x)
    s:signal("SIGTERM")
    h.sleep(0.3) -- the old one takes it
    signal.kill(new, signal.SIGCONT)
    assert.equal(0, h.reap(s.pid, 30))
    s.pid = nil
    h.wait_for("the new process's end", function() return not alive(new) end)
    c:close()
    x:close()
  end)

  it("says to a reload that comes while the old process leaves its sinks that it is under way",
  function()
    local x = upgrades.slow_sink()
    s = h.server { policy = h.policy {} .. x.policy }
    local c = x:take(s)
    s:signal("SIGUSR2")
    s:logged("event=upgrade status=ready")
    local a = s:reload()
    assert.equal(503, a.status)
    assert.equal("an upgrade is under way: ask again\n", a.body)
    x.answer(c)
    s:logged("event=upgrade status=took_over")
    s:ready()
    assert.equal(200, s:reload().status)
    assert.equal(0, s:stop())
    c:close()
    x:close()
  end)

  -- The second one: the first stands in, and passes on what comes to it.
  it("passes on a SIGHUP that came while the new process did not serve", function()
    local x = upgrades.slow_sink()
    s = h.server { policy = h.policy {} .. x.policy }
    upgrades.upgrade(s)
    s.log_from = #h.read(s.log)
    local new, c = upgrades.stop_new(s, x)
    h.write(s.path, h.read(s.path) .. "\n-- another\n")
    s:signal("SIGHUP")
    signal.kill(new, signal.SIGCONT)
    s:logged("event=upgrade status=took_over")
    s:logged("generation=2 status=live cause=SIGHUP")
    s:ready()
    assert.equal(0, s:stop())
    c:close()
    x:close()
  end)

  it("ends when the old process is killed before it has told its sockets", function()
    s = h.server { policy = h.policy {} }
    local old, port = s.real_pid, s.port
    s.log_from = #h.read(s.log)
    s:signal("SIGUSR2")
    local new = tonumber(s:logged("event=upgrade status=starts pid=(%d+)"))
    signal.kill(old, signal.SIGSTOP)
    h.sleep(1) -- the new one is ready, and waits
    signal.kill(old, signal.SIGKILL)
    h.reap(s.pid)
    s.pid = nil
    local function is_alone() return s:text():find("event=upgrade status=alone", 1, true) end
    h.wait_for("the new process's end", function() return is_alone() or not alive(new) end)
    if is_alone() then -- on a busy machine the old one may have told them by then
      s.pid = new
      s:ready()
      s.pid = nil
      assert.equal(port, s.port)
      signal.kill(new, signal.SIGKILL)
      h.wait_for("the new process's end", function() return not alive(new) end)
    end
  end)

  it("is taken back when the new process does nothing any more", function()
    local x = upgrades.slow_sink()
    s = h.server { policy = h.policy {} .. x.policy }
    local begun = h.connect(s.port)
    begun:send("POST /v1/events HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n")
    s.log_from = #h.read(s.log)
    local new, c = upgrades.stop_new(s, x)
    s:ready()
    assert.is_truthy(s:text():find("event=upgrade status=failed [^\n]*it has done nothing"))
    assert.is_false(alive(new))
    begun:send("Content-Length: 7\r\n\r\n{\"a\":1}")
    assert.equal(202, h.answer(begun).status)
    begun:close()
    c:close()
    x:close()
  end)

  it("ends with an error when its own thread hangs, and leaves no orphan", function()
    local dir = h.folder()
    local f = faults.new(dir .. "/data")
    s = h.server { dir = dir, wrap = f:wrap(),
      policy = h.policy { server = 'drain = "100ms"' } }
    f:rules("on=all do=hang thread=archive")
    local made = f:made()
    assert.equal(202, s:post("/v1/events", '{"a":1}').status)
    h.wait_for("the thread to hang", function() return f:made() > made end)
    s:signal("SIGUSR2")
    local new = new_pid()
    assert.equal(70, h.reap(s.pid, 20))
    s.pid = nil
    assert.is_false(alive(new))
    f:rules()
    s:start()
    s:deliver()
    assert.equal(0, s:stop())
    assert.equal(1, #s:lines())
    f:close()
  end)

  it("ends at the second SIGTERM while a batch is on its way", function()
    local x = upgrades.slow_sink()
    s = h.server { policy = h.policy { server = 'drain = "60s"' } .. x.policy }
    local c = x:take(s)
    s:signal("SIGUSR2")
    local new = new_pid()
    local ended
    for _ = 1, 30 do -- one that comes too soon after another is the same one
      s:signal("SIGTERM")
      ended = pcall(h.wait_for, "its end", function() return not alive(s.pid) end, 1)
      if ended then break end
    end
    assert.is_true(ended)
    -- A third one may end the new process before it can tell.
    local code = h.reap(s.pid)
    assert.is_true(code == 0 or code == "signal 15", tostring(code))
    s.pid = nil
    assert.is_false(alive(new))
    c:close()
    x:close()
  end)
end)
