-- describe: a policy's statements, checked against words, as the plain description
-- that C builds its plan from. Methods of the loader; every mistake is recorded and
-- the rest goes on.

local source = require "sluice.source"
local suggest = require "sluice.suggest"
local tables = require "sluice.tables"
local values = require "sluice.values"
local words = require "sluice.words"

local extend, sorted_keys = tables.extend, tables.sorted_keys

---@param Loader table the class that gets the methods
return function(Loader)

-- Of an option's text, as the end of an error: neither a capital nor a full stop.
local function first_sentence(help)
  local text = help:match("^(.-)%.%s") or help:gsub("%.$", "")
  return text:sub(1, 1):lower() .. text:sub(2)
end

---An option that is a table of options, and may be a list of such tables as well.
function Loader:option_table(s, path, t, spec)
  if not spec.items then return self:options(s, path, t, spec.options) end
  local named, list = {}, {}
  for key, v in pairs(t) do
    if type(key) ~= "number" or t[1] == nil or key > #t then named[key] = v end
  end
  local out = self:options(s, path, named, spec.options)
  for i, v in ipairs(t) do
    if type(v) == "table" then
      list[i] = self:options(s, extend(path, i), v, spec.items)
    else
      self:problem(s, extend(path, i), "value", ("%s is not a table { }"):format(
        values.show(v)))
    end
  end
  out.items = list
  return out
end

---Checks table t against options; returns the normalized values.
function Loader:options(s, path, t, options)
  local out, names = {}, sorted_keys(options)
  if #path == 0 and s.file then self:check_nils(s, options) end
  for _, key in ipairs(sorted_keys(t)) do
    if not options[key] then
      self:problem(s, extend(path, key), "key",
        "unknown key" .. (options[words.aliases[key]]
          and ("; did you mean \"%s\"?"):format(words.aliases[key])
          or suggest.hint(key, { unpack(names) })))
    end
  end
  for _, key in ipairs(names) do
    local spec, v = options[key], t[key]
    local unknown = v ~= nil and (self:is_unknown(v) or self:is_unset(v))
    if unknown then
      out[key] = values.default(spec, self.host)
    elseif v == nil then
      if spec.required then
        self:problem(s, path, "value", ("needs %s: %s"):format(key,
          first_sentence(spec.help)))
      elseif spec.type == "options" and not spec.optional then
        out[key] = self:options(s, extend(path, key), {}, spec.options)
      else
        out[key] = values.default(spec, self.host)
      end
    elseif spec.type == "options" then
      local preset = spec.presets and type(v) == "string" and spec.presets[v]
      v = preset or spec.short and type(v) == "string" and { [spec.short] = v } or v
      if type(v) == "table" then
        out[key] = self:option_table(s, extend(path, key), v, spec)
      elseif spec.word then
        self:refused_word(s, extend(path, key), v)
      else
        self:problem(s, extend(path, key), "value",
          spec.short and ("%s is neither a path nor a table { }"):format(values.show(v))
            or spec.presets and ("%s is neither \"%s\" nor a table { }"):format(values.show(v),
            (next(spec.presets))) or ("%s is not a table { }"):format(values.show(v)))
      end
    else
      local ok, why = values.check(v, spec, self.host)
      if why then
        self:problem(s, extend(path, key), "value", why)
        ok = values.default(spec, self.host)
      end
      out[key] = ok
    end
  end
  if #path == 0 and s.file then self:note_effects(s, out) end
  return out
end

