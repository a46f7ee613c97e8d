#!/bin/sh
# Fetches a package of the npm registry into a cache outside the repository and
# prints its folder; prints nothing when the registry can't be reached.
#
#   sh tests/fetch.sh @octokit/webhooks-examples 7.6.1
cache=${SLUICE_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/sluice-tests}
dir=$cache/$(echo "$1-$2" | tr '/@' '__')
if [ ! -d "$dir/package" ]; then
  command -v npm >/dev/null || apt-get install -y --no-install-recommends npm \
    >/dev/null 2>&1
  command -v npm >/dev/null || exit 0
  mkdir -p "$dir"
  (cd "$dir" && timeout 120 npm pack --silent "$1@$2" >/dev/null 2>&1 &&
    tar xzf ./*.tgz) || { rm -rf "$dir"; exit 0; }
fi
echo "$dir/package"
