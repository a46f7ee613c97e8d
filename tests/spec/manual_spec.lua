-- Each command says the same of itself in --help and in the manual page, and takes what
-- both say.
local h = require "harness"

local function sluice(args)
  local f = io.popen(("timeout 20 %s %s 2>&1 </dev/null"):format(h.binary, args))
  local out = f:read("*a")
  f:close()
  return out
end

local function commands()
  local list = {}
  for name in sluice("help"):gmatch "\n  (%l+) " do list[#list + 1] = name end
  return list
end

local function words(text)
  return (text:gsub("%s+", " "):gsub("^ ", ""):gsub(" $", ""))
end

-- The parts of a help: its forms, and then paragraphs and options, each on one line.
local function parts_of(help)
  local forms, rest = help:match "^usage: (.-)\n\n(.*)$"
  local parts = {}
  for form in forms:gmatch "[^\n]+" do parts[#parts + 1] = words(form:gsub("^%s*sluice ", "")) end
  for paragraph in (rest .. "\n\n"):gmatch "(.-)\n\n+" do
    if paragraph:find "^Which server" then break end
    -- An option begins two columns in, its text goes on further to the right.
    for part in paragraph:gsub("\n  (%-%-)", "\0%1"):gmatch "[^%z]+" do
      parts[#parts + 1] = words(part)
    end
  end
  return parts
end

-- As a reader sees it, without line ends and hyphenation.
local function rendered(dir)
  h.write(dir .. "/sluice.1", sluice "manual")
  local out = h.shell(("cd '%s' && { echo .hy 0; echo .ad l; cat sluice.1; } >page && "
    .. "nroff -man -Tutf8 -rLL=4000n page | col -bx"):format(dir))
  return out:gsub("\226\128\144", "-"):gsub("\226\136\146", "-"):gsub("\226\128\153", "'")
end

-- The texts of the page by their headings, which begin in column 1 or 4.
local function sections_of(page)
  local list, name = {}, ""
  for line in page:gmatch "[^\n]+" do
    local heading = line:match "^   (%S.*)$" or line:match "^(%S.*)$"
    name = heading or name
    list[name] = (list[name] or "") .. " " .. (heading and "" or line)
  end
  for key, text in pairs(list) do list[key] = words(text) end
  return list
end

---The options of a help, without and with those that lead to a server: name = whether it
---takes a value.
local function options_of(help)
  local list = {}
  for name, rest in help:gmatch "\n  (%-%-[%l-]+)([^\n]*)" do
    list[name] = rest:find '^ [%u"]' ~= nil
  end
  return list
end

describe("the manual page", function()
  local dir, page
  setup(function()
    dir = h.folder()
    if h.shell "command -v nroff" ~= "" then page = rendered(dir) end
  end)
  teardown(function() h.remove(dir) end)

  it("says of each command what its --help says, word by word", function()
    if not page then pending "no nroff is installed" return end
    local names, sections = commands(), sections_of(page)
    assert.is_true(#names > 20)
    for _, name in ipairs(names) do
      local own = sections[name] or ""
      for i, part in ipairs(parts_of(sluice(name .. " --help"))) do
        -- A help begins its summary with a capital and ends it with a full stop.
        local found = own:find(part, 1, true)
          or own:find((part:gsub("^%u", string.lower):gsub("%.$", "")), 1, true)
        assert.truthy(found, ("%s, part %d: %q is not in: %s"):format(name, i, part, own))
      end
    end
  end)

  it("has the options that lead to a server, once for all commands that ask one", function()
    if not page then pending "no nroff is installed" return end
    local own = sections_of(page)["Which server"]
    local asking = sluice("status --help"):match "Which server, and how:\n(.-)\n\n"
    for part in ("\n" .. asking):gsub("\n  (%-%-)", "\0%1"):gmatch "[^%z]+" do
      assert.truthy(own:find(words(part), 1, true), part)
    end
    for _, name in ipairs(commands()) do
      local asks = sluice(name .. " --help"):find("Which server", 1, true) ~= nil
      assert.equal(asks, sections_of(page)[name]:find("It asks a running server", 1, true) ~= nil,
        name)
    end
  end)
end)

describe("the help", function()
  local dir
  setup(function() dir = h.folder() end)
  teardown(function() h.remove(dir) end)

  -- These read their few options by themselves: each one is called as it is meant.
  local OWN = {
    check = { ["--json"] = "--json P" },
    inspect = { ["--verify"] = "--verify D", ["--salvage"] = "--salvage OUT D" },
    key = { ["--prefix"] = "--prefix a", ["--stdin"] = "--stdin <P" },
    schema = { ["--clickhouse"] = "--clickhouse P" },
    reference = { ["--markdown"] = "--markdown", ["--meta"] = "--meta",
      ["--luacheck"] = "--luacheck" },
  }
  -- What leads a command to its options.
  local FORM = { dead = "dead replay --sink x", sink = "sink drop x" }

  it("lists options that its command takes, with a value or without", function()
    h.write(dir .. "/P", [[file "f" { dir = "d" } stream "s" { sinks = { "f" } }
route "POST /e" { body = "event", stream = "s" }]])
    local n, here = 0, h.shell "pwd":gsub("\n", "")
    local function at(args)
      return h.shell(("cd '%s' && SLUICE_ADMIN=127.0.0.1:1 timeout 20 '%s/%s' %s 2>&1 </dev/null")
        :format(dir, here, h.binary, args))
    end
    for _, name in ipairs(commands()) do
      for option, valued in pairs(options_of(sluice(name .. " --help"))) do
        n = n + 1
        local form, own = FORM[name] or name, OWN[name]
        if own then
          assert.truthy(own[option], name .. option)
          assert.is_nil(at(name .. " " .. own[option]):find("usage:", 1, true), name .. option)
        elseif name ~= "dead" or option ~= "--to" and option ~= "--all" then
          local without = at(("%s %s"):format(form, option))
          local with = at(("%s %s=1"):format(form, option))
          assert.is_nil((without .. with):find("unrecognized option", 1, true), without)
          if valued then
            assert.matches("option '" .. option .. "' requires an argument", without, 1, true)
          else
            assert.matches("option '" .. option .. "' doesn't allow an argument", with, 1, true)
          end
        end
      end
    end
    assert.is_true(n > 60)
    assert.is_nil(at "dead replay P --to http://127.0.0.1:1/x":find("usage:", 1, true))
    assert.is_nil(at "dead purge P --all":find("usage:", 1, true))
  end)

  it("leaves out no option that its command takes", function()
    local n = 0
    for _, name in ipairs(commands()) do
      local file = ({ reload = "orders", rollback = "orders", promote = "orders",
        loglevel = "orders" })[name] or name
      local listed = options_of(sluice(name .. " --help"))
      local source = h.shell(("find src/cli -name '%s.c' -exec cat {} +"):format(file))
      for option, kind in source:gmatch '{"([%l-]+)", (%l+)_argument' do
        if name ~= "loglevel" or option ~= "json" then
          n = n + 1
          assert.equal(kind == "required", listed["--" .. option], name .. " --" .. option)
        end
      end
      if source:find("ASK_GETOPT", 1, true) then
        assert.equal(true, listed["--admin"], name)
      end
    end
    assert.is_true(n > 45)
  end)

  it("has each command and option that the documents call", function()
    local known, n = {}, 0
    for _, name in ipairs(commands()) do known[name] = options_of(sluice(name .. " --help")) end
    known.help = {}
    for file in h.shell "ls README.md tests/README.md conf/sluice.service conf/*.md"
      :gmatch "[^\n]+" do
      local text = h.read(file)
      -- In code: up to the end of its span or line, or to what the shell does next.
      for command, rest in text:gmatch "[`/ ]sluice (%l+)([^`\n|;&#]*)" do
        local before = known[command]
        if before then
          for option in (rest:match "^(.-) %-%- " or rest):gmatch " (%-%-%l[%l-]*)" do
            n = n + 1
            assert.truthy(before[option] ~= nil, ("%s: sluice %s has no %s"):format(file, command,
              option))
          end
        end
      end
      for command in text:gmatch "`sluice (%l+)" do
        assert.truthy(known[command], ("%s: there is no sluice %s"):format(file, command))
      end
    end
    assert.is_true(n > 40, n)
  end)
end)
