-- checking: a policy, `sluice check`, and its output.
local h = require "harness"

local M = {}

---@param base string the text of {BASE} in a policy
function M.new(base)
  local dir = h.folder()
  local c = { dir = dir }

  function c.remove() h.remove(dir) end

  ---@param flags string? of the command
  ---@param stream string? "1" or "2": only standard output, or error
  ---@return string out, integer code
  function c.check(text, flags, stream)
    h.write(dir .. "/p.lua", (text:gsub("{BASE}", base)))
    local to = stream == "1" and "2>/dev/null" or stream == "2"
      and "2>&1 >/dev/null" or "2>&1"
    local f = io.popen(("here=$PWD; cd '%s' && timeout 20 \"$here\"/%s check %s "
      .. "p.lua %s; echo rc=$?"):format(dir, h.binary, flags or "", to))
    local out = f:read("*a")
    f:close()
    return out:gsub("rc=%d+\n$", ""), tonumber(out:match("rc=(%d+)"))
  end

  ---The output without the source lines and the sum.
  function c.problems(text)
    local out, code = c.check(text)
    return (out:gsub("\n%s+%d* |[^\n]*", ""):gsub("\n%d+ problems?\n$", "")
      :gsub("\n$", "")), code
  end

  return c
end

return M
