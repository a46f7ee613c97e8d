-- library: the helpers that a policy's hooks may call, each described in M.words,
-- from which the type annotations and the reference come. They compile: what
-- loops or would need a table is done in C (src/policy/library/library.h).
--
-- A helper of a missing field is harmless: nil in, nil out; so is one of a text that is
-- malformed or too long. A value that is not a text raises, as in plain Lua: a schema
-- says which fields are texts.

local ffi = require "ffi"
local context = require "sluice.context"
local plain = require "sluice.plain"

local M = {}

local C = ffi.C
local text_of = ffi.string
local type, error, tostring = type, error, plain.tostring
local spend = plain.spend

local ctx = context.ctx -- struct sluice_context *
local event_type, event_ptr = context.event_type, context.event_ptr
local found = context.scratch() -- struct sluice_value
local value_of        -- hooks': what found holds, as a Lua value
local mark_array      -- host's: a table that is [] when it is empty
local null            -- host's: a JSON null
local gone            -- hooks': raises for an event of a request that is over

local TEXT_MAX = 65536

-- Called in place of its caller (return no_text()): level 2 is the policy.
local function no_text(word, v)
  if v == null then return nil end
  error(("%s: expected a text, got %s"):format(word, type(v)), 2)
end

local function given()
  return text_of(found.text, found.len)
end

-- ---- events --------------------------------------------------------------

