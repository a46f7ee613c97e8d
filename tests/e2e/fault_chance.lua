-- fault_chance: what a seed says of the faults of tests/e2e/fault_fuzz_spec.lua.
local M = {}

---Numbers 1..n that depend on the seed alone.
function M.dice(seed)
  local x = seed * 7919 + 17
  for _ = 1, 5 do x = (x * 16807) % 2147483647 end
  return function(n)
    x = (x * 16807) % 2147483647
    return math.floor(x / 64) % n + 1
  end
end

local OPS = { "read", "write", "write", "sync", "sync", "rename", "link", "create",
  "open", "unlink", "alloc", "list", "stat", "range" }
local WHATS = { "EIO", "EIO", "EIO", "ENOSPC", "ENOSPC", "EROFS", "EMFILE", "EINTR",
  "short", "short", "delay", "delay", "hang" }
local PATHS = { "", "", "", "", "path=/spool/ ", "path=/plain ", "path=/packed ",
  "path=.journal ", "path=/spool/w" }
local RATES = { 1000, 1000, 500, 200, 50 }

local function rule(roll)
  local ops = {}
  for i = 1, roll(3) do ops[i] = OPS[roll(#OPS)] end
  local what = WHATS[roll(#WHATS)]
  if what == "short" then ops = { "read", "write" } end
  return ("on=%s do=%s %s from=%d times=%d permille=%d seed=%d ms=%d"):format(
    table.concat(ops, ","), what, PATHS[roll(#PATHS)], roll(3) == 1 and roll(40) or 1,
    ({ 1, 3, 1000000 })[roll(3)], RATES[roll(#RATES)], roll(1000), roll(300))
end

function M.rules(roll)
  local list = {}
  if roll(5) == 1 then
    list[1] = ("on=change do=kill from=%d times=1"):format(roll(120))
  end
  for _ = 1, roll(4) do list[#list + 1] = rule(roll) end
  return table.concat(list, "\n")
end

return M
