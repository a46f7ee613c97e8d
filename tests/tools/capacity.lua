-- The tables of conf/CAPACITY.md, from the figures of bench/RESULTS.md:
--   luajit tests/tools/capacity.lua      prints them
-- tests/spec/capacity_spec.lua compares the page with them.
local M = {}

local function read(path)
  local f = assert(io.open(path))
  local text = f:read "*a"
  f:close()
  return text
end

-- What is planned for: rates in million events a second, bytes an event, seconds of an outage.
M.RATES, M.BYTES, M.OUTAGE = { 1, 2, 10 }, 250, 3600

-- What the spool takes besides (src/spool/format.h): a line end and an entry for each event;
-- for each block a head, and zeros up to 8 bytes. A batch is a block, or a part of one.
M.BATCH, M.ENTRY, M.HEAD = 200, 16, 64

---Bytes that an event takes on the disk, with n events a block.
function M.stored(n)
  return math.ceil(n * (M.BYTES + 1) / 8) * 8 / n + M.ENTRY + M.HEAD / n
end

---Figures by name: CPU seconds a million events, and the sinks' million events a second.
function M.figures()
  local text = read "bench/RESULTS.md"
  local function figure(pattern)
    return assert(tonumber(text:match(pattern)), "bench/RESULTS.md: no " .. pattern)
  end
  return {
    batch = figure "| sluice%-batch %(200 events%) | ([%d.]+) |",
    single = figure "| sluice%-single | ([%d.]+) |",
    kafka = figure "| kafka, a message an event, keyed | ([%d.]+) CPU",
    kafka_rate = figure "| kafka, a message an event, keyed | [%d.]+ CPU s a million, ([%d.]+) M",
    clickhouse = figure "We need ([%d.]+) %(reading,",
    clickhouse_rate = figure "| clickhouse [%d.]+, `columns` | ([%d.]+) M rows/s",
    clickhouse_server =
      figure "| clickhouse [%d.]+, `columns` | [%d.]+ M rows/s, its CPU ([%d.]+) s",
    file = figure "| file, zstd | ([%d.]+) CPU",
    null = figure "| null %(reads and counts%) | ([%d.]+) CPU",
  }
end

function M.costs()
  local f = M.figures()
  return table.concat({
    "| work | CPU s a million events | at most, M events/s |",
    "|---|---|---|",
    ("| receive and store, one event a request | %.2f | |"):format(f.single),
    ("| receive and store, batches of 200 | %.2f | |"):format(f.batch),
    ("| deliver to Kafka, one message an event | %.2f | %.2f |"):format(f.kafka, f.kafka_rate),
    ("| deliver to ClickHouse, with `columns` | %.2f | %.2f |"):format(f.clickhouse,
      f.clickhouse_rate),
    ("| deliver to a file with zstd | %.2f | |"):format(f.file),
  }, "\n") .. "\n"
end

function M.plan()
  local f = M.figures()
  local slowest = math.min(f.kafka_rate, f.clickhouse_rate)
  local sinks, stored = f.kafka + f.clickhouse, M.stored(M.BATCH)
  local names = { "events a second", "replicas that carry the load", "replicas, one to spare",
    "cores of a replica, batches of 200", "cores of a replica, one event a request",
    "disk of a replica for the outage, GB", "writes of a replica, MB/s",
    "network into a replica, Gbit/s", "backlog of the outage is gone after, minutes",
    "cores of all ClickHouse servers" }
  local columns = {}
  for i, rate in ipairs(M.RATES) do
    local carry = math.ceil(2 * rate / slowest)
    local one = rate / carry -- million events a second of a replica
    columns[i] = {
      rate .. " M", carry, carry + 1,
      math.ceil(2 * one * (f.batch + sinks)), math.ceil(2 * one * (f.single + sinks)),
      math.ceil(one * stored * M.OUTAGE / 1000 / 10) * 10,
      math.ceil(one * stored), ("%.1f"):format(one * M.BYTES * 8 / 1000),
      math.ceil(one * M.OUTAGE / (slowest - one) / 60),
      math.ceil(2 * rate * f.clickhouse_server),
    }
  end
  local lines = {}
  for i, name in ipairs(names) do
    local cells = { name }
    for c = 1, #columns do cells[c + 1] = tostring(columns[c][i]) end
    lines[#lines + 1] = "| " .. table.concat(cells, " | ") .. " |"
    if i == 1 then lines[#lines + 1] = "|---|" .. ("---|"):rep(#columns) end
  end
  return table.concat(lines, "\n") .. "\n"
end

if arg and arg[0] and arg[0]:match "capacity%.lua$" then
  io.write(M.costs(), "\n", M.plan())
end
return M
