-- sluice drain says "drained" only of a server that takes no part any more, and only when no
-- client sends.
local h = require "harness"
local receiver = require "receiver"
local signal = require "posix.signal"

local POLICY = [[
server { listen = "127.0.0.1:0", workers = 1, drain_delay = "20s", drain = "1s" }
admin { listen = "127.0.0.1:0" }
http "out" { url = %q, batch = { linger = "5ms" }, breaker = { timeout = "50ms" } }
stream "events" { sinks = { "out" } }
route "POST /v1/events" { body = "event", stream = "events" }
]]

describe("sluice drain", function()
  local r, s, n = nil, nil, 0
  before_each(function()
    r = receiver.start()
    s = h.server { policy = POLICY:format(r.url) }
  end)
  after_each(function()
    s:close()
    r:close()
  end)

  local function sluice(args)
    local out = h.shell(("{ %s %s --spool '%s/spool'; } 2>&1; echo rc=$?"):format(h.binary, args,
      s.data))
    return (out:gsub("rc=%d+\n$", "")), tonumber(out:match "rc=(%d+)\n$")
  end
  ---Begins a drain, and waits until it says that an event waits for the sink.
  local function begin()
    n = n + 1
    local out = ("%s/drain-%d"):format(s.dir, n)
    local pid = h.spawn({ h.binary, "drain", "--spool", s.data .. "/spool" }, out)
    h.wait_for("the drain to wait", function()
      return (h.read(out) or ""):find("draining: 1 event waits for sinks", 1, true)
    end)
    return pid, out
  end
  local TAKES = "not drained: the server takes events again, after a restart or "
    .. "sluice drain --undo\n"

  it("is not done when another one has the server take events again", function()
    r:rule "status 503"
    assert.equal(202, s:post("/v1/events", "{}").status)
    local pid, out = begin()
    assert.equal(0, select(2, sluice "drain --undo"))
    r:rule "ok"
    assert.equal(1, h.reap(pid))
    assert.equal(TAKES, h.read(out):match "[^\n]*\n$")
  end)

  it("is not done by a process that came after a kill, and serves", function()
    r:rule "status 503"
    assert.equal(202, s:post("/v1/events", "{}").status)
    local pid, out = begin()
    signal.kill(pid, signal.SIGSTOP) -- so that it sees nothing of the time between
    s:stop "SIGKILL"
    r:rule "ok"
    s:start()
    s:deliver()
    signal.kill(pid, signal.SIGCONT)
    assert.equal(1, h.reap(pid))
    assert.equal(TAKES, h.read(out):match "[^\n]*\n$")
    assert.equal(200, s:get("/readyz").status)
  end)

  it("is done no sooner than 1.5 s after the last event came", function()
    r:rule "status 503"
    assert.equal(202, s:post("/v1/events", "{}").status)
    local pid, out = begin()
    local before = h.now()
    h.wait_for("an answer", function() -- a connection may be closed as it comes
      local a = s:post("/v1/events", "{}")
      return a and a.status == 202
    end)
    r:rule "ok"
    assert.equal(0, h.reap(pid))
    assert.equal("drained: clients send nothing, sinks have all events\n",
      h.read(out):match "[^\n]*\n$")
    assert.is_true(h.now() - before >= 1.5)
  end)

  it("takes nothing back from a server that stops", function()
    s:signal "SIGTERM"
    s:logged "event=drain cause=SIGTERM"
    local out, code = sluice "drain --undo"
    assert.equal(3, code)
    assert.equal("sluice: the server refuses (409): the server stops: it takes no events again\n",
      out)
    assert.equal(503, s:get("/readyz").status)
  end)
end)
