-- Events as they pass a running server, and what a tap must not show.
local cjson = require "cjson"
local h = require "harness"

local policy = [[
server { listen = "127.0.0.1:0", workers = 2 }
admin { listen = "127.0.0.1:0" }
file "archive" { dir = "archive", linger = "20ms" }
stream "events" { sinks = { "archive" } }
stream "other" { sinks = { "archive" } }
local shape = schema { n = int {}, user = str { required = false } }
route "POST /v1/events" { body = "event", stream = "events", schema = shape,
  on_event = function(ev)
    ev.user = "hidden"
    if ev.n == 5 then return drop() end
    if ev.n == 6 then return to "other" end
    if ev.n == 7 then return reject("seven") end
    if ev.n == 8 then error "a mistake" end
  end }
route "GET /v1/pixel" { body = "query", stream = "events", schema = shape }
route "POST /v1/list" { body = "batch", stream = "events", schema = shape,
  on_event = function(ev)
    if ev.n == 5 then return drop() end
    if ev.n == 6 then return to "other" end
    if ev.n == 8 then error "a mistake" end
  end }
route "POST /v1/batch" { body = "batch", stream = "events", schema = shape, partial = false }
]]

describe("a tap", function()
  local s

  setup(function()
    s = h.server { policy = policy }
  end)
  teardown(function() s:close() end)

  ---Looks through a tap until it has shown n events; send runs once it is open. Returns
  ---the lines, its exit code and all of its output.
  local function tap(options, n, send)
    local out = s.dir .. "/tap.out"
    os.remove(out)
    local _, before = s:text():gsub("event=tap status=begins", "")
    local argv = { "env", h.binary, "tap", "--spool", s.data .. "/spool", "--count", tostring(n) }
    for _, o in ipairs(options) do argv[#argv + 1] = o end
    local pid = h.spawn(argv, out)
    h.wait_for("the tap to open", function()
      return select(2, s:text():gsub("event=tap status=begins", "")) > before
    end)
    send()
    local code = h.reap(pid)
    local list = {}
    for line in (h.read(out) or ""):gmatch "[^\n]+" do
      local ok, v = pcall(cjson.decode, line)
      list[#list + 1] = ok and v or line
    end
    return list, code, h.read(out)
  end

  it("shows each event with the decision, the reason and the text that is stored", function()
    local list, code = tap({}, 6, function()
      s:post("/v1/events", '{"n":1,"user":"bob@example"}')
      s:post("/v1/events", '{"n":"x","user":"bob@example"}')
      s:post("/v1/events", '{"n":5}')
      s:post("/v1/events", '{"n":6}')
      s:post("/v1/events", '{"n":7,"user":"bob@example"}')
      s:post("/v1/nothing", '{}')
    end)
    assert.equal(0, code)
    local seen = {}
    for _, x in ipairs(list) do
      seen[#seen + 1] = ("%s %s %s %s %d"):format(x.route, x.decision, x.code or "-",
        x.streams and x.streams[1] or "-", x.status)
      assert.is_nil(x.raw)
      assert.is_number(x.generation)
    end
    table.sort(seen)
    assert.same({
      "POST /v1/events dropped - - 202",
      "POST /v1/events rejected seven - 422",
      "POST /v1/events rejected wrong_type - 422",
      "POST /v1/events stored - events 202",
      "POST /v1/events stored - other 202",
      "none refused unknown_path - 404",
    }, seen)
    for _, x in ipairs(list) do
      if x.decision == "stored" then assert.equal("hidden", x.event.user) end
      if x.code == "wrong_type" then
        assert.equal("n", x.field)
        assert.matches("expected an integer", x.reason)
      end
    end
  end)

  it("never shows headers, queries, peers or what a hook has hidden", function()
    local _, _, text = tap({}, 3, function()
      local secret = { Authorization = "Bearer s3cret", ["X-Api-Key"] = "s3cret",
        Cookie = "s3cret" }
      s:post("/v1/events?key=s3cret", '{"n":1,"user":"s3cret"}', secret)
      s:post("/v1/events?key=s3cret", '{"n":"s3cret"}', secret)
      s:post("/v1/none/?key=s3cret", '{"n":"s3cret"}', secret)
    end)
    assert.falsy(text:find("s3cret", 1, true))
    assert.falsy(text:find("127.0.0.1", 1, true))
  end)

  it("shows the bytes of what is refused when it is asked for them", function()
    local list = tap({ "--raw", "--refused" }, 3, function()
      s:post("/v1/events", '{"n":1}')
      s:post("/v1/events", '{"n":"x"}')
      s:post("/v1/events", '{"n":')
      s:post("/v1/events", '{"n":7,"user":"' .. ("y"):rep(3000) .. '"}')
    end)
    local raws = {}
    for _, x in ipairs(list) do raws[x.code] = x end
    assert.equal('{"n":"x"}', raws.wrong_type.raw)
    assert.equal('{"n":', raws.invalid_json.raw)
    assert.equal(2048, #raws.seven.raw)
    assert.is_true(raws.seven.cut)
  end)

  it("shows an event whose hook failed to those alone who ask for its bytes", function()
    local function send() s:post("/v1/events", '{"n":8,"user":"s3cret"}') end
    local list, _, text = tap({}, 1, send)
    assert.equal("dead", list[1].decision)
    assert.falsy(text:find("s3cret", 1, true))
    assert.equal('{"n":8,"user":"s3cret"}', tap({ "--raw" }, 1, send)[1].raw)
  end)

  it("gives a terminal no control characters of clients", function()
    local out = s.dir .. "/terminal.out"
    local _, before = s:text():gsub("event=tap status=begins", "")
    local pid = h.spawn({ "script", "-qec", ("%s tap --spool %s/spool --count 1"):format(
      h.binary, s.data), "/dev/null" }, out)
    h.wait_for("the tap to open", function()
      return select(2, s:text():gsub("event=tap status=begins", "")) > before
    end)
    s:post("/v1/batch", '[{"n":1,"user":"\194\1552J\127"}]')
    assert.equal(0, h.reap(pid))
    local text = h.read(out)
    assert.matches([["user":"\u009b2J\u007f"]], text, 1, true)
  end)

  it("has a neighbour that shows a terminal no commands either: a reload's report", function()
    local before = h.read(s.path)
    h.write(s.path, 'error "\\27]0;x\\7 \\194\\155"')
    local text = h.shell(('script -qec "%s reload --spool %s/spool" /dev/null'):format(
      h.binary, s.data))
    h.write(s.path, before)
    assert.matches("]0;x", text, 1, true)
    assert.falsy(text:find("[\27\7]"))
    assert.falsy(text:find("\194\155", 1, true))
  end)

  it("shows no query, whoever asks", function()
    local list, _, text = tap({ "--raw" }, 1, function()
      h.request(s.port, "GET", "/v1/pixel?n=x&key=s3cret")
    end)
    assert.equal("rejected", list[1].decision)
    assert.falsy(text:find("s3cret", 1, true))
  end)

  it("shows only what passes its filter", function()
    local function ns(options, n, send)
      local list = {}
      for _, x in ipairs((tap(options, n, send))) do list[#list + 1] = x.event.n end
      table.sort(list)
      return list
    end
    local function send()
      for i = 1, 6 do s:post("/v1/events", ('{"n":%d}'):format(i)) end
      s:post("/v1/batch", '[{"n":30},{"n":31}]')
    end
    assert.same({ 6 }, ns({ "--stream", "other" }, 1, send))
    assert.same({ 30, 31 }, ns({ "--route", "POST /v1/batch" }, 2, send))
    assert.same({ 31 }, ns({ "--where", "n=31" }, 1, send))
    assert.same({ 2 }, ns({ "--where", "x=0x1f" }, 1, function() -- no number of JSON
      s:post("/v1/batch", '[{"n":1,"x":31},{"n":2,"x":"0x1f"}]')
    end))
    assert.equal(2, #ns({ "--where", "user=hidden", "--route", "POST /v1/events" }, 2, send))
    local list = tap({ "--refused", "--route", "POST /v1/batch" }, 2, function()
      s:post("/v1/batch", '[{"n":1},{"n":"x"}]')
    end)
    table.sort(list, function(a, b) return a.index < b.index end)
    assert.equal("refused batch_refused", list[1].decision .. " " .. list[1].code)
    assert.equal("rejected wrong_type", list[2].decision .. " " .. list[2].code)
  end)

  it("shows of a stream what a hook sent there, and of the dead letters what failed", function()
    local body = '[{"n":1},{"n":6},{"n":8},{"n":5},{"n":6}]'
    local function seen(stream, n)
      local list = {}
      for _, x in ipairs((tap({ "--stream", stream }, n, function()
        assert.equal(202, s:post("/v1/list", body).status)
        s:post("/v1/list", body)
      end))) do
        list[#list + 1] = x.index .. " " .. x.decision .. " " .. table.concat(x.streams, " ")
      end
      return list
    end
    local rest = { "0 stored events", "1 stored other", "4 stored other", "2 dead dead" }
    assert.same({ rest[1], rest[1] }, seen("events", 2))
    assert.same({ rest[2], rest[3], rest[2], rest[3] }, seen("other", 4))
    assert.same({ rest[4], rest[4] }, seen("dead", 2))
  end)

  it("shows its share of a route's events, by whole batches or beside another filter", function()
    local body = {}
    for i = 1, 100 do body[i] = ('{"n":%d}'):format(i + 100) end
    body = "[" .. table.concat(body, ",") .. "]"
    for _, filter in ipairs { {}, { "--stream", "events" } } do
      local sent, options = 0, { "--sample", "10%", unpack(filter) }
      tap(options, 200, function()
        h.wait_for("the tap to end", function()
          local _, lines = (h.read(s.dir .. "/tap.out") or ""):gsub('{"time"', "")
          if lines >= 200 then return true end
          s:post("/v1/batch", body)
          sent = sent + 100
          h.sleep(0.02)
        end)
      end)
      assert.is_true(sent >= 1400 and sent <= 4000, "200 shown of " .. sent)
    end
  end)

  it("tells what it did not show, and never makes a client wait for it", function()
    local body = {} -- of one turn, and more than a turn's looks
    for i = 1, 10000 do body[i] = ('{"n":%d}'):format(i) end
    body = "[" .. table.concat(body, ",") .. "]"
    local list = tap({ "--where", "n=1" }, 10, function()
      assert.equal(202, s:post("/v1/batch", body).status)
      h.wait_for("the count of those not shown", function()
        return (h.read(s.dir .. "/tap.out") or ""):find '{"dropped":%d+}\n'
      end)
      h.wait_for("the tap to end", function()
        s:post("/v1/batch", '[{"n":1}]')
        return s:text():match "event=tap status=ends[^\n]*dropped=[1-9]"
      end)
    end)
    local dropped = 0
    for _, x in ipairs(list) do dropped = dropped + (x.dropped or 0) end
    assert.is_true(dropped > 0)
  end)

  it("counts an event that is too large to be looked into as not shown", function()
    local large = ('{"n":77,"pad":"%s"}'):format(("x"):rep(20000))
    local list = tap({ "--where", "n=77" }, 1, function()
      assert.equal(202, s:post("/v1/events", large).status)
      h.wait_for("the count", function()
        return (h.read(s.dir .. "/tap.out") or ""):find '{"dropped":1}\n'
      end)
      assert.equal(202, s:post("/v1/events", '{"n":77}').status)
    end)
    assert.equal(1, list[1].dropped)
    assert.equal(77, list[2].event.n)
  end)

  it("is refused to web pages, to the fifth, and when it asks for what there is not", function()
    assert.equal(403, h.request(s.admin, "GET", "/tap", nil,
      { Origin = "http://page.example" }).status)
    assert.equal(405, h.request(s.admin, "HEAD", "/tap").status)
    for _, query in ipairs { "?route", "?rout=x", "?sample=0", "?sample=1.1", "?sample=x",
      "?refused=1", "?field=n", "?value=n", "?field=a%5B&value=1", "?route=%00",
      "?route=" .. ("x"):rep(300), "?route=a&route=b", "?stream=a&refused&stream=a",
      "?field=n&value=1&field=m&value=2" } do
      assert.equal(query .. " 400", query .. " "
        .. h.request(s.admin, "GET", "/tap" .. query).status)
    end
    local function open() -- those before may still be on their way out
      return h.wait_for("a place", function()
        local c = h.connect(s.admin)
        c:send "GET /tap HTTP/1.1\r\nHost: a\r\n\r\n"
        if c:receive "*l" == "HTTP/1.1 200 OK" then return c end
        c:close()
      end)
    end
    local list = {}
    for i = 1, 4 do list[i] = open() end
    assert.equal(503, s:get("/tap").status)
    for i = 1, 4 do list[i]:close() end
    open():close()
    for _, args in ipairs { "--sample 0", "--sample 2", "--count 0", "--count x", "--where x",
      "--where =x", "--where x=", "x", "--where a=1 --where b=2", "--route a --route b",
      "--stream a --where a=1 --stream a" } do
      local code = h.shell(("%s tap --admin 127.0.0.1:1 %s >/dev/null 2>&1; echo $?"):format(
        h.binary, args))
      assert.equal("2\n", code, args)
    end
  end)

  it("ends with the server", function()
    local out = s.dir .. "/tap.end"
    local pid = h.spawn({ h.binary, "tap", "--spool", s.data .. "/spool" }, out)
    h.wait_for("an event", function()
      s:post("/v1/events", '{"n":1}')
      return (h.read(out) or ""):find '"stored"'
    end)
    assert.equal(0, s:stop())
    assert.equal(3, h.reap(pid))
    assert.matches("ended the stream", h.read(out))
  end)
end)
