local campaign = require "campaign"
local cjson = require "cjson"
local faults = require "faults"
local h = require "harness"
local socket = require "socket"

-- answer.body_refused: what a sender is told in the form of its own protocol, at each place
-- where sluice refuses a request: before the body, of the body, after the commit.
local POLICY = [[
server { listen = "127.0.0.1:0", workers = 1, max_body = "64KiB" }
admin { listen = "127.0.0.1:0" }
file "archive" { dir = "archive", linger = "20ms" }
http "silent" { url = "http://127.0.0.1:SILENT/", timeout = "1m" }
stream "events" { sinks = { "archive" } }
stream "refused" { sinks = { "archive" } }
stream "late" { ack = "delivered", timeout = "TIMEOUT", sinks = { "silent" } }
local answer = { status = 200, refused = 400, body = '{"text":"Success","code":0}',
  body_refused = '{"text":"{$message}","code":{$code},"status":{$status}}',
  codes = { token_required = 2, missing_field = 12, hostile = 13, [429] = 19, [503] = 9,
    [504] = 24, other = 6 } }
local event = schema { event = any { required = true } }
local function on_request(req)
  local token = req.headers.authorization
  if not token then return reject("token_required", "Token is required", 401) end
  if token == "busy" then return reject("busy", "come later", 429) end
end
local function on_event(ev)
  if ev.say then return reject("hostile", ev.say) end
end
local scarce = limit { rate = "1/h", burst = 1 }
for path, more in pairs { ["/hec"] = {}, ["/kept"] = { on_refused = { stream = "refused" } },
    ["/late"] = { stream = "late" }, ["/scarce"] = { limits = { scarce } } } do
  route("POST " .. path) { body = "events", types = { "*/*" }, schema = event,
    on_request = on_request, on_event = on_event, on_refused = more.on_refused,
    limits = more.limits, stream = more.stream or "events", answer = answer,
    cors = { origins = { "*" } } }
end
route "POST /plain" { body = "batch", stream = "events", on_event = on_event,
  answer = { status = 204, body_refused = "{$status} {$code}: {$message}\n",
    type = "text/plain; charset=utf-8" } }
route "PUT /hec" { body = "any", stream = "events" }
]]

