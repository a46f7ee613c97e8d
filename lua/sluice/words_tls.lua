-- words_tls: TLS of a listener: the option of listen. No word of a policy is here.

local M = {}

local DAY_MS = 24 * 3600 * 1000

local cert = { type = "string", required = true,
  help = "Certificate, with the intermediate certificates after it: a PEM file. A relative "
    .. "path starts at the policy's folder." }
local key = { type = "string", required = true,
  help = "Private key of the certificate: a PEM file without a passphrase." }
local names = { type = "list",
  help = "Hosts that this certificate serves: \"in.example\", \"*.in.example\". By default "
    .. "the DNS names in the certificate." }

M.tls = { type = "options", optional = true,
  help = "TLS 1.2 and 1.3 for this listener. By default it takes plain HTTP. The first "
    .. "certificate also serves clients that send no host, or one that no certificate has; "
    .. "further ones follow as a list: { cert = …, key = … }.",
  options = {
    cert = cert, key = key, names = names,
    client = { type = "enum", default = "none", values = { "none", "optional", "required" },
      help = "Whether sluice asks clients for a certificate. A client with a wrong one never "
        .. "gets in; \"optional\" lets a client without one in. Hooks read it in req.tls." },
    ca = { type = "string",
      help = "Authorities that sign clients' certificates: a PEM file. Only with client." },
    min_version = { type = "enum", default = "1.2", values = { "1.2", "1.3" },
      help = "Oldest version of TLS that sluice takes." },
    tickets = { type = "boolean", default = true,
      help = "Whether a client may resume its session, for one hour, which saves most of a "
        .. "handshake. The keys change every hour and are only in memory." },
    handshake_timeout = { type = "duration", default = "10s", min = 10, max = DAY_MS,
      help = "How long a handshake may take. After that sluice closes the connection." },
    max_handshakes = { type = "count", default = 1000, min = 1, max = 1000000,
      help = "Highest number of handshakes of one worker under way at once. For a further "
        .. "connection sluice closes the oldest one that has sent nothing, or else the oldest one "
        .. "whose next bytes have not come." },
    renew = { type = "duration", default = "10s", min = 100, max = DAY_MS,
      help = "How often sluice looks whether these files have changed. New connections then "
        .. "get the new certificate; if a file is wrong, sluice keeps the one before." },
  },
  items = { cert = cert, key = key, names = names },
}

return M
