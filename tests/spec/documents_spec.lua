-- The documents against the program: links, paths, commands, log events, metrics, alerts.
local checking = require "spec.checking"
local h = require "harness"
local testing = require "sluice.testing"
local metrics = dofile "tests/tools/metrics.lua"

local pages = {}
for file in h.shell "ls README.md conf/*.md tests/README.md bench/RESULTS.md":gmatch "%S+" do
  pages[file] = h.read(file)
end

-- Calls visit(found, page's file) for each match, collects its results.
local function each(pattern, visit)
  local wrong = {}
  for file, text in pairs(pages) do
    for found in text:gmatch(pattern) do
      local why = visit(found, file)
      if why then wrong[#wrong + 1] = file .. ": " .. why end
    end
  end
  return wrong
end

local function exists(path)
  return h.shell("ls -d " .. path .. " 2>/dev/null") ~= ""
end

-- The block of a page that begins after a line of ```KIND.
local function block(file, kind, n)
  local at = 1
  for _ = 1, n or 1 do
    at = select(2, assert(pages[file]:find("\n```" .. kind .. "\n", at, true))) + 1
  end
  return pages[file]:sub(at, pages[file]:find("\n```\n", at, true))
end

describe("the documents", function()
  it("link to pages that exist", function()
    assert.same({}, each("%]%(([%w_./]+)%)", function(link, file)
      local path = (file:match "^(.*/)" or "") .. link
      return not exists(path) and link
    end))
  end)

  it("name files that exist", function()
    assert.same({}, each("`([%w_./*-]+)`", function(path)
      local room = path:match "^(%a+)/."
      local ours = ({ tests = 1, conf = 1, src = 1, docker = 1, bench = 1, lua = 1 })[room]
      return ours and not exists(path) and path
    end))
  end)

  it("draw every room of the source", function()
    local picture, missing = block("tests/README.md", ""), {}
    for room in h.shell "ls src":gmatch "[^%s]+" do
      if room ~= "main.c" and not picture:find(room .. "/", 1, true) then
        missing[#missing + 1] = room
      end
    end
    assert.same({}, missing)
  end)

  it("draw six boxes of which each hands events to the next, as the layers allow", function()
    local rooms = { ["HTTP server"] = "http", ["Lua policy"] = "policy", spool = "spool",
      delivery = "delivery", sinks = "sink" }
    local rules = h.read("tests/lint/layers.lua"):match "local allowed = (%b{})"
    local allowed = assert(loadstring("return " .. rules))()
    local first = block("README.md", ""):match "\n(│ clients [^\n]+)"
    local boxes, arrows = {}, select(2, first:gsub("──►", ""))
    for box in first:gsub("──►", " "):gmatch "([%a ]+)" do
      box = box:match "^%s*(.-)%s*$"
      if box ~= "" then boxes[#boxes + 1] = box end
    end
    assert.same({ "clients", "HTTP server", "Lua policy", "spool", "delivery", "sinks" }, boxes)
    assert.equal(#boxes - 1, arrows)

    -- Whether a knows b: only so can it hand events over, or fetch them.
    local function knows(a, b)
      for _, room in ipairs(type(allowed[a]) == "table" and allowed[a] or {}) do
        if room == b then return true end
      end
    end
    local function joined(a, b)
      if knows(a, b) or knows(b, a) then return true end
      for room in pairs(allowed) do
        if knows(room, a) and knows(room, b) then return true end
      end
    end
    for i = 2, #boxes do
      local room = rooms[boxes[i]]
      assert.is_table(allowed[room], boxes[i])
      local before = rooms[boxes[i - 1]]
      assert.is_true(before == nil or joined(before, room), boxes[i])
    end
    -- The thread that answers clients does not wait for those that deliver.
    for _, room in ipairs { "http", "policy", "ingest" } do
      assert.falsy(knows(room, "delivery") or knows(room, "sink"), room)
    end
  end)

  it("name files of the source that exist", function()
    assert.same({}, each("`(%l[%l_]*/[%w_/]+%.[ch])`", function(path)
      return not exists(path) and not exists("src/" .. path) and path
    end))
  end)

  it("have every end-to-end test among the promises", function()
    local missing = {}
    for name in h.shell "ls tests/e2e":gmatch "[%w_]+_spec%.lua" do
      if not pages["conf/GUARANTEES.md"]:find("`" .. name .. "`", 1, true) then
        missing[#missing + 1] = name
      end
    end
    assert.same({}, missing)
    assert.same({}, each("`([%w_]+_spec%.lua)`", function(name, file)
      return file == "conf/GUARANTEES.md" and not exists("tests/e2e/" .. name) and name
    end))
  end)

  it("say what to do for each alert, and for no other", function()
    local alerts, sections = {}, {}
    for a in h.read "docker/prometheus/rules.yml":gmatch "alert: (%w+)" do
      alerts[#alerts + 1] = a
    end
    for s in pages["conf/OPERATIONS.md"]:gmatch "\n### (%w+)\n" do
      sections[#sections + 1] = s
    end
    table.sort(alerts)
    table.sort(sections)
    assert.is_true(#alerts > 10)
    assert.same(alerts, sections)
  end)

  it("name metrics that are registered", function()
    local known = metrics.registered()
    assert.same({}, each("`(sluice_[%w_]+)", function(name)
      return not known[name] and name
    end))
  end)

  it("have no metric that no test asks for", function()
    local text, unasked = h.shell "cat $(find tests -name '*_spec.lua' -o -name 'test_*.c')", {}
    for name in pairs(metrics.labels()) do
      local short = name:gsub("^sluice_", "")
      local found = name:find "^process_" and text:find(name, 1, true) ~= nil
      for _, before in ipairs { "sluice_", '"', "'" } do
        for _, after in ipairs { "", "_count", "_sum", "_bucket" } do
          found = found or text:find(before .. short .. after .. "%f[^%w_]") ~= nil
        end
      end
      if not found then unasked[#unasked + 1] = name end
    end
    assert.same({}, unasked)
  end)

  -- The names in the first column of the page of the log.
  local function listed_events()
    local listed = {}
    for row in pages["conf/LOGS.md"]:gmatch "\n| (`[^|]+) |" do
      for name in row:gmatch "`([%w_]+)`" do listed[name] = true end
    end
    return listed
  end

  it("name log events that are listed, as the program's own advice does", function()
    local listed, wrong = listed_events(), {}
    assert.same({}, each("event=([%l_]+)", function(name) return not listed[name] and name end))
    local sources = "cat src/cli/*.c src/cli/*/*.c docker/prometheus/rules.yml"
    for name in h.shell(sources):gmatch "event=([%l_]+)" do
      if not listed[name] then wrong[#wrong + 1] = name end
    end
    assert.same({}, wrong)
  end)

  it("list every log event that the source writes", function()
    local listed, missing = listed_events(), {}
    local source = h.shell "cat $(find src -name '*.c')"
    for call in source:gmatch "log_write(%b())" do
      -- The first text of a call is its event, unless the caller has chosen it.
      local name = call:match '"([%w_]+)"%s*,'
      if name and not listed[name] then missing[#missing + 1] = name end
    end
    assert.same({}, missing)
  end)

  it("name commands and options that the program has", function()
    local help = h.shell(h.binary .. " help")
    assert.same({}, each("sluice (%l+ [^\n`]*)", function(line)
      local word, rest = line:match "^(%l+)(.*)"
      if not help:find("\n  " .. word .. " ", 1, true) then return end
      rest = rest:gsub(" %-%- .*", "") -- busted's own
      for option in rest:gmatch "%-%-[%l-]+" do
        local source = h.shell(("grep -lE -- '\"%s\"|\\{\"%s\"|%s' src/cli/*.c src/cli/*/*.c")
          :format(option, option:sub(3), option))
        if source == "" then return line end
      end
    end))
  end)

  it("have Lua that can be read", function()
    assert.same({}, each("\n```lua\n(.-)\n```\n", function(code)
      local ok, why = loadstring(code)
      return not ok and why
    end))
  end)

  it("begin with a policy that is good, and a mistake that is told as they say", function()
    local c = checking.new "x"
    local policy = block("README.md", "lua")
    local out, code = c.check(policy)
    assert.equal(0, code)
    assert.matches("good: 1 route, 1 stream, 1 sink", out)
    local mistaken, n = policy:gsub('age = "1h"', 'age = "1 hour"')
    assert.equal(1, n)
    out, code = c.check(mistaken)
    assert.equal(1, code)
    assert.truthy(pages["README.md"]:find("```\n" .. out .. "```", 1, true), out)
    c.remove()
  end)

  it("begin with requests that get the answers shown", function()
    local policy = assert(testing.load("conf/quickstart.lua",
      { time = "2026-11-28T02:50:11Z" }))
    local n = 0
    for body, path, answer in pages["README.md"]:gsub(" \\\n%s+", " ")
      :gmatch "\n%$ curl %-%-json '(.-)' localhost:8080(%S+)\n([^\n]+)" do
      body = body:gsub("'%$%(date %-u %+%%FT%%TZ%)'", "2026-11-28T02:50:11Z")
      local shown = answer:gsub("…$", "")
      assert.equal(shown, policy:post(path, body).body:sub(1, #shown))
      n = n + 1
    end
    assert.equal(2, n)
  end)

  -- The commands of the comment at a policy's head, each in one line.
  local function commands_of(text)
    local list, open = {}, nil
    for line in text:gmatch "([^\n]*)\n" do
      local rest = line:match "^%-%-(.*)$"
      if not rest then break end
      if open or rest:match "^   +curl " or rest:match "^   +printf " then
        open = (open or "") .. rest:gsub("^%s+", " ")
        if open:match "\\$" then
          open = open:gsub("\\$", "")
        elseif not open:match "|$" then
          list[#list + 1] = open
          open = nil
        end
      end
    end
    return list
  end

  it("have examples whose commands get the answers of good requests", function()
    local n, wrong = 0, {}
    for path in h.shell "ls conf/examples/*.lua":gmatch "%S+" do
      local commands = commands_of(h.read(path))
      if #commands > 0 and not h.read(path):find("tls = {", 1, true) then
        local dir = h.folder()
        h.shell(("cp -r conf/examples '%s/p'"):format(dir))
        local env = { "env" }
        for name in h.read(path):gmatch 'env%s*%(?"([%u_]+)"' do
          env[#env + 1] = name .. "=secret"
        end
        local s = h.server { dir = dir, path = dir .. "/p/" .. path:match "[^/]+$", wrap = env }
        for _, command in ipairs(commands) do
          n = n + 1
          local out = h.shell((command:gsub("localhost:8080", "127.0.0.1:" .. s.port)
            :gsub("curl ", "curl -s -o /dev/null -w '%%{http_code}' ")))
          if not out:match "^[23]%d%d$" then wrong[#wrong + 1] = path .. ":" .. command .. out end
        end
        s:close()
      end
    end
    assert.same({}, wrong)
    assert.is_true(n >= 14)
  end)

  it("begin with a page and a half", function()
    local _, lines = pages["README.md"]:gsub("\n", "")
    assert.is_true(lines <= 120, lines .. " lines")
  end)
end)
