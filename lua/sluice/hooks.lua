-- hooks: events and requests as a policy's functions see them, and the loop
-- over a request's events. All of it compiles: no closure, table or string is
-- made on the way of an event that is accepted and edited with numbers.

local ffi = require "ffi"
local bit = require "bit"
local bytecode = require "sluice.bytecode"

local context = require "sluice.context"
local handles = require "sluice.handles"
local library = require "sluice.library"
local plain = require "sluice.plain"
local moved = require "sluice.moved"
local raised = require "sluice.raised"

local M = {}

local C = ffi.C
local cast, text_of = ffi.cast, ffi.string
local band, rshift = bit.band, bit.rshift
-- Lua's own, not those of policies.
local type, error, tostring = type, error, plain.tostring
local gsub, sub, MESSAGE_MAX = string.gsub, string.sub, 1000

-- Values of enum slot_kind.
local NULL, FALSE, TRUE, NUMBER, STRING = 1, 2, 3, 4, 5
local ESCAPED = 6

local ctx = context.ctx             -- struct sluice_context *
local event_ptr = context.event_ptr -- ctype struct event *
local view_ptr = context.view_ptr   -- ctype struct sluice_event *
local found = context.scratch()     -- struct sluice_value
local request         -- what hooks hold as req: nothing but a type
local slots = {}      -- of the route in hand: key -> slot
local enums = {}      -- slot -> its strings by index from 0
local times = {}      -- slot -> true
local deciding        -- the hook of the events in hand
local null            -- host's: a JSON null
local relieve         -- host's: collects garbage, once a request

local REJECT, DROP, TO, NOTHING = 1, 2, 3, 0

-- The words of the last reject, drop or to; the hook hands the verdict back, which has
-- nothing in it.
local said = { kind = NOTHING, code = "", message = "", status = 0, n = 0,
  wait_ms = 0 }
local verdict = plain.lock(setmetatable({}, {
  __newindex = function() error("what reject, drop and to return can't be set", 2) end,
  __metatable = false,
}))

local function gone()
  error("event used after its request", 3)
end

-- Whether Lua's number may be less than its n digits say.
local function is_long(v, n)
  return n > 15 or (n > 4 and (v > 1e300 or v < -1e300 or
    (v < 1e-300 and v > -1e-300)))
end

local function value_of(v, path)
  local kind = v.kind
  if kind == STRING or kind == ESCAPED then
    return text_of(v.text, v.len)
  elseif kind == NUMBER then
    if is_long(v.num, v.len) then moved.number(v.num, text_of(v.text, v.len)) end
    return v.num
  elseif kind == TRUE then
    return true
  elseif kind == FALSE then
    return false
  elseif kind <= NULL then
    return nil
  end
  return moved.table(text_of(v.text, v.len), path)
end

