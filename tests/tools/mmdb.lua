-- mmdb: writes small MaxMind databases for the specs, from the format's description
-- (MaxMind DB 2.0). Plain Lua 5.1; also the maker of conf/examples/geo.mmdb:
--
--   luajit tests/tools/mmdb.lua conf/examples/geo.mmdb
local M = {}

local function big(v, n)
  local t = {}
  for i = n, 1, -1 do
    t[i] = string.char(v % 256)
    v = math.floor(v / 256)
  end
  return table.concat(t)
end

local function head(kind, size)
  local extra, first = "", size
  if size >= 65821 then
    first, extra = 31, big(size - 65821, 3)
  elseif size >= 285 then
    first, extra = 30, big(size - 285, 2)
  elseif size >= 29 then
    first, extra = 29, big(size - 29, 1)
  end
  if kind > 7 then return string.char(first, kind - 7) .. extra end
  return string.char(kind * 32 + first) .. extra
end

-- A double's eight bytes.
local function double(v)
  if v == 0 then return ("\0"):rep(8) end
  local sign = v < 0 and 128 or 0
  local m, e = math.frexp(math.abs(v))
  m, e = (m * 2 - 1) * 2 ^ 52, e + 1022
  return string.char(sign + math.floor(e / 16),
    (e % 16) * 16 + math.floor(m / 2 ^ 48)) .. big(m % 2 ^ 48, 6)
end

---A value that stands in the file as it is.
function M.raw(bytes) return setmetatable({}, { bytes = bytes }) end

