#!/bin/sh
# names LIBRARY.a: each global name is defined once. A static library hides a second
# definition: the linker takes the first that it meets, for all callers.
set -eu
names=$(nm -g --defined-only "$1" | awk 'NF == 3 && $2 ~ /[TDBR]/ { print $3 }')
[ "$(printf '%s\n' "$names" | wc -l)" -gt 500 ] || { echo "$1: too few names"; exit 1; }
twice=$(printf '%s\n' "$names" | sort | uniq -d)
[ -z "$twice" ] || {
  printf '%s\n' "$twice" | while read -r name; do
    echo "$name is defined twice: $(nm -A -g --defined-only "$1" |
      awk -v n="$name" '$NF == n { print $1 }' | cut -d: -f2 | tr '\n' ' ')"
  done
  exit 1
}
