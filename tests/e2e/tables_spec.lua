-- Lookup tables of many rows: built once, mapped, shared, and never trusted blindly.
local h = require "harness"

local POLICY = [[
server { listen = "127.0.0.1:0", workers = 2 }
admin { listen = "127.0.0.1:0" }
file "archive" { dir = "archive", linger = "20ms" }
stream "events" { sinks = { "archive" } }
local devices = lookup "devices.csv" { key = "id" }
route "POST /v1/events" { body = "event", stream = "events",
  on_event = function(ev)
    local row = devices(ev.id)
    ev.name = row and row.name
  end }
]]

describe("a lookup table of more than 4 MiB", function()
  local s, dir

  before_each(function()
    dir = h.folder()
    h.write(dir .. "/p.lua", POLICY)
  end)
  after_each(function()
    if s then s:close() s = nil else h.remove(dir) end
  end)

  -- As a deployment does it: a new file takes the old one's place.
  local function write_rows(word, more)
    local rows = { "name,id" }
    for i = 1, 120000 do
      rows[i + 1] = ("%s of the device %d,id-%016d"):format(word, i, i)
    end
    rows[#rows + 1] = more
    h.write(dir .. "/next", table.concat(rows, "\r\n") .. "\r\n")
    assert(os.rename(dir .. "/next", dir .. "/devices.csv"))
  end

  local function serve()
    s = h.server { dir = dir, path = dir .. "/p.lua" }
  end

  local function tables()
    local list = {}
    local out = h.shell(("find %s/data/tables -type f"):format(dir))
    for path in out:gmatch("[^\n]+") do list[#list + 1] = path end
    return list
  end

  local function post(n)
    return s:post("/v1/events", ('{"id":"id-%016d"}'):format(n)).status
  end

  local function expect_names(...)
    if s.pid then assert.equal(0, s:stop()) end
    local names = {}
    for _, line in ipairs(s:lines()) do
      names[#names + 1] = line:match('"name":"([^"]*)"') or "none"
    end
    table.sort(names)
    assert.same({ ... }, names)
  end

  local function built()
    local _, n = s:text():gsub("event=table_built", "")
    return n
  end

  it("is built once, and used by reloads, restarts and a server that was killed", function()
    write_rows("Name")
    serve()
    assert.equal(202, post(1))
    assert.equal(202, post(120000))
    assert.equal(202, post(120001))
    for _ = 1, 3 do assert.equal(200, s:reload().status) end
    assert.equal(1, built())
    local maps = h.read(("/proc/%d/maps"):format(s.pid))
    local _, n = maps:gsub("/tables/%x+%.table", "")
    assert.equal(1, n)
    h.kill(s.pid)
    s:start()
    assert.equal(202, post(7))
    assert.equal(0, built())
    assert.equal(1, #tables())
    expect_names("Name of the device 1", "Name of the device 120000",
      "Name of the device 7", "none")
  end)

  it("goes back with the policy, although its file is another one", function()
    write_rows("Old")
    serve()
    local hash = s:text():match("hash=(%x+)")
    write_rows("New")
    assert.equal(200, s:reload().status)
    assert.are_not.equal(hash, s:logged("generation=2 status=live[^\n]*hash=(%x+)"))
    assert.equal(202, post(1))
    os.remove(dir .. "/devices.csv")
    assert.equal(200, s:reload("?rollback").status)
    assert.equal(hash, s:logged("generation=3 status=live[^\n]*hash=(%x+)"))
    assert.equal(202, post(1))
    -- Two policies may still go live again; what is older goes.
    assert.equal(2, #tables())
    for _, word in ipairs { "Third", "Fourth" } do
      write_rows(word)
      assert.equal(200, s:reload().status)
    end
    assert.equal(200, s:reload().status)
    assert.equal(2, #tables())
    expect_names("New of the device 1", "Old of the device 1")
  end)

  it("that was cut costs no event and no other request, and is built again", function()
    write_rows("Name")
    serve()
    assert.equal(202, post(1))
    local path = tables()[1]
    h.shell(("chmod 600 %s && truncate -s 5000 %s"):format(path, path))
    assert.equal(202, post(2))
    s:logged("the lookup's built table was cut")
    s:logged("event=dead_letter")
    assert.equal(200, s:reload().status)
    s:logged("event=table_not_used")
    assert.equal(202, post(3))
    assert.equal(2, built())
    expect_names("Name of the device 1", "Name of the device 3")
  end)

  it("that was cut can't come back by a rollback, which says why and ends nothing", function()
    write_rows("Old")
    serve()
    local path = tables()[1]
    h.shell(("chmod 600 %s && truncate -s 4096 %s"):format(path, path))
    write_rows("New")
    assert.equal(200, s:reload().status)
    local a = s:reload("?rollback")
    assert.equal(422, a and a.status)
    assert.matches("devices.csv was cut, or its disk returns an error", a.body, 1, true)
    assert.equal(202, post(1))
    expect_names("New of the device 1")
  end)

  it("with mistakes is refused with their lines, and the old one stays", function()
    write_rows("Name")
    serve()
    write_rows("Name", "Twice,id-0000000000000001\r\nshort\r\nx,")
    local a = s:reload()
    assert.equal(422, a.status)
    assert.matches("devices.csv:120003: 1 field, the first line has 2", a.body, 1, true)
    assert.matches("devices.csv:120004: the key is empty", a.body, 1, true)
    assert.matches('devices.csv:120002: the key \\"id-0000000000000001\\" is given twice, '
      .. "first in line 2", a.body, 1, true)
    assert.equal(202, post(5))
    assert.equal(1, #tables())
    expect_names("Name of the device 5")
  end)

  it("is checked without a data directory, and leaves nothing", function()
    write_rows("Name")
    local function check()
      return (h.shell(("TMPDIR=%s %s check %s/p.lua"):format(dir, h.binary, dir)))
    end
    assert.matches("good: 1 route", check(), 1, true)
    assert.is_nil(check():find("note:", 1, true))
    -- Cut within its last cell, which nobody can tell from a short one.
    h.shell(("truncate -s -5 %s/devices.csv"):format(dir))
    assert.matches('note: lookup "devices.csv": the file\'s last line has no line end', check(),
      1, true)
    assert.equal("devices.csv\np.lua\n", h.shell("ls " .. dir))
  end)
end)
