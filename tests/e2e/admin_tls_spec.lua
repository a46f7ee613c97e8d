-- The admin listener over TLS: operators, probes, the command line and a real Prometheus.
local certificates = require "certificates"
local cjson = require "cjson.safe"
local clickhouse = require "clickhouse"
local h = require "harness"
local signal = require "posix.signal"

local TOKEN = "planted-s3cret-token"

local POLICY = ([[
server { workers = 1 }
admin { listen = "127.0.0.1:0", token = "%s", trusted = { "10.0.0.0/8" },
  tls = { cert = "own.pem", key = "own.key", client = "optional", ca = "ca.pem", renew = "100ms" } }
file "archive" { dir = "archive" }
stream "events" { sinks = { "archive" } }
route "POST /v1/events" { body = "event", stream = "events" }
]]):format(TOKEN)

describe("the admin listener over TLS", function()
  local s, dir, prometheus

  local function curl(path, options)
    return h.shell(("curl -sS --max-time 20 --cacert '%s/own.pem' %s https://localhost:%d%s")
      :format(dir, options or "", s.admin, path))
  end

  local function has(text, part)
    if not text:find(part, 1, true) then error(("%q is not in:\n%s"):format(part, text), 2) end
  end

  setup(function()
    dir = h.folder()
    local ca = certificates.make(dir, "ca")
    certificates.make(dir, "own", { hosts = "DNS:localhost" })
    certificates.make(dir, "operator", { by = ca })
    certificates.make(dir, "stranger")
    s = h.server { dir = dir, policy = POLICY }
  end)

  teardown(function()
    if prometheus then
      signal.kill(prometheus, signal.SIGKILL)
      h.reap(prometheus)
    end
    if s then s:close() end
  end)

  it("answers probes, status and metrics over HTTPS, and plain HTTP with 400", function()
    assert.equal("ok\n", curl "/healthz")
    has(curl("/readyz", "-o /dev/null -w '%{http_code}'"), "200")
    has(cjson.decode(curl "/status").listen, "127.0.0.1:")
    has(curl "/metrics", 'sluice_tls_certificate_expiry_seconds{listener="admin"}')
    local a = h.request(s.admin, "GET", "/healthz")
    assert.equal(400, a.status)
    has(a.body, "plain_http")
    has(curl "/metrics", 'sluice_tls_handshake_failures_total{reason="plain_http"} 1')
  end)

  it("lets a client certificate of its authority in, and no other", function()
    local function as(name)
      return curl("/healthz", ("--cert '%s/%s.pem' --key '%s/%s.key'"):format(dir, name, dir, name))
    end
    assert.equal("ok\n", as "operator")
    has(as "stranger", "alert")
  end)

  it("asks for the token of whoever changes something from another machine", function()
    local from = "-X POST -H 'X-Forwarded-For: 203.0.113.7' -o /dev/null -w '%{http_code}'"
    assert.equal("401", curl("/reload", from))
    assert.equal("401", curl("/reload", from .. " -H 'Authorization: Bearer nope'"))
    assert.equal("200", curl("/reload", from .. " -H 'Authorization: Bearer " .. TOKEN .. "'"))
    assert.equal("200", curl("/reload", "-X POST -o /dev/null -w '%{http_code}'"))
  end)

  it("is asked by the command line", function()
    local function say(words)
      return h.shell(("%s %s --admin https://localhost:%d 2>&1; echo rc=$?"):format(h.binary,
        words, s.admin))
    end
    local ca = (" --cacert '%s/own.pem'"):format(dir)
    local out = say("dead replay --sink archive --dry-run" .. ca)
    has(out, "a file sink refuses no events")
    has(out, "rc=1")
    out = say("sink drop archive" .. ca)
    has(out, "policy")
    has(out, "rc=1")
    for _, words in ipairs { "dead replay --sink archive --dry-run", "sink drop archive" } do
      out = say(words)
      has(out, "certificate")
      has(out, "rc=3")
    end
  end)

  it("says what is wrong with a certificate, and how the command can do without", function()
    local out = h.shell(("%s status --admin https://127.0.0.1:%d --cacert '%s/own.pem' 2>&1")
      :format(h.binary, s.admin, dir))
    has(out, "target host name '127.0.0.1'; --admin https://HOST:PORT names the server by a name")
    out = h.shell(("%s status --admin https://localhost:%d 2>&1"):format(h.binary, s.admin))
    has(out, "self-signed certificate; --cacert FILE names")
  end)

  it("is scraped by Prometheus", function()
    if h.shell("command -v prometheus") == "" then pending("no prometheus is installed") return end
    h.write(dir .. "/p.yml", ([[
global: { scrape_interval: 200ms, scrape_timeout: 200ms }
scrape_configs:
  - job_name: sluice
    scheme: https
    tls_config: { ca_file: %s/own.pem, cert_file: %s/operator.pem, key_file: %s/operator.key }
    static_configs: [{ targets: ["localhost:%d"] }]
]]):format(dir, dir, dir, s.admin))
    local port = clickhouse.free_port()
    prometheus = h.spawn({ "prometheus", "--config.file=" .. dir .. "/p.yml",
      "--storage.tsdb.path=" .. dir .. "/data-p", "--web.listen-address=127.0.0.1:" .. port,
      "--log.level=error" }, dir .. "/log-p")
    h.wait_for("a scrape", function()
      local o = cjson.decode(h.shell(("curl -s 127.0.0.1:%d/api/v1/query?query=sluice_policy_info"
        .. "%%20or%%20up==1"):format(port)))
      return o and o.data and #o.data.result > 0
    end, 40)
  end)

  it("gets new certificates when their files change", function()
    certificates.make(dir, "new", { hosts = "DNS:localhost", days = 3 })
    h.write(dir .. "/own.key", h.read(dir .. "/new.key"))
    h.write(dir .. "/own.pem", h.read(dir .. "/new.pem"))
    s:logged('event=certificate status=renewed listener="admin"')
    h.wait_for("the new certificate", function() return curl "/healthz" == "ok\n" end)
  end)
end)
