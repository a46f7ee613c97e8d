-- clickhouse: a real ClickHouse server of Debian's (18.16) as a plain process in a
-- folder of its own, on free ports.
local h = require "harness"
local signal = require "posix.signal"
local socket = require "socket"

math.randomseed(socket.gettime() * 1e6 % 2 ^ 31)

local M = {}
local Server = {}
Server.__index = Server

function M.missing()
  return h.shell("command -v clickhouse-server") == ""
    and "no clickhouse-server is installed" or nil
end

-- Ports that this process has given away: a server binds its own only after a second,
-- and two dozen servers start at the same time.
local given = {}

---Below those that connections get by themselves, which would take it meanwhile.
function M.free_port()
  for _ = 1, 1000 do
    local port = math.random(10240, 32000)
    local s = not given[port] and socket.bind("127.0.0.1", port)
    if s then
      s:close()
      given[port] = true
      return port
    end
  end
  error("no free port")
end

local CONFIG = [[<?xml version="1.0"?><yandex>
<logger><level>LEVEL</level><log>DIR/log</log><errorlog>DIR/err</errorlog></logger>
<listen_host>127.0.0.1</listen_host><http_port>HTTP</http_port><tcp_port>TCP</tcp_port>
<max_connections>256</max_connections><keep_alive_timeout>3</keep_alive_timeout>
<max_concurrent_queries>100</max_concurrent_queries>
<uncompressed_cache_size>0</uncompressed_cache_size>
<mark_cache_size>67108864</mark_cache_size>
<path>DIR/data/</path><tmp_path>DIR/tmp/</tmp_path>
<user_files_path>DIR/user_files/</user_files_path>
<format_schema_path>DIR/format_schemas/</format_schema_path>
<users_config>DIR/users.xml</users_config><default_profile>default</default_profile>
<default_database>default</default_database><timezone>UTC</timezone>
<mlock_executable>false</mlock_executable>KEEPER</yandex>]]

-- A replica finds the others by way of a ZooKeeper.
local KEEPER = [[<interserver_http_host>127.0.0.1</interserver_http_host>
<interserver_http_port>INTER</interserver_http_port>
<zookeeper><node index="1"><host>127.0.0.1</host><port>PORT</port></node>
<session_timeout_ms>4000</session_timeout_ms></zookeeper>
<macros><replica>REPLICA</replica></macros>]]

local USERS = [[<?xml version="1.0"?><yandex><profiles><default>
<max_memory_usage>2000000000</max_memory_usage></default></profiles>
<users><default><password></password><networks><ip>127.0.0.1</ip></networks>
<profile>default</profile><quota>default</quota></default>
<ingest><password>PASSWORD</password><networks><ip>127.0.0.1</ip></networks>
<profile>default</profile><quota>default</quota></ingest></users>
<quotas><default><interval><duration>3600</duration><queries>0</queries>
<errors>0</errors><result_rows>0</result_rows><read_rows>0</read_rows>
<execution_time>0</execution_time></interval></default></quotas></yandex>]]

---@param o table? dir: where its files lie (default: a new folder); keeper: the port
---of a ZooKeeper; replica: its name there; no_wait
function M.start(o)
  o = o or {}
  local s = setmetatable({ dir = o.dir or h.folder(),
    http = M.free_port(), tcp = M.free_port() }, Server)
  h.shell(("cd '%s' && mkdir -p data tmp user_files format_schemas"):format(s.dir))
  local vars = { DIR = s.dir, HTTP = s.http, TCP = s.tcp, KEEPER = "",
    LEVEL = o.keeper and "debug" or "warning" } -- which blocks it has
  if o.keeper then
    vars.KEEPER = KEEPER:gsub("%u%u%u%u+", { INTER = M.free_port(), PORT = o.keeper,
      REPLICA = o.replica or "one" })
  end
  h.write(s.dir .. "/config.xml", (CONFIG:gsub("%u%u+", vars)))
  s:set_password("secret")
  s.url = "http://127.0.0.1:" .. s.http
  s:run(o.no_wait)
  return s
end

function Server:set_password(text)
  -- At once, for the server looks at it whenever it likes.
  h.write(self.dir .. "/users.new", (USERS:gsub("PASSWORD", text)))
  os.rename(self.dir .. "/users.new", self.dir .. "/users.xml")
end

function Server:run(no_wait)
  self.pid = h.spawn({ "clickhouse-server", "--config-file=" .. self.dir
    .. "/config.xml" }, self.dir .. "/out")
  if not no_wait then self:ready() end
end

function Server:ready()
  local ok, why = pcall(h.wait_for, "clickhouse", function()
    local c = socket.tcp()
    c:settimeout(1)
    local ok = c:connect("127.0.0.1", self.http)
    c:close()
    return ok and self:query("SELECT 1") == "1\n"
  end, 60) -- ZooKeeper keeps the session of a killed replica for half a minute
  if not ok then
    error(why .. "; its last words:\n" .. h.shell(("cd '%s'; tail -n 15 out err"):format(
      self.dir)), 2)
  end
end

---The answer's text; on an error nil and the server's words.
function Server:query(sql)
  local a, why = h.request(self.http, "POST", "/", sql)
  if not a then return nil, why end
  if a.status ~= 200 then return nil, a.body end
  return a.body
end

function Server:must(sql)
  local text, why = self:query(sql)
  if not text then error(sql .. ": " .. tostring(why), 2) end
  return text
end

function Server:count(sql) return tonumber(self:query(sql) or "") end

function Server:kill()
  signal.kill(self.pid, signal.SIGKILL)
  h.reap(self.pid)
  self.pid = nil
end

function Server:pause() signal.kill(self.pid, signal.SIGSTOP) end
function Server:go_on() signal.kill(self.pid, signal.SIGCONT) end

function Server:close()
  if self.pid then self:kill() end
  h.remove(self.dir)
end

local python

---Why there is no current ClickHouse; nil: there is one.
function M.modern_missing()
  python = python or h.shell("sh tests/chdb.sh"):match "%S+"
  return not python and "chdb-core can't be fetched from PyPI" or nil
end

---A current engine behind tests/tools/clickhouse.py: query, must, count, close.
function M.modern()
  local s = setmetatable({ dir = h.folder(), http = M.free_port() }, Server)
  s.url = "http://127.0.0.1:" .. s.http
  s.pid = h.spawn({ "env", "TMPDIR=" .. s.dir, python, "tests/tools/clickhouse.py",
    tostring(s.http) }, s.dir .. "/out")
  s:ready()
  s:must "CREATE DATABASE IF NOT EXISTS default"
  return s
end

---A table for the load generator's events.
---engine "Memory": without parts, of which many small inserts make too many.
function Server:events_table(name, more, engine)
  self:must("DROP TABLE IF EXISTS " .. name)
  self:must(("CREATE TABLE %s (event_id String, event_type String, "
    .. "user_id String, timestamp UInt64, value Float64 %s) ENGINE = %s")
    :format(name, more or "", engine or
    "MergeTree() PARTITION BY tuple() ORDER BY event_id"))
end

return M