local function of_word(self, word)
  local list = {}
  for _, s in ipairs(self.statements) do
    if s.word == word then list[#list + 1] = s end
  end
  return list
end
Loader.of_word = of_word

function Loader:single(word)
  local list = of_word(self, word)
  for i = 2, #list do
    self:problem(list[i], nil, "value", ("is given twice, first in line %d")
      :format(list[1].line))
  end
  local s = list[1] or { word = word, file = self.name, line = 1, args = {} }
  return self:options(s, {}, s.args, words[word].options), s
end

-- Folders in the spool beside those of the streams. DELIVERY.md lets an operator delete the
-- first one.
local folders = { damaged = true, keys = true, sinks = true }

-- A name that a file or a metric can carry.
function Loader:check_name(s, seen)
  if not s.name:match("^[a-z0-9_%-]+$") or #s.name > 64 then
    self:problem(s, nil, "value",
      "a name is 1 to 64 of a-z, 0-9, _ and -")
  elseif s.name == "dead" or s.name == "dead-letters" then
    self:problem(s, nil, "value", "this name is sluice's own")
  elseif s.word == "stream" and folders[s.name] then
    self:problem(s, nil, "value", "this name is sluice's own: the spool has a folder of that name")
  elseif seen[s.name] then
    self:problem(s, nil, "value", ("is given twice, first in line %d")
      :format(seen[s.name].line))
  end
  seen[s.name] = seen[s.name] or s
end

function Loader:sinks()
  local list, seen = {}, {}
  for _, s in ipairs(self.statements) do
    if words[s.word] and words[s.word].sink then
      self:check_name(s, seen)
      local o = self:options(s, {}, s.args, words[s.word].options)
      o.kind, o.name, o.statement = s.word, s.name, s
      self:check_sink(s, o)
      o.urls = o.urls or o.url
      list[#list + 1] = o
      seen[s.name].index = #list - 1
    end
  end
  self.sink_index = seen
  self:check_was(list, seen)
  self:check_folders(list)
  return list
end

-- Two sinks in one folder would give their files the same names. Links are seen
-- when the sinks start.
function Loader:check_folders(list)
  local owners = {}
  for _, o in ipairs(list) do
    local dir = type(o.dir) == "string" and
      ("/" .. o.dir .. "/"):gsub("/%./", "/"):gsub("/+", "/")
    local absolute = dir and o.dir:sub(1, 1) == "/"
    local key = dir and (absolute and "=" or "") .. dir
    if key and owners[key] then
      self:problem(o.statement, { "dir" }, "value",
        ("%s is the folder of the sink %s in line %d: give each file sink its "
        .. "own folder"):format(values.show(o.dir),
        values.show(owners[key].name), owners[key].statement.line))
    elseif key then
      owners[key] = o
    end
  end
end

-- A sink that takes over another's journal: that one is gone, and taken over once.
function Loader:check_was(list, seen)
  local taken = {}
  for _, o in ipairs(list) do
    local s = o.statement
    if o.was == o.name then
      self:problem(s, { "was" }, "value", "is its own name")
    elseif o.was and seen[o.was] then
      self:problem(s, { "was" }, "value", ("the sink %s is still there, in "
        .. "line %d: was names one that is gone"):format(values.show(o.was),
        seen[o.was].line))
    elseif o.was and taken[o.was] then
      self:problem(s, { "was" }, "value", ("%s is taken over in line %d already")
        :format(values.show(o.was), taken[o.was]))
    end
    if o.was then taken[o.was] = taken[o.was] or s.line end
  end
end

function Loader:stream_sinks(s, sinks)
  local list, names, taken = {}, {}, {}
  for name in pairs(self.sink_index) do names[#names + 1] = name end
  local function add(name, path, opts)
    local found = self.sink_index[name]
    if not found and type(name) ~= "string" then
      if not self:is_unknown(name) then
        self:problem(s, path, "value", ("%s is not the name of a sink: write "
          .. "sinks = { \"name\" }"):format(values.show(name)))
      end
      return
    elseif not found then
      self:problem(s, path, "value", ("there is no sink %s%s"):format(
        values.show(name), suggest.hint(name, { unpack(names) })))
      return
    end
    found.used = true
    if taken[name] then
      self:problem(s, path, "value", ("the sink %s is named twice"):format(
        values.show(name)))
    end
    taken[name] = true
    local o = self:options(s, path, opts, words.stream_sink)
    if o.when_full == "skip" and not o.max_lag then
      self:problem(s, path, "value", "\"skip\" needs max_lag, such as \"4GiB\"")
    elseif o.when_full ~= "skip" and o.max_lag then
      self:problem(s, path, "value",
        "max_lag means nothing without when_full = \"skip\"")
    end
    list[#list + 1] = { sink = found.index, skip = o.when_full == "skip",
      max_lag = o.max_lag or 0 }
  end
  if type(sinks) ~= "table" then
    self:problem(s, { "sinks" }, "value",
      ("%s is not a list of sinks"):format(values.show(sinks)))
    return list
  end
  for i, name in ipairs(sinks) do add(name, { "sinks", i }, {}) end
  for _, key in ipairs(sorted_keys(sinks)) do
    if type(key) == "string" then
      local opts = sinks[key]
      if type(opts) ~= "table" then
        self:problem(s, { "sinks", key }, "value",
          ("%s is not a table { }"):format(values.show(opts)))
        opts = {}
      end
      add(key, { "sinks", key }, opts)
    end
  end
  if #list == 0 and next(sinks) == nil then
    self:problem(s, { "sinks" }, "value", "a stream needs at least one sink")
  end
  return list
end

local WEEK_MS = 7 * 24 * 3600 * 1000

-- What goes with persist, and what does not.
function Loader:check_dedup(s, o)
  local window, given = o.window or 0, type(s.args.dedup) == "table" and s.args.dedup or {}
  if not o.persist and window > WEEK_MS then
    self:problem(s, { "dedup", "window" }, "value", ("%s is more than 7d: keys of a longer "
      .. "window need persist = true"):format(values.show(given.window)))
  elseif o.persist and given.max_keys then
    self:problem(s, { "dedup", "max_keys" }, "key",
      "is of no use with persist = true: the disk has room for all keys of the window")
  end
end

function Loader:streams()
  local list, seen = {}, {}
  for _, s in ipairs(of_word(self, "stream")) do
    self:check_name(s, seen)
    local o = self:options(s, {}, s.args, words.stream.options)
    o.name = s.name
    o.statement = s
    o.sinks = o.sinks and self:stream_sinks(s, o.sinks) or {}
    if o.dedup then self:check_dedup(s, o.dedup) end
    list[#list + 1] = o
    seen[s.name].index = #list - 1
  end
  self.stream_index = seen
  if #list > 63 then
    self:problem(list[64].statement, nil, "value", "more than 63 streams")
  end
  return list
end

function Loader:examples()
  local list = {}
  for _, s in ipairs(of_word(self, "example")) do
    local o = self:options(s, {}, s.args, words.example.options)
    local request = type(o.request) == "string" and o.request or ""
    local method, path = request:match("^(%u+) (/%S*)$")
    if not method and o.request then
      self:problem(s, { "request" }, "value",
        "expected a method and a path: \"POST /v1/events\"")
    elseif not o.body and s.args.body == nil and method ~= "GET" and method ~= "HEAD" then
      self:problem(s, {}, "value", "needs body: body of the request, as a client sends it")
    elseif method and (o.body or s.args.body == nil) and o.expect then
      local line, column, length =
          source.locate(self.texts[s.file] or "", s, { "expect" }, "value")
      local headers = { { name = "content-type", value = o.content_type } }
      for _, header in ipairs(o.headers or {}) do
        headers[#headers + 1] = header
      end
      list[#list + 1] = { name = s.name, method = method,
        path = path:match("^[^?]*"), query = path:match("%?(.*)$") or "",
        body = o.body or "", content_type = o.content_type, headers = headers,
        at = o.at,
        expect = o.expect, file = s.file, line = line, column = column,
        length = length }
    end
  end
  return list
end

-- A policy that is on trial, when it is loaded by a reload.
-- nil: no log.
function Loader:access_log()
  if not of_word(self, "access_log")[1] then return nil end
  local o, s = self:single("access_log")
  if type(o.path) == "string" and (o.path == "" or o.path:sub(-1) == "/") then
    self:problem(s, { "path" }, "value", ("%s is not the path of a file")
      :format(values.show(o.path)))
  end
  if o.sample == 0 and o.always == "none" then
    self:problem(s, { "sample" }, "value", "no request would have a line: give a larger "
      .. "share, or always = \"refused\"")
  end
  return o
end

function Loader:trial()
  local canary, shadow = of_word(self, "canary"), of_word(self, "shadow")
  if canary[1] and shadow[1] then
    self:problem(shadow[1], nil, "value", ("a policy is either a canary or a "
      .. "shadow; canary stands in line %d"):format(canary[1].line))
  end
  local word = canary[1] and "canary" or shadow[1] and "shadow"
  if not word then return nil end
  local o = self:single(word)
  o.kind = word
  if o.by then o.header = o.by:match("^header:(.*)$") end
  return o
end

-- Half of the spool may stand prepared, two segments for each worker and stream. Sizes
-- that the policy does not give are made to fit.
function Loader:fit_segments(desc)
  local spool, streams = desc.spool, #desc.streams + 1
  local given = self.spool_statement.args
  local workers = desc.server.workers > 0 and desc.server.workers
      or self.host.cores
  local size = values.show_bytes
  local least = math.max(4 * 1024 * 1024, 4 * desc.server.max_body)
  if spool.segment < least and given.segment then
    self:problem(self.spool_statement, { "segment" }, "value",
      ("%s is too small: a segment has room for four bodies, 4 × server.max_body = %s")
      :format(size(spool.segment), size(least)))
    return
  end
  local need = workers * streams * 4 * least
  if not given.max_bytes then spool.max_bytes = math.max(spool.max_bytes, need) end
  spool.segment = math.max(spool.segment, least)
  local most = spool.max_bytes / 2 / (workers * streams * 2)
  local segment = math.floor(math.min(spool.segment, most) / 4096) * 4096
  if segment < least then
    self:problem(self.spool_statement, { "max_bytes" }, "value",
      ("too small: %d workers × %d streams (the dead letters are one) × 2 segments of %s "
        .. "(at least 4 × server.max_body) pass half of it; give at least %s")
      :format(workers, streams, size(least), values.show(size(need))))
  end
  spool.segment = segment
  for _, s in ipairs(desc.streams) do
    s.max_bytes = s.max_bytes or math.floor(spool.max_bytes / streams)
    if s.max_bytes < 4 * workers * segment then
      self:problem(s.statement, { "max_bytes" }, "value",
        ("too small: %d workers × 4 segments of %s need %s")
        :format(workers, size(segment), values.show(size(4 * workers * segment))))
    end
  end
  self:note_lags(desc, 2 * workers * segment)
end

function Loader:describe()
  local server, server_statement = self:single("server")
  local admin, admin_statement = self:single("admin")
  local desc = { server = server, admin = admin }
  self:check_admin(admin_statement, admin)
  desc.spool, self.spool_statement = self:single("spool")
  self.limits = desc.server
  desc.sinks = self:sinks()
  desc.streams = self:streams()
  desc.schemas = self:schemas()
  self:keys_files(desc)
  desc.routes = self:routes()
  self:signed_lists(desc)
  self:check_certificate_keys(desc.routes)
  desc.listeners = self:listeners(server, server_statement, desc.routes)
  desc.examples = self:examples()
  desc.trial = self:trial()
  self:kept(desc, admin_statement)
  self:keys_metric(desc)
  desc.log = self:single("log")
  desc.access_log = self:access_log()
  for open in pairs(self.open) do
    self:problem(open, nil, "value", "has no { } behind its name")
  end
  for _, sink in ipairs(desc.sinks) do
    if not self.sink_index[sink.name].used then
      self:problem(sink.statement, nil, "value",
        "no stream delivers to this sink")
    end
  end
  self:note_dropped(desc)
  self:check_hooks()
  if #self.problems == 0 then self:fit_segments(desc) end
  return desc
end

end
