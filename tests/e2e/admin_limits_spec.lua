local browser = require "browser"
local cjson = require "cjson"
local h = require "harness"

-- A quota that is used up, a limit with too many keys and a dedup without room: the page, the
-- command, the log and the metrics name the same thing with the same number, and what to do.

local POLICY = [[
admin { listen = "127.0.0.1:0" }
server { workers = 2 }
local day = limit "tenant_day" { key = "header:X-Tenant", quota = "5/d" }
local few = limit "few_keys" { key = "header:X-Few", rate = "1/s", burst = 2, max_keys = 4 }
file "archive" { dir = "archive" }
stream "events" { sinks = { "archive" }, dedup = { key = "id", max_keys = 1000 } }
route "POST /day" { body = "event", stream = "events", limits = { day } }
route "POST /few" { body = "event", stream = "events", limits = { few } }
route "POST /v1/events" { body = "batch", stream = "events" }
]]

describe("limits and dedup that have no room", function()
  local s, page

  setup(function()
    s = h.server { policy = POLICY }
    if browser.there() then page = browser.open(s.admin, s.dir) end
  end)

  teardown(function()
    if page then page:close() end
    s:close()
  end)

  -- Each counted fault of /status: { [what .. " " .. subject] = { recent, since_start } }.
  local function counted()
    local all = {}
    for _, c in ipairs(cjson.decode(s:get("/status").body).counted) do
      local key = c.what .. " " .. c.subject
      all[key] = all[key] or { 0, 0 }
      all[key][1], all[key][2] = all[key][1] + c.recent, all[key][2] + c.since_start
    end
    return all
  end

  -- All four say it: text has %s for what differs, the time.
  local function says(text, next, event)
    local line
    h.wait_for("status to say " .. text, function()
      line = h.shell(("%s status --during 20ms --admin 127.0.0.1:%d"):format(h.binary, s.admin))
      return line:find(text)
    end)
    assert.matches(text .. "[^\n]*\n +do: " .. next, line)
    if page then
      -- At the start of a line.
      page:becomes("#more", text:gsub("^%l", string.upper) .. "[^.]* %(in the last minute%)%. "
        .. "To do: " .. next)
    end
    s:logged(event)
  end

  it("name the limit that a client has used up, and how often", function()
    assert.same({}, counted())
    for i = 1, 40 do
      local a = s:post("/day", ('{"id":"day%d"}'):format(i), { ["X-Tenant"] = "acme-42" })
      assert.equal(i > 5 and 429 or 202, a.status)
    end
    says("35 calls were refused by limit tenant_day: their keys have used up its rate or quota",
      "raise its rate or quota and reload",
      'event=limit limit="tenant_day" status=refuses n=%d+ why="%d+ calls were refused by limit ')
    assert.same({ 35, 35 }, counted()["limit_refuses tenant_day"])
    assert.equal(35, s:metric("sluice_limit_refused_total", 'limit="tenant_day"'))
    -- The client's name is nobody else's: no log line, no figure has it.
    assert.is_nil(s:text():find("acme", 1, true))
    if page then
      page:becomes("#more", "POST /day refused 88 %% of its events .* with rate_limited")
      page:becomes("#refusals-body", "rate_limitedPOST /day42935100 %%")
    end
  end)

  it("name the limit that forgets keys", function()
    for i = 1, 40 do
      s:post("/few", ('{"id":"few%d"}'):format(i), { ["X-Few"] = "k" .. i })
    end
    local n = s:metric("sluice_limit_forgotten_total", 'limit="few_keys"')
    assert.is_true(n > 0)
    says(n .. " keys were forgotten too early by limit few_keys", "raise max_keys of the limit",
      'event=limit limit="few_keys" status=forgets n=%d+ ')
  end)

  it("say that a batch had more keys than dedup has places", function()
    local list = {}
    for i = 1, 5000 do list[i] = ('{"id":"e%d"}'):format(i) end
    assert.equal(202, s:post("/v1/events", "[" .. table.concat(list, ",") .. "]").status)
    local full = s:metric("sluice_dedup_events_total", 'result="full"')
    assert.is_true(full > 0)
    says("dedup had no place for [%d.k ]+ events of stream events", "raise max_keys of dedup",
      'event=dedup stream="events" status=forgets n=%d+ ')
    local forgotten = s:metric "sluice_dedup_forgotten_total"
    assert.same({ full + forgotten, full + forgotten }, counted()["dedup_forgets events"])
    if page then
      page:becomes("#more", ("Dedup had no place for %d events"):format(full))
      page:shot("limits")
      page:shot("limits_narrow", 320, 640, "dark")
      assert.same({}, page:complaints())
    end
  end)
end)
