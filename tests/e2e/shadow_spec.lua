local cjson = require "cjson"
local h = require "harness"

local BASE = [[
file "other" { dir = "other" }
stream "more" { sinks = { "other" } }
]]

local function policy(hook, top, route)
  return h.policy { workers = 2, top = BASE .. (top or "")
    .. "\nlocal function on_event(ev, req)\n" .. hook .. "\nend",
    route = "on_event = on_event, " .. (route or "") }
end

local LIVE = policy [[
  if ev.kind == "bad" then return reject("bad") end
  if ev.kind == "worse" then return reject("worse") end
  if ev.kind == "sampled" then return drop("sampled") end
  ev.version = 1]]

-- Its other decisions, event by event.
local NEW = [[
  if ev.kind == "worse" then return reject("other_code") end
  if ev.kind == "new_bad" then return reject("new_bad") end
  if ev.kind == "raise" then error("oh no") end
  if ev.kind == "route" then ev.version = 1 return to("more") end
  if ev.kind == "edit" then ev.version = 2 return end
  ev.version = 1]]

local function expected(over)
  local t = { accepted_refused = 0, refused_accepted = 0, refused_otherwise = 0,
    failed_otherwise = 0, dropped_otherwise = 0, routed_otherwise = 0,
    edited_otherwise = 0 }
  for k, v in pairs(over) do t[k] = v end
  return t
end

