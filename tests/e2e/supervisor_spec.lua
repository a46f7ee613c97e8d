-- A disk that hangs while sinks are altered holds up no request: the supervisor
-- answers, takes signals, and goes on by itself once the disk does.
local faults = require "faults"
local h = require "harness"

local function policy(...)
  local sinks, names = {}, {}
  for i, x in ipairs { ... } do
    sinks[i] = ([[file %q { dir = %q, linger = "5ms", %s }]]):format(x.name,
      x.dir or x.name, x.more or "")
    names[i] = ("%q"):format(x.name)
  end
  return ([[
server { listen = "127.0.0.1:0", workers = 1, drain = "500ms" }
admin { listen = "127.0.0.1:0" }
%s
stream "events" { sinks = { %s } }
route "POST /v1/events" { body = "event", stream = "events" }
]]):format(table.concat(sinks, "\n"), table.concat(names, ", "))
end

local A, B = { name = "a" }, { name = "b" }

describe("a disk that hangs while sinks are altered", function()
  local f, s
  before_each(function()
    local dir = h.folder()
    f = faults.new(dir .. "/data")
    s = h.server { dir = dir, wrap = f:wrap(), policy = policy(A) }
  end)
  after_each(function()
    f:rules()
    s:close()
    f:close()
  end)

  local function post(n)
    for _ = 1, n do assert.equal(202, s:post("/v1/events", "{}").status) end
  end

  local function hang(rule)
    local made = f:made()
    f:rules("do=hang " .. rule)
    return function()
      h.wait_for("the call to hang", function() return f:made() > made end)
    end
  end

  ---All answers come within a second.
  local function answers()
    for _, path in ipairs { "/healthz", "/readyz", "/status", "/metrics" } do
      local began = h.now()
      local a = h.request(s.admin, "GET", path, "", nil, 5)
      assert.equal(200, a.status, path)
      assert.is_true(h.now() - began < 1, path .. " took " .. h.now() - began)
    end
  end

  it("for a new sink: answers go on, another reload is told, and it goes live in the end",
  function()
    post(2)
    s:deliver()
    local hangs = hang "on=create,open path=/b.journal"
    h.write(s.path, policy(A, B))
    s:signal "SIGHUP"
    hangs()
    answers()
    s:logged([[event=reload_waits generation=2 sink=b]], 20)
    local began = h.now()
    s:signal "SIGHUP"
    s:logged "status=busy cause=SIGHUP"
    local a = h.request(s.admin, "POST", "/reload", "", nil, 5)
    assert.equal(503, a.status)
    assert.matches([[sink "b"]], a.body, 1, true)
    assert.is_true(h.now() - began < 1)
    answers()
    post(2)
    f:rules()
    s:logged "generation=2 status=live"
    post(2)
    s:deliver()
    assert.equal(200, h.request(s.admin, "POST", "/reload", "", nil, 10).status)
    assert.equal(0, s:stop())
    assert.equal(6, #s:lines "a")
    -- It began where the stream ended when it was noted.
    assert.is_true(#s:lines "b" >= 2)
  end)

  it("for a held sink that is tried again: answers go on, a reload is refused in time",
  function()
    s:stop()
    h.shell(("mv '%s/a' '%s/a.away'; touch '%s/a'"):format(s.data, s.data, s.data))
    s:start()
    s:logged "sink=a status=holding"
    post(2)
    local hangs = hang "on=open,create path=/a.journal"
    hangs()
    answers()
    local a = h.request(s.admin, "POST", "/reload", "", nil, 20)
    assert.equal(500, a.status)
    assert.matches([[sink \"a\": ]], a.body, 1, true)
    assert.matches("nothing has changed", a.body, 1, true)
    answers()
    h.shell(("rm '%s/a'; mv '%s/a.away' '%s/a'"):format(s.data, s.data, s.data))
    f:rules()
    s:logged "sink=a status=delivering"
    s:deliver()
    assert.equal(200, s:reload().status)
    assert.equal(0, s:stop())
    assert.equal(2, #s:lines "a")
  end)

  it("for a journal that is handed over: answers go on, and each event comes once",
  function()
    post(3)
    s:deliver()
    local hangs = hang "on=rename path=/c.journal thread=changer"
    h.write(s.path, policy { name = "c", dir = "a", more = [[was = "a"]] })
    s:signal "SIGHUP"
    hangs()
    post(3)
    answers()
    f:rules()
    s:logged "generation=2 status=live"
    post(3)
    s:deliver()
    assert.equal(0, s:stop())
    assert.equal(9, #s:lines "a")
  end)

  it("answers who drops a sink, which goes on by itself", function()
    s:stop()
    h.write(s.path, policy(A, B))
    s:start()
    -- From now on: a sink that could write would deliver them before it is dropped.
    local fails = "on=write,alloc do=EIO path=/b/"
    f:rules(fails)
    post(2)
    h.write(s.path, policy(A))
    s:reload()
    local hangs = hang("on=rename path=/b.none thread=changer\n" .. fails)
    local began, answer = h.now(), nil
    h.together {
      drop = function()
        answer = h.shell(("curl -s -m 20 -w '%%{http_code}' -X POST "
          .. "http://127.0.0.1:%d/sinks/b/drop"):format(s.admin))
      end,
      hangs = function()
        hangs()
        answers()
      end,
    }
    assert.matches("^it waits for a disk, .*503$", answer)
    assert.is_true(h.now() - began < 10)
    f:rules(fails)
    s:logged "sink=b status=dropped cause=POST events=2"
    -- The line is written by the change itself, which ends a moment later.
    h.wait_for("the change to end", function()
      return h.request(s.admin, "POST", "/sinks/b/drop", "", nil, 5).status == 404
    end)
    assert.equal(0, s:stop())
  end)

  it("does not hold up the end of the process", function()
    local hangs = hang "on=create,open path=/b.journal"
    h.write(s.path, policy(A, B))
    s:signal "SIGHUP"
    hangs()
    post(2)
    local began = h.now()
    s:signal "SIGTERM"
    s:logged("event=stopped exit=0 stuck=true", 20)
    assert.is_true(h.now() - began < 10)
    assert.equal(0, h.reap(s.pid, 20))
    s.pid = nil
    f:rules()
    s:start()
    s:deliver(20)
    assert.equal(0, s:stop())
    assert.equal(2, #s:lines "a")
  end)

  -- The call comes back when the workers have ended, and no thread is left to go on
  -- with.
  local at_the_end = {
    ["a new policy"] = policy(A, B),
    ["a canary"] = policy(A):gsub('stream = "events" }', [[stream = "events",
  on_event = function(ev) ev.x = 1 end }
canary { share = "50%%" }]]),
  }
  for what, text in pairs(at_the_end) do
    it("lets " .. what .. " go when the process ends first", function()
      post(2)
      s:deliver()
      local made = f:made()
      f:rules("do=delay ms=700 on=create,open path=.journal thread=changer times=1")
      h.write(s.path, text)
      s:signal "SIGHUP"
      h.wait_for("the call to wait", function() return f:made() > made end)
      s:signal "SIGTERM"
      assert.equal(0, h.reap(s.pid, 20))
      s.pid = nil
      s:logged "status=refused"
      f:rules()
      s:start()
      assert.equal(0, s:stop())
      assert.equal(2, #s:lines "a")
    end)
  end
end)
