-- skadnetwork: Apple's install-validation postbacks (SKAdNetwork 2.1 to 4.0), each signed
-- by Apple and counted once.
--
-- The signature covers neither conversion-value nor coarse-conversion-value: anyone who
-- saw a postback before its device sent it could change them.

server { listen = "0.0.0.0:8080", max_body = "64KiB" }
admin  { listen = "127.0.0.1:9100" }

file "archive" { dir = "archive", compress = "zstd", rotate = { age = "1h" }, linger = "1s" }

-- A device sends a postback up to nine times over nine days.
stream "installs" { ack = "synced", sinks = { "archive" },
  dedup = { key = { "transaction-id" }, window = "30d", persist = true } }
stream "refused" { sinks = { "archive" } }

-- Apple signs the postbacks of every network: only your own count.
local OUR_ID = "com.example"

local postback = schema {
  ["ad-network-id"]           = enum { OUR_ID, required = true },
  ["transaction-id"]          = str { required = true, format = "uuid" },
  ["app-id"]                  = int { required = true, min = 0 },
  ["source-identifier"]       = str { pattern = "^%d%d%d?%d?$" },
  ["campaign-id"]             = int { min = 0, max = 100 },
  ["source-app-id"]           = int { min = 0 },
  ["source-domain"]           = str { max = 253 },
  ["postback-sequence-index"] = int { min = 0, max = 2 },
  ["conversion-value"]        = int { min = 0, max = 63 },
  ["coarse-conversion-value"] = enum { "low", "medium", "high" },
}

-- Anything but 200 makes the device send again, also what is refused for good.
route "POST /.well-known/skadnetwork/report-attribution/" {
  body = "event", signed = { by = "skadnetwork" }, schema = postback, stream = "installs",
  answer = { status = 200, body = "" }, on_refused = { stream = "refused" },
  set = { received_at = "time" },
}

-- Apple's documented example.
example "a postback that Apple has signed is stored" {
  request = "POST /.well-known/skadnetwork/report-attribution/",
  body    = [[{"version":"4.0","ad-network-id":"com.example","source-identifier":"5239",]]
    .. [["app-id":525463029,"transaction-id":"6aafb7a5-0170-41b5-bbe4-fe71dedf1e30",]]
    .. [["redownload":false,"source-domain":"example.com","fidelity-type":1,"did-win":true,]]
    .. [["conversion-value":63,"postback-sequence-index":0,"attribution-signature":]]
    .. [["MEUCIGRmSMrqedNu6uaHyhVcifs118R5z/AB6cvRaKrRRHWRAiEAv96ne3dKQ5kJpbsfk4eYiePmrZUU]]
    .. [[6sQmo+7zfP/1Bxo="}]],
  expect  = { status = 200, accepted = 1 },
}
