-- words_server: options of the whole process: its listeners, its log and its spool.

local M = {}

local DAY_MS = 24 * 3600 * 1000

M.server = {
  help = "The listener for clients and the limits of their requests.",
  once = true,
  options = {
    listen = { type = "socket", default = "0.0.0.0:8080",
      help = "Address on which sluice accepts clients. By default all IPv4 addresses, "
        .. "port 8080; \"*:8080\" adds IPv6. A policy that has listen blocks and does not "
        .. "set it has only those. --listen of sluice run replaces it. A change needs a "
        .. "restart." },
    share_port = { type = "boolean", default = false,
      help = "Lets another server listen on the same port; the kernel divides the "
        .. "connections. By default a server whose port is taken ends with exit code 3. "
        .. "Set it in both servers when one replaces the other without a pause." },
    workers = { type = "workers", default = "auto", min = 1, max = 1024,
      help = "Number of worker threads, each with its own event loop. \"auto\" starts "
        .. "one for each CPU core that the process may use. A change needs a restart." },
    max_body = { type = "bytes", default = "4MiB", min = 1024,
      max = 255 * 1024 * 1024,
      help = "Largest request body, also after decompression. A larger one gets 413." },
    max_events = { type = "count", default = 10000, min = 1, max = 1000000,
      help = "Highest number of events in one request. A request with more gets 413." },
    max_depth = { type = "count", default = 64, min = 1, max = 1024,
      help = "Deepest nesting of objects and arrays in an event; the event itself is "
        .. "level 1. A deeper event gets 413; in a batch, sluice refuses that event alone "
        .. "if it finds the event's end." },
    max_headers = { type = "bytes", default = "16KiB", min = 1024, max = 65535,
      help = "Largest head of a request: its URL and headers. A larger one gets 431." },
    max_connections = { type = "count", default = 10000, min = 1,
      max = 1000000,
      help = "Highest number of connections of one worker. A further connection gets "
        .. "503, also when three quarters of the process's file descriptors are in use." },
    max_connections_per_address = { type = "count", default = 0, min = 0,
      max = 1000000,
      help = "Highest number of connections of one worker to one listener from one address "
        .. "(IPv6: from one /64 network). A further connection gets 503. By default 0, no limit, "
        .. "because a load balancer or NAT has one address for many clients." },
    header_timeout = { type = "duration", default = "10s", min = 10,
      max = DAY_MS, help = "How long the headers of a request may take to arrive. After "
        .. "that sluice answers 408. It closes a new connection that has sent nothing." },
    body_timeout = { type = "duration", default = "30s", min = 10,
      max = DAY_MS, help = "How long each 16 KiB of a body may take to arrive. After that "
        .. "sluice answers 408. It also closes a connection whose client reads nothing "
        .. "of its answers for this time." },
    idle_timeout = { type = "duration", default = "75s", min = 10,
      max = DAY_MS, help = "How long a connection may stay idle between two requests. "
        .. "After that sluice closes it. Keep it above the idle timeout of a proxy in "
        .. "front of sluice." },
    drain = { type = "duration", default = "10s", min = 0, max = DAY_MS,
      help = "How long requests in hand and sinks may take to finish after SIGTERM or "
        .. "SIGINT, counted from the end of drain_delay. A second signal ends the wait." },
    drain_delay = { type = "duration", default = "0s", min = 0, max = DAY_MS,
      help = "How long sluice still serves clients after SIGTERM or SIGINT while /readyz "
        .. "answers 503, so that a load balancer notices. By default sluice stops "
        .. "accepting connections immediately." },
    user = { type = "string",
      help = "User that sluice becomes when root starts it, by name or number. It binds "
        .. "its ports first, then gives up root's rights and all capabilities; see "
        .. "OPERATIONS.md. Without it sluice stays the user that started it. A change "
        .. "needs a restart." },
    sandbox = { type = "enum", default = "auto", values = { "off", "auto", "required" },
      help = "Restricts the process to the system calls that it needs (seccomp) and to the "
        .. "folders that the policy names at the start (Landlock), as far as the kernel can. "
        .. "By default (\"auto\") it logs what is missing and goes on; \"required\" ends the "
        .. "start with exit code 3. Set \"off\" if a library of yours needs more. SECURITY.md "
        .. "says what the process can't do. A change needs an upgrade (sluice upgrade) or a "
        .. "restart." },
    core_dumps = { type = "boolean", default = false,
      help = "Lets the system write the process's memory to a file when it crashes, and "
        .. "a debugger of the same user attach. By default neither is possible, because "
        .. "the memory holds passwords and events. A change needs a restart." },
  },
}

