-- layers: each room includes only what the house allows it, and each library is
-- used in its own place.

local allowed = {
  base = {}, stats = {}, loop = {}, net = { "loop" }, decode = {}, batch = {},
  shared = {},
  plan = { "decode" }, spool = { "loop" }, http = { "net", "loop" },
  policy = { "plan", "decode", "shared", "loop" },
  sink = { "plan", "decode", "batch", "spool", "loop" },
  ingest = { "http", "decode", "plan", "policy", "shared", "spool" },
  server = "any", cli = "any", kit = "any",
}

local places = {
  ["http_parser.h"] = { "src/http/parse.c" },
  ["luajit.h"] = { "src/policy/" }, ["lua.h"] = { "src/policy/" },
  ["lauxlib.h"] = { "src/policy/" }, ["lualib.h"] = { "src/policy/" },
  ["librdkafka/rdkafka.h"] = { "src/sink/kafka/producer.h" },
  ["curl/curl.h"] = { "src/sink/remote/transfer.h", "src/cli/resend.c",
    "src/cli/sink.c", "src/cli/redeliver.c" },
  ["cjson/cJSON.h"] = { "src/server/", "src/cli/", "src/kit/" },
  -- The digests of a policy's files, and those that hooks ask for.
  ["openssl/evp.h"] = { "src/policy/load.c" },
  ["openssl/sha.h"] = { "src/policy/digest.c" },
  ["openssl/crypto.h"] = { "src/policy/digest.c" },
}

local function has(list, x)
  for _, v in ipairs(list) do
    if v == x then return true end
  end
  return false
end

local bad, n = 0, 0
local function report(path, line, what)
  bad = bad + 1
  print(("%s:%d: %s"):format(path, line, what))
end

local function in_place(path, list)
  for _, p in ipairs(list) do
    if path == p or (p:sub(-1) == "/" and path:sub(1, #p) == p) then
      return true
    end
  end
  return false
end

local function check(path)
  local room = path:match("^src/([^/]+)/")
  local number = 0
  for line in io.lines(path) do
    number = number + 1
    local other = line:match('^#include "([^/"]+)/')
    if room and other and other ~= room and other ~= "base" and
        other ~= "stats" then
      local list = allowed[room]
      if not list then
        report(path, number, "unknown room " .. room)
      elseif list ~= "any" and not has(list, other) then
        report(path, number, room .. "/ may not include " .. other .. "/")
      end
    end
    local library = line:match("^#include <(.+)>")
    if library and places[library] and not in_place(path, places[library]) then
      report(path, number, library .. " has another place")
    end
  end
  if number > 500 then report(path, number, "more than 500 lines") end
end

local list = assert(io.popen("find src -name '*.[ch]' | sort"))
for path in list:lines() do
  n = n + 1
  check(path)
end
list:close()
print(("%d files, %d problems"):format(n, bad))
os.exit(bad == 0 and n > 50 and 0 or 1)
