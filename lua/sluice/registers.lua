-- registers: the values that a register of a policy's function may hold, as far as the
-- bytecode tells, and which functions are let go: handed over, returned or stored, so
-- that they may be called by whatever calls a value that came from elsewhere.

local M = {}

-- ---- the values of a register ------------------------------------------------------

-- seen: functions and tables; any: whatever was let go; names: the values of a field of
-- that name of an unknown table; other: a value that is none of those seen.
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
-- noted one by one: there may be as many as the state has room for.
local function has_functions(t)
  if study.holds[t] ~= nil then return study.holds[t] end
  if is_leaf(t) then return false end
  local todo, above = { t }, { [t] = false } -- table -> one that holds it
  while #todo > 0 do
    local one = table.remove(todo)
    for k, v in next, one do
      local known = type(v) == "table" and study.holds[v]
      if known or type(v) == "function" and is_policy(v) or type(k) == "function" or
          type(k) == "table" then
        while one do study.holds[one], one = true, above[one] end
        return true
      elseif type(v) == "table" and known == nil and above[v] == nil and not is_leaf(v) then
        above[v] = one
        todo[#todo + 1] = v
      end
    end
  end
  for each in pairs(above) do study.holds[each] = false end
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

-- ---- values let go ----------------------------------------------------------------

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

local function let_go_function(f, name)
  if not is_policy(f) then return end
  live(f)
  add(study.loose, f)
  if name ~= nil then
    study.by_name[name] = study.by_name[name] or {}
    add(study.by_name[name], f)
  end
end

-- x and, where it is a table, what is in it.
local function let_go_of(x)
  local todo = { x }
  while #todo > 0 do
    local t = table.remove(todo)
    if type(t) == "function" then
      let_go_function(t)
    elseif type(t) == "table" and not study.loose[t] and
        (t == study.env or debug.getmetatable(t) == nil and has_functions(t)) then
      add(study.loose, t)
      for k, v in next, t do
        if type(k) == "table" or type(k) == "function" then todo[#todo + 1] = k end
        if type(v) == "function" then
          let_go_function(v, type(k) == "string" and k or nil)
        elseif type(v) == "table" then
          todo[#todo + 1] = v
        end
      end
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

---@param s table the facts of the policy in hand: calls.lua's, filled here as well
function M.start(s) study = s end

M.ANY, M.NONE, M.EVENT = ANY, NONE, EVENT
M.both, M.is_policy, M.add, M.live = both, is_policy, add, live
M.let_go, M.store = let_go, store
M.field_of, M.read_field, M.read_entry, M.read_up = field_of, read_field, read_entry,
  read_up

return M
