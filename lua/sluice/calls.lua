-- calls: which functions of a policy may call which, read from their bytecode once
-- the policy is loaded. A function is seen where it is named: in a local that no
-- function sets, a global, a field of a table. One that is handed over, returned or
-- stored ("let go") may be called by whatever calls a value that came from elsewhere.

local opcodes = require "sluice.opcodes"
local util = require "jit.util"

local M = {}

local instructions, constant, of = opcodes.instructions, opcodes.constant, opcodes.of
local FIRST = opcodes.first -- of a call's arguments, behind the register of its function

-- ---- what a register may hold ------------------------------------------------------

-- seen: functions and tables; any: whatever was let go; names: what a field of that
-- name of an unknown table has; other: what is none of those that are seen.
local ANY, NONE = { any = true, other = true }, { other = true }
local EVENT = { other = true, event = true }

local function both(x, y)
  if x == nil or x == y then return y end
  if y == nil then return x end
  local v = { any = x.any or y.any, other = x.other or y.other,
    event = x.event and y.event }
  local more = v.any ~= x.any or v.other ~= x.other or v.event ~= x.event
  for _, part in ipairs { "seen", "names" } do
    if x[part] or y[part] then
      local set = {}
      for k in pairs(x[part] or {}) do set[k] = true end
      for k in pairs(y[part] or {}) do
        more = more or not set[k]
        set[k] = true
      end
      v[part] = set
    end
  end
  return more and v or x
end

local function named(name) return { names = { [name] = true }, other = true } end

local function is_policy(f)
  return debug.getinfo(f, "S").source:find("^@policy:") ~= nil
end

local study            -- what is known of the policy in hand

-- Whether t has neither functions nor tables.
local function is_leaf(t)
  for k, v in next, t do
    local kind, key = type(v), type(k)
    if kind == "function" or kind == "table" or key == "function" or key == "table" then
      return false
    end
  end
  return true
end

-- Whether a function of the policy is in t or below it. Tables of mere data are not
-- noted: there may be as many as the state has room for.
local function holds(t, seen)
  local known = study.holds[t]
  if known ~= nil then return known end
  if seen[t] or is_leaf(t) then return false end
  seen[t] = true
  for k, v in next, t do
    if type(v) == "function" and is_policy(v) or type(k) == "function" or
        type(k) == "table" or type(v) == "table" and holds(v, seen) then
      study.holds[t] = true
      return true
    end
  end
  return false
end

local function has_functions(t)
  local seen = {}
  if holds(t, seen) then return true end
  for each in pairs(seen) do study.holds[each] = false end
  study.holds[t] = false
  return false
end

local function value(v)
  local kind = type(v)
  if kind == "function" or kind == "table" and
      (debug.getmetatable(v) ~= nil or has_functions(v)) then
    return { seen = { [v] = true } }
  end
  return NONE
end

-- ---- what is let go ----------------------------------------------------------------

local function add(set, k)
  if not set[k] then
    set[k], study.changed = true, true
  end
end

local function live(f)
  if not study.live[f] then
    add(study.live, f)
    study.list[#study.list + 1] = f
  end
end

local function let_go_of(x, name)
  if type(x) == "function" then
    if not is_policy(x) then return end
    live(x)
    add(study.loose, x)
    if name ~= nil then
      study.by_name[name] = study.by_name[name] or {}
      add(study.by_name[name], x)
    end
  elseif type(x) == "table" and not study.loose[x] and
      (x == study.env or debug.getmetatable(x) == nil and has_functions(x)) then
    add(study.loose, x)
    for k, v in next, x do
      let_go_of(k)
      let_go_of(v, type(k) == "string" and k or nil)
    end
  end
end

local function let_go(v)
  for x in pairs(v and v.seen or {}) do let_go_of(x) end
end

-- Notes that v is put under name ("*": any) into one of the tables of base.
local function store(base, name, v)
  if base.event and not base.seen then return end
  let_go(v)
  local before = study.wrote[name]
  local after = both(before, v)
  if after ~= before then study.wrote[name], study.changed = after, true end
  for t in pairs(base.seen or {}) do
    if type(t) == "table" then add(study.written, t) end
  end
end

-- ---- reading -----------------------------------------------------------------------

local function field_of(t, name)
  local v = rawget(t, name)
  local out = value(v)
  local mt = debug.getmetatable(t)
  if t == study.env then
    if name == "_G" then return value(t) end
    if v == nil then
      local ok, word = pcall(function() return t[name] end)
      out = ok and value(word) or NONE
    end
  elseif v == nil and type(mt) == "table" then
    local index = rawget(mt, "__index")
    out = type(index) == "table" and value(rawget(index, name)) or named(name)
  end
  if study.loose[t] or study.written[t] then
    out = both(both(out, study.wrote[name] or NONE), study.wrote["*"] or NONE)
  end
  return out
end

local function read_field(base, name)
  if base.event and not base.seen then return NONE end
  local out = base.other and named(name) or nil
  for t in pairs(base.seen or {}) do
    out = both(out, type(t) == "table" and field_of(t, name) or NONE)
  end
  return out or NONE
end

local function read_entry(base)
  if base.event and not base.seen then return NONE end
  local out = base.other and ANY or NONE
  for t in pairs(base.seen or {}) do
    if type(t) == "table" then
      if study.loose[t] or study.written[t] or debug.getmetatable(t) then
        out = both(out, ANY)
      end
      for _, v in next, t do out = both(out, value(v)) end
    end
  end
  return out
end

local function read_up(f, i)
  local name, v = debug.getupvalue(f, i + 1)
  local out = value(v)
  if study.set_names[name] or study.set_up[debug.upvalueid(f, i + 1)] then
    out = both(out, ANY)
  end
  return out
end

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

-- A function made while a hook runs may do anything with what it can reach.
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

local function find_roots(v, seen)
  if type(v) == "function" and is_policy(v) then
    study.env = study.env or getfenv(v)
    study.roots[v] = true
    live(v)
  elseif type(v) == "table" and not seen[v] then
    seen[v] = true
    for _, x in next, v do find_roots(x, seen) end
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

-- Marks one function at least of each round of calls. What counts is the text of a
-- function: closures of one text are compiled as one.
local function find_rounds()
  local closures, state = {}, {}
  for _, f in ipairs(study.list) do
    local list = closures[text_of(f)] or {}
    closures[text_of(f)], list[#list + 1] = list, f
  end
  local function walk(text)
    state[text] = "open"
    for _, f in ipairs(closures[text]) do
      each_call(f, function(g)
        local to = text_of(g)
        if state[to] == "open" then
          study.again[to] = true
        elseif not state[to] then
          walk(to)
        end
      end)
    end
    state[text] = "done"
  end
  for _, f in ipairs(study.list) do
    if not state[text_of(f)] then walk(text_of(f)) end
  end
end

local function look_at_all(desc)
  find_roots(desc, {})
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
---@param desc table the loader's description: its functions are what will be called
function M.study(desc)
  study = { holds = {}, live = {}, list = {}, loose = {}, by_name = {}, wrote = {},
    written = {}, set_names = {}, set_up = {}, callbacks = {}, calls = {}, any = {},
    made = {}, code = {}, roots = {}, again = {} }
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
