-- values: an option's value as a policy writes it, checked and normalized.

local paths = require "sluice.paths"
local suggest = require "sluice.suggest"

local M = {}

-- Values of the environment are not shown: one may be a password. Value to name.
local hidden = {} -- of { value, name }, longer values first

---Before a load.
function M.show_all() hidden = {} end

---@param name string of the variable
function M.hide(name, v)
  if #v < 4 then return end
  hidden[#hidden + 1] = { v, "$" .. name }
  table.sort(hidden, function(a, b)
    if #a[1] ~= #b[1] then return #a[1] > #b[1] end
    return a[2] < b[2]
  end)
end

---text without values of the environment: their names instead.
function M.without_hidden(text)
  for _, h in ipairs(hidden) do
    local v, name = h[1], h[2]
    local at, stop = text:find(v, 1, true)
    while at do
      text = text:sub(1, at - 1) .. name .. text:sub(stop + 1)
      at, stop = text:find(v, at + #name, true)
    end
  end
  return text
end

---Shows a value in a message.
function M.show(v)
  if type(v) == "string" then
    v = M.without_hidden(v)
    if #v > 40 then v = v:sub(1, 37) .. "..." end
    -- A line end would begin another line of the report, a NUL would end it.
    return '"' .. v:gsub("[%c\127]", function(c)
      return c == "\n" and "\\n" or ("\\%d"):format(c:byte())
    end) .. '"'
  elseif type(v) == "table" or type(v) == "function" then
    return "a " .. type(v)
  end
  return tostring(v)
end

-- What stands after the number.
local units = {
  size = "B, KB, MB, GB, TB, KiB, MiB, GiB or TiB",
  duration = "ms, s, m, h or d",
}

local function quantity(v, parse, what, sample)
  if type(v) == "number" then
    return nil, ("%s needs a unit, such as \"%s\""):format(M.show(v), sample)
  end
  local n = type(v) == "string" and parse(v)
  if not n then
    return nil, ("%s is not a %s such as \"%s\": a number and %s"):format(M.show(v), what,
      sample, units[what])
  end
  return n
end

local function in_range(n, spec, shown, low, high)
  if spec.min and n < spec.min then
    return nil, ("%s is less than %s"):format(shown, low or spec.min)
  elseif spec.max and n > spec.max then
    return nil, ("%s is more than %s"):format(shown, high or spec.max)
  end
  return n
end

---A size as a policy writes it.
function M.show_bytes(n)
  for _, u in ipairs { { 2 ^ 40, "TiB" }, { 2 ^ 30, "GiB" }, { 2 ^ 20, "MiB" },
    { 1024, "KiB" } } do
    if n >= u[1] and n % u[1] == 0 then
      return ("%d%s"):format(n / u[1], u[2])
    end
  end
  return ("%dB"):format(n)
end

---A duration as a policy writes it.
function M.show_ms(n)
  for _, u in ipairs { { 86400000, "d" }, { 3600000, "h" }, { 60000, "m" },
    { 1000, "s" } } do
    if n >= u[1] and n % u[1] == 0 then
      return ("%d%s"):format(n / u[1], u[2])
    end
  end
  return ("%dms"):format(n)
end

local checks = {}

function checks.string(v, spec)
  if v == "" and spec.empty then return nil end
  if v == "" then return nil, '"" is empty: expected a text' end
  if spec.joined and type(v) == "table" and type(v[1]) == "string" then
    return nil, ("a table is not a text: write %s"):format(M.show(table.concat(v, ",")))
  elseif type(v) ~= "string" then
    return nil, ("%s is not a text"):format(M.show(v))
  elseif not spec.bytes and v:find("\0", 1, true) then
    return nil, ("%s has a NUL byte: write it without"):format(M.show(v))
  end
  return v
end

function checks.text(v)
  if type(v) ~= "string" then
    return nil, ("%s is not a text"):format(M.show(v))
  end
  return v
end

function checks.path(v)
  local text, wrong = checks.string(v, {})
  if not text then return nil, wrong end
  wrong = paths.why_no_path(v)
  if wrong then return nil, M.show(v) .. " " .. wrong end
  return v
end

function checks.boolean(v)
  if type(v) ~= "boolean" then
    return nil, ("%s is neither true nor false"):format(M.show(v))
  end
  return v
end

function checks.number(v, spec)
  if type(v) ~= "number" or v ~= v or v == math.huge or v == -math.huge then
    return nil, ("%s is not a number"):format(M.show(v))
  end
  return in_range(v, spec, M.show(v))
end

function checks.count(v, spec)
  if type(v) ~= "number" or v ~= math.floor(v) then
    return nil, ("%s is not a whole number"):format(M.show(v))
  end
  return in_range(v, spec, M.show(v))
end

function checks.bytes(v, spec, host)
  local n, why = quantity(v, host.bytes, "size", "64MiB")
  if not n then return nil, why end
  return in_range(n, spec, M.show(v), spec.min and M.show_bytes(spec.min),
    spec.max and M.show_bytes(spec.max))
end

function checks.duration(v, spec, host)
  local n, why = quantity(v, host.ms, "duration", "50ms")
  if not n then return nil, why end
  return in_range(n, spec, M.show(v), spec.min and M.show_ms(spec.min),
    spec.max and M.show_ms(spec.max))
end

function checks.percent(v, spec)
  local n = type(v) == "string" and tonumber(v:match("^(%d+%.?%d*)%%$"))
  if not n then
    return nil, ("%s is not a share such as \"10%%\""):format(M.show(v))
  end
  return in_range(n / 100, spec, M.show(v), ("%g%%"):format(spec.min * 100),
    ("%g%%"):format(spec.max * 100))
end

local shares = { "connection", "request", "peer" }

function checks.share_by(v)
  for _, x in ipairs(shares) do
    if v == x then return v end
  end
  if type(v) == "string" and v:match("^header:[%w%-_]+$") and #v < 128 then
    return v
  end
  return nil, ("%s is none of \"connection\", \"request\", \"peer\", "
    .. "\"header:NAME\"%s"):format(M.show(v),
    type(v) == "string" and suggest.hint(v, { unpack(shares) }) or "")
end

local seconds = { s = 1, m = 60, h = 3600, d = 86400 }

---A rate as a policy writes it, with the shortest unit that makes it whole.
---@param n number per second
function M.show_rate(n)
  for _, unit in ipairs { "s", "m", "h", "d" } do
    local k = n * seconds[unit]
    if math.abs(k - math.floor(k + 0.5)) < 1e-9 * k then return ("%.0f/%s"):format(k, unit) end
  end
  return ("%.14g/s"):format(n)
end

-- Per second.
function checks.rate(v, spec)
  local n, unit
  if type(v) == "string" then n, unit = v:match("^(%d+%.?%d*)/([smhd])$") end
  if not n or tonumber(n) == 0 then
    return nil, ("%s is not a rate such as \"100/s\""):format(M.show(v))
  end
  return in_range(tonumber(n) / seconds[unit], spec, M.show(v),
    M.show_rate(spec.min), M.show_rate(spec.max))
end

require "sluice.lists"(checks, M)
require "sluice.addresses"(checks, M)
require "sluice.amounts"(checks, M)

function checks.workers(v, spec)
  if v == "auto" then return 0 end
  if type(v) ~= "number" then
    return nil, ("%s is neither \"auto\" nor a number of threads")
        :format(M.show(v))
  end
  return checks.count(v, spec)
end

function checks.enum(v, spec)
  for _, x in ipairs(spec.values) do
    if v == x then return v end
  end
  return nil, ("%s is none of \"%s\"%s"):format(M.show(v),
    table.concat(spec.values, "\", \""), suggest.hint(v, { unpack(spec.values) }))
end

function checks.bits(v)
  if v == 8 or v == 16 or v == 32 or v == 64 then return v end
  return nil, ("%s is none of 8, 16, 32, 64"):format(M.show(v))
end

-- What says how a route's bodies are compressed.
function checks.encoding(v)
  if v == "header" or v == "detect" or
      (type(v) == "string" and #v < 128 and v:find("^query:[%w_.~-]+$")) then
    return v
  end
  return nil, ("%s is none of \"header\", \"detect\", \"query:NAME\""):format(M.show(v))
end

-- A pattern of a field, which C matches.
function checks.pattern(v, _, host)
  local text, why = checks.string(v, {})
  if not text then return nil, why end
  why = host.why_no_pattern(text)
  if why then return nil, ("%s %s"):format(M.show(v), why) end
  return v
end

function checks.url(v)
  local host = type(v) == "string" and not v:find("%c")
      and v:match("^https?://([^/?#%s]+)[^%s]*$")
  if host and #v > 2000 then
    return nil, ("%s is a url of %d bytes: at most 2000 are taken")
      :format(M.show(v), #v)
  end
  if not host then
    return nil, ("%s is not an address such as \"https://host:8443/path\"")
        :format(M.show(v))
  end
  return v
end

function checks.status(v)
  if type(v) ~= "number" or v ~= math.floor(v) or v < 300 or v > 599 then
    return nil, ("%s is not a status from 300 to 599"):format(M.show(v))
  end
  return v
end

function checks.after(v, spec, host)
  if v == "p95" then return -1 end
  local n, why = checks.duration(v, spec, host)
  if not n and type(v) == "string" then
    why = ("%s is neither a duration such as \"50ms\" nor \"p95\"")
        :format(M.show(v))
  end
  return n, why
end

function checks.refused(v, spec)
  if v == "same" then return v end
  if type(v) ~= "number" then
    return nil, ("%s is neither a status from 400 to 499 nor \"same\""):format(M.show(v))
  end
  return checks.count(v, spec)
end

function checks.location(v)
  if type(v) == "function" then return checks.hook(v, { params = 2 }) end
  return checks.string(v, {})
end

function checks.moment(v, _, host)
  local n = type(v) == "string" and host.moment(v)
  if not n then
    return nil, ("%s is not a time such as \"2025-11-23T12:13:20Z\"")
        :format(M.show(v))
  end
  return n
end

function checks.hook(v, spec)
  if type(v) ~= "function" then
    return nil, ("%s is not a function"):format(M.show(v))
  end
  local info = debug.getinfo(v, "u")
  if info and info.nparams > spec.params and not info.isvararg then
    return nil, ("the function takes %d parameters; it is given %d")
        :format(info.nparams, spec.params)
  end
  return v
end

function checks.adapt(v)
  if v == "latency" then return v end
  if type(v) ~= "function" then
    return nil, ("%s is neither \"latency\" nor a function"):format(M.show(v))
  end
  return checks.hook(v, { params = 1 })
end

function checks.topic(v)
  if type(v) == "function" then
    return nil, "a function is not a text; by event: topic_by = function(ev) ... end"
  end
  local text, why = checks.string(v, {})
  if not text then return nil, why end
  if #v > 249 or not v:find("^[%w._-]+$") or v == "." or v == ".." then
    return nil, ("%s is no name that Kafka takes: expected 1 to 249 of a-z, A-Z, 0-9, "
      .. "., _ and -"):format(M.show(v))
  end
  return v
end

function checks.topic_by(v)
  if type(v) == "string" then return checks.path(v, {}) end
  if type(v) ~= "function" then
    return nil, ("%s is neither the path of a field nor a function")
        :format(M.show(v))
  end
  return checks.hook(v, { params = 1 })
end

---@return any value nil with a reason when it is wrong
function M.check(v, spec, host)
  local check = checks[spec.type]
  if not check then return v end
  return check(v, spec, host)
end

---An option's default as it would be after a check.
function M.default(spec, host)
  if spec.default == nil then return nil end
  local v, why = M.check(spec.default, spec, host)
  if why then error(why) end
  return v
end

return M
