-- limits: the limit statements, and the limits and networks that a route or listener names.
-- Methods of the loader; every mistake is recorded and the rest goes on.

local handles = require "sluice.handles"
local suggest = require "sluice.suggest"
local tables = require "sluice.tables"
local values = require "sluice.values"
local words = require "sluice.words"

local ROUTE_LIMITS_MAX, NETWORKS_MAX = 8, 256

---@param Loader table the class that gets the methods
return function(Loader)

-- ---- limit "name" { } ------------------------------------------------------------

-- By its options, not by its place: one that is added above it does not take over its
-- buckets.
local function nameless(o, shown, unnamed)
  local name = ("%s %s"):format(tostring(o.key or "all"), tostring(shown))
  if o.burst then name = name .. " " .. tostring(o.burst) end
  unnamed[name] = (unnamed[name] or 0) + 1
  return unnamed[name] == 1 and name or ("%s #%d"):format(name, unnamed[name])
end

-- A limit that counts by a column of the client's key: some file of keys must have it.
function Loader:limit_column(s, option, column)
  local all = self:keys_columns()
  if all == nil or all[column] then return end -- nil: a file is not read
  self:problem(s, { option }, "value", next(self.keys_index)
    and ("no keys have a column %s%s"):format(values.show(column),
      suggest.hint(column, tables.sorted_keys(all)))
    or "the policy has no keys \"NAME\" { }, whose column it could be")
end

local function is_column(v) return type(v) == "table" and v.column ~= nil end

-- The amount of a row that has none, in the unit of its column.
function Loader:limit_otherwise(s, o, amount)
  if o.otherwise == nil then return -1 end
  if not is_column(amount) then
    self:problem(s, { "otherwise" }, "key", "means nothing without a column: it is for keys "
      .. "whose row has no number")
    return -1
  end
  local word = o.quota and "quota" or "rate"
  local v, why = values.check(o.otherwise, words.limit.options[word], self.host)
  if why or is_column(v) then
    self:problem(s, { "otherwise" }, "value", why
      or ("%s is a column itself: expected a %s"):format(values.show(o.otherwise), word))
    return -1
  elseif o.quota and v.unit_s ~= amount.unit_s then
    self:problem(s, { "otherwise" }, "value", ("%s has another window than quota")
      :format(values.show(o.otherwise)))
  end
  return o.quota and v.amount or v
end

-- What it counts by.
function Loader:limit_key(s, o)
  local source, name = (type(o.key) == "string" and o.key or ""):match("^(%a+):(.*)$")
  if source == "key" then
    self:limit_column(s, "key", name)
  elseif source == "jwt" then
    self:limit_claim(s, name)
  elseif source and source ~= "header" then
    self:problem(s, { "key" }, "value", ("%s is neither \"header:NAME\", \"key:COLUMN\", "
      .. "\"jwt:CLAIM\" nor "
      .. "\"peer\", \"path\" or a path of the event"):format(values.show(o.key)))
  end
  o.by = source or (o.key == "peer" or o.key == "path") and o.key
    or o.key and "event" or "all"
  o.by_name = name or ""
end

---first, unnamed: of the limits so far, by their names and options.
function Loader:limit(s, first, unnamed)
  if s.name and not s.name:match("^[a-z0-9_%-]+$") then
    self:problem(s, nil, "value", "a name is 1 to 64 of a-z, 0-9, _ and -")
  elseif s.name and first[s.name] then
    self:problem(s, nil, "value", ("is given twice, first in line %d")
      :format(first[s.name].line))
  end
  if s.name then first[s.name] = first[s.name] or s end
  local o = self:options(s, {}, s.args, words.limit.options)
  if s.args.rate ~= nil and s.args.quota ~= nil then
    self:problem(s, { "quota" }, "key", "is given together with rate: write two limits, and "
      .. "name both in the route's limits")
  elseif s.args.rate == nil and s.args.quota == nil then
    self:problem(s, nil, "value", "needs rate: tokens that each bucket gets, such as "
      .. "\"100/s\", or quota: events in a window, such as \"1000000/d\"")
  end
  if o.quota and o.burst then
    self:problem(s, { "burst" }, "key", "means nothing with quota: all of it may come at once")
  elseif s.args.quota ~= nil and o.max_keys and o.max_keys > 1000000 then
    self:problem(s, { "max_keys" }, "value", ("%d is more than 1000000, the most of a quota")
      :format(o.max_keys))
  end
  self:limit_key(s, o)
  local amount = o.quota or o.rate
  o.shown = s.args.quota or s.args.rate
  o.name = s.name or nameless(o, o.shown, unnamed)
  o.window_s = o.quota and o.quota.unit_s or 0
  if is_column(amount) then
    self:limit_column(s, o.quota and "quota" or "rate", amount.column)
    o.column, o.unit_s = amount.column, amount.unit_s
    o.shown = ("the %s of its key"):format(amount.column)
  end
  o.otherwise = self:limit_otherwise(s, o, amount)
  o.amount = o.quota and o.quota.amount or not is_column(o.rate) and o.rate or 0
  if type(o.rate) == "number" then
    o.burst = o.burst or math.max(1, math.min(1000000, math.ceil(o.rate)))
  end
  o.rate = nil
  o.quota = nil
  return o
