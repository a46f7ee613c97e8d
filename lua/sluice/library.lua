-- library: the helpers that a policy's hooks may call, each described in M.words,
-- from which the type annotations and the reference come. They compile: what
-- loops or would need a table is done in C (src/policy/library/library.h).
--
-- A helper of a missing field is harmless: nil in, nil out; so is one of a text that
-- is malformed or too long. What is no text raises, as in plain Lua: a schema says
-- what is one.

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
    error(("\"%s\" is no path such as \"items[1].id\""):format(path), 3)
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

-- What the helpers with scratch memory have in common.
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
  if s == nil then return nil end
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
    help = "The value at a path such as \"items[1].id\", edits included; nil: there is none. "
      .. "Objects and arrays come as tables, a null inside of them as null. To change the event, "
      .. "set ev[path], or put the changed table back: ev.x = t. A table that was changed and not "
      .. "put back is an error. A value that is only moved is stored as it was sent." },
  { name = "has", group = "events", call = has,
    params = { { "ev", "event" }, { "path", "path" } }, returns = "boolean",
    help = "Whether the event has that path, also with the value null." },
  { name = "items", group = "events", call = items,
    params = { { "ev", "event" }, { "path", "path" } }, returns = "iterator",
    help = "for i, item in items(ev, \"products\") do … end; nothing when it is no array." },
  { name = "array", group = "events", call = array,
    params = { { "t", "table?" } }, least = 0, returns = "table",
    help = "The table t, stored as [] when it is empty: ev.tags = array {}. Arrays of the event "
      .. "are marked already; an empty table of the policy is {}." },
  { name = "trim", group = "texts", call = trim,
    params = { { "s", "string?" } }, returns = "string?",
    help = "Without the space at both ends." },
  { name = "lower", group = "texts", call = lower,
    params = { { "s", "string?" } }, returns = "string?",
    help = "With a to z for A to Z." },
  { name = "upper", group = "texts", call = upper,
    params = { { "s", "string?" } }, returns = "string?",
    help = "With A to Z for a to z." },
  { name = "starts_with", group = "texts", call = starts_with,
    params = { { "s", "string?" }, { "with", "string" } }, returns = "boolean",
    help = "Whether s begins with the other text." },
  { name = "ends_with", group = "texts", call = ends_with,
    params = { { "s", "string?" }, { "with", "string" } }, returns = "boolean",
    help = "Whether s ends with the other text." },
  { name = "contains", group = "texts", call = contains,
    params = { { "s", "string?" }, { "what", "string", loose = "number" } }, returns = "boolean",
    help = "Whether the other text, taken as it is, stands in s." },
  { name = "part", group = "texts", call = part,
    params = { { "s", "string?" }, { "separator", "string" },
      { "n", "number", loose = "boolean" } }, returns = "string?",
    help = "The n-th part of s between separators, from 1; compiles, which split does not." },
  { name = "split", group = "texts", call = split,
    params = { { "s", "string?" }, { "separator", "string", loose = "number" } },
    returns = "string[]", help = "All parts, at most 1000." },
  { name = "url_decode", group = "texts", call = url_decode,
    params = { { "s", "string?" } }, returns = "string?",
    help = "With %41 and + undone; nil: malformed, not UTF-8, or longer than 64 KiB." },
  { name = "param", group = "texts", call = param,
    params = { { "query", "string?" }, { "name", "string" } },
    returns = "string?",
    help = "A parameter of a query (req.query), decoded; nil: not there." },
  { name = "base64_decode", group = "texts", call = base64_decode,
    params = { { "s", "string?" } }, returns = "string?",
    help = "Either alphabet, padded or not; nil: it is none, or more than 64 KiB." },
  { name = "base64_encode", group = "texts", call = base64_encode,
    params = { { "s", "string?" } }, returns = "string?",
    help = "Padded, the usual alphabet; nil: more than 48 KiB." },
  { name = "mask", group = "texts", call = mask,
    params = { { "s", "string?" }, { "keep", "number?", loose = "boolean" } }, least = 1,
    returns = "string?",
    help = "* for every character but the last `keep` (0); nil: more than 64 KiB." },
  { name = "mask_ip", group = "texts", call = mask_ip,
    params = { { "s", "string?" } }, returns = "string?",
    help = "An address without its last 8 (IPv4) or 80 (IPv6) bits; nil: it is none." },
  { name = "sha256", group = "digests", call = sha256,
    params = { { "s", "string?" } }, returns = "string?",
    help = "64 hex digits." },
  { name = "hmac", group = "digests", call = hmac,
    params = { { "key", "string" }, { "s", "string?" } }, returns = "string?",
    help = "HMAC-SHA-256, 64 hex digits." },
  { name = "equal", group = "digests", call = equal,
    params = { { "a", "string?" }, { "b", "string?" } }, returns = "boolean",
    help = "Compares secrets: takes as long whether equal or not." },
  { name = "hash", group = "digests", call = hash,
    params = { { "s", "string|number?" } }, returns = "number?",
    help = "A whole number below 2^53, the same everywhere; quick, not secret." },
  { name = "uuid7", group = "digests", call = uuid7, params = {},
    returns = "string",
    help = "A UUID of version 7 from the request's time, greater than the worker's one before: "
      .. "ev.event_id = ev.event_id or uuid7()." },
  { name = "sample", group = "digests", call = sample,
    params = { { "rate", "number" }, { "key", "string|number?" } }, least = 1,
    returns = "boolean",
    help = "True for that share (0.1: a tenth): of keys, always the same ones; "
      .. "without a key, of calls." },
  { name = "iso8601", group = "time", call = iso8601,
    params = { { "ms", "number?" } }, returns = "string?",
    help = "\"2025-11-23T12:13:20.000Z\" of milliseconds since 1970." },
  { name = "parse_time", group = "time", call = parse_time,
    params = { { "s", "string?" } }, returns = "number?",
    help = "Milliseconds since 1970 of RFC 3339 text; nil: it is none." },
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
