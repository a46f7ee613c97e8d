-- cloudevents: takes CloudEvents 1.0 over HTTP in each of its modes: structured
-- (application/cloudevents+json), batched (application/cloudevents-batch+json) and
-- binary (attributes in ce- headers, data in the body). sluice stores the event as
-- the JSON object of structured mode in each case.

server { listen = "0.0.0.0:8080", max_body = "4MiB" }
admin  { listen = "127.0.0.1:9100" }

file "archive" { dir = "archive", compress = "zstd", linger = "1s" }
-- An event has its own pair of source and id. A sender without an answer sends the event
-- again, with the same pair: it is stored once, also over a crash.
stream "events" {
  ack = "synced", sinks = { "archive" },
  dedup = { key = { "source", "id" }, window = "1d", persist = true },
}

-- The attributes that every CloudEvent needs. Extensions are stored as they are.
local event = schema {
  specversion = enum { "1.0", required = true },
  id          = str { required = true, min = 1 },
  source      = str { required = true, min = 1 },
  type        = str { required = true, min = 1 },
  time        = time { },
}

route "POST /events" {
  body = "cloudevents", schema = event, stream = "events",
  -- Some senders ask by OPTIONS before they deliver, for example Azure's Event Grid:
  -- they get permission.
  webhook = { origins = { "*" } },
}

example "a structured event is stored as it came" {
  request = "POST /events", content_type = "application/cloudevents+json",
  body    = [[{"specversion":"1.0","id":"1","source":"/a","type":"t","data":{"sum":1.10}}]],
  expect  = { status = 202, accepted = 1,
    stored = [[{"specversion":"1.0","id":"1","source":"/a","type":"t","data":{"sum":1.10}}]] },
}
example "a batch holds many" {
  request = "POST /events", content_type = "application/cloudevents-batch+json",
  body    = [=[[{"specversion":"1.0","id":"2","source":"/a","type":"t"},
    {"specversion":"1.0","id":"3","source":"/a"}]]=],
  expect  = { status = 202, accepted = 1, rejected = 1, field = "type" },
}
example "binary mode is stored as structured mode would have been" {
  request = "POST /events",
  headers = { ["ce-specversion"] = "1.0", ["ce-id"] = "4", ["ce-source"] = "/a",
    ["ce-type"] = "t", ["ce-subject"] = "Euro%20%E2%82%AC" },
  body    = [[{"sum":1.10}]],
  expect  = { status = 202,
    stored = [[{"id":"4","source":"/a","specversion":"1.0","subject":"Euro €","type":"t","datacontenttype":"application/json","data":{"sum":1.10}}]] },
}
