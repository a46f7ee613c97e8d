-- Databases that another writer has made: values are those that its reader finds.
local cjson = require "cjson"
local h = require "harness"
local testing = require "sluice.testing"

local POLICY = [[
file "a" { dir = "a" }
stream "events" { sinks = { "a" } }
local geo = mmdb "geo.mmdb"
route "POST /v1/events" { body = "event", stream = "events",
  on_event = function(ev)
    ev.found = geo:get(ev.ip, "")
    ev.net = geo:get(ev.ip, "net")
  end }
]]

describe("a database of another writer", function()
  for version = 4, 6, 2 do
    it("gives what its own reader finds, with addresses of IPv" .. version, function()
      local python = h.shell("sh tests/mmdb_writer.sh"):match "%S+"
      if not python then
        pending("PyPI can't be reached")
        return
      end
      local dir = h.folder()
      finally(function() h.remove(dir) end)
      h.write(dir .. "/p.lua", POLICY)
      local pairs_of = h.shell(("%s tests/tools/mmdb_pairs.py %s/geo.mmdb %d %d"):format(
        python, dir, 5, version))
      local policy = assert(testing.load(dir .. "/p.lua"))
      local n, n_found = 0, 0
      for line in pairs_of:gmatch "[^\n]+" do
        local want = cjson.decode(line)
        local r = policy:post("/v1/events", { ip = want.ip })
        local got = cjson.decode(r.stored.events[1])
        if want.found == cjson.null then want.found = nil end
        assert.same(want.found, got.found, want.ip)
        assert.equal(want.found and want.found.net, got.net)
        n, n_found = n + 1, n_found + (want.found and 1 or 0)
      end
      assert.is_true(n > 500 and n_found > n / 2, n .. " " .. n_found)
    end)
  end
end)
