---@meta sluice
-- The words of a policy for editors (LuaCATS); made by `sluice reference --meta`.

---The listener for operators: metrics, health, status, reload.
---@class sluice.admin
---@field listen? string Address for operators and Prometheus. By default only this machine can connect: the listener has no password. --admin of sluice run replaces it. A change needs a restart. (default: 127.0.0.1:9100)

---The listener for operators: metrics, health, status, reload.
---@param options sluice.admin
function admin(options) end

---This policy serves a share of the requests first, and proves itself.
---@class sluice.canary
---@field by? "connection"|"request"|"peer"|string What stays together: "connection", "request" (nothing), "peer" or "header:NAME". (default: connection)
---@field during? string How long it serves its share. Then it goes live, or goes on for up to three times as long when it has seen too little. (default: 60s)
---@field min_requests? integer It does not go live by itself before it has served so many. (default: 50)
---@field roll_back_if? fun(old: sluice.trial, new: sluice.trial): boolean|string|nil function(old, new): true or a reason rolls back; default: refusals or errors up by over 2 points, or requests twice as slow, by more than chance does.
---@field share? string Of the requests; the rest stays with the live policy. (default: 10%)

---This policy serves a share of the requests first, and proves itself.
---@param options sluice.canary
function canary(options) end

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
---@field drain? string How long requests in hand and sinks may take to finish after SIGTERM or SIGINT, counted from the end of drain_delay. A second signal ends the wait. (default: 10s)
---@field drain_delay? string How long sluice still serves clients after SIGTERM or SIGINT while /readyz answers 503, so that a load balancer notices. By default sluice stops accepting connections immediately. (default: 0s)
---@field header_timeout? string How long the headers of a request may take to arrive. After that sluice answers 408. It closes a new connection that has sent nothing. (default: 10s)
---@field idle_timeout? string How long a connection may stay idle between two requests. After that sluice closes it. Keep it above the idle timeout of a proxy in front of sluice. (default: 75s)
---@field listen? string Address on which sluice accepts clients. By default all IPv4 addresses, port 8080; "*:8080" adds IPv6. --listen of sluice run replaces it. A change needs a restart. (default: 0.0.0.0:8080)
---@field max_body? string Largest request body, also after decompression. A larger one gets 413. (default: 4MiB)
---@field max_connections? integer Highest number of connections of one worker. A further connection gets 503, also when three quarters of the process's file descriptors are in use. (default: 10000)
---@field max_connections_per_address? integer Highest number of connections of one worker from one address (IPv6: from one /64 network). A further connection gets 503. By default 0, no limit, because a load balancer or NAT has one address for many clients. (default: 0)
---@field max_depth? integer Deepest nesting of objects and arrays in an event; the event itself is level 1. A deeper event gets 413; in a batch, sluice refuses that event alone if it finds the event's end. (default: 64)
---@field max_events? integer Highest number of events in one request. A request with more gets 413. (default: 10000)
---@field max_headers? string Largest head of a request: its URL and headers. A larger one gets 431. (default: 16KiB)
---@field share_port? boolean Lets another server listen on the same port; the kernel divides the connections. By default a server whose port is taken ends with exit code 3. Set it in both servers when one replaces the other without a pause. (default: false)
---@field workers? "auto"|integer Number of worker threads, each with its own event loop. "auto" starts one for each CPU core that the process may use. A change needs a restart. (default: auto)

---The listener for clients and the limits of their requests.
---@param options sluice.server
function server(options) end

---This policy decides on copies of requests, and only differences count.
---@class sluice.shadow
---@field during? string Then it is done. (default: 60s)
---@field sample? integer Differing events that the log and /status show, raw: with their personal data. Default: none. (default: 0)
---@field share? string Of the requests that it sees. (default: 100%)

---This policy decides on copies of requests, and only differences count.
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

---A number that only goes up, in /metrics; the name ends in _total.
---@class sluice.counter
---@field help? string One sentence for those who read /metrics. (default: Kept by the policy.)
---@field labels? string[] Names of at most 3 labels; their values are given with each call.
---@field max_series? integer Most different label values; all further ones count as "other". (default: 100)

---A number that only goes up, in /metrics; the name ends in _total.
---@param name string
---@return sluice.counter_handle | fun(options: sluice.counter): sluice.counter_handle
function counter(name) end

---A request and its expected answer, checked at every load.
---@class sluice.example
---@field at? string The clock of the example. (default: 2025-01-01T00:00:00Z)
---@field body string The body as sent.
---@field content_type? string Its Content-Type. (default: application/json)
---@field expect sluice.example.expect Of the answer.
---@field headers? table<string, string|number|boolean> Further headers: { ["x-api-key"] = "k1" }.
---@field request string Method and path, maybe with a query: "POST /v1/events".

---Of the answer.
---@class sluice.example.expect
---@field accepted? integer Events accepted.
---@field code? string Of the first refused event.
---@field dropped? integer Events dropped.
---@field field? string Of the first refused event.
---@field rejected? integer Events refused.
---@field status? integer The HTTP status.
---@field stored? string The line stored for the first accepted event.

