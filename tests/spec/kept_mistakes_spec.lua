-- Mistakes in what outlives a request or a policy: counters, limits, canaries, shadows,
-- dedup. Rows as in diagnostics_spec.lua.
local checking = require "spec.checking"

local BASE = [[
file "a" { dir = "a" }
stream "events" { sinks = { "a" } }
route "POST /v1/events" { body = "event", stream = "events" }
]]

local rows = {
  { "a counter's name that does not end in _total",
    [[{BASE}counter "clicks" {}]],
    [[p.lua:4: counter "clicks": a counter's name ends in _total: "clicks_total"]] },
  { "a counter's name that is no metric's",
    [[{BASE}counter "Clicks-total" {}]],
    [[p.lua:4: counter "Clicks-total": a metric's name is a to z, 0 to 9 and _, and begins with a letter]] },
  { "a counter that would be sluice's own",
    [[{BASE}counter "sluice_events_total" {}]],
    [[p.lua:4: counter "sluice_events_total": names that begin with sluice_ are the server's own]] },
  { "a gauge that Prometheus makes of each scrape",
    [[{BASE}gauge "up" {}
gauge "scrape_duration_seconds" {}]],
    [[p.lua:4: gauge "up": up, and names that begin with scrape_, are Prometheus' own
p.lua:5: gauge "scrape_duration_seconds": up, and names that begin with scrape_, are Prometheus' own]] },
  { "a gauge named as a counter",
    [[{BASE}gauge "clicks_total" {}]],
    [[p.lua:4: gauge "clicks_total": a gauge's name does not end in _total, _count, _sum or _bucket]] },
  { "a metric given twice",
    [[{BASE}counter "a_total" {}
counter "a_total" {}]],
    [[p.lua:5: counter "a_total": is given twice, first in line 4]] },
  { "a counter without a name",
    [[{BASE}counter { help = "x" }]],
    [[p.lua:4: counter "?": expected a name: counter "name" { }
p.lua:4: counter "?": a metric's name is a to z, 0 to 9 and _, and begins with a letter]] },
  { "an unknown key of a counter",
    [[{BASE}counter "a_total" { hlep = "x" }]],
    [[p.lua:4: counter "a_total".hlep: unknown key; did you mean "help"?]] },
  { "a label that is none",
    [[{BASE}counter "a_total" { labels = { "a-b" } }]],
    [[p.lua:4: counter "a_total".labels[1]: "a-b" is no label: a to z, 0 to 9 and _]] },
  { "a label with a meaning of its own",
    [[{BASE}counter "a_total" { labels = { "le" } }]],
    [[p.lua:4: counter "a_total".labels[1]: the label "le" has a meaning of its own]] },
  { "a label given twice",
    [[{BASE}counter "a_total" { labels = { "a", "a" } }]],
    [[p.lua:4: counter "a_total".labels[2]: the label "a" is given twice]] },
  { "more labels than there may be",
    [[{BASE}gauge "a" { labels = { "a", "b", "c", "d" } }]],
    [[p.lua:4: gauge "a".labels: more than 3 labels]] },
  { "too many series",
    [[{BASE}gauge "a" { max_series = 100000 }]],
    [[p.lua:4: gauge "a".max_series: 100000 is more than 1000]] },
  { "options that are no table behind a counter",
    [[{BASE}counter "a_total" "x"]],
    [[p.lua:4: counter "a_total": expected a table { }, got "x"]] },
  { "a limit without a rate",
    [[{BASE}limit "a" {}]],
    [[p.lua:4: limit "a": needs rate: tokens that each bucket gets, such as "100/s", or quota: events in a window, such as "1000000/d"]] },
  { "a rate without a unit",
    [[{BASE}limit { rate = 100 }]],
    [[p.lua:4: limit.rate: 100 is not a rate such as "100/s"]] },
  { "a rate with a wrong unit",
    [[{BASE}limit { rate = "100/sec" }]],
    [[p.lua:4: limit.rate: "100/sec" is not a rate such as "100/s"]] },
  { "a rate beyond the bounds",
    [[{BASE}limit { rate = "9000000/s" }]],
    [[p.lua:4: limit.rate: "9000000/s" is more than 1000000/s]] },
  { "a lookup in the folder above",
    [[{BASE}local l = lookup "../geo.csv" { key = "ip" }]],
    [[p.lua:4: lookup "../geo.csv": expected a file beside the policy, such as "geo.csv"]] },
  { "a burst of nothing",
    [[{BASE}limit { rate = "1/s", burst = 0 }]],
    [[p.lua:4: limit.burst: 0 is less than 1]] },
  { "a limit given twice",
    [[{BASE}limit "a" { rate = "1/s" }
limit "a" { rate = "1/s" }]],
    [[p.lua:5: limit "a": is given twice, first in line 4]] },
  { "a limit's name that is none",
    [[{BASE}limit "A b" { rate = "1/s" }]],
    [[p.lua:4: limit "A b": a name is 1 to 64 of a-z, 0-9, _ and -]] },
  { "a counter that is changed",
    [[{BASE}local c = counter "a_total"
c.x = 1]],
    [[p.lua:5: a counter can't be changed]] },
  { "a method that a counter has not",
    [[{BASE}local c = counter "a_total"
c:add(1)]],
    [[p.lua:5: a counter has no "add"]] },
  { "a canary's share without a sign",
    [[{BASE}canary { share = "10" }]],
    [[p.lua:4: canary.share: "10" is not a share such as "10%"]] },
  { "a canary of everything",
    [[{BASE}canary { share = "100%" }]],
    [[p.lua:4: canary.share: "100%" is more than 99%]] },
  { "a canary of nothing",
    [[{BASE}canary { share = "0%" }]],
    [[p.lua:4: canary.share: "0%" is less than 0.01%]] },
  { "a canary's split that is none",
    [[{BASE}canary { by = "conection" }]],
    [[p.lua:4: canary.by: "conection" is none of "connection", "request", "peer", "header:NAME"; did you mean "connection"?]] },
  { "a canary's split by a header without a name",
    [[{BASE}canary { by = "header:" }]],
    [[p.lua:4: canary.by: "header:" is none of "connection", "request", "peer", "header:NAME"]] },
  { "a canary's time without a unit",
    [[{BASE}canary { during = 60 }]],
    [[p.lua:4: canary.during: 60 needs a unit, such as "50ms"]] },
  { "a canary's judge that is none",
    [[{BASE}canary { roll_back_if = true }]],
    [[p.lua:4: canary.roll_back_if: true is not a function]] },
  { "a canary with a name",
    [[{BASE}canary "k" { }]],
    [[p.lua:4: canary: expected a table { }, got "k"
p.lua:4: attempt to call a nil value]] },
  { "two canaries",
    [[{BASE}canary { }
canary { }]],
    [[p.lua:5: canary: is given twice, first in line 4]] },
  { "a canary that is a shadow",
    [[{BASE}canary { }
shadow { }]],
    [[p.lua:5: shadow: a policy is either a canary or a shadow; canary stands in line 4]] },
  { "a shadow's sample that is too large",
    [[{BASE}shadow { sample = 5000 }]],
    [[p.lua:4: shadow.sample: 5000 is more than 1000]] },
  { "a shadow's share of more than all",
    [[{BASE}shadow { share = "101%" }]],
    [[p.lua:4: shadow.share: "101%" is more than 100%]] },
  { "a dedup without a key",
    [[file "a" { dir = "a" }
stream "events" { sinks = { "a" }, dedup = { window = "1m" } }
route "POST /x" { body = "event", stream = "events" }]],
    [[p.lua:2: stream "events".dedup: needs key: path of the text or number that identifies an event]] },
  { "a dedup whose window is too long",
    [[file "a" { dir = "a" }
stream "events" { sinks = { "a" }, dedup = { key = "id", window = "30d" } }
route "POST /x" { body = "event", stream = "events" }]],
    [[p.lua:2: stream "events".dedup.window: "30d" is more than 7d: keys of a longer window need persist = true]] },
  { "an index that is a number",
    [[file "a" { dir = "x" }
stream "events" { sinks = { "a" }, index = 5 }
route "POST /x" { body = "event", stream = "events" }]],
    [[p.lua:2: stream "events".index: 5 is neither a path nor a table { }]] },
  { "an index of no path",
    [[file "a" { dir = "x" }
stream "events" { sinks = { "a" }, index = "" }
route "POST /x" { body = "event", stream = "events" }]],
    [[p.lua:2: stream "events".index.field: "" is empty: expected a text]] },
  { "an index without a field",
    [[file "a" { dir = "x" }
stream "events" { sinks = { "a" }, index = { keep = "1h" } }
route "POST /x" { body = "event", stream = "events" }]],
    [[p.lua:2: stream "events".index: needs field: path of the text or number that identifies an event]] },
  { "an index that keeps a second",
    [[file "a" { dir = "x" }
stream "events" { sinks = { "a" }, index = { field = "id", keep = "1s" } }
route "POST /x" { body = "event", stream = "events" }]],
    [[p.lua:2: stream "events".index.keep: "1s" is less than 1m]] },
  { "a dedup whose window is too long also with persist",
    [[file "a" { dir = "a" }
stream "events" { sinks = { "a" }, dedup = { key = "id", window = "401d", persist = true } }
route "POST /x" { body = "event", stream = "events" }]],
    [[p.lua:2: stream "events".dedup.window: "401d" is more than 400d]] },
  { "a dedup with a number of keys that has no effect",
    [[file "a" { dir = "a" }
stream "events" { sinks = { "a" }, dedup = { key = "id", max_keys = 5000, persist = true } }
route "POST /x" { body = "event", stream = "events" }]],
    [[p.lua:2: stream "events".dedup.max_keys: is of no use with persist = true: the disk has room for all keys of the window]] },
  { "a dedup by two paths that are the same",
    [[file "a" { dir = "a" }
stream "events" { sinks = { "a" }, dedup = { key = { "id", "id" } } }
route "POST /x" { body = "event", stream = "events" }]],
    [[p.lua:2: stream "events".dedup.key: "id" is named twice]] },
  { "a dedup by paths with names",
    [[file "a" { dir = "a" }
stream "events" { sinks = { "a" }, dedup = { key = { id = "id" } } }
route "POST /x" { body = "event", stream = "events" }]],
    [[p.lua:2: stream "events".dedup.key: expected a path, or a list of paths without keys: { "app_id", "id" }]] },
  { "a dedup by no path",
    [[file "a" { dir = "a" }
stream "events" { sinks = { "a" }, dedup = { key = {} } }
route "POST /x" { body = "event", stream = "events" }]],
    [[p.lua:2: stream "events".dedup.key: 0 paths: 1 to 8 are taken]] },
  { "a dedup that is no table",
    [[file "a" { dir = "a" }
stream "events" { sinks = { "a" }, dedup = "event_id" }
route "POST /x" { body = "event", stream = "events" }]],
    [[p.lua:2: stream "events".dedup: "event_id" is not a table { }]] },
}

describe("sluice check", function()
  local c = checking.new(BASE)
  teardown(c.remove)

  for _, row in ipairs(rows) do
    it("names " .. row[1], function()
      local out, code = c.problems(row[2])
      assert.equal(1, code)
      assert.equal(row[3], out)
    end)
  end

  it("takes 64 counters and limits, and not one more", function()
    local function policy(n, word)
      local lines = { "{BASE}" }
      for i = 1, n do lines[#lines + 1] = word:format(i) end
      return table.concat(lines, "\n")
    end
    local counter, limit = 'counter "c%d_total" {}', 'limit "l%d" { rate = "1/s" }'
    for word, what in pairs { [counter] = "counters and gauges", [limit] = "limits" } do
      local out, code = c.check(policy(64, word))
      assert.equal(0, code, out)
      out, code = c.check(policy(65, word))
      assert.equal(1, code)
      assert.matches("more than 64 " .. what, out, 1, true)
    end
  end)
end)
