-- Mistakes in agents, in their file and in hooks that use them.
local checking = require "spec.checking"
local h = require "harness"

local BASE = [[
file "a" { dir = "a" }
stream "events" { sinks = { "a" } }
route "POST /v1/events" { body = "event", stream = "events" }
]]

local GOOD = "user_agent_parsers:\n- regex: '(Fox)/(\\d+)'\n"

-- The policy; the message of `sluice check`.
local words = {
  { [[agents "../x.yaml"]],
    [[agents "../x.yaml": expected a file beside the policy, such as "regexes.yaml"]] },
  { [[agents "none.yaml"]], [[agents "none.yaml": none.yaml: No such file or directory]] },
  { [[agents "good.yaml" { flag = "i" }]], [[agents "good.yaml".flag: unknown key]] },
  { [[agents {}]], [[agents "?": expected a name: agents "name" { }]] },
  { [[local v = agents "good.yaml":get("x", "os.family")]],
    [[agents can't be used while the policy is loaded]] },
  { [[local a = agents "good.yaml"; a.x = 1]], [[agents can't be changed]] },
  { [[agent "good.yaml"]], [[agent: unknown word; did you mean "agents"?]] },
}

local hooks = {
  { [[ev.a = agent:get()]], [[get: expected get(text, part), got no argument]] },
  { [[ev.a = agent:get(ev.ua)]], [[get: expected get(text, part), got 1 argument]] },
  { [[ev.a = agent:find(ev.ua)]], [[find: agents has no find: it has get]] },
  { [[ev.a = agent:get(ev.ua, "browser")]], [[get: "browser" is no part of a user agent]] },
  { [[ev.a = agent:get(ev.ua, "os.famly")]],
    [[get: "os.famly" is no part of a user agent; did you mean "os.family"?]] },
  { [[ev.a = agent:get(ev.ua, 5)]],
    [[get: expected get(text, part), where part is a text, got a number]] },
  { [[ev.a = agent:get(ev, "os.family")]],
    [[get: expected get(text, part), where text is a text or nil, got the event]] },
  { [[agent:get(ev.ua, "os.family")]], [[get: gives a value, which is not used here, and ]]
    .. [[changes nothing: write local x = agent:get(…), or remove the call]] },
  { [[ev.a = agents("good.yaml"):get(ev.ua, "os.family")]],
    [[agents: works while the policy is loaded; a hook can't use it]] },
}

-- A file; what is told of it.
local files = {
  { "", "f.yaml:1: the file is empty: expected the sections user_agent_parsers, os_parsers or "
    .. "device_parsers" },
  { "a: [", "f.yaml:1: unknown section \"a\"; expected user_agent_parsers, os_parsers or "
    .. "device_parsers" },
  { "os_parsers:\n- regex: '(a'\n\n- regex: 'b'\n",
    "f.yaml:2: regex \"(a\": missing closing parenthesis, at character 3\n"
    .. "f.yaml:4: the regex has no group and its parser no os_replacement: no family" },
  { "os_parsers:\n- &x\n  regex: (a)\n- *x\n",
    "f.yaml:2: an anchor (&) or an alias (*): write the text itself" },
  { "os_parsers:\n- regex: '(a)'\n  os_replacment: b\n",
    "f.yaml:3: unknown key \"os_replacment\"; a parser of os_parsers has regex, regex_flag, "
    .. "os_replacement, os_v1_replacement, os_v2_replacement, os_v3_replacement, "
    .. "os_v4_replacement" },
  { "\31\139\8", "f.yaml:1: the file is no YAML: control characters are not allowed" },
}

describe("sluice check of user agents", function()
  local c
  setup(function()
    c = checking.new(BASE)
    h.write(c.dir .. "/good.yaml", GOOD)
  end)
  teardown(function() c.remove() end)

  for _, row in ipairs(words) do
    it("names the mistake in " .. row[1], function()
      local out = c.problems("{BASE}" .. row[1])
      assert.equal("p.lua:4: " .. row[2], out:match "[^\n]*")
    end)
  end

  for _, row in ipairs(hooks) do
    it("names the mistake in a hook with " .. row[1], function()
      local text = ('local agent = agents "good.yaml"\nlocal function on_event(ev)\n%s\nend\n')
        :format(row[1])
      assert.equal("p.lua:3: " .. row[2],
        (c.problems(text .. BASE:gsub(" }\n$", ", on_event = on_event }\n"))))
    end)
  end

  for _, row in ipairs(files) do
    it("refuses a file because " .. row[2]:gsub("\n", " and "), function()
      h.write(c.dir .. "/f.yaml", row[1])
      local out, code = c.problems('{BASE}local agent = agents "f.yaml"')
      assert.equal(row[2], out)
      assert.equal(1, code)
    end)
  end

  it("tells the mistakes of a file once, however often it is named", function()
    h.write(c.dir .. "/f.yaml", "os_parsers:\n- regex: '('\n")
    local out = c.problems('{BASE}local a = agents "f.yaml"\nlocal b = agents "f.yaml"')
    assert.equal("f.yaml:2: regex \"(\": missing closing parenthesis, at character 2", out)
  end)

  it("takes a file whose every parser is good", function()
    local out, code = c.problems('{BASE}local agent = agents "good.yaml"')
    assert.matches("^p.lua: good", out)
    assert.equal(0, code)
  end)
end)
