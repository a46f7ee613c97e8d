-- paths: the names of an event's values, keys with dots between them, as a policy writes
-- them.

local M = {}

---Whether v names a field: keys with dots between them. A backslash makes the
---character after it part of a key.
function M.is_path(v)
  if type(v) ~= "string" or v == "" then return false end
  local plain = v:gsub("\\.", "x")
  return not plain:find("[%[\\]") and not plain:find("^%.") and
      not plain:find("%.$") and not plain:find("..", 1, true)
end

-- A path without escapes, and a place as \2. "user\\[id]" is a key as it stands.
local function plain_path(v)
  local plain = v:gsub("\\(.)", function(c) return c == "[" and "\1" or "x" end)
  return (plain:gsub("\1[^.%[%]]*%]", "x"):gsub("%[%d+%]", "\2")), plain
end

---Why v is the path of no value of an event, where places in arrays may stand too:
---"items[1].id".
---@return string? why nil: it is one
function M.why_no_path(v)
  local why
  if #v > 1024 then
    return ("is a path of %d bytes: at most 1024 are taken"):format(#v)
  end
  local path, plain = plain_path(v)
  if plain:find("%[0+%]") then
    why = "places in arrays count from 1"
  elseif path:find("\2[^.\2]") then
    why = "a place ends the path, or a dot follows it"
  elseif path:find("[%[%]\\]") then
    why = "a bracket or backslash that belongs to a key has a backslash before it"
  end
  return why and "is not a path such as \"items[1].id\": " .. why
end

---Whether v is a path of which a key has no name: ".user.id".
function M.has_nameless(v)
  local path = plain_path(v)
  return path:find("^[.\2]") ~= nil or path:find("%.$") ~= nil or
      path:find("%.[.\2]") ~= nil
end

return M
