-- client_certs: the method of a route's auth whose credential is the certificate of a TLS
-- connection: client_cert { }. Methods of the loader; every mistake is recorded and the rest
-- goes on.

local values = require "sluice.values"
local words = require "sluice.words"

local LIST_MAX, NAME_MAX = 64, 250 -- CLIENT_CERT_LIST_MAX; TLS_SUBJECT_BYTES less a character
local PATH = { "auth", "client_cert" }

---@param Loader table the class that gets the methods
return function(Loader)

local function at(option, i) return { "auth", "client_cert", option, i } end

-- A subject is written as req.tls has it: CN=app7,O=Example.
local function why_no_name(text)
  if not text:find("=", 1, true) then
    return ("%s is no subject such as \"CN=app7,O=Example\""):format(values.show(text))
  elseif text:match("^/") then
    return ("%s: write \"CN=app7,O=Example\", as openssl x509 -noout -subject -nameopt RFC2253 "
      .. "prints it"):format(values.show(text))
  elseif text:find(",%s") or text:find("%s=") or text:find("=%s") then
    return ("%s has a space beside a comma or =: no subject has one there")
      :format(values.show(text))
  elseif text:gsub("\\\\", ""):find("\\*", 1, true) then
    return ("%s: a * can't be escaped"):format(values.show(text))
  elseif #text > NAME_MAX then
    return ("%d bytes; expected at most %d"):format(#text, NAME_MAX)
  end
end

function Loader:certificate_names(s, o, option)
  local good = true
  for i, text in ipairs(o[option] or {}) do
    local why = why_no_name(text)
    if why then
      self:problem(s, at(option, i), "value", why)
      good = false
    end
  end
  return good
end

-- As openssl x509 -fingerprint prints them, too.
function Loader:certificate_fingerprints(s, o)
  local good = true
  for i, text in ipairs(o.fingerprint or {}) do
    local digits = text:gsub(":", ""):lower()
    if #digits ~= 64 or digits:find("%X") then
      self:problem(s, at("fingerprint", i), "value", ("%s is no SHA-256 of 64 hex digits, as "
        .. "openssl x509 -noout -fingerprint -sha256 prints it"):format(values.show(text)))
      good = false
    end
    o.fingerprint[i] = digits
  end
  return good
end

-- What is public must not open a file of keys to those who only know it.
function Loader:certificate_keys(s, o)
  if o.keys == nil then
    if o.given_by then
      self:problem(s, at("by"), "key", "needs keys: it says which row of them is the client's")
    end
    return true
  end
  local keys = self:keys_named(s, PATH, o.keys, "keys = \"KEYS\"")
  if not keys or not keys.index then return false end
  keys.certificates = keys.certificates or s
  return keys
end

---client_cert { … } as C's build_auth takes it; nil: told.
function Loader:certificate_method(s, m)
  local made = rawget(m, "made")
  if made ~= nil then return made or nil end
  made = false
  rawset(m, "made", made)
  if type(m.keys) ~= "table" then
    self:problem(s, PATH, "value", "needs its options: write " .. words.auth.client_cert.form)
    return nil
  end
  local given_by = m.keys.by ~= nil
  local o = self:options(s, PATH, m.keys, words.auth.client_cert.options)
  o.given_by = given_by
  for _, option in ipairs { "ca", "subject", "fingerprint" } do
    if m.keys[option] ~= nil and o[option] == nil then return nil end -- told
    if o[option] and #o[option] > LIST_MAX then
      self:problem(s, at(option), "value", ("%d values; expected at most %d"):format(#o[option],
        LIST_MAX))
      return nil
    end
  end
  local good = self:certificate_names(s, o, "ca")
  good = self:certificate_names(s, o, "subject") and good
  good = self:certificate_fingerprints(s, o) and good
  local keys = self:certificate_keys(s, o)
  if not good or not keys then return nil end
  self.n_certs = (self.n_certs or 0) + 1
  made = { kind = "client_cert", name = "", id = "client_cert#" .. self.n_certs,
    ca = o.ca or {}, subject = o.subject or {}, fingerprint = o.fingerprint or {}, by = o.by }
  if keys ~= true then made.keys, made.file = keys.index, keys end
  rawset(m, "made", made)
  return made
end

-- ---- the listeners that serve such routes ---------------------------------------

local function asks(l) return l.tls and l.tls.client ~= "none" end

local function serves(l, i)
  if not l.address then return false end
  if not l.serves then return true end
  for _, at_route in ipairs(l.serves) do
    if at_route == i - 1 then return true end
  end
  return false
end

local function wants(auth)
  for _, m in ipairs(auth) do
    if m.kind == "client_cert" then return true end
  end
  return false
end

---A route whose listeners ask for no certificate lets nobody in by one.
function Loader:check_certificates_asked(listeners, routes)
  local told = {}
  for i, r in ipairs(routes) do
    local s, without = r.statement, nil
    local some = false
    for _, l in ipairs(wants(r.auth) and listeners or {}) do
      if serves(l, i) and asks(l) then
        some = true
      elseif serves(l, i) then
        without = l.address
      end
    end
    if without and not told[s] then
      told[s] = true
      local why = ("client_cert needs a listener that asks for certificates, and the one at %s "
        .. "does not: give its tls client = \"optional\" or \"required\", and ca")
        :format(values.show(without))
      if not some then
        self:problem(s, { "auth" }, "value", why)
      elseif #r.auth == 1 then
        self:remark(s.file, s.line, ("route %s: no request that comes by the listener at %s gets "
          .. "in, because it asks for no client certificate"):format(values.show(s.name or r.path),
          values.show(without)))
      end
    end
  end
end

---Files of keys whose rows are public texts, and that another method takes as secrets.
function Loader:check_certificate_keys(routes)
  for _, r in ipairs(routes) do
    for _, m in ipairs(r.auth) do
      if m.kind ~= "client_cert" and m.file and m.file.certificates and not m.file.told then
        m.file.told = true
        self:problem(r.statement, { "auth" }, "value", ("the keys %s are those of client_cert in "
          .. "line %d, and certificates are no secrets: give %s keys of its own")
          :format(values.show(m.file.name), m.file.certificates.line, m.kind))
      end
    end
  end
end

end
