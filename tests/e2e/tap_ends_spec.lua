-- How a tap begins to wait, goes on and ends: nothing to show, a reader that stops or goes, a
-- server that hangs, loads a policy, upgrades or dies, and a second tap.
local cjson = require "cjson"
local h = require "harness"
local signal = require "posix.signal"
local time = require "posix.time"

local policy = [[
server { listen = "127.0.0.1:0", workers = 2 }
admin { listen = "127.0.0.1:0" }
null "kept" {}
stream "events" { sinks = { "kept" } }
route "POST /v1/events" { body = "batch", stream = "events",
  schema = schema { n = num {}, ["a.b"] = str {}, name = str {}, on = bool {} } }
]]

describe("a tap", function()
  local s, readers
  before_each(function()
    s, readers = h.server { policy = policy }, {}
  end)
  after_each(function()
    for _, x in ipairs(readers) do
      if not x.ended then
        signal.kill(x.pid, signal.SIGKILL)
        h.reap(x.pid)
      end
    end
    s:close()
  end)

  ---A tap in the background that is open; what it printed, its end.
  local function tap(args, server)
    server = server or s
    local x = { out = ("%s/tap.%d"):format(server.dir, #readers) }
    local _, before = server:text():gsub("event=tap status=begins", "")
    x.pid = h.spawn({ "sh", "-c", ("exec %s tap --spool '%s/spool' %s"):format(h.binary,
      server.data, args or "") }, x.out)
    readers[#readers + 1] = x
    h.wait_for("the tap to open", function()
      return select(2, server:text():gsub("event=tap status=begins", "")) > before
    end)
    function x:text() return h.read(self.out) or "" end
    function x:ends()
      self.ended = true
      return h.reap(self.pid)
    end
    return x
  end

  local function seconds()
    local t = time.clock_gettime(time.CLOCK_MONOTONIC)
    return t.tv_sec + t.tv_nsec / 1e9
  end

  it("waits for events as long as it takes, and ends when its server hangs", function()
    local other = h.server { policy = policy }
    local quiet, hung = tap(), tap("", other)
    local began = seconds()
    other:signal "SIGSTOP"
    local ok, why = pcall(function()
      assert.equal(3, hung:ends())
      assert.is_true(seconds() - began >= 19)
      assert.matches("sluice: the server at 127.0.0.1:%d+ .* gave no sign of life for 20 s\n$",
        hung:text())
      -- As long again as it took to give the other up.
      h.wait_for("25 s", function() return seconds() - began > 25 end, 60)
      assert.equal("", quiet:text())
      h.wait_for("the event", function()
        s:post("/v1/events", '[{"n":1}]')
        return quiet:text():find '"n":1'
      end)
    end)
    other:signal "SIGCONT"
    other:close()
    assert(ok, why)
  end)

  it("ends by SIGPIPE when its reader goes, as other commands in a pipe do", function()
    -- The test's own process ignores the signal.
    for how, code in pairs { ["env --default-signal=PIPE"] = 141, env = 2 } do
      local out = s.dir .. "/pipe" .. code
      local pid = h.spawn({ "bash", "-c", ("%s %s tap --spool '%s/spool' 2>%s.err | head -n 1; "
        .. "echo ${PIPESTATUS[*]}"):format(how, h.binary, s.data, out) }, out)
      h.wait_for("the end", function()
        s:post("/v1/events", '[{"n":1}]')
        return (h.read(out) or ""):find "%d+ 0\n$"
      end)
      h.reap(pid)
      assert.matches('^{"time":%d+,[^\n]*}\n' .. code .. " 0\n$", h.read(out))
    end
    assert.matches("the output can't be written whole", h.read(s.dir .. "/pipe2.err"))
    s:logged "event=tap status=ends"
  end)

  it("that is stopped holds up no client, and says after it what it did not show", function()
    local x = tap()
    h.wait_for("an event", function()
      s:post("/v1/events", '[{"n":1}]')
      return x:text() ~= ""
    end)
    signal.kill(x.pid, signal.SIGSTOP)
    local list = {}
    for i = 1, 500 do list[i] = ('{"n":%d,"name":"%s"}'):format(i, ("x"):rep(900)) end
    local body = "[" .. table.concat(list, ",") .. "]"
    h.wait_for("events that were not shown", function()
      assert.equal(202, s:post("/v1/events", body).status)
      return s:text():find "event=tap status=ends [^\n]*dropped=[1-9]"
    end, 60)
    signal.kill(x.pid, signal.SIGCONT)
    assert.equal(3, x:ends())
    assert.matches("ended the stream", x:text())
    for line in x:text():gmatch '{"time"[^\n]*\n' do cjson.decode(line) end
  end)

  it("beside another sees the same events, over a reload; both end with the server", function()
    local one, two = tap "--where n=7", tap "--count 2"
    assert.equal(200, s:reload().status)
    h.wait_for("the events", function()
      s:post("/v1/events", '[{"n":7},{"n":8}]')
      return one:text():find '"n":7' and two:text():find "\n.*\n"
    end)
    assert.equal(0, two:ends())
    assert.falsy(one:text():find '"n":8')
    local first = cjson.decode(one:text():match "[^\n]+")
    assert.is_true(first.generation >= 2)
    s:signal "SIGKILL"
    assert.equal(3, one:ends())
    assert.matches("sluice: the [^\n]*\n$", one:text())
  end)

  it("over an upgrade ends, and says that the server ended it", function()
    local x = tap()
    assert.equal("0\n", h.shell(("%s upgrade --spool '%s/spool' >/dev/null 2>&1; echo $?")
      :format(h.binary, s.data)))
    assert.equal(3, x:ends())
    assert.matches("ended the stream", x:text())
    s.real_pid = tonumber(s:text():match ".*event=ready [^\n]*pid=(%d+)")
  end)

  it("finds a field's value however it is written", function()
    local function found(where, events)
      local x = tap(("--where '%s'"):format(where))
      h.wait_for("the last event of " .. where, function()
        assert.equal(202, s:post("/v1/events", events).status)
        return x:text() ~= ""
      end)
      signal.kill(x.pid, signal.SIGTERM)
      x:ends()
      return cjson.decode(x:text():match "[^\n]+").event
    end
    assert.equal(1, found("n=1", '[{"n":10},{"n":1.0}]').n)
    assert.equal(1000, found("n=1000", '[{"n":100},{"n":1e3}]').n)
    assert.equal(0.5, found("n=5e-1", '[{"n":5},{"n":0.5}]').n)
    assert.equal("2", found("n=9007199254740993",
      '[{"n":9007199254740992,"name":"1"},{"n":9007199254740993,"name":"2"}]').name)
    assert.equal("x", found("a.b=x", '[{"a":{"b":"y"}},{"b":"x"},{"a":{"b":"x"}}]').a.b)
    assert.equal("a=b", found("name=a=b", '[{"name":"a"},{"name":"a=b"}]').name)
    assert.equal("Zoë", found("name=Zoë", '[{"name":"Zoe"},{"name":"Zo\\u00eb"}]').name)
    -- Each character may be escaped.
    local long = ("\\u00eb"):rep(100)
    assert.equal(("ë"):rep(100), found("name=" .. ("ë"):rep(100),
      '[{"name":"' .. long .. '"}]').name)
    assert.is_true(found("on=true", '[{"name":"true"},{"on":true}]').on)
    assert.equal("+ &%41", found("name=+ &%41", '[{"name":"  A"},{"name":"+ &%41"}]').name)
    assert.equal("", found('name=""', '[{"name":"x"},{"name":""}]').name)
  end)
end)
