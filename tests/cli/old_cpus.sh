# Processors of the past, emulated: the same bytes, and no instruction that they lack.
command -v qemu-x86_64 >/dev/null || {
    echo "skipped: emulated processors need qemu-x86_64 (make setup)"
    exit 77
}
rows='synth:glyphs?limit=12&seed=9'
expect 0 "$brim" quantize "$here/../../examples/glyphs/glyphs.onnx" -o q.onnx --calib 'synth:glyphs?limit=60' --datapath 16
expect 0 "$brim" run q.onnx --data "$rows" -o here.npy
expect 0 "$brim" run q.onnx --data "$rows" -o here-saturating.npy --datapath 12s
cmp -s here.npy here-saturating.npy && fail "12 bits never saturate"
for cpu in Haswell-noTSX Nehalem Penryn; do
    expect 0 qemu-x86_64 -cpu "$cpu" "$brim" run q.onnx --data "$rows" -o there.npy --no-count
    cmp -s here.npy there.npy || fail "other outputs on $cpu"
    expect 0 qemu-x86_64 -cpu "$cpu" "$brim" run q.onnx --data "$rows" -o there.npy --datapath 12s
    cmp -s here-saturating.npy there.npy || fail "other outputs on $cpu, saturating"
done
