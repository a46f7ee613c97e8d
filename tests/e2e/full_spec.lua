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
