-- auth: files of keys, and what a route asks of a request before it is let in. Methods of
-- the loader; every mistake is recorded and the rest goes on.
--
-- A new method: its entry in words_auth.lua, its kind in `named` below if a name stands
-- before the keys, or else its own branch in Loader:auth_method.

local handles = require "sluice.handles"
local source = require "sluice.source"
local suggest = require "sluice.suggest"
local tables = require "sluice.tables"
local values = require "sluice.values"
local words = require "sluice.words"

local METHODS_MAX = 8   -- AUTH_METHODS_MAX
local SERIES_MAX = 1000 -- of sluice_key_requests_total
local TABLES_MAX = 60000

local named = { header = true, query = true } -- header "x-api-key" "apps"

---@param Loader table the class that gets the methods
return function(Loader)

-- ---- the words ---------------------------------------------------------------

---bearer "apps", header "x-api-key" "apps", any_of { … }: a value for a route's auth.
function Loader:auth_word(kind)
  local Auth = self.Auth
  Auth.__call = function(m, keys)
    if not named[m.kind] or m.keys ~= nil then
      error(("%s is written %s"):format(m.kind, words.auth[m.kind].form), 2)
    end
    return setmetatable({ kind = m.kind, name = m.name, keys = keys }, Auth)
  end
  Auth.__metatable = false
  return function(v)
    if kind == "any_of" then return setmetatable({ kind = kind, list = v }, Auth) end
    if named[kind] then return setmetatable({ kind = kind, name = v }, Auth) end
    return setmetatable({ kind = kind, keys = v }, Auth)
  end
end

function Loader:is_auth(v)
  return type(v) == "table" and debug.getmetatable(v) == self.Auth
end

-- ---- files of keys -----------------------------------------------------------

local function column_of(names, name)
  for i, n in ipairs(names) do
    if n == name then return i - 1 end
  end
  return nil
end

-- Its columns by name, without the keys' own; nil: the file has mistakes, which are told.
function Loader:read_keys(s, o)
  local path = self:beside(s, { "file" }, o.file, "apps.csv")
  if not path then return nil end
  local index, names, key =
      self.host.keys(path, o.key, o.delimiter, o.expires or "", o.disabled or "")
  if index then return index, names, key end
  if type(names) == "string" then
    self:problem(s, { "file" }, "value", names)
    return nil
  end
  for _, p in ipairs(names) do
    if p.line == 0 then
      self:problem(s, { "key" }, "value", ("%s: the first line of %s has no such column")
        :format(values.show(o.key), path))
    else
      self:add(path, p.line, 1, 0, p.message)
    end
  end
  return nil
end

-- The column of an option; -1: there is none.
function Loader:key_column(s, o, option, names)
  if o[option] == nil then return -1 end
  local at = column_of(names, o[option])
  if not at then
    self:problem(s, { option }, "value", ("the file has no column %s%s"):format(
      values.show(o[option]), suggest.hint(o[option], { unpack(names) })))
  end
  return at or -1
end

