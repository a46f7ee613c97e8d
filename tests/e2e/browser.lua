-- A real Chromium with the live page, driven by a spec: tests/clients/driven.cjs.
local cjson = require "cjson"
local h = require "harness"
local signal = require "posix.signal"

local M = {}

local Page = {}
Page.__index = Page

function M.there()
  return h.shell("command -v chromium") ~= "" and h.shell("command -v node") ~= ""
end

---Opens the page of the admin listener at that port; headers: what each request has.
function M.open(port, dir, headers)
  local profile = dir .. "/browser"
  h.shell("mkdir -p " .. profile)
  local out = profile .. "/out"
  local argv = { "node", "tests/clients/driven.cjs", "http://127.0.0.1:" .. port,
    profile }
  if headers then argv[#argv + 1] = cjson.encode(headers) end
  local p = setmetatable({ pid = h.spawn(argv, out), dir = profile }, Page)
  local at = h.wait_for("the browser", function()
    local text = h.read(out) or ""
    assert(not text:find("error", 1, true), text)
    return text:match("port (%d+)")
  end)
  p.socket = h.connect(tonumber(at), 120)
  return p
end

function Page:ask(...)
  self.socket:send(cjson.encode { ... } .. "\n")
  local line, why = self.socket:receive "*l"
  local answer = cjson.decode((assert(line, why)))
  if answer.error then error(answer.error, 2) end
  return answer.ok
end

---The value of `return ...` in the page.
function Page:run(code) return self:ask("run", code) end

function Page:text(selector)
  return self:run(("return (document.querySelector(%s) || { textContent: '' }).textContent")
    :format(cjson.encode(selector)))
end

---Waits until the text of an element matches; the text.
function Page:becomes(selector, pattern, seconds)
  local text
  local ok = pcall(h.wait_for, selector, function()
    text = self:text(selector)
    return text:match(pattern)
  end, seconds)
  if not ok then error(selector .. " never became " .. pattern .. ": " .. text, 2) end
  return text
end

---Shows so many more answers of the server.
function Page:looks(n) self:ask("looks", n) end

---A screenshot, in SLUICE_SHOTS if that names a folder.
function Page:shot(name, width, height, scheme)
  local overflow = self:ask("shot", name, width or 1280, height or 900, scheme or "light")
  local to = os.getenv "SLUICE_SHOTS"
  if to then h.shell(("cp '%s/%s.png' '%s'"):format(self.dir, name, to)) end
  return overflow
end

function Page:close()
  self.socket:close()
  if not pcall(h.reap, self.pid, 20) then pcall(signal.kill, self.pid, signal.SIGKILL) end
  -- Its processes write to the profile until they have ended.
  h.wait_for("the browser to end", function()
    return h.shell("pgrep -f -- '[-]-user-data-dir=" .. self.dir .. "/'") == ""
  end)
end

return M
