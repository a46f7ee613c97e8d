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

---it() for tests of the page: pending where there is no browser.
function M.it(it, pending)
  return function(title, f)
    it(title, function()
      if not M.there() then
        pending "no chromium or no node: apt-get install chromium nodejs"
        return
      end
      f()
    end)
  end
end

---Runs a script of tests/clients that has a browser of its own; what it said, and the folder
---of its screenshots.
function M.client(s, script, seconds, ...)
  local out = s.dir .. "/client"
  local shots = os.getenv "SLUICE_SHOTS" or s.dir
  local code = h.reap(h.spawn({ "node", "tests/clients/" .. script, "http://127.0.0.1:" .. s.admin,
    shots, ... }, out), seconds)
  local text = h.read(out)
  if code ~= 0 then error(("%s ended with %s: %s"):format(script, code, text), 2) end
  if os.getenv "SLUICE_SAID" then print(text) end
  return cjson.decode(text), shots
end

---Opens the page of the admin listener at that port, or at a URL without its last slash;
---headers: what each request has.
function M.open(port, dir, headers)
  local profile = dir .. "/browser"
  h.shell("mkdir -p " .. profile)
  local out = profile .. "/out"
  local argv = { "node", "tests/clients/driven.cjs",
    tonumber(port) and "http://127.0.0.1:" .. port or port, profile }
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

---Shows so many more answers of the server; a few at a time, because one question to the page
---ends after a minute.
function Page:looks(n)
  for _ = 1, n, 20 do
    self:ask("looks", math.min(n, 20))
    n = n - 20
  end
end

---Waits until a condition of the page is true.
function Page:waits(condition) self:ask("until", condition) end

---Puts tests/clients/judged.js into the page.
function Page:judge() self:run(h.read "tests/clients/judged.js") end

---Leads to the line of the refusal that is open.
function Page:to_line()
  self:run "document.getElementById('to-line').click()"
  self:waits "document.querySelector('#lines > *')"
end

---Closes the refusal that is open, if one is, and waits until its row has the focus again.
function Page:leave()
  if not self:run "return document.getElementById('detail').open" then return end
  local code = self:text "#detail-title"
  self:ask("key", "Escape")
  self:waits(([[!document.getElementById('detail').open
    && (document.activeElement.id === 'main' || document.activeElement.textContent === %s)]])
    :format(cjson.encode(code)))
end

---What the page complained of; gone: the server went meanwhile, which is a complaint of the
---browser itself.
function Page:complaints(gone)
  local list = {}
  for _, c in ipairs(self:ask("said").complaints) do
    if not (gone and c:find "^Failed to load resource") then list[#list + 1] = c end
  end
  return list
end

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
