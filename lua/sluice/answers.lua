-- answers: what a policy's routes answer: a status, headers, a body with values of the
-- event, a redirect. Methods of the loader; every mistake is recorded and the rest goes on.

local paths = require "sluice.paths"
local suggest = require "sluice.suggest"
local tables = require "sluice.tables"
local values = require "sluice.values"

local BODY_MAX, HEADERS_MAX, URL_MAX, HOSTS_MAX, ITEM_MAX = 4096, 2048, 2048, 256, 512
local REFUSED_MAX, PLACES_MAX = 1024, 2

-- What stands for {$NAME} where JSON is checked. Others are texts.
local SAMPLES = { code = "0", accepted = "0", rejected = "0", errors = "true", items = "{}",
  status = "0", index = "0" }
local OF_ALL = { accepted = true, rejected = true, errors = true, items = true,
  message = true }
local OF_ITEM = { index = true }
local OF_REQUEST = { status = true, code = true, message = true }
local OF_REFUSED = { status = true, code = true, message = true, index = true }

-- Routes whose requests are one event.
local single = { event = true, query = true, form = true, any = true }

local redirects = { [301] = true, [302] = true, [303] = true, [307] = true, [308] = true }

---@param Loader table the class that gets the methods
return function(Loader)

-- "a{x}b" as { { text = "a", path = "x" }, { text = "b" } }; nil: it has no {name}. {$x}
-- has kind = "x".
local function parts_of(text)
  local list, at = {}, 1
  for from, mark, path, to in text:gmatch("(){(%$?)([%a_][%w_.]*)}()") do
    list[#list + 1] = { text = text:sub(at, from - 1), path = mark == "" and path or nil,
      kind = mark ~= "" and path or nil }
    at = to
  end
  if #list == 0 then return nil end
  list[#list + 1] = { text = text:sub(at) }
  return list
end

-- numeric: {$code} is a number. others: samples in place of the usual ones.
local function with(parts, value, numeric, others)
  local texts = {}
  for i, p in ipairs(parts) do
    local text = p.path or p.kind == "message" or p.kind == "code" and not numeric
    texts[i] = p.text .. (text and value or others and others[p.kind] or SAMPLES[p.kind] or "")
  end
  return table.concat(texts)
end

-- How {x} or {$x} of the first text stands in a policy.
local function first_text(parts)
  for _, p in ipairs(parts) do
    if p.path then return "{" .. p.path .. "}" end
    if p.kind == "message" or p.kind == "code" then return "{$" .. p.kind .. "}" end
  end
end

-- "{$x}" of a body of many events, or of an item of it; nil: the list is right.
local function wrong_kind(parts, allowed)
  for _, p in ipairs(parts or {}) do
    if p.kind and not allowed[p.kind] then
      local names = tables.sorted_keys(allowed)
      return ("{$%s} is none of {$%s}%s"):format(p.kind, table.concat(names, "}, {$"),
        suggest.hint(p.kind, names))
    end
  end
end

local function has_kind(parts, kind)
  for _, p in ipairs(parts or {}) do
    if kind and p.kind == kind or not kind and p.kind then return true end
  end
  return false
end

local function is_json_type(type)
  return not type or type:lower():find("^application/json") ~= nil
    or type:lower():find("^[%w.-]+/[%w.-]+%+json") ~= nil
end

-- One of the two texts for an event in a body of many.
function Loader:answer_item(s, a, key, allowed)
  local text, why = a[key]
  local parts = parts_of(text) or { { text = text } }
  if #text > ITEM_MAX then
    why = ("is longer than %d bytes"):format(ITEM_MAX)
  else
    why = wrong_kind(parts, allowed)
  end
  for _, p in ipairs(parts) do
    if not why and p.path and p.path:find(".", 1, true) then
      why = ("{%s}: expected a field of the event itself, without a dot"):format(p.path)
    end
  end
  if not why and not self.host.is_json(with(parts, "x")) then
    why = self.host.is_json(with(parts, "0"))
      and "a field, {$code} and {$message} stand between quotes" or "is no JSON"
  end
  if why then self:problem(s, { "answer", key }, "value", why) end
  return parts
end

function Loader:answer_items(s, o, a)
  local asked = has_kind(a.body and parts_of(a.body), "items")
  for _, key in ipairs { "item", "item_refused" } do
    if a[key] and not asked then
      self:problem(s, { "answer", key }, "key",
        "means nothing without {$items} in body, such as body = '{\"items\":[{$items}]}'")
      return
    elseif asked and not a[key] then
      self:problem(s, { "answer" }, "value", ("needs %s: what {$items} of body has for %s "
        .. "event"):format(key, key == "item" and "an accepted" or "a refused"))
      return
    end
  end
  if not asked then return end
  if o.partial == false then
    self:problem(s, { "answer", "item" }, "key", "each event is told by itself, which "
      .. "partial = false forbids")
  end
  return self:answer_item(s, a, "item", OF_ITEM),
    self:answer_item(s, a, "item_refused", OF_REFUSED)
end

-- Whether parts are JSON with any number of items.
local function is_list(self, parts)
  return self.host.is_json(with(parts, "x", nil, { items = "" }))
    and self.host.is_json(with(parts, "x", nil, { items = '{"x":0},{"x":0}' }))
end

function Loader:answer_body(s, o, a)
  local parts = is_json_type(a.type) and parts_of(a.body) or nil
  local sums = has_kind(parts)
  local why = wrong_kind(parts, OF_ALL)
  if #a.body > BODY_MAX then
    self:problem(s, { "answer", "body" }, "value",
      ("is longer than %d bytes"):format(BODY_MAX))
  elseif a.status == 204 or a.status == 205 then
    self:problem(s, { "answer", "body" }, "key",
      ("a %d has no body"):format(a.status))
  elseif why then
    self:problem(s, { "answer", "body" }, "value", why)
  elseif sums and single[o.body] then
    self:problem(s, { "answer", "body" }, "value", "{$…} is of many events: it needs a "
      .. "route of them, such as body = \"batch\"")
  elseif parts and not sums and not single[o.body] then
    self:problem(s, { "answer", "body" }, "value", ("{%s} is a field of the event: it needs "
      .. "a route of one event, such as body = \"event\""):format(parts[1].path))
  elseif parts and not self.host.is_json(with(parts, "x")) and
      self.host.is_json(with(parts, "0")) then
    self:problem(s, { "answer", "body" }, "value", ("a %s stands between quotes: \"%s\"")
      :format(sums and "message" or "field", first_text(parts)))
  elseif has_kind(parts, "items") and self.host.is_json(with(parts, "x"))
      and not is_list(self, parts) then
    self:problem(s, { "answer", "body" }, "value",
      "{$items} has none, one or many of them: it needs a list of its own, [{$items}]")
  elseif a.body ~= "" and not a.type and
      not self.host.is_json(parts and with(parts, "x") or a.body) then
    self:problem(s, { "answer", "body" }, "value",
      "is no JSON; say its type, such as type = \"text/plain\"")
  end
  for _, p in ipairs(sums and parts or {}) do
    if p.path then
      self:problem(s, { "answer", "body" }, "value", ("{%s} is a field of one event: "
        .. "write it into item"):format(p.path))
    end
  end
  return parts, sums
end

-- What is answered when none of many events was refused.
function Loader:answer_accepted(s, a, sums)
  local text, why = a.body_accepted, nil
  if text == nil then return nil end
  if not sums then
    self:problem(s, { "answer", "body_accepted" }, "key",
      "means nothing without one of {$…} in body, such as {$rejected}")
    return nil
  elseif #text > BODY_MAX then
    why = ("is longer than %d bytes"):format(BODY_MAX)
  elseif parts_of(text) then
    why = "has no {…}: all events were accepted"
  elseif not a.type and not self.host.is_json(text) then
    why = "is no JSON; say its type, such as type = \"text/plain\""
  end
  if why then self:problem(s, { "answer", "body_accepted" }, "value", why) end
  return text
end

local function has_negative(codes)
  local list = codes or {}
  local found = list.other ~= nil and list.other:sub(1, 1) == "-"
  for _, c in ipairs(list) do found = found or c.word:sub(1, 1) == "-" end
  return found
end

-- Why parts are no text of a refusal; nil: they are. numeric: {$code} is a number.
local function wrong_refused(parts, a, numeric, host)
  local times = {}
  local why = wrong_kind(parts, OF_REQUEST)
  for _, p in ipairs(parts) do
    local kind = p.kind or ""
    times[kind] = (times[kind] or 0) + 1
    if p.path then
      why = why or ("{%s} is a field of an event: a request that is refused may have none")
        :format(p.path)
    elseif p.kind and times[kind] > PLACES_MAX then
      why = why or ("{$%s} stands in more than %d places"):format(kind, PLACES_MAX)
    end
  end
  if why then return why end
  if is_json_type(a.type) then
    local text = with(parts, "x", numeric)
    if text ~= "" and not host.is_json(text) then
      return host.is_json(with(parts, "0", numeric))
        and (numeric and "{$message} stands" or "{$code} and {$message} stand")
          .. " between quotes"
        or not a.type and "is no JSON; say its type, such as type = \"text/plain\""
        or "is no JSON"
    elseif numeric and text ~= "" and
        not host.is_json(with(parts, "x", true, { code = "-1" })) and has_negative(a.codes) then
      return "is no JSON where {$code} is below 0"
    end
  elseif #parts > 1 and not a.type:lower():find("^text/plain%s*%f[;%z]") then
    return ("has {$…}, whose text can hold a client's bytes: it needs JSON or "
      .. "type = \"text/plain\", not %s"):format(values.show(a.type))
  end
end

-- What is answered to requests that are refused as a whole.
function Loader:answer_refused(s, a)
  if a.body_refused == nil then
    if a.codes then
      self:problem(s, { "answer", "codes" }, "key",
        "means nothing without {$code} in body_refused")
    end
    return nil
  end
  local parts = parts_of(a.body_refused) or { { text = a.body_refused } }
  local numeric
  if a.codes then
    numeric = a.codes.numeric
  else
    numeric = s.args.answer.codes ~= nil -- wrong ones, which have their own problem
  end
  local why = #a.body_refused > REFUSED_MAX
    and ("is longer than %d bytes"):format(REFUSED_MAX)
    or wrong_refused(parts, a, numeric, self.host)
  if why then
    self:problem(s, { "answer", "body_refused" }, "value", why)
  elseif a.codes and not has_kind(parts, "code") then
    self:problem(s, { "answer", "codes" }, "key",
      "means nothing without {$code} in body_refused")
  end
  return { fill = parts, codes = a.codes or {}, other = a.codes and a.codes.other,
    plain = not is_json_type(a.type),
    type_line = a.type and ("Content-Type: %s\r\n"):format(a.type) or "" }
end

-- Headers that sluice writes itself, or that another option says.
local OWN = { ["content-type"] = "say type", location = "say location",
  ["content-length"] = "the body decides it", ["transfer-encoding"] = "the body decides it",
  connection = "sluice decides it", date = "sluice writes it", vary = "say cors",
  ["retry-after"] = "sluice writes it with 429 and 503" }

-- Whole lines. A redirect is not to be kept: the next click would not come.
function Loader:answer_lines(s, a)
  local lines, cached = {}, false
  for _, h in ipairs(a.headers or {}) do
    local name = h.name:lower()
    local why = OWN[name] or name:find("^access%-control%-") and "say cors"
    cached = cached or name == "cache-control"
    if not h.name:find("^[%w!#$%%&'*+.^_`|~-]+$") then
      self:problem(s, { "answer", "headers", h.name }, "key",
        ("%s is not the name of a header"):format(values.show(h.name)))
    elseif why then
      self:problem(s, { "answer", "headers", h.name }, "key",
        ("%s can't be set: %s"):format(h.name, why))
    elseif h.value:find("[^\32-\126]") then
      self:problem(s, { "answer", "headers", h.name }, "value",
        "expected printable ASCII on one line")
    else
      lines[#lines + 1] = h.name .. ": " .. h.value .. "\r\n"
    end
  end
  if a.location and not cached then lines[#lines + 1] = "Cache-Control: no-store\r\n" end
  local text = table.concat(lines)
  if #text > HEADERS_MAX then
    self:problem(s, { "answer", "headers" }, "value",
      ("together %d bytes; expected at most %d"):format(#text, HEADERS_MAX))
  end
  return text ~= "" and text or nil
end

-- "shop.example", "shop.example:8443" or "*.shop.example", in lower case; nil and why not.
local function host_of(v)
  local name, port = v:match("^([^:]*):?(%d*)$")
  local below = name and name:match("^%*%.(.+)$")
  local plain = below or name
  if v == "*" or plain == "*" then
    return nil, "leads everywhere: name the hosts"
  elseif v:find("[\128-\255]") then
    return nil, "is not ASCII: write the form that begins with xn--"
  elseif not plain or plain == "" or plain:find("[^%w._-]") or plain:find("^%.")
      or plain:find("%.$") or plain:find("..", 1, true) or v:find(":$")
      or below and not below:find(".", 1, true) then
    return nil, "is not a host such as \"shop.example\", \"shop.example:8443\" or "
      .. "\"*.shop.example\""
  elseif port ~= "" and (tonumber(port) < 1 or tonumber(port) > 65535) then
    return nil, "has no port from 1 to 65535"
  end
  return v:lower()
end

function Loader:answer_hosts(s, a)
  local list = {}
  for i, v in ipairs(a.hosts or {}) do
    local host, why = host_of(v)
    if why then
      self:problem(s, { "answer", "hosts", i }, "value",
        ("%s %s"):format(values.show(v), why))
    end
    list[#list + 1] = host
  end
  if #list > HOSTS_MAX then
    self:problem(s, { "answer", "hosts" }, "value",
      ("more than %d hosts"):format(HOSTS_MAX))
  end
  return list
end

local function is_url(text)
  return #text <= URL_MAX and not text:find("[^\33-\126]") and not text:find("[\"<>\\^`{|}]")
    and (text:find("^https?://[%w._-]+$") or text:find("^https?://[%w._-]+:%d+$")
      or text:find("^https?://[%w._-]+[/?#]") or text:find("^https?://[%w._-]+:%d+[/?#]"))
    and true
end

-- A url of the policy's own, with fields of the event behind its host.
function Loader:answer_url(s, a)
  local parts = parts_of(a.location) or { { text = a.location } }
  if #parts > 1 and parts[1].text:find("^https?://")
      and not parts[1].text:find("^https?://[^/?#]+[/?#]") then
    self:problem(s, { "answer", "location" }, "value", ("{%s} would be part of the host: "
      .. "write a function, and hosts"):format(parts[1].path))
  elseif not is_url(with(parts, "x")) then
    self:problem(s, { "answer", "location" }, "value", ("%s is none of \"field:NAME\", a "
      .. "url such as \"https://shop.example/{click_id}\", a function")
      :format(values.show(a.location)))
  end
  if a.hosts then
    self:problem(s, { "answer", "hosts" }, "key",
      "means nothing: location says its host itself")
  end
  return { fill = parts }
end

function Loader:answer_location(s, o, a)
  if a.location == nil then
    for _, key in ipairs { "hosts", "fallback" } do
      if a[key] then
        self:problem(s, { "answer", key }, "key", "means nothing without location")
      end
    end
    return nil
  end
  local l
  local field = type(a.location) == "string" and a.location:match("^field:(.*)$")
  local hosts = self:answer_hosts(s, a)
  if type(a.location) == "function" then
    l = { has_function = true }
  elseif field then
    l = { field = field }
    if not paths.is_path(field) then
      self:problem(s, { "answer", "location" }, "value",
        ("%s is not a field such as \"field:redirect\""):format(values.show(a.location)))
    end
  else
    l = self:answer_url(s, a)
  end
  if not l.fill and not a.hosts then
    self:problem(s, { "answer" }, "value", "needs hosts: the hosts to which location may "
      .. "lead, such as { \"shop.example\" }")
  end
  if a.fallback and not is_url(a.fallback) then
    self:problem(s, { "answer", "fallback" }, "value",
      ("%s is not a url such as \"https://shop.example/\""):format(values.show(a.fallback)))
  end
  if not single[o.body] then
    self:problem(s, { "answer", "location" }, "key", "needs a route of one event, such as "
      .. "body = \"query\"")
  end
  l.hosts, l.fallback = not l.fill and hosts or {}, a.fallback
  return l
end

function Loader:answer_status(s, a)
  local given = s.args.answer.status
  if a.location ~= nil and given == nil then a.status = 302 end
  if a.location ~= nil and not redirects[a.status] then
    self:problem(s, { "answer", "status" }, "value", ("%s is no redirect: with location "
      .. "expected 301, 302, 303, 307 or 308"):format(values.show(a.status)))
  elseif a.location == nil and a.status >= 300 then
    self:problem(s, { "answer", "status" }, "value", redirects[a.status]
      and "needs location: where the redirect leads"
      or ("%s is not a status that a route answers: 200 to 299, or a redirect")
        :format(values.show(a.status)))
  end
end

function Loader:route_answer(s, o, a)
  if not a then return nil end
  if a.type and (#a.type > 128 or
      not a.type:match("^[%w!#$&^_.+-]+/[%w!#$&^_.+-]+[%w =;.+-]*$")) then
    self:problem(s, { "answer", "type" }, "value",
      ("%s is not a content type"):format(values.show(a.type)))
  end
  self:answer_status(s, a)
  local sums
  if a.body then
    a.fill, sums = self:answer_body(s, o, a)
  elseif a.type and not a.body_refused then
    self:problem(s, { "answer", "type" }, "key",
      "means nothing without body or body_refused")
  end
  local body_type = a.body and a.type or nil
  local item, item_refused = self:answer_items(s, o, a)
  local location = self:answer_location(s, o, a)
  if a.status == 204 or a.status == 205 or location then a.body = a.body or "" end
  return { status = a.status, body = a.body,
    fill = not sums and a.fill or nil, summary = sums and a.fill or nil, item = item,
    item_refused = item_refused, type = body_type,
    refused_body = self:answer_refused(s, a), accepted = self:answer_accepted(s, a, sums),
    lines = self:answer_lines(s, a), location = location,
    refused = a.refused == "same" and 422 or a.refused,
    same_refused = a.refused == "same", same_unstored = a.unstored == "same" }
end

end
