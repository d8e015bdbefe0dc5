#!/bin/sh
# install.sh SOURCE BUILD - install into a scratch prefix, then build and run a stranger's program against
# it twice: through find_package(brim) and through pkg-config.
set -eu
source=$1
build=$2
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

cmake --install "$build" --prefix "$scratch/prefix" >/dev/null
cmake -S "$source/tests/api/consumer" -B "$scratch/build" -DCMAKE_PREFIX_PATH="$scratch/prefix" >/dev/null
cmake --build "$scratch/build" >/dev/null
"$scratch/build/consumer"

PKG_CONFIG_PATH=$(dirname "$(find "$scratch/prefix" -name brim.pc)")
export PKG_CONFIG_PATH
# shellcheck disable=SC2046
cc -o "$scratch/consumer" "$source/tests/api/consumer/consumer.c" $(pkg-config --cflags --libs --static brim)
"$scratch/consumer"
"$scratch/prefix/bin/brim" version
"$scratch/prefix/bin/brim" inspect "$scratch/prefix/share/brim/glyphs.onnx" >/dev/null