M.log = {
  help = "The log on standard error. A reload changes both options.",
  once = true,
  options = {
    level = { type = "enum", default = "info",
      values = { "debug", "info", "warn", "error" },
      help = "Lowest level that sluice logs." },
    format = { type = "enum", default = "text", values = { "text", "json" },
      help = "Form of a log line: \"text\" writes key=value pairs, \"json\" one JSON "
        .. "object." },
  },
}

M.access_log = {
  help = "A file with a line for each request, or for a sample of them. Without this word there "
    .. "is none. A reload changes all options.",
  once = true,
  options = {
    path = { type = "string", default = "access.log",
      help = "File that sluice appends to. A relative path starts at the data directory. Its "
        .. "directory must exist." },
    format = { type = "enum", default = "text", values = { "text", "json" },
      help = "Form of a line: \"text\" writes key=value pairs, \"json\" one JSON object." },
    sample = { type = "percent", default = "100%", min = 0, max = 1,
      help = "Share of the requests that get a line, chosen by chance: \"1%\"." },
    always = { type = "enum", default = "none", values = { "none", "refused" },
      help = "Requests that get a line also outside of the sample: with \"refused\" those with a "
        .. "status of 400 or more, or with an event that was refused." },
    max_size = { type = "bytes", default = "100MiB", min = 65536, max = 2 ^ 50,
      help = "Size at which sluice renames the file to its path with \".1\" and begins another "
        .. "one. Set a large size where another tool rotates it and sends SIGUSR1." },
    keep = { type = "count", default = 5, min = 1, max = 1000,
      help = "Number of renamed files that stay: \".1\" is the newest. sluice removes older "
        .. "ones." },
  },
}

M.admin = {
  help = "The listener for operators: metrics, health, status, reload.",
  once = true,
  options = {
    listen = { type = "socket", default = "127.0.0.1:9100",
      help = "Address for operators and Prometheus. By default only this machine can "
        .. "connect. --admin of sluice run replaces it. A change needs a restart." },
    token = { type = "string",
      help = "Secret that POST and DELETE need from another machine, as \"Authorization: "
        .. "Bearer TOKEN\" or \"Sluice-Token: TOKEN\": env \"SLUICE_ADMIN_TOKEN\". By default "
        .. "none, and sluice refuses them." },
    hosts = { type = "list",
      help = "Names with a dot by which clients call this listener, as in their Host header. "
        .. "Addresses and names without a dot need none. By default sluice refuses such "
        .. "names without the token, because a web page can make one lead here." },
  },
}

M.admin.options.tls = require("sluice.words_tls").tls

for key, option in pairs(require("sluice.words_listen").shared) do
  M.admin.options[key] = option
end

M.spool = {
  help = "The queue on disk that every accepted event passes.",
  once = true,
  options = {
    dir = { type = "string", default = "spool",
      help = "Directory of the spool. A relative path starts at the data directory. A "
        .. "change needs a restart." },
    segment = { type = "bytes", default = "64MiB", min = 4 * 1024 * 1024,
      max = 16 * 1024 * 1024 * 1024,
      help = "Size of one file of the spool, at least 4 × server.max_body. sluice raises "
        .. "the default to that, and lowers the size so that four segments for each "
        .. "worker and stream fit into max_bytes. A change needs a restart." },
    max_bytes = { type = "bytes", default = "10GiB", min = 16 * 1024 * 1024,
      max = 2 ^ 50,
      help = "Room on disk that the streams without their own max_bytes share equally. "
        .. "sluice raises the default if many workers and streams need more. The "
        .. "max_bytes of a stream is a limit of its own and may exceed this one." },
  },
}

return M
