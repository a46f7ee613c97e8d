-- words_routes: the way of events into the spool: streams, their sinks, and routes.

local M = {}

local DAY_MS = 24 * 3600 * 1000

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
        key = { type = "paths", required = true, most = 8,
          help = "Path of the text or number that identifies an event. With a list of paths, "
            .. "such as { \"app_id\", \"event_id\" }, their values identify it together; "
            .. "beside others also an object or array, by its text as it was sent. sluice "
            .. "stores every event that lacks one of them." },
        window = { type = "duration", default = "10m", min = 1000,
          max = 400 * DAY_MS,
          help = "How long sluice remembers a key, from its first event on. At most 7 d "
            .. "without persist." },
        persist = { type = "boolean", default = false,
          help = "Keeps the keys in the spool's folder, so that a restart, a crash or a power "
            .. "cut forgets no key whose event is stored. Takes 20 bytes of disk and 3 bytes "
            .. "of memory for a key, and 80 MB of memory. Without it a restart forgets all "
            .. "keys." },
        max_keys = { type = "count", default = 1000000, min = 1000, max = 100000000,
          help = "Number of keys that sluice remembers without persist, in about 60 bytes of "
            .. "memory each. With more keys it forgets the oldest early." },
      } },
    index = { type = "options", optional = true, short = "field",
      help = "Keeps an index of the events' ids, so that sluice find and sluice ledger tell "
        .. "what became of each event, also after it left the spool. Takes less than 12 bytes "
        .. "of disk for an event, and 2 MiB of memory for each worker. index = \"event_id\" is "
        .. "short for index = { field = \"event_id\" }.",
      options = {
        field = { type = "path", required = true,
          help = "Path of the text or number that identifies an event. Events without it are "
            .. "counted, and can't be found." },
        keep = { type = "duration", default = "7d", min = 60000, max = 400 * DAY_MS,
          help = "How long sluice keeps the index of an event." },
        max_bytes = { type = "bytes", default = "1GiB", min = 1024 * 1024, max = 2 ^ 50,
          help = "Most bytes of the stream's index on disk. Beyond it sluice removes the "
            .. "oldest part. 1GiB has the ids of 90 million events." },
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

-- A GIF of one transparent pixel.
local PIXEL = "GIF89a\1\0\1\0\128\0\0\0\0\0\255\255\255!\249\4\1\0\0\0\0,\0\0\0\0\1\0\1\0\0"
  .. "\2\2D\1\0;"

M.route = {
  help = "A method and a path for clients: which requests it accepts, and what happens to "
    .. "their events. Several methods: route { \"GET\", \"POST\", \"/click\" } { … }. HEAD is "
    .. "answered as GET, and stores nothing.",
  named = true,
  list = true,
  options = {
    body = { type = "enum", required = true,
      values = { "event", "batch", "events", "bulk", "cloudevents", "query", "form", "any" },
      help = "Form of a request: \"event\", \"batch\", \"events\", \"bulk\", \"cloudevents\", "
        .. "\"query\", \"form\" or \"any\". \"event\" is one "
        .. "JSON object. \"batch\" is an array, {\"events\":[…]}, or NDJSON. \"events\" is one "
        .. "object or an array, or several of them one behind the other, with or without "
        .. "space between them, or NDJSON. \"bulk\" is "
        .. "lines in pairs, an action such as {\"index\":{…}} and the event, as Elasticsearch's "
        .. "_bulk takes them. \"cloudevents\" is "
        .. "the three modes of CloudEvents over HTTP. \"query\" is one event, the parameters "
        .. "of the URL; \"form\" is one event, the fields of a form. \"any\" is a query for a "
        .. "GET, otherwise a form or one JSON object, by the content type." },
    repeated = { type = "enum", default = "refuse",
      values = { "refuse", "first", "last", "array" },
      help = "What happens to a parameter of a query or form that comes more than once: "
        .. "\"refuse\" refuses the event (duplicate_key), \"first\" and \"last\" keep one "
        .. "value, \"array\" makes an array of all. A parameter that comes once stays a text, "
        .. "unless the schema says list { }." },
    form = { type = "fields",
      help = "Parameters of a query or form that hold JSON, as name = \"json\", or "
        .. "name = \"base64\" for JSON in base64. By default all are texts, or what the "
        .. "schema says: int, num, bool and time read texts. With body = \"batch\" or "
        .. "\"events\": the one field of a form that holds the body, as some clients send it "
        .. "beside JSON." },
    types = { type = "list",
      help = "Content types that the route accepts; \"*/*\" accepts any. By default those of "
        .. "JSON, with body = \"batch\" or \"events\" also those of NDJSON. Others get 415." },
    events = { type = "string",
      help = "Path of the array of events in a body that is one JSON object: "
        .. "\"data.events\". Lists on the way have [], and so has the last one then: "
        .. "\"resourceLogs[].scopeLogs[].logRecords[]\". "
        .. "With body = \"batch\" the body must have the array; with \"events\" an object "
        .. "without it is one event, and arrays are taken, too. By default the route accepts "
        .. "all forms of its body." },
    envelope = { type = "fields",
      help = "Values outside the array of events, as field = path in the body; a path may lead "
        .. "through the lists of events: \"resourceLogs[].resource\". Each event of that list "
        .. "without the field gets a copy. It needs events. With body = \"bulk\": values of the "
        .. "event's action, as field = path in its object, or \"$action\" for its word; they "
        .. "replace the event's own, which goes also where the action has none." },
    columns = { type = "list",
      help = "Keys for the values of an event that is an array: with { \"time\", \"line\" }, "
        .. "[17,\"x\"] is the event {\"time\":17,\"line\":\"x\"}. A null, or a value that the "
        .. "array lacks at its end, is left out. It needs body = \"batch\"." },
    set = { type = "fields",
      help = "Fields that each event gets from the request, as field = \"path:NAME\", "
        .. "\"query:NAME\", \"header:NAME\", \"basic:user\", \"key:COLUMN\" (of the client's "
        .. "key, see auth), \"peer\" or \"time\". If the request does not have the value, sluice "
        .. "removes the field." },
    answer = { type = "options", optional = true, presets = { pixel = {
        status = 200, type = "image/gif", body = PIXEL, refused = "same", unstored = "same",
        headers = { ["Cache-Control"] = "no-store" } } },
      help = "The answer to a request with accepted events, instead of 202 with counts. "
        .. "\"pixel\" is a transparent GIF of 43 bytes that is not cached; a client gets it "
        .. "also when its event was refused or could not be stored.",
      options = {
        status = { type = "count", default = 202, min = 200, max = 308,
          help = "Status when at least one event was accepted. With location 301, 302 (the "
            .. "default then), 303, 307 or 308; browsers keep a 301 or 308 unless "
            .. "Cache-Control says otherwise." },
        body = { type = "text",
          help = "Body of the answer, instead of the counts and errors. In JSON, "
            .. "\"{click_id}\" stands for the field of the event (one event). Of many events, "
            .. "{$accepted} and {$rejected} are numbers, {$errors} says whether one was "
            .. "refused (true, false), \"{$message}\" why the first one was, and [{$items}] has "
            .. "a text for each, item or item_refused. Without {$items} it does not "
            .. "tell which events of a batch were refused: sluice writes these to the dead "
            .. "letters if others were accepted. If one of them may pass later (a limit), "
            .. "sluice refuses the whole batch." },
        body_accepted = { type = "text",
          help = "The same of a request of which no event was refused, for clients that take "
            .. "any word of refused ones for a warning: \"{}\". It needs one of {$…} in body." },
        body_refused = { type = "text",
          help = "Body of an answer that refuses the whole request: by auth, on_request, a "
            .. "limit, the grammar, a full spool, or because all events were refused. "
            .. "\"{$message}\" says why, \"{$code}\" is sluice's or the hook's code or that of "
            .. "codes, {$status} the status. By default sluice's JSON." },
        codes = { type = "codes",
          help = "What {$code} of body_refused is, by sluice's or a hook's code, by status, or "
            .. "for all others: { invalid_token = 4, [503] = 9, other = 8 }. A code goes "
            .. "before its status. All are numbers, which need no quotes, or all are texts." },
        item = { type = "text",
          help = "What {$items} of body has for an accepted event: JSON, in which \"{_id}\" is "
            .. "a field of the event and {$index} its number. status is the answer's then, "
            .. "also when all events were refused." },
        item_refused = { type = "text",
          help = "The same for a refused event, also with \"{$code}\", \"{$message}\" and "
            .. "{$status}: 429 if it may pass later, 500 if the hook failed, else refused." },
        type = { type = "string",
          help = "Content type of body and body_refused. By default application/json." },
        headers = { type = "map",
          help = "Further headers of this answer, as name = value. A redirect has "
            .. "Cache-Control: no-store unless they say otherwise." },
        location = { type = "location",
          signature = "string|(fun(ev: sluice.event, req: sluice.request): string?)",
          help = "Where a redirect leads: \"field:NAME\", the url in a field of the event; a "
            .. "url such as \"https://shop.example/?click={click_id}\", whose fields are "
            .. "percent-encoded; or function(ev, req) that returns a url. The event is one." },
        hosts = { type = "list",
          help = "Hosts to which a url of a field or function may lead: \"shop.example\", "
            .. "\"shop.example:8443\", \"*.shop.example\". An event with another url is "
            .. "refused (bad_location). Needed for a field or function." },
        fallback = { type = "string",
          help = "Url for events without a good one, instead of refusing them." },
        refused = { type = "refused", default = 422, min = 400, max = 499,
          help = "Status when all events were refused; \"same\" gives the answer of accepted "
            .. "events instead. By default a failed hook still gives 500, a limit 429, a body "
            .. "that can't be read 400." },
        unstored = { type = "enum", default = "error", values = { "error", "same" },
          help = "What a client gets whose events can't be stored or delivered now: \"error\" "
            .. "is 503 or 504, \"same\" the answer of accepted events, although the events "
            .. "are lost." },
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
          help = "Request headers that a page may set. By default Content-Type, and what auth "
            .. "needs." },
        credentials = { type = "boolean", default = false,
          help = "Whether a page may send cookies and Authorization. It needs named "
            .. "origins, not \"*\"." },
        max_age = { type = "duration", default = "1h", min = 0, max = DAY_MS,
          help = "How long a browser may cache the answer to OPTIONS, in whole seconds." },
      } },
    auth = { type = "auth", lua = "sluice.auth|sluice.auth[]|false",
      help = "Who may send: bearer \"KEYS\", basic \"KEYS\", header \"NAME\" \"KEYS\", query "
        .. "\"NAME\" \"KEYS\", client_cert { … }, hmac { … }, jwt { … }, or any_of { … } of "
        .. "these. KEYS names a keys \"NAME\" { }. Others "
        .. "get 401 before sluice reads the body. The row of the key is req.key. By default, "
        .. "and with false, anybody may send." },
    allow = { type = "access", lua = "(string|table)[]",
      help = "Networks of the clients that may send: { \"10.0.0.0/8\", \"2001:db8::/32\" }, "
        .. "also a cidr \"FILE\" or its name, and \"unix\" for a Unix socket. Others get 403. It "
        .. "is asked of req.peer, before auth. By default all." },
    deny = { type = "access", lua = "(string|table)[]",
      help = "Networks of clients that may not, in the same form; stronger than allow." },
    limits = { type = "limits", lua = "sluice.limit_handle[]",
      help = "Limits that each request is held to, by its number of events: { l, m } of local "
        .. "l = limit { … }. A request takes from all or from none; over one it gets 429 with "
        .. "Retry-After, and nothing of it is stored." },
    limit_headers = { type = "enum", values = { "separate", "combined" },
      help = "Whether answers tell how much is left: \"separate\" is RateLimit-Limit, "
        .. "-Remaining and -Reset of the tightest limit, as most clients read them; "
        .. "\"combined\" is RateLimit-Policy and RateLimit of all (the IETF's draft since its "
        .. "version 8). By default neither." },
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
    on_refused = { type = "options", optional = true, word = "dead_letter",
      help = "Keeps what a schema, on_event or the grammar refuses, with the bytes that the "
        .. "client sent. \"dead_letter\" writes it to the dead letters. The client gets the "
        .. "same answer as without.",
      options = {
        stream = { type = "stream",
          help = "Stream that gets a record of each refusal. Not the route's own." },
        rate = { type = "rate", default = "100/s", min = 1 / 86400, max = 1000000,
          help = "Records that the route keeps, over all workers. A record of more than 1 KiB "
            .. "counts once for each KiB. The unused rate of 10 seconds, and as much as the "
            .. "largest record takes (up to six times max_record), may come at once. "
            .. "sluice counts what is beyond, and does not keep it." },
        max_record = { type = "bytes", default = "64KiB", min = 1024, max = 1024 * 1024,
          help = "Bytes of what the client sent that a record keeps." },
      } },
    signed = { type = "options", optional = true,
      help = "Accepts only postbacks that Apple has signed: others are refused with 401. It "
        .. "needs body = \"event\". Signed are not all values: conversion values never are.",
      options = {
        by = { type = "enum", required = true, values = { "skadnetwork", "adattributionkit" },
          help = "Which postbacks: \"skadnetwork\", signed by attribution-signature, or "
            .. "\"adattributionkit\", whose jws-string is a JWS." },
        apple = { type = "enum", default = "production",
          values = { "production", "development", "none" },
          help = "Which of Apple's documented keys are trusted. \"development\" "
            .. "(AdAttributionKit) adds those of test devices; whoever has one can make such "
            .. "postbacks." },
        keys = { type = "map",
          help = "Further public keys that are trusted, as name = a PEM or base64 of its DER, "
            .. "of the curve P-256. The name is the kid of a JWS. With Apple's at most 8." },
        versions = { type = "list",
          help = "Versions of SKAdNetwork that are accepted. By default 2.1, 2.2, 3.0 and 4.0. "
            .. "1.0 and 2.0 are signed with a key of the weaker curve P-192." },
        payload = { type = "string",
          help = "Field that gets the signed payload of a JWS, as an object. By default "
            .. "postback. A client must not send it." },
      } },
    stream = { type = "stream",
      help = "Stream for the accepted events. Needed unless on_event names streams with "
        .. "to()." },
    max_event = { type = "bytes", min = 2, max = 255 * 1024 * 1024,
      help = "Largest event, in bytes of its JSON before sluice changes it. sluice refuses a "
        .. "larger one alone (event_too_large). By default only server.max_body bounds it." },
    encoding = { type = "encoding", default = "header",
      help = "What says how a body is compressed, with gzip, deflate, br (brotli) or zstd. "
        .. "\"header\" is Content-Encoding. \"query:NAME\" is a parameter of the query, which "
        .. "may also be gzip-js or none; without it the header holds. \"detect\" looks at the "
        .. "body's first bytes, whatever the header says; only brotli needs the header." },
    partial = { type = "boolean", default = true,
      help = "Whether sluice accepts the good events of a batch that also has bad ones. With "
        .. "false one refused event refuses the whole batch." },
  },
}

return M
