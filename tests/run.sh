#!/bin/sh
# Installs what is missing, builds, and runs the tests.
#
#   sh tests/run.sh          everything, with sanitizers and fuzzers
#   sh tests/run.sh quick    unit tests, specs and the short e2e tests: needs no
#                            root, no network and no other service
#
# Ends in a line "N passed, N failed[, N skipped]". SLUICE_ROUNDS=500 makes the
# crash campaign long.
set -u
cd "$(dirname "$0")/.." || exit 1
mode=${1:-full}
passed=0 failed=0 skipped=0
logs=$(mktemp -d)
trap 'wait; rm -rf "$logs"' EXIT

# Notes what the machine's processors did until now: what bounds the run, their work or
# what waits, is asked of the parts (see said_of_parts).
now() { # name of the part that ends here
  echo "$1 $(date +%s) $(nproc) $(getconf CLK_TCK) $(head -1 /proc/stat)" >>"$logs/parts"
}

said_of_parts() {
  awk '{
    idle = $9 + $10
    if (NR > 1) {
      wall = $2 - at
      printf "# time: %-12s %4d s, the processors idle for %2d %%\n", $1, wall,
        wall ? 100 * (idle - before) / (wall * $3 * $4) : 0
    }
    else { first = $2; first_idle = idle }
    at = $2; before = idle
  }
  END {
    printf "# time: %-12s %4d s, the processors idle for %2d %%\n", "all", at - first,
      100 * (before - first_idle) / ((at - first) * $3 * $4 + 1)
  }' "$logs/parts"
}
now start

case $mode in
full)
  sh conf/setup.sh test || exit 1
  # For the live page's plots, of the version that CMakeLists.txt looks for.
  sh tests/fetch.sh uplot 1.6.32 >/dev/null
  ;;
quick) sh conf/setup.sh quick || exit 1 ;;
*)
  echo "tests: \"$mode\" is no set of tests; expected quick or nothing" >&2
  exit 64
  ;;
esac

# Configures a build once, and builds: folder, log, targets, options. The quickstart's
# build has no tests yet: the options decide.
cat >"$logs/build.sh" <<'X'
dir=$1 log=$2 targets=$3
shift 3
[ "$(cat "$dir/options" 2>/dev/null)" = "$*" ] || {
  cmake -S . -B "$dir" -G Ninja "$@" >"$log" 2>&1 || { cat "$log"; exit 1; }
  echo "$*" >"$dir/options"
}
# shellcheck disable=SC2086
ninja -C "$dir" $targets >"$log" 2>&1 || { tail -50 "$log"; exit 1; }
X

build() { # folder, targets, options
  dir=$1
  shift
  sh "$logs/build.sh" "$dir" "$logs/ninja-$dir" "$@" ||
    { echo "0 passed, 1 failed"; exit 1; }
}

# What computes (builds, clang-tidy, unit tests with sanitizers, fuzzers, the image) runs
# beside what waits, one after the other, and takes the processor from none of it.
behind() { # name, command: in the background; what it says is in $logs/NAME.said
  name=$1
  shift
  (nice -n 19 "$@" >"$logs/$name.said" 2>&1; echo $? >"$logs/$name.ended") &
}

ended() { # name: waits for it, says what it said; its exit code
  until [ -s "$logs/$1.ended" ] || [ -s "$logs/later.ended" ]; do sleep 0.2; done
  [ ! -s "$logs/$1.said" ] || cat "$logs/$1.said"
  [ -s "$logs/$1.ended" ] && return "$(cat "$logs/$1.ended")"
  echo "$1 has not run"
  return 1
}

# Of each test that failed 40 lines: what it said before "not ok", such as an attack's
# figures, 20 lines at most, and where it broke off, which stands behind.
cat >"$logs/failures.awk" <<'X'
function show(from, i) {
  if (failed) {
    from = at > 20 ? at - 20 : 0
    for (i = from; i < n && i < from + 40; i++) print lines[i]
  }
  n = failed = 0
}
/^ok / || /^not ok .*# SKIP/ { show(); next }
/^not ok / {
  if (failed) show()
  failed = 1
  at = n
}
{ lines[n++] = $0 }
END { show() }
X

count() { # of a TAP output: adds its results, shows what is not ok
  passed=$((passed + $(grep -c '^ok ' "$1") - $(grep -c '^ok .*# SKIP' "$1")))
  # cmocka says "not ok" of a test that skips itself.
  failed=$((failed + $(grep -c '^not ok ' "$1") - $(grep -c '^not ok .*# SKIP' "$1")))
  skipped=$((skipped + $(grep -cE '^(not )?ok .*# SKIP' "$1")))
  grep -E '^# [a-z]+.*[:=]|# SKIP' "$1"
  awk -f "$logs/failures.awk" "$1"
}

