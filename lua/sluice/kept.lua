-- kept: the statements whose things are C's (counter, gauge, limit, lookup, cidr, mmdb,
-- agents), checked
-- and put in their places. Methods of the loader.

local handles = require "sluice.handles"
local values = require "sluice.values"
local words = require "sluice.words"

---@param Loader table the class that gets the methods
return function(Loader)

---A word whose value is used in functions: counter "name" { }, or without { }.
function Loader:handle_word(word, spec)
  return function(name)
    local s, place
    local handle
    local function given(args)
      if type(args) ~= "table" then
        self:problem(s, nil, "value", ("expected a table { }, got %s")
          :format(values.show(args)))
      else
        s.args = args
      end
    end
    if word == "lookup" or word == "cidr" then
      handle, place = handles.lookup(word, given)
    else
      handle = handles.new(word, given)
    end
    if type(name) == "table" and not spec.named then
      s = self:record(word, nil, name)
    else
      s = self:record(word, type(name) == "string" and name or "?", {})
      if type(name) ~= "string" then
        self:problem(s, nil, "value", ("expected a name: %s \"name\" { }")
          :format(word))
      end
    end
    s.handle, s.place = handle, place
    return handle
  end
end

local reserved = { "sluice_", "process_" }

-- The names that Prometheus and the server's own series leave free.
local function why_no_metric(word, name)
  if not name:match("^[a-z][a-z0-9_]*$") or #name > 100 then
    return "a metric's name is a to z, 0 to 9 and _, and begins with a letter"
  end
  for _, prefix in ipairs(reserved) do
    if name:sub(1, #prefix) == prefix then
      return ("names that begin with %s are the server's own"):format(prefix)
    end
  end
  if name == "up" or name:match("^scrape_") then
    return "up, and names that begin with scrape_, are Prometheus' own"
  end
  if word == "counter" and not name:match("_total$") then
    return ("a counter's name ends in _total: \"%s_total\""):format(name)
  elseif word == "gauge" and (name:match("_total$") or name:match("_count$") or
      name:match("_sum$") or name:match("_bucket$")) then
    return "a gauge's name does not end in _total, _count, _sum or _bucket"
  end
  return nil
end

local function why_no_label(label, seen)
  if not label:match("^[a-z][a-z0-9_]*$") or #label > 40 then
    return ("%s is no label: a to z, 0 to 9 and _"):format(values.show(label))
  elseif label == "le" or label == "quantile" then
    return ("the label %s has a meaning of its own"):format(values.show(label))
  elseif seen[label] then
    return ("the label %s is given twice"):format(values.show(label))
  end
  seen[label] = true
  return nil
end

function Loader:metric(s, first)
  local why = why_no_metric(s.word, s.name)
  if first[s.name] then
    why = ("is given twice, first in line %d"):format(first[s.name].line)
  end
  first[s.name] = first[s.name] or s
  if why then self:problem(s, nil, "value", why) end
  local o = self:options(s, {}, s.args, words[s.word].options)
  local seen = {}
  for i, label in ipairs(o.labels or {}) do
    local no = why_no_label(label, seen)
    if no then self:problem(s, { "labels", i }, "value", no) end
  end
  if #(o.labels or {}) > 3 then
    self:problem(s, { "labels" }, "value", "more than 3 labels")
  end
  o.word, o.name, o.labels = s.word, s.name, o.labels or {}
  return o
end

---The path of a file that stands at the keys of path of a statement; nil: it is told.
function Loader:beside(s, path, name, sample)
  if name:find("..", 1, true) or not name:match("^[%w_%-%./]+$") then
    self:problem(s, path, "value",
      ("expected a file beside the policy, such as \"%s\""):format(sample))
    return nil
  end
  return name:sub(1, 1) == "/" and name or self.folder .. name
end

-- The path of a file that a statement names; nil: it names none.
function Loader:named_file(s, sample)
  return self:beside(s, nil, s.name, sample)
end

---Opens the file of an mmdb.
function Loader:mmdb(s)
  self:options(s, {}, s.args, words.mmdb.options)
  local path = self:named_file(s, "GeoLite2-City.mmdb")
  if not path then return end
  local index, why = self.host.database(path)
  if index then
    handles.place("mmdb", s.handle, { index = index })
  else
    self:problem(s, nil, "value", why)
  end
end

-- The mistakes in a file at their lines, or the only one of it as a whole.
function Loader:file_problems(s, path, problems, told)
  if type(problems) == "string" then
    self:problem(s, nil, "value", problems)
    return
  end
  for _, p in ipairs(problems) do
    if not told[path .. p.line .. p.message] then
      told[path .. p.line .. p.message] = true
      self:add(path, math.max(p.line, 1), 1, 0, p.message)
    end
  end
end

---Reads the file of agents; every mistake in it is told at its line.
function Loader:agents(s, told)
  self:options(s, {}, s.args, words.agents.options)
  local path = self:named_file(s, "regexes.yaml")
  if not path then return end
  local index, problems = self.host.agents(path)
  if index then
    handles.place("agents", s.handle, { index = index })
  else
    self:file_problems(s, path, problems, told)
  end
end

---Reads the file of a lookup or cidr; every mistake in it is told at its line.
function Loader:lookup(s, told)
  local o = self:options(s, {}, s.args, words[s.word].options)
  local delimiter = o.delimiter
  if type(delimiter) ~= "string" or #delimiter ~= 1 or delimiter:find('["\r\n]') then
    self:problem(s, { "delimiter" }, "value", ("%s is not one character")
      :format(values.show(delimiter)))
    return
  end
  local path = self:named_file(s, s.word == "cidr" and "networks.csv" or "geo.csv")
  if not path then return end
  local index, names, key, unended =
      self.host.table(path, o.key, delimiter, s.word == "cidr")
  if index then
    handles.place_lookup(s.place, index, names, key)
    if unended then
      self:remark(s.file, s.line, ("%s %q: the file's last line has no line end: if the file "
        .. "was cut, put the whole one there"):format(s.word, s.name))
    end
  elseif type(names) == "string" then
    self:problem(s, nil, "value", names)
  else
    for _, p in ipairs(names) do
      if p.line == 0 then
        self:problem(s, { "key" }, "value", ("%s: %s")
          :format(values.show(o.key), p.message))
      elseif not told[path .. p.line .. p.message] then
        told[path .. p.line .. p.message] = true
        self:add(path, p.line, 1, 0, p.message)
      end
    end
  end
end

---Fills desc.metrics and desc.limits; handles get their places.
function Loader:kept(desc, admin)
  local metrics, limits, first, first_limit, told = {}, {}, {}, {}, {}
  local unnamed = {}
  for _, s in ipairs(self.statements) do
    if s.word == "counter" or s.word == "gauge" then
      local o = self:metric(s, first)
      metrics[#metrics + 1] = o
      handles.place(s.word, s.handle, { index = #metrics - 1, n = #o.labels })
    elseif s.word == "limit" then
      local o = self:limit(s, first_limit, unnamed)
      limits[#limits + 1] = o
      handles.place(s.word, s.handle, { index = #limits - 1, key = o.key or false,
        header = o.key and o.key:match("^header:(.+)$") or false,
        column = o.key and o.key:match("^key:(.+)$") or false,
        claim = o.key and o.key:match("^jwt:(.+)$") or false,
        message = ("more than %s"):format(tostring(o.shown)) })
    end
    if s.word == "lookup" or s.word == "cidr" then self:lookup(s, told) end
    if s.word == "mmdb" then self:mmdb(s) end
    if s.word == "agents" then self:agents(s, told) end
    if #metrics == 65 or #limits == 65 then
      self:problem(s, nil, "value", ("more than 64 %s")
        :format(s.word == "limit" and "limits" or "counters and gauges"))
      break
    end
  end
  desc.metrics, desc.limits = metrics, limits
  self:route_limits(desc)
  self:all_access(desc, admin)
end

end
