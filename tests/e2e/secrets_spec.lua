-- Secrets: planted in each place that takes one, and looked for in all that sluice writes.
local h = require "harness"
local receiver = require "receiver"

-- One for each place, so that a finding names its way.
local PLANTED = {
  env = "planted-env-4f1c9a", file = "planted-file-77b2e0", credential = "planted-cred-19dd3e",
  kafka = "planted-kafka-c0ffee", url = "planted-url-a81b22", header = "planted-header-52de91",
  hmac = "planted-hmac-0b7d15", proxy = "planted-proxy-93ab41", query = "planted-query-6a6f08",
}

local POLICY = [==[
server { listen = "127.0.0.1:0", workers = 1, drain = "100ms" }
admin { listen = "127.0.0.1:0" }
log { level = "debug" }
local key = secret "hmac"
kafka "bus" { brokers = "127.0.0.1:1", topic = "t",
  options = { ["security.protocol"] = "SASL_PLAINTEXT", ["sasl.mechanism"] = "PLAIN",
    ["sasl.username"] = "u", ["sasl.password"] = env "KAFKA_PASSWORD", debug = "security,conf" } }
clickhouse "olap" { urls = { "http://reader:" .. secret "url" .. "@127.0.0.1:1" }, table = "d.t" }
http "hook" { url = "%s?token=" .. secret "query", batch = { linger = "1ms" },
  headers = { authorization = "Bearer " .. secret "credential:header", ["x-env"] = env "PLAIN",
    ["x-file"] = secret "file" } }
http "far" { url = "http://127.0.0.1:1/", proxy = "http://u:" .. secret "proxy" .. "@127.0.0.1:1" }
file "kept" { dir = "kept", linger = "1ms" }
stream "events" { sinks = { "bus", "olap", "hook", "far" } }
stream "refused" { sinks = { "kept" } }
route "POST /v1/events" { body = "event", stream = "events", on_refused = { stream = "refused" },
  schema = schema { id = str { required = true } },
  on_event = function(ev)
    ev.mac = hmac(key, ev.id)
    if ev.id == "raise" then error("no luck with this event") end
    if ev.id == "show" then error("the key is " .. key) end
  end }
]==]

---Looks for every secret, as it is and as a client's Authorization has it.
local function find(text, where)
  for name, v in pairs(PLANTED) do
    local forms = { v, h.shell(("printf '%%s' '%s' | base64 -w0"):format(v)),
      h.shell(("printf 'reader:%%s' '%s' | base64 -w0"):format(v)),
      h.shell(("printf 'u:%%s' '%s' | base64 -w0"):format(v)) }
    for _, form in ipairs(forms) do
      assert.is_nil(text:find(form, 1, true), ("%s has the secret %s"):format(where, name))
    end
  end
end

