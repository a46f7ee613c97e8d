local browser = require "browser"
local cjson = require "cjson"
local h = require "harness"

-- From a refusal on the live page to the line of the policy, in two clicks: where the policy
-- changed since, where a hook raised, and where a file is odd.

local POLICY = [[
admin { listen = "127.0.0.1:0" }
local checks = require "checks"
local long = require "long"
local mac = require "mac"
local odd = require "odd"
local many = require "many"
file "archive" { dir = "archive" }
stream "events" { sinks = { "archive" } }
local function to(name, hook, more)
  local t = more or {}
  t.body, t.stream, t.on_event = "event", "events", hook
  route("POST /" .. name)(t)
end
to("raises", checks.price, { on_error = "reject" })
to("dead", checks.price)
to("kept", checks.price, { on_error = "accept" })
to("head", nil, { on_request = checks.head, on_error = "reject" })
to("long", long.hook)
to("mac", mac.hook)
to("odd", odd.hook)
to("many", many.hook)
to("moved", function(ev)
  return reject("was_moved", ev.id)
end)
]]

local CHECKS = [[
local M = {}
-- The error stands in a function that two others call.
local function costs(e)
  return e.amount + e.nothing.at.all
end
function M.price(e) if costs(e) > 1 then return reject "dear" end end
function M.head(req) if req.path then error("no head") end end
return M
]]

local function write_files(dir)
  h.write(dir .. "/checks.lua", CHECKS)
  h.write(dir .. "/long.lua", 'local M = {} function M.hook(ev) local a = "' .. ("x"):rep(60000)
    .. '" return reject("at_the_end", a and ev.id) end return M\n')
  -- Lua counts a carriage return as the end of a line.
  h.write(dir .. "/mac.lua", "local M = {}\r\r-- three\rfunction M.hook(ev)\r"
    .. "  return reject(\"of_a_mac\", ev.id)\rend\rreturn M\r")
  -- Latin-1, and a NUL in a comment, before the line that matters.
  h.write(dir .. "/odd.lua", "local M = {}\n-- caf\233 \0 <b>\nfunction M.hook(ev)\n"
    .. "  return reject(\"odd_bytes\", ev.id)\nend\nreturn M\n")
  h.write(dir .. "/many.lua", "local M = {}\n" .. ("M.n = (M.n or 0) + 1\n"):rep(20000)
    .. "function M.hook(ev)\n  return reject(\"far_down\", ev.id)\nend\n"
    .. ("M.n = (M.n or 0) + 1\n"):rep(20000) .. "return M\n")
end

