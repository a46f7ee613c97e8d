-- lists: options that are lists or tables, checked: of texts, words, paths and urls, of names
-- with their values, of the lines of a header, and of the codes of refusals.

---@param checks table by type, as in values.lua
---@param M table values.lua's own
return function(checks, M)

---Whether a table has values at 1, 2, 3 … and nothing else. One that is nil would hide those
---behind it.
function M.is_list(v)
  local n = 0
  for k in pairs(v) do
    if type(k) ~= "number" then return false end
    n = n + 1
  end
  for i = 1, n do
    if v[i] == nil then return false end
  end
  return n > 0
end

-- A text, or a list of texts; a list. An empty one would say that any will do.
function checks.texts(v)
  local list = type(v) == "table" and v or { v }
  if not M.is_list(list) then
    return nil, ("%s is neither a text nor a list of texts"):format(M.show(v))
  end
  for _, text in ipairs(list) do
    if type(text) ~= "string" or text == "" then
      return nil, ("%s is neither a text nor a list of texts"):format(M.show(text))
    end
  end
  return list
end

function checks.list(v, spec)
  if type(v) ~= "table" or not M.is_list(v) then
    return nil, ("%s is not a list of texts: { \"a\", \"b\" }"):format(M.show(v))
  end
  for _, x in ipairs(v) do
    local _, why = checks[spec.of or "string"](x, { bytes = spec.bytes })
    if why then return nil, why end
  end
  return v
end

-- field = text; the route checks the texts.
function checks.fields(v)
  if type(v) == "table" and #v > 0 then
    return nil, "a list is not a table { field = \"text\" }"
  elseif type(v) ~= "table" then
    return nil, ("%s is not a table { field = \"text\" }"):format(M.show(v))
  end
  return v
end

function checks.urls(v)
  local list = type(v) == "string" and { v } or v
  if type(list) ~= "table" or #list == 0 then
    return nil, ("%s is neither a url nor a list of urls"):format(M.show(v))
  end
  for _, x in ipairs(list) do
    local _, why = checks.url(x)
    if why then return nil, why end
  end
  return list
end

-- name = value, to a list of { name, value } in the order of the names.
function checks.map(v)
  if type(v) ~= "table" then
    return nil, ("%s is not a table { name = value }"):format(M.show(v))
  end
  local list = {}
  for k, x in pairs(v) do
    if type(k) ~= "string" or type(x) == "table" or type(x) == "function" then
      return nil, "expected name = value pairs of texts, numbers and truths"
    end
    list[#list + 1] = { name = k, value = tostring(x) }
  end
  table.sort(list, function(a, b) return a.name < b.name end)
  return list
end

-- A list of words out of spec.values, each once.
function checks.words(v, spec)
  local list, why = checks.list(v, {})
  if not list then return nil, why end
  local seen = {}
  for _, x in ipairs(list) do
    _, why = checks.enum(x, spec)
    if why then return nil, why end
    if seen[x] then return nil, ("%s is given twice"):format(M.show(x)) end
    seen[x] = true
  end
  return list
end

-- A path, or a list of them, to a list.
function checks.paths(v, spec)
  local list = type(v) == "table" and v or { v }
  local seen = {}
  for key, path in pairs(list) do
    local ok, wrong = checks.path(path)
    if type(key) ~= "number" or key > #list then
      return nil, "expected a path, or a list of paths without keys: { \"app_id\", \"id\" }"
    elseif not ok then
      return nil, wrong
    elseif seen[path] then
      return nil, ("%s is named twice"):format(M.show(path))
    end
    seen[path] = true
  end
  if #list == 0 or #list > spec.most then
    return nil, ("%d paths: 1 to %d are taken"):format(#list, spec.most)
  end
  return { unpack(list) }
end

local TOKEN = "^[%w!#$%%&'*+.^_`|~-]+$"

-- The name of a header; "": none.
function checks.header(v)
  if v == "" then return nil end
  if type(v) ~= "string" or not v:find(TOKEN) then
    return nil, ("%s is no name of a header"):format(M.show(v))
  end
  return v
end

-- Header names that the request itself decides.
local OWN = { ["content-length"] = "the body decides it",
  ["transfer-encoding"] = "the body decides it", host = "the url decides it",
  connection = "the pool decides it", expect = "it is never sent",
  ["content-type"] = "say content_type", ["content-encoding"] = "say compression" }

function checks.headers(v)
  local list, why = checks.map(v)
  if not list then return nil, why end
  for _, h in ipairs(list) do
    if not h.name:find(TOKEN) then
      return nil, ("%s is no name of a header"):format(M.show(h.name))
    elseif h.value:find("[%c\127]") then
      return nil, ("the value of %s has a control character"):format(h.name)
    elseif OWN[h.name:lower()] then
      return nil, ("%s can't be set: %s"):format(h.name, OWN[h.name:lower()])
    end
  end
  return list
end

local CODES_MAX, CODE_MAX = 64, 64

local function wrong_code(k, x, first)
  if type(k) == "number" and (k < 400 or k > 599 or k % 1 ~= 0) then
    return ("%s is not a status from 400 to 599"):format(M.show(k))
  elseif type(k) ~= "number" and (type(k) ~= "string" or k == "" or #k > CODE_MAX) then
    return ("%s is neither a code such as invalid_json nor a status"):format(M.show(k))
  elseif type(x) == "number" and (x % 1 ~= 0 or math.abs(x) >= 2 ^ 31)
      or type(x) == "string" and #x > CODE_MAX
      or type(x) ~= "number" and type(x) ~= "string" then
    return ("%s is neither a whole number nor a text of at most %d bytes")
      :format(M.show(x), CODE_MAX)
  elseif type(x) ~= type(first) then
    return ("%s and %s: expected numbers only, or texts only"):format(M.show(first),
      M.show(x))
  end
end

-- code, status or "other" = number or text, to a list of { name, status, word } in the order
-- of the keys; numeric: the words are numbers.
function checks.codes(v)
  if type(v) ~= "table" or next(v) == nil then
    return nil, ("%s is not a table { invalid_json = 6, [503] = 9, other = 8 }")
      :format(type(v) == "table" and "an empty table" or M.show(v))
  end
  local keys, list = {}, {}
  for k in pairs(v) do keys[#keys + 1] = k end
  if #keys > CODES_MAX then return nil, ("more than %d codes"):format(CODES_MAX) end
  table.sort(keys, function(a, b) return tostring(a) < tostring(b) end)
  for _, k in ipairs(keys) do
    local why = wrong_code(k, v[k], v[keys[1]])
    if why then return nil, why end
    local word = type(v[k]) == "number" and ("%d"):format(v[k]) or v[k]
    if k == "other" then
      list.other = word
    else
      list[#list + 1] = { name = type(k) == "string" and k or nil,
        status = type(k) == "number" and k or nil, word = word }
    end
  end
  list.numeric = type(v[keys[1]]) == "number"
  if list.numeric and not list.other then
    return nil, "needs other: the number of all other refusals"
  end
  return list
end

end
