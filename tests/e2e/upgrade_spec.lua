-- A new process takes the place of the old one: with the same program, because another
-- one would not differ in what is tested here.
local faults = require "faults"
local h = require "harness"
local receiver = require "receiver"
local signal = require "posix.signal"
local upgrades = require "upgrades"

local alive, get, upgrade = upgrades.alive, upgrades.post, upgrades.upgrade

local function log_size(s) return #(h.read(s.log) or "") end

local function refused_upgrade(s)
  s.log_from = log_size(s)
  s:signal("SIGUSR2")
  return s:logged("event=upgrade status=failed [^\n]*")
end

describe("an upgrade", function()
  local s
  before_each(function() s = h.server { policy = h.policy {} } end)
  after_each(function() s:close() end)

  it("fails no request, on kept and on new connections, and loses nothing", function()
    local acks = s.dir .. "/acks"
    local l = h.load(s.port, { batch = 20, connections = 16, seconds = 4, rate = 800,
      acks = acks })
    local kept = h.connect(s.port)
    assert.equal(202, get(kept).status)
    for _ = 1, 5 do
      upgrade(s)
      assert.equal(202, get(kept).status)
      assert.equal(202, s:post("/v1/events", '{"a":1}').status)
    end
    kept:close()
    local f = h.load_wait(l)
    print("# upgrade: " .. f.text:gsub("\n", ""))
    assert.same({ 0, 0 }, { f.broken, f.other + f.full })
    s:deliver()
    assert.equal(0, s:stop())
    local v = h.verify(acks, s:collect())
    print("# upgrade: " .. v.text:gsub("\n", ""))
    assert.is_true(v.acked > 1000)
    assert.same({ 0, 0, 11 }, { v.missing, v.twice, v.torn }) -- torn: those by hand
  end)

  it("finishes a request whose body is on its way", function()
    local c = h.connect(s.port)
    c:send("POST /v1/events HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
      .. "Content-Length: 7\r\n\r\n{\"a\"")
    h.wait_for("the request to begin", function()
      return s:metric("sluice_body_buffer_bytes") > 0
    end)
    local old = s.real_pid
    s.log_from = log_size(s)
    s:signal("SIGUSR2")
    s:logged("event=upgrade status=ready")
    s:ready()
    assert.not_equal(old, s.real_pid)
    c:send(":1}")
    assert.equal(202, h.answer(c).status)
    assert.equal(202, get(c).status) -- the new process has the connection
    c:close()
  end)

  it("waits for no client that is slow, and each of them gets its answer", function()
    local head = "POST /v1/events HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
    local begun, rest = {}, {}
    for i = 1, 100 do
      local whole = head .. (i % 4 < 2 and "Content-Length: 7\r\n\r\n{\"a\":1}"
        or "Transfer-Encoding: chunked\r\n\r\n7\r\n{\"a\":1}\r\n0\r\n\r\n")
      local cut = i % 2 == 0 and i or #whole - 1 - i % 12 -- in the head, or the body
      begun[i], rest[i] = h.connect(s.port), whole:sub(cut + 1)
      begun[i]:send(whole:sub(1, cut))
    end
    for _ = 1, 2 do
      upgrade(s) -- nobody has sent more
      assert.equal(202, s:post("/v1/events", '{"a":1}').status)
    end
    for i = 1, 100 do
      begun[i]:send(rest[i])
      assert.equal(202, h.answer(begun[i]).status)
      assert.equal(202, get(begun[i]).status) -- nobody was closed
      begun[i]:close()
    end
    s:deliver()
    assert.equal(0, s:stop())
    assert.equal(202, #s:lines())
  end)

  it("does not take place for a policy that is wrong by now", function()
    local pid, text = s.real_pid, h.read(s.path)
    h.write(s.path, "no policy")
    refused_upgrade(s)
    h.write(s.path, text)
    assert.is_true(alive(pid))
    assert.equal(202, s:post("/v1/events", '{"a":1}').status)
    upgrade(s)
  end)

  it("is asked for by a command, which waits for the new process", function()
    local command = ("%s upgrade --admin 127.0.0.1:%d "):format(h.binary, s.admin)
    local function run(option)
      local out = h.shell(command .. (option or "") .. " 2>&1; echo code $?")
      return tonumber(out:match("code (%d+)\n$")), out
    end
    local old, text = s.real_pid, h.read(s.path)
    assert.equal(0, (run("--status")))
    local code, out = run()
    assert.equal(0, code, out)
    assert.matches("the new process serves", out)
    local new = tonumber(out:match("pid (%d+)"))
    assert.is_true(alive(new) and new ~= old)
    h.write(s.path, "no policy")
    code, out = run()
    assert.equal(1, code)
    assert.matches("the old process serves on: the new process ended with code 1 before", out)
    assert.equal(1, (run("--status")))
    h.write(s.path, text)
    code, out = run()
    assert.equal(0, code, out)
    s.real_pid = tonumber(out:match("pid (%d+)")) -- the one that the test has to end
    assert.equal(0, (run("--status")))
    assert.equal(202, s:post("/v1/events", '{"a":1}').status)
    assert.equal(3, tonumber(h.shell(h.binary .. " upgrade --admin 127.0.0.1:1 2>&1; echo $?")
      :match("no server answers at 127.0.0.1:1.-\n(%d)\n$")))
  end)

  it("is taken back when the new process can't use what the policy names", function()
    local text = h.read(s.path)
    h.write(s.path, text .. ('\nlisten "127.0.0.1:%d" {}\n'):format(s.admin))
    s.log_from = log_size(s)
    s:signal("SIGUSR2")
    s:ready() -- the old one, again
    assert.is_truthy(s:text():find("event=upgrade status=failed", 1, true))
    assert.equal(202, s:post("/v1/events", '{"a":1}').status)
    h.write(s.path, text)
    upgrade(s)
    s:deliver()
    assert.equal(0, s:stop()) -- names the file
    assert.equal(1, #s:lines())
  end)

  -- A connection may wait in the queue of each of them.
  it("keeps every listening socket", function()
    local function sockets()
      local list = {}
      for line in io.lines "/proc/net/tcp" do
        local port, inode = line:match("^%s*%d+: %x+:(%x+) %x+:%x+ 0A %S+ %S+ %S+%s+%d+%s+%d+ "
          .. "(%d+)")
        if tonumber(port or "", 16) == s.port then list[#list + 1] = inode end
      end
      table.sort(list)
      return list
    end
    local before = sockets()
    assert.equal(2, #before)
    for _ = 1, 2 do
      upgrade(s)
      assert.same(before, sockets())
    end
  end)

  it("answers a request that waits for the disk", function()
    s:close()
    local dir = h.folder()
    local f = faults.new(dir)
    s = h.server { dir = dir, wrap = f:wrap(), policy = h.policy { ack = "synced" } }
    assert.equal(202, s:post("/v1/events", '{"n":0}').status)
    f:rules "on=sync do=hang path=/spool/"
    local c = h.connect(s.port, 60)
    c:send("POST /v1/events HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
      .. "Content-Length: 7\r\n\r\n{\"n\":1}")
    h.wait_for("the event", function() return s:metric("sluice_stored_events_total") == 2 end)
    s.log_from = #h.read(s.log)
    s:signal("SIGUSR2")
    s:logged("event=upgrade status=ready")
    h.sleep(0.3) -- it must not leave meanwhile
    f:rules()
    assert.equal(202, h.answer(c).status)
    s:ready()
    s:logged("event=upgrade status=took_over")
    assert.equal(202, get(c).status)
    c:close()
    s:deliver()
    assert.equal(0, s:stop())
  end)

  it("changes the number of workers, with connections that wait", function()
    local text = h.read(s.path)
    local kept = {}
    for i = 1, 8 do
      kept[i] = h.connect(s.port)
      assert.equal(202, get(kept[i]).status)
    end
    for _, n in ipairs { 1, 5, 3 } do
      h.write(s.path, (text:gsub("workers = 2", "workers = " .. n)))
      upgrade(s)
      assert.is_truthy(s:text():find("workers=" .. n, 1, true))
      for i = 1, 8 do assert.equal(202, get(kept[i]).status) end
    end
    for i = 1, 8 do kept[i]:close() end
  end)

  it("goes on alone when the old process is killed, and has what that one stored",
    function()
      local x = upgrades.slow_sink()
      s:stop()
      h.write(s.path, h.read(s.path) .. x.policy)
      s:start()
      assert.equal(202, s:post("/v1/events", '{"a":1}').status)
      local c, old = x:take(s), s.real_pid -- so that the old one waits
      s.log_from = log_size(s)
      s:signal("SIGUSR2")
      s:logged("event=upgrade status=ready")
      s:signal("SIGKILL")
      assert.equal("signal 9", h.reap(s.pid))
      s.pid = nil
      local line = s:logged("event=ready [^\n]*pid=%d+")
      s.real_pid = tonumber(line:match("pid=(%d+)"))
      assert.not_equal(old, s.real_pid)
      assert.equal(202, s:post("/v1/events", '{"a":2}').status)
      x.answer(x:accept())
      s:deliver()
      s:signal("SIGTERM")
      h.wait_for("the end", function() return not alive(s.real_pid) end)
      assert.equal(2, #s:lines())
      c:close()
      x:close()
    end)

  it("leaves one process that stands in for the server towards its parent", function()
    local old = { upgrade(s), upgrade(s), upgrade(s) }
    h.wait_for("both before the last to end", function()
      return not (alive(old[1]) or alive(old[2]))
    end)
    assert.equal(202, s:post("/v1/events", '{"a":1}').status)
    signal.kill(s.pid, signal.SIGTERM)
    assert.equal(0, h.reap(s.pid))
    s.pid = nil
    assert.is_false(alive(old[3]))
    assert.is_truthy(s:text():find("event=stopped exit=0", 1, true))
  end)
end)

describe("an upgrade of a server whose sink can't deliver", function()
  local s, r
  before_each(function() r = receiver.start() end)
  after_each(function()
    s:close()
    r:close()
  end)

  local function start(sink)
    s = h.server { policy = ([[
server { listen = "127.0.0.1:0", workers = 1, drain = "20s" }
admin { listen = "127.0.0.1:0" }
%s
stream "events" { sinks = { "out" } }
route "POST /v1/events" { body = "event", stream = "events" }]]):format(sink) }
  end

  local function post(n)
    for i = 1, n do s:post("/v1/events", ('{"n":%d}'):format(i)) end
  end

  ---In far less time than drain: what no server has needs no end.
  local function replaced(n)
    local began = h.now()
    upgrade(s)
    local took = h.now() - began
    assert.is_true(took < 8, took .. " s")
    r:rule ""
    h.request(s.admin, "POST", "/sinks/out/breaker?close", "")
    h.wait_for("delivery", function() return #r:events() == n end)
    h.sleep(0.2)
    assert.equal(n, #r:events())
    assert.equal(0, s:stop())
  end

  it("does not wait for batches that are set aside until a row of others passes", function()
    r:rule "status 400"
    start(([[http "out" { url = %q, batch = { linger = "1ms", target = 1, max = 1 } }]])
      :format(r.url))
    post(60)
    h.wait_for("batches aside", function()
      return s:metric "sluice_sink_apart_batches" > 20
    end)
    replaced(60)
  end)

  it("does not wait for batches of which one is tried until the cause is mended", function()
    r:rule "late 1"
    start(([[http "out" { url = %q, batch = { linger = "1ms", target = 1, max = 1 },
      breaker = { timeout = "100ms" } }]]):format(r.url))
    post(20)
    h.wait_for("more than one at once", function() return s:metric "sluice_sink_window" > 2 end)
    r:rule "status 401"
    s:logged("status=holding")
    r:rule "status 503"
    local n = r:count "fault"
    h.wait_for("a try", function() return r:count "fault" > n end)
    replaced(20)
  end)
end)
