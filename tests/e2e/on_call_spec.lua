-- Words and figures that mislead who looks at night: paths with spaces, names that nobody
-- knows, breakers and series that say what is over.
local certificates = require "certificates"
local cjson = require "cjson"
local h = require "harness"
local numbered = require "numbered"
local prometheus = require "prometheus"
local receiver = require "receiver"

local POLICY = [[
server { listen = "127.0.0.1:0", workers = 1 }
admin { listen = "127.0.0.1:0" }
http "out" { url = %q, batch = { linger = "5ms" }, breaker = { timeout = "300ms" } }
null "void" {}
stream "events" { sinks = { "out" } }
stream "other" { sinks = { "void" }, %s }
route "POST /v1/events" { body = "event", stream = "events" }
%s
]]

describe("who looks at night", function()
  local r, s, dir
  before_each(function() dir = h.folder() end)
  after_each(function()
    if s then s:close() s = nil end
    if r then r:close() r = nil end
    h.remove(dir)
  end)

  local function serve(more, routes)
    r = receiver.start()
    s = h.server { policy = POLICY:format(r.url, more or "", routes or "") }
  end
  local function run(args)
    local text = h.shell(("'%s' %s 2>&1; echo \" $?\""):format(h.binary, args))
    local said, code = text:match "^(.-)\n? (%d+)%s*$"
    return said, tonumber(code)
  end

  it("reads each value of a line whole, though the paths have spaces", function()
    local there = dir .. "/a b=c"
    h.shell(("mkdir -p '%s'"):format(there))
    s = h.server { policy = h.policy { top = 'log { format = "json" }' },
      data = there .. "/data" }
    local seen
    for line in s:text():gmatch "[^\n]+" do
      local ok, x = pcall(cjson.decode, line)
      if ok and x.event == "ready" then seen = x end
    end
    assert.equal(there .. "/data", seen.data)
    assert.is_number(seen.epoch)
    h.write(s.path, h.policy {})
    assert.equal(0, s:stop())
    s:start()
    s:logged(('event=ready [^\n]*data="%s/data" epoch=2 '):format((there:gsub("%p", "%%%0"))))
  end)

  it("is told that a tap's route or stream is not known, once, and sees its events later",
    function()
      serve()
      local out, err = dir .. "/out", dir .. "/err"
      local pid = h.spawn({ h.binary, "tap", "--spool", s.data .. "/spool", "--count", "1",
        "--route", "POST /v1/more", "--stream", "fresh" }, out, err)
      h.wait_for("the words", function()
        local text = h.read(err) or ""
        return text:find 'the live policy has no route "POST /v1/more" now'
          and text:find 'the live policy has no stream "fresh" now'
      end)
      s:logged "event=tap status=begins"
      numbered.reload(s, POLICY:format(r.url, "", [[stream "fresh" { sinks = { "void" } }
        route "POST /v1/more" { body = "event", stream = "fresh" }]]))
      assert.equal(202, s:post("/v1/more", '{"n":1}').status)
      assert.equal(0, h.reap(pid))
      assert.equal("POST /v1/more", cjson.decode(h.read(out)).route) -- and nothing else
      assert.equal(2, select(2, h.read(err):gsub("live policy", "")))
    end)

  it("finds no alert of a breaker that waits for more events behind one that passed", function()
    if prometheus.missing then pending(prometheus.missing) return end
    serve()
    local p = prometheus.start(dir, "300ms", { s.admin }, prometheus.rules())
    finally(function() p:close() end)
    r:rule "status 503"
    assert.equal(202, s:post("/v1/events", '{"n":1}').status)
    h.wait_for("the alert", function()
      return p:ask "/api/v1/alerts" and p:firing().SluiceBreakerOpen
    end, 60)
    assert.matches("sink out sends nothing", run(("status --admin 127.0.0.1:%d --during 20ms")
      :format(s.admin)))
    r:rule ""
    h.wait_for("the event", function() return #r:events() == 1 end, 30)
    h.wait_for("its end", function() return not p:firing().SluiceBreakerOpen end, 30)
    -- Of three that have to pass, one has.
    assert.equal(1, s:metric "sluice_breaker_state")
    assert.equal(0, s:metric "sluice_endpoint_failing")
    assert.is_nil(run(("status --admin 127.0.0.1:%d --during 20ms"):format(s.admin))
      :find("breaker", 1, true))
  end)

  it("sees no series of an index and of dedup on disk that the live policy has not", function()
    serve('index = "n", dedup = { key = "n", window = "1h", persist = true }')
    local function series()
      local list = {}
      for name in s:get("/metrics").body:gmatch '\n(sluice_%l+_[%l_]+){stream="other"' do
        if name:find "^sluice_index_" or name:find "^sluice_dedup_[sd][ai]" then
          list[#list + 1] = name
        end
      end
      return #list
    end
    assert.is_true(series() >= 8)
    local before = h.read(s.path)
    numbered.reload(s, POLICY:format(r.url, "", ""))
    h.wait_for("the series to go", function() return series() == 0 end)
    numbered.reload(s, before)
    h.wait_for("the series to come back", function() return series() >= 8 end)
  end)

  it("reads the whole name of the route that refuses", function()
    local path = "/v1/" .. ("long/"):rep(12) .. "end"
    serve(nil, ([[route "POST %s" { body = "event", stream = "events",
      on_event = function() return reject("a_code_of_more_than_24_letters_too") end }]])
      :format(path))
    assert.equal(422, s:post(path, "{}").status)
    local said = run(("status --admin 127.0.0.1:%d --during 20ms"):format(s.admin))
    assert.matches("\n  POST " .. path:gsub("%p", "%%%0")
      .. " +a_code_of_more_than_24_letters_too +422 ", said)
  end)

  it("gets exit code 2 for an address that is none", function()
    h.write(dir .. "/p.lua", h.policy {})
    for _, option in ipairs { "--listen 8080x", "--admin localhost", "--listen :x" } do
      local said, code = run(("run %s '%s/p.lua'"):format(option, dir))
      assert.equal(2, code)
      assert.matches("sluice: " .. option:gsub("%p", "%%%0"):gsub(" ", " can't be \"") .. '"', said)
    end
  end)

  it("gets no control character from a policy's line, in a start and a reload", function()
    local bad = 'error "\27]0;x\7 \194\155" then'
    h.write(dir .. "/p.lua", bad)
    for _, command in ipairs { "run", "check" } do
      local said, code = run(("%s '%s/p.lua'"):format(command, dir))
      assert.equal(1, code)
      assert.matches("1 | error ", said, 1, true)
      assert.is_nil(said:find "[%z\1-\9\11-\31]")
      assert.is_nil(said:find("\194\155", 1, true))
    end
    serve()
    h.write(s.path, bad)
    assert.is_nil(s:reload().body:find "[%z\1-\9\11-\31]")
  end)

  it("reads why a policy of a pipe is refused, and what takes one", function()
    h.shell(("mkfifo '%s/pipe'"):format(dir))
    local said, code = run(("check '%s/pipe'"):format(dir))
    assert.equal(1, code)
    assert.matches("a pipe can't be read twice", said, 1, true)
    assert.matches("sluice check -", said, 1, true)
  end)

  it("reads the hook's line of each error, also where Lua has no line for it", function()
    serve(nil, [[
      route "POST /v1/raises" { body = "event", stream = "events", schema = schema { k = str {} },
        on_event = function(ev)
          if ev.k == "to" then return to(ev.k) end
          if ev.k == "table" then error({}) end
          if ev.k == "bare" then error("no line", 0) end
          return reject(ev.k)
        end }
      route "POST /v1/asks" { body = "event", stream = "events",
        on_request = function(req) return reject(req.headers["x-code"], "", 403) end }]])
    local function raises(k, words)
      s:post("/v1/raises", ('{"k":"%s"}'):format(k))
      s:logged(('route="POST /v1/raises" [^\n]*why="[^"]*/policy.lua:9: in this hook: %s"')
        :format(words))
      h.sleep(1.05) -- the log has one a second
    end
    raises("a code", 'reject: \\"a code\\" is not a code such as \\"missing_value\\"')
    raises("to", "to: there is no stream to")
    raises("table", "error with a value, table")
    raises("bare", "no line")
    s:post("/v1/asks", "{}")
    s:logged 'route="POST /v1/asks" [^\n]*/policy.lua:16: in this hook: reject: nil is not a code'
  end)

  it("is told that the listener lets no command in, or is that of clients", function()
    serve()
    local said, code = run(("status --admin 127.0.0.1:%d"):format(s.port))
    assert.equal(3, code)
    assert.matches("a listener for clients answers: expected the admin listener", said, 1, true)
    s:stop()
    h.write(s.path, (POLICY:format(r.url, "", ""):gsub("admin { ",
      'admin { allow = { "192.0.2.0/24" }, ')))
    s:start()
    said, code = run(("status --spool '%s/spool'"):format(s.data))
    assert.equal(3, code)
    assert.matches("look whether allow, deny, proxy_protocol and tls.client of the policy's "
      .. "admin listener let this machine in", said, 1, true)
  end)

  it("hears of a certificate that is not valid yet, and of one whose time ends", function()
    certificates.make(dir, "early", { days = 90, age = -30 })
    certificates.make(dir, "ends", { days = 3 / 86400, age = 60 })
    local function listener(host, name)
      return ('listen "%s:0" { tls = { cert = "%s/%s.pem", key = "%s/%s.key", '
        .. 'renew = "100ms" } }\n'):format(host, dir, name, dir, name)
    end
    serve(nil, listener("127.0.0.2", "early") .. listener("127.0.0.3", "ends"))
    s:logged 'status=not_valid [^\n]*early.pem[^\n]* is not valid before '
    s:logged 'status=not_valid [^\n]*ends.pem[^\n]* expired on '
    local said, code = run(("status --admin 127.0.0.1:%d --during 20ms"):format(s.admin))
    assert.equal(1, code)
    assert.equal(2, select(2, said:gsub("has expired, or is not valid yet: clients refuse it",
      "")), said)
  end)

  -- One that is told keeps no other from being told, nor from a second word of its own.
  it("hears of each certificate when its time ends, also while another is late", function()
    local clock = os.tmpname()
    certificates.make(dir, "early", { days = 4, age = -1 })
    certificates.make(dir, "ends", { days = 2, age = 1 })
    local function files(name) return ('cert = "%s/%s.pem", key = "%s/%s.key"'):format(dir, name,
      dir, name) end
    r = receiver.start()
    s = h.server { wrap = h.own_clock(clock), policy = POLICY:format(r.url, "", ([[
      listen "127.0.0.2:0" { tls = { %s, { %s }, renew = "100ms" } }]]):format(files "early",
      files "ends")) }
    local function told(what)
      return select(2, s:text():gsub("status=not_valid [^\n]*" .. what, ""))
    end
    local function at(days, what)
      h.set_clock(clock, days * 86400000)
      s:logged("status=not_valid [^\n]*" .. what)
    end
    at(0, "early.pem[^\n]* is not valid before ")
    assert.equal(0, told "ends.pem")
    h.set_clock(clock, 1.5 * 86400000)
    h.wait_for("both to be valid", function()
      return s:metric "sluice_tls_certificate_expiry_seconds" > 0
    end)
    at(3, "ends.pem[^\n]* expired on ")
    at(5, "early.pem[^\n]* expired on ")
    assert.same({ 2, 1 }, { told "early.pem", told "ends.pem" })
    os.remove(clock)
  end)
end)
