-- Mistakes in mmdb and cidr, in their files and in hooks that use them.
local checking = require "spec.checking"
local h = require "harness"
local mmdb = dofile "tests/tools/mmdb.lua"

local BASE = [[
file "a" { dir = "a" }
stream "events" { sinks = { "a" } }
route "POST /v1/events" { body = "event", stream = "events" }
]]

-- The policy, or a line of a hook with geo and nets; the message of `sluice check`.
local words = {
  { [[mmdb "../x.mmdb"]],
    [[mmdb "../x.mmdb": expected a file beside the policy, such as "GeoLite2-City.mmdb"]] },
  { [[mmdb "none.mmdb"]], [[mmdb "none.mmdb": none.mmdb: No such file or directory]] },
  { [[mmdb "nets.txt"]], [[mmdb "nets.txt": the file is no MaxMind database, or is cut: ]]
    .. [[it has no metadata at its end]] },
  { [[mmdb "geo.mmdb" { key = "x" }]], [[mmdb "geo.mmdb".key: unknown key]] },
  { [[mmdb "geo.mmdb" "x"]], [[mmdb "geo.mmdb": expected a table { }, got "x"]] },
  { [[mmdb {}]], [[mmdb "?": expected a name: mmdb "name" { }]] },
  { [[mmdb "p.lua"]], [[mmdb "p.lua": the file is no MaxMind database, or is cut: ]]
    .. [[it has no metadata at its end]] },
  { [[cidr "../x"]],
    [[cidr "../x": expected a file beside the policy, such as "networks.csv"]] },
  { [[cidr "none.csv"]], [[cidr "none.csv": none.csv: No such file or directory]] },
  { [[cidr "nets.txt" { key = "x" }]],
    [[cidr "nets.txt".key: "x": the file has no such column]] },
  { [[cidr "nets.txt" { delimiter = ", " }]],
    [[cidr "nets.txt".delimiter: ", " is not one character]] },
  { [[cidr "nets.txt" { header = false }]], [[cidr "nets.txt".header: unknown key]] },
  { [[local v = mmdb "geo.mmdb":get("192.0.2.1")]],
    [[an mmdb can't be used while the policy is loaded]] },
  { [[local v = (cidr "nets.txt")["192.0.2.1"] ]],
    [[a cidr can't be used while the policy is loaded]] },
  { [[local g = mmdb "geo.mmdb"; g.x = 1]], [[an mmdb can't be changed]] },
  { [[local g = cidr "nets.txt"; g.x = 1]], [[a cidr can't be changed]] },
  { [[mdb "geo.mmdb"]], [[mdb: unknown word; did you mean "mmdb"?]] },
}

local hooks = {
  { [[ev.a = geo:get()]], [[get: expected get(address, path), got no argument]] },
  { [[ev.a = geo:get(ev.ip)]], [[get: expected get(address, path), got 1 argument]] },
  { [[ev.a = geo:find(ev.ip)]], [[find: an mmdb has no find: it has get]] },
  { [[ev.a = geo:get(ev.ip, "list[0]")]], [[get: "list[0]" is not a path such as ]]
    .. [["items[1].id": places in arrays count from 1]] },
  { [[ev.a = geo:get(ev.ip, 5)]],
    [[get: expected get(address, path), where path is a path, got a number]] },
  { [[ev.a = geo:get(ev, "a")]],
    [[get: expected get(address, path), where address is a text or nil, got the event]] },
  { [[ev.a = geo:get(req, "a")]],
    [[get: expected get(address, path), where address is a text or nil, got the request]] },
  { [[geo:get(ev.ip, "a")]], [[get: gives a value, which is not used here, and changes ]]
    .. [[nothing: write local x = geo:get(…), or remove the call]] },
  { [[ev.a = mmdb("geo.mmdb"):get(ev.ip, "a")]],
    [[mmdb: works while the policy is loaded; a hook can't use it]] },
}

-- A database, or a change of a good one; what is told of it.
local good = mmdb.write { { "192.0.2.0/24", { a = "x" } } }
local databases = {
  { "\31\139\8" .. ("x"):rep(500), "the file is packed with gzip: unpack it first" },
  { (good:gsub("MaxMind.com", "MinMaxd.com")), "the file is no MaxMind database, or is cut: "
    .. "it has no metadata at its end" },
  { mmdb.write({}, { metadata = { binary_format_major_version = 3 } }),
    "its format is version 3; expected 2" },
  { mmdb.write({}, { metadata = { ip_version = 5 } }),
    "its addresses are of IP version 5; expected 4 or 6" },
  { mmdb.write({}, { metadata = { record_size = 20 } }),
    "its records have 20 bits; expected 24, 28 or 32" },
  { mmdb.write({}, { metadata = { node_count = 0 } }), "its tree is empty" },
  { mmdb.write({}, { metadata = { node_count = 1000000 } }),
    "its metadata tells of 1000000 nodes, which are more than the file" },
  { mmdb.write({}, { metadata = { node_count = "x" } }),
    "its metadata has no number node_count" },
  { mmdb.write({}, { metadata = { languages = 5 } }),
    "its metadata's languages is no array of texts" },
  { mmdb.write({}, { metadata = { languages = { "en", 5 } } }),
    "its metadata's languages is no array of texts" },
  { mmdb.write({}, { metadata = { description = { en = {} } } }),
    "its metadata's description is no map of texts" },
  { mmdb.write({}, { metadata = { database_type = 5 } }),
    "The MaxMind DB file contains invalid metadata" },
  { mmdb.write { { "192.0.2.0/24", mmdb.pointer(0) } },
    "the value at byte 0 of its data points to no value" },
  { mmdb.write { { "192.0.2.0/24", { a = mmdb.pointer(0) } } },
    "the value at byte 0 of its data leads to itself" },
  { mmdb.write { { "192.0.2.0/24", "a\255" } },
    "the value at byte 0 of its data is a text that is not UTF-8" },
}

describe("sluice check of databases of addresses", function()
  local c
  setup(function()
    c = checking.new(BASE)
    h.write(c.dir .. "/nets.txt", "192.0.2.0/24 docs\n")
  end)
  before_each(function() h.write(c.dir .. "/geo.mmdb", good) end)
  teardown(function() c.remove() end)

  for _, row in ipairs(words) do
    it("names the mistake in " .. row[1], function()
      local out = c.problems("{BASE}" .. row[1])
      assert.equal("p.lua:4: " .. row[2], out:match "[^\n]*")
    end)
  end

  for _, row in ipairs(hooks) do
    it("names the mistake in a hook with " .. row[1], function()
      local text = ('local geo = mmdb "geo.mmdb"\nlocal function on_event(ev, req)\n%s\nend\n')
        :format(row[1])
      assert.equal("p.lua:3: " .. row[2],
        (c.problems(text .. BASE:gsub(" }\n$", ", on_event = on_event }\n"))))
    end)
  end

  for _, row in ipairs(databases) do
    it("refuses a database because " .. row[2], function()
      h.write(c.dir .. "/geo.mmdb", row[1])
      local out, code = c.problems('{BASE}local geo = mmdb "geo.mmdb"')
      assert.equal('p.lua:4: mmdb "geo.mmdb": ' .. row[2], out)
      assert.equal(1, code)
    end)
  end

  it("takes a database whose every part is good", function()
    local out, code = c.problems('{BASE}local geo = mmdb "geo.mmdb"')
    assert.matches("^p.lua: good", out)
    assert.equal(0, code)
  end)

  it("finds the checked-in example as its maker writes it", function()
    assert.is_true(mmdb.example() == h.read "conf/examples/geo.mmdb")
  end)

  it("notes a table whose last line has no end, and takes it", function()
    h.write(c.dir .. "/t.csv", "id,name\n1,a")
    local out, code = c.check [[{BASE}local t = lookup "t.csv"]]
    assert.equal(0, code)
    assert.matches('p.lua:4: note: lookup "t.csv": the file\'s last line has no line end: if '
      .. "the file was cut, put the whole one there", out, 1, true)
    h.write(c.dir .. "/t.csv", "id,name\n1,a\n")
    assert.is_nil(c.check([[{BASE}local t = lookup "t.csv"]]):find("note", 1, true))
  end)
end)
