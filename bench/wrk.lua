-- Posts the bodies of a file, a line each, in turn: wrk -s wrk.lua URL -- FILE
local requests, at = {}, 0

function init(args)
  wrk.headers["Content-Type"] = "application/json"
  for line in io.lines(args[1]) do
    requests[#requests + 1] = wrk.format("POST", nil, nil, line)
  end
end

function request()
  at = at % #requests + 1
  return requests[at]
end

local bad = 0
function response(status)
  if status ~= 202 then bad = bad + 1 end
end
