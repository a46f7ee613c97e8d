-- kafka: librdkafka's mock cluster, or a real broker (kafka.real), in a folder of its
-- own.
local h = require "harness"
local signal = require "posix.signal"
local socket = require "socket"

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
  h.tell(self.dir, line)
end

---The first broker is gone, as connections to it tell.
function Mock:down()
  self:say "down 1"
  local host, port = self.brokers:match("([%d%.]+):(%d+)")
  h.wait_for("the broker to be down", function()
    local c = socket.tcp()
    c:settimeout(1)
    local ok = c:connect(host, tonumber(port))
    c:close()
    return not ok
  end)
end

function Mock:close()
  signal.kill(self.pid, signal.SIGKILL)
  h.reap(self.pid)
  h.remove(self.dir)
end

---What reads a topic to its end: a partition that has no more says so at once, not
---after half a second.
M.READ = "kcat -q -C -X fetch.wait.max.ms=10 -o beginning -e"

---All messages of a topic, in lines of kcat's format.
function M.consume(brokers, topic, format)
  local f = io.popen(("%s -b %s -t %s -f '%s' 2>&1"):format(M.READ, brokers, topic,
    format or "%s\\n"))
  local list = {}
  for line in f:lines() do list[#list + 1] = line end
  f:close()
  return list
end

---The sum of the partitions' high watermarks.
function M.count(brokers, topic, partitions)
  local asked, n = {}, 0
  for p = 0, partitions - 1 do asked[p + 1] = ("-t %s:%d:-1"):format(topic, p) end
  for offset in h.shell(("kcat -q -Q -b %s %s"):format(brokers,
    table.concat(asked, " "))):gmatch("offset (%d+)") do
    n = n + tonumber(offset)
  end
  return n
end

-- ---- a real broker -----------------------------------------------------------

local Real = {}
Real.__index = Real

local PROPERTIES = [[
process.roles=broker,controller
node.id=1
listeners=PLAINTEXT://127.0.0.1:BROKER,CONTROLLER://127.0.0.1:CONTROLLISTENERS
advertised.listeners=PLAINTEXT://127.0.0.1:BROKERADVERTISED
controller.listener.names=CONTROLLER
controller.quorum.voters=1@127.0.0.1:CONTROL
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXTPROTOCOLS
inter.broker.listener.name=PLAINTEXT
log.dirs=DIR/logs
num.partitions=4
offsets.topic.replication.factor=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
auto.create.topics.enable=AUTO
]]

-- One that asks for a password: ingest's is secret.
local PASSWORD = [[
sasl.enabled.mechanisms=PLAIN
listener.name.%s.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.\
PlainLoginModule required username="a" password="a" user_ingest="secret";
]]

---The folder of its jars, or nil and why there is none.
---@param version string? default: the oldest that is tested
function M.jars(version)
  local dir = h.shell("sh tests/kafka.sh " .. (version or "")):match("(%S+)\n$")
  if not dir then return nil, "no Java, or no Kafka from Maven Central" end
  return dir
end

-- The files that formatting writes, which takes a JVM, and is the same for all brokers of
-- a version.
local formats = {}

local function format(r)
  local formatted = formats[r.jars]
  if not formatted then
    local out = h.shell(("java -XX:TieredStopAtLevel=1 -XX:-UsePerfData -cp '%s/*' "
      .. "kafka.tools.StorageTool format -t AAAAAAAAAAAAAAAAAAAAAA -c '%s/p'"):format(
      r.jars, r.dir))
    assert(out:find("Formatting"), out)
    formatted = {}
    formats[r.jars] = formatted
    for f in h.shell(("cd '%s/logs' && find . -type f"):format(r.dir)):gmatch("[^\n]+") do
      formatted[f] = assert(h.read(r.dir .. "/logs/" .. f))
    end
  end
  for f, text in pairs(formatted) do
    local path = r.dir .. "/logs/" .. f
    h.shell(("mkdir -p \"$(dirname '%s')\""):format(path))
    h.write(path, text)
  end
end

-- A certificate of its own for a listener, as the broker's settings name it.
local function certificate(dir, listener)
  h.shell(("openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=test -addext "
    .. "subjectAltName=IP:127.0.0.1 -keyout '%s/key.pem' -out '%s/cert.pem' 2>/dev/null && "
    .. "cat '%s/key.pem' '%s/cert.pem' > '%s/both.pem'"):format(dir, dir, dir, dir, dir))
  return ("listener.name.%s.ssl.keystore.type=PEM\n"
    .. "listener.name.%s.ssl.keystore.location=%s/both.pem\n"):format(listener, listener,
    dir)
end

---@param o table? dir: where its files lie; listeners: { name = { port = where it
---listens, advertised = where clients are sent, password = true?, tls = true? (with
---password; its certificate is in Real.dir/cert.pem) } }; no_auto: topics
---are not made by themselves; no_wait
function M.real(jars, port, control, o)
  o = o or {}
  local r = setmetatable({ dir = o.dir or h.folder(), jars = jars, port = port,
    brokers = "127.0.0.1:" .. port }, Real)
  local listeners, advertised, protocols, more = "", "", "", ""
  for name, l in pairs(o.listeners or {}) do
    listeners = ("%s,%s://127.0.0.1:%d"):format(listeners, name, l.port)
    advertised = ("%s,%s://127.0.0.1:%d"):format(advertised, name,
      l.advertised or l.port)
    protocols = ("%s,%s:%s"):format(protocols, name, l.tls and "SASL_SSL"
      or l.password and "SASL_PLAINTEXT" or "PLAINTEXT")
    if l.password then more = more .. PASSWORD:format(name:lower()) end
    if l.tls then more = more .. certificate(r.dir, name:lower()) end
  end
  local vars = { BROKER = port, CONTROL = control, DIR = r.dir,
    LISTENERS = listeners, ADVERTISED = advertised, PROTOCOLS = protocols,
    AUTO = tostring(not o.no_auto) }
  local text = PROPERTIES
  for _, name in ipairs { "LISTENERS", "ADVERTISED", "PROTOCOLS" } do
    text = text:gsub(name, vars[name])
  end
  h.write(r.dir .. "/p", text:gsub("%u%u%u+", vars) .. more)
  format(r)
  r:run(o.no_wait)
  return r
end

function Real:run(no_wait)
  self.pid = h.spawn({ "java", "-Xmx384m", "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1", "-XX:-UsePerfData", "-Djava.io.tmpdir=" .. self.dir,
    "-cp", self.jars .. "/*", "kafka.Kafka", self.dir .. "/p" }, self.dir .. "/out")
  if not no_wait then self:ready() end
end

function Real:ready()
  h.wait_for("the broker", function()
    if h.open_port(self.port) and h.shell(("timeout 3 kcat -q -L -b %s"):format(
      self.brokers)):find("1 brokers:") then return true end
    h.sleep(0.2)
  end, 90)
end

---Makes or deletes a topic.
function Real:admin(command)
  local out = h.shell(("%s/tools/kadmin %s %s"):format(h.build, self.brokers, command))
  if out ~= "" then error(command .. ": " .. out, 2) end
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
