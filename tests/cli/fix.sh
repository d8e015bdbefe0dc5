# An integer model made safe for a target.
expect 3 "$brim" certify qdq.onnx --target acc14
expect 0 "$brim" fix qdq.onnx -o safe.onnx --target acc14
stdout_has 'safe.onnx is safe for acc14'
stderr_is_empty
expect 0 "$brim" certify safe.onnx --target acc14
expect 0 "$brim" fix qdq.onnx -o again.onnx --target acc14 --threads 1 --json
for key in output target bits_lost bits_reduce_range seconds layers name k n registers at_risk channels_at_risk permuted \
    codes_changed scales_changed; do
    stdout_has "\"$key\": "
done
cmp -s safe.onnx again.onnx || fail 'the same model, other bytes'
expect 0 "$brim" fix safe.onnx -o same.onnx --target acc14
stdout_has '0.00 bits lost'

expect 2 "$brim" fix qdq.onnx -o x.onnx
one_error
stderr_has 'expected --output OUT.onnx and --target NAME'
expect 2 "$brim" fix qdq.onnx --target acc14
one_error
expect 2 "$brim" fix qdq.onnx -o x.onnx --target no-such
one_error
stderr_has 'x86-maddubs'
expect 1 "$brim" fix float.onnx -o x.onnx --target acc14
one_error
stderr_has 'float'
expect 1 "$brim" fix qdq.onnx -o x.onnx --target acc14 --origin qdq.onnx
one_error
stderr_has 'origin'
[ ! -e x.onnx ] || fail 'a file was written'
