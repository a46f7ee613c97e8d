local h = require "harness"

-- 10 rounds each; SLUICE_ROUNDS for a longer campaign. Needs root and loop
-- devices.
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

for _, kind in ipairs { "ext4", "xfs" } do
  for _, ack in ipairs { "synced", "written" } do
    describe(("power loss on %s, ack = \"%s\""):format(kind, ack), function()
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
        -- Segments of 4 MiB, so that each round crosses several.
        s = h.server { dir = dir, data = dir .. "/mnt/data",
          policy = h.policy { ack = ack, server = [[max_body = "1MiB"]],
            spool = [[segment = "4MiB", max_bytes = "192MiB"]],
            file = [[rotate = { bytes = "8MiB" }, compress = "zstd"]] } }
        local rounds = ack == "synced" and ROUNDS or math.ceil(ROUNDS / 3)
        for _ = 1, rounds do
          local l = h.load(s.port, { batch = 100, connections = 16,
            seconds = 30, first = next_event, acks = acks, patient = true })
          h.sleep(0.3 + math.random() * 0.7)
          h.shell(("xfs_io -x -c shutdown '%s/mnt'"):format(dir))
          h.sleep(0.1)
          s:stop("SIGKILL")
          next_event = h.load_stop(l).next
          again(dir)
          s:start()
        end
        assert.equal(0, s:stop())
        local v = h.verify(acks, s:collect())
        print(("# power loss %s %s: %s"):format(kind, ack, v.text))
        assert.is_true(v.acked > 1000)
        assert.same({ 0, 0 }, { v.twice, v.torn })
        if ack == "synced" then assert.equal(0, v.missing) end
      end)
    end)
  end
end
