-- certificates: PEM files for tests, made by openssl: EC keys, which take no time.

local h = require "harness"

local M = {}

---Makes dir/name.pem and dir/name.key. Returns the path without its ending.
---@param o? table hosts ("DNS:a.example,…"), by (another one's path), days, rsa,
---subject ("/O=Example/CN=app"), age (days since it began to be valid, without hosts)
function M.make(dir, name, o)
  o = o or {}
  local path = dir .. "/" .. name
  local kind = o.rsa and "-newkey rsa:2048" or "-newkey ec -pkeyopt ec_paramgen_curve:P-256"
  local ext = o.hosts and (" -addext 'subjectAltName=%s'"):format(o.hosts) or ""
  local subject = o.subject or "/CN=" .. name
  local signed = o.by and (" -CA '%s.pem' -CAkey '%s.key'"):format(o.by, o.by) or ""
  if o.by then -- openssl 3.0 signs with another's key by x509 alone
    local out = h.shell(("{ openssl req %s -nodes -keyout '%s.key' -out '%s.csr' -subj '%s'%s "
      .. "&& openssl x509 -req -in '%s.csr'%s -CAcreateserial -copy_extensions copy -out '%s.pem' "
      .. "-days %d; }")
      :format(kind, path, path, subject, ext, path, signed, path, o.days or 365))
    assert(h.read(path .. ".pem"), out)
    return path
  end
  if o.age then -- only "openssl ca" makes one that began before now
    local function date(days) return os.date("!%Y%m%d%H%M%SZ", os.time() + days * 86400) end
    h.write(path .. ".cnf", ([[
[ca]
default_ca = own
[own]
new_certs_dir = %s
database = %s.index
rand_serial = yes
default_md = sha256
policy = any
[any]
commonName = optional
]]):format(dir, path))
    h.write(path .. ".index", "")
    local out = h.shell(("{ openssl req -new %s -nodes -keyout '%s.key' -out '%s.csr' -subj '%s' "
      .. "&& openssl ca -batch -notext -config '%s.cnf' -selfsign -keyfile '%s.key' -in '%s.csr' "
      .. "-out '%s.pem' -startdate %s -enddate %s; } 2>&1"):format(kind, path, path, subject, path,
      path, path, path, date(-o.age), date(o.days)))
    assert(h.read(path .. ".pem"), out)
    return path
  end
  local out = h.shell(("openssl req -x509 %s -nodes -keyout '%s.key' -out '%s.pem' "
    .. "-days %d -subj '%s'%s"):format(kind, path, path, o.days or 365, subject, ext))
  assert(h.read(path .. ".pem"), out)
  return path
end

---Replaces a.pem and a.key of a running server, and waits until it uses them. o: as make has.
function M.renew(s, o)
  local from = #(h.read(s.log) or "")
  M.make(s.dir, "new", o)
  os.rename(s.dir .. "/new.key", s.dir .. "/a.key")
  os.rename(s.dir .. "/new.pem", s.dir .. "/a.pem")
  h.wait_for("the new certificate", function()
    return (h.read(s.log) or ""):find("event=certificate status=renewed", from, true)
  end)
end

return M
