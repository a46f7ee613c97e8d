#!/bin/sh
# send_again: sends once more what was refused with a code, after its cause is mended. It
# prints how many requests got which status. What is refused again is kept again.
#
#   zstdcat data/refused/*.zst | SLUICE_KEY=KEY sh send_again.sh CODE [SINCE [URL]]
#
# CODE: the code of the refusals. SINCE: milliseconds since 1970, default 0. KEY: a key of the
# app, for the routes that need one. Records that were cut, or are not UTF-8, are left out.
set -eu
code=$1 since=${2:-0} url=${3:-http://localhost:8080}

jq -c --arg code "$code" --argjson since "$since" \
  'select(.refused.code == $code and .time >= $since and .raw and (.cut | not))' |
while read -r record; do
  part() { printf %s "$record" | jq -j "$1"; }
  case $(part .route) in
  GET*) curl -sg -o /dev/null -w '%{http_code}\n' "$url$(part .path)?$(part .raw)" ;;
  # An event of a batch becomes a batch of one. The body is read from a pipe, as it is.
  *) part 'if .index then "[" + .raw + "]" else .raw end' |
    curl -sg -o /dev/null -w '%{http_code}\n' --data-binary @- \
      -H "Content-Type: $(part 'if .index then "application/json" else .type end')" \
      -H "X-API-Key: ${SLUICE_KEY:-}" \
      "$url$(part '.path + if .query then "?" + .query else "" end')" ;;
  esac
done | sort | uniq -c
