local browser = require "browser"
local cjson = require "cjson"
local h = require "harness"

-- What the live page costs: the tab over 10 minutes, a tab that is hidden or frozen, and the
-- server that is asked again and again.

local POLICY = [[
admin { listen = "127.0.0.1:0" }
file "archive" { dir = "archive" }
for i = 1, 50 do stream("s" .. i) { sinks = { "archive" } } end
route "POST /v1/events" { body = "event", stream = "s1" }
]]

local function rss(pid)
  return tonumber(h.read("/proc/" .. pid .. "/status"):match "VmRSS:%s+(%d+)")
end

describe("the live page", function()
  local s
  before_each(function() s = h.server { policy = POLICY } end)
  after_each(function() s:close() end)

  local test = browser.it(it, pending)
  local function costs(title, f)
    test(title, function()
      local page = browser.open(s.admin, s.dir)
      finally(function() page:close() end)
      f(page)
      assert.same({}, page:complaints())
    end)
  end

  costs("keeps as much after 70 minutes as after 30, and half an hour of rows", function(page)
    page:looks(2)
    page:run(h.read "tests/clients/later.js")
    local function size()
      page:ask("call", "HeapProfiler.collectGarbage")
      page:ask("call", "HeapProfiler.collectGarbage")
      return page:ask("call", "Runtime.getHeapUsage").usedSize / 1024,
        page:ask("call", "Memory.getDOMCounters").nodes
    end
    page:looks(180)
    local heap, nodes = size()
    page:looks(240)
    local heap2, nodes2 = size()
    local n = page:run [[
      return [known.rows.length, known.marks.size,
        document.querySelectorAll("#marks li").length]; ]]
    print(("# the page's tab: %d KiB after 30 minutes of answers, %d KiB after 70; %d rows, "
      .. "%d marks"):format(heap, heap2, n[1], n[2]))
    assert.is_true(n[1] <= 1800 and n[1] > 500 and n[2] <= 200 and n[3] <= 8, cjson.encode(n))
    assert.is_true(heap2 - heap < 1024 and nodes2 - nodes < 3000, ("%d KiB, %d nodes")
      :format(heap2 - heap, nodes2 - nodes))
  end)

  costs("asks nothing while it is frozen or hidden, and goes on after it", function(page)
    local function asked()
      return unpack(page:run "return [asked, Number(document.documentElement.dataset.looks)]")
    end
    page:run [[
      const f = window.fetch;
      window.asked = 0;
      window.fetch = (...a) => { asked++; return f(...a); }; ]]
    page:waits "asked >= 2"
    page:run [[Object.defineProperty(document, "hidden", { get: () => true, configurable: true })]]
    page:looks(1)
    local before, shown = asked()
    page:looks(3)
    assert.equal(before, (asked()))
    page:run [[delete document.hidden; document.dispatchEvent(new Event("visibilitychange"))]]
    page:becomes("#live", "^live$")
    page:looks(2)
    -- One for each that it shows; two if it had to ask for all its rows, and one under way.
    local n, now = asked()
    assert.is_true(n > before and n - before <= now - shown - 3 + 2, n - before)
    -- As a browser does with a tab that is long out of sight.
    page:ask("call", "Page.setWebLifecycleState", { state = "frozen" })
    h.sleep(2)
    page:ask("call", "Page.setWebLifecycleState", { state = "active" })
    page:looks(2)
    page:becomes("#live", "^live$")
  end)

  it("has one look at the server a second, for all pages, on the main thread", function()
    local function data() return cjson.decode(s:get("/page.json").body) end
    local a, b
    h.wait_for("two answers of the same second", function()
      a, b = data(), data()
      return a.seq == b.seq
    end)
    -- uptime_ms would differ if each page had a look of its own.
    assert.equal(a.status.uptime_ms, b.status.uptime_ms)
    h.wait_for("another look", function() return data().status.uptime_ms > a.status.uptime_ms end)
  end)

  it("costs the server no memory after 1,000 polls, nor 300 with samples and the policy", function()
    local function ask(path, n)
      h.shell(("seq %d | sed 's|.*|url = http://127.0.0.1:%d%s|' | curl -s -o /dev/null -K - "
        .. "-o /dev/null"):format(n, s.admin, path))
    end
    s:post("/v1/none", "{}")
    for _, path in ipairs { "/page.json?since=5", "/page.json?samples=1", "/policy.json" } do
      ask(path, 200)
    end
    local before = rss(s.real_pid)
    ask("/page.json?since=5", 1000)
    ask("/page.json?samples=1", 300)
    ask("/policy.json?generation=1", 300)
    local grew = rss(s.real_pid) - before
    print(("# 1,600 polls: %d KiB more"):format(grew))
    assert.is_true(grew < 2048, grew)
  end)
end)
