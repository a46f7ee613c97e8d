local faults = require "faults"
local h = require "harness"

local function root() return h.shell("id -u"):match("^0") end

local function synced(extra)
  return h.policy { workers = 1, ack = "synced", file = extra,
    spool = [[segment = "16MiB", max_bytes = "512MiB"]] }
end

local function posts(s)
  local a = s:post("/v1/events", [[{"event_id":"probe"}]])
  return a and a.status
end

describe("an fdatasync that fails", function()
  local s
  after_each(function() if s then s:close() s = nil end end)

  it("once: nothing is promised that was not stored, and all goes on by itself",
  function()
    if not root() then pending("needs root") return end
    s = h.server { policy = synced() }
    local acks = s.dir .. "/acks"
    local l = h.load(s.port, { batch = 10, connections = 8, seconds = 6,
      acks = acks })
    h.sleep(1)
    local stop = s:inject("fdatasync:error=EIO:when=3")
    s:logged("status=unwritable", 20)
    stop()
    s:logged("status=writable", 20)
    local f = h.load_wait(l)
    print("# fdatasync once: " .. f.text)
    assert.is_true(f.full > 0)
    assert.same({ 0, 0 }, { f.other, f.broken })
    assert.equal(1, s:metric("sluice_spool_segments_total",
      'stream="events",op="poisoned"'))
    s:deliver()
    assert.equal(0, s:stop())
    local v = h.verify(acks, s:collect())
    print("# fdatasync once: " .. v.text)
    assert.same({ 0, 0, 0 }, { v.missing, v.twice, v.torn })
  end)

  it("for good: no 2xx while it lasts, /readyz says no; then all goes on",
  function()
    if not root() then pending("needs root") return end
    s = h.server { policy = synced() }
    local acks = s.dir .. "/acks"
    local before = h.load_wait(h.load(s.port, { batch = 10, connections = 8,
      seconds = 1, acks = acks }))
    local stop = s:inject("fdatasync:error=EIO")
    local during = h.load_wait(h.load(s.port, { batch = 10, connections = 8,
      seconds = 3, first = before.next, acks = acks }))
    print("# fdatasync for good: " .. during.text)
    assert.equal(0, during.ok)
    assert.is_true(during.full > 0)
    assert.equal(503, s:get("/readyz").status)
    local body
    local told = pcall(h.wait_for, "the reason", function()
      local a = s:post("/v1/events", [[{"event_id":"no"}]])
      assert.equal(503, a.status)
      body = a.body
      return body:find("spool_unwritable", 1, true)
    end)
    assert.is_true(told, body)
    stop()
    s:logged("status=writable", 20)
    local after = h.load_wait(h.load(s.port, { batch = 10, connections = 8,
      seconds = 1, first = during.next, acks = acks }))
    assert.is_true(after.ok > 0)
    assert.equal(200, s:get("/readyz").status)
    s:deliver()
    assert.equal(0, s:stop())
    local v = h.verify(acks, s:collect())
    print("# fdatasync for good: " .. v.text)
    assert.same({ 0, 0, 0 }, { v.missing, v.twice, v.torn })
  end)
end)

