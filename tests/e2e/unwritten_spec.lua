-- Blocks that the disk refuses in a segment that was prepared when it was well.
local faults = require "faults"
local h = require "harness"

local EVENT = [[{"event_id":"%d"}]]

describe("a disk that takes no block any more", function()
  local dir, f, s, sent

  before_each(function()
    dir, sent = h.folder(), 0
    f = faults.new(dir .. "/data")
    s = h.server { dir = dir, wrap = f:wrap(), policy = h.policy { workers = 1 } }
  end)
  after_each(function()
    s:close()
    f:close()
  end)

  -- The answer's status; of events that were accepted each has another number.
  local function post()
    local status = s:post("/v1/events", EVENT:format(sent + 1)).status
    sent = sent + (status == 202 and 1 or 0)
    return status
  end

  local function ready() return s:get("/readyz").status end

  local function await_ready(status)
    h.wait_for("/readyz to say " .. status, function() return ready() == status end, 20)
  end

  it("is told, and /readyz and status say why; it is tried again without clients", function()
    assert.equal(202, post())
    assert.equal(200, ready())
    f:rules("on=write,sync,create do=EROFS path=/events/")
    assert.equal(503, post())
    s:logged('status=unwritable stream=events why=".*Read%-only file system')
    await_ready(503)
    local out = h.shell(("%s status --admin 127.0.0.1:%d --during 20ms 2>&1; true"):format(
      h.binary, s.admin))
    assert.matches("WRONG  the spool can't be written: clients get 503; .*Read%-only file system",
      out)
    -- As long as it lasts, however long no client comes.
    local made = f:made()
    h.wait_for("two tries of the disk", function() return f:made() >= made + 2 end, 20)
    assert.equal(503, ready())
    f:rules()
    await_ready(200)
    s:logged("status=writable stream=events")
    assert.equal(202, post())
    s:deliver()
    assert.equal(0, s:stop())
    assert.equal(2, #s:lines())
  end)

  it("is well again with the first block that it takes", function()
    assert.equal(202, post())
    f:rules("on=write do=EIO path=0000000001.seg times=2")
    assert.equal(503, post())
    s:logged("status=unwritable stream=events")
    assert.equal(503, post())
    local began = h.now()
    assert.equal(202, post())
    s:logged("status=writable stream=events")
    await_ready(200)
    assert.is_true(h.now() - began < 4) -- else it waits before it tries by itself
  end)

  it("in no segment leaves one of them, and goes on where it was once it takes blocks", function()
    if not h.shell("id -u"):match "^0" then pending "needs root" return end
    for _ = 1, 3 do assert.equal(202, post()) end
    local stop = s:inject "pwritev:error=EIO" -- first pages are written by another call
    for _ = 1, 30 do assert.equal(503, post()) end
    s:logged "status=unwritable stream=events"
    stop()
    assert.equal(202, post())
    local _, n = h.shell(("%s inspect '%s'"):format(h.binary, s.data))
      :gsub("stream=events [^\n]*status=used", "")
    assert.is_true(n <= 2, n .. " segments are in use")
    s:deliver()
    assert.equal(0, s:stop())
    assert.equal(4, #s:lines())
  end)

  it("in one segment goes on in the next one, and every promised event arrives once", function()
    for _ = 1, 3 do assert.equal(202, post()) end
    f:rules("on=write do=EIO path=0000000001.seg")
    for _ = 1, 3 do assert.equal(503, post()) end
    h.wait_for("the next segment", function() return post() == 202 end)
    assert.equal(202, post())
    assert.is_true(f:made() >= 3)
    assert.equal(0, s:stop())
    f:rules()
    s:start()
    assert.equal(202, post())
    s:deliver()
    assert.equal(0, s:stop())
    local lines = s:lines()
    table.sort(lines)
    assert.equal(6, sent)
    assert.same({ EVENT:format(1), EVENT:format(2), EVENT:format(3), EVENT:format(4),
      EVENT:format(5), EVENT:format(6) }, lines)
  end)
end)
