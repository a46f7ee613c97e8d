-- The edge: several listeners for several kinds of clients. conf/SECURITY.md explains each.
--
--   browsers ──► nginx ──── unix socket ──┐ X-Forwarded-For
--   apps ─────► HAProxy ─── :8081 ────────┼─► sluice     PROXY header
--   partners' servers ───── :8082 ────────┘ directly
--
-- nginx:    proxy_pass http://unix:/run/sluice/in.sock;
--           proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
-- HAProxy:  option httpchk GET /lb
--           server sluice 10.0.0.5:8081 send-proxy-v2 check check-send-proxy

server { max_connections_per_address = 1000 }

listen "unix:/run/sluice/in.sock" {
  mode = "0660", trusted = { "unix" }, routes = { "GET /pixel", "POST /v1/events" },
}
listen "0.0.0.0:8081" {
  trusted = { "10.0.0.0/8" }, proxy_protocol = true, health = "/lb",
  routes = { "POST /v1/events" },
}
listen "0.0.0.0:8082" { routes = { "POST /partners" }, max_connections = 200 }

-- Another machine may read /metrics, and needs the token to reload.
admin { listen = "0.0.0.0:9100", token = env("SLUICE_ADMIN_TOKEN", "a token for the test alone") }

file "archive" { dir = "archive", compress = "gzip" }
stream "events" { sinks = { "archive" } }

-- By client, not by proxy: req.peer is whom the proxy names.
local per_client = limit "per_client" { rate = "100/s", burst = 200, key = "peer" }

local event = schema { type = str { required = true, max = 64 } }
local from = { ip = "peer", at = "time" }

local function on_request(req) return per_client:check(req) end
-- Enough to tell countries, not people.
local function on_event(ev) ev.ip = mask_ip(ev.ip) end

route "GET /pixel" { body = "query", schema = event, stream = "events", set = from,
  on_request = on_request, on_event = on_event, answer = "pixel" }
route "POST /v1/events" { body = "events", schema = event, stream = "events", set = from,
  on_request = on_request, on_event = on_event }
route "POST /partners" { body = "batch", schema = event, stream = "events", set = from,
  on_event = on_event }
