#!/bin/sh
# Runs docker/Dockerfile without a Docker engine: each stage is a fresh Debian made by
# debootstrap, RUN happens in it by chroot, COPY copies, and the last stage's
# ENTRYPOINT is started as its USER, in a network of its own, until its HEALTHCHECK
# passes; then an event is posted. As root; takes a minute. Exits 0 when all of it
# holds, 75 when Debian's packages can't be reached.
#
# Reads what our Dockerfile says, not all of the language: FROM, RUN, COPY, ENV,
# USER, VOLUME, EXPOSE, HEALTHCHECK, ENTRYPOINT and CMD, one line each after
# continuation lines are joined.
set -eu
cd "$(dirname "$0")/.."
dir=$(mktemp -d)
stage=
path=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin # as Docker's
entry='' cmd='' user=root health='' environment='' server=

finish() {
  [ -z "$server" ] || kill "$server" 2>/dev/null || true
  for s in "$dir"/stage-*; do
    umount "$s/proc" "$s/dev" 2>/dev/null || true
  done
  rm -rf --one-file-system "$dir"
}
trap finish EXIT

sh tests/debian.sh "$dir/base"
git archive HEAD | (mkdir "$dir/context" && tar x -C "$dir/context")

list() { # ["a", "b"] as words
  printf '%s\n' "$1" | tr -d '[]"' | tr ',' ' '
}

# Continuation lines joined, comments and empty lines gone.
sed -e '/^#/d' -e '/^$/d' docker/Dockerfile |
  sed -e ':a' -e '/\\$/{N;s/\\\n//;ba' -e '}' >"$dir/steps"

while IFS= read -r line; do
  word=${line%% *} rest=${line#* }
  case $word in
  FROM)
    name=$(echo "$rest" | awk '{ print tolower($2) == "as" ? $3 : "last" }')
    stage=$dir/stage-$name
    cp -a "$dir/base" "$stage"
    mount -t proc proc "$stage/proc"
    mount --bind /dev "$stage/dev"
    user=root ;;
  RUN)
    echo "image: $name: RUN ${rest%% *} …"
    chroot "$stage" sh -c "$rest" >"$dir/log" 2>&1 </dev/null ||
      { tail -20 "$dir/log"; exit 1; } ;;
  COPY)
    case $rest in
    --from=*)
      other=${rest#--from=} other=${other%% *} rest=${rest#* }
      from=$dir/stage-$other ;;
    *) from=$dir/context ;;
    esac
    mkdir -p "$stage/$(dirname "${rest#* }")"
    cp -a "$from/${rest%% *}" "$stage/${rest#* }" ;;
  ENV) environment="$environment $rest" ;;
  USER) user=$rest ;;
  HEALTHCHECK) health=${rest#*CMD } ;;
  ENTRYPOINT) entry=$(list "$rest") ;;
  CMD) cmd=$(list "$rest") ;;
  VOLUME | EXPOSE) ;;
  *) echo "image: line not understood: $line"; exit 1 ;;
  esac
done <"$dir/steps"

[ "$user" != root ] || { echo "image: runs as root"; exit 1; }
echo "image: $(du -sxm "$stage" | cut -f1) MB with Debian's own"
# shellcheck disable=SC2086
unshare --net sh -c 'ip link set lo up && exec chroot "$@"' _ \
  --userspec="$user" "$stage" env PATH="$path" $environment $entry $cmd >"$dir/log" 2>&1 &
server=$!
inside() { # command, in the image's place and network
  nsenter --target "$server" --net chroot --userspec="$user" "$stage" sh -c "$1"
}
until inside "$health" >/dev/null 2>&1; do
  kill -0 "$server" 2>/dev/null || { cat "$dir/log"; exit 1; }
  sleep 0.1
done
echo "image: healthy as $user"
inside "curl -fsS --json '{\"event_id\":\"e1\",\"event_type\":\"click\",
  \"user_id\":\"u-1\",\"timestamp\":\"$(date -u +%FT%TZ)\"}' \
  http://127.0.0.1:8080/v1/events" || { cat "$dir/log"; exit 1; }
echo
kill "$server"
code=0
wait "$server" || code=$?
server=
echo "image: exit code $code after SIGTERM"
[ "$code" -eq 0 ]
