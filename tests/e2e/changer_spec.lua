-- Sinks altered by a reload while their disk hangs: nothing is lost, nothing is left
-- behind, and the next reload is served.
local cjson = require "cjson"
local h = require "harness"
local hanging = require "hanging"

---@param o table sinks: { name, was, dir }; streams: { name = sink names }
local function policy(o)
  local sinks, streams = {}, {}
  for _, k in ipairs(o.sinks) do
    sinks[#sinks + 1] = hanging.sink(k)
  end
  for name, list in pairs(o.streams or { events = o.feeds }) do
    streams[#streams + 1] = ([[stream %q { sinks = { "%s" } }
route "POST /v1/%s" { body = "event", stream = %q }]]):format(name,
      table.concat(list, '", "'), name, name)
  end
  return ([[
server { listen = "127.0.0.1:0", workers = 1, drain = "500ms", max_body = "1MiB" }
admin { listen = "127.0.0.1:0" }
%s
%s
%s
]]):format(o.more or "", table.concat(sinks, "\n"), table.concat(streams, "\n"))
end

local BAD = hanging.BAD

describe("a sink that a reload alters while its thread hangs", function()
  local f, s, n
  before_each(function() n = 0 end)
  after_each(function()
    hanging.close(s, f)
    s, f = nil, nil
  end)

  local function start(o) s, f = hanging.start(policy(o)) end
  local function hang(name, later) hanging.hang(s, name, later) end

  local function post(count, route)
    for _ = 1, count do
      n = n + 1
      assert.equal(202, s:post("/v1/" .. (route or "events"),
        ([[{"n":%d}]]):format(n)).status)
    end
  end

  local function reload(o)
    h.write(s.path, type(o) == "string" and o or policy(o))
    return h.request(s.admin, "POST", "/reload", "", nil, 60)
  end

  ---How often each number from..to is in the folder, where that is not once.
  local function odd(folder, from, to)
    local seen, list = {}, {}
    for line in h.shell(("cat '%s/%s/'*.ndjson* 2>/dev/null"):format(s.data, folder))
      :gmatch("[^\n]+") do
      local i = tonumber(line:match('"n":(%d+)'))
      seen[i or 0] = (seen[i or 0] or 0) + 1
    end
    for i = from or 1, to or n do
      if seen[i] ~= 1 then list[#list + 1] = ("%d:%d"):format(i, seen[i] or 0) end
    end
    return table.concat(list, " ")
  end

  local function none_odd(folder, from, to)
    local deadline = h.now() + 15
    repeat
      local o = odd(folder, from, to)
      if o == "" then return end
      if h.now() > deadline or o:find(":[2-9]") then assert.equal("", o) end
      h.sleep(0.01)
    until false
  end

  local function never(folder, from, to)
    local list = {}
    for i = from, to do list[#list + 1] = ("%d:0"):format(i) end
    assert.equal(table.concat(list, " "), odd(folder, from, to))
  end

  local function status() return cjson.decode(s:get("/status").body) end

  local function none_retires()
    h.wait_for("the end of those that retire", function()
      return #status().retiring == 0
    end, 15)
  end

  local A = { sinks = { { "a" } }, feeds = { "a" } }

  it("goes when the policy that began it is refused", function()
    start(A)
    hang("n", true)
    local with = { sinks = { { "a" }, { "n" }, BAD }, feeds = { "a", "n", "bad" } }
    assert.equal(500, reload(with).status)
    post(2)
    hang()
    none_retires()
    with.sinks[3], with.feeds[3] = nil, nil
    local a = reload(with)
    assert.equal(200, a.status, a.body)
    post(1)
    none_odd "a"
    none_odd("n", 3, 3)
    never("n", 1, 2)
  end)

  it("is given up by drop, or keeps all, and does not stay behind", function()
    start { sinks = { { "a" }, { "b" } }, feeds = { "a", "b" } }
    f:rules "on=create do=ENOSPC path=/b/"
    post(2)
    assert.equal(200, reload(A).status)
    hang "b"
    local a = h.request(s.admin, "POST", "/sinks/b/drop", "", nil, 30)
    assert.equal(503, a.status)
    assert.matches("nothing was dropped", a.body)
    f:rules()
    hang()
    none_retires()
    none_odd "b"
    local with = { sinks = { { "a" }, { "b" } }, feeds = { "a", "b" } }
    assert.equal(200, reload(with).status)
    post(1)
    none_odd "b"
  end)

  it("has its name and its events back when a policy that renames it is refused, "
    .. "beside a canary", function()
    start(A)
    post(2)
    s:deliver()
    local a = reload { sinks = A.sinks, feeds = A.feeds,
      more = [[canary { share = "50%", during = "1h" }]] }
    assert.equal(200, a.status, a.body)
    hang("c", true)
    assert.equal(500, reload { sinks = { { "c", was = "a", dir = "b" }, BAD },
      feeds = { "c", "bad" } }.status)
    post(10)
    assert.equal("its thread does not end", status().sinks[1].why)
    hang()
    none_odd "a"
    a = s:reload "?promote"
    assert.equal(200, a.status, a.body)
    post(1)
    none_odd "a"
    none_retires()
  end)

  it("delivers what it had of a stream that it does not get under its new name", function()
    start { sinks = { { "a" } }, streams = { x = { "a" }, y = { "a" } } }
    f:rules "on=create do=ENOSPC path=/a/"
    post(2, "y")
    post(2, "x")
    local a = reload { sinks = { { "c", was = "a", dir = "a" }, { "e" } },
      streams = { x = { "c" }, y = { "e" } } }
    assert.equal(200, a.status, a.body)
    post(1, "y")
    f:rules()
    none_odd("a", 1, 4)
    none_odd("e", 5, 5)
    none_retires()
  end)

  it("keeps a stream that a refused policy did not give it, while its journal waits",
  function()
    local old = { sinks = { { "a" } }, streams = { x = { "a" }, y = { "a" } },
      more = [[spool { segment = "4MiB", max_bytes = "256MiB" }]] }
    start(old)
    f:rules "on=create do=ENOSPC path=/a/"
    local pad = ([[,"x":"%s"]]):format(("x"):rep(60000))
    local function big(count)
      for _ = 1, count do
        n = n + 1
        h.wait_for("room", function()
          return s:post("/v1/y", ([[{"n":%d%s}]]):format(n, pad)).status == 202
        end)
      end
    end
    big(200)
    post(1, "x")
    f:rules("on=create do=ENOSPC path=/a/\n"
      .. "on=rename do=EROFS path=/a.journal thread=changer")
    local refused = { sinks = { { "c", was = "a", dir = "a" }, { "e" }, BAD },
      streams = { x = { "c" }, y = { "e", "bad" } }, more = old.more }
    assert.equal(500, reload(refused).status)
    s:logged "sink=a status=holding why=.*can't take over"
    big(200)
    f:rules()
    none_odd "a"
    assert.equal(0, s:stop())
  end)

  it("has its journal still when a new sink has the name that its journal has", function()
    start(A)
    f:rules "on=create do=ENOSPC path=/a/"
    post(3)
    f:rules "on=create do=ENOSPC path=/a/\non=rename do=EROFS path=/a.journal thread=changer"
    assert.equal(500, reload { sinks = { { "c", was = "a", dir = "a" }, BAD },
      feeds = { "c", "bad" } }.status)
    local both = { sinks = { { "c" }, { "a" } }, feeds = { "c", "a" } }
    assert.matches([[sink \"c\": the journal of \"a\"]], reload(both).body, 1, true)
    post(1)
    f:rules()
    none_odd "a"
    assert.equal(200, reload(both).status)
    post(1)
    none_odd "a"
    none_odd("c", 5, 5)
    never("c", 1, 4)
  end)

  it("is taken out and put back within one hang, and misses nothing", function()
    local both = { sinks = { { "a" }, { "b" } }, feeds = { "a", "b" } }
    start(both)
    f:rules "on=create do=ENOSPC path=/b/"
    post(3)
    -- Where its stream ends is noted.
    f:rules "on=create do=ENOSPC path=/b/\non=sync do=hang path=/b.journal"
    local a = reload(A)
    assert.equal(200, a.status, a.body)
    s:logged "sink=b status=retires_later"
    post(2)
    a = reload(both)
    assert.equal(500, a.status)
    assert.matches([[sink \"b\": its thread has not answered]], a.body, 1, true)
    f:rules()
    a = reload(both)
    assert.equal(200, a.status, a.body)
    post(1)
    none_odd "a"
    none_odd("b", 1, 3)
    none_odd("b", 6, 6)
    none_retires()
  end)

  it("loses and doubles nothing in a storm of reloads on a disk that hangs", function()
    start(A)
    local texts = { policy { sinks = { { "c", was = "a", dir = "a" }, { "b" } },
      feeds = { "c", "b" } }, policy(A),
      policy { sinks = { { "a", was = "c" }, BAD }, feeds = { "a", "bad" } },
      policy { sinks = { { "a", was = "c" }, { "b" } }, feeds = { "a", "b" } } }
    local rules = { "on=change thread=changer", "on=change path=/a/",
      "on=sync,rename path=/sinks/", "on=open,create,unlink path=/sinks/" }
    -- SLUICE_STEPS=all: each of them.
    for round = 1, os.getenv "SLUICE_STEPS" == "all" and #rules or 1 do
      local rule = rules[round]
      f:rules(rule .. " do=hang from=3")
      for i = 1, 50 do
        h.write(s.path .. ".new", texts[1 + (i + round) % #texts])
        os.rename(s.path .. ".new", s.path)
        s:signal "SIGHUP"
        post(1)
        h.sleep(0.03)
        if i % 20 == 0 then
          f:rules()
          h.sleep(0.1)
          f:rules(rule .. " do=hang from=3")
        end
      end
      f:rules()
      local last = { sinks = { { "a", was = "c" } }, feeds = { "a" } }
      h.wait_for("a reload", function() return reload(last).status == 200 end, 60)
      post(1)
      none_odd("a", 1, n)
      none_retires()
    end
    assert.equal(0, s:stop())
  end)

  it("delivers up to its ends when a policy that takes it up again is refused", function()
    start { sinks = { { "a" }, { "e" } }, feeds = { "a", "e" } }
    f:rules "on=create do=ENOSPC path=/a/"
    post(3)
    local without = { sinks = { { "e" } }, feeds = { "e" } }
    assert.equal(200, reload(without).status)
    post(2)
    local refused = { sinks = { { "e" }, { "c", was = "a", dir = "a" }, BAD },
      feeds = { "e", "c", "bad" } }
    assert.equal(500, reload(refused).status)
    post(2)
    f:rules()
    none_retires()
    none_odd "e"
    none_odd("a", 1, 3)
    never("a", 4, 7)
  end)

  it("begins at now when a policy that was refused has left its name", function()
    start(A)
    post(2)
    s:deliver()
    local with = { sinks = { { "a" }, { "n" }, BAD }, feeds = { "a", "n", "bad" } }
    -- What the refused policy had noted can't be taken back.
    f:rules "on=sync do=ENOSPC path=/KEPT from=2"
    assert.equal(500, reload(with).status)
    s:logged "status=not_undone why=.*No space left"
    f:rules()
    post(2)
    with.sinks[3], with.feeds[3] = nil, nil
    assert.equal(200, reload(with).status)
    post(1)
    none_odd "a"
    none_odd("n", 5, 5)
    never("n", 1, 4)
    assert.equal(0, s:stop())
    assert.equal("", h.shell(("ls '%s/spool/sinks' | grep none"):format(s.data)))
  end)

  ---Two events of each of two processes, which "a" can't take yet.
  local function held_events()
    start(A)
    f:rules "on=write do=EIO path=/a/"
    post(2)
    s:stop "SIGKILL"
    s:start()
    post(2)
  end

  it("begins at now when a policy was refused half way through its journal", function()
    local with = { sinks = { { "a" }, { "n" } }, feeds = { "a", "n" } }
    held_events()
    for at = 1, 5 do
      f:rules("on=write do=EIO path=/a/\n"
        .. ("on=write,sync do=ENOSPC path=/n.journal from=%d"):format(at))
      local a = reload(with)
      if a.status == 200 then break end
      assert.equal(500, a.status, at)
      assert.equal("", h.shell(("ls '%s/spool/sinks' | grep '^n.journal'"):format(s.data)))
      post(1)
      assert.is_true(at < 5)
    end
    f:rules()
    assert.equal(200, reload(with).status)
    post(1)
    none_odd "a"
    none_odd("n", n, n)
    never("n", 1, n - 1)
  end)

  it("begins at now when the journal of a refused policy stays behind", function()
    start(A)
    post(2)
    s:deliver()
    local with = { sinks = { { "a" }, { "n" }, BAD }, feeds = { "a", "n", "bad" } }
    f:rules "on=rename do=EIO path=/n. from=2" -- the first is the journal's own
    assert.equal(500, reload(with).status)
    s:logged "sink=n why=.*n.journal: Input/output error"
    post(2)
    with.sinks[3], with.feeds[3] = nil, nil
    local a = reload(with)
    assert.equal(500, a.status)
    assert.matches("the journal of the one before: ", a.body, 1, true)
    f:rules()
    assert.equal(200, reload(with).status)
    post(1)
    none_odd "a"
    none_odd("n", 5, 5)
    never("n", 1, 4)
  end)

  it("gives a sink that is there no event of a stream that a refused policy gave it",
  function()
    local new = { sinks = { { "a" }, { "e" } }, streams = { x = { "a" }, y = { "e", "a" } } }
    start { sinks = new.sinks, streams = { x = { "a" }, y = { "e" } } }
    post(2, "y")
    s:stop "SIGKILL"
    s:start()
    post(1, "x")
    for at = 1, 4 do
      f:rules("on=write do=EIO path=/a/\n"
        .. ("on=write,sync do=ENOSPC path=/a.journal from=%d"):format(at))
      local a = reload(new)
      if a.status == 200 then break end
      assert.equal(500, a.status)
      post(1, "y")
    end
    local first = n + 1
    f:rules()
    assert.equal(200, reload(new).status)
    post(1, "y")
    none_odd("a", first)
    never("a", 4, first - 1)
    none_odd("e", 4)
    s:stop "SIGKILL"
    s:start()
    post(1, "y")
    none_odd("a", first)
  end)

  it("does not refuse a reload while the thread of a sink that is only to end hangs",
  function()
    start { sinks = { { "a" }, { "b" } }, feeds = { "a", "b" } }
    f:rules "on=create do=ENOSPC path=/b/"
    post(2)
    assert.equal(200, reload(A).status)
    hang "b"
    local a = reload { sinks = { { "a" }, { "e" } }, feeds = { "a", "e" } }
    assert.equal(200, a.status, a.body)
    post(1)
    none_odd("e", 3, 3)
    f:rules()
    hang()
    none_retires()
    none_odd("b", 1, 2)
    none_odd "a"
  end)

  it("begins at now when a kill comes half way through its journal", function()
    local with = { sinks = { { "a" }, { "n" } }, feeds = { "a", "n" } }
    held_events()
    for at = 1, 4 do
      f:rules("on=write do=EIO path=/a/\n"
        .. ("on=write do=kill path=/n.journal from=%d"):format(at))
      h.write(s.path, policy(with))
      pcall(s.reload, s)
      if f:made() == 0 then break end
      h.reap(s.pid, 10)
      s.pid = nil
      f:rules "on=write do=EIO path=/a/"
      h.write(s.path, policy(A))
      s:start()
      post(1)
    end
    f:rules()
    h.write(s.path, policy(with))
    assert.equal(200, s:reload().status)
    post(1)
    none_odd "a"
    none_odd("n", n, n)
    never("n", 1, n - 1)
  end)

  it("is owed what it had by a start that can't list the journals at first", function()
    start { sinks = { { "a" }, { "n" } }, feeds = { "a", "n" } }
    f:rules "on=write do=EIO path=/n/"
    post(2)
    s:stop "SIGKILL"
    h.write(s.path, policy(A))
    f:rules "on=list do=EIO path=/spool/sinks"
    s:start(true)
    h.wait_for("the end of the start", function() return s:ended() end, 10)
    s:logged "event=start why=.*spool/sinks: Input/output error"
    f:rules()
    s:start()
    none_odd("n", 1, 2)
    none_odd "a"
    none_retires()
  end)

  -- SLUICE_STEPS=all: each call that changes something, one by one.
  for _, new in ipairs { false, true } do
    it("is taken out or new over kill -9 at any step, with the "
      .. (new and "new" or "old") .. " policy", function()
      local with = { sinks = { { "a" }, { "n" } }, feeds = { "a", "n" } }
      local all, at = os.getenv "SLUICE_STEPS" == "all", 1
      repeat
        local from, to = A, with
        local taken = at % 2 == 0
        if taken then from, to = with, A end
        at = at + (all and 1 or 5)
        start(from)
        post(2)
        s:deliver()
        f:rules(("on=change do=kill thread=changer from=%d"):format(math.floor(at / 2)))
        h.write(s.path, policy(to))
        pcall(s.reload, s)
        -- Its end comes behind the answer.
        if taken then pcall(none_retires) end
        local killed = f:made() > 0
        f:rules()
        if killed then
          h.reap(s.pid, 10)
          s.pid = nil
        else
          s:stop()
        end
        h.write(s.path, policy(new and to or from))
        s:start()
        post(1)
        h.write(s.path, policy(with))
        assert.equal(200, s:reload().status)
        post(1)
        none_odd "a"
        none_odd("n", n, n)
        -- It never had what was there before it.
        local o = odd("n", 1, n)
        assert.is_nil(o:find ":[2-9]", at .. ": " .. o)
        if not taken then assert.matches("1:0 2:0", o, 1, true) end
        assert.equal(0, s:stop())
        s:close()
        s, n = nil, 0
        f:close()
        f = nil
      until not killed
      assert.is_true(at > 10)
    end)
  end
end)
