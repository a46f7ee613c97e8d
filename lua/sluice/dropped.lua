-- dropped: keys of streams and sinks that no event can have, since the route's schema
-- drops every field that it does not name. A note: the events are stored, but each counts
-- as new to dedup, and Kafka sees no key. Methods of the loader.

local source = require "sluice.source"
local values = require "sluice.values"

---@param Loader table the class that gets the methods
return function(Loader)

-- Whether a field stays that is path, lies in it or holds it.
local function stays(path, list, name)
  for _, f in ipairs(list) do
    local field = f[name]
    local short, long = field, path
    if #short > #long then short, long = path, field end
    if short == long or long:sub(1, #short + 1) == short .. "." then return true end
  end
  return false
end

-- Notes a key of statement s that route never leaves in an event.
local function note(self, route, s, at, path, effect)
  if stays(path, route.fields, "path") or stays(path, route.enrichment, "key") then return end
  local line = source.locate(self.texts[s.file] or "", s, at, "value")
  self:remark(s.file, line, ("%s %q.%s: no event of route %q has %s: its schema says others = "
    .. "\"drop\" and does not name it, so %s"):format(s.word, s.name, table.concat(at, "."),
    route.statement.name, values.show(path), effect))
end

-- The options of a Kafka sink that read a field, and what happens without it.
local OF_KAFKA = {
  { option = "key", effect = "its messages have no key" },
  { option = "topic_by", effect = "they go to the sink's topic" },
}

---Notes keys that others = "drop" takes out of every event. A route with on_event is
---left out: the hook may set the field.
---@param desc table with streams, sinks, schemas and routes
function Loader:note_dropped(desc)
  for _, route in ipairs(desc.routes) do
    local schema, stream = desc.schemas[route.schema + 1], desc.streams[route.stream + 1]
    if schema and stream and schema.others == "drop" and not route.on_event then
      for _, path in ipairs(stream.dedup and stream.dedup.key or {}) do
        note(self, route, stream.statement, { "dedup", "key" }, path, "dedup takes each for new")
      end
      for _, use in ipairs(stream.sinks) do
        local sink = desc.sinks[use.sink + 1]
        for _, each in ipairs(sink and sink.statement.word == "kafka" and OF_KAFKA or {}) do
          local path = sink[each.option]
          if type(path) == "string" then
            note(self, route, sink.statement, { each.option }, path, each.effect)
          end
        end
      end
    end
  end
end

end
