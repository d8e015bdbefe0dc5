# Every verb: --json is one JSON document on stdout, -q leaves stderr empty.
if command -v python3 >/dev/null; then
    one_json() { python3 -c 'import json, sys; json.load(sys.stdin)' <out 2>/dev/null || fail "not one JSON document"; }
else
    one_json() { stdout_has '^[{]'; }
fi
calib='synth:glyphs?limit=40'
quiet_json() {
    expect 0 "$brim" "$@" --json -q
    one_json
    stderr_is_empty
}
quiet_json inspect float.onnx
quiet_json quantize float.onnx -o q.onnx --calib "$calib"
quiet_json certify q.onnx
quiet_json run q.onnx --data "$calib"
quiet_json data "$calib"
quiet_json bench solver --k 16 --n 8 --repeat 1
for key in k n datapath repeat moments rows gflops solvers solver budget seconds rel_error sparsity; do
    stdout_has "\"$key\": "
done
quiet_json version
quiet_json help
expect 0 "$brim" bench solver --k 16 --n 8 --repeat 1
stdout_has '^K=16 N=8, 4-bit weights'
stdout_has '^qronos *axe '

# Unlabelled data, and a model without integer layers.
expect 0 "$brim" data npy:good.npy
stdout_has '^labels   none$'
stdout_has '^range    0 .. 255,'
expect 1 "$brim" data npy:good.npy -o folder/
one_error
stderr_has 'folder/: cannot write (not a file name)'
expect 0 "$brim" run float.onnx --data npy:good.npy --json
stdout_has '"top1": null'
# A note is for people: -q leaves it out.
expect 0 "$brim" certify qdq.onnx --datapath 20 -q -o cert.json
expect 0 "$check" --quiet qdq.onnx cert.json
stdout_is_empty
stderr_is_empty
no_temporaries
