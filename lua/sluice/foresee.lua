-- foresee: mistakes in a policy's functions that show before they run: a global that is
-- not defined, a stream that is not there, a malformed code. Methods of the loader.

local bytecode = require "sluice.bytecode"
local parameters = require "sluice.parameters"
local slips = require "sluice.slips"
local source = require "sluice.source"
local suggest = require "sluice.suggest"
local util = require "jit.util"
local values = require "sluice.values"

---@param Loader table the class that gets the methods
return function(Loader)

-- Notes a mistake at the name of the global g.
local function note(self, g, message)
  local column, length =
      source.find(self.texts[g.file] or "", g.line, g.name)
  self:add(g.file, g.line, column, length, message, g.name)
end

local said = {}

function said.to(self, g)
  local names = {}
  for name in pairs(self.stream_index) do names[#names + 1] = name end
  for _, name in ipairs(g.texts) do
    if not self.stream_index[name] then
      note(self, g, ("there is no stream %s%s"):format(values.show(name),
        suggest.hint(name, { unpack(names) })))
    end
  end
end

function said.reject(self, g)
  local code, status = g.texts[1], #g.texts == 2 and g.texts.number
  if status and (status < 400 or status > 499) then
    note(self, g, ("%d is not a status from 400 to 499"):format(status))
  end
  if code and (not code:find("^[%w_%-]+$") or #code > 63) then
    note(self, g, ("%s is not a code such as \"missing_value\""):format(
      values.show(code)))
  end
end

local function check(self, g)
  if not g.file then return end
  local fixed = self.fixed[g.name] ~= nil
  if fixed and not g.set and self.loading_words[g.name] then
    note(self, g, "works while the policy is loaded; a hook can't use it")
  elseif fixed and g.set then
    note(self, g, "is a word of the policy language and can't be set")
  elseif fixed then
    if g.texts and said[g.name] then said[g.name](self, g) end
  elseif rawget(self.env, g.name) == nil then
    note(self, g, g.set and ("sets a global: write local %s"):format(g.name)
      or self:why_unknown(g.name, g.file, g.line))
  end
end

-- Looks at the globals of the functions that v is or holds, which go into found.
local function each(self, v, seen, found)
  if type(v) == "table" and not seen[v] and not getmetatable(v) then
    seen[v] = true
    for _, x in pairs(v) do each(self, x, seen, found) end
  elseif type(v) == "function" then
    bytecode.globals(v, function(g) check(self, g) end, seen,
      function(f) found[#found + 1] = f end)
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
  end
  return hooks
end

---Looks at every function that a statement was given.
function Loader:check_hooks()
  local seen, found = {}, {}
  self.loading_words = require("sluice.loader").loading_words()
  for _, s in ipairs(self.statements) do each(self, s.args, seen, found) end
  local hooks = hooks_of(self)
  local roles = parameters.roles(hooks, found, self.env)
  for _, f in ipairs(found) do
    slips.find(f, { hook = hooks[f], roles = roles[f] or {}, env = self.env,
      fixed = self.fixed }, function(pc, token, message, is_note)
      local info = util.funcinfo(f, pc)
      local file = (info.source or ""):match("^@policy:(.*)$")
      if file and is_note then
        self:remark(file, info.currentline, token .. ": " .. message)
      elseif file then
        note(self, { file = file, line = info.currentline, name = token }, message)
      end
    end)
  end
end

end
