-- What answers in the place of a server: something else, half of an answer, nothing, odd JSON,
-- commands for a terminal; an address that leads nowhere, and a token that is none.
local cjson = require "cjson"
local h = require "harness"
local signal = require "posix.signal"

local function shell(args, env)
  local out = h.shell(("{ env -u SLUICE_ADMIN %s %s %s; } 2>&1; echo rc=$?"):format(env or "",
    h.binary, args))
  return (out:gsub("rc=%d+\n$", "")), tonumber(out:match "rc=(%d+)\n$")
end

-- Answers each request with what a file says, byte by byte; "hang" answers nothing.
local STRANGER = [[
import socket, sys
said = sys.argv[1]
server = socket.create_server(("127.0.0.1", 0))
print(server.getsockname()[1], flush=True)
held = []
while True:
    c, _ = server.accept()
    got = b""
    while b"\r\n\r\n" not in got:
        part = c.recv(65536)
        if not part: break
        got += part
    path = got.split(b" ")[1].decode() if b" " in got else ""
    try: body = open(said + path.split("?")[0].replace("/", "-"), "rb").read()
    except OSError: body = open(said, "rb").read()
    if body == b"hang":
        held.append(c)
        continue
    try: c.sendall(body)
    except OSError: pass # it has read enough
    c.close()
    print(path, flush=True)
    for line in got.split(b"\r\n"):
        if line.startswith(b"Authorization"): print(line.decode(), flush=True)
]]

