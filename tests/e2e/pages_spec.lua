local campaign = require "campaign"
local cjson = require "cjson"
local h = require "harness"

-- Pages of another origin in a real Chromium.

---What stands in the way: no browser, no package.
local function missing(package)
  if h.shell("command -v chromium") == "" then
    return "no chromium: apt-get install chromium"
  end
  if package and h.shell("sh tests/fetch.sh " .. package):match("^/") == nil then
    return "no npm, or its registry can't be reached"
  end
end

---Shows the page until `n` events are stored; what is stored, and what the page said.
local function show(example, page, n, folder, key)
  local s = h.server { policy = h.read("conf/examples/" .. example .. ".lua") }
  local out = s.dir .. "/client"
  local pid = h.spawn({ "node", "tests/clients/page.cjs", folder or "-",
    "http://127.0.0.1:" .. s.port, s.dir, "0", page, key or "" }, out)
  local ok, why = pcall(h.wait_for, "the page's events", function()
    return (s:metric("sluice_stored_events_total") or 0) >= n
      and (page ~= "leave" or h.read(out) ~= "")
  end, 60)
  h.write(s.dir .. "/stop", "")
  h.reap(pid)
  local said = h.read(out)
  assert(ok, tostring(why) .. "\n" .. said .. s:text())
  assert.equal(0, s:stop())
  local list = {}
  for _, line in ipairs(s:lines()) do list[#list + 1] = cjson.decode(line) end
  s:close()
  return list, said
end

describe("a page in Chromium", function()
  it("delivers its last events by sendBeacon and fetch(keepalive)", function()
    local why = missing()
    if why then
      pending(why)
      return
    end
    local list, said = show("beacon", "leave", 7)
    local ids = {}
    for _, e in ipairs(list) do
      ids[#ids + 1] = e.id
      assert.matches("^http://127", e.origin)
    end
    table.sort(ids)
    assert.same({ "blob-1", "blob-2", "form-data", "keepalive", "read", "search", "text" }, ids)
    -- A browser sends no beacon beyond 64 KiB, and says so.
    assert.same({ text = true, blob = true, search = true, form = true, large = false,
      read = { status = 200, body = "{}" } }, cjson.decode(said))
  end)

  local function posthog(page)
    local package = "posthog-js 1.449.2"
    local why = missing(package)
    if why then
      pending(why)
      return
    end
    local folder = h.shell("sh tests/fetch.sh " .. package):match("^%S+") .. "/dist"
    local found = {}
    for _, e in ipairs((show("posthog", page, 5, folder, "phc_demo"))) do
      assert.same({ "demo", nil }, { e.project, e.properties.token })
      if e.event == "batched" and e.properties.n == 1 then
        assert.equal("é", e.properties.text)
      end
      if e.properties.n then found[#found + 1] = e.event .. " " .. e.properties.n end
    end
    table.sort(found)
    assert.same({ "batched 1", "batched 2", "instant 3", "left 4", "small 5" }, found)
  end

  it("delivers the events of posthog-js with gzip, and its last ones by beacon", function()
    posthog "posthog"
  end)

  it("delivers them without compression, and the last ones as a form", function()
    posthog "posthog_plain"
  end)

  local PAGE = { name = "a page in Chromium", example = "beacon", script = "../page",
    needs = "chromium", args = { "beacon" }, number = function(e) return e.n end }

  it("loses no event that it keeps until the answer, over reloads and a kill", function()
    local r, why = campaign.start({ PAGE })(PAGE)
    if not r then
      pending(why)
      return
    end
    print(campaign.figures(PAGE, r))
    assert.same({ lost = {}, twice = {}, strange = {} },
      { lost = r.lost, twice = r.twice, strange = r.strange }, r.said)
  end)
end)
