local browser = require "browser"
local cjson = require "cjson"
local h = require "harness"

-- A known load: each figure of the page is what was sent. The names are as odd as a policy
-- and a client can make them.

local LONG = "/" .. ("long/"):rep(150) .. "x"
local POLICY = [[
admin { listen = "127.0.0.1:0" }
server { workers = 2 }
file "archive" { dir = "archive", linger = "20ms" }
file "second" { dir = "second", linger = "20ms" }
null "gone" {}
stream "events" { sinks = { "archive", "second", "gone" }, dedup = { key = "id" } }
local ev = schema { id = str { required = true }, n = num { max = 10 } }
route "POST /v1/events" { body = "batch", stream = "events", schema = ev, on_event = function(e)
  if e.n == 1 then return reject("one", "is " .. e.id) end
  if e.n == 2 then return drop "two" end
  if e.n == 3 then error "three" end
end }
route "POST /whole" { body = "batch", partial = false, stream = "events", schema = ev }
route "POST /<b>x</b>" { body = "event", stream = "events", schema = ev }
route "POST ]] .. LONG .. [[" { body = "event", stream = "events",
  on_event = function() return reject("of_a_long_route", "no") end }
]]
-- Each is 3 characters, of which people see 2 at most: a mark that turns the text around, a
-- letter without ink, a tag.
local HIDDEN = "\226\128\174\227\133\164\243\160\128\129"

