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

-- Answers each request with what a file says; "hang" answers nothing, and what follows "drip "
-- comes byte by byte, without an end. What follows "keep " is the only answer of its connection.
local STRANGER = [[
import socket, sys, threading, time
said = sys.argv[1]
server = socket.create_server(("127.0.0.1", 0))
print(server.getsockname()[1], flush=True)
held = []
def drip(c, body):
    try:
        c.sendall(body)
        while True:
            time.sleep(0.3)
            c.sendall(b"1")
    except OSError: pass
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
    if body.startswith(b"drip "):
        threading.Thread(target=drip, args=(c, body[5:]), daemon=True).start()
        continue
    if body.startswith(b"keep "):
        c.sendall(body[5:])
        held.append(c)
        continue
    print(path, flush=True) # first: who has the answer may ask for this
    for line in got.split(b"\r\n"):
        if line.startswith(b"Authorization"): print(line.decode(), flush=True)
    try: c.sendall(body)
    except OSError: pass # it has read enough
    c.close()
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
    says(http "It works\n\n{}\n")
    out, code = ask "tap"
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
    says(http((('{"version":"%s","pid":1,"uptime_ms":5,"upgrade":{"failed":1,"why":"%s"},'
      .. '"generations":[{"generation":1,"status":"%s","cause":"%s","hash":"%s","why":"%s"}],'
      .. '"streams":[{"name":"%s","ack":"%s"}],"silent":{"thread":"%s","ms":9000},'
      .. '"refusing":{"codes":[{"route":"%s","code":"%s","hour":99,"hour_received":99}]},'
      .. '"sinks":[{"name":"%s","holding":true,"why":"%s","lost":1}]}'):gsub("%%s", evil))),
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
      for _, text in ipairs { out, (ask(args)) } do -- to a terminal, and into a pipe
        assert.is_true(#text > 10, args)
        assert.falsy(text:find("[\27\7\127]"), args)
        assert.falsy(text:find("\194[\128-\159]"), args)
      end
      if args:find "json" then cjson.decode((ask(args):gsub("\nserver: .*", ""))) end
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

  ---A socket of Unix at path that nobody listens at, as python makes it.
  local function bind(path)
    h.shell(("python3 -c 'import socket, sys; socket.socket(socket.AF_UNIX).bind(sys.argv[1])' "
      .. "'%s'"):format(path))
    return path
  end

  -- Of each command that asks; with what it takes.
  local ALL = { "status", "status --json", "top", "tap", "reload", "rollback", "promote", "drain",
    "loglevel info", "upgrade", "upgrade --status", "sink drop x", "dead replay --sink x",
    "dead replay --sink x --dry-run", "dead replay --sink x --stop" }

  it("behind a path is named, whatever the path: too long, stale, or a file", function()
    h.write(dir .. "/file", "")
    local other = "name another with %-%-admin ADDRESS or %-%-spool DIR\n$"
    for path, text in pairs {
      [bind(dir .. "/stale.sock")] = "no server answers at unix:[^ ]*/stale.sock: the one that "
        .. "made the socket has ended; start it, or " .. other,
      [dir .. "/none.sock"] = "no server answers at unix:[^ ]*/none.sock: there is no such "
        .. "socket; start the server, or " .. other,
      [dir .. "/none/none.sock"] = ": there is no such socket; start the server, or " .. other,
      [dir .. "/file"] = "no server answers at unix:[^ ]*/file: this is not a socket; " .. other,
      [dir .. "/file/x.sock"] = "x.sock: Not a directory; " .. other,
      [dir] = ": this is not a socket; " .. other,
      ["/" .. ("x"):rep(120)] = "unix:/x+\" is too long: expected at most 107 bytes",
      ["/" .. ("x"):rep(400)] = "unix:/x+\" is too long: expected at most 107 bytes",
    } do
      for _, args in ipairs(ALL) do
        local out, code = shell(("%s --admin 'unix:%s'"):format(args, path))
        assert.equal("3 " .. args, code .. " " .. args, out)
        assert.matches("^sluice: [^\n]+\n$", out)
        assert.matches(text, out)
      end
    end
  end)

  it("behind a socket that the user may not use is told from one that has ended", function()
    local other = "setpriv --reuid=65534 --regid=65534 --clear-groups"
    local here = h.shell "pwd":gsub("\n", "")
    if h.shell(("%s %s/%s version 2>/dev/null"):format(other, here, h.binary)) == "" then
      pending "only root can be another user, who needs the binary"
      return
    end
    local sock = dir .. "/closed.sock"
    local server = h.spawn({ "python3", "-c", "import socket, sys; s = socket.socket("
      .. "socket.AF_UNIX); s.bind(sys.argv[1]); s.listen(); s.accept()", sock }, dir .. "/out")
    h.wait_for("the socket", function()
      return h.shell("ls " .. sock .. " 2>&1"):find "^/%S+\n$"
    end)
    for _, modes in ipairs { "755 600", "700 666" } do
      h.shell(("chmod %s '%s'; chmod %s '%s'"):format(modes:match "^%d+", dir, modes:match "%d+$",
        sock))
      for _, args in ipairs(ALL) do
        local out, code = shell(("%s --admin unix:%s"):format(args, sock), other)
        assert.equal("3 " .. args, code .. " " .. args, out)
        assert.matches("^sluice: the socket unix:%S+ can't be used: Permission denied; run the "
          .. "command as the user of the server[ ()%l]* or as root\n$", out)
        assert.equal(modes == "755 600", out:find("server (root)", 1, true) ~= nil)
      end
    end
    signal.kill(server, signal.SIGKILL)
    h.reap(server)
    -- The note of a spool that is not this user's: nothing else is asked instead.
    h.shell(("mkdir -p '%s/data/spool' && chmod 755 '%s' && chmod 700 '%s/data/spool'"):format(dir,
      dir, dir))
    for _, args in ipairs { "status --spool data/spool", "status", "reload" } do
      local out = h.shell(("cd '%s'; env -u SLUICE_ADMIN %s %s/%s %s 2>&1; echo rc=$?"):format(dir,
        other, here, h.binary, args))
      assert.matches("^sluice: data/spool/ADMIN: Permission denied; run the command as the user "
        .. "of the server or as root, or name the server with %-%-admin ADDRESS\nrc=3\n$", out)
    end
    h.shell(("rm -rf '%s/data'"):format(dir))
  end)

  it("behind a socket whose queue is full hangs, and is not said to have ended", function()
    local sock = dir .. "/full.sock"
    local server = h.spawn({ "python3", "-c", [[
import socket, sys, time
s = socket.socket(socket.AF_UNIX)
s.bind(sys.argv[1])
s.listen(0)
held = []
while True:
    c = socket.socket(socket.AF_UNIX)
    c.setblocking(False)
    try: c.connect(sys.argv[1])
    except BlockingIOError: break
    held.append(c)
print("full", flush=True)
time.sleep(600)
]], sock }, dir .. "/full")
    h.wait_for("a full queue", function() return (h.read(dir .. "/full") or ""):find "full" end)
    local out, code = shell("status --admin unix:" .. sock)
    signal.kill(server, signal.SIGKILL)
    h.reap(server)
    assert.equal(3, code, out)
    assert.matches("^sluice: unix:%S+ takes no connection: the server is stopped, hangs or is "
      .. "overloaded; look at its process", out)
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

  ---What a server says of a replay, in JSON.
  local function replay(over)
    local o = { status = "done", dry_run = false, resumed = false, more = false, replayed = 0,
      dead_again = 0, unreadable = 0, left = 0, left_bytes = 0, why = "" }
    for k, v in pairs(over) do o[k] = v end
    return cjson.encode(o)
  end

  it("that always has more dead letters to send is left after some", function()
    forget()
    says(http(replay { more = true, replayed = 1 }))
    local out, code = shell("dead replay --sink x --admin 127.0.0.1:" .. port, "timeout 30")
    assert.equal(3, code, out)
    assert.equal(8, select(2, out:gsub("replayed=1 ", "")))
    assert.matches("\nsluice: 127.0.0.1:%d+ says after 8 replays that more letters wait", out)
  end)

  it("has sent no dead letter by an answer that does not say how many", function()
    forget()
    for _, odd in ipairs { '{"status":"done"}', replay { status = "well" }, replay { left = "0" },
      replay { replayed = cjson.null }, replay { dead_again = -1 }, replay { unreadable = {} },
      (replay { left_bytes = 7 }:gsub("7", "1e300", 1)), (replay {}:gsub("}$", "")), "[]",
      "\"done\"" } do
      says(http(odd))
      for _, args in ipairs { "", " --dry-run", " --stop" } do
        local out, code = ask("dead replay --sink x" .. args)
        assert.equal("3 " .. odd, code .. " " .. odd, out)
        assert.matches("^sluice: what answers at 127.0.0.1:%d+ is no sluice", out)
      end
    end
    says(http(replay {}, 5000))
    local out, code = ask "dead replay --sink x"
    assert.equal(3, code)
    assert.matches("the answer of 127.0.0.1:%d+ is cut: ", out)
  end)

  it("does not drain by sinks that say nothing of what is left", function()
    forget()
    says(http "rests\n", "-drain")
    says(http "sluice_requests_total 1\n", "-metrics")
    for _, sinks in ipairs { '"none"', "{}", "[1]", "[{}]", '[{"name":"x","left_events":"0"}]',
      '[{"name":"x","left_events":-1}]' } do
      says(http(('{"sinks":%s}'):format(sinks)), "-status")
      local out, code = ask "drain --wait 2s"
      assert.equal("3 " .. sinks, code .. " " .. sinks, out)
      assert.matches("what answers at 127.0.0.1:%d+ is no sluice", out)
    end
  end)

  it("takes no dead letter by an answer that does not tell of each", function()
    forget()
    local list = {}
    for i = 1, 3 do
      list[i] = ([[{"event":{"n":%d},"sink":"s","stream":"e","reason":"rejected","why":"no",]]
        .. [["position":"p","code":1,"time":1700000000000}]]):format(i)
    end
    local function resend(url)
      h.shell(("rm -f '%s'/x.ndjson.replayed"):format(dir))
      h.write(dir .. "/x.ndjson", table.concat(list, "\n") .. "\n")
      return shell(("dead replay '%s/x.ndjson' --to %s"):format(dir, url))
    end
    local to = "http://127.0.0.1:" .. port .. "/"
    for _, odd in ipairs { "", "<html>thanks</html>", "{}", '{"status":"accepted"}',
      '{"status":"accepted","accepted":2}', '{"status":"accepted","accepted":4}',
      '{"status":"accepted","accepted":2,"rejected":1}', '{"status":"accepted","accepted":3',
      '{"status":"accepted","accepted":2,"rejected":1,"errors":[{"index":3}]}',
      '{"status":"accepted","accepted":1,"rejected":2,"errors":[{"index":0},{"index":0}]}',
      '{"accepted":3}', '{"status":"accepted","accepted":"3"}' } do
      says((http(odd):gsub("200 OK", "202 Accepted")))
      local out, code = resend(to)
      assert.equal("1 " .. odd, code .. " " .. odd, out)
      assert.matches("replayed=0 .* left=3\n", out)
      assert.matches("answered 202, and not which events it took: ", out)
    end
    says((http '{"status":"accepted","accepted":2,"rejected":1,"errors":[{"index":1}]}':gsub(
      "200 OK", "202 Accepted")))
    local out, code = resend(to)
    assert.equal(1, code)
    assert.matches("^replayed=2 refused_again=1 .* left=1\n", out)
    for _, url in ipairs { "file:///etc/hosts", "ftp://127.0.0.1:1/", "nonsense://x" } do
      out, code = resend(url)
      assert.equal(1, code)
      assert.matches("replayed=0 .* left=3\nsluice: " .. url:match "^%a+" .. "[^\n]*", out)
    end
  end)

  it("that answers byte by byte without an end is given up", function()
    forget()
    says "drip HTTP/1.1 200 OK\r\n\r\n{"
    local asked = {}
    for i, args in ipairs { "status", "upgrade --status", "drain --undo", "tap" } do
      local argv = { h.binary }
      for word in (args .. " --admin 127.0.0.1:" .. port):gmatch "%S+" do
        argv[#argv + 1] = word
      end
      asked[i] = { args = args, out = dir .. "/dripped" .. i }
      asked[i].pid = h.spawn(argv, asked[i].out)
    end
    for _, x in ipairs(asked) do
      assert.equal(3, h.reap(x.pid), x.args)
      local said = h.read(x.out)
      assert.matches(x.args == "tap" and "gave no sign of life for 20 s"
        or "no answer from 127.0.0.1:%d+ within 10 s: ", said)
      assert.equal(x.args == "drain --undo", said:find("It may still obey", 1, true) ~= nil)
    end
  end)

  it("that hangs on the second request of a connection is given up, and may still obey",
  function()
    forget()
    local state = '{"pid":1,"version":"1","upgrade":{"under_way":false,"failed":0}}'
    says("keep HTTP/1.1 200 OK\r\nContent-Length: " .. #state .. "\r\n\r\n" .. state)
    local out, code = ask "upgrade"
    assert.equal(3, code)
    assert.matches("no answer from 127.0.0.1:%d+ within 10 s: .*%. It may still obey", out)
  end)

  it("that hangs is given up, with the time", function()
    forget()
    says "hang"
    local out, code = ask "status"
    assert.equal(3, code)
    assert.matches("no answer from 127.0.0.1:%d+ within 10 s: ", out)
  end)
end)
