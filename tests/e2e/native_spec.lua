-- Scrapes in protobuf, for native histograms: the same values as in the text, read by a reader
-- that shares no code with sluice, and by a real Prometheus.
local cjson = require "cjson"
local clickhouse = require "clickhouse"
local h = require "harness"
local signal = require "posix.signal"

local ACCEPT = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;"
  .. "encoding=delimited,application/openmetrics-text;version=1.0.0;q=0.8,"
  .. "application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1"

describe("a scrape in protobuf", function()
  local s
  after_each(function() if s then s:close() s = nil end end)

  local function families(coding)
    local a = h.request(s.admin, "GET", "/metrics", nil, { Accept = ACCEPT,
      ["Accept-Encoding"] = coding })
    assert.equal(200, a.status)
    assert.equal("application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; "
      .. "encoding=delimited", a.headers["content-type"])
    h.write(s.dir .. "/scrape", a.body)
    return cjson.decode(h.shell(("%s '%s' | python3 tests/tools/families.py"):format(
      a.headers["content-encoding"] and "gzip -dc" or "cat", s.dir .. "/scrape")))
  end

  local function family(name)
    for _, f in ipairs(families()) do
      if f.name == name then return f end
    end
  end

  local function text_label(v) return (v:gsub('[\\"]', "\\%0"):gsub("\n", "\\n")) end

  it("has the families, labels and values of the text", function()
    local odd = { 'a"b', "a\\b", "a\nb", "a\\nb", "ä€", "", "x,y=\"" }
    s = h.server { policy = h.policy {
      top = [[local c = counter "odd_total" { labels = { "v" }, help = "two\nlines" }]],
      route = [[on_event = function(ev)
        c:inc(1, ev.v)
        if ev.no then return reject(ev.v, "no") end end]] } }
    for i, v in ipairs(odd) do
      for _ = 1, i do s:post("/v1/events", cjson.encode { v = v, no = i % 2 == 0 or nil }) end
    end
    s:deliver() -- nothing moves between the two scrapes
    local text, n = {}, 0
    for series, v in s:get("/metrics").body:gmatch "([^\n#][^\n]*) (%S+)\n" do
      text[series] = tonumber(v)
    end
    local kinds = {}
    for _, f in ipairs(families "gzip") do
      assert.is_nil(kinds[f.name], f.name)
      kinds[f.name] = f.type
      if f.name == "odd_total" then assert.equal("two\nlines", f.help) end
      -- The scrape itself moves the others.
      if f.name:match "^sluice_[edr]" or f.name == "odd_total" then
        for _, m in ipairs(f.metrics) do
          local found
          for series, v in pairs(text) do
            local name, labels = series:match "^([%w_]+)(.*)$"
            if name == f.name .. (m.histogram and "_count" or "") then
              local same = true
              for k, value in pairs(m.labels) do
                same = same and labels:find(('[{,]%s="%s"[,}]'):format(k,
                  text_label(value):gsub("%p", "%%%0"))) ~= nil
              end
              if same then
                assert.is_nil(found, series)
                found = series
                assert.equal(v, m.histogram and m.histogram.count or m.value, series)
              end
            end
          end
          assert.is_truthy(found, f.name .. cjson.encode(m.labels))
          n = n + 1
          for _, b in ipairs(m.histogram and m.histogram.buckets or {}) do
            local series = ('%s_bucket{%sle="%s"}'):format(f.name,
              m.labels.route and ('route="%s",'):format(m.labels.route) or
              m.labels.sink and ('sink="%s",'):format(m.labels.sink) or "",
              b[1] == "+Inf" and b[1] or ("%g"):format(b[1]))
            assert.equal(text[series], b[2], series)
          end
        end
      end
    end
    assert.is_true(n > 30, n .. " compared")
    for name, kind in s:get("/metrics").body:gmatch "# TYPE ([%w_]+) (%w+)" do
      assert.equal(kind, kinds[name], name)
    end
  end)

  it("has native buckets that are at most 16 % from the values", function()
    s = h.server { policy = h.policy { workers = 2 } }
    local trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    for i = 1, 300 do
      s:post("/v1/events", "{}", i == 300 and
        { traceparent = "00-" .. trace .. "-00f067aa0ba902b7-01" } or nil)
    end
    local x
    for _, m in ipairs(family("sluice_request_seconds").metrics) do
      if m.labels.route == "POST /v1/events" then x = m.histogram end
    end
    assert.equal(300, x.count)
    assert.equal(3, x.schema)
    local sum = x.zero[2]
    for i, b in ipairs(x.native) do
      assert.is_true(b[2] > 0)
      if i > 1 then assert.is_true(b[1] > x.native[i - 1][1]) end
      sum = sum + b[2]
    end
    assert.equal(x.count, sum)
    -- By the classic buckets: their bounds are exact.
    for _, b in ipairs(x.buckets) do
      local le, least, most = b[1] == "+Inf" and math.huge or b[1], x.zero[2], x.zero[2]
      for _, bucket in ipairs(x.native) do
        local upper = 2 ^ (bucket[1] / 8)
        if upper * 1.16 <= le then least = least + bucket[2] end
        if upper / 2 ^ (1 / 8) / 1.16 <= le then most = most + bucket[2] end
      end
      assert.is_true(least <= b[2] and b[2] <= most, ("%s: %d, %d, %d"):format(b[1], least, b[2],
        most))
    end
    assert.equal(trace, x.exemplars[1][2])
    assert.is_true(x.exemplars[1][3] <= x.exemplars[1][4])
    local open = h.request(s.admin, "GET", "/metrics", nil,
      { Accept = "application/openmetrics-text" }).body
    assert.equal(x.exemplars[1][5], open:match(trace .. '"} %S+ (%S+)\n'))
    assert.is_true(math.abs(tonumber(x.exemplars[1][5]) - os.time()) < 600)
    -- Only that one is native.
    assert.is_nil(family("sluice_stage_seconds").metrics[1].histogram.schema)
  end)

  it("is read by a Prometheus with native histograms", function()
    if h.shell "command -v prometheus" == "" then pending "no prometheus is installed" return end
    s = h.server { }
    h.write(s.dir .. "/p.yml", ([[
global: { scrape_interval: 1s, scrape_timeout: 900ms }
scrape_configs: [{ job_name: sluice, static_configs: [{ targets: ["127.0.0.1:%d"] }] }]
]]):format(s.admin))
    local port = clickhouse.free_port()
    local prometheus = h.spawn({ "prometheus", "--config.file=" .. s.dir .. "/p.yml",
      "--storage.tsdb.path=" .. s.dir .. "/tsdb", "--enable-feature=native-histograms",
      "--web.listen-address=127.0.0.1:" .. port, "--log.level=error" }, s.dir .. "/prometheus")
    local ok, why = pcall(function()
      for _ = 1, 200 do assert(s:post("/v1/events", "{}").status == 202) end
      local function ask(expr)
        local got, o = pcall(cjson.decode, h.shell(
          ("curl -sG 127.0.0.1:%d/api/v1/query --data-urlencode '%s'"):format(port,
          "query=" .. expr)))
        local first = got and o.data and o.data.result[1]
        return first and tonumber(first.value[2])
      end
      local of = [[{route="POST /v1/events"}]]
      -- A scrape that a busy machine makes late leaves no value: the next one has it.
      h.wait_for("all requests", function()
        return ask("histogram_count(sluice_request_seconds" .. of .. ")") == 200
          and ask("sluice_received_events_total" .. of) == 200 and ask "up" == 1
      end)
      local median, most, sum
      h.wait_for("quantiles", function()
        median = ask("histogram_quantile(0.5, sluice_request_seconds" .. of .. ")")
        most = ask("histogram_quantile(1, sluice_request_seconds" .. of .. ")")
        sum = ask("histogram_sum(sluice_request_seconds" .. of .. ")")
        return median and most and sum
      end)
      assert(median > 1e-6 and median <= most and most < 60, median)
      assert(sum > 0 and sum <= 200 * most * 1.16, sum)
    end)
    signal.kill(prometheus, signal.SIGTERM)
    h.reap(prometheus)
    if not ok then error(tostring(why) .. "\n" .. (h.read(s.dir .. "/prometheus") or ""), 0) end
  end)
end)
