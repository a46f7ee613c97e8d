-- conf/CAPACITY.md against the figures of bench/RESULTS.md.
local capacity = dofile "tests/tools/capacity.lua"
local h = require "harness"

describe("the page that plans capacity", function()
  local page = h.read "conf/CAPACITY.md"

  it("has the costs that were measured", function()
    assert.truthy(page:find("\n" .. capacity.costs() .. "\n", 1, true), capacity.costs())
  end)

  it("has the plan that follows from them", function()
    assert.truthy(page:find("\n" .. capacity.plan() .. "\n", 1, true), capacity.plan())
  end)

  it("computes its example", function()
    local f = capacity.figures()
    local text, is = page:match "0%.02 × 2 × (%b()) = ([%d.]+) cores"
    assert.equal(("(%.2f + %.2f + %.2f)"):format(f.single, f.kafka, f.clickhouse), text)
    assert.equal(("%.2f"):format(0.04 * (f.single + f.kafka + f.clickhouse)), is)
  end)

  it("counts what the spool takes besides the events", function()
    local text = h.read "src/spool/format.h"
    local entry = tonumber(text:match "BLOCK_ENTRY_BYTES = (%d+)")
    local head = tonumber(text:match "BLOCK_HEAD_BYTES = (%d+)")
    assert.same({ entry, head }, { capacity.ENTRY, capacity.HEAD })
    local more, alone = page:match "(%d+) bytes in batches of 200, (%d+) alone"
    assert.same({ ("%.0f"):format(capacity.stored(200)), ("%.0f"):format(capacity.stored(1)) },
      { more, alone })
    local row = h.read "bench/RESULTS.md":match "\n| 250 bytes, batches of 200 | ([%d.]+) |"
    assert.equal(("%.1f"):format(capacity.stored(200)), row)
  end)

  it("plans replicas that can carry their load", function()
    local f = capacity.figures()
    local slowest = math.min(f.kafka_rate, f.clickhouse_rate)
    local row = capacity.plan():match "carry the load | ([^\n]+)"
    local i = 0
    for n in row:gmatch "%d+" do
      i = i + 1
      assert.is_true(capacity.RATES[i] / n <= slowest / 2)
    end
    assert.equal(#capacity.RATES, i)
  end)
end)