---A request and its expected answer, checked at every load.
---@param name string
---@return fun(options: sluice.example)
function example(name) end

---A number that goes up and down, in /metrics.
---@class sluice.gauge
---@field help? string One sentence for those who read /metrics. (default: Kept by the policy.)
---@field labels? string[] Names of at most 3 labels; their values are given with each call.
---@field max_series? integer Most different label values; all further ones count as "other". (default: 100)

---A number that goes up and down, in /metrics.
---@param name string
---@return sluice.gauge_handle | fun(options: sluice.gauge): sluice.gauge_handle
function gauge(name) end

---A token bucket for each key, over all workers; the name may be left out.
---@class sluice.limit
---@field burst? integer Tokens of a full bucket; default: those of a second.
---@field key? string What check(ev) counts by: a path of the event; check(req): "peer", "path" or "header:NAME".
---@field max_keys? integer Keys below their burst at once; of more, some may get it again. (default: 100000)
---@field rate string Tokens that a bucket gets: "100/s", "10/m", "5/h" or "1/d".

---A token bucket for each key, over all workers; the name may be left out.
---@param options sluice.limit|string
---@return sluice.limit_handle
function limit(options) end

---A CSV file beside the policy as a table: its first line names the columns. Read once a load; part of the policy's hash.
---@class sluice.lookup
---@field delimiter? string Between fields. (default: ,)
---@field key? string Column that rows are found by; default: the first.

---A CSV file beside the policy as a table: its first line names the columns. Read once a load; part of the policy's hash.
---@param name string
---@return sluice.lookup_handle | fun(options: sluice.lookup): sluice.lookup_handle
function lookup(name) end

---What a path takes and what becomes of it.
---@class sluice.route
---@field answer? sluice.route.answer What is said of events that were accepted.
---@field body "event"|"batch"|"cloudevents" One JSON object, many (an array, {"events":[]}, NDJSON), or CloudEvents.
---@field cors? sluice.route.cors Pages of other origins that may send; answers their OPTIONS.
---@field envelope? table<string, string> field = path in the envelope: copied into each event that lacks the field.
---@field events? string Path of the array of events in the body's object, the envelope: "data.events".
---@field on_error? "dead_letter"|"reject"|"accept" What becomes of an event whose hook raises. (default: dead_letter)
---@field on_event? fun(ev: sluice.event, req: sluice.request): sluice.verdict? function(ev, req): nothing, reject(), drop() or to().
---@field on_request? fun(req: sluice.request): sluice.verdict? function(req): nothing or reject(), before the body is read.
---@field partial? boolean false: one bad event refuses its batch. (default: true)
---@field schema? sluice.schema A schema { } to check events with.
---@field set? table<string, string> field = "path:NAME", "query:NAME", "header:NAME", "basic:user", "peer" or "time": set in each event; removed where the request has none.
---@field stream? string Where accepted events go.
---@field types? string[] Content types that it takes ("*/*": any); default: those of JSON and NDJSON.
---@field webhook? sluice.route.webhook Senders of CloudEvents that hear, when they ask by OPTIONS, that they may deliver.

---What is said of events that were accepted.
---@class sluice.route.answer
---@field body? string The text, instead of the counts and errors. As it does not tell which events of a batch were refused, these go to the dead letters when others were accepted; when one of them may pass later (a limit), the whole batch is refused.
---@field refused? integer Status when all events were refused. (default: 422)
---@field status? integer The HTTP status. (default: 202)
---@field type? string Content type of body; default: application/json.

---Pages of other origins that may send; answers their OPTIONS.
---@class sluice.route.cors
---@field credentials? boolean Cookies and Authorization may come along. (default: false)
---@field headers? string[] Headers that they may send; default: Content-Type.
---@field max_age? string How long a browser may remember it. (default: 1h)
---@field origins string[] "https://shop.example", or "*": all.

---Senders of CloudEvents that hear, when they ask by OPTIONS, that they may deliver.
---@class sluice.route.webhook
---@field origins string[] "eventgrid.azure.net", or "*": all.
---@field rate? integer Requests a minute that they are told; default: any number.

---What a path takes and what becomes of it.
---@param name string
---@return fun(options: sluice.route)
function route(name) end

---Events on their way: how safely they are kept, and where they go.
---@class sluice.stream
---@field ack? "written"|"synced"|"delivered" What a 2xx means: in the page cache, on stable storage, or at every sink. (default: written)
---@field dedup? sluice.stream.dedup Repeats of a key are answered as accepted and not stored. Taken out behind on_event, so that hooks see them too. "1" and 1 are two keys; an empty text is none.
---@field max_bytes? string Most bytes in the spool; default: an equal share of spool.max_bytes, of which the dead letters have one too.
---@field sinks table<integer|string, string|sluice.stream_sink> Names of sinks, or name = { when_full, max_lag }.
---@field timeout? string With ack = "delivered": then 504; the events are kept all the same. (default: 30s)

