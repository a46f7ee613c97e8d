-- handles: the objects that the words counter, gauge, limit, lookup, cidr, mmdb and agents
-- give to a policy's functions. Their methods compile; the things themselves are C's
-- (src/shared).

local ffi = require "ffi"
local agents = require "sluice.agents"
local context = require "sluice.context"
local moved = require "sluice.moved"
local plain = require "sluice.plain"

local M = {}

local C = ffi.C
local text_of = ffi.string
local type, error, tostring = type, error, plain.tostring
local EXACT = plain.EXACT

local ctx = context.ctx  -- struct sluice_context *
local event_type = context.event_type
local limited            -- hooks': a verdict of 429

-- ---- counters and gauges ---------------------------------------------------

-- Label values of this state to places, one level of tables a label. It holds
-- as many as there are series, so it is bounded.
local function remember(cache, at, a, b, c, n)
  local t = cache
  if n > 1 then
    t[a] = t[a] or {}
    t, a = t[a], b
  end
  if n > 2 then
    t[a] = t[a] or {}
    t, a = t[a], c
  end
  t[a] = at
end

local VALUE_BYTES = 128 -- METRIC_VALUE_BYTES: values are cut there

-- The text of a label: of an object only that it is one, because its address would be a
-- series of its own each time.
local function shown(v)
  local t = type(v)
  if t == "string" or t == "number" or t == "boolean" then return tostring(v) end
  return t
end

-- Whether a value is the only one that is shown so, or one of a few. Of all others
-- clients may have any number: they are not kept.
local function is_own(v)
  local t = type(v)
  if t == "string" then return #v <= VALUE_BYTES end
  if t == "number" then return v % 1 == 0 and v > -1e14 and v < 1e14 end
  return t == "boolean" or v == nil
end

