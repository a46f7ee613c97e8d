-- testing: a policy without a server, for specs that busted runs under LuaJIT.
-- Decoding, checks, hooks and answers are the server's own, from libsluice.so.
--
--   local testing = require "sluice.testing"
--   local p = assert(testing.load "conf/quickstart.lua")
--   local r = p:post("/v1/events", { event_id = "e1", ... })
--   assert.equal(202, r.status)

if not rawget(_G, "jit") then
  error("sluice.testing needs LuaJIT: run \"sluice test\", or busted with "
    .. "--lua=luajit")
end

local ffi = require "ffi"

local M = {}

-- ---- the library ------------------------------------------------------------

local function exists(path)
  local f = io.open(path, "rb")
  if f then f:close() end
  return f ~= nil
end

-- $SLUICE_KIT, or where it lies beside this file in a source tree and when it is
-- installed.
local function find()
  local given = os.getenv("SLUICE_KIT")
  if given then return given end
  local here = debug.getinfo(1, "S").source:match("^@(.*)/[^/]*$") or "."
  local build = os.getenv("SLUICE_BUILD") or "build"
  for _, path in ipairs {
    build .. "/libsluice.so", here .. "/../../" .. build .. "/libsluice.so",
    here .. "/libsluice.so", here .. "/../../../../lib/sluice/libsluice.so",
  } do
    if exists(path) then return path end
  end
  return "sluice"
end

ffi.cdef [[
  uint32_t sluice_kit_version(void);
  const char *sluice_kit_declarations(void);
]]

local VERSION = 3
local path = find()
-- Global, because the policy's own state calls the library's functions as well.
local ok, C = pcall(ffi.load, path, true)
if not ok then
  error("sluice.testing: can't load libsluice.so (" .. tostring(C)
    .. "); run \"sluice test\", or say SLUICE_KIT=/path/of/libsluice.so")
end
if C.sluice_kit_version() ~= VERSION then
  error(("sluice.testing: %s has version %d of the interface, this file "
    .. "expects %d"):format(path, C.sluice_kit_version(), VERSION))
end
ffi.cdef((ffi.string(C.sluice_kit_declarations())
  :gsub("uint32_t sluice_kit_version[^;]*;", "")
  :gsub("const char %*sluice_kit_declarations[^;]*;", "")))

local json = assert(package.loadlib(path, "sluice_kit_json"))()

---A JSON null: `{ user_id = testing.null }`.
M.null = json.null

---JSON text of a value; keys are sorted, so that equal tables give equal text.
---@param value any
---@return string
function M.encode(value) return json.encode(value) end

---@param text string JSON
---@return any value nil when text is not JSON
---@return string? why
function M.decode(text) return json.decode(text) end

-- ---- memory that C reads ------------------------------------------------------------

-- The memory that C has pointers to, so that the collector leaves it until the call is
-- done.
local kept

local function give(to, text)
  to.p, to.n = text, #text
end

