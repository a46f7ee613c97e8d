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
local get_text, get_short, call_ops = nil, nil, {}
local first_argument -- of a call, behind the register of its function
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
  -- _G; the text, in the first argument's register; the call.
  local call = instructions(function() _G("x") end)
  get_text, first_argument = call[2].op, call[2].a - call[1].a
  call_ops[call[3].op] = true
  get_short = instructions(function() _G(1) end)[2].op
  call_ops[instructions(function() return _G("x") end)[3].op] = true
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

-- The texts that the global at pc is called with, when it is called with nothing
-- else: return to("a", "b").
local function texts_of(f, list, pc)
  local at, texts = pc + 1, {}
  while list[at] and list[at].op == get_text and
      list[at].a == list[pc].a + first_argument + #texts do
    texts[#texts + 1] = util.funck(f, -list[at].d - 1)
    at = at + 1
  end
  if list[at] and list[at].op == get_short and
      list[at].a == list[pc].a + first_argument + #texts then
    texts.number = list[at].d < 0x8000 and list[at].d or list[at].d - 0x10000
    at = at + 1
  end
  local is_call = list[at] and call_ops[list[at].op] and list[at].a == list[pc].a
  return is_call and texts or nil
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
        set = ins.op == set_global,
        texts = ins.op == get_global and texts_of(f, list, pc) or nil }
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

-- Calls visit(f) for the functions of the policy that v is or holds, where facts
-- are of the function that refers to v.
local function each_function(v, facts, visit, seen)
  if type(v) == "function" then
    if is_policy(v) then visit(v) end
    return
  end
  if type(v) ~= "table" or seen[v] then return end
  seen[v] = true
  if facts.any then
    for _, x in next, v do each_function(x, facts, visit, seen) end
  else
    for name in pairs(facts.names) do
      each_function(rawget(v, name), facts, visit, seen)
    end
  end
  local mt = debug.getmetatable(v)
  if type(mt) == "table" then
    each_function(rawget(mt, "__index"), facts, visit, seen)
    each_function(rawget(mt, "__call"), facts, visit, seen)
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

-- Depth first; on_facts(f, facts, again): again: f refers back to itself.
local function walk(f, on_facts, state)
  if state[f] == "open" then
    on_facts(f, nil, true)
  elseif state[f] == nil then
    state[f] = "open"
    local facts = facts_of(f)
    on_facts(f, facts, false)
    refers(f, facts, function(g) walk(g, on_facts, state) end)
    state[f] = "done"
  end
end

M.instructions = instructions

-- f and the functions that it may call, depth first.
local function walk_calls(f, visit, seen)
  if seen[f] then return end
  seen[f] = true
  visit(f)
  calls.each_call(f, function(g) walk_calls(g, visit, seen) end)
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
  end, {})
  return found and ("%s in line %d of %s"):format(found.what, found.line,
    found.file or "?")
end

---Lets f and the functions that it may call be compiled.
---@param f function
function M.compile(f)
  walk_calls(f, function(g) jit.on(g) end, {})
end

---The globals that f and the functions that it refers to read or set.
---@param f function
---@param visit fun(g: table) name, file, line, set; texts: it is called with these
---@param seen table functions that have been looked at; filled
---@param each? fun(f: function) called with each of these functions
function M.globals(f, visit, seen, each)
  walk(f, function(one, facts)
    if each and facts then each(one) end
    for _, g in ipairs(facts and facts.globals or {}) do visit(g) end
  end, seen)
end

return M
