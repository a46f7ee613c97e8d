-- slips: statements of a policy's function that can't be meant, read from its bytecode:
-- a comparison that never holds, a result that no hook may give, a malformed path, an
-- unknown word of the request; and, by arguments.lua, wrong arguments of its calls.

local arguments = require "sluice.arguments"
local opcodes = require "sluice.opcodes"
local paths = require "sluice.paths"
local suggest = require "sluice.suggest"
local tables = require "sluice.tables"
local words = require "sluice.words"

local M = {}

local of, constant = opcodes.of, opcodes.constant

local request = {}     -- the fields of a request
for _, f in ipairs(words.objects.request.fields) do request[#request + 1] = f[1] end

local REQUEST = {
  body = "on_event sees its events; on_request comes before the body is read",
  time = "write req.time_ms", ip = "write req.peer", url = "write req.path and req.query",
}

-- ev.x == null: reading gives nil for a null.
local function never(f, list, pc, roles, add)
  local null, field
  local seen = {} -- only what was put into a register last counts
  local targets = opcodes.targets(list)
  for at = pc - 1, math.max(pc - 4, 1), -1 do
    local ins = list[at]
    if targets[at + 1] then break end -- which may come from another value
    if (ins.a == list[pc].a or ins.a == list[pc].d) and not seen[ins.a] then
      seen[ins.a] = true
      null = null or of[ins.op] == "global" and constant(f, ins.d) == "null"
      field = field or of[ins.op] == "field" and roles[ins.b] == "event" and
          constant(f, ins.c)
    end
  end
  if null and field then
    add(pc, "null", ("is never what ev.%s reads as: a null reads as nil; "
      .. "has(ev, \"%s\") tells the two apart"):format(field, field))
  end
end

local function of_request(key, pc, add)
  for _, name in ipairs(request) do
    if name == key then return end
  end
  add(pc, key, ("a request has no \"%s\"%s"):format(key, REQUEST[key]
    and ": " .. REQUEST[key] or suggest.hint(key, { unpack(request) })))
end

-- req.key.tenat: a column that no file of keys has.
local function of_key(f, list, pc, columns, add)
  local after = list[pc + 1]
  if not columns or not after or of[after.op] ~= "field" or after.b ~= list[pc].a then return end
  local column = constant(f, after.c)
  if not columns[column] then
    add(pc + 1, column, ("no keys have a column \"%s\"%s"):format(column,
      suggest.hint(column, tables.sorted_keys(columns))))
  end
end

local function of_event(f, list, pc, add)
  local key = constant(f, list[pc].c)
  if key == "" then return end
  local why = paths.why_no_path(key)
  if why then
    add(pc, '"' .. key .. '"', why)
  elseif paths.has_nameless(key) then
    add(pc, '"' .. key .. '"', arguments.NAMELESS, true)
  elseif of[list[pc].op] == "field" then
    why = arguments.event_call(f, list, pc)
    if why then add(pc, key, why) end
  end
end

local function two_results(list, pc, add)
  local before = list[select(2, opcodes.before(list, pc)) - 1]
  if list[pc].d == 3 and before and of[before.op] == "plain" and before.d == 0 and
      before.a == list[pc].a then
    add(pc, "return", "a hook that returns nil accepts the event, whatever stands behind "
      .. "it: write return reject(\"code\", \"message\")")
  end
end

local never_result = { text = "a text", short = "a number", number = "a number",
  new_table = "a table", same_table = "a table", make = "a function" }

-- return true: a hook returns nothing, or the result of reject, drop or to.
local function no_result(list, pc, ctx, add)
  local i, before, at = list[pc], opcodes.before(list, pc)
  local what = ctx.roles[i.a] and "the " .. ctx.roles[i.a]
  if not what and before and before.a == i.a then
    what = never_result[of[before.op]]
    if of[before.op] == "plain" and before.d > 0 then
      what = before.d == 1 and "false" or "true"
      -- A comparison's result is one or the other: false, a jump, true.
      local other = list[at - 2]
      if other and of[other.op] == "plain" and other.a == i.a and other.d == 1 and
          opcodes.is_jump(list[at - 1]) then
        what = "true or false"
      end
    end
  end
  if what then
    add(pc, "return", ("%s is no result of a hook, which raises for it: return nothing to "
      .. "accept, or %s"):format(what, ctx.hook == "on_request" and "reject(…)"
      or "reject(…), drop(…) or to(…)"))
  end
end

---@param f function|any a function, or the text of one that a function makes
---@param ctx table { hook, roles, env, fixed, streams, columns }: hook: "on_event",
---"on_request" when a route gives it as such; roles: register -> "event", "request"
---@param add fun(pc: integer, token: string, message: string, is_note: boolean?)
function M.find(f, ctx, add)
  local list, roles = opcodes.instructions(f), ctx.roles
  for pc, ins in ipairs(list) do
    local word = of[ins.op]
    if word == "equal" or word == "unequal" then
      never(f, list, pc, roles, add)
    elseif word == "field" and roles[ins.b] == "request" then
      of_request(constant(f, ins.c), pc, add)
      if constant(f, ins.c) == "key" then of_key(f, list, pc, ctx.columns, add) end
    elseif word == "set_field" and roles[ins.b] == "request" then
      add(pc, constant(f, ins.c), "a request can't be changed: set a field of the event, or a "
        .. "local")
    elseif (word == "field" or word == "set_field") and roles[ins.b] == "event" then
      of_event(f, list, pc, add)
    elseif word == "results" and ctx.hook then
      two_results(list, pc, add)
    elseif word == "result" and ctx.hook then
      no_result(list, pc, ctx, add)
    end
  end
  arguments.find(f, list, ctx, add)
end

return M
