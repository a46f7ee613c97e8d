local browser = require "browser"
local cjson = require "cjson"
local h = require "harness"

-- The live page of the admin listener.

local POLICY = [[
admin { listen = "127.0.0.1:0", token = "token-of-the-live-page" }

local purchases = schema {
  id = str { required = true, max = 64 },
  amount = num { min = 0 },
  currency = enum { "EUR", "USD" },
}

file "archive" { dir = "archive" }
http "warehouse" { url = "http://127.0.0.1:1/x" }

stream "events" { sinks = { "archive", "warehouse" } }

route "POST /v1/events" {
  body = "batch",
  schema = purchases,
  stream = "events",
  on_event = function(e)
    if e.amount and e.amount > 1000 then
      return reject("too_expensive", e.id)
    end
  end,
}

route "POST /v1/<b>hostile</b>" {
  body = "event",
  stream = "events",
  schema = schema { id = str { required = true } },
}
]]

local MARKUP = "<img src=x onerror=hostile=1><script>hostile=1</script>"

describe("the live page", function()
  local s

  local function at_admin() return "http://127.0.0.1:" .. s.admin end

  setup(function()
    s = h.server { policy = POLICY }
    local text = cjson.encode {
      { id = "a" }, { id = MARKUP, amount = 5000 }, { amount = 1, note = MARKUP },
      { id = "b", currency = "</pre>" .. MARKUP } }
    h.write(s.dir .. "/batch", text)
    local at = "http://127.0.0.1:" .. s.port
    h.shell("curl -s -H 'Content-Type: application/json' --data-binary @" .. s.dir
      .. "/batch " .. at .. "/v1/events")
    h.shell("curl -s -d '{}' -H 'Content-Type: application/json' '" .. at
      .. "/v1/<b>hostile</b>'")
    h.shell("curl -s " .. at .. "'/<b>none</b>?key=in-the-query'")
    h.wait_for("two rows and a sink that holds", function()
      local d = cjson.decode(h.shell("curl -s " .. at_admin() .. "/page.json"))
      for _, sink in ipairs(d.status.sinks) do
        if sink.name == "warehouse" then return sink.holding and d.seq >= 2 end
      end
    end)
  end)

  teardown(function()
    s:stop()
    s:close()
  end)

  local function get(path, ...)
    return h.shell("curl -s " .. table.concat({ ... }, " ") .. " " .. at_admin() .. path)
  end

  it("says once what it is, and not again to who has it", function()
    for path, kind in pairs { ["/"] = "text/html", ["/page/page.js"] = "text/javascript",
      ["/page.json"] = "application/json" } do
      local head = get(path, "-D- -o /dev/null"):lower()
      local kinds = {}
      for k in head:gmatch "\ncontent%-type: ([%w/]+)" do kinds[#kinds + 1] = k end
      assert.same({ kind }, kinds)
      local tag = head:match "\netag: (%S+)"
      if tag then
        head = get(path, "-D- -H 'If-None-Match: " .. tag .. "'"):lower()
        assert.matches("^http/1.1 304 ", head)
        assert.is_nil(head:find("content-length", 1, true))
      end
    end
  end)

  it("shows samples and the policy to its machine and for the token alone", function()
    local d = cjson.decode(get "/page.json")
    assert.is_true(d.trusted)
    -- 256 of them are 150 kB: only who opens a refusal asks.
    assert.is_nil(d.samples)
    d = cjson.decode(get "'/page.json?samples=1'")
    local found = {}
    for _, x in ipairs(d.samples) do found[x.code .. " " .. x.route] = x end
    assert.equal(MARKUP, found["too_expensive POST /v1/events"].message)
    assert.equal("id", found["missing_field POST /v1/events"].field)
    assert.equal(2, found["missing_field POST /v1/events"].index)
    assert.equal("", found["unknown_path none"].raw)
    assert.is_nil(get "/page.json":find("in-the-query", 1, true))
    local far = "-H 'X-Forwarded-For: 192.0.2.9'"
    d = cjson.decode(get("'/page.json?samples=1'", far))
    assert.same({ false, nil, nil }, { d.trusted, d.samples, d.routes })
    assert.equal(5, #d.status.refusals)
    assert.equal("token", cjson.decode(get("/policy.json", far)).code)
    local token = "-H 'Authorization: Bearer token-of-the-live-page'"
    assert.is_true(cjson.decode(get("/page.json", far, token)).trusted)
    local policy = cjson.decode(get("/policy.json", far, token)).files
    assert.equal(POLICY, policy[1].text)
    assert.is_false(cjson.decode(get("/page.json", "-H 'Sec-Fetch-Site: cross-site'")).trusted)
    assert.equal("origin", cjson.decode(get("/page.json", "-H 'Origin: http://a.example'")).code)
  end)

  it("counts in /status what became of the events", function()
    local d = cjson.decode(get "/status")
    assert.same({ received = 6, stored = 1, rejected = 4, dropped = 0, duplicate = 0,
      dead = 0, refused = 1 }, d.events)
    assert.same({ route = "POST /v1/<b>hostile</b>", code = "missing_field", status = 422,
        events = 1 },
      d.refusals[1])
    assert.is_true(d.spool.disk_free_bytes > 0)
    assert.is_true(d.streams[1].bytes > 0)
  end)

  local test = browser.it(it, pending)
  test("answers in Chromium, with the keyboard, and leads to the policy's lines", function()
    local said, shots = browser.client(s, "admin.cjs", 90)
    -- Nothing of it came from elsewhere, and no text of a client became markup.
    assert.same({ {}, {}, 0 }, { said.complaints, said.asked, said.foreign })
    assert.same({ 0, 0, 0 }, said.overflow)
    assert.matches("^Nothing is lost%. 1 event waits for the sink warehouse", said.lost)
    assert.same({ "warn", "live", "ascending" }, { said.state, said.live, said.sort })
    assert.not_equal("none", said.outline)
    assert.equal(4, (said.uplot or 0) + said.plain)
    -- The worst first.
    assert.same({ "warehouse", "archive", "dead-letters" }, said.sinks)
    local function line(code, route)
      local x = assert(said.places[code .. " " .. route], code)
      return (x.at:match "[^/]*$" or "") .. " " .. x.line, x.raw
    end
    assert.equal("policy.lua:20 return reject(\"too_expensive\", e.id)",
      (line("too_expensive", "POST /v1/events")))
    assert.matches("^policy.lua:4 id = str", (line("missing_field", "POST /v1/events")))
    assert.matches("^policy.lua:28 schema = schema",
      (line("missing_field", "POST /v1/<b>hostile</b>")))
    local at, raw = line("not_in_enum", "POST /v1/events")
    assert.matches("^policy.lua:6 currency = enum", at)
    assert.equal("</pre>" .. MARKUP, cjson.decode(raw).currency)
    assert.equal(" ", (line("unknown_path", "no route")))
    for _, name in ipairs { "light", "dark", "narrow", "line" } do
      assert.is_true(#h.read(shots .. "/" .. name .. ".png") > 10000)
    end
    print(("# the live page: plots by %s"):format(said.plain > 0 and "itself" or "uPlot"))
  end)

  it("says in its first line what is lost, and what is not", function()
    if h.shell("command -v node") == "" then
      pending "no node: apt-get install nodejs"
      return
    end
    local said = cjson.decode(h.shell "node --no-warnings tests/clients/admin_words.cjs")
    assert.same({ "good", "Nothing is lost. Every accepted event is delivered." }, said.well)
    assert.same({ "good", "Nothing is lost. 12 events wait for sinks, the oldest for 3.0 s." },
      said.wait)
    assert.same({ "bad", "7 events will never reach bus. Every other accepted event is "
      .. "delivered." },
      said.lost)
    for _, state in ipairs { said.dead, said.raised } do
      assert.equal("Nothing is lost. Every accepted event is delivered, or is a dead letter.",
        state[2])
    end
    assert.same({ "warn", "good" }, { said.dead[1], said.raised[1] })
    assert.same({ "bad", "Nothing is lost. Every accepted event is delivered." }, said.disk)
  end)

  local function sinks_of(n, more)
    local list = {}
    for i = 1, n do
      local x = { name = "s" .. i, lost = 0, skipped = 0, dead = 0, left_events = 0,
        oldest_ms = 0, holding = false }
      for k, v in pairs(more) do x[k] = v end
      list[i] = x
    end
    return list
  end

  -- The bounds are those of "sluice status".
  it("says in its first lines what sluice status calls wrong, from the same bounds on", function()
    if h.shell("command -v node") == "" then
      pending "no node: apt-get install nodejs"
      return
    end
    local function sink(x)
      x.name, x.lost, x.skipped, x.dead, x.left_events = "bus", 0, 0, 0, 1
      x.holding = false
      return { sinks = { x } }
    end
    local function refusing(recent, received)
      return { refusing = { recent_seconds = 300, codes = { { route = "POST /e", code = "bad",
        recent = recent, recent_received = received } } } }
    end
    -- Codes of one route, and what it refuses in all.
    local function all_codes(codes, recent, received, most, more)
      local list = {}
      for i, n in ipairs(codes) do
        list[i] = { route = "POST /e", code = "c" .. i, recent = n, recent_received = received }
      end
      return { refusing = { recent_seconds = 300, codes = list, more = more,
        routes = { { route = "POST /e", recent = recent, recent_received = received,
          most = most } } } }
    end
    local RAISED = { { route = "POST /e", hook = "on_event", errors = 6 },
      { route = "POST /f", hook = "on_request", errors = 1 } }
    local rows = {
      { sink { oldest_ms = 60000 }, "good" },
      { sink { oldest_ms = 60001 }, "warn", "The sink bus is 60 s behind" },
      { sink { oldest_ms = 660000, linger_ms = 600000 }, "good" },
      { { spool = { disk_bytes = 1000, disk_free_bytes = 101 } }, "good" },
      { { spool = { disk_bytes = 1000, disk_free_bytes = 100 } }, "bad", "The disk is 90 %% full" },
      { { streams = { { name = "s", bytes = 79, max_bytes = 100, used_percent = 10 } } }, "good" },
      { { streams = { { name = "s", bytes = 80, max_bytes = 100, used_percent = 10 } } }, "bad",
        "The stream s is 80 %% full" },
      { { streams = { { name = "s", bytes = 1, max_bytes = 100, used_percent = 80 } } }, "bad",
        "The stream s is 80 %% full" },
      { { silent = { thread = "worker=1", ms = 3000 } }, "bad",
        "The thread worker=1 has not come back for 3.0 s" },
      { { generation = 1, generations = { { status = "refused", why = "p.lua:3" } } }, "bad",
        "The last load of the policy was refused: p.lua:3; generation 1 stays live" },
      { { generation = 1, generations = { { generation = 2 } }, trial = { kind = "canary",
        generation = 2, result = "rolled_back", why = "it refuses" } }, "bad",
        "The canary of generation 2 was rolled back: it refuses" },
      { { generation = 1, generations = { { generation = 2 } }, trial = { kind = "canary",
        generation = 2, result = "rolled_back", why = "by hand" } }, "good" },
      { { certificates = { { listener = "l", expires_seconds = 1209600 } } }, "good" },
      { { certificates = { { listener = "l", expires_seconds = 1209599 } } }, "bad",
        "The certificate of l expires in 14 days" },
      { { certificates = { { listener = "l", expires_seconds = 0 } } }, "bad",
        "The certificate of l has expired, or is not valid yet: clients refuse it" },
      { { certificates = { { listener = "l", expires_seconds = 86400,
        lifetime_seconds = 345600 } } }, "good" },
      { { certificates = { { listener = "l", expires_seconds = 86399,
        lifetime_seconds = 345600 } } }, "bad", "The certificate of l expires in 24 h" },
      { { certificates = { { listener = "l", expires_seconds = 9e6, renewal_failing = true } } },
        "bad", "A changed certificate of l can't be used" },
      { { draining = true }, "warn", "The server drains: its health is 503" },
      { { draining = true, stopping = true }, "warn", "The server stops" },
      { { upgrade = { failed = 1, why = "no binary" } }, "warn", "An upgrade failed.*no binary" },
      { refusing(20, 500), "warn", "POST /e refused 4 %% of its events in the last .* with bad" },
      { refusing(19, 19), "good" },
      { refusing(20, 501), "good" },
      { all_codes({ 25, 25, 25 }, 1000, 1000, "c1"), "warn",
        "^POST /e refused 100 %% of its events in the last 5 min by all codes together, "
        .. "most with c1$" },
      { all_codes({ 1 }, 40, 1000), "warn", "refused 4 %% .* by all codes together$" },
      { all_codes({ 1 }, 39, 1000), "good" },
      { all_codes({ 1 }, 19, 19), "good" },
      -- One code that has its own line hides no others.
      { all_codes({ 900 }, 939, 1000, "c1"), "warn", "refused 90 %% .* with c1$" },
      { all_codes({ 900 }, 940, 1000, "c1"), "warn",
        "refused 90 %% .* with c1\n.*refused 94 %% .* by all codes together, most with c1$" },
      { all_codes({ 100, 99, 98, 97, 96, 95, 94 }, 679, 1000, "c1"), "warn",
        ("[^\n]+\n"):rep(5) .. "2 more codes or routes refused much of a route's events in" },
      { all_codes({ 100, 99, 98, 97, 96, 95, 94 }, 679, 1000, "c1", 9), "warn",
        ("[^\n]+\n"):rep(5) .. "At least 2 more codes or routes refused much of a route's" },
      { { faults = { hook_errors = 7 } }, "bad",
        "Hooks raised an error 3 times in the last minute, 7",
        { faults = { hook_errors = 4 } } },
      { { faults = { hook_errors = 7 } }, "good", nil, { faults = { hook_errors = 7 } } },
      -- Which one, and since when: of the past too, in one line.
      { { faults = { hook_errors = 7 }, hook_errors = RAISED }, "bad", "^Hooks raised an error "
        .. "3 times in the last minute, 7 times since the start, most by on_event of POST /e$",
        { faults = { hook_errors = 4 } } },
      { { faults = { hook_errors = 7 }, hook_errors = RAISED }, "good", "^Hooks raised an error "
        .. "7 times since the start, most by on_event of POST /e$",
        { faults = { hook_errors = 7 } } },
      { { generation = 1, trial = { kind = "canary", generation = 2, result = "running" } },
        "good", "^A canary runs: generation 2$" },
      { { upgrade = { under_way = true, failed = 1, why = "no binary" } }, "good",
        "^An upgrade is under way" },
      { { spool = { writable = false, used_percent = 100 } }, "bad",
        "^The spool cannot be written: clients get 503" },
      { { faults = { store_failures = 2 } }, "bad", "2 events could not be written to the disk",
        { faults = { store_failures = 0 } } },
      { { faults = { store_failures = 1 } }, "bad", "1 event could .* its client got 503",
        { faults = { store_failures = 0 } } },
      { { faults = { damaged_blocks = 2, damaged_events = 5 } }, "bad",
        "2 damaged blocks were found, with 5 events:" },
      { { faults = { damaged_blocks = 1, damaged_events = 1 } }, "bad",
        "1 damaged block was found, with 1 event:" },
      { { faults = { hook_errors = 1 } }, "bad", "^Hooks raised an error 1 time in the last "
        .. "minute, 1 time since the start$", { faults = { hook_errors = 0 } } },
      { all_codes({ 100, 99, 98, 97, 96, 95 }, 600, 1000, "c1"), "warn",
        ("[^\n]+\n"):rep(5) .. "1 more code or route refused much of a route's" },
      { { sinks = sinks_of(6, { holding = true, why = "down" }) }, "warn",
        "^" .. ("The sink s%d takes nothing now: down\n"):rep(5)
          .. "1 more sink takes nothing or is behind: the table of sinks has it$" },
      { { sinks = sinks_of(200, { oldest_ms = 70000 }) }, "warn",
        "^" .. ("The sink s%d is 70 s behind\n"):rep(5)
          .. "195 more sinks take nothing or are behind: the table of sinks has them$" },
      { { sinks = sinks_of(7, { lost = 1 }) }, "bad",
        "^" .. ("s%d: 1 event lost [^\n]+\n"):rep(5)
          .. "2 more sinks lost events: the table of sinks has them$" },
    }
    local list, file = {}, os.tmpname()
    for i, row in ipairs(rows) do list[i] = { row[1], row[4] or cjson.null } end
    h.write(file, cjson.encode(list))
    local said = cjson.decode(h.shell("node --no-warnings tests/clients/admin_words.cjs " .. file))
    os.remove(file)
    for i, row in ipairs(rows) do
      assert.equal(i .. " " .. row[2], i .. " " .. said[i].state)
      if row[3] then
        -- Each fault is told once.
        assert.is_true(#said[i].more == 1 or row[3]:find("\n", 1, true) ~= nil, i)
        assert.matches(row[3], table.concat(said[i].more, "\n"))
      else
        assert.same({}, said[i].more)
      end
    end
  end)
end)

describe("the live page of another machine", function()
  local test = browser.it(it, pending)
  test("takes the token by keyboard, shows a canary, and says when the server is silent",
  function()
    local s = h.server { policy = POLICY }
    finally(function() s:close() end)
    local function send()
      for i = 1, 40 do
        s:post("/v1/events", ('[{"id":"e%d","amount":%d}]'):format(i, i % 2 * 2000))
      end
    end
    h.write(s.path, POLICY:gsub("1000", "1500") .. [[
canary { share = "50%", during = "1h" }
]])
    assert.equal("canary", cjson.decode(s:reload().body).status)
    send()
    local token = "token-of-the-live-page"
    local said = browser.client(s, "admin_faults.cjs", 120, token, tostring(s.real_pid))
    assert.same({ {}, {}, {}, 1 }, { said.complaints, said.asked, said.leaks, said.most })
    assert.same({ 0, 0, 0 }, said.overflow)
    assert.equal("", said.before)
    assert.same({ "The server does not know this token.",
      "A token has letters, digits and signs of ASCII, without spaces." }, said.answers)
    assert.same({ "live", "" }, { said.still, said.cancelled })
    assert.matches("Message", said.after)
    assert.matches("too_expensive", said.line)
    assert.equal(("http://127.0.0.1:%d/ 0  %s"):format(s.admin, token), said.kept)
    assert.matches("^Canary of generation 2: running", said.trial)
    assert.matches("live %(1%)new %(2%)", said.trial)
    assert.matches("Refused%d+ %%%d+ %%", said.trial)
    assert.matches("^stale: .+ No answer since %d+:%d%d:%d%d[^.]*%.$", said.stale)
    assert.is_true(said.dimmed)
  end)
end)
