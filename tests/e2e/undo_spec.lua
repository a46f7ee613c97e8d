-- A policy that is refused changes nothing: while it is applied, when its undo meets a
-- thread that hangs, and for sinks that were on their way out.
local faults = require "faults"
local h = require "harness"
local hanging = require "hanging"

---@param streams table { name, sinks } each
local function policy(sinks, streams)
  local list = {}
  for _, k in ipairs(sinks) do
    list[#list + 1] = hanging.sink(k)
  end
  for _, x in ipairs(streams) do
    list[#list + 1] = ('stream %q { sinks = { "%s" } }'):format(x[1],
      table.concat(x[2], '", "'))
    list[#list + 1] = ('route "POST /%s" { body = "event", stream = %q }'):format(x[1], x[1])
  end
  return ([[
server { listen = "127.0.0.1:0", workers = 1, drain = "500ms" }
admin { listen = "127.0.0.1:0" }
%s
]]):format(table.concat(list, "\n"))
end

local BAD = hanging.BAD

describe("a sink", function()
  local f, s, n
  before_each(function() n = 0 end)
  after_each(function()
    hanging.close(s, f)
    s, f = nil, nil
  end)

  local function start(text) s, f = hanging.start(text) end
  local function hang(name) hanging.hang(s, name) end

  ---Numbered events.
  local function post(count, stream)
    for _ = 1, count do
      n = n + 1
      assert.equal(202, s:post("/" .. stream, ('{"n":"%d."}'):format(n)).status)
    end
  end

  ---How often each number is in the folder: "1:1 2:1".
  local function numbers(folder)
    local seen, list = {}, {}
    for i in h.shell(("cat '%s/%s/'*.ndjson* 2>/dev/null"):format(s.data, folder))
      :gmatch('"n":"(%d+)%."') do
      i = tonumber(i)
      seen[i] = (seen[i] or 0) + 1
    end
    for i = 1, n do
      if seen[i] then list[#list + 1] = i .. ":" .. seen[i] end
    end
    return table.concat(list, " ")
  end

  ---It has these in the end, which come last, and no other.
  local function has(folder, expected)
    pcall(h.wait_for, "the events", function() return numbers(folder) == expected end, 15)
    assert.equal(expected, numbers(folder))
  end

  local function reload(text)
    h.write(s.path, text)
    return h.request(s.admin, "POST", "/reload", "", nil, 60)
  end

  ---A reload that waits for the disk, when the sinks before "n" have it already.
  local function begin_reload(text, more)
    local made = f:made()
    h.write(s.path, text)
    f:rules((more or "") .. "on=create,open do=hang path=/n.journal")
    local c = h.connect(s.admin, 60)
    c:send("POST /reload HTTP/1.1\r\nHost: test\r\nContent-Length: 0\r\n\r\n")
    h.wait_for("the reload to hang", function() return f:made() > made end)
    return c
  end

  local function refused(c)
    f:rules()
    local a = h.answer(c)
    c:close()
    assert.equal(500, a.status, a.body)
  end

  local OLD = policy({ { "a" }, { "e" } }, { { "x", { "a" } }, { "y", { "e" } } })
  local NEW = policy({ { "a" }, { "e" }, { "n" }, BAD },
    { { "x", { "a" } }, { "y", { "e", "a", "n", "bad" } } })

  it("gets no event of a stream that a refused policy gave it, while that was applied",
  function()
    start(OLD)
    post(2, "y")
    local c = begin_reload(NEW)
    post(3, "y")
    h.wait_for("the other sink", function() return numbers "e" == "1:1 2:1 3:1 4:1 5:1" end)
    refused(c)
    post(1, "y")
    post(1, "x")
    has("a", "7:1")
    has("e", "1:1 2:1 3:1 4:1 5:1 6:1")
  end)

  it("sends by the live policy's settings while another one is applied", function()
    start(OLD)
    post(2, "x")
    local list = { { "a", dir = "other" }, { "e" }, { "n" }, BAD }
    local streams = { { "x", { "a", "n", "bad" } }, { "y", { "e" } } }
    local c = begin_reload(policy(list, streams))
    post(3, "x")
    h.wait_for("the events", function() return numbers "a" == "1:1 2:1 3:1 4:1 5:1" end)
    refused(c)
    post(1, "x")
    has("a", "1:1 2:1 3:1 4:1 5:1 6:1")
    assert.equal("", numbers "other")
    list[4], streams[1][2][3] = nil, nil
    assert.equal(200, reload(policy(list, streams)).status)
    post(1, "x")
    has("other", "7:1")
    has("a", "1:1 2:1 3:1 4:1 5:1 6:1")
  end)

  it("gets the stream's events from the reload on when the policy is not refused", function()
    start(OLD)
    post(2, "y")
    local c = begin_reload(policy({ { "a" }, { "e" }, { "n" } },
      { { "x", { "a" } }, { "y", { "e", "a", "n" } } }))
    f:rules()
    assert.equal(200, h.answer(c).status)
    c:close()
    post(2, "y")
    has("a", "3:1 4:1")
    has("n", "3:1 4:1")
    has("e", "1:1 2:1 3:1 4:1")
  end)

  it("whose thread hangs goes back from a refused policy once it goes on", function()
    start(OLD)
    local c = begin_reload(NEW)
    hang "a"
    refused(c)
    s:logged "sink=a status=undone_later"
    post(2, "y")
    hang()
    post(2, "y")
    post(1, "x")
    has("a", "5:1")
    has("e", "1:1 2:1 3:1 4:1")
    -- The next one is a reload like any other.
    assert.equal(200, reload(policy({ { "a" }, { "e" } },
      { { "x", { "a" } }, { "y", { "e", "a" } } })).status)
    post(1, "y")
    has("a", "5:1 6:1")
    assert.is_nil(s:text():find("not_undone", 1, true))
    assert.equal(0, s:stop())
  end)

  for _, mended in ipairs { false, true } do
    it("that is held, and can" .. (mended and "" or "not") .. " start by then, gets no event "
      .. "of a stream that a refused policy gave it", function()
      local dir = h.folder()
      f = faults.new(dir .. "/data")
      h.shell(("mkdir '%s/data' && touch '%s/data/a'"):format(dir, dir))
      s = h.server { dir = dir, wrap = f:wrap(), policy = OLD }
      s:logged "sink=a status=holding"
      post(1, "x")
      post(1, "y")
      if mended then os.remove(s.data .. "/a") end
      local c = begin_reload(NEW)
      post(3, "y")
      refused(c)
      post(1, "y")
      post(1, "x")
      os.remove(s.data .. "/a")
      has("a", "1:1 7:1")
      has("e", "2:1 3:1 4:1 5:1 6:1")
      s:stop "SIGKILL"
      s:start()
      post(1, "x")
      has("a", "1:1 7:1 8:1")
    end)
  end

  for _, whole in ipairs { false, true } do
    it("whose thread hangs gets no event that came since "
      .. (whole and "it left the policy" or "the stream left it"), function()
      start(policy({ { "a" }, { "e" } }, { { "x", { "a" } }, { "y", { "e", "a" } } }))
      post(2, "y")
      local c = begin_reload(whole and policy({ { "e" }, { "n" } }, { { "y", { "e", "n" } } })
        or policy({ { "a" }, { "e" }, { "n" } }, { { "x", { "a" } }, { "y", { "e", "n" } } }))
      hang "a"
      f:rules()
      assert.equal(200, h.answer(c).status)
      c:close()
      s:logged "sink=a status=retires_later"
      post(3, "y")
      hang()
      has("e", "1:1 2:1 3:1 4:1 5:1")
      if whole then s:logged "sink=a status=removed" else post(1, "x") end
      has("a", whole and "1:1 2:1" or "1:1 2:1 6:1")
    end)
  end

  it("gets no event of a stream that a refused policy gave it by another name", function()
    start(OLD)
    f:rules "on=write do=EIO path=/e/"
    post(2, "y")
    s:stop "SIGKILL"
    s:start()
    post(1, "y")
    assert.equal(500, reload(policy({ { "c", dir = "a", was = "a", from = "oldest" }, { "e" },
      BAD }, { { "x", { "c" } }, { "y", { "e", "c", "bad" } } })).status)
    post(1, "y")
    f:rules()
    has("e", "1:1 2:1 3:1 4:1")
    post(1, "x")
    has("a", "5:1")
    -- Nor by the next start.
    s:stop "SIGKILL"
    h.write(s.path, OLD)
    s:start()
    post(1, "x")
    has("a", "5:1 6:1")
  end)

  it("is not said to be done with what it never got, since a policy was refused", function()
    local function indexed(text) return (text:gsub('stream "y" {', '%0 index = "n",')) end
    start(indexed(OLD))
    assert.equal(500, reload(indexed(NEW)).status)
    post(2, "y")
    assert.equal(200, reload(indexed(policy({ { "a" }, { "e" } },
      { { "x", { "a" } }, { "y", { "e", "a" } } }))).status)
    post(1, "y")
    has("a", "3:1")
    for i, state in ipairs { "never_seen", "never_seen", "confirmed" } do
      assert.matches("\n  sink=a " .. state .. "[ \n]", h.shell(("%s find --id %d. '%s'"):format(
        h.binary, i, s.data)))
    end
  end)

  it("that left the policy gets no event of the new one while the disk holds that up",
  function()
    start(policy({ { "a" }, { "e" } }, { { "y", { "e", "a" } } }))
    post(2, "y")
    has("a", "1:1 2:1")
    f:rules "on=create,open do=hang path=/policies/LIVE.new"
    h.write(s.path, policy({ { "e" } }, { { "y", { "e" } } }))
    local c = h.connect(s.admin, 60)
    c:send("POST /reload HTTP/1.1\r\nHost: test\r\nContent-Length: 0\r\n\r\n")
    h.wait_for("the reload to hang", function() return f:made() > 0 end)
    post(2, "y")
    has("e", "1:1 2:1 3:1 4:1")
    f:rules()
    assert.equal(200, h.answer(c).status)
    c:close()
    s:logged "sink=a status=removed"
    has("a", "1:1 2:1")
  end)

  it("has a stream end where it did, after a refused policy took it up again", function()
    start(policy({ { "a" }, { "e" } }, { { "x", { "a" } }, { "y", { "e", "a" } } }))
    f:rules "on=create do=ENOSPC path=/a/"
    post(2, "y")
    assert.equal(200, reload(OLD).status)
    post(2, "y")
    f:rules "on=create do=ENOSPC path=/a/"
    assert.equal(500, reload(policy({ { "a" }, { "e" }, BAD },
      { { "x", { "a" } }, { "y", { "e", "a", "bad" } } })).status)
    post(2, "y")
    post(1, "x")
    f:rules()
    has("a", "1:1 2:1 7:1")
    has("e", "1:1 2:1 3:1 4:1 5:1 6:1")
  end)

  it("reads no event behind a stream's end while a policy that takes it up again is applied",
  function()
    start(policy({ { "a" }, { "e" } }, { { "x", { "a" } }, { "y", { "e", "a" } } }))
    f:rules "on=create do=ENOSPC path=/a/"
    post(2, "y")
    assert.equal(200, reload(OLD).status)
    post(2, "y")
    local c = begin_reload(NEW, "on=create do=ENOSPC path=/a/\n")
    post(1, "y")
    f:rules "on=create,open do=hang path=/n.journal"
    post(1, "x")
    h.wait_for("the other stream", function() return numbers "a":find("6:1", 1, true) end)
    assert.not_matches("[345]:", numbers "a")
    refused(c)
    post(1, "y")
    post(1, "x")
    has("a", "1:1 2:1 6:1 8:1")
    has("e", "1:1 2:1 3:1 4:1 5:1 7:1")
  end)

  it("ends where it did, after a refused policy took it up again", function()
    start(policy({ { "a" }, { "e" } }, { { "y", { "e", "a" } } }))
    f:rules "on=create do=ENOSPC path=/a/"
    post(2, "y")
    assert.equal(200, reload(policy({ { "e" } }, { { "y", { "e" } } })).status)
    post(2, "y")
    assert.equal(500, reload(policy({ { "a" }, { "e" }, BAD },
      { { "y", { "e", "a", "bad" } } })).status)
    post(2, "y")
    f:rules()
    h.wait_for("its end", function()
      return s:text():find("sink=a status=removed", 1, true)
    end)
    has("a", "1:1 2:1")
    has("e", "1:1 2:1 3:1 4:1 5:1 6:1")
  end)

  it("on its way out goes on by its own settings, and gets nothing of a stream that a "
    .. "refused policy gave it", function()
    start(policy({ { "a" }, { "e" } }, { { "x", { "e" } }, { "y", { "e", "a" } } }))
    f:rules "on=create do=ENOSPC path=/a/"
    post(2, "y")
    assert.equal(200, reload(policy({ { "e" } }, { { "x", { "e" } }, { "y", { "e" } } })).status)
    local made = f:made()
    local full = "on=create do=ENOSPC path=/b/\n"
    f:rules("on=create do=ENOSPC path=/a/\n" .. full .. "on=create,open do=hang path=/n.journal")
    h.write(s.path, policy({ { "a", dir = "b" }, { "e" }, { "n" }, BAD },
      { { "x", { "e", "a", "n", "bad" } }, { "y", { "e" } } }))
    local c = h.connect(s.admin, 60)
    c:send("POST /reload HTTP/1.1\r\nHost: test\r\nContent-Length: 0\r\n\r\n")
    h.wait_for("the reload to hang", function() return f:made() > made end)
    post(2, "x")
    f:rules(full) -- for good: its folder is another
    assert.equal(500, h.answer(c).status)
    c:close()
    s:logged "sink=a status=removed"
    has("a", "1:1 2:1")
    assert.equal("", numbers "b")
    has("e", "1:1 2:1 3:1 4:1")
    assert.is_nil(s:text():find("not_undone", 1, true))
  end)

  it("that is taken out after a policy was refused delivers what it has after a restart",
  function()
    start(policy({ { "a" }, { "e" } }, { { "y", { "e", "a" } } }))
    f:rules "on=create do=ENOSPC path=/a/"
    post(2, "y")
    assert.equal(500, reload(policy({ { "a" }, { "e" }, { "n" }, BAD },
      { { "y", { "e", "a", "n", "bad" } } })).status)
    assert.equal(200, reload(policy({ { "e" } }, { { "y", { "e" } } })).status)
    assert.equal(0, s:stop())
    f:rules()
    s:start()
    s:logged "sink=a status=removed"
    has("a", "1:1 2:1")
  end)

  it("asks its own policy's functions also after an undo that a full disk stopped", function()
    local function asking(target, more, last)
      return (policy({ { "e" }, last },
        { { "x", { "e" } }, { "y", { "e", more, last and "bad" } } })
        :gsub("\nstream", ([[

http "up" { url = "http://127.0.0.1:1/", batch = { target = 10, min = 1, max = 1000,
  adapt = function() return %d end } }
stream "z" { sinks = { "up" } }
route "POST /z" { body = "event", stream = "z" }
stream]]):format(target), 1))
    end
    local function target(expected)
      h.wait_for("the target", function()
        return s:metric("sluice_batch_target", 'sink="up"') == expected
      end)
    end
    start(asking(20))
    target(20)
    f:rules "on=write,sync,create do=ENOSPC path=/up.journal"
    assert.equal(500, reload(asking(30, "up", BAD)).status)
    s:logged "status=not_undone"
    target(20)
    f:rules()
    assert.equal(200, reload(asking(40, "up")).status)
    target(40)
    assert.equal(0, s:stop())
  end)
end)

describe("what a stream has on the disk", function()
  local f, s
  after_each(function()
    hanging.close(s, f)
    s, f = nil, nil
  end)

  local function indexed(bytes, more)
    return h.policy { workers = 1, server = 'max_body = "1MiB", max_events = 20000',
      spool = 'segment = "4MiB"', top = more,
      stream = ('index = { field = "id", max_bytes = "%s" }'):format(bytes) }
  end
  local function files(tail)
    return tonumber(h.shell(("ls '%s/spool/events/'%s 2>/dev/null | wc -l"):format(s.data, tail)))
  end

  ---So many batches of ten thousand events.
  local function fill(batches, path)
    for at = 1, batches do
      local lines = {}
      for i = 1, 10000 do
        lines[i] = ('{"id":"%d-%d","pad":"%s"}'):format(at, i, ("x"):rep(40))
      end
      local body = "[" .. table.concat(lines, ",") .. "]"
      h.wait_for("room in the spool", function()
        return s:post(path or "/v1/events/batch", body).status == 202
      end)
    end
  end

  it("keeps its index while a policy that would keep less of it is refused", function()
    s, f = hanging.start(indexed "1GiB")
    fill(16)
    assert.equal(0, s:stop())
    s:start()
    local before = files "index/*.idx"
    assert.is_true(before > 2)
    local made = f:made()
    f:rules "on=create,open do=hang path=/n.journal"
    h.write(s.path, indexed("1MiB", hanging.sink { "n" } .. "\n" .. hanging.sink(hanging.BAD)
      .. '\nstream "more" { sinks = { "n", "bad" } }'))
    s:signal "SIGHUP"
    h.wait_for("the reload to hang", function() return f:made() > made end)
    -- It looks each ten seconds.
    assert.is_false((pcall(h.wait_for, "a file to go",
      function() return files "index/*.idx" < before end, 12)))
    f:rules()
    s:logged "generation=2 status=refused"
    assert.equal(before, files "index/*.idx")
    h.write(s.path, indexed "1MiB")
    assert.equal(200, s:reload().status)
    h.wait_for("a file to go", function() return files "index/*.idx" < before end)
  end)

  it("goes with its last sink, though a refused policy named the stream", function()
    local function of(sinks)
      return h.policy { workers = 1, server = 'max_body = "1MiB", max_events = 20000',
        spool = 'segment = "4MiB"', top = sinks and 'file "e" { dir = "e", linger = "5ms" }\n'
          .. (#sinks > 1 and hanging.sink(hanging.BAD) or "")
          .. ('\nstream "more" { sinks = { "%s" } }'):format(table.concat(sinks, '", "'))
          .. '\nroute "POST /more" { body = "batch", stream = "more" }' }
    end
    local function reload(text)
      h.write(s.path, text)
      return s:reload().status
    end
    s, f = hanging.start(of { "e" })
    f:rules "on=write do=EIO path=/e/"
    fill(16, "/more")
    assert.equal(200, reload(of()))
    assert.equal(500, reload(of { "e", "bad" }))
    f:rules()
    s:logged "sink=e status=removed"
    h.wait_for("its first segment to go", function()
      return h.read(s.data .. "/spool/more/1.0/0000000001.seg") == nil
    end)
  end)
end)
