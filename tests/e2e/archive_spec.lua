local h = require "harness"
local signal = require "posix.signal"

local function files(s)
  local list = {}
  for name in h.shell("ls '" .. s.data .. "/archive'"):gmatch("[^\n]+") do
    list[#list + 1] = name
  end
  return list
end

describe("the file sink", function()
  local s
  after_each(function() if s then s:close() s = nil end end)

  for _, compress in ipairs { "none", "zstd", "gzip" } do
    it("rotates by size, " .. compress .. ", and names its files by stream, "
      .. "spool and number", function()
      s = h.server { policy = h.policy { workers = 1, file =
        ([[rotate = { bytes = "4KiB" }, compress = %q]]):format(compress) } }
      local n = 0
      h.wait_for("four files", function()
        for _ = 1, 20 do
          n = n + 1
          assert.equal(202, s:post("/v1/events", ([[{"n":%d,"x":"%s"}]]):format(n,
            tostring(n * 7919 % 1000003):rep(40))).status)
        end
        return (s:metric("sluice_file_sealed_total") or 0) >= 4
      end)
      assert.equal(0, s:stop())
      local ending = ({ none = "", zstd = ".zst", gzip = ".gz" })[compress]
      for i, name in ipairs(files(s)) do
        local stream, uuid, number, rest = name:match(
          "^(%w+)%-(%x%x%x%x%x%x%x%x)%-(%d+)(%..*)$")
        assert.is_not_nil(uuid, name)
        assert.same({ "events", i, ".ndjson" .. ending },
          { stream, tonumber(number), rest })
      end
      local lines = s:lines()
      assert.equal(n, #lines)
      for i, line in ipairs(lines) do
        assert.matches(('^{"n":%d,'):format(i), line)
      end
    end)
  end

  it("rotates by age", function()
    s = h.server { policy = h.policy { workers = 1,
      file = [[rotate = { age = "200ms" }]] } }
    s:post("/v1/events", "{}")
    h.wait_for("a finished file", function()
      local name = files(s)[1]
      return name and not name:find("%.part$")
    end)
  end)

  it("goes on in another folder after a reload", function()
    s = h.server { policy = h.policy { workers = 1 } }
    s:post("/v1/events", [[{"n":1}]])
    h.wait_for("its delivery", function()
      return s:metric("sluice_delivered_events_total") == 1
    end)
    h.write(s.path, (h.read(s.path):gsub('dir = "archive"', 'dir = "other"')))
    assert.equal(200, s:reload().status)
    s:post("/v1/events", [[{"n":2}]])
    assert.equal(0, s:stop())
    assert.same({ [[{"n":1}]] }, s:lines())
    assert.same({ [[{"n":2}]] }, s:lines("other"))
  end)

  it("holds while its folder is gone, keeps all, and goes on by itself", function()
    s = h.server { policy = h.policy { workers = 1 } }
    h.block(s.data .. "/archive", s.data .. "/gone")
    assert.equal(202, s:post("/v1/events", [[{"n":1}]]).status)
    s:logged("sink=archive status=holding")
    assert.matches('"holding":%s*true', s:get("/status").body)
    h.shell(("rm '%s/archive'; mkdir '%s/archive'"):format(s.data, s.data))
    s:logged("sink=archive status=delivering")
    assert.equal(0, s:stop())
    assert.same({ [[{"n":1}]] }, s:lines())
  end)

  it("delivers nothing again of a shard whose files outlive it", function()
    local function block()
      h.block(s.data .. "/archive", s.data .. "/kept")
    end
    local function unblock()
      h.shell(("rm '%s/archive' && mv '%s/kept' '%s/archive'"):format(s.data,
        s.data, s.data))
    end
    if not h.shell("id -u"):match("^0") then pending("needs root") return end
    -- A process that can't delete: its delivered events stay on the disk.
    s = h.server { policy = h.policy { workers = 1,
      file = [[rotate = { age = "50ms" }]] } }
    block()
    for i = 1, 3 do s:post("/v1/events", ('{"n":%d}'):format(i)) end
    s:stop("SIGKILL")
    unblock()
    s.wrap = { "strace", "-f", "-qq", "-o", s.dir .. "/strace", "-e",
      "trace=unlink", "-e", "inject=unlink:error=EIO" }
    s:start()
    s:deliver()
    h.wait_for("a finished file", function()
      return (s:metric("sluice_file_sealed_total") or 0) > 0
    end)
    -- A failure makes it write its journal anew.
    block()
    s:post("/v1/events", [[{"n":4}]])
    s:logged("sink=archive status=holding")
    unblock()
    s:logged("sink=archive status=delivering")
    s:deliver()
    signal.kill(s.real_pid, signal.SIGKILL)
    h.reap(s.pid)
    assert.matches("EIO", h.read(s.dir .. "/strace"))
    s.wrap = {}
    s:start()
    s:deliver()
    assert.equal(0, s:stop())
    assert.same({ [[{"n":1}]], [[{"n":2}]], [[{"n":3}]], [[{"n":4}]] }, s:lines())
  end)
end)

describe("sluice inspect", function()
  it("says what lies in a spool", function()
    local s = h.server { policy = h.policy { workers = 1 } }
    h.block(s.data .. "/archive", s.data .. "/gone")
    for _ = 1, 3 do s:post("/v1/events", [[{"n":1}]]) end
    s:stop("SIGKILL")
    local out = h.shell(h.binary .. " inspect '" .. s.data .. "/spool'")
    assert.matches("events", out)
    assert.matches("events=3", out)
    s:close()
  end)
end)
