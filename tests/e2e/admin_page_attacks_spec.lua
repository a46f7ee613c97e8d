local browser = require "browser"
local cjson = require "cjson"
local h = require "harness"

-- The live page while things go wrong around it: the server is replaced, clocks jump, a proxy
-- cuts answers, clients send hostile texts. And the way from a refusal to its line where the
-- policy has several files.

local TOKEN = "token-of-the-live-page"
local POLICY = [[
admin { listen = "127.0.0.1:0", token = "token-of-the-live-page" }
local checks = require "checks"
local shapes = require "shapes"

file "archive" { dir = "archive" }
http "warehouse" { url = "http://127.0.0.1:1/x" }
stream "events" { sinks = { "archive", "warehouse" } }

route "POST /v1/events" {
  body = "batch",
  stream = "events",
  schema = shapes.of { amount = num { min = 0 } },
  on_event = checks.price,
}
route "POST /v1/gifts" {
  body = "batch",
  stream = "events",
  schema = shapes.of { giver = str { required = true } },
  on_event = function(e)
    if e.id == "early" then return reject("too_expensive", "is early") end
  end,
}
-- In no file as a text: its hook's code is put together.
route "POST /v1/odd" {
  body = "batch",
  stream = "events",
  schema = schema { id = str {}, others = "refuse" },
  on_event = function(e)
    return reject("odd_" .. e.id)
  end,
}
]]
local CHECKS = [[
local M = {}
local function costs(e)
  return e.amount and e.amount > 1000
end
function M.price(e)
  if costs(e) then
    return reject("too_expensive", e.id)
  end
end
return M
]]
-- A schema that a function makes: its fields stand in two files, and before the schema.
local SHAPES = [[
local M = {}
local id = str {
  required = true, max = 8 }
function M.of(more)
  local all = { id = id, note = str { max = 3 } }
  for k, v in pairs(more) do all[k] = v end
  return schema(all)
end
return M
]]

local function start()
  local dir = h.folder()
  h.write(dir .. "/checks.lua", CHECKS)
  h.write(dir .. "/shapes.lua", SHAPES)
  local s = h.server { policy = POLICY, dir = dir }
  s:post("/v1/events", '[{"id":"a","amount":5000},{"id":"123456789"},{"id":"a","amount":-1},'
    .. '{"id":"a","note":"long"}]')
  s:post("/v1/gifts", '[{"id":"early","giver":"x"},{"id":"a"}]')
  s:post("/v1/odd", '[{"id":"a"},{"id":"b","more":1}]')
  return s
end

