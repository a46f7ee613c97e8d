-- Writes conf/METRICS.md: names, kinds and help texts come from the calls that register
-- a series in src/, labels and order from the table below.
--
--   luajit tests/tools/metrics.lua            ninja -C build reference does it
--
-- Ends with an error when the table lacks a metric of the source, or has one that the
-- source does not register.
local M = {}

-- { section, text, { { labels, names without "sluice_" }, … } }
local sections = {
  { "Requests and events", [[
- Every event is counted once. Over all routes: received = stored + rejected + dropped +
  duplicate + dead + refused + waiting; for one route the difference is what waits.
- A request that sluice refuses before it counts the request's events is one event.
  `route="none"` is a request without a route.
- `sluice_events_total` has a `code` where the result is `rejected` or `refused`. An event that
  is refused because other events of its request were rejected has none.
- `sluice_events_total` and `sluice_refusals_total` have all codes of sluice, the codes
  that the policy's files name in quotes, and at most 40 codes that a hook makes of values, for each
  route and worker; further codes count as `other`.
- `sluice_requests_total` has the methods POST, GET, HEAD, PUT, PATCH, DELETE and OPTIONS, `other`,
  and `none` where the bytes are not a request; at most 48 pairs of method and status for each
  route and worker, further ones count as `other`.
- `sluice_auth_refused_total` has the reasons `missing`, `malformed`, `unknown`, `expired`,
  `disabled` and `unreadable`; these requests count in `sluice_refusals_total` too. Accepted
  requests are in `sluice_key_requests_total{keys,label}` for `keys` with a `label`
  ([SECURITY.md](SECURITY.md)).
- A record of a refusal ([REFUSED.md](REFUSED.md)) is no received event. It is one of its
  stream's stored events, and counts in `sluice_refused_records_total`.
- A request for a `health` path counts in `sluice_requests_total`, and has no time.
- A preflight of a browser (OPTIONS) counts with `route="none"`.
- `sluice_request_seconds` has every other request, also those that sluice refuses; its bounds
  are close enough for a p99.9. `sluice_request_body_seconds` is the client's part of it, and
  `sluice_request_first_byte_seconds` the part of sluice. A refused connection, or a request without
  a whole head, takes 0 s.
- `sluice_stage_seconds` has the stages `decode`, `check`, `policy`, `store` and `commit`.]],
    { "route, method, status", "requests_total" },
    { "route", "request_seconds request_body_seconds request_first_byte_seconds" },
    { "stage", "stage_seconds" }, { "route", "received_events_total" },
    { "route, result, code", "events_total" }, { "", "waiting_events" },
    { "route", "cut_texts_total" }, { "", "agent_skips_total" },
    { "route, code, status", "refusals_total" },
    { "route, reason", "auth_refused_total" },
    { "keys, label", "key_requests_total" } },
  { "Access log", "", { "", "access_log_lines_total" },
    { "reason", "access_log_dropped_total" } },
  { "Connections", "", { "", "connections_total connections_open connections_evicted_total",
      "connection_timeouts_total connection_buffer_bytes body_buffer_bytes" },
    { "reason", "connections_refused_total" },
    { "listener", "listener_connections_total listener_connections_open" },
    { "version, resumed", "tls_handshakes_total" },
    { "reason", "tls_handshake_failures_total" }, { "", "tls_handshakes_under_way" },
    { "listener", "tls_certificate_expiry_seconds tls_certificate_lifetime_seconds",
      "tls_renewal_failing" }, { "listener, result", "tls_renewals_total" },
    { "listener, reason", "listener_refused_total" }, { "pool, op", "pool_ops_total" } },
  { "Spool", "", { "stream", "stored_events_total stored_bytes_total store_failures_total",
      "spool_bytes spool_limit_bytes spool_reserved_bytes spool_damaged_blocks_total",
      "spool_damaged_events_total" },
    { "stream, result", "refused_records_total" },
    { "stream, op", "spool_segments_total" },
    { "", "spool_disk_free_bytes spool_disk_bytes commits_total spool_sync_seconds",
      "spool_prepare_seconds" } },
  { "Delivery", "", { "sink", "delivered_events_total delivery_age_seconds batch_events",
      "batch_bytes batch_target batch_linger_seconds" }, { "sink, reason", "batches_total" } },
  { "A sink that is late", "", { "sink",
    "sink_holding sink_failing_seconds sink_oldest_event_seconds",
      "sink_left_events sink_lag_bytes sink_retries_total sink_apart_batches",
      "sink_lost_events sink_skipped_events sink_dropped_events_total" } },
  { "Dead letters", "", { "sink",
      "dead_events_total dead_bytes dead_replayed_events_total" } },
  { "Breakers and connections of sinks", "", { "sink, endpoint", "breaker_state",
    "endpoint_failing" },
    { "sink, endpoint, to", "breaker_transitions_total" },
    { "sink, endpoint, result", "endpoint_requests_total" },
    { "sink", "sink_connections_open sink_connections_active sink_connections_idle",
      "sink_connections_waiting sink_connections_opened_total",
      "sink_connections_closed_total sink_connection_wait_seconds" } },
  { "ClickHouse and HTTP sinks", "", { "sink", "insert_seconds insert_rows_total",
      "insert_extra_total sink_window sink_wire_bytes_total hedging hedges_total",
      "hedge_wins_total" } },
  { "Kafka sinks", "`sluice_hedges_total`, `sluice_hedge_wins_total` and "
      .. "`sluice_sink_wire_bytes_total` count for Kafka too.\n"
      .. "Its wire bytes are all that librdkafka sends to brokers. librdkafka tells its numbers\n"
      .. "once a second: what it sent later is missing when a reload or an error replaces it.",
    { "sink, endpoint", "kafka_queued_messages kafka_queued_bytes",
      "kafka_sent_messages_total" },
    { "sink", "kafka_fatal_errors_total kafka_scanned_events_total",
      "kafka_topic_defaults_total kafka_possible_copies_total" } },
  { "File and null sinks", "", { "sink",
      "file_sealed_total file_bytes_total null_events_total null_bytes_total" } },
  { "The process", "", { "version", "build_info" }, { "",
      "silent_threads process_cpu_seconds_total",
      "process_resident_memory_bytes process_virtual_memory_bytes",
      "process_open_fds process_max_fds process_threads process_start_time_seconds" } },
  { "Policy", "", { "", "policy_generation policy_trial policy_interrupts_total" },
    { "route, hook", "policy_errors_total" },
    { "status", "policy_generations" },
    { "", "policy_load_refused" }, { "result", "policy_reloads_total" },
    { "result", "policy_trials_total" }, { "kind", "shadow_differences" },
    { "sink", "sink_function_errors_total" } },
  { "Limits and dedup of a policy", "", { "limit", "limit_refused_total",
      "limit_forgotten_total" }, { "result", "quota_saves_total" },
    { "stream, result", "dedup_events_total" },
    { "stream", "dedup_keys dedup_forgotten_total dedup_saved_keys dedup_disk_bytes",
      "dedup_damaged_total" } },
  { "The index of ids", "Of streams with `index`, for `sluice find` and `sluice ledger`.",
    { "stream", "index_events_total index_read_events_total index_disk_bytes",
      "index_dropped_events_total index_damaged_total" },
    { "sink", "sink_unrecorded_places_total" } },
}

