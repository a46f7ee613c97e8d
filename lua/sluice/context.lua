-- context: the memory that hooks share with C. It is made before the modules that use
-- it are loaded: an upvalue that never changes is a constant to the compiler, while one
-- that is set later is read and checked in each trace.
--
-- Where there is no C, as in the specs, M has only start.

local ffi = require "ffi"

local M = {}

-- A member without a name: there is a size, and nothing to be named.
local opaque = [[
struct sluice_event { int32_t :32; };
struct sluice_request { int32_t :32; };
]]

---@param context lightuserdata struct sluice_context *
---@param declarations string C text of event.h, ffi.h and library.h
function M.start(context, declarations)
  local C = ffi.C
  ffi.cdef(declarations)
  ffi.cdef(opaque)
  assert(C.SLUICE_FFI_VERSION == 1, "another version of ffi.h")
  M.ctx = ffi.cast("struct sluice_context *", context)
  M.event_ptr = ffi.typeof("struct event *")
  M.view_ptr = ffi.typeof("struct sluice_event *")
  M.event_type = ffi.typeof("struct sluice_event")
  -- A symbol that was never looked up ends a trace that needs it.
  for name in declarations:gmatch("[%s%*](sluice_[%w_]+)%(") do
    local _ = C[name]
  end
end

---A place where C puts its result.
function M.scratch()
  return M.ctx and ffi.new("struct sluice_value")
end

---Two numbers that C fills.
function M.key_place()
  return M.ctx and ffi.new("int32_t[2]")
end

return M
