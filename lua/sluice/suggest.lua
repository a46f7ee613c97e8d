-- suggest: the known name nearest to a mistyped one.

local M = {}

-- Edits between a and b: insert, delete, replace, swap of neighbours
-- (optimal string alignment; Damerau, 1964).
local function distance(a, b)
  local rows = {}
  for i = 0, #a do rows[i] = { [0] = i } end
  for j = 0, #b do rows[0][j] = j end
  for i = 1, #a do
    for j = 1, #b do
      local same = a:byte(i) == b:byte(j)
      local d = math.min(rows[i - 1][j] + 1, rows[i][j - 1] + 1,
        rows[i - 1][j - 1] + (same and 0 or 1))
      if i > 1 and j > 1 and a:byte(i) == b:byte(j - 1) and
          a:byte(i - 1) == b:byte(j) then
        d = math.min(d, rows[i - 2][j - 2] + 1)
      end
      rows[i][j] = d
    end
  end
  return rows[#a][#b]
end

---@param name string
---@param known string[]
---@return string? nearest nil when nothing is near
function M.nearest(name, known)
  local best, best_d = nil, math.max(1, math.floor(#name / 3)) + 1
  table.sort(known)
  for _, k in ipairs(known) do
    local d = distance(name:lower(), k:lower())
    if d < best_d then best, best_d = k, d end
  end
  return best
end

---@return string text '; did you mean "x"?' or ""
function M.hint(name, known)
  local n = type(name) == "string" and M.nearest(name, known)
  return n and ('; did you mean "' .. n .. '"?') or ""
end

---The name that a message made with hint suggests.
---@return string?
function M.of(message)
  return message:match('; did you mean "(.-)"%?$')
end

return M
