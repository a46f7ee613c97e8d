-- Dedup of an event that goes to many streams, and of short windows with persist.
local h = require "harness"

describe("dedup in many streams", function()
  local s
  after_each(function() if s then s:close() s = nil end end)

  local function repeats(stream)
    return s:metric("sluice_dedup_events_total",
      ('result="repeat",stream="%s"'):format(stream))
      or s:metric("sluice_dedup_events_total",
        ('stream="%s",result="repeat"'):format(stream))
  end

  it("takes a repeat out of each of twelve, with persist also after a kill -9", function()
    local top, names = {}, { '"events"' }
    for i = 1, 11 do
      top[i] = ('stream "s%d" { sinks = { "archive" }, dedup = { key = "id", %s } }'):format(i,
        i <= 8 and "" or 'window = "30d", persist = true')
      names[i + 1] = ('"s%d"'):format(i)
    end
    s = h.server { policy = h.policy { workers = 1,
      top = table.concat(top, "\n"),
      server = 'max_body = "1MiB"', spool = 'segment = "4MiB", max_bytes = "512MiB"',
      ack = "synced",
      stream = 'dedup = { key = "id", window = "30d", persist = true }',
      route = ("on_event = function(ev) return to(%s) end"):format(table.concat(names, ", ")) } }
    local function send()
      for _ = 1, 2 do
        assert.equal(202, s:post("/v1/events", '{"id":"a"}').status)
        assert.equal(202, s:post("/v1/events/batch", '[{"id":"b"},{"id":"a"}]').status)
      end
    end
    send()
    for i = 1, 11 do assert.same({ i, 4 }, { i, repeats("s" .. i) }) end
    assert.equal(4, repeats "events")
    s:stop("SIGKILL")
    s:start()
    send()
    for i = 1, 11 do assert.same({ i, i <= 8 and 4 or 6 }, { i, repeats("s" .. i) }) end
    s:deliver()
    assert.equal(0, s:stop())
    assert.equal(4 * 2 + 8 * 2 * 2, #s:lines())
  end)

  it("lets a key come again behind its window, also before it is on disk", function()
    s = h.server { policy = h.policy { workers = 2,
      stream = 'dedup = { key = "id", window = "1s", persist = true }' } }
    local function stored()
      return s:metric("sluice_stored_events_total", 'stream="events"')
    end
    -- Keys go to disk every 10 s: one of three windows ends between.
    local early
    for try = 1, 3 do
      local before, saved = stored(), h.read(s.data .. "/spool/keys/events/MANIFEST")
      h.wait_for("the key to count as new", function()
        assert.equal(202, s:post("/v1/events", ('{"id":"%d"}'):format(try)).status)
        return stored() == before + 2
      end)
      early = saved == h.read(s.data .. "/spool/keys/events/MANIFEST")
      if early then break end
    end
    assert.is_true(early)
  end)

  it("compares what cut leaves of a key", function()
    s = h.server { policy = h.policy { workers = 1, stream = 'dedup = { key = "id" }',
      top = 'local short = schema { id = str { cut = 3 } }', route = "schema = short" } }
    for _, id in ipairs { "abcd", "abce", "abd" } do
      assert.equal(202, s:post("/v1/events", ('{"id":"%s"}'):format(id)).status)
    end
    assert.equal(1, repeats "events")
  end)
end)
