-- words_listen: further listeners for clients, each with options of its own.

local M = {}

local tls = require "sluice.words_tls".tls

M.listen = {
  help = "A further listener for clients, by its address: \"0.0.0.0:8443\", \"[::]:8443\", "
    .. "\"unix:/run/sluice/in.sock\", or \"systemd:NAME\" for a socket that systemd passes. "
    .. "The limits of server hold for it too. A reload changes its options; to add, remove "
    .. "or rename a listener needs a restart.",
  named = true, process = true,
  options = {
    tls = tls,
    mode = { type = "mode", default = "0660",
      help = "Permissions of a Unix socket's file, in octal digits. Write permission lets a "
        .. "process connect." },
    owner = { type = "owner",
      help = "Owner of a Unix socket's file: \"user\", \"user:group\" or \":group\". By default "
        .. "the user and group that sluice runs as." },
    routes = { type = "list",
      help = "Routes that this listener serves, as the policy names them: \"POST /v1/events\", "
        .. "or a path alone for all its methods. A request for another route gets 404. By "
        .. "default all routes." },
    max_connections = { type = "count", min = 1, max = 1000000,
      help = "Highest number of connections of one worker to this listener. A further "
        .. "connection gets 503. By default only server.max_connections holds." },
    max_per_address = { type = "count", min = 1, max = 1000000,
      help = "Highest number of connections of one worker to this listener from one address "
        .. "(IPv6: from one /64 network). A further connection gets 503. By default "
        .. "server.max_connections_per_address." },
  },
}

return M
