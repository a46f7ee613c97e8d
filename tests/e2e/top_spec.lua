-- sluice top in a terminal of its own: a pseudo terminal whose other end is the test.
local fcntl = require "posix.fcntl"
local h = require "harness"
local wait = require "posix.sys.wait"
local poll = require "posix.poll"
local signal = require "posix.signal"
local stdlib = require "posix.stdlib"
local termio = require "posix.termio"
local unistd = require "posix.unistd"

local policy = [[
server { listen = "127.0.0.1:0", workers = 1, drain = "100ms" }
admin { listen = "127.0.0.1:0" }
file "archive" { dir = "archive", linger = "20ms" }
http "away" { url = "http://127.0.0.1:1/" }
stream "events" { sinks = { "archive", "away" } }
route "POST /v1/events" { body = "event", stream = "events", schema = schema { n = int {} } }
]]

describe("sluice top", function()
  local s

  setup(function()
    s = h.server { policy = policy }
    s:post("/v1/events", '{"n":1}')
    s:post("/v1/events", '{"n":"x"}')
    h.wait_for("the sink to hold", function()
      return s:metric("sluice_sink_holding", 'sink="away"') == 1
    end)
  end)
  teardown(function() s:close() end)

  ---A program on a terminal: what it has drawn, its keys, its end.
  local function open(argv, env)
    local t = { text = "" }
    t.fd = assert(stdlib.openpt(fcntl.O_RDWR + fcntl.O_NOCTTY))
    assert(stdlib.grantpt(t.fd))
    assert(stdlib.unlockpt(t.fd))
    local name = stdlib.ptsname(t.fd)
    -- The slave stays open here, so that its settings outlive the program.
    t.slave = assert(fcntl.open(name, fcntl.O_RDWR + fcntl.O_NOCTTY))
    t.before = termio.tcgetattr(t.slave)
    for _, fd in ipairs { t.fd, t.slave } do -- the program has an end of its own alone
      fcntl.fcntl(fd, fcntl.F_SETFD, fcntl.FD_CLOEXEC)
    end
    t.pid = assert(unistd.fork())
    if t.pid == 0 then
      unistd.setpid("s") -- a session, whose terminal the next one becomes
      local fd = fcntl.open(name, fcntl.O_RDWR)
      for i = 0, 2 do unistd.dup2(fd, i) end
      stdlib.setenv("TERM", "xterm")
      for k, v in pairs(env or {}) do stdlib.setenv(k, v) end
      local args = {}
      for i = 2, #argv do args[i - 1] = argv[i] end
      unistd.execp(argv[1], args)
      unistd._exit(127)
    end
    function t:read()
      while poll.rpoll(self.fd, 0) == 1 do
        local part = unistd.read(self.fd, 65536)
        if not part or part == "" then break end
        self.text = self.text .. part
      end
      return self.text
    end
    ---Waits until something is drawn after what the last call has seen.
    function t:sees(pattern)
      return h.wait_for("the screen to have " .. pattern, function()
        local from, to = self:read():find(pattern, self.seen or 1)
        if to then self.seen = to + 1 end
        return from
      end)
    end
    function t:key(k) unistd.write(self.fd, k) end
    function t:flags() return termio.tcgetattr(self.slave).lflag end
    function t:close()
      unistd.close(self.fd)
      unistd.close(self.slave)
    end
    return t
  end

  local function top(env, ...)
    return open({ h.binary, "top", "--every", "50ms", "--spool", s.data .. "/spool", ... }, env)
  end

  local function reap(t)
    local code
    h.wait_for("its end", function()
      t:read()
      local got, how, c = wait.wait(t.pid, wait.WNOHANG)
      if got == t.pid then code = how == "exited" and c or ("signal " .. c) end
      return code
    end)
    return code
  end

  it("draws all, each part, in an order, and gives the terminal back", function()
    local t = top()
    t:sees "\27%[%?1049h"
    t:sees "WRONG  sink away takes nothing"
    t:sees "CLIENTS"
    t:sees "SINKS"
    t:sees "%[all, by backlog%]"
    assert.not_equal(t.before.lflag, t:flags())
    t:key "s"
    t:sees "%[all, by rate%]"
    t:key "k"
    t:sees "http://127.0.0.1:1"
    t:sees "%[sinks, by rate%]"
    t:key "r"
    t:sees "wrong_type"
    t:sees "%[refusals, by rate%]"
    t:key " "
    t:sees "PAUSED"
    t:key "q"
    assert.equal(0, reap(t))
    assert.matches("\27%[%?25h\27%[%?1049l", t:read():sub(-20))
    assert.equal(t.before.lflag, t:flags())
    t:close()
  end)

  it("gives the terminal back when a signal ends it", function()
    for name, code in pairs { SIGINT = 0, SIGTERM = 143, SIGHUP = 129, SIGSEGV = "signal 11" } do
      local t = top()
      t:sees "%[all, by backlog%]"
      signal.kill(t.pid, signal[name])
      assert.equal(code, reap(t), name)
      assert.matches("\27%[%?25h\27%[%?1049l", t:read():sub(-20), 1, false)
      assert.equal(t.before.lflag, t:flags(), name)
      t:close()
    end
  end)

  it("draws within the size that the terminal has", function()
    local t = top()
    t:sees "%[all, by backlog%]"
    h.shell(("stty -F '%s' cols 30 rows 6"):format(stdlib.ptsname(t.fd)))
    local frame = h.wait_for("a small frame", function()
      local last = t:read():match ".*(\27%[H.-)\27%[J"
      local _, n = (last or ""):gsub("\r\n", "")
      return n == 5 and last
    end)
    for line in frame:gmatch "\27%[K([^\r\n]+)\r\n" do
      assert.is_true(#line:gsub("\27%[[%d;]*%a", "") <= 30, line)
    end
    t:key "q"
    assert.equal(0, reap(t))
    t:close()
  end)

  it("draws in a terminal of 20 columns and 5 rows, of one row, and wide characters", function()
    local t = top()
    t:sees "%[all, by backlog%]"
    for _, size in ipairs { { 20, 5 }, { 20, 2 }, { 1, 1 }, { 200, 50 } } do
      h.shell(("stty -F '%s' cols %d rows %d"):format(stdlib.ptsname(t.fd), size[1], size[2]))
      h.wait_for("a frame of " .. size[1], function()
        local last = t:read():match ".*(\27%[H.-)\27%[J"
        local _, n = (last or ""):gsub("\r\n", "")
        for line in (last or ""):gmatch "\27%[K([^\r\n]*)\r\n" do
          if #line:gsub("\27%[[%d;]*%a", "") > size[1] then return false end
        end
        return last and n <= size[2] - 1 and (n == size[2] - 1 or size[2] > 20)
      end)
    end
    -- What is wrong is there whole, over as many lines as it takes.
    h.shell(("stty -F '%s' cols 40 rows 50"):format(stdlib.ptsname(t.fd)))
    h.wait_for("a broken line", function()
      local last = t:read():match ".*(\27%[H.-)\27%[J" or ""
      local text = last:gsub("\27%[[%d;]*%a", ""):gsub("\r\n", "\n"):gsub("\n       ", " ")
      return text:find "WRONG  sink away takes nothing[^\n]*onnect to server"
    end)
    t:key "q"
    assert.equal(0, reap(t))
    t:close()
  end)

  it("has the part in sight that a key asks for, however much is wrong", function()
    local t = top()
    t:sees "%[all, by backlog%]"
    h.shell(("stty -F '%s' cols 80 rows 6"):format(stdlib.ptsname(t.fd)))
    local function frame(pattern)
      return h.wait_for("a frame with " .. pattern, function()
        local last = t:read():match ".*(\27%[H.-%[[a-z]+, by [a-z]+%])"
        return last and last:find(pattern) and last
      end)
    end
    frame "WRONG  sink away takes nothing"
    t:key "r"
    assert.is_truthy(frame "wrong_type":find("WRONG above [refusals, by ", 1, true))
    frame "POST /v1/events +wrong_type +422 +%d+ +1\r" -- with its figures, in 80 columns
    t:key "p"
    frame "last load: generation 1"
    h.shell(("stty -F '%s' cols 80 rows 40"):format(stdlib.ptsname(t.fd)))
    t:key "k"
    frame "SINKS +state +behind +events +bytes +delivers/s +dead\27"
    frame "SPOOL +ack +on the disk +max_bytes +used +stored\27"
    h.shell(("stty -F '%s' cols 80 rows 6"):format(stdlib.ptsname(t.fd)))
    t:key "p"
    for _ = 1, 30 do t:key "\27[A" end
    assert.is_nil(frame "WRONG  sink away takes nothing":find("above", 1, true))
    t:key "q"
    assert.equal(0, reap(t))
    t:close()
  end)

  it("ends when its terminal goes, and stops and goes on as a shell's job", function()
    local t = top()
    t:sees "%[all, by backlog%]"
    signal.kill(t.pid, signal.SIGTSTP)
    h.wait_for("it to stop, with the terminal as it was", function()
      t:read()
      return h.read(("/proc/%d/stat"):format(t.pid)):match "%) (%a)" == "T"
        and t:flags() == t.before.lflag
    end)
    signal.kill(t.pid, signal.SIGCONT)
    h.wait_for("it to draw again", function()
      t:read()
      return t:flags() ~= t.before.lflag
    end)
    t:sees "\27%[%?1049h"
    t:sees "%[all, by backlog%]"
    unistd.close(t.slave)
    unistd.close(t.fd) -- the terminal hangs up
    local code
    h.wait_for("its end", function()
      local got, how, c = wait.wait(t.pid, wait.WNOHANG)
      if got == t.pid then code = how == "exited" and c or ("signal " .. c) end
      return code
    end)
    assert.equal(129, code)
  end)

  ---A shell with jobs, in a terminal, and top as one of them.
  local function job(begin)
    local t = open({ "bash", "--norc", "-i" }, { PS1 = "$ ", HISTFILE = "", LC_ALL = "C" })
    t:sees "%$ $"
    t:key(("%s top --every 50ms --spool '%s/spool'%s\n"):format(h.binary, s.data, begin or ""))
    return t
  end

  ---What the shell's commands find: the settings of their terminal. The shell may say between
  ---two commands that a job has ended.
  local function settings(t)
    t:key("found=$(stty -a | tr ';' '\\n' | grep -ow -e '-*icanon' -e '-*echo' | tr '\\n' ' '); "
      .. "echo \"found=${found}the\"' end'\n")
    t:sees "the end\r\n"
    return t.text:sub(1, t.seen):match ".*found=([%l -]-) the end\r\n"
  end

  it("is a shell's job: stops in its terminal, goes on, ends with it", function()
    local t = job()
    t:sees "%[all, by backlog%]"
    for _ = 1, 2 do
      t:key "\26"
      t:sees "\27%[%?25h\27%[%?1049l"
      t:sees "Stopped"
      t:sees "%$ $"
      assert.equal("icanon echo", settings(t))
      -- Another size, of which it has heard nothing.
      h.shell(("stty -F '%s' cols 50 rows 9"):format(stdlib.ptsname(t.fd)))
      t:key "fg\n"
      t:sees "\27%[%?1049h"
      t:sees "%[all, by backlog%]"
      h.wait_for("a frame of 9 rows", function()
        local last = t:read():match ".*(\27%[H.-)\27%[J"
        return last and select(2, last:gsub("\r\n", "")) == 8
      end)
    end
    t:key "q"
    t:sees "\27%[%?1049l"
    t:sees "%$ $"
    assert.equal("icanon echo", settings(t))
    t:key "exit\n"
    reap(t)
    t:close()
  end)

  it("ends while it is stopped, by the signal that a shell sends", function()
    local t = job()
    t:sees "%[all, by backlog%]"
    t:key "\26"
    t:sees "Stopped"
    t:sees "%$ $"
    t:key "echo pid=$(jobs -p)\n"
    local pid = t:sees "pid=%d+\r" and t.text:match "pid=(%d+)\r"
    t:key "kill %1\n"
    -- The shell itself may overlook an end that follows so soon.
    h.wait_for("its end", function()
      t:read()
      return (h.read("/proc/" .. pid .. "/stat") or ") Z"):match "%) (%a)" == "Z"
    end)
    assert.equal("icanon echo", settings(t))
    t:key "exit\n"
    reap(t)
    t:close()
  end)

  it("waits in the background until it is in front, and keeps the terminal's settings", function()
    local t = job " &"
    t:sees "%[1%]"
    t:key "\n"
    h.wait_for("it to stop", function()
      t:key "jobs\n"
      return t:read():find "Stopped"
    end)
    assert.falsy(t:read():find "\27%[%?1049h")
    t:key "fg\n"
    t:sees "%[all, by backlog%]"
    t:key "q"
    t:sees "\27%[%?1049l"
    t:sees "%$ $"
    assert.equal("icanon echo", settings(t))
    t:key "exit\n"
    reap(t)
    t:close()
  end)

  it("draws all again after a SIGSTOP, and stops in a terminal that takes nothing", function()
    local t = top()
    t:sees "%[all, by backlog%]"
    signal.kill(t.pid, signal.SIGSTOP)
    h.wait_for("the stop", function()
      return h.read(("/proc/%d/stat"):format(t.pid)):match "%) (%a)" == "T"
    end)
    t:read()
    h.shell(("stty -F '%s' icanon echo"):format(stdlib.ptsname(t.fd))) -- as a shell does
    signal.kill(t.pid, signal.SIGCONT)
    t:sees "\27%[%?1049h"
    t:sees "%[all, by backlog%]"
    assert.not_equal(t.before.lflag, t:flags())
    t:key "\19" -- Ctrl-S: the terminal takes nothing; some frames later top waits for it
    h.sleep(0.3)
    signal.kill(t.pid, signal.SIGTSTP)
    h.wait_for("the stop, with the terminal as it was", function()
      return h.read(("/proc/%d/stat"):format(t.pid)):match "%) (%a)" == "T"
        and t:flags() == t.before.lflag
    end)
    t:read()
    t.seen = #t.text + 1
    t:key "\17"
    signal.kill(t.pid, signal.SIGCONT)
    t:sees "\27%[%?1049h"
    t:sees "%[all, by backlog%]"
    t:key "q"
    assert.equal(0, reap(t))
    assert.equal(t.before.lflag, t:flags())
    t:close()
  end)

  it("draws without colours when NO_COLOR asks for it, and goes on without the server",
  function()
    local t = top({ NO_COLOR = "1" })
    t:sees "%[all, by backlog%]"
    assert.falsy(t:read():find "\27%[%d*;?%d+m")
    t:key "q"
    assert.equal(0, reap(t))
    t:close()
    t = top()
    t:sees "CLIENTS"
    assert.equal(0, s:stop())
    t:sees "no server answers"
    t:sees "this is of %d+ m?s ago:" -- the last picture, which may say GOOD
    t:sees "NO ANSWER"
    t:key "q"
    assert.equal(0, reap(t))
    t:close()
    s:start()
  end)

  it("says that a server which is stopped does not answer, though it took the connection",
  function()
    local t = top()
    t:sees "CLIENTS"
    finally(function() s:signal "SIGCONT" end)
    s:signal "SIGSTOP"
    t:sees "no %l+ %l+ 127%.0%.0%.1:"
    assert.is_nil(t.text:find("no connection", 1, true))
    t:key "q"
    assert.equal(0, reap(t))
    t:close()
  end)

  it("takes each of the keys that come at once, and no part of a key's bytes", function()
    local t = top()
    t:sees "%[all, by backlog%]"
    t:key "r\27[Bsk"
    t:sees "%[sinks, by rate%]"
    t:key "\27OQ\27[3~\27[1;5Qp" -- F2, Delete: none of them is a Q
    t:sees "%[policy, by rate%]"
    t:key "aq"
    assert.equal(0, reap(t))
    t:close()
  end)

  ---Nothing is drawn any more: it waits for its terminal.
  local function waits(t)
    h.wait_for("it to draw nothing", function()
      local before = #t:read()
      h.sleep(0.3)
      return #t:read() == before
    end)
  end

  local function memory(t)
    return tonumber(h.read(("/proc/%d/status"):format(t.pid)):match "VmRSS:%s+(%d+)")
  end

  it("waits while Ctrl-S stops its terminal, and draws the size and the view of now", function()
    local t = top()
    t:sees "%[all, by backlog%]"
    t:key "\19"
    waits(t)
    local before = memory(t)
    h.shell(("stty -F '%s' cols 60 rows 9"):format(stdlib.ptsname(t.fd)))
    t:key "sk"
    h.sleep(0.5)
    assert.equal("", t:read():sub(t.seen):match "%[sinks" or "")
    assert.is_true(memory(t) <= before + 1024)
    t:key "\17"
    t:sees "%[sinks, by rate%]"
    h.wait_for("a frame of 9 rows", function()
      local last = t:read():match ".*(\27%[H.-)\27%[J"
      return last and select(2, last:gsub("\r\n", "")) == 8
    end)
    t:key "q"
    assert.equal(0, reap(t))
    assert.equal(t.before.lflag, t:flags())
    t:close()
  end)

  it("ends by a signal while its terminal takes nothing", function()
    for name, code in pairs { SIGTERM = 143, SIGHUP = 129, SIGINT = 0 } do
      local t = top()
      t:sees "%[all, by backlog%]"
      t:key "\19"
      waits(t)
      signal.kill(t.pid, signal[name])
      assert.equal(code, reap(t), name)
      assert.equal(t.before.lflag, t:flags())
      t:close()
    end
    -- Nobody reads, and nobody has pressed a key.
    local t = top()
    t:sees "%[all, by backlog%]"
    local got
    t.read = function() return t.text end
    h.sleep(1) -- a frame of each 50 ms: more than a terminal keeps
    signal.kill(t.pid, signal.SIGTERM)
    h.wait_for("its end", function()
      local pid, how, c = wait.wait(t.pid, wait.WNOHANG)
      got = pid == t.pid and { how, c }
      return got
    end)
    assert.same({ "exited", 143 }, got)
    t:close()
  end)

  it("ends when a terminal that takes nothing goes", function()
    local t = top()
    t:sees "%[all, by backlog%]"
    t:key "\19"
    waits(t)
    unistd.close(t.slave)
    unistd.close(t.fd)
    local code
    h.wait_for("its end", function()
      local got, how, c = wait.wait(t.pid, wait.WNOHANG)
      if got == t.pid then code = how == "exited" and c or ("signal " .. c) end
      return code
    end)
    assert.equal(129, code)
  end)

  it("prints one screen where there is no terminal, or a dumb one", function()
    local out = h.shell(("%s top --every 50ms --spool '%s/spool'"):format(h.binary, s.data))
    assert.matches("^sluice ", out)
    assert.matches("\nSINKS ", out)
    assert.falsy(out:find "\27")
    local t = top({ TERM = "dumb" })
    t:sees "SINKS "
    assert.equal(1, reap(t))
    assert.falsy(t:read():find "\27")
    t:close()
  end)
end)