---Repeats of a key are answered as accepted and not stored. Taken out behind on_event, so that hooks see them too. "1" and 1 are two keys; an empty text is none.
---@class sluice.stream.dedup
---@field key string Path of the field that tells events apart; those without it all pass.
---@field max_keys? integer Keys remembered, about 60 bytes each; of more, the oldest are forgotten early. (default: 1000000)
---@field window? string How long a key counts as seen, from its first time. In memory: a restart forgets. (default: 10m)

---Events on their way: how safely they are kept, and where they go.
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
---@field adapt? "latency"|(fun(stats: sluice.stats): integer?) Changes target once a second, between min and max. "latency" raises it while a backlog waits and lowers it otherwise; function(stats) returns the new target. By default the target stays.
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
---@field headers? table<string, string> Headers of each request, as name = value. Write env "NAME" for a secret.
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
---@field adapt? "latency"|(fun(stats: sluice.stats): integer?) Changes target once a second, between min and max. "latency" raises it while a backlog waits and lowers it otherwise; function(stats) returns the new target. By default the target stays.
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
---@field adapt? "latency"|(fun(stats: sluice.stats): integer?) Changes target once a second, between min and max. "latency" raises it while a backlog waits and lowers it otherwise; function(stats) returns the new target. By default the target stays.
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
---@field max_lag? string With "skip": the backlog beyond which its oldest events go.
---@field when_full? "refuse"|"skip" What a sink that is behind does to the stream. (default: refuse)

---@class sluice.field

---@class sluice.schema

---@class sluice.verdict

---Any JSON value.
---@class sluice.field.any
---@field required? boolean The event is refused without it. (default: false)

---Any JSON value.
---@param options sluice.field.any
---@return sluice.field
function any(options) end

---true or false.
---@class sluice.field.bool
---@field required? boolean The event is refused without it. (default: false)

---true or false.
---@param options sluice.field.bool
---@return sluice.field
function bool(options) end

---One of some strings.
---@class sluice.field.enum
---@field [integer] string
---@field required? boolean The event is refused without it. (default: false)

---One of some strings.
---@param options sluice.field.enum
---@return sluice.field
function enum(options) end

---A whole number of 64 bits, written without a decimal point and without an exponent: what an integer column reads.
---@class sluice.field.int
---@field max? number Most value.
---@field min? number Least value.
---@field required? boolean The event is refused without it. (default: false)

---A whole number of 64 bits, written without a decimal point and without an exponent: what an integer column reads.
---@param options sluice.field.int
---@return sluice.field
function int(options) end

---A number.
---@class sluice.field.num
---@field max? number Most value.
---@field min? number Least value.
---@field required? boolean The event is refused without it. (default: false)

---A number.
---@param options sluice.field.num
---@return sluice.field
function num(options) end

---A string.
---@class sluice.field.str
---@field max? integer Most characters.
---@field min? integer Least characters.
---@field required? boolean The event is refused without it. (default: false)

---A string.
---@param options sluice.field.str
---@return sluice.field
function str(options) end

---Whole milliseconds since 1970, or RFC 3339 text. Without max_age, numbers below 100000000000 are refused: they are seconds, mostly.
---@class sluice.field.time
---@field max_age? string Older ones are refused.
---@field max_skew? string Further ahead ones are refused.
---@field required? boolean The event is refused without it. (default: false)

---Whole milliseconds since 1970, or RFC 3339 text. Without max_age, numbers below 100000000000 are refused: they are seconds, mostly.
---@param options sluice.field.time
---@return sluice.field
function time(options) end

---@param fields table<string, sluice.field>
---@return sluice.schema
function schema(fields) end

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
---key. Both are nil if no row has the key.
---@class sluice.lookup_handle
---@field [string] any
---@overload fun(key: any): table<string, string>?

---A policy can read a request but not change it.
---@class sluice.request
---@field time_ms number Wall clock, in milliseconds since 1970. All reads in one turn of the worker's event loop give the same time.
---@field method string Method of the request: "POST".
---@field path string Path of the URL without the query.
---@field params table<string, string> Parts of the path that the route names, decoded. For "/v1/:kind": req.params.kind.
---@field query string Text after the question mark of the URL, not decoded; "" if the URL has no query.
---@field query_args table<string, string> Parameters of the query, decoded: req.query_args.api_key; nil if the query does not have it.
---@field basic table<string, string> User and password of Authorization: Basic: req.basic.user, req.basic.password; nil if the client did not send them.
---@field peer string IP address from which the client connects. If a proxy is in front of sluice, it is the proxy's address.
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

---return drop("sampled"). sluice answers that the event was accepted, and counts it, but does not store it.
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

---The IP address s with its last 8 bits (IPv4) or 80 bits (IPv6) set to 0. nil if s is not an IP address.
---@param s string?
---@return string?
function mask_ip(s) end

---SHA-256 of s as 64 hex digits.
---@param s string?
---@return string?
function sha256(s) end

---HMAC-SHA-256 of s with the key, as 64 hex digits.
---@param key string
---@param s string?
---@return string?
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