judge() { # title, TAP output, exit code: counts it, also where it broke off
  count "$2"
  if [ "$3" -ne 0 ] && ! grep '^not ok ' "$2" | grep -qv '# SKIP'; then
    echo "$1 ended with $3"
    tail -20 "$2"
    failed=$((failed + 1))
  fi
}

# All unit tests of a build, two at a time; the policy's take longest, so not last.
cat >"$logs/units.sh" <<'X'
mkdir -p "$1/of-$2"
# shellcheck disable=SC2016
find "$2/unit" -type f | sort -r | xargs -P 2 -I{} sh -c '
  CMOCKA_MESSAGE_OUTPUT=tap timeout 900 "$2" >"$1/${2##*/}" 2>&1
  echo $? >"$1/${2##*/}.code"' unit "$1/of-$2" {}
X

units_said() { # folder of the build
  echo "== unit tests ($1)"
  for t in "$1"/unit/*; do
    [ -f "$t" ] && judge "$t" "$logs/of-$1/${t##*/}" "$(cat "$logs/of-$1/${t##*/}.code")"
  done
}

unit() { # folder of the build
  sh "$logs/units.sh" "$logs" "$1"
  units_said "$1"
}

# OUT BEGAN: what OUT.times says in OUT.seconds, without what was reaped by no process of
# its own, such as a service that was left.
cat >"$logs/seconds.sh" <<'X'
echo "$(($(date +%s) - $2)) s, $(awk 'NR == 2 {
  split($1 "m" $2, t, "[ms]+")
  printf "%d", t[1] * 60 + t[2] + t[3] * 60 + t[4]
}' "$1.times") s of processor" >"$1.seconds"
X

# One spec file of a build; what it says, its exit code and its seconds, also those of the
# processor, lie in $logs/NAME.*. Whatever a sanitizer reports of any process is a failure. TSan does
# not look into libraries that are built without it.
cat >"$logs/spec.sh" <<'X'
logs=$1 dir=${2%%:*} file=${2#*:}
out=$logs/$(echo "$2" | tr /: __)
# The sanitizers' builds run in the background.
[ "$dir" = build ] ||
  until [ -s "$logs/builds.ended" ] || [ -s "$logs/later.ended" ]; do sleep 0.2; done
began=$(date +%s)
rm -f "$out".report.*
export ASAN_OPTIONS="log_path=$out.report:verify_asan_link_order=0"
export UBSAN_OPTIONS="log_path=$out.report:print_stacktrace=1"
export TSAN_OPTIONS="log_path=$out.report:ignore_noninstrumented_modules=1"
SLUICE_BUILD=$dir timeout 900 busted "$file" >"$out.tap" 2>&1
echo $? >"$out.code"
for r in "$out".report.*; do
  [ -f "$r" ] || continue
  echo "not ok - $file: a sanitizer reports"
  sed 's/^/# /; 40q' "$r"
done >>"$out.tap"
# In a pipe `times` would be another shell's.
times >"$out.times"
sh "$logs/seconds.sh" "$out" "$began"
X

show() { # FOLDER:FILE that has run
  out=$logs/$(echo "$1" | tr /: __)
  echo "== ${1#*:} (${1%%:*}, $(cat "$out.seconds"))"
  judge "${1#*:}" "$out.tap" "$(cat "$out.code")"
}

specs() { # FOLDER:FILE of builds and their specs: one after the other
  for f in "$@"; do
    sh "$logs/spec.sh" "$logs" "$f"
    show "$f"
  done
}

beside() { # FOLDER:FILE of builds and their specs: three at a time
  printf '%s\n' "$@" | xargs -P "${SLUICE_LANES:-3}" -n 1 sh "$logs/spec.sh" "$logs"
  for f in "$@"; do
    show "$f"
  done
}

# Specs that compare times or rates of one run with those of another have the
# machine for themselves, and so has the one that starts two dozen ClickHouse servers;
# all others run three at a time, for they mostly wait: two at a time left a quarter of
# two processors idle, and took 4 min longer. Those that take longest begin, so that
# none of them is the last one.
alone="clickhouse_faults hostile_clients reload breaker hedge memory"
long="admin_page_changes alerts_cures powerloss admin_page_attacks held kafka_faults ledger_kafka ledger_moving
  dedup_persist questions clock hang allocations tap_ends resend isolation launcher
  clickhouse_table changer kafka_breaker http_sink poison kafka_tls upgrade_faults faults
  clickhouse fault_fuzz canary retire dead_replay supervisor admin_page_access crash
  admin_page status handed_ids dedup admin_page_cost admin_page_open alerts_causes kafka4
  clients series kafka_copies disk endpoints alerts senders_refused"
among() { # file, names: whether its name is one of them
  name=$(basename "$1" _spec.lua)
  # shellcheck disable=SC2086
  case " $(echo $2) " in *" $name "*) return 0 ;; esac
  return 1
}

