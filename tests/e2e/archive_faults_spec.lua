local h = require "harness"

local function root() return h.shell("id -u"):match("^0") end

local function names(s, folder)
  local list = {}
  for name in h.shell(("ls '%s/%s'"):format(s.data, folder or "archive"))
    :gmatch("[^\n]+") do
    list[#list + 1] = name
  end
  return list
end

---The one sealed file of a folder.
local function sealed(s)
  return h.wait_for("a finished file", function()
    for _, name in ipairs(names(s)) do
      if name:find("%.ndjson$") then return name end
    end
  end)
end

local function delivered(s, n)
  h.wait_for(n .. " delivered events", function()
    return s:metric("sluice_delivered_events_total") == n
  end)
end

local n = 0
local function post(s)
  n = n + 1
  local line = ([[{"n":%d}]]):format(n)
  assert.equal(202, s:post("/v1/events", line).status)
  return line
end

describe("a file sink", function()
  local s
  after_each(function() if s then s:close() s = nil end end)

  it("does not share the folder of a sink that still delivers", function()
    s = h.server { policy = h.policy { workers = 1 } }
    local first = post(s)
    delivered(s, 1)
    h.shell(("ln -s archive '%s/link'"):format(s.data))
    local policy = h.read(s.path)
    for _, dir in ipairs { "archive", "link" } do
      h.write(s.path, (policy:gsub('"archive"', '"other"')
        :gsub('dir = "other"', ('dir = %q'):format(dir))))
      local a = s:reload()
      assert.equal(500, a.status)
      assert.matches('belongs to the sink \\"archive\\"', a.body, 1, true)
    end
    local second = post(s)
    assert.equal(0, s:stop())
    assert.same({ first, second }, s:lines())
  end)

  it("leaves a file alone that has the name of its next one", function()
    s = h.server { policy = h.policy { workers = 1 } }
    local name = ("events-%s-00000001.ndjson.part"):format(
      h.read(s.data .. "/spool/UUID"):match("%x%x%x%x%x%x%x%x"))
    h.write(s.data .. "/archive/" .. name, "another's\n")
    local line = post(s)
    assert.equal(0, s:stop())
    assert.equal("another's\n", h.read(s.data .. "/archive/" .. name))
    assert.same({ line }, s:lines())
    s:start()
    assert.equal("another's\n", h.read(s.data .. "/archive/" .. name))
  end)

  it("leaves a finished file alone that has the name of its next one", function()
    s = h.server { policy = h.policy { workers = 1 } }
    local name = ("events-%s-00000001.ndjson"):format(
      h.read(s.data .. "/spool/UUID"):match("%x%x%x%x%x%x%x%x"))
    h.write(s.data .. "/archive/" .. name, "another's\n")
    local line = post(s)
    delivered(s, 1)
    assert.equal(0, s:stop())
    assert.equal("another's\n", h.read(s.data .. "/archive/" .. name))
    assert.equal(line .. "\n", h.read(s.data .. "/archive/" .. name:gsub("1%.nd", "2.nd")))
  end)

  ---The file that grows, which another program's file keeps from its name.
  local function name_taken()
    local part = h.shell(("ls '%s'/archive/*.part"):format(s.data)):match "[^\n]+"
    local final = part:gsub("%.part$", "")
    h.write(final, "another's\n")
    return part, final
  end

  it("says that a file's name is taken by then, lets it grow, and replaces no other", function()
    s = h.server { policy = h.policy { workers = 1, file = [[rotate = { bytes = "1KiB" }]] } }
    local line = post(s)
    delivered(s, 1)
    local part, final = name_taken()
    local large = ([[{"x":"%s"}]]):format(("x"):rep(1100)) -- the file has its size with it
    assert.equal(202, s:post("/v1/events", large).status)
    s:logged("level=warn event=archive sink=archive file=[^\n]*%.part status=not_finished "
      .. "why=[^\n]*another program made a file of that name; move it away")
    local last = post(s)
    delivered(s, 3)
    assert.equal(1, select(2, s:text():gsub("status=not_finished", "")))
    assert.equal("another's\n", h.read(final))
    assert(os.rename(final, s.data .. "/moved"))
    assert.equal(0, s:stop())
    assert.equal(table.concat({ line, large, last, "" }, "\n"), h.read(final))
    assert.is_nil(h.read(part))
  end)

  it("lets a file grow that can't be finished at its age, and tries ever less often", function()
    s = h.server { policy = h.policy { workers = 1, file = [[rotate = { age = "1s" }]] } }
    local lines = { post(s) }
    delivered(s, 1)
    local part, final = name_taken()
    s:logged "status=not_finished why=[^\n]*another program made a file of that name"
    for i = 2, 4 do
      lines[i] = post(s)
      delivered(s, i)
    end
    assert.equal(0, s:metric "sluice_sink_holding")
    local function tries() -- each is a record that names the file
      return select(2, h.read(s.data .. "/spool/sinks/archive.journal")
        :gsub((final:match("[^/]+$"):gsub("%p", "%%%0")), ""))
    end
    local before = tries()
    h.sleep(3) -- 15 looks at its age
    assert.is_true(tries() - before < 6)
    assert.equal(1, select(2, s:text():gsub("status=not_finished", "")))
    assert.equal("another's\n", h.read(final))
    h.write(s.path, (h.read(s.path):gsub("rotate =", 'compress = "gzip", %0')))
    assert.equal(200, s:reload().status)
    lines[5] = post(s) -- in the form of those before it
    delivered(s, 5)
    s:stop "SIGKILL"
    s:start()
    lines[6] = post(s)
    delivered(s, 1)
    assert(os.rename(final, s.data .. "/moved"))
    h.wait_for("its name", function() return not h.read(part) end, 8)
    assert.equal(0, s:stop())
    assert.equal(table.concat(lines, "\n") .. "\n", h.read(final))
  end)

  it("holds for a file that can't be finished in the folder before, until it is taken", function()
    s = h.server { policy = h.policy { workers = 1 } }
    local first = post(s)
    delivered(s, 1)
    local part, final = name_taken()
    h.write(s.path, (h.read(s.path):gsub('dir = "archive"', 'dir = "new"')))
    assert.equal(200, s:reload().status)
    local second = post(s)
    s:logged "sink=archive status=holding why=[^\n]*another program made a file of that name"
    assert(os.rename(part, s.data .. "/taken"))
    delivered(s, 2)
    assert.equal(0, s:stop())
    assert.equal("another's\n", h.read(final))
    assert.equal(first .. "\n", h.read(s.data .. "/taken"))
    assert.same({ second }, s:lines "new")
  end)

  it("uses no number again when a consumer takes every file", function()
    s = h.server { policy = h.policy { workers = 1,
      file = [[rotate = { age = "1s" }]] } }
    local seen = {}
    for i = 1, 4 do
      post(s)
      local name = sealed(s)
      assert.is_nil(seen[name], name)
      seen[name] = true
      assert(os.remove(s.data .. "/archive/" .. name))
      if i % 2 == 0 then
        -- Twice: the journal is written again at each start.
        for _ = 1, 2 do
          s:stop(i == 2 and "SIGKILL" or "SIGTERM")
          s:start()
        end
      end
    end
  end)

  local function other_dir(dir)
    h.write(s.path, (h.read(s.path):gsub('dir = "archive"',
      ("dir = %q"):format(dir))))
  end

  -- Twice: the first start has written the journal again by then.
  for kills = 1, 2 do
    it("finishes its file in the folder before, after kill -9: " .. kills, function()
      s = h.server { policy = h.policy { workers = 1 } }
      local first = { post(s), post(s) }
      delivered(s, 2)
      other_dir "new"
      for _ = 1, kills do
        s:stop "SIGKILL"
        s:start()
      end
      sealed(s)
      assert.same(first, s:lines())
      local second = post(s)
      assert.equal(0, s:stop())
      assert.same(first, s:lines())
      assert.same({ second }, s:lines "new")
      for _, folder in ipairs { "archive", "new" } do
        assert.equal(1, #names(s, folder))
        assert.matches("%.ndjson$", names(s, folder)[1])
      end
    end)
  end

  it("goes on with a file that people moved to its new folder", function()
    s = h.server { policy = h.policy { workers = 1 } }
    local first = post(s)
    delivered(s, 1)
    s:stop "SIGKILL"
    other_dir "new"
    assert(os.rename(s.data .. "/archive", s.data .. "/new"))
    s:start()
    local second = post(s)
    assert.equal(0, s:stop())
    assert.same({ first, second }, s:lines "new")
    assert.equal(1, #names(s, "new"))
  end)

  it("holds while it may not open its file, and goes on when that is moved", function()
    local away = h.folder()
    s = h.server { policy = h.policy { workers = 1 } }
    if s:text():match("event=process[^\n]*landlock=off") then
      pending "this kernel has no Landlock"
      return
    end
    s:stop()
    other_dir(away)
    s:start()
    local first = post(s)
    delivered(s, 1)
    s:stop "SIGKILL"
    h.write(s.path, (h.read(s.path):gsub("dir = %b\"\"", 'dir = "new"')))
    s:start()
    h.wait_for("a sink that is held", function()
      return s:get("/status").body:find("begun under another", 1, true)
    end)
    local second = post(s)
    h.shell(("mv '%s'/*.part '%s/new'"):format(away, s.data))
    delivered(s, 1)
    assert.equal(0, s:stop())
    assert.same({ first, second }, s:lines "new")
    h.remove(away)
  end)

  it("notices that its folder was removed, and begins another file", function()
    s = h.server { policy = h.policy { workers = 1 } }
    post(s)
    delivered(s, 1)
    h.shell(("rm -r '%s/archive'"):format(s.data))
    local second = post(s)
    delivered(s, 2)
    s:logged("event=archive_file_taken")
    assert.equal(0, s:stop())
    assert.same({ second }, s:lines())
  end)

  it("goes on when a consumer takes the file that grows", function()
    s = h.server { policy = h.policy { workers = 1,
      file = [[rotate = { age = "1s" }]] } }
    local first = post(s)
    delivered(s, 1)
    h.shell(("mv '%s/archive/'*.part '%s/taken'"):format(s.data, s.data))
    local second = post(s)
    delivered(s, 2)
    sealed(s)
    assert.equal(0, s:metric("sluice_sink_holding"))
    assert.equal(0, s:stop())
    assert.equal(first .. "\n", h.read(s.data .. "/taken"))
    assert.same({ second }, s:lines())
  end)

  it("leaves no hole in a file that a consumer empties while it grows", function()
    s = h.server { policy = h.policy { workers = 1 } }
    local first = post(s)
    delivered(s, 1)
    local name = names(s)[1]
    local taken = h.read(s.data .. "/archive/" .. name)
    h.write(s.data .. "/archive/" .. name, "")
    local second = post(s)
    delivered(s, 2)
    s:logged "event=archive_file_taken"
    assert.equal(0, s:stop())
    assert.equal(first .. "\n", taken)
    assert.equal("", h.read(s.data .. "/archive/" .. name))
    assert.same({ second }, s:lines())
  end)

  it("keeps its folder when a reload that spells it otherwise is refused", function()
    s = h.server { policy = h.policy { workers = 1 } }
    local good = h.read(s.path)
    h.write(s.path, (good:gsub('dir = "archive"', 'dir = "archive/"'))
      .. '\nfile "z" { dir = "/proc/none" }\n'
      .. 'stream "more" { sinks = { "z" } }\n')
    local a = s:reload()
    assert.equal(500, a.status, a.body)
    h.sleep(0.5) -- two looks of the sink at its folders
    h.shell(("ln -s archive '%s/link'"):format(s.data))
    h.write(s.path, good .. '\nfile "z" { dir = "link" }\n'
      .. 'stream "more" { sinks = { "z" } }\n')
    a = s:reload()
    assert.equal(500, a.status, a.body)
    assert.matches('belongs to the sink \\"archive\\"', a.body, 1, true)
    assert.equal(0, s:stop())
  end)

  it("copies the file when its sync has failed, and trusts no second one", function()
    if not root() then pending("needs root") return end
    s = h.server { policy = h.policy { workers = 1,
      file = [[rotate = { age = "1s" }]] } }
    local stop = s:inject("fdatasync:error=EIO:when=1", "archive")
    local line = post(s)
    sealed(s)
    stop()
    s:logged("event=archive_file_copied")
    assert.equal(0, s:stop())
    assert.same({ line }, s:lines())
  end)

  it("keeps what it holds when the journal can't be synced until a normal stop",
  function()
    if not root() then pending("needs root") return end
    s = h.server { policy = h.policy { workers = 1, ack = "synced",
      server = [[drain = "100ms"]] } }
    -- The file's own sync holds, every one behind it fails.
    local stop = s:inject("fdatasync:error=EIO:when=2+", "archive")
    local line = post(s)
    s:logged("sink=archive status=holding")
    assert.equal(0, s:stop())
    stop()
    s:start()
    s:deliver()
    assert.equal(0, s:stop())
    assert.same({ line }, s:lines())
  end)

  it("sends small batches and rotates while the wall clock is set back", function()
    local at = os.tmpname()
    s = h.server { policy = h.policy { workers = 1,
      top = [[http "hook" { url = "http://127.0.0.1:9/",
        batch = { target = 200, min = 100, linger = "2s" } }]],
      file = [[rotate = { age = "2s" }]] }
      :gsub('sinks = { "archive" }', 'sinks = { "archive", "hook" }'),
      wrap = h.own_clock(at) }
    post(s)
    h.wait_for("a file", function() return #names(s) > 0 end)
    h.set_clock(at, -3600 * 1000)
    h.wait_for("the small batch", function()
      return s:metric("sluice_batches_total", 'sink="hook",reason="timeout"') == 1
    end)
    sealed(s)
    os.remove(at)
  end)
end)
