-- arguments: the arguments that a policy's function gives to the words, helpers and
-- handles that it calls, and its use of their results, checked against their
-- signatures.

local agents = require "sluice.agents"
local handles = require "sluice.handles"
local library = require "sluice.library"
local opcodes = require "sluice.opcodes"
local paths = require "sluice.paths"
local sites = require "sluice.sites"
local suggest = require "sluice.suggest"
local values = require "sluice.values"
local words = require "sluice.words"

local M = {}

local constant = opcodes.constant

-- ---- signatures -------------------------------------------------------------------

local signatures = {}  -- by word
local word_of = {}     -- function of the library -> word
local verdicts = { reject = true, drop = true, to = true }
local methods = {}     -- of handles: kind -> method -> signature

-- A method's from its annotation: "fun(self: X, n?: number, ...: any): Y".
local function parsed(name, annotation)
  local params, least = {}, 0
  for param, opt, kind in annotation:match("^fun(%b())"):gmatch("([%w_.]+)(%??):%s*([%w_.|]+)") do
    if param ~= "self" then
      -- C takes true for 1.
      params[#params + 1] = { param, kind .. opt, loose = name ~= "inc" and opt == "?" and
        "boolean" or nil }
      if opt == "" and param ~= "..." then least = #params end
    end
  end
  return { name = name, params = params, least = least }
end

-- Words of the loading are no hook's to call, which foresee.lua tells.
for _, f in ipairs(words.functions) do
  if f.returns == "sluice.verdict" then signatures[f.name] = f end
end
for _, f in ipairs(library.words) do signatures[f.name], word_of[f.call] = f, f.name end
for _, kind in ipairs { "counter", "gauge", "limit", "mmdb", "agents" } do
  methods[kind] = {}
  for _, field in ipairs(words.objects[kind .. "_handle"].fields) do
    methods[kind][field[1]] = parsed(field[1], field[2])
  end
end

-- The function that the instruction at pc is about to call: the token, its signature,
-- the handle and the handle's kind.
local function callee(f, list, pc, ctx)
  local v, name, x = sites.read(f, list, pc, ctx.env)
  if x ~= nil then
    local kind = handles.kind(x)
    if kind and methods[kind][name] then return name, methods[kind][name], x, kind end
  elseif word_of[v] then
    return name, signatures[word_of[v]]
  elseif opcodes.of[list[pc].op] == "global" and ctx.fixed[name] ~= nil then
    return name, signatures[name]
  end
  -- local refuse = reject
  for word in pairs(type(v) == "function" and verdicts or {}) do
    if v == ctx.fixed[word] then return name, signatures[word] end
  end
  return nil
end

-- ---- the problem with one -----------------------------------------------------------

