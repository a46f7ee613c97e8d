-- minimal: the shortest policy. sluice accepts any JSON object and writes it to a
-- file.
--
--   build/sluice run conf/examples/minimal.lua
--   curl --json '[{"hello":"world"}]' localhost:8080/v1/events

file "archive" { dir = "archive" }
stream "events" { sinks = { "archive" } }
route "POST /v1/events" { body = "batch", stream = "events" }
