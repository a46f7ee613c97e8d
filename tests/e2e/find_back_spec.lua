-- A sink that left the policy with a backlog and came back after a restart: what came
-- meanwhile, and was deleted since no sink waited for it, is not lost.
local cjson = require "cjson"
local h = require "harness"

describe("a sink that comes back to its backlog", function()
  local s
  teardown(function() if s then s:close() end end)

  local function policy(with)
    return h.policy { workers = 1, server = 'max_body = "1MiB", drain = "100ms"',
      spool = 'segment = "4MiB"', stream = 'index = "event_id"',
      top = with and 'http "down" { url = "http://127.0.0.1:1/x" }' or "" }
      :gsub('sinks = { "archive" }', with and 'sinks = { "archive", "down" }' or "%0")
  end

  local function reload(with)
    h.write(s.path, (policy(with)))
    assert.equal(200, h.request(s.admin, "POST", "/reload").status)
  end

  local function send(name)
    local lines = {}
    for i = 1, 400 do
      lines[i] = ('{"event_id":"%s-%d","pad":"%s"}'):format(name, i, ("x"):rep(2000))
    end
    assert.equal(202, s:post("/v1/events/batch", "[" .. table.concat(lines, ",") .. "]").status)
  end

  local function find(id)
    local v = cjson.decode(h.shell(("%s find --id %s --json '%s'"):format(h.binary, id, s.data)))
    for _, sink in ipairs(v.events[1].sinks) do
      if sink.sink == "down" then return sink.state, v.events[1].certain end
    end
    return nil, v.events[1].certain
  end

  it("has never seen what came while the stream led elsewhere, and lost nothing", function()
    s = h.server { policy = (policy(true)) }
    send "first"
    reload(false)
    local n = 0
    h.wait_for("events of the time without it to leave the spool", function()
      n = n + 1
      send("later" .. n)
      return n > 10 and not select(2, find "later8-7")
    end)
    s:stop "SIGKILL"
    s:start()
    reload(true)
    s:logged "sink=down status=back"
    send "last"
    local state, certain = find "later8-7"
    assert.same({ "never_seen", false }, { state, certain })
    assert.not_equal("lost", (find "first-7"))
    assert.not_equal("never_seen", (find "first-7"))
    local l = cjson.decode(h.shell(("%s ledger --json '%s'"):format(h.binary, s.data)))
      .streams[1].sinks.down
    assert.same({ 0, 0 }, { l.lost, l.confirmed })
    assert.is_true(l.pending >= 800 and l.never_seen >= 400, l.pending .. " " .. l.never_seen)
  end)
end)
