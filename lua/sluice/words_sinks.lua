-- words_sinks: the kinds of sinks and the options that several kinds share.

local M = {}

local DAY_MS = 24 * 3600 * 1000

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
    brokers = { type = "string", required = true, joined = true,
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
        brokers = { type = "string", joined = true,
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
      help = "Headers of each request, as name = value. Write secret \"FILE\" for a secret." },
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

return M
