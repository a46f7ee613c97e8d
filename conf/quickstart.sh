#!/bin/sh
# Installs what is missing, builds, and runs the server with quickstart.lua.
set -eu
cd "$(dirname "$0")/.."
sh conf/setup.sh run
[ -f build/build.ninja ] || cmake -S . -B build -G Ninja >/dev/null
ninja -C build sluice kit
exec build/sluice run conf/quickstart.lua "$@"
