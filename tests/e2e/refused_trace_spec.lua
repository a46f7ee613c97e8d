-- A policy that is refused because the disk is full leaves no trace in a sink's journal, once
-- there is room again: after a kill the sink gets no event of a stream that it would have had.
local faults = require "faults"
local h = require "harness"

local function policy(a)
  return ([[
server { listen = "127.0.0.1:0", workers = 1 }
admin { listen = "127.0.0.1:0" }
file "a" { dir = "a", linger = "5ms" }
file "e" { dir = "e", linger = "5ms" }
stream "wanted" { sinks = { "a" } }
stream "refused" { sinks = { %s } }
route "POST /wanted" { body = "event", stream = "wanted" }
route "POST /refused" { body = "event", stream = "refused" }
]]):format(a)
end
local OLD, NEW = policy [["e"]], policy [["e", "a"]]
-- Refused for another sink's sake, when "a" has the stream already.
local BAD = NEW:gsub('file "e"', 'file "bad" { dir = "/proc/none" }\n%0', 1)
  :gsub('"e", "a" }', '"e", "a", "bad" }')

describe("a policy that is refused since a journal's disk is full", function()
  local f, s, n
  local function open()
    local dir = h.folder()
    f, n = faults.new(dir .. "/data"), 0
    s = h.server { dir = dir, wrap = f:wrap(), policy = OLD }
  end
  local function close()
    if not s then return end
    f:rules()
    s:close()
    f:close()
    s = nil
  end
  after_each(close)

  local function post(stream)
    n = n + 1
    assert.equal(202, s:post("/" .. stream, ('{"n":"%s-%d"}'):format(stream, n)).status)
  end
  local function stored(sink)
    return h.shell(("cat '%s/%s/'*.ndjson* 2>/dev/null || true"):format(s.data, sink))
  end
  local function restart(text)
    h.write(s.path, text)
    s:stop "SIGKILL"
    s:start()
  end
  ---The second event of its stream is the last one that the sink gets.
  local function only_its_own(why)
    post "wanted"
    h.wait_for("all of its own", function()
      return select(2, stored "a":gsub("wanted%-", "")) == 2
    end)
    assert.is_nil(stored "a":find("refused-", 1, true), why)
    close()
  end
  local function has_trace()
    return h.read(s.data .. "/spool/sinks/a.journal"):find("refused", 1, true) ~= nil
  end

  it("leaves no trace in it when there is room again", function()
    local traces = 0
    for at = 1, 6 do
      open()
      post "wanted"
      post "refused"
      s:deliver()
      f:rules(("on=write,sync do=ENOSPC path=/a.journal from=%d"):format(at))
      h.write(s.path, BAD)
      assert.equal(500, s:reload().status)
      traces = traces + (has_trace() and 1 or 0)
      post "refused"
      f:rules()
      -- A rewritten journal has no word of the stream; one that was not may say that it went.
      pcall(h.wait_for, "a journal without the stream", function() return not has_trace() end, 1)
      restart(OLD)
      only_its_own("a fault from step " .. at)
    end
    assert.is_true(traces >= 1)
  end)

  it("leaves none when one write fails on the way back", function()
    for at = 1, 6 do
      open()
      post "wanted"
      post "refused"
      s:deliver()
      f:rules(("on=write,sync do=ENOSPC path=/a.journal from=%d times=1"):format(at))
      h.write(s.path, BAD)
      assert.equal(500, s:reload().status)
      post "refused"
      restart(OLD)
      only_its_own("a fault at step " .. at)
    end
  end)

  -- The other stream of the sink is new to it since the restart: it can't begin on the way
  -- back either. The refused stream stands first, so that it has begun before.
  it("leaves none when another stream can't begin on the way back", function()
    local function turned(text)
      return (text:gsub('(stream "wanted"[^\n]*\n)(stream "refused"[^\n]*\n)', "%2%1"))
    end
    local traces = 0
    local tries = 0
    -- Which step leaves a trace varies.
    while tries < 8 or (traces == 0 and tries < 40) do
      local at = tries % 8 + 1
      tries = tries + 1
      open()
      post "refused"
      restart(turned(OLD))
      f:rules "on=write do=EIO path=/a/\non=write,sync do=ENOSPC path=/a.journal"
      post "wanted"
      f:rules(("on=write do=EIO path=/a/\non=write,sync do=ENOSPC path=/a.journal from=%d")
        :format(at))
      h.write(s.path, turned(NEW))
      local refused = s:reload().status == 500
      traces = traces + (refused and has_trace() and 1 or 0)
      if refused then post "refused" end
      f:rules()
      h.write(s.path, turned(NEW))
      assert.equal(200, s:reload().status)
      only_its_own("a fault from step " .. at)
    end
    assert.is_true(traces >= 1)
  end)
end)
