-- addresses: what a listener is told, checked: where it listens, whose its file is, and which
-- networks it trusts.

---@param checks table by type, as in values.lua
---@param M table values.lua's own
return function(checks, M)

function checks.address(v)
  local port = type(v) == "string" and v:match("^[^%s]*:(%d+)$")
  if not port or tonumber(port) > 65535 then
    return nil, ("%s is not an address such as \"127.0.0.1:8080\"")
        :format(M.show(v))
  end
  return v
end

local UNIX_PATH_MAX = 107 -- sun_path and its NUL

-- An address, a Unix socket, or a socket that systemd passes.
function checks.socket(v)
  local path = type(v) == "string" and v:match("^unix:(.*)$")
  local name = type(v) == "string" and v:match("^systemd:(.*)$")
  if path and (path:sub(1, 1) ~= "/" or path:sub(-1) == "/" or path:find("[%c]")) then
    return nil, ("%s is not an absolute path such as \"unix:/run/sluice/in.sock\"")
        :format(M.show(v))
  elseif path and #path > UNIX_PATH_MAX then
    return nil, ("the path of a Unix socket has at most %d bytes, this one has %d")
        :format(UNIX_PATH_MAX, #path)
  elseif name and not name:match("^[%w_.@-]+$") then
    return nil, ("%s has no name such as \"systemd:in\" (FileDescriptorName=)")
        :format(M.show(v))
  elseif path or name then
    return v
  end
  return checks.address(v)
end

-- Networks, and "unix".
function checks.networks(v, _, host)
  local list, why = checks.list(v, {})
  if not list and type(v) ~= "table" then
    return nil, ("%s is not a list of networks: { \"10.0.0.0/8\" }"):format(M.show(v))
  elseif not list then
    return nil, why
  end
  for _, x in ipairs(list) do
    why = x ~= "unix" and host.why_no_network(x)
    if why then return nil, ("%s %s"):format(M.show(x), why) end
  end
  if #list > 256 then return nil, ("%d networks: at most 256 are taken"):format(#list) end
  return list
end

function checks.mode(v)
  if type(v) ~= "string" or not v:match("^0?[0-7][0-7][0-7]$") then
    return nil, ("%s is not a mode such as \"0660\""):format(M.show(v))
  end
  return tonumber(v, 8)
end

function checks.owner(v)
  local user, group = tostring(v):match("^([%w_.-]*):?([%w_.-]*)$")
  if type(v) ~= "string" or not user or user .. group == "" or #v > 64 then
    return nil, ("%s is not an owner such as \"sluice:www-data\""):format(M.show(v))
  end
  return v
end

end
