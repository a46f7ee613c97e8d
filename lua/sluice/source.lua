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

local function tokens_of(text)
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

-- The parsed texts of one load: a mistake is found in no more time in a long file than
-- in a short one.
local known = {}

local function lines_of(text)
  local list, at = { 1 }, 1
  while true do
    local nl = text:find("\n", at, true)
    if not nl then return list end
    at = nl + 1
    list[#list + 1] = at
  end
end

local function read(text)
  local k = known[text]
  if not k then
    k = { tokens = tokens_of(text), lines = lines_of(text), words = {} }
    for i, t in ipairs(k.tokens) do
      if t.kind == "name" then
        local list = k.words[t.text] or {}
        k.words[t.text] = list
        list[#list + 1] = i
      end
    end
    known[text] = k
  end
  return k
end

---Before a load.
function M.forget() known = {} end

---@return table[] tokens each { kind, text, first, last }
function M.tokens(text) return read(text).tokens end

-- The last place in list for which at(entry) <= pos; 0: none.
local function last_before(list, pos, at)
  local low, high = 0, #list
  while low < high do
    local mid = math.ceil((low + high) / 2)
    if at(list[mid]) <= pos then low = mid else high = mid - 1 end
  end
  return low
end

local function itself(x) return x end

---@return integer line, integer column both from 1
function M.place(text, pos)
  local lines = read(text).lines
  local line = last_before(lines, pos, itself)
  return line, pos - lines[line] + 1
end

local function first_of(t) return t.first end

---The tokens that begin in a line.
---@return fun(): table?
function M.line_tokens(text, line)
  local k = read(text)
  local from, to = k.lines[line], k.lines[line + 1] or #text + 1
  local i = from and last_before(k.tokens, from - 1, first_of) or #k.tokens
  return function()
    i = i + 1
    local t = k.tokens[i]
    return t and t.first < to and t or nil
  end
end

---Where a token stands in a line.
---@return integer column, integer length 1, 0: it is not there
function M.find(text, line, token)
  for t in M.line_tokens(text, line) do
    if t.text == token then return select(2, M.place(text, t.first)), #token end
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

-- Token index of the word of a statement; the last one that begins at or before the
-- line.
local function find_statement(tokens, text, word, name, line)
  local list = read(text).words[word] or {}
  local upto = (read(text).lines[line + 1] or #text + 1) - 1
  for n = last_before(list, upto, function(i) return tokens[i].first end), 1, -1 do
    local i = list[n]
    local j = i + 1
    if tokens[j] and tokens[j].text == "(" then j = j + 1 end
    if name == nil or (tokens[j] and string_value(tokens[j]) == name) then return i end
  end
  return nil
end

-- Token index behind the table that begins at token i or soon after it.
local function after_table(tokens, i)
  local depth = 0
  while tokens[i] do
    local op = tokens[i].kind == "op" and tokens[i].text
    if op == "{" then
      depth = depth + 1
    elseif op == "}" then
      depth = depth - 1
      if depth == 0 then return i + 1 end
    end
    i = i + 1
  end
  return #tokens
end

local function open_brace(tokens, i, within)
  for k = i, math.min(i + (within or 5), #tokens) do
    if tokens[k].text == "{" and tokens[k].kind == "op" then return k end
  end
  return nil
end

-- Token index of the word of a statement, and from where on its options are looked for.
local function statement_of(tokens, text, s)
  local at = find_statement(tokens, text, s.word, not s.list and s.name or nil, s.line)
  return at, at and s.list and after_table(tokens, at) or at
end

---Where something of a statement stands.
---@param text string the file
---@param s table { word, name, line, list }
---@param path (string|integer)[]? keys to it; nil or empty: the statement
---@param what "key"|"value"
---@return integer line, integer column, integer length
function M.locate(text, s, path, what)
  local tokens = M.tokens(text)
  local at, from = statement_of(tokens, text, s)
  if not at then return s.line, 1, 0 end
  local first, last = tokens[at].first, tokens[at].last
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

---What is written as the value of a statement's option; nil: nothing, as far as the text
---tells.
function M.written(text, s, key)
  local tokens = M.tokens(text)
  local at, begin = statement_of(tokens, text, s)
  -- A name that is made, ("POST /" .. name), is no text: the line tells the statement.
  at = at or find_statement(tokens, text, s.word, nil, s.line)
  local brace = at and open_brace(tokens, begin or at, 16)
  if not brace then return nil end
  local key_at, value, stop = find_entry(tokens, brace, key)
  return key_at and text:sub(tokens[value].first, tokens[math.max(value, stop)].last)
end

---The entries of a statement's table whose value is written as a field of a table
---(on_event = rules.on_event): where Lua says nil, the name is mistyped.
---@return fun(): string?, string? key and value as written
function M.fields_of(text, s)
  local tokens = M.tokens(text)
  local at, begin = statement_of(tokens, text, s)
  local i = at and open_brace(tokens, begin)
  i = i and i + 1 or #tokens + 1
  return function()
    while tokens[i] and tokens[i].text ~= "}" do
      local from = i
      local stop = skip_value(tokens, i)
      i = stop
      if tokens[i] and tokens[i].text ~= "}" then i = i + 1 end
      local value = {}
      local plain = tokens[from].kind == "name" and tokens[from + 1] and
          tokens[from + 1].text == "="
      for k = from + 2, stop - 1 do
        local even = (k - from) % 2 == 0
        plain = plain and (even and tokens[k].kind == "name" or
          not even and tokens[k].text == ".")
        value[#value + 1] = tokens[k].text
      end
      if plain and #value >= 3 then return tokens[from].text, table.concat(value) end
    end
    return nil
  end
end

return M
