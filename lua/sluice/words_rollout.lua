-- words_rollout: how a new policy is tried: examples, a canary, a shadow.

local M = {}

local DAY_MS = 24 * 3600 * 1000

M.canary = {
  help = "Gives this policy a share of the requests before it goes live, and rolls it back "
    .. "if it does worse than the live one.",
  once = true,
  options = {
    share = { type = "percent", default = "10%", min = 0.0001, max = 0.99,
      help = "Share of the requests that this policy serves. The live policy serves the "
        .. "rest." },
    during = { type = "duration", default = "60s", min = 100,
      max = 30 * DAY_MS,
      help = "How long the canary runs before the policy goes live. With too little traffic "
        .. "it runs up to three times as long; then sluice rolls it back." },
    min_requests = { type = "count", default = 50, min = 1, max = 1000000000,
      help = "Number of requests that the canary must serve before it goes live by itself." },
    by = { type = "share_by", default = "connection",
      help = "Which requests stay together on one policy: those of a connection, of a client "
        .. "address (\"peer\") or with one value of a header; \"request\" divides them one by "
        .. "one. A request without that header stays with the live policy." },
    roll_back_if = { type = "hook", params = 2,
      signature = "fun(old: sluice.trial, new: sluice.trial): boolean|string|nil",
      help = "function(old, new) that returns true or a reason to roll back. By default "
        .. "sluice rolls back if refusals or errors rise by more than 2 percentage points, or "
        .. "requests take twice as long, and chance does not explain it." },
  },
}

M.shadow = {
  help = "Runs this policy on copies of requests and counts where its decisions differ from "
    .. "the live policy's. Nothing that it decides takes effect.",
  once = true,
  options = {
    share = { type = "percent", default = "100%", min = 0.0001, max = 1,
      help = "Share of the requests that this policy sees." },
    during = { type = "duration", default = "60s", min = 100,
      max = 30 * DAY_MS,
      help = "How long the shadow runs. After that sluice drops it; the live policy stays." },
    sample = { type = "count", default = 0, min = 0, max = 1000,
      help = "Number of differing events that the log and /status show as they are, with "
        .. "their personal data. By default none." },
  },
}

M.example = {
  help = "A request and its expected answer. sluice checks it at every load and refuses the "
    .. "policy if they differ.",
  named = true,
  options = {
    request = { type = "string", required = true,
      help = "Method and path, with or without a query: \"POST /v1/events\"." },
    body = { type = "string", bytes = true,
      help = "Body of the request, as a client sends it. Needed unless request is a GET or "
        .. "a HEAD." },
    content_type = { type = "string", default = "application/json",
      help = "Content-Type of the request." },
    headers = { type = "map",
      help = "Further headers of the request: { [\"x-api-key\"] = \"k1\" }." },
    at = { type = "moment", default = "2025-01-01T00:00:00Z",
      help = "Time at which the request arrives, for time checks and req.time_ms." },
    expect = { type = "options", required = true,
      help = "Answer that is expected. sluice compares what is given here.",
      options = {
        status = { type = "count", min = 100, max = 599,
          help = "HTTP status." },
        accepted = { type = "count", min = 0, max = 1000000,
          help = "Number of accepted events; it includes dropped ones and dead letters." },
        rejected = { type = "count", min = 0, max = 1000000,
          help = "Number of refused events." },
        dropped = { type = "count", min = 0, max = 1000000,
          help = "Number of dropped events." },
        code = { type = "string",
          help = "Error code of the first refused event, or of the refused request." },
        field = { type = "string",
          help = "Field that the error of the first refused event names." },
        stored = { type = "string",
          help = "Line that sluice stores for the first accepted event." },
      } },
  },
}

return M
