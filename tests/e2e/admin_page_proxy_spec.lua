local browser = require "browser"
local cjson = require "cjson"
local free_port = require "clickhouse".free_port
local h = require "harness"

-- The live page behind Debian's nginx with a password of its own (Basic), which needs the
-- header Authorization for itself: the page shows figures, and samples with the token.

local TOKEN = "token-of-the-live-page"
local POLICY = [[
admin { listen = "127.0.0.1:0", token = "token-of-the-live-page" }
file "archive" { dir = "archive" }
stream "events" { sinks = { "archive" } }
route "POST /v1/events" { body = "event", stream = "events",
  on_event = function(ev) return reject("too_dear", "costs " .. ev.amount) end }
]]

-- Below /own/ nginx shows its own password only; below /token/ it knows the token, too.
local NGINX = [[
daemon off;
pid DIR/nginx.pid;
error_log DIR/nginx.log warn;
worker_processes 1;
events { worker_connections 64; }
http {
  access_log off;
  client_body_temp_path DIR/t1; proxy_temp_path DIR/t2; fastcgi_temp_path DIR/t3;
  uwsgi_temp_path DIR/t4; scgi_temp_path DIR/t5;
  proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
  server {
    listen 127.0.0.1:FRONT;
    auth_basic "operators";
    auth_basic_user_file DIR/passwords;
    location /own/ { proxy_pass http://127.0.0.1:ADMIN/; }
    location /token/ {
      proxy_pass http://127.0.0.1:ADMIN/;
      proxy_set_header Authorization "Bearer token-of-the-live-page";
    }
  }
}
]]

describe("the live page behind a proxy that asks for a password", function()
  local s, nginx, front

  setup(function()
    if not browser.there() or h.shell "command -v nginx" == "" then return end
    s = h.server { policy = POLICY }
    s:post("/v1/events", '{"amount":7}')
    front = free_port()
    -- nginx reads it as its worker does: as any user.
    h.shell("chmod 755 " .. s.dir)
    h.write(s.dir .. "/passwords", "op:{PLAIN}secret\n")
    local fill = { DIR = s.dir, FRONT = front, ADMIN = s.admin }
    h.write(s.dir .. "/nginx.conf", (NGINX:gsub("%u+", fill)))
    nginx = h.spawn({ "nginx", "-p", s.dir, "-c", s.dir .. "/nginx.conf" }, s.dir .. "/nginx.out")
    h.wait_for("nginx", function() return h.open_port(front) end)
  end)

  teardown(function()
    if nginx then
      h.shell("kill -TERM " .. nginx)
      h.reap(nginx)
    end
    if s then s:close() end
  end)

  local function at(path) return ("http://op:secret@127.0.0.1:%d/%s"):format(front, path) end

  local function behind(title, f)
    browser.it(it, pending)(title, function()
      if not nginx then
        pending "nginx is not installed (sh conf/setup.sh test)"
        return
      end
      f()
    end)
  end

  behind("shows its figures, and a sample once it has the token", function()
    local page = browser.open(at "own", s.dir)
    finally(function() page:close() end)
    page:becomes("#live", "^live$")
    page:becomes("#refusals-body", "too_dear")
    page:run "document.querySelector('#refusals .link').click()"
    page:becomes("#detail", "or with the token")
    page:run "document.querySelector('#detail .empty button').click()"
    page:waits "document.getElementById('token').open"
    page:run "document.getElementById('token-text').focus()"
    page:ask("type", TOKEN)
    page:ask("key", "Enter")
    page:becomes("#detail dl", "costs 7")
    page:run "document.getElementById('to-line').click()"
    page:becomes("#lines", "policy%.lua:5")
    page:shot("proxy_password")
    page:looks(2)
    page:becomes("#live", "^live$")
    assert.same({}, page:complaints())
  end)

  behind("shows samples without a question where the proxy adds the token", function()
    local page = browser.open(at "token", s.dir .. "/two")
    finally(function() page:close() end)
    page:becomes("#refusals-body", "too_dear")
    page:run "document.querySelector('#refusals .link').click()"
    page:becomes("#detail dl", "costs 7")
    assert.same({}, page:complaints())
  end)

  behind("lets curl and scripts pass both", function()
    local function ask(path, more)
      return h.shell(("curl -s -w ' %%{http_code}' http://127.0.0.1:%d/%s %s")
        :format(front, path, more))
    end
    assert.matches(" 401$", ask("own/page.json", ""))
    assert.is_false(cjson.decode(ask("own/page.json", "-u op:secret"):match "^(.*) 200$").trusted)
    local both = "-u op:secret -H 'Sluice-Token: %s'"
    assert.is_true(cjson.decode(ask("own/page.json", both:format(TOKEN)):match "^(.*) 200$")
      .trusted)
    assert.is_false(cjson.decode(ask("own/page.json", both:format(TOKEN .. "x"))
      :match "^(.*) 200$").trusted)
    assert.matches(" 401$", ask("own/policy.json", "-u op:secret"))
    assert.matches("level=debug.* 200$", ask("own/loglevel?debug", "-X POST "
      .. both:format(TOKEN)))
  end)
end)
