-- A file sink is killed twice while the same file grows: what its sealed files have stays
-- confirmed, for sluice find and sluice ledger.
local cjson = require "cjson"
local h = require "harness"

describe("events in a sealed file, of a shard that goes on in the next one,", function()
  local s
  after_each(function() if s then s:close() s = nil end end)

  local function send(pad, ...)
    for _, id in ipairs { ... } do
      local event = ('{"event_id":"%s","pad":"%s"}'):format(id, ("x"):rep(pad))
      assert.equal(202, s:post("/v1/events", event).status)
    end
    s:deliver()
  end

  local function confirmed()
    local l = cjson.decode(h.shell(("%s ledger --json '%s'"):format(h.binary, s.data)))
      .streams[1].sinks.archive
    assert.same({ 5, 0, 0 }, { l.confirmed, l.lost, l.pending })
    for _, id in ipairs { "a1", "a3", "b1", "b2" } do
      assert.matches("sink=archive confirmed", h.shell(("%s find --id %s '%s'"):format(h.binary,
        id, s.data)))
    end
  end

  for _, how in ipairs { "kill", "kill and reload" } do
    it("stay confirmed, whatever follows the " .. how, function()
      s = h.server { policy = h.policy { workers = 1, stream = 'index = "event_id"',
        file = 'rotate = { bytes = "64KiB" }' } }
      send(30000, "a1", "a2", "a3")
      s:logged "event=archive sink=archive file=%S+ bytes=%d+ status=sealed"
      send(0, "b1", "b2")
      confirmed()
      for _ = 1, 3 do
        s:stop "SIGKILL"
        s:start()
        h.wait_for("the segments to go", function()
          return not h.shell(("%s inspect '%s'"):format(h.binary, s.data)):find "shard=1%.0"
        end)
        if how ~= "kill" then assert.equal(200, s:reload().status) end
        confirmed()
      end
      assert.equal(0, s:stop())
      confirmed()
      s:start()
      confirmed()
    end)
  end
end)