local function sorted(t)
  local keys = {}
  for k in pairs(t) do keys[#keys + 1] = k end
  table.sort(keys)
  return keys
end

-- An array of sluice_kit_pair, and its length.
local function pairs_of(list)
  local array = ffi.new("struct sluice_kit_pair[?]", math.max(#list, 1))
  for i, pair in ipairs(list) do
    give(array[i - 1].name, pair[1])
    give(array[i - 1].value, pair[2])
  end
  return array, #list
end

local function text_of(t) return ffi.string(t.p, t.n) end

local function maybe(z) return z ~= nil and ffi.string(z) or nil end

---@param time string|number RFC 3339 text, or milliseconds since 1970
---@return number milliseconds
local function clock(time)
  if type(time) == "number" then return time end
  local text = ffi.new("struct sluice_kit_text", time, #time)
  local ms = ffi.new("double[1]")
  if C.sluice_kit_moment(text, ms) == 0 then
    error(("\"%s\" is no time such as \"2025-11-23T12:13:20Z\""):format(time),
      3)
  end
  return ms[0]
end

-- ---- a policy -----------------------------------------------------------------

---@class sluice.testing.Event the fate of one event of a request
---@field fate "accepted"|"rejected"|"dropped"|"dead"
---@field code string? why it was refused
---@field field string? the field that is wrong
---@field message string? the same for a human
---@field retry boolean the same event may pass later
---@field streams string[] where it is stored
---@field line string? the exact line that is stored

---@class sluice.testing.Result
---@field status integer
---@field headers table<string, string> those that the answer adds, in lower case
---@field body string the JSON that the client gets
---@field json any the same, decoded; nil: it is no JSON
---@field accepted integer
---@field rejected integer
---@field dropped integer
---@field dead integer
---@field code string? of the first refusal
---@field field string? of the first refusal
---@field message string? of the first refusal
---@field events sluice.testing.Event[] in the client's order
---@field streams string[] those that get something, sorted
---@field stored table<string, string[]> the exact lines by stream
---@field refusals string[] the records that on_refused keeps, rates and room aside

---@class sluice.testing.Policy
---@field plan table the policy's settings: server, routes, streams, sinks
---@field routes table[]
---@field streams table<string, table>
---@field sinks table<string, table> with the functions that decide for them
---@field notes string the notes of `sluice check` on it
local Policy = {}
Policy.__index = Policy

local fates = { [0] = "accepted", "rejected", "dropped", "dead" }

local function headers_of(text)
  local t = {}
  for name, value in text:gmatch("([^:\r\n]+):%s*([^\r\n]*)") do
    t[name:lower()] = value
  end
  return t
end

local function result_of(a)
  local r = { status = a.status, headers = headers_of(text_of(a.headers)),
    body = text_of(a.body), accepted = a.accepted, rejected = a.rejected,
    dropped = a.dropped, dead = a.dead, code = maybe(a.code),
    field = maybe(a.field), message = maybe(a.message), events = {},
    stored = {}, refusals = {} }
  for i = 0, a.n_events - 1 do
    local e = a.events[i]
    r.events[i + 1] = { fate = fates[e.fate], code = maybe(e.code),
      field = maybe(e.field), message = maybe(e.message),
      retry = e.retry ~= 0, streams = {} }
  end
  for i = 0, a.n_lines - 1 do
    local l = a.lines[i]
    local stream, line = ffi.string(l.stream), text_of(l.text)
    local e = r.events[l.event + 1]
    e.line = line
    e.streams[#e.streams + 1] = stream
    r.stored[stream] = r.stored[stream] or {}
    table.insert(r.stored[stream], line)
  end
  for i = 0, a.n_refusals - 1 do r.refusals[i + 1] = text_of(a.refusals[i]) end
  r.streams = sorted(r.stored)
  r.json = M.decode(r.body)
  return r
end

local function escape(text)
  return (tostring(text):gsub("[^%w%-%._~]", function(c)
    return ("%%%02X"):format(c:byte())
  end))
end

local function query_of(query)
  if type(query) ~= "table" then return query or "" end
  local list = {}
  for _, k in ipairs(sorted(query)) do
    list[#list + 1] = escape(k) .. "=" .. escape(query[k])
  end
  return table.concat(list, "&")
end

-- As a client would send them; the test's own values win.
local function header_list(given, content_type, body)
  local t, names = {}, {}
  for name, value in pairs(given or {}) do
    t[name:lower()], names[name:lower()] = tostring(value), name
  end
  local usual = { host = "localhost", ["content-length"] = tostring(#body),
    ["content-type"] = content_type or "application/json" }
  for name, value in pairs(usual) do t[name] = t[name] or value end
  local list = {}
  for _, name in ipairs(sorted(t)) do
    list[#list + 1] = { names[name] or name, t[name] }
  end
  return list, t["content-type"]
end

---Decides a request; nothing is stored or sent anywhere.
---@param method string
---@param target string the path, maybe with a query
---@param body string|table the text as sent, or a value that is encoded
---@param o? { headers: table?, query: string|table?, peer: string?, tls: table?,
---  time: string|number?, content_type: string? }
---@return sluice.testing.Result
function Policy:request(method, target, body, o)
  o = o or {}
  body = type(body) == "table" and M.encode(body) or body or ""
  local list, content_type = header_list(o.headers, o.content_type, body)
  local plain, query = target:match("^([^?]*)%??(.*)$")
  query = o.query and query_of(o.query) or query
  local peer = o.peer or "127.0.0.1"
  kept = { method, plain, query, peer, content_type, body, list }
  local req = ffi.new("struct sluice_kit_request")
  give(req.method, method)
  give(req.path, plain)
  give(req.query, query)
  give(req.peer, peer)
  for _, name in ipairs { "version", "cipher", "host", "subject", "fingerprint",
    "ca" } do
    local v = o.tls and (o.tls[name] or name == "version" and "TLSv1.3")
    if v then
      kept[#kept + 1] = v
      give(req["tls_" .. name], v)
    end
  end
  req.tls_expires_s = o.tls and o.tls.expires and clock(o.tls.expires) / 1000 or 0
  give(req.content_type, content_type)
  give(req.body, body)
  local array, n = pairs_of(list)
  kept[#kept + 1] = array
  req.headers, req.n_headers = array, n
  req.time_ms = o.time and clock(o.time) or self.time_ms
  local answer = ffi.new("struct sluice_kit_answer")
  C.sluice_kit_ask(self.kit, req, answer)
  kept = nil
  return result_of(answer)
end

---@return sluice.testing.Result
function Policy:post(target, body, o)
  return self:request("POST", target, body, o)
end

---A request without a body: `p:get "/postback?click_id=c1"`.
---@return sluice.testing.Result
function Policy:get(target, o)
  return self:request("GET", target, nil, o)
end

---The value of a counter or gauge of the policy.
---@param name string
---@param labels? string[] their values, in order
---@return number
function Policy:metric(name, labels)
  labels = labels or {}
  kept = labels
  local array = ffi.new("struct sluice_kit_text[?]", math.max(#labels, 1))
  for i, text in ipairs(labels) do give(array[i - 1], text) end
  local value = ffi.new("double[1]")
  local found = C.sluice_kit_metric(self.kit, name, array, #labels, value)
  kept = nil
  if found == 0 then
    error(("the policy has no metric \"%s\" with %d labels"):format(name,
      #labels), 2)
  end
  return value[0]
end

-- Numbers of struct sink_load, in its order.
local load_fields = { "events", "bytes", "age_ms", "backlog_bytes", "rate",
  "latency_ms", "errors", "target" }
local count_fields = { "requests", "successes", "failures",
  "consecutive_successes", "consecutive_failures", "slow" }

local function numbers(given, fields, what)
  local known = {}
  for i, name in ipairs(fields) do known[name] = i end
  for name in pairs(given) do
    if not known[name] then
      error(("%s has no \"%s\"; it has %s"):format(what, tostring(name),
        table.concat(fields, " ")), 3)
    end
  end
  local list = {}
  for i, name in ipairs(fields) do list[i] = given[name] or 0 end
  return list
end

local function add_functions(self, sink, index)
  if sink.breaker then
    -- Without a function of the policy's: the server's own rule.
    sink.breaker.ready_to_trip = function(counts)
      local n = numbers(counts, count_fields, "ready_to_trip")
      return C.sluice_kit_trip(self.kit, index, n[1], n[2], n[3], n[4], n[5],
        n[6]) == 1
    end
  end
  if sink.kind == "kafka" then
    -- The message that an event becomes, a table or a line as stored.
    sink.message = function(event)
      local line = type(event) == "table" and M.encode(event) or event
      assert(M.decode(line))
      local t = ffi.new("struct sluice_kit_text[3]")
      kept = line
      give(t[0], line)
      C.sluice_kit_message(self.kit, index, t[0], t + 1, t + 2)
      kept = nil
      return { topic = text_of(t[1]),
        key = t[2].p ~= nil and text_of(t[2]) or nil }
    end
  end
  -- The batch's target from then on, within min and max.
  sink.batch.adapt = function(stats)
    local n = numbers(stats, load_fields, "adapt")
    if not stats.target then n[8] = sink.batch.target end
    return C.sluice_kit_adapt(self.kit, index, ffi.new("double[8]", n), 8)
  end
end

local function by_name(list)
  local t = {}
  for _, x in ipairs(list) do t[x.name] = x end
  return t
end

-- A relative path is looked for beside the spec, then in the working directory.
local function beside(name)
  local spec = debug.getinfo(3, "S").source:match("^@(.*/)[^/]*$")
  local path_there = spec and spec .. name
  if name:sub(1, 1) ~= "/" and path_there and exists(path_there) then
    return path_there
  end
  return name
end

---Loads a policy: `testing.load(path, options)` or `testing.load(name, text,
---options)`. Its examples are run, as at every load. The environment is what the
---options say, and nothing else.
---@param name string the file; with a text: its name in messages
---@param text? string|table
---@param o? { env: table<string, string>?, secrets: table<string, string>?,
---  time: string|number?, seed: integer? }
---  time: the clock of requests that name none (default 2025-01-01T00:00:00Z);
---  seed: of sample() and uuid7() (default 1; 0: another one each time)
---@return sluice.testing.Policy? policy
---@return string? problems all of them, as `sluice check` shows them
function M.load(name, text, o)
  if type(text) == "table" then text, o = nil, text end
  o = o or {}
  local env = {}
  for _, k in ipairs(sorted(o.env or {})) do env[#env + 1] = { k, o.env[k] } end
  for _, k in ipairs(sorted(o.secrets or {})) do
    env[#env + 1] = { "secret:" .. k, o.secrets[k] }
  end
  -- A policy's state is large, which the collector does not see.
  collectgarbage()
  kept = { env, text }
  local array, n = pairs_of(env)
  local source = ffi.new("struct sluice_kit_text")
  if text then give(source, text) end
  local kit = ffi.gc(C.sluice_kit_load(text and name or beside(name), source,
    array, n, o.seed or 1), C.sluice_kit_free)
  local report = ffi.string(C.sluice_kit_report(kit))
  if C.sluice_kit_ok(kit) == 0 then return nil, report end
  local self = setmetatable({ kit = kit, notes = report }, Policy)
  self.time_ms = clock(o.time or "2025-01-01T00:00:00Z")
  self.plan = M.decode(ffi.string(C.sluice_kit_plan(kit)))
  self.routes = self.plan.routes
  self.streams, self.sinks = by_name(self.plan.streams), by_name(self.plan.sinks)
  for i, sink in ipairs(self.plan.sinks) do add_functions(self, sink, i - 1) end
  return self
end

-- ---- signatures -------------------------------------------------------------------

local digests

---What the helpers of hooks give for these texts, so that a spec can sign a request:
---`testing.hmac(key, text)`, `testing.sha256(text)`.
local function digest(event)
  digests = digests or assert(M.load("digests.lua", [[
null "none" {}
stream "s" { sinks = { "none" } }
route "POST /" { body = "event", stream = "s", on_event = function(ev)
  ev.out = ev.key and hmac(ev.key, ev.text) or sha256(ev.text)
end }]]))
  local line = digests:post("/", event).events[1].line
  return M.decode(assert(line, "texts of UTF-8 are expected")).out
end

---@param key string
---@param text string
---@return string hex 64 digits
function M.hmac(key, text) return digest { key = key, text = text } end

---@param text string
---@return string hex 64 digits
function M.sha256(text) return digest { text = text } end

return M
