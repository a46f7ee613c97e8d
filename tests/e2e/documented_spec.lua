-- Commands of the documents, as they stand there, run in a shell beside a real server: what
-- they print is what the page says. Ports are the server's, and so are times and ids.
local h = require "harness"
local receiver = require "receiver"

---The commands of the first blocks below a heading, with what the page says they print.
local function commands(path, heading)
  local text = h.read(path)
  local at = assert(text:find("\n" .. heading .. "\n", 1, true), heading)
  local ends = text:find("\n##? ", at + 2) or #text
  local list = {}
  for block in text:sub(at, ends):gmatch "\n```\n(.-)\n```" do
    for line in (block .. "\n"):gmatch "(.-)\n" do
      local last = list[#list]
      if line:find "^%$ " then
        list[#list + 1] = { command = line:sub(3), prints = {} }
      elseif last and last.command:find "\\$" then
        last.command = last.command .. "\n" .. line
      elseif last then
        last.prints[#last.prints + 1] = line
      end
    end
  end
  return list
end

---A line of a page as a pattern: "…" stands for anything, a time for any.
local function pattern_of(line)
  local p = line:gsub("[%^%$%(%)%%%.%[%]%*%+%-%?]", "%%%0")
  p = p:gsub("%d%d%d%d%%%-%d%d%%%-%d%dT%d%d:%d%d:%d%dZ", "%%d+%%-%%d+%%-%%d+T%%d+:%%d+:%%d+Z")
  p = p:gsub("%d%d%d%d%d%d%d%d%d%d%d%d%d", "%%d+") -- milliseconds since 1970
  p = p:gsub("%d+%%%.%d%d s, %d+ events/s", "[%%d.]+ m?s, %%d+ events/s")
  return "^" .. p:gsub("…", ".*") .. "$"
end

describe("the documents", function()
  local s, r
  after_each(function()
    if s then s:close() s = nil end
    if r then r:close() r = nil end
  end)

  local function run(command)
    command = command:gsub("localhost:8080", "127.0.0.1:" .. s.port)
      :gsub("localhost:9100", "127.0.0.1:" .. s.admin)
    local binary = h.shell(("realpath '%s'"):format(h.binary)):match "[^\n]+"
    local out = h.shell(("cd '%s' && PATH='%s':$PATH && { %s\n} 2>/dev/null; true")
      :format(s.dir, binary:match "^(.*)/", command))
    local lines = {}
    for line in (out .. "\n"):gsub("\n+$", "\n"):gmatch "(.-)\n" do lines[#lines + 1] = line end
    return lines
  end

  ---Runs one, again until it prints what it should: a batch may still be on its way.
  local function prints(c)
    local got
    local ok = pcall(h.wait_for, c.command, function()
      got = run(c.command)
      for i, line in ipairs(c.prints) do
        if not (got[i] or ""):find(pattern_of(line)) then return false end
      end
      return #c.prints == 0 or #got == #c.prints or c.prints[#c.prints]:find "…"
    end, 20)
    assert.is_true(ok, c.command .. "\nprints\n" .. table.concat(got or {}, "\n"))
  end

  it("README: the quickstart's commands print what it says", function()
    local dir = h.folder()
    h.shell(("mkdir '%s/conf' && cp conf/quickstart.lua '%s/conf'"):format(dir, dir))
    s = h.server { dir = dir, path = dir .. "/conf/quickstart.lua",
      args = { "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0" } }
    local list = commands("README.md", "## Try it")
    assert.equal("sh conf/quickstart.sh", list[1].command)
    assert.matches("\nexec build/sluice run conf/quickstart.lua", h.read "conf/quickstart.sh")
    assert.equal(4, #list)
    for i = 2, #list do prints(list[i]) end
  end)

  it("REFUSED.md: sluice replay of a stream of refusals says what a new policy takes", function()
    local function policy(schema)
      return ([[
server { listen = "127.0.0.1:0", workers = 1, max_events = 5000 }
admin { listen = "127.0.0.1:0" }
http "gone" { url = "http://127.0.0.1:1/" }
stream "events" { sinks = { "gone" } }
stream "refused" { sinks = { "gone" } }
route "POST /v1/events" { body = "batch", stream = "events",
  schema = schema { %s, kind = str { required = true } },
  on_refused = { stream = "refused", rate = "100000/s" } }
]]):format(schema)
    end
    s = h.server { policy = policy "id = str {}" }
    local good, bad = {}, {}
    for i = 1, 1840 do
      good[i] = '{"id":"x","kind":"k"}'
      bad[i] = i <= 1711 and '{"id":7,"kind":"k"}' or '{"id":"x"}'
    end
    assert.equal(202, s:post("/v1/events", "[" .. table.concat(good, ",") .. "]").status)
    assert.equal(422, s:post("/v1/events", "[" .. table.concat(bad, ",") .. "]").status)
    h.write(s.dir .. "/new.lua", policy "id = any {}")
    local list = commands("conf/REFUSED.md", "## Trying a new policy on it")
    assert.equal(1, #list)
    local c = list[1]
    local said = run(c.command)
    for i, line in ipairs(c.prints) do
      line = line:gsub('{\\"id\\":7}', '{\\"id\\":7,\\"kind\\":\\"k\\"}'):gsub('{"id":7}',
        '{"id":7,"kind":"k"}'):gsub('"bytes":8', '"bytes":19')
      assert.matches(pattern_of(line), said[i])
    end
    assert.equal("rc=1", run(c.command .. "; echo rc=$?")[#said + 1])
    -- Without --stream the accepted ones are there as well.
    assert.matches("^3680 events ", run((c.command:gsub("%-%-stream refused ", "")))[1])
  end)

  it("DELIVERY.md: dead letters are mended and replayed to their sink", function()
    r = receiver.start()
    s = h.server { policy = ([[
server { listen = "127.0.0.1:0", workers = 1 }
admin { listen = "127.0.0.1:0" }
http "olap" { url = %q, batch = { target = 50, max = 50, linger = "5ms" } }
stream "events" { sinks = { "olap" } }
route "POST /v1/events" { body = "batch", stream = "events" }
]]):format(r.url) }
    r:rule "poison"
    assert.equal(202, s:post("/v1/events",
      '[{"id":"g"},{"id":"b","value":"text","price":"free"}]').status)
    h.wait_for("the letter", function()
      return (s:metric("sluice_dead_events_total") or 0) == 1
    end)
    r:rule ""
    local list = commands("conf/DELIVERY.md", "## Dead letters")
    assert.equal(4, #list)
    for _, c in ipairs(list) do run(c.command) end
    h.wait_for("the mended event", function()
      return h.shell(("grep -rl '\"price\":0' '%s' || true"):format(r.dir)) ~= ""
    end)
  end)

  it("OPERATIONS.md: each order by curl is taken", function()
    r = receiver.start()
    s = h.server { policy = ([[
server { listen = "127.0.0.1:0", workers = 1 }
admin { listen = "127.0.0.1:0" }
http "olap" { url = %q, batch = { linger = "5ms" }, breaker = { timeout = "1h",
  ready_to_trip = function(c) return c.failures >= 1 end } }
stream "events" { sinks = { "olap" } }
route "POST /v1/events" { body = "event", stream = "events" }
]]):format(r.url) }
    local orders = {}
    for x in h.read "conf/OPERATIONS.md":gmatch "`(curl [^`]+)`" do orders[#orders + 1] = x end
    assert.is_true(#orders >= 4)
    r:rule "status 503"
    assert.equal(202, s:post("/v1/events", "{}").status)
    h.wait_for("the breaker to open", function() return s:metric "sluice_breaker_state" == 2 end)
    r:rule ""
    for _, order in ipairs(orders) do
      local said = run((order:gsub("sinks/NAME", "sinks/olap")
        :gsub("^curl", "curl -sS -w '\\n%%{http_code}\\n'")))
      assert.equal("200", said[#said], order)
    end
    -- Closed by hand, it does not wait for an hour.
    s:deliver(30)
    h.write(s.path, "nonsense {")
    local said = table.concat(run "curl -s -X POST localhost:9100/reload", "\n")
    assert.matches("policy%.lua:1", said)
  end)
end)
