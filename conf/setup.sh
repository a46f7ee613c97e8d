#!/bin/sh
# Installs the Debian packages that are missing; says nothing when none is.
#
#   sh conf/setup.sh run     to build and run the server
#   sh conf/setup.sh test    also to run the tests, benches and fuzzers
set -eu

run="build-essential cmake ninja-build pkg-config libev-dev
  libluajit-5.1-dev libhttp-parser-dev libcjson-dev libzstd-dev zlib1g-dev
  libssl-dev librdkafka-dev libcurl4-openssl-dev curl"
test="luajit lua-busted lua-check lua-cjson lua-posix lua-socket
  lua-filesystem python3 python3-venv openssl libcmocka-dev libsimdjson-dev clang libclang-rt-14-dev
  wrk bc kcat clickhouse-server clickhouse-client
  zookeeper default-jre-headless maven prometheus zstd gzip strace xfsprogs e2fsprogs mount util-linux procps
  git ca-certificates iproute2 debootstrap"

want=$run
[ "${1:-run}" = test ] && want="$run $test"

missing=
for package in $want; do
  dpkg-query -W -f '${Status}' "$package" 2>/dev/null |
    grep -q "install ok installed" || missing="$missing $package"
done
[ -z "$missing" ] && exit 0

echo "installing:$missing" >&2
if [ "$(id -u)" -ne 0 ]; then
  echo "setup: run as root, or install these packages by hand" >&2
  exit 1
fi
export DEBIAN_FRONTEND=noninteractive
# shellcheck disable=SC2086
apt-get install -y --no-install-recommends $missing >/dev/null 2>&1 || {
  apt-get update >/dev/null
  apt-get install -y --no-install-recommends $missing >/dev/null
}
