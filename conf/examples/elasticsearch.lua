-- elasticsearch: takes documents that Elasticsearch's clients write by _bulk. Only the
-- node changes: new Client({ node: "http://this.server:8080", auth: { apiKey: "…" } }).
--
-- sluice stores documents and answers nothing else: no searches, updates or deletes.
-- Elastic describes requests and answers in
-- https://www.elastic.co/docs/api/doc/elasticsearch/operation/operation-bulk.

server { listen = "0.0.0.0:8080", max_body = "16MiB" } -- a client's bulk: 5 MB
admin  { listen = "127.0.0.1:9100" }

file "archive" { dir = "archive", compress = "zstd", linger = "1s" }
-- A client without an answer writes its documents again. One that is created with an _id is
-- stored once, also over a crash. One that is indexed is stored each time, because it may be
-- a new version: the last one with an _id counts, as in Elasticsearch.
stream "documents" {
  ack = "synced", sinks = { "archive" },
  dedup = { key = { "tenant", "_index", "_create" }, window = "1d", persist = true },
}
file "refused" { dir = "refused", compress = "zstd", linger = "1s" }
stream "refused" { sinks = { "refused" } }

-- Each API key, as clients send it, and the tenant that it stands for.
local API_KEY = "ApiKey " .. env("ELASTIC_API_KEY", "ZGVtbzprZXk=")
local TENANTS = { [API_KEY] = "demo" }

-- After 401 a client tells its application. A document with the status 429 is sent again
-- by the client's bulk helper, a request with 502, 503 or 504 by every client.
local function on_request(req)
  if not TENANTS[req.headers.authorization or ""] then
    return reject("security_exception", "no tenant has this API key", 401)
  end
end

local document = schema { _index = str { min = 1, max = 255 } }

-- The index stands in the action, or in the path for all documents.
local function on_event(ev, req)
  if not ev._index then
    if not req.params.index then
      return reject("illegal_argument_exception", "neither the action nor the path has an index")
    end
    ev._index = req.params.index
  end
  ev.tenant = TENANTS[req.headers.authorization]
  ev._create = ev._op_type == "create" and ev._id or nil
end

-- The clients ask for this header, so that they speak to nothing else by mistake.
local headers = { ["X-Elastic-Product"] = "Elasticsearch" }
local answer = {
  status = 200, refused = 400, headers = headers,
  body = [[{"took":0,"errors":{$errors},"items":[{$items}]}]],
  item = [[{"{_op_type}":{"_index":"{_index}","_id":"{_id}","status":201,"result":"created"}}]],
  item_refused = [[{"{_op_type}":{"_index":"{_index}","_id":"{_id}","status":{$status},]]
    .. [["error":{"type":"{$code}","reason":"{$message}"}}}]],
  body_refused = [[{"error":{"root_cause":[{"type":"{$code}","reason":"{$message}"}],]]
    .. [["type":"{$code}","reason":"{$message}"},"status":{$status}}]],
  codes = { invalid_json = "parse_exception", [429] = "es_rejected_execution_exception",
    [503] = "es_rejected_execution_exception" },
}

for _, path in ipairs { "/_bulk", "/:index/_bulk" } do
  route { "POST", "PUT", path } {
    body = "bulk",
    envelope = { _op_type = "$action", _index = "_index", _id = "_id" },
    schema = document, on_request = on_request, on_event = on_event,
    on_refused = { stream = "refused" }, stream = "documents", answer = answer,
  }
end

-- Clients and shippers ask which server this is, and how it is. Some look for their index
-- template before they send, and ask for a refresh behind the last document: without an
-- answer pino-elasticsearch and winston-elasticsearch take the server for gone.
local function told(asked, body)
  route(asked) {
    body = "query", stream = "documents", on_event = function() return drop() end,
    answer = { status = 200, headers = headers, body = body },
  }
end

told("GET /", [[{"name":"sluice","version":{"number":"8.19.0","build_flavor":"default"},]]
  .. [["tagline":"You Know, for Search"}]])
told("GET /_cluster/health", [[{"cluster_name":"sluice","status":"green",]]
  .. [["timed_out":false,"number_of_nodes":1,"number_of_data_nodes":1}]])
told("GET /_index_template/:name", [[{"index_templates":[]}]]) -- HEAD: it is there
told({ "GET", "POST", "/:index/_refresh" }, [[{"_shards":{"total":1,"successful":1,"failed":0}}]])

local AUTH = { authorization = API_KEY }

example "documents are told one by one" {
  request = "POST /_bulk", headers = AUTH, content_type = "application/x-ndjson",
  body    = [[
{"index":{"_index":"logs","_id":"1"}}
{"sum":1.10}
{"create":{"_index":"logs","_id":"2"}}
{"sum":}
]],
  expect  = { status = 200, accepted = 1, rejected = 1, code = "invalid_json",
    stored = [[{"sum":1.10,"_id":"1","_index":"logs","_op_type":"index","tenant":"demo"}]] },
}
example "a line that is no action refuses the whole" {
  request = "POST /logs/_bulk", headers = AUTH, content_type = "application/x-ndjson",
  body    = "{\"sum\":1}\n",
  expect  = { status = 400, code = "invalid_json" },
}
example "an unknown key is told before the body" {
  request = "POST /_bulk", headers = { authorization = "ApiKey other" }, body = "{}",
  expect  = { status = 401, code = "security_exception" },
}
