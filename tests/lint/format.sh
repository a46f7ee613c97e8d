#!/bin/sh
# format: every C file is as clang-format 14 (.clang-format) leaves it. "format.sh -i"
# makes it so.
set -eu
format=$(command -v clang-format-14) ||
  { echo "format: no clang-format-14; sh conf/setup.sh test installs it"; exit 1; }
case ${1:-} in
-i) git ls-files '*.c' '*.h' '*.cc' | xargs -P 2 -n 40 "$format" -i ;;
*) git ls-files '*.c' '*.h' '*.cc' | xargs -P 2 -n 40 "$format" --dry-run -Werror ;;
esac
