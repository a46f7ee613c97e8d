local cjson = require "cjson"
local h = require "harness"
local testing = require "sluice.testing"

-- A hook's edits, an event, and the bytes that are stored.
local rows = {
  { [[ev["user.ip"] = mask_ip(ev["user.ip"])]],
    [[{"user":{"ip":"10.1.2.3","id":1.50},"n":1}]],
    [[{"user":{"ip":"10.1.2.0","id":1.50},"n":1}]] },
  { [[ev["user.ip"] = mask_ip(ev["user.ip"])]],
    [[{"user":{"\u0069p":"10.1.2.3"},"user.ip":"other"}]],
    [[{"user":{"\u0069p":"10.1.2.0"},"user.ip":"other"}]] },
  { [[ev["user\\.ip"] = mask_ip(ev["user\\.ip"])]],
    [[{"user":{"ip":"10.1.2.3"},"user.ip":"10.9.9.9"}]],
    [[{"user":{"ip":"10.1.2.3"},"user.ip":"10.9.9.0"}]] },
  { [[ev["user.email"] = nil]], [[{"user":{"id":1,"email":"a@b"},"n":1}]],
    [[{"user":{"id":1},"n":1}]] },
  { [[ev["user.email"] = nil]], [[{"user":{"\u0065mail":"a@b"}}]],
    [[{"user":{}}]] },
  { [[ev["a.b.email"] = nil]],
    [[{"a":{"b":{"email":1,"email":2},"b":{"email":3}}}]],
    [[{"a":{"b":{},"b":{}}}]] },
  { [[ev["user.email"] = mask(ev["user.email"])]], [[{"user":{"id":1}}]],
    [[{"user":{"id":1}}]] },
  { [[ev["user.email"] = mask(ev["user.email"])]], [[{"user":"x"}]],
    [[{"user":"x"}]] },
  { [[ev["geo.country"] = "de"]], [[{"n":1}]], [[{"n":1,"geo":{"country":"de"}}]] },
  { [[ev["items[2].ip"] = "x"]], [[{"items":[{"ip":1},{"ip":2}]}]],
    [[{"items":[{"ip":1},{"ip":"x"}]}]] },
  { [[ev["items[1]"] = nil]], [[{"items":[{"ip":1},{"ip":2}]}]],
    [[{"items":[{"ip":2}]}]] },
  -- Parent and child, in both orders.
  { [[ev["user.ip"] = "x" ev.user = nil]], [[{"user":{"ip":1},"n":1}]],
    [[{"n":1}]] },
  { [[ev.user = nil ev["user.ip"] = "x"]], [[{"user":{"ip":1,"a":2},"n":1}]],
    [[{"user":{"ip":"x"},"n":1}]] },
  { [[ev.user = { ip = "y", id = 2 } ev["user.ip"] = nil]],
    [[{"user":{"ip":1}}]], [[{"user":{"id":2}}]] },
  -- A value read after it was written is the written one.
  { [[ev["user.ip"] = "x" ev.seen = ev["user.ip"] .. get(ev, "user.ip")
      ev.has = has(ev, "user.email")]],
    [[{"user":{"ip":1}}]], [[{"user":{"ip":"x"},"seen":"xx","has":false}]] },
  { [[ev["user.email"] = nil ev.seen = tostring(ev["user.email"])]],
    [[{"user":{"ip":1,"email":"e"}}]], [[{"user":{"ip":1},"seen":"nil"}]] },
  -- An edit that can't be is an error of the event.
  { [[ev["user.ip"] = "x"]], [[{"user":"text"}]], false },
  { [[ev["items[3]"] = "x"]], [[{"items":[1]}]], false },
  { [[local key = "a[" ev[key] = 1]], [[{}]], false },
}

local function policy(hook, schema, interpreted)
  return ([[
server { listen = "127.0.0.1:0", workers = 1 }
admin { listen = "127.0.0.1:0" }
file "archive" { dir = "archive", linger = "20ms" }
stream "events" { sinks = { "archive" } }
local fields = schema { %s }
local function on_event(ev, req) %s %s end
route "POST /one" { body = "event", schema = fields, stream = "events",
  on_event = on_event }
route "POST /many" { body = "batch", schema = fields, stream = "events",
  on_event = on_event, events = "data.list", envelope = { sent = "sent" } }
]]):format(schema and [[["user.ip"] = any {}, ["user.email"] = any {},
  ["user\\.ip"] = any {}]] or "", interpreted and "for _ = 1, 2 do end" or "", hook)
