-- What a policy says of a stream's room, and of what its sinks may skip, holds once it is
-- live, and never if it is refused.
local h = require "harness"
local hanging = require "hanging"

describe("a stream with a backlog, while a policy is applied that is refused", function()
  local f, s
  after_each(function()
    hanging.close(s, f)
    s, f = nil, nil
  end)

  ---@param o table sink (as the stream names it), max_bytes
  local function policy(o, more)
    return h.policy { workers = 1, server = 'max_body = "1MiB"', spool = 'segment = "4MiB"',
      top = ([[
%s
%s
stream "more" { max_bytes = %q, sinks = { %s } }
route "POST /more" { body = "event", stream = "more" }]]):format(hanging.sink { "e" },
        more or "", o.max_bytes or "128MiB", o.sink or '"e"') }
  end

  local function refusable(o)
    return policy({ sink = (o.sink or '"e"') .. ', "n", "bad"', max_bytes = o.max_bytes },
      hanging.sink { "n" } .. "\n" .. hanging.sink(hanging.BAD))
  end

  ---Events of 500 kB: how many the stream took.
  local function post(n)
    local body, taken = ('{"a":"%s"}'):format(("x"):rep(500000)), 0
    for _ = 1, n do
      taken = taken + (s:post("/more", body).status == 202 and 1 or 0)
    end
    return taken
  end

  ---The disk takes nothing of the sink, and does not give the journal of one behind it.
  local FULL = "on=write do=EIO path=/e/"
  local function begin_refused(text)
    local made = f:made()
    f:rules(FULL .. "\non=create,open do=hang path=/n.journal")
    h.write(s.path, text)
    s:signal "SIGHUP"
    h.wait_for("the reload to hang", function() return f:made() > made end)
  end
  local function refuse(generation)
    f:rules(FULL)
    s:logged(("generation=%d status=refused"):format(generation))
  end

  local function reload(text)
    h.write(s.path, text)
    assert.equal(200, s:reload().status)
  end

  local function has(n)
    f:rules()
    h.wait_for("the events", function()
      return s:metric("sluice_delivered_events_total", 'sink="e"') >= n
    end)
    assert.equal(n, s:metric("sluice_delivered_events_total", 'sink="e"'))
    assert.equal(0, s:metric("sluice_sink_skipped_events", 'sink="e"'))
  end

  local SKIP = 'e = { when_full = "skip", max_lag = "4MiB" }'

  it("gives up no event that only that one's sink may skip", function()
    s, f = hanging.start(policy {})
    f:rules(FULL)
    assert.equal(40, post(40))
    begin_refused(refusable { sink = SKIP })
    h.sleep(1) -- the spool looks four times a second
    refuse(2)
    assert.is_nil(s:text():find("event=skip", 1, true))
    has(40)
  end)

  it("gives up no event of a held sink that only that one's may skip", function()
    local dir = h.folder()
    h.shell(("mkdir '%s/data' && touch '%s/data/e'"):format(dir, dir))
    s, f = hanging.start(policy {}, dir)
    s:logged "sink=e status=holding"
    assert.equal(40, post(40))
    begin_refused(refusable { sink = SKIP })
    h.sleep(1)
    refuse(2)
    os.remove(s.data .. "/e")
    has(40)
    assert.is_nil(s:text():find("event=skip", 1, true))
  end)

  it("is skipped as soon as such a policy is live, also by a sink that is held", function()
    local dir = h.folder()
    h.shell(("mkdir '%s/data' && touch '%s/data/e'"):format(dir, dir))
    s, f = hanging.start(policy {}, dir)
    assert.equal(40, post(40))
    reload(policy { sink = SKIP })
    s:logged "event=skip"
  end)

  it("is skipped as soon as such a policy is live, and from the start", function()
    s, f = hanging.start(policy {})
    f:rules(FULL)
    assert.equal(40, post(40))
    reload(policy { sink = SKIP })
    s:logged "event=skip"
    hanging.close(s, f)
    s, f = hanging.start(policy { sink = SKIP })
    f:rules(FULL)
    assert.equal(40, post(40))
    s:logged "event=skip"
  end)

  it("goes on being skipped by the live policy's bound", function()
    s, f = hanging.start(policy { sink = SKIP })
    f:rules(FULL)
    begin_refused(refusable {})
    refuse(2)
    assert.equal(40, post(40))
    s:logged "event=skip"
  end)

  it("has the room that the live policy gives it", function()
    s, f = hanging.start(policy {})
    f:rules(FULL)
    assert.equal(60, post(60))
    begin_refused(refusable { max_bytes = "32MiB" })
    assert.equal(40, post(40))
    refuse(2)
    assert.equal(40, post(40))
    reload(policy { max_bytes = "32MiB" })
    assert.is_true(post(40) < 40)
    has(s:metric("sluice_stored_events_total", 'stream="more"'))
  end)
end)
