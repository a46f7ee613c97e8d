-- tables: what the loader's modules ask of plain tables.

local M = {}

---A copy of a list with one more at its end.
function M.extend(list, last)
  local out = { unpack(list) }
  out[#out + 1] = last
  return out
end

---The keys of t, numbers too, in the order of their texts.
function M.sorted_keys(t)
  local keys = {}
  for k in pairs(t) do keys[#keys + 1] = k end
  table.sort(keys, function(a, b) return tostring(a) < tostring(b) end)
  return keys
end

return M
