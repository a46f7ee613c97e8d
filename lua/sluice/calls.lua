-- calls: the calls of a function that could come to any function, read from its
-- bytecode: of a parameter, of what another call gave, of a member of these. Which
-- functions the others come to is read from upvalues (lua/sluice/bytecode.lua).

local bit = require "bit"
local util = require "jit.util"

local M = {}

local band, rshift = bit.band, bit.rshift

-- Words that give back what they were given, and members of it.
local GIVES = { "select", "unpack", "next", "pcall", "assert" }
local HANDLES = { inc = true, set = true, add = true, take = true, check = true }

local op               -- by name; the order of opcodes is that of LuaJIT 2.1
local first_argument   -- of a call, behind the register of its function

---@param instructions fun(f: function): table[]
local function learn(instructions)
  local called = instructions(function() _G(1) end)
  local moved = instructions(function(a) local b = a return b, a end)
  local either = instructions(function(a, b) return a or b end)
  op = { get_global = called[1].op, call = called[3].op, move = moved[1].op,
    field = instructions(function(t) return t.x end)[1].op,
    entry = instructions(function(t, i) return t[i] end)[1].op,
    place = instructions(function(t) return t[1] end)[1].op,
    nils = instructions(loadstring("local a, b return a, b"))[1].op,
    tail = instructions(function() return _G() end)[2].op,
    varied = instructions(function(...) _G(...) end)[3].op,
    varied_tail = instructions(function(...) return _G(...) end)[3].op,
    rest = instructions(function(...) return ... end)[1].op,
    upvalue = instructions(function() return util end)[1].op,
    new = instructions(function() return {} end)[1].op,
    copied = instructions(function() return { 1 } end)[1].op,
    set = instructions(function(t) t.x = 1 end)[2].op }
  op.copies = either[1].op
  for _, ins in ipairs(either) do
    if ins.d == 0x8000 + 1 then op.jump = ins.op end
  end
  first_argument = called[2].a - called[1].a
end

-- Whether the instruction reads its register a, or has none.
local function writes(ins)
  local o = ins.op
  if o < op.move then return o == op.copies end -- comparisons, tests
  if o > op.upvalue and o <= op.upvalue + 5 then return false end -- to upvalues
  if o == op.get_global + 1 then return false end
  if o >= op.set - 1 and o <= op.set + 3 then return false end -- into tables
  return o <= op.rest
end

local function calls(o)
  return o == op.call or o == op.tail or o == op.varied or o == op.varied_tail
end

local function text(f, n)
  local ok, v = pcall(util.funck, f, -n - 1)
  return ok and type(v) == "string" and v or nil
end

local Reader = {}
Reader.__index = Reader

-- Whether control may come to `to` around the instruction at i.
function Reader:passed_by(i, to)
  for pc = 1, i - 1 do
    local ins = self.list[pc]
    if ins.op == op.jump and not ins.back then
      local target = pc + 1 + ins.d - 0x8000
      if target > i and target <= to then return true end
    end
  end
  return false
end

-- The function that was put into a register before pc, when it is one of the words or
-- of the libraries; else nil, and whether it is a method of a text.
function Reader:called_at(register, pc)
  for i = pc - 1, 1, -1 do
    local ins = self.list[i]
    if writes(ins) and ins.a == register then
      local name = text(self.f, ins.d)
      if ins.op == op.get_global then
        return name and rawget(self.env, name) == nil and self.env[name] or nil
      elseif ins.op == op.upvalue then
        local _, v = debug.getupvalue(self.f, ins.d + 1)
        return v
      elseif ins.op == op.field then
        name = text(self.f, band(ins.d, 255))
        if not name or self.stored[name] then return nil end
        return self.methods[name] or name == "sort" and self.env.table.sort or nil
      end
      return nil
    end
  end
  return nil
end

-- What a call at pc gives can't be a function of the policy.
function Reader:gives_none(pc)
  local called = self:called_at(self.list[pc].a, pc)
  if type(called) ~= "function" or self.is_policy(called) then return false end
  for _, word in ipairs(GIVES) do
    if called == self.env[word] then return false end
  end
  return true
end

-- Where what is called has a function among its arguments, from 0; nil: nowhere.
function Reader:takes(pc)
  local called = self:called_at(self.list[pc].a, pc)
  if called == nil then return nil end
  return called == self.env.pcall and 0 or called == self.methods.gsub and 2
      or called == self.env.table.sort and 1 or nil
end

-- Whether what the instruction at i puts into a register is known: no function, or
-- one that is found by upvalues; with member, whether the same holds of its members.
function Reader:is_known_at(i, register, member)
  local ins = self.list[i]
  local o = ins.op
  if calls(o) then return ins.a == register and self:gives_none(i) end
  if o == op.rest then return false end
  if o == op.new or o == op.copied then return not member end
  if o == op.move or o == op.copies then return self:is_known(ins.d, i, member) end
  if o == op.upvalue then
    local _, v = debug.getupvalue(self.f, ins.d + 1)
    return v ~= nil
  end
  if o == op.field then
    local name = text(self.f, band(ins.d, 255))
    if name and (self.methods[name] or HANDLES[name]) and not self.stored[name] then
      return true
    end
  end
  if o == op.field or o == op.entry or o == op.place then
    return self:is_known(rshift(ins.d, 8), i, true)
  end
  return true
end

local function covers(ins, register)
  if ins.a == register then return true end
  if calls(ins.op) or ins.op == op.rest then return ins.a < register end
  return ins.op == op.nils and ins.a < register and register <= ins.d
end

-- Whether all that may be in the register at pc is.
function Reader:is_known(register, pc, member)
  for i = pc - 1, 1, -1 do
    local ins = self.list[i]
    if writes(ins) and covers(ins, register) then
      if not self:is_known_at(i, register, member) then return false end
      if ins.op ~= op.copies and not self:passed_by(i, pc) then return true end
    end
  end
  return self.is_hook or register >= self.params
end

---@param f function of the policy
---@param list table[] its instructions
---@param known table is_hook: an event and a request are all that it is given; stored:
---  names in the policy's tables that hold functions; is_policy(f)
---@param instructions fun(f: function): table[]
---@return integer? pc of a call that could come to any function
function M.unknown(f, list, known, instructions)
  if not op then learn(instructions) end
  local reader = setmetatable({ f = f, list = list, is_hook = known.is_hook,
    stored = known.stored, is_policy = known.is_policy, env = getfenv(f),
    methods = getmetatable("").__index, params = util.funcinfo(f).params }, Reader)
  for pc, ins in ipairs(list) do
    if calls(ins.op) then
      if not reader:is_known(ins.a, pc) then return pc end
      local at = reader:takes(pc)
      if at and not reader:is_known(ins.a + first_argument + at, pc) then return pc end
    end
  end
  return nil
end

return M
