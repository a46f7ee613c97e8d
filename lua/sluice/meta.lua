---@meta sluice
-- The words of a policy for editors (LuaCATS); made by `sluice reference --meta`.

---A file with a line for each request, or for a sample of them. Without this word there is none. A reload changes all options.
---@class sluice.access_log
---@field always? "none"|"refused" Requests that get a line also outside of the sample: with "refused" those with a status of 400 or more, or with an event that was refused. (default: none)
---@field format? "text"|"json" Form of a line: "text" writes key=value pairs, "json" one JSON object. (default: text)
---@field keep? integer Number of renamed files that stay: ".1" is the newest. sluice removes older ones. (default: 5)
---@field max_size? string Size at which sluice renames the file to its path with ".1" and begins another one. Set a large size where another tool rotates it and sends SIGUSR1. (default: 100MiB)
---@field path? string File that sluice appends to. A relative path starts at the data directory. Its directory must exist. (default: access.log)
---@field sample? string Share of the requests that get a line, chosen by chance: "1%". (default: 100%)

---A file with a line for each request, or for a sample of them. Without this word there is none. A reload changes all options.
---@param options sluice.access_log
function access_log(options) end

---The listener for operators: metrics, health, status, reload.
---@class sluice.admin
---@field allow? (string|table)[] Networks that may connect: { "10.0.0.0/8" }, also a cidr "FILE" or its name, and "unix". sluice closes other connections without an answer. By default all. Asked of the connection's own address, before TLS: behind a proxy it is the proxy's, and with proxy_protocol that of the PROXY header.
---@field deny? (string|table)[] Networks that may not connect, in the same form; stronger than allow.
---@field forwarded? "x-forwarded-for"|"forwarded"|"none" Header in which the trusted proxies name the client, which is req.peer then. Name the one that they write: a client could send the other one itself. (default: x-forwarded-for)
---@field hosts? string[] Names with a dot by which clients call this listener, as in their Host header. Addresses and names without a dot need none. By default sluice refuses such names without the token, because a web page can make one lead here.
---@field listen? string Address for operators and Prometheus. By default only this machine can connect. --admin of sluice run replaces it. A change needs a restart. (default: 127.0.0.1:9100)
---@field max_connections? integer Highest number of connections of one worker to this listener. A further connection gets 503. By default only server.max_connections holds.
---@field max_per_address? integer Highest number of connections of one worker to this listener from one address (IPv6: from one /64 network). A further connection gets 503. Trusted proxies have no such limit. By default server.max_connections_per_address.
---@field mode? string Permissions of a Unix socket's file, in octal digits. Write permission lets a process connect. (default: 0660)
---@field owner? string Owner of a Unix socket's file: "user", "user:group" or ":group". By default the user and group that sluice runs as.
---@field proxy_protocol? boolean Whether each connection begins with a PROXY header, version 1 or 2. It needs trusted; sluice closes a connection from elsewhere, or without the header. (default: false)
---@field tls? sluice.admin.tls TLS 1.2 and 1.3 for this listener. By default it takes plain HTTP. The first certificate also serves clients that send no host, or one that no certificate has; further ones follow as a list: { cert = …, key = … }.
---@field token? string Secret that POST and DELETE need from another machine, as "Authorization: Bearer TOKEN" or "Sluice-Token: TOKEN": env "SLUICE_ADMIN_TOKEN". By default none, and sluice refuses them.
---@field trusted? string[] Networks of the proxies that may say whose request they pass on: { "10.0.0.0/8", "2001:db8::/32" }; "unix" stands for each process that can connect to a Unix socket. By default none.

---TLS 1.2 and 1.3 for this listener. By default it takes plain HTTP. The first certificate also serves clients that send no host, or one that no certificate has; further ones follow as a list: { cert = …, key = … }.
---@class sluice.admin.tls
---@field [integer] sluice.admin.tls.item
---@field ca? string Authorities that sign clients' certificates: a PEM file. Only with client.
---@field cert string Certificate, with the intermediate certificates after it: a PEM file. A relative path starts at the policy's folder.
---@field client? "none"|"optional"|"required" Whether sluice asks clients for a certificate. A client with a wrong one never gets in; "optional" lets a client without one in. Hooks read it in req.tls. (default: none)
---@field handshake_timeout? string How long a handshake may take. After that sluice closes the connection. (default: 10s)
---@field key string Private key of the certificate: a PEM file without a passphrase.
---@field max_handshakes? integer Highest number of handshakes of one worker under way at once. For a further connection sluice closes the oldest one that has sent nothing, or else the oldest one whose next bytes have not come. (default: 1000)
---@field min_version? "1.2"|"1.3" Oldest version of TLS that sluice takes. (default: 1.2)
---@field names? string[] Hosts that this certificate serves: "in.example", "*.in.example". By default the DNS names in the certificate.
---@field renew? string How often sluice looks whether these files have changed. New connections then get the new certificate; if a file is wrong, sluice keeps the one before. (default: 10s)
---@field tickets? boolean Whether a client may resume its session, for one hour, which saves most of a handshake. The keys change every hour and are only in memory. (default: true)

---A further one of the list.
---@class sluice.admin.tls.item
---@field cert string Certificate, with the intermediate certificates after it: a PEM file. A relative path starts at the policy's folder.
---@field key string Private key of the certificate: a PEM file without a passphrase.
---@field names? string[] Hosts that this certificate serves: "in.example", "*.in.example". By default the DNS names in the certificate.

---The listener for operators: metrics, health, status, reload.
---@param options sluice.admin
function admin(options) end

---Gives this policy a share of the requests before it goes live, and rolls it back if it does worse than the live one.
---@class sluice.canary
---@field by? "connection"|"request"|"peer"|string Which requests stay together on one policy: those of a connection, of a client address ("peer") or with one value of a header; "request" divides them one by one. A request without that header stays with the live policy. (default: connection)
---@field during? string How long the canary runs before the policy goes live. With too little traffic it runs up to three times as long; then sluice rolls it back. (default: 60s)
---@field min_requests? integer Number of requests that the canary must serve before it goes live by itself. (default: 50)
---@field roll_back_if? fun(old: sluice.trial, new: sluice.trial): boolean|string|nil function(old, new) that returns true or a reason to roll back. By default sluice rolls back if refusals or errors rise by more than 2 percentage points, or requests take twice as long, and chance does not explain it.
---@field share? string Share of the requests that this policy serves. The live policy serves the rest. (default: 10%)

---Gives this policy a share of the requests before it goes live, and rolls it back if it does worse than the live one.
---@param options sluice.canary
function canary(options) end

---A further listener for clients, by its address: "0.0.0.0:8443", "[::]:8443", "unix:/run/sluice/in.sock", or "systemd:NAME" for a socket that systemd passes. The limits of server hold for it too. A reload changes its options; to add, remove or rename a listener needs a restart.
---@class sluice.listen
---@field allow? (string|table)[] Networks that may connect: { "10.0.0.0/8" }, also a cidr "FILE" or its name, and "unix". sluice closes other connections without an answer. By default all. Asked of the connection's own address, before TLS: behind a proxy it is the proxy's, and with proxy_protocol that of the PROXY header.
---@field deny? (string|table)[] Networks that may not connect, in the same form; stronger than allow.
---@field forwarded? "x-forwarded-for"|"forwarded"|"none" Header in which the trusted proxies name the client, which is req.peer then. Name the one that they write: a client could send the other one itself. (default: x-forwarded-for)
---@field health? string Path such as "/healthz" that answers GET as /readyz of the admin listener does: 200, or 503 while sluice stops or can't store events. By default none.
---@field max_connections? integer Highest number of connections of one worker to this listener. A further connection gets 503. By default only server.max_connections holds.
---@field max_per_address? integer Highest number of connections of one worker to this listener from one address (IPv6: from one /64 network). A further connection gets 503. Trusted proxies have no such limit. By default server.max_connections_per_address.
---@field mode? string Permissions of a Unix socket's file, in octal digits. Write permission lets a process connect. (default: 0660)
---@field owner? string Owner of a Unix socket's file: "user", "user:group" or ":group". By default the user and group that sluice runs as.
---@field proxy_protocol? boolean Whether each connection begins with a PROXY header, version 1 or 2. It needs trusted; sluice closes a connection from elsewhere, or without the header. (default: false)
---@field routes? string[] Routes that this listener serves, as the policy names them: "POST /v1/events", or a path alone for all its methods. A request for another route gets 404. By default all routes.
---@field tls? sluice.listen.tls TLS 1.2 and 1.3 for this listener. By default it takes plain HTTP. The first certificate also serves clients that send no host, or one that no certificate has; further ones follow as a list: { cert = …, key = … }.
---@field trusted? string[] Networks of the proxies that may say whose request they pass on: { "10.0.0.0/8", "2001:db8::/32" }; "unix" stands for each process that can connect to a Unix socket. By default none.

---TLS 1.2 and 1.3 for this listener. By default it takes plain HTTP. The first certificate also serves clients that send no host, or one that no certificate has; further ones follow as a list: { cert = …, key = … }.
---@class sluice.listen.tls
---@field [integer] sluice.listen.tls.item
---@field ca? string Authorities that sign clients' certificates: a PEM file. Only with client.
---@field cert string Certificate, with the intermediate certificates after it: a PEM file. A relative path starts at the policy's folder.
---@field client? "none"|"optional"|"required" Whether sluice asks clients for a certificate. A client with a wrong one never gets in; "optional" lets a client without one in. Hooks read it in req.tls. (default: none)
---@field handshake_timeout? string How long a handshake may take. After that sluice closes the connection. (default: 10s)
---@field key string Private key of the certificate: a PEM file without a passphrase.
---@field max_handshakes? integer Highest number of handshakes of one worker under way at once. For a further connection sluice closes the oldest one that has sent nothing, or else the oldest one whose next bytes have not come. (default: 1000)
---@field min_version? "1.2"|"1.3" Oldest version of TLS that sluice takes. (default: 1.2)
---@field names? string[] Hosts that this certificate serves: "in.example", "*.in.example". By default the DNS names in the certificate.
---@field renew? string How often sluice looks whether these files have changed. New connections then get the new certificate; if a file is wrong, sluice keeps the one before. (default: 10s)
---@field tickets? boolean Whether a client may resume its session, for one hour, which saves most of a handshake. The keys change every hour and are only in memory. (default: true)

