local browser = require "browser"
local h = require "harness"

-- The live page on a machine that sleeps, and of a server in a container, whose processes all
-- have the same number.

local POLICY = [[
admin { listen = "127.0.0.1:0" }
server { workers = 1 }
file "archive" { dir = "archive" }
stream "events" { sinks = { "archive" } }
route "POST /v1/events" { body = "event", stream = "events",
  on_event = function(ev) return reject("no_1", ev.n) end }
]]

describe("the live page", function()
  local s, page

  setup(function()
    if not browser.there() then return end
    s = h.server { policy = POLICY }
    s:post("/v1/events", '{"n":1}')
    page = browser.open(s.admin, s.dir)
    page:judge()
    page:run(h.read "tests/clients/altered.js")
    page:becomes("#refusals-body", "no_1")
  end)

  teardown(function()
    if page then page:close() end
    if s then s:close() end
  end)

  local test = browser.it(it, pending)

  test("takes what happened in an hour of sleep for no news of the last minute", function()
    -- Its own clock stood still, as on a machine that slept; the server went on.
    page:run [[
      const HOUR = 3600000;
      window.hook_errors = 500;
      alter((data) => {
        data.now_ms += HOUR;
        data.status.now_ms += HOUR;
        data.status.uptime_ms += HOUR;
        data.rows.forEach((r) => { r[0] += HOUR; });
        data.status.faults.hook_errors = hook_errors;
      }); ]]
    -- No hook has raised: the words stand for the whole minute's count.
    page:waits "document.getElementById('versions').textContent.includes('up 60 min')"
    page:looks(2)
    assert.is_nil(page:text("#more"):find("Hooks raised", 1, true))
    page:run "hook_errors = 507"
    page:becomes("#more", "Hooks raised an error 7 times in the last minute, 507 times since")
    page:run "alter(null)"
    page:becomes("#versions", "up [%d.]+ s ")
  end)

  test("tells a process that started anew from one of the same number that serves on", function()
    -- As after the end of an upgrade that failed: another epoch of the spool.
    page:run "alter((data) => { data.status.spool.epoch += 1; })"
    page:becomes("#marks", "Process %d+ serves again: the one that was to take its place failed")
    page:run [[alter((data, first) => {
      data.status.spool.epoch += 2;
      data.status.uptime_ms = data.now_ms - first.now_ms; }); ]]
    page:becomes("#marks", "Process (%d+) started%. Process %d+ ended without a drain")
    page:run "alter(null)"
  end)

  test("shows the lines of the new process's policy, which has the same number too", function()
    page:looks(2)
    page:run "judged.click('no_1')"
    page:waits "document.getElementById('detail').open"
    page:to_line()
    page:becomes("#lines", "policy%.lua:6")
    page:leave()
    local port, admin = s.port, s.admin
    s:stop "SIGKILL"
    h.write(s.path, "-- Another line.\n" .. POLICY)
    s.args = { "--listen", "127.0.0.1:" .. port, "--admin", "127.0.0.1:" .. admin }
    s:start()
    local pid = page:run [[
      const { known } = await import("/page/server.js");
      return known.latest.status.pid; ]]
    page:run(("alter((data) => { data.status.pid = %d; })"):format(pid))
    h.wait_for("the new process", function()
      s:post("/v1/events", '{"n":1}')
      page:looks(1)
      return page:text "#live" == "live" and page:text("#refusals-body"):find("no_1", 1, true)
    end)
    page:becomes("#versions", "policy 1 ")
    page:run "judged.click('no_1')"
    page:waits "document.getElementById('detail').open"
    page:to_line()
    page:becomes("#lines", "policy%.lua:7")
    page:leave()
    page:run "alter(null)"
    assert.same({}, page:complaints(true))
  end)
end)
