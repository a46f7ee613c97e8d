#!/bin/sh
# Runs the README's commands where nothing is installed: on a fresh Debian 12 made by
# debootstrap, from a clone of what is committed. What a command needs and
# conf/setup.sh does not install is thus noticed here. Not part of tests/run.sh.
#
#   sh tests/bare.sh          the quickstart, then sh tests/run.sh quick
#   sh tests/bare.sh full     the quickstart, then sh tests/run.sh
#
# As root, with git and debootstrap. Ends by itself after an hour (full: two and a
# half). Exits 0 when all of it holds, 75 when Debian's packages can't be reached.
set -eu
cd "$(dirname "$0")/.."
mode=${1:-quick}
limit=3600
[ "$mode" = full ] && limit=9000

# In namespaces of its own: whatever is mounted and started in there is gone with the
# shell that runs below, however that ends.
if [ -z "${SLUICE_BARE:-}" ]; then
  SLUICE_BARE=$(mktemp -d)
  export SLUICE_BARE
  trap 'rm -rf --one-file-system "$SLUICE_BARE"' EXIT
  trap 'exit 1' INT TERM
  code=0
  timeout "$limit" unshare --mount --pid --fork --kill-child \
    sh "tests/bare.sh" "$mode" || code=$?
  [ "$code" -ne 124 ] || echo "bare: still running after $limit s"
  exit "$code"
fi

dir=$SLUICE_BARE root=$SLUICE_BARE/root
sh tests/debian.sh "$root"
git clone -q --no-hardlinks "file://$PWD" "$root/sluice"
mount -t proc proc "$root/proc"
mount --bind /dev "$root/dev" # /dev/shm, and loop devices for power cuts
mount --bind /dev/pts "$root/dev/pts"

bare() { # command, in the new Debian, with none of our environment
  env -i HOME=/root PATH=/usr/sbin:/usr/bin:/sbin:/bin \
    ${SLUICE_FUZZ_SECONDS:+SLUICE_FUZZ_SECONDS="$SLUICE_FUZZ_SECONDS"} \
    chroot "$root" sh -c "cd /sluice && $1"
}

# Free ports, for this machine's may be taken; all else as in the README.
bare 'exec sh conf/quickstart.sh --listen 127.0.0.1:0 --admin 127.0.0.1:0' \
  >"$dir/quickstart" 2>&1 &
server=$!
until port=$(sed -n 's/.*event=ready .*listen=127\.0\.0\.1:\([0-9]*\).*/\1/p' \
  "$dir/quickstart") && [ -n "$port" ]; do
  kill -0 "$server" 2>/dev/null ||
    { cat "$dir/quickstart"; echo "bare: the quickstart ended"; exit 1; }
  sleep 0.2
done
answer=$(bare "curl -fsS --json '{\"event_id\":\"e1\",\"event_type\":\"click\",
  \"user_id\":\"u-1\",\"timestamp\":\"$(date -u +%FT%TZ)\"}' \
  127.0.0.1:$port/v1/events")
echo "bare: quickstart: $answer"
[ "$answer" = '{"status":"accepted","accepted":1}' ]
bare 'for i in 1 2 3 4 5 6 7 8 9; do sleep 1; zstdcat data/archive/* && exit; done; exit 1' |
  grep -q '"event_id":"e1"' || { echo "bare: zstdcat shows no event"; exit 1; }
kill "$(sed -n 's/.*event=ready .*pid=\([0-9]*\).*/\1/p' "$dir/quickstart")"
code=0
wait "$server" || code=$?
echo "bare: quickstart: exit code $code after SIGTERM"
[ "$code" -eq 0 ]

code=0
bare "sh tests/run.sh $mode" || code=$?
echo "bare: sh tests/run.sh $mode: exit code $code"
exit "$code"
