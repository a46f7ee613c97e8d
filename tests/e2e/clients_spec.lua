local cjson = require "cjson"
local h = require "harness"

-- Real clients, unchanged, while the policy is reloaded and the server restarted.
-- The newest that the node at hand is made for.
local node = tonumber(h.shell("node --version"):match("^v(%d+)"))
local PACKAGES = node and node >= 20
  and { segment = "@segment/analytics-node 3.1.0", ce = "cloudevents 10.0.0" }
  or { segment = "@segment/analytics-node 2.2.1", ce = "cloudevents 9.0.0" }

local function client(package)
  return h.shell("sh tests/fetch.sh --installed " .. package):match("^(/%S+)")
end

local function same(a, b)
  if type(a) ~= "table" or type(b) ~= "table" then return a == b end
  for k, v in pairs(a) do
    if not same(v, b[k]) then return false end
  end
  for k in pairs(b) do
    if a[k] == nil then return false end
  end
  return true
end

local function server(example, without)
  local text, n = h.read("conf/examples/" .. example .. ".lua"):gsub(without or "$^", "")
  assert.equal(without and 1 or 0, n)
  local s = h.server { policy = text }
  s.args = { "--listen", "127.0.0.1:" .. s.port }
  return s
end

-- Reloads and restarts while the client sends: one that drains, one by kill -9. A
-- restarted server has the port of the first. Returns the client's output, and counts.
local function disturb(s, argv)
  local out = s.dir .. "/client"
  local pid = h.spawn(argv, out)
  local stored = function() return s:metric("sluice_stored_events_total") or 0 end
  local text, reloads, stops = h.read(s.path), 0, 0
  h.wait_for("the client's first events", function() return stored() > 0 end)
  for _, signal in ipairs { "SIGTERM", "SIGKILL", "none" } do
    for _ = 1, 4 do
      reloads = reloads + 1
      h.write(s.path, text .. "\n-- " .. reloads .. "\n")
      assert.equal(200, s:reload().status)
      local before = stored()
      h.wait_for("events after a reload", function() return stored() > before end)
    end
    if signal ~= "none" then
      stops = stops + 1
      assert.equal(signal == "SIGTERM" and 0 or "signal 9", s:stop(signal))
      s:start()
      h.wait_for("events after the restart", function() return stored() > 0 end)
    end
  end
  h.write(s.dir .. "/stop", "")
  local code = h.reap(pid, 90)
  local said = h.read(out)
  assert.equal(0, code, said)
  assert.equal(0, s:stop())
  return said, reloads, stops
end

-- Stored lines by the value of their key.
local function by_key(list, key)
  local found = {}
  for _, line in ipairs(list) do
    local e = cjson.decode(line)
    found[e[key]] = found[e[key]] or {}
    table.insert(found[e[key]], { line = line, event = e })
  end
  return found
end

