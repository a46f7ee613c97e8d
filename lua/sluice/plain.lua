-- plain: the part of plain Lua that a policy has. Its tables are read-only, and what
-- works on long texts or many elements tells how much before it does it
-- (src/policy/run/deadline.c): one instruction of the interpreter is otherwise as quick
-- as another. All but the patterns, sort and concat compile.

local ffi = require "ffi"

local M = {}

local raw, raw_table = {}, {}
for k, v in pairs(string) do raw[k] = v end
for k, v in pairs(table) do raw_table[k] = v end
local type, error, select, tonumber, pairs, ipairs, pcall = type, error, select,
  tonumber, pairs, ipairs, pcall
local tostring, getmetatable = tostring, getmetatable

local C = ffi.C
local ctx = require("sluice.context").ctx -- nil: nothing is bounded

local LONG = 256       -- bytes or elements: less is no work
local REP_MAX, MOVE_MAX, DEPTH_MAX = 1048576, 1000000, 100

local function over()
  error("the hook ran too long and was stopped", 4)
end

---@param n number bytes or elements that will be worked on
local function spend(n)
  if n > LONG and ctx and C.sluice_spend(ctx, n) == 0 then over() end
end

-- ---- read-only tables --------------------------------------------------------------

-- Tables that table.insert and the like, which ask no metatable, must leave alone.
local locked = setmetatable({}, { __mode = "k" })

---@generic T
---@param t T
---@return T t which no function of a policy's table library changes
function M.lock(t)
  locked[t] = true
  return t
end

local function check(t, word)
  if locked[t] then error(("table.%s: this table can't be changed"):format(word), 3) end
end

-- A library as a policy sees it: an empty table in front of it.
local function front(name, functions)
  return M.lock(setmetatable({}, {
    __index = functions,
    __newindex = function(_, key)
      error(("%s.%s can't be set: the libraries are read-only"):format(name,
        tostring(key)), 2)
    end,
    __metatable = false,
  }))
end

-- ---- texts --------------------------------------------------------------------------

