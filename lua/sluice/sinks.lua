-- sinks: the options of a sink that must fit together. Methods of the loader.

local values = require "sluice.values"

---@param Loader table the class that gets the methods
return function(Loader)

function Loader:check_batch(s, b)
  if b.min > b.target then
    self:problem(s, { "batch", "min" }, "value",
      ("%d is more than target %d"):format(b.min, b.target))
  elseif b.target > b.max then
    self:problem(s, { "batch", "target" }, "value",
      ("%d is more than max %d"):format(b.target, b.max))
  end
end

-- Neither cluster can tell a copy: the policy has to say that it knows.
function Loader:check_second_cluster(s, h)
  if s.args.hedge == nil then return end
  for _, key in ipairs { "brokers", "after" } do
    if h[key] == nil and type(s.args.hedge) == "table"
      and s.args.hedge[key] == nil then
      self:problem(s, { "hedge" }, "value", ("needs %s: %s"):format(key,
        key == "brokers" and "the second cluster" or
        "how long the first may take"))
    end
  end
  if h.may_duplicate ~= true then
    self:problem(s, { "hedge", "may_duplicate" }, "value",
      "must be true: a message that both clusters take is there twice, and "
      .. "only its sluice-position (position = \"headers\") tells")
  end
end

-- One message a batch has neither a key nor a topic of its events.
function Loader:check_framing(s, o)
  if o.framing ~= "batch" then return end
  for _, key in ipairs { "key", "topic_by", "timestamp" } do
    if o[key] ~= nil then
      self:problem(s, { key }, "value",
        "means nothing with framing = \"batch\": a message has many events")
    end
  end
end

function Loader:check_sink(s, o)
  if o.batch then self:check_batch(s, o.batch) end
  if s.word == "file" and o.dir and o.dir:find("%%") then
    self:problem(s, { "dir" }, "value", ("%s is taken as it stands: the date is part of no "
      .. "name; files are rotated by rotate.age"):format(values.show(o.dir)))
  elseif s.word == "clickhouse" and o.table and not o.table:find(".", 1, true) then
    self:problem(s, { "table" }, "value", ("%s has no database: write \"database.%s\"")
      :format(values.show(o.table), o.table:sub(1, 40)))
  end
  if s.word == "kafka" then
    self:check_framing(s, o)
    if o.hedge then self:check_second_cluster(s, o.hedge) end
  end
end

end
