-- kafka: librdkafka's mock cluster, or a real broker (kafka.real), in a folder of its
-- own.
local h = require "harness"
local signal = require "posix.signal"

local M = {}
local Mock = {}
Mock.__index = Mock

---@param o table? brokers (default 1), partitions (default 4)
function M.mock(o)
  o = o or {}
  local m = setmetatable({ dir = h.folder() }, Mock)
  h.shell(("mkfifo '%s/in'"):format(m.dir))
  m.pid = h.spawn({ h.build .. "/tools/kmock", tostring(o.brokers or 1),
    m.dir .. "/in", m.dir .. "/bootstrap" }, m.dir .. "/log")
  m.brokers = h.wait_for("the mock cluster", function()
    return (h.read(m.dir .. "/bootstrap") or ""):match("(%S+)\n")
  end)
  m:say(("topic events %d"):format(o.partitions or 4))
  return m
end

function Mock:say(line)
  local f = assert(io.open(self.dir .. "/in", "w"))
  f:write(line, "\n")
  f:close()
  h.sleep(0.05) -- it obeys in order, but does not answer
end

function Mock:close()
  signal.kill(self.pid, signal.SIGKILL)
  h.reap(self.pid)
  h.remove(self.dir)
end

---All messages of a topic, in lines of kcat's format.
function M.consume(brokers, topic, format)
  local f = io.popen(("kcat -q -C -b %s -t %s -o beginning -e -f '%s' 2>&1")
    :format(brokers, topic, format or "%s\\n"))
  local list = {}
  for line in f:lines() do list[#list + 1] = line end
  f:close()
  return list
end

---The sum of the partitions' high watermarks.
function M.count(brokers, topic, partitions)
  local n = 0
  for p = 0, partitions - 1 do
    n = n + (tonumber(h.shell(("kcat -q -Q -b %s -t %s:%d:-1"):format(brokers,
      topic, p)):match("offset (%d+)")) or 0)
  end
  return n
end

return M
