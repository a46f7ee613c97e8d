-- Servers whose threads hang and whose disk fails at a test's word: file sinks on a disk of
-- libfault_shim.so, and libhang.so. Needs no root.
local faults = require "faults"
local h = require "harness"

local M = {}

---A sink that can't start, for a policy that is refused once its other sinks are applied:
---it stands last.
M.BAD = { "bad", dir = "/proc/none", was = "z" }

---@param k table name first; dir (default: the name); was; from
---@return string statement
function M.sink(k)
  return ('file %q { dir = %q, linger = "5ms", %s %s }'):format(k[1], k.dir or k[1],
    k.was and ("was = %q,"):format(k.was) or "", k.from and ("from = %q"):format(k.from) or "")
end

---@param dir string? its folder
---@return table server
---@return table disk see faults.lua
function M.start(policy, dir)
  dir = dir or h.folder()
  local f = faults.new(dir .. "/data")
  local wrap = f:wrap()
  wrap[2] = ("LD_PRELOAD=%s/tools/libfault_shim.so %s/tools/libhang.so"):format(h.build,
    h.build)
  wrap[#wrap + 1] = "SLUICE_HANG=" .. dir .. "/hang"
  return h.server { dir = dir, wrap = wrap, policy = policy }, f
end

---The thread of that name hangs from now on, and is waited for; nil: none does.
---@param later boolean? it may begin later: nothing is waited for
function M.hang(s, name, later)
  h.write(s.dir .. "/hang.new", name or "")
  os.rename(s.dir .. "/hang.new", s.dir .. "/hang")
  h.wait_for("the hang", function()
    return later or (h.read(s.dir .. "/hang.hung") == "h") == (name ~= nil)
  end)
end

---Either may be nil.
function M.close(s, f)
  if f then f:rules() end
  if s then
    os.remove(s.dir .. "/hang")
    s:close()
  end
  if f then f:close() end
end

return M
