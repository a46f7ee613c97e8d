local h = require "harness"
local socket = require "socket"

-- The cases of tests/http/corpus, each sent whole and byte by byte, many connections
-- beside each other.

local FOLDER = "tests/http/corpus/"
local PROBE = "GET /probe HTTP/1.1\r\nHost: t\r\n\r\n"
local PROBE_STATUS = 404
local TOGETHER = 200  -- connections at a time
local BY_BYTE = 700   -- bytes that are sent one by one; then larger pieces
local PIECE = 997
local SECONDS = 60    -- the most that a group may take

---The bytes of a case's lines; true: the client shuts down its sending side.
local function unescape(text)
  local half = false
  local function plain(s)
    return (s:gsub("\\(.)(%x?%x?)", function(c, hex)
      if c == "x" then return string.char(tonumber(hex, 16)) end
      if c == "!" then half = true return hex end
      local v = ({ r = "\r", n = "\n", t = "\t", s = " ", ["\\"] = "\\" })[c]
      return assert(v, "unknown escape \\" .. c) .. hex
    end))
  end
  local out, at = {}, 1
  while true do
    local from, to, n, what = text:find("\\{(%d+):([^}]*)}", at)
    out[#out + 1] = plain(text:sub(at, (from or 0) - 1))
    if not from then break end
    out[#out + 1] = plain(what):rep(tonumber(n))
    at = to + 1
  end
  return table.concat(out), half
end

local function read_cases(name)
  local cases = {}
  for line in io.lines(FOLDER .. name) do
    local statuses, fate, title = line:match("^@ (%S+) (%S+) (.+)$")
    if statuses then
      cases[#cases + 1] = { statuses = statuses, fate = fate, title = title,
        lines = {} }
      assert(fate == "keep" or fate == "close", name .. ": " .. line)
    elseif line ~= "" and line:sub(1, 1) ~= "#" then
      table.insert(cases[#cases].lines, line)
    end
  end
  for _, c in ipairs(cases) do
    c.bytes, c.half = unescape(table.concat(c.lines))
    c.want = {}
    for s in c.statuses:gmatch("%d+") do c.want[#c.want + 1] = tonumber(s) end
  end
  return cases
end

-- ---- one connection ----------------------------------------------------------

local Client = {}
Client.__index = Client

local function client(port, case, bytewise)
  local c = setmetatable({ case = case, bytewise = bytewise, sent = 0, got = "",
    answers = {} }, Client)
  c.socket = h.connect(port)
  c.socket:settimeout(0)
  return c
end

function Client:send()
  local bytes = self.case.bytes
  if self.sent == #bytes then
    if self.case.half and not self.shut then
      self.socket:shutdown("send")
      self.shut = true
    end
    return
  end
  local n = not self.bytewise and #bytes or self.sent < BY_BYTE and 1 or PIECE
  local last, why, part = self.socket:send(bytes, self.sent + 1,
    math.min(#bytes, self.sent + n))
  self.sent = last or math.max(part, self.sent)
  if why == "closed" then self.sent = #bytes end
end

---Takes whole answers off the bytes read.
function Client:parse()
  while true do
    local from, to = self.got:find("\r\n\r\n", 1, true)
    if not from then return end
    local head = self.got:sub(1, from + 1):lower()
    local status = tonumber(head:match("^http/1%.[01] (%d%d%d) "))
    local length = tonumber(head:match("\r\ncontent%-length: (%d+)\r\n")) or 0
    if #self.got < to + length then return end
    self.got = self.got:sub(to + length + 1)
    self.answers[#self.answers + 1] = status or "no HTTP"
    self.says_close = head:find("\r\nconnection: close\r\n", 1, true) ~= nil
  end
end

function Client:receive()
  local all, why, part = self.socket:receive(65536)
  self.got = self.got .. (all or part or "")
  if why == "closed" then self.ended = true end
  self:parse()
end

---Its problem; "": none; nil: it goes on.
function Client:verdict()
  local case = self.case
  local n = #case.want
  local said = table.concat(self.answers, ",")
  local function wrong(what)
    return ("%s: %s; answers %s, expected %s"):format(case.title, what, said,
      case.statuses)
  end
  for i, status in ipairs(self.answers) do
    if i <= n and status ~= case.want[i] then return wrong("another answer") end
  end
  if case.fate == "close" then
    if #self.answers > n then return wrong("too many answers") end
    if not self.ended then return nil end
    if #self.answers < n then return wrong("too few answers") end
    if n > 0 and not self.shut and not self.says_close then
      return wrong("no Connection: close")
    end
    return ""
  end
  if self.ended then return wrong("the connection ended") end
  if self.says_close then return wrong("Connection: close") end
  if self.sent == #case.bytes and #self.answers >= n and not self.probed then
    self.probed = true
    self.socket:send(PROBE)
  end
  if #self.answers <= n then return nil end
  return self.answers[n + 1] == PROBE_STATUS and "" or wrong("no room for a probe")
end

---Runs the cases beside each other; returns the list of problems.
local function run(port, cases, bytewise)
  local wrong, live = {}, {}
  local till = socket.gettime() + SECONDS
  for _, case in ipairs(cases) do
    live[#live + 1] = client(port, case, bytewise)
  end
  while #live > 0 do
    local still = {}
    for _, c in ipairs(live) do
      c:send()
      c:receive()
      local verdict = c:verdict()
      if not verdict and socket.gettime() > till then
        verdict = c.case.title .. ": neither answered nor closed; answers "
          .. table.concat(c.answers, ",")
      end
      if verdict then
        if verdict ~= "" then wrong[#wrong + 1] = verdict end
        c.socket:close()
      else
        still[#still + 1] = c
      end
    end
    live = still
  end
  return wrong
end

describe("the corpus of raw requests", function()
  local s
  local themes, n = {}, 0
  for name in h.shell("ls " .. FOLDER):gmatch("[%w_]+%.txt") do
    themes[#themes + 1] = { name = name, cases = read_cases(name) }
    n = n + #themes[#themes].cases
  end

  setup(function()
    s = h.server { policy = h.policy { workers = 1,
      server = [[max_body = "64KiB", max_headers = "4KiB",
        header_timeout = "60s", body_timeout = "60s"]] } }
  end)
  teardown(function()
    assert.equal(0, s:stop())
    s:close()
  end)

  it("has at least 450 cases", function()
    print("# corpus: " .. n .. " cases")
    assert.is_true(n >= 450)
  end)

  for _, theme in ipairs(themes) do
    for what, bytewise in pairs { whole = false, ["byte by byte"] = true } do
      it(("gets the answers of %s, sent %s"):format(theme.name, what), function()
        local wrong = {}
        for from = 1, #theme.cases, TOGETHER do
          local some = {}
          for i = from, math.min(#theme.cases, from + TOGETHER - 1) do
            some[#some + 1] = theme.cases[i]
          end
          for _, w in ipairs(run(s.port, some, bytewise)) do
            wrong[#wrong + 1] = w
          end
        end
        assert.equal("", table.concat(wrong, "\n"))
      end)
    end
  end
end)
