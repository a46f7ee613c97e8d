-- raised: what a hook has raised, with its place in the policy.

local plain = require "sluice.plain"

local M = {}

-- Lua's own, not those of policies.
local type, tostring, getinfo = type, plain.tostring, debug.getinfo
local find, gsub, match, sub = string.find, string.gsub, string.match, string.sub

---The words of an error, which begin with "policy:FILE:LINE: ". A tail call such as
---"return reject(code)" leaves no frame whose line Lua could name, and a table or an error
---of level 0 has no line: they get that of the hook.
---@param message any what the hook raised
---@param hook function
function M.words(message, hook)
  -- Lua cuts a long name from the left: "...tail.lua:7: ".
  if message == "not enough memory" or type(message) == "string" and
      (find(message, "^policy:") or find(message, "^%.%.%.")) then
    return message
  end
  local kind = type(message)
  local text = (kind == "string" or kind == "number") and tostring(message)
    or "error with a value, " .. (kind == "cdata" and tostring(message) or kind)
  local info = getinfo(hook, "S")
  local file = match(info.source, "^@(policy:.*)$")
  text = gsub(text, "^sluice%.%w+:%d+: ", "")
  return file and ("%s:%d: in this hook: %s"):format(file, info.linedefined, text) or text
end

---What reject says of a code that is none.
function M.no_code(code)
  return ("reject: %s is not a code such as \"missing_value\""):format(
    type(code) == "string" and "\"" .. sub(code, 1, 40) .. "\"" or tostring(code))
end

return M
