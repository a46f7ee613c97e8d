-- The container "reload" of docker/kubernetes/sluice.yaml, whose script runs here beside a
-- real server: Kubernetes changes a ConfigMap's files by swapping a link.
local h = require "harness"
local signal = require "posix.signal"
local yaml = require "lyaml"

local POLICY = [[
server { listen = "127.0.0.1:0" }
admin { listen = "127.0.0.1:0" }
null "sink" {}
stream "events" { sinks = { "sink" } }
route "POST /%s" { body = "event", stream = "events" }
]]

describe("the container that reloads", function()
  local dir, s, script, pid
  local function swap(n, text) -- as the kubelet does it
    h.shell(("mkdir %s/..%d"):format(dir, n))
    h.write(("%s/..%d/policy.lua"):format(dir, n), text)
    h.shell(("ln -s ..%d %s/..new && mv -T %s/..new %s/..data"):format(n, dir, dir, dir))
  end
  local function said() return h.read(dir .. "/said") end
  setup(function()
    dir = h.folder()
    swap(1, POLICY:format "one")
    h.shell(("ln -s ..data/policy.lua %s/policy.lua"):format(dir))
    s = h.server { path = dir .. "/policy.lua" }
    local set
    for _, o in ipairs(yaml.load(h.read "docker/kubernetes/sluice.yaml", { all = true })) do
      if o.kind == "StatefulSet" then set = o end
    end
    script = set.spec.template.spec.containers[2]
    assert.equal("reload", script.name)
    pid = h.spawn({ "env", "POLICY_FOLDER=" .. dir, "ADMIN=127.0.0.1:" .. s.admin, "EVERY=0.1",
      script.command[1], script.command[2], script.args[1] }, dir .. "/said")
  end)
  teardown(function()
    h.kill(pid)
    s:close()
    h.remove(dir)
  end)

  it("makes the policy of a changed ConfigMap live", function()
    assert.equal(404, s:post("/two", "{}").status)
    swap(2, POLICY:format "two")
    h.wait_for("the new route", function() return s:post("/two", "{}").status == 202 end)
    assert.equal(404, s:post("/one", "{}").status)
  end)

  it("says why a policy is refused, and goes on", function()
    swap(3, "nonsense {")
    h.wait_for("the report", function() return said():find("nonsense", 1, true) end)
    assert.equal(202, s:post("/two", "{}").status)
    swap(4, POLICY:format "four")
    h.wait_for("the new route", function() return s:post("/four", "{}").status == 202 end)
  end)

  it("tries again when the server did not answer", function()
    s:stop()
    swap(5, POLICY:format "five")
    h.wait_for("a try that fails", function() return said():find("Failed to connect", 1, true) end)
    -- A server that starts has the newest policy in any case.
    s:start()
    assert.equal(202, s:post("/five", "{}").status)
  end)

  it("ends at SIGTERM, so that a pod's end does not wait for it", function()
    signal.kill(pid, signal.SIGTERM)
    assert.equal(0, h.reap(pid, 5))
  end)
end)
