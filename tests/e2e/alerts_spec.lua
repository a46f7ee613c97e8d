-- Each alert fires when its fault happens: real faults on real servers, the rules
-- evaluated by a real Prometheus, with shorter times only.
local certificates = require "certificates"
local h = require "harness"
local prometheus = require "prometheus"
local receiver = require "receiver"

local missing = prometheus.missing

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
  local s, broken, r, p, dir
  setup(function()
    if missing then return end
    dir, r = h.folder(), receiver.start()
    certificates.make(dir, "in")
    s = h.server { policy = POLICY:format(dir, dir, r.url, "", "") }
    broken = damaged()
    p = prometheus.start(dir, "500ms", { s.admin, broken.admin },
      (prometheus.rules():gsub("_seconds > 300 unless (%S+) <= 300",
        "_seconds > 1 unless %1 <= 1")))
  end)
  teardown(function()
    if missing then return end
    p:close()
    s:close()
    broken:close()
    r:kill()
    h.remove(r.dir)
    h.remove(dir)
  end)

  -- The fault happens again and again until the alert fires: a rate needs two
  -- scrapes that differ.
  local function fires(name, fault)
    h.wait_for(name, function()
      if fault then fault() end
      h.sleep(0.1)
      return p:firing()[name]
    end, 40)
  end

  it("fire when what they name happens, and not before", function()
    if missing then pending(missing) return end
    r:rule("poison")
    h.wait_for("two scrapes", function() return p:scraped(2) end)
    local quiet = { "SluiceHookRaises", "SluiceHookStopped", "SluiceDeadLetters",
      "SluicePolicyDeadLetters", "SluiceReloadRefused", "SluiceCanaryRolledBack",
      "SluiceRefusesForRoom", "SluiceDown", "SluiceCertificateExpires",
      "SluiceCertificateNotRenewed" }
    local early = p:firing()
    for _, name in ipairs(quiet) do assert.same({ name }, { name, early[name] }) end

    h.write(dir .. "/in.key", "half")
    fires("SluiceCertificateNotRenewed", function() h.shell("touch " .. dir .. "/in.key") end)
    certificates.make(dir, "in", { days = 3, age = 60 })
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
