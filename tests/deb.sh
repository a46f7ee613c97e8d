#!/bin/sh
# Installs, upgrades, removes and purges the Debian package in a fresh Debian 12 made by
# debootstrap, under a systemd that runs the unit with all its restrictions; the server
# gets requests meanwhile. Not part of tests/run.sh: takes two minutes.
#
#   sh tests/deb.sh        packs $SLUICE_BUILD, or build
#
# As root, with debootstrap. Exits 0 when all of it holds, 75 when Debian's packages can't
# be reached.
set -eu
cd "$(dirname "$0")/.."
build=${SLUICE_BUILD:-build}
dir=$(mktemp -d)
root=$dir/root
boot='' loads=''

finish() {
  # shellcheck disable=SC2086
  [ -z "$loads$boot" ] || kill -9 $loads $boot 2>/dev/null || true
  rm -rf --one-file-system "$dir"
}
trap finish EXIT
trap 'exit 1' INT TERM

step() { echo "deb: $*"; }
fail() {
  echo "deb: failed: $*"
  [ -z "$boot" ] || inside journalctl -u sluice --no-pager -n 30
  exit 1
}
holds() { # what, command
  what=$1
  shift
  "$@" || fail "$what"
}
until_holds() { # what, command: within half a minute
  what=$1 tries=0
  shift
  until "$@" >/dev/null 2>&1; do
    tries=$((tries + 1))
    [ "$tries" -lt 150 ] || fail "$what, after 30 s"
    sleep 0.2
  done
}

# Three packages: the build's; a later one whose policy differs; one whose server refuses
# every policy.
(cd "$build" && cpack -G DEB -B "$dir/cpack" >/dev/null 2>&1)
cp "$dir"/cpack/*.deb "$dir/1.deb"
version=$(dpkg-deb -f "$dir/1.deb" Version)
later() { # number
  dpkg-deb -R "$dir/1.deb" "$dir/later"
  sed -i "s/^Version: .*/Version: $version+$1/" "$dir/later/DEBIAN/control"
  echo "-- The later package's." >>"$dir/later/etc/sluice/policy.lua"
  if [ "$1" = 3 ]; then
    printf '#!/bin/sh\necho "line 1: no such word" >&2\nexit 1\n' >"$dir/later/usr/bin/sluice"
  fi
  dpkg-deb --root-owner-group -b "$dir/later" "$dir/$1.deb" >/dev/null
  rm -r "$dir/later"
}
later 2
later 3
later 4

if command -v lintian >/dev/null; then
  step "lintian"
  lintian --allow-root "$dir/1.deb" >"$dir/log" 2>&1 || true
  # Until there is one.
  [ -e conf/sluice.1 ] || sed -i '/^W: sluice: no-manual-page /d' "$dir/log"
  [ ! -s "$dir/log" ] || fail "$(cat "$dir/log")"
fi

step "a fresh Debian, with what the package depends on"
sh tests/debian.sh "$root"
cp "$dir"/?.deb "$root/root/"
mount -t proc proc "$root/proc"
chroot "$root" sh -c "export DEBIAN_FRONTEND=noninteractive; apt-get update &&
  apt-get install -y --no-install-recommends systemd dbus curl zstd &&
  apt-get satisfy -y --no-install-recommends '$(dpkg-deb -f "$dir/1.deb" Depends)'" \
  >"$dir/log" 2>&1 || { umount "$root/proc"; tail -5 "$dir/log"; exit 75; }
umount "$root/proc"

files() { # all that could be left
  (cd "$root" && find . -xdev -type f \! -path './var/lib/dpkg/*' \! -path './var/log/*' \
    \! -path './var/lib/apt/*' \! -path './var/cache/*' \! -path './tmp/*' | sort)
}
files >"$dir/before"

sh tests/systemd.sh "$root" >"$dir/console" 2>&1 &
outer=$!
until boot=$(ps -o pid= --ppid "$outer" | tr -d ' ') && [ -n "$boot" ] &&
  [ "$(cat "/proc/$boot/comm")" = systemd ]; do
  kill -0 "$outer" || { cat "$dir/console"; exit 1; }
  sleep 0.1
