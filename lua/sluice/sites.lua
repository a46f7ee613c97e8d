-- sites: the places where a function calls another, read from its bytecode: what is
-- put into which register before it. Nothing is said where it can't be seen.

local opcodes = require "sluice.opcodes"
local util = require "jit.util"

local M = {}

local of, constant, FIRST = opcodes.of, opcodes.constant, opcodes.first

local literal = { text = "string", short = "number", number = "number",
  new_table = "table", same_table = "table", make = "function", nils = "nil" }
local plain = { [0] = "nil", "boolean", "boolean" }

---The call of the value that pc puts into its register.
---@return integer? at nil: nowhere that can be seen
---@return integer? n how many arguments; nil: as many as a call or ... gives
---@return boolean? thrown its result is thrown away
function M.call_of(list, pc)
  for at = pc + 1, #list do
    local i = list[at]
    if i.a == list[pc].a and (i.at == opcodes.RESULT or i.at == opcodes.FROM_BASE) and
        not opcodes.is_close(i) then
      local word = of[i.op]
      if word == "call" or word == "call_rest" then
        return at, word == "call" and i.c - 1 or nil, i.b == 1
      elseif word == "tail" or word == "tail_rest" then
        return at, word == "tail" and i.d - 1 or nil, false
      end
      return nil
    end
  end
  return nil
end

---The n-th argument of the call at `at` of the function that pc names.
---@param roles table register -> the kind of a parameter
---@return table x { kind, value }; {}: not known
function M.argument(f, list, pc, at, n, roles)
  local r = list[pc].a + FIRST + n - 1
  for k = at - 1, pc + 1, -1 do
    local i = list[k]
    local word = of[i.op]
    if opcodes.is_jump(i) then return {} end
    if word == "nils" and i.a <= r and r <= i.d then return { "nil" } end
    if i.a == r and i.at == opcodes.RESULT then
      if word == "plain" then return { plain[i.d] } end
      if word == "move" then return { roles[i.d] or nil } end
      local value
      if word == "text" then value = constant(f, i.d) end
      if word == "short" then value = i.d < 0x8000 and i.d or i.d - 0x10000 end
      if word == "number" then value = util.funck(f, i.d) end
      return { literal[word], value }
    elseif i.at == opcodes.FROM_BASE and i.a <= r and not opcodes.is_close(i) then
      return {}
    end
  end
  return {}
end

-- The n-th value that f took along; a function's text has none yet.
local function taken_along(f, n)
  if type(f) == "function" then return debug.getupvalue(f, n + 1) end
end

-- The value put into register r before pc, where no instruction between may be skipped.
local function object(f, list, pc, r, env)
  for at = pc - 1, math.max(pc - 3, 1), -1 do
    local i = list[at]
    if opcodes.is_jump(i) then return nil end
    if i.a == r and i.at == opcodes.RESULT then
      if of[i.op] == "up" then return select(2, taken_along(f, i.d)) end
      if of[i.op] == "global" then return rawget(env, constant(f, i.d)) end
      local x = of[i.op] == "field" and object(f, list, at, i.b, env)
      return type(x) == "table" and rawget(x, constant(f, i.c)) or nil
    end
  end
  return nil
end

---The value that the instruction at pc reads, where that is a local of the file, a
---global or a field of one.
---@return any value, string? name, any? object whose field it is
function M.read(f, list, pc, env)
  local i = list[pc]
  local word = of[i.op]
  if word == "global" then
    local name = constant(f, i.d)
    return rawget(env, name), name
  elseif word == "up" then
    local name, v = taken_along(f, i.d)
    return v, name
  elseif word == "field" then
    local x, name = object(f, list, pc, i.b, env), constant(f, i.c)
    return type(x) == "table" and rawget(x, name) or nil, name, x
  end
  return nil
end

---Whether the field at pc is read to be called as a method: x:f().
function M.is_method(list, pc)
  local before = list[pc - 1]
  return before and of[before.op] == "move" and before.d == list[pc].b and
      before.a == list[pc].a + FIRST
end

---Whether f gives the parameter in register r another value.
function M.is_set(list, r)
  for _, i in ipairs(list) do
    if i.a == r and i.at == opcodes.RESULT or
        of[i.op] == "nils" and i.a <= r and r <= i.d then
      return true
    end
  end
  return false
end

return M
