-- A sink that another policy has by another name: it goes on, whatever ends in between.
local cjson = require "cjson"
local faults = require "faults"
local h = require "harness"
local numbered = require "numbered"

local function policy(name, was)
  return ([[
server { listen = "127.0.0.1:0", workers = 1, drain = "500ms" }
admin { listen = "127.0.0.1:0" }
file %q { dir = "out", linger = "5ms", %s }
stream "events" { sinks = { %q } }
route "POST /v1/events" { body = "event", stream = "events" }
]]):format(name, was and ("was = %q"):format(was) or "", name)
end

local OLD, NEW = policy "a", policy("c", "a")
-- Its sink c starts, and d does not.
local REFUSED = NEW:gsub("\nstream", [[

file "d" { dir = "/proc/none", was = "z" }%0]]):gsub("sinks = {", [[%0 "d",]])

describe("a sink that gets another name", function()
  local f, s
  before_each(function()
    local dir = h.folder()
    f = faults.new(dir .. "/data")
    s = h.server { dir = dir, wrap = f:wrap(), policy = OLD }
  end)
  after_each(function()
    f:rules()
    s:close()
    f:close()
  end)

  local function post(count) numbered.post(s, count) end
  local function reload(text) numbered.reload(s, text) end

  ---How often each number is in the folder, where that is not once.
  local function odd()
    local seen, list = {}, {}
    for line in h.shell(("cat '%s/out/'*.ndjson* 2>/dev/null"):format(s.data))
      :gmatch("[^\n]+") do
      local i = tonumber(line:match('"n":(%d+)'))
      seen[i] = (seen[i] or 0) + 1
    end
    for i = 1, s.posted do
      if seen[i] ~= 1 then list[#list + 1] = ("%d:%d"):format(i, seen[i] or 0) end
    end
    return table.concat(list, " ")
  end

  local function none_odd(what)
    local deadline = h.now() + 10
    repeat
      local o = odd()
      if o == "" then return end
      if h.now() > deadline or o:find(":[2-9]") then
        assert.equal("", (what or "") .. " " .. o)
      end
      h.sleep(0.01)
    until false
  end

  it("has its journal also when the disk does not say at once that it is there", function()
    f:rules "on=write do=EIO path=/out/"
    post(3)
    for _, name in ipairs { "a", "c" } do
      s:stop "SIGKILL"
      h.write(s.path, NEW)
      f:rules(("on=stat do=EIO path=/%s.journal"):format(name))
      s:start(true)
      h.wait_for("the end of the start", function() return s:ended() end, 10)
      assert.matches(([[the journal of the sink \"%s\": Input/output error]]):format(name),
        s:text(), 1, true)
      f:rules()
      h.write(s.path, OLD)
      s:start()
    end
    s:stop "SIGKILL"
    h.write(s.path, NEW)
    s:start()
    post(1)
    none_odd()
  end)

  it("sends nothing twice of segments that the disk does not delete", function()
    post(3)
    s:deliver()
    s:stop "SIGKILL"
    f:rules "on=unlink do=EIO path=/spool/events/"
    s:start()
    post(1)
    h.wait_for("a segment that no sink needs", function() return f:made() > 0 end, 10)
    reload(NEW)
    post(1)
    s:deliver()
    s:stop "SIGKILL"
    f:rules()
    s:start()
    post(1)
    none_odd()
  end)

  it("and then its own back sends nothing twice", function()
    post(3)
    s:deliver()
    reload(NEW)
    post(2)
    s:deliver()
    assert.equal(0, s:stop())
    h.write(s.path, OLD)
    s:start()
    post(2)
    none_odd()
    assert.equal(0, s:stop())
    assert.matches("a file %x+ 1\n$", h.read(s.data .. "/spool/sinks/KEPT"))
  end)

  -- SLUICE_STEPS=all: each call that changes something, one by one.
  for name, text in pairs { old = OLD, new = NEW } do
    it("is there once after kill -9 at any step, with the " .. name .. " policy",
    function()
      local all, at = os.getenv "SLUICE_STEPS" == "all", 0
      repeat
        at = at + (all and 1 or 6)
        post(2)
        s:deliver()
        post(1)
        f:rules(("on=change do=kill thread=changer from=%d"):format(at))
        h.write(s.path, NEW)
        pcall(s.reload, s)
        local killed = f:made() > 0
        f:rules()
        if killed then
          h.reap(s.pid, 10)
          s.pid = nil
        else
          s:stop()
        end
        h.write(s.path, text)
        s:start()
        post(1)
        none_odd("step " .. at)
        assert.equal(0, s:stop())
        s.posted = 0
        h.remove(s.data)
        h.write(s.path, OLD)
        f:reset()
        s:start()
      until not killed
      assert.is_true(at > (all and 20 or 12))
    end)
  end

  it("is held while its journal can't come back from a policy that was refused",
  function()
    post(2)
    s:deliver()
    -- The new name's sink starts, another one does not, and the way back fails.
    f:rules "on=rename do=EROFS path=/a.journal thread=changer"
    h.write(s.path, REFUSED)
    local a = s:reload()
    assert.equal(500, a.status)
    assert.matches([[sink \"d\"]], a.body, 1, true)
    s:logged([[sink=a status=holding why=.*can't take over the journal .*Read%-only]])
    post(2)
    h.wait_for("what waits to be shown", function()
      local x = cjson.decode(s:get("/status").body).sinks[1]
      return x.name == "a" and x.holding and x.left_events == 2 and
        x.why:find("can't take over the journal", 1, true)
    end)
    assert.equal(500, s:reload().status)
    f:rules()
    s:logged "sink=a status=delivering"
    post(1)
    none_odd()
    assert.equal(0, s:stop())
    assert.matches("^a file %x+ 1\n$", h.read(s.data .. "/spool/sinks/KEPT"))
  end)

  it("takes the first reload after the disk is well again", function()
    post(2)
    s:deliver()
    f:rules "on=rename do=EROFS path=/a.journal thread=changer"
    h.write(s.path, REFUSED)
    assert.equal(500, s:reload().status)
    s:logged "sink=a status=holding why=.*can't take over"
    f:rules() -- the next look at held sinks may be a second away
    reload(NEW)
    post(1)
    none_odd()
    assert.equal(0, s:stop())
  end)

  it("keeps its place when it can neither start again nor note where it is", function()
    post(2)
    s:deliver()
    f:rules "on=open,create,stat do=EROFS path=/a.journal thread=changer"
    h.write(s.path, REFUSED)
    assert.equal(500, s:reload().status)
    post(2)
    local x = cjson.decode(s:get("/status").body).sinks[1]
    assert.equal("a", x.name)
    assert.is_true(x.holding)
    f:rules()
    s:logged "sink=a status=delivering"
    none_odd()
    assert.equal(0, s:stop())
  end)

  it("is held over kill -9 as well, and its journal comes back then", function()
    post(2)
    s:deliver()
    f:rules "on=rename do=EROFS path=/a.journal thread=changer"
    h.write(s.path, REFUSED)
    assert.equal(500, s:reload().status)
    s:logged "sink=a status=holding"
    post(2)
    s:stop "SIGKILL"
    f:rules()
    h.write(s.path, OLD)
    s:start()
    post(1)
    none_odd()
    assert.equal(0, s:stop())
  end)
end)
