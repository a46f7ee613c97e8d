#!/bin/sh
# Breaks a copy of the source in one place at a time and says which test notices.
#
#   sh tests/mutate.sh [-j N] [-n] [NAME...]   runs the mutants named, or all of them
#   sh tests/mutate.sh --check                 says whether every mutant still applies
#   sh tests/mutate.sh --table LOG...          counts the lines of runs, room by room
#
# A mutant is a patch in tests/mutants. The tests run in this order until one fails: unit
# programs of the mutant's room, the tests that the mutant names with "Spec: FILE", all
# other unit programs, and the specs of "tests/run.sh quick". -n ends after the first
# two, which are the nearest ones. -j N builds with N jobs instead of one.
# SLUICE_MUTANT_SECONDS (300) bounds each test; a mutant that hangs is dead. Ends with 1
# when a mutant does not apply, does not compile, or survives. Sources come from the
# folder as it is, also what is not committed.
set -u
cd "$(dirname "$0")/.." || exit 1
mutants=tests/mutants
seconds=${SLUICE_MUTANT_SECONDS:-300}
quick="tests/spec/*_spec.lua tests/policy/*_spec.lua tests/e2e/http_spec.lua
  tests/e2e/bad_input_spec.lua"

fail() {
  echo "mutate: $1" >&2
  exit "${2:-1}"
}

file_of() { # mutant: what it changes
  sed -n 's|^+++ b/||p' "$1" | head -1
}

room_of() { # mutant: the folder in src, or lua
  case $(file_of "$1") in
  lua/*) echo lua ;;
  *) dirname "$(file_of "$1")" | sed 's|^src/*||' ;;
  esac
}

# ---- --check ----

lint() { # mutant: prints what is wrong with it
  git apply --check "$1" 2>&1
  head -1 "$1" | grep -q "^[A-Z].*[.]$" ||
    echo "$1: the first line is no sentence of what it breaks and why that matters"
  [ "$(grep -c '^[-+][^-+]' "$1")" -le 12 ] || echo "$1: changes more than a few lines"
  grep '^+++ ' "$1" | grep -v -e '^+++ b/src/' -e '^+++ b/lua/sluice/'
  for spec in $(sed -n 's/^Spec: //p' "$1"); do
    [ -f "$spec" ] || echo "$1: there is no $spec"
  done
}

check() {
  wrong=$(for m in "$mutants"/*.patch; do lint "$m"; done)
  [ -z "$wrong" ] || { echo "$wrong"; exit 1; }
  find "$mutants" -name '*.patch' | wc -l | sed 's/$/ mutants apply/'
}

# ---- --table ----

# The last line of a mutant counts.
table() {
  cat "$@" | grep -E '^[a-z0-9-]+: (killed|survived)' | while IFS= read -r line; do
    m=$mutants/${line%%:*}.patch
    case $line in
    *": killed by tests/"*) how=2 ;;
    *": killed by "*) how=1 ;;
    *) how=3 ;;
    esac
    [ -f "$m" ] && echo "$(room_of "$m") ${line%%:*} $how"
  done | awk '{ at[$2] = $1 " " $3 } END { for (m in at) print at[m] }' | sort | awk '
    function row(name, a, b, c) {
      printf "| %s | %d | %d | %d | %d |\n", name, a + b + c, a, b, c
    }
    BEGIN {
      print "| room | mutants | killed by a unit test | by a spec | survived |"
      print "|---|---|---|---|---|"
    }
    NR > 1 && $1 != last { row("`" last "`", k[1], k[2], k[3]); split("", k) }
    { last = $1; k[$2]++; all[$2]++ }
    END {
      if (NR > 0) row("`" last "`", k[1], k[2], k[3])
      row("all", all[1], all[2], all[3])
    }'
}

# ---- the copy ----

child=
tmp=

clean() {
  trap - EXIT HUP INT TERM
  if [ -n "$child" ]; then
    kill "$child" 2>/dev/null && wait "$child" 2>/dev/null
  fi
  [ -z "$tmp" ] || rm -rf "$tmp"
}

# Waits for a command so that a signal to this script ends it: timeout has a process
# group of its own, and passes the signal on.
run() { # seconds, file for what it says, command
  limit=$1 out=$2
  shift 2
  timeout -k 5 "$limit" "$@" >"$out" 2>&1 </dev/null &
  child=$!
  wait "$child"
  code=$?
  child=
  return $code
}

copy() {
  tmp=$(mktemp -d "${TMPDIR:-/tmp}/sluice-mutants-XXXXXX") || exit 1
  trap clean EXIT
  trap 'exit 130' HUP INT TERM
  chmod 755 "$tmp" # servers of some specs run as another user
  mkdir "$tmp/tree" "$tmp/data" "$tmp/good" || exit 1
  git ls-files -coz --exclude-standard | tar --null -T - --ignore-failed-read -c 2>/dev/null |
    tar -x -C "$tmp/tree"
  export SLUICE_TMP="$tmp/data" TMPDIR="$tmp/data" SLUICE_BUILD=build
  # One cache for all copies, wherever they are.
  export CCACHE_BASEDIR="$tmp/tree" CCACHE_NOHASHDIR=1
  cd "$tmp/tree" || exit 1
  cache=
  command -v ccache >/dev/null && cache=-DCMAKE_C_COMPILER_LAUNCHER=ccache
  # Without -g, which makes linking slow; asserts stay.
  run 300 "$tmp/cmake" cmake -S . -B build -G Ninja -DSLUICE_TESTS=ON $cache \
    -DCMAKE_BUILD_TYPE=Mutant -DCMAKE_C_FLAGS_MUTANT=-O1 ||
    { cat "$tmp/cmake"; fail "CMake does not configure the copy"; }
}

build() { # targets
  run 1800 "$tmp/ninja" ninja -j "$jobs" -C build "$@"
}

units_in() { # folder of tests/unit: names of its programs
  [ -d "tests/unit/$1" ] &&
    find "tests/unit/$1" -name 'test_*.c' | sed 's|^tests/unit/\(\./\)*||; s|[/.]|_|g' | sort
}

# Those of the room, or of the next one above that has any.
units_near() { # room
  near=$1
  [ "$near" = lua ] && near=policy/load
  while [ -n "$near" ] && [ "$near" != . ]; do
    units_in "$near" | grep . && return
    near=$(dirname "$near")
  done
}

# ---- one mutant ----

title() { # what a test said: the first that failed, or how it ended
  t=$(sed -n 's/^not ok [0-9]* - //p' "$tmp/said" | head -1)
  if [ -z "$t" ]; then
    case $1 in
    124 | 137) t="no end within $seconds s" ;;
    *) t="ended with $1" ;;
    esac
  fi
  echo "$t"
}

one_test() { # unit program or spec; its exit code
  case $1 in
  tests/*) run "$seconds" "$tmp/said" busted "$1" ;;
  *) CMOCKA_MESSAGE_OUTPUT=tap run "$seconds" "$tmp/said" "build/unit/$1" ;;
  esac
}

# Builds what tests need, and runs them until one fails: killer and why. 2: it does not
# compile.
stage() { # targets, tests
  killer=
  [ -n "$2" ] || return 0
  # shellcheck disable=SC2086
  build $1 || return 2
  for t in $2; do
    one_test "$t" && continue
    why=$(title $?)
    killer=$t
    return 1
  done
}

attack() { # mutant
  room=$(room_of "$1")
  near=$(units_near "$room")
  stage "$near" "$near" || return
  named=$(sed -n 's|^Spec: tests/unit/||p' "$1" | sed 's|[/.]|_|g')
  stage "$named" "$named" || return
  named=$(sed -n 's/^Spec: //p' "$1" | grep -v '^tests/unit/')
  stage "sluice kit tests/tools/all" "$named" || return
  [ -z "$only_near" ] || return 0
  others=$(units_in . | grep -vxF "${near:-none}")
  stage "$others" "$others" || return
  # shellcheck disable=SC2086
  stage "sluice kit tests/tools/all" "$(echo $quick)"
}

# A test counts when it passes without the mutant.
is_good() { # unit program or spec
  [ -f "$tmp/good/${1##*/}" ] && return
  case $1 in
  tests/*) build sluice kit tests/tools/all ;;
  *) build "$1" ;;
  esac && one_test "$1" && touch "$tmp/good/${1##*/}"
}

