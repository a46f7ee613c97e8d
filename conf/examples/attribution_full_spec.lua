local testing = require "sluice.testing"

describe("attribution_full.lua", function()
  local NOON, NOON_MS = "2026-03-01T12:00:00Z", 1772366400000
  local policy
  -- Without what tests before have counted, used up and sent.
  local function fresh()
    policy = assert(testing.load("attribution_full.lua",
      { env = { PEPPER = "pepper" }, time = NOON }))
  end

  local function hidden(text) return testing.hmac("pepper", text) end
  local function stored(r, stream)
    local lines = r.stored[stream or "events"]
    return lines and testing.decode(lines[1])
  end
  local function refused(r)
    return { r.status, r.code, r.field }
  end

  local function postback(query, o)
    o = o or {}
    return policy:get(("/postback/%s?%s&sig=%s"):format(o.network or "acme", query,
      o.sig or testing.hmac(o.secret or "acme-secret", query)))
  end
  local function click(query, o) return policy:get("/click/shop?" .. query, o) end
  local function view(query, o) return policy:get("/view/shop?" .. query, o) end
  local function keyed(path, body, o)
    o = o or {}
    return policy:post(path, body, { headers = { ["X-API-Key"] = o.key or "shop-key" },
      content_type = o.type, peer = o.peer, time = o.time })
  end
  local function of(o) return "/v1/" .. (o and o.app or "shop") end
  local function batch(events, o) return keyed(of(o) .. "/batch", events, o) end
  local function single(event, o) return keyed(of(o) .. "/events", event, o) end
  local function form(text) return single(text, { type = "application/x-www-form-urlencoded" }) end
  local function purchase(over)
    local e = { type = "purchase", event_id = "o-1", revenue = 9.90, currency = "EUR" }
    for k, v in pairs(over or {}) do e[k] = v end
    return single(e)
  end

  describe("a postback", function()
    setup(fresh)

    it("is stored with its network, its app and its types", function()
      local e = stored(postback "app=shop&type=install&event_id=7&click_id=c1&is_test=0&revenue=")
      assert.same({ "acme", "shop", "install", "7", false, testing.null, "postback" },
        { e.network, e.app, e.type, e.event_id, e.is_test, e.revenue, e.source })
      assert.same({ NOON_MS, NOON_MS }, { e.at, e.received_at })
      assert.is_nil(e.sig)
    end)

    it("gets the answer that networks expect", function()
      local r = postback "app=shop&type=install"
      assert.same({ 200, "OK", "text/plain" }, { r.status, r.body, r.headers["content-type"] })
    end)

    it("is refused when a parameter was changed, added or signed by another", function()
      local query = "app=shop&type=install&revenue=1"
      local sig = testing.hmac("acme-secret", query)
      for _, changed in ipairs { "app=shop&type=install&revenue=9", query .. "&x=1",
        "app=game&type=install&revenue=1" } do
        assert.same({ 422, "bad_signature" }, refused(postback(changed, { sig = sig })))
      end
      assert.same({ 422, "bad_signature" }, refused(postback(query, { secret = "bolt-secret" })))
      assert.same({ 422, "bad_signature" }, refused(postback(query, { secret = "" })))
      assert.equal(5, policy:metric("postbacks_bad_signature_total", { "acme" }))
    end)

    it("needs its signature at the end, once", function()
      local query = "app=shop&type=install"
      local sig = testing.hmac("acme-secret", query)
      for _, target in ipairs { query, query .. "&sig=", query .. "&sig=" .. sig .. "&x=1",
        "sig=" .. sig .. "&" .. query, query .. "&SIG=" .. sig, query .. "&sig=" .. sig .. "0" } do
        assert.equal("bad_signature", policy:get("/postback/acme?" .. target).code)
      end
      assert.equal(200, policy:get("/postback/acme?" .. query .. "&sig=" .. sig:upper()).status)
    end)

    it("may be signed with the secret before, while a partner changes it", function()
      assert.equal(200, postback("app=shop&type=install", { secret = "acme-old-secret" }).status)
    end)

    it("takes no empty secret where a network has none before", function()
      assert.equal("bad_signature", postback("app=shop&type=install",
        { network = "bolt", secret = "" }).code)
    end)

    it("of an unknown network is refused before it is read, and not kept", function()
      for _, name in ipairs { "evil", "ACME", "acme%20", "previous" } do
        assert.same({ 404, "unknown_network" }, refused(postback("app=shop&type=install",
          { network = name })))
      end
    end)

    it("of an unknown app is refused, in whatever case", function()
      for _, app in ipairs { "toys", "SHOP", "shop%20", "" } do
        assert.equal("unknown_app", postback("type=install&app=" .. app).code)
      end
      assert.same({ 422, "missing_field", "app" }, refused(postback "type=install"))
    end)

    it("is refused with a bad type, time, number or currency", function()
      for query, want in pairs { ["type=Purchase"] = { "bad_format", "type" },
        ["type="] = { "bad_format", "type" }, ["x=1"] = { "missing_field", "type" }, ["type=a&at=1"] = { "bad_time", "at" },
        ["type=a&at=2020-01-01T00:00:00Z"] = { "too_old", "at" },
        ["type=a&revenue=1,5"] = { "wrong_type", "revenue" },
        ["type=a&revenue=-1"] = { "too_small", "revenue" },
        ["type=a&currency=eur"] = { "bad_format", "currency" },
        ["type=a&ip=1.2.3"] = { "bad_format", "ip" } } do
        local r = postback("app=shop&" .. query)
        assert.same({ 422, want[1], want[2] }, refused(r), query)
      end
    end)

    it("that can't be decoded is refused with 400", function()
      assert.same({ 400, "invalid_query" }, refused(postback "app=shop&type=a&x=%ff"))
    end)

    it("takes the first of a parameter that comes twice", function()
      assert.equal("install", stored(postback "app=shop&type=install&type=purchase").type)
    end)

    it("reads times as networks send them", function()
      for sent, ms in pairs { ["1772366399"] = NOON_MS - 1000, [NOON_MS .. ""] = NOON_MS,
        ["2026-03-01T13:00:00%2B01:00"] = NOON_MS, ["2026-03-01 12:00:00"] = NOON_MS } do
        assert.equal(ms, stored(postback("app=shop&type=install&at=" .. sent)).at, sent)
      end
    end)
  end)

  describe("a click", function()
    setup(fresh)

    it("leads to the url of its link", function()
      local r = click "click_id=c1&redirect=https%3A%2F%2Fsale.shop.example%2Fa%3Fb%3D1"
      assert.same({ 302, "https://sale.shop.example/a?b=1", "no-store" },
        { r.status, r.headers.location, r.headers["cache-control"] })
      assert.same({ "click", "c1", "ad", "shop" }, { stored(r).type, stored(r).click_id,
        stored(r).source, stored(r).app })
    end)

    it("leads to no stranger's host, but to the shop", function()
      for _, url in ipairs { "https://evil.example/", "//shop.example/", "javascript:alert(1)",
        "https://shop.example@evil.example/", "https://shop.example.evil.example/",
        "https://evil.example\\.shop.example/", "https://shop.example:8443/", "/sale", "",
        "https://xshop.example/", "https://shop.example%2eevil.example/",
        "https://shop.example/\r\nSet-Cookie: a=b", "HTTPS:/\\evil.example", "data:text/html,x",
        "https://shop.example\t.evil.example", "https://evil.example#@shop.example/" } do
        local r = policy:get("/click/shop", { query = { click_id = "c1", redirect = url } })
        assert.same({ 302, "https://shop.example/" }, { r.status, r.headers.location }, url)
      end
    end)

    it("leads there also when it is refused, and says nothing of it", function()
      for _, query in ipairs { "", "click_id=", "click_id=%ff", "click_id=c1&at=1",
        "click_id=" .. ("x"):rep(65) } do
        local r = click(query)
        assert.same({ 302, "https://shop.example/", "", 1, {} }, { r.status,
          r.headers.location, r.body, r.rejected, r.stored }, query)
      end
    end)

    it("of an unknown app is not stored", function()
      local r = policy:get "/click/toys?click_id=c1"
      assert.same({ 302, "unknown_app", {} }, { r.status, r.code, r.stored })
    end)

    it("counts for a person sixty times a minute, and redirects always", function()
      for i = 1, 61 do
        local r = click("click_id=c" .. i, { peer = "203.0.113.9" })
        assert.same({ 302, i <= 60 and 1 or 0 }, { r.status, r.accepted })
      end
      assert.equal(1, click("click_id=c", { peer = "203.0.113.10" }).accepted)
    end)

    it("counts all addresses of an IPv6 network as one person", function()
      local last
      for i = 1, 61 do
        last = click("click_id=c" .. i, { peer = ("2001:db8:1::%x"):format(i) })
      end
      assert.equal("rate_limited", last.code)
    end)

    it("does not use up what the app's own senders may send", function()
      for i = 1, 300 do
        click("click_id=c" .. i, { peer = "203.0." .. i % 200 .. ".1" })
      end
      assert.equal(202, batch({ { type = "open" } }).status)
    end)

    it("can't call itself a purchase or another app's", function()
      local e = stored(click "click_id=c1&type=purchase&app=game&source=sdk&revenue=5")
      assert.same({ "click", "shop", "ad" }, { e.type, e.app, e.source })
    end)

    it("is not stored for HEAD", function()
      local r = policy:request("HEAD", "/click/shop?click_id=c1")
      assert.same({ 302, {} }, { r.status, r.stored })
    end)
  end)

  describe("a view", function()
    setup(fresh)

    it("is stored, and answered by the image", function()
      local r = view("campaign=spring", { headers = { ["User-Agent"] = "Mail/1" } })
      assert.same({ 200, "image/gif", "GIF89a", 43 }, { r.status, r.headers["content-type"],
        r.body:sub(1, 6), #r.body })
      assert.same({ "view", "spring", "Mail/1" }, { stored(r).type, stored(r).campaign,
        stored(r).agent })
    end)

    it("is answered by the image also when it is refused", function()
      for _, query in ipairs { "at=1", "campaign=%ff", "ip=x" } do
        local r = view(query)
        assert.same({ 200, "GIF89a", {} }, { r.status, r.body:sub(1, 6), r.stored }, query)
      end
      assert.equal("unknown_app", policy:get("/view/toys").code)
    end)

    it("of a long campaign or browser is cut, not refused", function()
      local e = stored(view("campaign=" .. ("ä"):rep(200)))
      assert.equal(("ä"):rep(128), e.campaign)
    end)
  end)

  describe("an SDK's batch", function()
    setup(fresh)

    it("is stored for the app of its path, whatever it says", function()
      local e = stored(batch { { type = "open", app = "game", source = "x", country = "XX",
        device = "mine", user = "root", received_at = 1772366400000 } })
      assert.same({ "shop", "sdk" }, { e.app, e.source })
      assert.same({}, { e.country, e.device, e.user })
    end)

    it("comes as an array, with an envelope, or in lines", function()
      assert.equal(2, batch({ { type = "a" }, { type = "b" } }).accepted)
      assert.equal(1, batch({ events = { { type = "a" } } }).accepted)
      assert.equal(2, batch('{"type":"a"}\n{"type":"b"}\n', { type = "application/x-ndjson" }).accepted)
    end)

    it("needs a key, exactly as it was given", function()
      for key, code in pairs { guess = "unknown_key", ["SHOP-KEY"] = "unknown_key",
        shop = "unknown_key", ["shop-key ,"] = "malformed_key", [""] = "missing_key" } do
        assert.same({ 401, code }, refused(batch({ { type = "a" } }, { key = key })), key)
      end
      assert.equal(401, batch({ { type = "a" } }, { app = "game" }).status)
      assert.equal(401, batch({ { type = "a" } }, { app = "SHOP" }).status)
      assert.equal(401, policy:post("/v1/shop/batch", "{oops").status)
      assert.equal(401, policy:post("/v1/shop/batch?key=shop-key", {}).status)
    end)

    it("may be sent with either key while a key is changed", function()
      assert.equal("shop", stored(batch({ { type = "a" } }, { key = "shop-key-2" })).app)
    end)

    it("lists what is refused of it, and takes the rest", function()
      local r = batch { { type = "a" }, { type = "A" }, 7, { type = "b", event_id = "" },
        { type = "purchase" } }
      assert.same({ 202, 1, 4 }, { r.status, r.accepted, r.rejected })
      local codes = {}
      for i, e in ipairs(r.events) do codes[i] = e.code or "" end
      assert.same({ "", "bad_format", "not_an_object", "too_short", "incomplete_purchase" }, codes)
    end)

    it("that can't be read is refused whole", function()
      for _, body in ipairs { "", "{", "[1", '{"type":"a"}x' } do
        assert.equal(400, batch(body).status, body)
      end
      local many = {}
      for i = 1, 2001 do many[i] = { type = "a" } end
      assert.same({ 413, "too_many_events" }, refused(batch(many)))
    end)

    it("over the app's quota is refused to be sent again, with any of its keys", function()
      local all = {}
      for i = 1, 1000 do all[i] = { type = "a" } end
      for _ = 1, 5 do assert.equal(1000, batch(all, { app = "game", key = "game-key" }).accepted) end
      local r = batch({ { type = "a" } }, { app = "game", key = "game-key" })
      assert.same({ 429, "rate_limited", true }, { r.status, r.code, r.events[1].retry })
      assert.equal(202, batch({ { type = "a" } }).status)
      assert.equal(202, batch({ { type = "a" } }, { app = "game", key = "game-key",
        time = "2026-03-01T12:00:01Z" }).status)
    end)
  end)

  describe("a partner's event", function()
    setup(fresh)

    it("is a form, urlencoded or multipart, or JSON", function()
      assert.equal(2.5, stored(form "type=level&revenue=2.5").revenue)
      assert.equal("level", stored(single { type = "level" }).type)
      local text = '--b\r\nContent-Disposition: form-data; name="type"\r\n\r\nlevel\r\n--b--\r\n'
      assert.equal("level", stored(single(text, { type = "multipart/form-data; boundary=b" })).type)
    end)

    it("that is a bad form, a file or two of a field is refused", function()
      assert.same({ 400, "invalid_form" }, refused(form "type=%ff"))
      assert.same({ 422, "duplicate_key", "type" }, refused(form "type=a&type=b"))
      local file = '--b\r\nContent-Disposition: form-data; name="type"; filename="x"\r\n\r\na\r\n--b--\r\n'
      assert.same({ 400, "file_refused" }, refused(single(file,
        { type = "multipart/form-data; boundary=b" })))
      assert.equal(400, single('{"type":').status)
      assert.equal(415, single("<a/>", { type = "text/xml" }).status)
    end)

    it("needs a key", function()
      assert.equal(401, policy:post("/v1/shop/events", { type = "a" }).status)
    end)

    it("has the address that the partner tells, or none", function()
      local e = stored(form "type=level&ip=203.0.113.7")
      assert.same({ "203.0.113.0", "JP" }, { e.ip, e.country })
      assert.is_nil(stored(form "type=level").ip)
    end)
  end)

  describe("an event that is sent again", function()
    before_each(fresh)

    it("is stored once, if it has an id", function()
      local e = { type = "open", event_id = "e1" }
      assert.same({ 1, 0 }, { #single(e).stored.events, #(single(e).stored.events or {}) })
      assert.equal(2, #batch({ { type = "open" }, { type = "open" } }).stored.events)
    end)

    it("is not taken for a repeat because a stranger's click has its id", function()
      click "click_id=c1&event_id=e1"
      view "event_id=e1"
      assert.equal(1, #postback("app=shop&type=install&event_id=e1").stored.events)
      assert.equal(1, #single({ type = "open", event_id = "e1" }).stored.events)
    end)
  end)

  describe("a purchase", function()
    before_each(fresh)

    it("goes to the stream that is synced and counted once, from each way in", function()
      assert.same({ "purchases" }, purchase().streams)
      assert.same({ "purchases" }, batch({ { type = "purchase", event_id = "o-2", revenue = 1,
        currency = "USD" } }).streams)
      assert.same({ "purchases" }, postback("app=shop&type=purchase&event_id=o-3&revenue=1"
        .. "&currency=EUR").streams)
      local s = policy.streams.purchases
      assert.same({ "synced", { "archive", "bus", "olap" } }, { s.ack, s.sinks })
    end)

    it("is stored once, and answered alike, from whichever way it comes", function()
      assert.equal(1, #purchase().stored.purchases)
      local again = purchase()
      assert.same({ 202, 1, {} }, { again.status, again.accepted, again.stored })
      assert.same({}, postback("app=shop&type=purchase&event_id=o-1&revenue=9.9&currency=EUR").stored)
      local month = keyed("/v1/shop/events", { type = "purchase", event_id = "o-1", revenue = 1,
        currency = "EUR" }, { time = "2026-04-02T00:00:00Z" })
      assert.equal(1, #month.stored.purchases)
    end)

    it("with its time is too old before its id is forgotten", function()
      local e = { type = "purchase", event_id = "o-9", revenue = 1, currency = "EUR",
        at = "2026-03-01T12:09:59Z" }
      assert.equal(1, #single(e).stored.purchases)
      for _, later in ipairs { "2026-03-31T12:00:01Z", "2026-03-31T12:09:58Z" } do
        assert.same({}, single(e, { time = later }).stored)
      end
      assert.equal("too_old", single(e, { time = "2026-04-01T12:00:01Z" }).code)
    end)

    it("of another app is another purchase", function()
      purchase()
      local r = single({ type = "purchase", event_id = "o-1", revenue = 1, currency = "EUR" },
        { app = "game", key = "game-key" })
      assert.equal(1, #r.stored.purchases)
    end)

    it("is the same with its UUID in capitals or with spaces around its id", function()
      local id = "0198f5c0-9A7B-7c3d-8e4f-a1b2c3d4e5f6"
      assert.equal(id:lower(), stored(purchase { event_id = id }, "purchases").event_id)
      for _, other in ipairs { id:upper(), id:lower(), " " .. id:upper() .. "\n" } do
        assert.same({}, purchase { event_id = other }.stored)
      end
      local escaped = [[{"type":"purchase","revenue":1,"currency":"EUR","event_id":"\u0030%s"}]]
      assert.same({}, single(escaped:format(id:sub(2))).stored)
    end)

    it("keeps apart short ids that differ in case: a shop's may", function()
      purchase { event_id = "aB1" }
      assert.equal(1, #purchase { event_id = "Ab1" }.stored.purchases)
    end)

    it("without id, revenue or currency is refused", function()
      for _, lack in ipairs { "event_id", "revenue", "currency" } do
        assert.equal("incomplete_purchase", purchase { [lack] = testing.null }.code, lack)
      end
      assert.same({ 422, "wrong_type", "event_id" }, refused(purchase { event_id = 7 }))
      assert.equal("incomplete_purchase", purchase { event_id = "  " }.code)
      assert.same({ 422, "too_large", "revenue" }, refused(purchase { revenue = 2e9 }))
    end)

    it("counts as it was sent, by app and currency", function()
      purchase()
      purchase()
      assert.equal(2, policy:metric("purchases_sent_total", { "shop", "EUR" }))
    end)
  end)

  -- Apple's documented examples, with Apple's signatures.
  describe("a postback of SKAdNetwork", function()
    local PATH = "/.well-known/skadnetwork/report-attribution/"
    local WEB = [[{"version":"4.0","ad-network-id":"com.example","source-identifier":"39",]]
      .. [["app-id":525463029,"transaction-id":"6aafb7a5-0170-41b5-bbe4-fe71dedf1e31",]]
      .. [["redownload":false,"source-domain":"example.com","fidelity-type":1,"did-win":true,]]
      .. [["coarse-conversion-value":"high","postback-sequence-index":0,]]
      .. [["attribution-signature":"MEUCIQD4rX6eh38qEhuUKHdap345UbmlzA7KEZ1bhWZuYM8MJwIgMny]]
      .. [[iiZe6heabDkGwOaKBYrUXQhKtF3P/ERHqkR/XpuA="}]]

    local function with(id)
      policy = assert(testing.load("attribution_full.lua",
        { env = { PEPPER = "pepper", SKADNETWORK_ID = id }, time = NOON }))
    end
    before_each(function() with "com.example" end)

    it("is a typed install of our app", function()
      local r = policy:post(PATH, WEB)
      assert.same({ 200, "" }, { r.status, r.body })
      assert.same({ event_id = "6aafb7a5-0170-41b5-bbe4-fe71dedf1e31", type = "install",
        app = "shop", source = "skadnetwork", network = "com.example", campaign = "39",
        at = NOON_MS, received_at = NOON_MS, ["app-id"] = 525463029, redownload = false,
        ["did-win"] = true, ["source-identifier"] = "39", ["postback-sequence-index"] = 0,
        ["coarse-conversion-value"] = "high" }, stored(r, "installs"))
    end)

    it("is counted once, also with another conversion value", function()
      assert.equal(1, #policy:post(PATH, WEB).stored.installs)
      local again = policy:post(PATH, (WEB:gsub('"high"', '"low"')))
      assert.same({ 200, {} }, { again.status, again.stored })
    end)

    it("of a forger or for another network is refused and kept", function()
      local r = policy:post(PATH, (WEB:gsub('"39"', '"38"')))
      assert.same({ 401, "bad_signature" }, { r.status, r.code })
      assert.equal('Postback-Signature realm="sluice"', r.headers["www-authenticate"])
      assert.equal(1, #r.refusals)
      with "com.other"
      r = policy:post(PATH, WEB)
      assert.same({ 422, "not_in_enum", "ad-network-id" }, refused(r))
      assert.equal(1, #r.refusals)
    end)

    it("has no route where no network is named", function()
      with ""
      assert.equal(404, policy:post(PATH, WEB).status)
    end)
  end)

  describe("personal data", function()
    setup(fresh)

    local UUID = "6D92078A-8246-4BA4-AE5B-76104861E7DC"

    it("leave no address, mail or device id in what is stored", function()
      local r = single { type = "open", user_id = "u-1", email = "Ann@Example.org ",
        idfa = UUID, ip = "198.51.100.77", phone = "+49 1", Email = "x@y.example",
        user = { email = "a@b.example" }, properties = { email = "a@b.example", page = 1 },
        e_mail = "a@b.example", list = { { n = "a@b.example" } } }
      local line = r.stored.events[1]
      for _, secret in ipairs { "nn@", "xample", UUID, UUID:lower(), "198.51.100.77", "u-1", "+49" } do
        assert.is_nil(line:find(secret, 1, true), secret)
      end
      local e = stored(r)
      assert.same({ hidden "u-1", hidden(UUID:lower()), "198.51.100.0" },
        { e.user, e.device, e.ip })
      assert.same({ page = 1 }, e.properties)
    end)

    it("of odd kinds raise no error, which would keep them as they were sent", function()
      for _, field in ipairs { "user", "properties", "phone", "Email", "idfv", "name" } do
        for _, value in ipairs { '"x"', "1", "true", "null", "[]", '[{"email":"a@b.example"}]',
          '{"email":{"email":"a@b.example"}}' } do
          local r = single(('{"type":"open","%s":%s}'):format(field, value))
          assert.same({ 202, 0 }, { r.status, r.dead })
        end
      end
      assert.is_nil(single([[{"type":"open","em\u0061il":"a@b.example"}]]).stored.events[1]
        :find("example", 1, true))
    end)

    it("of one person give one text, in any case and from any way in", function()
      local a = stored(single { type = "open", email = " Ann@Example.org" })
      local b = stored(batch { { type = "open", email = "ann@example.ORG" } })
      assert.equal(hidden "ann@example.org", a.user)
      assert.equal(a.user, b.user)
      local c = stored(single { type = "open", idfa = UUID })
      local d = stored(batch { { type = "open", gaid = UUID:lower() } })
      assert.equal(c.device, d.device)
      assert.not_equal(stored(single { type = "open", user_id = "aB1" }).user,
        stored(single { type = "open", user_id = "Ab1" }).user)
    end)

    it("of a device that tells nothing are no user", function()
      for _, none in ipairs { "00000000-0000-0000-0000-000000000000", "" } do
        local e = stored(single { type = "open", idfa = none })
        assert.same({}, { e.device, e.user })
      end
    end)

    it("give other texts with another pepper", function()
      local other = assert(testing.load("attribution_full.lua", { env = { PEPPER = "x" } }))
      local r = other:post("/v1/shop/events", { type = "open", user_id = "u" },
        { headers = { ["X-API-Key"] = "shop-key" } })
      assert.not_equal(hidden "u", stored(r).user)
    end)

    it("are not in the answer to a bad event", function()
      local r = single { type = "open", email = ("ann@example.org"):rep(30), ip = "1.2.3" }
      assert.is_nil(r.body:find("ann", 1, true))
      r = single { type = "open", ip = "198.51.100.777" }
      assert.is_nil(r.body:find("198", 1, true))
    end)
  end)

  describe("an address", function()
    setup(fresh)

    it("is that of the connection, and gives the country before it is masked", function()
      local e = stored(batch({ { type = "a", ip = "1.2.3.4" } }, { peer = "192.0.2.77" }))
      assert.same({ "192.0.2.0", "DE" }, { e.ip, e.country })
    end)

    it("is not what a client says in X-Real-IP, unless a proxy is in front", function()
      local o = { peer = "192.0.2.77", headers = { ["X-Real-IP"] = "203.0.113.7" } }
      assert.equal("DE", stored(policy:get("/view/shop", o)).country)
      local behind = assert(testing.load("attribution_full.lua",
        { env = { BEHIND_PROXY = "yes" }, time = NOON }))
      assert.equal("JP", stored(behind:get("/view/shop", o)).country)
      o.headers["X-Real-IP"] = nil
      assert.equal("DE", stored(behind:get("/view/shop", o)).country)
    end)

    it("of IPv6 has its country and is masked, too", function()
      local e = stored(batch({ { type = "a" } }, { peer = "2001:db8:1:2:3:4:5:6" }))
      assert.same({ "2001:db8:1::", "DE" }, { e.ip, e.country })
    end)
  end)

  describe("what is stored", function()
    setup(fresh)

    it("goes to Kafka by its user", function()
      local r = single { type = "open", user_id = "u-1" }
      assert.same({ topic = "attribution", key = hidden "u-1" },
        policy.sinks.bus.message(r.stored.events[1]))
      assert.is_nil(policy.sinks.bus.message(stored(single { type = "open" })).key)
    end)

    it("waits for the bus and the archive, but not without end for the warehouse", function()
      assert.same({ "archive", "bus", "olap" }, policy.streams.events.sinks)
      assert.equal("written", policy.streams.events.ack)
    end)

    it("of refusals goes to files of its own", function()
      assert.same({ "refused" }, policy.streams.refused.sinks)
      for _, route in ipairs(policy.routes) do
        assert.equal("refused", route.on_refused, route.path)
      end
    end)

    it("of a refusal is what was sent, and tells the app, but no key and no secret", function()
      local r = batch { { type = "open" }, { type = "Open", email = "ann@example.org" } }
      assert.equal(1, #r.refusals)
      local record = testing.decode(r.refusals[1])
      assert.same({ "bad_format", "/v1/shop/batch", 1, "POST /v1/:app/batch" },
        { record.refused.code, record.path, record.index, record.route })
      assert.same({ type = "Open", email = "ann@example.org" }, testing.decode(record.raw))
      assert.is_nil(r.refusals[1]:find("key", 1, true))
      local lines = postback("app=shop&type=A").refusals[1]
        .. postback("app=shop&type=a", { secret = "wrong" }).refusals[1]
      assert.is_nil(lines:find("secret", 1, true))
      for _, lost in ipairs { click "redirect=x", view "at=1", form "type=A", batch "[" } do
        assert.equal(1, #lost.refusals)
      end
    end)

    it("of a request without a good key, an unknown network or over a quota is nothing", function()
      local all = {}
      for i = 1, 1000 do all[i] = { type = "a" } end
      for _ = 1, 5 do batch(all, { app = "game", key = "game-key" }) end
      for _, r in ipairs { batch(all, { app = "game", key = "game-key" }),
        batch({ { type = "A" } }, { key = "guess" }),
        postback("app=shop&type=A", { network = "evil" }) } do
        assert.is_true(r.status > 400)
        assert.same({}, r.refusals)
      end
    end)
  end)
end)
