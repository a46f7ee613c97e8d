-- zookeeper: a real one of Debian's, as a plain process in a folder of its own; for
-- replicated tables.
local h = require "harness"
local signal = require "posix.signal"
local socket = require "socket"

local M = {}
local Keeper = {}
Keeper.__index = Keeper

local JAR = "/usr/share/java/zookeeper.jar"
local CONFIG = [[
tickTime=1000
dataDir=DIR/data
clientPort=PORT
clientPortAddress=127.0.0.1
admin.enableServer=false
maxClientCnxns=200
forceSync=no
4lw.commands.whitelist=srvr
]]

function M.missing()
  if h.shell("command -v java") == "" then return "no Java is installed" end
  return h.shell("ls " .. JAR):find("^" .. JAR) == nil
    and "no ZooKeeper is installed" or nil
end

local function answers(port)
  local c = socket.tcp()
  c:settimeout(1)
  local text = c:connect("127.0.0.1", port) and c:send("srvr") and c:receive("*a")
  c:close()
  return text and text:find("Mode: standalone", 1, true)
end

function M.start(port)
  local k = setmetatable({ dir = h.folder(), port = port }, Keeper)
  h.shell(("mkdir '%s/data'"):format(k.dir))
  h.write(k.dir .. "/zoo.cfg", (CONFIG:gsub("%u%u%u+", { DIR = k.dir, PORT = port })))
  k.pid = h.spawn({ "java", "-Xmx128m", "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1", "-Dzookeeper.jmx.log4j.disable=true", "-cp", JAR,
    "org.apache.zookeeper.server.quorum.QuorumPeerMain", k.dir .. "/zoo.cfg" },
    k.dir .. "/out")
  h.wait_for("zookeeper", function() return answers(port) end, 60)
  return k
end

function Keeper:close()
  signal.kill(self.pid, signal.SIGKILL)
  h.reap(self.pid)
  h.remove(self.dir)
end

return M