local function find(h, a, b, c)
  local x, y, z = shown(a), shown(b), shown(c)
  local at = C.sluice_series(ctx, h.index, x, #x, y, #y, z, #z)
  -- Series that count as "other" are not kept: clients may have any number of values.
  -- Nor are those of an example, whose places are its own.
  if at >= 0 and C.sluice_rehearsal(ctx) == 0 and
      is_own(a) and is_own(b) and is_own(c) then
    remember(h.cache, at, a, b, c, h.n)
  end
  return at
end

local function series(h, a, b, c)
  local n = h.n
  if n == 0 then return 0 end
  if a == nil then a = "" end
  if b == nil then b = "" end
  if c == nil then c = "" end
  local at = h.cache[a]
  if n > 1 and at then at = at[b] end
  if n > 2 and at then at = at[c] end
  return at or find(h, a, b, c)
end

-- The place of a handle, by the handle, which has no members: otherwise a policy could
-- set a wrong place. One table a class, so that no class takes another's handle.
local of = {}
for _, word in ipairs { "counter", "gauge", "limit", "mmdb", "agents" } do
  of[word] = setmetatable({}, { __mode = "k" })
end
local counters, gauges, limits, databases = of.counter, of.gauge, of.limit, of.mmdb

---@return string? kind of a handle; nil: it is not a handle
function M.kind(v)
  for word, list in pairs(of) do
    if list[v] then return word end
  end
  return nil
end

---@return string? key the option of a limit
function M.key_of_limit(handle)
  local h = limits[handle]
  return h.key or nil
end

---@return integer? place of a handle among the plan's of its kind; nil: it has none yet
function M.place_of(word, handle)
  return of[word][handle].index or nil
end

---@return string "a counter", "an mmdb"
function M.called(word)
  return (word == "mmdb" and "an " or word == "agents" and "" or "a ") .. word
end

local called = M.called

local function no_handle(word, method)
  error(("expected %s before %s: write c:%s(…)"):format(called(word), method, method), 3)
end

local function finite(v) return type(v) == "number" and v - v == 0 end

local Counter = {}

function Counter.inc(self, n, a, b, c)
  if n == nil then n = 1 end
  if not finite(n) or n < 0 then
    error(("inc: expected a number from 0, got %s"):format(tostring(n)), 2)
  end
  local h = counters[self] or no_handle("counter", "inc")
  if not h.index then return end
  C.sluice_add(ctx, h.index, series(h, a, b, c), n)
end

local Gauge = {}

function Gauge.set(self, v, a, b, c)
  if not finite(v) then
    error(("set: expected a number, got %s"):format(tostring(v)), 2)
  end
  local h = gauges[self] or no_handle("gauge", "set")
  if not h.index then return end
  C.sluice_set(ctx, h.index, series(h, a, b, c), v)
end

function Gauge.add(self, v, a, b, c)
  if not finite(v) then
    error(("add: expected a number, got %s"):format(tostring(v)), 2)
  end
  local h = gauges[self] or no_handle("gauge", "add")
  if not h.index then return end
  C.sluice_add(ctx, h.index, series(h, a, b, c), v)
end

-- ---- limits -------------------------------------------------------------------

local Limit = {}

-- The value that an event or a request is counted by, from the limit's own option.
local function key_of(h, x)
  local key = h.key
  if type(x) ~= "cdata" then return x end
  if not key then
    error("this limit has no key = …: say what to count by", 3)
  end
  if ffi.istype(event_type, x) then
    if h.header or h.column or h.claim or key == "peer" then
      error("this limit counts by the request: write l:check(req)", 3)
    end
    local v = x[key]
    -- An object gets no client around a limit: it counts as no key.
    if type(v) ~= "string" and type(v) ~= "number" then return "" end
    return v
  end
  if h.header then return x.headers[h.header] end
  if h.column then
    local row = x.key
    return row and row[h.column]
  end
  if h.claim then
    local v = x.jwt[h.claim]
    -- Who is let in by a token must not make the hook fail.
    if type(v) == "boolean" then return tostring(v) end
    return v
  end
  return x[key]
end

local function wait(h, key, n)
  if type(key) == "number" then key = tostring(key) end
  -- Those without a key share a bucket.
  if key == nil then key = "" end
  if type(key) ~= "string" then
    error(("a limit's key is a text or a number, not a %s"):format(type(key)), 3)
  end
  plain.spend(#key)
  return C.sluice_take(ctx, h.index, key, #key, n or 1)
end

function Limit.take(self, x, n)
  local h = limits[self] or no_handle("limit", "take")
  if not h.index then return true end
  return wait(h, key_of(h, x), n) == 0
end

function Limit.check(self, x, n)
  local h = limits[self] or no_handle("limit", "check")
  if not h.index then return nil end
  local ms = wait(h, key_of(h, x), n)
  if ms == 0 then return nil end
  return limited(h.message, ms)
end

-- ---- databases of addresses ------------------------------------------------------

local FALSE, TRUE, NUMBER, STRING = 2, 3, 4, 5 -- enum slot_kind
local found = context.scratch() -- struct sluice_value

local Mmdb = {}

function Mmdb.get(self, address, path)
  local h = databases[self] or no_handle("mmdb", "get")
  if not h.index then
    error("an mmdb can't be used while the policy is loaded", 2)
  end
  if type(path) ~= "string" then
    error(("get: expected a path such as \"country.iso_code\", got %s")
      :format(type(path)), 2)
  end
  -- A client may have sent anything: only a text is an address.
  if type(address) ~= "string" then return nil end
  local rc = C.sluice_mmdb(ctx, h.index, address, #address, path, #path, found)
  if rc == 0 then return nil end
  if rc < 0 then
    error(("get: \"%s\" is not a path such as \"subdivisions[1].iso_code\"")
      :format(path), 2)
  end
  local kind = found.kind
  plain.spend(found.len)
  if kind == STRING then return text_of(found.text, found.len) end
  if kind == NUMBER then return found.num end
  if kind == TRUE then return true end
  if kind == FALSE then return false end
  plain.spend(8 * found.len)
  return moved.fresh(text_of(found.text, found.len))
end

-- ---- user agents -------------------------------------------------------------------

local agent_sets = of.agents
local parts = {} -- enum agent_part
for i, name in ipairs(agents.parts) do parts[name] = i - 1 end

local Agents = {}

function Agents.get(self, text, part)
  local h = agent_sets[self] or no_handle("agents", "get")
  if not h.index then
    error("agents can't be used while the policy is loaded", 2)
  end
  local at = parts[part]
  if not at then error("get: " .. agents.why_no_part(part), 2) end
  -- A client may have sent anything: only a text is a user agent.
  if type(text) ~= "string" then return nil end
  local rc = C.sluice_agent(ctx, h.index, text, #text, at, found)
  if rc == 0 then return nil end
  if rc < 0 then plain.over() end
  return text_of(found.text, found.len)
end

local classes = { counter = Counter, gauge = Gauge, limit = Limit, mmdb = Mmdb,
  agents = Agents }
local samples = { mmdb = "geo:get(address, path)", agents = "agent:get(text, part)" }
for word, methods in pairs(classes) do
  setmetatable(methods, { __index = function(_, key)
    error(("%s has no \"%s\"%s"):format(called(word), tostring(key),
      samples[word] and ": write " .. samples[word] or ""), 2)
  end })
end

---@param word string "counter", "gauge", "limit", "mmdb" or "agents"
---@param given fun(args: any) takes the { } behind the name
function M.new(word, given)
  local handle = setmetatable({}, {
    __index = classes[word],
    __newindex = function()
      error(called(word) .. " can't be changed", 2)
    end,
    __call = function(self, args)
      if samples[word] and of[word][self].index then
        error(("%s can't be called: write %s"):format(called(word), samples[word]), 2)
      end
      given(args)
      return self
    end,
    __metatable = false,
  })
  plain.lock(handle)
  of[word][handle] = { cache = {}, n = 0, index = false, key = false, header = false,
    column = false, claim = false }
  return handle
end

-- ---- lookups -------------------------------------------------------------------

local row_type           -- ctype of rows
local columns = {}       -- of each table by its place: name -> number from 0
local kinds = {}         -- and its word
local cell_of = context.scratch()

local function damaged(level)
  error("the lookup's built table was cut, or its disk returned an error; "
    .. "reload the policy, which builds it again", level)
end

local function cell(table, row, column)
  if C.sluice_cell(ctx, table, row, column, cell_of) == 0 then damaged(3) end
  return text_of(cell_of.text, cell_of.len)
end

local function find_row(place, key)
  if not place.index then
    error(("a %s can't be used while the policy is loaded"):format(place.word), 3)
  end
  if key == nil then return -1 end
  if type(key) == "number" then
    -- Beyond 2^53 several ids are one number: none of them may find another's row.
    if key >= EXACT or key <= -EXACT then return -1 end
    key = key + 0 -- no -0
  end
  if type(key) ~= "string" then key = tostring(key) end
  plain.spend(#key)
  local row = C.sluice_row(ctx, place.index, key, #key)
  if row == -2 then damaged(4) end
  return row
end

local function row_read(row, name)
  local column = columns[row.sluice_table][name]
  if column == nil then
    error(("the %s has no column \"%s\""):format(kinds[row.sluice_table], tostring(name)), 2)
  end
  return cell(row.sluice_table, row.sluice_row_, column)
end

---A lookup or cidr: t[key] is a value, t(key) a row. No methods, because a key may have
---any name.
---@param word string "lookup" or "cidr"
---@param given fun(args: any) takes the { } behind the name
---@return table handle, table place to be filled by M.place_lookup
local lookups = setmetatable({}, { __mode = "k" })

---@return string? word nil: it is no lookup or cidr
function M.lookup_word(t) return lookups[t] and lookups[t].word end

---@return integer? index of its table; nil: its file could not be read
function M.index_of_lookup(t) return lookups[t].index or nil end

function M.lookup(word, given)
  local place = { index = false, value = 0, word = word }
  local handle = plain.lock(setmetatable({}, {
    __index = function(_, key)
      if key == "get" and word == "cidr" then
        error("a cidr has no get: write nets[address], or nets(address) for the row", 2)
      end
      local row = find_row(place, key)
      if row < 0 then return nil end
      return cell(place.index, row, place.value)
    end,
    __newindex = function() error(("a %s can't be changed"):format(word), 2) end,
    __call = function(self, key)
      if not place.index and type(key) == "table" then
        given(key)
        return self
      end
      local row = find_row(place, key)
      if row < 0 then return nil end
      return row_type(place.index, row)
    end,
    __metatable = false,
  }))
  lookups[handle] = place
  return handle, place
end

---@param index integer of the table
---@param names string[] of its columns
---@param key integer the key's column, from 0
function M.place_lookup(place, index, names, key)
  local places = {}
  for i, name in ipairs(names) do places[name] = i - 1 end
  columns[index], kinds[index] = places, place.word
  place.index, place.value = index, key == 0 and 1 or 0
end

---The same of a file of keys, whose rows are req.key.
---@param own table<string, integer> the columns that a hook may read
---@param name string of the keys
function M.place_keys(index, own, name)
  columns[index], kinds[index] = own, ("row of keys \"%s\""):format(name)
end

local at = context.key_place and context.key_place() -- int32_t[2]

---The row of the key that the request was let in with; nil: the route has no auth.
function M.request_key()
  if C.sluice_request_key(ctx, at, at + 1) == 0 then return nil end
  return row_type(at[0], at[1])
end

---Takes its place in the plan, after the policy was checked.
---@param word string "counter", "gauge", "limit", "mmdb" or "agents"
function M.place(word, handle, fields)
  for k, v in pairs(fields) do of[word][handle][k] = v end
end

---@param verdict fun(message: string, wait_ms: number): table of hooks
function M.start(verdict)
  limited = verdict
  row_type = ffi.metatype("struct sluice_row", { __index = row_read,
    __newindex = function() error("a lookup can't be changed", 2) end })
end

return M