describe("an fdatasync that lingers", function()
  local s
  after_each(function() if s then s:close() s = nil end end)

  -- While a segment is being synced in vain, its rest is written, and the next one
  -- begins: events that the first lost must not count as synced with the next.
  it("and fails: what its segment got meanwhile is not promised either", function()
    if not root() then pending("needs root") return end
    s = h.server { policy = h.policy { workers = 1, ack = "synced",
      server = [[max_body = "1MiB"]],
      spool = [[segment = "4MiB", max_bytes = "256MiB"]] } }
    local acks = s.dir .. "/acks"
    local l = h.load(s.port, { batch = 1000, connections = 64, seconds = 60,
      acks = acks, patient = true })
    for _ = 1, 3 do
      h.sleep(0.3)
      local from = #s:text() + 1
      local stop = s:inject("fdatasync:delay_enter=400000:error=EIO")
      h.wait_for("a failure", function()
        return s:text():find("status=unwritable", from, true)
      end)
      stop()
      h.wait_for("its end", function()
        return s:text():find("status=writable", from, true)
      end)
    end
    local f = h.load_stop(l)
    print("# fdatasync late: " .. f.text)
    s:deliver()
    assert.equal(0, s:stop())
    local v = h.verify(acks, s:collect())
    print("# fdatasync late: " .. v.text)
    assert.is_true(v.acked > 0)
    assert.same({ 0, 0, 0 }, { v.missing, v.twice, v.torn })
  end)

  it("over a reload to ack = \"written\": who waits is answered", function()
    if not root() then pending("needs root") return end
    s = h.server { policy = h.policy { workers = 1, ack = "synced" } }
    assert.equal(202, posts(s))
    local body, waiting = [[{"event_id":"waits"}]], {}
    -- Of the spool only: a reload is refused while a sink's own sync hangs for a second.
    local stop = s:inject("fdatasync:delay_enter=1000000", "housekeeping")
    for i = 1, 3 do
      local c = h.connect(s.port)
      c:send(("POST /v1/events HTTP/1.1\r\nHost: x\r\nContent-Type: "
        .. "application/json\r\nContent-Length: %d\r\n\r\n%s"):format(#body, body))
      waiting[i] = c
      -- The first is being synced before the others come.
      h.sleep(0.2)
    end
    h.write(s.path, h.policy { workers = 1 })
    assert.equal(200, s:reload().status)
    stop()
    for i = 1, 3 do
      local a = assert(h.answer(waiting[i]))
      assert.equal(202, a.status)
      waiting[i]:close()
    end
    s:deliver()
    assert.equal(0, s:stop())
    assert.equal(4, #s:lines())
  end)
end)

describe("a write that fails", function()
  it("gives its requests 503 and leaves no trace", function()
    if not root() then pending("needs root") return end
    local s = h.server { policy = h.policy { workers = 1 } }
    assert.equal(202, posts(s))
    local stop = s:inject("pwritev:error=EIO:when=1")
    local a = s:post("/v1/events", [[{"event_id":"no"}]])
    stop()
    assert.equal(503, a.status)
    assert.matches("storage_failed", a.body)
    assert.equal(202, posts(s))
    assert.equal(0, s:stop())
    assert.same({ [[{"event_id":"probe"}]], [[{"event_id":"probe"}]] },
      s:lines())
    s:close()
  end)
end)

describe("the first page of a segment that can't be written", function()
  it("is written again, also when another one was prepared meanwhile", function()
    if not root() then pending("needs root") return end
    local s = h.server { policy = h.policy { workers = 1, ack = "synced",
      server = [[max_body = "1MiB"]],
      spool = [[segment = "4MiB", max_bytes = "128MiB"]] } }
    -- Two of these fill a segment.
    local line, n = ('{"a":"%s"}'):format(("x"):rep(1000000)), 0
    local function post()
      local status = s:post("/v1/events", line).status
      n = n + (status == 202 and 1 or 0)
      return status
    end
    for _ = 1, 2 do
      local stop = s:inject("pwrite64:error=EIO:delay_enter=700000:when=1",
        "worker 0")
      h.wait_for("503", function() return post() == 503 end)
      stop()
      h.wait_for("202", function() return post() == 202 end)
    end
    for _ = 1, 20 do h.wait_for("202", function() return post() == 202 end) end
    s:deliver()
    assert.equal(0, s:stop())
    assert.equal(n, #s:lines())
    s:close()
  end)
end)

describe("a journal that can't be synced", function()
  it("is written anew, also when nothing comes any more", function()
    if not root() then pending("needs root") return end
    local s = h.server { policy = h.policy { workers = 1,
      file = [[rotate = { age = "1s" }]] } }
    assert.equal(202, posts(s))
    s:deliver()
    -- The file's own sync, then the journal's.
    local stop = s:inject("fdatasync:error=EIO:when=2", "archive")
    h.wait_for("the file to get its name", function()
      return #s:lines() == 1
    end)
    stop()
    assert.equal(0, s:metric("sluice_sink_holding"))
    assert.equal(0, s:stop())
    assert.equal(1, #s:lines())
    s:close()
  end)
end)

describe("a read that fails", function()
  it("is tried again: no event is given up for it", function()
    if not root() then pending("needs root") return end
    local s = h.server { policy = h.policy { workers = 1 } }
    local acks = s.dir .. "/acks"
    local l = h.load(s.port, { batch = 100, connections = 4, seconds = 3,
      rate = 100, acks = acks })
    h.sleep(0.5)
    local stop = s:inject("pread64:error=EIO")
    s:logged("status=unreadable")
    h.sleep(0.5)
    stop()
    h.load_wait(l)
    s:deliver()
    assert.equal(0, s:stop())
    local v = h.verify(acks, s:collect())
    print("# unreadable for a while: " .. v.text)
    assert.is_true(v.acked > 1000)
    assert.same({ 0, 0, 0 }, { v.missing, v.twice, v.torn })
    s:close()
  end)
end)

describe("a disk without room", function()
  local dir, s
  teardown(function()
    if s and s.pid then s:stop("SIGKILL") end
    if dir then
      h.shell(("umount '%s/mnt'; umount '%s/store'"):format(dir, dir))
      h.remove(dir)
    end
  end)

  it("below the file system: 503 while it lasts, then all goes on", function()
    if not root() or not h.shell("losetup -f"):match("^/dev/loop") then
      pending("needs root and a loop device")
      return
    end
    dir = h.folder()
    -- The file system's own blocks and its journal have room: without it the kernel
    -- would make it read-only for good, sooner or later.
    h.shell(([[cd '%s' && mkdir store mnt &&
      mount -t tmpfs -o size=120m tmpfs store && truncate -s 600M store/image &&
      mkfs.ext4 -q -F -b 4096 -N 1000 -J size=4 -E nodiscard store/image &&
      set -- $(debugfs -R 'blocks <8>' store/image 2>/dev/null) && first=$1 &&
      shift $(($# - 1)) && fallocate -l 8MiB store/image &&
      fallocate -o $((first * 4096)) -l $((($1 - first + 1) * 4096)) store/image &&
      mount -o loop store/image mnt]]):format(dir))
    -- The spool lies on it; the archive does not, and is held back so that the
    -- spool fills the device.
    s = h.server { dir = dir, data = dir .. "/mnt/data",
      policy = (synced():gsub('dir = "archive"',
        ('dir = "%s/archive"'):format(dir))) }
    h.block(dir .. "/archive", dir .. "/gone")
    local acks = dir .. "/acks"
    local l = h.load(s.port, { batch = 50, connections = 8, seconds = 120,
      acks = acks })
    s:logged("status=unwritable", 90)
    -- What is left of the segment in use may last a while.
    h.wait_for("503", function() return posts(s) == 503 end, 60)
    h.shell(("rm '%s/archive'; mv '%s/gone' '%s/archive'"):format(dir, dir, dir))
    h.shell(("mount -o remount,size=600m '%s/store'"):format(dir))
    s:logged("status=writable", 30)
    local f = h.load_stop(l)
    print("# no room below: " .. f.text)
    h.wait_for("202", function() return posts(s) == 202 end, 20)
    s:stop("SIGKILL")
    h.shell(("sync; echo 3 > /proc/sys/vm/drop_caches; umount '%s/mnt'; "
      .. "mount -o loop '%s/store/image' '%s/mnt'"):format(dir, dir, dir))
    s:start()
    s:deliver()
    assert.equal(0, s:stop())
    h.shell(("cat '%s/archive/'*.ndjson | grep -v probe > '%s/all'"):format(dir,
      dir))
    local v = h.verify(acks, dir .. "/all")
    print("# no room below: " .. v.text)
    assert.same({ 0, 0, 0 }, { v.missing, v.twice, v.torn })
  end)
end)

describe("a request whose events go to twelve synced streams", function()
  it("is stored in all of them, or gets 503 while one of them can't be synced", function()
    local dir, top = h.folder(), {}
    local f = faults.new(dir)
    for i = 1, 11 do
      top[i] = ('stream "s%d" { ack = "synced", sinks = { "archive" } }'):format(i)
    end
    local s = h.server { dir = dir, wrap = f:wrap(), policy = h.policy { workers = 1,
      ack = "synced", server = [[max_body = "1MiB"]],
      spool = [[segment = "4MiB", max_bytes = "1GiB"]],
      top = table.concat(top, "\n"), route = "on_event = function(ev) return to(ev.to) end" } }
    local list = { '{"to":"events"}' }
    for i = 1, 11 do list[i + 1] = ('{"to":"s%d"}'):format(i) end
    local body = "[" .. table.concat(list, ",") .. "]"
    assert.equal(202, s:post("/v1/events/batch", body).status)
    f:rules "on=sync do=EIO path=/spool/s11/"
    local a = s:post("/v1/events/batch", body)
    assert.same({ 503, true }, { a.status, a.body:find("storage_failed", 1, true) ~= nil })
    f:rules()
    s:logged("status=writable", 20)
    h.wait_for("the batch to be taken", function()
      return s:post("/v1/events/batch", body).status == 202
    end)
    s:deliver()
    assert.equal(0, s:stop())
    local n = {}
    for _, line in ipairs(s:lines()) do n[line] = (n[line] or 0) + 1 end
    for i, line in ipairs(list) do assert.is_true(n[line] >= (i == 12 and 2 or 3)) end
    s:close()
    f:close()
  end)
end)