describe("a route's own body for refusals", function()
  local dir = h.folder()
  local f = faults.new(dir)
  local silent = assert(socket.bind("127.0.0.1", 0))
  local s

  local function policy(timeout)
    return (POLICY:gsub("SILENT", (select(2, silent:getsockname()))):gsub("TIMEOUT", timeout))
  end
  setup(function() s = h.server { data = dir, wrap = f:wrap(), policy = policy "1s" } end)
  teardown(function() s:close() silent:close() end)

  local function ask(path, body, headers)
    headers = headers or {}
    headers.Authorization = headers.Authorization or "t"
    headers.Origin = "https://shop.example"
    return h.request(s.port, "POST", path, body, headers)
  end
  ---The answer as JSON; it has the lines of the route.
  local function told(a)
    assert.equal("application/json", a.headers["content-type"])
    assert.equal("*", a.headers["access-control-allow-origin"])
    local t = cjson.decode(a.body)
    assert.equal(a.status, t.status)
    return t
  end

  it("is given before the body, which is not asked for", function()
    local a = s:raw("POST /hec HTTP/1.1\r\nHost: x\r\nOrigin: https://shop.example\r\n"
      .. "Content-Length: 50000\r\nExpect: 100-continue\r\n\r\n")
    assert.same({ 401, 2, "Token is required" }, { a.status, told(a).code, told(a).text })
    assert.truthy(a.headers["www-authenticate"])
    a = s:raw("POST /hec HTTP/1.1\r\nHost: x\r\nOrigin: https://shop.example\r\n"
      .. "Content-Length: 65537\r\n\r\n")
    assert.same({ 413, 6 }, { a.status, told(a).code })
    a = ask("/hec", "{}", { ["Content-Encoding"] = "lzma" })
    assert.same({ 415, 6 }, { a.status, told(a).code })
    assert.truthy(a.headers["accept-encoding"])
    a = s:raw("POST /hec HTTP/1.1\r\nHost: a\r\nHost: b\r\nOrigin: https://shop.example\r\n"
      .. "Content-Length: 0\r\n\r\n")
    assert.same({ 400, 6 }, { a.status, told(a).code })
  end)

  it("says why the body is refused", function()
    for _, path in ipairs { "/hec", "/kept" } do
      for body, code in pairs { ["{"] = 6, ['{"event":"\1"}'] = 6, ['{"a":1}'] = 12,
          ['{"a":1}{"event":1,"say":"x"}'] = 12 } do
        local a = ask(path, body)
        assert.same({ 400, code }, { a.status, told(a).code }, path .. body)
        assert.truthy(#told(a).text > 3)
      end
    end
    local a = ask("/hec", "no gzip", { ["Content-Encoding"] = "gzip" })
    assert.same({ 400, 6 }, { a.status, told(a).code })
    a = s:raw("POST /hec HTTP/1.1\r\nHost: x\r\nOrigin: https://shop.example\r\n"
      .. "Authorization: t\r\nTransfer-Encoding: chunked\r\n\r\n"
      .. ("8000\r\n" .. (" "):rep(0x8000) .. "\r\n"):rep(3) .. "0\r\n\r\n")
    assert.same({ 413, 6 }, { a.status, told(a).code })
  end)

  it("is one JSON text whatever bytes of the client are in it", function()
    for _, text in ipairs { '","code":0,"x":"', "\\", "\n\r\t\b\f", "é\u{2028}", "{$code}",
        ("\1"):rep(400) } do
      local a = ask("/hec", cjson.encode { event = 1, say = text })
      assert.same({ text, 13, 400 }, { told(a).text, told(a).code, a.status })
    end
  end)

  it("keeps Retry-After", function()
    local a = ask("/hec", '{"event":1}', { Authorization = "busy" })
    assert.same({ 429, 19, "come later" }, { a.status, told(a).code, told(a).text })
    assert.truthy(tonumber(a.headers["retry-after"]))
    assert.equal(200, ask("/scarce", '{"event":1}').status)
    a = ask("/scarce", '{"event":1}')
    assert.same({ 429, 19 }, { a.status, told(a).code })
    assert.truthy(tonumber(a.headers["retry-after"]) > 1000)
  end)

  it("is text of one line, with its own type", function()
    local a = ask("/plain", '[{"say":"a\\r\\nb<"}]', { ["Content-Type"] = "application/json" })
    assert.same({ 422, "422 hostile: a  b<\n", "text/plain; charset=utf-8" },
      { a.status, a.body, a.headers["content-type"] })
    a = ask("/plain", "x", { ["Content-Type"] = "image/png" })
    assert.equal(415, a.status)
    assert.matches("^415 unsupported_type: [^\n]+\n$", a.body)
    a = s:raw("POST /plain HTTP/1.1\r\nHost: x\r\nContent-Length: 65537\r\n\r\n")
    assert.same({ 413, "text/plain; charset=utf-8" }, { a.status, a.headers["content-type"] })
    a = ask("/plain", '[{"ok":1}]', { ["Content-Type"] = "application/json" })
    assert.same({ 204, nil }, { a.status, a.headers["content-type"] })
  end)

  it("is sluice's own where no route is found", function()
    assert.equal("unknown_path", cjson.decode(ask("/none", "{}").body).code)
    assert.equal("method_not_allowed",
      cjson.decode(h.request(s.port, "GET", "/hec").body).code)
    assert.equal("invalid_json", cjson.decode(h.request(s.port, "PUT", "/hec", "{",
      { ["Content-Type"] = "application/json" }).body).code)
  end)

  it("says that the disk failed, and that it fails still", function()
    f:rules "on=write do=EIO path=/spool/"
    for _ = 1, 3 do
      local a = ask("/hec", '{"event":1}')
      assert.same({ 503, 9 }, { a.status, told(a).code })
      assert.truthy(tonumber(a.headers["retry-after"]))
    end
    f:rules()
    h.wait_for("the disk", function() return ask("/hec", '{"event":1}').status == 200 end)
  end)

  -- Its text lies in the policy that it came by, which is gone by then.
  it("is that of the policy which took the request, also after reloads", function()
    h.write(s.path, policy "3s")
    assert.equal(200, s:reload().status)
    local body = '{"event":1}'
    local c = h.connect(s.port, 30)
    local before = s:metric("sluice_stored_events_total", 'stream="late"') or 0
    c:send(("POST /late HTTP/1.1\r\nHost: x\r\nAuthorization: t\r\n"
      .. "Origin: https://shop.example\r\nContent-Length: %d\r\n\r\n%s"):format(#body, body))
    h.wait_for("the event to be stored", function()
      return (s:metric("sluice_stored_events_total", 'stream="late"') or 0) == before + 1
    end)
    for i = 1, 3 do
      h.write(s.path, policy("3s"):gsub("%[504%] = 24", "[504] = 99") .. "-- " .. i)
      assert.equal(200, s:reload().status)
    end
    local a = h.answer(c)
    c:close()
    assert.same({ 504, 24 }, { a.status, told(a).code })
    assert.matches("kept and will be delivered", told(a).text)
  end)

  -- http refuses it by itself, after the policy that took it has gone.
  it("is that of the policy which took the request, also when the body is too large", function()
    local NAME = 'route="POST /hec",code="too_large",status="413"'
    for _, change in ipairs { { '"text":"{$message}"', '"other":"{$message}"' },
        { '["/hec"] = {}', '["/moved"] = {}' } } do
      h.write(s.path, policy "1s")
      assert.equal(200, s:reload().status)
      local before = s:metric("sluice_refusals_total", NAME) or 0
      local c = h.connect(s.port, 30)
      c:send("POST /hec HTTP/1.1\r\nHost: x\r\nAuthorization: t\r\n"
        .. "Origin: https://shop.example\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n \r\n")
      h.wait_for("the request to begin", function()
        return s:metric("sluice_body_buffer_bytes") > 0
      end)
      h.write(s.path, (policy("1s"):gsub(change[1]:gsub("%p", "%%%0"), change[2])))
      assert.equal(200, s:reload().status)
      c:send(("8000\r\n" .. (" "):rep(0x8000) .. "\r\n"):rep(3) .. "0\r\n\r\n")
      local a = h.answer(c)
      c:close()
      assert.same({ 413, 6 }, { a.status, told(a).code })
      assert.matches("larger than the allowed", told(a).text)
      if change[2]:find "other" then -- the route, and its series, stay
        assert.equal(before + 1, s:metric("sluice_refusals_total", NAME))
      end
    end
    h.write(s.path, policy "1s")
    assert.equal(200, s:reload().status)
  end)

  it("is given while sluice ends with a request under way", function()
    local c = h.connect(s.port, 30)
    c:send("POST /hec HTTP/1.1\r\nHost: x\r\nAuthorization: t\r\n"
      .. "Origin: https://shop.example\r\nContent-Length: 7\r\n\r\n{\"a\"")
    h.wait_for("the request to begin", function()
      return s:metric("sluice_body_buffer_bytes") > 0
    end)
    s:signal "SIGTERM"
    s:logged "event=drain"
    c:send ":1}"
    local a = h.answer(c)
    c:close()
    assert.same({ 400, 12, "close" }, { a.status, told(a).code, a.headers.connection })
  end)
end)

describe("splunk-logging, with the example's policy", function()
  it("sees an error with Splunk's number in each refusal", function()
    local folder = campaign.fetch "splunk-logging 0.11.1"
    if not folder then
      pending "no npm, or its registry can't be reached"
      return
    end
    local s = h.server { path = "conf/examples/splunk_hec.lua" }
    finally(function() s:close() end)
    local out = h.shell(("node tests/clients/splunk_refused.cjs %s http://127.0.0.1:%d 2>&1")
      :format(folder, s.port))
    assert.same({
      "good: no error, code 0",
      "Splunk other: error, code 4",
      "blank: error, code 13",
    }, (function()
      local list = {}
      for line in out:gmatch "[^\n]+" do list[#list + 1] = line end
      return list
    end)())
  end)
end)
