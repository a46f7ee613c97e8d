-- plans: customers with plans. Each key has a rate and a number of events a day in its row of
-- plans.csv; an upgrade of a plan is another number in that file and a reload.
--
--   curl --json '[{"event":"x"}]' -H 'X-API-Key: demo' -i localhost:8080/v1/batch
--
-- The answer says what is left: RateLimit-Limit, RateLimit-Remaining, RateLimit-Reset. What
-- was used of a day is kept over restarts and upgrades; days begin at midnight UTC.

file "archive" { dir = "archive", compress = "zstd" }

stream "events" { sinks = { "archive" } }

keys "customers" { file = "plans.csv", label = "customer" }

-- Networks from which nothing is taken, one in each line.
cidr "denied.txt" {}

-- How fast, and how much in a day. All keys of a customer count together.
local rate = limit "rate" {
  rate = "key:per_second", key = "key:customer", burst = 2000, otherwise = "1/s",
}
local day = limit "day" { quota = "key:per_day/d", key = "key:customer" }

-- Who has no key at all: a few tries from one address.
local tries = limit "tries" { rate = "10/m", burst = 10, key = "peer" }

local event = schema {
  event = str { required = true, min = 1, max = 100 },
}

route "POST /v1/batch" {
  body = "batch", schema = event, stream = "events",
  auth = any_of { header "x-api-key" "customers", bearer "customers" },
  set = { customer = "key:customer" },
  deny = { "denied.txt" }, limits = { rate, day }, limit_headers = "separate",
}

route "POST /v1/demo" {
  body = "event", schema = event, stream = "events",
  deny = { "denied.txt" }, limits = { tries }, limit_headers = "combined",
}

example "a customer's batch" {
  request = "POST /v1/batch", headers = { ["x-api-key"] = "demo" },
  body = '[{"event":"a"}]',
  expect = { status = 202, stored = [[{"event":"a","customer":"demo"}]] },
}
example "a customer without a number of events" {
  request = "POST /v1/batch", headers = { ["x-api-key"] = "new-key" },
  body = '[{"event":"a"}]', expect = { status = 403, code = "no_limit" },
}
