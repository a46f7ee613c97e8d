-- listeners: the sockets of a policy. Methods of the loader; every mistake is recorded and
-- the rest goes on.

local suggest = require "sluice.suggest"
local values = require "sluice.values"
local words = require "sluice.words"

local LISTENERS_MAX = 64

---@param Loader table the class that gets the methods
return function(Loader)

-- The host and port of a TCP address; nil: it is none.
local function parts(address)
  local host, port = address:match("^(.*):(%d+)$")
  if not host or address:match("^unix:") or address:match("^systemd:") then return nil end
  if host == "" or host == "*" then host = "[::]" end
  return host:lower(), port
end

local every = { ["0.0.0.0"] = true, ["[::]"] = true }

-- Whether two addresses want the same socket.
local function clash(a, b)
  if a == b then return not a:match(":0$") end
  local x, port = parts(a)
  local y, other = parts(b)
  if not x or not y or port ~= other or port == "0" then return false end
  return x == y or x == "[::]" or y == "[::]" or
    (every[x] or every[y]) and not (x:find("[", 1, true) or y:find("[", 1, true))
end

-- The places, from 0, of the routes that a listener names.
function Loader:served_routes(s, names, routes)
  local list, taken, known = {}, {}, {}
  for i, r in ipairs(routes) do
    local path, full = r.path, r.method .. " " .. r.path
    known[#known + 1] = full
    for k, name in ipairs(names) do
      if name == path or name == full then
        list[#list + 1] = i - 1
        taken[k] = true
        break
      end
    end
  end
  for k, name in ipairs(names) do
    if not taken[k] then
      self:problem(s, { "routes", k }, "value", ("there is no route %s%s"):format(
        values.show(name), suggest.hint(name, known)))
    end
  end
  return list
end

-- What the options of a listener and its address say together. Leaves the owner's parts.
function Loader:check_listener(s, o, address)
  local here = tostring(address):match("^unix:") ~= nil
  for _, key in ipairs { "mode", "owner" } do
    if s.args[key] ~= nil and not here then
      self:problem(s, { key }, "key", "only a unix: listener has a file")
    end
  end
  if o.proxy_protocol and not o.trusted then
    self:problem(s, { "proxy_protocol" }, "value",
      "needs trusted: the networks of the proxies that may send the header")
  end
  if s.args.forwarded ~= nil and not o.trusted then
    self:problem(s, { "forwarded" }, "key",
      "needs trusted: the networks of the proxies that write the header")
  end
  o.user, o.group = (o.owner or ""):match("^([^:]*):?(.*)$")
  o.user = o.user ~= "" and o.user or nil
  o.group = o.group ~= "" and o.group or nil
end

-- A path of its own.
function Loader:check_health(s, o, routes)
  if not o.health then return end
  if not o.health:match("^/[^%s?#]*$") then
    self:problem(s, { "health" }, "value", ("%s is not a path such as \"/healthz\"")
      :format(values.show(o.health)))
  end
  for _, r in ipairs(routes) do
    if r.path == o.health and r.method == "GET" then
      self:problem(s, { "health" }, "value", ("the route in line %d has this path")
        :format(r.line))
    end
  end
end

-- The admin listener.
function Loader:check_admin(s, o)
  self:check_listener(s, o, o.listen)
  self:check_tls(s, o.tls)
  o.address = o.listen
  for i, name in ipairs(o.hosts or {}) do
    if not name:match("^[%w._-]+$") then
      self:problem(s, { "hosts", i }, "value", ("%s is not a name such as "
        .. "\"sluice.example.com\""):format(values.show(name)))
    end
  end
  if o.token and #o.token < 16 then
    self:problem(s, { "token" }, "value", "is shorter than 16 bytes: it could be guessed")
  end
end

function Loader:listener(s, routes)
  local o = self:options(s, {}, s.args, words.listen.options)
  local _, why = values.check(s.name, { type = "socket" }, self.host)
  if why then self:problem(s, nil, "value", why) end
  self:check_listener(s, o, s.name)
  self:check_health(s, o, routes)
  self:check_tls(s, o.tls)
  o.address, o.statement = s.name, s
  o.serves = o.routes and self:served_routes(s, o.routes, routes)
  return o
end

---The listener of server.listen first, then the others by their addresses: C takes those of
---two policies with the same addresses for the same.
function Loader:listeners(server, server_statement, routes)
  local list, statements = {}, self:of_word("listen")
  local own = server.listen
  if #statements > 0 and server_statement.args.listen == nil then own = nil end
  for i, s in ipairs(statements) do
    list[i] = self:listener(s, routes)
    local first = own and clash(own, s.name) and server_statement
    for k = 1, i - 1 do
      first = first or clash(statements[k].name, s.name) and statements[k]
    end
    if first then
      self:problem(s, nil, "value", ("has the address of the listener in line %d")
        :format(first.line))
    end
  end
  if #statements > LISTENERS_MAX then
    self:problem(statements[LISTENERS_MAX + 1], nil, "value",
      ("more than %d listeners"):format(LISTENERS_MAX))
  end
  table.sort(list, function(a, b) return a.address < b.address end)
  table.insert(list, 1, { address = own, mode = 432 })
  self:check_certificates_asked(list, routes)
  return list
end

end