describe("the way from a refusal to its line", function()
  local s, page

  setup(function()
    if not browser.there() then return end
    local dir = h.folder()
    write_files(dir)
    s = h.server { policy = POLICY, dir = dir }
    for _, name in ipairs { "raises", "dead", "kept", "head", "long", "mac", "odd", "many",
      "moved" } do
      s:post("/" .. name, '{"id":"a","amount":1}')
    end
    page = browser.open(s.admin, s.dir)
    page:judge()
    page:becomes("#refusals-body", "was_moved")
  end)

  teardown(function()
    if page then page:close() end
    if s then s:close() end
  end)

  local test = browser.it(it, pending)
  local function way(title, f)
    test(title, function()
      f()
      page:leave()
      assert.same({}, page:complaints())
    end)
  end

  -- The first click.
  local function open(code, route)
    page:run(("judged.click('%s', '%s')"):format(code, route))
    page:waits "document.getElementById('detail').open"
    assert.equal(code, page:text "#detail-title")
  end

  -- The second one: { "file.lua:line", text of the line, what is said of it }.
  local function line()
    page:to_line()
    return { page:text("#lines h3"):match "[^/]*$" or "",
      (page:run "return (document.querySelector('#lines .here') || {}).innerText || ''")
        :gsub("^%d+%s*", ""), page:text "#lines .note" }
  end

  way("leads to the line where a hook raised, in the file that the policy requires", function()
    open("policy_error", "POST /raises")
    assert.matches("the policy failed on this event: .*checks%.lua:4: ", page:text "#detail dl")
    assert.same({ "checks.lua:4", "return e.amount + e.nothing.at.all", "" }, line())
    page:shot("raised")
    -- No client is told it.
    local body = s:post("/raises", '{"id":"a","amount":1}').body
    assert.equal("the policy failed on this event", cjson.decode(body).errors[1].message)
  end)

  way("leads there also when the events became dead letters, or were stored", function()
    page:becomes("#more", "Hooks raised an error .*%d+ times since the start, most by on_event"
      .. " of POST /")
    for _, route in ipairs { "POST /dead", "POST /kept" } do
      open("policy_error", route)
      assert.matches("its hook raised an error · 1 event$", page:text "#detail .quiet")
      assert.same({ "checks.lua:4", "return e.amount + e.nothing.at.all", "" }, line())
      page:shot("raised_dead")
      page:leave()
    end
  end)

  way("leads to the line where a hook of the head raised", function()
    open("policy_error", "POST /head")
    assert.same({ "checks.lua:7",
      'function M.head(req) if req.path then error("no head") end end', "" }, line())
  end)

  way("asks from another machine for no token when the policy sets none", function()
    local far = browser.open(s.admin, s.dir .. "/far", { ["X-Forwarded-For"] = "192.0.2.9" })
    local ok, why = pcall(function()
      far:becomes("#refusals-body", "was_moved")
      far:run "document.querySelector('#refusals .link').click()"
      far:becomes("#detail", "own machine alone: the policy sets no admin%.token")
      assert.same({ false, false }, far:run [[
        return [document.getElementById("to-line") !== null,
          document.querySelector("#detail .empty button") !== null]; ]])
      far:shot("no_token", 1280, 900, "dark")
    end)
    far:close()
    assert(ok, why)
    local head = h.shell(("curl -s -D- -o /dev/null -H 'X-Forwarded-For: 192.0.2.9' "
      .. "127.0.0.1:%d/policy.json"):format(s.admin))
    assert.matches("^HTTP/1.1 401 ", head)
    assert.matches("WWW%-Authenticate: Bearer", head)
  end)

  way("shows of a very long line the part that has the code", function()
    open("at_the_end", "POST /long")
    local x = line()
    assert.equal("long.lua:1", x[1])
    -- Where it is seen without a scroll to the right.
    assert.matches('^… x* ?"? return reject%("at_the_end", a and', x[2])
    assert.is_true(#x[2] < 100, #x[2])
    page:shot("long_line", 320, 640)
  end)

  way("counts the lines as Lua does", function()
    open("of_a_mac", "POST /mac")
    assert.same({ "mac.lua:5", 'return reject("of_a_mac", ev.id)', "" }, line())
  end)

  way("shows a file that is no UTF-8 and has a NUL to its end", function()
    open("odd_bytes", "POST /odd")
    assert.same({ "odd.lua:4", 'return reject("odd_bytes", ev.id)', "" }, line())
    assert.matches("caf\239\191\189 \239\191\189 <b>", page:text "#lines pre")
    page:shot("odd_bytes")
  end)

  way("shows of a long file the lines around the one", function()
    open("far_down", "POST /many")
    assert.same({ "many.lua:20003", 'return reject("far_down", ev.id)', "" }, line())
    assert.is_true(page:run "return document.querySelectorAll('#lines .row').length" < 900)
    assert.matches("^19602 lines before", page:text "#lines pre")
    page:shot("many_lines")
  end)

  way("goes by keyboard alone, and back to the row although its figures changed", function()
    page:run [[
      [...document.querySelectorAll("#refusals .link")].find((e) =>
        e.textContent === "was_moved").focus(); ]]
    page:ask("key", "Enter")
    page:becomes("#detail-title", "was_moved")
    page:run "document.getElementById('to-line').focus()"
    page:ask("key", "Enter")
    page:waits "document.querySelector('#lines pre')"
    assert.same({ "PRE", true }, page:run [[
      const e = document.activeElement;
      return [e.tagName, e.ariaLabel.includes(", line ")]; ]])
    for _ = 1, 3 do s:post("/moved", '{"id":"a"}') end
    page:becomes("#refusals-body", "was_movedPOST /moved4224")
    page:leave()
    page:waits "document.activeElement.textContent === 'was_moved'"
    -- What opens now has the figures of now.
    page:ask("key", "Enter")
    page:becomes("#detail .quiet", "4 events")
  end)

  way("shows the policy of a canary whose hook decided", function()
    h.write(s.path, POLICY:gsub('"was_moved", ev.id', '"by_the_canary", ev.id')
      .. 'canary { share = "50%", during = "1h", by = "request" }\n')
    assert.equal("canary", cjson.decode(s:reload().body).status)
    h.wait_for("a sample of the canary", function()
      s:post("/moved", '{"id":"a"}')
      return page:text("#refusals-body"):find("by_the_canary", 1, true)
    end)
    open("by_the_canary", "POST /moved")
    assert.same({ "policy.lua:23", 'return reject("by_the_canary", ev.id)',
      "This is policy 2, which refused the event. Policy 1 is live now." }, line())
    page:shot("canary_line")
    assert.equal(200, s:reload("?rollback").status)
    s:logged "generation=2 status=retired"
    page:becomes("#trial h3", "rolled back")
    -- A page that has not seen it is told that it is gone.
    page:ask("call", "Page.reload")
    page:becomes("#refusals-body", "by_the_canary")
    page:judge()
    open("by_the_canary", "POST /moved")
    assert.matches("^Policy 2 refused the event, and the server does not have it any more%. "
      .. "This is policy 1: its lines may be others%.$", line()[3])
  end)

  way("says that the policy is another one since the refusal", function()
    open("was_moved", "POST /moved")
    h.write(s.path, "-- A line more.\n-- And one.\n" .. POLICY)
    assert.equal("live", cjson.decode(s:reload().body).status)
    s:logged "generation=1 status=retired"
    page:becomes("#versions", "policy 3")
    assert.same({ "policy.lua:25", 'return reject("was_moved", ev.id)',
      "Policy 1 refused the event, and the server does not have it any more. This is policy 3: "
        .. "its lines may be others." }, line())
    page:shot("line_changed")
    -- Loaded again without a change: nothing to be said of its lines.
    page:leave()
    s:post("/moved", '{"id":"a"}')
    h.wait_for("a sample of policy 3", function()
      s:post("/moved", '{"id":"a"}')
      local d = cjson.decode(s:get("/page.json?samples=1").body)
      for _, x in ipairs(d.samples) do
        if x.code == "was_moved" then return x.generation == 3 end
      end
    end)
    h.write(s.path, h.read(s.path) .. "-- Other bytes.\n")
    s:reload()
    s:logged "generation=3 status=retired"
    h.write(s.path, (h.read(s.path):gsub("%-%- Other bytes%.\n", "")))
    s:reload()
    page:becomes("#versions", "policy 5")
    open("was_moved", "POST /moved")
    assert.equal("", line()[3])
  end)
end)
