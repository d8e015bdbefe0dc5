# Predictions and counts; the outputs do not depend on threads, batch or counting.
expect 0 "$brim" run float.onnx --data 'synth:glyphs?limit=40'
stdout_has '^samples  40 '
stdout_has '^top-1 '
expect 0 "$brim" run float.onnx --data 'synth:glyphs?limit=40' --json -o a.npy --threads 1
for key in samples top1 top5 seconds layers; do
    stdout_has "\"$key\": "
done
expect 0 "$brim" run float.onnx --data 'synth:glyphs?limit=40' -o b.npy --threads 2 --batch 3 --no-count
cmp -s a.npy b.npy || fail "outputs differ between 1 and 2 threads"
[ "$(wc -c <a.npy)" -eq $((128 + 40 * 10 * 4)) ] || fail "a.npy has $(wc -c <a.npy) bytes"
expect 0 "$brim" data npy:a.npy
stdout_has '^shape    10$'
expect 1 "$brim" run float.onnx --data npy:small.npy -o c.npy
one_error
no_file c.npy
expect 1 "$brim" run float.onnx --data npy:nan.npy -o c.npy
one_error
no_file c.npy
no_temporaries
