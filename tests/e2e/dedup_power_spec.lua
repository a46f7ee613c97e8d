-- What dedup remembers over power cuts, as powerloss_spec.lua makes them: the server is
-- killed and its file system shut down. One round each; SLUICE_ROUNDS=N for a longer
-- campaign. Needs root and loop devices.
local h = require "harness"

local ROUNDS = tonumber(os.getenv("SLUICE_ROUNDS")) or 1

local function can_mount()
  return h.shell("id -u"):match("^0") and
      h.shell("losetup -f"):match("^/dev/loop") ~= nil
end

local make = { ext4 = "mkfs.ext4 -q -F '%s'", xfs = "mkfs.xfs -q -f '%s'" }

for _, row in ipairs { { "ext4", "synced" }, { "ext4", "written" }, { "xfs", "synced" } } do
  local kind, ack = row[1], row[2]
  describe(("dedup with persist over power cuts on %s, ack = \"%s\""):format(kind, ack),
    function()
    local dir, s
    teardown(function()
      if s and s.pid then s:stop("SIGKILL") end
      if dir then
        h.shell(("umount '%s/mnt'"):format(dir))
        h.remove(dir)
      end
    end)

    -- One request of the ids; whether it was acknowledged.
    local function send(ids)
      local list = {}
      for i, id in ipairs(ids) do list[i] = ('{"event_id":"e%d"}'):format(id) end
      local ok, a = pcall(s.post, s, "/v1/events/batch", "[" .. table.concat(list, ",") .. "]")
      return ok and a and a.status == 202, ok and a
    end

    local function mount(image)
      h.shell(("mount -o loop '%s' '%s/mnt'"):format(image, dir))
      assert(h.shell("mount"):find(dir .. "/mnt", 1, true))
    end

    it(ack == "synced" and "stores each id once, whatever is sent again"
      or "takes no id for seen whose event was lost", function()
      if not can_mount() then pending("needs root and a loop device") return end
      dir = h.folder()
      local image, open, last = dir .. "/image", {}, 0
      h.shell(("truncate -s 400M '%s' && mkdir '%s/mnt'"):format(image, dir))
      h.shell(make[kind]:format(image))
      mount(image)
      s = h.server { dir = dir, data = dir .. "/mnt/data", policy = h.policy { ack = ack,
        workers = 2, server = [[max_body = "1MiB"]],
        spool = [[segment = "4MiB", max_bytes = "96MiB"]],
        stream = 'dedup = { key = "event_id", window = "30d", persist = true }' } }
      for _ = 1, ROUNDS do
        local killer, batches = nil, 0
        repeat
          local batch = {}
          for id in pairs(open) do if #batch < 20 then batch[#batch + 1] = id end end
          while #batch < 60 do
            last = last + 1
            open[last] = true
            batch[#batch + 1] = last
          end
          local acked, answered = send(batch)
          if acked then for _, id in ipairs(batch) do open[id] = nil end end
          batches = batches + 1
          if batches == 20 then
            killer = h.spawn({ "sh", "-c", ("sleep 0.%02d; kill -9 %d"):format(
              math.random(0, 30), s.real_pid) }, s.dir .. "/killer")
          end
        until not answered
        h.reap(killer)
        h.reap(s.pid)
        s.pid = nil
        h.shell(("xfs_io -x -c shutdown '%s/mnt'; umount '%s/mnt'"):format(dir, dir))
        mount(image)
        s:start()
      end
      for from = 1, last, 500 do -- all of them, also those that were acknowledged
        local ids = {}
        for id = from, math.min(from + 499, last) do ids[#ids + 1] = id end
        -- Each start leaves segments behind, until their keys are saved.
        h.wait_for("room in the spool", function() return (send(ids)) end, 60)
      end
      s:deliver()
      assert.equal(0, s:stop())
      local n, missing, twice = {}, 0, 0
      for _, line in ipairs(s:lines()) do
        local id = tonumber(line:match('"event_id":"e(%d+)"'))
        n[id] = (n[id] or 0) + 1
      end
      for id = 1, last do
        missing = missing + (n[id] and 0 or 1)
        twice = twice + ((n[id] or 0) > 1 and 1 or 0)
      end
      print(("# dedup over %d power cuts, %s %s: ids=%d missing=%d twice=%d"):format(ROUNDS,
        kind, ack, last, missing, twice))
      assert.is_true(last > 500)
      assert.equal(0, missing)
      if ack == "synced" then assert.equal(0, twice) end
    end)
  end)
end
