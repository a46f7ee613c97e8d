#!/bin/sh
# Fetches the engine of a current ClickHouse (PyPI's chdb-core) into a cache outside the
# repository and prints the Python that has it; prints nothing when the registry can't
# be reached.
version=26.9.0
cache=${SLUICE_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/sluice-tests}
dir=$cache/chdb-$version
if [ ! -f "$dir/done" ]; then
  rm -rf "$dir"
  mkdir -p "$cache"
  (python3 -m venv "$dir" && timeout 300 "$dir/bin/pip" install -q --no-deps \
    "chdb-core==$version" zstandard && "$dir/bin/python" -c "import chdb.session" &&
    touch "$dir/done") >/dev/null 2>&1 || { rm -rf "$dir"; exit 0; }
fi
echo "$dir/bin/python"
