-- files: the policy's other files, taken in by require (a module, once, by its name)
-- and include (statements, as if they stood there).

local source = require "sluice.source"
local words = require "sluice.words"

return function(Loader)

function Loader:require(name)
  local file, line = self.caller()
  if type(name) ~= "string" or not name:match("^[%w_%-%.]+$") then
    error("require: expected a module's name such as \"lib.rules\"", 2)
  end
  for i, open in ipairs(self.requiring) do
    if open == name then
      self:add(file, line, 1, 0, ("needs itself: %s → %s"):format(
        table.concat(self.requiring, " → ", i), name),
        ("require \"%s\""):format(name))
      return self.blackhole()
    end
  end
  if self.modules[name] ~= nil then return self.modules[name] end
  local path = self.folder .. name:gsub("%.", "/") .. ".lua"
  local text = self.host.read(path)
  if not text then
    self:add(file, line, 1, 0, "no file " .. path .. (name:find("json", 1, true)
      and "; a policy has no C modules: " .. words.forbidden.json or ""),
      ("require \"%s\""):format(name))
    return self.blackhole()
  end
  self.modules[name] = true
  self.requiring[#self.requiring + 1] = name
  local result = self:run(path, text)
  self.requiring[#self.requiring] = nil
  if result ~= nil then self.modules[name] = result end
  return self.modules[name]
end

-- Runs one file of an include; open: those that are being run, from the policy on.
function Loader:include_file(path, place)
  local open = self.including
  for i, other in ipairs(open) do
    if other == path then
      place(("includes itself: %s → %s"):format(table.concat(open, " → ", i),
        path))
      return
    end
  end
  if self.included[path] then
    place(("%s is included twice, first in line %d of %s"):format(path,
      self.included[path].line, self.included[path].file))
    return
  end
  local text = self.host.read(path)
  if not text then
    place("no file " .. path)
    return
  end
  local file, line = place(nil)
  self.included[path] = { file = file, line = line }
  open[#open + 1] = path
  self:run(path, text)
  open[#open] = nil
end

---Runs statements of another file as if they stood here; its locals stay its own.
function Loader:include(name)
  local file, line = self.caller()
  local function place(message)
    if message then
      local column, length = source.find(self.texts[file] or "", line, "include")
      self:add(file, line, column, length, message,
        ("include \"%s\""):format(tostring(name)))
    end
    return file, line
  end
  if type(name) ~= "string" or not name:match("^[%w_%-%./%*]+%.lua$") or
      name:find("..", 1, true) then
    place("expected a file beside the policy such as \"streams/clicks.lua\", or "
      .. "\"streams/*.lua\"")
    return
  end
  if not self.loading then error("include: only while the policy is loaded", 2) end
  local path = name:sub(1, 1) == "/" and name or self.folder .. name
  if not name:find("*", 1, true) then
    self:include_file(path, place)
    return
  end
  -- Only the name given is a pattern, not the folder.
  local list = self.host.glob(name:sub(1, 1) == "/" and name
    or self.folder:gsub("[%[%]*?\\]", "\\%0") .. name)
  if #list == 0 then place("no file matches " .. path) end
  if #list > 1000 then
    place(("%d files match, more than 1000"):format(#list))
    return
  end
  for _, each in ipairs(list) do self:include_file(each, place) end
end

end
