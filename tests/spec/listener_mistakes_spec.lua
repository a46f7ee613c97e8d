-- Mistakes in the sockets that a policy opens: what is said of each, word for word. Rows as in
-- diagnostics_spec.lua.
local checking = require "spec.checking"

local BASE = [[
file "a" { dir = "a" }
stream "events" { sinks = { "a" } }
route "POST /v1/events" { body = "event", stream = "events" }
]]

local PATH = ("a"):rep(107)

local rows = {
  { "two listeners at one address",
    [[listen "0.0.0.0:8443" { }
listen "0.0.0.0:8443" { }
{BASE}]],
    [[p.lua:2: listen "0.0.0.0:8443": has the address of the listener in line 1]] },
  { "a listener at the address of the short form",
    [[server { listen = "127.0.0.1:8443" }
listen "0.0.0.0:8443" { }
{BASE}]],
    [[p.lua:2: listen "0.0.0.0:8443": has the address of the listener in line 1]] },
  { "all addresses beside one of IPv6",
    [[listen "[2001:db8::1]:80" { }
listen "*:80" { }
{BASE}]],
    [[p.lua:2: listen "*:80": has the address of the listener in line 1]] },
  { "a listener without a port",
    [[listen "0.0.0.0" { }
{BASE}]],
    [[p.lua:1: listen "0.0.0.0": "0.0.0.0" is not an address such as "127.0.0.1:8080"]] },
  { "a Unix socket without a whole path",
    [[listen "unix:in.sock" { }
{BASE}]],
    [[p.lua:1: listen "unix:in.sock": "unix:in.sock" is not an absolute path such as "unix:/run/sluice/in.sock"]] },
  { "a path that is too long",
    [[listen "unix:/]] .. PATH .. [[" { }
{BASE}]],
    [[p.lua:1: listen "unix:/]] .. PATH .. [[": the path of a Unix socket has at most 107 bytes, this one has 108]] },
  { "a systemd socket without a name",
    [[listen "systemd:" { }
{BASE}]],
    [[p.lua:1: listen "systemd:": "systemd:" has no name such as "systemd:in" (FileDescriptorName=)]] },
  { "a mode that is none",
    [[listen "unix:/a" { mode = "0888" }
{BASE}]],
    [[p.lua:1: listen "unix:/a".mode: "0888" is not a mode such as "0660"]] },
  { "an owner that is none",
    [[listen "unix:/a" { owner = ":" }
{BASE}]],
    [[p.lua:1: listen "unix:/a".owner: ":" is not an owner such as "sluice:www-data"]] },
  { "a file's option of a TCP listener",
    [[listen "0.0.0.0:80" { mode = "0600" }
{BASE}]],
    [[p.lua:1: listen "0.0.0.0:80".mode: only a unix: listener has a file]] },
  { "a route that is not there",
    [[listen "0.0.0.0:80" { routes = { "POST /v1/event" } }
{BASE}]],
    [[p.lua:1: listen "0.0.0.0:80".routes[1]: there is no route "POST /v1/event"; did you mean "POST /v1/events"?]] },
  { "a network that is none",
    [[listen "0.0.0.0:80" { trusted = { "10.0.0.1/8" } }
{BASE}]],
    [[p.lua:1: listen "0.0.0.0:80".trusted: "10.0.0.1/8" has bits behind its prefix: the network's first address is expected]] },
  { "a PROXY header from anybody",
    [[listen "0.0.0.0:80" { proxy_protocol = true }
{BASE}]],
    [[p.lua:1: listen "0.0.0.0:80".proxy_protocol: needs trusted: the networks of the proxies that may send the header]] },
  { "a forwarded header from anybody",
    [[listen "0.0.0.0:80" { forwarded = "forwarded" }
{BASE}]],
    [[p.lua:1: listen "0.0.0.0:80".forwarded: needs trusted: the networks of the proxies that write the header]] },
  { "a header that is none of the two",
    [[listen "0.0.0.0:80" { trusted = { "unix" }, forwarded = "x-real-ip" }
{BASE}]],
    [[p.lua:1: listen "0.0.0.0:80".forwarded: "x-real-ip" is none of "x-forwarded-for", "forwarded", "none"]] },
  { "a health path that is none",
    [[listen "0.0.0.0:80" { health = "healthz" }
{BASE}]],
    [[p.lua:1: listen "0.0.0.0:80".health: "healthz" is not a path such as "/healthz"]] },
  { "a health path that is a route",
    [[listen "0.0.0.0:80" { health = "/h" }
{BASE}route "GET /h" { body = "query", stream = "events" }]],
    [[p.lua:1: listen "0.0.0.0:80".health: the route in line 5 has this path]] },
  { "a short token",
    [[admin { token = "secret" }
{BASE}]],
    [[p.lua:1: admin.token: is shorter than 16 bytes: it could be guessed]] },
  { "a host with a port",
    [[admin { hosts = { "a.example:9100" } }
{BASE}]],
    [[p.lua:1: admin.hosts[1]: "a.example:9100" is not a name such as "sluice.example.com"]] },
}

describe("sluice check", function()
  local c = checking.new(BASE)
  teardown(c.remove)

  for _, row in ipairs(rows) do
    it("names " .. row[1], function()
      local out, code = c.problems(row[2])
      assert.equal(row[3], out)
      assert.equal(1, code)
    end)
  end

  it("takes the same route at two listeners, any number of free ports, and 64 listeners", function()
    local lines = { "{BASE}" }
    for _ = 1, 64 do lines[#lines + 1] = 'listen "127.0.0.1:0" { routes = { "/v1/events" } }' end
    local out, code = c.check(table.concat(lines, "\n"))
    assert.equal(0, code, out)
    lines[#lines + 1] = lines[2]
    out, code = c.check(table.concat(lines, "\n"))
    assert.equal(1, code)
    assert.matches("more than 64 listeners", out, 1, true)
  end)
end)
