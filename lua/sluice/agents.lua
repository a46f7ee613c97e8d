-- agents: the parts of a user agent, as policies name them.

local suggest = require "sluice.suggest"

local M = {}

-- In the order of enum agent_part.
M.parts = { "browser.family", "browser.major", "browser.minor", "browser.patch",
  "browser.version", "os.family", "os.major", "os.minor", "os.patch", "os.patch_minor",
  "os.version", "device.family", "device.brand", "device.model" }

local is_part = {}
for _, name in ipairs(M.parts) do is_part[name] = true end

---Why a value names no part; nil: it does.
---@return string?
function M.why_no_part(part)
  if is_part[part] then return nil end
  if type(part) ~= "string" then
    return ("expected a part such as \"browser.family\", got %s"):format(type(part))
  end
  return ("\"%s\" is no part of a user agent%s"):format(part:sub(1, 60),
    suggest.hint(part, { unpack(M.parts) }))
end

return M
