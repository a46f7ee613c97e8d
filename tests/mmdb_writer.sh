#!/bin/sh
# Fetches a writer and a reader of MaxMind databases (PyPI's mmdb_writer and maxminddb)
# into a cache outside the repository and prints the Python that has them; prints nothing
# when the registry can't be reached.
writer=0.2.7 reader=3.2.0
cache=${SLUICE_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/sluice-tests}
dir=$cache/mmdb-$writer-$reader
if [ ! -f "$dir/done" ]; then
  rm -rf "$dir"
  mkdir -p "$cache"
  (python3 -m venv "$dir" && timeout 120 "$dir/bin/pip" install -q --no-deps \
    "mmdb_writer==$writer" "maxminddb==$reader" netaddr==1.3.0 &&
    touch "$dir/done") >/dev/null 2>&1 || { rm -rf "$dir"; exit 0; }
fi
echo "$dir/bin/python"
