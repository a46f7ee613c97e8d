-- prometheus: a real Prometheus that scrapes servers often and evaluates the alert rules.
local cjson = require "cjson"
local free_port = require "clickhouse".free_port
local h = require "harness"
local signal = require "posix.signal"

local M = {}
local Prometheus = {}
Prometheus.__index = Prometheus

---Why there is none; nil: there is one.
M.missing = h.shell("command -v prometheus") == "" and "no prometheus is installed" or nil

---The rules of docker/prometheus/rules.yml, of which each fires after a second.
function M.rules() return (h.read("docker/prometheus/rules.yml"):gsub("for: %w+", "for: 1s")) end

---@param dir string a folder for its files, of the caller
---@param every string between two scrapes, and two looks at the rules: "500ms"
---@param admins integer[] the servers' admin ports
---@param rules string
function M.start(dir, every, admins, rules)
  local targets = {}
  for i, port in ipairs(admins) do targets[i] = ("%q"):format("127.0.0.1:" .. port) end
  h.write(dir .. "/rules.yml", rules)
  h.write(dir .. "/p.yml", ([[
global: { scrape_interval: %s, scrape_timeout: %s, evaluation_interval: %s }
rule_files: [rules.yml]
scrape_configs: [{ job_name: sluice, static_configs: [{ targets: [%s] }] }]
]]):format(every, every, every, table.concat(targets, ", ")))
  local p = setmetatable({ port = free_port() }, Prometheus)
  p.pid = h.spawn({ "prometheus", "--config.file=" .. dir .. "/p.yml",
    "--storage.tsdb.path=" .. dir .. "/tsdb",
    "--web.listen-address=127.0.0.1:" .. p.port, "--log.level=error" }, dir .. "/log")
  return p
end

---The data of an answer; nil: it has none yet.
function Prometheus:ask(path)
  local ok, a = pcall(h.request, self.port, "GET", path)
  return ok and a and a.status == 200 and cjson.decode(a.body).data or nil
end

---Whether each target was scraped that often.
function Prometheus:scraped(times)
  local data = self:ask "/api/v1/query?query=min(count_over_time(up[1m]))"
  return data and data.result[1] and tonumber(data.result[1].value[2]) >= times
end

---A set of the names of the alerts that fire.
function Prometheus:firing()
  local data, names = assert(self:ask "/api/v1/alerts", "Prometheus does not answer"), {}
  for _, a in ipairs(data.alerts) do
    if a.state == "firing" then names[a.labels.alertname] = true end
  end
  return names
end

function Prometheus:close()
  signal.kill(self.pid, signal.SIGTERM)
  h.reap(self.pid)
end

return M
