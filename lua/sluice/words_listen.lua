-- words_listen: further listeners for clients, each with options of its own.

local M = {}

local tls = require "sluice.words_tls".tls

local ACCESS_HELP = " Asked of the connection's own address, before TLS: behind a proxy it is "
  .. "the proxy's, and with proxy_protocol that of the PROXY header."

-- What the admin listener has, too.
M.shared = {
  mode = { type = "mode", default = "0660",
    help = "Permissions of a Unix socket's file, in octal digits. Write permission lets a "
      .. "process connect." },
  owner = { type = "owner",
    help = "Owner of a Unix socket's file: \"user\", \"user:group\" or \":group\". By default "
      .. "the user and group that sluice runs as." },
  trusted = { type = "networks",
    help = "Networks of the proxies that may say whose request they pass on: "
      .. "{ \"10.0.0.0/8\", \"2001:db8::/32\" }; \"unix\" stands for each process that can "
      .. "connect to a Unix socket. By default none." },
  forwarded = { type = "enum", default = "x-forwarded-for",
    values = { "x-forwarded-for", "forwarded", "none" },
    help = "Header in which the trusted proxies name the client, which is req.peer then. Name "
      .. "the one that they write: a client could send the other one itself." },
  proxy_protocol = { type = "boolean", default = false,
    help = "Whether each connection begins with a PROXY header, version 1 or 2. It needs "
      .. "trusted; sluice closes a connection from elsewhere, or without the header." },
  max_connections = { type = "count", min = 1, max = 1000000,
    help = "Highest number of connections of one worker to this listener. A further "
      .. "connection gets 503. By default only server.max_connections holds." },
  max_per_address = { type = "count", min = 1, max = 1000000,
    help = "Highest number of connections of one worker to this listener from one address "
      .. "(IPv6: from one /64 network). A further connection gets 503. Trusted proxies have "
      .. "no such limit. By default server.max_connections_per_address." },
  allow = { type = "access", lua = "(string|table)[]",
    help = "Networks that may connect: { \"10.0.0.0/8\" }, also a cidr \"FILE\" or its name, "
      .. "and \"unix\". sluice closes other connections without an answer. By default all."
      .. ACCESS_HELP },
  deny = { type = "access", lua = "(string|table)[]",
    help = "Networks that may not connect, in the same form; stronger than allow." },
}

M.listen = {
  help = "A further listener for clients, by its address: \"0.0.0.0:8443\", \"[::]:8443\", "
    .. "\"unix:/run/sluice/in.sock\", or \"systemd:NAME\" for a socket that systemd passes. "
    .. "The limits of server hold for it too. A reload changes its options; to add, remove "
    .. "or rename a listener needs a restart.",
  named = true, process = true,
  options = {
    tls = tls,
    routes = { type = "list",
      help = "Routes that this listener serves, as the policy names them: \"POST /v1/events\", "
        .. "or a path alone for all its methods. A request for another route gets 404. By "
        .. "default all routes." },
    health = { type = "string",
      help = "Path such as \"/healthz\" that answers GET as /readyz of the admin listener "
        .. "does: 200, or 503 while sluice stops or can't store events. By default none." },
  },
}

for key, option in pairs(M.shared) do M.listen.options[key] = option end

return M
