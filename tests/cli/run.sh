#!/bin/sh
# run.sh CASE.sh BUILD MAKE_MODELS DATA - run one case in a scratch folder of its own.
set -u
here=$(cd "$(dirname "$1")" && pwd)
case_file="$here/$(basename "$1")"
brim="$2/brim"
check="$2/brim-check"
data="$4"
scratch=$(mktemp -d)
trap 'chmod -R u+w "$scratch"; rm -rf "$scratch"' EXIT
"$3" "$scratch" || exit 1
cd "$scratch" || exit 1
. "$here/lib.sh"
. "$case_file"
[ "$failures" -eq 0 ] || exit 1
