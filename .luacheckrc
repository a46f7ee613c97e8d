std = "luajit"
max_line_length = 100
cache = false
-- Annotations define what they describe.
exclude_files = { "build*/", "lua/sluice/meta.lua" }

stds.sluice = dofile("lua/sluice/luacheck.lua")
files["conf/"] = { std = "sluice", max_line_length = false }
files["bench/policy.lua"] = { std = "sluice" }
files["bench/wrk.lua"] = { globals = { "init", "request", "response", "wrk" } }
files["tests/"] = { std = "luajit+busted" }
files["conf/examples/*_spec.lua"] = { std = "luajit+busted" }
files["tests/spec/diagnostics_spec.lua"] = { std = "luajit+busted", max_line_length = false }
files["tests/spec/fields_spec.lua"] = { std = "luajit+busted", max_line_length = false }
files["tests/spec/route_mistakes_spec.lua"] = { std = "luajit+busted", max_line_length = false }
files["tests/spec/kept_mistakes_spec.lua"] = { std = "luajit+busted", max_line_length = false }
files["tests/spec/limit_mistakes_spec.lua"] = { std = "luajit+busted", max_line_length = false }
files["tests/spec/listener_mistakes_spec.lua"] = { std = "luajit+busted", max_line_length = false }
files["tests/spec/access_log_mistakes_spec.lua"] = { std = "luajit+busted", max_line_length = false }
files["tests/spec/answers_spec.lua"] = { std = "luajit+busted", max_line_length = false }
files["tests/spec/forms_spec.lua"] = { std = "luajit+busted", max_line_length = false }
files["tests/spec/shapes_spec.lua"] = { std = "luajit+busted", max_line_length = false }
files["tests/spec/auth_mistakes_spec.lua"] = { std = "luajit+busted", max_line_length = false }
files["tests/spec/token_mistakes_spec.lua"] = { std = "luajit+busted", max_line_length = false }
files["tests/spec/signed_mistakes_spec.lua"] = { std = "luajit+busted", max_line_length = false }
files["tests/spec/tls_mistakes_spec.lua"] = { std = "luajit+busted", max_line_length = false }
files["tests/spec/certificate_mistakes_spec.lua"] = { std = "luajit+busted", max_line_length = false }
files["tests/spec/mistakes_spec.lua"] = { std = "luajit+busted", max_line_length = false }
