-- effects: options that change nothing beside the others of their statement. They do
-- no harm, so each is a note. Methods of the loader.

local source = require "sluice.source"
local values = require "sluice.values"

---@param Loader table the class that gets the methods
return function(Loader)

-- What a policy gives at a path of its own table a.
local function given(a, path)
  for _, key in ipairs(path) do
    a = type(a) == "table" and rawget(a, key)
    if a == nil or a == false and key ~= path[#path] then return nil end
  end
  return a
end

local function only_http(urls)
  if type(urls) ~= "table" or #urls == 0 then return false end
  for _, url in ipairs(urls) do
    if type(url) ~= "string" or not url:find("^http:") then return false end
  end
  return true
end

-- By word: (the options as given, as checked, no) where no(path, why) notes path, if it
-- is given.
local rules = {}

local function breaker(_, o, no)
  if o.breaker and not o.breaker.ready_to_trip then
    no({ "breaker", "slow" }, "without ready_to_trip: the default rule does not look at it")
  end
end

local function adapt(_, o, no)
  if o.batch and o.batch.min == o.batch.max then
    no({ "batch", "adapt" }, "where min is max: target stays between them")
  end
end

local function tls(_, o, no)
  if only_http(o.urls or o.url) and not (o.proxy and o.proxy:find("^https:")) then
    no({ "tls" }, "without an https url")
  elseif o.tls and o.tls.verify == false then
    no({ "tls", "ca" }, "with verify = false: no certificate is checked")
  end
  if o.tls and not o.tls.cert then
    no({ "tls", "key" }, "without cert, whose key it is")
  end
end

function rules.kafka(a, o, no)
  breaker(a, o, no)
  if o.framing == "event" then
    for _, key in ipairs { "target", "min", "max_bytes", "adapt" } do
      no({ "batch", key }, "with framing = \"event\": librdkafka forms the batches, by max "
        .. "and linger")
    end
  else
    adapt(a, o, no)
  end
  if o.topic_by == nil then
    no({ "topic_wait" }, "without topic_by")
    no({ "max_topics" }, "without topic_by")
  end
end

function rules.clickhouse(a, o, no)
  breaker(a, o, no)
  adapt(a, o, no)
  tls(a, o, no)
  if given(a, { "hedge", "after" }) == nil then
    no({ "hedge" }, "without after: sluice does not hedge")
  elseif type(o.urls) == "table" and #o.urls == 1 then
    no({ "hedge" }, "with one url: the second insert goes to another one")
  end
end

function rules.http(a, o, no)
  breaker(a, o, no)
  adapt(a, o, no)
  tls(a, o, no)
end

function rules.stream(_, o, no)
  if o.ack ~= "delivered" then no({ "timeout" }, "without ack = \"delivered\"") end
end

function rules.route(a, o, no)
  if o.body == "event" then no({ "partial" }, "with body = \"event\": a request is one event") end
  if a.on_event == nil and a.on_request == nil then
    no({ "on_error" }, "without on_event or on_request")
  end
end

function rules.counter(_, o, no)
  if o.labels == nil then no({ "max_series" }, "without labels: there is one series") end
end

rules.gauge = rules.counter

function rules.server(_, o, no)
  local one, all = o.max_connections_per_address, o.max_connections
  if one and all and one >= all then
    no({ "max_connections_per_address" }, "where it is not less than max_connections")
  end
end

function rules.example(a, _, no)
  if type(a.expect) == "table" and next(a.expect) == nil then
    no({ "expect" }, "while it is empty: nothing is compared")
  end
end

local function note(self, s, path, text)
  local line = source.locate(self.texts[s.file] or "", s, path, "key")
  local name = s.name and ("%s %q"):format(s.word, s.name) or s.word
  self:remark(s.file, line, ("%s.%s: %s"):format(name, table.concat(path, "."), text))
end

---Notes what statement s says without an effect.
---@param o table its options, checked
function Loader:note_effects(s, o)
  local rule = rules[s.word]
  if not rule then return end
  rule(s.args, o, function(path, why)
    if given(s.args, path) ~= nil then note(self, s, path, "has no effect " .. why) end
  end)
end

---Notes a max_lag that a stream may never reach: a worker whose segment is full gets no new
---one from max_bytes on, while each other worker holds two that are not full.
---@param desc table with sinks and streams, whose max_bytes is known
---@param apart number bytes of these segments
function Loader:note_lags(desc, apart)
  for _, stream in ipairs(desc.streams) do
    local most = values.show_bytes(stream.max_bytes - stream.max_bytes % 2 ^ 20)
    for _, use in ipairs(stream.sinks) do
      local path = { "sinks", desc.sinks[use.sink + 1].statement.name, "max_lag" }
      if use.skip and use.max_lag >= stream.max_bytes then
        note(self, stream.statement, path, ("has no effect where it is not less than max_bytes, "
          .. "%s: the stream is full before the sink skips"):format(most))
      elseif use.skip and use.max_lag > stream.max_bytes - apart then
        note(self, stream.statement, path, ("%s is close to max_bytes, %s: the stream may be "
          .. "full before the sink skips; at most half of max_bytes is safe"):format(
          values.show_bytes(use.max_lag), most))
      end
    end
  end
end

end
