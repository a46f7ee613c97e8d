-- refused: where a route keeps what it refuses (on_refused). A method of the loader; every
-- mistake is recorded and the rest goes on.

local suggest = require "sluice.suggest"
local values = require "sluice.values"
local words = require "sluice.words"

---@param Loader table the class that gets the methods
return function(Loader)

local function stream_names(self)
  local names = {}
  for name in pairs(self.stream_index) do names[#names + 1] = name end
  table.sort(names)
  return names
end

---The table that on_refused stands for, in a copy of the route's arguments: the word
---"dead_letter" is one of its forms.
function Loader.open_refused(_, args)
  if args.on_refused ~= "dead_letter" then return args end
  local copy = {}
  for k, v in pairs(args) do copy[k] = v end
  copy.on_refused = {}
  return copy
end

---on_refused of a route; nil: what is refused is not kept.
function Loader:route_refused(s, o)
  local given, r = s.args.on_refused, o.on_refused
  if not r then return nil end
  local out = { stream = -1, rate = r.rate, max_record = r.max_record }
  if given == "dead_letter" then return out end
  local found = self.stream_index[r.stream]
  if r.stream == nil then
    if type(given) == "table" and given.stream == nil then
      self:problem(s, { "on_refused" }, "value", "needs stream: name of the stream that "
        .. "gets what is refused; or write on_refused = \"dead_letter\"")
    end
  elseif r.stream == o.stream then
    self:problem(s, { "on_refused", "stream" }, "value", ("%s has the route's accepted "
      .. "events: give what is refused a stream of its own"):format(values.show(r.stream)))
  elseif not found then
    self:problem(s, { "on_refused", "stream" }, "value", ("there is no stream %s%s")
      :format(values.show(r.stream), suggest.hint(r.stream, stream_names(self))))
  else
    found.used = true
    out.stream = found.index
  end
  return out
end

---Of options whose table may also be a word.
function Loader:refused_word(s, path, v)
  local spec = words.route.options.on_refused
  self:problem(s, path, "value", ("%s is neither \"dead_letter\" nor { stream = \"name\" }%s")
    :format(values.show(v), type(v) == "string"
      and suggest.hint(v, { spec.word }) or ""))
end

end
