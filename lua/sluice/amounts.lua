-- amounts: what the options of a limit say, checked: how much in which time, of the policy
-- itself or of a column of the client's key.

---@param checks table by type, as in values.lua
---@param M table values.lua's own
return function(checks, M)

local seconds = { s = 1, m = 60, h = 3600, d = 86400 }

-- "key:COLUMN/h" as { column, unit_s }; nil: it is none.
local function column_of(v, unit)
  local column = type(v) == "string" and v:match("^key:(.+)$")
  if not column then return nil end
  local name, u = column:match("^(.+)/([smhd])$")
  if name then return { column = name, unit_s = seconds[u] } end
  return { column = column, unit_s = unit and seconds[unit] }
end

---A rate, or a column with one.
function checks.limit_rate(v, spec)
  local column = column_of(v, "s")
  if column then return column end
  local n, why = checks.rate(v, spec)
  if not n and type(v) == "string" and v:match("^0+%.?0*/[smhd]$") then
    why = ("%s lets nothing in: take the route away, or refuse with deny")
      :format(M.show(v))
  end
  return n, why
end

---A number of events in a window, or a column with one.
function checks.quota(v, spec)
  local column = column_of(v)
  if column and not column.unit_s then
    return nil, ("%s has no window: write \"%s/d\", or /h, /m, /s"):format(M.show(v), v)
  elseif column then
    return column
  end
  local n, unit
  if type(v) == "string" then n, unit = v:match("^(%d+)/([smhd])$") end
  n = tonumber(n)
  if not n then
    return nil, ("%s is not a quota such as \"1000000/d\", nor \"key:COLUMN/d\"")
      :format(M.show(v))
  elseif n < spec.min then
    return nil, ("%s lets nothing in: take the route away, or refuse with deny")
      :format(M.show(v))
  elseif n > spec.max then
    return nil, ("%s is more than %.0f"):format(M.show(v), spec.max)
  end
  return { amount = n, unit_s = seconds[unit] }
end

end
