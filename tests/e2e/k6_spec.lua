-- The scripts of bench/k6: by the types of k6, and each for a second or two against a real
-- server, by a runner that offers k6's API on Node. No k6 has run them.
local cjson = require "cjson"
local h = require "harness"

local SCRIPTS = { ramp = 0.005, spike = 0.01, soak = 0.0004, mixed = 0.005 }

local function no_node()
  if h.shell("command -v node") == "" then
    pending("node is not installed")
    return true
  end
end

describe("the load scripts for k6", function()
  local dir, s
  setup(function()
    dir = h.folder()
    s = h.server { policy = h.read "conf/quickstart.lua" }
  end)
  teardown(function()
    s:close()
    h.remove(dir)
  end)

  -- Output and exit code of the runner; its summary.
  local function run(script, name, options)
    local out = h.shell(("timeout 60 node tests/tools/k6/run.mjs --summary %s/%s.json %s %s 2>&1; "
      .. "echo rc=$?"):format(dir, name, options or "", script))
    local summary = h.read(("%s/%s.json"):format(dir, name))
    return out, tonumber(out:match "rc=(%d+)\n$"), summary and cjson.decode(summary)
  end

  it("use names, options and arguments that k6 has", function()
    if no_node() then return end
    local typescript = h.shell "sh tests/fetch.sh typescript 5.9.3":match "^(%S+)\n$"
    local types = h.shell "sh tests/fetch.sh @types/k6 2.3.0":match "^(%S+)\n$"
    if not types or not typescript or not h.read(typescript .. "/bin/tsc") then
      pending("no npm, or its registry can't be reached")
      return
    end
    -- Some packages have a folder of another name in their archive.
    if not h.read(types .. "/index.d.ts") then types = types:gsub("package$", "k6") end
    local here = h.shell("pwd"):match "[^\n]+"
    local function check(folder)
      local files = { types .. "/global.d.ts" }
      for file in h.shell("ls " .. folder .. "/*.js"):gmatch "%S+" do files[#files + 1] = file end
      h.write(dir .. "/tsconfig.json", cjson.encode { files = files, compilerOptions = {
        noEmit = true, allowJs = true, checkJs = true, target = "es2020", lib = { "es2020" },
        module = "esnext", moduleResolution = "bundler", types = cjson.empty_array,
        skipLibCheck = true, paths = { k6 = { types .. "/index.d.ts" },
          ["k6/*"] = { types .. "/*/index.d.ts" } } } })
      return h.shell(("node %s/bin/tsc -p %s/tsconfig.json"):format(typescript, dir))
    end
    assert.equal("", check(here .. "/bench/k6"))
    -- What is wrong is noticed.
    h.shell(("mkdir %s/wrong && cp bench/k6/*.js %s/wrong"):format(dir, dir))
    h.write(dir .. "/wrong/soak.js", (h.read "bench/k6/soak.js":gsub("timeUnit", "timeUnits")
      :gsub("send%(20%)", "process.exit(0)")))
    local out = check(dir .. "/wrong")
    assert.matches("timeUnits", out)
    assert.matches("Cannot find name 'process'", out)
  end)

  it("have every event accepted, and the server's counters agree", function()
    if no_node() then return end
    local jobs = {}
    for name, scale in pairs(SCRIPTS) do
      jobs[name] = function()
        return { run("bench/k6/" .. name .. ".js", name, ("-e BASE_URL=http://127.0.0.1:%d "
          .. "-e SCALE=%g -e RATE=0.02"):format(s.port, scale)) }
      end
    end
    local results, errors = h.together(jobs)
    assert.same({}, errors)
    local accepted, bad = 0, 0
    for name, r in pairs(results) do
      local out, code, o = r[1], r[2], r[3]
      -- 99: a busy machine is slow, which crosses a threshold of time.
      assert.is_true(code == 0 or code == 99, name .. ": " .. out)
      assert.equal(1, o.metrics.checks.rate, out)
      assert.equal(0, o.metrics.http_req_failed.rate, out)
      assert.is_true(o.metrics.events_accepted.count > 0, out)
      accepted = accepted + o.metrics.events_accepted.count
      local other = o.metrics["http_req_duration{kind:bad}"]
      bad = bad + (other and other.count or 0)
      for _, bound in ipairs { "p(95)<60", "p(99)<80" } do
        assert.is_boolean(o.thresholds.http_req_duration[bound])
      end
    end
    assert.is_true(bad > 0)
    assert.equal(accepted, s:metric("sluice_stored_events_total", 'stream="events"'))
    assert.equal(bad, s:metric("sluice_refusals_total", 'code="missing_field"'))
  end)

  it("fail when a threshold is crossed", function()
    if no_node() then return end
    h.write(dir .. "/slow.js", [[
import http from "k6/http";
import { check } from "k6";
import { Trend } from "k6/metrics";
const t = new Trend("times", true);
export const options = { vus: 2, iterations: 4, thresholds: {
  times: ["p(95)<60", "p(50)<=100"], "times{kind:a}": ["max<11"], http_req_failed: ["rate<0.5"],
  iterations: ["count==4"], checks: ["rate>0.9"] } };
export default function () {
  [10, 70, 100].forEach((n) => t.add(n, { kind: n === 10 ? "a" : "b" }));
  check(http.post("http://127.0.0.1:1/"), { "is 202": (r) => r.status === 202 });
}
]])
    local out, code, o = run(dir .. "/slow.js", "slow")
    assert.equal(99, code, out)
    assert.same({ times = { ["p(95)<60"] = false, ["p(50)<=100"] = true },
      ["times{kind:a}"] = { ["max<11"] = true }, http_req_failed = { ["rate<0.5"] = false },
      iterations = { ["count==4"] = true }, checks = { ["rate>0.9"] = false } }, o.thresholds)
    -- And scripts that are wrong end otherwise.
    for _, text in ipairs { 'import fs from "fs"; export default function () {}',
      'import { no } from "k6"; export default function () {}',
      "export const options = { iterations: 1 };",
      "export const options = { thresholds: { nothing: ['p(95)<60'] } };\n"
        .. "export default function () {}" } do
      h.write(dir .. "/wrong.js", text)
      assert.equal(107, select(2, run(dir .. "/wrong.js", "wrong")), text)
    end
  end)
end)
