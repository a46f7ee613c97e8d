-- words_functions: the functions of the language, and the objects that hooks get.

local M = {}

-- Functions that are part of the language; library.lua has the helpers. A parameter:
-- name, type ("?" after it: may be nil); loose: the kinds that do besides. least: the
-- fewest arguments; default: all.
M.functions = {
  { name = "env", params = { { "name", "string" }, { "default", "string?" } }, least = 1,
    returns = "string",
    help = "Value of a variable of the process's environment. If the variable is not set and "
      .. "the call has no default, the policy does not load. Call it outside of hooks." },
  { name = "secret", params = { { "name", "string" }, { "default", "string?" } }, least = 1,
    returns = "string",
    help = "Text of the file beside the policy, without the end of its last line: a password or "
      .. "key. secret \"credential:NAME\" is the file that systemd made (LoadCredential=). Each "
      .. "load of the policy reads the file again. sluice shows the value in no report, "
      .. "log, status or copy of the policy. The default counts only if there is no such file; "
      .. "without default the policy then does not load. Call it outside of hooks." },
  { name = "require", params = { { "name", "string" } }, returns = "any",
    help = "Runs the file NAME.lua beside the policy and returns the file's value. The first "
      .. "call runs the file, later calls return the same value. A dot in the name stands for "
      .. "a slash." },
  { name = "include", params = { { "name", "string" } },
    help = "Runs the statements of a file beside the policy. With a * in the name, it runs all "
      .. "files that match, in the order of their names: include \"streams/*.lua\". Locals of a "
      .. "file stay in that file; globals are shared. Call it outside of hooks." },
  { name = "reject", params = { { "code", "string" }, { "message", "string?", loose = "any" },
      { "status", "integer?" } }, least = 1,
    returns = "sluice.verdict",
    help = "return reject(\"missing_value\", \"a purchase needs a value\"). In on_event, sluice "
      .. "refuses the event. In on_request, sluice refuses the request; only there the call may "
      .. "give a status from 400 to 499, for example 401." },
  { name = "drop", params = { { "reason", "string?", loose = "any" } }, least = 0,
    returns = "sluice.verdict",
    help = "return drop(\"sampled\"). sluice answers that the event was accepted, and counts it, "
      .. "but does not store it. The reason is for readers of the policy: sluice does not "
      .. "count or log it." },
  { name = "to", params = { { "...", "string" } }, returns = "sluice.verdict",
    help = "return to(\"a\", \"b\"). sluice stores the event in these streams instead of the "
      .. "route's stream." },
}

