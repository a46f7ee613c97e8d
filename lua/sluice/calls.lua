-- calls: which functions of a policy may call which, read from their bytecode once
-- the policy is loaded. A function is seen where it is named: in a local that no
-- function sets, a global, a field of a table. One that is handed over, returned or
-- stored ("let go") may be called by whatever calls a value that came from elsewhere.

local opcodes = require "sluice.opcodes"
local registers = require "sluice.registers"
local util = require "jit.util"

local M = {}

local instructions, constant, of = opcodes.instructions, opcodes.constant, opcodes.of
local FIRST = opcodes.first -- of a call's arguments, behind the register of its function

local study            -- what is known of the policy in hand

local ANY, NONE, EVENT = registers.ANY, registers.NONE, registers.EVENT
local both, is_policy, add, live = registers.both, registers.is_policy, registers.add,
  registers.live
local let_go, store = registers.let_go, registers.store
local field_of, read_field, read_entry, read_up = registers.field_of,
  registers.read_field, registers.read_entry, registers.read_up

-- ---- calls -------------------------------------------------------------------------

-- The argument that a library's function calls, by the function or its name.
local callbacks = { pcall = 1, gsub = 3, sort = 2 }

local function note_callbacks(env)
  for name, lib in pairs { pcall = env, gsub = env.string, sort = env.table } do
    study.callbacks[lib[name]] = callbacks[name]
  end
end

-- Notes that f calls v; arg(n): the call's n-th argument.
local function called(f, v, arg, seen)
  if v.any then add(study.any, f) end
  for x in pairs(v.seen or {}) do
    if type(x) == "function" then
      local n = study.callbacks[x]
      if is_policy(x) then
        live(x)
        add(study.calls[f], x)
      elseif n and arg then
        called(f, arg(n), nil, seen)
      elseif n then
        add(study.any, f)
      end
    end
  end
  for name in pairs(v.names or {}) do
    if not seen[name] then
      seen[name] = true
      for x in pairs(study.by_name[name] or {}) do add(study.calls[f], x) end
      called(f, study.wrote[name] or NONE, arg, seen)
      called(f, study.wrote["*"] or NONE, arg, seen)
      if callbacks[name] then
        called(f, arg and arg(callbacks[name]) or ANY, nil, seen)
      end
    end
  end
end

local function forget(regs, from)
  for r in pairs(regs) do
    if r >= from then regs[r] = nil end
  end
end

-- A call of the function in register a with n arguments; rest: and those that the
-- last call or ... gave.
local function call(f, regs, a, n, rest)
  local function arg(i)
    if i <= n then return regs[a + FIRST + i - 1] or ANY end
    return rest and ANY or NONE
  end
  called(f, regs[a] or ANY, arg, {})
  for i = 1, n do let_go(regs[a + FIRST + i - 1]) end
end

local does = {}        -- by instruction: (f, regs, ins), true: it ends the function

function does.move(_, r, i) r[i.a] = r[i.d] end
function does.keep_true(_, r, i) r[i.a] = both(r[i.a], r[i.d] or ANY) end
does.keep_false = does.keep_true
function does.up(f, r, i) r[i.a] = read_up(f, i.d) end
function does.global(f, r, i) r[i.a] = field_of(study.env, constant(f, i.d)) end
function does.field(f, r, i) r[i.a] = read_field(r[i.b] or ANY, constant(f, i.c)) end
function does.entry(_, r, i) r[i.a] = read_entry(r[i.b] or ANY) end
does.place = does.entry
function does.set_up(f, r, i)
  add(study.set_up, debug.upvalueid(f, i.a + 1))
  let_go(r[i.d])
end
function does.set_up_text(f, _, i) add(study.set_up, debug.upvalueid(f, i.a + 1)) end
does.set_up_number, does.set_up_plain = does.set_up_text, does.set_up_text
function does.set_global(f, r, i)
  store({ seen = { [study.env] = true } }, constant(f, i.d), r[i.a] or ANY)
