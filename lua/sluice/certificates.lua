-- certificates: the TLS of listeners, as far as the policy's text tells: C reads the files.
-- Methods of the loader.

local values = require "sluice.values"

---@param Loader table the class that gets the methods
return function(Loader)

local function is_host(name)
  local host = name:gsub("^%*%.", ""):gsub("%.$", "")
  return #host > 0 and #name <= 253 and host:find("^[%w_-][%w_.-]*$") and
    not host:find("..", 1, true)
end

function Loader:check_hosts(s, path, names)
  local seen = {}
  for i, name in ipairs(names or {}) do
    local at = { unpack(path) }
    at[#at + 1], at[#at + 2] = "names", i
    if not is_host(name) then
      self:problem(s, at, "value", ("%s is not a host such as \"in.example\" or "
        .. "\"*.in.example\""):format(values.show(name)))
    elseif seen[name:lower()] then
      self:problem(s, at, "value", ("%s is named twice"):format(values.show(name)))
    end
    seen[name:lower()] = true
  end
end

---Mistakes in the options of a listener's tls.
function Loader:check_tls(s, o)
  if not o then return end
  if o.client ~= "none" and not o.ca then
    self:problem(s, { "tls", "client" }, "value", ("needs ca: the certificate authorities "
      .. "that sign clients' certificates"))
  elseif o.client == "none" and o.ca then
    self:problem(s, { "tls", "ca" }, "key", "needs client = \"optional\" or \"required\": "
      .. "without it sluice asks clients for no certificate")
  end
  self:check_hosts(s, { "tls" }, o.names)
  for i, item in ipairs(o.items) do self:check_hosts(s, { "tls", i }, item.names) end
end

end
