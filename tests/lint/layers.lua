-- layers: each room includes only what the house allows it, and each library is
-- used in its own place. Nothing writes without a bound.

local allowed = {
  base = {}, stats = {}, loop = {}, process = {}, net = { "loop" }, decode = {},
  access = {}, batch = {}, shared = {}, agents = {}, keys = {}, tables = {}, journal = { "batch" },
  signature = { "decode" },
  plan = { "decode", "signature", "tables" }, spool = { "loop" },
  index = { "decode", "spool" }, http = { "net", "loop" },
  policy = { "plan", "decode", "shared", "keys", "tables", "loop",
    "signature", "agents" },
  sink = { "plan", "decode", "batch", "journal", "loop", "spool" },
  delivery = { "sink", "journal", "plan", "decode", "batch", "spool", "loop" },
  ingest = { "http", "decode", "plan", "policy", "shared", "spool", "tables", "access",
    "index" },
  server = "any", cli = "any", testkit = "any",
}

-- Rooms within a room: the rooms that each of them may use.
local inner = {
  ["sink/file"] = { "sink" },
  ["sink/kafka"] = { "sink" },
  ["sink/http"] = { "sink", "sink/http/clickhouse" },
  ["sink/http/clickhouse"] = { "sink", "sink/http" },
  ["cli/watch"] = { "cli" },
  ["cli/find"] = { "cli" },
  ["cli/ledger"] = { "cli", "cli/find" },
  ["cli/replay"] = { "cli" },
  ["cli/dead"] = { "cli" },
  ["policy/library"] = { "policy" },
  ["policy/build"] = { "policy", "policy/library" },
  ["policy/run"] = { "policy", "policy/library", "policy/load" },
  ["policy/load"] = { "policy", "policy/library", "policy/build", "policy/run" },
}

local places = {
  ["http_parser.h"] = { "src/http/parse.c" },
  ["luajit.h"] = { "src/policy/" }, ["lua.h"] = { "src/policy/" },
  ["lauxlib.h"] = { "src/policy/" }, ["lualib.h"] = { "src/policy/" },
  ["librdkafka/rdkafka.h"] = { "src/sink/kafka/producer.h", "src/sink/kafka/reader_topics.h",
    "src/sink/kafka/reason.h" },
  ["curl/curl.h"] = { "src/sink/http/transfer.h", "src/sink/http/multi.h", "src/cli/dead/resend.c",
    "src/cli/sink.c", "src/cli/dead/redeliver.c", "src/cli/ask.c",
    "src/cli/ask_silence.c", "src/cli/ledger/question.c" },
  ["seccomp.h"] = { "src/process/syscalls.c" },
  ["maxminddb.h"] = { "src/plan/mmdb.c" },
  ["yaml.h"] = { "src/agents/regex_file.c" }, ["pcre2.h"] = { "src/agents/pattern.c" },
  ["cjson/cJSON.h"] = { "src/server/", "src/cli/", "src/testkit/" },
  -- The digests of a policy's files, and those that hooks ask for.
  ["openssl/evp.h"] = { "src/policy/load/load.c", "src/signature/", "src/tables/", "src/net/" },
  ["openssl/err.h"] = { "src/signature/", "src/net/" },
  ["openssl/x509.h"] = { "src/signature/pin.c", "src/net/" },
  ["openssl/sha.h"] = { "src/signature/verifier.c", "src/signature/hmac.c",
    "src/plan/key_table.c" },
  ["openssl/crypto.h"] = { "src/policy/library/digest.c", "src/tables/csv_table.c",
    "src/signature/", "src/net/" },
  ["openssl/ssl.h"] = { "src/net/" }, ["openssl/pem.h"] = { "src/net/" },
  ["openssl/x509v3.h"] = { "src/net/" }, ["openssl/rand.h"] = { "src/net/" },
  ["openssl/params.h"] = { "src/net/" },
  ["openssl/core_names.h"] = { "src/net/", "src/signature/public_key.c" },
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

---Whether a file of a room may include one of another room.
local function outer(room, other)
  if other == room or other == "base" or other == "stats" then return true end
  local list = allowed[room]
  return list == "any" or list ~= nil and has(list, other)
end

local function check(path)
  local folder = path:match("^src/(.+)/[^/]+$")
  local room = folder and folder:match("^[^/]+")
  local number = 0
  if room and not allowed[room] then report(path, 1, "unknown room " .. room) end
  for line in io.lines(path) do
    number = number + 1
    local from = line:match('^#include "(.+)/[^/"]+"')
    if room and from then
      local other = from:match("^[^/]+")
      if not outer(room, other) then
        report(path, number, room .. "/ may not include " .. other .. "/")
      elseif inner[folder] and other == room and from ~= folder and
          not has(inner[folder], from) then
        report(path, number, folder .. "/ may not include " .. from .. "/")
      elseif folder == "sink" and from:find("^sink/") and
          not path:find("/kinds%.c$") then
        report(path, number, "what sinks share may not include " .. from .. "/")
      end
    end
    local private = line:match('^#include "(.+)/internal%.h"')
    if folder and private and folder ~= private and
        folder:sub(1, #private + 1) ~= private .. "/" then
      report(path, number, private .. "/internal.h is of that room alone")
    end
    local writer = line:match("%f[%w_](v?sprintf)%s*%(")
      or line:match("%f[%w_](st[rp]n?c[ap][ty])%s*%(")
    if writer then report(path, number, writer .. " has no bound: use snprintf") end
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