---A further one of the list.
---@class sluice.listen.tls.item
---@field cert string Certificate, with the intermediate certificates after it: a PEM file. A relative path starts at the policy's folder.
---@field key string Private key of the certificate: a PEM file without a passphrase.
---@field names? string[] Hosts that this certificate serves: "in.example", "*.in.example". By default the DNS names in the certificate.

---A further listener for clients, by its address: "0.0.0.0:8443", "[::]:8443", "unix:/run/sluice/in.sock", or "systemd:NAME" for a socket that systemd passes. The limits of server hold for it too. A reload changes its options; to add, remove or rename a listener needs a restart.
---@param name string
---@return fun(options: sluice.listen)
function listen(name) end

---The log on standard error. A reload changes both options.
---@class sluice.log
---@field format? "text"|"json" Form of a log line: "text" writes key=value pairs, "json" one JSON object. (default: text)
---@field level? "debug"|"info"|"warn"|"error" Lowest level that sluice logs. (default: info)

---The log on standard error. A reload changes both options.
---@param options sluice.log
function log(options) end

---The listener for clients and the limits of their requests.
---@class sluice.server
---@field body_timeout? string How long each 16 KiB of a body may take to arrive. After that sluice answers 408. It also closes a connection whose client reads nothing of its answers for this time. (default: 30s)
---@field core_dumps? boolean Lets the system write the process's memory to a file when it crashes, and a debugger of the same user attach. By default neither is possible, because the memory holds passwords and events. A change needs a restart. (default: false)
---@field drain? string How long requests in hand and sinks may take to finish after SIGTERM or SIGINT, counted from the end of drain_delay. A second signal ends the wait. (default: 10s)
---@field drain_delay? string How long sluice still serves clients after SIGTERM or SIGINT while /readyz answers 503, so that a load balancer notices. By default sluice stops accepting connections immediately. (default: 0s)
---@field header_timeout? string How long the headers of a request may take to arrive. After that sluice answers 408. It closes a new connection that has sent nothing. (default: 10s)
---@field idle_timeout? string How long a connection may stay idle between two requests. After that sluice closes it. Keep it above the idle timeout of a proxy in front of sluice. (default: 75s)
---@field listen? string Address on which sluice accepts clients. By default all IPv4 addresses, port 8080; "*:8080" adds IPv6. A policy that has listen blocks and does not set it has only those. --listen of sluice run replaces it. A change needs a restart. (default: 0.0.0.0:8080)
---@field max_body? string Largest request body, also after decompression. A larger one gets 413. (default: 4MiB)
---@field max_connections? integer Highest number of connections of one worker. A further connection gets 503, also when three quarters of the process's file descriptors are in use. (default: 10000)
---@field max_connections_per_address? integer Highest number of connections of one worker to one listener from one address (IPv6: from one /64 network). A further connection gets 503. By default 0, no limit, because a load balancer or NAT has one address for many clients. (default: 0)
---@field max_depth? integer Deepest nesting of objects and arrays in an event; the event itself is level 1. A deeper event gets 413; in a batch, sluice refuses that event alone if it finds the event's end. (default: 64)
---@field max_events? integer Highest number of events in one request. A request with more gets 413. (default: 10000)
---@field max_headers? string Largest head of a request: its URL and headers. A larger one gets 431. (default: 16KiB)
---@field sandbox? "off"|"auto"|"required" Restricts the process to the system calls that it needs (seccomp) and to the folders that the policy names at the start (Landlock), as far as the kernel can. By default ("auto") it logs what is missing and goes on; "required" ends the start with exit code 3. Set "off" if a library of yours needs more. SECURITY.md says what the process can't do. A change needs an upgrade (sluice upgrade) or a restart. (default: auto)
---@field share_port? boolean Lets another server listen on the same port; the kernel divides the connections. By default a server whose port is taken ends with exit code 3. Set it in both servers when one replaces the other without a pause. (default: false)
---@field user? string User that sluice becomes when root starts it, by name or number. It binds its ports first, then gives up root's rights and all capabilities; see OPERATIONS.md. Without it sluice stays the user that started it. A change needs a restart.
---@field workers? "auto"|integer Number of worker threads, each with its own event loop. "auto" starts one for each CPU core that the process may use. A change needs a restart. (default: auto)

---The listener for clients and the limits of their requests.
---@param options sluice.server
function server(options) end

---Runs this policy on copies of requests and counts where its decisions differ from the live policy's. Nothing that it decides takes effect.
---@class sluice.shadow
---@field during? string How long the shadow runs. After that sluice drops it; the live policy stays. (default: 60s)
---@field sample? integer Number of differing events that the log and /status show as they are, with their personal data. By default none. (default: 0)
---@field share? string Share of the requests that this policy sees. (default: 100%)

---Runs this policy on copies of requests and counts where its decisions differ from the live policy's. Nothing that it decides takes effect.
---@param options sluice.shadow
function shadow(options) end

---The queue on disk that every accepted event passes.
---@class sluice.spool
---@field dir? string Directory of the spool. A relative path starts at the data directory. A change needs a restart. (default: spool)
---@field max_bytes? string Room on disk that the streams without their own max_bytes share equally. sluice raises the default if many workers and streams need more. The max_bytes of a stream is a limit of its own and may exceed this one. (default: 10GiB)
---@field segment? string Size of one file of the spool, at least 4 × server.max_body. sluice raises the default to that, and lowers the size so that four segments for each worker and stream fit into max_bytes. A change needs a restart. (default: 64MiB)

---The queue on disk that every accepted event passes.
---@param options sluice.spool
function spool(options) end

