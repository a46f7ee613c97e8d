local faults = require "faults"
local h = require "harness"

local EVENT = [[{"event_id":"%d"}]]

local function post(s, n)
  for i = 1, n do
    assert.equal(202, s:post("/v1/events", EVENT:format(i)).status)
  end
end

-- Events that no sink has: the archive can't write. The server is stopped.
local function backlog(s, f, n)
  f:rules("on=write,create do=EIO path=/archive/")
  post(s, n)
  assert.equal(0, s:stop())
end

describe("a disk that does not answer", function()
  local dir, f, s
  before_each(function()
    dir = h.folder()
    f = faults.new(dir .. "/data")
    s = h.server { dir = dir, wrap = f:wrap(), policy = h.policy { workers = 1,
      server = [[drain = "1s"]] } }
  end)
  after_each(function()
    s:close()
    f:close()
  end)

  for _, how in ipairs { "EIO", "EMFILE", "ENOMEM" } do
    it("at start (" .. how .. ") deletes nothing: it is asked again", function()
      backlog(s, f, 3)
      f:rules(("on=%s path=.seg do=%s"):format(how == "EMFILE" and "open" or "read",
        how))
      s:start()
      s:logged("event=shard_unreadable")
      post(s, 1)
      f:rules()
      s:logged("event=shard_readable")
      s:deliver()
      assert.equal(0, s:metric("sluice_sink_lost_events"))
      assert.equal(0, s:stop())
      assert.equal(4, #s:lines())
    end)
  end

  it("while a segment is read is asked again for as long as it takes", function()
    backlog(s, f, 3)
    f:rules("on=read path=.seg thread=archive do=EIO")
    s:start()
    s:logged("event=segment_unreadable")
    local made = f:made()
    h.wait_for("more tries", function() return f:made() >= made + 4 end)
    f:rules()
    s:deliver()
    assert.equal(0, s:stop())
    assert.equal(3, #s:lines())
  end)

  it("gives less than it was asked for, and no event is lost", function()
    backlog(s, f, 3)
    f:rules("on=read path=.seg do=short")
    s:start()
    s:deliver()
    assert.equal(0, s:stop())
    assert.equal(3, #s:lines())
  end)

  it("changes a byte: that block is lost, told, counted and kept", function()
    backlog(s, f, 5)
    local seg = h.shell(("ls '%s'/spool/events/*/*.seg"):format(s.data))
      :match("%S+")
    local text = h.read(seg)
    local at = assert(text:find('"event_id":"2"', 1, true))
    local spool, out = s.data .. "/spool", dir .. "/out"
    assert.matches("events=5 .*lost_events=0 [^\n]*\n0\n", h.shell(
      ("%s inspect --verify '%s'; echo $?"):format(h.binary, spool)))
    h.write(seg, text:sub(1, at) .. "X" .. text:sub(at + 2))
    assert.matches("events=4 .*lost_events=1 [^\n]*\n1\n", h.shell(
      ("%s inspect --verify '%s'; echo $?"):format(h.binary, spool)))
    assert.matches("lost_events=1 [^\n]*\n1\n", h.shell(
      ("%s inspect --salvage '%s' '%s'; echo $?"):format(h.binary, out, spool)))
    assert.equal(EVENT:format(1) .. "\n" .. EVENT:format(3) .. "\n"
      .. EVENT:format(4) .. "\n" .. EVENT:format(5) .. "\n",
      h.read(out .. "/events.ndjson"))
    f:rules()
    s:start()
    s:logged("event=block_damaged")
    s:logged("event=gap stream=events sink=archive shard=[%d.]+ first=%d+ events=1 status=lost")
    s:deliver()
    assert.equal(1, s:metric("sluice_spool_damaged_blocks_total"))
    assert.equal(1, s:metric("sluice_spool_damaged_events_total"))
    assert.equal(0, s:stop())
    assert.equal(4, #s:lines())
    assert.matches([["Xvent_id":"2"]], h.shell(("cat '%s'/spool/damaged/*"):format(s.data)))
  end)
end)

describe("more segments than descriptors", function()
  it("are no reason not to start, nor to stop taking events", function()
    local dir = h.folder()
    local f = faults.new(dir .. "/data")
    local wrap = f:wrap()
    table.insert(wrap, 1, "prlimit")
    table.insert(wrap, 2, "--nofile=100")
    local s = h.server { dir = dir, wrap = wrap, policy = h.policy { workers = 1,
      server = [[max_body = "1MiB", drain = "1s"]], linger = "1s",
      spool = [[segment = "4MiB", max_bytes = "2GiB"]] } }
    f:rules("on=write,create do=EIO path=/archive/")
    local line, n = ('{"a":"%s"}'):format(("x"):rep(1000000)), 0
    for _ = 1, 400 do
      h.wait_for("202", function()
        return s:post("/v1/events", line).status == 202
      end)
      n = n + 1
    end
    assert.is_true(tonumber(h.shell(("ls '%s'/spool/events/*/*.seg | wc -l")
      :format(s.data))) > 100)
    s:stop("SIGKILL")
    s:start()
    f:rules()
    s:deliver()
    assert.equal(0, s:stop())
    assert.equal(n, #s:lines())
    s:close()
    f:close()
  end)
end)

describe("a disk without a free byte", function()
  local dir, f, s
  teardown(function()
    if s and s.pid then s:stop("SIGKILL") end
    if f then f:close() end
    if dir then
      h.shell(("umount '%s/mnt'"):format(dir))
      h.remove(dir)
    end
  end)

  it("stops no start: what is there is delivered, and events are taken again when "
    .. "there is room", function()
    if not h.shell("id -u"):match("^0") then pending("needs root") return end
    dir = h.folder()
    h.shell(("mkdir '%s/mnt' && mount -t tmpfs -o size=64m tmpfs '%s/mnt'")
      :format(dir, dir))
    f = faults.new(dir)
    s = h.server { dir = dir, data = dir .. "/mnt/data", wrap = f:wrap(), policy = (h.policy {
      workers = 1, server = [[max_body = "1MiB", drain = "1s"]],
      spool = [[segment = "4MiB", max_bytes = "32MiB"]] }
      :gsub('dir = "archive"', ('dir = "%s/archive"'):format(dir))) }
    f:rules("on=write,create do=EIO path=/archive/")
    post(s, 3)
    s:stop("SIGKILL")
    h.shell(("head -c 100m /dev/zero > '%s/mnt/filler'"):format(dir))
    s:start()
    assert.equal(200, s:get("/healthz").status)
    f:rules()
    h.wait_for("the backlog in the archive", function()
      return h.shell(("cat '%s'/archive/* 2>&- | wc -l"):format(dir)) == "3\n"
    end)
    h.shell(("rm '%s/mnt/filler'"):format(dir))
    h.wait_for("202", function()
      return s:post("/v1/events", EVENT:format(5)).status == 202
    end)
    s:deliver()
    assert.equal(0, s:stop())
    assert.equal("4\n", h.shell(("cat '%s'/archive/*.ndjson | wc -l"):format(dir)))
  end)
end)

describe("a disk that prepares segments more slowly than events come", function()
  it("slows clients down, and refuses none", function()
    local dir = h.folder()
    local f = faults.new(dir .. "/data")
    local s = h.server { dir = dir, wrap = f:wrap(), policy = h.policy { workers = 1,
      spool = [[segment = "4MiB", max_bytes = "256MiB"]],
      server = [[max_body = "1MiB"]] } }
    finally(function()
      s:close()
      f:close()
    end)
    f:rules("on=create,alloc,rename do=delay ms=40 path=.seg thread=housekeeping")
    local event = ('{"x":"%s"}'):format(("x"):rep(1000000))
    for _ = 1, 30 do
      local a = s:post("/v1/events", event)
      assert.equal("202", a.status .. (a.status ~= 202 and a.body or ""))
    end
    assert.is_true(f:made() > 0)
    f:rules()
    s:deliver()
    assert.equal(0, s:stop())
    assert.equal(30, #s:lines())
  end)
end)

describe("a reload that adds a stream on a full disk", function()
  it("is refused and says why, what ran goes on, and the next SIGHUP with room works",
  function()
    local dir = h.folder()
    local f = faults.new(dir .. "/data")
    local before = h.policy { workers = 1 }
    local s = h.server { dir = dir, wrap = f:wrap(), policy = before }
    finally(function()
      s:close()
      f:close()
    end)
    h.write(s.path, before .. [[
stream "more" { sinks = { "archive" } }
route "POST /v1/more" { body = "event", stream = "more" }
]])
    f:rules("on=write,create,alloc,link do=ENOSPC")
    local a = s:reload()
    assert.equal(500, a.status, a.body)
    assert.matches("No space left on device", a.body)
    s:logged "event=policy[^\n]*No space left on device"
    assert.equal(404, s:post("/v1/more", "{}").status)
    assert.equal(1, s:metric("sluice_policy_generation"))
    f:rules()
    post(s, 1)
    s:signal "SIGHUP"
    h.wait_for("the new stream", function()
      return s:post("/v1/more", "{}").status == 202
    end)
    s:deliver()
    assert.equal(0, s:stop())
    assert.equal(2, #s:lines())
  end)
end)
