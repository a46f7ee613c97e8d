-- The binary as it was linked: what makes a fault of memory harder to use.
local h = require "harness"

describe("the binary", function()
  local file = h.shell(("readelf -hW '%s'"):format(h.binary))
  local parts = h.shell(("readelf -lW '%s'"):format(h.binary))
  local dynamic = h.shell(("readelf -dW '%s'"):format(h.binary))
  local symbols = h.shell(("readelf --dyn-syms -W '%s'"):format(h.binary))

  it("lies at another address in each process", function()
    assert.matches("Type:%s+DYN", file)
    assert.matches("FLAGS_1%).-PIE", dynamic)
  end)

  it("has its tables of addresses read-only from the start", function()
    assert.matches("GNU_RELRO", parts)
    assert.matches("FLAGS_1%)%s+Flags: NOW", dynamic)
  end)

  it("has a stack that can't be run, and notices when it is overwritten", function()
    assert.matches("GNU_STACK%s+%S+ %S+ %S+ %S+ %S+ RW %s", parts)
    assert.matches("__stack_chk_fail", symbols)
  end)

  it("checks the sizes of what libc writes", function()
    if h.build:find "asan" or h.build:find "tsan" then
      pending("a sanitizer checks instead")
      return
    end
    assert.matches("__snprintf_chk", symbols)
    assert.matches("__memcpy_chk", symbols)
  end)

  it("is jumped to only where a function begins", function()
    if h.shell("uname -m") ~= "x86_64\n" then
      pending("only x86-64 has such instructions here")
      return
    end
    local code = h.shell(("objdump -d --no-show-raw-insn --disassemble=main '%s'")
      :format(h.binary))
    assert.matches("<main>:\n[^\n]*endbr64", code)
  end)
end)
