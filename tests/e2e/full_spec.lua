local h = require "harness"

describe("a full spool", function()
  local s
  teardown(function() if s then s:close() end end)

  it("refuses early, so that 200 clients with 4 MB bodies read their 503",
  function()
    s = h.server { policy = h.policy { workers = 1,
      spool = [[segment = "16MiB", max_bytes = "256MiB"]],
      stream = [[max_bytes = "64MiB"]] } }
    h.block(s.data .. "/archive", s.data .. "/gone")
    local body = '{"x":"' .. ("y"):rep(4000000) .. '"}'
    local a
    for _ = 1, 60 do
      a = s:post("/v1/events", body)
      -- A busy disk that has no segment ready in time is a 503 of its own.
      if a and a.status == 503 and a.body:find("spool_full") then break end
    end
    assert.equal(503, a and a.status)
    assert.matches("^[1-5]$", a.headers["retry-after"])
    assert.matches("spool_full", a.body)
    local path = s.dir .. "/body"
    h.write(path, body)
    local out = h.shell(([[seq 200 | xargs -P 200 -I{} curl -s -o /dev/null \
      -w '%%{http_code} %%header{retry-after}\n' --max-time 20 \
      -H 'Content-Type: application/json' -H 'Expect:' \
      --data-binary @%s http://127.0.0.1:%d/v1/events]]):format(path, s.port))
    local n = 0
    for line in out:gmatch("[^\n]+") do
      if line:match("^503 [1-5]$") then n = n + 1 end
    end
    print(("# full: %d of 200 clients read 503 with Retry-After"):format(n))
    assert.is_true(n >= 199, out)
  end)

  it("goes on by itself once the sink delivers again", function()
    assert.equal(200, s:get("/healthz").status)
    h.shell(("rm '%s/archive' && mv '%s/gone' '%s/archive'"):format(s.data,
      s.data, s.data))
    h.wait_for("room", function()
      local a = s:post("/v1/events", [[{"again":1}]])
      return a and a.status == 202
    end, 30)
    assert.equal(0, s:stop())
  end)
end)

describe("a full stream", function()
  ---@param beside string? a path of which each second request is
  local function one(path, beside)
    local dir = h.folder()
    local s = h.server { dir = dir, policy = ([[
      server { listen = "127.0.0.1:0", workers = 1, max_body = "1MiB" }
      admin { listen = "127.0.0.1:0" }
      spool { segment = "4MiB", max_bytes = "96MiB" }
      file "one" { dir = "%s/one" }
      file "two" { dir = "%s/two" }
      stream "first" { sinks = { "one" } }
      stream "second" { sinks = { "two" }, max_bytes = "16MiB" }
      route "POST /second" { body = "event", stream = "second" }
      route "POST /both" { body = "event", stream = "first",
        on_event = function() return to("first", "second") end }
      route "POST /no" { body = "event", stream = "first",
        on_refused = { stream = "second", rate = "1000/s" },
        on_event = function() return reject("no") end }]]):format(dir, dir) }
    finally(function() s:close() end)
    h.block(dir .. "/two", dir .. "/gone")
    local c = h.connect(s.port)
    local function request(to, body)
      return ("POST %s HTTP/1.1\r\nHost: test\r\nContent-Type: application/json\r\n"
        .. "Content-Length: %d\r\n\r\n%s"):format(to, #body, body)
    end
    local a
    h.wait_for("it to be full", function()
      for _ = 1, 100 do
        c:send(request("/second", ('{"n":"%s"}'):format(("x"):rep(15000))))
        a = h.answer(c)
        if a.body:find "spool_full" then return true end
      end
    end, 30)
    local event = ('{"n":"%s"}'):format(("y"):rep(600))
    local n, full = 0, 0
    c:send((request(path, event) .. (beside and request(beside, event) or "")):rep(40))
    for _ = 1, 40 do
      a = h.answer(c)
      if beside then h.answer(c) end
      n = n + (a.status == 202 and 1 or 0)
      full = full + (a.status == 503 and a.body:find "spool_full" and 1 or 0)
    end
    h.shell(("rm '%s/two' && mv '%s/gone' '%s/two'"):format(dir, dir, dir))
    s:deliver()
    assert.equal(0, s:stop())
    local got = { one = 0, two = 0 }
    for sink in pairs(got) do
      for _, line in ipairs(s:lines("../" .. sink)) do
        got[sink] = got[sink] + (line == event and 1 or 0) -- not the records
      end
    end
    assert.same({ path == "/both" and n or 0, n, 40 }, { got.one, got.two, n + full })
    assert.is_true(n > 0 and full > 0, n)
  end

  it("refuses what no segment takes before it is stored", function() one "/second" end)
  it("of a request for two leaves nothing in the other one", function() one "/both" end)
  it("of a request for two leaves nothing there beside what is refused",
    function() one("/both", "/no") end)
end)
