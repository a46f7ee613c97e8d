-- faults: a server whose file system fails by rules; see tests/tools/fault_rules.h.
local h = require "harness"

local M = {}
local Faults = {}
Faults.__index = Faults

local FILE_BYTES, TEXT_AT, COUNTS_AT, RULES_MAX = 12288, 64, 8192, 32
local OPS = { "read", "write", "sync", "rename", "link", "create", "open", "unlink",
  "alloc", "list", "stat", "range" }

local function u64(n)
  local t = {}
  for i = 1, 8 do
    t[i] = string.char(n % 256)
    n = math.floor(n / 256)
  end
  return table.concat(t)
end

---@param dir string the folder below which calls fail
function M.new(dir)
  local f = setmetatable({ dir = dir, path = h.folder() .. "/faults",
    generation = 0 }, Faults)
  h.write(f.path, ("\0"):rep(FILE_BYTES))
  return f
end

---Seconds of the processor that a process has taken; nil: it has ended.
function M.cpu(pid)
  local text = h.read(("/proc/%d/stat"):format(pid)) or ""
  local user, system = text:match("%) " .. ("%S+ "):rep(11) .. "(%d+) (%d+)")
  return user and (user + system) / 100
end

---The words before the server's command.
function Faults:wrap()
  return { "env", ("LD_PRELOAD=%s/tools/libfault_shim.so"):format(h.build),
    "SLUICE_FAULTS=" .. self.path, "SLUICE_FAULT_ROOT=" .. self.dir }
end

---Other rules from now on; none: all goes well again.
function Faults:rules(text)
  local file = assert(io.open(self.path, "r+b"))
  text = (text or "") .. "\0"
  assert(#text <= COUNTS_AT - TEXT_AT)
  file:seek("set", TEXT_AT)
  file:write(text)
  file:seek("set", COUNTS_AT)
  file:write(("\0"):rep(8 * (RULES_MAX + #OPS)))
  file:flush()
  self.generation = self.generation + 1
  file:seek("set", 0)
  file:write(u64(self.generation))
  file:close()
end

local function number_at(path, at)
  local file = assert(io.open(path, "rb"))
  file:seek("set", at)
  local n = 0
  for i, b in ipairs { file:read(8):byte(1, 8) } do n = n + b * 256 ^ (i - 1) end
  file:close()
  return n
end

---Calls so far that change something below the folder; faults made.
function Faults:changes() return number_at(self.path, 8) end
function Faults:made() return number_at(self.path, 16) end

---Faults since the last rules: of each of them, in order, and of each kind of call.
function Faults:counts()
  local rules, calls = {}, {}
  for i = 1, RULES_MAX do rules[i] = number_at(self.path, COUNTS_AT + 8 * (i - 1)) end
  for i, op in ipairs(OPS) do
    local n = number_at(self.path, COUNTS_AT + 8 * (RULES_MAX + i - 1))
    if n > 0 then calls[op] = n end
  end
  return rules, calls
end

---The counters begin anew.
function Faults:reset()
  local file = assert(io.open(self.path, "r+b"))
  file:seek("set", 8)
  file:write(u64(0), u64(0))
  file:close()
end

function Faults:close() h.remove(self.path:match("^(.*)/")) end

return M
