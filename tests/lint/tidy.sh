#!/bin/sh
# tidy BUILD: clang-tidy's bugprone and cert checks (.clang-tidy) over src, bench and the
# tests' tools, with the commands of a build folder.
set -eu
tidy=$(command -v clang-tidy-14 || command -v clang-tidy) ||
  { echo "tidy: no clang-tidy; sh conf/setup.sh test installs it"; exit 1; }
git ls-files 'src/*.c' 'bench/*.c' 'tests/tools/*.c' |
  xargs -P 2 -n 12 "$tidy" -p "$1" --quiet --extra-arg=-Wno-unknown-warning-option \
    --extra-arg=-Wno-error 2>/dev/null || { echo "tidy: see above"; exit 1; }
