-- Debian's HAProxy (PROXY v2, keep-alive, health checks) and nginx (X-Forwarded-For through a
-- Unix socket) in front of sluice: the client's address arrives, and no request fails while
-- all three reload. SLUICE_FRONT_SECONDS=600 makes the load last as long.

local free_port = require "clickhouse".free_port
local h = require "harness"

local SECONDS = tonumber(os.getenv("SLUICE_FRONT_SECONDS")) or 1
local CLIENT = "127.0.0.5" -- not an address of the proxies

local POLICY = [[
server { workers = 2 }
listen "127.0.0.1:0" { proxy_protocol = true, trusted = { "127.0.0.1" }, health = "/lb" }
listen "unix:DIR/in.sock" { trusted = { "unix" } }
file "archive" { dir = "archive", linger = "50ms" }
stream "events" { sinks = { "archive" } }
route "POST /v1/events" { body = "event", stream = "events", set = { peer = "peer" } }
route "POST /who" { body = "event", stream = "events",
  on_request = function(req) return reject("seen", req.peer) end }
]]

local HAPROXY = [[
global
  maxconn 1000
  stats socket DIR/haproxy.sock mode 600 level admin expose-fd listeners
defaults
  mode http
  timeout connect 10s
  timeout client 30s
  timeout server 30s
  option http-keep-alive
  option idle-close-on-response
frontend front
  bind 127.0.0.1:FRONT
  default_backend sluice
backend sluice
  option httpchk GET /lb
  server one 127.0.0.1:SLUICE send-proxy-v2 check check-send-proxy inter 200ms
]]

local NGINX = [[
daemon off;
user root;
pid DIR/nginx.pid;
error_log DIR/nginx.log warn;
worker_processes 1;
events { worker_connections 512; }
http {
  access_log off;
  client_body_temp_path DIR/t1; proxy_temp_path DIR/t2; fastcgi_temp_path DIR/t3;
  uwsgi_temp_path DIR/t4; scgi_temp_path DIR/t5;
  upstream sluice { server unix:DIR/in.sock; keepalive 16; }
  server {
    listen 127.0.0.1:FRONT;
    location / {
      proxy_pass http://sluice;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_set_header Host $host;
      proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
    }
  }
}
]]

local has = h.shell("command -v haproxy; command -v nginx"):match("haproxy\n.*nginx\n")

describe("in front of sluice", function()
  if not has then
    pending("HAProxy and nginx are not installed (sh conf/setup.sh test)")
    return
  end

  local s, dir, haproxy, nginx, ports
  local function fill(text)
    return (text:gsub("DIR", dir):gsub("SLUICE", ports.sluice or ""))
  end

  -- What req.peer is for a client at CLIENT, which claims to be another one; nil: 503.
  local function peer(port)
    return h.shell(("curl -s --interface %s -H 'X-Forwarded-For: 6.6.6.6' "
      .. "-H 'Forwarded: for=6.6.6.6' -H 'content-type: application/json' -d '{}' "
      .. "http://127.0.0.1:%d/who"):format(CLIENT, port)):match('"detail":"([^"]*)"')
  end

  setup(function()
    dir = h.folder()
    ports = { haproxy = free_port(), nginx = free_port() }
    s = h.server { dir = dir, policy = (POLICY:gsub("DIR", dir)) }
    ports.sluice = s:text():match("event=ready listen=[^,]*,127%.0%.0%.1:(%d+)")
    h.write(dir .. "/haproxy.cfg", (fill(HAPROXY):gsub("FRONT", ports.haproxy)))
    h.write(dir .. "/nginx.conf", (fill(NGINX):gsub("FRONT", ports.nginx)))
    haproxy = h.spawn({ "haproxy", "-W", "-db", "-f", dir .. "/haproxy.cfg" },
      dir .. "/haproxy.log")
    nginx = h.spawn({ "nginx", "-p", dir, "-c", dir .. "/nginx.conf" }, dir .. "/nginx.out")
  end)

  teardown(function()
    for _, pid in ipairs { haproxy or false, nginx or false } do
      if pid then
        h.shell("kill -TERM " .. pid)
        h.reap(pid)
      end
    end
    if s then s:close() end
  end)

  it("HAProxy passes the client's address on, and finds sluice healthy", function()
    assert.equal(CLIENT, h.wait_for("HAProxy", function() return peer(ports.haproxy) end))
    h.wait_for("a health check", function()
      return (s:metric("sluice_requests_total", 'status="200"') or 0) > 0
    end)
  end)

  it("nginx passes the client's address on through a Unix socket", function()
    assert.equal(CLIENT, h.wait_for("nginx", function() return peer(ports.nginx) end))
  end)

  it("reloads of all three fail no request", function()
    local till, sent, next_reload = h.now() + SECONDS, 0, 0
    local kept = h.connect(ports.haproxy)
    local head = "POST /v1/events HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
      .. "Content-Length: %d\r\n\r\n%s"
    local rounds = 0
    repeat
      if h.now() > next_reload then
        next_reload = h.now() + math.max(0.4, SECONDS / 300)
        rounds = rounds + 1
        h.shell(("kill -%s %d"):format(rounds % 2 == 0 and "USR2" or "HUP",
          rounds % 2 == 0 and haproxy or nginx))
        assert.equal(200, s:reload().status)
      end
      local body = ('{"n":%d}'):format(sent)
      kept:send(head:format(#body, body))
      local a = assert(h.answer(kept))
      assert.equal(202, a.status)
      if a.headers.connection == "close" then
        kept:close()
        kept = h.connect(ports.haproxy)
      end
      a = assert(h.request(ports.nginx, "POST", "/v1/events", body,
        { ["content-type"] = "application/json" }))
      assert.equal(202, a.status)
      sent = sent + 2
    until h.now() > till
    kept:close()
    assert.is_true(rounds >= 2)
    s:deliver()
    assert.equal(sent, s:metric("sluice_stored_events_total", 'stream="events"'))
    if SECONDS > 10 then print(("%d requests, %d reloads of each"):format(sent, rounds / 2)) end
  end)
end)
