local cjson = require "cjson.safe"
local faults = require "faults"
local h = require "harness"

-- Kept refusals while the server is killed, its disk is full or fails; and what the
-- commands make of them.
describe("refusals that are kept, under faults", function()
  local POLICY = [[
server { listen = "127.0.0.1:0", workers = 1, max_body = "256KiB" }
admin { listen = "127.0.0.1:0" }
spool { segment = "4MiB", max_bytes = "128MiB" }
file "archive" { dir = "archive", linger = "20ms", rotate = { age = "50ms" } }
file "bad" { dir = "bad", linger = "20ms", rotate = { age = "50ms" } }
stream "events" { sinks = { "archive" } }
stream "refused" { sinks = { "bad" }, max_bytes = "16MiB" }
local shape = schema { id = str { required = true, max = 20 } }
local keep = { stream = "refused", rate = "100000/s", max_record = "256KiB" }
route "POST /one" { body = "event", schema = shape, stream = "events", on_refused = keep }
route "POST /many" { body = "batch", schema = shape, stream = "events", on_refused = keep }
]]
  local dir, f, s

  before_each(function()
    dir = h.folder()
    f = faults.new(dir .. "/data")
    s = h.server { policy = POLICY, data = dir .. "/data", wrap = f:wrap() }
  end)
  after_each(function()
    s:close()
    h.remove(dir)
  end)

  local function count(result)
    return s:metric("sluice_refused_records_total",
      ('stream="refused",result="%s"'):format(result)) or 0
  end

  it("are kept, and cut, where their escapes would not fit into a segment", function()
    s:close()
    local policy = POLICY:gsub('"256KiB"', '"1MiB"')
    s = h.server { policy = policy, data = dir .. "/other" }
    local plain, escaped = ('{"id":"%s"}'):format(("x"):rep(1000000)), ("\1"):rep(1000000)
    assert.equal(422, s:post("/one", plain).status)
    assert.equal(400, s:post("/one", escaped).status)
    h.wait_for("the records", function() return #s:lines "bad" == 2 end)
    assert.equal(2, count "stored")
    assert.equal(0, count "no_room")
    local whole, cut = cjson.decode(s:lines "bad" [1]), cjson.decode(s:lines "bad" [2])
    assert.same({ plain, #plain }, { whole.raw, whole.bytes })
    assert.is_nil(whole.cut)
    assert.same({ true, #escaped }, { cut.cut, cut.bytes })
    assert.equal(escaped:sub(1, #cut.raw), cut.raw)
    assert.is_true(#cut.raw >= 300000, #cut.raw)
  end)

  it("are there after kill -9, if the client has heard of them", function()
    f:rules("on=write path=/spool/refused/ do=kill from=30")
    local heard = 0
    for i = 1, 100 do
      local body = i % 2 == 0 and ('{"id":%d}'):format(i) or ('{"id":%d'):format(i)
      local ok, a = pcall(s.post, s, "/one", body)
      if not (ok and a and a.status) then break end
      assert.equal(i % 2 == 0 and 422 or 400, a.status)
      heard = i
    end
    assert.is_true(heard > 0 and heard < 100, heard)
    s:ended()
    f:rules()
    s:start()
    local seen = {}
    h.wait_for("the records", function()
      for _, line in ipairs(s:lines "bad") do
        seen[tonumber(cjson.decode(line).raw:match("%d+"))] = true
      end
      return #seen >= heard
    end)
  end)

  it("leave the answers as they are when their stream is full", function()
    h.block(s.data .. "/bad", s.data .. "/gone")
    local body = '{"id":"' .. ("x"):rep(250000)
    for _ = 1, 100 do
      local a = s:post("/one", body)
      assert.equal(400, a.status)
      assert.equal("invalid_json", cjson.decode(a.body).code)
      if count "no_room" > 0 then break end
    end
    assert.is_true(count "no_room" > 0)
    assert.equal(202, s:post("/one", '{"id":"a"}').status)
    assert.equal(202, s:post("/many", '[{"id":"a"},{"id":1}]').status)
  end)

  it("leave the answers as they are when they can't be written", function()
    assert.equal(422, s:post("/one", '{"id":1}').status)
    f:rules("on=write path=/spool/refused/ do=EIO")
    local a = s:post("/many", '[{"id":"a"},{"id":1}]')
    assert.same({ 202, 1 }, { a.status, cjson.decode(a.body).rejected })
    assert.equal(400, s:post("/one", "{").status)
    assert.equal(2, count "failed")
    f:rules()
    h.wait_for("a record", function()
      assert.equal(422, s:post("/one", '{"id":2}').status)
      return count "stored" >= 2
    end)
  end)

  local function run(args)
    local out = h.shell(("(%s %s) 2>&1; echo exit=$?"):format(h.binary, args))
    return out:gsub("exit=%d+\n$", ""), tonumber(out:match("exit=(%d+)\n$"))
  end

  it("tell by sluice replay what a new policy would accept, from spool and archive",
  function()
    local new = s.dir .. "/new.lua"
    h.write(new, (POLICY:gsub("id = str { required = true, max = 20 }",
      "id = any { required = true }")))
    assert.equal(422, s:post("/one", '{"id":1}').status)
    assert.equal(202, s:post("/many", '[{"id":"a"},{"id":2},{"no":3}, {"id":4} ]').status)
    assert.equal(400, s:post("/many", '[{"id":5},').status)
    assert.equal(400, s:post("/one", '{"id":"' .. ("x"):rep(250000)).status)
    h.wait_for("the records", function() return #s:lines "bad" == 6 end)
    -- The last one is whole, since it is shorter than max_record.
    for _, place in ipairs { "spool", "bad" } do
      local out, code = run(("replay --json --stream refused --policy %s %s/%s")
        :format(new, s.data, place))
      assert.equal(1, code, out)
      local t = cjson.decode(out)
      assert.same({ 6, 3, 3, 3, 0 },
        { t.events, t.changed, t.unchanged, t.accepted, t.undecided })
      assert.same({ "accepted", "wrong_type", 3 },
        { t.changes[1].kind, t.changes[1].what, t.changes[1].events })
      out, code = run(("replay --policy %s --stream refused %s/%s")
        :format(s.path, s.data, place))
      assert.equal(0, code, out)
      assert.matches("6 events of [^\n]*: 0 would change", out)
    end
    -- The events beside them are compared as always.
    local t = cjson.decode((run(("replay --json --policy %s --route 'POST /many' %s/spool")
      :format(new, s.data))))
    assert.equal(7, t.events)
    -- Nobody knows how one goes on that was cut.
    h.write(s.path, (POLICY:gsub('max_record = "256KiB"', 'max_record = "1KiB"')))
    assert.equal(200, s:reload().status)
    assert.equal(422, s:post("/one", '{"id":"' .. ("x"):rep(3000) .. '"}').status)
    h.wait_for("the record", function() return #s:lines "bad" == 7 end)
    t = cjson.decode((run(("replay --json --policy %s %s/bad"):format(new, s.data))))
    assert.same({ 6, 3, 1 }, { t.events, t.accepted, t.undecided })
  end)

  it("go to the dead letters where the route says so", function()
    h.write(s.path, (POLICY:gsub("local keep = [^\n]*", 'local keep = "dead_letter"')
      :gsub('stream "refused"[^\n]*', ""):gsub('file "bad"[^\n]*', "")))
    assert.equal(200, s:reload().status)
    assert.equal(422, s:post("/one", '{"id":1}').status)
    local line = h.wait_for("the letter", function()
      local text = h.shell(("cat %s/dead/dead-*.ndjson* 2>/dev/null"):format(s.data))
      return text:match('[^\n]*"refused"[^\n]*\n')
    end)
    assert.same({ "wrong_type", '{"id":1}' },
      { cjson.decode(line).refused.code, cjson.decode(line).raw })
    local new = s.dir .. "/new.lua"
    h.write(new, (POLICY:gsub("id = str { required = true, max = 20 }", "id = int { }")))
    local out, code = run(("replay --policy %s %s/dead"):format(new, s.data))
    assert.equal(1, code, out)
    assert.matches("1  accepted: wrong_type", out)
    assert.matches("refusals=1", (run("dead list " .. s.data .. "/dead")))
  end)

  it("are dead letters on a route whose answer does not name them, also without a hook",
  function()
    h.write(s.path, POLICY .. [[
route "POST /silent" { body = "batch", schema = shape, stream = "events", on_refused = keep,
  answer = { status = 200, body = "{}" } }
]])
    assert.equal(200, s:reload().status)
    assert.equal(200, s:post("/silent", '[{"id":"a"},{"id":1}]').status)
    h.wait_for("the letter", function()
      return h.shell(("cat %s/dead/dead-*.ndjson* 2>/dev/null"):format(s.data))
        :find('"event":{"id":1}', 1, true)
    end)
    assert.equal(422, s:post("/silent", '[{"id":1}]').status)
    assert.equal(1, count "stored")
  end)
end)
