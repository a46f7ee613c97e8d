local cjson = require "cjson"
local clickhouse = require "clickhouse"
local h = require "harness"
local kafka = require "kafka"
local testing = require "sluice.testing"

local EXAMPLES = "conf/examples/"
local POLICY = "attribution_full.lua"
local AT = (os.time() - 60) * 1000
local FORM = "application/x-www-form-urlencoded"

-- conf/examples/attribution_full.lua as it stands, with a Kafka cluster, a ClickHouse server
-- and the table that "sluice schema" prints: what was sent by each way in beside what arrived.
describe("the attribution platform of the examples", function()
  local dir, m, ch, s
  local want, refusals, serial = {}, 0, 0

  setup(function()
    m = kafka.mock()
    m:say "topic attribution 4"
    if clickhouse.missing() then return end
    ch = clickhouse.start()
    ch:must "CREATE DATABASE attribution"
    local sql = h.shell(h.binary .. " schema --clickhouse " .. EXAMPLES .. POLICY)
    ch:must((sql:gsub(";%s*$", "")))
    dir = h.folder()
    h.shell(("cp -r %s%s %sattribution_full %sgeo.mmdb '%s'"):format(
      EXAMPLES, POLICY, EXAMPLES, EXAMPLES, dir))
    s = h.server { path = dir .. "/" .. POLICY, wrap = { "env", "PEPPER=pepper",
      "KAFKA_BROKERS=" .. m.brokers, "CLICKHOUSE_URL=" .. ch.url } }
  end)

  teardown(function()
    if s then s:close() end
    if ch then ch:close() end
    if dir then h.remove(dir) end
    m:close()
  end)

  local function id()
    serial = serial + 1
    return "id-" .. serial
  end

  local function event(over)
    local e = { event_id = id(), type = "open", user_id = "u" .. serial % 7 }
    for k, v in pairs(over or {}) do e[k] = v end
    return e
  end

  -- As a row of the archive, of Kafka and of ClickHouse is told from others.
  local function row(e)
    return ("%s %s %s %s %s %s"):format(e.event_id, e.type, e.app, e.source, e.user or "-",
      e.revenue and ("%.2f"):format(e.revenue) or "0.00")
  end

  -- Answers e with the status, and expects it at every sink.
  local function sent(status, a, e, app, source)
    assert.equal(status, a.status, a.body)
    want[#want + 1] = row { event_id = e.event_id, type = e.type, app = app, source = source,
      user = e.user_id and testing.hmac("pepper", e.user_id), revenue = e.revenue }
  end

  local function refused(status, a)
    assert.equal(status, a.status)
    refusals = refusals + 1
  end

  local function query(e)
    local list = {}
    for k, v in pairs(e) do list[#list + 1] = k .. "=" .. tostring(v) end
    return table.concat(list, "&")
  end

  local function get(target) return h.request(s.port, "GET", target) end
  local function postback(e, secret)
    local text = query(e)
    return get("/postback/acme?" .. text .. "&sig=" .. testing.hmac(secret or "acme-secret", text))
  end
  local function keyed(path, body, headers)
    headers = headers or {}
    headers["X-API-Key"] = "shop-key"
    return s:post(path, body, headers)
  end
  local function packed(command, text)
    local file = os.tmpname()
    h.write(file, text)
    local f = io.popen(command .. " < " .. file, "r")
    local out = f:read "*a"
    f:close()
    os.remove(file)
    return out
  end

  local purchases, repeats = {}, 0
  -- Each way in once; the events of a batch are 20.
  local function every_way()
    local e = event { type = "install", app = "shop" }
    sent(200, postback(e), e, "shop", "postback")
    e = event { type = "click", click_id = "c1" }
    local a = get("/click/shop?redirect=https%3A%2F%2Fshop.example%2Fa&" .. query(e))
    assert.equal("https://shop.example/a", a.headers.location)
    sent(302, a, e, "shop", "ad")
    e = event { type = "view" }
    a = get("/view/game?" .. query(e))
    assert.equal(43, #a.body)
    sent(200, a, e, "game", "ad")
    for coding, command in pairs { gzip = "gzip -c", zstd = "zstd -c" } do
      local list = {}
      for i = 1, 20 do list[i] = event { properties = { n = i } } end
      a = keyed("/v1/shop/batch", packed(command, cjson.encode(list)),
        { ["Content-Encoding"] = coding })
      for _, b in ipairs(list) do sent(202, a, b, "shop", "sdk") end
    end
    e = event { type = "level" }
    sent(202, keyed("/v1/shop/events", query(e), { ["Content-Type"] = FORM }), e, "shop", "partner")
    e = event { type = "level", ip = "192.0.2.7", is_test = true, at = AT }
    sent(202, keyed("/v1/shop/events", cjson.encode(e)), e, "shop", "partner")
    e = event { type = "purchase", revenue = 9.5, currency = "EUR" }
    purchases[#purchases + 1] = e
    sent(202, keyed("/v1/shop/events", cjson.encode(e)), e, "shop", "partner")
  end

  -- Each once more, as a retry and as its network's postback.
  local function purchases_again()
    for _, e in ipairs(purchases) do
      assert.equal(202, keyed("/v1/shop/batch", cjson.encode { e }).status)
      local b = {}
      for k, v in pairs(e) do b[k] = v end
      b.app = "shop"
      assert.equal(200, postback(b).status)
      repeats = repeats + 2
    end
  end

  local function bad_ones()
    refused(422, postback({ app = "shop", type = "install", email = "ann@example.org" }, "guess"))
    refused(302, get "/click/shop?redirect=https%3A%2F%2Fevil.example")
    refused(200, get "/view/shop?at=1")
    refused(422, keyed("/v1/shop/events", "type=purchase", { ["Content-Type"] = FORM }))
    refused(400, keyed("/v1/shop/batch", '[{"type":'))
    assert.equal(404, get("/postback/evil?type=install").status)
    assert.equal(401, s:post("/v1/shop/batch", "[]").status)
  end

  local function sorted(list)
    table.sort(list)
    return list
  end

  -- Without the copies of those that were on their way when the server was killed.
  local function once(list)
    local seen, out = {}, {}
    for _, r in ipairs(list) do
      if not seen[r] then out[#out + 1] = r end
      seen[r] = true
    end
    return sorted(out)
  end

  local function of_lines(lines)
    local list = {}
    for i, line in ipairs(lines) do list[i] = row(cjson.decode(line)) end
    return sorted(list)
  end

  it("takes postbacks again that it refused for a secret that was changed", function()
    if not ch then return pending(clickhouse.missing()) end
    local missed = {}
    for i = 1, 3 do
      missed[i] = event { type = "install", app = "shop" }
      refused(422, postback(missed[i], "acme-new"))
    end
    local file = dir .. "/attribution_full/partners.csv"
    h.write(file, (h.read(file):gsub("acme,.-\n", "acme,acme-new,acme-secret\n")))
    -- Of the file that still grows.
    h.wait_for("what the new secret accepts", function()
      return h.shell(("%s replay --policy '%s' '%s/refused'"):format(h.binary, s.path, s.data))
        :find "3  accepted: bad_signature"
    end)
    assert.equal(200, s:reload().status)
    h.wait_for("the records", function()
      local out = h.shell(("zstdcat '%s'/refused/* 2>&1 | sh %sattribution_full/send_again.sh "
        .. "bad_signature 0 http://127.0.0.1:%d 2>&1"):format(s.data, EXAMPLES, s.port))
      return out:match "^%s*3 200%s*$"
    end)
    for _, e in ipairs(missed) do sent(200, { status = 200 }, e, "shop", "postback") end
  end)

  it("delivers what came by each way over a reload and a kill, purchases once", function()
    if not ch then return pending(clickhouse.missing()) end
    for _ = 1, 3 do every_way() end
    bad_ones()
    assert.equal(200, s:reload().status)
    every_way()
    purchases_again()
    s:stop "SIGKILL"
    s:start()
    repeats = 0
    purchases_again()
    for _ = 1, 3 do every_way() end
    bad_ones()
    purchases_again()
    s:deliver()
    assert.equal(0, s:metric "sluice_sink_lost_events" or 0)
    assert.equal(repeats, s:metric("sluice_dedup_events_total", "repeat"))
    s:stop()
    sorted(want)
    assert.same(want, of_lines(s:lines "archive"))
    assert.same(want, once(of_lines(kafka.consume(m.brokers, "attribution"))))
    local rows = {}
    for line in ch:must([[SELECT event_id, type, app, source, user, revenue
      FROM attribution.events FORMAT TabSeparated]]):gmatch "[^\n]+" do
      local t = {}
      for v in (line .. "\t"):gmatch "([^\t]*)\t" do t[#t + 1] = v end
      rows[#rows + 1] = row { event_id = t[1], type = t[2], app = t[3], source = t[4],
        user = t[5] ~= "" and t[5] or nil, revenue = tonumber(t[6]) }
    end
    assert.same(want, once(rows))
    assert.equal(#purchases, ch:count(
      "SELECT uniq(event_id) FROM attribution.events WHERE is_test = 1 AND at = " .. AT))
    assert.equal(refusals, #s:lines "refused")
  end)

  it("masks what the table, the bus and the archive get, and the log has nothing", function()
    if not ch then return pending(clickhouse.missing()) end
    local text = table.concat(s:lines "archive", "\n") .. h.read(s.log)
      .. table.concat(kafka.consume(m.brokers, "attribution"), "\n")
    for _, secret in ipairs { '"u1"', "127.0.0.1\"", "192.0.2.7", "ann@", "guess",
      "acme-secret", "pepper", "shop-key" } do
      assert.falsy(text:find(secret, 1, true), secret)
    end
    -- These are for few people: they have what was sent.
    assert.truthy(table.concat(s:lines "refused"):find("ann@example.org", 1, true))
    assert.equal("DE\t192.0.2.0\n", ch:must("SELECT DISTINCT country, ip FROM attribution.events"
      .. " WHERE country != ''"))
  end)

  it("puts a user's events on one partition", function()
    if not ch then return pending(clickhouse.missing()) end
    local place = {}
    for _, line in ipairs(kafka.consume(m.brokers, "attribution", "%k %p\\n")) do
      local key, p = line:match "^(%S+) (%d+)$"
      if key then
        assert.equal(place[key] or p, p)
        place[key] = p
      end
    end
    assert.truthy(next(place))
  end)
end)
