-- Mistakes in what a route answers: what is said of each, word for word. Rows as in
-- diagnostics_spec.lua.
local checking = require "spec.checking"

local BASE = [[
file "a" { dir = "a" }
stream "s" { sinks = { "a" } }
]]

local function get(answer)
  return '{BASE}route "GET /x" { body = "query", stream = "s", answer = ' .. answer .. " }"
end
local function post(answer, body)
  return ('{BASE}route "POST /x" { body = "%s", stream = "s", answer = %s }'):format(
    body or "event", answer)
end

local GET, POST = 'p.lua:3: route "GET /x".answer', 'p.lua:3: route "POST /x".answer'

local rows = {
  { "a refusal's body that is no JSON", post [[{ body_refused = "no" }]],
    POST .. [[.body_refused: is no JSON; say its type, such as type = "text/plain"]] },
  { "a message without quotes in a refusal", post [[{ body_refused = '{"m":{$message}}' }]],
    POST .. ".body_refused: {$code} and {$message} stand between quotes" },
  { "a message without quotes beside a number",
    post [[{ body_refused = '[{$code},{$message}]', codes = { other = 1 } }]],
    POST .. ".body_refused: {$message} stands between quotes" },
  { "a field in a refusal", post [[{ body_refused = '{"m":"{id}"}' }]],
    POST .. ".body_refused: {id} is a field of an event: a request that is refused may have none" },
  { "a count in a refusal", post [[{ body_refused = '{"m":{$rejected}}' }]],
    POST .. ".body_refused: {$rejected} is none of {$code}, {$message}, {$status}" },
  { "a value in three places of a refusal",
    post [[{ body_refused = '[{$status},{$status},{$status}]' }]],
    POST .. ".body_refused: {$status} stands in more than 2 places" },
  { "a refusal's body that is too long",
    post([[{ body_refused = '"]] .. ("x"):rep(1023) .. [["' }]]),
    POST .. ".body_refused: is longer than 1024 bytes" },
  { "a client's bytes in HTML",
    post [[{ body_refused = "<p>{$message}", type = "text/html" }]],
    POST .. [[.body_refused: has {$…}, whose text can hold a client's bytes: it needs JSON or ]]
      .. [[type = "text/plain", not "text/html"]] },
  { "codes without a body", post [[{ codes = { other = 1 } }]],
    POST .. ".codes: means nothing without {$code} in body_refused" },
  { "codes that the body does not have",
    post [[{ body_refused = '{"m":"{$message}"}', codes = { other = 1 } }]],
    POST .. ".codes: means nothing without {$code} in body_refused" },
  { "numbers without one for others",
    post [[{ body_refused = '[{$code}]', codes = { no_data = 5 } }]],
    POST .. ".codes: needs other: the number of all other refusals" },
  { "numbers beside texts",
    post [[{ body_refused = '["{$code}"]', codes = { a = 5, b = "x" } }]],
    POST .. [[.codes: 5 and "x": expected numbers only, or texts only]] },
  { "a code for a success", post [[{ body_refused = '[{$code}]', codes = { [200] = 0, other = 1 } }]],
    POST .. ".codes: 200 is not a status from 400 to 599" },
  { "a code that is a truth", post [[{ body_refused = '[{$code}]', codes = { a = true } }]],
    POST .. ".codes: true is neither a whole number nor a text of at most 64 bytes" },
  { "a fraction as a code", post [[{ body_refused = '[{$code}]', codes = { other = 1.5 } }]],
    POST .. ".codes: 1.5 is neither a whole number nor a text of at most 64 bytes" },
  { "no codes at all", post [[{ body_refused = '[{$code}]', codes = {} }]],
    POST .. ".codes: an empty table is not a table { invalid_json = 6, [503] = 9, other = 8 }" },
  { "a number below 0 where its sign makes no JSON",
    post [[{ body_refused = '[1{$code}]', codes = { other = 1, a = -5 } }]],
    POST .. ".body_refused: is no JSON where {$code} is below 0" },
  { "a type that only begins like a plain text",
    post [[{ body_refused = "{$message}", type = "text/plainly" }]],
    POST .. [[.body_refused: has {$…}, whose text can hold a client's bytes: it needs JSON or ]]
      .. [[type = "text/plain", not "text/plainly"]] },
  { "items outside of a list",
    post([[{ body = '{"a":{$items}}', item = '{}', item_refused = '{}' }]], "batch"),
    POST .. ".body: {$items} has none, one or many of them: it needs a list of its own, [{$items}]" },
  { "items between quotes",
    post([[{ body = '["{$items}"]', item = '{}', item_refused = '{}' }]], "batch"),
    POST .. ".body: {$items} has none, one or many of them: it needs a list of its own, [{$items}]" },
  { "items behind another value",
    post([[{ body = '[1,{$items}]', item = '{}', item_refused = '{}' }]], "batch"),
    POST .. ".body: {$items} has none, one or many of them: it needs a list of its own, [{$items}]" },
  { "a message without quotes in a body of many", post([[{ body = '[{$message}]' }]], "batch"),
    POST .. ".body: a message stands between quotes: \"{$message}\"" },
  { "an unknown word for an answer", get [["pixels"]],
    GET .. [[: "pixels" is neither "pixel" nor a table { }]] },
  { "an answer that is a number", get "200", GET .. [[: 200 is neither "pixel" nor a table { }]] },
  { "a redirect that leads nowhere", get "{ status = 302 }",
    GET .. ".status: needs location: where the redirect leads" },
  { "a status that no route answers", get "{ status = 304 }",
    GET .. ".status: 304 is not a status that a route answers: 200 to 299, or a redirect" },
  { "a location with a status of success",
    get [[{ status = 200, location = "https://shop.example/" }]],
    GET .. ".status: 200 is no redirect: with location expected 301, 302, 303, 307 or 308" },
  { "a field without hosts", get [[{ location = "field:to" }]],
    GET .. [[: needs hosts: the hosts to which location may lead, such as { "shop.example" }]] },
  { "a function without hosts", get [[{ location = function(ev) return ev.to end }]],
    GET .. [[: needs hosts: the hosts to which location may lead, such as { "shop.example" }]] },
  { "hosts of a url of the policy",
    get [[{ location = "https://shop.example/{id}", hosts = { "shop.example" } }]],
    GET .. ".hosts: means nothing: location says its host itself" },
  { "hosts without a location", get [[{ hosts = { "shop.example" } }]],
    GET .. ".hosts: means nothing without location" },
  { "a fallback without a location", get [[{ fallback = "https://shop.example/" }]],
    GET .. ".fallback: means nothing without location" },
  { "all hosts", get [[{ location = "field:to", hosts = { "*" } }]],
    GET .. [[.hosts[1]: "*" leads everywhere: name the hosts]] },
  { "all hosts of a top domain", get [[{ location = "field:to", hosts = { "*.example" } }]],
    GET .. [[.hosts[1]: "*.example" is not a host such as "shop.example", "shop.example:8443" or "*.shop.example"]] },
  { "a url as a host", get [[{ location = "field:to", hosts = { "https://shop.example" } }]],
    GET .. [[.hosts[1]: "https://shop.example" is not a host such as "shop.example", "shop.example:8443" or "*.shop.example"]] },
  { "a host with a dot at its end", get [[{ location = "field:to", hosts = { "shop.example." } }]],
    GET .. [[.hosts[1]: "shop.example." is not a host such as "shop.example", "shop.example:8443" or "*.shop.example"]] },
  { "a host in other letters", get [[{ location = "field:to", hosts = { "bücher.example" } }]],
    GET .. [[.hosts[1]: "bücher.example" is not ASCII: write the form that begins with xn--]] },
  { "a host with a port too large", get [[{ location = "field:to", hosts = { "shop.example:70000" } }]],
    GET .. [[.hosts[1]: "shop.example:70000" has no port from 1 to 65535]] },
  { "a location that is no url", get [[{ location = "shop.example/{id}" }]],
    GET .. [[.location: "shop.example/{id}" is none of "field:NAME", a url such as "https://shop.example/{click_id}", a function]] },
  { "a location of another scheme", get [[{ location = "ftp://shop.example/" }]],
    GET .. [[.location: "ftp://shop.example/" is none of "field:NAME", a url such as "https://shop.example/{click_id}", a function]] },
  { "a location with a user", get [[{ location = "https://u@shop.example/" }]],
    GET .. [[.location: "https://u@shop.example/" is none of "field:NAME", a url such as "https://shop.example/{click_id}", a function]] },
  { "a field in the host", get [[{ location = "https://{shop}.example/" }]],
    GET .. [[.location: {shop} would be part of the host: write a function, and hosts]] },
  { "a field behind the host", get [[{ location = "https://shop.example{path}" }]],
    GET .. [[.location: {path} would be part of the host: write a function, and hosts]] },
  { "a field without a name", get [[{ location = "field:", hosts = { "shop.example" } }]],
    GET .. [[.location: "field:" is not a field such as "field:redirect"]] },
  { "a location that is a number", get [[{ status = 202, location = 5 }]],
    GET .. ".location: 5 is not a text" },
  { "a function with three parameters",
    get [[{ hosts = { "a.b" }, location = function(ev, req, x) end }]],
    GET .. ".hosts: means nothing without location\n"
      .. GET .. ".location: the function takes 3 parameters; it is given 2" },
  { "a fallback that is no url", get [[{ location = "field:to", hosts = { "a.b" }, fallback = "/" }]],
    GET .. [[.fallback: "/" is not a url such as "https://shop.example/"]] },
  { "a redirect of a batch", post([[{ location = "https://shop.example/" }]], "batch"),
    POST .. [[.location: needs a route of one event, such as body = "query"]] },
  { "a field of a batch", post([=[{ body = [[{"id":"{id}"}]] }]=], "batch"),
    POST .. [[.body: {id} is a field of the event: it needs a route of one event, such as body = "event"]] },
  { "a field without quotes", post [=[{ body = [[{"id":{id}}]] }]=],
    POST .. [[.body: a field stands between quotes: "{id}"]] },
  { "a body that is no JSON, with a field", post [=[{ body = "id {id}" }]=],
    POST .. [[.body: is no JSON; say its type, such as type = "text/plain"]] },
  { "an unknown word for refused", post [[{ refused = "sane" }]],
    POST .. [[.refused: "sane" is neither a status from 400 to 499 nor "same"]] },
  { "a refusal with a status of success", post [[{ refused = 200 }]],
    POST .. ".refused: 200 is less than 400" },
  { "an unknown word for unstored", post [[{ unstored = "sam" }]],
    POST .. [[.unstored: "sam" is none of "error", "same"; did you mean "same"?]] },
  { "a header that sluice writes", post [[{ headers = { ["Content-Length"] = 5 } }]],
    POST .. ".headers.Content-Length: Content-Length can't be set: the body decides it" },
  { "a header that is an option", post [[{ headers = { ["Location"] = "/" } }]],
    POST .. ".headers.Location: Location can't be set: say location" },
  { "a header of cors", post [[{ headers = { ["Access-Control-Allow-Origin"] = "*" } }]],
    POST .. ".headers.Access-Control-Allow-Origin: Access-Control-Allow-Origin can't be set: say cors" },
  { "a header with a space in its name", post [[{ headers = { ["X Y"] = "1" } }]],
    POST .. [[.headers.X Y: "X Y" is not the name of a header]] },
  { "a header of two lines", post [[{ headers = { ["X-Y"] = "1\nZ: 2" } }]],
    POST .. ".headers.X-Y: expected printable ASCII on one line" },
  { "a value of many events that is none", post([[{ body = '{"n":{$acepted}}' }]], "batch"),
    POST .. ".body: {$acepted} is none of {$accepted}, {$errors}, {$items}, {$message}, "
      .. "{$rejected}; did you mean \"accepted\"?" },
  { "numbers of many events on a route of one", post [[{ body = '{"n":{$accepted}}' }]],
    POST .. ".body: {$…} is of many events: it needs a route of them, such as "
      .. "body = \"batch\"" },
  { "a field beside numbers", post([[{ body = '{"n":{$accepted},"id":"{id}"}' }]], "batch"),
    POST .. ".body: {id} is a field of one event: write it into item" },
  { "items without a text for them", post([[{ body = '[{$items}]' }]], "batch"),
    POST .. ": needs item: what {$items} of body has for an accepted event" },
  { "items without a text for refused ones",
    post([[{ body = '[{$items}]', item = '{}' }]], "batch"),
    POST .. ": needs item_refused: what {$items} of body has for a refused event" },
  { "a text for events that no body has", post([[{ body = '{}', item = '{}' }]], "batch"),
    POST .. [[.item: means nothing without {$items} in body, such as body = ]]
      .. [['{"items":[{$items}]}']] },
  { "an item that is no JSON",
    post([[{ body = '[{$items}]', item = '{', item_refused = '{}' }]], "batch"),
    POST .. ".item: is no JSON" },
  { "an item's field outside quotes",
    post([[{ body = '[{$items}]', item = '{"id":{id}}', item_refused = '{}' }]], "batch"),
    POST .. ".item: a field, {$code} and {$message} stand between quotes" },
  { "a reason of an accepted event",
    post([[{ body = '[{$items}]', item = '"{$code}"', item_refused = '{}' }]], "batch"),
    POST .. [[.item: {$code} is none of {$index}]] },
  { "an item with a path",
    post([[{ body = '[{$items}]', item = '{}', item_refused = '"{a.b}"' }]], "batch"),
    POST .. ".item_refused: {a.b}: expected a field of the event itself, without a dot" },
  { "an item that is too long",
    post([[{ body = '[{$items}]', item = '"' .. ("x"):rep(511) .. '"', item_refused = '{}' }]],
      "batch"), POST .. ".item: is longer than 512 bytes" },
  { "a body for no refused event where no other body tells of them",
    post([[{ body = '{}', body_accepted = '{}' }]], "batch"),
    POST .. ".body_accepted: means nothing without one of {$…} in body, such as "
      .. "{$rejected}" },
  { "a body for no refused event that is no JSON",
    post([[{ body = '{"n":{$rejected}}', body_accepted = 'ok' }]], "batch"),
    POST .. [[.body_accepted: is no JSON; say its type, such as type = "text/plain"]] },
  { "a value of many events in a body for no refused event",
    post([[{ body = '{"n":{$rejected}}', body_accepted = '{"n":{$accepted}}' }]], "batch"),
    POST .. ".body_accepted: has no {…}: all events were accepted" },
  { "too many headers", post [[{ headers = { ["X-Y"] = ("y"):rep(2048) } }]],
    POST .. ".headers: together 2055 bytes; expected at most 2048" },
}

describe("sluice check, of answers,", function()
  local c = checking.new(BASE)
  teardown(c.remove)

  for _, row in ipairs(rows) do
    it("names " .. row[1], function()
      local out, code = c.problems(row[2])
      assert.equal(row[3], out)
      assert.equal(1, code)
    end)
  end

  it("takes a text with braces whose type is not JSON as it stands", function()
    local out, code = c.check(post [[{ status = 200, body = "{x}", type = "text/css" }]])
    assert.equal(0, code, out)
  end)

  it("looks into a location's function as into a hook", function()
    local out, code = c.problems(get [[{ hosts = { "a.b" },
  location = function(ev, req) return strng.lower(ev.to) .. req.quary end }]])
    assert.equal(1, code)
    assert.truthy(out:find('strng: unknown word; did you mean "string"?', 1, true), out)
    assert.truthy(out:find('a request has no "quary"; did you mean "query"?', 1, true), out)
  end)
end)
