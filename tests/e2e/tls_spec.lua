-- TLS: real clients against a listener with certificates of two kinds and for two hosts.

local certificates = require "certificates"
local h = require "harness"

local function policy(o)
  o = o or {}
  return ([[
server { workers = 2 }
listen "127.0.0.1:0" { tls = { cert = "ec.pem", key = "ec.key",
  { cert = "rsa.pem", key = "rsa.key" },
  { cert = "b.pem", key = "b.key" },
  client = "optional", ca = "ca.pem", renew = "100ms" %s } }
file "archive" { dir = "archive", linger = "20ms" }
stream "events" { sinks = { "archive" } }
route "POST /v1/events" { body = "event", stream = "events",
  on_event = function(ev, req)
    ev.version, ev.host = req.tls.version, req.tls.host
    ev.subject, ev.fingerprint = req.tls.subject, req.tls.fingerprint
  end }
keys "machines" { file = "machines.csv", disabled = "off" }
route "POST /cert" { body = "event", stream = "events",
  auth = any_of { client_cert { ca = "CN=ca", subject = "CN=app*" },
    client_cert { keys = "machines" } } }
keys "named" { file = "named.csv" }
route "POST /named" { body = "event", stream = "events",
  auth = client_cert { keys = "named", by = "subject" } }
]]):format(o.tls or "")
end

local function has(text, part)
  if not text:find(part, 1, true) then
    error(("%q is not in:\n%s"):format(part, text), 2)
  end
end

-- Bytes of a subject: whether a row by it can be found.
local LONG = { [247] = true, [251] = true, [252] = false, [255] = false, [256] = false,
  [300] = false }

-- A subject of n bytes as RFC 2253 writes it, with its last name first; and for openssl.
-- That of fewer bytes is the start of that of more.
local function subject_of(n)
  local names = {}
  for i = 1, 5 do
    names[i] = "OU=" .. ("x"):rep(i < 5 and 56 or n - 4 * 60 - 3)
  end
  local text = table.concat(names, ",")
  return text, "/" .. table.concat({ names[5], names[4], names[3], names[2], names[1] }, "/")
end

local OK = '{"status":"accepted","accepted":1}' -- " 202" is in each Date, too

-- For printf: a request that ends its connection.
local LAST = "GET /x HTTP/1.1\\r\\nHost: a\\r\\nConnection: close\\r\\n\\r\\n"

