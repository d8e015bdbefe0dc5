# Each bad input: one clear sentence, the right exit code, no partial file.
calib='synth:glyphs?limit=40'
bad() {
    want=$1
    pattern=$2
    shift 2
    expect "$want" "$brim" "$@"
    stdout_is_empty
    one_error
    stderr_has "$pattern"
    no_file out.onnx
    no_temporaries
}
for model in truncated empty junk cycle missing bad_shape unknown nowhere; do
    bad 1 "$model.onnx" inspect $model.onnx
    bad 1 "$model.onnx" quantize $model.onnx -o out.onnx --calib "$calib"
done
bad 1 'cycle' inspect cycle.onnx
bad 1 'nowhere' inspect missing.onnx
bad 1 "'fc' (Gemm)" inspect bad_shape.onnx
bad 1 'Convolve' inspect unknown.onnx
bad 1 'folder' inspect .
bad 1 'conv' quantize nan.onnx -o out.onnx --calib "$calib"
bad 1 '.' quantize float.onnx -o out.onnx --calib npy:small.npy
bad 1 'sample 2' quantize float.onnx -o out.onnx --calib npy:nan.npy
bad 1 'nowhere.npy' quantize float.onnx -o out.onnx --calib npy:nowhere.npy
bad 2 'datapath' quantize float.onnx -o out.onnx --calib "$calib" --datapath 16//32
bad 3 "layer 'conv'" quantize float.onnx -o out.onnx --calib "$calib" --datapath 3
bad 1 '/nowhere/out.onnx: cannot write' quantize float.onnx -o /nowhere/out.onnx --calib "$calib"
mkdir folder
bad 1 'folder: cannot write (is a folder)' quantize float.onnx -o folder --calib "$calib"
bad 1 'no stage of the datapath but the last has tiles of 16 products, the vectors' quantize "$here/../../examples/glyphs/glyphs.onnx" \
    -o out.onnx --calib "$calib" --vector 16 --datapath 12/8,24
bad 1 'already' quantize qdq.onnx -o out.onnx --calib "$calib"
expect 1 sh -c "'$brim' help >/dev/full"
stderr_has 'standard output'
