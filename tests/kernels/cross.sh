#!/bin/sh
# cross.sh PRESET BUILD - build the kernels and their tests for another processor and run them there, or say (77) which
# tool is missing. PRESET: aarch64 (under qemu), wasm, wasm-relaxed (in node).
set -eu
cd "$(dirname "$0")/../.."
preset=$1
build=$2

skip() {
    echo "skipped: the kernels on $preset need $1 (make setup)"
    exit 77
}
need() {
    for tool in "$@"; do
        command -v "$tool" >/dev/null || skip "$tool"
    done
}
case $preset in
aarch64)
    need aarch64-linux-gnu-gcc qemu-aarch64
    [ -d /usr/aarch64-linux-gnu/include ] || skip libc6-dev-arm64-cross
    ;;
wasm)
    need emcc node
    node --no-warnings cmake/toolchains/run_wasm.mjs || skip "a node with WASI"
    ;;
wasm-relaxed)
    need clang-16 wasm-ld-16 emar node
    node --no-warnings --experimental-wasm-relaxed-simd cmake/toolchains/run_wasm.mjs ||
        skip "a node with relaxed SIMD"
    ;;
esac
mkdir -p "$build"
{ cmake --fresh --preset "$preset" -B "$build" && cmake --build "$build"; } >"$build/build.log" 2>&1 || {
    cat "$build/build.log"
    exit 1
}
exec ctest --test-dir "$build" --output-on-failure
