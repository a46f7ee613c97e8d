#!/bin/sh
# Fetches simdjson and yyjson (the sources in PyPI's fastsimdjson and yyjson) into a
# cache outside the repository, builds bench/parsers.cc with them, and measures:
#
#   sh bench/parsers.sh FILE...
#
# Says why where they can't be had.
set -u
cd "$(dirname "$0")"
fast=fastsimdjson-0.8.0 yy=yyjson-4.0.6
cache=${SLUICE_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/sluice-tests}
dir=$cache/parsers

get() { # name==version, folder
  [ -d "$dir/$2" ] || (python3 -m pip download -q --no-deps --no-binary :all: \
    -d "$dir" "$1" && tar xzf "$dir/$2.tar.gz" -C "$dir") >/dev/null 2>&1
}

mkdir -p "$dir"
get fastsimdjson==0.8.0 $fast && get yyjson==4.0.6 $yy || {
  echo "simdjson and yyjson: skipped, PyPI can't be reached"
  exit 0
}
sj=$dir/$fast/vendor yj=$dir/$yy/yyjson
[ -f "$dir/simdjson.o" ] ||
  g++ -O3 -march=native -std=c++20 -c "$sj/simdjson.cpp" -o "$dir/simdjson.o" || exit 1
[ -f "$dir/yyjson.o" ] ||
  gcc -O3 -march=native -c "$yj/yyjson.c" -o "$dir/yyjson.o" || exit 1
g++ -O3 -march=native -std=c++20 "-I$sj" "-I$yj" parsers.cc "$dir/simdjson.o" \
  "$dir/yyjson.o" -o "$dir/parsers" || exit 1
"$dir/parsers" "$@"