end
function does.set_field(f, r, i)
  store(r[i.b] or ANY, constant(f, i.c), r[i.a] or ANY)
end
function does.set_entry(_, r, i)
  store(r[i.b] or ANY, "*", r[i.a] or ANY)
  let_go(r[i.c])
end
function does.set_place(_, r, i)
  let_go(r[i.a])
  for t in pairs(r[i.b] and r[i.b].seen or {}) do add(study.written, t) end
end
function does.call(f, r, i)
  call(f, r, i.a, i.c - 1)
  forget(r, i.a)
  for k = 0, i.b - 2 do r[i.a + k] = ANY end
end
function does.call_rest(f, r, i)
  call(f, r, i.a, i.c, true)
  forget(r, i.a)
  for k = 0, i.b - 2 do r[i.a + k] = ANY end
end
function does.tail(f, r, i)
  call(f, r, i.a, i.d - 1)
  return true
end
function does.tail_rest(f, r, i)
  call(f, r, i.a, i.d, true)
  return true
end
function does.results(_, r, i)
  for k = i.a, i.a + i.d - 2 do let_go(r[k]) end
  return true
end
does.result, does.no_result = does.results, does.results
function does.results_rest(_, r, i)
  for k = i.a, i.a + i.d - 1 do let_go(r[k]) end
  return true
end
function does.nils(_, r, i) for k = i.a, i.d do r[k] = NONE end end
function does.rest(_, r, i)
  forget(r, i.a)
  for k = 0, i.b - 2 do r[i.a + k] = ANY end
end

-- Any other: a result is no function; one that has several registers, such as those
-- of an iterator, may hand all of them on.
local function other(r, i)
  if i.at == opcodes.RESULT then
    r[i.a] = NONE
  elseif i.at == opcodes.FROM_BASE then
    for k, v in pairs(r) do
      if k >= i.a - 3 then let_go(v) end
    end
    for k = i.a, i.a + 8 do r[k] = ANY end
  end
end

-- ---- one function ------------------------------------------------------------------

-- A function made while a hook runs may do anything with the values that it can reach.
local function made(f, proto)
  add(study.made, proto)
  for _, i in ipairs(instructions(proto)) do
    local word = of[i.op]
    if word and word:find("^set_up") then
      add(study.set_names, util.funcuvname(proto, i.a))
    elseif word == "global" then
      let_go(field_of(study.env, constant(proto, i.d)))
    elseif word == "set_global" then
      store({ seen = { [study.env] = true } }, constant(proto, i.d), ANY)
    elseif word == "set_field" then
      store(ANY, constant(proto, i.c), ANY)
    elseif word == "set_entry" then
      store(ANY, "*", ANY)
    elseif word == "make" then
      made(f, constant(proto, i.d))
    end
  end
end

local function makes(f, list)
  for up = 1, util.funcinfo(f).upvalues do let_go(read_up(f, up - 1)) end
  for _, i in ipairs(list) do
    if of[i.op] == "make" then
      made(f, constant(f, i.d))
    elseif of[i.op] == "global" then
      let_go(field_of(study.env, constant(f, i.d)))
    end
  end
end

