#!/bin/sh
# Shows that `sluice ledger` names one lost and one doubled event among many, and what it
# and `sluice find` take:
#
#   sh bench/ledger.sh [events [table | kafka]]     default: 100000000 table
#
# Writes numbered events of 100 bytes into a stream with an index, by the million, so that
# the spool never has more than a few millions. The destination is a ClickHouse table
# (Debian's server) of ids and times, or a topic of a real Kafka broker (tests/kafka.sh).
# There it takes one event out and doubles another. Each step says its seconds and the most
# memory of its process; a find that takes more than 100 ms, in the median, fails, as does
# a ledger that names another event, or none. All files are in one folder, which goes at the
# end. 10^8 events take about 10 GB as a table and 30 GB as topics.
set -eu
cd "$(dirname "$0")/.."
[ -x build/tools/load ] || cmake -S . -B build -G Ninja -DSLUICE_TESTS=ON >/dev/null
ninja -C build >/dev/null
exec luajit bench/found.lua "$@"
