-- What the commands have in common: their usage, and what becomes of their output.
local h = require "harness"

local function sluice(args, to)
  local f = io.popen(("%s %s %s; echo rc=$?"):format(h.binary, args, to or ""))
  local out = f:read("*a")
  f:close()
  return out:gsub("rc=%d+\n$", ""), tonumber(out:match("rc=(%d+)\n$"))
end

---Those of the table, as the help lists them.
local function commands()
  local list = {}
  for name in sluice("help"):gmatch "\n  (%l+) " do list[#list + 1] = name end
  return list
end

describe("sluice", function()
  local dir
  setup(function()
    dir = h.folder()
    h.write(dir .. "/p.lua", [[file "f" { dir = "d" } stream "s" { sinks = { "f" } }
route "POST /e" { body = "event", stream = "s" }]])
  end)
  teardown(function() h.remove(dir) end)

  it("prints the usage of a command that is asked for as an answer", function()
    local list = commands()
    assert.is_true(#list > 15)
    for _, command in ipairs { "dead list", "dead replay --sink", "sink drop", "status --json" } do
      list[#list + 1] = command
    end
    for _, command in ipairs(list) do
      for _, option in ipairs { "--help", "-h" } do
        local out, code = sluice(command .. " " .. option, "2>/dev/null")
        assert.equal(0, code, command)
        assert.matches("^usage: sluice " .. command:match("^%a+"), out)
      end
    end
  end)

  it("says the usage of a command the same way, asked for or called wrongly", function()
    for _, command in ipairs(commands()) do
      local asked = sluice(command .. " --help", "2>/dev/null")
      assert.equal((sluice("help " .. command)), asked)
      if command ~= "version" then
        local told, code = sluice(command .. " --no-such-option x y z", "2>&1 >/dev/null")
        assert.equal(2, code, command)
        -- getopt may say which option it is, before.
        assert.equal(asked:match "^(.-\n)\n", told:match "usage: .*", command)
      end
    end
  end)

  it("knows no help of a command that there is not", function()
    local told, code = sluice("help stauts", "2>&1 >/dev/null")
    assert.equal(2, code)
    assert.matches('^sluice: unknown command "stauts"\n\nusage: sluice COMMAND', told)
    for _, word in ipairs { "", "help", "--help" } do
      assert.equal(0, select(2, sluice("help " .. word, ">/dev/null")))
    end
  end)

  it("says which value an option can't have, and what it may be", function()
    for args, text in pairs {
      ["status --during 0s"] = '--during can\'t be "0s"; --during TIME: how long rates are ',
      ["status --during 2h"] = '--during can\'t be "2h"; --during TIME: ',
      ["top --every 1ms"] = '--every can\'t be "1ms"; --every TIME: between two looks: 50ms to 1h',
      ["tap --sample 2"] = '--sample can\'t be "2"; --sample SHARE: ',
      ["tap --count 0"] = '--count can\'t be "0"; --count N: end after so many',
      ["tap --where n"] = '--where can\'t be "n"; --where FIELD=VALUE: events whose field',
      ["drain --wait soon"] = '--wait can\'t be "soon"; --wait TIME: for so long at most',
      ["loglevel loud"] = 'no level is "loud": expected debug, info, warn or error',
    } do
      local out, code = sluice(args, "2>&1")
      assert.equal(2, code, args)
      assert.equal("sluice: " .. text, out:sub(1, 8 + #text))
      assert.matches("\nusage: sluice " .. args:match "^%l+", out)
    end
    local out, code = sluice("status --admin localhost", "2>&1")
    assert.equal(3, code)
    assert.equal('sluice: "localhost" is no address: expected HOST:PORT, unix:/path or '
      .. "https://HOST:PORT\n", out)
  end)

  it("lets what stands behind -- pass, also --help", function()
    local out = sluice("test " .. dir .. "/none -- --help", "2>&1")
    assert.falsy(out:find("usage: sluice test", 1, true))
  end)

  it("checks several policies, those of a folder, and standard input", function()
    local good, bad = h.read(dir .. "/p.lua"), 'stream {'
    h.shell("mkdir -p " .. dir .. "/all")
    h.write(dir .. "/all/a.lua", good)
    h.write(dir .. "/all/part.lua", "return 1")
    h.write(dir .. "/all/a_spec.lua", "nonsense {")
    local out, code = sluice("check " .. dir .. "/all", "2>&1")
    assert.equal(0, code, out)
    assert.equal(1, select(2, out:gsub(": good: ", "")))
    h.write(dir .. "/all/b.lua", good:gsub("event", "evnt"))
    out, code = sluice("check " .. dir .. "/all " .. dir .. "/p.lua", "2>&1")
    assert.equal(1, code)
    assert.equal(2, select(2, out:gsub(": good: ", "")))
    assert.matches("b.lua:2: ", out)
    out, code = sluice(("check --json %s/all - <%s/all/b.lua"):format(dir, dir))
    assert.equal(1, code)
    assert.same({ dir .. "/all/b.lua", "stdin.lua" }, { out:match '"file":"(.-)".*"file":"(.-)"' })
    h.write(dir .. "/bad", bad)
    out, code = sluice("check - <" .. dir .. "/bad", "2>&1")
    assert.equal(1, code)
    assert.matches("^stdin.lua:", out)
    assert.equal(0, select(2, sluice("check - <" .. dir .. "/p.lua")))
    h.shell("mkdir -p " .. dir .. "/none")
    out, code = sluice("check " .. dir .. "/none", "2>&1")
    assert.equal(1, code)
    assert.matches("no policy in ", out)
    h.shell(("mkfifo '%s/none/pipe.lua'"):format(dir))
    out = h.shell(("timeout 20 %s check '%s/none' 2>&1"):format(h.binary, dir))
    assert.matches("no policy in ", out)
  end)

  it("checks of a folder the policies, and their parts within them, whatever is wrong", function()
    local head = 'file "f" { dir = "d" } stream "s" { sinks = { "f" } }\n'
    local part = 'route "POST /p" { body = "event", stream = "s" }\n'
    local function check(files)
      h.shell(("rm -rf '%s/parts' && mkdir -p '%s/parts/more'"):format(dir, dir))
      for name, text in pairs(files) do h.write(dir .. "/parts/" .. name, text) end
      local out, code = sluice("check '" .. dir .. "/parts'", "2>&1")
      return out:gsub(dir:gsub("%p", "%%%0") .. "/parts/", ""), code
    end
    local mistake = 'main.lua:2: route "POST /e".strem: unknown key'
    local wrong = 'route "POST /e" { body = "event", strem = "s" }\n'
    for _, takes in ipairs { 'require "part"', "local a, b = 1, require 'part'",
      'include "part.lua"', 'include "p*t.lua"', 'require "more.all"' } do
      local out, code = check { ["main.lua"] = head .. wrong .. takes, ["part.lua"] = part,
        ["more/all.lua"] = 'include "part.lua"' }
      assert.equal(1, code, takes)
      assert.truthy(out:find(mistake, 1, true), takes .. out)
      assert.falsy(out:find("\npart.lua:", 1, true), takes .. out) -- of itself it has no stream
      out, code = check { ["main.lua"] = head .. takes .. "\nstream {", ["part.lua"] = part,
        ["more/all.lua"] = 'include "part.lua"' }
      assert.equal(1, code)
      assert.falsy(out:find("part.lua:", 1, true), takes .. out)
    end
    -- A policy need not have its routes in its own lines, or at their start.
    for _, says in ipairs { 'include "more/*.lua"', "for _ = 1, 1 do " .. part .. "end",
      "if true then\n  " .. part .. "end" } do
      local out, code = check { ["main.lua"] = head .. says, ["more/part.lua"] = part,
        ["other.lua"] = head .. part }
      assert.equal(0, code, out)
      assert.matches("^main.lua: good: 1 route,", out)
      assert.matches("\nother.lua: good: 1 route,", out)
    end
    -- Files that take in each other, or themselves, end.
    local out, code = check { ["a.lua"] = head .. 'include "b.lua"\n' .. part,
      ["b.lua"] = 'include "a.lua"\n' .. part }
    assert.equal(1, code)
    assert.matches("^a.lua:2?:?", out)
    -- What only speaks of a file does not take it in.
    out, code = check { ["main.lua"] = head .. wrong .. '-- require "other"',
      ["other.lua"] = head .. wrong }
    assert.equal(1, code)
    assert.matches("\nother.lua:2: ", out)
  end)

  it("completes its commands, their options and words in bash", function()
    h.write(dir .. "/sluice.bash", (sluice "completion bash"))
    assert.equal("", h.shell("bash -n " .. dir .. "/sluice.bash"))
    local function complete(...)
      local words = { "sluice", ... }
      return h.shell(([[cd '%s' && bash -c '. ./sluice.bash; COMP_WORDS=(%s); COMP_CWORD=%d; _sluice
        printf "%%s " "${COMPREPLY[@]}"']]):format(dir, table.concat(words, " "), #words - 1))
    end
    assert.equal("status ", complete "stat")
    for _, command in ipairs(commands()) do
      assert.matches(" " .. command .. " ", " " .. complete '""')
      local help = sluice(command .. " --help")
      for option in help:gmatch "\n  (%-%-[%l-]+)" do
        assert.matches(" " .. option:gsub("%-", "%%-") .. " ", " " .. complete(command, "--"))
      end
    end
    assert.equal("debug ", complete("loglevel", "d"))
    assert.equal("p.lua ", complete("check", "p."))
    assert.equal("status ", complete("help", "stat"))
  end)

  it("completes in a real bash, at a terminal", function()
    if h.shell "command -v python3" == "" then pending "no python3 is installed" return end
    local place = dir .. "/bash"
    h.shell(("mkdir -p '%s/dead' '%s/data'"):format(place, place))
    h.write(place .. "/my policy.lua", "")
    h.write(place .. "/sluice.bash", (sluice "completion bash"))
    h.write(place .. "/type.py", [[
import os, pty, select, sys, time
pid, fd = pty.fork()
if pid == 0:
    os.environ.update(PS1="> ", TERM="dumb", HISTFILE="", INPUTRC="/dev/null")
    os.execvp("bash", ["bash", "--norc", "--noprofile", "-i"])
seen = b""
def until(what):
    global seen
    end = time.time() + 20
    while what not in seen and time.time() < end:
        if select.select([fd], [], [], 0.1)[0]:
            seen += os.read(fd, 65536)
    return what in seen
os.write(fd, b"bind 'set enable-bracketed-paste off'; . ./sluice.bash; echo rea''dy\n")
until(b"\nready\r\n")
for typed, wanted in zip(sys.argv[1::2], sys.argv[2::2]):
    seen = b""
    os.write(fd, typed.encode() + b"\t")
    print(wanted if until(wanted.encode()) else seen)
    os.write(fd, b"\x15") # the line goes
]])
    local typed = { "sluice dea", "sluice dead ", "sluice statu", "sluice status ",
      "sluice status --j", "sluice status --json ", "sluice check m",
      "sluice check my\\ policy.lua ", "sluice dead li", "sluice dead list ",
      "sluice inspect da", "sluice inspect data/",
      "sluice loglevel d", "sluice loglevel debug ", "sluice help upg", "sluice help upgrade " }
    local argv, wanted = {}, {}
    for i, text in ipairs(typed) do
      argv[i] = "'" .. text .. "'"
      if i % 2 == 0 then wanted[#wanted + 1] = text .. "\n" end
    end
    assert.equal(table.concat(wanted), h.shell(("cd '%s' && python3 type.py %s"):format(place,
      table.concat(argv, " "))))
  end)

  it("knows all commands in zsh, fish and in the manual page", function()
    local zsh, fish, page = sluice "completion zsh", sluice "completion fish", sluice "manual"
    -- "help" takes the name of a command.
    assert.matches("\n  'help:say how", zsh)
    assert.matches("\n  help%)\n    _arguments '1:command:%(run [^\n]* version%)' ;;", zsh)
    assert.matches(" %-a help %-d '", fish)
    assert.matches("__sluice_begins help' %-f %-a 'run [^\n]* version'", fish)
    for _, command in ipairs(commands()) do
      assert.matches("\n  '" .. command .. ":", zsh)
      assert.matches(" %-a " .. command .. " %-d '", fish)
      assert.matches("\n.SS " .. command .. "\n.B " .. command, page)
    end
    -- Each quote is closed, as a fish that is not there would say.
    for line in fish:gmatch "[^\n]+" do
      assert.equal(0, select(2, line:gsub("\\'", ""):gsub("'", "")) % 2, line)
    end
    h.write(dir .. "/_sluice", zsh)
    assert.equal("", h.shell(("grep -v '^#\\|^local -a\\|^(( CURR' %s/_sluice | bash -n")
      :format(dir)))
    for line in page:gmatch "[^\n]+" do
      -- No text of the table begins a line as a request of roff.
      if line:find "^[.']" and line ~= ".br" then
        assert.matches("^%.%u%u?%u?[ \n]", line .. "\n")
      end
    end
  end)

  it("completes in a real fish", function()
    if h.shell "command -v fish" == "" then pending "no fish is installed" return end
    h.write(dir .. "/sluice.fish", (sluice "completion fish"))
    local function complete(text)
      return h.shell(("cd '%s' && HOME='%s' fish -N -c 'source sluice.fish; complete -C "
        .. "\"sluice %s\"'"):format(dir, dir, text))
    end
    assert.matches("^status\tsay whether", complete "stat")
    assert.equal("status\n", complete "help stat")
    assert.equal("debug\n", complete "loglevel d")
    -- Of dead, although there is a command replay.
    assert.equal("--dry-run", complete "dead replay --dr":match "^%S+")
    assert.equal("", complete "dead replay --pol")
    for _, command in ipairs(commands()) do
      local got = complete(command .. " --")
      for option in sluice(command .. " --help"):gmatch "\n  (%-%-[%l-]+)" do
        assert.truthy(("\n" .. got):find("\n" .. option .. "\t", 1, true), command .. option)
      end
    end
  end)

  it("completes in a real zsh", function()
    if h.shell "command -v zsh" == "" then pending "no zsh is installed" return end
    h.write(dir .. "/_sluice", (sluice "completion zsh"))
    -- A terminal that waits for what has to come.
    h.write(dir .. "/type.zsh", [[
zmodload zsh/zpty
zpty z zsh -f -i
zpty -w z "fpath=($PWD \$fpath); autoload -Uz compinit; compinit -u -D; setopt no_beep
bindkey '^I' complete-word; COLUMNS=200; echo rea''dy"
zpty -r z line '*ready*'
zpty -n -w z "sluice $1"$'\t\t'
zpty -r z line "*$2*" && echo found
]])
    for typed, wanted in pairs { stat = "sluice status", ["tap --"] = "--where",
      ["loglevel d"] = "loglevel debug", ["sink d"] = "sink drop", ["check p."] = "p.lua" } do
      assert.equal("found\n", h.shell(("cd '%s' && HOME='%s' timeout 20 zsh -f type.zsh '%s' '%s'")
        :format(dir, dir, typed, wanted)), typed)
    end
  end)

  it("writes no colours into a pipe", function()
    assert.falsy(sluice("help"):find "\27")
  end)

  it("prints a column once when two routes share a schema", function()
    h.write(dir .. "/c.lua", [[
clickhouse "c" { urls = { "http://127.0.0.1:1" }, table = "d.t" }
stream "s" { sinks = { "c" } }
local shape = schema { n = int {}, s = str {} }
route "POST /e" { body = "event", stream = "s", schema = shape }
route "POST /b" { body = "batch", stream = "s", schema = shape }
route "POST /o" { body = "event", stream = "s", schema = schema { s = str {}, t = time {} } }
]])
    local out = sluice("schema --clickhouse " .. dir .. "/c.lua", "")
    assert.equal("\n  `n` Int64,\n  `s` String,\n  `t` UInt64\n", out:match("%((\n.-)%) ENGINE"))
  end)

  it("makes a key that no other run makes, and the hash of any key", function()
    local seen = {}
    for _, prefix in ipairs { "", "", "--prefix app_live-1." } do
      local key, hash = sluice("key " .. prefix):match("^key     (%S+)\nsha256  (%x+)\n$")
      assert.equal(43, #key:gsub("^app_live%-1%.", ""))
      assert.is_nil(key:find("[^%w_.-]"))
      assert.is_nil(seen[key])
      seen[key] = true
      assert.equal(hash, h.shell(("printf %%s '%s' | sha256sum"):format(key)):match("^%x+"))
      h.write(dir .. "/key", key .. "\n")
      assert.equal(hash .. "\n", (sluice("key --stdin", "< " .. dir .. "/key")))
    end
    for _, args in ipairs { "--prefix 'a b'", "--prefix", "k1", "--stdin </dev/null" } do
      local out, code = sluice("key " .. args, "2>&1")
      assert.equal(2, code, args)
      assert.is_nil(out:find("k1", 1, true))
    end
  end)

  it("names the option of find and ledger whose value can't be", function()
    for args, option in pairs { ["find --id e1 --since yesterday"] = "since",
      ["ledger --since 1"] = "since", ["ledger --until now"] = "until",
      ["ledger --timeout 1ms"] = "timeout", ["ledger --memory 1"] = "memory" } do
      local out, code = sluice(args, "2>&1")
      assert.equal(2, code, args)
      assert.matches("^sluice: %-%-" .. option .. " can't be \"[^\"]+\"; .+\nusage: sluice "
        .. args:match "%l+", out)
    end
  end)

  it("fails when a full disk does not take its output", function()
    for _, args in ipairs { "version", "help", "key", "reference --markdown",
      "check " .. dir .. "/p.lua", "check --json " .. dir .. "/p.lua" } do
      local out, code = sluice(args, "2>&1 >/dev/full")
      assert.equal(2, code, args)
      assert.matches("^sluice: the output can't be written whole", out)
    end
  end)

  it("lists the dead letters that it can read, and says where it finds none", function()
    h.shell(("mkdir -p '%s/dead/a.ndjson' '%s/none'"):format(dir, dir))
    h.write(dir .. "/dead/b.ndjson", '{"event":{"n":1},"sink":"k","stream":"s",'
      .. '"reason":"refused","code":400,"why":"no","time":1}\n')
    local out, code = sluice("dead list " .. dir .. "/dead", "2>/dev/null")
    assert.equal(1, code)
    assert.matches("b.ndjson letters=1 ", out)
    out, code = sluice("dead list " .. dir .. "/none", "2>&1")
    assert.equal(0, code)
    assert.matches("no dead letters in the files %*.ndjson of ", out)
    -- As the server's advice and the alerts say it, in the data directory's parent.
    h.shell(("mkdir -p '%s/data' && cp -r '%s/dead' '%s/data/'"):format(dir, dir, dir))
    out = h.shell(("here=$PWD && cd '%s' && \"$here\"/%s dead list"):format(dir, h.binary))
    assert.matches("file=data/dead/b.ndjson letters=1 ", out, 1, true)
    -- A server without dead letters has no such folder; anywhere else it is a mistake.
    out, code = sluice("dead list " .. dir .. "/new/dead/", "2>&1")
    assert.equal(1, code)
    assert.matches("No such file or directory", out)
    h.shell(("mkdir -p '%s/new/spool'"):format(dir))
    out, code = sluice("dead list " .. dir .. "/new/dead/", "2>&1")
    assert.equal(0, code)
    assert.matches("no dead letters: the server has not made ", out, 1, true)
    out = sluice("dead show " .. dir .. "/p.lua", "2>&1")
    assert.matches("p.lua that are no dead letters: 1", out)
  end)

  it("ends quietly when its reader has gone", function()
    local out = sluice("reference --markdown", "2>&1 | head -1")
    assert.equal("# Reference: the words of a policy\n", out)
  end)
end)
