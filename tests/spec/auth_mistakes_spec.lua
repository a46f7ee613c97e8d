-- Mistakes in files of keys and in what routes ask for: what is said of each, word for word.
-- Rows as in diagnostics_spec.lua. Whatever stands in a file of keys is not said.
local checking = require "spec.checking"
local h = require "harness"

local SHA = ("0123456789abcdef"):rep(4)

local BASE = [[
file "a" { dir = "a" }
stream "s" { sinks = { "a" } }
keys "apps" { file = "apps.csv" }
keys "users" { file = "users.csv", expires = "until", label = "name" }
]]

local function route(auth, more)
  return ('{BASE}route "POST /x" { body = "event", stream = "s", auth = %s%s }')
    :format(auth, more and ", " .. more or "")
end

local rows = {
  { "keys that are not there", route 'bearer "aps"',
    [[p.lua:5: route "POST /x".auth: there are no keys "aps"; did you mean "apps"?]] },
  { "keys without a name", route 'bearer {}',
    [[p.lua:5: route "POST /x".auth: needs the name of keys: write bearer "KEYS"]] },
  { "a name in the place of a method", route '"apps"',
    [[p.lua:5: route "POST /x".auth: "apps" is no way to send a key: write bearer "apps"]] },
  { "a table in the place of a method", route '{ {} }',
    [[p.lua:5: route "POST /x".auth: a table is no way to send a key: write bearer "KEYS", header "NAME" "KEYS", basic "KEYS", query "NAME" "KEYS", client_cert { … }, hmac { … }, jwt { … } or any_of { … }]] },
  { "a word that is misspelt", route 'bearr "apps"',
    [[p.lua:5: bearr: unknown word; did you mean "bearer"?]] },
  { "no method", route '{}',
    [[p.lua:5: route "POST /x".auth: has no method: write auth = bearer "KEYS"]] },
  { "two methods of which it is not said that one is enough",
    route '{ bearer "apps", basic "apps" }',
    [[p.lua:5: route "POST /x".auth: has several methods: write auth = any_of { … } where one of them is enough]] },
  { "any_of without a list", route 'any_of "apps"',
    [[p.lua:5: route "POST /x".auth: any_of needs a list: any_of { bearer "KEYS", header "NAME" "KEYS" }]] },
  { "any_of in any_of", route 'any_of { any_of { bearer "apps" } }',
    [[p.lua:5: route "POST /x".auth: any_of stands in any_of: write one list]] },
  { "a method twice", route 'any_of { header "X-Key" "apps", header "x-key" "apps" }',
    [[p.lua:5: route "POST /x".auth: has the method header twice]] },
  { "more than eight methods", route('any_of { bearer "apps", bearer "users", basic "apps", '
    .. 'basic "users", query "a" "apps", query "b" "apps", query "c" "apps", query "d" "apps", '
    .. 'query "e" "apps" }'),
    [[p.lua:5: route "POST /x".auth: any_of has 9 methods, more than 8]] },
  { "a header without keys", route 'header "x-api-key"',
    [[p.lua:5: route "POST /x".auth: needs the name of keys: write header "NAME" "KEYS"]] },
  { "what is no header", route 'header "x api key" "apps"',
    [[p.lua:5: route "POST /x".auth: "x api key" is not the name of a header]] },
  { "Authorization as a header of its own", route 'header "Authorization" "apps"',
    [[p.lua:5: route "POST /x".auth: Authorization has a scheme before the key: write bearer "KEYS" or basic "KEYS"]] },
  { "a parameter without a name", route 'query "" "apps"',
    [[p.lua:5: route "POST /x".auth: query needs a name: write query "NAME" "KEYS"]] },
  { "a column that is not there", route('bearer "apps"', 'set = { t = "key:tenat" }'),
    [[p.lua:5: route "POST /x".set.t: the keys "apps" have no column "tenat"; did you mean "tenant"?]] },
  { "a column that one of two files lacks",
    route('any_of { bearer "apps", basic "users" }', 'set = { t = "key:tenant" }'),
    [[p.lua:5: route "POST /x".set.t: the keys "users" have no column "tenant"]] },
  { "the column of the hashes", route('bearer "apps"', 'set = { t = "key:sha256" }'),
    [[p.lua:5: route "POST /x".set.t: the keys "apps" have no column "sha256"]] },
  { "a column on a route without auth",
    '{BASE}route "POST /x" { body = "event", stream = "s", set = { t = "key:tenant" } }',
    [[p.lua:5: route "POST /x".set.t: needs auth: the row of a key is known only then]] },
  { "a key that would be stored", route('header "X-Key" "apps"', 'set = { k = "header:x-key" }'),
    [[p.lua:5: route "POST /x".set.k: would store the client's key: write "key:COLUMN" for a column of its row]] },
  { "a header that would store a key",
    route('bearer "apps"', 'set = { k = "header:authorization" }'),
    [[p.lua:5: route "POST /x".set.k: would store the client's key: write "key:COLUMN" for a column of its row]] },
  { "a parameter that would store a key",
    route('query "key" "apps"', 'set = { k = "query:key" }'),
    [[p.lua:5: route "POST /x".set.k: would store the client's key: write "key:COLUMN" for a column of its row]] },
  { "a user that may be a key", route('basic "apps"', 'set = { k = "basic:user" }'),
    [[p.lua:5: route "POST /x".set.k: would store the client's key: write "key:COLUMN" for a column of its row]] },
  { "a page that can't send its key",
    route('bearer "apps"', 'cors = { origins = { "*" }, headers = { "Content-Type" } }'),
    [[p.lua:5: route "POST /x".cors.headers: a page can't send its key: auth needs the header Authorization in this list]] },
  { "a column that a hook reads, and no keys have", route('bearer "apps"', [[
  on_event = function(ev, req) ev.t = req.key.tenat end]]),
    [[p.lua:5: tenat: no keys have a column "tenat"; did you mean "tenant"?]] },
  { "a limit by a column that no keys have",
    route 'bearer "apps"' .. '\nlocal l = limit { rate = "1/s", key = "key:plan" }',
    [[p.lua:6: limit.key: no keys have a column "plan"]] },
  { "auth that is nil, which would open the route",
    '{BASE}local auths = {}\nroute "POST /x" { body = "event", stream = "s", auth = auths["shop"] }',
    [[p.lua:6: route "POST /x".auth: auths["shop"] is nil, so anybody could send: write the method, or auth = false for a route that is open]] },
  { "the same of routes that a loop makes", [[{BASE}for _, name in ipairs { "a" } do
  route("POST /" .. name) { body = "event", stream = "s", auth = ({})[name] }
end]],
    [[p.lua:6: route "POST /a".auth: ({})[name] is nil, so anybody could send: write the method, or auth = false for a route that is open]] },
  { "a field that is nil", '{BASE}local auths = {}\nroute "POST /x" { body = "event", stream = "s", auth = auths.shop }',
    [[p.lua:6: route "POST /x".auth: auths.shop is nil: there is no such field]] },
  { "no key for a column on a route that is open on purpose", route('false', 'set = { t = "key:tenant" }'),
    [[p.lua:5: route "POST /x".set.t: needs auth: the row of a key is known only then]] },
  { "a file that is not there", '{BASE}' .. 'keys "x" { file = "gone.csv" }',
    [[p.lua:5: keys "x".file: gone.csv: No such file or directory]] },
  { "keys without a file", '{BASE}' .. 'keys "x" { }',
    [[p.lua:5: keys "x": needs file: path of the file, from the policy's folder, such as "apps.csv"]] },
  { "a label that is no column", '{BASE}' .. 'keys "x" { file = "apps.csv", label = "tenat" }',
    [[p.lua:5: keys "x".label: the file has no column "tenat"; did you mean "tenant"?]] },
  { "an expiry that is no column", '{BASE}' .. 'keys "x" { file = "apps.csv", expires = "e" }',
    [[apps.csv:1: the file has no column of the name that expires gives]] },
  { "hashes that are not there", '{BASE}' .. 'keys "x" { file = "apps.csv", key = "hash" }',
    [[p.lua:5: keys "x".key: "hash": the first line of apps.csv has no such column]] },
  { "keys of one name", '{BASE}' .. 'keys "apps" { file = "apps.csv" }',
    [[p.lua:5: keys "apps": is given twice, first in line 3]] },
  { "a label that is the key", '{BASE}' .. 'keys "x" { file = "apps.csv", label = "sha256" }',
    [[p.lua:5: keys "x".label: is the column of the keys]] },
  { "a file that has a key instead of its hash", '{BASE}' .. 'keys "x" { file = "plain.csv" }',
    [[plain.csv:2: the key's column has no SHA-256: expected 64 hex digits, as sluice key prints them; a key itself must not be in the file]] },
  { "a file without a first line", '{BASE}' .. 'keys "x" { file = "headless.csv" }',
    [[p.lua:5: keys "x".key: "sha256": the first line of headless.csv has no such column]] },
}

describe("sluice check, of keys,", function()
  local c = checking.new(BASE)

  setup(function()
    h.write(c.dir .. "/apps.csv", "sha256,tenant\n" .. SHA .. ",acme\n")
    h.write(c.dir .. "/users.csv", "sha256,name,until\n" .. SHA .. ",ann,\n")
    h.write(c.dir .. "/plain.csv", "sha256,tenant\nplanted-s3cret,acme\n")
    h.write(c.dir .. "/headless.csv", "planted-s3cret,acme\n")
  end)
  teardown(c.remove)

  for _, row in ipairs(rows) do
    it("names " .. row[1], function()
      local used = 'route "POST /y" { body = "event", stream = "s" }'
      local out, code = c.problems(row[2] .. "\n"
        .. (row[2]:find("route", 1, true) and "" or used))
      assert.equal(row[3], out)
      assert.equal(1, code)
      assert.is_nil(out:find("s3cret", 1, true))
    end)
  end

  it("takes each method, and a limit and fields by the row of a key", function()
    local out, code = c.check('{BASE}local per = limit { rate = "1/s", key = "key:tenant" }\n'
      .. 'route "POST /x" { body = "event", stream = "s", set = { t = "key:tenant" }, auth = '
      .. 'any_of { bearer "apps", basic "apps", header "x-api-key" "apps", query "key" "apps" }, '
      .. 'cors = { origins = { "*" }, headers = { "authorization", "X-Api-Key" } }, '
      .. 'on_request = function(req) return per:check(req) end }')
    assert.equal(0, code, out)
  end)
end)
