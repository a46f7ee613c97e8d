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

  it("answers in Chromium, with the keyboard, and leads to the policy's lines", function()
    if h.shell("command -v chromium") == "" or h.shell("command -v node") == "" then
      pending "no chromium or no node: apt-get install chromium nodejs"
      return
    end
    local out = s.dir .. "/client"
    local shots = os.getenv("SLUICE_SHOTS") or s.dir
    assert.equal(0, h.reap(h.spawn({ "node", "tests/clients/admin.cjs",
      at_admin(), shots }, out), 90), h.read(out))
    local said = cjson.decode(h.read(out))
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
    assert.same({ "bad", "7 events will never reach bus. Every accepted event is delivered." },
      said.lost)
    assert.same({ "warn", "Nothing is lost. Every accepted event is delivered." }, said.dead)
    assert.same({ "bad", "Nothing is lost. Every accepted event is delivered." }, said.disk)
  end)
end)

describe("the live page of another machine", function()
  it("takes the token by keyboard, shows a canary, and says when the server is silent",
  function()
    if h.shell("command -v chromium") == "" or h.shell("command -v node") == "" then
      pending "no chromium or no node: apt-get install chromium nodejs"
      return
    end
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
    local out = s.dir .. "/client"
    local shots = os.getenv("SLUICE_SHOTS") or s.dir
    local token = "token-of-the-live-page"
    assert.equal(0, h.reap(h.spawn({ "node", "tests/clients/admin_faults.cjs",
      "http://127.0.0.1:" .. s.admin, shots, token, tostring(s.real_pid) }, out), 120),
      h.read(out))
    local said = cjson.decode(h.read(out))
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
