-- moved: the values that a hook has read of the event in hand, so that a value that it
-- only puts elsewhere is stored as it was sent: the text of tables, and the digits of
-- numbers that have more than Lua's numbers can hold. Kept values are dropped after the
-- event.

local M = {}

local ctx = require("sluice.context").ctx -- n_kept: something is kept
local decode, encode, same, same_number -- host's

local tables, texts, paths = {}, {}, {} -- of the tables that were read, in order
local place = {}      -- table -> its place in these
local n_tables = 0
local numbers = {}    -- number -> its digits; false: several, not the same, have that value

---A number that may be less than its digits say.
function M.number(v, digits)
  local known = numbers[v]
  ctx.n_kept = 1
  if known == nil then
    numbers[v] = digits
  elseif known and known ~= digits and not same_number(known, digits) then
    numbers[v] = false
  end
end

---The digits of a number as they were sent; nil: Lua's number is all there is.
function M.digits(v)
  local digits = numbers[v]
  if digits == false then
    error("two numbers of the event differ only in digits that a policy's numbers "
      .. "can't hold: send them as texts", 4)
  end
  return digits
end

---@param json string an object or an array
---@param path string where it was read
function M.table(json, path)
  local t = decode(json, numbers)
  ctx.n_kept = 1
  n_tables = n_tables + 1
  tables[n_tables], texts[n_tables], paths[n_tables] = t, json, path
  place[t] = n_tables
  return t
end

---A table that is no value of the event: the hook may change it.
---@param json string
function M.fresh(json)
  ctx.n_kept = 1
  return decode(json, numbers)
end

---The JSON text of a table that is put into the event.
function M.text(t)
  local i = place[t]
  if not i then return encode(t, numbers) end
  if not same(t, texts[i]) then texts[i] = encode(t, numbers) end
  return texts[i]
end

function M.forget()
  for i = 1, n_tables do tables[i], texts[i], paths[i] = nil, nil, nil end
  if n_tables > 0 then place, n_tables = {}, 0 end
  if next(numbers) ~= nil then numbers = {} end
  ctx.n_kept = 0
end

---After a hook: a table that was changed and not put back would be a change that is not
---noticed.
function M.settle()
  local path
  for i = 1, n_tables do
    if not same(tables[i], texts[i]) then
      path = paths[i]
      break
    end
  end
  M.forget()
  if path then
    error(("the table read from \"%s\" was changed, but the event was not: write "
      .. "ev[\"%s.KEY\"] = value, or put the table back with ev[\"%s\"] = t")
      :format(path, path, path), 0)
  end
end

function M.start(host)
  decode, encode = host.decode, host.encode
  same, same_number = host.same, host.same_number
end

return M
