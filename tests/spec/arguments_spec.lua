-- Arguments that hooks give to words, helpers and handles, and the use of their
-- results: the message for each mistake, word for word, and none for code that only
-- looks wrong.
local checking = require "spec.checking"

local BASE = [[
file "f" { dir = "d" }
stream "s" { sinks = { "f" } }
local c, g = counter "n_total" { labels = { "a" } }, gauge "g"
local any, by_user = limit { rate = "1/s" }, limit { rate = "1/s", key = "user.id" }
local by_key, by_peer = limit { rate = "1/s", key = "header:x-api-key" }, limit { rate = "1/s",
  key = "peer" } kept = { c = c }
]]

local NOT_USED = ": gives a value, which is not used here, and changes nothing: write "
local BRACKET = " is not a path such as \"items[1].id\": a bracket or backslash that "
  .. "belongs to a key has a backslash before it"
local NO_RESULT = " is no result of a hook, which raises for it: return nothing to accept, or "
  .. "reject(…), drop(…) or to(…)"

-- A mistake in on_event, its message in line 8, and the correct text.
local hooks = {
  -- Results that are thrown away.
  { "lower(ev.x)", "lower" .. NOT_USED .. "local x = lower(…), or remove the call",
    "ev.x = lower(ev.x)" },
  { "if ev.ip then mask_ip(ev.ip) end",
    "mask_ip" .. NOT_USED .. "local x = mask_ip(…), or remove the call",
    "if ev.ip then ev.ip = mask_ip(ev.ip) end" },
  { "has(ev, \"a\")", "has" .. NOT_USED .. "local x = has(…), or remove the call",
    "local t = ev.a if t then array(t) end" },
  { "by_user:check(ev)",
    "check: refuses nothing by itself: write return l:check(…), or l:take(…) to count only",
    "by_user:take(ev)" },
  -- Arguments that are missing, or of another kind.
  { "ev.a = get(\"user.ip\")", "get: expected get(ev, path), got 1 argument",
    "ev.a = get(ev, \"user.ip\")" },
  { "ev.a = mask_ip()", "mask_ip: expected mask_ip(s), got no argument",
    "ev.a = mask_ip(nil)" },
  { "ev.a = mask()", "mask: expected mask(s, [keep]), got no argument",
    "ev.a = mask(ev.x) ev.b = mask(ev.x, 4) ev.c = mask(ev.x, nil)" },
  { "ev.a = part(ev.x, \".\")", "part: expected part(s, separator, n), got 2 arguments",
    "ev.a = part(ev.x, \".\", 1) ev.c = contains(ev.x, 5) "
      .. "ev.b = part((\"a.b\"):match(\"(.)(.)(.)\"))" },
  { "return to()", "to: expected to(…), got no argument", "return to(\"s\", nil)" },
  { "return to({ \"s\" })", "to: expected to(…), where each is a text, got a table",
    "return to(unpack({ \"s\" }))" },
  { "return reject(\"a\", \"b\", \"422\")", "reject: expected reject(code, [message], "
    .. "[status]), where status is a whole number, got a text",
    "return reject(\"a\", \"b\", 422)" },
  { "return reject({}, \"b\")", "reject: expected reject(code, [message], [status]), where "
    .. "code is a text, got a table", "return reject(\"a\", 5)" },
  { "ev.a = lower(ev)", "lower: expected lower(s), where s is a text, got the event",
    "local x = ev x = \"A\" ev.a = lower(x)" },
  { "ev.a = get(req, \"path\")", "get: expected get(ev, path), where ev is the event, got "
    .. "the request", "ev.a = get(ev, \"path\")" },
  { "ev.a = hash(true)", "hash: expected hash(s), where s is a text or a number, got true "
    .. "or false", "ev.a = hash(5)" },
  { "ev.a = sample(\"0.1\")", "sample: expected sample(rate, [key]), where rate is a number, "
    .. "got a text", "ev.a = sample(0.1) ev.b = sample(0.1, ev.x) ev.c = sample(0.1, 5)" },
  { "c:inc(\"acme\")", "inc: expected inc([n], […]), where n is a number, got a text",
    "c:inc() c:inc(2) c:inc(nil, \"acme\") c:inc(1, \"acme\")" },
  { "g:set()", "set: expected set(v, […]), got no argument", "g:set(1)" },
  { "c.inc(1)", "inc: expected a counter before inc: write c:inc(…)",
    "c.inc(c, 1) local f, d = c.inc, c f(d)" },
  { "g:inc()", "inc: a gauge has no inc: it has add and set", "g:add(1)" },
  { "by_user:chek(ev)", "chek: a limit has no chek: it has check and take",
    "by_user:take(ev)" },
  { "kept.c:inc(\"a\")", "inc: expected inc([n], […]), where n is a number, got a text",
    "kept.c:inc(1, \"a\")" },
  { "req.path = \"/\"", "path: a request can't be changed: set a field of the event, or a local",
    "ev.path = req.path" },
  -- Limits.
  { "return by_user:check()", "check: does not say what to count by: write l:check(ev)",
    "return by_user:check(ev)" },
  { "return by_key:check()", "check: does not say what to count by: write l:check(req)",
    "return by_key:check(req)" },
  { "return any:check()", "check: does not say what to count by: write l:check(\"all\")",
    "return any:check(\"all\")" },
  { "return any:check(ev)", "check: this limit has no key = …, so it can't count by the "
    .. "event: add one, or give the text to count by", "return any:check(ev.x)" },
  { "return by_key:check(ev)", "check: an event has no headers: this limit counts by the "
    .. "request, so write l:check(req)", "return by_key:check(req)" },
  { "return by_peer:take(ev) and drop() or nil", "take: an event has no peer: this limit "
    .. "counts by the request, so write l:take(req)",
    "return by_peer:take(req) and drop() or nil" },
  { "return by_user:check(req)", "check: a request has no field \"user.id\": this limit "
    .. "counts by the event, so write l:check(ev) in on_event",
    "return by_user:check(req.peer)" },
  { "return any:check({ ev.x })", "check: counts by a text or a number, got a table",
    "return any:check(ev.x, 2)" },
  -- Paths.
  { "ev.a = ev[\"items[0]\"]", "\"items[0]\": is not a path such as \"items[1].id\": places in "
    .. "arrays count from 1", "ev.a = ev[\"items[10].id\"] ev.b = ev[\"m[1][2]\"]" },
  { "ev[\"items[1]id\"] = nil", "\"items[1]id\": is not a path such as \"items[1].id\": a place "
    .. "ends the path, or a dot follows it", "ev[\"items[1].id\"] = nil" },
  { "ev[\"user.ip]\"] = nil", "\"user.ip]\":" .. BRACKET,
    [[ev["user.ip\\]"] = nil ev.a = ev["user\\[ip]"] ev.b = ev["a\\.b"] ev.c = ev[""]
]] },
  { "ev[\"user.[id\"] = 1", "\"user.[id\":" .. BRACKET, [[ev["user.\\[id"] = 1]] },
  { "ev.a = get(ev, \"items[]\")", "get: \"items[]\"" .. BRACKET,
    "ev.a = get(ev, \"items\") local next = items(ev, \"a[1].b\") ev.b = next and 1" },
  { "ev.a = get(ev, 5)", "get: expected get(ev, path), where path is a path, got a number",
    "ev.a = get(ev, \"5\")" },
  -- Values that can't be.
  { "return reject(\"a\", \"b\" .. ev.x, 700)", "reject: 700 is not a status from 400 to 499",
    "return reject(\"a\", \"b\" .. ev.x, 422)" },
  { "return reject(\"a\", \"b\", 422.5)", "reject: 422.5 is not a status from 400 to 499",
    "return reject(\"a\", \"b\", 4220 / 10)" },
  { "return reject(\"a b\", \"b\" .. ev.x)", "reject: \"a b\" is not a code such as "
    .. "\"missing_value\"", "return reject(\"a-b\", \"b\" .. ev.x)" },
  { "return to(ev.x, \"t\")", "to: there is no stream \"t\"; did you mean \"s\"?",
    "return to(ev.x, \"s\")" },
  { "c:inc(-1, \"a\")", "inc: -1 is less than 0: a counter only goes up; a gauge has add",
    "g:add(-1) g:set(-1)" },
  -- Results of a hook.
  { "return ev.a == 1 and reject(\"a\")", "return: true or false" .. NO_RESULT,
    "return ev.a == 1 and reject(\"a\") or nil" },
  { "return true", "return: true" .. NO_RESULT, "return" },
  { "if ev.a then return ev end", "return: the event" .. NO_RESULT,
    "if ev.a then ev = nil return ev end" },
  { "return { \"s\" }", "return: a table" .. NO_RESULT, "return to(\"s\")" },
  { "return reject(\"a\", \"b\", 401)", "reject: a status is on_request's to give; for "
    .. "refused events write answer = { refused = 401 } in the route",
    "return reject(\"a\", \"b\", 422)" },
  -- Methods of an event.
  { "if ev:has(\"x\") then return drop() end", "has: can't be called: what stands behind ev is "
    .. "the client's value: write has(ev, …)",
    "if ev.has and has(ev, \"x\") then return drop() end" },
}

