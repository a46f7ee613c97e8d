-- schemas: the schemas of a policy, checked against words. Methods of the loader; every
-- mistake is recorded and the rest goes on.

local paths = require "sluice.paths"
local source = require "sluice.source"
local suggest = require "sluice.suggest"
local tables = require "sluice.tables"
local values = require "sluice.values"
local words = require "sluice.words"

local extend, sorted_keys = tables.extend, tables.sorted_keys

---@param Loader table the class that gets the methods
return function(Loader)

function Loader:enum_values(s, path, opts)
  local list, seen, rest = {}, {}, {}
  for k, v in pairs(opts) do
    if type(k) ~= "number" then rest[k] = v end
  end
  for i, v in ipairs(opts) do
    if type(v) ~= "string" then
      self:problem(s, extend(path, i), "value",
        ("%s is not a text"):format(values.show(v)))
    elseif seen[v] then
      self:problem(s, extend(path, i), "value",
        ("%s is given twice"):format(values.show(v)))
    else
      seen[v] = true
      list[#list + 1] = v
    end
  end
  if #opts == 0 then
    local wrong = false
    for k in pairs(rest) do
      wrong = wrong or not words.fields.enum.options[k]
    end
    self:problem(s, path, "value", wrong and "an enum's values are a list of texts, "
      .. "without keys: enum { \"a\", \"b\" }"
      or "an enum needs its values: enum { \"a\" }")
    if wrong then rest = {} end
  end
  return list, rest
end

-- A field that no event can have is a mistake of the schema.
function Loader:possible(s, name, kind, o)
  local path = { name }
  local depth = select(2, name:gsub("\\.", "x"):gsub("%.", "")) + 1
  if o.min and o.max and o.min > o.max then
    self:problem(s, path, "value", ("min %s is more than max %s")
      :format(o.min, o.max))
  elseif kind == "int" and o.min and o.max and
      math.ceil(o.min) > math.floor(o.max) then
    self:problem(s, path, "value",
      ("no whole number is from %s to %s"):format(o.min, o.max))
  elseif kind == "int" and o.unsigned and (o.max or 0) < 0 then
    self:problem(s, path, "value", ("max %s is less than 0, and the field is unsigned")
      :format(o.max))
  elseif kind == "str" and o.cut and (o.min or 0) > o.cut then
    self:problem(s, path, "value", ("min %d is more than cut %d"):format(o.min, o.cut))
  elseif kind == "str" and o.cut and o.max and o.max <= o.cut then
    self:problem(s, path, "value", ("cut %d never cuts: max %d refuses longer texts")
      :format(o.cut, o.max))
  elseif kind == "str" and o.cut and o.format then
    self:problem(s, path, "value", ("a text that is cut is no %s: leave out cut or format")
      :format(o.format))
  elseif kind == "str" and (o.min or 0) > self.limits.max_body then
    self:problem(s, path, "value", ("min %d is more than server.max_body, %d")
      :format(o.min, self.limits.max_body))
  end
  if name:find("^%.") or name:find("%.$") or name:find("..", 1, true) then
    self:problem(s, path, "key", "a path has a name on each side of a dot")
  elseif depth > self.limits.max_depth then
    self:problem(s, path, "key", ("is %d deep; server.max_depth is %d")
      :format(depth, self.limits.max_depth))
  elseif not paths.is_path(name) then
    self:problem(s, path, "key", "expected keys with dots between them; a dot, "
      .. "bracket or backslash that belongs to a key has a backslash before it")
  end
end

-- The type of a list's items, and the list's own options.
function Loader:item(s, name, opts)
  local rest = {}
  for k, v in pairs(opts) do
    if k ~= 1 then rest[k] = v end
  end
  local f = opts[1]
  if getmetatable(f) ~= self.Field then
    self:problem(s, { name }, "value",
      "a list needs the type of its items: list { str { }, max = 10 }")
    return nil, rest
  elseif words.fields[f.kind].item then
    self:problem(s, { name }, "value", "the items of a list are no lists: take any { }")
    return nil, rest
  end
  local item = self:field(s, name, f)
  for _, key in ipairs { "required", "cut", "convert", "bits", "unsigned", "formats",
    "unit" } do
    if f.opts[key] then
      self:problem(s, { name }, "value", ("%s is not for the items of a list, which are "
        .. "stored as they were sent"):format(key))
    end
  end
  return item, rest
end

-- What other languages' regular expressions have and Lua's patterns take for plain
-- characters: such a pattern is good, and fits nothing that was meant.
local OF_REGEXES = {
  { "\\[dDwWsS.]", "is a backslash and a character: write %%%s" },
  { "{%d+,?%d*}", "is these characters: write the item as often, or use min and max" },
  { "|", "is this character: a pattern has no alternatives" },
}

-- The pattern without its sets and what % makes plain.
local function outside_sets(pattern)
  return (pattern:gsub("%%.", ""):gsub("%[%^?%]?[^%]]*%]", ""))
end

function Loader:note_regex(s, name, pattern)
  local rest = outside_sets(pattern)
  for _, r in ipairs(OF_REGEXES) do
    local found = rest:match(r[1])
    if found then
      local line = source.locate(self.texts[s.file] or "", s, { name }, "value")
      self:remark(s.file, line, ("schema.%s.pattern: in a Lua pattern %s %s"):format(name,
        found, r[2]:format(found:sub(2))))
    end
  end
end

function Loader:field(s, name, f)
  local path = { name }
  local opts, list, item = f.opts, nil, nil
  if words.fields[f.kind].list then
    list, opts = self:enum_values(s, path, opts)
  elseif words.fields[f.kind].item then
    item, opts = self:item(s, name, opts)
  end
  local o = self:options(s, path, opts, words.fields[f.kind].options)
  self:possible(s, name, f.kind, o)
  if o.pattern then self:note_regex(s, name, o.pattern) end
  o.path, o.type, o.values, o.item = name, f.kind, list, item
  o.file, o.line = f.file, f.line
  return o
end

-- A field inside of one that is no object: no event that is accepted has both.
function Loader:nested(s, fields)
  for _, outer in ipairs(fields) do
    for _, inner in ipairs(outer.type ~= "any" and fields or {}) do
      if inner.path:sub(1, #outer.path + 1) == outer.path .. "." then
        local path = { inner.path }
        local why = ("is inside of %s, which is %s { } and so no object"):format(
          outer.path, outer.type)
        if inner.required then
          self:problem(s, path, "key", why .. ": every event is refused; an object is any { }")
        else
          local line = source.locate(self.texts[s.file] or "", s, path, "key")
          self:remark(s.file, line, ("schema.%s: %s: no event has it"):format(inner.path, why))
        end
      end
    end
  end
end

-- others = "drop"; a field of that name has a type instead.
local function is_option(name, v)
  return words.schema_options[name] ~= nil and type(v) == "string"
end

-- The fields' names, and the schema's own options.
function Loader:schema_parts(s)
  local names, given = {}, {}
  for _, name in ipairs(sorted_keys(s.args)) do
    if is_option(name, s.args[name]) then
      given[name] = s.args[name]
    else
      names[#names + 1] = name
    end
  end
  return names, self:options(s, {}, given, words.schema_options)
end

function Loader:schemas()
  local list = {}
  for _, s in ipairs(self:of_word "schema") do
    local fields = {}
    local names, o = self:schema_parts(s)
    for _, name in ipairs(names) do
      local f = s.args[name]
      if type(name) ~= "string" or name == "" then
        self:problem(s, { name }, "value",
          "expected field = str { }, or another type")
      elseif getmetatable(f) ~= self.Field then
        self:problem(s, { name }, "value", ("%s is no type; expected one of "
          .. "str num int bool enum time any list%s"):format(values.show(f),
          type(f) == "string" and suggest.hint(name, { "others" }) or ""))
      else
        fields[#fields + 1] = { serial = f.serial,
          field = self:field(s, name, f) }
      end
    end
    table.sort(fields, function(a, b) return a.serial < b.serial end)
    if #fields > 64 then
      self:problem(s, nil, "value", "more than 64 fields")
    end
    local out = { name = ("schema at %s:%d"):format(s.file, s.line),
      others = o.others, fields = {} }
    if #fields == 0 and o.others == "drop" then
      self:problem(s, { "others" }, "value", "would drop every field: the schema names none")
    end
    for i, f in ipairs(fields) do out.fields[i] = f.field end
    self:nested(s, out.fields)
    list[#list + 1] = out
    s.schema.index = #list - 1
    s.schema.fields = out.fields
  end
  return list
end

end