describe("TLS", function()
  local s, dir, port

  local function client(options, input)
    return h.shell(("printf '%s' | timeout 20 openssl s_client -connect 127.0.0.1:%d "
      .. "-CAfile '%s/ec.pem' %s"):format(input or "Q\\n", port, dir, options or ""))
  end

  local function curl(options, path)
    return h.shell(("curl -s --max-time 20 --cacert '%s/ec.pem' --resolve "
      .. "a.example:%d:127.0.0.1 -w ' %%{http_code}' -H 'content-type: application/json' "
      .. "-d '{}' %s https://a.example:%d%s"):format(dir, port, options or "", port,
      path or "/v1/events"))
  end

  local function failures(reason)
    return s:metric("sluice_tls_handshake_failures_total",
      ('reason="%s"'):format(reason)) or 0
  end

  setup(function()
    dir = h.folder()
    local ca = certificates.make(dir, "ca")
    certificates.make(dir, "ec", { hosts = "DNS:a.example" })
    certificates.make(dir, "rsa", { hosts = "DNS:a.example", rsa = true })
    certificates.make(dir, "b", { hosts = "DNS:*.b.example" })
    certificates.make(dir, "app7", { by = ca })
    certificates.make(dir, "other")
    local rows = { "sha256,machine,off" }
    for name, off in pairs { meter1 = "", meter2 = "yes" } do
      certificates.make(dir, name, { by = ca })
      rows[#rows + 1] = ("%s,%s,%s"):format(h.shell(("openssl x509 -in '%s/%s.pem' -outform der | "
        .. "sha256sum"):format(dir, name)):match("^%x+"), name, off)
    end
    certificates.make(dir, "blog", { by = ca })
    h.write(dir .. "/machines.csv", table.concat(rows, "\n") .. "\n")
    rows = { "sha256,machine" }
    for n in pairs(LONG) do
      local text, names = subject_of(n)
      certificates.make(dir, "long" .. n, { by = ca, subject = names })
      rows[#rows + 1] = h.shell(("printf %%s '%s' | sha256sum"):format(text)):match("^%x+")
        .. "," .. n
    end
    -- What is left of a subject that was cut.
    rows[#rows + 1] = h.shell(("printf %%s '%s' | sha256sum"):format(
      subject_of(300):sub(1, 254))):match("^%x+") .. ",cut"
    h.write(dir .. "/named.csv", table.concat(rows, "\n") .. "\n")
    s = h.server { dir = dir, policy = policy() }
    port = tonumber(s:text():match("listen=[%d.]+:%d+,127%.0%.0%.1:(%d+)"))
  end)

  teardown(function()
    if s then s:close() end
  end)

  it("serves versions 1.2 and 1.3 to openssl, gnutls and curl, and no older one", function()
    has(client "-tls1_2", "Protocol  : TLSv1.2")
    has(client "-tls1_3", "New, TLSv1.3")
    has(client "-tls1_1 -cipher ALL:@SECLEVEL=0", "Cipher is (NONE)")
    has(client "-tls1_2 -cipher AES128-GCM-SHA256", "Cipher is (NONE)") -- no forward secrecy
    for version, ok in pairs { ["1.1"] = false, ["1.2"] = true, ["1.3"] = true } do
      local out = h.shell(("timeout 20 gnutls-cli --insecure --priority "
        .. "'NORMAL:-VERS-ALL:+VERS-TLS%s%%UNSAFE_RENEGOTIATION' -p %d 127.0.0.1 </dev/null")
        :format(version .. ":", port))
      assert.equal(ok, out:find("Handshake was completed", 1, true) ~= nil, out)
    end
    has(curl "--tls-max 1.2", " 202")
    has(curl "--tlsv1.3", " 202")
    assert.is_true(failures "version" >= 2)
    assert.is_true(failures "cipher" >= 1)
  end)

  it("gives a client the certificate of its host and of its kind of key", function()
    has(client "-servername a.example -sigalgs ECDSA+SHA256", "CN = ec")
    has(client "-servername a.example -sigalgs RSA-PSS+SHA256", "CN = rsa")
    has(client "-servername x.b.example", "CN = b")
    has(client "-noservername", "CN = ec")
    has(client "-servername x.y.b.example", "CN = ec")
  end)

  it("agrees on HTTP/1.1, and refuses a client that can only do another", function()
    has(client "-alpn h2,http/1.1", "ALPN protocol: http/1.1")
    has(client "-alpn h2", "no application protocol")
    assert.equal(1, failures "protocol")
  end)

  it("tells hooks of the connection and of the client's certificate", function()
    has(curl(("--cert '%s/app7.pem' --key '%s/app7.key'"):format(dir, dir)), " 202")
    local print = h.shell(("openssl x509 -in '%s/app7.pem' -noout -fingerprint -sha256"):format(
      dir)):match("=([%x:]+)"):gsub(":", ""):lower()
    s:stop()
    s:start()
    port = tonumber(s:text():match("listen=[%d.]+:%d+,127%.0%.0%.1:(%d+)"))
    local line = h.read(s:collect()):match('[^\n]*"subject":"CN=app7"[^\n]*')
    has(line, '"fingerprint":"' .. print .. '"')
    has(line, '"host":"a.example"')
    has(line, '"version":"TLSv1.3"')
  end)

  it("refuses a certificate that another signed, and counts it", function()
    has(client(("-tls1_2 -cert '%s/other.pem' -key '%s/other.key'"):format(dir, dir)),
      "alert")
    assert.equal(1, failures "client_certificate_untrusted")
    s:logged("event=tls_handshake reason=")
  end)

  it("lets a client into a route by its certificate, and tells others why not", function()
    for name, expected in pairs { app7 = OK, meter1 = OK,
      meter2 = "disabled_certificate", blog = "unknown_certificate" } do
      has(curl(("-i --cert '%s/%s.pem' --key '%s/%s.key'"):format(dir, name, dir, name), "/cert"),
        expected)
    end
    local out = curl("-i", "/cert")
    has(out, "missing_certificate")
    has(out, 'WWW-Authenticate: ClientCertificate realm="sluice"')
    has(out, " 401")
    for _, reason in ipairs { "missing", "unknown", "disabled" } do
      assert.equal(1, s:metric("sluice_auth_refused_total",
        ('route="POST /cert",reason="%s"'):format(reason)))
    end
  end)

  it("finds no row by a subject of more than 251 bytes, which may be another's start", function()
    for n, found in pairs(LONG) do
      local out = curl(("-i --cert '%s/long%d.pem' --key '%s/long%d.key'"):format(dir, n, dir, n),
        "/named")
      has(out, found and OK or "unknown_certificate")
    end
    -- The row of the whole text is there, and that of each shorter one.
    assert.equal(4, s:metric("sluice_auth_refused_total",
      'route="POST /named",reason="unknown"'))
  end)

  it("resumes a session at any worker and after a reload", function()
    local session = dir .. "/session"
    for _, version in ipairs { "-tls1_2", "-tls1_3" } do
      -- Of 1.3 the ticket comes after the handshake: with the answer to a request.
      client(version .. " -ign_eof -sess_out '" .. session .. "'", LAST)
      for i = 1, 4 do
        if i == 3 then assert.equal(200, s:reload().status) end
        has(client(version .. " -sess_in '" .. session .. "'"), "Reused, TLS")
      end
    end
    assert.is_true(s:metric("sluice_tls_handshakes_total", 'version="1.2",resumed="yes"') >= 4)
    assert.is_true(s:metric("sluice_tls_handshakes_total", 'version="1.3",resumed="yes"') >= 4)
  end)

  it("refuses to negotiate again, and takes no early data", function()
    has(client("-tls1_2", "R\\n"), "no renegotiation")
    has(client("-tls1_3 -ign_eof", LAST), "Max Early Data: 0")
    has(client "-tls1_2", "Compression: NONE")
  end)

  it("answers plain HTTP with 400, in plain text", function()
    local a = h.request(port, "GET", "/")
    assert.equal(400, a.status)
    has(a.body, "plain_http")
    assert.equal(1, failures "plain_http")
  end)

  it("serves a keep-alive client of another language", function()
    if h.shell("command -v node") == "" then pending("no node is installed") return end
    local out = h.shell(([[cd '%s' && timeout 30 node -e '
const https = require("https"), fs = require("fs");
const agent = new https.Agent({ keepAlive: true, maxSockets: 1 });
const sockets = new Set();
let n = 0;
function next() {
  const r = https.request({ port: %d, host: "127.0.0.1", servername: "a.example", agent,
    ca: fs.readFileSync("ec.pem"), path: "/v1/events", method: "POST",
    headers: { "content-type": "application/json" } }, (a) => {
    a.resume();
    a.on("end", () => {
      sockets.add(a.socket || r.socket);
      if (a.statusCode !== 202) throw new Error(a.statusCode);
      if (++n < 50) setImmediate(next);
      else { console.log("done", n, sockets.size); agent.destroy(); }
    });
  });
  r.end(JSON.stringify({ text: "x".repeat(40000) }));
}
next();']]):format(dir, port))
    has(out, "done 50 1")
  end)

  it("renews certificates for new connections, and keeps the open ones", function()
    local fifo = dir .. "/fifo"
    h.shell(("mkfifo '%s'"):format(fifo))
    -- One request before and one after the renewal, on one connection.
    local pid = h.spawn({ "sh", "-c", ("exec 3<>'%s'; timeout 30 openssl s_client -quiet -connect "
      .. "127.0.0.1:%d <&3"):format(fifo, port) }, dir .. "/kept")
    local get = "GET /x HTTP/1.1\r\nHost: a\r\n%s\r\n"
    h.write(fifo, get:format "")
    h.wait_for("an answer", function()
      return (h.read(dir .. "/kept") or ""):find("404", 1, true)
    end)
    local key = h.read(dir .. "/ec.key")

    h.write(dir .. "/ec.key", key:sub(1, 100)) -- half written
    s:logged('event=certificate status=failed listener="127.0.0.1:0"')
    has(s:text(), "is damaged or half written")
    has(client "-noservername", "CN = ec")
    assert.is_true(s:metric("sluice_tls_renewals_total", 'result="failed"') >= 1)
    assert.equal(1, s:metric "sluice_tls_renewal_failing")

    certificates.make(dir, "new", { days = 3 })
    h.write(dir .. "/ec.key", h.read(dir .. "/new.key"))
    h.write(dir .. "/ec.pem", h.read(dir .. "/new.pem"))
    s:logged("event=certificate status=renewed")
    h.wait_for("the new certificate", function()
      return client "-noservername":find("CN = new", 1, true)
    end)
    assert.is_true(s:metric("sluice_tls_certificate_expiry_seconds") <= 3 * 86400)
    assert.equal(3 * 86400, s:metric "sluice_tls_certificate_lifetime_seconds")
    assert.equal(0, s:metric "sluice_tls_renewal_failing")

    h.write(fifo, get:format "Connection: close\r\n")
    h.reap(pid, 30)
    local _, n = h.read(dir .. "/kept"):gsub("HTTP/1.1 404", "")
    assert.equal(2, n)
  end)

  it("reads a new certificate later when there was no descriptor for it", function()
    local limits = h.read(("/proc/%d/limits"):format(s.real_pid))
    local soft = limits:match("Max open files%s+(%d+)")
    h.shell(("prlimit --pid %d --nofile=3:"):format(s.real_pid))
    certificates.make(dir, "later")
    h.write(dir .. "/b.key", h.read(dir .. "/later.key"))
    h.write(dir .. "/b.pem", h.read(dir .. "/later.pem"))
    s:logged("event=certificate status=failed [^\n]*Too many open files")
    local from = #s:text()
    h.shell(("prlimit --pid %d --nofile=%s:"):format(s.real_pid, soft))
    h.wait_for("the renewal", function()
      return s:text():find("event=certificate status=renewed", from, true)
    end)
  end)

  it("refuses a reload whose certificate is wrong, and names the file", function()
    h.write(s.path, (policy():gsub("rsa%.key", "b.key")))
    local a = s:reload()
    assert.is_true(a.status >= 400)
    has(a.body, "does not belong to the certificate")
    has(a.body, "b.key")
  end)
end)

describe("a listener with a certificate that lives for days", function()
  it("tells of one that lives for months when that is to be renewed, and of one that is over first",
  function()
    local dir = h.folder()
    certificates.make(dir, "days", { age = 1, days = 6 })
    certificates.make(dir, "months", { age = 80, days = 10 })
    h.write(dir .. "/p.lua", [[
server { workers = 1 }
admin { listen = "127.0.0.1:0" }
listen "127.0.0.1:0" { tls = { cert = "days.pem", key = "days.key", renew = "100ms",
  { cert = "months.pem", key = "months.key" } } }
file "archive" { dir = "archive" }
stream "events" { sinks = { "archive" } }
route "POST /v1/events" { body = "event", stream = "events" }]])
    local s = h.server { dir = dir, path = dir .. "/p.lua" }
    local function days(what)
      return math.ceil(s:metric("sluice_tls_certificate_" .. what .. "_seconds") / 86400)
    end
    assert.same({ 10, 90 }, { days "expiry", days "lifetime" })
    certificates.make(dir, "over", { age = 8, days = -1 })
    h.write(dir .. "/days.key", h.read(dir .. "/over.key"))
    h.write(dir .. "/days.pem", h.read(dir .. "/over.pem"))
    h.wait_for("the renewal", function() return days "lifetime" == 7 end)
    assert.equal(0, days "expiry")
    s:close()
  end)
end)
