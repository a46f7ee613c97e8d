local browser = require "browser"
local cjson = require "cjson"
local h = require "harness"
local upgrades = require "upgrades"

-- The live page while the server changes: an upgrade, a failed one, a kill, reloads, canaries.

local function policy(o)
  o = o or {}
  return ([[
admin { listen = "127.0.0.1:0" }
%s
file "archive" { dir = "archive" }
%s
stream "events" { sinks = { "archive"%s } }
route "POST /v1/events" {
  body = "event",
  stream = "events",
  on_event = function(ev)
    %s
    if ev.amount and ev.amount > 1000 then return reject("too_expensive", ev.id) end
  end,
}
%s
]]):format(o.top or "", o.sink and ('file "%s" { dir = "%s" }'):format(o.sink, o.sink) or "",
    o.sink and ', "' .. o.sink .. '"' or "", o.hook or "", o.routes or "")
end

local GIFTS = [[
route "POST /v1/gifts" {
  body = "event", stream = "events",
  on_event = function(ev) return reject("no_gift", ev.id) end,
}]]

describe("the live page of a server that changes", function()
  local s, page

  local function open(text)
    s = h.server { policy = text }
    -- At the same ports after a restart.
    s.args = { "--listen", "127.0.0.1:" .. s.port, "--admin", "127.0.0.1:" .. s.admin }
    page = browser.open(s.admin, s.dir)
    page:judge()
  end

  local function send(n, amount)
    for i = 1, n do
      s:post("/v1/events", ('{"id":"e%d","amount":%d}'):format(i, amount or 1))
    end
  end

  local function load(text, status)
    h.write(s.path, text)
    local a = s:reload()
    assert.equal(status or "live", cjson.decode(a.body).status, a.body)
  end

  local function rows(after)
    return page:run(("return judged.rows(%.0f)"):format(after or 0))
  end

  local function check_rows(gaps, after)
    local r = rows(after)
    assert.same({ true, gaps }, { r.order, r.gaps })
    -- Little is sent since: the counts of minutes at once are no rate.
    assert.is_true(r.least >= 0 and r.most < 200, cjson.encode(r))
  end

  after_each(function()
    if page then page:close() page = nil end
    if s then s:close() s = nil end
  end)

  local changes = browser.it(it, pending)

  changes("goes on over an upgrade, and says that it was one", function()
    open(policy())
    send(3000)
    page:looks(3)
    local old, last = s.real_pid, rows().last
    upgrades.upgrade(s)
    page:becomes("#marks", ("Upgrade: process %d took the place of process %d")
      :format(s.real_pid, old))
    page:becomes("#live", "^live")
    send(20)
    page:looks(3)
    check_rows(1, last)
    assert.matches("The server's process started at", page:text "#more")
    page:shot("upgraded")
    -- And once more, by the command, while the page asks.
    s.log_from = #h.read(s.log)
    h.shell(("%s upgrade --admin 127.0.0.1:%d"):format(h.binary, s.admin))
    s:ready()
    page:becomes("#marks", "took the place.*took the place")
    page:looks(2)
    check_rows(2, last)
    assert.same({}, page:complaints(true))
  end)

  changes("says that an upgrade failed, and why, while the old process serves", function()
    open(policy())
    page:looks(1)
    h.write(s.path, "no policy")
    s:signal "SIGUSR2"
    s:logged "event=upgrade status=failed"
    page:becomes("#more",
      "An upgrade failed, the old process serves: .+its own lines tell why")
    page:becomes("#marks", "An upgrade failed")
    page:waits "document.getElementById('verdict').dataset.state === 'warn'"
    page:shot("upgrade_failed")
    check_rows(0)
    assert.same({}, page:complaints(true))
  end)

  changes("says since when a killed server does not answer, and goes on when it is back",
  function()
    open(policy())
    send(500)
    page:looks(3)
    local old, last = s.real_pid, rows().last
    s:stop("SIGKILL")
    page:becomes("#live",
      "^stale: the server can't be reached%. No answer since %d+:%d%d:%d%d[^.]*%.$")
    assert.matches("^No answer since %d+:%d%d:%d%d[^.]*%. Until then: Nothing is lost",
      page:text "#lost")
    assert.matches("^The figures are stale", page:text "#said")
    page:shot("killed")
    page:looks(2) -- it goes on to ask
    s:start()
    page:becomes("#live", "^live$")
    page:becomes("#marks", ("Process %d started%%. Process %d ended without a drain")
      :format(s.real_pid, old))
    page:becomes("#lost", "^Nothing is lost")
    page:looks(2)
    check_rows(1, last)
    page:shot("restarted")
    assert.same({}, page:complaints(true))
  end)

  changes("says that a process that was stopped was stopped", function()
    open(policy { top = 'server { drain = "60s" }', sink = "slow" })
    page:looks(1)
    -- A request whose body never ends keeps the drain.
    local c = h.connect(s.port)
    c:send("POST /v1/events HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
      .. "Content-Length: 9\r\n\r\n{")
    h.wait_for("the request", function() return s:metric "sluice_connections_open" > 0 end)
    s:signal "SIGTERM"
    page:becomes("#more", "The server stops")
    c:close()
    h.reap(s.pid)
    s.pid = nil
    page:becomes("#live", "^stale")
    s:start()
    page:becomes("#marks", "Process %d+ started%. Process %d+ was stopped")
    assert.same({}, page:complaints(true))
  end)

  changes("keeps what is open when a reload takes its route and its sink away", function()
    open(policy { sink = "second", routes = GIFTS })
    send(3000)
    s:deliver()
    s:post("/v1/gifts", '{"id":"g"}')
    page:becomes("#refusals-body", "no_gift")
    page:run "document.querySelector('#refusals .link').click()"
    page:becomes("#detail-title", "no_gift")
    page:becomes("#detail dl", "policy 1")
    load(policy())
    s:logged "generation=1 status=retired"
    page:becomes("#versions", "policy 2")
    -- Its dialog is still there, and the way to the line says what became of it.
    page:run "document.getElementById('to-line').click()"
    page:becomes("#lines", "Policy 2 has no route POST /v1/gifts: it was taken out since")
    page:shot("route_gone")
    page:ask("key", "Escape")
    h.wait_for("the sink to leave the page", function()
      return not page:text("#sinks-body"):find("second", 1, true)
    end)
    assert.matches("Policy 2 was loaded by POST; its state now: live", page:text "#marks")
    -- Again there: its counts go on, and are no rate.
    local last = rows().last
    load(policy { sink = "second", routes = GIFTS })
    page:becomes("#sinks-body", "second")
    page:looks(2)
    check_rows(0, last)
    assert.same({}, page:complaints(true))
  end)

  changes("says that a reload was refused, and that a restart would fail", function()
    open(policy())
    page:looks(1)
    load("no policy", "refused")
    page:becomes("#more", "The last load of the policy was refused: .+ a restart would fail")
    page:becomes("#marks", "Policy 2 was refused: ")
    load(policy())
    page:becomes("#marks", "Policy 3 was loaded by POST")
    h.wait_for("the reason to leave the page", function()
      return not page:text("#more"):find("was refused", 1, true)
    end)
    assert.same({}, page:complaints(true))
  end)

  changes("says of what needs a new process that an upgrade does it", function()
    open(policy())
    page:looks(1)
    load(policy { top = "server { workers = 1 }" }, "refused")
    page:becomes("#more", "The last load of the policy was refused: server.workers can't change"
      .. " .+sluice upgrade")
    upgrades.upgrade(s)
    page:becomes("#marks", "took the place")
    assert.same({}, page:complaints(true))
  end)

  changes("shows a canary's figures while it runs, and that its rule rolled it back", function()
    open(policy())
    page:looks(1)
    load(policy { hook = 'if ev.id == "e2" then return reject("worse") end', top = [[
canary { share = "50%", during = "1h", by = "request", roll_back_if = function(old, new)
  if new.requests >= 20 and new.refusal_rate > old.refusal_rate + 0.2 then
    return "it refuses more"
  end
end }]] }, "canary")
    page:becomes("#trial h3", "^Canary of generation 2: running$")
    page:becomes("#more", "A canary runs: generation 2")
    -- Each worker splits its own: 10 are not always 5 and 5.
    local function requests(n)
      page:waits(("[...document.querySelectorAll('#trial tbody tr:first-child td')]"
        .. ".reduce((n, e) => n + Number(e.textContent), 0) === %d"):format(n))
    end
    send(10)
    requests(10)
    -- A narrow screen stays where it was scrolled to, and a selection is kept.
    page:shot("canary_runs", 320, 640)
    page:run [[
      const w = document.querySelector("#trial .wide");
      w.style.width = "150px"; // its text wraps on a narrow screen
      w.scrollLeft = 40; // as far as its width lets it
      window.at = w.scrollLeft;
      getSelection().selectAllChildren(document.querySelector("#trial code")); ]]
    send(4)
    requests(14)
    assert.same({ "sluice promote", "sluice promote", true, true }, page:run [[
      return [getSelection().toString(), document.querySelector("#trial code").textContent,
        at > 0, at === document.querySelector("#trial .wide").scrollLeft]; ]])
    for _ = 1, 100 do s:post("/v1/events", '{"id":"e2"}') end
    local why = "roll_back_if: it refuses more"
    page:becomes("#trial h3", "^Canary of generation 2: rolled back – " .. why)
    page:becomes("#more", "The canary of generation 2 was rolled back: " .. why)
    page:becomes("#marks", "Canary of generation 2: rolled back: " .. why)
    assert.matches("it ended at", page:text "#trial")
    assert.is_nil(page:text("#trial"):find("sluice promote", 1, true))
    page:shot("canary_rolled_back")
    assert.same({}, page:complaints(true))
  end)

  changes("says of a canary that it was promoted, and of one that it was ended by hand", function()
    open(policy())
    page:looks(1)
    local CANARY = { top = 'canary { share = "50%", during = "1h", by = "request" }' }
    load(policy(CANARY), "canary")
    page:becomes("#trial h3", "running$")
    assert.equal(200, s:reload("?promote").status)
    page:becomes("#trial h3", "^Canary of generation 2: promoted – by hand$")
    page:becomes("#versions", "policy 2")
    CANARY.hook = "ev.seen = 1"
    load(policy(CANARY), "canary")
    page:becomes("#trial h3", "^Canary of generation 3: running$")
    assert.equal(200, s:reload("?rollback").status)
    page:becomes("#trial h3", "^Canary of generation 3: rolled back – by hand$")
    page:becomes("#marks", "generation 3: rolled back: by hand.*generation 2: promoted: by hand")
    -- An operator's own word is no warning.
    assert.is_nil(page:text("#more"):find("was rolled back", 1, true))
    page:shot("canary_by_hand")
    assert.same({}, page:complaints(true))
  end)
end)