describe("a shadow", function()
  local s
  after_each(function() if s then s:close() s = nil end end)

  local function trial() return cjson.decode(s:get("/status").body).trial end
  local function load(text, answer)
    h.write(s.path, text)
    local a = s:reload()
    assert.equal(200, a.status, a.body)
    assert.equal(answer or "shadow", cjson.decode(a.body).status)
  end

  it("counts exactly what it decides otherwise, and changes nothing", function()
    s = h.server { policy = LIVE }
    load(policy(NEW, [[shadow { during = "1h", sample = 5 }]]))
    -- How often each kind, in single requests and in batches.
    local kinds = { bad = 3, worse = 4, sampled = 5, new_bad = 6, raise = 7,
      route = 8, edit = 9, same = 20 }
    local names, batch, accepted = {}, {}, 0
    for kind in pairs(kinds) do names[#names + 1] = kind end
    table.sort(names)
    for _, kind in ipairs(names) do
      for n = 1, kinds[kind] do
        local event = ([[{"kind":"%s","n":%d}]]):format(kind, n)
        local bad = kind == "bad" or kind == "worse"
        assert.equal(bad and 422 or 202, s:post("/v1/events", event).status)
        batch[#batch + 1] = event
        if not bad and kind ~= "sampled" then accepted = accepted + 2 end
      end
    end
    local a = s:post("/v1/events/batch", "[" .. table.concat(batch, ",") .. "]")
    assert.equal(202, a.status)
    local t = trial()
    assert.same(expected { refused_accepted = 6, refused_otherwise = 8,
      dropped_otherwise = 10, accepted_refused = 12, failed_otherwise = 14,
      routed_otherwise = 16, edited_otherwise = 18 }, t.differ)
    assert.same({ new_bad = 12 }, t.accepted_refused)
    assert.same({ #batch + 1, 2 * #batch }, { t.new.requests, t.new.events })
    assert.equal(5, #t.samples)
    assert.same({ "refused_accepted", "bad", "POST /v1/events",
      [[{"kind":"bad","n":1}]] }, { t.samples[1].kind, t.samples[1].code,
      t.samples[1].route, t.samples[1].event })
    assert.matches("event=shadow generation=2 kind=refused_accepted code=bad "
      .. "route=\"POST /v1/events\" sample=\"{\\\"kind\\\":\\\"bad\\\"",
      s:text(), 1, true)
    assert.equal(12, s:metric("sluice_shadow_differences", "accepted_refused"))
    print(("# shadow: %d differences of %d events; a request took the live one "
      .. "%.3f ms, the shadow %.3f (median)"):format(84, t.new.events,
      t.old.p50_ms, t.new.p50_ms))
    -- Its errors are its own: none is counted, nothing went aside.
    assert.equal("done", cjson.decode(s:reload("?rollback").body).status)
    s:logged("event=shadow generation=2 result=done .* differ=84 "
      .. "why=\"by hand\"")
    s:logged("generation=2 status=retired")
    assert.equal(0, s:metric("sluice_events_total", 'result="dead"'))
    assert.equal(0, s:stop())
    local lines = s:lines()
    assert.equal(accepted, #lines)
    for _, line in ipairs(lines) do
      assert.equal(1, cjson.decode(line).version)
    end
    assert.same({}, s:lines("other"))
  end)

  it("is asked about requests that are refused as a whole", function()
    s = h.server { policy = LIVE }
    load(policy(NEW, [[shadow { during = "1h" }
      route "POST /new" { body = "event", stream = "events" }]],
      "partial = false"))
    assert.equal(404, s:post("/new", "{}").status)
    assert.equal(404, s:post("/nowhere", "{}").status)
    assert.equal(400, s:post("/v1/events", "{").status)
    assert.same(expected { refused_accepted = 1 }, trial().differ)
    -- With partial = false the others of a batch go with the bad one.
    local a = s:post("/v1/events/batch",
      [=[[{"kind":"worse"},{"kind":"a"},{"kind":"b"}]]=])
    assert.equal(202, a.status)
    local t = trial()
    assert.same(expected { refused_accepted = 1, refused_otherwise = 1,
      accepted_refused = 2 }, t.differ)
    assert.same({ batch_refused = 2 }, t.accepted_refused)
    assert.equal(0, s:stop())
  end)

  it("counts each event of a body that one of the two refuses as a whole", function()
    local function shapes(single, list)
      return policy("", ([[route "POST /one" { body = %q, stream = "more" }
        route "POST /two" { body = %q, stream = "more" } ]]):format(single, list))
    end
    s = h.server { policy = shapes("event", "batch") }
    load([[shadow { during = "1h", sample = 9 }
]] .. shapes("batch", "event"))
    local list = [=[[{"n":1},{"n":2},{"n":3}]]=]
    local a = s:post("/one", list)
    assert.is_true(a.status == 400 or a.status == 422, a.body)
    local code = cjson.decode(a.body).code
    assert.same(expected { refused_accepted = 3 }, trial().differ)
    assert.equal(202, s:post("/two", list).status)
    local t = trial()
    assert.same(expected { refused_accepted = 3, accepted_refused = 3 }, t.differ)
    assert.same({ [code] = 3 }, t.accepted_refused)
    assert.same({ "refused_accepted", code, "POST /one", [[{"n":1}]] }, { t.samples[1].kind,
      t.samples[1].code, t.samples[1].route, t.samples[1].event })
    assert.same({ "accepted_refused", "POST /two", [[{"n":3}]] }, { t.samples[6].kind,
      t.samples[6].route, t.samples[6].event })
    assert.equal(0, s:stop())
    assert.equal(3, #s:lines "other")
  end)

  it("sees its share only, and is over in time", function()
    s = h.server { policy = LIVE }
    load(policy(NEW, [[shadow { share = "50%", during = "5s" }]]))
    for i = 1, 40 do
      assert.equal(202, s:post("/v1/events", [[{"kind":"edit"}]]).status, i)
    end
    local t = trial()
    assert.equal(40, t.old.requests)
    assert.is_true(math.abs(t.new.requests - 20) <= 4, t.new.requests)
    assert.equal(t.new.requests, t.differ.edited_otherwise)
    s:logged("event=shadow generation=2 result=done .-why=\"its time is over\"")
    s:logged("generation=2 status=retired")
    assert.equal(1, s:metric("sluice_policy_generation"))
    assert.equal("done", trial().result)
    assert.equal(0, s:stop())
  end)

  it("goes live by hand", function()
    s = h.server { policy = LIVE }
    load(policy("ev.version = 2", [[shadow { during = "1h" }]]))
    assert.equal(202, s:post("/v1/events", [[{"n":1}]]).status)
    local a = cjson.decode(s:reload("?promote").body)
    assert.same({ "live", 3 }, { a.status, a.generation })
    assert.equal(202, s:post("/v1/events", [[{"n":2}]]).status)
    s:logged("generation=2 status=retired .*why=\"generation 3 was loaded\"")
    assert.equal(0, s:stop())
    local lines = s:lines()
    table.sort(lines)
    assert.same({ [[{"n":1,"version":1}]], [[{"n":2,"version":2}]] }, lines)
  end)
end)
