-- A real run, scraped by a real Prometheus: every query of the dashboard and of the
-- rules returns data; the metrics are clean by promtool.
local cjson = require "cjson"
local h = require "harness"
local certificates = require "certificates"
local clickhouse = require "clickhouse"
local kafka = require "kafka"
local metrics = dofile "tests/tools/metrics.lua"
local signal = require "posix.signal"

local why_not = clickhouse.missing()
if not why_not and h.shell("command -v prometheus") == "" then
  why_not = "no prometheus is installed"
end

local POLICY = [[
server { listen = "127.0.0.1:0", workers = 1 }
admin { listen = "127.0.0.1:0" }
access_log { path = "access.log" }
listen "127.0.0.1:0" { tls = { cert = %q, key = %q } }
kafka "bus" { brokers = %q, topic = "events", key = "user_id",
  batch = { adapt = function(stats) return 200 end } }
clickhouse "olap" { urls = { %q }, table = "default.events",
  batch = { target = 500, min = 10, linger = "100ms", adapt = "latency" } }
file "archive" { dir = "archive" }
stream "events" { sinks = { "bus", "olap", "archive" }, dedup = { key = "event_id" } }
local l = limit "l" { rate = "1/h", burst = 1 }
keys "some" { file = %q, key = "key" }
route "POST /v1/events/batch" { body = "batch", stream = "events",
  on_event = function(ev, req) ev.received_at = req.time_ms end }
route "POST /few" { body = "event", stream = "events", auth = bearer "some",
  on_request = function() return l:check "all" end }
route "POST /kept" { body = "event", stream = "events",
  schema = schema { id = str { required = true } }, on_refused = "dead_letter" }
]]

