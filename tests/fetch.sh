#!/bin/sh
# Fetches a package of the npm registry into a cache outside the repository and
# prints its folder; prints nothing when there is no npm, or its registry can't be
# reached.
#
#   sh tests/fetch.sh @octokit/webhooks-examples 7.6.1
#   sh tests/fetch.sh --installed cloudevents 10.0.0
#       with what it needs, none of whose scripts run: the folder has node_modules
cache=${SLUICE_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/sluice-tests}
installed=
[ "$1" = --installed ] && installed=1 && shift
dir=$cache/$(echo "$1-$2" | tr '/@' '__')${installed:+-installed}
if [ ! -e "$dir/done" ] && [ ! -d "$dir/package" ]; then
  command -v npm >/dev/null || exit 0
  mkdir -p "$dir"
  if [ -n "$installed" ]; then
    (cd "$dir" && echo '{"private":true}' >package.json && timeout 180 npm \
      install --silent --ignore-scripts --no-audit --no-fund "$1@$2" \
      >/dev/null 2>&1 && touch "$dir/done") || { rm -rf "$dir"; exit 0; }
  else
    (cd "$dir" && timeout 120 npm pack --silent "$1@$2" >/dev/null 2>&1 &&
      tar xzf ./*.tgz) || { rm -rf "$dir"; exit 0; }
  fi
fi
[ -n "$installed" ] && echo "$dir" || echo "$dir/package"
