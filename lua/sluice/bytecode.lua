-- bytecode: the code that a policy's functions reach, read from their bytecode before
-- they run: loops, and globals that are never set.

local bit = require "bit"
local calls = require "sluice.calls"
local util = require "jit.util"

local M = {}

local band, rshift = bit.band, bit.rshift

---@param f function|any a function, or a prototype inside one
---@return table[] list each { op, a, d, back }: back: it jumps backwards
local function instructions(f)
  local list = {}
  for pc = 1, 1000000 do
    local ins = util.funcbc(f, pc)
    if not ins then break end
    local d = rshift(ins, 16)
    list[pc] = { op = band(ins, 255), a = band(rshift(ins, 8), 255), d = d,
      back = d < 0x8000 }
  end
  return list
end

-- Opcodes are learned from functions whose bytecode is known, for their numbers
-- differ between versions of LuaJIT.
local jumps, get_global, set_global, make_function = {}, nil, nil, nil
local indexed = {} -- t[i]: any entry of t may be meant

local function learn()
  local for_num = instructions(function() for _ = 1, 2 do end end)
  local for_in = instructions(function(g) for _ in g do end end)
  local while_do = instructions(function(x) while x do x() end end)
  -- The last instruction but one of each is its jump back.
  for _, list in ipairs { for_num, for_in, while_do } do
    jumps[list[#list - 1].op] = true
  end
  get_global = instructions(function() return _G end)[1].op
  set_global = instructions(loadstring("x = nil"))[2].op
  make_function = instructions(function() return function() end end)[1].op
  indexed[instructions(function(t, i) return t[i] end)[1].op] = true
  indexed[instructions(function(t) return t[1] end)[1].op] = true
end
learn()

local function line_of(f, pc)
  return util.funcinfo(f, pc).currentline
end

local function is_policy(f)
  return debug.getinfo(f, "S").source:find("^@policy:") ~= nil
end

-- The facts of one function by itself, the functions written inside it included.
local function facts_of(f, facts)
  facts = facts or { names = {}, globals = {}, any = false }
  local ok, list = pcall(instructions, f)
  if not ok then return facts end
  local info = util.funcinfo(f)
  local file = (info.source or ""):match("^@policy:(.*)$")
  for pc, ins in ipairs(list) do
    if jumps[ins.op] and ins.back and not facts.loop then
      facts.loop = { file = file, line = line_of(f, pc), what = "has a loop" }
    elseif ins.op == make_function and not facts.loop then
      facts.loop = { file = file, line = line_of(f, pc),
        what = "makes a function" }
    elseif ins.op == get_global or ins.op == set_global then
      facts.globals[#facts.globals + 1] = {
        name = util.funck(f, -ins.d - 1), file = file, line = line_of(f, pc),
        set = ins.op == set_global }
    elseif indexed[ins.op] then
      facts.any = true
    end
  end
  for k = -1, -65536, -1 do
    local good, const = pcall(util.funck, f, k)
    if not good or const == nil then break end
    if type(const) == "string" then
      facts.names[const] = true
    elseif type(const) == "proto" then
      facts_of(const, facts)
    end
  end
  return facts
end

-- Puts behind the others in list what v's table has that facts say is read.
local function put_entries(list, v, facts)
  if facts.any then
    for _, x in next, v do list[#list + 1] = x end
  else
    for name in pairs(facts.names) do list[#list + 1] = rawget(v, name) end
  end
  local mt = debug.getmetatable(v)
  if type(mt) == "table" then
    list[#list + 1] = rawget(mt, "__index")
    list[#list + 1] = rawget(mt, "__call")
  end
end

-- Calls visit(f) for the functions of the policy that v is or holds, where facts
-- are of the function that refers to v.
local function each_function(v, facts, visit, seen)
  local list = { v }
  while #list > 0 do
    local x = table.remove(list)
    if type(x) == "function" then
      if is_policy(x) then visit(x) end
    elseif type(x) == "table" and not seen[x] then
      seen[x] = true
      put_entries(list, x, facts)
    end
  end
end

-- The functions that f refers to.
local function refers(f, facts, visit)
  local seen = {}
  for i = 1, 60 do
    local name, up = debug.getupvalue(f, i)
    if not name then break end
    each_function(up, facts, visit, seen)
  end
  local env = getfenv(f)
  for _, g in ipairs(facts.globals) do
    each_function(rawget(env, g.name), facts, visit, seen)
  end
end

-- f and the functions below it, each once, by a list of its own: policies may chain more
-- functions than Lua's stack has room for.
local function each_once(f, seen, visit)
  local todo = { f }
  while #todo > 0 do
    local one = table.remove(todo)
    if not seen[one] then
      seen[one] = true
      local below = {}
      visit(one, function(g) below[#below + 1] = g end)
      for i = #below, 1, -1 do todo[#todo + 1] = below[i] end
    end
  end
end

M.instructions = instructions

-- f and the functions that it may call, depth first.
local function walk_calls(f, visit)
  each_once(f, {}, function(one, below)
    visit(one)
    calls.each_call(one, below)
  end)
end

---Looks for code that may not end in f and the functions that it may call, recursion
---included.
---@param f function of the policy that calls.study was given
---@return string? where "has a loop in line 7 of conf/rules.lua"; nil: nothing
function M.endless(f)
  local found
  walk_calls(f, function(g)
    if found then return end
    local what = calls.round(g)
    if what then
      local info = debug.getinfo(g, "S")
      found = { line = info.linedefined, what = what,
        file = info.source:match("^@policy:(.*)$") }
    else
      found = facts_of(g).loop
    end
  end)
  return found and ("%s in line %d of %s"):format(found.what, found.line,
    found.file or "?")
end

---Lets f and the functions that it may call be compiled.
---@param f function
function M.compile(f)
  walk_calls(f, function(g) jit.on(g) end)
end

---The globals that f and the functions that it refers to read or set.
---@param f function
---@param visit fun(g: table) name, file, line, set
---@param seen table functions that have been looked at; filled
---@param each? fun(f: function) called with each of these functions
function M.globals(f, visit, seen, each)
  each_once(f, seen, function(one, below)
    local facts = facts_of(one)
    if each then each(one) end
    for _, g in ipairs(facts.globals) do visit(g) end
    refers(one, facts, below)
  end)
end

return M