local function shown_call(s)
  local names = {}
  for i, p in ipairs(s.params) do
    local name = p[1] == "..." and "…" or p[1]
    names[i] = i > (s.least or #s.params) and "[" .. name .. "]" or name
  end
  return ("%s(%s)"):format(s.name, table.concat(names, ", "))
end

local function takes(kinds, kind)
  for each in kinds:gsub("%?$", "|nil"):gmatch("[%w_.]+") do
    if each == kind or each == "any" or each == "integer" and kind == "number" or
        each == "path" and kind == "string" then
      return true
    end
  end
  return false
end

local named = { event = "the event", request = "the request", string = "a text",
  ["nil"] = "nil", path = "a path", boolean = "true or false", integer = "a whole number" }

local function called(kinds)
  local list = {}
  for kind in kinds:gmatch("[%w_.]+") do list[#list + 1] = named[kind] or "a " .. kind end
  return table.concat(list, " or ")
end

local function is_open(s)
  return #s.params > 0 and s.params[#s.params][1] == "..."
end

local function got(n)
  return n == 0 and "no argument" or n == 1 and "1 argument" or n .. " arguments"
end

local function too_few(s, n)
  if n >= (s.least or #s.params) then return nil end
  return ("expected %s, got %s"):format(shown_call(s), got(n))
end

local function too_many(s, n)
  if is_open(s) or n <= #s.params then return nil end
  return ("takes %s, got %s: the last has no effect"):format(shown_call(s), got(n))
end

local function wrong_kind(s, args)
  -- Helpers of nothing give nothing, whatever the rest is.
  for k, x in ipairs(args) do
    if s.call and x[1] == "nil" and s.params[k] and takes(s.params[k][2], "nil") then
      return nil
    end
  end
  for k, x in ipairs(args) do
    local p = s.params[k] or is_open(s) and s.params[#s.params]
    -- to("a", nil) is to("a").
    local may_be = not p or not x[1] or takes(p[2], x[1]) or
        takes(p.loose or "", x[1]) or
        p[1] == "..." and k > 1 and x[1] == "nil"
    if not may_be then
      return ("expected %s, where %s is %s, got %s"):format(shown_call(s),
        p[1] == "..." and "each" or p[1], called((p[2]:gsub("%?$", ""))), called(x[1]))
    elseif p and p[2]:find("^path%??$") and x[2] then
      local why = paths.why_no_path(x[2])
      if why then return values.show(x[2]) .. " " .. why end
    end
  end
  return nil
end

-- Of a path.
M.NAMELESS = "has no key at one side of a dot, which no event is likely to have: write "
  .. "keys with dots between them"

local function nameless(s, args)
  for k, x in ipairs(args) do
    local p = s.params[k]
    if p and p[2]:find("^path%??$") and x[1] == "string" and x[2] and
        paths.has_nameless(x[2]) then
      return values.show(x[2]) .. " " .. M.NAMELESS
    end
  end
  return nil
end

local function wasted(c)
  local name = c.signature.name
  if not c.thrown then return nil end
  if verdicts[name] then
    return ("does nothing by itself: write return %s(…)"):format(name)
  elseif c.kind == "limit" and name == "check" then
    return "refuses nothing by itself: write return l:check(…), or l:take(…) to count only"
  elseif c.kind == "mmdb" or c.kind == "agents" or c.signature.call and name ~= "array" then
    return ("gives a value, which is not used here, and changes nothing: write "
      .. "local x = %s(…), or remove the call"):format(c.kind == "mmdb" and "geo:get"
      or c.kind and "agent:get" or name)
  end
  return nil
end

-- Verdicts that make no sense in that hook.
local function misplaced(c, hook)
  local name = c.signature.name
  local status = c.args[3] and c.args[3][1] == "number" and c.args[3][2]
  if c.kind then return nil end
  if hook == "on_request" and (name == "to" or name == "drop") then
    return "means nothing in on_request, which runs before the body is read: write it in "
      .. "on_event, or reject(…) here"
  elseif hook == "on_event" and name == "reject" and status and
      status >= 400 and status <= 499 and status % 1 == 0 and status ~= 422 then
    return ("a status is on_request's to give; for refused events write "
      .. "answer = { refused = %d } in the route"):format(status)
  end
  return nil
end

-- Of what reject is given as it stands.
local function of_reject(args)
  local code, status = args[1] or {}, args[3] or {}
  if status[1] == "number" and status[2] and
      (status[2] < 400 or status[2] > 499 or status[2] % 1 ~= 0) then
    return ("%s is not a status from 400 to 499"):format(status[2])
  elseif code[1] == "string" and code[2] and
      (not code[2]:find("^[%w_%-]+$") or #code[2] > 63) then
    return ("%s is not a code such as \"missing_value\""):format(values.show(code[2]))
  end
  return nil
end

local function of_to(args, streams)
  for _, x in ipairs(args) do
    if x[1] == "string" and x[2] and not streams[x[2]] then
      local names = {}
      for name in pairs(streams) do names[#names + 1] = name end
      return ("there is no stream %s%s"):format(values.show(x[2]), suggest.hint(x[2], names))
    end
  end
  return nil
end

local function of_numbers(c)
  local n = c.args[1]
  if c.kind == "counter" and n and n[1] == "number" and n[2] and n[2] < 0 then
    return ("%s is less than 0: a counter only goes up; a gauge has add"):format(n[2])
  end
  return nil
end

local function of_part(x)
  return x and x[1] == "string" and x[2] and agents.why_no_part(x[2]) or nil
end

-- A value that can't be, of a kind that can.
local function wrong_value(c, ctx)
  local name = not c.kind and c.signature.name
  return name == "reject" and of_reject(c.args) or
      name == "to" and of_to(c.args, ctx.streams) or
      c.kind == "agents" and of_part(c.args[2]) or of_numbers(c)
end

local of_request = {}  -- what a limit may count requests by
for _, field in ipairs(words.objects.request.fields) do of_request[field[1]] = true end
of_request.jwt = nil -- the same: "jwt:CLAIM"
of_request.key = nil -- a row; its columns are "key:COLUMN"

local function of_limit(c)
  if c.kind ~= "limit" then return nil end
  local x = c.args[1] and c.args[1][1]
  local key = handles.key_of_limit(c.handle)
  local header = key and key:find("^header:")
  local column = key and (key:find("^key:") or key:find("^jwt:"))
  if c.n == 0 then
    return ("does not say what to count by: write l:%s(%s)"):format(c.signature.name,
      not key and "\"all\"" or (header or column or key == "peer") and "req" or "ev")
  elseif x == "table" or x == "boolean" or x == "function" then
    return "counts by a text or a number, got " .. called(x)
  elseif x ~= "event" and x ~= "request" then
    return nil
  elseif not key then
    return "this limit has no key = …, so it can't count by " .. called(x)
      .. ": add one, or give the text to count by"
  elseif x == "event" and (header or column or key == "peer") then
    return ("an event has no %s: this limit counts by the request, so write l:%s(req)")
      :format(header and "headers" or column and "key" or "peer", c.signature.name)
  elseif x == "request" and not header and not column and not of_request[key] then
    return ("a request has no field %s: this limit counts by the event, so write l:%s(ev) "
      .. "in on_event"):format(values.show(key), c.signature.name)
  end
  return nil
end

-- Of g:inc(1), where g is a gauge.
local function no_such_method(f, list, pc, ctx, add)
  local _, name, x = sites.read(f, list, pc, ctx.env)
  local kind = x ~= nil and methods[handles.kind(x) or ""] and handles.kind(x)
  if not kind or methods[kind][name] or not sites.call_of(list, pc) then return end
  local has = {}
  for each in pairs(methods[kind]) do has[#has + 1] = each end
  table.sort(has)
  add(pc, name, ("%s has no %s: it has %s"):format(handles.called(kind), name,
    table.concat(has, " and ")))
end

-- ---- the calls of a function --------------------------------------------------------

-- c.inc(1) for c:inc(1); c.inc(c, 1) is one as well.
local function no_method(c, f, list, pc, at, ctx)
  local self = c.n and c.n > 0 and sites.argument(f, list, pc, at, 1, ctx.roles)[1]
  if c.n ~= 0 and not self then return nil end
  return ("expected %s before %s: write c:%s(…)"):format(handles.called(c.kind),
    c.signature.name, c.signature.name)
end

---@param f function
---@param ctx table { hook, roles, env, fixed, streams }: roles: register -> "event", "request"
---@param add fun(pc: integer, token: string, message: string, is_note: boolean?)
function M.find(f, list, ctx, add)
  for pc = 1, #list do
    local token, signature, handle, kind = callee(f, list, pc, ctx)
    local at, n, thrown
    if signature then
      at, n, thrown = sites.call_of(list, pc)
    else
      no_such_method(f, list, pc, ctx, add)
    end
    if at then
      local c = { signature = signature, handle = handle, kind = kind, thrown = thrown,
        n = n, args = {} }
      local why = kind and not sites.is_method(list, pc) and
          no_method(c, f, list, pc, at, ctx)
      local self = kind and 1 or 0
      c.n = n and n - self
      for k = 1, c.n or 0 do
        c.args[k] = sites.argument(f, list, pc, at, k + self, ctx.roles)
      end
      why = why or misplaced(c, ctx.hook) or wasted(c) or of_limit(c) or
          c.n and too_few(signature, c.n) or wrong_kind(signature, c.args) or
          wrong_value(c, ctx)
      local remark = c.n and too_many(signature, c.n) or nameless(signature, c.args)
      if why or remark then add(pc, token, why or remark, not why) end
    end
  end
end

---Methods of an event, which has none: ev:has("x").
function M.event_call(f, list, pc)
  local name = constant(f, list[pc].c)
  if not sites.call_of(list, pc) then return nil end
  return "can't be called: what stands behind ev is the client's value" .. (signatures[name]
    and (": write %s(ev, …)"):format(name) or "")
end

return M
