-- Databases and networks of a policy (conf/ENRICHMENT.md): reloads under load, files that
-- are cut while they are used, a rollback.
local h = require "harness"
local mmdb = dofile "tests/tools/mmdb.lua"

local POLICY = [[
server { listen = "127.0.0.1:0", workers = 2 }
admin { listen = "127.0.0.1:0" }
file "archive" { dir = "archive", linger = "20ms" }
stream "events" { sinks = { "archive" } }
local geo = mmdb "geo.mmdb"
local nets = cidr "nets.txt"
local function on_event(ev, req)
  local ip = "192.0.2.7"
  ev.db = geo:get(ip, "v")
  ev.net = nets[ip]
  ev.near = nets[req.peer]
end
route "POST /v1/events" { body = "batch", stream = "events", on_event = on_event }
]]

local function database(v) return mmdb.write { { "192.0.2.0/24", { v = v } } } end
local function list(v) return "192.0.2.0/24 " .. v .. "\n127.0.0.0/8 here\n" end

describe("a policy with databases of addresses", function()
  local s, dir
  before_each(function()
    dir = h.folder()
    h.write(dir .. "/p.lua", POLICY)
    h.write(dir .. "/geo.mmdb", database "one")
    h.write(dir .. "/nets.txt", list "one")
    s = h.server { dir = dir, path = dir .. "/p.lua" }
  end)
  after_each(function() s:close() end)

  local function replace(name, text)
    h.write(dir .. "/next", text)
    assert(os.rename(dir .. "/next", dir .. "/" .. name))
  end

  local function post()
    assert.equal(202, s:post("/v1/events", "[{}]").status)
  end

  local function counts()
    local n = {}
    for _, line in ipairs(s:lines()) do
      local v, net, near = line:match '"db":"(%w+)","net":"(%w+)","near":"(%w+)"'
      assert.equal("here", near, line)
      assert.equal(v, net, line)
      n[v] = (n[v] or 0) + 1
    end
    return n
  end

  it("gives each event values of one version, over reloads under load", function()
    local load = h.load(s.port, { path = "/v1/events", connections = 4, batch = 5,
      rate = 2000, seconds = 60 })
    for _, v in ipairs { "two", "three", "four" } do
      replace("geo.mmdb", database(v))
      replace("nets.txt", list(v))
      assert.equal(200, s:reload().status)
      post()
    end
    local f = h.load_stop(load)
    assert.same({ 0, 0, 0 }, { f.full, f.other, f.broken }, f.text)
    assert.equal(0, s:stop())
    local n = counts()
    for _, v in ipairs { "one", "two", "three", "four" } do
      assert.is_true((n[v] or 0) > 0, v)
    end
  end)

  it("keeps serving when its files are cut, overwritten or removed", function()
    post()
    local whole = database "two"
    for _, text in ipairs { "", whole:sub(1, 40), whole:sub(1, #whole - 20),
      (" "):rep(#whole) } do
      -- In place: what is mapped would change, or end the process by SIGBUS.
      h.write(dir .. "/geo.mmdb", text)
      h.write(dir .. "/nets.txt", text)
      post()
      local a = s:reload()
      assert.equal(422, a.status)
      assert.matches('p.lua:5: mmdb \\"geo.mmdb\\": ', a.body, 1, true)
      assert.matches("or is cut", a.body, 1, true)
      post()
    end
    os.remove(dir .. "/geo.mmdb")
    assert.matches("No such file", s:reload().body, 1, true)
    post()
    h.write(dir .. "/geo.mmdb", whole)
    h.write(dir .. "/nets.txt", list "two")
    assert.equal(200, s:reload().status)
    post()
    assert.equal(0, s:stop())
    assert.same({ one = 10, two = 1 }, counts())
  end)

  it("goes back to the data of the policy before, whatever is on the disk", function()
    replace("geo.mmdb", database "two")
    replace("nets.txt", list "two")
    assert.equal(200, s:reload().status)
    post()
    h.write(dir .. "/geo.mmdb", "")
    os.remove(dir .. "/nets.txt")
    local a = s:reload "?rollback"
    assert.equal(200, a.status, a.body)
    post()
    assert.equal(0, s:stop())
    assert.same({ one = 1, two = 1 }, counts())
  end)
end)

local AGENTS = [[
server { listen = "127.0.0.1:0", workers = 2 }
admin { listen = "127.0.0.1:0" }
file "archive" { dir = "archive", linger = "20ms" }
stream "events" { sinks = { "archive" } }
local agent = agents "agents.yaml"
local function on_event(ev, req)
  local text = req.headers["User-Agent"]
  ev.browser = agent:get(text, "browser.family")
  ev.version = agent:get(text, "browser.version")
end
route "POST /v1/events" { body = "batch", stream = "events", on_event = on_event }
]]

local function parsers(name)
  return ("user_agent_parsers:\n- regex: '(a+)+$'\n- regex: 'Fox/(\\d+)\\.(\\d+)'\n"
    .. "  family_replacement: '%s'\n  v1_replacement: '$1'\n  v2_replacement: '$2'\n")
    :format(name)
end

describe("a policy with a file of user agents", function()
  local s, dir
  before_each(function()
    dir = h.folder()
    h.write(dir .. "/p.lua", AGENTS)
    h.write(dir .. "/agents.yaml", parsers "one")
    s = h.server { dir = dir, path = dir .. "/p.lua" }
  end)
  after_each(function() s:close() end)

  local function post(text)
    assert.equal(202, s:post("/v1/events", "[{}]", { ["User-Agent"] = text }).status)
  end

  it("gives values of one version, goes on after a bad file, and goes back", function()
    post "Fox/1.2"
    h.write(dir .. "/agents.yaml", parsers "two")
    post "Fox/1.3"
    assert.equal(200, s:reload().status)
    post "Fox/1.2"
    h.write(dir .. "/agents.yaml", "user_agent_parsers:\n- regex: '('\n")
    local a = s:reload()
    assert.equal(422, a.status)
    assert.matches('agents.yaml:2: regex \\"(\\": missing closing parenthesis', a.body, 1, true)
    os.remove(dir .. "/agents.yaml")
    post "Fox/1.4"
    a = s:reload "?rollback"
    assert.equal(200, a.status, a.body)
    post "Fox/1.5 \255"
    post ""
    assert.equal(0, s:stop())
    local lines = s:lines()
    table.sort(lines)
    assert.same({ '{"browser":"Other"}', '{"browser":"one","version":"1.2"}',
      '{"browser":"one","version":"1.3"}', '{"browser":"one","version":"1.5"}',
      '{"browser":"two","version":"1.2"}', '{"browser":"two","version":"1.4"}' }, lines)
  end)

  it("leaves out and counts a regex that runs wild", function()
    assert.equal(0, s:metric "sluice_agent_skips_total")
    for i = 1, 20 do post(("a"):rep(900 + i) .. "! Fox/1." .. i) end
    assert.equal(20, s:metric "sluice_agent_skips_total")
    assert.equal(0, s:stop())
    assert.matches('event=agent_parser_skipped file="?[^ ]*agents.yaml"? line=2 ', s:text())
    assert.equal(20, #s:lines())
    for _, line in ipairs(s:lines()) do assert.matches('"browser":"one"', line, 1, true) end
  end)
end)