-- Mistakes in a hook that makes a function, which ends in other instructions.
local makers = {
  { "return to(\"t\")", "to: there is no stream \"t\"; did you mean \"s\"?" },
  { "return reject(\"a b\")", "reject: \"a b\" is not a code such as \"missing_value\"" },
  { "return reject({})", "reject: expected reject(code, [message], [status]), where "
    .. "code is a text, got a table" },
  { "return true", "return: true" .. NO_RESULT },
  { "return ev", "return: the event" .. NO_RESULT },
  { "return nil, \"a\"", "return: a hook that returns nil accepts the event, whatever stands "
    .. "behind it: write return reject(\"code\", \"message\")" },
  { "pcall(function() lower(ev.x) end)", "lower" .. NOT_USED
    .. "local x = lower(…), or remove the call" },
  { "pcall(function() ev.a = get(\"b\") end)", "get: expected get(ev, path), got 1 argument" },
}

-- The same of on_request.
local requests = {
  { "return drop()", "drop: means nothing in on_request, which runs before the body is read: "
    .. "write it in on_event, or reject(…) here", "return reject(\"a\")" },
  { "return to(\"s\")", "to: means nothing in on_request, which runs before the body is read: "
    .. "write it in on_event, or reject(…) here", "return reject(\"a\", \"b\", 401)" },
  { "return false", "return: false is no result of a hook, which raises for it: return nothing "
    .. "to accept, or reject(…)", "return nil" },
  { "return by_user:check(req)", "check: a request has no field \"user.id\": this limit "
    .. "counts by the event, so write l:check(ev) in on_event", "return by_peer:check(req)" },
}