describe("what is no server, or an odd one,", function()
  local dir, pid, port
  setup(function()
    dir = h.folder()
    h.write(dir .. "/stranger.py", STRANGER)
    h.write(dir .. "/said", "hang")
    pid = h.spawn({ "python3", dir .. "/stranger.py", dir .. "/said" }, dir .. "/port")
    port = h.wait_for("the port", function() return tonumber((h.read(dir .. "/port") or "")) end)
  end)
  teardown(function()
    signal.kill(pid, signal.SIGKILL)
    h.reap(pid)
    h.remove(dir)
  end)

  local function http(body, length)
    return ("HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s"):format(
      length or #body, body)
  end
  local function says(text, path)
    h.write(dir .. "/said" .. (path or ""), text)
  end
  local function forget() h.shell("rm -f " .. dir .. "/said-*") end
  local function ask(args)
    return shell(args .. " --admin 127.0.0.1:" .. port)
  end

  it("is not taken for one that obeys", function()
    forget()
    says(http "<html>It works</html>")
    for _, args in ipairs { "reload", "rollback", "promote", "reload --json", "drain",
      "drain --undo", "loglevel info", "status", "upgrade", "upgrade --status",
      "sink drop x" } do
      local out, code = ask(args)
      assert.equal("3 " .. args, code .. " " .. args, out)
      assert.matches("what answers at 127.0.0.1:%d+ is no sluice", out)
    end
    says(http(("x"):rep(5 * 1048576)))
    local out, code = ask "tap"
    assert.equal(3, code)
    assert.matches("^sluice: what answers at 127.0.0.1:%d+ is no sluice", out)
    says "SSH-2.0-OpenSSH_9.2\r\n"
    out, code = ask "status"
    assert.equal(3, code)
    assert.matches("does not answer with HTTP", out)
  end)

  it("whose answer is cut is not read as one without faults", function()
    forget()
    says(http('{"sinks":[],"spool":{"writable":true}', 5000))
    local out, code = ask "status"
    assert.equal(3, code)
    assert.matches("the answer of 127.0.0.1:%d+ is cut: ", out)
    says ""
    out, code = ask "status"
    assert.equal(3, code)
    assert.matches("the answer of 127.0.0.1:%d+ is cut: ", out)
  end)

  it("of an older version is not accused of what it does not say", function()
    forget()
    says(http '{"version":"0.0.9","sinks":[]}', "-status")
    says(http "sluice_requests_total 1\n", "-metrics")
    local out, code = ask "status --during 20ms"
    assert.equal(0, code, out)
    assert.matches("^sluice 0%.0%.9 at ", out)
    assert.matches("\nGOOD ", out)
    out, code = ask "status --json --during 20ms"
    assert.equal(0, code)
    assert.is_true(cjson.decode(out).ok)
    -- It does not know an order either.
    says(("HTTP/1.1 404 Not Found\r\nContent-Length: 23\r\nConnection: close\r\n\r\n%s"):format(
      '{"code":"unknown_path"}'))
    out, code = ask "drain"
    assert.equal(3, code)
    assert.matches("does not know this order; is it an older version%?", out)
  end)

  it("that another process took over during the look counts from its start", function()
    forget()
    local function process(its_pid, epoch, errors)
      says(http(('{"pid":%d,"uptime_ms":4000,"sinks":[],"spool":{"epoch":%d}}')
        :format(its_pid, epoch)), "-status")
      says(http(("sluice_policy_errors_total %d\n"):format(errors)), "-metrics")
    end
    local function asked(path) return select(2, h.read(dir .. "/port"):gsub("\n" .. path, "")) end
    -- In a container it may have the same number.
    for name, next_one in pairs { number = { 2, 1 }, epoch = { 1, 2 } } do
      process(1, 1, 5)
      local out = dir .. "/taken-" .. name
      local looked = { asked "/status", asked "/metrics" }
      local status_pid = h.spawn({ h.binary, "status", "--during", "3s", "--admin",
        "127.0.0.1:" .. port }, out)
      h.wait_for("the first look", function()
        return asked "/status" > looked[1] and asked "/metrics" > looked[2]
      end)
      process(next_one[1], next_one[2], 10)
      assert.equal(1, h.reap(status_pid))
      assert.matches("hooks raised an error 10 times just now, 10 times since the start",
        h.read(out))
      assert.matches("\nCLIENTS +in the last 4 s\n", h.read(out))
    end
  end)

  it("gives a terminal no commands, by whatever field", function()
    forget()
    local evil = "\\u001b]0;x\\u0007\\u009b2J\\u007f"
    says(http(('{"version":"%s","pid":1,"uptime_ms":5,"upgrade":{"failed":1,"why":"%s"},'
      .. '"generations":[{"generation":1,"status":"%s","cause":"%s","hash":"%s","why":"%s"}],'
      .. '"streams":[{"name":"%s","ack":"%s"}],"silent":{"thread":"%s","ms":9000},'
      .. '"refusing":{"codes":[{"route":"%s","code":"%s","hour":99,"hour_received":99}]},'
      .. '"sinks":[{"name":"%s","holding":true,"why":"%s","lost":1}]}'):gsub("%%s", evil)),
      "-status")
    says(http('sluice_refusals_total{route="\27]0;x\7",code="\194\155",status="\27c"} 3\n'
      .. 'sluice_tls_certificate_expiry_seconds{listener="\27c"} 3\n'), "-metrics")
    says(http("level=\27]0;x\7\n"), "-loglevel")
    says(http('{"status":"\\u001b]0;x\\u0007","generation":1,"report":"\\u009b2J\\u001bc"}'),
      "-reload")
    says(http '{"pid":1,"upgrade":{"failed":1,"why":"\\u001b]0;x\\u0007"}}', "-upgrade")
    for _, args in ipairs { "status --during 20ms", "status --during 20ms --json",
      "upgrade --status", "loglevel info", "reload", "reload --json" } do
      local out = h.shell(("TERM=xterm NO_COLOR=1 script -qec '%s %s --admin 127.0.0.1:%d' "
        .. "/dev/null"):format(h.binary, args, port))
      assert.is_true(#out > 10, args)
      assert.falsy(out:find("[\27\7\127]"), args)
      assert.falsy(out:find("\194[\128-\159]"), args)
    end
  end)

  it("that refuses in HTML is told apart from a server that refuses", function()
    forget()
    for _, status in ipairs { "301 Moved", "401 Unauthorized", "404 Not Found", "502 Bad" } do
      says(("HTTP/1.1 %s\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 13\r\n"
        .. "Connection: close\r\n\r\n\n<html>\27c</b>"):format(status))
      for _, args in ipairs { "reload", "drain", "status", "loglevel info", "tap",
        "upgrade --status", "sink drop x", "dead replay --sink x" } do
        local out, code = ask(args)
        assert.equal("3 " .. args, code .. " " .. args, out)
        assert.matches("what answers at 127.0.0.1:%d+ is no sluice %(it says "
          .. status:match "%d+" .. " in HTML%)", out)
      end
    end
  end)

  it("says what no sluice says in each field, and ends no command", function()
    forget()
    local deep = ("["):rep(5000)
    for _, odd in ipairs { '""', "[]", "{}", "null", "1e999", "-1", "true", '["",[{}],null]',
      '[{"name":7,"why":[],"ms":"x","hour":-1,"route":{},"code":1,"generation":"x"}]', deep } do
      local keys = {}
      for _, k in ipairs { "version", "pid", "uptime_ms", "spool", "generations", "streams",
        "silent", "refusing", "upgrade", "listen", "workers", "policy", "now_ms" } do
        keys[#keys + 1] = ('"%s":%s'):format(k, odd)
      end
      for _, sinks in ipairs { odd, "[]" } do
        says(http(('{%s,"sinks":%s}'):format(table.concat(keys, ","), sinks)), "-status")
        says(http("sluice_x{ 1\n\0sluice_requests_total{status=\"} nan\n{} 1\nsluice_spool"
          .. ("{a=\"x\"}"):rep(1000) .. " -1e999\n"), "-metrics")
        local out, code = ask "status --during 20ms --json"
        assert.is_true(code == 3 or code == 1 or code == 0, code .. out)
        if code ~= 3 then cjson.decode(out) end
        out, code = ask "status --during 20ms"
        assert.is_true(code == 3 or code == 1 or code == 0, code .. out)
      end
    end
  end)

  it("behind a path is named, whatever the path: too long, stale, or a file", function()
    local sock = dir .. "/stale.sock"
    h.shell(("python3 -c 'import socket, sys; socket.socket(socket.AF_UNIX).bind(sys.argv[1])' "
      .. "%s"):format(sock))
    h.write(dir .. "/file", "")
    for path, text in pairs {
      [sock] = "no server answers at unix:" .. sock,
      [dir .. "/none.sock"] = "no server answers at unix:",
      [dir .. "/file"] = "no server answers at unix:",
      ["/" .. ("x"):rep(120)] = "unix:/x+\" is too long: expected at most 107 bytes",
      ["/" .. ("x"):rep(400)] = "unix:/x+\" is too long: expected at most 107 bytes",
    } do
      for _, args in ipairs { "status", "tap", "reload" } do
        local out, code = shell(("%s --admin 'unix:%s'"):format(args, path))
        assert.equal(3, code)
        assert.matches((text:gsub("[%-%.]", "%%%0")), out)
      end
    end
  end)

  it("gets no token that is none, and one that comes in parts whole", function()
    forget()
    says(http "{}")
    for _, token in ipairs { "", "\n", "\r\n", "two words", "one\ntwo\n", "a\0b", "tab\t",
      "\127", ("x"):rep(5000) } do
      h.write(dir .. "/token", token)
      local out, code = ask("status --token-file " .. dir .. "/token")
      assert.equal(3, code)
      assert.matches("/token has no token: expected one line without spaces", out)
    end
    local out, code = ask("status --token-file " .. dir)
    assert.equal(3, code)
    assert.matches(": Is a directory\n$", out)
    h.shell(("rm -f %s/fifo; mkfifo %s/fifo"):format(dir, dir))
    local writer = h.spawn({ "sh", "-c", ("{ printf a-token-of-two-; sleep 0.3; "
      .. "printf 'parts-that-is-long\\r\\n'; } >%s/fifo"):format(dir) }, dir .. "/out")
    out, code = ask("status --token-file " .. dir .. "/fifo")
    assert.equal(3, code, out)
    h.reap(writer)
    assert.matches("\nAuthorization: Bearer a%-token%-of%-two%-parts%-that%-is%-long\n",
      h.read(dir .. "/port"))
  end)

  it("that hangs is given up, with the time", function()
    forget()
    says "hang"
    local out, code = ask "status"
    assert.equal(3, code)
    assert.matches("no answer from 127.0.0.1:%d+ within 10 s: ", out)
  end)
end)
