# Another tool's model as an ONNX file that the checker reads too.
cp "$(dirname "$0")/../fuzz/corpus/tflite/small.tflite" small.tflite
expect 0 "$brim" inspect small.tflite
stdout_has '^first *Conv *18 *3 '
stdout_has '^second *Gemm *12 *2 '
expect 0 "$brim" import small.tflite -o small.onnx
stdout_is_empty
expect 0 "$brim" certify small.tflite --datapath 24 -o small.json
expect 0 "$check" small.onnx small.json
stdout_has '^proven: the certificate is true of the model'
expect 0 "$brim" import small.tflite -o again.onnx --json
stdout_has '"output": "again.onnx"'
cmp -s small.onnx again.onnx || fail 'the same model, other bytes'

expect 2 "$brim" import small.tflite
one_error
stderr_has 'expected --output OUT.onnx'
head -c 1000 small.tflite >cut.tflite
expect 1 "$brim" import cut.tflite -o cut.onnx
one_error
stderr_has 'cut.tflite: '
[ ! -e cut.onnx ] || fail 'a file was written'
cp small.tflite small2.onnx
expect 1 "$brim" inspect small2.onnx
one_error