-- Helpers of a hook, and the message for line 7.
local helpers = {
  { "local function f(x) return x[\"a]\"] end", "f(ev)", "\"a]\":" .. BRACKET },
  { "local M = {} function M.f(x, r) return r.body end", "M.f(ev, req)",
    "body: a request has no \"body\": on_event sees its events; on_request comes before the "
    .. "body is read" },
  { "function f(x) return lower(x) end", "f(ev)",
    "lower: expected lower(s), where s is a text, got the event" },
  { "local function f(x) upper(x.a) end", "f(ev)",
    "upper" .. NOT_USED .. "local x = upper(…), or remove the call" },
}

-- Helpers that are given something else, whatever they call it.
local others = {
  { "local function f(ev) return ev[\"a]\"], ev[\"b..c\"] end", "f({})" },
  { "local function f(ev) return ev.x == null end", "local t = ev.t if t then f(t) end" },
  { "local function f(req) return req.body end", "f({ body = 1 })" },
  { "local function f(ev) return lower(ev) end", "ev.a = f(ev.a)" },
  { "local function f(x) return type(x) == \"string\" and lower(x) or x.a end",
    "ev.a = f(ev) ev.b = f(ev.b)" },
  { "local function f(x) x = x.a return lower(x) end", "ev.a = f(ev)" },
  { "local function f(ok) return true end", "if f(true) then return drop() end" },
  { "local function f(ev) return drop() end", "local r = f(ev) return r" },
  { "local lower = string.lower", "local x = lower(\"A\") ev.a = x" },
}

-- Helpers that may be given something else where nobody sees it.
local handed = {
  { "local function f(x) return x.a == null end local function any(l, g) return g(l[1]) end",
    "if f(ev) or any(get(ev, \"l\"), f) then return drop() end" },
  { "local function f(x) return lower(x) end local rules = { f }",
    "ev.a = rules[1](ev.a) ev.b = ev.b and f(ev)" },
  { "local function f(x) return x.a == null end local rules = { a = f }",
    "local k = next(rules) if rules[k](ev.t) or f(ev) then return drop() end" },
  { "local M = {} function M.f(x) return lower(x) end "
    .. "function M.g(self, x) return self.f(x.a) end",
    "ev.a = M:g(ev) ev.b = ev.b and M.f(ev)" },
  { "local function f(x, y) if not x then x = y.b end return x == null end",
    "ev.a = f(ev.l, ev)" },
}

-- The same where a hook makes functions, which is noted.
local makes = {
  { "local function f(x) local function g() x = x.a end g() return lower(x) end",
    "ev.a = f(ev)" },
  { "local function f(x) return lower(x) end",
    "pcall(function() ev.a = f(ev.a) end) ev.b = ev.b and f(ev)" },
}

-- What is no mistake, and not meant: what is noted in line 8.
local notes = {
  { "ev.a = mask_ip(ev.ip, 2)",
    "mask_ip: takes mask_ip(s), got 2 arguments: the last has no effect" },
  { "ev[\".user.id\"] = nil", "\".user.id\": has no key at one side of a dot, which no event is "
    .. "likely to have: write keys with dots between them" },
  { "ev.a = get(ev, \"a..b\")", "get: \"a..b\" has no key at one side of a dot, which no event "
    .. "is likely to have: write keys with dots between them" },
}

