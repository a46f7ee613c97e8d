-- words_handles: values that hooks count, limit and look up with, for all workers.

local M = {}

local metric_options = {
  help = { type = "string", default = "Kept by the policy.",
    help = "Sentence that explains the metric in /metrics." },
  labels = { type = "list",
    help = "Names of up to 3 labels. Each call gives their values; a value is cut at 128 "
      .. "bytes. By default no labels." },
  max_series = { type = "count", default = 100, min = 1, max = 1000,
    help = "Highest number of different combinations of label values. sluice counts all "
      .. "further ones under \"other\"." },
}

M.counter = {
  help = "A number in /metrics that only goes up. Its name ends in _total.",
  named = true, handle = true, options = metric_options,
}

M.gauge = {
  help = "A number in /metrics that goes up and down.",
  named = true, handle = true, options = metric_options,
}

M.limit = {
  help = "How much each key may send, over all workers: a token bucket (rate), or a number in "
    .. "fixed windows (quota). It is named by the limits of a route, or called in hooks. The "
    .. "name is optional.",
  handle = true, named_or_not = true,
  options = {
    rate = { type = "limit_rate", min = 1 / 86400, max = 1000000,
      help = "Tokens that each bucket gets, such as \"100/s\", \"10/m\", \"5/h\" or \"1/d\"; "
        .. "or \"key:COLUMN\", \"key:COLUMN/m\": the number in that column of the client's "
        .. "key." },
    quota = { type = "quota", min = 1, max = 50000000000,
      help = "Events of each key in a window: \"1000000/d\", or /h, /m, /s; or \"key:COLUMN/d\": "
        .. "the number in that column of the client's key. Windows are fixed and begin by UTC: "
        .. "days at midnight. What was used is kept on disk." },
    otherwise = { type = "string",
      help = "Rate or quota of a key whose row has no number in that column, such as "
        .. "\"10/s\". By default such a key is refused with 403 (no_limit)." },
    burst = { type = "count", min = 1, max = 1000000,
      help = "Tokens that a full bucket holds. By default those of one second, at least 1." },
    key = { type = "string",
      help = "What it counts by. The limits of a route, and check() and take() with req: "
        .. "\"peer\" (IPv6: its /64 network), \"path\", \"header:NAME\" or \"key:COLUMN\" of the "
        .. "client's key (auth), \"jwt:CLAIM\"; in on_event a path of the event. Those without a "
        .. "value share one bucket." },
    max_keys = { type = "count", default = 100000, min = 1, max = 10000000,
      help = "Number of buckets that are not full at the same time, or of keys that use a "
        .. "quota in a window (at most 1000000). With more keys, some that have used little "
        .. "get all of it again, and a metric counts them." },
  },
}

M.lookup = {
  help = "A CSV file beside the policy as a table. Its first line names the columns. sluice "
    .. "reads it at each load; it is part of the policy's hash.",
  named = true, handle = true,
  options = {
    key = { type = "string",
      help = "Column in which sluice looks for a key. By default the first." },
    delimiter = { type = "string", default = ",",
      help = "Character between two fields of a line." },
  },
}

M.cidr = {
  help = "A file of networks beside the policy as a table, in which an address finds the "
    .. "smallest network that has it. It is CSV whose first line names the columns, or a plain "
    .. "list with a network in each line and maybe a value behind it. sluice reads it at each "
    .. "load; it is part of the policy's hash.",
  named = true, handle = true,
  options = {
    key = { type = "string",
      help = "Column that has the networks, such as 10.0.0.0/8 or 2001:db8::/32. By default the "
        .. "first." },
    delimiter = { type = "string", default = ",",
      help = "Character between two fields of a line. A plain list needs none." },
  },
}

M.mmdb = {
  help = "A MaxMind database (.mmdb, such as GeoLite2-City) beside the policy. sluice reads and "
    .. "checks it at each load; it is part of the policy's hash, and at most 512 MiB long.",
  named = true, handle = true, options = {},
}

M.agents = {
  help = "A file of user agents beside the policy (YAML, uap-core's regexes.yaml): regular "
    .. "expressions that tell the family and the version of a browser, a system and a device by "
    .. "the text that a client gives of itself. sluice reads and checks it at each load; it is "
    .. "part of the policy's hash, and at most 4 MiB long.",
  named = true, handle = true, options = {},
}

return M
