local testing = require "sluice.testing"

describe("devices.lua", function()
  local function load(folder)
    return assert(testing.load((folder or "") .. "devices.lua"))
  end

  local function stored(policy, event)
    local r = policy:post("/v1/events", { event })
    assert.equal(202, r.status)
    local lines = r.stored.events
    return lines and testing.decode(lines[1]), r
  end

  it("gives an event what the file knows about its device", function()
    assert.same({ device = "d-1001", type = "open", segment = "loyal", market = "DE" },
      (stored(load(), { device = "d-1001", type = "open" })))
  end)

  it("stores an event of an unknown device without it", function()
    assert.same({ device = "d-9", type = "open" },
      (stored(load(), { device = "d-9", type = "open" })))
  end)

  it("does not believe a client's own segment, nor stores what no schema names", function()
    assert.same({ device = "d-9", type = "open" }, (stored(load(),
      { device = "d-9", type = "open", segment = "vip", market = "DE", mail = "a@b.example" })))
  end)

  it("stores a number that came in quotes as one", function()
    local policy = load()
    local e = stored(policy, { device = "d-1001", type = "purchase", revenue = "12.5" })
    assert.equal(12.5, e.revenue)
    local r = policy:post("/v1/events", { { device = "d-1", type = "open", revenue = "12,5" } })
    assert.same({ 422, "wrong_type", "revenue" }, { r.status, r.code, r.field })
  end)

  it("answers a device of a click farm like others, and stores nothing", function()
    local e, r = stored(load(), { device = "d-1003", type = "open" })
    assert.is_nil(e)
    assert.equal(1, r.dropped)
  end)

  -- Above 4 MiB sluice builds a table instead of keeping the rows in memory.
  it("says the same of 200,000 devices", function()
    local here = debug.getinfo(1, "S").source:match("^@(.*/)") or "./"
    local folder = os.tmpname()
    os.remove(folder)
    assert(os.execute("mkdir " .. folder))
    finally(function() os.execute("rm -rf " .. folder) end)
    assert(os.execute(("cp '%sdevices.lua' %s/"):format(here, folder)))
    local file = assert(io.open(folder .. "/devices.csv", "w"))
    file:write("id,segment,market,first_seen\n")
    for i = 1, 200000 do
      file:write(("device-%07d,%s,M%d,2026-01-01\n"):format(i, i % 2 == 0 and "even" or "odd", i))
    end
    file:close()
    local policy = load(folder .. "/")
    for _, i in ipairs { 1, 2, 99999, 200000 } do
      local e = stored(policy, { device = ("device-%07d"):format(i), type = "open" })
      assert.same({ i % 2 == 0 and "even" or "odd", "M" .. i }, { e.segment, e.market })
    end
    assert.is_nil(stored(policy, { device = "device-0200001", type = "open" }).segment)
  end)
end)
