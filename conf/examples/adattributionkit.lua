-- adattributionkit: Apple's postbacks of AdAttributionKit, each a JWS that is verified
-- before it counts, and counted once. What was signed is stored in the field postback,
-- beside what the device sent.
--
-- Values beside jws-string are not signed, conversion-value among them.

server { listen = "0.0.0.0:8080", max_body = "64KiB" }
admin  { listen = "127.0.0.1:9100" }

file "archive" { dir = "archive", compress = "zstd", rotate = { age = "1h" }, linger = "1s" }

stream "postbacks" { ack = "synced", sinks = { "archive" },
  dedup = { key = { "postback.postback-identifier" }, window = "30d", persist = true } }
stream "refused" { sinks = { "archive" } }

-- "development" accepts also what test devices sign: never where money is counted.
local TRUSTED = env("APPLE_KEYS", "production")
-- Apple signs the postbacks of every network: only your own count.
local OUR_ID = "development.adattributionkit"

local postback = schema {
  ["postback.postback-identifier"]        = str { required = true, format = "uuid" },
  ["postback.ad-network-identifier"]      = enum { OUR_ID, required = true },
  ["postback.advertised-item-identifier"] = int { required = true, min = 0 },
  ["postback.source-identifier"]          = str { pattern = "^%d%d%d?%d?$" },
  ["postback.did-win"]                    = bool { required = true },
  ["postback.postback-sequence-index"]    = int { min = 0, max = 2 },
  ["conversion-value"]                    = int { min = 0, max = 63 },
  ["coarse-conversion-value"]             = enum { "low", "medium", "high" },
  ["ad-interaction-type"]                 = enum { "view", "click" },
  ["country-code"]                        = str { min = 2, max = 2 },
}

route "POST /.well-known/appattribution/report-attribution/" {
  body = "event", signed = { by = "adattributionkit", apple = TRUSTED }, schema = postback,
  stream = "postbacks", answer = { status = 200, body = "" },
  on_refused = { stream = "refused" }, set = { received_at = "time" },
}

-- Apple's documented example, signed by a device in development.
if TRUSTED == "production" then example "a test device's postback does not count as one of production" {
  request = "POST /.well-known/appattribution/report-attribution/",
  body    = [[{"conversion-value":24,"ad-interaction-type":"click","country-code":"US",]]
    .. [["jws-string":"eyJraWQiOiJhcHBsZS1kZXZlbG9wbWVudC1pZGVudGlmaWVyXC8xIiwiYWxnIjoiRVMy]]
    .. [[NTYifQ.eyJwb3N0YmFjay1pZGVudGlmaWVyIjoiODU1NDZFQjctRkQzOS00NEJDLTg5OTAtQzk4QTRBQzM2]]
    .. [[QTQ5IiwicHVibGlzaGVyLWl0ZW0taWRlbnRpZmllciI6MCwibWFya2V0cGxhY2UtaWRlbnRpZmllciI6ImN]]
    .. [[vbS5hcHBsZS5BcHBTdG9yZSIsImltcHJlc3Npb24tdHlwZSI6ImFwcC1pbXByZXNzaW9uIiwiYWQtbmV0d2]]
    .. [[9yay1pZGVudGlmaWVyIjoiZGV2ZWxvcG1lbnQuYWRhdHRyaWJ1dGlvbmtpdCIsImRpZC13aW4iOnRydWUsI]]
    .. [[nBvc3RiYWNrLXNlcXVlbmNlLWluZGV4IjowLCJjb252ZXJzaW9uLXR5cGUiOiJyZS1lbmdhZ2VtZW50Iiwi]]
    .. [[c291cmNlLWlkZW50aWZpZXIiOiIxMjM0IiwiYWR2ZXJ0aXNlZC1pdGVtLWlkZW50aWZpZXIiOjEwNzM4MDI]]
    .. [[3NzU2fQ.bAdNwKd6OfHK9tofvjjua4X_JPcFTxXPQSspD9gZkinw97pY7R1aI-LSjl-oxZZF3_K2H5JK5TS]]
    .. [[EBee4_1U4oQ"}]],
  expect  = { status = 401, code = "unknown_key" },
} end