local function queries()
  local list = {}
  for _, p in ipairs(cjson.decode(h.read "docker/grafana/dashboards/sluice.json")
    .panels) do
    for _, t in ipairs(p.targets or {}) do
      list[#list + 1] = t.expr:gsub("%$instance", ".*")
    end
  end
  for expr in h.read("docker/prometheus/rules.yml"):gmatch("expr: ([^\n]+)") do
    -- The compared series have data; that the alert does not fire is as it should be.
    -- Where it is a comparison that excludes, both sides have data, of the same labels.
    expr = expr:gsub(" [<>] [%d.]+ unless ", " and ")
    list[#list + 1] = (expr:gsub(" [=><]+ [%d.]+", ""))
  end
  return list
end

describe("metrics", function()
  local ch, m, s, prometheus, dir
  setup(function()
    if why_not then return end
    ch, m, dir = clickhouse.start(), kafka.mock(), h.folder()
    ch:events_table("events")
    h.write(dir .. "/keys.csv", ("key,app\n%s,a\n"):format(
      h.shell "printf secret-of-sixteen-bytes | sha256sum":match "^%x+"))
    local own = certificates.make(dir, "own")
    s = h.server { policy = POLICY:format(own .. ".pem", own .. ".key", m.brokers, ch.url,
      dir .. "/keys.csv") }
  end)
  teardown(function()
    if why_not then return end
    if prometheus then
      signal.kill(prometheus, signal.SIGTERM)
      h.reap(prometheus)
    end
    s:close()
    m:close()
    ch:close()
    h.remove(dir)
  end)

  it("return data for every query of the dashboard and the rules", function()
    if why_not then pending(why_not) return end
    h.write(dir .. "/p.yml", ([[
global: { scrape_interval: 1s, scrape_timeout: 900ms, evaluation_interval: 1s }
rule_files: [rules.yml]
scrape_configs: [{ job_name: sluice, static_configs: [{ targets: ["127.0.0.1:%d"] }] }]
]]):format(s.admin))
    h.write(dir .. "/rules.yml", h.read "docker/prometheus/rules.yml")
    local port = clickhouse.free_port()
    prometheus = h.spawn({ "prometheus", "--config.file=" .. dir .. "/p.yml",
      "--storage.tsdb.path=" .. dir .. "/data",
      "--web.listen-address=127.0.0.1:" .. port, "--log.level=error" }, dir .. "/log")
    local good = h.read(s.path)
    h.write(s.path, "nonsense {")
    assert.equal(422, s:reload().status)
    h.write(s.path, good)
    assert.equal(200, s:reload().status)
    s:post("/v1/events/batch", "[7]")
    s:get("/no")
    -- What only a refusal makes: a key, a limit, a handshake.
    local good_key = { Authorization = "Bearer secret-of-sixteen-bytes" }
    assert.equal(401, s:post("/few", "{}").status)
    assert.equal(202, s:post("/few", "{}", good_key).status)
    assert.equal(429, s:post("/few", "{}", good_key).status)
    assert.equal(422, s:post("/kept", "{}").status)
    local c = h.connect(tonumber(s:text():match "listen=[^ ]*,127%.0%.0%.1:(%d+)"))
    c:send "GET / HTTP/1.1\r\nHost: t\r\n\r\n"
    h.closed(c)
    local function ask(expr)
      return cjson.decode(h.shell(
        ("curl -sG 127.0.0.1:%d/api/v1/query --data-urlencode '%s'"):format(port,
        "query=" .. expr)))
    end
    local l = h.load(s.port, { batch = 20, connections = 4, seconds = 60,
      rate = 200 })
    h.wait_for("four scrapes", function()
      local ok, o = pcall(ask, "count_over_time(up[1m])")
      local first = ok and o.data and o.data.result[1]
      return first and tonumber(first.value[2]) >= 4
    end, 40)
    h.load_stop(l)
    local list, bad = queries(), {}
    assert.is_true(#list > 35)
    for _, expr in ipairs(list) do
      local o = ask(expr)
      if o.status ~= "success" or #o.data.result == 0 then bad[#bad + 1] = expr end
    end
    print(("# prometheus: %d queries, %d without data"):format(#list, #bad))
    assert.same({}, bad)
  end)

  it("are clean by promtool, and the rules' own tests pass", function()
    if why_not then pending(why_not) return end
    h.write(dir .. "/metrics", s:get("/metrics").body)
    local out = h.shell(("promtool check metrics < '%s/metrics'; echo rc=$?")
      :format(dir))
    assert.equal("rc=0\n", out)
    assert.matches("SUCCESS",
      h.shell "promtool test rules docker/prometheus/rules_test.yml")
  end)

  it("show of a refused batch the same share in the dashboard as in the alert", function()
    if why_not then pending(why_not) return end
    local expr, nowhere
    for _, p in ipairs(cjson.decode(h.read "docker/grafana/dashboards/sluice.json").panels) do
      if p.title == "Share of a route that is refused" then
        expr = p.targets[1].expr:gsub("%$instance", ".*")
        nowhere = p.targets[2].expr:gsub("%$instance", ".*")
      end
    end
    local rules = cjson.encode { groups = { { name = "g", rules = {
      { record = "dashboard", expr = expr }, { record = "nowhere", expr = nowhere } } } } }
    h.write(dir .. "/dashboard.json", (rules:gsub("\\/", "/"))) -- YAML has no such escape
    h.write(dir .. "/alert.yml", h.read "docker/prometheus/rules.yml")
    -- One bad event, and 99 good ones of its batch; and as many that found no route.
    local function series(name, labels, n, route)
      return { series = ('%s{instance="a",route="%s"%s}'):format(name, route or "POST e", labels),
        values = ("0+%dx60"):format(n) }
    end
    local function sample(metric, labels, of)
      return { expr = metric .. (of or ""), eval_time = "20m", exp_samples = { {
        labels = ('%s{%sroute="POST e"}'):format(metric, labels), value = 1 } } }
    end
    h.write(dir .. "/shares.json", cjson.encode {
      rule_files = { "dashboard.json", "alert.yml" },
      tests = { { interval = "30s",
        input_series = {
          series("sluice_refusals_total", ',code="c",status="422"', 1),
          series("sluice_events_total", ',result="rejected",code="c"', 1),
          series("sluice_events_total", ',result="refused",code=""', 99),
          series("sluice_received_events_total", "", 100),
          series("sluice_events_total", ',result="refused",code="not_found"', 100, "none"),
          series("sluice_received_events_total", "", 100, "none") },
        promql_expr_test = { sample("dashboard", ""),
          { expr = "nowhere", eval_time = "20m",
            exp_samples = { { labels = "nowhere", value = 0.5 } } },
          { expr = 'sluice:refused_share:all{route="none"}', eval_time = "20m",
            exp_samples = { { labels = 'sluice:refused_share:all{instance="a",route="none"}',
              value = 0.5 } } },
          sample("sluice:refused_share:all", 'instance="a",', '{route!="none"}') } } } })
    assert.matches("SUCCESS",
      h.shell(("promtool test rules '%s/shares.json' 2>&1"):format(dir)))
  end)

  it("are in conf/METRICS.md with their kind, labels and help", function()
    if why_not then pending(why_not) return end
    local known, labels = metrics.registered(), metrics.labels()
    local kind, wrong = {}, {}
    for line in s:get("/metrics").body:gmatch "[^\n]+" do
      local word, name, rest = line:match "^# (%u+) (%S+) (.*)"
      name = name or line:match "^[%w_]+"
      local is = known[name]
      if word == "HELP" then
        if not is or is.help ~= rest then wrong[#wrong + 1] = line end
      elseif word == "TYPE" then
        kind[name] = rest
        if not is or is.kind ~= rest then wrong[#wrong + 1] = line end
      elseif is and kind[name] ~= "histogram" then
        local names = {}
        for l in line:gmatch '[{,]([%a_]+)="' do names[#names + 1] = l end
        local found = table.concat(names, ", ")
        -- Only events that were rejected or refused by themselves have a code.
        if name == "sluice_events_total" and not line:find('code="', 1, true) then
          found = found .. ", code"
        end
        if found ~= labels[name] then wrong[#wrong + 1] = line end
      end
    end
    assert.same({}, wrong)
  end)
end)