local function look(f)
  local list = study.code[f] or instructions(f)
  study.code[f] = list
  study.calls[f] = study.calls[f] or {}
  local first, todo, states = {}, { 1 }, {}
  for i = 0, util.funcinfo(f).params - 1 do
    first[i] = study.roots[f] and i == 0 and EVENT or ANY
  end
  states[1] = first
  local function join(pc, regs)
    if not pc or not list[pc] then return end
    local state, more = states[pc], false
    if not state then
      state, more = {}, true
      states[pc] = state
    end
    for r, v in pairs(regs) do
      local joined = both(state[r], v)
      if joined ~= state[r] then state[r], more = joined, true end
    end
    if more then todo[#todo + 1] = pc end
  end
  while #todo > 0 do
    local pc = table.remove(todo)
    local regs = {}
    for r, v in pairs(states[pc]) do regs[r] = v end
    local i = list[pc]
    local act = does[of[i.op]]
    local over
    if act then over = act(f, regs, i) else other(regs, i) end
    if not over then
      local a, b = opcodes.nexts(list, pc)
      join(a, regs)
      join(b, regs)
    end
  end
  for _, i in ipairs(list) do
    if of[i.op] == "make" then return makes(f, list) end
  end
end

-- ---- the whole ---------------------------------------------------------------------

local function find_roots(desc)
  local todo, seen = { desc }, {}
  while #todo > 0 do
    local v = table.remove(todo)
    if type(v) == "function" and is_policy(v) then
      study.env = study.env or getfenv(v)
      study.roots[v] = true
      live(v)
    elseif type(v) == "table" and not seen[v] then
      seen[v] = true
      for _, x in next, v do todo[#todo + 1] = x end
    end
  end
end

---The functions that f may call.
local function each_call(f, visit)
  for g in pairs(study.calls[f] or {}) do visit(g) end
  if study.any[f] then
    for g in pairs(study.loose) do
      if type(g) == "function" then visit(g) end
    end
  end
end

local function text_of(f) return util.funcinfo(f).proto end

-- The texts of what the functions of one text may call.
local function texts_called(closures, text)
  local list, seen = {}, {}
  for _, f in ipairs(closures[text]) do
    each_call(f, function(g)
      local to = text_of(g)
      if not seen[to] then
        seen[to] = true
        list[#list + 1] = to
      end
    end)
  end
  return list
end

-- Marks one function at least of each cycle of calls. Functions count by their text:
-- closures of one text are compiled as one.
local function find_rounds()
  local closures, state = {}, {}
  for _, f in ipairs(study.list) do
    local list = closures[text_of(f)] or {}
    closures[text_of(f)], list[#list + 1] = list, f
  end
  local way = {} -- from a root to the text in hand; each: what it calls is left over
  local function enter(text)
    state[text] = "open"
    way[#way + 1] = { text = text, left = texts_called(closures, text) }
  end
  for _, f in ipairs(study.list) do
    if not state[text_of(f)] then enter(text_of(f)) end
    while #way > 0 do
      local top = way[#way]
      local to = table.remove(top.left)
      if to == nil then
        state[top.text] = "done"
        way[#way] = nil
      elseif state[to] == "open" then
        study.again[to] = true
      elseif not state[to] then
        enter(to)
      end
    end
  end
end

local function look_at_all(desc)
  find_roots(desc)
  if not study.env then return end
  note_callbacks(study.env)
  repeat
    study.changed = false
    local at = 1
    while study.list[at] do
      look(study.list[at])
      at = at + 1
    end
  until not study.changed
  find_rounds()
end

---Looks through a loaded policy.
---@param desc table the loader's description: its functions will be called
function M.study(desc)
  study = { holds = {}, live = {}, list = {}, loose = {}, by_name = {}, wrote = {},
    written = {}, set_names = {}, set_up = {}, callbacks = {}, calls = {}, any = {},
    made = {}, code = {}, roots = {}, again = {} }
  registers.start(study)
  -- A state that is nearly full may have no room for it.
  local ok, why = pcall(look_at_all, desc)
  if not ok then study = { calls = {}, any = {}, failed = tostring(why) } end
  study.code, study.holds = nil, nil
end

---Why f itself may be called without an end; nil: nothing says that it may.
---@return string? what
function M.round(f)
  if study.failed then
    return ("belongs to what can't be looked through (%s)"):format(study.failed)
  end
  if study.again[text_of(f)] then return "calls itself" end
  if study.made[text_of(f)] then return "calls a function that a hook makes anew" end
end

M.each_call = each_call

return M
