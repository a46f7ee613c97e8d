local h = require "harness"

-- The specs beside the policies in conf/examples, as an operator runs them.
describe("sluice test conf/examples", function()
  it("passes", function()
    local out = h.shell(("%s test conf/examples -- --output=TAP; echo exit=$?")
      :format(h.binary))
    assert.matches("exit=0\n$", out)
    assert.not_matches("\nnot ok", out)
    local _, tests = out:gsub("ok %d+ %- ", "")
    assert.is_true(tests >= 27)
    print(("# examples: %d tests beside the policies"):format(tests))
  end)
end)
