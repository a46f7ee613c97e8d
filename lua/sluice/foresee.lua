-- foresee: mistakes in a policy's functions that show before they run: a global that is
-- not defined, a stream that is not there, a malformed code. Methods of the loader.

local bytecode = require "sluice.bytecode"
local opcodes = require "sluice.opcodes"
local parameters = require "sluice.parameters"
local slips = require "sluice.slips"
local source = require "sluice.source"
local util = require "jit.util"

---@param Loader table the class that gets the methods
return function(Loader)

-- Notes a mistake at the name of the global g.
local function note(self, g, message)
  local column, length =
      source.find(self.texts[g.file] or "", g.line, g.name)
  self:add(g.file, g.line, column, length, message, g.name)
end

local function check(self, g)
  if not g.file then return end
  local fixed = self.fixed[g.name] ~= nil
  if fixed and not g.set and self.loading_words[g.name] then
    note(self, g, "works while the policy is loaded; a hook can't use it")
  elseif fixed and g.set then
    note(self, g, "is a word of the policy language and can't be set")
  elseif not fixed and rawget(self.env, g.name) == nil then
    note(self, g, g.set and ("sets a global: write local %s"):format(g.name)
      or self:why_unknown(g.name, g.file, g.line))
  end
end

-- Looks at the globals of the functions that v is or holds, which go into found.
local function each(self, v, seen, found)
  local todo = { v }
  while #todo > 0 do
    local x = table.remove(todo)
    if type(x) == "table" and not seen[x] and not getmetatable(x) then
      seen[x] = true
      for _, y in pairs(x) do todo[#todo + 1] = y end
    elseif type(x) == "function" then
      bytecode.globals(x, function(g) check(self, g) end, seen,
        function(f) found[#found + 1] = f end)
    end
  end
end

-- The hooks of routes: function -> "on_event", "on_request"; false: it is both.
local function hooks_of(self)
  local hooks = {}
  for _, s in ipairs(self.statements) do
    for _, key in ipairs { "on_event", "on_request" } do
      local f = s.word == "route" and type(s.args) == "table" and s.args[key]
      if type(f) == "function" then
        hooks[f] = (hooks[f] == nil or hooks[f] == key) and key
      end
    end
    local answer = s.word == "route" and type(s.args) == "table" and s.args.answer
    local f = type(answer) == "table" and answer.location
    if type(f) == "function" then hooks[f] = hooks[f] == nil and "location" end
  end
  return hooks
end

-- Looks for slips in a function, and in the texts of those that it makes.
local function look(self, f, ctx)
  slips.find(f, ctx, function(pc, token, message, is_note)
    local info = util.funcinfo(f, pc)
    local file = (info.source or ""):match("^@policy:(.*)$")
    if file and is_note then
      self:remark(file, info.currentline, token .. ": " .. message)
    elseif file then
      note(self, { file = file, line = info.currentline, name = token }, message)
    end
  end)
  for _, i in ipairs(opcodes.instructions(f)) do
    if opcodes.of[i.op] == "make" then
      look(self, opcodes.constant(f, i.d), { roles = {}, env = ctx.env, fixed = ctx.fixed,
        streams = ctx.streams })
    end
  end
end

---Looks at every function that a statement was given.
function Loader:check_hooks()
  local seen, found = {}, {}
  self.loading_words = require("sluice.loader").loading_words()
  for _, s in ipairs(self.statements) do each(self, s.args, seen, found) end
  local hooks, columns = hooks_of(self), self:keys_columns()
  local roles = parameters.roles(hooks, found, self.env)
  for _, f in ipairs(found) do
    local hook = hooks[f] ~= "location" and hooks[f] or nil
    look(self, f, { hook = hook, roles = roles[f] or {}, env = self.env,
      fixed = self.fixed, streams = self.stream_index, columns = columns })
  end
end

end
