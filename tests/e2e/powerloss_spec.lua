local h = require "harness"

-- 10 rounds each; SLUICE_ROUNDS for a longer campaign. Needs root and loop
-- devices.
--
-- A cut takes the machine as a whole: the process ends first, then the file system
-- is shut down. While it ran on, one fdatasync under way during the shutdown could
-- answer 0 for what ext4 then dropped, and its 2xx went out after the "power" had
-- gone.
local ROUNDS = tonumber(os.getenv("SLUICE_ROUNDS")) or 10

local function can_mount()
  return h.shell("id -u"):match("^0") and
      h.shell("losetup -f"):match("^/dev/loop") ~= nil
end

local kinds = {
  ext4 = "mkfs.ext4 -q -F '%s'",
  xfs = "mkfs.xfs -q -f '%s'",
}

local function mount(dir, kind)
  local image = dir .. "/image"
  h.shell(("truncate -s 700M '%s'"):format(image))
  h.shell(kinds[kind]:format(image))
  h.shell(("mkdir -p '%s/mnt'"):format(dir))
  local out = h.shell(("mount -o loop '%s' '%s/mnt'"):format(image, dir))
  return h.shell("mount"):find(dir .. "/mnt", 1, true) ~= nil, out
end

local function again(dir)
  h.shell(("umount '%s/mnt'; mount -o loop '%s/image' '%s/mnt'"):format(dir, dir,
    dir))
end

-- slow: each fdatasync lingers, so that blocks are written, and segments end, while
-- one is under way.
for _, row in ipairs { { "ext4", "synced" }, { "ext4", "synced", true },
    { "ext4", "written" }, { "xfs", "synced" }, { "xfs", "written" } } do
  local kind, ack, slow = row[1], row[2], row[3]
  describe(("power loss on %s, ack = \"%s\"%s"):format(kind, ack,
    slow and ", slow syncs" or ""), function()
    local dir, s
    teardown(function()
      if s and s.pid then s:stop("SIGKILL") end
      if dir then
        h.shell(("umount '%s/mnt'"):format(dir))
        h.remove(dir)
      end
    end)

    it(ack == "synced" and "loses no acknowledged event"
      or "never puts a later event in the place of a lost one", function()
      if not can_mount() then
        pending("needs root and a loop device")
        return
      end
      dir = h.folder()
      assert(mount(dir, kind))
      local acks, next_event = dir .. "/acks", 1
      math.randomseed(#kind + #ack)
      -- Small segments, so that each round crosses several; slow: every few blocks.
      s = h.server { dir = dir, data = dir .. "/mnt/data",
        policy = h.policy { ack = ack, server = [[max_body = "1MiB"]],
          spool = [[segment = "4MiB", max_bytes = "192MiB"]],
          file = [[rotate = { bytes = "8MiB" }, compress = "zstd"]] } }
      local rounds = ack == "synced" and not slow and ROUNDS
        or math.ceil(ROUNDS / 2)
      for _ = 1, rounds do
        local l = h.load(s.port, { batch = slow and 1000 or 100,
          connections = slow and 32 or 16, seconds = 30, first = next_event,
          acks = acks, patient = true })
        local stop = slow and s:inject("fdatasync:delay_exit=10000")
        h.sleep(0.3 + math.random() * 0.7)
        s:stop("SIGKILL")
        h.shell(("xfs_io -x -c shutdown '%s/mnt'"):format(dir))
        if stop then stop() end
        next_event = h.load_stop(l).next
        again(dir)
        s:start()
      end
      s:deliver()
      assert.equal(0, s:stop())
      local v = h.verify(acks, s:collect())
      print(("# power loss %s %s%s: %s"):format(kind, ack,
        slow and " slow" or "", v.text))
      assert.is_true(v.acked > 1000)
      assert.same({ 0, 0 }, { v.twice, v.torn })
      if ack == "synced" then assert.equal(0, v.missing) end
    end)
  end)
end
