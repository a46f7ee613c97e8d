-- traces: counts the compiler's traces of hooks, those that it gives up, and why.

local M = {}

local counts, started, in_loop, why, loop_why

-- The compiler's words for an error number, where its tables are installed.
local function reason(number, info)
  local ok, vmdef = pcall(require, "jit.vmdef")
  local text = ok and vmdef.traceerr[number] or ("error " .. tostring(number))
  if type(info) == "function" then
    info = require("jit.util").funcinfo(info).loc
  end
  return text:find("%%") and text:format(info) or text
end

local function place(f, pc)
  return require("jit.util").funcinfo(f, pc).loc or "?"
end

local function on_trace(what, tr, f, pc, number, info)
  if what == "start" then
    started = place(f, pc)
    -- pc 0: the function around the loop is hot, not the loop.
    in_loop = pc ~= 0 and started:find("^sluice%.loop:") ~= nil
  elseif what == "stop" then
    counts.made = counts.made + 1
    if in_loop and require("jit.util").traceinfo(tr).linktype == "loop" then
      counts.loops = counts.loops + 1
    end
  elseif what == "abort" then
    counts.aborted = counts.aborted + 1
    why = ("from %s: %s at %s"):format(started, reason(number, info),
      place(f, pc))
    -- The count hook that bounds a hook's work may fire while a trace is recorded:
    -- that says nothing of the code, and the compiler tries again.
    if in_loop and not why:find("hook called during recording", 1, true) then
      counts.loops_aborted = counts.loops_aborted + 1
      loop_why = why
    end
  end
end

---From now on.
function M.watch()
  counts = { made = 0, aborted = 0, loops = 0, loops_aborted = 0 }
  jit.attach(on_trace, "trace")
end

---@return integer made
---@return integer aborted
---@return integer loops of made: the loop over a batch's events
---@return integer loops_aborted of aborted: begun in that loop
---@return string? why the last was, of the loop's if there is one
function M.get()
  return counts.made, counts.aborted, counts.loops, counts.loops_aborted,
    loop_why or why
end

return M
