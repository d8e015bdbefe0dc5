# The same bytes, counts and accuracies on every level of the CPU, for one thread and for two.
glyphs="$here/../../examples/glyphs/glyphs.onnx"
calib='synth:glyphs?limit=60'
rows='synth:glyphs?limit=70&seed=9'
expect 2 "$brim" run float.onnx --data "$rows" --cpu none-of-these
levels=$(sed -n "s/.*is none of \([a-z0-9|]*\).*/\1/p" err | tr '|' ' ')
[ "$(echo "$levels" | wc -w)" -ge 3 ] || fail "no levels in: $(cat err)"

# same NAME OPTION... - brim run with the options, on every level; outputs and counts as on the first.
same() {
    name=$1
    shift
    first=""
    for level in $levels; do
        for threads in 1 2; do
            last="brim run $* --cpu $level --threads $threads"
            if ! "$brim" run "$@" --data "$rows" --json -o "$level.npy" --cpu "$level" --threads $threads >"$level.out" 2>err; then
                grep -q -e 'this machine' err || fail "exit code is not 0: $(cat err)"
                continue
            fi
            sed 's/"seconds": *[0-9.e+-]*//g' "$level.out" >"$level.json"
            first=${first:-$level}
            [ "$level.$threads" = "$first.1" ] && { mv "$level.npy" "$name.npy" && mv "$level.json" "$name.json"; continue; }
            cmp -s "$level.npy" "$name.npy" || fail "$name: other outputs than on $first"
            cmp -s "$level.json" "$name.json" || fail "$name: other counts than on $first"
        done
    done
    [ "$first" = scalar ] || fail "$name: scalar did not run"
}

expect 0 "$brim" quantize "$glyphs" -o proven.onnx --calib "$calib" --datapath 16
expect 0 "$brim" quantize "$glyphs" -o tiled.onnx --calib "$calib" --datapath 16/64,24 --solver rtn --budget project
expect 0 "$brim" quantize "$glyphs" -o wide.onnx --calib "$calib" --datapath 32 --solver rtn --budget none
expect 0 "$brim" quantize "$glyphs" -o narrow.onnx --calib "$calib" --datapath 16 --wbits 2 --abits 4
same proven proven.onnx
same proven-uncounted proven.onnx --no-count
same tiled tiled.onnx --no-count
same wide wide.onnx --no-count
same narrow narrow.onnx --no-count
same saturating wide.onnx --datapath 13s
same pairs wide.onnx --datapath 16/2s,18s
same wrapping wide.onnx --datapath 12
same sorted wide.onnx --datapath 14q
same float "$glyphs"
cmp -s proven.npy wide.npy && fail "the networks do not differ"
cmp -s proven.npy proven-uncounted.npy || fail "counting changes outputs"

# Quantizing does not depend on the level either.
for level in $levels; do
    last="brim quantize --cpu $level"
    "$brim" quantize "$glyphs" -o again.onnx --calib "$calib" --datapath 16 --cpu "$level" >out 2>err || {
        grep -q -e 'this machine' err || fail "exit code is not 0"
        continue
    }
    cmp -s again.onnx proven.onnx || fail "another network than on all levels"
done
