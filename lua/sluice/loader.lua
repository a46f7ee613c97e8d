-- loader: runs a policy file and records its statements; describe.lua turns them
-- into a plain description, or into a list of everything that is wrong.
--
--   statements are recorded ─► each checked against words ─► names resolved
--                                  └── problems, each with its place ──► report

local library = require "sluice.library"
local plain = require "sluice.plain"
local source = require "sluice.source"
local suggest = require "sluice.suggest"
local values = require "sluice.values"
local words = require "sluice.words"

local M = {}

local Loader = {}
Loader.__index = Loader
require "sluice.advice"(Loader)
require "sluice.describe"(Loader)
require "sluice.effects"(Loader)
require "sluice.foresee"(Loader)
require "sluice.refused"(Loader)
require "sluice.envelopes"(Loader)
require "sluice.routes"(Loader)
require "sluice.answers"(Loader)
require "sluice.postbacks"(Loader)
require "sluice.auth"(Loader)
require "sluice.tokens"(Loader)
require "sluice.client_certs"(Loader)
require "sluice.schemas"(Loader)
require "sluice.kept"(Loader)
require "sluice.limits"(Loader)
require "sluice.sinks"(Loader)
require "sluice.listeners"(Loader)
require "sluice.certificates"(Loader)
require "sluice.files"(Loader)
require "sluice.dropped"(Loader)

-- The result of env for a variable that is not set, which is told once, at env.
local UNSET = "\1unset\1"

---Whether v comes of such a variable.
function Loader.is_unset(_, v)
  if type(v) == "table" and not getmetatable(v) then
    for _, x in pairs(v) do
      if type(x) == "string" and x:find(UNSET, 1, true) then return true end
    end
  end
  return type(v) == "string" and v:find(UNSET, 1, true) ~= nil
end

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
  self:add(s.file, line, column, length, message, name)
end

