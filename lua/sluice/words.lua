-- words: the words and options of a policy file. The loader, the error texts, the type
-- annotations and the reference all read this one table.
--
-- An option: type, default (as a policy would write it; nil: none), required,
-- min, max (in the unit of the parsed value), values (of an enum), help.
-- Types are the checks of values.lua, and "options" (a table of options), "sinks",
-- "schema", "stream". of: the type of a list's items; params, signature: of a
-- function; lua: its type for editors, where the type's own would not do.
--
-- The words stand in words_*.lua, one noun a file; this file joins them.

local M = {}

for _, name in ipairs { "server", "listen", "sinks", "routes", "rollout", "handles", "auth",
    "fields", "functions", "mistakes" } do
  for word, spec in pairs(require("sluice.words_" .. name)) do
    assert(M[word] == nil, "two files have the same word")
    if word ~= "shared" then M[word] = spec end
  end
end

for _, spec in pairs(M) do
  if spec.sink then
    spec.options.from = { type = "enum", default = "now",
      values = { "now", "oldest" },
      help = "Where a sink that is new to a stream begins: \"now\" with the events after "
        .. "the load, \"oldest\" with all events that the spool still has." }
    spec.options.was = { type = "string",
      help = "Earlier name of this sink. The sink goes on where that one was." }
  end
end

return M
