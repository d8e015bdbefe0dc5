#!/bin/sh
# compilers.sh BUILD BUILD - two builds of brim (say, by gcc and by clang) must write the same bytes:
# quantized models, certificates, and what a model computes. Run by hand:
#   cmake --preset release && cmake --build --preset release
#   cmake --preset release -B build/clang -DCMAKE_C_COMPILER=clang && cmake --build build/clang
#   tests/compilers.sh build/release build/clang
set -eu
cd "$(dirname "$0")/.."
model=examples/glyphs/glyphs.onnx
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
status=0

# recipe OPTION... - quantize, certify and run with each build; compare.
recipe() {
    for build in "$one" "$two"; do
        out=$scratch/$([ "$build" = "$one" ] && echo one || echo two)
        "$build/brim" quantize $model -o "$out.onnx" --calib 'synth:glyphs?limit=256&seed=1' -q "$@" >"$out.log"
        "$build/brim" certify "$out.onnx" -o "$out.json" >"$out.log"
        "$build/brim" run "$out.onnx" --data 'synth:glyphs?limit=200&seed=3' --json |
            sed 's/"seconds": *[0-9.e+-]*//' >"$out.run"
    done
    for kind in onnx json run; do
        if ! cmp "$scratch/one.$kind" "$scratch/two.$kind"; then
            echo "differs: $kind of quantize $*"
            status=1
            return
        fi
    done
    echo "same: quantize $*"
}

one=$1
two=$2
for solver in rtn gpfq optq qronos; do
    recipe --solver $solver --budget exact --datapath 16
    recipe --solver $solver --budget axe --datapath 16/64,20
    recipe --solver $solver --budget project --datapath 18 --wbits 6
done
recipe --datapath 14 --abits 5 --wbits auto
recipe --budget none --range percentile --act symmetric
exit $status
