-- An index is a help: where its folder can't be made, listed or read, the server starts,
-- takes events, and begins the index when the disk lets it. What left the spool meanwhile
-- is named as a hole; find never says of it that it was not stored.
local cjson = require "cjson"
local faults = require "faults"
local h = require "harness"

local function batch(name)
  local lines = {}
  for i = 1, 5000 do
    lines[i] = ('{"event_id":"%s-%d","pad":"%s"}'):format(name, i, ("x"):rep(160))
  end
  return "[" .. table.concat(lines, ",") .. "]"
end

describe("an index whose folder can't be used", function()
  local s, f, index
  local ON, OFF = 'index = "event_id"', nil
  after_each(function() if s then s:close() s = nil end end)

  local function policy(on)
    return h.policy { workers = 1, server = 'max_body = "1MiB", drain = "100ms"',
      spool = 'segment = "4MiB"', stream = on }
  end

  local function make(on, rules)
    local dir = h.folder()
    f = faults.new(dir)
    if rules then f:rules(rules) end
    s = h.server { dir = dir, wrap = f:wrap(), policy = policy(on) }
    index = s.data .. "/spool/events/index"
  end

  local function restart(on, signal)
    s:stop(signal)
    h.write(s.path, policy(on))
    s:start()
  end

  local function code(id)
    local out = h.shell(("%s find --id '%s' '%s' 2>&1; echo code=$?"):format(h.binary, id,
      s.data))
    return tonumber(out:match("code=(%d+)")), out
  end

  local function holes()
    local out = h.shell(("%s find --id nobody --json '%s'"):format(h.binary, s.data))
    local ok, v = pcall(cjson.decode, out)
    return assert(ok and v, out).looked[1].holes
  end

  local function send(name)
    h.wait_for("room in the spool", function()
      return s:post("/v1/events/batch", batch(name)).status == 202
    end)
  end

  ---Sends batches until the first segment of the shard is used again, or is gone.
  local function pass(name, shard)
    local n = 0
    h.wait_for("the first segment to go", function()
      n = n + 1
      send(name .. n)
      local list = h.shell(("ls '%s/spool/events/%s'"):format(s.data, shard))
      return n > 6 and not list:find("0000000001.seg", 1, true)
    end, 60)
    return n
  end

  local FAULTS = { "on=list do=EIO path=/index", "on=list do=EACCES path=/index",
    "on=list do=EIO path=/index from=3" }

  for _, rules in ipairs(FAULTS) do
    it("stops no event, and begins later: " .. rules, function()
      make(ON)
      send "a"
      s:stop()
      f:rules(rules)
      s:start()
      s:logged("event=index_not_opened stream=events why=.*" .. index:gsub("%p", "%%%0"))
      send "b"
      assert.equal(0, code "a-7")
      assert.equal(0, code "b-7")
      assert.equal(3, (code "nobody"))
      f:rules()
      s:logged("event=index_opened stream=events")
      h.wait_for("the account", function() return (code "nobody") == 1 end)
      send "c"
      for _, id in ipairs { "a-7", "b-7", "c-7" } do assert.equal(0, code(id)) end
      s:stop()
      assert.is_nil(h.read(s.data .. "/spool/events/index.unrecorded"))
      for _, id in ipairs { "a-7", "b-7", "c-7" } do assert.equal(0, code(id)) end
      assert.equal(1, (code "nobody"))
    end)
  end

  local function names_what_left(epoch)
    local n = pass("b", epoch .. ".0")
    assert.equal(3, (code "b1-7"))
    f:rules()
    s:logged("event=index_opened stream=events")
    h.wait_for("the hole", function() return #holes() == 1 end)
    local hole = holes()[1]
    assert.same({ epoch, 0, 1 }, { hole.epoch, hole.worker, hole.first })
    -- A segment that waits to be used again is found on disk, for a while.
    restart(ON)
    local last = holes()[1].last
    assert.is_true(last >= hole.last and last < n * 5000, last)
    for i = 1, n do
      assert.equal(i * 5000 <= last and 3 or 0, (code(("b%d-5000"):format(i))), i)
    end
    assert.equal(0, (code("b" .. n .. "-7")))
    assert.equal(3, (code "nobody"))
  end

  it("names what left the spool before it began", function()
    make(ON)
    restart(ON)
    send "a"
    s:stop()
    f:rules(FAULTS[1])
    s:start()
    names_what_left(3)
    assert.equal(0, code "a-7")
  end)

  it("names what left the spool before it began for the first time", function()
    make(ON, FAULTS[1])
    names_what_left(1)
  end)

  for _, on in ipairs { "on", "off" } do
    it("leaves all in doubt of a process that never could, with the index " .. on, function()
      make(ON)
      send "a"
      s:stop()
      f:rules(FAULTS[1])
      h.write(s.path, policy(on == "on" and ON or OFF))
      s:start()
      s:logged("event=index_not_" .. (on == "on" and "opened" or "noted") .. " stream=events")
      pass("b", "2.0")
      assert.equal(3, (code "b1-7"))
      f:rules "on=list do=EIO path=/index"
      s:stop "SIGKILL"
      f:rules()
      h.write(s.path, policy(ON))
      s:start()
      h.wait_for("the rest to go", function()
        send "c"
        return not h.shell(("ls '%s'/spool/events"):format(s.data)):find("2.0", 1, true)
      end, 60)
      local c, out = code "b1-7"
      assert.equal(3, c, out)
      assert.matches("hole: stream=events epochs=2%.%.2 events=unknown since=%S+ until=", out)
    end)
  end

  it("begins when it can be made, and when something else no longer lies there", function()
    make(ON, "on=create do=EACCES path=/index")
    s:logged("event=index_not_opened stream=events")
    send "a"
    f:rules()
    s:logged("event=index_opened stream=events")
    h.wait_for("the account", function() return (code "nobody") == 1 end)
    s:stop()
    h.shell(("mv '%s' '%s.before'; echo no folder >'%s'"):format(index, index, index))
    s:start()
    s:logged("event=index_not_opened stream=events")
    send "b"
    h.shell(("rm '%s'; mv '%s.before' '%s'"):format(index, index, index))
    h.wait_for("the index", function() return (code "nobody") == 1 end)
    assert.equal(0, code "a-7")
    assert.equal(0, code "b-7")
  end)

  it("is no reason to refuse a reload", function()
    make(OFF)
    send "a"
    f:rules(FAULTS[1])
    h.write(s.path, policy(ON))
    assert.equal(200, h.request(s.admin, "POST", "/reload").status)
    s:logged("event=index_not_opened stream=events")
    send "b"
    f:rules()
    s:logged("event=index_opened stream=events")
    h.wait_for("the account", function() return (code "nobody") == 1 end)
    assert.equal(0, code "a-7")
    assert.equal(0, code "b-7")
  end)

  it("waits for an account that the disk does not give, and then doubts all", function()
    make(ON)
    send "a"
    s:stop()
    for _, rules in ipairs { "on=open do=EMFILE path=/ACCOUNT times=2",
      "on=read do=EIO path=/ACCOUNT times=2" } do
      f:rules(rules)
      s:start()
      s:logged("event=index_opened stream=events")
      h.wait_for("the account", function() return (code "nobody") == 1 end)
      assert.is_nil(h.read(index .. "/ACCOUNT.damaged"))
      assert.equal(0, code "a-7")
      s:stop()
    end
    f:rules "on=read do=EIO path=/ACCOUNT"
    s:start()
    s:logged("event=index_damaged stream=events", 60)
    f:rules()
    s:logged("event=index_opened stream=events")
    assert.equal(3, (code "nobody"))
    assert.equal(0, code "a-7")
  end)
end)