function Loader:keys_statement(s)
  local o = self:options(s, {}, s.args, words.keys.options)
  local delimiter = o.delimiter
  if type(delimiter) ~= "string" or #delimiter ~= 1 or delimiter:find('["\r\n]') then
    self:problem(s, { "delimiter" }, "value", ("%s is not one character")
      :format(values.show(delimiter)))
    return nil
  end
  for _, option in ipairs { "expires", "disabled", "label" } do
    if o[option] ~= nil and o[option] == o.key then
      self:problem(s, { option }, "value", "is the column of the keys")
      return nil
    end
  end
  if type(o.file) ~= "string" then return nil end
  local index, names, key = self:read_keys(s, o)
  if not index or index > TABLES_MAX then return nil end
  local columns, shown = {}, {}
  for i, name in ipairs(names) do
    if i - 1 ~= key then
      columns[name] = i - 1
      shown[#shown + 1] = name
    end
  end
  handles.place_keys(index, columns, s.name)
  return { name = s.name, table = index, columns = columns, shown = shown,
    expires = self:key_column(s, o, "expires", names),
    disabled = self:key_column(s, o, "disabled", names),
    label = self:key_column(s, o, "label", names) }
end

---desc.keys, before the routes.
function Loader:keys_files(desc)
  local seen = {}
  self.keys_index, desc.keys = seen, {}
  for _, s in ipairs(self:of_word("keys")) do
    self:check_name(s, seen)
    local k = self:keys_statement(s)
    if k then
      k.index = #desc.keys
      desc.keys[#desc.keys + 1] = k
    end
    seen[s.name].keys = seen[s.name].keys or k or {}
  end
end

---The columns of all files of keys, as a set; nil: one of the files can't be read.
function Loader:keys_columns()
  local all = {}
  for _, found in pairs(self.keys_index) do
    if not found.keys.columns then return nil end
    for name in pairs(found.keys.columns) do all[name] = true end
  end
  return all
end

---The metric that counts by label, behind the policy's own.
function Loader.keys_metric(_, desc)
  local wanted = false
  for _, k in ipairs(desc.keys) do
    wanted = wanted or k.label >= 0
    k.metric = #desc.metrics
  end
  if wanted then
    desc.metrics[#desc.metrics + 1] = { word = "counter", name = "sluice_key_requests_total",
      help = "Requests whose key was accepted, by the column that label names.",
      labels = { "keys", "label" }, max_series = SERIES_MAX }
  end
end

-- ---- a route's auth ----------------------------------------------------------

-- The file of keys that v names.
function Loader:keys_named(s, path, v, form)
  if type(v) ~= "string" then
    self:problem(s, path, "value", ("needs the name of keys: write %s"):format(form))
    return nil
  end
  local found = self.keys_index[v]
  if not found then
    self:problem(s, path, "value", ("there are no keys %s%s"):format(values.show(v),
      suggest.hint(v, tables.sorted_keys(self.keys_index))))
    return nil
  end
  found.used = true
  return found.keys
end

---A method as C's build_auth takes it; nil: told.
function Loader:auth_method(s, path, m)
  if not self:is_auth(m) then
    self:problem(s, path, "value", ("%s is no way to send a key: write %s"):format(
      values.show(m), type(m) == "string" and ("bearer %s"):format(values.show(m))
      or "bearer \"KEYS\", header \"NAME\" \"KEYS\", basic \"KEYS\", query \"NAME\" \"KEYS\", "
        .. "client_cert { … }, hmac { … }, jwt { … } or any_of { … }"))
    return nil
  end
  if m.kind == "hmac" or m.kind == "jwt" then return self:signed_method(s, m) end
  if m.kind == "client_cert" then return self:certificate_method(s, m) end
  local form = words.auth[m.kind].form
  if named[m.kind] and (type(m.name) ~= "string" or m.name == "") then
    self:problem(s, path, "value", ("%s needs a name: write %s"):format(m.kind, form))
    return nil
  elseif m.kind == "header" and not m.name:match("^[%w!#$%%&'*+.^_`|~-]+$") then
    self:problem(s, path, "value", ("%s is not the name of a header"):format(
      values.show(m.name)))
    return nil
  elseif m.kind == "header" and m.name:lower() == "authorization" then
    self:problem(s, path, "value", "Authorization has a scheme before the key: write "
      .. "bearer \"KEYS\" or basic \"KEYS\"")
    return nil
  end
  local keys = self:keys_named(s, path, m.keys, form)
  if not keys or not keys.index then return nil end
  return { kind = m.kind, name = m.name or "", keys = keys.index, file = keys }
end

-- The list that a policy has written, with the path of each.
function Loader:auth_list(s, v)
  local path = { "auth" }
  if type(v) == "table" and not self:is_auth(v) then
    if #v > 1 then
      self:problem(s, path, "value",
        "has several methods: write auth = any_of { … } where one of them is enough")
    elseif #v == 0 then
      self:problem(s, path, "value", "has no method: write auth = bearer \"KEYS\"")
    end
    v = #v == 1 and v[1] or nil
  end
  if v == nil then return {} end
  if not self:is_auth(v) or v.kind ~= "any_of" then return { v } end
  if type(v.list) ~= "table" or self:is_auth(v.list)
      or not values.is_list(v.list) then
    self:problem(s, path, "value", "any_of needs a list: any_of { bearer \"KEYS\", "
      .. "header \"NAME\" \"KEYS\" }")
    return {}
  elseif #v.list > METHODS_MAX then
    self:problem(s, path, "value", ("any_of has %d methods, more than %d")
      :format(#v.list, METHODS_MAX))
  end
  return v.list
end

-- An option whose value is nil is none: a name that is mistyped would open the route.
function Loader:check_written_auth(s)
  local written = source.written(self.texts[s.file] or "", s, "auth")
  -- Loader:check_nils has told of a field such as auths.shop.
  if written and not written:match("^[%a_][%w_]*%.[%a_][%w_.]*$") then
    self:problem(s, { "auth" }, "value", ("%s is nil, so anybody could send: write the method, "
      .. "or auth = false for a route that is open"):format(written:match("^[^\n]*")))
  end
end

---auth of a route, as a list of methods.
function Loader:route_auth(s, o)
  local list, seen = { given = o.auth ~= nil and o.auth ~= false }, {}
  if s.args.auth == nil then self:check_written_auth(s) end
  if not o.auth then return list end
  for _, m in ipairs(self:auth_list(s, o.auth)) do
    if self:is_auth(m) and m.kind == "any_of" then
      self:problem(s, { "auth" }, "value", "any_of stands in any_of: write one list")
    else
      local method = self:auth_method(s, { "auth" }, m)
      local key = method and (method.id or
        ("%s %s %d"):format(method.kind, method.name:lower(), method.keys))
      if key and seen[key] then
        self:problem(s, { "auth" }, "value", ("has the method %s twice"):format(method.kind))
      elseif key then
        seen[key] = true
        list[#list + 1] = method
      else
        list.broken = true -- told, and what needs it is not told as well
      end
    end
  end
  return list
end

-- ---- what else of a route is about its keys -----------------------------------

---Why a value of the request must not be stored; nil: it may.
function Loader.why_secret(_, auth, from, name)
  for _, m in ipairs(auth) do
    local same = m.name:lower() == name:lower()
    if from == "header" and (m.kind == "header" and same
        or (m.kind == "bearer" or m.kind == "basic" or m.kind == "jwt")
          and name:lower() == "authorization")
        or from == "query" and m.kind == "query" and m.name == name
        or from == "basic" and m.kind == "basic" then
      return "would store the client's key: write \"key:COLUMN\" for a column of its row"
    end
  end
  return nil
end

---Why "key:COLUMN" can't be of a route; nil: it can.
function Loader.why_no_key_column(_, auth, column)
  if #auth == 0 then
    return not auth.given and "needs auth: the row of a key is known only then" or nil
  end
  for _, m in ipairs(auth) do
    if not m.file then
      return ("a request that comes with %s has no row of a key"):format(m.kind)
    elseif m.file.columns[column] == nil then
      return ("the keys %s have no column %s%s"):format(values.show(m.file.name),
        values.show(column), suggest.hint(column, { unpack(m.file.shown) }))
    end
  end
  return nil
end

---The headers that a page needs for the methods of a route: { "Authorization" }.
function Loader.auth_headers(_, auth)
  local list = {}
  for _, m in ipairs(auth) do
    local name = m.kind == "header" and m.name
        or (m.kind == "bearer" or m.kind == "basic" or m.kind == "jwt") and "Authorization"
        or nil
    for _, other in ipairs(list) do
      if name and other:lower() == name:lower() then name = nil end
    end
    list[#list + 1] = name
  end
  return list
end

end
