-- tokens: methods of a route's auth whose credential is a signature: hmac { } and jwt { }.
-- Methods of the loader; every mistake is recorded and the rest goes on.

local values = require "sluice.values"
local words = require "sluice.words"

local SECRETS_MAX, LIST_MAX, CLAIMS_MAX = 4, 8, 16 -- HMAC_SECRETS_MAX, JWT_LIST_MAX, …
local SECRET_SHORT, CLAIM_NAME_MAX = 16, 64
local FORMS_MAX = 256

local known_algs = { ES256 = true, RS256 = true, EdDSA = true, HS256 = true }

---@param Loader table the class that gets the methods
return function(Loader)

-- ---- web hooks ----------------------------------------------------------------

local function is_header(name)
  return type(name) == "string" and name:match("^[%w!#$%%&'*+.^_`|~-]+$") ~= nil
end

-- The secrets; nil: told.
function Loader:hmac_secrets(s, o)
  local path = { "auth", "hmac", "secrets" }
  local list = {}
  if o.secret ~= nil and o.secrets ~= nil then
    self:problem(s, path, "value", "stands beside secret: write one of them")
  end
  for i, secret in ipairs(o.secrets or { o.secret }) do
    if not secret:find("[^%s%z]") then
      self:problem(s, path, "value", ("secret %d is empty, or only spaces: anyone could sign")
        :format(i))
      return nil
    elseif secret:find("^%s") or secret:find("%s$") then
      self:remark(s.file, s.line, ("auth.hmac: secret %d begins or ends with a space or a line "
        .. "end, which is part of the key"):format(i))
    elseif #secret < SECRET_SHORT then
      self:remark(s.file, s.line, ("auth.hmac: secret %d has %d bytes: one of less than %d can be "
        .. "guessed"):format(i, #secret, SECRET_SHORT))
    end
    list[#list + 1] = secret
  end
  if #list > SECRETS_MAX then
    self:problem(s, path, "value", ("%d secrets; expected at most %d"):format(#list,
      SECRETS_MAX))
    return nil
  end
  return list
end

---hmac { … } as C's build_tokens takes it; nil: told.
function Loader:hmac_method(s, v)
  local path = { "auth", "hmac" }
  if type(v) ~= "table" then
    self:problem(s, path, "value", "needs its options: write " .. words.auth.hmac.form)
    return nil
  end
  local unset = self:is_unset(v.secret) or self:is_unknown(v.secret)
  for _, secret in ipairs(type(v.secrets) == "table" and v.secrets or {}) do
    unset = unset or self:is_unset(secret) or self:is_unknown(secret)
  end
  if unset then return nil end -- env has told
  local o = self:options(s, path, v, words.auth.hmac.options)
  if o.secret == nil and v.secret ~= nil then return nil end -- told
  if o.secret == nil and (o.secrets == nil or #o.secrets == 0) then
    self:problem(s, path, "value", "needs a secret: write secret = env \"NAME\"")
    return nil
  end
  for _, option in ipairs { "header", "timestamp" } do
    if o[option] ~= nil and not is_header(o[option]) then
      self:problem(s, { "auth", "hmac", option }, "value",
        ("%s is not the name of a header"):format(values.show(o[option])))
      return nil
    end
  end
  if o.header == nil or o.format == nil then return nil end
  local of, why = self.host.why_no_hmac(o.format, o.signed, o.timestamp ~= nil)
  if of then
    self:problem(s, { "auth", "hmac", of }, "value", why)
    return nil
  end
  local stamped = o.signed:find("{timestamp}", 1, true) ~= nil
  if stamped and o.window == nil then
    self:problem(s, path, "value", "needs window: without it a request could be sent again for "
      .. "ever; write window = \"5m\"")
    return nil
  elseif not stamped and o.window ~= nil then
    self:problem(s, { "auth", "hmac", "window" }, "key", "needs {timestamp} in signed: nothing "
      .. "else says when the request was made")
    return nil
  end
  local between = o.signed:match("{body}([^{]*){timestamp}")
      or o.signed:match("{timestamp}([^{]*){body}")
  if between and not between:find("%D") then
    self:remark(s.file, s.line, ("auth.hmac.signed: %s has nothing between time and body that is "
      .. "no digit, so a digit can be moved from one to the other; write \"{timestamp}.{body}\" if "
      .. "the sender can"):format(values.show(o.signed)))
  end
  local secrets = self:hmac_secrets(s, o)
  if not secrets then return nil end
  return { kind = "hmac", name = o.header, header = o.header, timestamp = o.timestamp,
    format = o.format, signed = o.signed, window = o.window, secrets = secrets }
end

-- ---- tokens -------------------------------------------------------------------

-- Whether the lists say what is known; false: told. Empty ones are made.
function Loader:jwt_words(s, o)
  for _, option in ipairs { "iss", "aud", "algs", "claims" } do
    local max = option == "claims" and CLAIMS_MAX or LIST_MAX
    o[option] = o[option] or {}
    if #o[option] > max then
      self:problem(s, { "auth", "jwt", option }, "value", ("%d values; expected at most %d")
        :format(#o[option], max))
      return false
    end
  end
  for i, alg in ipairs(o.algs) do
    if not known_algs[alg] then
      self:problem(s, { "auth", "jwt", "algs", i }, "value", alg:lower() == "none"
        and "none is no signature: anyone could write a token"
        or ("%s is none of ES256, RS256, EdDSA, HS256"):format(values.show(alg)))
      return false
    end
  end
  for i, name in ipairs(o.claims) do
    if type(name) ~= "string" or name == "" or #name > CLAIM_NAME_MAX then
      self:problem(s, { "auth", "jwt", "claims", i }, "value",
        ("expected the name of a claim, of at most %d bytes"):format(CLAIM_NAME_MAX))
      return false
    end
  end
  return true
end

---jwt { … } as C's build_tokens takes it; nil: told.
function Loader:jwt_method(s, v)
  local path = { "auth", "jwt" }
  if type(v) ~= "table" then
    self:problem(s, path, "value", "needs its options: write " .. words.auth.jwt.form)
    return nil
  end
  local o = self:options(s, path, v, words.auth.jwt.options)
  if type(o.keys) ~= "string" or not self:jwt_words(s, o) then return nil end
  local file = self:beside(s, { "auth", "jwt", "keys" }, o.keys, "jwks.json")
  if not file then return nil end
  local why = self.host.why_no_jwks(file)
  if why then
    self:problem(s, { "auth", "jwt", "keys" }, "value", why)
    return nil
  end
  local claims = {}
  for _, name in ipairs(o.claims) do claims[name] = true end
  return { kind = "jwt", name = "", path = file, iss = o.iss, aud = o.aud, leeway = o.leeway,
    algs = #o.algs > 0 and o.algs or { "ES256", "RS256", "EdDSA", "HS256" },
    claims = o.claims, named = claims }
end

---The method with its place in desc; m: the policy's value, of which each is read once.
function Loader:signed_method(s, m)
  self.signed_forms = self.signed_forms or { hmac = {}, jwt = {} }
  local list, made = self.signed_forms[m.kind], rawget(m, "made")
  if made == nil then
    made = (m.kind == "hmac" and self:hmac_method(s, m.keys) or
      m.kind == "jwt" and self:jwt_method(s, m.keys)) or false
    rawset(m, "made", made)
    if made then
      made.index, made.keys = #list, 0
      made.id = ("%s#%d"):format(m.kind, made.index)
      list[#list + 1] = made
      if #list > FORMS_MAX then
        self:problem(s, { "auth" }, "value", ("the policy has more than %d of %s { }")
          :format(FORMS_MAX, m.kind))
      end
    end
  end
  return made or nil
end

---desc.hmacs and desc.jwts, after the routes.
function Loader:signed_lists(desc)
  local forms = self.signed_forms or { hmac = {}, jwt = {} }
  desc.hmacs, desc.jwts = forms.hmac, forms.jwt
end

---A signature of the body says nothing of events that lie elsewhere.
function Loader:check_signed_body(s, auth, body)
  for _, m in ipairs(auth) do
    if m.kind == "hmac" and (body == "query" or body == "any") then
      self:problem(s, { "auth" }, "value", ("hmac signs the body, and with body = \"%s\" an event "
        .. "may be the query, which is not signed: write body = \"event\" or \"form\"")
        :format(body))
      return
    end
  end
end

---Whether a limit may count by the claim: some jwt { } names it.
function Loader:limit_claim(s, name)
  for _, m in ipairs((self.signed_forms or { jwt = {} }).jwt) do
    if m.named[name] then return end
  end
  self:problem(s, { "key" }, "value", ("no jwt { } of a route has the claim %s in claims")
    :format(values.show(name)))
end

---Why "jwt:NAME" can't be of a route; nil: it can.
function Loader.why_no_claim(_, auth, name)
  local found = false
  for _, m in ipairs(auth) do
    found = found or m.kind == "jwt"
    if m.kind == "jwt" and not m.named[name] then
      return ("the token's claims that may be read have no %s: add it to claims of jwt { }")
        :format(values.show(name))
    end
  end
  if not found and not auth.broken then
    return "needs auth = jwt { … }: a token is known only then"
  end
  return nil
end

end
