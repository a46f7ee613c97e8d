-- advice: the probable meaning of a mistake in a policy's text. Methods of the loader.

local source = require "sluice.source"
local words = require "sluice.words"

---@param Loader table the class that gets the methods
return function(Loader)

local other_languages = {
  ["!"] = { ["="] = "Lua writes ~= for \"is not\"" },
  ["&"] = { ["&"] = "Lua writes and for &&" },
  ["|"] = { ["|"] = "Lua writes or for ||" },
  ["+"] = { ["="] = "Lua has no +=: write x = x + 1", ["+"] = "Lua has no ++: write x = x + 1" },
  ["-"] = { ["="] = "Lua has no -=: write x = x - 1" },
  ["*"] = { ["="] = "Lua has no *=: write x = x * 2" },
  ["/"] = { ["="] = "Lua has no /=: write x = x / 2" },
}

---The cause of a syntax error in a line, where that can be seen.
---@param message string Lua's own
---@return string advice "" or "; Lua …"
function Loader.syntax_advice(_, text, line, message)
  for at = line, math.max(line - 1, 1), -1 do
    local before
    for t in source.line_tokens(text, at) do
      local pair = before and before.last + 1 == t.first and t.kind == "op" and
          other_languages[before.text]
      if pair and pair[t.text] then return "; " .. pair[t.text] end
      if t.kind == "name" and t.text == "continue" then
        return "; Lua has no continue: write if … then … end around the rest"
      end
      before = t
    end
  end
  local near = message:match("^'}' expected.* near '(.*)'$")
  if near == "=" then
    return "; a key that is no plain name stands in brackets: [\"a.b\"] = …"
  elseif near and near:match("^[%w_\"']") then
    return "; a comma or a } is missing before it"
  end
  return ""
end

---A load error in words of the policy.
function Loader.raised_advice(_, message)
  local name = message:match("^attempt to call global '([%w_]+)' %(a table value%)$")
  return words.instead[name] and ("%s is no type: %s"):format(name, words.instead[name])
      or message
end

-- Where a later line defines a local or a global of that name.
local function defined_below(text, line, name)
  local n = 0
  for at in (text .. "\n"):gmatch("([^\n]*)\n") do
    n = n + 1
    if n > line and (at:match("^%s*local%s+function%s+" .. name .. "%f[^%w_]") or
        at:match("^%s*function%s+" .. name .. "%f[^%w_]") or
        at:match("^%s*local%s+" .. name .. "%s*=")) then
      return n
    end
  end
  return nil
end

---The problem with a global that the environment lacks.
function Loader:unknown_advice(file, line, key)
  if type(key) == "string" and key:find("^\226\128[\152-\159]") then
    return "unknown word: a text stands in straight quotes, \"…\""
  end
  if type(key) ~= "string" or not key:match("^[%w_]+$") then return nil end
  local below = defined_below(self.texts[file] or "", line, key)
  if below then
    return ("is defined in line %d, below: Lua reads from the top, so move it up")
      :format(below)
  end
  return words.instead[key] and "unknown word: " .. words.instead[key] or nil
end

---Whether a file gives a field of a table to that option somewhere: looked for once, since
---every statement asks.
local function takes_field(self, file, key)
  local text = self.texts[file]
  if not text then return false end
  self.fields = self.fields or {}
  local of = self.fields[file] or {}
  self.fields[file] = of
  if of[key] == nil then
    of[key] = text:find("%f[%w_]" .. key .. "%s*=%s*[%a_][%w_]*%.[%a_]") ~= nil
  end
  return of[key]
end

---Fields of a table that are nil where a statement takes an option: rules.on_evnt.
function Loader:check_nils(s, options)
  local text = self.texts[s.file] or ""
  for key in pairs(options) do
    if s.args[key] == nil and takes_field(self, s.file, key) then
      for name, value in source.fields_of(text, s) do
        if options[name] and s.args[name] == nil then
          self:problem(s, { name }, "value", value .. " is nil: there is no such field")
        end
      end
      return
    end
  end
end

end
