-- traffic: part of the harness: load from tests/tools/load, and the comparison of what
-- was acknowledged with what arrived.

local signal = require "posix.signal"

return function(M)

---Runs tests/tools/load; returns its figures. background: its pid and file.
function M.load(port, o)
  local argv = { "taskset", "-c", "1", M.build .. "/tools/load", "--port",
    tostring(port) }
  for _, k in ipairs { "path", "connections", "batch", "rate", "seconds",
    "first", "acks", "poison", "poison_bytes" } do
    if o[k] then
      argv[#argv + 1] = "--" .. k:gsub("_", "-")
      argv[#argv + 1] = tostring(o[k])
    end
  end
  if o.patient then argv[#argv + 1] = "--patient" end
  if o.envelope then argv[#argv + 1] = "--envelope" end
  local out = os.tmpname()
  return { pid = M.spawn(argv, out), out = out }
end

function M.figures(text)
  local t = {}
  for k, v in text:gmatch("([%w_]+)=([%d%.]+)") do t[k] = tonumber(v) end
  return t
end

function M.load_wait(l, seconds)
  local code = M.reap(l.pid, seconds or 120)
  local text = M.read(l.out)
  os.remove(l.out)
  local t = M.figures(text)
  t.code, t.text = code, text
  return t
end

---It sends no more, and has its answers.
function M.load_end(l)
  signal.kill(l.pid, signal.SIGINT)
  return M.load_wait(l)
end

---It ends in the midst of its requests.
function M.load_stop(l)
  signal.kill(l.pid, signal.SIGTERM)
  return M.load_wait(l)
end

---Compares acknowledged events with those of the archive; more: the poison ones.
function M.verify(acks, collected, more)
  local text = M.shell(("%s/tools/verify '%s' %s < '%s'"):format(M.build, acks,
    more or "", collected))
  local t = M.figures(text)
  t.text = text
  return t
end

end
