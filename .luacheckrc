std = "luajit"
max_line_length = 100
cache = false
exclude_files = { "build*/" }

local words = {
  "server", "admin", "spool", "file", "null", "stream", "schema", "route",
  "example", "env", "str", "num", "int", "bool", "enum", "time", "any",
  "reject", "drop", "to", "kafka", "clickhouse",
}
stds.sluice = { read_globals = words }
files["conf/"] = { std = "luajit+sluice", max_line_length = false }
files["bench/policy.lua"] = { std = "luajit+sluice" }
files["bench/wrk.lua"] = { globals = { "init", "request", "response", "wrk" } }
files["tests/"] = { std = "luajit+busted" }
files["tests/spec/mistakes_spec.lua"] = { std = "luajit+busted", max_line_length = false }
files["tests/spec/diagnostics_spec.lua"] = { std = "luajit+busted", max_line_length = false }
