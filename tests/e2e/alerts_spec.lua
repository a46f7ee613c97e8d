-- Each alert fires when its fault happens: real faults on real servers, the rules
-- evaluated by a real Prometheus, with shorter times only.
local certificates = require "certificates"
local cjson = require "cjson"
local free_port = require "clickhouse".free_port
local h = require "harness"
local receiver = require "receiver"
local signal = require "posix.signal"

local missing = h.shell("command -v prometheus") == "" and
  "no prometheus is installed"

local POLICY = [[
server { listen = "127.0.0.1:0", workers = 1 }
admin { listen = "127.0.0.1:0" }
listen "127.0.0.1:0" { tls = { cert = "%s/in.pem", key = "%s/in.key", renew = "100ms" } }
http "gone" { url = "http://127.0.0.1:1/", timeout = "1s", batch = { linger = "5ms" },
  breaker = { timeout = "60s",
    ready_to_trip = function(c) return c.failures >= 1 end } }
http "bad" { url = %q, batch = { linger = "5ms" } }
stream "slow" { ack = "delivered", sinks = { "gone" } }
stream "events" { sinks = { "bad" } }
route "POST /slow" { body = "event", stream = "slow" }
route "POST /v1/events" { body = "batch", stream = "events",
  on_event = function(ev)
    if ev.raise then error("a mistake") end
    if ev.loop then for i = 1, 1e9 do ev.x = i end end
    %s
  end }
%s
]]

-- A spool that had a backlog when one of its blocks was overwritten.
local function damaged()
  local s = h.server { policy = [[
server { listen = "127.0.0.1:0", workers = 1 }
admin { listen = "127.0.0.1:0" }
http "gone" { url = "http://127.0.0.1:1/" }
stream "events" { sinks = { "gone" } }
route "POST /v1/events" { body = "batch", stream = "events" }
]] }
  for i = 1, 20 do
    assert.equal(202, s:post("/v1/events", ('[{"i":%d}]'):format(i)).status)
  end
  s:stop("SIGKILL")
  local file = h.shell("grep -l '\"i\":5}' -r " .. s.data .. "/spool/events")
    :match("%S+")
  local at = h.read(file):find('"i":5}', 1, true)
  local f = assert(io.open(file, "r+b"))
  f:seek("set", at)
  f:write("XXX")
  f:close()
  h.write(s.path, (h.read(s.path):gsub("http://127.0.0.1:1/", "http://127.0.0.1:2/")))
  s:start()
  return s
end

describe("alerts", function()
  local s, broken, r, prometheus, dir
  setup(function()
    if missing then return end
    dir, r = h.folder(), receiver.start()
    certificates.make(dir, "in")
    s = h.server { policy = POLICY:format(dir, dir, r.url, "", "") }
    broken = damaged()
    local rules = h.read("docker/prometheus/rules.yml"):gsub("for: %w+", "for: 1s")
      :gsub("_seconds > 300", "_seconds > 1")
    h.write(dir .. "/rules.yml", rules)
    h.write(dir .. "/p.yml", ([[
global: { scrape_interval: 500ms, scrape_timeout: 400ms, evaluation_interval: 500ms }
rule_files: [rules.yml]
scrape_configs: [{ job_name: sluice, static_configs: [{ targets:
  ["127.0.0.1:%d", "127.0.0.1:%d"] }] }]
]]):format(s.admin, broken.admin))
    r.prometheus_port = free_port()
    prometheus = h.spawn({ "prometheus", "--config.file=" .. dir .. "/p.yml",
      "--storage.tsdb.path=" .. dir .. "/data",
      "--web.listen-address=127.0.0.1:" .. r.prometheus_port, "--log.level=error" },
      dir .. "/log")
  end)
  teardown(function()
    if missing then return end
    signal.kill(prometheus, signal.SIGTERM)
    h.reap(prometheus)
    s:close()
    broken:close()
    r:kill()
    h.remove(r.dir)
    h.remove(dir)
  end)

  local function ask(path)
    local a = h.request(r.prometheus_port, "GET", path)
    return a and a.status == 200 and cjson.decode(a.body).data
  end

  local function firing(name)
    local data = ask("/api/v1/alerts")
    for _, a in ipairs(data and data.alerts or {}) do
      if a.labels.alertname == name and a.state == "firing" then return true end
    end
  end

  -- The fault happens again and again until the alert fires: a rate needs two
  -- scrapes that differ.
  local function fires(name, fault)
    h.wait_for(name, function()
      if fault then fault() end
      h.sleep(0.1)
      return firing(name)
    end, 40)
  end

  it("fire when what they name happens, and not before", function()
    if missing then pending(missing) return end
    r:rule("poison")
    h.wait_for("two scrapes", function()
      local ok, data = pcall(ask, "/api/v1/query?query=min(count_over_time(up[1m]))")
      return ok and data and data.result[1] and
        tonumber(data.result[1].value[2]) >= 2
    end)
    local quiet = { "SluiceHookRaises", "SluiceHookStopped", "SluiceDeadLetters",
      "SluicePolicyDeadLetters", "SluiceReloadRefused", "SluiceCanaryRolledBack",
      "SluiceRefusesForRoom", "SluiceDown", "SluiceCertificateExpires",
      "SluiceCertificateNotRenewed" }
    for _, name in ipairs(quiet) do assert.same({ name }, { name, firing(name) }) end

    h.write(dir .. "/in.key", "half")
    fires("SluiceCertificateNotRenewed", function() h.shell("touch " .. dir .. "/in.key") end)
    certificates.make(dir, "in", { days = 3 })
    fires("SluiceCertificateExpires")
    fires("SluiceSpoolDamaged")
    fires("SluiceEventsLost")
    fires("SluiceHookRaises", function() s:post("/v1/events", '[{"raise":1}]') end)
    fires("SluicePolicyDeadLetters")
    fires("SluiceHookStopped", function() s:post("/v1/events", '[{"loop":1}]') end)
    fires("SluiceDeadLetters", function()
      s:post("/v1/events", '[{"value":1},{"value":2},{"value":"text"},{"value":3}]')
    end)
    -- Its answer waits for a sink that is gone; later ones get 503.
    local c = h.connect(s.port)
    c:send("POST /slow HTTP/1.1\r\nHost: t\r\nContent-Type: application/json\r\n"
      .. "Content-Length: 2\r\n\r\n{}")
    fires("SluiceSinkHolding")
    fires("SluiceBreakerOpen")
    fires("SluiceSinkLate")
    fires("SluiceRefusesForRoom", function() s:post("/slow", "{}") end)
    c:close()
    h.write(s.path, "nonsense {")
    fires("SluiceReloadRefused", function() s:reload() end)
    h.write(s.path, POLICY:format(dir, dir, r.url, 'do return reject("no", "no") end',
      [[canary { share = "50%", during = "1h", by = "request" }]]))
    assert.equal(200, s:reload().status)
    fires("SluiceCanaryRolledBack", function()
      for _ = 1, 20 do s:post("/v1/events", '[{"value":1}]') end
    end)
    s:stop("SIGKILL")
    fires("SluiceDown")
  end)

  it("are all covered by that", function()
    local text, here = h.read "docker/prometheus/rules.yml",
      h.read "tests/e2e/alerts_spec.lua"
    local causes = h.read "tests/e2e/alerts_causes_spec.lua"
    for name in text:gmatch("alert: (%w+)") do
      assert.is_true(here:find('fires("' .. name .. '"', 1, true) ~= nil
        or causes:find(name .. " = function", 1, true) ~= nil, name)
    end
  end)
end)