mutate() { # name
  m=$mutants/$1.patch
  began=$(date +%s)
  git apply "$m" 2>"$tmp/said" || { cat "$tmp/said"; fail "$m does not apply"; }
  attack "$m"
  result=$?
  git apply -R "$m" || fail "$m does not come off again"
  took="$(($(date +%s) - began)) s"
  case $result in
  0) echo "$1: survived ($took)"; wrong=1 ;;
  1)
    if is_good "$killer"; then
      echo "$1: killed by $killer: $why ($took)"
    else
      echo "$1: not judged, $killer fails without it too: $(title $?)"
      wrong=1
    fi
    ;;
  *) tail -20 "$tmp/ninja"; echo "$1: does not compile"; wrong=1 ;;
  esac
}

# ---- what was asked for ----

jobs=1
only_near=
case ${1:-} in
--check) check; exit ;;
--table)
  shift
  [ $# -gt 0 ] || fail "--table needs the output of runs" 64
  table "$@"
  exit
  ;;
esac
while getopts j:n option; do
  case $option in
  j) jobs=$OPTARG ;;
  n) only_near=1 ;;
  *) fail "see the head of tests/mutate.sh" 64 ;;
  esac
done
shift $((OPTIND - 1))
for name in "$@"; do
  [ -f "$mutants/$name.patch" ] || fail "there is no $mutants/$name.patch" 64
done
(check) || exit 1
[ $# -gt 0 ] || set -- $(basename -s .patch "$mutants"/*.patch)
wrong=0
copy
for name in "$@"; do
  mutate "$name"
done
exit $wrong