local kinds = { age = "gauge", counter = "counter", asked_counter = "counter", gauge = "gauge",
  asked_gauge = "gauge", histogram = "histogram" }

-- The arguments of a call whose "(" is at `at`: texts of literals joined, names as
-- they are.
local function arguments(code, at)
  local list, text, depth, i = {}, "", 1, at + 1
  while depth > 0 do
    local c = code:sub(i, i)
    if c == '"' then
      local stop = i
      repeat stop = code:find('"', stop + 1, true) until code:sub(stop - 1, stop - 1) ~= "\\"
      text = text .. code:sub(i + 1, stop - 1)
      i = stop
    elseif c == "(" then depth = depth + 1
    elseif c == ")" then depth = depth - 1
    elseif c == "," and depth == 1 then list[#list + 1], text = text, ""
    elseif not c:find "%s" then text = text .. c
    end
    i = i + 1
  end
  list[#list + 1] = text
  return list
end

-- Those that the loader adds to a policy's own, into all.
local function of_loader(all)
  local f = assert(io.open "lua/sluice/auth.lua")
  for word, name, help in f:read "*a":gmatch
      'word = "(%l+)", name = "(sluice_[%w_]+)",%s+help = "([^"]+)"' do
    all[name] = { kind = word, help = help, file = "lua/sluice/auth.lua" }
  end
  f:close()
  return all
end

-- The series that the source registers: name -> { kind =, help =, file = }.
function M.registered()
  local files, all, macros = io.popen "find src -name '*.[ch]' | sort", {}, {}
  local codes = {}
  for file in files:lines() do
    local f = assert(io.open(file))
    codes[#codes + 1] = { file, f:read "*a" }
    f:close()
    for name, text in codes[#codes][2]:gmatch '#define ([%u_]+)[%s\\]+"([^\n]*)"\n' do
      macros[name] = text
    end
  end
  files:close()
  for _, c in ipairs(codes) do
    local file, code = c[1], c[2]
    local constants = setmetatable({}, { __index = macros })
    for name, literals in code:gmatch 'char ([%w_]+)%[%]%s*=(%s*"[^;]*");' do
      constants[name] = table.concat(arguments(literals .. ")", 0))
    end
    for form, at in code:gmatch "stats_([%w_]+)()%(" do
      local args = kinds[form] and not file:find "^src/stats/" and arguments(code, at)
      local name = args and (constants[args[1]] or args[1])
      if name and (name:find "^sluice_" or name:find "^process_") then
        local help = constants[args[2]] or args[2]
        local was = all[name]
        assert(not was or was.help == help and was.kind == kinds[form],
          name .. " is registered in two ways, in " .. file)
        all[name] = { kind = kinds[form], help = help, file = file }
      end
    end
  end
  return of_loader(all)
end

-- Calls visit(name, labels) for each metric of a section, in order.
local function each(section, visit)
  for i = 3, #section do
    local group = section[i]
    for j = 2, #group do
      for name in group[j]:gmatch "%S+" do
        visit(name:find "^process_" and name or "sluice_" .. name, group[1])
      end
    end
  end
end

-- name -> labels, as "sink, endpoint".
function M.labels()
  local all = {}
  for _, s in ipairs(sections) do
    each(s, function(name, labels) all[name] = labels end)
  end
  return all
end

function M.markdown()
  local all, labels, out = M.registered(), M.labels(), { [[
# Metrics

`GET /metrics` on the admin port, in Prometheus' text format; a scraper whose Accept header
prefers it gets OpenMetrics, where `sluice_request_seconds` has the trace ids of requests with a
`traceparent` (exemplars). A scraper that takes gzip gets it; the admin port's thread packs a scrape
of 1 MB in about 3 ms.

A Prometheus with native histograms asks for protobuf and gets it. There `sluice_request_seconds`
is a native histogram of schema 3, whose quantiles are at most 16 % from the recorded times, and has
its classic buckets too. The alerts and the dashboard read the classic ones: set
`always_scrape_classic_histograms: true` (`scrape_classic_histograms` before Prometheus 3).

A series whose route, stream, sink, limit, counter or gauge left the policy goes from `/metrics`
when no generation has the name any more and no request of it is under way. A series that a later
policy names again goes on with its count if sluice still remembers it (1 MiB of series that
went last), and otherwise begins at 0, as after a restart; a policy's own `gauge` always begins at
0. `sluice_sink_dropped_events_total` stays until a restart. Sums in `/status` and on the page have
all events since the start.

`ninja -C build reference` makes this page from the source; a test compares. A policy
adds its own metrics with `counter` and
`gauge` ([POLICY.md](POLICY.md)). A metric appears when the thing that it measures is there: a
sink's with the sink, a result's with the first such result. Names that end in `_seconds` are
seconds, those in `_bytes` bytes. Alerts are in `docker/prometheus/rules.yml`;
[OPERATIONS.md](OPERATIONS.md) says what to do for each.]] }
  local function line(...) out[#out + 1] = table.concat({ ... }) end
  for name in pairs(labels) do
    assert(all[name], name .. " is in tests/tools/metrics.lua, but not in src/")
  end
  for name, m in pairs(all) do
    assert(labels[name], name .. " (" .. m.file .. ") is not in tests/tools/metrics.lua")
  end
  for _, s in ipairs(sections) do
    line("\n## ", s[1], "\n")
    if s[2] ~= "" then line(s[2], "\n") end
    line "| metric | kind | labels | meaning |\n|---|---|---|---|"
    each(s, function(name, own)
      line("| `", name, "` | ", all[name].kind, " | ", own, " | ", all[name].help, " |")
    end)
  end
  return table.concat(out, "\n") .. "\n"
end

if arg and (arg[0] or ""):find "metrics%.lua$" then io.write(M.markdown()) end
return M