---Notes a mistake at a place; length 0: only the line is known.
---@param path string? the statement and option it is about
function Loader:add(file, line, column, length, message, path)
  if message:find(UNSET, 1, true) then return end
  message = values.without_hidden(message)
  -- Functions of one text have its mistakes once.
  local key = ("%s\0%d\0%d\0%s"):format(file, line, column, message)
  if self.told[key] then return end
  self.told[key] = true
  if #self.problems < 200 then
    self.problems[#self.problems + 1] = { file = file, line = line,
      column = column, length = length, message = message, path = path,
      suggestion = suggest.of(message), number = #self.problems }
  end
end

---Notes something that is not a mistake, but most likely not meant.
function Loader:remark(file, line, message)
  local key = ("%s\0%d\0%s"):format(file, line, message)
  if #self.remarks < 50 and not self.told[key] then
    self.told[key] = true
    self.remarks[#self.remarks + 1] = { file = file, line = line,
      message = values.without_hidden(message) }
  end
end

---Where the policy called us: the first frame of one of its chunks.
---@return string file, integer line
function Loader.caller()
  for level = 3, 20 do
    local info = debug.getinfo(level, "Sl")
    if not info then break end
    local file = info.source:match("^@policy:(.*)$")
    if file and info.currentline > 0 then return file, info.currentline end
  end
  return "?", 0
end

-- ---- the environment -----------------------------------------------------

function Loader:record(word, name, args, list)
  local file, line = Loader.caller()
  local s = { word = word, name = name, args = args, file = file, line = line,
    list = list }
  if type(args) ~= "table" then
    self:problem(s, nil, "value", ("expected a table { }, got %s")
      :format(values.show(args)))
    s.args = {}
  end
  self.statements[#self.statements + 1] = s
  return s
end

-- { "GET", "POST", "/click" } as "GET, POST /click".
function Loader.shown_list(list)
  local texts = {}
  for i, v in ipairs(list) do texts[i] = type(v) == "string" and v or values.show(v) end
  return table.concat(texts, ", ", 1, #texts - 1) .. " " .. texts[#texts]
end

function Loader:statement_word(word, spec)
  if not spec.named then
    return function(args) self:record(word, nil, args) end
  end
  return function(name)
    local file, line = Loader.caller()
    local list = spec.list and type(name) == "table" and #name > 1 and name or nil
    if list then
      name = self.shown_list(list)
    elseif type(name) ~= "string" then
      self:add(file, line, 1, 0, ("expected a name: %s \"name\" { }")
        :format(word), word)
      name = "?"
    end
    local open = { word = word, name = name, file = file, line = line, list = list }
    self.open[open] = true
    return function(args)
      self.open[open] = nil
      self:record(word, name, args, list)
    end
  end
end

function Loader:field_word(kind)
  return function(opts)
    local file, line = Loader.caller()
    self.serial = self.serial + 1
    if type(opts) ~= "table" then
      self:add(file, line, 1, 0, ("expected a table: %s { }")
        :format(kind), kind)
      opts = {}
    end
    return setmetatable({ kind = kind, opts = opts, serial = self.serial,
      file = file, line = line }, self.Field)
  end
end

function Loader:schema_word()
  local function take(fields)
    if type(fields) == "string" then
      local file, line = Loader.caller()
      self:add(file, line, 1, 0, ("a schema has no name: write local %s = schema { }, and "
        .. "schema = %s in a route"):format(fields:match("^[%a_][%w_]*$") or "event",
        fields:match("^[%a_][%w_]*$") or "event"), "schema")
      return take
    end
    local s = self:record("schema", nil, fields)
    local out = setmetatable({ statement = s }, self.Schema)
    s.schema = out
    return out
  end
  return take
end

-- Stands for an unknown word, so that loading can go on.
local holes = setmetatable({}, { __mode = "k" })

---Whether v comes from an unknown word, which has been told.
function Loader.is_unknown(_, v) return holes[v] ~= nil end

---A value that takes everything: stands for what could not be had, which has been told.
function Loader.blackhole()
  local hole = {}
  holes[hole] = true
  return setmetatable(hole, {
    __call = function() return hole end,
    __index = function() return hole end,
    __newindex = function() end,
    __tostring = function() return "unknown word" end,
    __metatable = false,
  })
end

function Loader:unknown(key)
  local file, line = Loader.caller()
  local column, length = source.find(self.texts[file] or "", line, key)
  self:add(file, line, column, length, self:why_unknown(key, file, line),
    tostring(key))
  return Loader.blackhole()
end

-- The problem with a global that the environment lacks.
function Loader:why_unknown(key, file, line)
  local advice = self:unknown_advice(file, line, key)
  if advice then
    return advice
  elseif words.elsewhere[key] then
    return "this is " .. words.elsewhere[key]
  elseif words.forbidden[key] then
    return ("not available to a policy: %s"):format(words.forbidden[key])
  end
  return "unknown word" .. suggest.hint(key, { unpack(self.known) })
end

---The words that mean something only while the policy is loaded.
function M.loading_words()
  local list = { env = true, secret = true, require = true, schema = true }
  for word, spec in pairs(words) do
    if type(spec) == "table" and spec.help then list[word] = true end
  end
  for kind in pairs(words.fields) do list[kind] = true end
  for kind in pairs(words.auth) do list[kind] = true end
  list.hmac = nil -- also a helper of hooks: hmac(key, s)
  list.null = nil -- also a value
  return list
end

---The value of a secret's file; the default only when there is no such file.
function Loader:secret(name, default)
  if type(name) ~= "string" or name == "" then
    error("secret: expected a file such as \"secrets/kafka\", or \"credential:kafka\"", 2)
  end
  local file, line = Loader.caller()
  local v, why, absent = self.host.secret(name,
    name:sub(1, 1) == "/" and name or self.folder .. name)
  if v then
    values.hide(name, v)
    if why == true then
      self:remark(file, line, ("secret %q can be read by every user of this machine: "
        .. "chmod o-r"):format(name))
    end
  elseif not (absent and default ~= nil) then
    self:add(file, line, 1, 0, why, ("secret %q"):format(name))
    return UNSET
  end
  return v or default
end

function Loader:environment()
  local lib = plain.open(self.host)
  local env, fixed = {}, {}
  for word, spec in pairs(words) do
    if type(spec) == "table" and spec.help and word ~= "schema" then
      fixed[word] = spec.handle and self:handle_word(word, spec)
          or self:statement_word(word, spec)
    end
  end
  -- null "name" { } is a sink; as a value it is JSON's null.
  local sink, mt = fixed.null, getmetatable(self.host.null)
  mt.__call = function(_, name)
    if not self.loading then
      error("null: works while the policy is loaded; a hook can't use it", 2)
    end
    return sink(name)
  end
  mt.__tostring = function() return "null" end
  mt.__index = function() error("null has no fields", 2) end
  mt.__metatable = false
  fixed.null = self.host.null
  for kind in pairs(words.fields) do fixed[kind] = self:field_word(kind) end
  for kind in pairs(words.auth) do fixed[kind] = self:auth_word(kind) end
  local sign = fixed.hmac
  function library.sign(options)
    if not self.loading then
      error("hmac { }: works while the policy is loaded; a hook writes hmac(key, s)", 3)
    end
    return sign(options)
  end
  fixed.schema = self:schema_word()
  fixed.env = function(name, default)
    if type(name) ~= "string" then error("env: expected a name", 2) end
    local v = self.host.getenv(name)
    if v ~= nil then
      values.hide(name, v)
    elseif default == nil then
      local file, line = Loader.caller()
      self:add(file, line, 1, 0, "not set, and no default given",
        ("env \"%s\""):format(name))
      return UNSET
    end
    return v or default
  end
  fixed.secret = function(name, default) return self:secret(name, default) end
  fixed.reject, fixed.drop, fixed.to =
      self.hooks.reject, self.hooks.drop, self.hooks.to
  fixed.require = function(name) return self:require(name) end
  fixed.include = function(name) return self:include(name) end
  for _, helper in ipairs(library.words) do
    fixed[helper.name] = helper.call
  end
  for k, v in pairs(lib) do fixed[k] = v end
  for _, word in ipairs { "pairs", "next", "ipairs" } do
    fixed[word] = self.hooks.iterator(word, fixed[word])
  end
  for word in pairs(M.loading_words()) do
    local f = fixed[word]
    fixed[word] = function(...)
      if not self.loading then
        error(word .. ": works while the policy is loaded; a hook can't use it", 2)
      end
      return f(...)
    end
  end
  self.fixed, self.known = fixed, {}
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
        local word = words[key]
        error(("\"%s\" is a word of the policy language and can't be set%s"):format(
          tostring(key), type(v) == "table" and type(word) == "table" and word.help
          and (": write %s%s { … }, without ="):format(key, word.named and " \"name\"" or "")
          or ""), 2)
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

-- "[string "..."]:3: x" and "policy:conf/a.lua:3: x" as file, line, words. Of a long name
-- Lua tells the end, behind "...".
local function raised(file, message)
  message = tostring(message)
  local at, line, rest = message:match("^policy:(.-):(%d+): (.*)$")
  if at then return at, tonumber(line), rest end
  at, line, rest = message:match("^%.%.%.(.-):(%d+): (.*)$")
  if at and ("policy:" .. file):sub(-#at) == at then return file, tonumber(line), rest end
  return file, 0, message
end

function Loader:run(file, text)
  self.texts[file] = text
  local found = text:sub(1, 1) == "\27" and "a text file, found compiled Lua"
    or (text:sub(1, 2) == "\255\254" or text:sub(1, 2) == "\254\255")
    and "a text in UTF-8, found UTF-16"
  if found then
    self:add(file, 1, 1, 0, "expected " .. found)
    return nil
  end
  local chunk, why = loadstring(text, "@policy:" .. file)
  if not chunk then
    local at, line, rest = raised(file, why)
    local column, length = source.find(text, line, rest:match("near '(.*)'$"))
    self:add(at, line, column, length, rest .. self:syntax_advice(text, line, rest),
      "syntax")
    return nil
  end
  jit.off(chunk, true)
  setfenv(chunk, self.env)
  local results = { pcall(self.host.bounded, chunk) }
  if not results[1] then
    local at, line, rest = raised(file, results[2])
    if rest == "not enough memory" then
      rest = ("its top level needs more than the %d MiB that a policy's state "
        .. "may have"):format(self.host.memory_mib)
    end
    self:add(at, line, 1, 0, self:raised_advice(rest))
    self.cut_short = true
    return nil
  end
  return results[2]
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
---@return table result { desc, problems, remarks, texts }
function M.load(host, hooks, name, text)
  local self = setmetatable({
    host = host, hooks = hooks, name = name, texts = {}, problems = {}, remarks = {}, told = {},
    statements = {}, open = {}, modules = {}, requiring = {}, serial = 0, loading = true,
    including = { name }, included = {},
    folder = name:match("^(.*/)[^/]*$") or "", Field = {}, Schema = {}, Auth = {},
  }, Loader)
  source.forget()
  values.show_all()
  self.env = self:environment()
  self:run(name, text)
  local desc
  -- After a statement was cut short by an error the rest would only mislead.
  if #self.problems == 0 or #self.statements > 0 then
    desc = self:describe()
  end
  self.loading = false
  table.sort(self.problems, by_place)
  source.forget()
  return { desc = desc, problems = self.problems, remarks = self.remarks, texts = self.texts }
end

return M
