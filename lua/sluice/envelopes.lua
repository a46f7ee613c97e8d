-- envelopes: where the events of a body lie, and the values around them that events get.
-- Methods of the loader; every mistake is recorded and the rest goes on.

local paths = require "sluice.paths"
local tables = require "sluice.tables"
local values = require "sluice.values"

local LEVELS_MAX, COLUMNS_MAX = 8, 64

---@param Loader table the class that gets the methods
return function(Loader)

local is_path = paths.is_path
local sorted_keys = tables.sorted_keys

local function holds(a, b)
  return a == b or b:sub(1, #a + 1) == a .. "."
end

-- The lists that a path leads through, "a[].b[].c" as { "a", "b" }, and the rest. nil: a
-- dot is missing behind a list, or a path has none between them.
local function lists_of(path)
  local plain, lists, at = path:gsub("\\.", "xx"), {}, 1
  while true do
    local from = plain:find("[]", at, true)
    if not from then break end
    local list = path:sub(at, from - 1)
    if not is_path(list) then return nil end
    lists[#lists + 1] = list
    at = from + 2
    if at > #path then break end
    if path:sub(at, at) ~= "." then return nil end
    at = at + 1
  end
  return lists, path:sub(at)
end

-- The paths of the events' arrays, each below an item of the one before; nil: it is no
-- such path.
local function event_levels(path)
  if type(path) ~= "string" then return nil end
  local lists, rest = lists_of(path)
  if lists and #lists == 0 then return is_path(path) and { path } or nil end
  return lists and rest == "" and lists or nil
end

-- A value's path below an item of the lists that it leads through, and how many. nil: why
-- it is none.
local function value_of(path, levels)
  local lists, rest
  if type(path) == "string" then lists, rest = lists_of(path) end
  if not lists or not is_path(rest) then
    return nil, ("%s is not a path such as \"context.ip\""):format(values.show(path))
  end
  for i, list in ipairs(lists) do
    if list ~= levels[i] or i == #levels then
      return nil, ("%s: its lists are not those of events"):format(values.show(path))
    end
  end
  local array = levels[#lists + 1]
  if holds(rest, array) or holds(array, rest) then
    return nil, ("%s holds the events, or lies in them"):format(values.show(path))
  end
  return path
end

function Loader:event_path(s, o)
  if o.events and o.body ~= "batch" and o.body ~= "events" then
    self:problem(s, { "events" }, "key", "needs body = \"batch\" or body = \"events\"")
    return nil
  end
  local levels = o.events and event_levels(o.events)
  if o.events and not levels then
    self:problem(s, { "events" }, "value", tostring(o.events):find("[", 1, true)
      and ("%s is not a path such as \"a[].b[]\", whose last list has the events")
        :format(values.show(o.events))
      or ("%s is not a path such as \"data.events\""):format(values.show(o.events)))
    o.events = nil
  elseif levels and #levels > LEVELS_MAX then
    self:problem(s, { "events" }, "value", ("leads through %d lists: at most %d are taken")
      :format(#levels, LEVELS_MAX))
  end
  return levels
end

-- A value of a bulk body's action: its path in the action's object.
local function action_value(path)
  if path == "$action" or is_path(path) and path:sub(1, 1) ~= "$" then return path end
  return nil, ("%s is not a path in the action, such as \"_index\", nor \"$action\"")
    :format(values.show(path))
end

function Loader:route_columns(s, o)
  local seen, list = {}, o.columns
  if not list then return nil end
  if o.body ~= "batch" then
    self:problem(s, { "columns" }, "key", "needs body = \"batch\"")
  elseif #list > COLUMNS_MAX then
    self:problem(s, { "columns" }, "value",
      ("%d names: expected at most %d"):format(#list, COLUMNS_MAX))
  end
  for i, name in ipairs(list) do
    if seen[name] then
      self:problem(s, { "columns", i }, "value",
        ("%s is there twice"):format(values.show(name)))
    end
    seen[name] = true
  end
  return list
end

function Loader:route_envelope(s, o)
  local list = {}
  local levels = self:event_path(s, o)
  local bulk = o.body == "bulk"
  if o.envelope and not o.events and not bulk then
    self:problem(s, { "envelope" }, "key",
      "needs events: where in that envelope the array of events lies")
    return list
  end
  for _, key in ipairs((levels or bulk) and sorted_keys(o.envelope or {}) or {}) do
    local path, why
    if self:added_key(s, "envelope", key) then
      if bulk then
        path, why = action_value(o.envelope[key])
      else
        path, why = value_of(o.envelope[key], levels)
      end
    end
    for _, other in ipairs(list) do
      if path and path == other.path then
        path, why = nil, ("%s is copied twice"):format(values.show(path))
      end
    end
    if why then
      self:problem(s, { "envelope", key }, "value", why)
    elseif path then
      list[#list + 1] = { key = key, from = "envelope", path = path }
    end
  end
  return list
end

end
