#!/bin/sh
# run.sh - every lint; the exit code says whether all are clean.
set -u
cd "$(dirname "$0")/../.."
status=0
python3 tests/lint/layers.py || status=1
python3 tests/lint/sizes.py || status=1
python3 tests/lint/banned.py || status=1
tests/lint/symbols.sh build/release || status=1
for lint in spills isa; do
    python3 tests/lint/$lint.py --self-test || status=1
    for archive in build/release/libbrim.a build/release/ports/aarch64/libbrim.a; do
        [ ! -f $archive ] || python3 tests/lint/$lint.py $archive || status=1
    done
done
if git ls-files '*.c' '*.h' | xargs clang-format --dry-run -Werror 2>build/format.log; then
    echo "format: clean"
else
    head -20 build/format.log
    status=1
fi
{ cmake --preset tidy && cmake --build build/tidy --target generated/onnx/onnx.pb-c.c; } >build/tidy.log 2>&1 || {
    cat build/tidy.log
    exit 1
}
if git ls-files 'src/*.c' 'cli/*.c' 'check/*.c' |
    grep -vE '^src/(base/serial|kernels/(arm|wasm)/.*)[.]c' | xargs -n 8 -P "$(nproc)" clang-tidy -quiet -p build/tidy >build/tidy.log 2>/dev/null; then
    echo "tidy: clean"
else
    grep -E 'warning:|error:' build/tidy.log | sort -u | head -40
    status=1
fi
exit $status
