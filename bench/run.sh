#!/bin/sh
# Measures what the README claims, beside the floor, in one run:
#
#   sh bench/run.sh [rounds] [seconds]     default: 5 rounds of 5 s
#
# CPU seconds of the server process (user + system) per million events, as
# multiples of bench/floor's; the server and the floor on core 0, wrk on core 1.
# The null sink reads and counts every event within the measured process.
set -eu
cd "$(dirname "$0")/.."
rounds=${1:-5} seconds=${2:-5}
dir=$(mktemp -d)
trap 'kill $floor $server 2>/dev/null; rm -rf "$dir"' EXIT

sh conf/setup.sh test
[ -x build/bench/floor ] || cmake -S . -B build -G Ninja -DSLUICE_TESTS=ON >/dev/null
ninja -C build >/dev/null
build/bench/gen 400 200 >"$dir/batch"
build/bench/gen 400 200 shuffled >"$dir/shuffled"
build/bench/gen 20000 1 >"$dir/single"

taskset -c 0 build/bench/floor 18190 & floor=$!
taskset -c 0 build/sluice run --listen 127.0.0.1:18191 --admin 127.0.0.1:18192 \
  --data "$dir/data" bench/policy.lua 2>"$dir/log" & server=$!
until grep -q event=ready "$dir/log"; do sleep 0.1; done

cpu() { awk '{ print ($14 + $15) / 100 }' "/proc/$1/stat"; }

one() { # name, pid, port, path, bodies, events a request
  before=$(cpu "$2")
  taskset -c 1 wrk -t1 -c32 "-d${seconds}s" --latency -s bench/wrk.lua \
    "http://127.0.0.1:$3$4" -- "$dir/$5" >"$dir/wrk"
  after=$(cpu "$2")
  grep -q "Non-2xx" "$dir/wrk" && { echo "$1: not all 2xx" >&2; exit 1; }
  awk -v name="$1" -v cpu="$(echo "$after - $before" | bc -l)" -v k="$6" '
    /requests in/ { n = $1 } /Requests\/sec/ { rate = $2 }
    $1 == "50%" { p50 = $2 } $1 == "99%" { p99 = $2 }
    END { printf "%s %.4f %d %s %s\n", name, cpu * 1e6 / (n * k), rate * k, p50, p99 }
  ' "$dir/wrk" | tee -a "$dir/results"
}

for i in $(seq "$rounds"); do
  one floor-batch $floor 18190 /v1/events/batch batch 200
  one sluice-batch $server 18191 /v1/events/batch batch 200
  one sluice-shuffled $server 18191 /v1/events/batch shuffled 200
  one floor-single $floor 18190 /v1/events single 1
  one sluice-single $server 18191 /v1/events single 1
done

median() { grep "^$1 " "$dir/results" | sort -k2 -n | awk '{ l[NR] = $0 } END { print l[int((NR + 1) / 2)] }'; }
echo
echo "machine: $(grep -m1 'model name' /proc/cpuinfo | cut -d: -f2), commit $(git rev-parse --short HEAD)"
echo "| load | CPU s a million | × floor | events/s | p50 | p99 |"
echo "|---|---|---|---|---|---|"
for kind in batch shuffled single; do
  f=$(median floor-$([ $kind = single ] && echo single || echo batch))
  for who in floor sluice; do
    [ "$who-$kind" = floor-shuffled ] && continue
    set -- $(median $who-$kind)
    echo "| $1 | $2 | $(echo "$2 $f" | awk '{ printf "%.2f", $1 / $3 }') | $3 | $4 | $5 |"
  done
done
echo
build/bench/scan "$dir/batch" "$dir/shuffled"
sh bench/parsers.sh "$dir/batch" "$dir/shuffled"
