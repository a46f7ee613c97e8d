-- parameters: which of a policy's functions are always given the event or the
-- request, and as what: hooks, and helpers that are called with theirs alone.

local opcodes = require "sluice.opcodes"
local sites = require "sluice.sites"
local util = require "jit.util"

local M = {}

local first = { on_event = { "event", "request" }, on_request = { "request" } }

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

---@param hooks table function -> "on_event", "on_request"; false: both
---@param functions function[] of the policy
---@return table roles function -> register -> "event", "request"; false, nil: not known
function M.roles(hooks, functions, env)
  local self = { code = {}, params = {}, roles = {}, env = env }
  local todo = {}
  for _, f in ipairs(functions) do
    self.code[f] = opcodes.instructions(f)
    self.params[f] = util.funcinfo(f).params
    self.roles[f] = {}
  end
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
