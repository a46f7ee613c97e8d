-- A sink whose thread is in a call that does not return, and sinks whose servers are
-- gone, hold up nothing else: not the admin listener, not the other sinks, not the end.
local faults = require "faults"
local h = require "harness"

local function root() return h.shell("id -u"):match("^0") end

local function policy(more, sinks)
  return ([[
server { listen = "127.0.0.1:0", workers = 1, drain = "3s" }
admin { listen = "127.0.0.1:0" }
file "archive" { dir = "archive", linger = "10ms" }
%s
stream "events" { sinks = { "archive", %s } }
route "POST /v1/events" { body = "event", stream = "events" }
]]):format(more or [[file "slow" { dir = "slow", linger = "10ms" }]],
    sinks or '"slow"')
end

describe("a sink whose write hangs", function()
  local s, detach
  after_each(function()
    if detach then detach() detach = nil end
    if s then s:close() s = nil end
  end)

  local function hang()
    s = h.server { policy = policy() }
    s:post("/v1/events", "{}")
    s:deliver(20)
    detach = s:inject("pwrite64:delay_enter=60000000", "slow")
    s:post("/v1/events", "{}")
    h.wait_for("the thread to hang", function()
      return s:metric("sluice_delivered_events_total", "archive") == 2
    end)
  end

  it("does not silence the admin listener during a reload, which is refused and names it",
  function()
    if not root() then pending("needs root") return end
    hang()
    h.write(s.path, policy() .. "\n-- another\n")
    local longest, answer = 0, nil
    local results, errors = h.together {
      reload = function()
        local out = h.shell(("curl -s -m 30 -w '\\n%%{http_code}' -X POST "
          .. "http://127.0.0.1:%d/reload"):format(s.admin))
        answer = out
        return out
      end,
      health = function()
        while not answer do
          local began = h.now()
          local out = h.shell(("curl -s -m 30 -o /dev/null -w '%%{http_code}' "
            .. "http://127.0.0.1:%d/healthz"):format(s.admin))
          assert.equal("200", out)
          longest = math.max(longest, h.now() - began)
          h.sleep(0.05)
        end
      end,
    }
    assert.same({}, errors)
    assert.matches('sink \\"slow\\": its thread has not answered', results.reload)
    assert.is_true(longest < 2, "healthz took " .. longest)
    -- It goes on where it was, and so do reloads.
    detach()
    detach = nil
    h.wait_for("a reload", function() return s:reload().status == 200 end, 30)
    s:deliver(30)
    assert.equal(0, s:stop())
  end)

  it("goes on after a rename that came too early for it", function()
    if not root() then pending("needs root") return end
    s = h.server { policy = policy() }
    s:post("/v1/events", "{}")
    s:deliver(20)
    -- Its file gets its name when the journal is handed over, which has 7 s.
    detach = s:inject("fdatasync:delay_enter=9000000", "slow")
    h.write(s.path, policy([[file "other" { dir = "slow", was = "slow",
      linger = "10ms" }]], '"other"'))
    local a = h.request(s.admin, "POST", "/reload", "", nil, 30)
    assert.equal(500, a.status)
    assert.matches("its thread does not end", a.body)
    s:post("/v1/events", "{}")
    h.wait_for("the old one's delivery", function()
      return #h.shell(("cat '%s'/slow/*"):format(s.data)) == 6
    end, 40)
    detach()
    detach = nil
    assert.equal(200, h.request(s.admin, "POST", "/reload", "", nil, 30).status)
    s:post("/v1/events", "{}")
    s:deliver(20)
    assert.equal(0, s:stop())
    assert.equal(3, #s:lines "slow")
  end)

  it("does not hold up the end of the process, and loses nothing", function()
    if not root() then pending("needs root") return end
    hang()
    local began = h.now()
    s:signal "SIGTERM"
    s:logged("event=stopped exit=0 stuck=true", 20)
    assert.is_true(h.now() - began < 12, "took " .. (h.now() - began))
    s:logged "event=sink sink=slow status=stuck"
    detach() -- a thread that is traced does not die
    detach = nil
    assert.equal(0, h.reap(s.pid))
    s.pid = nil
    s:start()
    s:deliver(30)
    assert.equal(0, s:stop())
    assert.equal(2, #s:lines "slow")
    assert.equal(2, #s:lines())
  end)
end)

describe("a sink that is dropped from the spool of a stopped server", function()
  it("keeps all it has when its thread hangs, and that is said", function()
    if not root() then pending("needs root") return end
    local s = h.server { policy = policy([[kafka "slow" { brokers = "127.0.0.1:1",
      topic = "t" }]]):gsub('"3s"', '"100ms"') }
    finally(function() s:close() end)
    s:post("/v1/events", "{}")
    h.wait_for("the other sink", function()
      return s:metric("sluice_delivered_events_total", "archive") == 1
    end)
    assert.equal(0, s:stop())
    local function drop(wrap)
      return h.shell(("%s %s sink drop slow --spool '%s/spool' 2>&1; echo rc=$?")
        :format(wrap, h.binary, s.data))
    end
    assert.matches("the disk of %S+/spool does not answer, nothing was dropped: try "
      .. "again once it does\n.*rc=1\n$", drop("strace -f -qq -o /dev/null -e "
      .. "trace=epoll_wait -e inject=epoll_wait:delay_enter=3000000"))
    assert.matches("^dropped events=1 bytes=%d+\nrc=0\n$", drop(""))
  end)
end)

describe("a housekeeping thread that hangs", function()
  it("does not hold up the end either when it hangs at the end", function()
    local dir = h.folder()
    local f = faults.new(dir .. "/data")
    local s = h.server { dir = dir, policy = h.policy { workers = 1 }, wrap = f:wrap() }
    assert.equal(202, s:post("/v1/events", "{}").status)
    f:rules("on=unlink do=hang path=/spool/events/")
    s:signal "SIGTERM"
    assert.equal(0, h.reap(s.pid, 20))
    s.pid = nil
    assert.is_true(f:made() > 0)
    f:rules()
    s:start()
    s:deliver(30)
    assert.equal(0, s:stop())
    assert.equal(1, #s:lines())
    s:close()
    f:close()
  end)

  it("does not hold up the end of the process, and loses nothing", function()
    local dir = h.folder()
    local f = faults.new(dir .. "/data")
    local s = h.server { dir = dir, policy = h.policy { workers = 1 }, wrap = f:wrap() }
    f:rules("on=all do=hang thread=housekeeping")
    local made = f:made()
    for _ = 1, 3 do
      assert.equal(202, s:post("/v1/events", "{}").status)
    end
    h.wait_for("the thread to hang", function() return f:made() > made end)
    s:signal "SIGTERM"
    s:logged("event=stopped exit=0 stuck=true", 20)
    assert.equal(0, h.reap(s.pid, 20))
    s.pid = nil
    f:rules()
    s:start()
    s:deliver(30)
    assert.equal(0, s:stop())
    assert.equal(3, #s:lines())
    s:close()
    f:close()
  end)
end)

describe("sinks whose servers are gone", function()
  local s
  after_each(function() if s then s:close() s = nil end end)

  it("have one drain for all of them at the end", function()
    local more, names = {}, {}
    for i = 1, 6 do
      more[i] = ([[kafka "bus%d" { brokers = "127.0.0.1:1", topic = "t",
        batch = { linger = "1ms" } }]]):format(i)
      names[i] = ('"bus%d"'):format(i)
    end
    s = h.server { policy = policy(table.concat(more, "\n"), table.concat(names, ", ")) }
    for _ = 1, 5 do assert.equal(202, s:post("/v1/events", "{}").status) end
    local began = h.now()
    assert.equal(0, s:stop())
    local took = h.now() - began
    print(("# drain of 3 s with six dead sinks: ended after %.1f s"):format(took))
    assert.is_true(took >= 2.5 and took < 8, "took " .. took)
  end)
end)
