-- loader: runs a policy file and turns its statements into a plain description,
-- or into a list of everything that is wrong with it.
--
--   statements are recorded ─► each checked against words ─► names resolved
--                                  └── problems, each with its place ──► report

local source = require "sluice.source"
local suggest = require "sluice.suggest"
local values = require "sluice.values"
local words = require "sluice.words"

local M = {}

local Loader = {}
Loader.__index = Loader

---Notes a mistake of statement s at the keys of path.
---@param what "key"|"value"
function Loader:problem(s, path, what, message)
  local line, column, length =
      source.locate(self.texts[s.file] or "", s, path, what)
  local name = s.name and (s.word .. ' "' .. s.name .. '"') or s.word
  for _, key in ipairs(path or {}) do
    name = name .. (type(key) == "number" and ("[%d]"):format(key)
      or "." .. tostring(key))
  end
  self:add(s.file, line, column, length, name .. ": " .. message)
end

function Loader:add(file, line, column, length, message)
  if #self.problems < 200 then
    self.problems[#self.problems + 1] = { file = file, line = line,
      column = column, length = length, message = message,
      number = #self.problems }
  end
end

-- Where the policy called us: the first frame of one of its chunks.
local function caller()
  for level = 3, 20 do
    local info = debug.getinfo(level, "Sl")
    if not info then break end
    local file = info.source:match("^@policy:(.*)$")
    if file and info.currentline > 0 then return file, info.currentline end
  end
  return "?", 0
end

local function extend(path, key)
  local out = { unpack(path) }
  out[#out + 1] = key
  return out
end

local function sorted_keys(t)
  local keys = {}
  for k in pairs(t) do keys[#keys + 1] = k end
  table.sort(keys, function(a, b) return tostring(a) < tostring(b) end)
  return keys
end

---Checks table t against options; returns the normalized values.
function Loader:options(s, path, t, options)
  local out, names = {}, sorted_keys(options)
  for _, key in ipairs(sorted_keys(t)) do
    if not options[key] then
      self:problem(s, extend(path, key), "key",
        "unknown key" .. suggest.hint(key, { unpack(names) }))
    end
  end
  for _, key in ipairs(names) do
    local spec, v = options[key], t[key]
    if v == nil then
      if spec.required then
        self:problem(s, path, "value", ("needs %s: %s"):format(key,
          spec.help:sub(1, 1):lower() .. spec.help:sub(2)))
      elseif spec.type == "options" then
        out[key] = self:options(s, extend(path, key), {}, spec.options)
      else
        out[key] = values.default(spec, self.host)
      end
    elseif spec.type == "options" then
      if type(v) == "table" then
        out[key] = self:options(s, extend(path, key), v, spec.options)
      else
        self:problem(s, extend(path, key), "value",
          ("%s is not a table { }"):format(values.show(v)))
      end
    else
      local ok, why = values.check(v, spec, self.host)
      if why then
        self:problem(s, extend(path, key), "value", why)
        ok = values.default(spec, self.host)
      end
      out[key] = ok
    end
  end
  return out
end

-- ---- the environment -----------------------------------------------------

function Loader:record(word, name, args)
  local file, line = caller()
  local s = { word = word, name = name, args = args, file = file, line = line }
  if type(args) ~= "table" then
    self:problem(s, nil, "value", ("expected a table { }, got %s")
      :format(values.show(args)))
    s.args = {}
  end
  self.statements[#self.statements + 1] = s
  return s
end

function Loader:statement_word(word, spec)
  if not spec.named then
    return function(args) self:record(word, nil, args) end
  end
  return function(name)
    local file, line = caller()
    if type(name) ~= "string" then
      self:add(file, line, 1, 0, ("%s: expected a name: %s \"name\" { }")
        :format(word, word))
      name = "?"
    end
    local open = { word = word, name = name, file = file, line = line }
    self.open[open] = true
    return function(args)
      self.open[open] = nil
      self:record(word, name, args)
    end
  end
end

function Loader:field_word(kind)
  return function(opts)
    local file, line = caller()
    self.serial = self.serial + 1
    if type(opts) ~= "table" then
      self:add(file, line, 1, 0, ("%s: expected a table: %s { }")
        :format(kind, kind))
      opts = {}
    end
    return setmetatable({ kind = kind, opts = opts, serial = self.serial,
      line = line }, self.Field)
  end
end

function Loader:schema_word()
  return function(fields)
    local s = self:record("schema", nil, fields)
    local out = setmetatable({ statement = s }, self.Schema)
    s.schema = out
    return out
  end
end

-- What stands for a word that nobody knows, so that loading can go on.
local function blackhole()
  local hole = {}
  return setmetatable(hole, {
    __call = function() return hole end,
    __index = function() return hole end,
    __newindex = function() end,
    __tostring = function() return "unknown word" end,
    __metatable = false,
  })
end

function Loader:unknown(key)
  local file, line = caller()
  local text = self.texts[file] or ""
  local column, length = 1, 0
  for _, t in ipairs(source.tokens(text)) do
    local at, col = source.place(text, t.first)
    if at == line and t.text == key then column, length = col, #key break end
  end
  local message
  if words.later[key] then
    message = ("%s: this word (%s) is not served by this version")
        :format(key, words.later[key])
  elseif words.forbidden[key] then
    message = ("%s: not available to a policy: %s"):format(key,
      words.forbidden[key])
  else
    message = ("%s: unknown word%s"):format(tostring(key),
      suggest.hint(key, { unpack(self.known) }))
  end
  self:add(file, line, column, length, message)
  return blackhole()
end

local function bounded_rep(s, n, sep)
  if type(n) == "number" and (#s + #(sep or "")) * n > 1048576 then
    error("string.rep: more than 1 MiB", 2)
  end
  return string.rep(s, n, sep)
end

local function copy(t, without)
  local out = {}
  for k, v in pairs(t) do
    if not (without and without[k]) then out[k] = v end
  end
  return out
end

local function safe_library()
  local str = copy(string, { dump = true })
  str.rep = bounded_rep
  return {
    assert = assert, error = error, ipairs = ipairs, next = next,
    pairs = pairs, pcall = pcall, select = select, tonumber = tonumber,
    tostring = tostring, type = type, unpack = unpack,
    string = str, table = copy(table), bit = copy(require "bit"),
    math = copy(math, { randomseed = true }),
  }
end

function Loader:environment()
  local lib = safe_library()
  local env, fixed = {}, {}
  for word, spec in pairs(words) do
    if type(spec) == "table" and spec.help and word ~= "schema" then
      fixed[word] = self:statement_word(word, spec)
    end
  end
  for kind in pairs(words.fields) do fixed[kind] = self:field_word(kind) end
  fixed.schema = self:schema_word()
  fixed.env = function(name, default)
    if type(name) ~= "string" then error("env: expected a name", 2) end
    local v = self.host.getenv(name) or default
    if v == nil then
      local file, line = caller()
      self:add(file, line, 1, 0, ("env \"%s\": not set, and no default given")
        :format(name))
      return ""
    end
    return v
  end
  fixed.reject, fixed.drop, fixed.to =
      self.hooks.reject, self.hooks.drop, self.hooks.to
  fixed.require = function(name) return self:require(name) end
  for k, v in pairs(lib) do fixed[k] = v end
  self.known = {}
  for k in pairs(fixed) do self.known[#self.known + 1] = k end
  fixed._G = env
  return setmetatable(env, {
    __metatable = false,
    __index = function(_, key)
      if fixed[key] ~= nil then return fixed[key] end
      if self.loading then return self:unknown(key) end
      error(("unknown global \"%s\""):format(tostring(key)), 2)
    end,
    __newindex = function(t, key, v)
      if fixed[key] ~= nil then
        error(("\"%s\" is a word of the policy language and can't be set")
          :format(tostring(key)), 2)
      end
      if not self.loading then
        error(("sets the global \"%s\": write local %s"):format(tostring(key),
          tostring(key)), 2)
      end
      rawset(t, key, v)
    end,
  })
end

-- ---- files ---------------------------------------------------------------

-- "[string "..."]:3: x" and "policy:conf/a.lua:3: x" as file, line, words.
local function raised(file, message)
  message = tostring(message)
  local at, line, rest = message:match("^policy:(.-):(%d+): (.*)$")
  if at then return at, tonumber(line), rest end
  return file, 0, message
end

function Loader:run(file, text)
  self.texts[file] = text
  if text:sub(1, 1) == "\27" then
    self:add(file, 1, 1, 0, "expected a text file, found compiled Lua")
    return nil
  end
  local chunk, why = loadstring(text, "@policy:" .. file)
  if not chunk then
    local at, line, rest = raised(file, why)
    self:add(at, line, 1, 0, "syntax: " .. rest)
    return nil
  end
  jit.off(chunk, true)
  setfenv(chunk, self.env)
  local results = { pcall(self.host.bounded, chunk) }
  if not results[1] then
    local at, line, rest = raised(file, results[2])
    self:add(at, line, 1, 0, rest)
    return nil
  end
  return results[2]
end

function Loader:require(name)
  local file, line = caller()
  if type(name) ~= "string" or not name:match("^[%w_%-%.]+$") then
    error("require: expected a module's name such as \"lib.rules\"", 2)
  end
  if self.modules[name] ~= nil then return self.modules[name] end
  local path = self.folder .. name:gsub("%.", "/") .. ".lua"
  local text = self.host.read(path)
  if not text then
    self:add(file, line, 1, 0,
      ("require \"%s\": no file %s"):format(name, path))
    return blackhole()
  end
  self.modules[name] = true
  local result = self:run(path, text)
  if result ~= nil then self.modules[name] = result end
  return self.modules[name]
end

-- ---- statements to a description -----------------------------------------

local function of_word(self, word)
  local list = {}
  for _, s in ipairs(self.statements) do
    if s.word == word then list[#list + 1] = s end
  end
  return list
end

function Loader:single(word)
  local list = of_word(self, word)
  for i = 2, #list do
    self:problem(list[i], nil, "value", ("is given twice, first in line %d")
      :format(list[1].line))
  end
  local s = list[1] or { word = word, file = self.name, line = 1, args = {} }
  return self:options(s, {}, s.args, words[word].options), s
end

-- A name that a file or a metric can carry.
function Loader:check_name(s, seen)
  if not s.name:match("^[a-z0-9_%-]+$") or #s.name > 64 then
    self:problem(s, nil, "value",
      "a name is 1 to 64 of a-z, 0-9, _ and -")
  elseif s.name == "dead" or s.name == "dead-letters" then
    self:problem(s, nil, "value", "this name is sluice's own")
  elseif seen[s.name] then
    self:problem(s, nil, "value", ("is given twice, first in line %d")
      :format(seen[s.name].line))
  end
  seen[s.name] = seen[s.name] or s
end

function Loader:check_batch(s, b)
  if b.min > b.target then
    self:problem(s, { "batch", "min" }, "value",
      ("%d is more than target %d"):format(b.min, b.target))
  elseif b.target > b.max then
    self:problem(s, { "batch", "target" }, "value",
      ("%d is more than max %d"):format(b.target, b.max))
  end
end

function Loader:sinks()
  local list, seen = {}, {}
  for _, s in ipairs(self.statements) do
    if words[s.word] and words[s.word].sink then
      self:check_name(s, seen)
      local o = self:options(s, {}, s.args, words[s.word].options)
      o.kind, o.name, o.statement = s.word, s.name, s
      if o.batch then self:check_batch(s, o.batch) end
      list[#list + 1] = o
      seen[s.name].index = #list - 1
    end
  end
  self.sink_index = seen
  return list
end

function Loader:stream_sinks(s, sinks)
  local list, names, taken = {}, {}, {}
  for name in pairs(self.sink_index) do names[#names + 1] = name end
  local function add(name, path, opts)
    local found = self.sink_index[name]
    if not found then
      self:problem(s, path, "value", ("there is no sink %s%s"):format(
        values.show(name), suggest.hint(name, { unpack(names) })))
      return
    end
    found.used = true
    if taken[name] then
      self:problem(s, path, "value", ("the sink %s is named twice"):format(
        values.show(name)))
    end
    taken[name] = true
    local o = self:options(s, path, opts, words.stream_sink)
    if o.when_full == "skip" and not o.max_lag then
      self:problem(s, path, "value", "\"skip\" needs max_lag, such as \"4GiB\"")
    elseif o.when_full ~= "skip" and o.max_lag then
      self:problem(s, path, "value",
        "max_lag means nothing without when_full = \"skip\"")
    end
    list[#list + 1] = { sink = found.index, skip = o.when_full == "skip",
      max_lag = o.max_lag or 0 }
  end
  if type(sinks) ~= "table" then
    self:problem(s, { "sinks" }, "value",
      ("%s is not a list of sinks"):format(values.show(sinks)))
    return list
  end
  for i, name in ipairs(sinks) do add(name, { "sinks", i }, {}) end
  for _, key in ipairs(sorted_keys(sinks)) do
    if type(key) == "string" then
      local opts = sinks[key]
      if type(opts) ~= "table" then
        self:problem(s, { "sinks", key }, "value",
          ("%s is not a table { }"):format(values.show(opts)))
        opts = {}
      end
      add(key, { "sinks", key }, opts)
    end
  end
  if #list == 0 and next(sinks) == nil then
    self:problem(s, { "sinks" }, "value", "a stream needs at least one sink")
  end
  return list
end

function Loader:streams()
  local list, seen = {}, {}
  for _, s in ipairs(of_word(self, "stream")) do
    self:check_name(s, seen)
    local o = self:options(s, {}, s.args, words.stream.options)
    o.name = s.name
    o.statement = s
    o.sinks = o.sinks and self:stream_sinks(s, o.sinks) or {}
    list[#list + 1] = o
    seen[s.name].index = #list - 1
  end
  self.stream_index = seen
  if #list > 63 then
    self:problem(list[64].statement, nil, "value", "more than 63 streams")
  end
  return list
end

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
    self:problem(s, path, "value", "an enum needs its values: enum { \"a\" }")
  end
  return list, rest
end

function Loader:field(s, name, f)
  local path = { name }
  local opts, list = f.opts, nil
  if words.fields[f.kind].list then
    list, opts = self:enum_values(s, path, opts)
  end
  local o = self:options(s, path, opts, words.fields[f.kind].options)
  if o.min and o.max and o.min > o.max then
    self:problem(s, path, "value", ("min %s is more than max %s")
      :format(o.min, o.max))
  end
  return { path = name, type = f.kind, required = o.required, min = o.min,
    max = o.max, values = list, max_age = o.max_age, max_skew = o.max_skew }
end

function Loader:schemas()
  local list = {}
  for _, s in ipairs(of_word(self, "schema")) do
    local fields = {}
    for _, name in ipairs(sorted_keys(s.args)) do
      local f = s.args[name]
      if type(name) ~= "string" or name == "" then
        self:problem(s, { name }, "value",
          "expected field = str { }, or another type")
      elseif getmetatable(f) ~= self.Field then
        self:problem(s, { name }, "value", ("%s is no type; expected one of "
          .. "str num int bool enum time any"):format(values.show(f)))
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
      fields = {} }
    for i, f in ipairs(fields) do out.fields[i] = f.field end
    list[#list + 1] = out
    s.schema.index = #list - 1
    s.schema.fields = out.fields
  end
  return list
end

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

local methods = { GET = true, POST = true, PUT = true, PATCH = true,
  DELETE = true }

function Loader:routes()
  local list, seen, n = {}, {}, 0
  for _, s in ipairs(of_word(self, "route")) do
    local method, path = s.name:match("^(%u+) (/[^%s?#]*)$")
    if not method or not methods[method] then
      self:problem(s, nil, "value",
        "expected a method and a path: route \"POST /v1/events\" { }")
      method, path = "POST", "/?" .. n
    elseif seen[s.name] then
      self:problem(s, nil, "value", ("is unreachable: the same route stands "
        .. "in line %d"):format(seen[s.name]))
    end
    seen[s.name] = seen[s.name] or s.line
    n = n + 1
    local o = self:options(s, {}, s.args, words.route.options)
    local schema = o.schema
    if schema ~= nil and getmetatable(schema) ~= self.Schema then
      self:problem(s, { "schema" }, "value",
        ("%s is no schema { }"):format(values.show(schema)))
      schema = nil
    end
    list[#list + 1] = { method = method, path = path, body = o.body or "event",
      schema = schema and schema.index or -1,
      fields = schema and schema.fields or {},
      stream = self:route_stream(s, o), partial = o.partial,
      on_error = o.on_error, on_event = o.on_event, on_request = o.on_request,
      line = s.line, file = s.file, statement = s }
  end
  if #list == 0 then
    self:add(self.name, 1, 1, 0,
      "the policy has no route: route \"POST /v1/events\" { }")
  elseif #list > 256 then
    self:problem(list[257].statement, nil, "value", "more than 256 routes")
  end
  return list
end

function Loader:examples()
  local list = {}
  for _, s in ipairs(of_word(self, "example")) do
    local o = self:options(s, {}, s.args, words.example.options)
    local request = type(o.request) == "string" and o.request or ""
    local method, path = request:match("^(%u+) (/%S*)$")
    if not method and o.request then
      self:problem(s, { "request" }, "value",
        "expected a method and a path: \"POST /v1/events\"")
    elseif o.body and o.expect then
      local line, column, length =
          source.locate(self.texts[s.file] or "", s, { "expect" }, "value")
      list[#list + 1] = { name = s.name, method = method, path = path,
        body = o.body, content_type = o.content_type, at = o.at,
        expect = o.expect, file = s.file, line = line, column = column,
        length = length }
    end
  end
  return list
end

-- Half of the spool may stand prepared, two segments for each worker and stream.
function Loader:fit_segments(desc)
  local spool, streams = desc.spool, #desc.streams + 1
  local workers = desc.server.workers > 0 and desc.server.workers
      or self.host.cores
  local most = spool.max_bytes / 2 / (workers * streams * 2)
  local least = math.max(4 * 1024 * 1024, 4 * desc.server.max_body)
  local segment = math.min(spool.segment, most)
  segment = math.floor(segment / 4096) * 4096
  if segment < least then
    self:problem(self.spool_statement, { "max_bytes" }, "value",
      ("too small: %d workers × %d streams × 2 × %d bytes (the least segment: "
        .. "4MiB, and 4 × max_body) pass half of it; give at least \"%dMiB\"")
      :format(workers, streams, least,
        math.ceil(workers * streams * 4 * least / 1048576)))
  end
  spool.segment = segment
  for _, s in ipairs(desc.streams) do
    s.max_bytes = s.max_bytes or math.floor(spool.max_bytes / streams)
    if s.max_bytes < 4 * workers * segment then
      self:problem(s.statement, { "max_bytes" }, "value",
        ("too small: %d workers × 4 segments of %d bytes need %d bytes")
        :format(workers, segment, 4 * workers * segment))
    end
  end
end

function Loader:describe()
  local desc = { server = self:single("server"), admin = self:single("admin") }
  desc.spool, self.spool_statement = self:single("spool")
  desc.sinks = self:sinks()
  desc.streams = self:streams()
  desc.schemas = self:schemas()
  desc.routes = self:routes()
  desc.examples = self:examples()
  for open in pairs(self.open) do
    self:problem(open, nil, "value", "has no { } behind its name")
  end
  for _, sink in ipairs(desc.sinks) do
    if not self.sink_index[sink.name].used then
      self:problem(sink.statement, nil, "value",
        "no stream delivers to this sink")
    end
  end
  if #self.problems == 0 then self:fit_segments(desc) end
  return desc
end

local function by_place(a, b)
  if a.file ~= b.file then return a.file < b.file end
  if a.line ~= b.line then return a.line < b.line end
  if a.column ~= b.column then return a.column < b.column end
  return a.number < b.number
end

---Loads a policy.
---@param host table bytes, ms, moment, read, getenv, bounded, cores
---@param hooks table sluice.hooks, whose reject, drop and to the policy sees
---@param name string the file's path, for messages
---@return table result { desc, problems, texts }
function M.load(host, hooks, name, text)
  local self = setmetatable({
    host = host, hooks = hooks, name = name, texts = {}, problems = {},
    statements = {}, open = {}, modules = {}, serial = 0, loading = true,
    folder = name:match("^(.*/)[^/]*$") or "", Field = {}, Schema = {},
  }, Loader)
  self.env = self:environment()
  self:run(name, text)
  local desc
  -- After a statement was cut short by an error the rest would only mislead.
  if #self.problems == 0 or #self.statements > 0 then
    desc = self:describe()
  end
  self.loading = false
  table.sort(self.problems, by_place)
  return { desc = desc, problems = self.problems, texts = self.texts }
end

return M
