#!/bin/sh
# Installs what is missing, builds, and runs the tests.
#
#   sh tests/run.sh          everything, with sanitizers and fuzzers
#   sh tests/run.sh quick    unit tests, specs and the short e2e tests
#
# Ends in a line "N passed, N failed[, N skipped]". SLUICE_ROUNDS=500 makes the
# crash campaign long.
set -u
cd "$(dirname "$0")/.." || exit 1
mode=${1:-full}
passed=0 failed=0 skipped=0
logs=$(mktemp -d)
trap 'rm -rf "$logs"' EXIT

sh conf/setup.sh test || exit 1

build() { # folder, options: configures once, builds
  dir=$1
  shift
  # The quickstart's build has no tests yet: the options decide.
  [ "$(cat "$dir/options" 2>/dev/null)" = "$*" ] || {
    cmake -S . -B "$dir" -G Ninja "$@" >"$logs/cmake" 2>&1 ||
      { cat "$logs/cmake"; exit 1; }
    echo "$*" >"$dir/options"
  }
  ninja -C "$dir" >"$logs/ninja" 2>&1 ||
    { tail -50 "$logs/ninja"; echo "0 passed, 1 failed"; exit 1; }
}

count() { # of a TAP output: adds its results, shows what is not ok
  passed=$((passed + $(grep -c '^ok ' "$1") - $(grep -c '^ok .*# SKIP' "$1")))
  failed=$((failed + $(grep -c '^not ok ' "$1")))
  skipped=$((skipped + $(grep -c '^ok .*# SKIP' "$1")))
  grep -A12 '^not ok ' "$1"
  grep -E '^# [a-z]+.*[:=]|# SKIP' "$1"
}

unit() { # folder of the build
  echo "== unit tests ($1)"
  for t in "$1"/unit/*; do
    [ -f "$t" ] || continue
    CMOCKA_MESSAGE_OUTPUT=tap timeout 300 "$t" >"$logs/unit" 2>&1
    code=$?
    count "$logs/unit"
    if [ $code -ne 0 ] && ! grep -q '^not ok ' "$logs/unit"; then
      echo "$t ended with $code"
      tail -20 "$logs/unit"
      failed=$((failed + 1))
    fi
  done
}

specs() { # folder of the build, files
  dir=$1
  shift
  for f in "$@"; do
    echo "== $f ($dir)"
    SLUICE_BUILD=$dir timeout 900 busted "$f" >"$logs/spec" 2>&1
    code=$?
    count "$logs/spec"
    if [ $code -ne 0 ] && ! grep -q '^not ok ' "$logs/spec"; then
      echo "$f ended with $code"
      tail -20 "$logs/spec"
      failed=$((failed + 1))
    fi
  done
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

build build -DSLUICE_TESTS=ON -DSLUICE_WERROR=ON
check "layers" luajit tests/lint/layers.lua
check "luacheck" luacheck -q lua conf bench tests
unit build
for f in tests/spec/*_spec.lua tests/policy/*_spec.lua; do
  [ -f "$f" ] && specs build "$f"
done

if [ "$mode" = quick ]; then
  specs build tests/e2e/http_spec.lua tests/e2e/bad_input_spec.lua
else
  for f in tests/e2e/*_spec.lua; do
    specs build "$f"
  done
  build build-asan -DSLUICE_TESTS=ON -DSLUICE_SANITIZE=address,undefined
  unit build-asan
  specs build-asan tests/e2e/http_spec.lua tests/e2e/bad_input_spec.lua \
    tests/e2e/clickhouse_spec.lua tests/e2e/kafka_spec.lua
  build build-tsan -DSLUICE_TESTS=ON -DSLUICE_SANITIZE=thread
  specs build-tsan tests/e2e/http_spec.lua
  if [ -f tests/fuzz/CMakeLists.txt ]; then
    CC=clang CXX=clang++ build build-fuzz -DSLUICE_TESTS=ON -DSLUICE_FUZZ=ON \
      -DSLUICE_SANITIZE=address,undefined
    for t in decode http request segment; do
      check "fuzz $t, ${SLUICE_FUZZ_SECONDS:-60} s" sh tests/fuzz/run.sh \
        build-fuzz $t "${SLUICE_FUZZ_SECONDS:-60}"
    done
  fi
fi

[ $skipped -gt 0 ] && tail=", $skipped skipped" || tail=
echo "$passed passed, $failed failed$tail"
[ $failed -eq 0 ]
