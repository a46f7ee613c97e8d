-- words_auth: who may send: files of keys, and the methods that a route's auth names.

local M = {}

M.keys = {
  help = "A CSV file beside the policy that has the SHA-256 of each API key, never a key "
    .. "itself, and what belongs to it. Its first line names the columns. `sluice key` makes a "
    .. "key and its line. sluice reads the file at each load; it is part of the policy's hash.",
  named = true,
  options = {
    file = { type = "string", required = true,
      help = "Path of the file, from the policy's folder, such as \"apps.csv\"." },
    key = { type = "string", default = "sha256",
      help = "Column that has the SHA-256 of a key, as 64 hex digits." },
    expires = { type = "string",
      help = "Column that has the time from which on sluice refuses the key (expired_key): "
        .. "2026-12-31T00:00:00Z, or 2026-12-31 for that day's first moment in UTC. Empty: "
        .. "never." },
    disabled = { type = "string",
      help = "Column that disables a key (disabled_key): true, yes or 1. false, no, 0 and "
        .. "empty leave it enabled." },
    label = { type = "string",
      help = "Column by which sluice_key_requests_total tells keys apart, such as \"app\". The "
        .. "first 1000 values are shown, further ones as \"other\"." },
    delimiter = { type = "string", default = ",",
      help = "Character between two fields of a line." },
  },
}

-- Values of a route's auth. form: how a policy writes one.
M.auth = {
  bearer = { form = "bearer \"KEYS\"",
    help = "A key as `Authorization: Bearer KEY`." },
  basic = { form = "basic \"KEYS\"",
    help = "A key as the password of `Authorization: Basic`, whatever the user is. Without a "
      .. "password the user is the key." },
  header = { form = "header \"NAME\" \"KEYS\"",
    help = "A key as the value of a header: `header \"x-api-key\" \"apps\"`." },
  query = { form = "query \"NAME\" \"KEYS\"",
    help = "A key as a parameter of the URL: `query \"key\" \"apps\"`. Proxies and browsers log "
      .. "URLs: prefer a header. sluice keeps it out of its own records." },
  hmac = { form = "hmac { secret = env \"NAME\", header = \"NAME\", format = \"…\" }",
    help = "A signature of the body (HMAC-SHA-256) by a secret that the sender has, too: web "
      .. "hooks of GitHub, Stripe, Shopify, Slack and others. sluice checks the bytes as they "
      .. "came, before it inflates or reads them. on_request runs before the body is there, so "
      .. "before the check.",
    options = {
      secret = { type = "string", bytes = true,
        help = "Secret, such as env \"GITHUB_SECRET\". Its text is the key, as it is." },
      secrets = { type = "list", bytes = true,
        help = "Up to 4 secrets instead, while one replaces another: each is enough. A wrong "
          .. "signature costs a digest of the body for each." },
      header = { type = "string", required = true,
        help = "Header that has the signature, such as \"X-Hub-Signature-256\"." },
      format = { type = "string", required = true,
        help = "What the header says: a text, and {hex} or {base64} for the digest: "
          .. "\"sha256={hex}\"; or a list with the time: \"t={timestamp},v1={hex}\", in which up "
          .. "to 8 items v1 may stand and items of other names count for nothing." },
      signed = { type = "string", default = "{body}",
        help = "Text that is signed: {body}, and {timestamp} if the request has a time: "
          .. "\"{timestamp}.{body}\"." },
      timestamp = { type = "string",
        help = "Header that has the time, in seconds since 1970, if format does not have it: "
          .. "\"X-Slack-Request-Timestamp\"." },
      window = { type = "duration", min = 1000, max = 24 * 3600 * 1000,
        help = "How far the time may be from the server's wall clock, before or after it. Needed "
          .. "with {timestamp}. Within it a request that is sent again passes: dedup of a stream "
          .. "counts its event once. Most senders say 5m." },
    } },
  jwt = { form = "jwt { keys = \"jwks.json\", iss = \"…\", aud = \"…\" }",
    help = "A JSON Web Token as `Authorization: Bearer TOKEN`, with a signature by a key of a "
      .. "file, and with exp. The key says which algorithm it is for; the token can't choose "
      .. "another.",
    options = {
      keys = { type = "string", required = true,
        help = "Path of the JWK set, from the policy's folder. sluice reads it at each load; it "
          .. "is no part of the policy's hash, and an older policy gets today's keys. Of at most "
          .. "32 keys: RSA (2048 to 4096 bits), EC P-256, OKP Ed25519, oct (from 32 bytes); "
          .. "others are left out. A private key in it is an error." },
      iss = { type = "texts",
        help = "Issuer that the token must have, or a list of which one is enough. By default "
          .. "any." },
      aud = { type = "texts",
        help = "Audience that the token must have (its aud may be a list), or a list of which "
          .. "one is enough. By default any: then a token for another service of the issuer is "
          .. "good, too." },
      algs = { type = "list",
        help = "Algorithms that are accepted: ES256, RS256, EdDSA, HS256. By default those of the "
          .. "file's keys." },
      leeway = { type = "duration", default = "0s", min = 0, max = 600 * 1000,
        help = "How far exp and nbf may be off, in whole seconds." },
      claims = { type = "list",
        help = "Up to 16 claims that hooks may read as req.jwt.NAME, set as \"jwt:NAME\" and a "
          .. "limit by key = \"jwt:NAME\". Texts of up to 256 bytes, numbers and truths; lists "
          .. "and objects are nil." },
    } },
  client_cert = { form = "client_cert { subject = \"CN=app7,O=Example\" }",
    help = "The certificate of a client that connects over TLS. The listener must ask for it: "
      .. "tls = { client = \"optional\", ca = … }. Each option that is given must fit; without "
      .. "options any certificate that the listener's ca has signed is enough.",
    options = {
      ca = { type = "texts",
        help = "Subject of the authority, one of the listener's ca, that the certificate's chain "
          .. "ends at: \"CN=senders\", or a list of which one is enough. By default any." },
      subject = { type = "texts",
        help = "Subject of the certificate as req.tls.subject has it, \"CN=app7,O=Example\", or a "
          .. "list of which one is enough. A * stands for any text inside of one value: "
          .. "\"CN=shop*,O=Example\". A subject of more than 251 bytes never fits." },
      fingerprint = { type = "texts",
        help = "SHA-256 of the certificate in hex, with or without colons, as openssl x509 -noout "
          .. "-fingerprint -sha256 prints it, or a list of which one is enough." },
      keys = { type = "string",
        help = "Name of a keys \"NAME\" { } that has a row for the certificate, which is req.key "
          .. "then. Its file may serve no other method, because a certificate is no secret." },
      by = { type = "enum", default = "fingerprint", values = { "fingerprint", "subject" },
        help = "What the key's column of keys has: the fingerprint, or the SHA-256 of the "
          .. "subject's text, as sluice key --stdin prints it." },
    } },
  any_of = { form = "any_of { method, … }",
    help = "One of up to 8 methods is enough. sluice asks them in this order." },
}

return M
