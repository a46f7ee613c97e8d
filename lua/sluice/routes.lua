-- routes: the requests that a policy's routes take, the values they copy into events,
-- and their answers. Methods of the loader; every mistake is recorded and the rest goes
-- on.

local suggest = require "sluice.suggest"
local tables = require "sluice.tables"
local values = require "sluice.values"
local words = require "sluice.words"

local sorted_keys = tables.sorted_keys

local PARAMS_MAX, CARRY_MAX = 8, 16

---@param Loader table the class that gets the methods
return function(Loader)

function Loader:route_stream(s, o)
  if o.stream == nil then
    if o.on_event == nil then
      self:problem(s, nil, "value",
        "needs stream, or an on_event that says to(\"stream\")")
    end
    return -1
  end
  local found = self.stream_index[o.stream]
  if found then
    found.used = true
    return found.index
  end
  local names = {}
  for name in pairs(self.stream_index) do names[#names + 1] = name end
  self:problem(s, { "stream" }, "value", ("there is no stream %s%s"):format(
    values.show(o.stream), suggest.hint(o.stream, names)))
  return -1
end

-- ---- the path --------------------------------------------------------------

local methods = { GET = true, POST = true, PUT = true, PATCH = true,
  DELETE = true }

-- The parameters of a path, in their order.
function Loader:route_params(s, path)
  local list, seen = {}, {}
  for part in path:gmatch("[^/]+") do
    local name = part:match("^:([%a_][%w_]*)$")
    local braced = part:match("^{([%a_][%w_]*)}$")
    if name and seen[name] then
      self:problem(s, nil, "value",
        ("has the parameter :%s twice"):format(name))
    elseif name then
      seen[name] = true
      list[#list + 1] = name
    elseif braced then
      self:problem(s, nil, "value",
        ("a parameter is written :%s"):format(braced))
    elseif part:find("[:{}*]") then
      self:problem(s, nil, "value", ("%s: a parameter is a whole part of the "
        .. "path, such as :kind"):format(values.show(part)))
    end
  end
  if #list > PARAMS_MAX then
    self:problem(s, nil, "value",
      ("has more than %d parameters"):format(PARAMS_MAX))
  end
  return list
end

-- Routes that take the same paths have the same form.
local function form(method, path)
  return method .. " " .. path:gsub(":[%a_][%w_]*", ":")
end

-- A path as a text that sorts: its parts as 0 (a text) and 1 (a parameter), behind
-- their number.
local function rank(path)
  local parts = path:gsub("[^/]+", function(p)
    return p:sub(1, 1) == ":" and "1" or "0"
  end)
  return ("%04d%s"):format(#parts, parts)
end

-- The order in which they are tried. Where two patterns take the same path, the one
-- that says more of it goes first: at the first part where they differ, a text
-- goes before a parameter.
local function in_order(list)
  for i, r in ipairs(list) do
    r.place, r.rank = i, r.pattern and rank(r.path) or ""
  end
  table.sort(list, function(a, b)
    if a.rank ~= b.rank then return a.rank < b.rank end
    return a.place < b.place
  end)
  return list
end

-- ---- its types ---------------------------------------------------------

local ndjson = { ["application/x-ndjson"] = true, ["application/ndjson"] = true,
  ["application/jsonl"] = true }

-- Routes whose events are made of parameters.
local has_params = { query = true, form = true, any = true }

function Loader:route_types(s, o)
  local list = {}
  if o.types and has_params[o.body] then
    self:problem(s, { "types" }, "key", ("means nothing with body = \"%s\", which says "
      .. "the content types itself"):format(o.body))
    return list
  elseif o.types and o.body == "cloudevents" then
    self:problem(s, { "types" }, "key",
      "CloudEvents say their content types themselves")
    return list
  end
  for i, type in ipairs(o.types or {}) do
    local lines = ndjson[type:lower()] or false
    if type ~= "*/*" and not type:match("^[%w!#$&^_.+-]+/[%w!#$&^_.+-]+$") then
      self:problem(s, { "types", i }, "value", ("%s is not a content type such "
        .. "as \"text/plain\" (without parameters), nor \"*/*\"")
        :format(values.show(type)))
    elseif lines and o.body == "event" then
      self:problem(s, { "types", i }, "value",
        "is many events: it needs body = \"batch\"")
    elseif lines and o.events then
      self:problem(s, { "types", i }, "value",
        "has no envelope: it can't be taken together with events")
    else
      list[#list + 1] = { type = type == "*/*" and "" or type, ndjson = lines }
    end
  end
  return list
end

-- Bodies that may come as the one field of a form.
local in_field = { batch = true, events = true }

-- The field of a form that holds the body, and its rule.
function Loader:route_field(s, o)
  local name = next(o.form)
  if next(o.form, name) ~= nil then
    self:problem(s, { "form" }, "key", ("with body = \"%s\" one field of a form holds the "
      .. "whole body: expected one name"):format(o.body))
  elseif o.columns then
    self:problem(s, { "form" }, "key", "can't be taken together with columns")
  end
  for i, t in ipairs(o.types or {}) do
    if t:lower() == "application/x-www-form-urlencoded" or t:lower() == "multipart/form-data" then
      self:problem(s, { "types", i }, "value", "is taken by form already: leave it out")
    end
  end
end

local FORMS = "application/x-www-form-urlencoded or multipart/form-data"

-- What a client hears whose content type is not taken; nil: what media.c says.
local function types_text(o)
  if in_field[o.body] and next(o.form or {}) then
    return ("expected %s, %s"):format(o.types and table.concat(o.types, ", ")
      or o.events and "application/json" or "application/json, application/x-ndjson", FORMS)
  end
  return o.types and "expected " .. table.concat(o.types, ", ")
end

-- What a text of a query or form becomes for a field of the schema.
local param_kinds = { int = "number", num = "number", time = "number", bool = "bool" }
local form_kinds = { "json", "base64" }

-- The parameters that do not stay texts.
function Loader:route_rules(s, o, fields)
  local list = {}
  if not has_params[o.body] then
    if s.args.repeated ~= nil then
      self:problem(s, { "repeated" }, "key",
        "needs body = \"query\", body = \"form\" or body = \"any\"")
    end
    if s.args.form ~= nil and not in_field[o.body] then
      self:problem(s, { "form" }, "key", "needs body = \"query\", \"form\" or \"any\", or "
        .. "\"batch\" or \"events\" that come in a form's field")
      return list
    end
    fields = {}
    if next(o.form or {}) then self:route_field(s, o) end
  end
  for _, name in ipairs(sorted_keys(o.form or {})) do
    local kind = o.form[name]
    if type(name) ~= "string" or name == "" then
      self:problem(s, { "form", name }, "key", "expected the name of a parameter")
    elseif kind ~= "json" and kind ~= "base64" then
      self:problem(s, { "form", name }, "value", ("%s is none of \"json\", \"base64\"%s")
        :format(values.show(kind), suggest.hint(kind, { unpack(form_kinds) })))
    else
      list[#list + 1] = { name = name, kind = kind }
    end
  end
  for _, f in ipairs(fields) do
    local item = f.type == "list" and f.item or f
    local kind = param_kinds[item.type] or item ~= f and "text"
    local name = f.path:gsub("\\(.)", "%1")
    if kind and not f.path:gsub("\\.", ""):find(".", 1, true)
        and not (o.form or {})[name] then
      list[#list + 1] = { name = name, kind = kind, list = item ~= f }
    end
  end
  return list
end

-- A key of the event itself.
function Loader:added_key(s, option, key)
  if type(key) ~= "string" or key == "" or key:find("[.%[\\]") then
    self:problem(s, { option, key }, "key",
      "expected a field of the event itself, without a dot")
    return false
  end
  return true
end

-- ---- values that events get from the request ----------------------------------------

local sources = { path = "NAME of a parameter", query = "NAME", header = "NAME",
  basic = "user", key = "COLUMN", jwt = "CLAIM", peer = false, time = false }

local EXPECTED = "\"path:NAME\", \"query:NAME\", \"header:NAME\", "
    .. "\"basic:user\", \"key:COLUMN\", \"jwt:CLAIM\", \"peer\" or \"time\""

-- "query:api_key" as { from, name }; nil and why not.
local function source(s, v, params)
  local from, name = tostring(v):match("^(%a+):(.+)$")
  from = from or (type(v) == "string" and v) or ""
  if type(v) ~= "string" or sources[from] == nil then
    return nil, ("%s is none of %s%s"):format(values.show(v), EXPECTED,
      suggest.hint(from, sorted_keys(sources)))
  elseif (name ~= nil) ~= (sources[from] ~= false) then
    return nil, name and ("%s has no name: write \"%s\""):format(from, from)
        or ("needs a name: \"%s:%s\""):format(from, sources[from]:match("%a+"))
  elseif from == "basic" and name ~= "user" then
    return nil, "expected \"basic:user\": passwords are not stored"
  elseif from == "header" and not name:match("^[%w!#$%%&'*+.^_`|~-]+$") then
    return nil, ("%s is not the name of a header"):format(values.show(name))
  elseif from == "path" then
    local known = {}
    for _, p in ipairs(params) do known[#known + 1] = p end
    for _, p in ipairs(params) do
      if p == name then return { from = from, name = name } end
    end
    return nil, ("the path of %s has no parameter :%s%s"):format(
      values.show(s.name), name, suggest.hint(name, known))
  end
  return { from = from, name = name or "" }
end

function Loader:route_set(s, o, list, params, fields, auth)
  local taken = {}
  for _, c in ipairs(list) do taken[c.key] = true end
  for _, key in ipairs(sorted_keys(o.set or {})) do
    if self:added_key(s, "set", key) then
      local c, why = source(s, o.set[key], params)
      local no = c and (c.from == "key" and self:why_no_key_column(auth, c.name)
        or c.from == "jwt" and self:why_no_claim(auth, c.name)
        or self:why_secret(auth, c.from, c.name))
      if no then c, why = nil, no end
      if c and taken[key] then
        c, why = nil, "is in envelope as well"
      end
      for _, f in ipairs(fields) do
        if c and f.path:sub(1, #key + 1) == key .. "." then
          c, why = nil, ("the schema has %s below it"):format(f.path)
        end
      end
      if c then
        c.key = key
        list[#list + 1] = c
      else
        self:problem(s, { "set", key }, "value", why)
      end
    end
  end
  if #list > CARRY_MAX then
    self:problem(s, nil, "value",
      ("envelope and set have more than %d fields"):format(CARRY_MAX))
  end
end

-- ---- who may send ----------------------------------------------------------------

-- src/ingest/cors.h has room for as much.
local CORS_HEADERS_MAX, CORS_ORIGIN_MAX = 4096, 1024

function Loader:route_cors(s, c, auth)
  if not c then return nil end
  local any = false
  for i, origin in ipairs(c.origins or {}) do
    if origin == "*" then
      any = true
    elseif origin:find("*", 1, true) then
      self:problem(s, { "cors", "origins", i }, "value", ("%s: an origin has no wildcard; "
        .. "name each, or \"*\" alone"):format(values.show(origin)))
    elseif not origin:match("^%a[%w+.-]*://[^/%s]+$") then
      self:problem(s, { "cors", "origins", i }, "value", ("%s is not an origin "
        .. "such as \"https://shop.example\", nor \"*\"")
        :format(values.show(origin)))
    elseif #origin > CORS_ORIGIN_MAX then
      self:problem(s, { "cors", "origins", i }, "value", ("%d bytes; expected "
        .. "at most %d"):format(#origin, CORS_ORIGIN_MAX))
    end
  end
  for i, name in ipairs(c.headers or {}) do
    if not name:match("^[%w!#$%%&'*+.^_`|~-]+$") then
      self:problem(s, { "cors", "headers", i }, "value",
        ("%s is not the name of a header"):format(values.show(name)))
    end
  end
  local needed = self:auth_headers(auth)
  for _, name in ipairs(c.headers and needed or {}) do
    if not ("," .. table.concat(c.headers, ","):lower() .. ","):find("," .. name:lower() .. ",",
        1, true) then
      self:problem(s, { "cors", "headers" }, "value", ("a page can't send its key: auth needs "
        .. "the header %s in this list"):format(name))
    end
  end
  local list = table.concat(c.headers or {}, ", ")
  if #list > CORS_HEADERS_MAX then
    self:problem(s, { "cors", "headers" }, "value", ("together %d bytes; "
      .. "expected at most %d"):format(#list, CORS_HEADERS_MAX))
  end
  if any and c.credentials then
    self:problem(s, { "cors", "credentials" }, "key",
      "browsers refuse it with \"*\": name the origins")
  end
  return { any = any, origins = c.origins or {}, credentials = c.credentials,
    headers = table.concat(c.headers or { "Content-Type", unpack(needed) }, ", "),
    max_age = c.max_age }
end

function Loader:route_webhook(s, w, names)
  if not w then return nil end
  local any = false
  for i, origin in ipairs(w.origins or {}) do
    any = any or origin == "*"
    if origin ~= "*" and not origin:match("^%w[%w.-]*$") then
      self:problem(s, { "webhook", "origins", i }, "value", ("%s is not a name "
        .. "such as \"eventgrid.azure.net\", nor \"*\"")
        :format(values.show(origin)))
    end
  end
  if table.concat(names, " ") ~= "POST" then
    self:problem(s, { "webhook" }, "key", "web hooks come by POST")
  end
  return { any = any, origins = w.origins or {}, rate = w.rate or 0 }
end

-- ---- routes ----------------------------------------------------------------------

-- Where a hook stands, for people.
local function lines_of(f)
  if type(f) ~= "function" then return nil end
  local info = debug.getinfo(f, "S")
  local file = info.source:match("^@policy:(.*)$")
  return file and { file = file, line = info.linedefined, ["end"] = info.lastlinedefined } or nil
end

function Loader:route(s, names, path)
  local o = self:options(s, {}, self:open_refused(s.args), words.route.options)
  local schema = o.schema
  if schema ~= nil and getmetatable(schema) ~= self.Schema then
    self:problem(s, { "schema" }, "value",
      ("%s is no schema { }"):format(values.show(schema)))
    schema = nil
  end
  local fields = schema and schema.fields or {}
  local params = self:route_params(s, path)
  local enrichment = self:route_envelope(s, o)
  local auth = self:route_auth(s, o)
  self:check_signed_body(s, auth, o.body)
  self:route_set(s, o, enrichment, params, fields, auth)
  for _, method in ipairs(names) do
    if method == "GET" and o.body and o.body ~= "query" and o.body ~= "any" then
      self:problem(s, nil, "value", "a GET request has no body, so this route never gets "
        .. "an event: write POST, PUT or PATCH, or body = \"query\"")
    end
  end
  if o.max_event and o.max_event >= self.limits.max_body then
    self:problem(s, { "max_event" }, "value", ("%s: server.max_body allows no larger body than "
      .. "%s"):format(values.show_bytes(o.max_event), values.show_bytes(self.limits.max_body)))
  end
  if o.encoding ~= "header" and o.body == "query" then
    self:problem(s, { "encoding" }, "key", "a query has no body that is compressed")
  elseif o.encoding == "detect" and o.body == "cloudevents" then
    self:problem(s, { "encoding" }, "value", "the data of a CloudEvent may be compressed itself: "
      .. "write \"header\" or \"query:NAME\"")
  end
  return { method = names[1], path = path,
    max_event = o.max_event, encoding = o.encoding,
    encoding_arg = (o.encoding or ""):match("^query:(.+)$"), pattern = #params > 0,
    body = o.body or "event", types = self:route_types(s, o),
    params = self:route_rules(s, o, fields), repeated = o.repeated,
    types_text = types_text(o),
    form_body = in_field[o.body] and next(o.form or {}) or nil,
    events = (o.body == "batch" or o.body == "events") and o.events or nil, enrichment = enrichment,
    columns = self:route_columns(s, o),
    schema = schema and schema.index or -1, fields = fields,
    stream = self:route_stream(s, o), partial = o.partial,
    answer = self:route_answer(s, o, o.answer), cors = self:route_cors(s, o.cors, auth),
    auth = auth, limits = o.limits, limit_headers = o.limit_headers,
    allow = o.allow, deny = o.deny,
    webhook = self:route_webhook(s, o.webhook, names),
    on_refused = self:route_refused(s, o), postback = self:route_postback(s, o, enrichment),
    on_location = o.answer and type(o.answer.location) == "function" and o.answer.location
      or nil,
    on_error = o.on_error, on_event = o.on_event, on_request = o.on_request,
    on_event_at = lines_of(o.on_event), on_request_at = lines_of(o.on_request),
    line = s.line, file = s.file, statement = s }
end

-- The methods and the path of a statement: route "POST /x" or route { "GET", "POST",
-- "/x" }. nil: it says none.
function Loader:route_name(s)
  local list = s.list or { s.name:match("^(%u+) (.*)$") }
  local last = list[#list]
  local path = type(last) == "string" and last:match("^/[^%s?#]*$")
  local seen, out = {}, {}
  for i = 1, #list - 1 do
    local method = list[i]
    if not methods[method] then return nil end
    if seen[method] then
      self:problem(s, nil, "value", ("has the method %s twice"):format(method))
    else
      seen[method] = true
      out[#out + 1] = method
    end
  end
  if not path or #out == 0 then return nil end
  return out, path
end

local function copy_of(route, method)
  local r = {}
  for k, v in pairs(route) do r[k] = v end
  r.method = method
  return r
end

function Loader:routes()
  local list, seen, n = {}, {}, 0
  for _, s in ipairs(self.statements) do
    if s.word == "route" then
      local names, path = self:route_name(s)
      if not names then
        self:problem(s, nil, "value", s.list
          and "expected methods and a path: route { \"GET\", \"POST\", \"/click\" } { }"
          or "expected a method and a path: route \"POST /v1/events\" { }")
        names, path = { "POST" }, "/?" .. n
      end
      for _, method in ipairs(names) do
        local key = form(method, path)
        if seen[key] then
          self:problem(s, nil, "value", ("is unreachable: the same route stands "
            .. "in line %d"):format(seen[key]))
        end
        seen[key] = seen[key] or s.line
      end
      n = n + 1
      local route = self:route(s, names, path)
      list[#list + 1] = route
      for i = 2, #names do list[#list + 1] = copy_of(route, names[i]) end
    end
  end
  if #list == 0 and not self.cut_short then
    self:add(self.name, 1, 1, 0,
      "the policy has no route: route \"POST /v1/events\" { }")
  elseif #list > 256 then
    self:problem(list[257].statement, nil, "value", "more than 256 routes")
  end
  return in_order(list)
end

end
