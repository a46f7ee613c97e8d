-- A call that always fails is tried again after a pause: a server under load, whose
-- calls fail as long as a rule says so, makes few of them and takes little of a core,
-- also while it starts. Then all that was acknowledged arrives.
--
-- A few rules; SLUICE_FAULT_RATES=all for each error in each kind of call.
local faults = require "faults"
local h = require "harness"
local receiver = require "receiver"
local socket = require "socket"

local SECONDS = 0.5 -- under each rule, running and again starting
local CPU = 0.5 -- of a core at most; the load alone takes less than 0.1
local TRIES = 300 -- a second at most, with about 100 requests a second
local INTERRUPTED = 100 -- calls that are one try; see read.h, write.h

-- The last one fails for a sink alone: the spool goes on, so that there is always more to do.
local FEW = { "read EINTR", "write EINTR", "all EMFILE", "change ENOSPC", "write EIO /plain/" }
local OPS = { "read", "write", "sync", "rename", "link", "create", "open", "unlink",
  "alloc", "list", "stat", "range", "all", "change" }
local ERRORS = { "EINTR", "EMFILE", "ENOSPC", "EIO", "ENOMEM", "EACCES" }

local POLICY = [[
server { listen = "127.0.0.1:0", workers = 1, drain = "1s" }
admin { listen = "127.0.0.1:0" }
file "plain" { dir = "plain", linger = "5ms", rotate = { age = "1s" } }
file "packed" { dir = "packed", linger = "5ms", compress = "zstd",
  rotate = { age = "1s" } }
http "out" { url = %q, batch = { linger = "5ms", target = 3 } }
stream "written" { sinks = { "plain", "packed", "out" } }
stream "synced" { ack = "synced", sinks = { "plain", "packed", "out" } }
route "POST /written" { body = "event", stream = "written" }
route "POST /synced" { body = "event", stream = "synced" }
]]

local function cases()
  if os.getenv "SLUICE_FAULT_RATES" ~= "all" then return FEW end
  local list = {}
  for _, op in ipairs(OPS) do
    for _, e in ipairs(ERRORS) do list[#list + 1] = op .. " " .. e end
  end
  for _, folder in ipairs { "/plain/", "/packed/", "/sinks/" } do
    list[#list + 1] = "write EIO " .. folder
    list[#list + 1] = "sync EIO " .. folder
  end
  return list
end

describe("a call that always fails", function()
  local r, s, f, sent, open
  after_each(function()
    if s then s:close() end
    f:close()
    r:close()
  end)

  local function post()
    local c = socket.tcp()
    c:settimeout(1)
    if c:connect("127.0.0.1", s.port) then
      sent = sent + 1
      local body = ([[{"n":%d}]]):format(sent)
      c:send(("POST /%s HTTP/1.1\r\nHost: t\r\nConnection: close\r\nContent-Type: "
        .. "application/json\r\nContent-Length: %d\r\n\r\n%s"):format(sent % 2 == 0
        and "written" or "synced", #body, body))
      c:settimeout(0)
      open[#open + 1] = { c = c, n = sent, text = "" }
    end
  end

  local acked
  local function read()
    for i = #open, 1, -1 do
      local o = open[i]
      local text, why, part = o.c:receive "*a"
      o.text = o.text .. (text or part or "")
      if text or why == "closed" then
        if o.text:find "^HTTP/1.1 202" then acked[o.n] = true end
        o.c:close()
        table.remove(open, i)
      end
    end
  end

  ---Some time with or without load; returns faults a second and what it took of a core.
  local function measure(load)
    local from, before, made = h.now(), faults.cpu(s.pid), f:made()
    local took = before
    while h.now() < from + SECONDS and s.pid do
      if load and #open < 20 then post() end
      read()
      h.sleep(0.01)
      took = faults.cpu(s.pid) or took
      if s:ended() then break end
    end
    local seconds = math.max(h.now() - from, 0.5)
    return (f:made() - made) / seconds, (took - before) / seconds
  end

  it("is tried again after a pause, and never takes a core", function()
    r = receiver.start()
    local dir = h.folder()
    f = faults.new(dir .. "/data")
    s = setmetatable({ dir = dir, data = dir .. "/data", log = dir .. "/log",
      path = dir .. "/policy.lua", wrap = f:wrap(), args = {} }, h.Server)
    h.write(s.path, POLICY:format(r.url))
    sent, open, acked = 0, {}, {}
    local wrong, most, busiest = {}, 0, 0
    for _, case in ipairs(cases()) do
      local on, what, path = case:match "(%w+) (%w+) ?(.*)"
      local rule = ("on=%s do=%s %s times=1000000 permille=1000"):format(on, what,
        path ~= "" and "path=" .. path or "")
      local function judge(when, rate, share)
        most, busiest = math.max(most, rate), math.max(busiest, share)
        local _, calls = f:counts()
        local list = {}
        for op, n in pairs(calls) do list[#list + 1] = op .. " " .. n end
        local line = ("%s, %s: %d faults a second (%s), %.2f of a core"):format(case,
          when, rate, table.concat(list, ", "), share)
        if os.getenv "SLUICE_FAULT_RATES" then print("# " .. line) end
        local may = TRIES * (what == "EINTR" and INTERRUPTED or 1)
        if rate > may or share > CPU then wrong[#wrong + 1] = line end
      end
      if not s.pid then
        s:start()
      end
      measure(true)
      f:rules(rule)
      judge("running", measure(true))
      s:stop "SIGKILL"
      s:start(true)
      f:rules(rule)
      judge("starting", measure(false))
      f:rules()
      if s.pid and not pcall(s.ready, s, 20) and s.pid then
        error("not ready after " .. case .. ":\n" .. s:text())
      end
      for _, o in ipairs(open) do o.c:close() end
      open = {}
    end
    if not s.pid then s:start() end
    s:deliver(30)
    assert.equal(0, s:stop())
    for name, list in pairs { plain = s:lines "plain", packed = s:lines "packed",
      out = r:events() } do
      local seen = {}
      for _, line in ipairs(list) do
        local n = tonumber(line:match '"n":(%d+)')
        assert.is_nil(seen[n], name .. " has twice " .. line)
        seen[n] = true
      end
      for n in pairs(acked) do assert.is_true(seen[n], name .. " lacks " .. n) end
    end
    print(("# always failing: %d rules, at most %d faults a second and %.2f of a core"):
      format(#cases(), most, busiest))
    assert.same({}, wrong)
  end)
end)
