-- reference: the words of a policy, as people, editors and luacheck want them; all of
-- it from words*.lua and, where there is one, library.lua.
--
--   words ─► M.markdown()  conf/REFERENCE.md
--        ├─► M.meta()      lua/sluice/meta.lua, type annotations (LuaCATS)
--        └─► M.luacheck()  lua/sluice/luacheck.lua, a std

local plain = require "sluice.plain"
local tables = require "sluice.tables"
local values = require "sluice.values"
local words = require "sluice.words"

local sorted_keys = tables.sorted_keys

local M = {}

local has_library, library = pcall(require, "sluice.library")
local helpers = has_library and library.words or {}

-- The statements, in the groups and the order of the page.
local function statements()
  local groups = { { title = "The process" }, { title = "Events" },
    { title = "Sinks" } }
  for _, name in ipairs(sorted_keys(words)) do
    local w = words[name]
    if w.help then
      local g = w.sink and groups[3] or (w.once or w.process) and groups[1] or groups[2]
      g[#g + 1] = name
    end
  end
  return groups
end

-- ---- types -------------------------------------------------------------------

local lua_types = {
  count = "integer", number = "number", boolean = "boolean", list = "string[]",
  map = "table<string, string|number|boolean>",
  headers = "table<string, string>", codes = "table<string|integer, string|integer>",
  workers = '"auto"|integer',
  networks = "string[]", fields = "table<string, string>", schema = "sluice.schema",
  urls = "string|string[]",
  sinks = "table<integer|string, string|sluice.stream_sink>",
  share_by = '"connection"|"request"|"peer"|string',
  refused = 'integer|"same"', adapt = '"latency"|(fun(stats: sluice.stats): integer?)',
  topic_by = "string|(fun(ev: table): string?)", bits = "8|16|32|64", pattern = "string",
  paths = "string|string[]", texts = "string|string[]", encoding = '"header"|"detect"|string',
}
for _, name in ipairs { "string", "text", "path", "address", "socket", "mode", "owner",
  "name", "bytes", "duration", "url",
  "moment", "after", "stream", "header", "topic", "percent", "rate", "limit_rate",
  "quota" } do
  lua_types[name] = "string"
end

-- LuaCATS type of an option; class: of the table that has it.
local function lua_type(spec, class, key)
  if spec.type == "options" then
    local presets = spec.short and "string|" or ""
    for name in pairs(spec.presets or {}) do presets = presets .. '"' .. name .. '"|' end
    return presets .. class .. "." .. key .. (spec.word and ('|"%s"'):format(spec.word) or "")
  end
  if spec.values then
    local list = '"' .. table.concat(spec.values, '"|"') .. '"'
    return spec.type == "words" and "(" .. list .. ")[]" or list
  end
  if spec.type == "hook" or spec.type == "location" then
    return spec.signature or "function"
  end
  return spec.lua or lua_types[spec.type] or "any"
end

local shown_types = {
  string = "text", topic = "text", address = "host:port", socket = "address",
  mode = "octal digits", networks = "list of networks", owner = "user:group",
  bytes = "size", count = "whole number",
  fields = "field = text", list = "list of texts", texts = "text, or list of texts",
  map = "name = value",
  headers = "name = value", codes = "code or status = number or text", hook = "function",
  sinks = "list of sinks", workers = '`"auto"` or whole number',
  moment = "RFC 3339 time", after = 'duration or `"p95"`',
  adapt = '`"latency"` or function', topic_by = "text or function",
  stream = "name of a stream", percent = "share", rate = "rate",
  limit_rate = "rate", access = "list of networks", limits = "list of limits",
  header = "name of a header",
  share_by = '`"connection"`, `"request"`, `"peer"` or `"header:NAME"`',
  refused = 'status or `"same"`', location = "text or function",
  schema = "schema { }", auth = "method", urls = "url, or list of urls", bits = "8, 16, 32 or 64",
  pattern = "Lua pattern", paths = "path, or list of paths",
  encoding = '`"header"`, `"detect"` or `"query:NAME"`',
}

local function shown_type(spec)
  if spec.values then
    return (spec.type == "words" and "list of " or "")
      .. '`"' .. table.concat(spec.values, '"`, `"') .. '"`'
  end
  if spec.of == "status" then return "list of statuses" end
  if spec.type == "list" and spec.of then return "list of " .. spec.of .. "s" end
  return shown_types[spec.type] or spec.type
end

local function in_unit(n, spec)
  if spec.type == "bytes" then return values.show_bytes(n) end
  if spec.type == "duration" then return values.show_ms(n) end
  if spec.type == "rate" or spec.type == "limit_rate" then return values.show_rate(n) end
  if spec.type == "percent" then return ("%.14g%%"):format(100 * n) end
  return ("%.14g"):format(n)
end

local function bounds(spec)
  if spec.min and spec.max then
    return in_unit(spec.min, spec) .. " … " .. in_unit(spec.max, spec)
  elseif spec.min then
    return "from " .. in_unit(spec.min, spec)
  end
  return spec.max and "to " .. in_unit(spec.max, spec) or ""
end

local function shown_default(spec)
  if spec.required then return "**needed**" end
  if spec.default == nil then return "" end
  return "`" .. (type(spec.default) == "string" and '"' .. spec.default .. '"'
    or tostring(spec.default)) .. "`"
end

-- ---- Markdown ------------------------------------------------------------------

local function cell(text)
  return (text:gsub("|", "\\|"))
end

local function rows(out, prefix, options)
  for _, key in ipairs(sorted_keys(options)) do
    local spec = options[key]
    if spec.type == "options" then
      out(("| `%s%s` | table | %s | | %s |"):format(prefix, key,
        spec.required and "**needed**" or "", cell(spec.help)))
      rows(out, prefix .. key .. ".", spec.options)
      if spec.items then rows(out, prefix .. key .. "[].", spec.items) end
    else
      out(("| `%s%s` | %s | %s | %s | %s |"):format(prefix, key,
        cell(shown_type(spec)), cell(shown_default(spec)), bounds(spec),
        cell(spec.help)))
      if spec.type == "sinks" then
        rows(out, prefix .. key .. ".NAME.", words.stream_sink)
      end
    end
  end
end

local function option_table(out, options)
  if next(options) == nil then return end
  out("")
  out("| option | type | default | bounds | |")
  out("|---|---|---|---|---|")
  rows(out, "", options)
end

local function call_of(f)
  local names = {}
  for i, p in ipairs(f.params) do
    names[i] = i > (f.least or #f.params) and "[" .. p[1] .. "]" or p[1]
  end
  return f.name .. "(" .. table.concat(names, ", ") .. ")"
end

local function functions(out, list)
  out("")
  out("| function | gives | |")
  out("|---|---|---|")
  for _, f in ipairs(list) do
    out(("| `%s` | %s | %s |"):format(call_of(f),
      f.returns and "`" .. cell(f.returns) .. "`" or "", cell(f.help)))
  end
end

local function objects(out)
  for _, name in ipairs(sorted_keys(words.objects)) do
    local o = words.objects[name]
    out("")
    out("### " .. o.title)
    out("")
    out(o.text)
    if #o.fields > 0 then
      out("")
      out("| field | type | |")
      out("|---|---|---|")
      for _, f in ipairs(o.fields) do
        out(("| `%s` | `%s` | %s |"):format(f[1], cell(f[2]), cell(f[3])))
      end
    end
  end
end

local function library_groups(out)
  local order, groups = {}, {}
  for _, f in ipairs(helpers) do
    if not groups[f.group] then
      groups[f.group] = {}
      order[#order + 1] = f.group
    end
    table.insert(groups[f.group], f)
  end
  for _, name in ipairs(order) do
    out("")
    out("### Helpers: " .. name)
    functions(out, groups[name])
  end
end

-- Names of plain Lua that a policy has: { "assert", "string.byte", … }.
local function plain_lua()
  local list = {}
  for name, v in pairs(plain.library()) do
    list[#list + 1] = type(v) == "table"
      and name .. "." .. table.concat(sorted_keys(v), " " .. name .. ".") or name
  end
  table.sort(list)
  return list
end

local function absent(out)
  out("")
  out("| not there | why |")
  out("|---|---|")
  for _, name in ipairs(sorted_keys(words.forbidden)) do
    out(("| `%s` | %s |"):format(name, cell(words.forbidden[name])))
  end
end

local function page()
  local lines = {}
  return lines, function(line) lines[#lines + 1] = line end
end

---@return string text conf/REFERENCE.md
function M.markdown()
  local lines, out = page()
  out("# Reference: the words of a policy")
  out("")
  out("Made by `sluice reference` from `lua/sluice/words*.lua`; a test compares. A size is "
    .. "a text such as `\"64MiB\"`, a")
  out("duration one such as `\"50ms\"`, `\"1h\"` or `\"30d\"`; a bare number is a count. "
    .. "Bounds are inclusive. The units")
  out("of sizes are `B`, `KB`, `MB`, `GB`, `TB` (1 KB is 1,000 B) and `KiB`, `MiB`, `GiB`, `TiB` "
    .. "(1 KiB is 1,024 B); those of durations `ms`, `s`, `m`, `h` and `d`.")
  for _, g in ipairs(statements()) do
    out("")
    out("## " .. g.title)
    for _, name in ipairs(g) do
      local w = words[name]
      out("")
      out("### `" .. name .. (w.named and ' "NAME" { … }`'
        or w.named_or_not and ' ["NAME"] { … }`' or " { … }`"))
      out("")
      out(w.help .. (w.once and " At most once." or ""))
      option_table(out, w.options)
    end
  end
  out("")
  out("## Schemas")
  out("")
  out("`schema { path = type { … }, … }`, where a path is keys with dots between them: "
    .. "`[\"properties.page\"] = str { }`; `[\"a\\\\.b\"]` is the one key `a.b`. Besides its "
    .. "fields a schema may say:")
  option_table(out, words.schema_options)
  for _, kind in ipairs(sorted_keys(words.fields)) do
    local f = words.fields[kind]
    out("")
    out("### `" .. kind .. (f.list and ' { "a", "b", … }`'
      or f.item and " { type { … }, … }`" or " { … }`"))
    out("")
    out(f.help)
    option_table(out, f.options)
  end
  out("")
  out("## Who may send")
  out("")
  out("Values of a route's `auth`; KEYS is the name of a `keys \"NAME\" { }`.")
  out("")
  out("| value | |")
  out("|---|---|")
  for _, kind in ipairs(sorted_keys(words.auth)) do
    out(("| `%s` | %s |"):format(words.auth[kind].form, cell(words.auth[kind].help)))
  end
  for _, kind in ipairs(sorted_keys(words.auth)) do
    if words.auth[kind].options then
      out("")
      out("### `" .. kind .. " { … }`")
      option_table(out, words.auth[kind].options)
    end
  end
  out("")
  out("## Functions")
  functions(out, words.functions)
  library_groups(out)
  out("")
  out("## What functions are given")
  objects(out)
  out("")
  out("## Plain Lua")
  out("")
  out("LuaJIT's Lua 5.1, with: `" .. table.concat(plain_lua(), "` `") .. "`.")
  absent(out)
  return table.concat(lines, "\n") .. "\n"
end

-- ---- LuaCATS ----------------------------------------------------------------------

local function class(out, name, options, help, list)
  local nested = {}
  out("")
  out("---" .. help)
  out("---@class " .. name)
  if list then
    out(("---@field [%s] %s"):format(name == "sluice.schema.fields" and "string" or "integer",
      list))
  end
  for _, key in ipairs(sorted_keys(options)) do
    local spec = options[key]
    local default = spec.default ~= nil and " (default: " .. tostring(spec.default)
      .. ")" or ""
    out(("---@field %s%s %s %s%s"):format(key, spec.required and "" or "?",
      lua_type(spec, name, key), spec.help, default))
    if spec.type == "options" then nested[#nested + 1] = key end
  end
  for _, key in ipairs(nested) do
    local nested_name, items = name .. "." .. key, options[key].items
    class(out, nested_name, options[key].options, options[key].help,
      items and nested_name .. ".item")
    if items then class(out, nested_name .. ".item", items, "A further one of the list.") end
  end
end

local function statement(out, name, w)
  local class_name = "sluice." .. name
  class(out, class_name, w.options, w.help)
  out("")
  out("---" .. w.help)
  if w.named then
    out("---@param name string")
    out("---@return " .. (w.handle and class_name .. "_handle | " or "")
      .. "fun(options: " .. class_name .. ")"
      .. (w.handle and ": " .. class_name .. "_handle" or ""))
    out("function " .. name .. "(name) end")
  else
    out("---@param options " .. class_name .. (w.named_or_not and "|string" or ""))
    if w.handle then out("---@return " .. class_name .. "_handle") end
    out("function " .. name .. "(options) end")
  end
end

local function field_kind(out, kind, f)
  local name = "sluice.field." .. kind
  class(out, name, f.options, f.help, f.list and "string" or f.item and "sluice.field")
  out("")
  out("---" .. f.help)
  out("---@param options " .. name)
  out("---@return sluice.field")
  out("function " .. kind .. "(options) end")
end

local names_of_objects = { event = "sluice.event", request = "sluice.request" }

local function annotated(t)
  local base = t:gsub("%?$", ""):gsub("^path$", "string")
  return (names_of_objects[base] or base:gsub("^iterator$", "fun(): integer, any"))
    .. (t:sub(-1) == "?" and "?" or "")
end

local function annotate_function(out, f)
  local names = {}
  out("")
  out("---" .. f.help)
  for i, p in ipairs(f.params) do
    local optional = i > (f.least or #f.params) and p[1] ~= "..."
    names[i] = p[1]
    out(("---@param %s%s %s"):format(p[1], optional and "?" or "",
      annotated(optional and p[2]:gsub("%?$", "") or p[2])))
  end
  if f.returns then out("---@return " .. annotated(f.returns)) end
  if f.overload then out("---@overload " .. f.overload) end
  out(("function %s(%s) end"):format(f.name, table.concat(names, ", ")))
end

local function auth_function(out, kind, f)
  local named = not f.options and f.form:find("NAME", 1, true)
  local param = f.options and "options" or kind == "any_of" and "methods" or named and "name"
    or "keys"
  out("")
  out("---" .. f.help)
  out(("---@param %s %s"):format(param, f.options and "sluice.auth." .. kind
    or kind == "any_of" and "sluice.auth[]" or "string"))
  out("---@return " .. (named and "fun(keys: string): " or "") .. "sluice.auth")
  out(("function %s(%s) end"):format(kind, param))
end

---@return string text lua/sluice/meta.lua
function M.meta()
  local lines, out = page()
  out("---@meta sluice")
  out("-- The words of a policy for editors (LuaCATS); made by `sluice reference --meta`.")
  for _, g in ipairs(statements()) do
    for _, name in ipairs(g) do statement(out, name, words[name]) end
  end
  class(out, "sluice.stream_sink", words.stream_sink, "A sink of a stream.")
  for _, name in ipairs { "sluice.auth", "sluice.field", "sluice.schema",
    "sluice.verdict" } do
    out("")
    out("---@class " .. name)
  end
  for _, kind in ipairs(sorted_keys(words.fields)) do
    field_kind(out, kind, words.fields[kind])
  end
  for _, kind in ipairs(sorted_keys(words.auth)) do
    local options = words.auth[kind].options
    if options then class(out, "sluice.auth." .. kind, options, words.auth[kind].help) end
    if kind ~= "hmac" then auth_function(out, kind, words.auth[kind]) end -- see its overload
  end
  out("")
  class(out, "sluice.schema.fields", words.schema_options,
    "The fields of a schema, and what happens to others.", "sluice.field")
  out("")
  out("---@param fields sluice.schema.fields")
  out("---@return sluice.schema")
  out("function schema(fields) end")
  for _, name in ipairs(sorted_keys(words.objects)) do
    local o = words.objects[name]
    out("")
    out("---" .. o.text:gsub("\n", "\n---"))
    out("---@class sluice." .. name)
    for _, f in ipairs(o.fields) do
      out(("---@field %s %s %s"):format(f[1], f[2], f[3]))
    end
    if o.open then out("---@field [string] any") end
    if o.call then out("---@overload " .. o.call) end
  end
  for _, f in ipairs(words.functions) do annotate_function(out, f) end
  for _, f in ipairs(helpers) do annotate_function(out, f) end
  return table.concat(lines, "\n") .. "\n"
end

-- ---- luacheck ---------------------------------------------------------------------

local function known_names()
  local names = { schema = true }
  for _, g in ipairs(statements()) do
    for _, name in ipairs(g) do names[name] = true end
  end
  for kind in pairs(words.fields) do names[kind] = true end
  for kind in pairs(words.auth) do names[kind] = true end
  for _, f in ipairs(words.functions) do names[f.name] = true end
  for _, f in ipairs(helpers) do names[f.name] = true end
  return names
end

---A std: exactly the names that a policy has, so that io or a misspelt word is a
---warning.
---@return string text lua/sluice/luacheck.lua
function M.luacheck()
  local lines, out = page()
  local names, lib = known_names(), plain.library()
  for name in pairs(lib) do names[name] = true end
  out("-- The words of a policy for luacheck: sluice reference --luacheck > sluice_std.lua")
  out("-- In a .luacheckrc: stds.sluice = dofile \"sluice_std.lua\"; std = \"sluice\"")
  out("-- Not under the name luacheck.lua: luacheck would load it instead of itself.")
  out("return {")
  out("  read_globals = {")
  for _, name in ipairs(sorted_keys(names)) do
    if type(lib[name]) == "table" then
      local fields = {}
      for i, f in ipairs(sorted_keys(lib[name])) do fields[i] = f .. " = {}" end
      out(("    %s = { fields = {"):format(name))
      for i = 1, #fields, 5 do
        out("      " .. table.concat(fields, ", ", i, math.min(i + 4, #fields)) .. ",")
      end
      out("    } },")
    else
      out(("    %s = {},"):format(name))
    end
  end
  out("  },")
  out("}")
  return table.concat(lines, "\n") .. "\n"
end

return M