check() { # title, command: passes when it exits 0
  title=$1
  shift
  echo "== $title"
  if "$@" >"$logs/check" 2>&1; then
    passed=$((passed + 1))
  else
    tail -30 "$logs/check"
    failed=$((failed + 1))
  fi
}

# Fuzz targets, two at a time; they share 120 s, or have their own time.
cat >"$logs/fuzz.sh" <<'X'
logs=$1
shift
seconds=${SLUICE_FUZZ_SECONDS:-$((120 / $#))}
printf '%s\n' "$@" | xargs -P 2 -I{} sh -c "sh tests/fuzz/run.sh build-fuzz {} \
  $seconds >'$logs/fuzz-{}.said' 2>&1; echo \$? >'$logs/fuzz-{}.ended'"
X

now setup
build build all -DSLUICE_TESTS=ON -DSLUICE_WERROR=ON
now build
check "layers" luajit tests/lint/layers.lua
check "headers" luajit tests/lint/headers.lua
check "names" sh tests/lint/names.sh build/libsluice_core.a
check "luacheck" luacheck -q lua conf bench tests
[ "$mode" = quick ] || check "clang-format" sh tests/lint/format.sh
check "mutants" sh tests/mutate.sh --check
now checks
unit build
now units
all=''
for f in tests/spec/*_spec.lua tests/policy/*_spec.lua; do
  all="$all build:$f"
done
# shellcheck disable=SC2086
beside $all
now specs

if [ "$mode" = quick ]; then
  specs build:tests/e2e/http_spec.lua build:tests/e2e/bad_input_spec.lua \
    build:tests/e2e/metrics_spec.lua
else
  fuzz="agents bulk chunked cidr decode encoding forwarded hmac http index jwt keys mmdb
    multipart proxy query request segment shapes signed"
  cat >"$logs/later.sh" <<'X'
logs=$1
shift
step() { # name, command: what it says is in $logs/NAME.said
  name=$1
  shift
  began=$(date +%s)
  # A shell of its own, for `times` counts all that a shell has waited for.
  ("$@"; echo $? >"$logs/$name.code"; times >"$logs/$name.times") >"$logs/$name.said" 2>&1
  sh "$logs/seconds.sh" "$logs/$name" "$began"
  mv "$logs/$name.code" "$logs/$name.ended"
}
builds() {
  sh "$logs/build.sh" build-asan "$logs/ninja-asan" "sluice kit units tests/tools/all" \
    -DSLUICE_TESTS=ON -DSLUICE_SANITIZE=address,undefined &&
    sh "$logs/build.sh" build-tsan "$logs/ninja-tsan" "sluice tests/tools/all" \
      -DSLUICE_TESTS=ON -DSLUICE_SANITIZE=thread &&
    CC=clang CXX=clang++ sh "$logs/build.sh" build-fuzz "$logs/ninja-fuzz" tests/fuzz/all \
      -DSLUICE_TESTS=ON -DSLUICE_FUZZ=ON -DSLUICE_SANITIZE=address,undefined
}
step builds builds
[ "$(cat "$logs/builds.ended")" = 0 ] || exit 1
step tidy sh tests/lint/tidy.sh build
step units sh "$logs/units.sh" "$logs" build-asan
step fuzz sh "$logs/fuzz.sh" "$logs" "$@"
[ "$(id -u)" -ne 0 ] || step image sh tests/image.sh
X
  # shellcheck disable=SC2086
  behind later sh "$logs/later.sh" "$logs" $fuzz
  all=''
  for name in $long; do
    all="$all build:tests/e2e/${name}_spec.lua"
  done
  for f in tests/e2e/*_spec.lua; do
    if among "$f" "$alone"; then
      specs "build:$f"
    elif ! among "$f" "$long"; then
      all="$all build:$f"
    fi
  done
  for name in clickhouse kafka dedup archive policy bad_input http routes; do
    all="$all build-asan:tests/e2e/${name}_spec.lua"
  done
  now alone
  # shellcheck disable=SC2086
  beside $all build-tsan:tests/e2e/http_spec.lua
  now beside
  ended builds || { echo "0 passed, 1 failed"; exit 1; }
  check "clang-tidy" ended tidy
  ended units
  units_said build-asan
  ended fuzz
  for t in $fuzz; do
    check "fuzz $t" ended "fuzz-$t"
  done
  if [ "$(id -u)" -eq 0 ]; then
    check "docker/Dockerfile, in chroots" ended image
  fi
  now background
  for name in builds tidy units fuzz image; do
    [ ! -s "$logs/$name.seconds" ] || echo "# time: $name, behind: $(cat "$logs/$name.seconds")"
  done
fi
said_of_parts

[ $skipped -gt 0 ] && tail=", $skipped skipped" || tail=
echo "$passed passed, $failed failed$tail"
[ $failed -eq 0 ]
