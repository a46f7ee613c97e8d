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
  any_of = { form = "any_of { method, … }",
    help = "One of up to 8 methods is enough. sluice asks them in this order." },
}

return M
