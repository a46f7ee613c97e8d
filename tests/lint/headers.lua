-- headers: a prototype says where its function is. Those of a header before its first
-- heading are defined in the .c file of the same name; those below a heading
--
--     /* ---- pump.c: what it is about ---- */
--
-- in that file, which lies in the header's folder or is named from src/ on. A heading
-- may name several files, with commas between them.

local bad, n = 0, 0
local function report(path, line, what)
  bad = bad + 1
  print(("%s:%d: %s"):format(path, line, what))
end

local function exists(path)
  local f = io.open(path)
  if f then f:close() end
  return f ~= nil
end

---Whether two sets have a member in common.
local function meet(a, b)
  for k in pairs(a) do
    if b[k] then return true end
  end
  return false
end

local function slurp(path)
  local f = assert(io.open(path))
  local text = f:read("a")
  f:close()
  return text
end

---Blanks that keep the newlines of the text that they replace; \1 is one that a macro
---goes on behind.
local function blank(s) return (s:gsub("[^\n\1]", " ")) end

---The text without comments, strings, preprocessor lines and attributes; its lines stay
---where they are.
local function bare(text)
  text = ("\n" .. text):gsub("/%*.-%*/", blank):gsub("\\\n", "\1"):gsub('\\"', "  ")
    :gsub('"[^"\n]*"', blank):gsub("'\\?.[^'\n]?'", blank):gsub("//[^\n]*", blank)
    :gsub("\n[ \t]*#[^\n]*", blank)
  return (text:sub(2):gsub("__attribute__%s*%b()", blank):gsub("PRINTF%b()", blank)
    :gsub("\1", "\n"))
end

---Calls back with the name, the line and the closing sign ("{" or ";") for each
---function that is declared or defined at the top and is not static.
local function functions(text, fn)
  local at = 1
  local line, counted = 1, 1
  while true do
    local from, last = text:find("[^;{}]*[;{}]", at)
    if not from then return end
    local head, ends = text:sub(from, last - 1), text:sub(last, last)
    local name, open = head:match("([%a_][%w_]*)%s*()%(")
    if name and head:sub(1, open - 1):find("[%w_][%s*]+[%w_]+%s*$") and
        not head:find("%f[%w_]static%f[^%w_]") and not head:find("^%s*typedef") and
        not head:find("=", 1, true) then
      local place = from + head:find(name, 1, true) - 1
      line = line + select(2, text:sub(counted, place - 1):gsub("\n", ""))
      counted = place
      fn(name, line, ends)
    end
    at = last + 1
    if ends == "{" then
      local _, close = text:find("%b{}", last)
      at = (close or #text) + 1
    end
  end
end

-- Functions that the build makes of the Lua files, in no .c file of src.
local made = { embed_find = true, asset_text = true }

local headers, home = {}, {}
local list = assert(io.popen("find src -name '*.[ch]' | sort"))
for path in list:lines() do
  if path:sub(-2) == ".h" then
    headers[#headers + 1] = path
  else
    functions(bare(slurp(path)), function(name, _, ends)
      if ends == "{" then
        home[name] = home[name] or {}
        home[name][path] = true
      end
    end)
  end
end
list:close()

---The headings of a header: line and files, in order. A file lies in the header's
---folder or is named from src/ on.
local function headings(path, text)
  local folder = path:match("^(.*/)")
  local all, at = {}, 1
  text = "\n" .. text
  while true do
    local from, last = text:find("\n/%*.-%*/", at)
    if not from then return all end
    from = from + 1
    local number = select(2, text:sub(1, from):gsub("\n", ""))
    local words = text:sub(from + 2, last - 2):gsub("%s+%*?%s*", " ")
    local names = words:match("^ %-%-%-%- ([%w_/., ]+%.c):? [^\n]*%-%-%-%- $")
    if names then
      local files = {}
      for name in names:gmatch("[^, ]+") do
        local file = folder .. name
        if not exists(file) then file = "src/" .. name end
        if not exists(file) then report(path, number, "there is no " .. name) end
        files[file] = true
      end
      all[#all + 1] = { line = number, files = files }
    elseif words:find("^ [%w_/]+%.c%f[^%w]") or words:find("^ %-%-%-%-") then
      report(path, number, "a heading is written /* ---- name.c: words ---- */")
    end
    at = last + 1
  end
end

local function check(path)
  local text = slurp(path)
  local all, own = headings(path, text), { [path:gsub("%.h$", ".c")] = true }
  functions(bare(text), function(name, line, ends)
    if ends ~= ";" then return end
    n = n + 1
    local files = own
    for _, h in ipairs(all) do
      if h.line < line then files = h.files end
    end
    local where = home[name] or made[name] and { [path:gsub("%.h$", ".c")] = true }
    if not where then
      report(path, line, name .. " is defined nowhere")
    elseif not meet(where, files) then
      report(path, line, ("%s is defined in %s, not in %s"):format(name, next(where), next(files)))
    end
  end)
end

for _, path in ipairs(headers) do check(path) end
print(("%d prototypes, %d problems"):format(n, bad))
os.exit(bad == 0 and n > 500 and 0 or 1)