local function sized(f)
  return function(s)
    if type(s) == "string" then spend(#s) end
    return f(s)
  end
end

local function rep(s, n, separator)
  n = tonumber(n)
  if type(s) == "number" then s = tostring(s) end
  if n and type(s) == "string" then
    local size = (#s + #(separator or "")) * n
    if size > REP_MAX then error("string.rep: more than 1 MiB", 2) end
    spend(size)
  end
  return raw.rep(s, n, separator)
end

local function sub(s, i, j)
  local part = raw.sub(s, i, j)
  if #part > LONG then spend(#part) end
  return part
end

-- Lua shows 14 digits of a number. Ids are longer, and differ in their last digits only.
local LONG_ID, EXACT, LONGEST = 1e14, 9007199254740992, 18446744073709551616

---@return boolean whether other whole numbers have the same text in plain Lua
local function is_long(v)
  return (v >= LONG_ID and v <= LONGEST or v <= -LONG_ID and v >= -LONGEST) and v % 1 == 0
end

---tostring without an address, which is another one in each state.
local function shown(v)
  local kind = type(v)
  if kind == "number" and is_long(v) then
    return raw.format(v < EXACT and v > -EXACT and "%.0f" or "%.17g", v)
  end
  if kind == "function" then return kind end
  if kind == "table" then
    if getmetatable(v) == nil then return kind end
    local mt = debug.getmetatable(v)
    if type(mt) == "table" and rawget(mt, "__tostring") == nil then return kind end
  end
  return tostring(v)
end

-- The same for values that format shows; their text has an address.
local function format_shown(how, ...)
  if raw.find(raw.gsub(how, "%%%%", ""), "%%[-+ #%d.]*p") then
    error("string.format: an address is not to be had", 3)
  end
  local list, n = { ... }, select("#", ...)
  for i = 1, n do
    local kind = type(list[i])
    if kind == "function" or kind == "table" then list[i] = shown(list[i]) end
  end
  return raw.format(how, unpack(list, 1, n))
end

local function format(...)
  local text = raw.format(...)
  if raw.find(text, "0x", 1, true) then text = format_shown(...) end
  if #text > LONG then spend(#text) end
  return text
end

-- Patterns without magic, which are looked for as they are.
local plain_ones, n_plain = {}, 0

local function is_plain(pattern)
  local yes = type(pattern) == "string"
      and not raw.find(pattern, "[%^%$%*%+%?%.%(%[%%%-]")
  if n_plain < 1000 and type(pattern) == "string" then
    plain_ones[pattern], n_plain = yes, n_plain + 1
  end
  return yes
end

---The first place of `what` in s from 0; -1: none. Linear in s.
---@param from integer from 0
function M.index(s, what, from)
  if not ctx or #s <= LONG then
    local at = raw.find(s, what, from + 1, true)
    return at and at - 1 or -1
  end
  local at = C.sluice_index(ctx, s, #s, what, #what, from)
  if at == -2 then over() end
  return at
end

local function find_plain(s, what, init)
  local from = (tonumber(init) or 1)
  if from < 0 then from = #s + from + 1 end
  if from < 1 then from = 1 end
  if from > #s + 1 then return nil end
  local at = M.index(s, what, from - 1)
  if at < 0 then return nil end
  return at + 1, at + #what
end

-- Lua's own may take ages for a text that a client chose.
local function bounded_find(find)
  return function(s, pattern, init, plain)
    if not plain then
      plain = plain_ones[pattern]
      if plain == nil then plain = is_plain(pattern) end
    end
    if not plain or type(s) ~= "string" or type(pattern) ~= "string" then
      return find(s, pattern, init)
    end
    return find_plain(s, pattern, init)
  end
end

local function texts(host)
  local t = {}
  for _, k in ipairs { "byte", "char", "len" } do t[k] = raw[k] end
  for _, k in ipairs { "lower", "upper", "reverse" } do t[k] = sized(raw[k]) end
  t.rep, t.sub, t.format = rep, sub, format
  local patterns = host and host.patterns or raw
  t.match, t.gmatch, t.gsub = patterns.match, patterns.gmatch, patterns.gsub
  t.find = host and bounded_find(patterns.find) or raw.find
  return t
end

-- ---- tables -------------------------------------------------------------------------

-- Lua's own walks from the end to any place, a negative one as well.
local function check_place(t, at, word)
  at = tonumber(at)
  if type(t) ~= "table" or not at then return end
  if not (at >= 1 and at <= #t + 1) then
    error(("table.%s: no such place"):format(word), 3)
  end
  spend(#t)
end

local function insert(t, ...)
  check(t, "insert")
  local n = select("#", ...)
  if n == 1 then return raw_table.insert(t, (...)) end
  check_place(t, (...), "insert")
  return raw_table.insert(t, ...)
end

local function remove(t, at)
  check(t, "remove")
  if at == nil then return raw_table.remove(t) end
  if tonumber(at) == 0 and #t == 0 then return nil end
  check_place(t, at, "remove")
  return raw_table.remove(t, at)
end

local function move(a, from, to, at, b)
  check(b or a, "move")
  from, to, at = tonumber(from), tonumber(to), tonumber(at)
  if from and to and to - from > MOVE_MAX then
    error("table.move: more than 1000000 elements", 2)
  end
  if from and to then spend(8 * (to - from)) end
  return raw_table.move(a, from, to, at, b)
end

local function tables(host)
  local own = host and host.tables or raw_table
  return { insert = insert, remove = remove, move = move, concat = own.concat,
    sort = function(t, before)
      check(t, "sort")
      return own.sort(t, before)
    end }
end

-- ---- the whole ----------------------------------------------------------------------

local function number_of(s, base)
  if type(s) == "string" then spend(#s) end
  -- nil is no base.
  if base == nil then return tonumber(s) end
  return tonumber(s, base)
end

-- An error behind the deadline passes each pcall of the policy by a new one.
local depth = 0

local function passed(...)
  depth = depth - 1
  return ...
end

local function bounded_pcall(f, ...)
  if depth >= DEPTH_MAX then error("stack overflow: pcall in pcall", 2) end
  depth = depth + 1
  return passed(pcall(f, ...))
end

---The garbage of an error does not count for the next call.
function M.begin()
  depth = 0
end

local function copy(t, without)
  local out = {}
  for k, v in pairs(t) do
    if not (without and without[k]) then out[k] = v end
  end
  return out
end

---The functions and libraries, by name; libraries as plain tables.
---@param host? table patterns, tables: of src/policy; nil: only to list the names
function M.library(host)
  return {
    assert = assert, error = error, ipairs = ipairs, next = next,
    pairs = pairs, pcall = bounded_pcall, select = select, tonumber = number_of,
    tostring = shown, type = type, unpack = unpack,
    string = texts(host), table = tables(host), bit = copy(require "bit"),
    math = copy(math, { randomseed = true }),
  }
end

---The same for a policy, whose texts have these methods from now on.
function M.open(host)
  local library = M.library(host)
  getmetatable("").__index = library.string
  for name, v in pairs(library) do
    if type(v) == "table" then library[name] = front(name, v) end
  end
  return library
end

M.spend, M.over, M.tostring, M.EXACT = spend, over, shown, EXACT

return M
