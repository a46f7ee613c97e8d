-- opcodes: a function's bytecode as words and registers. Opcodes are learned from
-- functions whose bytecode is known, for their numbers differ between versions of
-- LuaJIT.

local bit = require "bit"
local util = require "jit.util"

local M = {}

local band, rshift = bit.band, bit.rshift

---@param f function|any
---@return table[] list each { op, a, b, c, d, mode of a, mode of d }
local function instructions(f)
  local list = {}
  for pc = 1, 1000000 do
    local ins, m = util.funcbc(f, pc)
    if not ins then break end
    local d = rshift(ins, 16)
    list[pc] = { op = band(ins, 255), a = band(rshift(ins, 8), 255), d = d,
      b = rshift(d, 8), c = band(d, 255), at = band(m, 7),
      to = band(rshift(m, 7), 15) }
  end
  return list
end

local op = {}          -- by name
local of = {}          -- the other way round
local jump_mode

local function learn()
  local up
  local function name(word, f, at)
    local list = instructions(f)
    local ins = list[at < 0 and #list + 1 + at or at]
    op[word], of[ins.op] = ins.op, word
    return list
  end
  name("move", function(x) local y = x return y end, 1)
  name("up", function() return up end, 1)
  name("set_up", function(x) up = x end, 1)
  name("set_up_text", function() up = "x" end, 1)
  name("set_up_number", function() up = 1.5 end, 1)
  name("set_up_plain", function() up = nil end, 1)
  name("global", function() return _G end, 1)
  name("set_global", loadstring("x = ...") --[[@as function]], 2)
  name("field", function(t) return t.x end, 1)
  name("entry", function(t, i) return t[i] end, 1)
  name("place", function(t) return t[1] end, 1)
  name("set_field", function(t, v) t.x = v end, 1)
  name("set_entry", function(t, i, v) t[i] = v end, 1)
  name("set_place", function(t, v) t[1] = v end, 1)
  name("set_rest", function(f) return { f() } end, 4)
  local list = name("call", function() _G("x") end, 3)
  M.first = list[2].a - list[1].a
  name("tail", function() return _G("x") end, 3)
  name("call_rest", function() _G(_G()) end, 4)
  name("tail_rest", function() return _G(_G()) end, 4)
  name("results", function(a, b) return a, b end, -1)
  name("result", function(a) return a end, -1)
  name("no_result", function() end, -1)
  name("results_rest", function(...) return ... end, -1)
  name("keep_true", function(a, b) return a or b end, 1)
  name("keep_false", function(a, b) return a and b end, 1)
  name("is_false", function(x) if x then return 1 end end, 1)
  name("is_true", function(x) if not x then return 1 end end, 1)
  jump_mode = name("jump", function(x) if x then return 1 end end, 2)[2].to
  name("make", function() return function() end end, 1)
  -- Ends the locals of inner functions, before a return.
  name("close", function(x) return function() return x end end, -2)
  name("nils", loadstring("local a, b return a, b") --[[@as function]], 1)
  name("text", function() return "x" end, 1)
  name("short", function() return 1 end, 1)
  name("number", function() return 1.5 end, 1)
  name("plain", function() return true end, 1)
  name("new_table", function() return {} end, 1)
  name("same_table", function() return { 1 } end, 1)
  name("equal", function(a, b) return a == b end, 1)
  name("unequal", function(a, b) return a ~= b end, 1)
  name("rest", function(...) local a, b = ... return a, b end, 1)
end
learn()

-- Where the instruction at pc may go on.
function M.nexts(list, pc)
  local i = list[pc]
  local target = i.to == jump_mode and pc + 1 + i.d - 0x8000 or nil
  if i.op == op.jump then return target end
  if i.op <= math.max(op.is_true, op.is_false) then return pc + 1, pc + 2 end
  return pc + 1, target
end

-- The end of inner functions' locals, with which the function goes on.
local function is_close(i) return i.op == op.close and i.d == 0x8000 end

---Whether the code after an instruction may be skipped.
function M.is_jump(i) return i.to == jump_mode and not is_close(i) end

---The instruction before pc that does something.
---@return table? i, integer pc
function M.before(list, pc)
  repeat pc = pc - 1 until not list[pc] or not is_close(list[pc])
  return list[pc], pc
end

---The places to which an instruction jumps: pc -> true.
function M.targets(list)
  local targets = {}
  for pc, i in ipairs(list) do
    if M.is_jump(i) then targets[pc + 1 + i.d - 0x8000] = true end
  end
  return targets
end

---The constant d of f: a text, or a function's text.
function M.constant(f, d) return util.funck(f, -d - 1) end

M.instructions, M.of, M.is_close = instructions, of, is_close
M.FROM_BASE, M.RESULT = 2, 1 -- modes: registers from a on; a is set

return M
