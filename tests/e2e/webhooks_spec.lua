local h = require "harness"

-- Real payloads: the npm package @octokit/webhooks-examples, fetched once.
local VERSION = "7.6.1"

-- The end of the JSON value at `at` in text that is known to be JSON.
local function skip(text, at)
  local depth = 0
  while true do
    local i, _, c = text:find('([%[%]{}",])', at)
    if c == '"' then
      local j = i + 1
      while true do
        local k, _, q = text:find('(["\\])', j)
        if q == '"' then at = k + 1 break end
        j = k + 2
      end
      if depth == 0 then return at - 1 end
    elseif c == "[" or c == "{" then
      depth, at = depth + 1, i + 1
    elseif c == "]" or c == "}" then
      if depth == 0 then return i - 1 end
      depth, at = depth - 1, i + 1
      if depth == 0 then return i end
    else
      if depth == 0 then return i - 1 end
      at = i + 1
    end
  end
end

-- The examples' texts, as they stand in the file.
local function examples(path)
  local text, list, at = h.read(path), {}, 1
  while true do
    local _, open = text:find('"examples"%s*:%s*%[', at)
    if not open then return list end
    at = open + 1
    while true do
      local i = text:find("[%]{]", at)
      if text:sub(i, i) == "]" then at = i + 1 break end
      local stop = skip(text, i)
      list[#list + 1] = text:sub(i, stop)
      at = stop + 1
    end
  end
end

describe("conf/examples/webhooks.lua with real payloads", function()
  it("archives every one as it was sent, singly and in batches", function()
    local dir = h.shell("sh tests/fetch.sh @octokit/webhooks-examples "
      .. VERSION):match("^(/%S+)")
    if not dir then
      pending("no npm, or its registry can't be reached")
      return
    end
    local list = examples(dir .. "/api.github.com/index.json")
    assert.is_true(#list > 200, #list)
    local s = h.server { path = "conf/examples/webhooks.lua" }
    local wanted, size = {}, 0
    local function want(text)
      wanted[#wanted + 1] = text:gsub("[\r\n]", " ")
      size = size + #text
    end
    for i, text in ipairs(list) do
      local a = s:post("/webhooks", text, { ["X-GitHub-Event"] = "x" })
      assert.equal(202, a.status, i .. ": " .. a.body)
      want(text)
    end
    for i = 1, #list, 25 do
      local part = { unpack(list, i, math.min(i + 24, #list)) }
      local a = s:post("/webhooks/batch", "[" .. table.concat(part, ",\n")
        .. "]")
      assert.equal(202, a.status, a.body)
      for _, text in ipairs(part) do want(text) end
    end
    assert.equal(202, s:post("/webhooks", list[1],
      { ["X-GitHub-Event"] = "ping" }).status)
    assert.equal(0, s:stop())
    local got = s:lines()
    table.sort(got)
    table.sort(wanted)
    assert.equal(#wanted, #got)
    for i = 1, #wanted do assert.equal(wanted[i], got[i]) end
    print(("# webhooks: %d payloads, %d lines of %d kB compared")
      :format(#list, #got, size / 1024))
    s:close()
  end)
end)
