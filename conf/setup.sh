#!/bin/sh
# Installs the Debian packages that are missing; says nothing when none is.
#
#   sh conf/setup.sh run     to build and run the server
#   sh conf/setup.sh quick   also for sh tests/run.sh quick
#   sh conf/setup.sh test    also to run all tests, benches and fuzzers
#
# Only root can install: others are told what to install. Elsewhere than on Debian
# nothing is looked for.
set -eu

run="build-essential cmake ninja-build pkg-config libev-dev
  libluajit-5.1-dev libhttp-parser-dev libcjson-dev libzstd-dev libbrotli-dev zlib1g-dev
  libssl-dev librdkafka-dev libcurl4-openssl-dev libmaxminddb-dev libseccomp-dev
  libyaml-dev libpcre2-dev
  curl zstd"
quick="luajit lua-busted lua-check lua-posix lua-socket lua-cjson lua-yaml libcmocka-dev git
  gzip procps openssl file"
test="lua-filesystem python3 python3-venv jq clang clang-tidy-14 clang-format-14
  libclang-rt-14-dev libsimdjson-dev uap-core python3-ua-parser gnutls-bin nginx-light wrk bc kcat clickhouse-server clickhouse-client zookeeper
  default-jdk-headless golang-go maven prometheus haproxy strace xfsprogs e2fsprogs mount util-linux
  ca-certificates iproute2 debootstrap systemd lintian shellcheck
  zsh fish"

case ${1:-run} in
run) want=$run ;;
quick) want="$run $quick" ;;
test) want="$run $quick $test" ;;
*)
  echo "setup: \"$1\" is no part; expected run, quick or test" >&2
  exit 64
  ;;
esac

if ! command -v dpkg-query >/dev/null; then
  echo "setup: no Debian packages here; needed are:" $want >&2
  exit 0
fi

missing=
for package in $want; do
  dpkg-query -W -f '${Status}' "$package" 2>/dev/null |
    grep -q "install ok installed" || missing="$missing $package"
done
[ -z "$missing" ] && exit 0

if [ "$(id -u)" -ne 0 ]; then
  echo "setup: packages are missing, which only root can install:" >&2
  echo "  apt-get install --no-install-recommends$missing" >&2
  exit 1
fi
echo "installing:$missing" >&2
export DEBIAN_FRONTEND=noninteractive
# shellcheck disable=SC2086
apt-get install -y --no-install-recommends $missing >/dev/null 2>&1 || {
  apt-get update >/dev/null
  apt-get install -y --no-install-recommends $missing >/dev/null
}
