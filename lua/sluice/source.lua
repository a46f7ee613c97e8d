-- source: where in a policy's text a statement, a key or a value stands, so
-- that a message can point at it. A small tokenizer; it never fails, for the
-- text has been compiled before.

local M = {}

local function long_bracket(text, at)
  local eq = text:match("^%[(=*)%[", at)
  if not eq then return nil end
  local _, stop = text:find("]" .. eq .. "]", at, true)
  return stop or #text
end

local function quoted_end(text, at)
  local quote, i = text:sub(at, at), at + 1
  while i <= #text do
    local c = text:sub(i, i)
    if c == "\\" then
      i = i + 1
    elseif c == quote or c == "\n" then
      return i
    end
    i = i + 1
  end
  return #text
end

-- Comment or space at `at`: where it ends; nil: neither.
local function skipped(text, at)
  local _, stop = text:find("^%s+", at)
  if stop then return stop end
  if text:sub(at, at + 1) ~= "--" then return nil end
  return long_bracket(text, at + 2) or
      (text:find("\n", at, true) or #text + 1) - 1
end

---@return table[] tokens each { kind, text, first, last }
function M.tokens(text)
  local list, at = {}, 1
  local function push(kind, last)
    list[#list + 1] = { kind = kind, text = text:sub(at, last), first = at,
      last = last }
    at = last + 1
  end
  if text:sub(1, 1) == "#" then at = text:find("\n", 1, true) or #text + 1 end
  while at <= #text do
    local stop = skipped(text, at)
    local c = text:sub(at, at)
    if stop then
      at = stop + 1
    elseif c:find("[%a_]") then
      push("name", select(2, text:find("^[%w_]+", at)))
    elseif c:find("%d") or text:find("^%.%d", at) then
      push("number", select(2, text:find("^[%w%.]+", at)))
    elseif c == '"' or c == "'" then
      push("string", quoted_end(text, at))
    elseif long_bracket(text, at) then
      push("string", long_bracket(text, at))
    else
      push("op", at)
    end
  end
  return list
end

---@return integer line, integer column both from 1
function M.place(text, pos)
  local line, from = 1, 1
  while true do
    local nl = text:find("\n", from, true)
    if not nl or nl >= pos then return line, pos - from + 1 end
    line, from = line + 1, nl + 1
  end
end

---Where a token stands in a line.
---@return integer column, integer length 1, 0: it is not there
function M.find(text, line, token)
  for _, t in ipairs(M.tokens(text)) do
    local at, column = M.place(text, t.first)
    if at == line and t.text == token then return column, #token end
    if at > line then break end
  end
  return 1, 0
end

local function string_value(t)
  if t.kind ~= "string" then return nil end
  local open = t.text:match("^%[=*%[")
  if open then return t.text:sub(#open + 1, -#open - 1) end
  return t.text:sub(2, -2)
end

-- Index of the token behind the value that begins at token i.
local function skip_value(tokens, i)
  local depth = 0
  while tokens[i] do
    local x = tokens[i].text
    local op = tokens[i].kind == "op"
    local word = tokens[i].kind == "name"
    if (op and (x == "{" or x == "(" or x == "[")) or
        (word and (x == "function" or x == "if" or x == "do" or
          x == "repeat")) then
      depth = depth + 1
    elseif (op and (x == "}" or x == ")" or x == "]")) or
        (word and (x == "end" or x == "until")) then
      if depth == 0 then return i end
      depth = depth - 1
    elseif depth == 0 and op and (x == "," or x == ";") then
      return i
    end
    i = i + 1
  end
  return i
end

-- The entry of the table whose `{` is token i: key and value as token indices.
local function find_entry(tokens, i, key)
  local n = 0
  i = i + 1
  while tokens[i] and tokens[i].text ~= "}" do
    local key_at, value = i, i
    local name
    local after = tokens[i + 1]
    if tokens[i].kind == "name" and after and after.text == "=" then
      name, value = tokens[i].text, i + 2
    elseif tokens[i].text == "[" and tokens[i].kind == "op" then
      name = tokens[i + 1] and string_value(tokens[i + 1])
      key_at = i + 1
      while tokens[i] and tokens[i].text ~= "=" do i = i + 1 end
      value = i + 1
    else
      n = n + 1
      name = n
    end
    local stop = skip_value(tokens, value)
    if name == key then return key_at, value, stop - 1 end
    i = stop
    if tokens[i] and tokens[i].text ~= "}" then i = i + 1 end
  end
  return nil
end

-- Token index of the `{` of a statement; the last one that begins at or before
-- the line.
local function find_statement(tokens, text, word, name, line)
  local best
  for i, t in ipairs(tokens) do
    if t.kind == "name" and t.text == word then
      local j = i + 1
      if tokens[j] and tokens[j].text == "(" then j = j + 1 end
      local named = name == nil or
          (tokens[j] and string_value(tokens[j]) == name)
      if named and M.place(text, t.first) <= line then best = i end
    end
  end
  return best
end

local function open_brace(tokens, i)
  for k = i, math.min(i + 5, #tokens) do
    if tokens[k].text == "{" and tokens[k].kind == "op" then return k end
  end
  return nil
end

---Where something of a statement stands.
---@param text string the file
---@param s table { word, name, line }
---@param path (string|integer)[]? keys to it; nil or empty: the statement
---@param what "key"|"value"
---@return integer line, integer column, integer length
function M.locate(text, s, path, what)
  local tokens = M.tokens(text)
  local at = find_statement(tokens, text, s.word, s.name, s.line)
  if not at then return s.line, 1, 0 end
  local first, last = tokens[at].first, tokens[at].last
  local from = at
  for k, key in ipairs(path or {}) do
    local brace = open_brace(tokens, from)
    local key_at, value, stop
    if brace then key_at, value, stop = find_entry(tokens, brace, key) end
    if not key_at then break end
    if k == #path and what == "key" then
      first, last = tokens[key_at].first, tokens[key_at].last
    else
      first, last = tokens[value].first, tokens[math.max(value, stop)].last
    end
    from = value
  end
  local line, column = M.place(text, first)
  local stop = text:find("\n", first, true) or #text + 1
  return line, column, math.min(last + 1, stop) - first
end

return M
