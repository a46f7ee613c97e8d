-- librdkafka's options are tried when a policy is loaded; its lines go through our log.
local cjson = require "cjson"
local h = require "harness"
local kafka = require "kafka"

local function policy(brokers, options, more)
  return ([[
server { listen = "127.0.0.1:0", workers = 1 }
admin { listen = "127.0.0.1:0" }
%s
kafka "bus" { brokers = %q, topic = "events", batch = { linger = "5ms" },
  options = { %s } }
stream "events" { sinks = { "bus" } }
route "POST /v1/events" { body = "event", stream = "events" }
]]):format(more or "", brokers, options)
end

describe("librdkafka's options", function()
  local dir
  before_each(function() dir = h.folder() end)
  after_each(function() h.remove(dir) end)

  local function run(command, options)
    h.write(dir .. "/p.lua", policy("127.0.0.1:1", options))
    return h.shell(("timeout 60 %s %s %s/p.lua 2>&1; echo rc=$?"):format(h.binary, command,
      dir))
  end

  for _, row in ipairs {
    { [[acks = 1]], "acks" },
    { [[["no.such.option"] = 1]], "No such configuration property" },
    { [[["linger.ms"] = "soon"]], "linger.ms" },
    { [[["security.protocol"] = "sasl_plaintext", ["sasl.mechanisms"] = "NONE"]],
      "Unsupported SASL mechanism" },
  } do
    it("that it refuses are a problem of the policy: " .. row[1], function()
      local check = run("check", row[1])
      assert.matches('p%.lua: kafka "bus": ', check)
      assert.is_truthy(check:find(row[2], 1, true), check)
      assert.matches("rc=1\n$", check)
      local json = run("check --json", row[1])
      assert.is_truthy(json:find(row[2], 1, true), json)
      local started = run("run --data " .. dir .. "/data", row[1])
      assert.is_truthy(started:find(row[2], 1, true), started)
      assert.matches("rc=1\n$", started)
    end)
  end

  it("that name files are good where these are not", function()
    local out = run("check", [[["security.protocol"] = "ssl",
      ["ssl.ca.location"] = "/nowhere/ca.pem", ["ssl.certificate.location"] = "/nowhere/c",
      ["ssl.key.location"] = "/nowhere/k"]])
    assert.matches("good: ", out)
    assert.matches("rc=0\n$", out)
  end)

  it("that are secret are not shown", function()
    local out = run("check", [[["ssl.key.password"] = "hunter2", ["sasl.password"] = "",
      ["ssl.key.pem"] = "hunter2", ["security.protocol"] = "ssl"]])
    assert.is_nil(out:find("hunter2", 1, true))
  end)
end)

describe("librdkafka's own lines", function()
  local m, s
  before_each(function() m = kafka.mock() end)
  after_each(function()
    if s then s:close() s = nil end
    m:close()
  end)

  it("go through the log, also as JSON", function()
    for _, format in ipairs { "text", "json" } do
      s = h.server { policy = policy("127.0.0.1:1", "",
        ('log { format = "%s" }'):format(format)) }
      s:post("/v1/events", "{}")
      h.wait_for("a line", function() return s:text():find("Connection refused") end)
      local n = 0
      for line in s:text():gmatch("[^\n]+") do
        if format == "json" then
          local ok, t = pcall(cjson.decode, line)
          assert.is_true(ok, line)
          n = n + (t.event == "kafka_client" and 1 or 0)
        else
          assert.matches("^ts=", line)
          n = n + select(2, line:gsub("event=kafka_client sink=bus facility=FAIL", ""))
        end
      end
      assert.is_true(n > 0)
      s:close()
      s = nil
    end
  end)

  it("tell of SCRAM, which this version does not manage with Kafka 4", function()
    s = h.server { policy = policy("127.0.0.1:1", [[
      ["security.protocol"] = "sasl_plaintext", ["sasl.mechanism"] = "SCRAM-SHA-256",
      ["sasl.username"] = "u", ["sasl.password"] = "p"]]) }
    if h.shell("dpkg-query -W -f '${Version}' librdkafka1"):match("^2%.[0-5]%.") then
      s:logged "facility=SCRAM why=\"librdkafka 2%.%d%.%d can't authenticate to Kafka 4"
    else
      assert.is_nil(s:text():find("facility=SCRAM", 1, true))
    end
  end)
end)
