-- Quotas while another process takes the server's place: nothing that was used is forgotten,
-- and nothing is charged twice.
local h = require "harness"
local upgrades = require "upgrades"

local POLICY = [[
server { listen = "127.0.0.1:0", workers = 2 }
admin { listen = "127.0.0.1:0" }
file "archive" { dir = "archive", linger = "20ms" }
stream "events" { sinks = { "archive" } }
local day = limit "day" { quota = "1000/d", key = "header:x-key" }
local head = limit "head" { quota = "1000/d", key = "header:x-key" }
route "POST /in" { body = "batch", stream = "events", limits = { day }, limit_headers = "separate" }
route "POST /left" { body = "event", stream = "events", limits = { head },
  limit_headers = "separate" }
route "POST /asked" { body = "event", stream = "events",
  on_request = function(req) return head:check(req) end }
]]

describe("quotas in an upgrade", function()
  local s

  -- Not within a minute of a midnight, at which they would begin anew.
  before_each(function()
    local dir, now = h.folder(), math.floor(os.time() * 1000)
    s = h.server { dir = dir, policy = POLICY, wrap = h.own_clock(dir .. "/clock") }
    h.set_clock(dir .. "/clock", 43200000 - now % 86400000)
  end)
  after_each(function() if s then s:close() s = nil end end)

  -- What is left after n events more.
  local function left(path, n)
    local a = s:post(path, n and "[" .. ("{},"):rep(n - 1) .. "{}]" or "{}", { ["x-key"] = "a" })
    return tonumber(a.headers["ratelimit-remaining"]) or a.status .. a.body
  end

  it("go on where they were, also over kill -9 of the new process", function()
    assert.equal(990, left("/in", 10))
    assert.equal(980, (upgrades.upgrade(s) and left("/in", 10)))
    assert.equal(970, (upgrades.upgrade(s) and left("/in", 10)))
    s:signal("SIGTERM")
    h.reap(s.pid)
    s.pid = nil
    s:start()
    assert.equal(960, left("/in", 10))
    upgrades.upgrade(s)
    local saved = s:metric("sluice_quota_saves_total", 'result="ok"')
    assert.equal(950, left("/in", 10))
    h.wait_for("a save", function()
      return s:metric("sluice_quota_saves_total", 'result="ok"') > saved
    end)
    s:signal("SIGKILL")
    h.reap(s.pid)
    s.pid = nil
    s:start()
    assert.equal(940, left("/in", 10))
  end)

  it("go on in the old process when it is taken back", function()
    assert.equal(990, left("/in", 10))
    local text = h.read(s.path)
    h.write(s.path, text .. ('\nlisten "127.0.0.1:%d" {}\n'):format(s.admin))
    upgrades.attempt(s)
    assert.truthy(s:text():find("event=upgrade status=failed", 1, true))
    assert.equal(980, left("/in", 10))
    h.write(s.path, text)
    upgrades.upgrade(s)
    assert.equal(970, left("/in", 10))
  end)

  it("charge a request that comes in parts once, whatever process has its hook", function()
    assert.equal(999, left("/left"))
    local half = {}
    for i = 1, 20 do
      half[i] = h.connect(s.port)
      half[i]:send("POST /asked HTTP/1.1\r\nHost: a\r\nX-Key: a\r\nContent-Length: 2\r\n"
        .. "Content-Type: application/json\r\n\r\n{")
    end
    h.wait_for("all heads", function() return left("/left") <= 999 - 20 end)
    local before = left("/left")
    upgrades.upgrade(s)
    upgrades.upgrade(s)
    for i = 1, 20 do
      half[i]:send("}")
      assert.equal(202, h.answer(half[i]).status)
    end
    assert.equal(before - 1, left("/left"))
    -- The next request of such a connection is charged as any other.
    half[1]:send("POST /asked HTTP/1.1\r\nHost: a\r\nX-Key: a\r\nContent-Length: 2\r\n"
      .. "Content-Type: application/json\r\n\r\n{}")
    assert.equal(202, h.answer(half[1]).status)
    assert.equal(before - 3, left("/left"))
    for i = 1, 20 do half[i]:close() end
  end)
end)