end

describe("an edit by path", function()
  local dir
  setup(function() dir = h.folder() end)
  teardown(function() h.remove(dir) end)

  for _, row in ipairs(rows) do
    it(("%s of %s stores %s"):format(row[1]:gsub("%s+", " "), row[2],
      row[3] or "nothing"), function()
      for way = 0, 3 do
        h.write(dir .. "/p.lua", policy(row[1], way % 2 == 1, way > 1))
        local p = assert(testing.load(dir .. "/p.lua"))
        for _ = 1, 2 do
          local r = p:post("/one", row[2])
          assert.same({ row[3] or nil }, r.stored.events or {})
          assert.equal(row[3] and 0 or 1, r.dead)
        end
        local r = p:post("/many", ('{"sent":1,"data":{"list":[%s,%s]}}')
          :format(row[2], row[2]))
        assert.equal(row[3] and 2 or 0, #(r.stored.events or {}))
        for _, line in ipairs(r.stored.events or {}) do
          local e = cjson.decode(line)
          assert.equal(1, e.sent)
          e.sent = nil
          assert.same(cjson.decode(row[3]), e)
        end
      end
    end)
  end

  it("leaves a time beside it in milliseconds", function()
    h.write(dir .. "/p.lua", [[
file "archive" { dir = "archive" }
stream "events" { sinks = { "archive" } }
route "POST /one" { body = "event", stream = "events", schema = schema {
    ["user.at"] = time {}, ["user.end"] = time {} },
  on_event = function(ev)
    ev.before = ev["user.at"]
    ev["user.seen"] = true
    ev.after = ev["user.at"]
    ev["user.at"] = "new"
    ev.own = ev["user.at"]
    ev["user.end"] = "1"
    ev.set = ev["user.end"]
  end }
]])
    local p = assert(testing.load(dir .. "/p.lua"))
    local r = p:post("/one", [[{"user":{"at":"2025-01-01T00:00:00Z"}}]])
    assert.equal(202, r.status, r.body)
    assert.same({ user = { at = "new", seen = true, ["end"] = "1" },
      before = 1735689600000, after = 1735689600000, own = "new", set = "1" },
      cjson.decode(r.stored.events[1]))
  end)

  it("is stored by a server as the kit says, and replay shows it", function()
    local hook = [[ev["user.ip"] = mask_ip(ev["user.ip"]) ev["user.email"] = nil]]
    for way = 0, 3 do
      local s = h.server { policy = policy("", way % 2 == 1, false) }
      finally(function() s:close() end)
      local event = [[{"user":{"ip":"10.1.2.3","email":"a@b","id":1},"n":1}]]
      local want = [[{"user":{"ip":"10.1.2.0","id":1},"n":1}]]
      assert.equal(202, s:post("/one", event).status)
      h.write(s.dir .. "/new.lua", policy(hook, way % 2 == 1, way > 1))
      local out = h.shell(("%s replay --policy %s/new.lua %s/spool; true")
        :format(h.binary, s.dir, s.data))
      assert.matches("+ " .. want, out, 1, true)
      h.write(s.path, policy(hook, way % 2 == 1, way > 1))
      assert.equal(200, h.request(s.admin, "POST", "/reload").status)
      assert.equal(202, s:post("/one", event).status)
      assert.equal(0, s:stop())
      assert.same({ event, want }, s:lines())
    end
  end)

  it("finds no change between a policy and itself, whatever chance says", function()
    local s = h.server { policy = policy("") }
    finally(function() s:close() end)
    local events = {}
    for i = 1, 300 do events[i] = ('{"n":%d}'):format(i) end
    assert.equal(202, s:post("/many", ('{"data":{"list":[%s]}}')
      :format(table.concat(events, ","))).status)
    h.write(s.dir .. "/x.lua", policy("ev.id = uuid7() if sample(0.5) then return drop() end"))
    local out = h.shell(("%s replay --route 'POST /one' --old %s/x.lua --policy %s/x.lua "
      .. "%s/spool 2>&1; echo $?"):format(h.binary, s.dir, s.dir, s.data))
    assert.matches("0 would change", out, 1, true)
    assert.matches("0\n$", out)
  end)
end)