describe("@segment/analytics-node", function()
  local function run(how)
    local dir = client(PACKAGES.segment)
    if not dir then
      pending("no npm, or its registry can't be reached")
      return
    end
    local s = server("segment")
    local out = s.dir .. "/sent"
    local said, reloads, stops = disturb(s, { "node",
      "tests/clients/segment.cjs", dir, "http://127.0.0.1:" .. s.port,
      "demo-key", s.dir .. "/stop", out, how })
    local stored = by_key(s:lines(), "messageId")
    local n, copies = 0, 0
    for line in io.lines(out) do
      local sent = cjson.decode(line)
      assert.is_nil(sent.error)
      local event, list = cjson.decode(sent.text), stored[sent.id]
      assert(list, "lost: " .. sent.text)
      n, copies = n + 1, copies + #list - 1
      for _, got in ipairs(list) do
        -- The event is stored as it was sent, down to the digits.
        assert.equal(sent.text:sub(1, -2), got.line:sub(1, #sent.text - 1))
        assert.equal("demo", got.event.source)
        assert.truthy(got.event.sentAt and got.event.receivedAt)
        assert.is_nil(got.event.writeKey)
        got.event.source, got.event.sentAt, got.event.receivedAt = nil, nil, nil
        assert.is_true(same(event, got.event), got.line)
      end
      stored[sent.id] = nil
    end
    local calls, answers = said:match("calls=(%d+) answers=(%d+)")
    assert.equal(tonumber(calls), n)
    assert.equal(tonumber(answers), n)
    assert.is_true(n > 50, n)
    assert.is_nil(next(stored))
    assert.equal(0, copies)
    print(("# segment%s: %d calls delivered in %s requests, 0 lost, %d stored "
      .. "twice, over %d reloads and %d restarts"):format(how and " " .. how or "",
      n, said:match("requests=(%d+)"), copies, reloads, stops))
    s:close()
  end

  it("loses nothing over reloads, a restart and a kill -9", function() run() end)

  it("loses nothing over them with gzip", function() run("gzip") end)
end)

describe("@segment/analytics-next in a browser", function()
  it("sends from a page of another origin, and can read the answers", function()
    if h.shell("command -v chromium") == "" then
      pending("no chromium: apt-get install chromium")
      return
    end
    local dir = client("@segment/analytics-next 1.84.3")
    if not dir then
      pending("no npm, or its registry can't be reached")
      return
    end
    local s = server("segment")
    local out = s.dir .. "/client"
    assert.equal(0, h.reap(h.spawn({ "node", "tests/clients/browser.cjs", dir,
      "http://127.0.0.1:" .. s.port, "demo-key", s.dir .. "/profile" }, out), 90))
    local said = cjson.decode(h.read(out))
    assert.same({ fetched = { status = 200, body = '{"success":true}' },
      bad = { status = 400, body = { error = "Invalid JSON",
        code = "invalid_json", offset = 1, detail = "expected a key in quotes" } },
      beacon = true }, said)
    assert.equal(0, s:stop())
    local found = {}
    for _, line in ipairs(s:lines()) do
      local e = cjson.decode(line)
      assert.same({ "demo", nil }, { e.source, e.writeKey })
      found[#found + 1] = e.type .. " " .. (e.event or e.name or e.userId)
    end
    table.sort(found)
    assert.same({ "identify u-1", "page Home", "track Batched", "track Batched",
      "track Batched", "track Fetched", "track Left", "track Seen é" }, found)
    print(("# browser: %d calls from Chromium stored: single, batched, behind an "
      .. "OPTIONS, as a beacon"):format(#found))
    s:close()
  end)
end)

describe("cloudevents", function()
  it("stores the same event in each mode, over reloads and a kill -9", function()
    local dir = client(PACKAGES.ce)
    if not dir then
      pending("no npm, or its registry can't be reached")
      return
    end
    -- Without dedup: each mode's event counts by itself.
    local s = server("cloudevents", ",%s*dedup = %b{}")
    local out = s.dir .. "/sent"
    local said, reloads, stops = disturb(s, { "node",
      "tests/clients/cloudevents.cjs", dir,
      "http://127.0.0.1:" .. s.port .. "/events", s.dir .. "/stop", out })
    local stored, n, copies = by_key(s:lines(), "id"), 0, 0
    for line in io.lines(out) do
      local sent = cjson.decode(line)
      local list = stored[sent.id]
      assert.is_true(list ~= nil and #list >= 3, "lost: " .. line)
      n, copies = n + 1, copies + #list - 3
      for _, got in ipairs(list) do
        -- The SDK gives a type to binary mode where the event has none.
        if not sent.datacontenttype and got.event.datacontenttype then
          assert.equal("application/json; charset=utf-8",
            got.event.datacontenttype)
          got.event.datacontenttype = nil
        end
        assert.is_true(same(sent, got.event), line .. "\n" .. got.line)
      end
      stored[sent.id] = nil
    end
    assert.is_true(n > 50, n)
    assert.is_nil(next(stored))
    print(("# cloudevents: %d events in 3 modes, all equal, 0 lost, %d stored "
      .. "again, %s sent again, over %d reloads and %d restarts"):format(n, copies,
      said:match("again=(%d+)"), reloads, stops))
    s:close()
  end)
end)
