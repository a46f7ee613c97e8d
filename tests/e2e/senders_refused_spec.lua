-- Unchanged clients of other products whose batches are refused in part, as a whole, and
-- for a while: what a client believes to be stored is stored, once; what it is told of as
-- refused it does not send again; and each refused event is kept with its reason.
--
-- A client is a program of tests/clients/turns, which says of each turn what its library
-- says (turns.py).
local cjson = require "cjson"
local h = require "harness"

-- By example: what the policy refuses, the client's key, the number of a stored event, and
-- how event n stands among what is kept, without backslashes.
local EXAMPLES = {
  elasticsearch = { "ev.bad == true", "ZGVtbzprZXk=", function(e)
    return e.n or tonumber(e.message:match "^line (%d+)")
  end, '"n":%d[,}]' },
  otlp_logs = { 'ev.severityText == "BAD"', "demo-key", function(e)
    return tonumber(e.uid:match "^p%-(%d+)$")
  end, '"p%%-%d"' },
  loki = { 'contains(ev.line, " bad")', "demo:demo", function(e)
    return tonumber(e.line:match "^line (%d+)")
  end, '"line %d bad' },
  splunk_hec = { 'ev["event.bad"] == true or contains(tostring(ev.event), " bad")',
    "00000000-0000-0000-0000-000000000000", function(e)
      return type(e.event) == "table" and e.event.n or tonumber(e.event:match "^line (%d+)")
    end, '[e"][ :]%d[ ,]' },
}

-- says: what the client knows of a batch of which a part was refused: "each" its own fate,
-- "all": the same of all. counts: it tells how many were refused. again: it sends again what
-- a limit refused. hook: the limit stands in the hook, and refuses single events. good: it
-- sends all of a batch again if a part of it was refused, so it has good events only.
local CLIENTS = {
  { name = "elasticsearch for Python", example = "elasticsearch", script = "py_elasticsearch",
    python = "elasticsearch 9.5.1", says = "each", again = true },
  { name = "@elastic/elasticsearch", example = "elasticsearch", script = "elasticsearch",
    npm = "@elastic/elasticsearch 9.2.0", says = "each", again = true, hook = true },
  { name = "pino-elasticsearch", example = "elasticsearch", script = "pino_elasticsearch",
    npm = "pino-elasticsearch 9.0.0", says = "each", again = true, hook = true },
  { name = "winston-elasticsearch", example = "elasticsearch", script = "winston_elasticsearch",
    npm = "winston-elasticsearch 0.19.0", good = true },
  { name = "OpenTelemetry for Python", example = "otlp_logs", script = "py_otlp_logs",
    python = "opentelemetry-exporter-otlp-json-http 0.66b1", says = "all", again = true },
  { name = "@opentelemetry/exporter-logs-otlp-http", example = "otlp_logs",
    script = "otlp_logs", npm = "@opentelemetry/exporter-logs-otlp-http 0.223.1",
    says = "all", again = true, counts = true },
  { name = "python-logging-loki", example = "loki", script = "py_loki",
    python = "python-logging-loki 0.3.1", says = "each" },
  { name = "winston-loki", example = "loki", script = "loki", npm = "winston-loki 6.1.7",
    says = "all", again = true },
  { name = "splunk-handler", example = "splunk_hec", script = "py_splunk_hec",
    python = "splunk-handler 3.0.0", says = "all", again = true },
  { name = "splunk-logging", example = "splunk_hec", script = "splunk_hec",
    npm = "splunk-logging 0.11.1", says = "all" },
}

---The example, whose policy refuses the events that are marked so; limited: also more than
---six at once, for two seconds.
local function policy(c, limited)
  local text = h.read("conf/examples/" .. c.example .. ".lua"):gsub('\nexample ".*', "\n")
  local bucket = limited and 'local few = limit { rate = "3/s", burst = 6 }\n' or ""
  local check = limited and c.hook
    and '  local no = few:check "all"\n  if no then return no end\n' or ""
  local n
  text, n = text:gsub("local function on_event%(ev, req%)\n", function(line)
    return bucket .. line .. "  if " .. EXAMPLES[c.example][1]
      .. ' then return reject("not_wanted", "the policy refuses it") end\n' .. check
  end)
  assert(n == 1, text)
  if limited and not c.hook then
    text = text:gsub("on_refused = ", "limits = { few }, on_refused = ")
  end
  return text
end

---How often each number is stored.
local function count(c, s)
  local times = {}
  for _, line in ipairs(s:lines()) do
    local n = assert(EXAMPLES[c.example][3](cjson.decode(line)), line)
    times[n] = (times[n] or 0) + 1
  end
  return times
end