describe("the figures of the live page", function()
  local s, page, ids

  -- { { how many, n, id }, ... }
  local function batch(list)
    local events = {}
    for _, x in ipairs(list) do
      for _ = 1, x[1] do
        ids = ids + 1
        events[#events + 1] = ('{"id":"%s","n":%d}'):format(x[3] or "e" .. ids, x[2])
      end
    end
    return "[" .. table.concat(events, ",") .. "]"
  end

  setup(function()
    if not browser.there() then return end
    ids = 0
    s = h.server { policy = POLICY }
    page = browser.open(s.admin, s.dir)
    page:judge()
    -- How long the first row took is not known.
    page:waits "(await import('/page/server.js')).known.rows.length > 1"
    for _ = 1, 10 do
      s:post("/v1/events", batch { { 100, 0 }, { 7, 1 }, { 4, 2 }, { 3, 3 }, { 2, 99 },
        { 1, 0, "same" } })
    end
    s:post("/whole", batch { { 9, 0 }, { 1, 99 } })
    s:post("/v1/events", "not json")
    s:post("/nowhere", "[]")
    for _ = 1, 25 do s:post(LONG, "{}") end
    s:post("/<b>x</b>", "{}")
    s:deliver()
    page:becomes("#refusals-body", "of_a_long_route")
    page:becomes("#sinks-body", "1,001.*1,001.*1,001")
  end)

  teardown(function()
    if page then page:close() end
    if s then s:close() end
  end)

  local test = browser.it(it, pending)

  -- The rows of a table, without the arrows of its head.
  local function rows(id)
    local list = page:run(([[
      const more = [...document.querySelectorAll("#%s .more")].find((b) => !b.hidden);
      if (more) more.click();
      return [...document.querySelectorAll("#%s tbody tr")].map((tr) =>
        [...tr.children].map((td) => td.textContent).join("|"));]]):format(id, id))
    table.sort(list)
    return list
  end

  test("count each refusal once, by route, code and status", function()
    -- All: 70 + 20 + 1 + 1 + 1 + 25 + 1 = 119.
    local shown = LONG:sub(1, 595)
    assert.same({
      "invalid_json|POST /v1/events|400|1|0.8 %",
      "missing_field|POST /<b>x</b>|422|1|0.8 %",
      "of_a_long_route|POST " .. shown .. " … (757 characters)|422|25|21 %",
      "one|POST /v1/events|202|70|59 %",
      "policy_error|POST /v1/events|hook raised|30|",
      "too_large|POST /v1/events|202|20|17 %",
      "too_large|POST /whole|422|1|0.8 %",
      "unknown_path|no route|404|1|0.8 %",
    }, rows "refusals-body")
  end)

  test("count each delivery once, for each sink", function()
    -- 1,000 good ones and one of the ten with the same id; 30 whose hook raised.
    assert.same({ "archive|delivers|0|0 B|–|1,001|0|", "dead-letters|delivers|0|0 B|–|30|0|",
      "gone|delivers|0|0 B|–|1,001|0|", "second|delivers|0|0 B|–|1,001|0|" },
      rows "sinks-body")
    assert.equal("Nothing is lost. Every accepted event is delivered, or is a dead letter.",
      page:text "#lost")
  end)

  test("add up in the plots: the seconds' rates are what was sent", function()
    local SUMS = [[
      const { known } = await import("/page/server.js");
      const at = (name) => known.columns.indexOf(name), rows = known.rows, sums = {};
      for (const name of ["requests", "received", "stored", "refused", "dropped", "delivered"]) {
        // A rate is of the time since the row before.
        sums[name] = rows.reduce((n, r, i) => n + (i === 0 ? r[at(name)] || 0
          : r[at(name)] * (r[0] - rows[i - 1][0]) / 1000), 0);
      }
      return sums; ]]
    -- dropped: 40, and 9 repeats. delivered: by three sinks, and the dead letters.
    local sent = { requests = 39, received = 1208, stored = 1001,
      refused = 70 + 20 + 10 + 1 + 1 + 25 + 1, dropped = 49, delivered = 3 * 1001 + 30 }
    local sums
    -- A row is of the second that has ended.
    local ok = pcall(h.wait_for, "the last row", function()
      sums = page:run(SUMS)
      for name, n in pairs(sent) do
        if math.abs(sums[name] - n) > 0.01 * n + 0.5 then return false end
      end
      return true
    end, 20)
    assert.is_true(ok, cjson.encode(sums))
    local e = cjson.decode(s:get("/status").body).events
    assert.same({ received = 1208, stored = 1001, rejected = 70 + 20 + 1 + 25 + 1, dropped = 40,
      duplicate = 9, dead = 30, refused = 9 + 1 + 1 }, e)
    assert.equal(e.received, e.stored + e.rejected + e.dropped + e.duplicate + e.dead + e.refused)
  end)

  test("keep what is refused in view where a route is one long word", function()
    for _, size in ipairs { { 1280, 900, "light" }, { 320, 640, "dark" } } do
      assert.equal(0, page:shot("names_" .. size[1], unpack(size)))
    end
    page:becomes("#more", "long/[long/]* … %(757 characters%) refused 100 %% of its events "
      .. "in the last [%d.]+ s with of_a_long_route")
    page:becomes("#more", "Hooks raised an error .*30 times since the start")
    page:becomes("#more", "30 events of POST /v1/events became dead letters before a sink saw "
      .. "them %(")
    page:run "judged.click('of_a_long_route')"
    page:becomes("#detail-title", "of_a_long_route")
    -- Its sample is found, although the server keeps the beginning of its name only.
    page:becomes("#detail dl", "Messageno")
    assert.equal(0, page:shot("names_detail", 320, 640, "dark"))
    page:leave()
    page:shot("names_wide", 1280, 900, "light")
  end)

  test("show what a client hid in a text", function()
    -- Some samples a second are kept, and not each.
    local function sample()
      s:post("/v1/events", '[{"id":"a' .. HIDDEN .. 'b","n":1}]')
      page:run "judged.click('one')"
      page:waits "document.getElementById('detail').open"
      page:becomes("#detail dl", "Message")
      local text = page:text "#detail dl"
      page:leave()
      return text:find("is a\\u202e\\u3164\\ue0001b", 1, true)
    end
    h.wait_for("the text of the sample", sample)
    assert.same({}, page:complaints())
  end)
end)