-- The objects that functions of a policy get. A field: name, type, help.
M.objects = {
  counter_handle = { title = "`c`: a counter", text = "One count for all workers. A "
    .. "reload keeps it.", fields = {
    { "inc", "fun(self: sluice.counter_handle, n?: number, ...: any)",
      "`c:inc()`, `c:inc(3)`, with labels `c:inc(1, \"acme\")`. Adds n to the counter. Default: "
      .. "1. A negative n raises an error." },
  } },
  gauge_handle = { title = "`g`: a gauge", text = "One number for all workers. A "
    .. "reload keeps it.", fields = {
    { "set", "fun(self: sluice.gauge_handle, v: number, ...: any)",
      "`g:set(v)`, with labels `g:set(v, \"acme\")`. Sets the gauge to v." },
    { "add", "fun(self: sluice.gauge_handle, v: number, ...: any)",
      "Adds v, which may be negative." },
  } },
  lookup_handle = { title = "`t`: a lookup", open = true,
    call = "fun(key: any): table<string, string>?",
    text = "`t(key)` is the row with that key: `t(\"de\").name`. `t[key]` is the first column of "
      .. "that row that is not the\nkey. Both are nil if no row has the key. A number finds the "
      .. "row of its digits, but none from 2^53 on,\nwhere several ids are one number: send such "
      .. "ids as texts.", fields = {} },
  cidr_handle = { title = "`nets`: a cidr", open = true,
    call = "fun(address: any): table<string, string>?",
    text = "`nets(address)` is the row of the smallest network that has the IP address: "
      .. "`nets(req.peer).name`. `nets[address]` is\nthe first column of that row that is not the "
      .. "network. Both are nil if no network has the address, or the value is\nno IP address. "
      .. "::ffff:192.0.2.1 is the IPv4 address 192.0.2.1. The columns of a plain list are network "
      .. "and value;\nwithout a value it is the network.", fields = {} },
  mmdb_handle = { title = "`geo`: an mmdb", text = "::ffff:192.0.2.1 is the IPv4 address "
    .. "192.0.2.1.", fields = {
    { "get", "fun(self: sluice.mmdb_handle, address: string|nil, path: path): any",
      "`geo:get(ev.ip, \"country.iso_code\")` is the value at the path for the IP address; nil if "
      .. "the database has none, or the value is no IP address. Places in arrays count from 1: "
      .. "\"subdivisions[1].iso_code\". A text is a text, a number a number, a map or an array a "
      .. "new table. Whole numbers beyond 2^53 are texts of digits, bytes are base64. The "
      .. "path \"\" gives all that the database has for the address." },
  } },
  agents_handle = { title = "`agent`: agents", text = "The parts are `browser.family`, "
    .. "`browser.major`, `browser.minor`, `browser.patch`, `browser.version`,\n`os.family`, "
    .. "`os.major`, `os.minor`, `os.patch`, `os.patch_minor`, `os.version`, `device.family`,\n"
    .. "`device.brand` and `device.model`.", fields = {
    { "get", "fun(self: sluice.agents_handle, text: string|nil, part: string): string?",
      "`agent:get(req.headers[\"User-Agent\"], \"browser.family\")` is that part of the user "
      .. "agent. A family is \"Other\" if no parser of the file matches. nil if the file gives no "
      .. "such part for the text, or the value is no text. `browser.version` and `os.version` are "
      .. "the parts of the version with dots: \"17.2.1\". sluice reads the first 1,024 bytes of "
      .. "a text, and cuts a part at 256 bytes." },
  } },
  limit_handle = { title = "`l`: a limit", text = "Uses the clock of the request. A reload "
    .. "that does not change the limit keeps its tokens.", fields = {
    { "check", "fun(self: sluice.limit_handle, key: any, n?: number): sluice.verdict?",
      "`return l:check(key)` takes n tokens (default: 1) from the key's bucket. It returns nil "
      .. "if the bucket has them, otherwise a refusal with code `rate_limited`. In on_request "
      .. "the client gets 429 with Retry-After. With ev or req instead of a key, the limit's "
      .. "option key names the value that counts." },
    { "take", "fun(self: sluice.limit_handle, key: any, n?: number): boolean",
      "Takes n tokens (default: 1) and returns true if the key's bucket has them. Otherwise it "
      .. "takes no token and returns false." },
  } },
  event = { title = "`ev`: an event", open = true, fields = {},
    text = "`ev[path]` reads the value at a path, `ev[path] = value` sets it and `ev[path] = nil` "
      .. "removes it. The rest\nof the event stays as the client sent it. A path consists of keys "
      .. "with dots between them. Items of arrays\ncount from 1: `ev.user_id`, "
      .. "`ev[\"properties.page\"]`, `ev[\"items[2].id\"]`. A backslash makes a dot, bracket or\n"
      .. "backslash part of a key: `ev[\"user\\\\.ip\"]` is the key `user.ip` at the top of the "
      .. "event.\n\nReading returns nil if the path has no value, or null. Setting a value creates "
      .. "missing objects on the way. It\nraises an error if the path leads through a text, a "
      .. "number or an array. If an object has a key twice, reading\nuses the first copy; setting "
      .. "and removing change all copies. Removing an item of an array moves the later items\n"
      .. "forward. At most 32 top-level keys of an event can change. `ev` is valid until the "
      .. "hook returns." },
  request = { title = "`req`: a request", text = "A policy can read a request but not change "
    .. "it.", fields = {
    { "time_ms", "number", "Wall clock, in milliseconds since 1970. All reads in one turn of the "
      .. "worker's event loop give the same time." },
    { "method", "string", "Method of the request: \"POST\"." },
    { "path", "string", "Path of the URL without the query." },
    { "params", "table<string, string>",
      "Parts of the path that the route names, decoded. For \"/v1/:kind\": req.params.kind." },
    { "query", "string", "Text after the question mark of the URL, not decoded; \"\" if the URL "
      .. "has no query." },
    { "query_args", "table<string, string>",
      "Parameters of the query, decoded: req.query_args.api_key; nil if the query does not have "
      .. "it." },
    { "basic", "table<string, string>",
      "User and password of Authorization: Basic: req.basic.user, req.basic.password; nil if "
      .. "the client did not send them." },
    { "key", "table<string, string>?",
      "Row of the key that the route's auth accepted: req.key.app; nil on a route without auth, "
      .. "and in sluice replay. The key's own column is not in it." },
    { "jwt", "table<string, string|number|boolean>", "Claims of the token that the route's auth "
      .. "accepted: req.jwt.sub. Only those that claims of jwt { } names; nil if the token does "
      .. "not have it, without a token, and in sluice replay." },
    { "peer", "string", "IP address from which the client connects. If a proxy is in front of "
      .. "sluice, it is the proxy's address, unless trusted of the listener names the proxy: "
      .. "then it is the client that the proxy names." },
    { "tls", "table<string, string>",
      "TLS of the connection: req.tls.version (\"TLSv1.3\"), req.tls.cipher, req.tls.host (the "
      .. "name that the client asked for), and of the client's certificate req.tls.subject "
      .. "(\"CN=app7,O=Example\"), req.tls.fingerprint (SHA-256, 64 digits) and req.tls.ca (the "
      .. "subject of the listener's authority at the end of its chain). Each is nil if the "
      .. "connection does not have it; without TLS all are nil." },
    { "headers", "table<string, string>",
      "Headers by name, in upper or lower case: req.headers[\"x-api-key\"]; nil if the client "
      .. "did not send it." },
  } },
  counts = { title = "`counts`: of a breaker", fields = {
    { "requests", "number", "Requests since the current interval began." },
    { "successes", "number", "Requests of this interval that succeeded." },
    { "failures", "number", "Requests of this interval that failed." },
    { "consecutive_successes", "number", "Successes of this interval since its last failure." },
    { "consecutive_failures", "number", "Failures of this interval since its last success." },
    { "slow", "number", "Requests of this interval that took longer than breaker.slow." },
  }, text = "`breaker.ready_to_trip` decides by these numbers." },
  trial = { title = "`old`, `new`: the sides of a canary", fields = {
    { "requests", "number", "Requests since the canary began." },
    { "events", "number", "Events of these requests. A request that sluice refuses before it "
      .. "counts its events counts as one event." },
    { "refused", "number", "Events that sluice refused." },
    { "failed", "number", "Events whose hook raised an error." },
    { "refusal_rate", "number", "refused / events, from 0 to 1." },
    { "error_rate", "number", "failed / events, from 0 to 1." },
    { "p50_ms", "number", "Median time of a request on its worker, in milliseconds." },
    { "p99_ms", "number", "99th percentile of that time, in milliseconds." },
  }, text = "`canary.roll_back_if` compares these numbers. It returns true or a reason to roll "
    .. "back." },
  stats = { title = "`stats`: of a sink", fields = {
    { "events", "number", "Mean number of events of a batch." },
    { "bytes", "number", "Mean size of a batch, in bytes." },
    { "age_ms", "number", "Mean age of a batch's oldest event when the batch is done, in "
      .. "milliseconds." },
    { "backlog_bytes", "number", "Backlog of the sink in the spool, in bytes." },
    { "rate", "number", "Events per second of the batches that are done." },
    { "latency_ms", "number", "Mean time from sending a batch until it is done, in "
      .. "milliseconds." },
    { "errors", "number", "Share of attempts that failed, from 0 to 1." },
    { "target", "number", "Current target of a batch, in events." },
  }, text = "`batch.adapt` decides by these numbers and returns the new target. Means and rates "
    .. "count from its last call,\nabout a second before." },
}

return M