---What is kept of refused events, as one text: records of the stream, and dead letters.
local function kept(s)
  local list = s:lines "refused"
  list[#list + 1] = h.shell(("cat '%s'/dead/*.ndjson 2>/dev/null"):format(s.data))
  return (table.concat(list, "\n"):gsub("\\", ""))
end

local TURNS = { "good", "some", "all", "good", "limit", "good", "over", "restart", "some" }

---Runs the turns; { turn, events, told } of each.
local function play(c, s)
  local list, at = {}, 0
  for number, turn in ipairs(c.good and { "good", "good" } or TURNS) do
    if turn == "limit" then
      h.write(s.path, policy(c, true))
      assert(s:reload().status == 200, s:text())
    elseif turn == "restart" then
      h.write(s.path, policy(c))
      assert(s:stop() == 0)
      s:start()
    else
      local events = {}
      for i = 1, turn == "over" and 4 or 6 do
        events[i] = { n = at, bad = turn == "all" or turn == "some" and i % 3 == 2 }
        at = at + 1
      end
      h.write(s.dir .. "/turn.new", cjson.encode { number = number, events = events })
      os.rename(s.dir .. "/turn.new", s.dir .. "/turn")
      local told = h.wait_for("turn " .. number .. " of the client", function()
        return h.read(s.dir .. "/told-" .. number)
      end)
      list[#list + 1] = { turn = turn, events = events, told = cjson.decode(told) }
    end
  end
  h.write(s.dir .. "/turn.new", cjson.encode { number = #TURNS + 1 })
  os.rename(s.dir .. "/turn.new", s.dir .. "/turn")
  return list
end

---The client's command, without its last arguments; nil if it can't be fetched.
local function fetch(c)
  local place = h.shell("sh tests/fetch.sh " .. (c.python and "--python " .. c.python
    or "--installed " .. c.npm)):match "^(/%S+)"
  local script = "tests/clients/turns/" .. c.script
  if not place then return nil end
  return c.python and { place, script .. ".py" } or { "node", script .. ".cjs", place }
end

local function run(c, argv)
  local s = h.server { policy = policy(c) }
  s.args = { "--listen", "127.0.0.1:" .. s.port }
  for _, a in ipairs { "http://127.0.0.1:" .. s.port, s.dir, EXAMPLES[c.example][2] } do
    argv[#argv + 1] = a
  end
  local pid = h.spawn(argv, s.dir .. "/client")
  local ok, r = pcall(function()
    local turns = play(c, s)
    assert(h.reap(pid, 60) == 0, h.read(s.dir .. "/client"))
    assert(s:stop() == 0)
    return { turns = turns, times = count(c, s), kept = kept(s) }
  end)
  local said = h.read(s.dir .. "/client") or ""
  if not ok then h.kill(pid) end
  s:close()
  if not ok then error(tostring(r) .. "\n" .. said:sub(-3000), 0) end
  return r
end

describe("what the policy refuses of a batch", function()
  local found, errors
  setup(function()
    local jobs = {}
    for _, c in ipairs(CLIENTS) do
      local argv = fetch(c)
      jobs[c.name] = argv and function() return run(c, argv) end or nil
    end
    found, errors = h.together(jobs)
  end)

  local function result(c)
    if errors[c.name] then error(errors[c.name], 0) end
    return found[c.name]
  end

  ---The numbers of the turn's events, all or those that the policy refuses.
  local function numbers(t, bad)
    local list = {}
    for _, e in ipairs(t.events) do
      if bad == nil or e.bad == bad then list[#list + 1] = e.n end
    end
    return list
  end

  ---What the client must say of the turn: stored, and refused or failed; nil: it may say of
  ---each that it is stored or that it failed.
  local function expected(c, t)
    if t.turn == "over" and not c.again then return nil end
    if c.says == "each" then return numbers(t, false), numbers(t, true) end
    if t.turn == "all" then return {}, numbers(t) end
    return numbers(t), {}
  end

  for _, c in ipairs(CLIENTS) do
    it(("is known to %s, and what it believes to be stored is, once"):format(c.name), function()
      local r = result(c)
      if not r then
        pending("no npm, or the registry of " .. (c.python or c.npm) .. " can't be reached")
        return
      end
      local wrong = { lost = {}, twice = {}, stored = {}, forgotten = {} }
      for _, t in ipairs(r.turns) do
        local told = t.told
        local stored, refused = expected(c, t)
        if stored then
          for _, n in ipairs(told.failed) do told.refused[#told.refused + 1] = n end
          table.sort(told.stored)
          table.sort(told.refused)
          assert.same({ t.turn, stored, refused }, { t.turn, told.stored, told.refused },
            told.why)
        else
          assert.equal(#t.events, #told.stored + #told.failed)
        end
        if c.counts then assert.equal(t.turn == "some" and 2 or 0, told.rejected) end
        for _, e in ipairs(t.events) do
          local n = r.times[e.n] or 0
          local list = n > 1 and wrong.twice or e.bad and n > 0 and wrong.stored
            or e.bad and not r.kept:find(EXAMPLES[c.example][4]:format(e.n)) and wrong.forgotten
          if list then list[#list + 1] = e.n end
        end
        for _, n in ipairs(told.stored) do
          local e = t.events[n - t.events[1].n + 1]
          if not e.bad and not r.times[n] then wrong.lost[#wrong.lost + 1] = n end
        end
      end
      assert.same({ lost = {}, twice = {}, stored = {}, forgotten = {} }, wrong)
    end)
  end
end)