local function find(ev, path)
  -- A number would be cast to an address.
  if not ffi.istype(event_type, ev) then
    error("expected an event, got " .. type(ev), 3)
  end
  if ffi.cast(event_ptr, ev).epoch ~= ctx.epoch then gone() end
  local rc = C.sluice_get(ctx, ev, path, #path, found)
  if rc == -2 then plain.over() end
  if rc < 0 then
    error(("\"%s\" is not a path such as \"items[1].id\""):format(path), 3)
  end
  return rc == 1
end

local function get(ev, path)
  if not find(ev, path) then return nil end
  return value_of(found, path)
end

local function has(ev, path)
  return find(ev, path)
end

local function nothing() end

local function array(t)
  if t == nil then t = {} end
  if type(t) ~= "table" then
    error("array: expected a table, got " .. type(t), 2)
  end
  return mark_array(t)
end

local function items(ev, path)
  local list = get(ev, path)
  if type(list) ~= "table" then return nothing end
  return ipairs(list)
end

-- ---- texts -----------------------------------------------------------------

local function trim(s)
  if s == nil then return nil end
  if type(s) ~= "string" then return no_text("trim", s) end
  spend(#s)
  C.sluice_trim(s, #s, found)
  if found.len == #s then return s end
  return given()
end

local function lower(s)
  if s == nil then return nil end
  if type(s) ~= "string" then return no_text("lower", s) end
  return s:lower()
end

local function upper(s)
  if s == nil then return nil end
  if type(s) ~= "string" then return no_text("upper", s) end
  return s:upper()
end

local function starts_with(s, with)
  if s == nil then return false end
  if type(s) ~= "string" then return no_text("starts_with", s) end
  spend(#with)
  return C.sluice_starts(s, #s, with, #with) == 1
end

local function ends_with(s, with)
  if s == nil then return false end
  if type(s) ~= "string" then return no_text("ends_with", s) end
  spend(#with)
  return C.sluice_ends(s, #s, with, #with) == 1
end

local function contains(s, what)
  if s == nil then return false end
  if type(s) ~= "string" then return no_text("contains", s) end
  return plain.index(s, what, 0) >= 0
end

local function part(s, separator, n)
  if s == nil then return nil end
  if type(s) ~= "string" then return no_text("part", s) end
  spend(#s)
  if C.sluice_part(s, #s, separator, #separator, n, found) == 0 then
    return nil
  end
  return given()
end

local function split(s, separator)
  local list = {}
  if s == nil or s == null then return list end
  if type(s) ~= "string" then return no_text("split", s) end
  local from = 0
  if separator == "" then return list end
  for i = 1, 1000 do
    local at = plain.index(s, separator, from)
    list[i] = s:sub(from + 1, at < 0 and -1 or at)
    if at < 0 then break end
    from = at + #separator
  end
  return list
end

-- The common part of helpers with scratch memory.
local function scratch(rc)
  if rc == 1 then return given() end
  return nil
end

local function url_decode(s)
  if s == nil then return nil end
  if type(s) ~= "string" then return no_text("url_decode", s) end
  spend(#s)
  return scratch(C.sluice_url_decode(ctx, s, #s, found))
end

local function param(query, name)
  if query == nil then return nil end
  if type(query) ~= "string" then return no_text("param", query) end
  spend(#query)
  return scratch(C.sluice_param(ctx, query, #query, name, #name, found))
end

local function mask(s, keep)
  if s == nil then return nil end
  if type(s) ~= "string" then return no_text("mask", s) end
  spend(#s)
  return scratch(C.sluice_mask(ctx, s, #s, keep or 0, found))
end

local function mask_ip(s)
  if s == nil then return nil end
  if type(s) ~= "string" then return no_text("mask_ip", s) end
  return scratch(C.sluice_mask_ip(ctx, s, #s, found))
end

local function base64_decode(s)
  if s == nil then return nil end
  if type(s) ~= "string" then return no_text("base64_decode", s) end
  spend(#s)
  return scratch(C.sluice_base64_decode(ctx, s, #s, found))
end

local function base64_encode(s)
  if s == nil then return nil end
  if type(s) ~= "string" then return no_text("base64_encode", s) end
  spend(#s)
  return scratch(C.sluice_base64_encode(ctx, s, #s, found))
end

-- ---- digests, identities, chance ---------------------------------------------

local function sha256(s)
  if s == nil then return nil end
  if type(s) ~= "string" then return no_text("sha256", s) end
  spend(2 * #s)
  if C.sluice_sha256(ctx, s, #s, found) == 0 then
    error("sha256: the digest failed", 2)
  end
  return given()
end

local function hmac(key, s)
  if s == nil then
    if type(key) == "table" and M.sign then return M.sign(key) end -- hmac { } of auth
    return nil
  end
  if type(key) ~= "string" then return no_text("hmac", key) end
  if type(s) ~= "string" then return no_text("hmac", s) end
  spend(2 * #s)
  if C.sluice_hmac(ctx, key, #key, s, #s, found) == 0 then
    error("hmac: the digest failed", 2)
  end
  return given()
end

local function equal(a, b)
  if a == nil or b == nil then return false end
  if type(a) ~= "string" then return no_text("equal", a) end
  if type(b) ~= "string" then return no_text("equal", b) end
  spend(#a)
  return C.sluice_equal(a, #a, b, #b) == 1
end

local function hash(s)
  if s == nil then return nil end
  if type(s) == "number" then s = tostring(s) end
  if type(s) ~= "string" then return no_text("hash", s) end
  spend(#s)
  return C.sluice_hash(s, #s)
end

local function uuid7()
  C.sluice_uuid7(ctx, found)
  return given()
end

local function sample(rate, key)
  if type(rate) ~= "number" then
    error("sample: expected a share such as 0.1, got " .. type(rate), 2)
  end
  if key == nil then return C.sluice_random(ctx) < rate end
  return hash(key) < rate * 9007199254740992
end

-- ---- time ----------------------------------------------------------------------

local function iso8601(ms)
  if ms == nil then return nil end
  if type(ms) ~= "number" then
    error("iso8601: expected milliseconds, got " .. type(ms), 2)
  end
  if C.sluice_iso8601(ctx, ms, found) == 0 then return nil end
  return given()
end

local function parse_time(s)
  if s == nil then return nil end
  if type(s) ~= "string" then return no_text("parse_time", s) end
  if C.sluice_parse_time(s, #s, found) == 0 then return nil end
  return found.num
end

-- ---- the table -------------------------------------------------------------------

---One entry a helper, in the order of the reference. params: { name, type, help? };
---one of a type that ends in ? may be nil; loose: the kinds that do besides, unintended.
---least: the fewest arguments; default: all.
---@class sluice.helper
---@field name string
---@field group string
---@field params string[][]
---@field least integer?
---@field returns string
---@field help string
---@field call function
M.words = {
  { name = "get", group = "events", call = get,
    params = { { "ev", "event" }, { "path", "path" } }, returns = "any",
    help = "Value at a path of the event, for example \"items[1].id\", with the changes of "
      .. "hooks; nil if the path has no value, or null. Objects and arrays are returned as tables; "
      .. "a null inside of a table is a value of its own, not nil. To change the event, set "
      .. "ev[path], or change the table and put it back: ev.x = t. If a "
      .. "hook changes a table and does not put it back, sluice raises an error. A value that a "
      .. "hook only moves is stored as the client sent it." },
  { name = "has", group = "events", call = has,
    params = { { "ev", "event" }, { "path", "path" } }, returns = "boolean",
    help = "true if the event has a value at the path. null is a value too." },
  { name = "items", group = "events", call = items,
    params = { { "ev", "event" }, { "path", "path" } }, returns = "iterator",
    help = "Walks the array at the path: for i, item in items(ev, \"products\") do … end. If the "
      .. "path has no array, the loop does not run." },
  { name = "array", group = "events", call = array,
    params = { { "t", "table?" } }, least = 0, returns = "table",
    help = "Marks the table t as an array, so that sluice stores it as [] when it is empty: "
      .. "ev.tags = array {}. Without the mark, sluice stores an empty table as {}. Arrays that a "
      .. "hook reads from the event have the mark." },
  { name = "trim", group = "texts", call = trim,
    params = { { "s", "string?" } }, returns = "string?",
    help = "s without the white space at its start and end." },
  { name = "lower", group = "texts", call = lower,
    params = { { "s", "string?" } }, returns = "string?",
    help = "s with the letters A to Z changed to a to z." },
  { name = "upper", group = "texts", call = upper,
    params = { { "s", "string?" } }, returns = "string?",
    help = "s with the letters a to z changed to A to Z." },
  { name = "starts_with", group = "texts", call = starts_with,
    params = { { "s", "string?" }, { "with", "string" } }, returns = "boolean",
    help = "true if s starts with the other text. false if s is nil." },
  { name = "ends_with", group = "texts", call = ends_with,
    params = { { "s", "string?" }, { "with", "string" } }, returns = "boolean",
    help = "true if s ends with the other text. false if s is nil." },
  { name = "contains", group = "texts", call = contains,
    params = { { "s", "string?" }, { "what", "string", loose = "number" } }, returns = "boolean",
    help = "true if s contains the other text. The other text is not a pattern. false if s is "
      .. "nil." },
  { name = "part", group = "texts", call = part,
    params = { { "s", "string?" }, { "separator", "string" },
      { "n", "number", loose = "boolean" } }, returns = "string?",
    help = "The n-th part of s between separators, counted from 1; nil if s has fewer parts. "
      .. "Faster than split, because LuaJIT compiles it." },
  { name = "split", group = "texts", call = split,
    params = { { "s", "string?" }, { "separator", "string", loose = "number" } },
    returns = "string[]",
    help = "List of the parts of s between separators. The list has at most 1000 parts; sluice "
      .. "leaves out the others." },
  { name = "url_decode", group = "texts", call = url_decode,
    params = { { "s", "string?" } }, returns = "string?",
    help = "s with %41 decoded to A and + to a space. nil if s is malformed, longer than 64 KiB, "
      .. "or not UTF-8 after decoding." },
  { name = "param", group = "texts", call = param,
    params = { { "query", "string?" }, { "name", "string" } },
    returns = "string?",
    help = "Decoded value of a parameter in a query, for example in req.query. nil if the query "
      .. "does not have the parameter, or url_decode can't decode its value." },
  { name = "base64_decode", group = "texts", call = base64_decode,
    params = { { "s", "string?" } }, returns = "string?",
    help = "Text that s encodes. Reads the usual and the URL alphabet, with or without padding. "
      .. "nil if s is not base64, or the text is longer than 64 KiB." },
  { name = "base64_encode", group = "texts", call = base64_encode,
    params = { { "s", "string?" } }, returns = "string?",
    help = "s in base64 with the usual alphabet and padding. nil if s is longer than 48 KiB." },
  { name = "mask", group = "texts", call = mask,
    params = { { "s", "string?" }, { "keep", "number?", loose = "boolean" } }, least = 1,
    returns = "string?",
    help = "s with a * for each character but the last `keep` characters. Default: 0. nil if s is "
      .. "longer than 64 KiB." },
  { name = "mask_ip", group = "texts", call = mask_ip,
    params = { { "s", "string?" } }, returns = "string?",
    help = "The IP address s with its last 8 bits (IPv4) or 80 bits (IPv6) set to 0. An IPv4 "
      .. "address in IPv6 (::ffff:192.0.2.7) gives that of IPv4 (192.0.2.0). nil if s is not an "
      .. "IP address." },
  { name = "sha256", group = "digests", call = sha256,
    params = { { "s", "string?" } }, returns = "string?",
    help = "SHA-256 of s as 64 hex digits." },
  { name = "hmac", group = "digests", call = hmac,
    params = { { "key", "string" }, { "s", "string?" } }, returns = "string?",
    overload = "fun(options: sluice.auth.hmac): sluice.auth",
    help = "HMAC-SHA-256 of s with the key, as 64 hex digits. hmac { … } is a method of auth." },
  { name = "equal", group = "digests", call = equal,
    params = { { "a", "string?" }, { "b", "string?" } }, returns = "boolean",
    help = "true if two secrets are equal. The time does not show where they differ, so that a "
      .. "client can't guess a secret by measuring it." },
  { name = "hash", group = "digests", call = hash,
    params = { { "s", "string|number?" } }, returns = "number?",
    help = "A whole number from 0 to 2^53 - 1 for s, the same in every process. Fast, but no "
      .. "protection for a secret." },
  { name = "uuid7", group = "digests", call = uuid7, params = {},
    returns = "string",
    help = "A new UUID of version 7 with the request's time. Each is greater than the one before "
      .. "on the same worker. Example: ev.event_id = ev.event_id or uuid7()." },
  { name = "sample", group = "digests", call = sample,
    params = { { "rate", "number" }, { "key", "string|number?" } }, least = 1,
    returns = "boolean",
    help = "true for this share of keys, always for the same keys. A rate of 0.1 is a tenth. "
      .. "Without a key, true for this share of calls, at random." },
  { name = "iso8601", group = "time", call = iso8601,
    params = { { "ms", "number?" } }, returns = "string?",
    help = "Text of a time in milliseconds since 1970: \"2025-11-23T12:13:20.000Z\". nil outside "
      .. "of the years 0 to 9999." },
  { name = "parse_time", group = "time", call = parse_time,
    params = { { "s", "string?" } }, returns = "number?",
    help = "Time of an RFC 3339 text, in milliseconds since 1970. nil if s is not such a text." },
}

---By name.
M.call = {}
for _, helper in ipairs(M.words) do M.call[helper.name] = helper.call end

---@param host table value_of, gone: of hooks
function M.start(host)
  value_of, gone = host.value_of, host.gone
  mark_array, null = host.array, host.null
  assert(C.SLUICE_TEXT_MAX == TEXT_MAX)
end

return M
