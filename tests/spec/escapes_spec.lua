-- What people read has no control character, whoever chose the name, the message or the event:
-- neither on a terminal, which would obey it, nor in a pipe, from where it comes to one. What
-- programs read is JSON still, and says the same.
local cjson = require "cjson"
local h = require "harness"

-- ESC, a title, DEL, CSI in 8 bits and as a byte alone, a line of its own, a return.
local EVIL = "\27]0;x\7\127\194\155\155\nsluice: good\r"
local POLICY = [[
file "f" { dir = "d" }
stream "s" { sinks = { "f" } }
route "POST /e" { body = "event", stream = "s", on_event = function(ev)
  if ev.n == 1 then return reject("bad", ev.why) end
end }
]]
local LETTER = [[{"event":{"n":1,"why":"\u001b\u007f%s"},"sink":"s","stream":"s",]]
  .. [["reason":"rejected","why":"no %s \u001b","position":"p","code":1,"time":17e11}]] .. "\n"

describe("sluice prints no control character", function()
  local dir, evil
  setup(function()
    dir = h.folder()
    evil = dir .. "/" .. EVIL:gsub("/", "")
    h.shell(("mkdir -p '%s/dead' '%s/good'"):format(evil, evil))
    h.write(evil .. "/good/p.lua", POLICY)
    h.write(evil .. "/bad.lua", POLICY .. ("stream %q {}\nreject(%q)\n"):format(EVIL, EVIL))
    h.write(evil .. "/raises.lua", POLICY .. ("error(%q)\n"):format(EVIL))
    h.write(evil .. "/dead/x.ndjson", LETTER:format("\127\194\155", "\127\194\155") .. "none\n")
    h.write(evil .. "/events.ndjson", '{"n":1,"why":"\\u001b[2J\\u009b\127\194\155"}\n')
  end)
  teardown(function() h.remove(dir) end)

  -- By form; what a line of it has, or "json".
  local commands = {
    { "check %s/good", ": good: 1 route" },
    { "check %s/bad.lua", "problem" },
    { "check %s/raises.lua", "problem" },
    { "check %s/none", "none" },
    { "check %s/dead", "no policy in " },
    { "check --json %s/bad.lua", "json" },
    { "check --json %s/raises.lua", "json" },
    { "dead list %s/dead", "letters=1 " },
    { "dead list %s/none", "No such file" },
    { "dead show %s/dead/x.ndjson", "rejected 1: no " },
    { "dead show %s/none", "No such file" },
    { "dead purge %s/dead/x.ndjson", "are not replayed" },
    { "dead replay %s/none --to http://127.0.0.1:1", "No such file" },
    { "inspect %s", "." },
    { "inspect --salvage %s %s", "File exists" },
    { "sink repair x --spool %s", "no spool here" },
    { "sink drop x --spool %s", "no spool here" },
    { "schema --clickhouse %s/bad.lua", "problem" },
    { "schema --clickhouse %s/good/p.lua", "has no clickhouse sink" },
    { "test %s/bad.lua", "has no spec" },
    { "test %s", "has no file" },
    { "replay --policy %s/good/p.lua %s/events.ndjson", "would change" },
    { "replay --json --policy %s/good/p.lua %s/events.ndjson", "json" },
    { "replay --policy %s/bad.lua %s/events.ndjson", "has mistakes" },
    { "replay --policy %s/good/p.lua %s/none", "No such file" },
    { "replay --at %s --policy x y", "can't be" },
    { "status --spool %s", "no spool here" },
    { "status --admin unix:%s/x", "no such socket" },
    { "status --admin 127.0.0.1:1 --token-file %s/none", "No such file" },
    { "find --id x %s", "." },
    { "ledger %s", "." },
  }

  local function quoted(text) return "'" .. text:gsub("'", "'\\''") .. "'" end

  it("of names, messages and events, to a terminal and into a pipe", function()
    for _, c in ipairs(commands) do
      local args = c[1]:gsub("%%s", function() return "\1" end)
        :gsub("(%S*)\1(%S*)", function(before, after) return quoted(before .. evil .. after) end)
      h.write(dir .. "/run.sh", ("exec env -u SLUICE_ADMIN %s %s\n"):format(h.binary, args))
      local piped = h.shell(("sh %s/run.sh 2>&1"):format(dir))
      local shown = h.shell(("TERM=xterm NO_COLOR=1 script -qec 'sh %s/run.sh' /dev/null"):format(
        dir)):gsub("\r", "") -- of the ends of lines, and of progress
      for _, text in ipairs { piped, shown } do
        assert.falsy(text:find "[%z\1-\8\11-\31\127]", c[1] .. "\n" .. text)
        assert.falsy(text:find "\194[\128-\159]", c[1])
        assert.falsy(text:find "%f[^\n%z]sluice: good", c[1] .. "\n" .. text)
        assert.truthy(text:find(c[2] == "json" and "" or c[2]), c[1] .. "\n" .. text)
      end
      if c[2] == "json" then cjson.decode(piped) end
    end
  end)

  it("of a spool's folders and of the ids that it has", function()
    local s = h.server { policy = h.policy { workers = 1, stream = 'index = "event_id"' } }
    local id = "\27[2J\127\194\155\nsluice: good"
    assert.equal(202, s:post("/v1/events", cjson.encode { event_id = id }).status)
    assert.equal(0, s:stop())
    local stream = EVIL:gsub("/", "")
    assert.equal("", h.shell(("mv %s/spool/events %s"):format(s.data,
      quoted(s.data .. "/spool/" .. stream))))
    for _, c in ipairs {
      { "find --id " .. quoted(id), "events=1\nstream= .*\nlooked: stream= " },
      { "find --json --id " .. quoted(id), "json" },
      { "ledger", "stream= " },
      { "ledger --json", "json" },
    } do
      local out = h.shell(("%s %s %s 2>&1"):format(h.binary, c[1], s.data))
      assert.falsy(out:find "[%z\1-\8\11-\31\127]", c[1] .. "\n" .. out)
      assert.falsy(out:find "\194[\128-\159]", c[1] .. "\n" .. out)
      assert.falsy(out:find "%f[^\n%z]sluice: good", c[1] .. "\n" .. out)
      if c[2] == "json" then cjson.decode(out)
      else assert.matches(c[2], out) end
    end
    s:close()
  end)

  it("in JSON, which has the same value", function()
    local out = h.shell(("%s dead show %s 2>/dev/null"):format(h.binary,
      quoted(evil .. "/dead/x.ndjson")))
    assert.same({ n = 1, why = "\27\127\127\194\155" }, cjson.decode(out:match "\n    ([^\n]+)\n"))
    assert.matches([[\u007f\u009b"]], out, 1, true)
  end)
end)
