#!/bin/sh
# Fetches a package of the npm registry, or of PyPI, into a cache outside the repository
# and prints where it is; prints nothing when there is no npm, or its registry can't be
# reached.
#
#   sh tests/fetch.sh @octokit/webhooks-examples 7.6.1
#       the package's folder
#   sh tests/fetch.sh --installed cloudevents 10.0.0
#       with what it needs, none of whose scripts run: the folder has node_modules
#   sh tests/fetch.sh --python elasticsearch 9.5.1
#       of PyPI, with what it needs: the Python that has it
cache=${SLUICE_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/sluice-tests}
if [ "$1" = --python ]; then
  dir=$cache/python-$2-$3
  if [ ! -f "$dir/done" ]; then
    rm -rf "$dir"
    mkdir -p "$cache"
    (python3 -m venv "$dir" && timeout 180 "$dir/bin/pip" install -q \
      --only-binary :all: "$2==$3" && touch "$dir/done") >/dev/null 2>&1 ||
      { rm -rf "$dir"; exit 0; }
  fi
  echo "$dir/bin/python"
  exit 0
fi
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
