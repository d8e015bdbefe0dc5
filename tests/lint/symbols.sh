#!/bin/sh
# symbols.sh BUILD - every global symbol of libbrim.a begins with brim_ (generated ONNX readers: onnx__).
set -u
lib="$1/libbrim.a"
[ -f "$lib" ] || { echo "symbols: no $lib"; exit 1; }
bad=$(nm -g --defined-only "$lib" | awk 'NF == 3 && $3 !~ /^(brim_|onnx__|[.])/ { print $3 }' | sort -u)
if [ -n "$bad" ]; then
    echo "symbols outside brim_:"
    echo "$bad"
    exit 1
fi
echo "symbols: clean"
