-- client_certificates: senders that are machines of your own show a certificate instead of
-- a key. The certificate says which sender it is; sluice adds that to each event.
--
--   openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 3650 \
--     -keyout ca.key -out ca.pem -subj '/CN=senders'                       # once
--   openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes \
--     -keyout shop7.key -out shop7.csr -subj '/CN=shop7'                   # each sender
--   openssl x509 -req -in shop7.csr -CA ca.pem -CAkey ca.key -days 365 -out shop7.pem
--   curl --cert shop7.pem --key shop7.key --json '{"event":"x"}' https://HOST:8443/v1/events
--
-- in.pem and in.key are the server's own, from the authority that clients trust.

listen ":8443" {
  tls = {
    cert = "in.pem", key = "in.key",
    client = "optional", ca = "ca.pem", -- "required": no other route is open to others
  },
}

file "archive" { dir = "archive", compress = "zstd" }
stream "events" { sinks = { "archive" } }

-- One line for each sender: its certificate's fingerprint, and "yes" if its key was stolen.
--   openssl x509 -noout -fingerprint -sha256 -in shop7.pem | tr -d : | tr A-F a-f
keys "senders" { file = "senders.csv", key = "fingerprint", disabled = "revoked" }

route "POST /v1/events" {
  body = "event", stream = "events", auth = client_cert { keys = "senders" },
  set = { sender = "key:sender" },
}

-- Machines that come and go: their names and their authority are enough.
route "POST /v1/metrics" {
  body = "event", stream = "events",
  auth = client_cert { ca = "CN=senders", subject = { "CN=meter*", "CN=gauge*" } },
  on_event = function(ev, req)
    ev.sender = req.tls.subject
  end,
}
