#!/bin/sh
# Measures what it costs a server at full load when somebody looks at it:
#
#   sh bench/watching.sh [rounds] [seconds]     default: 5 rounds of 5 s
#
# Each round has a run with each way to look, beside one without: `sluice tap` (output thrown
# away), `sluice top` on a terminal, three pages open (each asks for its data every
# second), a Prometheus that scrapes every second, and a ledger every five seconds of a
# stream with an index (beside the same stream without a ledger). CPU seconds of the
# server process (user + system) per million events, batches of 200; the server on core
# 0, wrk and who looks on core 1. The last columns are the CPU of the server's main thread,
# which serves the admin listener, and of who looks, each as a share of a core, and the
# server's resident memory at the end of the run. On a machine with other work the main
# thread's share is the figure to read.
set -eu
cd "$(dirname "$0")/.."
rounds=${1:-5} seconds=${2:-5}
dir=$(mktemp -d)
server='' watcher=''
trap 'kill $server $watcher 2>/dev/null || :; wait; rm -rf "$dir"' EXIT

ninja -C build sluice bench/gen >/dev/null
build/bench/gen 400 200 >"$dir/batch"
sed 's/^stream "events" {/stream "noted" { sinks = { "bench" }, index = "event_id" }\n&/' \
  bench/policy.lua >"$dir/policy.lua"
sed -n '/^route "POST \/v1\/events\/batch"/,$p' bench/policy.lua |
  sed 's|/v1/events/batch|/noted|; s/stream = "events"/stream = "noted"/' >>"$dir/policy.lua"
taskset -c 0 build/sluice run --listen 127.0.0.1:18291 --admin 127.0.0.1:18292 \
  --data "$dir/data" "$dir/policy.lua" 2>"$dir/log" &
server=$!
until grep -q event=ready "$dir/log"; do
  sleep 0.1
  kill -0 $server || { cat "$dir/log"; exit 1; }
done

cpu() { awk '{ print ($14 + $15) / 100 }' "/proc/$1/stat"; }
# A process and all that it has started.
family() {
  echo "$1"
  for child in $(pgrep -P "$1"); do family "$child"; done
}
cpu_of() { # pids: theirs, and that of their children that have ended
  for pid in "$@"; do
    awk '{ print ($14 + $15 + $16 + $17) / 100 }' "/proc/$pid/stat" 2>/dev/null || :
  done | paste -sd+ | bc -l
}

each_second() { # URL: a curl that asks again and again on one connection
  for _ in $(seq $((seconds + 5))); do set -- "$1" "$@"; done
  exec curl -s --rate 1/s "$@" >/dev/null
}

watch() { # name: in the background; the pid is in $watcher
  case $1 in
  tap) build/sluice tap --admin 127.0.0.1:18292 >/dev/null & ;;
  top) script -qfc "exec build/sluice top --admin 127.0.0.1:18292" /dev/null >/dev/null 2>&1 </dev/null & ;;
  page)
    (
      # As a page asks: since the row that it has, not for half an hour's rows each second.
      seq=$(curl -s http://127.0.0.1:18292/page.json | grep -o '"seq":[0-9]*' | cut -d: -f2)
      for _ in 1 2 3; do
        each_second "http://127.0.0.1:18292/page.json?since=$seq" &
      done
      wait
    ) &
    ;;
  scrape) (each_second http://127.0.0.1:18292/metrics) & ;;
  ledger) (while :; do build/sluice ledger "$dir/data" >/dev/null || :; sleep 5; done) & ;;
  esac
  watcher=$!
}

one() { # name, path, who looks
  watcher=
  [ -z "$3" ] || watch "$3"
  before=$(cpu $server)
  main=$(cpu "$server/task/$server")
  taskset -c 1 wrk -t1 -c32 "-d${seconds}s" --latency -s bench/wrk.lua \
    "http://127.0.0.1:18291$2" -- "$dir/batch" >"$dir/wrk"
  after=$(cpu $server)
  main=$(echo "$(cpu "$server/task/$server") - $main" | bc -l)
  looks=0
  if [ -n "$watcher" ]; then
    all=$(family "$watcher")
    # shellcheck disable=SC2086
    looks=$(cpu_of $all)
    # shellcheck disable=SC2086
    kill $all 2>/dev/null || :
    wait "$watcher" 2>/dev/null || :
    watcher=
  fi
  grep -q "Non-2xx" "$dir/wrk" && { echo "$1: not all 2xx" >&2; exit 1; }
  rss=$(awk '/VmRSS/ { print int($2 / 1024) }' /proc/$server/status)
  awk -v name="$1" -v cpu="$(echo "$after - $before" | bc -l)" -v looks="$looks" -v s="$seconds" \
    -v rss="$rss" -v main="$main" '
    /requests in/ { n = $1 } /Requests\/sec/ { rate = $2 }
    $1 == "50%" { p50 = $2 } $1 == "99%" { p99 = $2 }
    END { printf "%s %.4f %d %s %s %.2f %.2f %d\n", name, cpu * 1e6 / (n * 200), rate * 200,
      p50, p99, main * 100 / s, looks * 100 / s, rss }
  ' "$dir/wrk" | tee -a "$dir/results"
}

cost() { tail -1 "$dir/results" | cut -d' ' -f2; }
# Beside a run without anybody, which comes first and last in turn: a machine that gets slower
# meanwhile says nothing.
pair() { # name, name of the run without, path
  if [ $((round % 2)) -eq 0 ]; then
    one "$2" "$3" ''
    none=$(cost)
    one "$1" "$3" "$1"
    echo "$1 $(cost) $none" >>"$dir/pairs"
  else
    one "$1" "$3" "$1"
    with=$(cost)
    one "$2" "$3" ''
    echo "$1 $with $(cost)" >>"$dir/pairs"
  fi
}

for round in $(seq "$rounds"); do
  for who in tap top page scrape; do
    pair $who nobody /v1/events/batch
  done
  pair ledger noted /noted
done

median() { grep "^$1 " "$dir/results" | sort -k2 -n | awk '{ l[NR] = $0 } END { print l[int((NR + 1) / 2)] }'; }
against() { # name: the median of its pairs, and the least and the most
  grep "^$1 " "$dir/pairs" | awk '{ print ($2 / $3 - 1) * 100 }' | sort -n |
    awk '{ l[NR] = $1 } END { printf "%+.1f %% (%+.1f to %+.1f)", l[int((NR + 1) / 2)], l[1], l[NR] }'
}
echo
echo "machine: $(grep -m1 'model name' /proc/cpuinfo | cut -d: -f2), commit $(git rev-parse --short HEAD)"
echo "| who looks | CPU s a million | against none, by pair | events/s | p50 | p99 | main thread, % of a core | who looks, % | MB |"
echo "|---|---|---|---|---|---|---|---|---|"
for who in nobody tap top page scrape noted ledger; do
  more=''
  [ $who = nobody ] || [ $who = noted ] || more=$(against $who)
  # shellcheck disable=SC2046
  set -- $(median $who)
  echo "| $1 | $2 | $more | $3 | $4 | $5 | $6 | $7 | $8 |"
done
