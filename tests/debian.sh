#!/bin/sh
# Makes a fresh, minimal Debian 12 in an empty folder, from the archive that this
# machine's own apt uses: tests/bare.sh and tests/image.sh run in it.
#
#   sh tests/debian.sh DIR
#
# As root. Exits 75 when the archive can't be reached.
set -eu
dir=$1
log=$(mktemp)
trap 'rm -f "$log"' EXIT

sources() { # address, suite, component of what apt knows of bookworm
  # shellcheck disable=SC2016
  apt-get indextargets --format '$(REPO_URI) $(RELEASE) $(COMPONENT)' \
    'Created-By: Packages' | sort -u | awk '$2 ~ /^bookworm(-updates|-security)?$/'
}

mirror=$(sources | awk '$2 == "bookworm" { print $1; exit }')
[ -n "$mirror" ] || { echo "debian: apt has no source of bookworm" >&2; exit 75; }
timeout 600 debootstrap --variant=minbase bookworm "$dir" "$mirror" >"$log" 2>&1 ||
  { tail -5 "$log" >&2; exit 75; }
sources | sed 's/^/deb /' >"$dir/etc/apt/sources.list"
# A proxy, or an archive whose date stands still.
apt-config dump | grep -E '^Acquire::(https?::|Check-)' \
  >"$dir/etc/apt/apt.conf.d/10machine" || true
cp /etc/resolv.conf "$dir/etc/"
echo "127.0.0.1 localhost" >"$dir/etc/hosts"
