-- The policies of fault_fuzz_spec.lua, which change while the server runs: what is
-- wanted is in the file, what is live was said by the server.
local h = require "harness"

local M = {}
local Policies = {}
Policies.__index = Policies

local TEXT = [[
server { listen = "127.0.0.1:0", workers = %d, drain = "2s", max_body = "1MiB" }
admin { listen = "127.0.0.1:0" }
spool { segment = "4MiB", max_bytes = "256MiB" }
file %q { dir = "plain", linger = "%dms", compress = %q, rotate = { age = "1s" }, %s }
file "packed" { dir = "packed", linger = "5ms", compress = "zstd",
  rotate = { age = "1s" } }
http "out" { url = %q, compression = %q, batch = { linger = "5ms", target = 3 } }
clickhouse "table" { urls = { %q }, table = "default.events", check = false,
  compression = "gzip", batch = { linger = "5ms", target = 3, min = 1 } }
kafka "bus" { brokers = %q, topic = %q }
%s
stream "written" { ack = "written", sinks = { SINKS } }
stream "synced" { ack = "synced", sinks = { SINKS } }
stream "delivered" { ack = "delivered", timeout = "2s", sinks = { SINKS } }
route "POST /written" { body = "batch", stream = "written" }
route "POST /synced" { body = "batch", stream = "synced" }
route "POST /delivered" { body = "batch", stream = "delivered" }
]]
local EXTRA = [[file "extra" { dir = "extra", linger = "5ms", rotate = { age = "1s" } }]]

---@param roll function numbers by chance
---@param to table the places that the policy sends to: out, table, brokers, topic
---@param path string the policy's file
function M.new(roll, to, path)
  local p = setmetatable({ roll = roll, to = to, path = path, workers = roll(2),
    plain = roll(2) == 1 and "zstd" or "none", out = roll(2) == 1 and "gzip" or "none",
    -- How often the list of who gets what was about to change: an event is owed to
    -- "extra" when that did not happen while it was sent.
    turns = 0 }, Policies)
  p.wanted = { name = 0, extra = true, linger = 5 }
  p:put()
  return p
end

function Policies:text()
  local w, to = self.wanted, self.to
  local name = "plain" .. w.name
  local was = w.name > 0 and ("was = %q"):format("plain" .. w.name - 1) or ""
  local sinks = ("%q, %s"):format(name, '"packed", "out", "table", "bus"'
    .. (w.extra and ', "extra"' or ""))
  return (TEXT:format(self.workers, name, w.linger, self.plain, was, to.out, self.out,
    to.table, to.brokers, to.topic, w.extra and EXTRA or ""):gsub("SINKS", sinks))
end

function Policies:put(more)
  h.write(self.path, self:text() .. (more or ""))
end

---The server said that the policy in the file is live.
function Policies:is_live()
  if not self.live or self.live.extra ~= self.wanted.extra then
    self.turns = self.turns + 1
  end
  self.live = self.wanted
end

---Whether "extra" gets all that is sent: it is in what is live and in what is wanted.
function Policies:has_extra()
  return self.live ~= nil and self.live.extra and self.wanted.extra
end

---Another policy by chance, if the last one is live; returns what it changes. A bad one
---does not stay in the file.
function Policies:change()
  if self.live ~= self.wanted then return "the same" end
  local what, w = self.roll(5), {}
  for k, v in pairs(self.live) do w[k] = v end
  if what == 1 then return "bad" end
  if what == 2 then
    w.linger = w.linger % 20 + 5
  elseif what == 3 then
    w.name = w.name + 1
  else
    w.extra = not w.extra
    self.turns = self.turns + 1
  end
  self.wanted = w
  self:put()
  return ({ nil, "linger", "renamed", "extra", "extra" })[what]
end

return M
