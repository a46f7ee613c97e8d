local browser = require "browser"
local cjson = require "cjson"
local h = require "harness"

-- The live page for everybody: by keyboard, by ear, small, large, in any colours, without uPlot.

local POLICY = [[
admin { listen = "127.0.0.1:0", token = "token-of-the-live-page" }
file "archive" { dir = "archive" }
http "warehouse-2" { url = "http://127.0.0.1:1/x" }
stream "events" { sinks = { "archive", "warehouse-2" } }
route "POST /v1/events" {
  body = "event", stream = "events",
  on_event = function(ev)
    if ev.n == 1 then return reject("first", "is the first") end
    if ev.n == 2 then return reject("second", "is the second") end
  end,
}
]]

describe("the live page for everybody", function()
  local s, page

  local function send()
    for n = 0, 2 do s:post("/v1/events", ('{"n":%d}'):format(n)) end
  end

  setup(function()
    if not browser.there() then return end
    s = h.server { policy = POLICY }
    send()
    h.write(s.path, POLICY .. 'canary { share = "50%", during = "1h", by = "request" }\n')
    assert.equal("canary", cjson.decode(s:reload().body).status)
    send()
    page = browser.open(s.admin, s.dir)
    page:judge()
    page:becomes("#sinks-body", "takes nothing")
  end)

  teardown(function()
    if page then page:close() end
    if s then s:close() end
  end)

  local everybody = browser.it(it, pending)

  local NONE = { ["forced-colors"] = "", ["prefers-color-scheme"] = "light",
    ["prefers-reduced-motion"] = "" }

  local function media(features)
    local list = {}
    for name, value in pairs(features) do list[#list + 1] = { name = name, value = value } end
    page:ask("call", "Emulation.setEmulatedMedia", { features = list })
  end

  local function open_detail(code)
    page:run(("judged.click('%s')"):format(code))
    page:waits "document.getElementById('detail').open"
    page:to_line()
    page:waits "document.querySelector('#lines pre')"
  end

  everybody("has texts of a contrast of 4.5 or more, in each state, light and dark", function()
    for _, scheme in ipairs { "light", "dark" } do
      page:shot("access_" .. scheme, 1280, 900, scheme)
      local x = page:run "return judged.states()"
      assert.same({}, x.found, scheme)
      assert.is_true(x.count > 60, x.count)
      open_detail "first"
      assert.same({}, page:run "return judged.contrast()", scheme .. ", detail")
      page:run [[
        const p = document.createElement("p");
        p.className = "note";
        p.textContent = "a note";
        document.getElementById("lines").prepend(p); ]]
      assert.same({}, page:run "return judged.contrast()", scheme .. ", note")
      page:shot("access_line_" .. scheme, 1280, 900, scheme)
      page:leave()
      page:run [[
        document.getElementById("token-why").textContent = "wrong";
        document.getElementById("token").showModal(); ]]
      assert.same({}, page:run "return judged.contrast()", scheme .. ", token")
      page:ask("key", "Escape")
      page:waits "!document.getElementById('token').open"
    end
  end)

  everybody("is told apart without its own colours", function()
    media { ["forced-colors"] = "active", ["prefers-color-scheme"] = "dark" }
    -- The plots are made anew with other colours.
    h.wait_for("plots with keys", function()
      local x = page:run "return judged.apart()"
      return x.pressed and x.keys == 3 and x.forced
    end)
    open_detail "first"
    assert.is_true(page:run "return judged.line_apart()")
    page:leave()
    media(NONE)
  end)

  everybody("moves nothing for people who do not want it", function()
    media { ["prefers-reduced-motion"] = "reduce" }
    page:waits "judged.moving() === 0"
    media(NONE)
  end)

  everybody("fits a screen of 320 pixels, and 200 %, with its dialogs", function()
    for _, size in ipairs { { 320, 640 }, { 640, 400 } } do
      local name = "access_" .. size[1]
      assert.equal(0, page:shot(name, size[1], size[2], "light"))
      open_detail "first"
      assert.equal(0, page:shot(name .. "_line", size[1], size[2], "dark"))
      assert.is_true(page:run "return judged.reached()")
      page:leave()
      -- No word is cut: what is wider than its box can be scrolled.
      assert.same({}, page:run "return judged.cut()")
    end
    page:shot("access_wide", 1280, 900, "light")
  end)

  everybody("is used with the keyboard alone, and shows where it is", function()
    page:run "document.querySelector('.skip').focus()"
    local seen, without = {}, {}
    for i = 1, 120 do
      if i > 1 then page:ask("key", "Tab") end
      local x = page:run "return judged.focus()"
      if x[2] == "BODY" or (i > 1 and x[1] == seen[1]) then break end
      seen[i] = x[1]
      if not (x[3] and x[4]) then without[#without + 1] = cjson.encode(x) end
    end
    assert.same({}, without)
    local all = table.concat(seen, "|")
    -- In the order of the page, and to its end.
    assert.matches("^Skip to the figures|.*|Traffic|Refusals|Path|Sinks|Spool|Policy|2 min|10 min|"
      .. "30 min|Code|Route|Status|Events|Share|.*first|.*Generation|", all)
    -- A plot's span by a key; a link of the first lines to its part.
    page:run "document.querySelector('[data-span=\"120\"]').focus()"
    page:ask("key", "Enter")
    assert.equal("true", page:run [[
      return document.querySelector("[data-span='120']").ariaPressed]])
  end)

  everybody("has a name for each thing that is used or that is a part", function()
    local nodes = page:ask("call", "Accessibility.getFullAXTree").nodes
    local unnamed, roles = {}, {}
    local named = { button = true, link = true, textbox = true, searchbox = true, table = true,
      region = true, navigation = true, dialog = true, image = true, group = true, list = false }
    for _, n in ipairs(nodes) do
      local role = n.role and n.role.value
      if not n.ignored and named[role] then
        roles[role] = (roles[role] or 0) + 1
        if not n.name or n.name.value == "" then unnamed[#unnamed + 1] = role end
      end
    end
    assert.same({}, unnamed)
    assert.is_true(roles.table >= 4 and roles.region >= 6 and roles.button > 20,
      cjson.encode(roles))
    -- One first heading, and none that is left out.
    assert.same({ 1, true }, page:run "return judged.headings()")
  end)

  everybody("tells a screen reader what changed once, and not what comes and goes", function()
    -- What the page said when it was opened: the answer, and not that it is live.
    page:ask("call", "Page.reload")
    page:becomes("#said", "^Nothing is lost")
    page:looks(2)
    page:judge()
    page:becomes("#said", "^Nothing is lost.*The sink warehouse%-2 takes nothing")
    -- Each second answer fails: said once, and not ten times.
    page:run "judged.flap()"
    page:looks(10)
    assert.same({ "The figures are stale: the server can't be reached" },
      page:run "return flapped()")
    page:becomes("#said", "^The figures are live again$")
  end)

  everybody("draws its plots by itself where uPlot is not there", function()
    page:ask("call", "Network.setBlockedURLs", { urls = { "*uplot.js*" } })
    page:ask("call", "Page.reload", { ignoreCache = true })
    page:ask("until",
      "document.querySelectorAll('.plot svg').length === 4 && typeof uPlot === 'undefined'")
    page:judge()
    page:looks(3)
    page:becomes("#marks", "started")
    for _, scheme in ipairs { "light", "dark" } do
      page:shot("plain_" .. scheme, 1280, 900, scheme)
      page:looks(1)
      assert.same({}, page:run "return judged.contrast()")
      assert.same({ true, 0 }, page:run [[
        return [document.querySelectorAll(".plot svg path").length > 4,
          document.querySelectorAll(".plot canvas").length]; ]])
    end
    assert.equal(0, page:shot("plain_320", 320, 640, "dark"))
    page:ask("call", "Network.setBlockedURLs", { urls = { "nothing" } })
  end)
end)
