-- parameters: which of a policy's functions are always given the event or the
-- request, and as what: hooks, and helpers that are called with theirs alone. Of one
-- that is handed over, or lies in a table that is, nothing is known: who calls it
-- can't be seen.

local opcodes = require "sluice.opcodes"
local sites = require "sluice.sites"
local util = require "jit.util"

local M = {}

local first = { on_event = { "event", "request" }, on_request = { "request" },
  location = { "event", "request" } }

-- Calls visit(g, register, kind) for the values that f gives to the parameters of the
-- policy's functions that it calls; kind nil: not known.
local function each_argument(self, f, visit)
  local list = self.code[f]
  for pc = 1, #list do
    local g = sites.read(f, list, pc, self.env)
    if type(g) == "function" and self.code[g] then
      local at, n = sites.call_of(list, pc)
      for k = 1, at and self.params[g] or 0 do
        local x = {}
        if n and k > n then
          x = { "nil" }
        elseif n then
          x = sites.argument(f, list, pc, at, k, self.roles[f])
        end
        visit(g, k - 1, x[1])
      end
    end
  end
end

local function give(self, f, r, role)
  if r < self.params[f] and self.roles[f][r] == nil and
      not sites.is_set(self.code[f], r) then
    self.roles[f][r] = role
    return true
  end
end

-- Adds the kinds of one call's arguments.
local function spread(self, todo)
  while #todo > 0 do
    each_argument(self, table.remove(todo), function(g, r, kind)
      if (kind == "event" or kind == "request") and give(self, g, r, kind) then
        todo[#todo + 1] = g
      end
    end)
  end
end

-- Takes back kinds that other calls don't give.
local function narrow(self, functions, hooks)
  local changed
  repeat
    changed = false
    for _, f in ipairs(functions) do
      each_argument(self, f, function(g, r, kind)
        if self.roles[g][r] and self.roles[g][r] ~= kind and not hooks[g] then
          self.roles[g][r], changed = false, true
        end
      end)
    end
  until not changed
end

-- ---- functions that are handed over ---------------------------------------------------

-- Whether of what pc reads a field alone is used: M.f(x); not M:f(x), which hands M on.
local function reads_field(list, pc)
  local next_one = list[pc + 1]
  local word = next_one and opcodes.of[next_one.op]
  return (word == "field" or word == "set_field") and next_one.b == list[pc].a
end

-- Notes the policy's functions in v, at any depth.
local function hand_over(self, v)
  local todo = { v }
  while #todo > 0 do
    local x = table.remove(todo)
    if type(x) == "function" and self.code[x] then
      for r = 0, self.params[x] - 1 do self.roles[x][r] = false end
    elseif type(x) == "table" and not self.handed[x] then
      self.handed[x] = true
      for k, y in next, x do todo[#todo + 1], todo[#todo + 2] = y, k end
    end
  end
end

local function upvalue_named(f, name)
  for i = 1, util.funcinfo(f).upvalues do
    local each, v = debug.getupvalue(f, i)
    if each == name then return v end
  end
end

-- What a function that f makes takes along may be used in any way; it may also set
-- what f was given.
local function look_inside(self, f, proto)
  for _, i in ipairs(opcodes.instructions(proto)) do
    local word = opcodes.of[i.op]
    if word == "up" then
      hand_over(self, upvalue_named(f, util.funcuvname(proto, i.d)))
    elseif word == "global" then
      hand_over(self, rawget(self.env, opcodes.constant(proto, i.d)))
    elseif word == "make" then
      look_inside(self, f, opcodes.constant(proto, i.d))
    elseif word and word:find("^set_up") then
      for r = 0, self.params[f] - 1 do
        if debug.getlocal(f, r + 1) == util.funcuvname(proto, i.a) then
          self.roles[f][r] = false
        end
      end
    end
  end
end

local function find_handed_over(self, f)
  local list = self.code[f]
  for pc, i in ipairs(list) do
    local v = sites.read(f, list, pc, self.env)
    if type(v) == "function" and not sites.call_of(list, pc) or
        type(v) == "table" and v ~= self.env and not reads_field(list, pc) then
      hand_over(self, v)
    elseif opcodes.of[i.op] == "make" then
      look_inside(self, f, opcodes.constant(f, i.d))
    end
  end
end

---@param hooks table function -> "on_event", "on_request"; false: both
---@param functions function[] of the policy
---@return table roles function -> register -> "event", "request"; false, nil: not known
function M.roles(hooks, functions, env)
  local self = { code = {}, params = {}, roles = {}, env = env, handed = { [env] = true } }
  local todo = {}
  for _, f in ipairs(functions) do
    self.code[f] = opcodes.instructions(f)
    self.params[f] = util.funcinfo(f).params
    self.roles[f] = {}
  end
  for _, f in ipairs(functions) do find_handed_over(self, f) end
  for f, hook in pairs(hooks) do
    if self.code[f] then
      for i, role in ipairs(first[hook] or {}) do give(self, f, i - 1, role) end
      todo[#todo + 1] = f
    end
  end
  spread(self, todo)
  narrow(self, functions, hooks)
  return self.roles
end

return M
