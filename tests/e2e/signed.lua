-- signed: postbacks as Apple documents them, signed with keys that openssl makes.
local mime = require "mime"
local h = require "harness"

local M = {}

local SEPARATOR = "\226\129\163" -- U+2063

---A key pair in files of dir.
function M.key(dir, name, curve)
  local k = { file = ("%s/%s.pem"):format(dir, name), dir = dir }
  h.shell(("openssl ecparam -name %s -genkey -noout -out '%s'"):format(curve or "prime256v1",
    k.file))
  h.shell(("openssl ec -in '%s' -pubout -out '%s.pub'"):format(k.file, k.file))
  k.pem = h.read(k.file .. ".pub")
  k.base64 = k.pem:gsub("%-%-%-%-%-[^\n]*", ""):gsub("%s", "")
  return k
end

---DER of the signature.
function M.der(k, text)
  h.write(k.dir .. "/text", text)
  h.shell(("openssl dgst -sha256 -sign '%s' -out '%s/der' '%s/text'"):format(k.file, k.dir, k.dir))
  return h.read(k.dir .. "/der")
end

local lists = {
  ["4.0"] = { "version", "ad-network-id", "source-identifier", "app-id", "transaction-id",
    "redownload", "source-app-id", "source-domain", "fidelity-type", "did-win",
    "postback-sequence-index" },
  ["3.0"] = { "version", "ad-network-id", "campaign-id", "app-id", "transaction-id",
    "redownload", "source-app-id", "fidelity-type", "did-win" },
  ["2.2"] = { "version", "ad-network-id", "campaign-id", "app-id", "transaction-id",
    "redownload", "source-app-id", "fidelity-type" },
  ["2.1"] = { "version", "ad-network-id", "campaign-id", "app-id", "transaction-id",
    "redownload", "source-app-id" },
  ["1.0"] = { "ad-network-id", "campaign-id", "app-id", "transaction-id" },
}
lists["2.0"] = lists["2.1"]

---The postback's members and their signature, as JSON.
function M.skadnetwork(k, version, members)
  local values, json = {}, {}
  for _, m in ipairs(members) do
    json[#json + 1] = ('"%s":%s'):format(m[1], m[2])
  end
  for _, name in ipairs(lists[version]) do
    for _, m in ipairs(members) do
      if m[1] == name then values[#values + 1] = (m[2]:gsub('"', "")) end
    end
  end
  local der = M.der(k, table.concat(values, SEPARATOR))
  json[#json + 1] = ('"attribution-signature":"%s"'):format((mime.b64(der)))
  return "{" .. table.concat(json, ",") .. "}"
end

local function url(text)
  return ((mime.b64(text)):gsub("%+", "-"):gsub("/", "_"):gsub("=", ""))
end
M.url = url

-- The numbers of a DER signature, 32 bytes each.
local function raw(der)
  local out, at = {}, 3
  for i = 1, 2 do
    local n = der:byte(at + 1)
    local number = der:sub(at + 2, at + 1 + n):gsub("^%z+", "")
    out[i] = ("\0"):rep(32 - #number) .. number
    at = at + 2 + n
  end
  return table.concat(out)
end

---A compact JWS.
function M.jws(k, header, payload)
  local input = url(header) .. "." .. url(payload)
  return input .. "." .. url(raw(M.der(k, input)))
end

---A JSON Web Token with HS256.
function M.hs256(secret, header, payload)
  local input = url(header) .. "." .. url(payload)
  local hex = h.shell(("printf %%s '%s' | openssl dgst -sha256 -hmac '%s' -r"):format(input,
    secret))
  return input .. "." .. url((hex:match("^%x+"):gsub("%x%x", function(x)
    return string.char(tonumber(x, 16))
  end)))
end

return M
