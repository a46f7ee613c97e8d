local browser = require "browser"
local cjson = require "cjson"
local h = require "harness"

-- The live page in several windows at a time, and open for long with more rows than it shows:
-- 250 routes that refuse by 40 codes each.

local POLICY = [[
admin { listen = "127.0.0.1:0" }
server { workers = 1, max_events = 20000 }
file "archive" { dir = "archive" }
stream "events" { sinks = { "archive" } }
for i = 1, 250 do
  route("POST /v1/r" .. i) { body = "batch", stream = "events", on_event = function(ev)
    if ev.n >= 0 then return reject(("code_%%02d"):format(ev.n %% 40), "no") end
  end }
end
]]

local function rss(pid)
  return tonumber(h.read("/proc/" .. pid .. "/status"):match "VmRSS:%s+(%d+)")
end

describe("the live page", function()
  local s
  before_each(function() s = h.server { policy = POLICY:gsub("%%%%", "%%") } end)
  after_each(function() s:close() end)

  local test = browser.it(it, pending)

  local function batch(n, from)
    local list = {}
    for i = 1, n do list[i] = ('{"n":%d}'):format(from + i) end
    return "[" .. table.concat(list, ",") .. "]"
  end

  test("catches up in a hidden window and in a frozen one, while a third looks on", function()
    local pages = {}
    finally(function() for _, p in ipairs(pages) do p:close() end end)
    for i = 1, 3 do
      local dir = s.dir .. "/window" .. i
      h.shell("mkdir " .. dir)
      pages[i] = browser.open(s.admin, dir)
      pages[i]:run [[window.known = (await import("/page/server.js")).known;]]
      pages[i]:looks(2)
    end
    local hidden, frozen, seen = pages[1], pages[2], pages[3]
    local HIDE = [[
      Object.defineProperty(document, "hidden", { get: () => %s, configurable: true });
      document.dispatchEvent(new Event("visibilitychange")); ]]
    hidden:run(HIDE:format "true")
    hidden:looks(2)
    frozen:ask("call", "Page.setWebLifecycleState", { state = "frozen" })
    local before = rss(s.real_pid)
    local sent, refused = 0, 0
    local till = h.now() + 12
    while h.now() < till do
      assert.equal(202, s:post("/v1/r1", batch(50, -100)).status)
      assert.equal(422, s:post("/v1/r2", batch(40, 0)).status)
      sent, refused = sent + 90, refused + 40
      h.sleep(0.05)
    end
    frozen:ask("call", "Page.setWebLifecycleState", { state = "active" })
    -- Chromium calls a window that was frozen hidden, until somebody looks at it.
    for _, p in ipairs { hidden, frozen } do p:run(HIDE:format "false") end
    local figures = {}
    for i, p in ipairs(pages) do
      p:becomes("#live", "^live$")
      local ok = pcall(h.wait_for, "all figures of window " .. i, function()
        figures[i] = p:run [[
          const at = (name) => known.columns.indexOf(name), rows = known.rows;
          let received = 0, rejected = 0, wrong = 0;
          rows.forEach((r, k) => {
            const s = k ? (r[0] - rows[k - 1][0]) / 1000 : 1;
            received += (r[at("received")] || 0) * s;
            rejected += (r[at("refused")] || 0) * s;
            wrong += k && (s < 0.2 || s > 5) ? 1 : 0;
          });
          return { received, rejected, wrong, rows: rows.length, seq: known.seq,
            events: known.latest.status.events.received,
            table: known.latest.status.refusals.reduce((n, r) => n + r.events, 0) }; ]]
        return figures[i].events == sent and figures[i].table == refused
          and figures[i].received > 0.97 * sent
      end, 30)
      local f = figures[i]
      assert.is_true(ok, i .. cjson.encode(f) .. sent .. " " .. refused)
      -- Each second once: no row is missing, none is there twice.
      assert.equal(0, f.wrong, cjson.encode(f))
      assert.equal(f.seq, f.rows, cjson.encode(f))
      assert.is_true(math.abs(f.received - sent) < 0.03 * sent, cjson.encode(f) .. sent)
      assert.is_true(math.abs(f.rejected - refused) < 0.03 * refused, cjson.encode(f) .. refused)
      assert.same({}, p:complaints())
    end
    assert.is_true(seen:text("#refusals-body"):find("code_01", 1, true) ~= nil)
    local grew = rss(s.real_pid) - before
    print(("# three windows, 12 s: the server has %d KiB more"):format(grew))
    assert.is_true(grew < 8192, grew)
  end)

  test("keeps its size with 10,000 pairs of route and code and a keyboard in use", function()
    for i = 1, 250 do assert.equal(422, s:post("/v1/r" .. i, batch(40, 0)).status) end
    local page = browser.open(s.admin, s.dir)
    finally(function() page:close() end)
    page:looks(2)
    assert.matches("9,500", page:text "#refusals-more")
    page:run(h.read "tests/clients/later.js")
    -- Other rows are the first ones in each answer.
    page:run [[
      const f = window.fetch;
      let turn = 0;
      window.fetch = async (...all) => {
        if (!String(all[0]).includes("page.json")) return f(...all);
        const data = await (await f(...all)).json(), list = data.status.refusals;
        turn += 7;
        data.status.refusals = list.map((r, i) => ({ ...r, events: 1 + (i * 31 + turn) % 500 }))
          .sort((a, b) => b.events - a.events);
        return new Response(JSON.stringify(data),
          { headers: { "Content-Type": "application/json" } });
      }; ]]
    local function use(rounds)
      for i = 1, rounds do
        for _ = 1, 12 do page:ask("key", "Tab") end
        page:run(([[const e = document.getElementById("filter");
          e.value = %q;
          e.dispatchEvent(new Event("input"));]])
          :format(i % 2 == 0 and "" or ("code_%02d"):format(i)))
        page:looks(10)
        page:run [[
          const link = document.querySelector("#refusals-body .link");
          if (link) link.focus(); ]]
        page:ask("key", "Enter")
        page:looks(2)
        page:ask("key", "Escape")
      end
    end
    local function size()
      page:ask("call", "HeapProfiler.collectGarbage")
      page:ask("call", "HeapProfiler.collectGarbage")
      return page:ask("call", "Runtime.getHeapUsage").usedSize / 1024,
        page:ask("call", "Memory.getDOMCounters").nodes
    end
    use(16) -- half an hour of rows
    local heap, nodes = size()
    use(16)
    local heap2, nodes2 = size()
    print(("# 250 routes by 40 codes, keyboard in use: %d KiB and %d nodes after 30 minutes of "
      .. "answers, %d KiB and %d nodes after 60"):format(heap, nodes, heap2, nodes2))
    assert.is_true(heap2 - heap < 1024, heap2 - heap)
    assert.is_true(nodes2 - nodes < 3000, nodes2 - nodes)
    assert.same({}, page:complaints())
  end)
end)
