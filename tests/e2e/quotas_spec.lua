-- Quotas, limits by a column of the key, and networks: over workers, reloads, restarts, kills
-- and a clock that is set. The server's clock is its own (tests/tools/clock_shim.c).
local h = require "harness"

local DAY = 24 * 3600 * 1000

describe("how much a client may send", function()
  local s, dir

  local function policy(o)
    return ([[
server { listen = "127.0.0.1:0", workers = %d }
admin { listen = "127.0.0.1:0" }
file "archive" { dir = "archive", linger = "20ms", rotate = { age = "50ms" } }
stream "events" { sinks = { "archive" } }
keys "apps" { file = "apps.csv" }
cidr "bad.txt" {}
listen "127.0.0.1:0" { %s }
listen "unix:%s/in.sock" { trusted = { "unix" } }
local plan = limit "plan" { quota = "key:per_day/d", key = "key:app" }
local rate = limit "rate" { rate = "key:per_second", key = "key:app", burst = 1000 }
local key = header "x-api-key" "apps"
route "POST /in" { body = "batch", stream = "events", auth = key, limits = { rate, plan },
  limit_headers = "separate", deny = { "bad.txt" } }
route "POST /inside" { body = "event", stream = "events", allow = { "10.0.0.0/8", "2001:db8::/32" },
  deny = { "10.1.0.0/16" } }
]]):format(o.workers or 2, o.listener or 'deny = { "127.0.0.0/8" }', dir)
  end

  local function write_keys(rows)
    local lines = { "sha256,app,per_second,per_day" }
    for _, r in ipairs(rows) do
      lines[#lines + 1] = h.shell(("printf %%s %s | sha256sum"):format(r[1])):match("^%x+")
        .. "," .. r[2]
    end
    h.write(dir .. "/apps.csv", table.concat(lines, "\n") .. "\n")
  end

  local KEYS = { { "shop-key", "shop,unlimited,10" }, { "none-key", "none,5,many" },
    { "zero-key", "zero,5,0" }, { "big-key", "big,unlimited,unlimited" } }

  setup(function()
    dir = h.folder()
    write_keys(KEYS)
    h.write(dir .. "/bad.txt", "203.0.113.0/24\n")
    s = h.server { dir = dir, policy = policy {}, wrap = h.own_clock(dir .. "/clock") }
    -- Noon, so that no midnight comes by itself.
    local now = math.floor(os.time() * 1000)
    h.set_clock(dir .. "/clock", DAY / 2 - now % DAY)
  end)

  teardown(function()
    if s then s:close() end
    h.remove(dir)
  end)

  -- n events; the status, the code, and the rest of the quota.
  local function post(key, n)
    local a = s:post("/in", "[" .. ("{},"):rep(n - 1) .. "{}]", { ["x-api-key"] = key })
    return ("%d %s"):format(a.status, a.body:match('"code":"([%w_]+)"') or
      a.headers["ratelimit-remaining"] or ""), a
  end

  local function saved()
    local before = s:metric("sluice_quota_saves_total", 'result="ok"')
    return function()
      h.wait_for("a save", function()
        return s:metric("sluice_quota_saves_total", 'result="ok"') > before
      end)
    end
  end

  local function restart(how)
    if how == "KILL" then
      h.kill(s.pid)
      s.pid = nil
    else
      s:stop()
    end
    s:start()
  end

  local function reload()
    h.write(s.path, s.text_of_policy or policy {})
    local a = s:reload()
    assert.equal(200, a.status, a.body)
  end

  it("takes a batch whole or not at all, and says what is left and when there is more", function()
    assert.equal("202 7", (post("shop-key", 3)))
    assert.equal(400, s:post("/in", "[{", { ["x-api-key"] = "shop-key" }).status) -- no events
    local said, a = post("shop-key", 8)
    assert.equal("429 rate_limited", said)
    assert.equal("7", a.headers["ratelimit-remaining"])
    assert.equal("10", a.headers["ratelimit-limit"])
    assert.equal(a.headers["retry-after"], a.headers["ratelimit-reset"])
    local wait = tonumber(a.headers["retry-after"])
    assert.is_true(wait > 43000 and wait <= 43200, wait)
    assert.truthy(a.body:find("8 events, and the limit plan has 7 left", 1, true))
    local large
    said, large = post("shop-key", 11)
    assert.equal("413 batch_over_limit", said)
    assert.is_nil(large.headers["retry-after"])
    assert.truthy(large.body:find('"limit":10', 1, true))
    assert.equal("202 0", (post("shop-key", 7)))
    assert.equal("429 rate_limited", (post("shop-key", 1)))
    assert.equal(10, s:metric("sluice_events_total", 'route="POST /in",result="stored"'))
  end)

  it("lets no key in whose row has no number, or none", function()
    assert.equal("403 no_limit", (post("none-key", 1)))
    assert.equal("403 limit_zero", (post("zero-key", 1)))
    assert.equal("202 ", (post("big-key", 500)))
    assert.equal(1, s:metric("sluice_refusals_total", 'code="no_limit"'))
  end)

  it("keeps what was used when a reload changes the quota, or takes the key away", function()
    KEYS[1][2] = "shop,unlimited,12"
    write_keys(KEYS)
    reload()
    assert.equal("202 0", (post("shop-key", 2)))
    local shop = table.remove(KEYS, 1)
    write_keys(KEYS)
    reload()
    assert.equal("401 unknown_key", (post("shop-key", 1)))
    -- A new key of the same app.
    table.insert(KEYS, 1, { "shop-key-2", shop[2] })
    write_keys(KEYS)
    reload()
    assert.equal("429 rate_limited", (post("shop-key-2", 1)))
  end)

  it("keeps it over a stop and over kill -9, with another number of workers", function()
    restart("TERM")
    assert.equal("429 rate_limited", (post("shop-key-2", 1)))
    KEYS[1][2] = "shop,unlimited,20"
    write_keys(KEYS)
    s.text_of_policy = policy { workers = 1 }
    h.write(s.path, s.text_of_policy)
    restart("TERM")
    local wait = saved()
    assert.equal("202 5", (post("shop-key-2", 3)))
    wait()
    restart("KILL")
    assert.equal("202 3", (post("shop-key-2", 2)))
  end)

  it("serves while the disk takes nothing, says so, and saves later", function()
    local block = dir .. "/data/spool/quotas/plan-d.quota.new"
    h.shell("mkdir -p " .. block)
    assert.equal("202 2", (post("shop-key-2", 1)))
    s:logged("event=quota limit=\"plan\" status=unsaved why=")
    assert.is_true(s:metric("sluice_quota_saves_total", 'result="failed"') >= 1)
    h.shell("rmdir " .. block)
    s:logged("event=quota limit=\"plan\" status=saved")
  end)

  it("begins unused when its file is damaged, which is told and kept", function()
    s:stop()
    local file = dir .. "/data/spool/quotas/plan-d.quota"
    local text = h.read(file)
    h.write(file, text:sub(1, -2))
    s:start()
    s:logged("event=quota limit=\"plan\" status=unread why=")
    assert.equal(text:sub(1, -2), h.read(file .. ".unread"))
    assert.equal("202 0", (post("shop-key-2", 20)))
    assert.equal(1, s:metric("sluice_quota_saves_total", 'result="unread"'))
  end)

  it("gives a quota once for each day, whatever the clock does", function()
    local now = math.floor(os.time() * 1000)
    local noon = DAY / 2 - now % DAY
    local function at(days, hours, n)
      h.set_clock(dir .. "/clock", noon + days * DAY + hours * 3600 * 1000)
      return (post("shop-key-2", n))
    end
    assert.equal("429 rate_limited", at(0, 11, 1))
    assert.equal("202 5", at(0, 13, 15)) -- over midnight
    assert.equal("202 4", at(0, 11, 1)) -- and back: that day has begun
    assert.equal("202 3", at(0, 13, 1))
    assert.equal("202 0", at(400, 0, 20)) -- a clock that is wrong by a year,
    assert.equal("429 rate_limited", at(1, 0, 1)) -- and right again: no quota for that
    assert.equal("202 0", at(2, 0, 20))
    h.set_clock(dir .. "/clock", noon)
  end)

  it("refuses networks by the client's address, and deny is stronger", function()
    local function from(address, path)
      local out = h.shell(("curl -s -w ' %%{http_code}' --unix-socket %s/in.sock -H "
        .. "'X-Forwarded-For: %s' -H 'x-api-key: big-key' -H 'content-type: application/json' "
        .. "-d '{}' http://h%s"):format(dir, address, path))
      return out:match("(%d+)%s*$") .. " " .. (out:match('"code":"([%w_]+)"') or "")
    end
    assert.equal("202 ", from("10.2.3.4", "/inside"))
    assert.equal("202 ", from("2001:db8::7", "/inside"))
    assert.equal("202 ", from("::ffff:10.2.3.4", "/inside"))
    assert.equal("403 denied_network", from("10.1.2.3", "/inside"))
    assert.equal("403 denied_network", from("::ffff:10.1.2.3", "/inside"))
    assert.equal("403 denied_network", from("11.2.3.4", "/inside"))
    assert.equal("403 denied_network", from("2001:db9::7", "/inside"))
    assert.equal("403 denied_network", from("unknown", "/inside")) -- no address: the socket
    assert.equal("403 denied_network", from("203.0.113.9", "/in"))
    assert.equal("400 invalid_json", from("203.0.114.9", "/in")) -- past it, to the body
    assert.is_true(s:metric("sluice_refusals_total", 'code="denied_network"') >= 6)
    h.write(dir .. "/bad.txt", "198.51.100.0/24\n")
    reload()
    assert.equal("403 denied_network", from("198.51.100.1", "/in"))
  end)

  it("closes a denied connection without a byte, until a reload allows it", function()
    local function port()
      return tonumber(s:text():match("listen=[%d.]+:%d+,127%.0%.0%.1:(%d+),unix:"))
    end
    local function get()
      local c = h.connect(port())
      c:send("GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
      return (c:receive("*a"))
    end
    assert.is_nil((get() or ""):match("HTTP"))
    assert.is_true(s:metric("sluice_listener_refused_total",
      'listener="127.0.0.1:0",reason="denied"') >= 1)
    s.text_of_policy = policy { workers = 1, listener = 'allow = { "127.0.0.1" }' }
    reload()
    assert.truthy(get():match("^HTTP/1.1 404"))
  end)
end)

describe("quotas of limits without a name", function()
  it("are each restored by themselves, however long their keys are", function()
    local key = "x-" .. ("a"):rep(200)
    local function limited(last)
      return ('limit { quota = "2/d", key = "header:%s%s" }'):format(key, last)
    end
    local s = h.server { policy = ([[
server { listen = "127.0.0.1:0", workers = 1 }
admin { listen = "127.0.0.1:0" }
file "archive" { dir = "archive" }
stream "events" { sinks = { "archive" } }
route "POST /x" { body = "event", stream = "events", limits = { %s } }
route "POST /y" { body = "event", stream = "events", limits = { %s } }
]]):format(limited "x", limited "y") }
    finally(function() s:close() end)
    local function post(path)
      return s:post("/" .. path, "{}", { [key .. path] = "k" }).status
    end
    assert.same({ 202, 202, 429, 202 }, { post "x", post "x", post "x", post "y" })
    assert.equal(0, s:stop())
    s:start()
    assert.same({ 429, 202, 429 }, { post "x", post "y", post "y" })
    assert.equal(2, tonumber(h.shell(("ls '%s/spool/quotas' | wc -l"):format(s.data))))
  end)
end)
