-- How a message shows a value: never one of the environment.
local values = require "sluice.values"

local SECRET = "correct horse battery staple " .. ("x"):rep(30)

describe("a value in a message", function()
  before_each(function()
    values.show_all()
    values.hide("PASSWORD", SECRET)
    values.hide("SHORT", "hunter2")
  end)
  after_each(values.show_all)

  it("is the variable's name where it comes from the environment", function()
    assert.equal('"$SHORT"', values.show("hunter2"))
    assert.equal('"user:$SHORT@host"', values.show("user:hunter2@host"))
    assert.equal("no $SHORT, no $SHORT", values.without_hidden("no hunter2, no hunter2"))
  end)

  it("hides one that is too long to be shown, before it is cut", function()
    assert.equal('"$PASSWORD"', values.show(SECRET))
    assert.equal('"key=$PASSWORD"', values.show("key=" .. SECRET))
  end)

  it("is cut behind 40 characters", function()
    assert.equal('"' .. ("a"):rep(40) .. '"', values.show(("a"):rep(40)))
    assert.equal('"' .. ("a"):rep(37) .. '..."', values.show(("a"):rep(41)))
  end)
end)