describe("sluice check", function()
  local c
  setup(function() c = checking.new(BASE) end)
  teardown(function() c.remove() end)

  local function hooked(hook, top, key, params)
    local text = ("{BASE}%s\nroute \"POST /h\" { body = \"event\", stream = \"s\", %s = "
      .. "function(%s)\n%s end }\n"):format(top or "", key or "on_event", params or "ev, req",
      hook)
    return text
  end

  local function takes(text, hook)
    local out, code = c.check(text)
    assert.equal(0, code, hook .. "\n" .. out)
    assert.is_nil(out:find("note:", 1, true), hook .. "\n" .. out)
  end

  for _, row in ipairs(hooks) do
    it("refuses the hook " .. row[1], function()
      assert.equal("p.lua:9: " .. row[2], (c.problems(hooked(row[1]))))
      takes(hooked(row[3]), row[3])
    end)
  end

  for _, row in ipairs(makers) do
    it("refuses in a hook that makes a function " .. row[1], function()
      local top = "local n local function f() n = n + 1 return n end ev.x = f() "
      local out = c.problems(hooked(top .. row[1]))
      assert.equal("p.lua:9: " .. row[2], out)
    end)
  end

  for _, row in ipairs(requests) do
    it("refuses in on_request " .. row[1], function()
      assert.equal("p.lua:9: " .. row[2],
        (c.problems(hooked(row[1], nil, "on_request", "req"))))
      takes(hooked(row[3], nil, "on_request", "req"), row[3])
    end)
  end

  for _, row in ipairs(helpers) do
    it("refuses a hook's helper " .. row[1], function()
      assert.equal("p.lua:7: " .. row[3],
        (c.problems(hooked("local _ = " .. row[2], row[1]))))
    end)
  end

  it("tells once of a mistake in a function of which there are several", function()
    local out = c.problems(hooked("f(ev) g(ev)", "local function make(k) return function(x) "
      .. "x[k] = lower() end end local f, g = make(\"a\"), make(\"b\")"))
    assert.equal("p.lua:7: lower: expected lower(s), got no argument", out)
  end)

  it("takes helpers that are given something else", function()
    for _, row in ipairs(others) do takes(hooked(row[2], row[1]), row[1]) end
  end)

  it("takes helpers that may be given something else where nobody sees it", function()
    for _, row in ipairs(handed) do takes(hooked(row[2], row[1]), row[1]) end
    for _, row in ipairs(makes) do
      local out, code = c.check(hooked(row[2], row[1]))
      assert.equal(0, code, row[1] .. "\n" .. out)
    end
  end)

  it("follows more helpers, tables and closures than Lua's stack has room for", function()
    local chain = { "local M, l, h = {}, {}, function(x) x.z = 1 end",
      "for i = 1, 50000 do l = { next = l } end",
      "for i = 1, 3000 do local g = h h = function(x) return g(x) end end",
      "function M.f0(x) return x.a == null end" }
    for i = 1, 3000 do
      chain[#chain + 1] = ("function M.f%d(x) return M.f%d(x) end"):format(i, i - 1)
    end
    local policy = hooked("h(ev) if l.next then M.f3000(ev) end", table.concat(chain, "\n"))
    assert.equal("p.lua:10: null: is never what ev.a reads as: a null reads as nil; "
      .. "has(ev, \"a\") tells the two apart", (c.problems(policy)))
    local out, code = c.check((policy:gsub("== null", "== nil")))
    assert.equal(0, code, out)
  end)

  for _, row in ipairs(notes) do
    it("notes of the hook " .. row[1], function()
      local out, code = c.check(hooked(row[1]))
      assert.equal(0, code)
      assert.equal("p.lua:9: note: " .. row[2], out:match("[^\n]*note:[^\n]*"))
    end)
  end

  it("refuses paths of no value as options, and takes those of items", function()
    local stream = [[{BASE}stream "t" { sinks = { "f" }, dedup = { key = "%s" } }
route "POST /h" { body = "event", stream = "t" }]]
    assert.equal('p.lua:7: stream "t".dedup.key: "user.[id"' .. BRACKET,
      (c.problems(stream:format("user.[id"))))
    takes(stream:format("items[1].id"), "dedup")
    local kafka = [[{BASE}kafka "k" { brokers = "a:1", topic = "t", %s = "%s" }
stream "t" { sinks = { "k" } } route "POST /h" { body = "event", stream = "t" }]]
    for _, key in ipairs { "key", "timestamp", "topic_by" } do
      assert.equal(('p.lua:7: kafka "k".%s: "items[0]" is not a path such as "items[1].id": '
        .. "places in arrays count from 1"):format(key),
        (c.problems(kafka:format(key, "items[0]"))))
      takes(kafka:format(key, "items[1].a\\\\.b"), key)
    end
  end)
end)
