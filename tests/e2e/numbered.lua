-- numbered: a server's events {"n":1}, {"n":2}, … and its next policies, each accepted.
local cjson = require "cjson"
local h = require "harness"

local M = {}

---The next `count` events (default 1); s.posted has the last one's number.
function M.post(s, count)
  for _ = 1, count or 1 do
    s.posted = (s.posted or 0) + 1
    local a = s:post("/v1/events", ([[{"n":%d}]]):format(s.posted))
    if a.status ~= 202 then error(("%d: %s"):format(a.status, a.body), 2) end
  end
end

---Loads another policy; what was answered.
function M.reload(s, text)
  h.write(s.path, text)
  local a = s:reload()
  if a.status ~= 200 then error(("%d: %s"):format(a.status, a.body), 2) end
  return cjson.decode(a.body)
end

return M
