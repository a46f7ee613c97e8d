-- slips: what a function of a policy says and can't mean, read from its bytecode: a
-- verdict that is not returned, a comparison that never holds, a word of the request
-- that is none.

local bit = require "bit"
local suggest = require "sluice.suggest"
local util = require "jit.util"
local words = require "sluice.words"

local M = {}

local band, rshift = bit.band, bit.rshift

local request = {}     -- the fields of a request
for _, f in ipairs(words.objects.request.fields) do request[#request + 1] = f[1] end

local ops              -- by name, learned from functions whose bytecode is known

---@param instructions fun(f: function): table[] bytecode's
local function learn(instructions)
  local result = instructions(function() return nil, "x" end)
  local called = instructions(function() _G(1) end)
  ops = { field = instructions(function(t) return t.x end)[1].op,
    equal = instructions(function(a, b) return a == b end)[1].op,
    unequal = instructions(function(a, b) return a ~= b end)[1].op,
    global = called[1].op, call = called[3].op,
    none = result[1].op, results = result[#result].op }
end

local verdicts = { reject = true, drop = true, to = true }
local REQUEST = {
  body = "on_event sees its events; on_request comes before the body is read",
  time = "write req.time_ms", ip = "write req.peer", url = "write req.path and req.query",
}

-- The register of the parameter that is called name; nil: there is none.
local function parameter(f, name)
  for i = 1, 2 do
    if debug.getlocal(f, i) == name then return i - 1 end
  end
  return nil
end

local function text(f, n)
  local ok, v = pcall(util.funck, f, -n - 1)
  return ok and v or nil
end

local function unreturned(f, list, pc, add)
  local name = text(f, list[pc].d)
  if not verdicts[name] then return end
  for at = pc + 1, #list do
    local ins = list[at]
    -- The first that has the function's register again is its call.
    if ins.a == list[pc].a then
      if ins.op == ops.call and rshift(ins.d, 8) == 1 then
        add(pc, name, ("does nothing by itself: write return %s(…)"):format(name))
      end
      return
    end
  end
end

-- ev.x == null: reading gives nil for a null.
local function never(f, list, pc, add)
  local ev = parameter(f, "ev")
  local null, field
  local seen = {} -- only what was put into a register last counts
  for at = pc - 1, math.max(pc - 4, 1), -1 do
    local ins = list[at]
    if (ins.a == list[pc].a or ins.a == list[pc].d) and not seen[ins.a] then
      seen[ins.a] = true
      null = null or ins.op == ops.global and text(f, ins.d) == "null"
      field = field or ins.op == ops.field and ev and rshift(ins.d, 8) == ev and
          text(f, band(ins.d, 255))
    end
  end
  if null and field then
    add(pc, "null", ("is never what ev.%s reads as: a null reads as nil; "
      .. "has(ev, \"%s\") tells the two apart"):format(field, field))
  end
end

local function of_request(f, list, pc, add)
  local req = parameter(f, "req")
  local key = req and rshift(list[pc].d, 8) == req and text(f, band(list[pc].d, 255))
  if type(key) ~= "string" then return end
  for _, name in ipairs(request) do
    if name == key then return end
  end
  add(pc, key, ("a request has no \"%s\"%s"):format(key, REQUEST[key]
    and ": " .. REQUEST[key] or suggest.hint(key, { unpack(request) })))
end

local function two_results(list, pc, add)
  local before = list[pc - 2]
  if list[pc].d == 3 and before and before.op == ops.none and before.d == 0 and
      before.a == list[pc].a then
    add(pc, "return", "a hook that returns nil accepts the event, whatever stands behind "
      .. "it: write return reject(\"code\", \"message\")")
  end
end

---@param f function
---@param instructions fun(f: function): table[]
---@param is_hook boolean a route gives it as on_event or on_request
---@param add fun(pc: integer, token: string, message: string)
function M.find(f, instructions, is_hook, add)
  if not ops then learn(instructions) end
  local list = instructions(f)
  for pc, ins in ipairs(list) do
    if ins.op == ops.global then
      unreturned(f, list, pc, add)
    elseif ins.op == ops.equal or ins.op == ops.unequal then
      never(f, list, pc, add)
    elseif ins.op == ops.field then
      of_request(f, list, pc, add)
    elseif ins.op == ops.results and is_hook then
      two_results(list, pc, add)
    end
  end
end

return M