---A file of user agents beside the policy (YAML, uap-core's regexes.yaml): regular expressions that tell the family and the version of a browser, a system and a device by the text that a client gives of itself. sluice reads and checks it at each load; it is part of the policy's hash, and at most 4 MiB long.
---@class sluice.agents

---A file of user agents beside the policy (YAML, uap-core's regexes.yaml): regular expressions that tell the family and the version of a browser, a system and a device by the text that a client gives of itself. sluice reads and checks it at each load; it is part of the policy's hash, and at most 4 MiB long.
---@param name string
---@return sluice.agents_handle | fun(options: sluice.agents): sluice.agents_handle
function agents(name) end

---A file of networks beside the policy as a table, in which an address finds the smallest network that has it. It is CSV whose first line names the columns, or a plain list with a network in each line and maybe a value behind it. sluice reads it at each load; it is part of the policy's hash.
---@class sluice.cidr
---@field delimiter? string Character between two fields of a line. A plain list needs none. (default: ,)
---@field key? string Column that has the networks, such as 10.0.0.0/8 or 2001:db8::/32. By default the first.

---A file of networks beside the policy as a table, in which an address finds the smallest network that has it. It is CSV whose first line names the columns, or a plain list with a network in each line and maybe a value behind it. sluice reads it at each load; it is part of the policy's hash.
---@param name string
---@return sluice.cidr_handle | fun(options: sluice.cidr): sluice.cidr_handle
function cidr(name) end

---A number in /metrics that only goes up. Its name ends in _total.
---@class sluice.counter
---@field help? string Sentence that explains the metric in /metrics. (default: Kept by the policy.)
---@field labels? string[] Names of up to 3 labels. Each call gives their values; a value is cut at 128 bytes. By default no labels.
---@field max_series? integer Highest number of different combinations of label values. sluice counts all further ones under "other". (default: 100)

---A number in /metrics that only goes up. Its name ends in _total.
---@param name string
---@return sluice.counter_handle | fun(options: sluice.counter): sluice.counter_handle
function counter(name) end

---A request and its expected answer. sluice checks it at every load and refuses the policy if they differ.
---@class sluice.example
---@field at? string Time at which the request arrives, for time checks and req.time_ms. (default: 2025-01-01T00:00:00Z)
---@field body? string Body of the request, as a client sends it. Needed unless request is a GET or a HEAD.
---@field content_type? string Content-Type of the request. (default: application/json)
---@field expect sluice.example.expect Answer that is expected. sluice compares what is given here.
---@field headers? table<string, string|number|boolean> Further headers of the request: { ["x-api-key"] = "k1" }.
---@field request string Method and path, with or without a query: "POST /v1/events".

---Answer that is expected. sluice compares what is given here.
---@class sluice.example.expect
---@field accepted? integer Number of accepted events; it includes dropped ones and dead letters.
---@field code? string Error code of the first refused event, or of the refused request.
---@field dropped? integer Number of dropped events.
---@field field? string Field that the error of the first refused event names.
---@field rejected? integer Number of refused events.
---@field status? integer HTTP status.
---@field stored? string Line that sluice stores for the first accepted event.

---A request and its expected answer. sluice checks it at every load and refuses the policy if they differ.
---@param name string
---@return fun(options: sluice.example)
function example(name) end

---A number in /metrics that goes up and down.
---@class sluice.gauge
---@field help? string Sentence that explains the metric in /metrics. (default: Kept by the policy.)
---@field labels? string[] Names of up to 3 labels. Each call gives their values; a value is cut at 128 bytes. By default no labels.
---@field max_series? integer Highest number of different combinations of label values. sluice counts all further ones under "other". (default: 100)

---A number in /metrics that goes up and down.
---@param name string
---@return sluice.gauge_handle | fun(options: sluice.gauge): sluice.gauge_handle
function gauge(name) end

---A CSV file beside the policy that has the SHA-256 of each API key, never a key itself, and what belongs to it. Its first line names the columns. `sluice key` makes a key and its line. sluice reads the file at each load; it is part of the policy's hash.
---@class sluice.keys
---@field delimiter? string Character between two fields of a line. (default: ,)
---@field disabled? string Column that disables a key (disabled_key): true, yes or 1. false, no, 0 and empty leave it enabled.
---@field expires? string Column that has the time from which on sluice refuses the key (expired_key): 2026-12-31T00:00:00Z, or 2026-12-31 for that day's first moment in UTC. Empty: never.
---@field file string Path of the file, from the policy's folder, such as "apps.csv".
---@field key? string Column that has the SHA-256 of a key, as 64 hex digits. (default: sha256)
---@field label? string Column by which sluice_key_requests_total tells keys apart, such as "app". The first 1000 values are shown, further ones as "other".

---A CSV file beside the policy that has the SHA-256 of each API key, never a key itself, and what belongs to it. Its first line names the columns. `sluice key` makes a key and its line. sluice reads the file at each load; it is part of the policy's hash.
---@param name string
---@return fun(options: sluice.keys)
function keys(name) end

---How much each key may send, over all workers: a token bucket (rate), or a number in fixed windows (quota). It is named by the limits of a route, or called in hooks. The name is optional.
---@class sluice.limit
---@field burst? integer Tokens that a full bucket holds. By default those of one second, at least 1.
---@field key? string What it counts by. The limits of a route, and check() and take() with req: "peer" (IPv6: its /64 network), "path", "header:NAME" or "key:COLUMN" of the client's key (auth), "jwt:CLAIM"; in on_event a path of the event. Those without a value share one bucket.
---@field max_keys? integer Number of buckets that are not full at the same time, or of keys that use a quota in a window (at most 1000000). With more keys, some that have used little get all of it again, and a metric counts them. (default: 100000)
---@field otherwise? string Rate or quota of a key whose row has no number in that column, such as "10/s". By default such a key is refused with 403 (no_limit).
---@field quota? string Events of each key in a window: "1000000/d", or /h, /m, /s; or "key:COLUMN/d": the number in that column of the client's key. Windows are fixed and begin by UTC: days at midnight. What was used is kept on disk.
---@field rate? string Tokens that each bucket gets, such as "100/s", "10/m", "5/h" or "1/d"; or "key:COLUMN", "key:COLUMN/m": the number in that column of the client's key.

---How much each key may send, over all workers: a token bucket (rate), or a number in fixed windows (quota). It is named by the limits of a route, or called in hooks. The name is optional.
---@param options sluice.limit|string
---@return sluice.limit_handle
function limit(options) end

---A CSV file beside the policy as a table. Its first line names the columns. sluice reads it at each load; it is part of the policy's hash.
---@class sluice.lookup
---@field delimiter? string Character between two fields of a line. (default: ,)
---@field key? string Column in which sluice looks for a key. By default the first.

---A CSV file beside the policy as a table. Its first line names the columns. sluice reads it at each load; it is part of the policy's hash.
---@param name string
---@return sluice.lookup_handle | fun(options: sluice.lookup): sluice.lookup_handle
function lookup(name) end

---A MaxMind database (.mmdb, such as GeoLite2-City) beside the policy. sluice reads and checks it at each load; it is part of the policy's hash, and at most 512 MiB long.
---@class sluice.mmdb

---A MaxMind database (.mmdb, such as GeoLite2-City) beside the policy. sluice reads and checks it at each load; it is part of the policy's hash, and at most 512 MiB long.
---@param name string
---@return sluice.mmdb_handle | fun(options: sluice.mmdb): sluice.mmdb_handle
function mmdb(name) end

---A method and a path for clients: which requests it accepts, and what happens to their events. Several methods: route { "GET", "POST", "/click" } { … }. HEAD is answered as GET, and stores nothing.
---@class sluice.route
---@field allow? (string|table)[] Networks of the clients that may send: { "10.0.0.0/8", "2001:db8::/32" }, also a cidr "FILE" or its name, and "unix" for a Unix socket. Others get 403. It is asked of req.peer, before auth. By default all.
---@field answer? "pixel"|sluice.route.answer The answer to a request with accepted events, instead of 202 with counts. "pixel" is a transparent GIF of 43 bytes that is not cached; a client gets it also when its event was refused or could not be stored.
---@field auth? sluice.auth|sluice.auth[]|false Who may send: bearer "KEYS", basic "KEYS", header "NAME" "KEYS", query "NAME" "KEYS", client_cert { … }, hmac { … }, jwt { … }, or any_of { … } of these. KEYS names a keys "NAME" { }. Others get 401 before sluice reads the body. The row of the key is req.key. By default, and with false, anybody may send.
---@field body "event"|"batch"|"events"|"bulk"|"cloudevents"|"query"|"form"|"any" Form of a request: "event", "batch", "events", "bulk", "cloudevents", "query", "form" or "any". "event" is one JSON object. "batch" is an array, {"events":[…]}, or NDJSON. "events" is one object or an array, or several of them one behind the other, with or without space between them, or NDJSON. "bulk" is lines in pairs, an action such as {"index":{…}} and the event, as Elasticsearch's _bulk takes them. "cloudevents" is the three modes of CloudEvents over HTTP. "query" is one event, the parameters of the URL; "form" is one event, the fields of a form. "any" is a query for a GET, otherwise a form or one JSON object, by the content type.
---@field columns? string[] Keys for the values of an event that is an array: with { "time", "line" }, [17,"x"] is the event {"time":17,"line":"x"}. A null, or a value that the array lacks at its end, is left out. It needs body = "batch".
---@field cors? sluice.route.cors Web pages of other origins that may send. sluice answers their OPTIONS requests.
---@field deny? (string|table)[] Networks of clients that may not, in the same form; stronger than allow.
---@field encoding? "header"|"detect"|string What says how a body is compressed, with gzip, deflate, br (brotli) or zstd. "header" is Content-Encoding. "query:NAME" is a parameter of the query, which may also be gzip-js or none; without it the header holds. "detect" looks at the body's first bytes, whatever the header says; only brotli needs the header. (default: header)
---@field envelope? table<string, string> Values outside the array of events, as field = path in the body; a path may lead through the lists of events: "resourceLogs[].resource". Each event of that list without the field gets a copy. It needs events. With body = "bulk": values of the event's action, as field = path in its object, or "$action" for its word; they replace the event's own, which goes also where the action has none.
---@field events? string Path of the array of events in a body that is one JSON object: "data.events". Lists on the way have [], and so has the last one then: "resourceLogs[].scopeLogs[].logRecords[]". With body = "batch" the body must have the array; with "events" an object without it is one event, and arrays are taken, too. By default the route accepts all forms of its body.
---@field form? table<string, string> Parameters of a query or form that hold JSON, as name = "json", or name = "base64" for JSON in base64. By default all are texts, or what the schema says: int, num, bool and time read texts. With body = "batch" or "events": the one field of a form that holds the body, as some clients send it beside JSON.
---@field limit_headers? "separate"|"combined" Whether answers tell how much is left: "separate" is RateLimit-Limit, -Remaining and -Reset of the tightest limit, as most clients read them; "combined" is RateLimit-Policy and RateLimit of all (the IETF's draft since its version 8). By default neither.
---@field limits? sluice.limit_handle[] Limits that each request is held to, by its number of events: { l, m } of local l = limit { … }. A request takes from all or from none; over one it gets 429 with Retry-After, and nothing of it is stored.
---@field max_event? string Largest event, in bytes of its JSON before sluice changes it. sluice refuses a larger one alone (event_too_large). By default only server.max_body bounds it.
---@field on_error? "dead_letter"|"reject"|"accept" What happens to an event if on_event raises an error: it becomes a dead letter, is refused, or is stored as the client sent it. If on_request raises, the client gets 500; with "accept" the request goes on. (default: dead_letter)
---@field on_event? fun(ev: sluice.event, req: sluice.request): sluice.verdict? function(ev, req), called for each event that passed the schema. It returns nothing to accept the event, or reject(), drop() or to().
---@field on_refused? sluice.route.on_refused|"dead_letter" Keeps what a schema, on_event or the grammar refuses, with the bytes that the client sent. "dead_letter" writes it to the dead letters. The client gets the same answer as without.
---@field on_request? fun(req: sluice.request): sluice.verdict? function(req), called before sluice reads the body. It returns nothing to go on, or reject().
---@field partial? boolean Whether sluice accepts the good events of a batch that also has bad ones. With false one refused event refuses the whole batch. (default: true)
---@field repeated? "refuse"|"first"|"last"|"array" What happens to a parameter of a query or form that comes more than once: "refuse" refuses the event (duplicate_key), "first" and "last" keep one value, "array" makes an array of all. A parameter that comes once stays a text, unless the schema says list { }. (default: refuse)
---@field schema? sluice.schema A schema { } that checks each event. By default any JSON object passes.
---@field set? table<string, string> Fields that each event gets from the request, as field = "path:NAME", "query:NAME", "header:NAME", "basic:user", "key:COLUMN" (of the client's key, see auth), "peer" or "time". If the request does not have the value, sluice removes the field.
---@field signed? sluice.route.signed Accepts only postbacks that Apple has signed: others are refused with 401. It needs body = "event". Signed are not all values: conversion values never are.
---@field stream? string Stream for the accepted events. Needed unless on_event names streams with to().
---@field types? string[] Content types that the route accepts; "*/*" accepts any. By default those of JSON, with body = "batch" or "events" also those of NDJSON. Others get 415.
---@field webhook? sluice.route.webhook Senders of CloudEvents that may deliver here. sluice tells them when they ask with OPTIONS.

---The answer to a request with accepted events, instead of 202 with counts. "pixel" is a transparent GIF of 43 bytes that is not cached; a client gets it also when its event was refused or could not be stored.
---@class sluice.route.answer
---@field body? string Body of the answer, instead of the counts and errors. In JSON, "{click_id}" stands for the field of the event (one event). Of many events, {$accepted} and {$rejected} are numbers, {$errors} says whether one was refused (true, false), "{$message}" why the first one was, and [{$items}] has a text for each, item or item_refused. Without {$items} it does not tell which events of a batch were refused: sluice writes these to the dead letters if others were accepted. If one of them may pass later (a limit), sluice refuses the whole batch.
---@field body_accepted? string The same of a request of which no event was refused, for clients that take any word of refused ones for a warning: "{}". It needs one of {$…} in body.
---@field body_refused? string Body of an answer that refuses the whole request: by auth, on_request, a limit, the grammar, a full spool, or because all events were refused. "{$message}" says why, "{$code}" is sluice's or the hook's code or that of codes, {$status} the status. By default sluice's JSON.
---@field codes? table<string|integer, string|integer> What {$code} of body_refused is, by sluice's or a hook's code, by status, or for all others: { invalid_token = 4, [503] = 9, other = 8 }. A code goes before its status. All are numbers, which need no quotes, or all are texts.
---@field fallback? string Url for events without a good one, instead of refusing them.
---@field headers? table<string, string|number|boolean> Further headers of this answer, as name = value. A redirect has Cache-Control: no-store unless they say otherwise.
---@field hosts? string[] Hosts to which a url of a field or function may lead: "shop.example", "shop.example:8443", "*.shop.example". An event with another url is refused (bad_location). Needed for a field or function.
---@field item? string What {$items} of body has for an accepted event: JSON, in which "{_id}" is a field of the event and {$index} its number. status is the answer's then, also when all events were refused.
---@field item_refused? string The same for a refused event, also with "{$code}", "{$message}" and {$status}: 429 if it may pass later, 500 if the hook failed, else refused.
---@field location? string|(fun(ev: sluice.event, req: sluice.request): string?) Where a redirect leads: "field:NAME", the url in a field of the event; a url such as "https://shop.example/?click={click_id}", whose fields are percent-encoded; or function(ev, req) that returns a url. The event is one.
---@field refused? integer|"same" Status when all events were refused; "same" gives the answer of accepted events instead. By default a failed hook still gives 500, a limit 429, a body that can't be read 400. (default: 422)
---@field status? integer Status when at least one event was accepted. With location 301, 302 (the default then), 303, 307 or 308; browsers keep a 301 or 308 unless Cache-Control says otherwise. (default: 202)
---@field type? string Content type of body and body_refused. By default application/json.
---@field unstored? "error"|"same" What a client gets whose events can't be stored or delivered now: "error" is 503 or 504, "same" the answer of accepted events, although the events are lost. (default: error)

---Web pages of other origins that may send. sluice answers their OPTIONS requests.
---@class sluice.route.cors
---@field credentials? boolean Whether a page may send cookies and Authorization. It needs named origins, not "*". (default: false)
---@field headers? string[] Request headers that a page may set. By default Content-Type, and what auth needs.
---@field max_age? string How long a browser may cache the answer to OPTIONS, in whole seconds. (default: 1h)
---@field origins string[] Origins of the pages, such as "https://shop.example", or "*" for all.

---Keeps what a schema, on_event or the grammar refuses, with the bytes that the client sent. "dead_letter" writes it to the dead letters. The client gets the same answer as without.
---@class sluice.route.on_refused
---@field max_record? string Bytes of what the client sent that a record keeps. (default: 64KiB)
---@field rate? string Records that the route keeps, over all workers. A record of more than 1 KiB counts once for each KiB. The unused rate of 10 seconds, and as much as the largest record takes (up to six times max_record), may come at once. sluice counts what is beyond, and does not keep it. (default: 100/s)
---@field stream? string Stream that gets a record of each refusal. Not the route's own.

---Accepts only postbacks that Apple has signed: others are refused with 401. It needs body = "event". Signed are not all values: conversion values never are.
---@class sluice.route.signed
---@field apple? "production"|"development"|"none" Which of Apple's documented keys are trusted. "development" (AdAttributionKit) adds those of test devices; whoever has one can make such postbacks. (default: production)
---@field by "skadnetwork"|"adattributionkit" Which postbacks: "skadnetwork", signed by attribution-signature, or "adattributionkit", whose jws-string is a JWS.
---@field keys? table<string, string|number|boolean> Further public keys that are trusted, as name = a PEM or base64 of its DER, of the curve P-256. The name is the kid of a JWS. With Apple's at most 8.
---@field payload? string Field that gets the signed payload of a JWS, as an object. By default postback. A client must not send it.
---@field versions? string[] Versions of SKAdNetwork that are accepted. By default 2.1, 2.2, 3.0 and 4.0. 1.0 and 2.0 are signed with a key of the weaker curve P-192.

---Senders of CloudEvents that may deliver here. sluice tells them when they ask with OPTIONS.
---@class sluice.route.webhook
---@field origins string[] Names of the senders, such as "eventgrid.azure.net", or "*" for all.
---@field rate? integer Requests a minute that the answer allows a sender. By default any number. sluice does not enforce it.

---A method and a path for clients: which requests it accepts, and what happens to their events. Several methods: route { "GET", "POST", "/click" } { … }. HEAD is answered as GET, and stores nothing.
---@param name string
---@return fun(options: sluice.route)
function route(name) end

---A queue of accepted events: how safely sluice keeps them, and which sinks get them.
---@class sluice.stream
---@field ack? "written"|"synced"|"delivered" What has happened to an event when the client gets 2xx. "written": it is in the operating system's page cache and survives a crash of sluice; "synced": it is on disk and survives a power cut; "delivered": every sink has taken, refused or skipped it. (default: written)
---@field dedup? sluice.stream.dedup Stores an event only once by its key. sluice answers a repeat as accepted and drops it, after on_event has seen it. "1" and 1 are two keys; an empty text is not a key.
---@field index? string|sluice.stream.index Keeps an index of the events' ids, so that sluice find and sluice ledger tell what became of each event, also after it left the spool. Takes less than 12 bytes of disk for an event, and 2 MiB of memory for each worker. index = "event_id" is short for index = { field = "event_id" }.
---@field max_bytes? string Room on disk for this stream, at least four segments for each worker. When it is used up, clients get 503. By default spool.max_bytes divided by the number of streams plus one (the dead letters of hooks).
---@field sinks table<integer|string, string|sluice.stream_sink> Names of the sinks that get the events, as "name" or name = { when_full, max_lag }.
---@field timeout? string With ack = "delivered": how long a request waits for the sinks. After that the client gets 504; sluice keeps the events and delivers them. (default: 30s)

---Stores an event only once by its key. sluice answers a repeat as accepted and drops it, after on_event has seen it. "1" and 1 are two keys; an empty text is not a key.
---@class sluice.stream.dedup
---@field key string|string[] Path of the text or number that identifies an event. With a list of paths, such as { "app_id", "event_id" }, their values identify it together; beside others also an object or array, by its text as it was sent. sluice stores every event that lacks one of them.
---@field max_keys? integer Number of keys that sluice remembers without persist, in about 60 bytes of memory each. With more keys it forgets the oldest early. (default: 1000000)
---@field persist? boolean Keeps the keys in the spool's folder, so that a restart, a crash or a power cut forgets no key whose event is stored. Takes 20 bytes of disk and 3 bytes of memory for a key, and 80 MB of memory. Without it a restart forgets all keys. (default: false)
---@field window? string How long sluice remembers a key, from its first event on. At most 7 d without persist. (default: 10m)

---Keeps an index of the events' ids, so that sluice find and sluice ledger tell what became of each event, also after it left the spool. Takes less than 12 bytes of disk for an event, and 2 MiB of memory for each worker. index = "event_id" is short for index = { field = "event_id" }.
---@class sluice.stream.index
---@field field string Path of the text or number that identifies an event. Events without it are counted, and can't be found.
---@field keep? string How long sluice keeps the index of an event. (default: 7d)
---@field max_bytes? string Most bytes of the stream's index on disk. Beyond it sluice removes the oldest part. 1GiB has the ids of 90 million events. (default: 1GiB)

---A queue of accepted events: how safely sluice keeps them, and which sinks get them.
---@param name string
---@return fun(options: sluice.stream)
function stream(name) end

---A sink that inserts events into a ClickHouse table over HTTP.
---@class sluice.clickhouse
---@field batch? sluice.clickhouse.batch When sluice sends a batch, and how large it is. A batch that has its target takes along what else waits, up to max.
---@field breaker? sluice.clickhouse.breaker When sluice stops sending to an endpoint that fails, and when it tries it again.
---@field check? boolean Whether sluice compares the table with columns and the schemas before the first insert. If they do not fit, the sink pauses. (default: true)
---@field columns? table<string, string|number|boolean> Columns to fill, as column = path of the event; "@event" is the whole event as text. By default each key of the event fills the column of its name.
---@field compression? "auto"|"gzip"|"zstd" Compression of request bodies. "auto" is zstd in the form that the server's version reads. (default: auto)
---@field dead? sluice.clickhouse.dead Dead letters of this sink.
---@field from? "now"|"oldest" Where a sink that is new to a stream begins: "now" with the events after the load, "oldest" with all events that the spool still has. (default: now)
---@field hedge? sluice.clickhouse.hedge A second insert of a late batch at the next url, while the first still runs. It needs at least two urls.
---@field max_in_flight? integer Highest number of inserts that run at the same time. sluice runs fewer while the server is slow or fails. (default: 8)
---@field password? string Password of the user, sent as X-ClickHouse-Key. Write env "NAME" to keep it out of the policy.
---@field pool? sluice.clickhouse.pool Connections of this sink.
---@field proxy? string HTTP proxy for all requests. By default none; sluice ignores http_proxy and ALL_PROXY in the environment.
---@field settings? table<string, string|number|boolean> ClickHouse settings that sluice adds to each insert, as name = value.
---@field table string Table for the events, as "database.table".
---@field timeout? string How long one insert may take, from connecting to the end of the answer. After that sluice sends the batch again. (default: 30s)
---@field tls? sluice.clickhouse.tls TLS of https urls.
---@field urls string[] Addresses of the ClickHouse servers. Several must be replicas of one table.
---@field user? string ClickHouse user, sent as X-ClickHouse-User. By default the server's default user.
---@field was? string Earlier name of this sink. The sink goes on where that one was.

---When sluice sends a batch, and how large it is. A batch that has its target takes along what else waits, up to max.
---@class sluice.clickhouse.batch
---@field adapt? "latency"|(fun(stats: sluice.stats): integer?) Changes target once a second, between min and max. "latency" halves it while more than 20 % of the attempts fail, otherwise raises it while a backlog waits, and lowers it when none waits; function(stats) returns the new target. By default the target stays.
---@field linger? string How long the first event of a batch may wait for more events. A longer time makes larger batches and later delivery. (default: 1s)
---@field max? integer Highest number of events in a batch. (default: 100000)
---@field max_bytes? string Size at which sluice sends a batch, before compression. A larger event is a batch of its own. (default: 8MiB)
---@field min? integer Number of events at which sluice sends a batch before linger ends, if nothing else waits and no batch is in flight. (default: 1000)
---@field target? integer Number of events at which sluice sends a batch; from min to max. (default: 10000)

---When sluice stops sending to an endpoint that fails, and when it tries it again.
---@class sluice.clickhouse.breaker
---@field interval? string How long a closed breaker counts successes and failures before it starts again from zero. (default: 10s)
---@field max_requests? integer Number of requests that a half-open breaker lets through. If as many succeed, it closes; if one fails, it opens. (default: 3)
---@field ready_to_trip? fun(counts: sluice.counts): boolean? function(counts), called after each failure; true opens the breaker. By default it opens after at least 3 requests with at least 60 % failures.
---@field slow? string A request that takes longer counts as slow. Only ready_to_trip looks at counts.slow; the default rule does not. (default: 10s)
---@field timeout? string How long a breaker stays open before it becomes half-open. (default: 30s)

---Dead letters of this sink.
---@class sluice.clickhouse.dead
---@field max_bytes? string Size of the dead-letter file beyond which the sink pauses instead of adding more. It goes on when the file is moved away or made smaller. (default: 1GiB)
---@field searches? integer Highest number of extra inserts a minute that search a refused batch for its bad rows. When they are used up, the batch waits and later batches go on. (default: 600)

---A second insert of a late batch at the next url, while the first still runs. It needs at least two urls.
---@class sluice.clickhouse.hedge
---@field after? string How long an insert may run before sluice sends the second one. "p95" is the 95th percentile of the recent inserts, once 20 are known. Without it sluice does not hedge.
---@field max_ratio? number Highest share of inserts that sluice sends twice. (default: 0.05)
---@field may_duplicate? boolean Allows hedging also where the table does not recognise a copy, so that rows may be there twice. By default sluice hedges only where it does. (default: false)

---Connections of this sink.
---@class sluice.clickhouse.pool
---@field max_idle? integer Highest number of idle connections that sluice keeps open. (default: 50)
---@field max_idle_time? string How long a connection may be idle and still be used again, in whole seconds. Keep it below the idle timeout of the server. (default: 30s)
---@field max_lifetime? string Age at which sluice stops using a connection, in whole seconds. (default: 10m)
---@field max_open? integer Highest number of connections. Further requests wait in order. (default: 300)

---TLS of https urls.
---@class sluice.clickhouse.tls
---@field ca? string PEM file of the trusted certificate authorities. By default those of the system.
---@field cert? string PEM file of a client certificate. A reload reads it again. By default sluice sends no certificate.
---@field key? string PEM file of the client certificate's key. By default the key is in the file cert.
---@field verify? boolean Whether sluice checks the server's certificate and host name. With false anyone on the network can read the events. (default: true)

---A sink that inserts events into a ClickHouse table over HTTP.
---@param name string
---@return fun(options: sluice.clickhouse)
function clickhouse(name) end

---A sink that writes events to files as lines of NDJSON; a finished file is whole and never changes.
---@class sluice.file
---@field compress? "none"|"gzip"|"zstd" Compression of the files; their names end in .gz or .zst. By default the files are plain text. (default: none)
---@field dir string Directory for the files. A relative path starts at the data directory. Each file sink needs its own.
---@field from? "now"|"oldest" Where a sink that is new to a stream begins: "now" with the events after the load, "oldest" with all events that the spool still has. (default: now)
---@field linger? string How long an event may wait until 1 MiB of events is there to be written as one frame. A shorter time writes more and smaller frames, which compress less. (default: 1s)
---@field rotate? sluice.file.rotate When sluice finishes a file and begins the next.
---@field was? string Earlier name of this sink. The sink goes on where that one was.

---When sluice finishes a file and begins the next.
---@class sluice.file.rotate
---@field age? string Age at which sluice finishes a file, counted from its first frame. (default: 1h)
---@field bytes? string Size on disk, after compression, at which sluice finishes a file. The file may be larger by its last frame. (default: 256MiB)

---A sink that writes events to files as lines of NDJSON; a finished file is whole and never changes.
---@param name string
---@return fun(options: sluice.file)
function file(name) end

---A sink that sends each batch as one request to any HTTP endpoint.
---@class sluice.http
---@field batch? sluice.http.batch When sluice sends a batch, and how large it is.
---@field breaker? sluice.http.breaker When sluice stops sending to an endpoint that fails, and when it tries it again.
---@field compression? "none"|"gzip"|"zstd" Compression of request bodies, named in Content-Encoding. (default: none)
---@field content_type? string Content-Type of the requests. By default application/x-ndjson, or application/json with format = "json_array".
---@field dead? sluice.http.dead Dead letters of this sink.
---@field format? "ndjson"|"json_array" Form of a body: "ndjson" has one event on each line, "json_array" is one array of events. (default: ndjson)
---@field from? "now"|"oldest" Where a sink that is new to a stream begins: "now" with the events after the load, "oldest" with all events that the spool still has. (default: now)
---@field headers? table<string, string> Headers of each request, as name = value. Write secret "FILE" for a secret.
---@field id_header? string Header that has the batch's id, which stays the same when sluice sends the batch again. "" sends none. (default: Idempotency-Key)
---@field max_in_flight? integer Highest number of requests that run at the same time. sluice runs fewer while the server is slow or fails. (default: 4)
---@field method? "POST"|"PUT"|"PATCH" Method of the requests. (default: POST)
---@field pool? sluice.http.pool Connections of this sink.
---@field proxy? string HTTP proxy for all requests. By default none; sluice ignores http_proxy and ALL_PROXY in the environment.
---@field taken? integer[] Statuses that count as success besides 2xx, from 300 to 599: { 409 }. A 409 to a batch that is sent again counts in any case, unless id_header is "".
---@field timeout? string How long one request may take, from connecting to the end of the answer. After that sluice sends the batch again. (default: 30s)
---@field tls? sluice.http.tls TLS of https urls.
---@field url string|string[] Address of the endpoint, or a list of addresses that take turns.
---@field was? string Earlier name of this sink. The sink goes on where that one was.

---When sluice sends a batch, and how large it is.
---@class sluice.http.batch
---@field adapt? "latency"|(fun(stats: sluice.stats): integer?) Changes target once a second, between min and max. "latency" halves it while more than 20 % of the attempts fail, otherwise raises it while a backlog waits, and lowers it when none waits; function(stats) returns the new target. By default the target stays.
---@field linger? string How long the first event of a batch may wait for more events. A longer time makes larger batches and later delivery. (default: 1s)
---@field max? integer Highest number of events in a batch. (default: 1000)
---@field max_bytes? string Size at which sluice sends a batch, before compression. A larger event is a batch of its own. (default: 1MiB)
---@field min? integer Number of events at which sluice sends a batch before linger ends, if nothing else waits and no batch is in flight. (default: 1)
---@field target? integer Number of events at which sluice sends a batch; from min to max. (default: 500)

---When sluice stops sending to an endpoint that fails, and when it tries it again.
---@class sluice.http.breaker
---@field interval? string How long a closed breaker counts successes and failures before it starts again from zero. (default: 10s)
---@field max_requests? integer Number of requests that a half-open breaker lets through. If as many succeed, it closes; if one fails, it opens. (default: 3)
---@field ready_to_trip? fun(counts: sluice.counts): boolean? function(counts), called after each failure; true opens the breaker. By default it opens after at least 3 requests with at least 60 % failures.
---@field slow? string A request that takes longer counts as slow. Only ready_to_trip looks at counts.slow; the default rule does not. (default: 10s)
---@field timeout? string How long a breaker stays open before it becomes half-open. (default: 30s)

---Dead letters of this sink.
---@class sluice.http.dead
---@field max_bytes? string Size of the dead-letter file beyond which the sink pauses instead of adding more. It goes on when the file is moved away or made smaller. (default: 1GiB)
---@field searches? integer Highest number of extra inserts a minute that search a refused batch for its bad rows. When they are used up, the batch waits and later batches go on. (default: 600)

---Connections of this sink.
---@class sluice.http.pool
---@field max_idle? integer Highest number of idle connections that sluice keeps open. (default: 50)
---@field max_idle_time? string How long a connection may be idle and still be used again, in whole seconds. Keep it below the idle timeout of the server. (default: 30s)
---@field max_lifetime? string Age at which sluice stops using a connection, in whole seconds. (default: 10m)
---@field max_open? integer Highest number of connections. Further requests wait in order. (default: 300)

---TLS of https urls.
---@class sluice.http.tls
---@field ca? string PEM file of the trusted certificate authorities. By default those of the system.
---@field cert? string PEM file of a client certificate. A reload reads it again. By default sluice sends no certificate.
---@field key? string PEM file of the client certificate's key. By default the key is in the file cert.
---@field verify? boolean Whether sluice checks the server's certificate and host name. With false anyone on the network can read the events. (default: true)

---A sink that sends each batch as one request to any HTTP endpoint.
---@param name string
---@return fun(options: sluice.http)
function http(name) end

---A sink that sends events to Kafka topics, with librdkafka.
---@class sluice.kafka
---@field batch? sluice.kafka.batch Size of batches. With framing = "event" librdkafka forms them, and only max and linger have an effect (batch.num.messages, linger.ms).
---@field breaker? sluice.kafka.breaker When sluice stops sending to an endpoint that fails, and when it tries it again.
---@field brokers string Addresses of the first brokers to ask, "host:port,host:port".
---@field compression? "none"|"gzip"|"snappy"|"lz4"|"zstd" Compression of the message sets that librdkafka sends. (default: lz4)
---@field dead? sluice.kafka.dead Dead letters of this sink.
---@field framing? "event"|"batch" "event" sends one message for each event, "batch" one message of NDJSON lines for each batch. (default: event)
---@field from? "now"|"oldest" Where a sink that is new to a stream begins: "now" with the events after the load, "oldest" with all events that the spool still has. (default: now)
---@field hedge? sluice.kafka.hedge A second cluster that also gets the messages which the first one is late to confirm.
---@field key? string Path of the field that becomes the message's key. By default, and for events without the field, a message has no key.
---@field max_topics? integer With topic_by: highest number of different topics. An event that names one more becomes a dead letter. (default: 256)
---@field options? table<string, string|number|boolean> Any option of librdkafka, for example for TLS and SASL. It replaces the value that sluice sets.
---@field partitioner? "key"|"sticky"|"least_bytes" How sluice chooses the partition: "key" by the murmur2 hash of the key, as Java clients do (random without a key); "sticky" gives each partition batch.max messages in turn; "least_bytes" takes the one with the fewest unconfirmed bytes. (default: key)
---@field position? "auto"|"none"|"headers" "headers" adds the header sluice-position, by which consumers recognise copies; "none" does not. "auto" adds it with framing = "batch" only. (default: auto)
---@field timestamp? string Path of the field that becomes the message's timestamp: milliseconds since 1970, or RFC 3339 text. By default, and for events without a valid value, the time at which sluice accepted the event.
---@field topic string Topic of the messages. With topic_by, the topic of events for which topic_by gives no valid name.
---@field topic_by? string|(fun(ev: table): string?) Path of a text field that names the topic of an event, or function(ev) that returns it. The function costs more than ten times as much as a path, because sluice decodes each event again.
---@field topic_wait? string With topic_by: how long an event waits while the cluster does not have or does not allow its topic. Then the event becomes a dead letter, and so do later events for that topic until the topic exists. Events for other topics do not wait. (default: 1m)
---@field was? string Earlier name of this sink. The sink goes on where that one was.

---Size of batches. With framing = "event" librdkafka forms them, and only max and linger have an effect (batch.num.messages, linger.ms).
---@class sluice.kafka.batch
---@field adapt? "latency"|(fun(stats: sluice.stats): integer?) Changes target once a second, between min and max. "latency" halves it while more than 20 % of the attempts fail, otherwise raises it while a backlog waits, and lowers it when none waits; function(stats) returns the new target. By default the target stays.
---@field linger? string How long the first event of a batch may wait for more events. A longer time makes larger batches and later delivery. (default: 50ms)
---@field max? integer Highest number of events in a batch. (default: 500)
---@field max_bytes? string Size at which sluice sends a batch, before compression. A larger event is a batch of its own. (default: 1MiB)
---@field min? integer Number of events at which sluice sends a batch before linger ends, if nothing else waits and no batch is in flight. (default: 50)
---@field target? integer Number of events at which sluice sends a batch; from min to max. (default: 200)

---When sluice stops sending to an endpoint that fails, and when it tries it again.
---@class sluice.kafka.breaker
---@field interval? string How long a closed breaker counts successes and failures before it starts again from zero. (default: 10s)
---@field max_requests? integer Number of requests that a half-open breaker lets through. If as many succeed, it closes; if one fails, it opens. (default: 3)
---@field ready_to_trip? fun(counts: sluice.counts): boolean? function(counts), called after each failure; true opens the breaker. By default it opens after at least 3 requests with at least 60 % failures.
---@field slow? string A request that takes longer counts as slow. Only ready_to_trip looks at counts.slow; the default rule does not. (default: 10s)
---@field timeout? string How long a breaker stays open before it becomes half-open. (default: 30s)

---Dead letters of this sink.
---@class sluice.kafka.dead
---@field max_bytes? string Size of the dead-letter file beyond which the sink pauses instead of adding more. It goes on when the file is moved away or made smaller. (default: 1GiB)

---A second cluster that also gets the messages which the first one is late to confirm.
---@class sluice.kafka.hedge
---@field after? string How long the first cluster may take to confirm a message. "p95" is the 95th percentile of its recent batches, once 20 are known.
---@field brokers? string Addresses of the second cluster's brokers, "host:port,host:port".
---@field max_ratio? number Highest share of messages that go to both clusters. (default: 0.05)
---@field may_duplicate? boolean Must be true, because both clusters may take the message and neither recognises the copy. (default: false)

---A sink that sends events to Kafka topics, with librdkafka.
---@param name string
---@return fun(options: sluice.kafka)
function kafka(name) end

---A sink that counts every event and keeps none, for benchmarks.
---@class sluice.null
---@field from? "now"|"oldest" Where a sink that is new to a stream begins: "now" with the events after the load, "oldest" with all events that the spool still has. (default: now)
---@field was? string Earlier name of this sink. The sink goes on where that one was.

---A sink that counts every event and keeps none, for benchmarks.
---@param name string
---@return fun(options: sluice.null)
function null(name) end

---A sink of a stream.
---@class sluice.stream_sink
---@field max_lag? string With when_full = "skip": backlog beyond which sluice gives up the sink's oldest events, a segment at a time. Needed for "skip".
---@field when_full? "refuse"|"skip" What happens when this sink is far behind. "refuse" keeps its events, so that the stream fills and clients get 503; "skip" gives up its oldest events. (default: refuse)

---@class sluice.auth

---@class sluice.field

---@class sluice.schema

---@class sluice.verdict

---Any JSON value.
---@class sluice.field.any
---@field required? boolean Whether sluice refuses an event that lacks the field or has null there. (default: false)

---Any JSON value.
---@param options sluice.field.any
---@return sluice.field
function any(options) end

---true or false.
---@class sluice.field.bool
---@field convert? boolean Whether sluice also takes "true" and "false" in a text, in any case, and 1 and 0 with or without quotes, and stores true or false. (default: false)
---@field required? boolean Whether sluice refuses an event that lacks the field or has null there. (default: false)

---true or false.
---@param options sluice.field.bool
---@return sluice.field
function bool(options) end

---One text of a list.
---@class sluice.field.enum
---@field [integer] string
---@field required? boolean Whether sluice refuses an event that lacks the field or has null there. (default: false)

---One text of a list.
---@param options sluice.field.enum
---@return sluice.field
function enum(options) end

---A whole number of 64 bits, written without a decimal point and without an exponent, so that an integer column can read it. -0 is stored as 0.
---@class sluice.field.int
---@field bits? 8|16|32|64 Size of the number. sluice refuses values beyond it with too_small or too_large. By default 64.
---@field convert? boolean Whether sluice also takes 1.0, 1e3 and digits in a text ("42", "007"), and stores the number's digits. (default: false)
---@field max? number Largest value.
---@field min? number Smallest value.
---@field required? boolean Whether sluice refuses an event that lacks the field or has null there. (default: false)
---@field unsigned? boolean Whether the number has no sign, so that with 64 bits values up to 18446744073709551615 fit and -1 does not. (default: false)

---A whole number of 64 bits, written without a decimal point and without an exponent, so that an integer column can read it. -0 is stored as 0.
---@param options sluice.field.int
---@return sluice.field
function int(options) end

---An array whose items are all of one type: list { str { max = 20 }, max = 10 }. Items have no required, and are stored as they were sent.
---@class sluice.field.list
---@field [integer] sluice.field
---@field max? integer Largest number of items.
---@field min? integer Smallest number of items.
---@field required? boolean Whether sluice refuses an event that lacks the field or has null there. (default: false)

---An array whose items are all of one type: list { str { max = 20 }, max = 10 }. Items have no required, and are stored as they were sent.
---@param options sluice.field.list
---@return sluice.field
function list(options) end

---A number.
---@class sluice.field.num
---@field convert? boolean Whether sluice also takes a number in a text ("12.5", "007", ".5", "+5"), and stores the number. (default: false)
---@field max? number Largest value.
---@field min? number Smallest value.
---@field required? boolean Whether sluice refuses an event that lacks the field or has null there. (default: false)

---A number.
---@param options sluice.field.num
---@return sluice.field
function num(options) end

---A text.
---@class sluice.field.str
---@field cut? integer Number of characters that sluice stores. It cuts a longer text there, never inside a character, and counts it in sluice_cut_texts_total.
---@field format? "uuid"|"ip"|"url"|"email" Form of the text: "uuid" is 8-4-4-4-12 hexadecimal digits, "ip" an IPv4 or IPv6 address, "url" scheme://host… without spaces, "email" name@host.tld. sluice refuses other texts with bad_format.
---@field max? integer Largest number of characters (Unicode code points).
---@field min? integer Smallest number of characters (Unicode code points).
---@field pattern? string Lua pattern that fits somewhere in the text, or in all of it with ^ and $. It counts bytes, has no captures, no %b and no %f, and takes one step for each byte of any text. sluice refuses other texts with bad_format.
---@field required? boolean Whether sluice refuses an event that lacks the field or has null there. (default: false)

---A text.
---@param options sluice.field.str
---@return sluice.field
function str(options) end

---A time as whole milliseconds since 1970, or as RFC 3339 text. Without max_age sluice refuses numbers below 100000000000, which are most likely seconds. sluice stores it as it was sent; with formats or unit, as whole milliseconds.
---@class sluice.field.time
---@field formats? ("rfc3339"|"iso8601"|"no_zone"|"date"|"http"|"number")[] Forms of text that sluice takes. "rfc3339": 2025-11-23T12:13:20Z; "iso8601": also zones such as +0100, +01 and " UTC", no seconds, a comma before the fraction, 20251123T121320Z; "no_zone": ISO 8601 without a zone is UTC; "date": 2025-11-23 is midnight UTC; "http": Sun, 23 Nov 2025 12:13:20 GMT; "number": a number in quotes. By default "rfc3339".
---@field max_age? string Highest age of the time when the request arrives. sluice refuses older events; by default it accepts any age.
---@field max_skew? string How far the time may lie in the future when the request arrives. By default any distance.
---@field required? boolean Whether sluice refuses an event that lacks the field or has null there. (default: false)
---@field unit? "s"|"ms"|"us"|"ns"|"auto" Unit of a number since 1970, which may have a fraction. sluice refuses numbers that would lie before 1973-03-03 or after 5138-11-16, so that no number is a time in two units. "auto" takes the unit that fits: seconds from 1e8, milliseconds from 1e11, microseconds from 1e14, nanoseconds from 1e17 to 1e20. With formats it is "ms" by default.

---A time as whole milliseconds since 1970, or as RFC 3339 text. Without max_age sluice refuses numbers below 100000000000, which are most likely seconds. sluice stores it as it was sent; with formats or unit, as whole milliseconds.
---@param options sluice.field.time
---@return sluice.field
function time(options) end

---One of up to 8 methods is enough. sluice asks them in this order.
---@param methods sluice.auth[]
---@return sluice.auth
function any_of(methods) end

---A key as the password of `Authorization: Basic`, whatever the user is. Without a password the user is the key.
---@param keys string
---@return sluice.auth
function basic(keys) end

---A key as `Authorization: Bearer KEY`.
---@param keys string
---@return sluice.auth
function bearer(keys) end

---The certificate of a client that connects over TLS. The listener must ask for it: tls = { client = "optional", ca = … }. Each option that is given must fit; without options any certificate that the listener's ca has signed is enough.
---@class sluice.auth.client_cert
---@field by? "fingerprint"|"subject" What the key's column of keys has: the fingerprint, or the SHA-256 of the subject's text, as sluice key --stdin prints it. (default: fingerprint)
---@field ca? string|string[] Subject of the authority, one of the listener's ca, that the certificate's chain ends at: "CN=senders", or a list of which one is enough. By default any.
---@field fingerprint? string|string[] SHA-256 of the certificate in hex, with or without colons, as openssl x509 -noout -fingerprint -sha256 prints it, or a list of which one is enough.
---@field keys? string Name of a keys "NAME" { } that has a row for the certificate, which is req.key then. Its file may serve no other method, because a certificate is no secret.
---@field subject? string|string[] Subject of the certificate as req.tls.subject has it, "CN=app7,O=Example", or a list of which one is enough. A * stands for any text inside of one value: "CN=shop*,O=Example". A subject of more than 251 bytes never fits.

---The certificate of a client that connects over TLS. The listener must ask for it: tls = { client = "optional", ca = … }. Each option that is given must fit; without options any certificate that the listener's ca has signed is enough.
---@param options sluice.auth.client_cert
---@return sluice.auth
function client_cert(options) end

---A key as the value of a header: `header "x-api-key" "apps"`.
---@param name string
---@return fun(keys: string): sluice.auth
function header(name) end

---A signature of the body (HMAC-SHA-256) by a secret that the sender has, too: web hooks of GitHub, Stripe, Shopify, Slack and others. sluice checks the bytes as they came, before it inflates or reads them. on_request runs before the body is there, so before the check.
---@class sluice.auth.hmac
---@field format string What the header says: a text, and {hex} or {base64} for the digest: "sha256={hex}"; or a list with the time: "t={timestamp},v1={hex}", in which up to 8 items v1 may stand and items of other names count for nothing.
---@field header string Header that has the signature, such as "X-Hub-Signature-256".
---@field secret? string Secret, such as env "GITHUB_SECRET". Its text is the key, as it is.
---@field secrets? string[] Up to 4 secrets instead, while one replaces another: each is enough. A wrong signature costs a digest of the body for each.
---@field signed? string Text that is signed: {body}, and {timestamp} if the request has a time: "{timestamp}.{body}". (default: {body})
---@field timestamp? string Header that has the time, in seconds since 1970, if format does not have it: "X-Slack-Request-Timestamp".
---@field window? string How far the time may be from the server's wall clock, before or after it. Needed with {timestamp}. Within it a request that is sent again passes: dedup of a stream counts its event once. Most senders say 5m.

---A JSON Web Token as `Authorization: Bearer TOKEN`, with a signature by a key of a file, and with exp. The key says which algorithm it is for; the token can't choose another.
---@class sluice.auth.jwt
---@field algs? string[] Algorithms that are accepted: ES256, RS256, EdDSA, HS256. By default those of the file's keys.
---@field aud? string|string[] Audience that the token must have (its aud may be a list), or a list of which one is enough. By default any: then a token for another service of the issuer is good, too.
---@field claims? string[] Up to 16 claims that hooks may read as req.jwt.NAME, set as "jwt:NAME" and a limit by key = "jwt:NAME". Texts of up to 256 bytes, numbers and truths; lists and objects are nil.
---@field iss? string|string[] Issuer that the token must have, or a list of which one is enough. By default any.
---@field keys string Path of the JWK set, from the policy's folder. sluice reads it at each load; it is no part of the policy's hash, and an older policy gets today's keys. Of at most 32 keys: RSA (2048 to 4096 bits), EC P-256, OKP Ed25519, oct (from 32 bytes); others are left out. A private key in it is an error.
---@field leeway? string How far exp and nbf may be off, in whole seconds. (default: 0s)

---A JSON Web Token as `Authorization: Bearer TOKEN`, with a signature by a key of a file, and with exp. The key says which algorithm it is for; the token can't choose another.
---@param options sluice.auth.jwt
---@return sluice.auth
function jwt(options) end

---A key as a parameter of the URL: `query "key" "apps"`. Proxies and browsers log URLs: prefer a header. sluice keeps it out of its own records.
---@param name string
---@return fun(keys: string): sluice.auth
function query(name) end


---The fields of a schema, and what happens to others.
---@class sluice.schema.fields
---@field [string] sluice.field
---@field others? "keep"|"drop"|"refuse" What happens to a field that no line of the schema names. "drop" takes it out before on_event sees the event. Only on_refused still keeps the bytes that were sent. "refuse" refuses the event (unknown_field). A line with a path, such as ["properties.page"], names only that within properties; an any { } names all that lies in it. (default: keep)

---@param fields sluice.schema.fields
---@return sluice.schema
function schema(fields) end

---The parts are `browser.family`, `browser.major`, `browser.minor`, `browser.patch`, `browser.version`,
---`os.family`, `os.major`, `os.minor`, `os.patch`, `os.patch_minor`, `os.version`, `device.family`,
---`device.brand` and `device.model`.
---@class sluice.agents_handle
---@field get fun(self: sluice.agents_handle, text: string|nil, part: string): string? `agent:get(req.headers["User-Agent"], "browser.family")` is that part of the user agent. A family is "Other" if no parser of the file matches. nil if the file gives no such part for the text, or the value is no text. `browser.version` and `os.version` are the parts of the version with dots: "17.2.1". sluice reads the first 1,024 bytes of a text, and cuts a part at 256 bytes.

---`nets(address)` is the row of the smallest network that has the IP address: `nets(req.peer).name`. `nets[address]` is
---the first column of that row that is not the network. Both are nil if no network has the address, or the value is
---no IP address. ::ffff:192.0.2.1 is the IPv4 address 192.0.2.1. The columns of a plain list are network and value;
---without a value it is the network.
---@class sluice.cidr_handle
---@field [string] any
---@overload fun(address: any): table<string, string>?

---One count for all workers. A reload keeps it.
---@class sluice.counter_handle
---@field inc fun(self: sluice.counter_handle, n?: number, ...: any) `c:inc()`, `c:inc(3)`, with labels `c:inc(1, "acme")`. Adds n to the counter. Default: 1. A negative n raises an error.

---`breaker.ready_to_trip` decides by these numbers.
---@class sluice.counts
---@field requests number Requests since the current interval began.
---@field successes number Requests of this interval that succeeded.
---@field failures number Requests of this interval that failed.
---@field consecutive_successes number Successes of this interval since its last failure.
---@field consecutive_failures number Failures of this interval since its last success.
---@field slow number Requests of this interval that took longer than breaker.slow.

---`ev[path]` reads the value at a path, `ev[path] = value` sets it and `ev[path] = nil` removes it. The rest
---of the event stays as the client sent it. A path consists of keys with dots between them. Items of arrays
---count from 1: `ev.user_id`, `ev["properties.page"]`, `ev["items[2].id"]`. A backslash makes a dot, bracket or
---backslash part of a key: `ev["user\\.ip"]` is the key `user.ip` at the top of the event.
---
---Reading returns nil if the path has no value, or null. Setting a value creates missing objects on the way. It
---raises an error if the path leads through a text, a number or an array. If an object has a key twice, reading
---uses the first copy; setting and removing change all copies. Removing an item of an array moves the later items
---forward. At most 32 top-level keys of an event can change. `ev` is valid until the hook returns.
---@class sluice.event
---@field [string] any

---One number for all workers. A reload keeps it.
---@class sluice.gauge_handle
---@field set fun(self: sluice.gauge_handle, v: number, ...: any) `g:set(v)`, with labels `g:set(v, "acme")`. Sets the gauge to v.
---@field add fun(self: sluice.gauge_handle, v: number, ...: any) Adds v, which may be negative.

---Uses the clock of the request. A reload that does not change the limit keeps its tokens.
---@class sluice.limit_handle
---@field check fun(self: sluice.limit_handle, key: any, n?: number): sluice.verdict? `return l:check(key)` takes n tokens (default: 1) from the key's bucket. It returns nil if the bucket has them, otherwise a refusal with code `rate_limited`. In on_request the client gets 429 with Retry-After. With ev or req instead of a key, the limit's option key names the value that counts.
---@field take fun(self: sluice.limit_handle, key: any, n?: number): boolean Takes n tokens (default: 1) and returns true if the key's bucket has them. Otherwise it takes no token and returns false.

---`t(key)` is the row with that key: `t("de").name`. `t[key]` is the first column of that row that is not the
---key. Both are nil if no row has the key. A number finds the row of its digits, but none from 2^53 on,
---where several ids are one number: send such ids as texts.
---@class sluice.lookup_handle
---@field [string] any
---@overload fun(key: any): table<string, string>?

---::ffff:192.0.2.1 is the IPv4 address 192.0.2.1.
---@class sluice.mmdb_handle
---@field get fun(self: sluice.mmdb_handle, address: string|nil, path: path): any `geo:get(ev.ip, "country.iso_code")` is the value at the path for the IP address; nil if the database has none, or the value is no IP address. Places in arrays count from 1: "subdivisions[1].iso_code". A text is a text, a number a number, a map or an array a new table. Whole numbers beyond 2^53 are texts of digits, bytes are base64. The path "" gives all that the database has for the address.

---A policy can read a request but not change it.
---@class sluice.request
---@field time_ms number Wall clock, in milliseconds since 1970. All reads in one turn of the worker's event loop give the same time.
---@field method string Method of the request: "POST".
---@field path string Path of the URL without the query.
---@field params table<string, string> Parts of the path that the route names, decoded. For "/v1/:kind": req.params.kind.
---@field query string Text after the question mark of the URL, not decoded; "" if the URL has no query.
---@field query_args table<string, string> Parameters of the query, decoded: req.query_args.api_key; nil if the query does not have it.
---@field basic table<string, string> User and password of Authorization: Basic: req.basic.user, req.basic.password; nil if the client did not send them.
---@field key table<string, string>? Row of the key that the route's auth accepted: req.key.app; nil on a route without auth, and in sluice replay. The key's own column is not in it.
---@field jwt table<string, string|number|boolean> Claims of the token that the route's auth accepted: req.jwt.sub. Only those that claims of jwt { } names; nil if the token does not have it, without a token, and in sluice replay.
---@field peer string IP address from which the client connects. If a proxy is in front of sluice, it is the proxy's address, unless trusted of the listener names the proxy: then it is the client that the proxy names.
---@field tls table<string, string> TLS of the connection: req.tls.version ("TLSv1.3"), req.tls.cipher, req.tls.host (the name that the client asked for), and of the client's certificate req.tls.subject ("CN=app7,O=Example"), req.tls.fingerprint (SHA-256, 64 digits) and req.tls.ca (the subject of the listener's authority at the end of its chain). Each is nil if the connection does not have it; without TLS all are nil.
---@field headers table<string, string> Headers by name, in upper or lower case: req.headers["x-api-key"]; nil if the client did not send it.

---`batch.adapt` decides by these numbers and returns the new target. Means and rates count from its last call,
---about a second before.
---@class sluice.stats
---@field events number Mean number of events of a batch.
---@field bytes number Mean size of a batch, in bytes.
---@field age_ms number Mean age of a batch's oldest event when the batch is done, in milliseconds.
---@field backlog_bytes number Backlog of the sink in the spool, in bytes.
---@field rate number Events per second of the batches that are done.
---@field latency_ms number Mean time from sending a batch until it is done, in milliseconds.
---@field errors number Share of attempts that failed, from 0 to 1.
---@field target number Current target of a batch, in events.

---`canary.roll_back_if` compares these numbers. It returns true or a reason to roll back.
---@class sluice.trial
---@field requests number Requests since the canary began.
---@field events number Events of these requests. A request that sluice refuses before it counts its events counts as one event.
---@field refused number Events that sluice refused.
---@field failed number Events whose hook raised an error.
---@field refusal_rate number refused / events, from 0 to 1.
---@field error_rate number failed / events, from 0 to 1.
---@field p50_ms number Median time of a request on its worker, in milliseconds.
---@field p99_ms number 99th percentile of that time, in milliseconds.

---Value of a variable of the process's environment. If the variable is not set and the call has no default, the policy does not load. Call it outside of hooks.
---@param name string
---@param default? string
---@return string
function env(name, default) end

---Text of the file beside the policy, without the end of its last line: a password or key. secret "credential:NAME" is the file that systemd made (LoadCredential=). Each load of the policy reads the file again. sluice shows the value in no report, log, status or copy of the policy. The default counts only if there is no such file; without default the policy then does not load. Call it outside of hooks.
---@param name string
---@param default? string
---@return string
function secret(name, default) end

---Runs the file NAME.lua beside the policy and returns the file's value. The first call runs the file, later calls return the same value. A dot in the name stands for a slash.
---@param name string
---@return any
function require(name) end

---Runs the statements of a file beside the policy. With a * in the name, it runs all files that match, in the order of their names: include "streams/*.lua". Locals of a file stay in that file; globals are shared. Call it outside of hooks.
---@param name string
function include(name) end

---return reject("missing_value", "a purchase needs a value"). In on_event, sluice refuses the event. In on_request, sluice refuses the request; only there the call may give a status from 400 to 499, for example 401.
---@param code string
---@param message? string
---@param status? integer
---@return sluice.verdict
function reject(code, message, status) end

---return drop("sampled"). sluice answers that the event was accepted, and counts it, but does not store it. The reason is for readers of the policy: sluice does not count or log it.
---@param reason? string
---@return sluice.verdict
function drop(reason) end

---return to("a", "b"). sluice stores the event in these streams instead of the route's stream.
---@param ... string
---@return sluice.verdict
function to(...) end

---Value at a path of the event, for example "items[1].id", with the changes of hooks; nil if the path has no value, or null. Objects and arrays are returned as tables; a null inside of a table is a value of its own, not nil. To change the event, set ev[path], or change the table and put it back: ev.x = t. If a hook changes a table and does not put it back, sluice raises an error. A value that a hook only moves is stored as the client sent it.
---@param ev sluice.event
---@param path string
---@return any
function get(ev, path) end

---true if the event has a value at the path. null is a value too.
---@param ev sluice.event
---@param path string
---@return boolean
function has(ev, path) end

---Walks the array at the path: for i, item in items(ev, "products") do … end. If the path has no array, the loop does not run.
---@param ev sluice.event
---@param path string
---@return fun(): integer, any
function items(ev, path) end

---Marks the table t as an array, so that sluice stores it as [] when it is empty: ev.tags = array {}. Without the mark, sluice stores an empty table as {}. Arrays that a hook reads from the event have the mark.
---@param t? table
---@return table
function array(t) end

---s without the white space at its start and end.
---@param s string?
---@return string?
function trim(s) end

---s with the letters A to Z changed to a to z.
---@param s string?
---@return string?
function lower(s) end

---s with the letters a to z changed to A to Z.
---@param s string?
---@return string?
function upper(s) end

---true if s starts with the other text. false if s is nil.
---@param s string?
---@param with string
---@return boolean
function starts_with(s, with) end

---true if s ends with the other text. false if s is nil.
---@param s string?
---@param with string
---@return boolean
function ends_with(s, with) end

---true if s contains the other text. The other text is not a pattern. false if s is nil.
---@param s string?
---@param what string
---@return boolean
function contains(s, what) end

---The n-th part of s between separators, counted from 1; nil if s has fewer parts. Faster than split, because LuaJIT compiles it.
---@param s string?
---@param separator string
---@param n number
---@return string?
function part(s, separator, n) end

---List of the parts of s between separators. The list has at most 1000 parts; sluice leaves out the others.
---@param s string?
---@param separator string
---@return string[]
function split(s, separator) end

---s with %41 decoded to A and + to a space. nil if s is malformed, longer than 64 KiB, or not UTF-8 after decoding.
---@param s string?
---@return string?
function url_decode(s) end

---Decoded value of a parameter in a query, for example in req.query. nil if the query does not have the parameter, or url_decode can't decode its value.
---@param query string?
---@param name string
---@return string?
function param(query, name) end

---Text that s encodes. Reads the usual and the URL alphabet, with or without padding. nil if s is not base64, or the text is longer than 64 KiB.
---@param s string?
---@return string?
function base64_decode(s) end

---s in base64 with the usual alphabet and padding. nil if s is longer than 48 KiB.
---@param s string?
---@return string?
function base64_encode(s) end

---s with a * for each character but the last `keep` characters. Default: 0. nil if s is longer than 64 KiB.
---@param s string?
---@param keep? number
---@return string?
function mask(s, keep) end

---The IP address s with its last 8 bits (IPv4) or 80 bits (IPv6) set to 0. An IPv4 address in IPv6 (::ffff:192.0.2.7) gives that of IPv4 (192.0.2.0). nil if s is not an IP address.
---@param s string?
---@return string?
function mask_ip(s) end

---SHA-256 of s as 64 hex digits.
---@param s string?
---@return string?
function sha256(s) end

---HMAC-SHA-256 of s with the key, as 64 hex digits. hmac { … } is a method of auth.
---@param key string
---@param s string?
---@return string?
---@overload fun(options: sluice.auth.hmac): sluice.auth
function hmac(key, s) end

---true if two secrets are equal. The time does not show where they differ, so that a client can't guess a secret by measuring it.
---@param a string?
---@param b string?
---@return boolean
function equal(a, b) end

---A whole number from 0 to 2^53 - 1 for s, the same in every process. Fast, but no protection for a secret.
---@param s string|number?
---@return number?
function hash(s) end

---A new UUID of version 7 with the request's time. Each is greater than the one before on the same worker. Example: ev.event_id = ev.event_id or uuid7().
---@return string
function uuid7() end

---true for this share of keys, always for the same keys. A rate of 0.1 is a tenth. Without a key, true for this share of calls, at random.
---@param rate number
---@param key? string|number
---@return boolean
function sample(rate, key) end

---Text of a time in milliseconds since 1970: "2025-11-23T12:13:20.000Z". nil outside of the years 0 to 9999.
---@param ms number?
---@return string?
function iso8601(ms) end

---Time of an RFC 3339 text, in milliseconds since 1970. nil if s is not such a text.
---@param s string?
---@return number?
function parse_time(s) end
