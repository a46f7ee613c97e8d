-- The Debian package that cpack makes of this build: its contents, its control fields, and
-- what its scripts do. tests/deb.sh installs, upgrades, removes and purges it.
local h = require "harness"

local function run(command)
  local out = h.shell("{ " .. command .. "; } 2>&1; echo rc=$?")
  return out:gsub("rc=%d+\n$", ""), tonumber(out:match("rc=(%d+)\n$"))
end

local function lines(text)
  local list = {}
  for line in text:gmatch "[^\n]+" do list[#list + 1] = line end
  return list
end

local function missing(program)
  if h.shell("command -v " .. program) == "" then
    pending(program .. " is not installed")
    return true
  end
end

describe("the Debian package", function()
  local dir, deb, root, doc
  setup(function()
    dir = h.folder()
    root = dir .. "/root"
    doc = root .. "/usr/share/doc/sluice"
    -- From a clone whose umask was strict.
    local out, code = run(("umask 077; cd %s && cpack -G DEB -B %s"):format(h.build, dir))
    assert.equal(0, code, out)
    deb = h.shell(("ls %s/*.deb"):format(dir)):match "^[^\n]+"
    run(("dpkg-deb -x %s %s && dpkg-deb -e %s %s/control"):format(deb, root, deb, dir))
  end)
  teardown(function() h.remove(dir) end)

  local function field(name)
    return (h.shell(("dpkg-deb -f %s %s"):format(deb, name)):gsub("\n$", ""))
  end

  it("has the name, the version and the architecture of the build", function()
    local version = h.read("CMakeLists.txt"):match "project%(sluice VERSION ([%d.]+)"
    local arch = h.shell("dpkg --print-architecture"):match "%S+"
    assert.equal(dir .. "/sluice_" .. version .. "_" .. arch .. ".deb", deb)
    assert.equal("sluice", field "Package")
    assert.equal(version, field "Version")
    assert.equal("sluice " .. version .. "\n", h.shell(root .. "/usr/bin/sluice version"))
  end)

  it("depends on the packages of its libraries, and on no other but adduser", function()
    local want, have = { adduser = true }, {}
    local out = h.shell(("ldd %s/usr/bin/sluice"):format(root))
    local needed = h.shell(("objdump -p %s/usr/bin/sluice %s/usr/lib/sluice/libsluice.so")
      :format(root, root))
    local paths = {} -- also of the other folder, where /lib is a link to /usr/lib
    for lib in needed:gmatch "NEEDED%s+(%S+)" do
      local path = out:match(lib:gsub("%p", "%%%0") .. " => (%S+)")
      if path then -- the loader, which has none, is part of libc6
        paths[#paths + 1] = ("%s /usr%s $(realpath %s)"):format(path, path, path)
      end
    end
    for owner in h.shell("dpkg -S " .. table.concat(paths, " ")):gmatch "([^%s:]+):%w+: /" do
      want[owner] = true
    end
    for one in field("Depends"):gmatch "[^,]+" do have[one:match "[%w.+-]+"] = true end
    assert.same(want, have)
  end)

  it("belongs to root, and only root can write its files", function()
    local wrong = {}
    for _, line in ipairs(lines(h.shell("dpkg-deb -c " .. deb))) do
      local mode, owner, path = line:match "^(%S+)%s+(%S+)%s+%d+ %S+ %S+ (.+)$"
      local bin = path == "./usr/bin/sluice"
      local good = mode == ((bin or mode:match "^d") and mode:sub(1, 1) .. "rwxr-xr-x"
        or "-rw-r--r--")
      if not good or owner ~= "root/root" then wrong[#wrong + 1] = line end
    end
    assert.same({}, wrong)
  end)

  it("puts files only where Debian wants them", function()
    local wrong = {}
    for _, path in ipairs(lines(h.shell(("cd %s && find . -type f"):format(root)))) do
      local good = false
      for _, place in ipairs { "/etc/sluice/policy%.lua$", "/lib/systemd/system/sluice%.%l+$",
        "/usr/bin/sluice$", "/usr/lib/sluice/libsluice%.so$", "/usr/share/doc/sluice/",
        "/usr/share/lua/5%.1/sluice/", "/usr/share/lintian/overrides/sluice$",
        "/usr/share/man/man1/sluice%.1%.gz$", "/usr/share/bash%-completion/completions/sluice$",
        "/usr/share/zsh/vendor%-completions/_sluice$",
        "/usr/share/fish/vendor_completions.d/sluice.fish$" } do
        good = good or path:match("^%." .. place)
      end
      if not good then wrong[#wrong + 1] = path end
    end
    assert.same({}, wrong)
  end)

  it("keeps what the operator changes below /etc", function()
    local conffiles = lines(h.read(dir .. "/control/conffiles"))
    assert.same(lines(h.shell(("cd %s && find etc -type f | sed 's|^|/|'"):format(root))),
      conffiles)
  end)

  it("starts with a policy that is good, whose examples pass", function()
    local out, code = run(("%s/usr/bin/sluice check %s/etc/sluice/policy.lua")
      :format(root, root))
    assert.equal(0, code, out)
    assert.matches("good: 2 routes, 1 stream, 1 sink", out)
    -- Nobody else than this machine until the operator says so.
    for address in h.read(root .. "/etc/sluice/policy.lua"):gmatch 'listen = "([^"]+)"' do
      assert.matches("^127%.0%.0%.1:", address)
    end
  end)

  it("tests the policies of its documents with its own kit", function()
    local out, code = run(("LUA_PATH='%s/usr/share/lua/5.1/?.lua;;' %s/usr/bin/sluice test %s")
      :format(root, root, doc .. "/conf/examples/minimal.lua"))
    assert.equal(0, code, out)
  end)

  it("has documents whose links hold", function()
    local wrong = {}
    local pages = lines(h.shell(("cd %s && find . -name '*.md'"):format(doc)))
    assert.is_true(#pages > 10)
    for _, page in ipairs(pages) do
      local folder = page:match "^(.*)/"
      for link in h.read(doc .. "/" .. page):gmatch "%]%(([%w_./]+)%)" do
        local there = io.open(("%s/%s/%s"):format(doc, folder, link)) -- also a folder
        if there then there:close() end
        -- What is about the source tree is not in a package.
        if not there and not link:match "tests/README" then
          wrong[#wrong + 1] = page .. ": " .. link
        end
      end
    end
    assert.same({}, wrong)
  end)

  it("has a unit that systemd accepts and whose command is in the package", function()
    local unit = h.read(root .. "/lib/systemd/system/sluice.service")
    assert.is_nil(unit:find("/usr/local", 1, true))
    assert.matches("\nExecStart=/usr/bin/sluice run ", unit)
    -- For the access log of the documents, beside what ProtectSystem takes.
    assert.matches("\nLogsDirectory=sluice\nLogsDirectoryMode=0750\n", unit)
    -- For the Unix sockets of the documents.
    assert.matches("\nRuntimeDirectory=sluice\n", unit)
    -- It would hide what tells one start of the machine from another.
    assert.is_nil(unit:find("\nProcSubset=pid", 1, true))
    if missing "systemd-analyze" then return end
    local text = unit:gsub("/usr/bin/sluice", root .. "/usr/bin/sluice")
    h.write(dir .. "/sluice.service", text)
    assert.equal("", h.shell("systemd-analyze verify " .. dir .. "/sluice.service"))
  end)
end)

describe("the scripts of the Debian package", function()
  local names = { "postinst", "prerm", "postrm" }
  local dir
  before_each(function()
    dir = h.folder()
    h.shell(("mkdir -p %s/bin %s/var/lib/sluice/spool %s/etc/sluice"):format(dir, dir, dir))
    h.write(dir .. "/var/lib/sluice/spool/LOCK", "")
    -- What they call of the system says so, and does nothing.
    for _, name in ipairs { "adduser", "systemctl", "deb-systemd-helper",
      "deb-systemd-invoke" } do
      h.write(dir .. "/bin/" .. name, ('#!/bin/sh\necho "%s $*" >>%s/calls\n')
        :format(name, dir))
    end
    h.shell(("chmod +x %s/bin/*; : >%s/calls"):format(dir, dir))
  end)
  after_each(function() h.remove(dir) end)

  local function script(words)
    return run(("PATH=%s/bin:$PATH DPKG_ROOT=%s sh conf/debian/%s"):format(dir, dir, words))
  end

  it("are shell that sh and shellcheck read", function()
    for _, name in ipairs(names) do
      assert.equal("", h.shell("sh -n conf/debian/" .. name))
    end
    if missing "shellcheck" then return end
    assert.equal("", h.shell("cd conf/debian && shellcheck postinst prerm postrm "
      .. "../../tests/deb.sh ../../tests/systemd.sh"))
  end)

  it("take every call of dpkg, and no other", function()
    for _, words in ipairs { "postinst configure", "postinst configure 0.1.0",
      "postinst abort-upgrade 0.2.0", "postinst abort-remove", "prerm remove",
      "prerm upgrade 0.2.0", "prerm failed-upgrade 0.1.0", "prerm deconfigure",
      "postrm remove", "postrm upgrade 0.2.0", "postrm abort-install",
      "postrm failed-upgrade 0.1.0", "postrm disappear", "postrm purge" } do
      local out, code = script(words)
      assert.equal(0, code, words .. ": " .. out)
    end
    for _, name in ipairs(names) do assert.equal(1, select(2, script(name .. " what"))) end
  end)

  it("make a user of the system without a home of its own", function()
    h.shell("rm -r " .. dir .. "/var/lib/sluice")
    h.write(dir .. "/bin/install", "#!/bin/sh\necho \"install $*\" >>" .. dir .. "/calls\n")
    h.shell("chmod +x " .. dir .. "/bin/install")
    assert.equal(0, select(2, script "postinst configure"))
    local calls = h.read(dir .. "/calls")
    assert.matches("adduser %-%-system %-%-group .*%-%-no%-create%-home .*sluice\n", calls)
    assert.truthy(calls:find("install -d -o sluice -g sluice -m 0750 " .. dir
      .. "/var/lib/sluice", 1, true), calls)
  end)

  it("keep the events at a removal, and say so", function()
    assert.matches("stay; purge deletes them", (script "postrm remove"))
    assert.equal("", h.shell("ls -d " .. dir .. "/var/lib/sluice/spool | grep -v spool"))
    assert.matches("LOCK", h.shell("ls " .. dir .. "/var/lib/sluice/spool"))
  end)

  it("delete the events at a purge, and say so", function()
    local out, code = script "postrm purge"
    assert.equal(0, code)
    assert.matches("deleting " .. dir:gsub("%p", "%%%0") .. "/var/lib/sluice", out)
    assert.equal("", h.shell("ls " .. dir .. "/var/lib " .. dir .. "/etc"):gsub("%S+:\n", "")
      :gsub("\n", ""))
    assert.equal(0, select(2, script "postrm purge")) -- dpkg may call it again
  end)

  it("delete the access log at a purge, not before, and no folder behind a link", function()
    local logs = dir .. "/var/log/sluice"
    h.shell("mkdir -p " .. logs)
    h.write(logs .. "/access.log", "line\n")
    script "postrm remove"
    assert.equal("line\n", h.read(logs .. "/access.log"))
    assert.equal(0, select(2, script "postrm purge"))
    assert.equal("", h.shell("ls " .. dir .. "/var/log"))
    h.shell(("cd %s && mkdir other && touch other/kept && ln -s $PWD/other %s"):format(dir, logs))
    assert.equal(0, select(2, script "postrm purge"))
    assert.equal("", h.shell("ls " .. dir .. "/var/log"))
    assert.equal("kept\n", h.shell("ls " .. dir .. "/other"))
  end)

  it("delete no spool that a server still uses", function()
    local lock = dir .. "/var/lib/sluice/spool/LOCK"
    local out = run(("flock %s sh -c 'PATH=%s/bin:$PATH DPKG_ROOT=%s sh conf/debian/postrm "
      .. "purge; echo code=$?'"):format(lock, dir, dir))
    assert.matches("a server still uses .*: stop it, then purge again\ncode=1", out)
    assert.matches("LOCK", h.shell("ls " .. dir .. "/var/lib/sluice/spool"))
  end)

  it("delete nothing behind a link", function()
    h.shell(("mv %s/var/lib/sluice %s/elsewhere && ln -s %s/elsewhere %s/var/lib/sluice")
      :format(dir, dir, dir, dir))
    local out, code = script "postrm purge"
    assert.equal(0, code)
    assert.matches("is a link; what it points to stays: .*/elsewhere", out)
    assert.matches("LOCK", h.shell("ls " .. dir .. "/elsewhere/spool"))
    assert.equal("", h.shell("ls " .. dir .. "/var/lib"))
  end)
end)