describe("secrets", function()
  local s, r, dir, wrap

  setup(function()
    r = receiver.start()
    dir = h.folder()
    h.shell(("mkdir '%s/credentials'"):format(dir))
    for name, secret in pairs { hmac = "hmac", url = "url", query = "query", file = "file",
      proxy = "proxy", ["credentials/header"] = "header" } do
      h.write(dir .. "/" .. name, PLANTED[secret] .. "\n")
    end
    h.shell(("chmod 600 '%s'/*[a-z] '%s'/credentials/*; chmod 700 '%s/credentials'"):format(dir,
      dir, dir))
    h.shell(("chmod 644 '%s/file'"):format(dir))
    wrap = { "env", "KAFKA_PASSWORD=" .. PLANTED.kafka, "PLAIN=" .. PLANTED.env,
      "CREDENTIALS_DIRECTORY=" .. dir .. "/credentials" }
    s = h.server { dir = dir, policy = POLICY:format(r.url), wrap = wrap }
  end)
  teardown(function()
    if s then s:close() end
    r:close()
  end)

  local function run(args)
    return h.shell(("%s %s %s"):format(table.concat(wrap, " "), h.binary, args))
  end

  it("reach the servers that they are for", function()
    assert.equal(202, s:post("/v1/events", [[{"id":"one"}]]).status)
    local got = h.wait_for("a request", function()
      return (h.read(r.dir .. "/requests.ndjson") or ""):match("[^\n]+\n")
    end)
    assert.matches(PLANTED.query, got, 1, true)
    for _, name in ipairs { "header", "env", "file" } do
      local v = h.read(r.dir .. "/heads") or got
      assert.truthy(v:find(PLANTED[name], 1, true), name)
    end
  end)

  it("are in nothing that sluice writes or answers", function()
    assert.equal(422, s:post("/v1/events", [[{"id":5}]]).status) -- kept as refused
    assert.equal(202, s:post("/v1/events", [[{"id":"raise"}]]).status) -- a dead letter
    -- Another server's words become dead letters, too.
    r:rule("status 400")
    assert.equal(202, s:post("/v1/events", [[{"id":"two"}]]).status)
    h.wait_for("the sinks' troubles", function()
      local status = s:get("/status").body
      return select(2, status:gsub([["holding":%s*true]], "")) >= 2
    end)
    find(s:get("/status").body, "/status")
    find(s:get("/metrics").body, "/metrics")
    for _, bad in ipairs { [[server { listen = secret "file" }]], [[error(secret "hmac")]],
      [[error(env "PLAIN")]],
      [[http "x" { url = "u:" .. secret "url" .. "@", timeout = env "PLAIN" }]],
      [[local t = {} t[secret "file"].x = 1]],
      [[kafka "k" { brokers = "b:1", topic = "t",
        options = { ["sasl.mechanism"] = env "PLAIN" } }]] } do
      h.write(s.path, POLICY:format(r.url) .. bad)
      local a = s:reload()
      assert.equal(422, a.status, bad)
      find(a.body, "the answer of /reload")
      find(run("check " .. s.path), "sluice check")
      find(run("check --json " .. s.path), "sluice check --json")
    end
    h.write(s.path, POLICY:format(r.url))
    for _, words in ipairs { "check " .. s.path, "check --json " .. s.path,
      "schema --clickhouse " .. s.path, "dead list " .. s.data .. "/dead",
      ("replay --policy %s %s/spool"):format(s.path, s.data) } do
      find(run(words), "sluice " .. words)
    end
    assert.equal(200, s:reload().status)
    assert.equal(0, s:stop())
    find(h.read(s.log), "the log")
    for file in h.shell(("find '%s' -type f"):format(s.data)):gmatch("[^\n]+") do
      find(h.read(file), file)
    end
    assert.truthy(h.shell(("ls '%s/spool/policies'"):format(s.data)):find("%w"))
    s:start()
  end)

  it("that every user can read are a warning", function()
    assert.matches([[secret "file" can be read by every user of this machine: chmod o-r]],
      run("check " .. s.path), 1, true)
    local _, n = run("check " .. s.path):gsub("every user", "")
    assert.equal(1, n)
  end)

  it("are read again by a reload", function()
    h.write(dir .. "/file", "another-value\r\n")
    assert.equal(200, s:reload().status)
    r:rule("")
    assert.equal(202, s:post("/v1/events", [[{"id":"three"}]]).status)
    h.wait_for("the new value", function()
      return ((h.read(r.dir .. "/requests.ndjson") or "") .. (h.read(r.dir .. "/heads") or ""))
        :find("another-value", 1, true)
    end)
    h.shell(("rm '%s/file'"):format(dir))
    local a = s:reload()
    assert.equal(422, a.status)
    assert.matches([[secret \"file\": ]], a.body, 1, true)
    assert.matches("No such file or directory", a.body, 1, true)
    assert.equal(202, s:post("/v1/events", [[{"id":"four"}]]).status)
  end)
end)