local function encode(v)
  local mt = type(v) == "table" and getmetatable(v)
  if mt then return mt.bytes end
  if type(v) == "string" then return head(2, #v) .. v end
  if type(v) == "boolean" then return head(14, v and 1 or 0) end
  if type(v) == "number" and v % 1 == 0 and v >= 0 and v < 2 ^ 32 then
    return head(6, 4) .. big(v, 4)
  elseif type(v) == "number" then
    return head(3, 8) .. double(v)
  end
  local out = {}
  if #v > 0 then
    for _, x in ipairs(v) do out[#out + 1] = encode(x) end
    return head(11, #v) .. table.concat(out)
  end
  local keys = {}
  for k in pairs(v) do keys[#keys + 1] = k end
  table.sort(keys)
  for _, k in ipairs(keys) do out[#out + 1] = encode(k) .. encode(v[k]) end
  return head(7, #keys) .. table.concat(out)
end

M.encode, M.head = encode, head

---A value by its place in the data.
function M.pointer(at)
  assert(at < 2048)
  return M.raw(string.char(32 + math.floor(at / 256), at % 256))
end

-- The bits of "192.0.2.0/24" or "2001:db8::/32".
local function bits_of(network, six)
  local address, prefix = network:match("^(.-)/(%d+)$")
  local bytes = {}
  if address:find(":", 1, true) then
    local left, right = address:match("^(.-)::(.*)$")
    local function words(s)
      local t = {}
      for w in (s or ""):gmatch("%x+") do t[#t + 1] = tonumber(w, 16) end
      return t
    end
    local a, b = words(left or address), words(right)
    while #a + #b < 8 do a[#a + 1] = 0 end
    for _, w in ipairs(b) do a[#a + 1] = w end
    for _, w in ipairs(a) do
      bytes[#bytes + 1], bytes[#bytes + 2] = math.floor(w / 256), w % 256
    end
  else
    for n in address:gmatch("%d+") do bytes[#bytes + 1] = tonumber(n) end
    if six then
      for _ = 1, 12 do table.insert(bytes, 1, 0) end
      prefix = prefix + 96
    end
  end
  local bits = {}
  for i = 1, prefix do
    local byte = bytes[math.floor((i - 1) / 8) + 1]
    bits[i] = math.floor(byte / 2 ^ (7 - (i - 1) % 8)) % 2
  end
  return bits
end

---@param list table of { network, value }; a value that is the same table is stored once
---@param o? table record_size, ip_version, metadata (more keys), tail (raw data behind)
---@return string bytes of the file
function M.write(list, o)
  o = o or {}
  local six = (o.ip_version or 6) == 6
  local nodes, data, places, size = { { false, false } }, {}, {}, 0
  local function place(v)
    if not places[v] then
      places[v] = { at = size }
      data[#data + 1] = encode(v)
      size = size + #data[#data]
    end
    return places[v]
  end
  if o.head then
    data[1], size = o.head, #o.head
  end
  for _, row in ipairs(list) do
    local bits, node = bits_of(row[1], six), 1
    for i = 1, #bits - 1 do
      local side = bits[i] + 1
      if type(nodes[node][side]) ~= "number" then
        -- A smaller network inside of a larger one.
        nodes[#nodes + 1] = { nodes[node][side], nodes[node][side] }
        nodes[node][side] = #nodes
      end
      node = nodes[node][side]
    end
    nodes[node][bits[#bits] + 1] = place(row[2])
  end
  local record = o.record_size or 24
  local function value(x)
    if type(x) == "number" then return x - 1 end
    return x and #nodes + 16 + x.at or #nodes
  end
  local tree = {}
  for i, n in ipairs(nodes) do
    local l, r = value(n[1]), value(n[2])
    if record == 28 then
      tree[i] = big(l % 2 ^ 24, 3)
        .. string.char(math.floor(l / 2 ^ 24) * 16 + math.floor(r / 2 ^ 24))
        .. big(r % 2 ^ 24, 3)
    else
      tree[i] = big(l, record / 8) .. big(r, record / 8)
    end
  end
  local metadata = { node_count = #nodes, record_size = record,
    ip_version = six and 6 or 4, database_type = "Test", languages = { "en" },
    binary_format_major_version = 2, binary_format_minor_version = 0,
    build_epoch = 1764000000, description = { en = "Made for tests" } }
  -- The library asks for these types.
  for _, k in ipairs { "record_size", "ip_version", "binary_format_major_version",
    "binary_format_minor_version" } do
    metadata[k] = M.raw(head(5, 2) .. big(metadata[k], 2))
  end
  metadata.build_epoch = M.raw(head(9, 8) .. big(metadata.build_epoch, 8))
  for k, v in pairs(o.metadata or {}) do metadata[k] = v end
  return table.concat(tree) .. ("\0"):rep(16) .. table.concat(data) .. (o.tail or "")
    .. "\171\205\239MaxMind.com" .. encode(metadata)
end

---A small database of the addresses that are kept for documents (RFC 5737, RFC 3849).
function M.example()
  local berlin = { city = { names = { en = "Berlin", de = "Berlin" } },
    country = { iso_code = "DE", names = { en = "Germany" }, is_in_european_union = true },
    location = { latitude = 52.52, longitude = 13.405, accuracy_radius = 20,
      time_zone = "Europe/Berlin" },
    subdivisions = { { iso_code = "BE", names = { en = "Land Berlin" } } } }
  local boston = { city = { names = { en = "Boston" } },
    country = { iso_code = "US", names = { en = "United States" } },
    location = { latitude = 42.36, longitude = -71.06, accuracy_radius = 50,
      time_zone = "America/New_York" },
    subdivisions = { { iso_code = "MA", names = { en = "Massachusetts" } } } }
  local country = { country = { iso_code = "JP", names = { en = "Japan" } } }
  return M.write({
    { "192.0.2.0/24", berlin }, { "198.51.100.0/24", boston },
    { "203.0.113.0/25", country }, { "2001:db8:1::/48", berlin },
    { "2001:db8:2::/48", boston },
  }, { metadata = { database_type = "Example-City" } })
end

if arg and arg[0] and arg[0]:find("mmdb%.lua$") and arg[1] then
  local f = assert(io.open(arg[1], "wb"))
  f:write(M.example())
  f:close()
end

return M
