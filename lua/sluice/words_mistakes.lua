-- words_mistakes: words that people write instead of the policy language's.

local M = {}

local OUTSIDE = "a policy works on the event and the request alone"
local CODE = "use require \"name\" for a file beside the policy"
local TABLES = "a policy has plain tables only"
local JSON = "to write JSON, set ev.x = t with a table t; to read it, call get(ev, path)"

-- Globals of plain Lua that a policy has not, and why.
M.forbidden = {
  io = OUTSIDE, os = OUTSIDE .. "; req.time_ms is the time",
  print = "a policy has no output; use reject(\"code\", \"text\") or a counter",
  debug = OUTSIDE, ffi = OUTSIDE, jit = OUTSIDE, package = CODE, module = CODE,
  load = CODE, loadstring = CODE, loadfile = CODE, dofile = CODE,
  setfenv = OUTSIDE, getfenv = OUTSIDE, collectgarbage = "sluice manages the policy's memory",
  coroutine = "a hook runs to its end without a pause",
  rawset = "write t[key] = value", rawget = "write t[key]",
  newproxy = TABLES, setmetatable = TABLES, getmetatable = TABLES,
  rawequal = "write a == b", _VERSION = OUTSIDE,
  json = JSON, cjson = JSON,
}

-- Words that people write for one of the policy language.
M.instead = {
  string = "a text is str { }", text = "a text is str { }",
  number = "a number is num { }, a whole number int { }", float = "a number is num { }",
  integer = "a whole number is int { }", boolean = "a boolean is bool { }",
  timestamp = "a time is time { }", datetime = "a time is time { }",
  object = "any { } takes objects; ev[\"a.b\"] = str { } is a field inside of one",
  source = "events come in by routes: route \"POST /v1/events\" { }",
  topic = "a topic is an option: kafka \"name\" { topic = \"events\" }",
}

-- Names of options elsewhere, and here.
M.aliases = {
  bootstrap_servers = "brokers", bootstrap = "brokers", servers = "brokers",
  broker = "brokers", hosts = "urls", host = "url", endpoint = "url", uri = "url",
  path = "dir", folder = "dir", directory = "dir", port = "listen", address = "listen",
  batch_size = "batch", compression_type = "compression", codec = "compression",
  stream_name = "stream", handler = "on_event", hook = "on_event",
}

-- Words that are options of a statement.
M.elsewhere = {
  dedup = "an option of a stream: stream \"events\" { dedup = { key = \"event_id\" } }",
}

return M
