local h = require "harness"

-- 50 rounds; SLUICE_ROUNDS=500 for the long campaign.
local ROUNDS = tonumber(os.getenv("SLUICE_ROUNDS")) or 50

describe("kill -9 under constant load", function()
  for _, compress in ipairs { "zstd", "none", "gzip" } do
    it("loses, doubles and tears nothing (" .. compress .. ")", function()
      local s = h.server { policy = h.policy {
        spool = [[segment = "16MiB", max_bytes = "1GiB"]],
        file = ([[compress = "%s", rotate = { bytes = "2MiB" }]])
          :format(compress) } }
      local acks, next_event = s.dir .. "/acks", 1
      math.randomseed(ROUNDS + #compress)
      for _ = 1, math.ceil(ROUNDS / 3) do
        local l = h.load(s.port, { batch = 20, connections = 16, seconds = 30,
          first = next_event, acks = acks, patient = true })
        h.sleep(0.05 + math.random() * 0.25)
        s:stop("SIGKILL")
        -- One that was stopped before it began has sent nothing.
        next_event = h.load_stop(l).next or next_event
        s:start()
      end
      s:deliver()
      assert.equal(0, s:stop())
      local v = h.verify(acks, s:collect())
      print("# crash " .. compress .. ": " .. v.text)
      assert.is_true(v.acked > 1000)
      assert.same({ 0, 0, 0 }, { v.missing, v.twice, v.torn })
      s:close()
    end)
  end
end)