describe("the live page under attack", function()
  local s, said

  setup(function()
    if not browser.there() then return end
    s = start()
    local axe = h.shell("sh tests/fetch.sh axe-core 4.10.3"):match "%S+"
    said = browser.client(s, "admin_attacks.cjs", 240, TOKEN, axe and axe .. "/axe.min.js" or "")
  end)

  teardown(function()
    if s then s:stop() s:close() end
  end)

  local attack = browser.it(it, pending)

  attack("works under a path that a proxy puts in front, without a complaint", function()
    assert.same({ {}, {} }, { said.complaints, said.asked })
  end)

  attack("keeps its rows when the process is another, and says so", function()
    assert.same({ true, true }, { said.restart.order, said.restart.kept })
    assert.is_true(said.restart.least >= 0)
    assert.matches("The server's process started at %S+", said.restart.more)
    -- In a container the next process has the same number: its counters begin at 0 still.
    assert.matches("Hooks raised an error 3 times in the last minute, 5 times since",
      said.restart.raised)
  end)

  attack("has its rows in order when a clock jumps, or the machine slept", function()
    for _, name in ipairs { "forward", "back", "little" } do
      assert.same({ order = true, asked = true, long = true }, said.clocks[name], name)
    end
    assert.matches("This machine's clock is 60 min ahead of the server's", said.clocks.browser)
    assert.is_true(said.slept.order)
    assert.equal(0, said.slept.hidden)
    assert.is_true(said.slept.burst <= 2)
    assert.same({ order = true, said = "times in America/New_York" }, said.zone)
  end)

  attack("says in words what is wrong with an answer", function()
    local w, cut = said.wrong_answers, "stale: the answer is cut, or no JSON: a proxy in front "
      .. "may have made it."
    assert.same({ error = "stale: the disk is gone.", html = "stale: the server answered 502.",
      cut = cut, login = cut, null = "stale: the answer has no figures.",
      other = "stale: the answer has no figures.", reset = "stale: the server can't be reached.",
      well = "live" }, w)
  end)

  attack("takes a slow network for no outage, and asks one question at a time", function()
    assert.matches("^live, an answer takes [%d.]+ s$", said.slow.live)
    assert.same({ 0, 1 }, { said.slow.stale, said.slow.most })
  end)

  attack("shows hostile texts as text, what they hide, and no more than their start", function()
    local x = said.hostile
    assert.same({ 0, 0, true, 0 }, { x.foreign, x.hidden, x.long, x.overflow })
    assert.equal("a\\u202eb\\u0000c\\ud800d\\u200be\\u2066f\\u001b[31m.", x.shown)
  end)

  attack("stays quick and small with as many codes, sinks and streams as there can be",
  function()
    local x = said.many
    print(("# the page with 500 codes, 64 sinks, 64 streams: %d ms a tick, %d KiB more")
      :format(x.tick_ms, x.grew[1]))
    assert.same({ 20, true, 12, 500 }, { x.rows, x.focus, x.filtered, x.all })
    -- A stream whose segments are full is so in each part of the page.
    assert.equal("85 % used", x.full)
    -- The rows of one tick, 10,000 nodes, may still wait for the collector. Kept ones would be
    -- 600,000 after 60 ticks.
    assert.is_true(x.grew[1] < 4096 and x.grew[2] < 30000, cjson.encode(x.grew))
    assert.is_true(x.moved < 0.1, x.moved)
    assert.same({ 0, 0 }, { x.overflow, x.zoomed })
  end)

  attack("tells a screen reader what changes, and not each second's figures", function()
    assert.same({ 0, 1 }, { said.announced.quiet, said.announced.live })
    -- Nor does the focus leave a line whose figures change.
    assert.same({ true, true }, said.announced.focus)
    assert.equal("The figures are stale: the server answered 500", said.announced.stale)
    assert.equal("none", said.printed)
    if said.axe == cjson.null then
      print "# axe-core can't be fetched: not judged by it"
    else
      assert.same({}, said.axe)
    end
  end)

  attack("asks for a token that was changed, and leads back to the refusal", function()
    assert.same({ true, true }, { said.token.before, said.token.back })
    assert.equal("The server does not know this token.", said.token.why)
    assert.same({ "sluice-token /sluice/" }, said.token.keys)
  end)

  it("leads to the line in a file that the policy requires", function()
    if h.shell("command -v node") == "" then
      pending "no node: apt-get install nodejs"
      return
    end
    local t = s or start()
    if not s then finally(function() t:stop() t:close() end) end
    local out = t.dir .. "/places"
    h.write(out .. ".json", h.shell(("curl -s http://127.0.0.1:%d/policy.json"):format(t.admin)))
    local function places(route, code, field)
      local list = cjson.decode(h.shell(("node --no-warnings tests/clients/admin_places.cjs "
        .. "%s.json '%s' '%s' '%s'"):format(out, route, code, field)))
      for i, p in ipairs(list) do list[i] = p.file:match "[^/]*$" .. ":" .. p.line end
      return list
    end
    local events, gifts, odd = "POST /v1/events", "POST /v1/gifts", "POST /v1/odd"
    -- The same code in two files: the hook's own comes first.
    assert.same({ "checks.lua:7" }, places(events, "too_expensive", ""))
    assert.same({ "policy.lua:20" }, places(gifts, "too_expensive", ""))
    assert.same({ "shapes.lua:2" }, places(events, "too_long", "id"))
    assert.same({ "shapes.lua:5" }, places(events, "too_long", "note"))
    assert.same({ "policy.lua:12" }, places(events, "below_min", "amount"))
    assert.same({ "policy.lua:18" }, places(gifts, "missing_field", "giver"))
    assert.same({ "policy.lua:27" }, places(odd, "unknown_field", "more"))
    assert.same({ "policy.lua:24" }, places(odd, "odd_a", ""))
    assert.same({}, places("none", "unknown_path", ""))
  end)
end)