end

-- ---- limits = { … } of a route -----------------------------------------------------

-- Why a limit can't be one of the route's; nil: it can.
function Loader:why_no_route_limit(o, auth)
  if o.by == "event" then
    return ("counts by %s of the event: call l:check(ev) in on_event"):format(
      values.show(o.key))
  end
  for _, column in ipairs { o.by == "key" and o.by_name or false, o.column or false } do
    local why = column and self:why_no_key_column(auth, column)
    if why then return ("%s: %s"):format(values.show("key:" .. column), why) end
  end
  return o.by == "jwt" and self:why_no_claim(auth, o.by_name) or nil
end

---After the limits have their places.
function Loader:route_limits(desc)
  for _, r in ipairs(desc.routes) do
    local s, list, seen = r.statement, {}, {}
    if r.limits ~= nil and (type(r.limits) ~= "table" or not values.is_list(r.limits)) then
      self:problem(s, { "limits" }, "value", "expected a list of limits: { l }")
      r.limits = nil
    end
    for i, handle in ipairs(r.limits or {}) do
      local place = handles.kind(handle) == "limit" and handles.place_of("limit", handle)
      local o = place and desc.limits[place + 1]
      local why
      if not place then
        why = ("%s is no limit: write limits = { l } with local l = limit { … }")
          :format(values.show(handle))
      elseif seen[place] then
        why = ("has the limit %s twice"):format(values.show(o.name))
      else
        why = self:why_no_route_limit(o, r.auth)
      end
      if why then
        self:problem(s, { "limits", i }, "value", why)
      else
        seen[place] = true
        list[#list + 1] = place
      end
    end
    if #list > ROUTE_LIMITS_MAX then
      self:problem(s, { "limits" }, "value", ("more than %d limits"):format(ROUTE_LIMITS_MAX))
    elseif r.limit_headers and #list == 0 then
      self:problem(s, { "limit_headers" }, "key", "needs limits, of which they tell")
    end
    r.limits = list
  end
end

-- ---- allow and deny -------------------------------------------------------------------

-- One entry as { network } or { table }; nil and why not.
function Loader:place_entry(v)
  if handles.lookup_word(v) == "cidr" then
    local index = handles.index_of_lookup(v)
    return index and { table = index } or {}
  end
  if type(v) ~= "string" then
    return nil, ("%s is neither a network such as \"10.0.0.0/8\" nor a cidr \"FILE\"")
      :format(values.show(v))
  end
  local names = {}
  for _, s in ipairs(self:of_word("cidr")) do
    if s.name == v then return self:place_entry(s.handle) end
    names[#names + 1] = s.name
  end
  local why = v ~= "unix" and self.host.why_no_network(v)
  if not why then return { network = v } end
  if v:find("^[%x.:]+/?%d*$") then return nil, ("%s %s"):format(values.show(v), why) end
  return nil, ("%s is neither a network such as \"10.0.0.0/8\" nor the file of a cidr%s")
    :format(values.show(v), suggest.hint(v, names))
end

-- The networks of allow or deny, in two lists.
function Loader:access_list(s, option, given)
  local out = { networks = {}, tables = {} }
  if given == nil then return nil end
  if type(given) ~= "table" or handles.lookup_word(given) or not values.is_list(given) then
    self:problem(s, { option }, "value", ("%s is not a list of networks: { \"10.0.0.0/8\" }")
      :format(values.show(given)))
    return nil
  end
  for i, v in ipairs(given) do
    local entry, why = self:place_entry(v)
    if why then self:problem(s, { option, i }, "value", why) end
    if entry and entry.network then out.networks[#out.networks + 1] = entry.network end
    if entry and entry.table then out.tables[#out.tables + 1] = entry.table end
  end
  if #given > NETWORKS_MAX then
    self:problem(s, { option }, "value", ("%d networks: at most %d are taken; put more into "
      .. "a file, and name a cidr \"FILE\""):format(#given, NETWORKS_MAX))
  end
  return out
end

---allow and deny of a route or listener; nil: it has neither. After the files have places.
function Loader:access(s, o)
  if o.allow == nil and o.deny == nil then return nil end
  return { allow = self:access_list(s, "allow", o.allow),
    deny = self:access_list(s, "deny", o.deny) }
end

function Loader:all_access(desc, admin)
  desc.admin.access = self:access(admin, desc.admin)
  desc.admin.allow, desc.admin.deny = nil, nil
  for _, r in ipairs(desc.routes) do
    r.access = self:access(r.statement, { allow = r.allow, deny = r.deny })
    r.allow, r.deny = nil, nil
  end
  for _, l in ipairs(desc.listeners) do
    if l.statement then l.access = self:access(l.statement, l) end
    l.allow, l.deny = nil, nil
  end
end

end
