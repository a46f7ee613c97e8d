-- postbacks: routes that accept signed postbacks only (signed). A method of the loader;
-- every mistake is recorded and the rest goes on.

local values = require "sluice.values"

local KEYS_MAX = 8
-- Of Apple's keys, as src/signature/apple.c has them.
local APPLE_KEYS = { skadnetwork = { production = 2, development = 2, none = 0 },
  adattributionkit = { production = 1, development = 3, none = 0 } }
local VERSIONS = { "1.0", "2.0", "2.1", "2.2", "3.0", "4.0" }
local WEAK = { ["1.0"] = true, ["2.0"] = true } -- signed with P-192
local USUAL = { "2.1", "2.2", "3.0", "4.0" }
local APPLE_KIDS = { ["apple-cas-identifier/0"] = "production",
  ["apple-development-identifier/0"] = "development",
  ["apple-development-identifier/1"] = "development" }
local KID_MAX = 256

local function has(list, x)
  for _, v in ipairs(list) do
    if v == x then return true end
  end
  return false
end

---@param Loader table the class that gets the methods
return function(Loader)

-- Whether one of the versions has no key of its curve.
local function lacks_key(versions, curves, apple)
  if apple ~= "none" then return nil end
  for _, v in ipairs(versions) do
    local curve = WEAK[v] and "P-192" or "P-256"
    if not curves[curve] then return v, curve end
  end
  return nil
end

function Loader:postback_versions(s, p)
  if p.versions and p.by ~= "skadnetwork" then
    self:problem(s, { "signed", "versions" }, "key", "is of by = \"skadnetwork\"")
    return {}
  end
  local list = {}
  for i, v in ipairs(p.versions or USUAL) do
    if not has(VERSIONS, v) then
      self:problem(s, { "signed", "versions", i }, "value",
        ("%s is no version of SKAdNetwork that is known: expected %s"):format(values.show(v),
          table.concat(VERSIONS, ", ")))
    else
      list[#list + 1] = v
    end
  end
  return list
end

-- The curves of the policy's own keys.
function Loader:postback_keys(s, p)
  local curves = {}
  for _, key in ipairs(p.keys or {}) do
    local why, weak = self.host.why_no_pin(key.value)
    local apple = APPLE_KIDS[key.name]
    if why then
      self:problem(s, { "signed", "keys", key.name }, "value", why
        .. ": write a PEM, or the DER of a public key in base64")
    elseif #key.name > KID_MAX then
      self:problem(s, { "signed", "keys", key.name }, "key",
        ("is longer than %d bytes"):format(KID_MAX))
    elseif weak and p.by ~= "skadnetwork" then
      self:problem(s, { "signed", "keys", key.name }, "value",
        "is of the curve P-192: a JWS with ES256 has a key of P-256")
    elseif apple and p.by == "adattributionkit" and
        (p.apple == "development" or p.apple == apple) then
      self:problem(s, { "signed", "keys", key.name }, "key",
        "is one of Apple's keys that apple = \"" .. p.apple .. "\" trusts already")
    end
    curves[weak and "P-192" or "P-256"] = true
    curves.bad = curves.bad or why
  end
  local of_apple = APPLE_KEYS[p.by][p.apple] or 0
  local n = #(p.keys or {}) + of_apple
  if n > KEYS_MAX then
    self:problem(s, { "signed", "keys" }, "value", ("%d keys, %d of them Apple's; expected at "
      .. "most %d"):format(n, of_apple, KEYS_MAX))
  end
  return curves, n
end

-- The field that gets the payload.
function Loader:postback_payload(s, p, enrichment)
  if p.by ~= "adattributionkit" then
    if p.payload then
      self:problem(s, { "signed", "payload" }, "key", "is of by = \"adattributionkit\"")
    end
    return nil
  end
  local key = p.payload or "postback"
  if key == "" or key:find("[.%[\\]") or key == "jws-string" then
    self:problem(s, { "signed", "payload" }, "value",
      "expected a field of the event itself, without a dot, that has no other meaning")
  end
  for _, c in ipairs(enrichment) do
    if c.key == key then
      self:problem(s, { "set", key }, "key", "is the field of the signed payload")
    end
  end
  return key
end

---signed of a route; nil: events need no signature.
function Loader:route_postback(s, o, enrichment)
  local p = o.signed
  if not p or not p.by then return nil end
  if o.body ~= "event" then
    self:problem(s, { "signed" }, "key", "needs body = \"event\": a request is one postback")
  end
  if p.apple == "development" and p.by == "skadnetwork" then
    self:problem(s, { "signed", "apple" }, "value",
      "Apple documents no such key for SKAdNetwork: write keys = { … } for those of tests")
  end
  local versions = self:postback_versions(s, p)
  local curves, n = self:postback_keys(s, p)
  local lacking, curve = lacks_key(versions, curves, p.apple)
  if n == 0 then
    self:problem(s, { "signed" }, "key",
      "trusts no key: write keys = { … }, or another word for apple")
  elseif lacking and not curves.bad then
    self:problem(s, { "signed", "keys" }, "key", ("version %s is signed with a key of the "
      .. "curve %s, and there is none: add one, or say versions"):format(lacking, curve))
  end
  return { by = p.by, apple = p.apple, versions = versions, keys = p.keys or {},
    payload = self:postback_payload(s, p, enrichment) }
end

end
