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

-- ---- a real broker -----------------------------------------------------------

local Real = {}
Real.__index = Real

local PROPERTIES = [[
process.roles=broker,controller
node.id=1
listeners=PLAINTEXT://127.0.0.1:BROKER,CONTROLLER://127.0.0.1:CONTROL
advertised.listeners=PLAINTEXT://127.0.0.1:BROKER
controller.listener.names=CONTROLLER
controller.quorum.voters=1@127.0.0.1:CONTROL
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT
inter.broker.listener.name=PLAINTEXT
log.dirs=DIR/logs
num.partitions=4
offsets.topic.replication.factor=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
]]

---The folder of its jars, or nil and why there is none.
function M.jars()
  local dir = h.shell("sh tests/kafka.sh"):match("(%S+)\n$")
  if not dir then return nil, "no Java, or no Kafka from Maven Central" end
  return dir
end

function M.real(jars, port, control)
  local r = setmetatable({ dir = h.folder(), jars = jars, port = port,
    brokers = "127.0.0.1:" .. port }, Real)
  h.write(r.dir .. "/p", (PROPERTIES:gsub("%u%u%u+", { BROKER = port,
    CONTROL = control, DIR = r.dir })))
  local out = h.shell(("java -cp '%s/*' kafka.tools.StorageTool format "
    .. "-t AAAAAAAAAAAAAAAAAAAAAA -c '%s/p'"):format(jars, r.dir))
  assert(out:find("Formatting"), out)
  r:run()
  return r
end

function Real:run()
  self.pid = h.spawn({ "java", "-Xmx384m", "-XX:+UseSerialGC", "-cp",
    self.jars .. "/*", "kafka.Kafka", self.dir .. "/p" }, self.dir .. "/out")
  h.wait_for("the broker", function()
    return h.shell(("timeout 3 kcat -q -L -b %s 2>&1"):format(self.brokers))
      :find("1 brokers:")
  end, 60)
end

function Real:signal(name) signal.kill(self.pid, signal[name]) end

function Real:kill()
  self:signal "SIGKILL"
  h.reap(self.pid)
  self.pid = nil
end

function Real:close()
  if self.pid then self:kill() end
  h.remove(self.dir)
end

return M