local function slow(ev, key)
  local rc = C.sluice_find(ctx, ev, key, #key, found)
  if rc == 0 then return nil end
  if rc < 0 then plain.over() end
  return value_of(found, key)
end

-- A time below an object of which another part was set: milliseconds, as before, unless
-- the hook has set that text itself.
local function time_of(ev, slot, v)
  local s = cast(event_ptr, ev).slots[slot]
  if band(s.tag, 15) == STRING and v == text_of(ctx.body + s.off, rshift(s.tag, 4)) then
    return s.num
  end
  return v
end

local function read(ev, key)
  local e = cast(event_ptr, ev)
  if e.epoch ~= ctx.epoch then gone() end
  local slot = slots[key]
  if slot == nil or
      (e.n_edits ~= 0 and C.sluice_edited(ctx, ev, key, #key) ~= 0) then
    if type(key) ~= "string" then return nil end
    local v = slow(ev, key)
    if slot ~= nil and times[slot] and type(v) == "string" then
      return time_of(ev, slot, v)
    end
    return v
  end
  local s = e.slots[slot]
  local kind = band(s.tag, 15)
  if kind <= NULL then return nil end
  local values = enums[slot]
  if values ~= nil then return values[s.num] end
  if times[slot] then return s.num end
  if kind == NUMBER then
    if is_long(s.num, rshift(s.tag, 4)) then
      moved.number(s.num, text_of(ctx.body + s.off, rshift(s.tag, 4)))
    end
    return s.num
  end
  if kind == STRING then
    local n = rshift(s.tag, 4)
    plain.spend(n)
    return text_of(ctx.body + s.off, n)
  end
  if kind == TRUE then return true end
  if kind == FALSE then return false end
  if kind == ESCAPED then
    C.sluice_text(ctx, ev, slot, found)
    return text_of(found.text, found.len)
  end
  return moved.table(text_of(ctx.body + s.off, rshift(s.tag, 4)), key)
end

local reasons = {
  "more than 32 keys of an event set",
  "the text is not UTF-8",
  "the number is not finite",
  "the path is longer than 1024 bytes",
  "it is not a path such as \"user.ip\" or \"items[1].id\"; a dot, bracket or backslash "
    .. "that belongs to a key has a backslash before it",
  "a value on that path is not an object, or an array without that place",
  "the request's memory is full",
  "the hook ran too long and was stopped",
}

local function failed(rc, key)
  error(("can't set %s: %s"):format(tostring(key), reasons[rc]), 3)
end

local function write(ev, key, v)
  if cast(event_ptr, ev).epoch ~= ctx.epoch then gone() end
  if type(key) ~= "string" then
    error(("an event's key is a text, not a %s"):format(type(key)), 2)
  end
  local kind, rc = type(v), 0
  local json
  if kind == "number" then
    if ctx.n_kept ~= 0 then json = moved.digits(v) end
    if json == nil then rc = C.sluice_set_number(ctx, ev, key, #key, v) end
  elseif kind == "string" then
    rc = C.sluice_set_text(ctx, ev, key, #key, v, #v)
  elseif kind == "boolean" then
    json = v and "true" or "false"
  elseif kind == "nil" then
    rc = C.sluice_remove(ctx, ev, key, #key)
  elseif kind == "table" then
    json = moved.text(v)
  elseif v == null then
    json = "null"
  else
    error(("can't set %s to a %s"):format(tostring(key), kind), 2)
  end
  if json ~= nil then rc = C.sluice_set_json(ctx, ev, key, #key, json, #json) end
  if rc ~= 0 then failed(rc, key) end
end

local parts = { method = 0, path = 1, query = 2, peer = 3 }

local function named(part, name)
  if ctx.epoch == 0 then error("request used after its end", 3) end
  if type(name) ~= "string" then return nil end
  if C.sluice_request_named(ctx, part, name, #name, found) == 0 then
    return nil
  end
  return text_of(found.text, found.len)
end

-- Read-only tables of the request: their name, and how a key is looked up in it.
local function view(what, read_key)
  return plain.lock(setmetatable({}, {
    __index = read_key,
    __newindex = function() error("a request's " .. what .. " can't be set", 2) end,
    __metatable = false,
  }))
end

local basic_parts = { user = 3, password = 4 }
local tls_parts = { version = 5, cipher = 5, host = 5, subject = 5, fingerprint = 5, ca = 5 }

-- SLOT_…, or 0; 9: the policy does not name the claim.
local function claim(_, name)
  if ctx.epoch == 0 then error("request used after its end", 2) end
  if type(name) ~= "string" then return nil end
  local kind = C.sluice_request_claim(ctx, name, #name, found)
  if kind == 5 then return text_of(found.text, found.len) end
  if kind == 4 then return found.num end
  if kind == 3 then return true end
  if kind == 2 then return false end
  if kind == 9 then
    error(("jwt { } has no claim \"%s\": add it to claims"):format(name), 2)
  end
  return nil
end

local views = {
  params = view("params", function(_, name) return named(0, name) end),
  query_args = view("query_args", function(_, name) return named(1, name) end),
  headers = view("headers", function(_, name) return named(2, name) end),
  jwt = view("jwt", claim),
  basic = view("basic", function(_, name)
    if not basic_parts[name] then
      error(("basic has user and password, no \"%s\""):format(tostring(name)), 2)
    end
    return named(basic_parts[name], "")
  end),
  tls = view("tls", function(_, name)
    if not tls_parts[name] then
      error(("tls has version, cipher, host, subject, fingerprint and ca, no \"%s\"")
        :format(tostring(name)), 2)
    end
    return named(tls_parts[name], name)
  end),
}

local function request_read(_, key)
  if ctx.epoch == 0 then error("request used after its end", 2) end
  if key == "time_ms" then return ctx.time_ms end
  local part = parts[key]
  if part ~= nil then
    C.sluice_request_part(ctx, part, found)
    return text_of(found.text, found.len)
  end
  if key == "key" then return handles.request_key() end
  local table_of = views[key]
  if table_of ~= nil then return table_of end
  error(("a request has no \"%s\""):format(tostring(key)), 2)
end

-- ---- results of hooks ------------------------------------------------------

-- Codes that were found good: patterns do not compile.
local codes, n_codes = {}, 0

local function check_code(code)
  if type(code) ~= "string" or not code:find("^[%w_%-]+$") or #code > 63 then
    error(raised.no_code(code), 3)
  end
  if n_codes < 1000 then
    codes[code], n_codes = true, n_codes + 1
  end
end

function M.reject(code, message, status)
  if not codes[code] then check_code(code) end
  said.kind, said.code = REJECT, code
  said.message = message == nil and "" or tostring(message)
  if status ~= nil and (type(status) ~= "number" or status < 400 or
      status > 499 or status % 1 ~= 0) then
    error("reject: expected a status from 400 to 499", 2)
  end
  said.status, said.wait_ms = status or 422, 0
  return verdict
end

-- A refusal that a limit makes: the same may pass after wait_ms.
local function limited(message, wait_ms)
  said.kind, said.code, said.message = REJECT, "rate_limited", message
  said.status, said.wait_ms = 429, wait_ms
  return verdict
end

---pairs, next and ipairs, with words for values that they can't go over.
function M.iterator(word, f)
  return function(t, ...)
    if type(t) == "cdata" then
      error(word .. ": an event or a request is no table; get(ev, path) gives one", 2)
    elseif handles.lookup_word(t) then
      error(("%s: a %s gives one value or row by its key"):format(word,
        handles.lookup_word(t)), 2)
    end
    return f(t, ...)
  end
end

function M.drop()
  said.kind = DROP
  return verdict
end

local function to_more(...)
  local n = select("#", ...)
  said.n = 1 + n
  for i = 1, n do said[1 + i] = (select(i, ...)) end
end

function M.to(stream, ...)
  if stream == nil then error("to: expected the name of a stream", 2) end
  said.kind, said.n, said[1] = TO, 1, stream
  if ... ~= nil then to_more(...) end
  return verdict
end

local function send(ev, name)
  if type(name) ~= "string" or C.sluice_to(ctx, ev, name, #name) == 0 then
    error(("to: there is no stream %s"):format(tostring(name)), 0)
  end
end

-- In a function of its own: a loop inside the batch's would keep that from
-- compiling.
local function route_more(ev)
  for i = 2, said.n do send(ev, said[i]) end
end

local function act(ev, r, more)
  if r == nil then
    error(("on_event returned nil and a %s, which means nothing: write return "
      .. "reject(\"code\", \"message\")"):format(type(more)), 0)
  end
  if r ~= verdict then
    error(("on_event returned a %s; expected nothing, reject(), drop() or to()")
      :format(type(r)), 0)
  end
  if said.kind == REJECT then
    if said.status ~= 422 and said.wait_ms == 0 then
      error("reject: a status is on_request's to give; the route's answer says "
        .. "the one of refused events", 0)
    end
    C.sluice_reject(ctx, ev, said.code, #said.code, said.message, #said.message)
    if said.wait_ms > 0 then C.sluice_limited(ctx, ev, said.wait_ms) end
  elseif said.kind == DROP then
    C.sluice_drop(ctx, ev)
  else
    send(ev, said[1])
    if said.n > 1 then route_more(ev) end
  end
end

-- ev:has("x") reads the client's field "has": helpers are words.
local function hint(method)
  if not library.call[method] then return nil end
  return ("attempt to call method '%s' (a nil value): write %s(ev, …), for every "
    .. "name behind ev is the client's"):format(method, method)
end

local function fail(i, message)
  moved.forget()
  plain.begin()
  local starved = message == "not enough memory"
  if starved and C.sluice_starved(ctx) == 0 then
    starved, message = false, "the hook ran too long and was stopped"
  end
  local text = gsub(sub(raised.words(message, deciding), 1, MESSAGE_MAX), "policy:", "")
  text = gsub(text, "attempt to call method '([%w_]+)' %(a nil value%)", hint)
  -- The garbage of this event must not fail the next one as well. If it stays, those
  -- behind it fail at once.
  local room = not starved or relieve()
  -- The next one's time begins here.
  C.sluice_failed(ctx, cast(view_ptr, ctx.events + i), text, #text)
  if not room then error(message, 0) end
end

-- ---- the loop ---------------------------------------------------------------

-- Compiled again for each hook and size, so that each has traces of its own: a loop
-- that mostly ends after a turn or two is given up for good after some tries. A pointer
-- that lives across the loop's start would be boxed, once a request: that is why
-- ctx.events is read again for each event, and req made once for all. What stands right
-- behind a pcall is never a trace by itself, and given up alike: step takes that place,
-- so that the policy's own functions do not.
local step_text = [[
local ctx, req, act, settle, hook, cast, view_ptr = ...
return function(i)
  local ev = cast(view_ptr, ctx.events + i)[0]
  local r, more = hook(ev, req)
  if ctx.n_kept ~= 0 then settle() end
  if r ~= nil or more ~= nil then act(ev, r, more) end
end
]]

local loop_text = [[
local ctx, fail, pcall, step = ...
return function()
  for i = ctx.from, ctx.n - 1 do
    if ctx.events[i].fate == 0 then
      ctx.at = i
      local ok, why = pcall(step, i)
      if not ok then fail(i, why) end
    end
  end
end
]]

local FEW = 8 -- events

local function loop_of(hook)
  local step = assert(loadstring(step_text, "=sluice.step"))(ctx, request,
    act, moved.settle, hook, cast, view_ptr)
  return assert(loadstring(loop_text, "=sluice.loop"))(ctx, fail, pcall, step)
end

---@param route table the loader's description of it
---@return table runner what M.run takes
function M.runner(route)
  local run = { slots = {}, enums = {}, times = {}, hook = route.on_event,
    request = route.on_request, location = route.on_location }
  for i, f in ipairs(route.fields) do
    local slot = i - 1
    run.slots[f.path] = slot
    if f.type == "enum" then
      local byindex = {}
      for k, v in ipairs(f.values) do byindex[k - 1] = v end
      run.enums[slot] = byindex
    elseif f.type == "time" then
      run.times[slot] = true
    end
  end
  if run.hook then
    run.one, run.few, run.many = loop_of(run.hook), loop_of(run.hook),
      loop_of(run.hook)
  end
  return run
end

local function use(run)
  slots, enums, times, deciding = run.slots, run.enums, run.times, run.hook
end

function M.on_events(run)
  use(run)
  if ctx.n == 1 then
    run.one()
  elseif ctx.n < FEW then
    run.few()
  else
    run.many()
  end
end

function M.on_request(run)
  use(run)
  plain.begin()
  local ok, r = pcall(run.request, request)
  if not ok then error(raised.words(r, run.request), 0) end
  if r == nil then return end
  if r ~= verdict or said.kind ~= REJECT then
    error("on_request: expected nothing or reject()", 0)
  end
  ctx.wait_ms = said.wait_ms
  C.sluice_refuse(ctx, said.status, said.code, #said.code, said.message, #said.message)
end

-- A url for the one event of the request. What it sets in the event is forgotten.
function M.on_location(run)
  use(run)
  plain.begin()
  local ok, url = pcall(run.location, cast(view_ptr, ctx.events)[0], request)
  moved.forget()
  if not ok then error(raised.words(url, run.location), 0) end
  if url == nil then return end
  if type(url) ~= "string" then
    error(("answer.location returned a %s; expected a url, or nothing"):format(type(url)), 0)
  end
  C.sluice_location(ctx, url, #url)
end

local function no_pairs()
  error("an event can't be iterated; get(ev, path) gives a table", 2)
end

---@param host table decode, encode
function M.start(host)
  null, relieve = host.null, host.relieve
  moved.start(host)
  ffi.metatype("struct sluice_event", { __index = read, __newindex = write,
    __tostring = function() return "event" end,
    __pairs = no_pairs, __ipairs = no_pairs })
  request = ffi.metatype("struct sluice_request", { __index = request_read,
    __newindex = function() error("a request can't be changed", 2) end,
    __tostring = function() return "request" end })()
  handles.start(limited)
  library.start { value_of = value_of, gone = gone, array = host.array,
    null = host.null }
end

M.study = require("sluice.calls").study
M.endless, M.compile = bytecode.endless, bytecode.compile

return M