done
inside() {
  nsenter --target "$boot" --mount --pid --net --uts --ipc --cgroup --root --wdns=/ "$@"
}
package() { inside env DEBIAN_FRONTEND=noninteractive "$@" >"$dir/said" 2>&1; }
main_pid() { inside systemctl show --property MainPID --value sluice; }
serves() { inside curl -fsS http://127.0.0.1:9100/readyz; }
another_than() { # process
  now=$(main_pid)
  [ "$now" != 0 ] && [ "$now" != "$1" ]
}
generation() {
  inside curl -fsS http://127.0.0.1:9100/metrics | grep -qx "sluice_policy_generation $1"
}
tried() { # times
  [ "$(inside systemctl show --property NRestarts --value sluice)" -ge "$1" ]
}
active() { inside systemctl --quiet is-active sluice; }
n=0
post() { # an event that has to be accepted
  n=$((n + 1))
  inside curl -fsS --json "{\"event_id\":\"deb-$n\",\"event_type\":\"test\"}" \
    http://127.0.0.1:8080/v1/events >/dev/null
}
until_holds "systemd boots" inside systemctl is-system-running --wait

step "install"
holds "dpkg -i" package dpkg -i /root/1.deb
until_holds "the service serves" serves
holds "the service is enabled" inside systemctl --quiet is-enabled sluice
holds "no start failed" [ "$(inside systemctl show --property NRestarts --value sluice)" = 0 ]
holds "the server is sluice's" \
  [ "$(inside stat -c %U "/proc/$(main_pid)")" = sluice ]
holds "an event is accepted" post
level=$(inside systemd-analyze security --no-pager sluice | tail -1)
step "$level"

step "kill -9: systemd starts it again"
pid=$(main_pid)
inside systemctl kill --kill-who=main --signal=KILL sluice
until_holds "another process serves" another_than "$pid"
until_holds "the service serves" serves
holds "an event is accepted" post

step "a start that fails many times: it still comes back"
holds "stop" inside systemctl stop sluice
mv "$root/var/lib/sluice/spool" "$root/var/lib/sluice/away"
touch "$root/var/lib/sluice/spool"
inside systemctl start sluice 2>/dev/null && fail "it starts without a spool"
until_holds "systemd has tried seven times" tried 7
rm "$root/var/lib/sluice/spool"
mv "$root/var/lib/sluice/away" "$root/var/lib/sluice/spool"
until_holds "the service serves" serves

step "the unit gives a variable, a credential, a port below 1024 and a Unix socket"
extra=$root/etc/systemd/system/sluice.service.d
mkdir -p "$extra"
echo "a word" >"$root/root/word"
cat >"$extra/given.conf" <<'X'
[Service]
Environment="DEB_GIVEN=with a space"
LoadCredential=word:/root/word
AmbientCapabilities=CAP_NET_BIND_SERVICE
CapabilityBoundingSet=CAP_NET_BIND_SERVICE
PrivateUsers=no
X
cat >>"$root/etc/sluice/policy.lua" <<'X'
local given, word = env "DEB_GIVEN", secret "credential:word"
listen "127.0.0.1:80" { health = "/healthz" }
listen "unix:/run/sluice/in.sock" { health = "/healthz" }
X
holds "daemon-reload" inside systemctl daemon-reload
holds "restart" inside systemctl restart sluice
until_holds "the service serves" serves
holds "port 80 serves" inside curl -fsS -o /dev/null http://127.0.0.1:80/healthz
holds "the Unix socket serves" \
  inside curl -fsS -o /dev/null --unix-socket /run/sluice/in.sock http://sluice/healthz
holds "the server can tell starts of the machine apart" \
  inside nsenter --target "$(main_pid)" --mount \
  grep -q . /proc/sys/kernel/random/boot_id

step "systemctl reload takes the operator's policy"
echo "-- The operator's." >>"$root/etc/sluice/policy.lua"
holds "reload" inside systemctl reload sluice
until_holds "generation 2 is live" generation 2

step "an access log begins without a restart"
pid=$(main_pid)
log=$root/var/log/sluice/access.log
echo 'access_log { path = "/var/log/sluice/access.log" }' >>"$root/etc/sluice/policy.lua"
holds "sluice upgrade" inside sluice upgrade --spool /var/lib/sluice/spool
holds "another process serves" another_than "$pid"
holds "an event is accepted" post
until_holds "its line is there" grep -q 'path="/v1/events"' "$log"
holds "it is sluice's" [ "$(inside stat -c '%U %a' /var/log/sluice/access.log)" = "sluice 640" ]

step "upgrade under load"
nsenter --target "$boot" --net "$build/tools/load" --port 8080 --connections 16 --batch 5 \
  --rate 200 --seconds 600 --acks "$dir/acks" >"$dir/load" &
loads=$!
pid=$(main_pid)
holds "dpkg -i" package dpkg --force-confold -i /root/2.deb
holds "another process serves" another_than "$pid"
holds "it is the new file" [ "$(inside readlink "/proc/$(main_pid)/exe")" = /usr/bin/sluice ]
holds "the service serves" serves >/dev/null
holds "the operator's policy stays" grep -q "operator's" "$root/etc/sluice/policy.lua"
holds "the new default lies beside it" [ -e "$root/etc/sluice/policy.lua.dpkg-dist" ]

step "an upgrade that refuses the policy leaves the server alone"
pid=$(main_pid)
holds "dpkg -i" package dpkg --force-confold -i /root/3.deb
holds "it is said" grep -q "refuses .*the old server goes on" "$dir/said"
holds "the reason is said" grep -q "no such word" "$dir/said"
holds "the same process serves" [ "$(main_pid)" = "$pid" ]
holds "dpkg -i" package dpkg --force-confold -i /root/4.deb
holds "another process serves" another_than "$pid"

kill "$loads"
code=0
wait "$loads" || code=$?
loads=
step "$(cat "$dir/load")"
holds "no request failed" [ "$code" = 0 ]
holds "each request was accepted" grep -q " full=0 other=0 broken=0 " "$dir/load"

step "kill -9 after an upgrade: systemd starts it again"
pid=$(main_pid)
inside systemctl kill --kill-who=main --signal=KILL sluice
until_holds "another process serves" another_than "$pid"
until_holds "the service serves" serves

step "a stopped and disabled service stays so"
holds "disable" inside systemctl --quiet disable --now sluice
holds "dpkg -i" package dpkg --force-confold --force-downgrade -i /root/2.deb
active && fail "it runs"
inside systemctl --quiet is-enabled sluice && fail "it is enabled"
holds "enable" inside systemctl --quiet enable --now sluice

step "remove keeps policy and events, and no client starts what is removed"
holds "an event is accepted" post
mkdir -p "$root/etc/systemd/system/sluice.socket.d"
printf '[Socket]\nListenStream=\nListenStream=127.0.0.1:8090\n' \
  >"$root/etc/systemd/system/sluice.socket.d/port.conf"
echo 'listen "systemd:in" { }' >>"$root/etc/sluice/policy.lua"
holds "daemon-reload" inside systemctl daemon-reload
holds "stop" inside systemctl stop sluice
holds "the socket" inside systemctl --quiet enable --now sluice.socket
inside curl -sS http://127.0.0.1:8090/ >/dev/null
until_holds "a client starts the service" serves
holds "apt-get remove" package apt-get remove -y sluice
holds "it is said" grep -q "stay; purge deletes them" "$dir/said"
active && fail "it runs"
inside systemctl --quiet is-active sluice.socket && fail "its socket listens"
inside curl -sS http://127.0.0.1:8090/ >/dev/null 2>&1 && fail "its port answers"
sed -i '/systemd:in/d' "$root/etc/sluice/policy.lua"
holds "the policy stays" grep -q "operator's" "$root/etc/sluice/policy.lua"
holds "dpkg -i" package dpkg --force-confold -i /root/4.deb
until_holds "the service serves" serves
holds "an event is accepted" post
holds "stop" inside systemctl stop sluice

# load writes "first n" for each answer; what it had in flight at its end may be there too.
inside sh -c 'zstd -dcqf /var/lib/sluice/archive/*' >"$dir/archived" || true
awk '{ for (i = 0; i < $2; i++) printf "e-%012d\n", $1 + i }' "$dir/acks" >"$dir/accepted"
seq -f 'deb-%g' "$n" >>"$dir/accepted"
sort -o "$dir/accepted" "$dir/accepted"
sed 's/.*"event_id":"\([^"]*\)".*/\1/' "$dir/archived" | sort >"$dir/ids"
step "$(wc -l <"$dir/accepted") events acknowledged, $(wc -l <"$dir/ids") archived"
holds "no event is archived twice" [ -z "$(uniq -d "$dir/ids")" ]
holds "every acknowledged event is archived" \
  [ -z "$(comm -23 "$dir/accepted" "$dir/ids" | head -5)" ]

step "purge"
rm -r "$extra" "${extra%/*}/sluice.socket.d" "$root/root/word"
holds "apt-get purge" package apt-get purge -y sluice
holds "it is said" grep -q "deleting /var/lib/sluice" "$dir/said"
holds "the events are gone" [ ! -e "$root/var/lib/sluice" ]
holds "the access log's folder is gone" [ ! -e "$root/var/log/sluice" ]
holds "the policy is gone" [ ! -e "$root/etc/sluice" ]
holds "the socket is disabled" \
  [ ! -L "$root/etc/systemd/system/sockets.target.wants/sluice.socket" ]
inside systemctl --quiet is-active sluice && fail "it runs"
inside systemctl poweroff || true
wait "$outer" || true
boot=
files | diff "$dir/before" - | grep -v '^[0-9]' | grep -vE '/(etc/machine-id|etc/.*-$|var/lib/systemd/)' \
  >"$dir/left" || true
holds "nothing is left: $(cat "$dir/left")" [ ! -s "$dir/left" ]
step "all of it holds"
