-- A new process takes the place of the old one: with the same program, because another
-- one would not differ in what is tested here.
local h = require "tests.e2e.harness"
local signal = require "posix.signal"

local function log_size(s) return #(h.read(s.log) or "") end

---Has a new process take over; its pid.
local function upgrade(s)
  local before = s.real_pid
  s.log_from = log_size(s)
  s:signal("SIGUSR2")
  s:ready()
  assert.not_equal(before, s.real_pid)
  s:logged("event=upgrade status=took_over")
  return s.real_pid
end

local function refused_upgrade(s)
  s.log_from = log_size(s)
  s:signal("SIGUSR2")
  return s:logged("event=upgrade status=failed [^\n]*")
end

local function get(c)
  c:send("POST /v1/events HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
    .. "Content-Length: 7\r\n\r\n{\"a\":1}")
  return h.answer(c)
end

local function alive(pid)
  return h.read("/proc/" .. pid .. "/stat") ~= nil
    and not h.read("/proc/" .. pid .. "/stat"):find(") Z ", 1, true)
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
    assert.is_true(alive(old))
    c:send(":1}")
    assert.equal(202, h.answer(c).status)
    s:ready()
    assert.equal(202, get(c).status) -- the new process has the connection
    c:close()
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
      local c, old = h.connect(s.port), s.real_pid
      assert.equal(202, s:post("/v1/events", '{"a":1}').status)
      c:send("POST /v1/events HTTP/1.1\r\n") -- so that the old one waits
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
      s:deliver()
      s:signal("SIGTERM")
      h.wait_for("the end", function() return not alive(s.real_pid) end)
      assert.equal(2, #s:lines())
      c:close()
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
