-- words: what a policy file may say. The one table that the loader, the error
-- texts, the type annotations and the reference come from.
--
-- An option: type, default (as a policy would write it; nil: none), required,
-- min, max (in the unit of the parsed value), values (of an enum), help.
-- Types are the checks of values.lua, and "options" (a table of options), "sinks",
-- "schema", "stream". of: the type of a list's items; params, signature: of a
-- function; lua: its type for editors, where the type's own would not do.

local M = {}

local DAY_MS = 24 * 3600 * 1000

M.server = {
  help = "The listener for clients and the limits of their requests.",
  once = true,
  options = {
    listen = { type = "address", default = "0.0.0.0:8080",
      help = "Address on which sluice accepts clients. By default all IPv4 addresses, "
        .. "port 8080; \"*:8080\" adds IPv6. --listen of sluice run replaces it. A "
        .. "change needs a restart." },
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
      help = "Highest number of connections of one worker from one address (IPv6: from "
        .. "one /64 network). A further connection gets 503. By default 0, no limit, "
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

M.admin = {
  help = "The listener for operators: metrics, health, status, reload.",
  once = true,
  options = {
    listen = { type = "address", default = "127.0.0.1:9100",
      help = "Address for operators and Prometheus. By default only this machine can "
        .. "connect: the listener has no password. --admin of sluice run replaces it. "
        .. "A change needs a restart." },
  },
}

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

M.file = {
  help = "A sink that writes events to files as lines of NDJSON; a finished file is "
    .. "whole and never changes.",
  named = true,
  sink = true,
  options = {
    dir = { type = "string", required = true,
      help = "Directory for the files. A relative path starts at the data directory. "
        .. "Each file sink needs its own." },
    rotate = { type = "options", help = "When sluice finishes a file and begins the next.",
      options = {
        bytes = { type = "bytes", default = "256MiB", min = 1024,
          max = 2 ^ 50, help = "Size on disk, after compression, at which sluice finishes "
            .. "a file. The file may be larger by its last frame." },
        age = { type = "duration", default = "1h", min = 10,
          max = 366 * DAY_MS, help = "Age at which sluice finishes a file, counted from "
            .. "its first frame." },
      } },
    compress = { type = "enum", default = "none",
      values = { "none", "gzip", "zstd" },
      help = "Compression of the files; their names end in .gz or .zst. By default the "
        .. "files are plain text." },
    linger = { type = "duration", default = "1s", min = 0, max = DAY_MS,
      help = "How long an event may wait until 1 MiB of events is there to be written "
        .. "as one frame. A shorter time writes more and smaller frames, which compress "
        .. "less." },
  },
}

local function batch(help, target, min, max, max_bytes, linger)
  return { type = "options", help = help, options = {
    target = { type = "count", default = target, min = 1, max = 1000000,
      help = "Number of events at which sluice sends a batch; from min to max." },
    min = { type = "count", default = min, min = 1, max = 1000000,
      help = "Number of events at which sluice sends a batch before linger ends, if "
        .. "nothing else waits and no batch is in flight." },
    max = { type = "count", default = max, min = 1, max = 1000000,
      help = "Highest number of events in a batch." },
    max_bytes = { type = "bytes", default = max_bytes, min = 1024,
      max = 256 * 1024 * 1024,
      help = "Size at which sluice sends a batch, before compression. A larger event "
        .. "is a batch of its own." },
    linger = { type = "duration", default = linger, min = 0, max = DAY_MS,
      help = "How long the first event of a batch may wait for more events. A longer "
        .. "time makes larger batches and later delivery." },
    adapt = { type = "adapt",
      help = "Changes target once a second, between min and max. \"latency\" halves it "
        .. "while more than 20 % of the attempts fail, otherwise raises it while a backlog "
        .. "waits, and lowers it when none waits; function(stats) returns the new "
        .. "target. By default the target stays." },
  } }
end

local BATCH = "When sluice sends a batch, and how large it is."

local breaker = { type = "options",
  help = "When sluice stops sending to an endpoint that fails, and when it tries it again.",
  options = {
    max_requests = { type = "count", default = 3, min = 1, max = 1000,
      help = "Number of requests that a half-open breaker lets through. If as many "
        .. "succeed, it closes; if one fails, it opens." },
    interval = { type = "duration", default = "10s", min = 100, max = DAY_MS,
      help = "How long a closed breaker counts successes and failures before it starts "
        .. "again from zero." },
    timeout = { type = "duration", default = "30s", min = 10, max = DAY_MS,
      help = "How long a breaker stays open before it becomes half-open." },
    slow = { type = "duration", default = "10s", min = 1, max = DAY_MS,
      help = "A request that takes longer counts as slow. Only ready_to_trip looks at "
        .. "counts.slow; the default rule does not." },
    ready_to_trip = { type = "hook", params = 1,
      signature = "fun(counts: sluice.counts): boolean?",
      help = "function(counts), called after each failure; true opens the breaker. By "
        .. "default it opens after at least 3 requests with at least 60 % failures." },
  } }

local pool = { type = "options", help = "Connections of this sink.", options = {
  max_open = { type = "count", default = 300, min = 1, max = 10000,
    help = "Highest number of connections. Further requests wait in order." },
  max_idle = { type = "count", default = 50, min = 1, max = 10000,
    help = "Highest number of idle connections that sluice keeps open." },
  max_lifetime = { type = "duration", default = "10m", min = 1000,
    max = 30 * DAY_MS,
    help = "Age at which sluice stops using a connection, in whole seconds." },
  max_idle_time = { type = "duration", default = "30s", min = 1000,
    max = 30 * DAY_MS,
    help = "How long a connection may be idle and still be used again, in whole "
      .. "seconds. Keep it below the idle timeout of the server." },
} }

local tls = { type = "options", help = "TLS of https urls.", options = {
  ca = { type = "string",
    help = "PEM file of the trusted certificate authorities. By default those of the "
      .. "system." },
  cert = { type = "string",
    help = "PEM file of a client certificate. A reload reads it again. By default "
      .. "sluice sends no certificate." },
  key = { type = "string",
    help = "PEM file of the client certificate's key. By default the key is in the "
      .. "file cert." },
  verify = { type = "boolean", default = true,
    help = "Whether sluice checks the server's certificate and host name. With false "
      .. "anyone on the network can read the events." },
} }

local dead = { type = "options", help = "Dead letters of this sink.", options = {
  max_bytes = { type = "bytes", default = "1GiB", min = 1024, max = 2 ^ 50,
    help = "Size of the dead-letter file beyond which the sink pauses instead of "
      .. "adding more. It goes on when the file is moved away or made smaller." },
} }

local searched = { type = "options", help = "Dead letters of this sink.", options = {
  max_bytes = dead.options.max_bytes,
  searches = { type = "count", default = 600, min = 1, max = 1000000,
    help = "Highest number of extra inserts a minute that search a refused batch for its "
      .. "bad rows. When they are used up, the batch waits and later batches go on." },
} }

M.kafka = {
  help = "A sink that sends events to Kafka topics, with librdkafka.",
  named = true,
  sink = true,
  options = {
    brokers = { type = "string", required = true,
      help = "Addresses of the first brokers to ask, \"host:port,host:port\"." },
    topic = { type = "topic", required = true,
      help = "Topic of the messages. With topic_by, the topic of events for which "
        .. "topic_by gives no valid name." },
    topic_by = { type = "topic_by",
      help = "Path of a text field that names the topic of an event, or function(ev) "
        .. "that returns it. The function costs more than ten times as much as a path, "
        .. "because sluice decodes each event again." },
    topic_wait = { type = "duration", default = "1m", min = 1000, max = 3600000,
      help = "With topic_by: how long an event waits while the cluster does not have or "
        .. "does not allow its topic. Then the event becomes a dead letter, and so do "
        .. "later events for that topic until the topic exists. Events for other topics "
        .. "do not wait." },
    max_topics = { type = "count", default = 256, min = 1, max = 10000,
      help = "With topic_by: highest number of different topics. An event that names "
        .. "one more becomes a dead letter." },
    key = { type = "path",
      help = "Path of the field that becomes the message's key. By default, and for "
        .. "events without the field, a message has no key." },
    timestamp = { type = "path",
      help = "Path of the field that becomes the message's timestamp: milliseconds since "
        .. "1970, or RFC 3339 text. By default, and for events without a valid value, "
        .. "the time at which sluice accepted the event." },
    framing = { type = "enum", default = "event", values = { "event", "batch" },
      help = "\"event\" sends one message for each event, \"batch\" one message of "
        .. "NDJSON lines for each batch." },
    compression = { type = "enum", default = "lz4",
      values = { "none", "gzip", "snappy", "lz4", "zstd" },
      help = "Compression of the message sets that librdkafka sends." },
    partitioner = { type = "enum", default = "key",
      values = { "key", "sticky", "least_bytes" },
      help = "How sluice chooses the partition: \"key\" by the murmur2 hash of the key, "
        .. "as Java clients do (random without a key); \"sticky\" gives each partition "
        .. "batch.max messages in turn; \"least_bytes\" takes the one with the fewest "
        .. "unconfirmed bytes." },
    position = { type = "enum", default = "auto",
      values = { "auto", "none", "headers" },
      help = "\"headers\" adds the header sluice-position, by which consumers recognise "
        .. "copies; \"none\" does not. \"auto\" adds it with framing = \"batch\" only." },
    options = { type = "map",
      help = "Any option of librdkafka, for example for TLS and SASL. It replaces the "
        .. "value that sluice sets." },
    batch = batch("Size of batches. With framing = \"event\" librdkafka forms them, and only "
      .. "max and linger have an effect (batch.num.messages, linger.ms).",
      200, 50, 500, "1MiB", "50ms"),
    breaker = breaker,
    hedge = { type = "options",
      help = "A second cluster that also gets the messages which the first one is late to "
        .. "confirm.",
      options = {
        brokers = { type = "string",
          help = "Addresses of the second cluster's brokers, \"host:port,host:port\"." },
        after = { type = "after",
          help = "How long the first cluster may take to confirm a message. \"p95\" is "
            .. "the 95th percentile of its recent batches, once 20 are known." },
        max_ratio = { type = "number", default = 0.05, min = 0, max = 1,
          help = "Highest share of messages that go to both clusters." },
        may_duplicate = { type = "boolean", default = false,
          help = "Must be true, because both clusters may take the message and neither "
            .. "recognises the copy." },
      } },
    dead = dead,
  },
}

M.clickhouse = {
  help = "A sink that inserts events into a ClickHouse table over HTTP.",
  named = true,
  sink = true,
  options = {
    urls = { type = "list", of = "url", required = true,
      help = "Addresses of the ClickHouse servers. Several must be replicas of one table." },
    table = { type = "string", required = true,
      help = "Table for the events, as \"database.table\"." },
    user = { type = "string", empty = true,
      help = "ClickHouse user, sent as X-ClickHouse-User. By default the server's "
        .. "default user." },
    password = { type = "string", empty = true,
      help = "Password of the user, sent as X-ClickHouse-Key. Write env \"NAME\" to keep "
        .. "it out of the policy." },
    settings = { type = "map",
      help = "ClickHouse settings that sluice adds to each insert, as name = value." },
    columns = { type = "map",
      help = "Columns to fill, as column = path of the event; \"@event\" is the whole "
        .. "event as text. By default each key of the event fills the column of its name." },
    check = { type = "boolean", default = true,
      help = "Whether sluice compares the table with columns and the schemas before the "
        .. "first insert. If they do not fit, the sink pauses." },
    compression = { type = "enum", default = "auto",
      values = { "auto", "gzip", "zstd" },
      help = "Compression of request bodies. \"auto\" is zstd in the form that the server's "
        .. "version reads." },
    timeout = { type = "duration", default = "30s", min = 10, max = DAY_MS,
      help = "How long one insert may take, from connecting to the end of the answer. "
        .. "After that sluice sends the batch again." },
    max_in_flight = { type = "count", default = 8, min = 1, max = 256,
      help = "Highest number of inserts that run at the same time. sluice runs fewer "
        .. "while the server is slow or fails." },
    proxy = { type = "url",
      help = "HTTP proxy for all requests. By default none; sluice ignores http_proxy and "
        .. "ALL_PROXY in the environment." },
    tls = tls,
    batch = batch(BATCH .. " A batch that has its target takes along what else waits, up "
      .. "to max.", 10000, 1000, 100000, "8MiB", "1s"),
    pool = pool,
    breaker = breaker,
    hedge = { type = "options",
      help = "A second insert of a late batch at the next url, while the first still runs. "
        .. "It needs at least two urls.",
      options = {
        after = { type = "after",
          help = "How long an insert may run before sluice sends the second one. \"p95\" "
            .. "is the 95th percentile of the recent inserts, once 20 are known. Without "
            .. "it sluice does not hedge." },
        max_ratio = { type = "number", default = 0.05, min = 0, max = 1,
          help = "Highest share of inserts that sluice sends twice." },
        may_duplicate = { type = "boolean", default = false,
          help = "Allows hedging also where the table does not recognise a copy, so that "
            .. "rows may be there twice. By default sluice hedges only where it does." },
      } },
    dead = searched,
  },
}

M.http = {
  help = "A sink that sends each batch as one request to any HTTP endpoint.",
  named = true,
  sink = true,
  options = {
    url = { type = "urls", required = true,
      help = "Address of the endpoint, or a list of addresses that take turns." },
    method = { type = "enum", default = "POST",
      values = { "POST", "PUT", "PATCH" }, help = "Method of the requests." },
    headers = { type = "headers",
      help = "Headers of each request, as name = value. Write env \"NAME\" for a secret." },
    format = { type = "enum", default = "ndjson",
      values = { "ndjson", "json_array" },
      help = "Form of a body: \"ndjson\" has one event on each line, \"json_array\" is "
        .. "one array of events." },
    content_type = { type = "string",
      help = "Content-Type of the requests. By default application/x-ndjson, or "
        .. "application/json with format = \"json_array\"." },
    id_header = { type = "header", default = "Idempotency-Key",
      help = "Header that has the batch's id, which stays the same when sluice sends the "
        .. "batch again. \"\" sends none." },
    taken = { type = "list", of = "status", lua = "integer[]",
      help = "Statuses that count as success besides 2xx, from 300 to 599: { 409 }. A 409 "
        .. "to a batch that is sent again counts in any case, unless id_header is \"\"." },
    compression = { type = "enum", default = "none",
      values = { "none", "gzip", "zstd" },
      help = "Compression of request bodies, named in Content-Encoding." },
    timeout = { type = "duration", default = "30s", min = 10, max = DAY_MS,
      help = "How long one request may take, from connecting to the end of the answer. "
        .. "After that sluice sends the batch again." },
    max_in_flight = { type = "count", default = 4, min = 1, max = 256,
      help = "Highest number of requests that run at the same time. sluice runs fewer "
        .. "while the server is slow or fails." },
    proxy = { type = "url",
      help = "HTTP proxy for all requests. By default none; sluice ignores http_proxy and "
        .. "ALL_PROXY in the environment." },
    tls = tls,
    batch = batch(BATCH, 500, 1, 1000, "1MiB", "1s"),
    pool = pool,
    breaker = breaker,
    dead = searched,
  },
}

M.null = {
  help = "A sink that counts every event and keeps none, for benchmarks.",
  named = true,
  sink = true,
  options = {},
}

M.stream = {
  help = "A queue of accepted events: how safely sluice keeps them, and which sinks get them.",
  named = true,
  options = {
    ack = { type = "enum", default = "written",
      values = { "written", "synced", "delivered" },
      help = "What has happened to an event when the client gets 2xx. \"written\": it is in "
        .. "the operating system's page cache and survives a crash of sluice; \"synced\": it "
        .. "is on disk and survives a power cut; \"delivered\": every sink has taken, refused or "
        .. "skipped it." },
    timeout = { type = "duration", default = "30s", min = 10, max = DAY_MS,
      help = "With ack = \"delivered\": how long a request waits for the sinks. After that "
        .. "the client gets 504; sluice keeps the events and delivers them." },
    max_bytes = { type = "bytes", min = 4 * 1024 * 1024, max = 2 ^ 50,
      help = "Room on disk for this stream, at least four segments for each worker. When it "
        .. "is used up, clients get 503. By default spool.max_bytes divided by the number "
        .. "of streams plus one (the dead letters of hooks)." },
    dedup = { type = "options", optional = true,
      help = "Stores an event only once by its key. sluice answers a repeat as accepted and "
        .. "drops it, after on_event has seen it. \"1\" and 1 are two keys; an empty text is "
        .. "not a key.",
      options = {
        key = { type = "path", required = true,
          help = "Path of the text or number that identifies an event. sluice stores every "
            .. "event without it." },
        window = { type = "duration", default = "10m", min = 1000,
          max = 7 * DAY_MS,
          help = "How long sluice remembers a key, from its first event on. A restart "
            .. "forgets all keys." },
        max_keys = { type = "count", default = 1000000, min = 1000, max = 100000000,
          help = "Number of keys that sluice remembers, in about 60 bytes of memory each. "
            .. "With more keys it forgets the oldest early." },
      } },
    sinks = { type = "sinks", required = true,
      help = "Names of the sinks that get the events, as \"name\" or name = { when_full, "
        .. "max_lag }." },
  },
}

M.stream_sink = {
  when_full = { type = "enum", default = "refuse",
    values = { "refuse", "skip" },
    help = "What happens when this sink is far behind. \"refuse\" keeps its events, so that "
      .. "the stream fills and clients get 503; \"skip\" gives up its oldest events." },
  max_lag = { type = "bytes", min = 1024 * 1024, max = 2 ^ 50,
    help = "With when_full = \"skip\": backlog beyond which sluice gives up the sink's oldest "
      .. "events, a segment at a time. Needed for \"skip\"." },
}

M.route = {
  help = "A method and a path for clients: which requests it accepts, and what happens to "
    .. "their events.",
  named = true,
  options = {
    body = { type = "enum", required = true,
      values = { "event", "batch", "cloudevents" },
      help = "Form of a request body: \"event\", \"batch\" or \"cloudevents\". \"event\" is one "
        .. "JSON object. \"batch\" is an array, {\"events\":[…]}, or NDJSON. \"cloudevents\" is "
        .. "the three modes of CloudEvents over HTTP." },
    types = { type = "list",
      help = "Content types that the route accepts; \"*/*\" accepts any. By default those of "
        .. "JSON, with body = \"batch\" also those of NDJSON. Others get 415." },
    events = { type = "string",
      help = "Path of the array of events in a body that is one JSON object: "
        .. "\"data.events\". It needs body = \"batch\". By default the route accepts all forms of "
        .. "a batch." },
    envelope = { type = "fields",
      help = "Values outside the array of events, as field = path in the body. Each event "
        .. "without the field gets a copy. It needs events." },
    set = { type = "fields",
      help = "Fields that each event gets from the request, as field = \"path:NAME\", "
        .. "\"query:NAME\", \"header:NAME\", \"basic:user\", \"peer\" or \"time\". If the request "
        .. "does not have the value, sluice removes the field." },
    answer = { type = "options", optional = true,
      help = "The answer to a request with accepted events, instead of 202 with counts.",
      options = {
        status = { type = "count", default = 202, min = 200, max = 299,
          help = "Status when at least one event was accepted." },
        body = { type = "text",
          help = "Body of the answer, instead of the counts and errors. It does not tell "
            .. "which events of a batch were refused: sluice writes these to the dead "
            .. "letters if others were accepted. If one of them may pass later (a limit), "
            .. "sluice refuses the whole batch." },
        type = { type = "string",
          help = "Content type of body. By default application/json." },
        refused = { type = "count", default = 422, min = 400, max = 499,
          help = "Status when all events were refused. A failed hook still gives 500, a "
            .. "limit 429." },
      } },
    webhook = { type = "options", optional = true,
      help = "Senders of CloudEvents that may deliver here. sluice tells them when they ask "
        .. "with OPTIONS.",
      options = {
        origins = { type = "list", required = true,
          help = "Names of the senders, such as \"eventgrid.azure.net\", or \"*\" for all." },
        rate = { type = "count", min = 1, max = 10 ^ 9,
          help = "Requests a minute that the answer allows a sender. By default any number. "
            .. "sluice does not enforce it." },
      } },
    cors = { type = "options", optional = true,
      help = "Web pages of other origins that may send. sluice answers their OPTIONS "
        .. "requests.",
      options = {
        origins = { type = "list", required = true,
          help = "Origins of the pages, such as \"https://shop.example\", or \"*\" for all." },
        headers = { type = "list",
          help = "Request headers that a page may set. By default Content-Type." },
        credentials = { type = "boolean", default = false,
          help = "Whether a page may send cookies and Authorization. It needs named "
            .. "origins, not \"*\"." },
        max_age = { type = "duration", default = "1h", min = 0, max = DAY_MS,
          help = "How long a browser may cache the answer to OPTIONS, in whole seconds." },
      } },
    schema = { type = "schema",
      help = "A schema { } that checks each event. By default any JSON object passes." },
    on_event = { type = "hook", params = 2,
      signature = "fun(ev: sluice.event, req: sluice.request): sluice.verdict?",
      help = "function(ev, req), called for each event that passed the schema. It returns "
        .. "nothing to accept the event, or reject(), drop() or to()." },
    on_request = { type = "hook", params = 1,
      signature = "fun(req: sluice.request): sluice.verdict?",
      help = "function(req), called before sluice reads the body. It returns nothing to go "
        .. "on, or reject()." },
    on_error = { type = "enum", default = "dead_letter",
      values = { "dead_letter", "reject", "accept" },
      help = "What happens to an event if on_event raises an error: it becomes a dead letter, "
        .. "is refused, or is stored as the client sent it. If on_request raises, the client "
        .. "gets 500; with \"accept\" the request goes on." },
    stream = { type = "stream",
      help = "Stream for the accepted events. Needed unless on_event names streams with "
        .. "to()." },
    partial = { type = "boolean", default = true,
      help = "Whether sluice accepts the good events of a batch that also has bad ones. With "
        .. "false one refused event refuses the whole batch." },
  },
}

M.canary = {
  help = "Gives this policy a share of the requests before it goes live, and rolls it back "
    .. "if it does worse than the live one.",
  once = true,
  options = {
    share = { type = "percent", default = "10%", min = 0.0001, max = 0.99,
      help = "Share of the requests that this policy serves. The live policy serves the "
        .. "rest." },
    during = { type = "duration", default = "60s", min = 100,
      max = 30 * DAY_MS,
      help = "How long the canary runs before the policy goes live. With too little traffic "
        .. "it runs up to three times as long; then sluice rolls it back." },
    min_requests = { type = "count", default = 50, min = 1, max = 1000000000,
      help = "Number of requests that the canary must serve before it goes live by itself." },
    by = { type = "share_by", default = "connection",
      help = "Which requests stay together on one policy: those of a connection, of a client "
        .. "address (\"peer\") or with one value of a header; \"request\" divides them one by "
        .. "one. A request without that header stays with the live policy." },
    roll_back_if = { type = "hook", params = 2,
      signature = "fun(old: sluice.trial, new: sluice.trial): boolean|string|nil",
      help = "function(old, new) that returns true or a reason to roll back. By default "
        .. "sluice rolls back if refusals or errors rise by more than 2 percentage points, or "
        .. "requests take twice as long, and chance does not explain it." },
  },
}

M.shadow = {
  help = "Runs this policy on copies of requests and counts where its decisions differ from "
    .. "the live policy's. Nothing that it decides takes effect.",
  once = true,
  options = {
    share = { type = "percent", default = "100%", min = 0.0001, max = 1,
      help = "Share of the requests that this policy sees." },
    during = { type = "duration", default = "60s", min = 100,
      max = 30 * DAY_MS,
      help = "How long the shadow runs. After that sluice drops it; the live policy stays." },
    sample = { type = "count", default = 0, min = 0, max = 1000,
      help = "Number of differing events that the log and /status show as they are, with "
        .. "their personal data. By default none." },
  },
}

local metric_options = {
  help = { type = "string", default = "Kept by the policy.",
    help = "Sentence that explains the metric in /metrics." },
  labels = { type = "list",
    help = "Names of up to 3 labels. Each call gives their values; a value is cut at 128 "
      .. "bytes. By default no labels." },
  max_series = { type = "count", default = 100, min = 1, max = 1000,
    help = "Highest number of different combinations of label values. sluice counts all "
      .. "further ones under \"other\"." },
}

M.counter = {
  help = "A number in /metrics that only goes up. Its name ends in _total.",
  named = true, handle = true, options = metric_options,
}

M.gauge = {
  help = "A number in /metrics that goes up and down.",
  named = true, handle = true, options = metric_options,
}

M.limit = {
  help = "A token bucket for each key, shared by all workers. The name is optional.",
  handle = true, named_or_not = true,
  options = {
    rate = { type = "rate", required = true, min = 1 / 86400, max = 1000000,
      help = "Tokens that each bucket gets, such as \"100/s\", \"10/m\", \"5/h\" or \"1/d\"." },
    burst = { type = "count", min = 1, max = 1000000,
      help = "Tokens that a full bucket holds. By default those of one second, at least 1." },
    key = { type = "string",
      help = "What check() and take() count by when they are given ev or req: for ev a path "
        .. "of the event, for req \"peer\", \"path\" or \"header:NAME\". Those without a value "
        .. "share one bucket." },
    max_keys = { type = "count", default = 100000, min = 1, max = 10000000,
      help = "Number of buckets that are not full at the same time. With more keys some get "
        .. "a full bucket early." },
  },
}

M.lookup = {
  help = "A CSV file beside the policy as a table. Its first line names the columns. sluice "
    .. "reads it at each load; it is part of the policy's hash.",
  named = true, handle = true,
  options = {
    key = { type = "string",
      help = "Column in which sluice looks for a key. By default the first." },
    delimiter = { type = "string", default = ",",
      help = "Character between two fields of a line." },
  },
}

M.example = {
  help = "A request and its expected answer. sluice checks it at every load and refuses the "
    .. "policy if they differ.",
  named = true,
  options = {
    request = { type = "string", required = true,
      help = "Method and path, with or without a query: \"POST /v1/events\"." },
    body = { type = "string", required = true,
      help = "Body of the request, as a client sends it." },
    content_type = { type = "string", default = "application/json",
      help = "Content-Type of the request." },
    headers = { type = "map",
      help = "Further headers of the request: { [\"x-api-key\"] = \"k1\" }." },
    at = { type = "moment", default = "2025-01-01T00:00:00Z",
      help = "Time at which the request arrives, for time checks and req.time_ms." },
    expect = { type = "options", required = true,
      help = "Answer that is expected. sluice compares what is given here.",
      options = {
        status = { type = "count", min = 100, max = 599,
          help = "HTTP status." },
        accepted = { type = "count", min = 0, max = 1000000,
          help = "Number of accepted events; it includes dropped ones and dead letters." },
        rejected = { type = "count", min = 0, max = 1000000,
          help = "Number of refused events." },
        dropped = { type = "count", min = 0, max = 1000000,
          help = "Number of dropped events." },
        code = { type = "string",
          help = "Error code of the first refused event, or of the refused request." },
        field = { type = "string",
          help = "Field that the error of the first refused event names." },
        stored = { type = "string",
          help = "Line that sluice stores for the first accepted event." },
      } },
  },
}

local required = { type = "boolean", default = false,
  help = "Whether sluice refuses an event that lacks the field or has null there." }

M.fields = {
  str = { help = "A text.", options = { required = required,
    min = { type = "count", min = 0, max = 2 ^ 31,
      help = "Smallest number of characters (Unicode code points)." },
    max = { type = "count", min = 0, max = 2 ^ 31,
      help = "Largest number of characters (Unicode code points)." } } },
  num = { help = "A number.", options = { required = required,
    min = { type = "number", help = "Smallest value." },
    max = { type = "number", help = "Largest value." } } },
  int = { help = "A whole number of 64 bits, written without a decimal point and "
    .. "without an exponent, so that an integer column can read it.",
    options = { required = required,
    min = { type = "number", help = "Smallest value." },
    max = { type = "number", help = "Largest value." } } },
  bool = { help = "true or false.", options = { required = required } },
  enum = { help = "One text of a list.", list = true,
    options = { required = required } },
  time = { help = "A time as whole milliseconds since 1970, or as RFC 3339 text. Without "
    .. "max_age sluice refuses numbers below 100000000000, which are most likely seconds.",
    options = { required = required,
      max_age = { type = "duration", min = 0, max = 36500 * DAY_MS,
        help = "Highest age of the time when the request arrives. sluice refuses older "
          .. "events; by default it accepts any age." },
      max_skew = { type = "duration", min = 0, max = 36500 * DAY_MS,
        help = "How far the time may lie in the future when the request arrives. By default "
          .. "any distance." } } },
  any = { help = "Any JSON value.", options = { required = required } },
}

-- Functions that are part of the language; library.lua has the helpers. A parameter:
-- name, type ("?" after it: may be nil); loose: the kinds that do besides. least: the
-- fewest arguments; default: all.
M.functions = {
  { name = "env", params = { { "name", "string" }, { "default", "string?" } }, least = 1,
    returns = "string",
    help = "Value of a variable of the process's environment. If the variable is not set and "
      .. "the call has no default, the policy does not load. Call it outside of hooks." },
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

-- What functions of a policy are given. A field: name, type, help.
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
      .. "that row that is not the\nkey. Both are nil if no row has the key.", fields = {} },
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
    { "peer", "string", "IP address from which the client connects. If a proxy is in front of "
      .. "sluice, it is the proxy's address." },
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

local OUTSIDE = "a policy works on the event and the request alone"
local CODE = "use require \"name\" for a file beside the policy"
local TABLES = "a policy has plain tables only"
local JSON = "to write JSON, set ev.x = t with a table t; to read it, call get(ev, path)"

-- Globals of plain Lua that a policy has not, and why.
M.forbidden = {
  io = OUTSIDE, os = OUTSIDE .. "; req.time_ms is the time",
  print = "a policy has no output; use reject(\"code\", \"text\") or a counter",
  debug = OUTSIDE, ffi = OUTSIDE, jit = OUTSIDE, package = CODE, module = CODE,
  load = CODE, loadstring = CODE, loadfile = CODE, dofile = CODE,
  setfenv = OUTSIDE, getfenv = OUTSIDE, collectgarbage = "sluice manages the policy's memory",
  coroutine = "a hook runs to its end without a pause",
  rawset = "write t[key] = value", rawget = "write t[key]",
  newproxy = TABLES, setmetatable = TABLES, getmetatable = TABLES,
  rawequal = "write a == b", _VERSION = OUTSIDE,
  json = JSON, cjson = JSON,
}

-- What people write for a word of the policy language.
M.instead = {
  string = "a text is str { }", text = "a text is str { }",
  number = "a number is num { }, a whole number int { }", float = "a number is num { }",
  integer = "a whole number is int { }", boolean = "a boolean is bool { }",
  timestamp = "a time is time { }", datetime = "a time is time { }",
  object = "any { } takes objects; ev[\"a.b\"] = str { } is a field inside of one",
  source = "events come in by routes: route \"POST /v1/events\" { }",
  topic = "a topic is an option: kafka \"name\" { topic = \"events\" }",
}

-- Names of options elsewhere, and here.
M.aliases = {
  bootstrap_servers = "brokers", bootstrap = "brokers", servers = "brokers",
  broker = "brokers", hosts = "urls", host = "url", endpoint = "url", uri = "url",
  path = "dir", folder = "dir", directory = "dir", port = "listen", address = "listen",
  batch_size = "batch", compression_type = "compression", codec = "compression",
  stream_name = "stream", handler = "on_event", hook = "on_event",
}

-- Words that are options, and of what.
M.elsewhere = {
  dedup = "an option of a stream: stream \"events\" { dedup = { key = \"event_id\" } }",
}

for _, spec in pairs(M) do
  if spec.sink then
    spec.options.from = { type = "enum", default = "now",
      values = { "now", "oldest" },
      help = "Where a sink that is new to a stream begins: \"now\" with the events after "
        .. "the load, \"oldest\" with all events that the spool still has." }
    spec.options.was = { type = "string",
      help = "Earlier name of this sink. The sink goes on where that one was." }
  end
end

return M
