-- Every request and every event shows in /metrics: the refused ones with place and
-- reason.
local h = require "harness"

local POLICY = [[
server { listen = "127.0.0.1:0", workers = 2, max_body = "64KiB", max_events = 5 }
admin { listen = "127.0.0.1:0" }
file "archive" { dir = "archive", linger = "20ms" }
stream "events" { sinks = { "archive" }, dedup = { key = "id" } }
local event = schema { id = int { required = true } }
local function on_event(ev)
  if ev.kind == "raise" then error("a mistake") end
  if ev.kind == "drop" then return drop("no") end
  if ev.kind == "own" then return reject(ev.code, "the policy's own") end
end
route "POST /one" { body = "event", schema = event, stream = "events",
  on_event = on_event,
  on_request = function(req)
    if req.headers["x-key"] == "wrong" then return reject("bad_key", "no", 401) end
  end }
route "POST /many" { body = "batch", schema = event, stream = "events",
  on_event = on_event }
route "POST /strict" { body = "batch", schema = event, stream = "events",
  partial = false }
]]

describe("the counters", function()
  local s
  before_each(function() s = h.server { policy = POLICY } end)
  after_each(function() if s then s:close() s = nil end end)

  local function refusals(route, code, status)
    return s:metric("sluice_refusals_total",
      ('route="%s",code="%s",status="%d"'):format(route, code, status)) or 0
  end
  local function events(route, result)
    return s:metric("sluice_events_total",
      ('route="%s",result="%s"'):format(route, result)) or 0
  end
  local function received(route)
    return s:metric("sluice_received_events_total", ('route="%s"'):format(route))
  end

  it("name the route, the code and the status of each refusal", function()
    local one, none = "POST /one", "none"
    local rows = {
      { one, "missing_field", 422, "POST", "/one", "{}" },
      { one, "wrong_type", 422, "POST", "/one", '{"id":1.5}' },
      { one, "invalid_json", 400, "POST", "/one", '{"id":1' },
      { one, "bad_key", 401, "POST", "/one", '{"id":1}', { ["X-Key"] = "wrong" } },
      { one, "unsupported_type", 415, "POST", "/one", "x",
        { ["Content-Type"] = "text/x" } },
      { one, "too_large", 413, "POST", "/one", ("x"):rep(70000) },
      { none, "unknown_path", 404, "POST", "/nowhere", "{}" },
      { none, "method_not_allowed", 405, "PUT", "/one", "{}" },
      { "POST /many", "too_many_events", 413, "POST", "/many",
        "[{},{},{},{},{},{}]" },
    }
    for i, r in ipairs(rows) do
      local headers = r[7] or {}
      headers["Content-Type"] = headers["Content-Type"] or "application/json"
      local a = h.request(s.port, r[4], r[5], r[6], headers)
      assert.same({ i, r[3] }, { i, a.status })
      assert.same({ i, 1 }, { i, refusals(r[1], r[2], r[3]) })
    end
    assert.equal(6, received(one))
    assert.equal(2, events(one, "rejected"))
    assert.equal(4, events(one, "refused"))
    assert.equal(2, received(none))
    assert.equal(2, events(none, "refused"))
    assert.equal(1, s:metric("sluice_events_total",
      'route="POST /one",result="refused",code="too_large"'))
    -- All requests have a time, also one that http itself refuses.
    assert.equal(#rows, s:metric("sluice_request_seconds_count"))
    assert.equal(2, s:metric("sluice_request_seconds_count", 'route="none"'))
    assert.equal(1, s:metric("sluice_requests_total",
      'route="none",method="PUT",status="405"'))
    assert.equal(1, s:metric("sluice_requests_total",
      'route="POST /one",method="POST",status="413"'))
    assert.equal(0, s:stop())
  end)

  it("tell what became of every event of a batch", function()
    local many, strict = "POST /many", "POST /strict"
    assert.equal(202, s:post("/many", '[{"id":1},{"id":1},{"id":2,"kind":"drop"},'
      .. '{"id":3,"kind":"raise"},{}]').status)
    for result, n in pairs { stored = 1, duplicate = 1, dropped = 1, dead = 1,
      rejected = 1, refused = 0 } do
      assert.same({ result, n }, { result, events(many, result) })
    end
    assert.equal(5, received(many))
    -- The neighbours of a bad event are refused with it.
    assert.equal(422, s:post("/strict", '[{"id":11},{},{"id":12}]').status)
    assert.equal(3, received(strict))
    assert.equal(1, events(strict, "rejected"))
    assert.equal(2, events(strict, "refused"))
    assert.equal(2, s:metric("sluice_events_total", 'result="refused"'))
    assert.equal(1, refusals(strict, "missing_field", 422))
    assert.equal(2, s:metric("sluice_request_seconds_count"))
    assert.matches('event=dead_letter worker=%d route="POST /many" events=1',
      s:text())
    assert.equal(0, s:stop())
  end)

  it("have a bound for the codes that a policy makes of what clients send", function()
    for i = 1, 60 do
      for _ = 1, 2 do
        s:post("/one", ('{"id":%d,"kind":"own","code":"c%d"}'):format(i, i))
      end
    end
    local n, all, other = 0, 0, 0
    for labels, v in s:get("/metrics").body
      :gmatch("sluice_refusals_total(%b{}) (%d+)") do
      n, all = n + 1, all + v
      if labels:find('code="other"', 1, true) then other = other + v end
    end
    assert.equal(120, all)
    assert.is_true(n <= 2 * 41 and n < 120)
    assert.is_true(other >= 0)
    assert.equal(0, s:stop())
  end)

  it("keep the names of the policy's own codes, though clients fill the room for others",
  function()
    for i = 1, 60 do
      for _ = 1, 4 do
        s:post("/one", ('{"id":%d,"kind":"own","code":"c%d"}'):format(i, i))
      end
    end
    assert.is_true(s:metric("sluice_refusals_total", 'code="other"') > 0)
    for _ = 1, 4 do
      s:post("/one", '{"id":1}', { ["X-Key"] = "wrong" })
      s:post("/one", "{}")
      s:post("/one", "no json")
    end
    assert.equal(4, s:metric("sluice_refusals_total", 'code="bad_key"'))
    assert.equal(4, s:metric("sluice_refusals_total", 'code="missing_field"'))
    assert.equal(4, s:metric("sluice_refusals_total", 'code="invalid_json"'))
    assert.equal(0, s:stop())
  end)

  it("go on over a reload", function()
    assert.equal(422, s:post("/one", "{}").status)
    h.write(s.path, (POLICY:gsub('"no"', '"not so"')))
    assert.equal(200, s:reload().status)
    assert.equal(422, s:post("/one", "{}").status)
    assert.equal(2, refusals("POST /one", "missing_field", 422))
    assert.equal(2, received("POST /one"))
  end)
end)
