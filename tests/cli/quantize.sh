# The main job on a small network: quantize, certify, check, run; the same bytes for any threads.
calib='synth:glyphs?limit=60'
expect 0 "$brim" quantize float.onnx -o q.onnx --calib "$calib" --datapath 16 --threads 1 --json
for key in layers name k n wbits abits levels rel_error sparsity need seconds peak_rss_mb; do
    stdout_has "\"$key\": "
done
expect 0 "$brim" quantize float.onnx -o q2.onnx --calib "$calib" --datapath 16 --threads 2
stdout_has '2 layers certified'
cmp -s q.onnx q2.onnx || fail "the file depends on the number of threads"
expect 0 "$brim" certify q.onnx -o cert.json
stdout_has '^proven'
expect 0 "$check" q.onnx cert.json
stderr_is_empty
expect 0 "$brim" run q.onnx --data 'synth:glyphs?limit=60&seed=9' --json
stdout_has '"persistent": 0'
expect 0 "$brim" inspect q.onnx
stdout_has '  16$'

# A tighter datapath than the declared one: said so, and refuted or proven on its own merits.
expect 0 "$brim" certify q.onnx --datapath 32 -o other.json
expect 0 "$check" q.onnx other.json
stderr_has 'note: .*datapath 32, the model declares 16'

expect 0 "$brim" quantize float.onnx -o mixed.onnx --calib "$calib" --datapath 16/8,20 --wbits 4 \
    --layer 'fc:datapath=18,wbits=8' --solver gpfq --budget axe
expect 0 "$brim" certify mixed.onnx -o mixed.json --json
stdout_has '"datapath":"16/8,20"'
stdout_has '"datapath":"18"'
expect 0 "$check" mixed.onnx mixed.json
expect 0 "$brim" quantize float.onnx -o half.onnx --calib "$calib" --layer 'conv:float'
expect 0 "$brim" certify half.onnx -o half.json
expect 0 "$check" half.onnx half.json
stderr_has 'not part of the proof'
no_temporaries

# A scale for every vector, integer or float, and pruned weights: certified, and checked again.
for bits in 4 0 10; do
    expect 0 "$brim" quantize float.onnx -o vector.onnx --calib "$calib" --wbits 4 --vector 8 --scale-bits $bits
    expect 0 "$brim" certify vector.onnx -o vector.json
    expect 0 "$check" vector.onnx vector.json
    stderr_is_empty
    expect 0 "$brim" run vector.onnx --data 'synth:glyphs?limit=20'
done
expect 0 "$brim" quantize "$here/../../examples/glyphs/glyphs.onnx" -o g.onnx --calib "$calib" --wbits 4 --vector 16
for inputs in static dynamic; do
    expect 0 "$brim" quantize "$here/../../examples/glyphs/glyphs.onnx" -o g.onnx --calib "$calib" --wbits 4 --abits 4 \
        --vector 16 --vector-inputs $inputs
    expect 0 "$brim" certify g.onnx -o g.json
    expect 0 "$check" g.onnx g.json
    expect 0 "$brim" run g.onnx --data 'synth:glyphs?limit=20'
done
# Vectors longer than any reduction are as long as it allows.
expect 0 "$brim" quantize float.onnx -o long.onnx --calib "$calib" --wbits 4 --vector 128
expect 0 "$brim" quantize "$here/../../examples/glyphs/glyphs.onnx" -o long.onnx --calib "$calib" --wbits 4 \
    --vector 128 --json
stdout_has '"vector": 8,'
expect 0 "$brim" certify long.onnx -o long.json
expect 0 "$check" long.onnx long.json

# Rounded products of scales are part of what is proven: a model that says otherwise is refused.
expect 0 "$brim" quantize "$here/../../examples/glyphs/glyphs.onnx" -o g.onnx --calib "$calib" --wbits 4 --vector 16 \
    --vector-inputs static --scale-product 5
expect 0 "$brim" certify g.onnx -o g.json
expect 0 "$check" g.onnx g.json
grep -q '"product_shift":3' g.json || fail 'no product_shift in the certificate'
sed 's/"product_shift":3/"product_shift":2/g' g.onnx >other.onnx
expect 3 "$check" other.onnx g.json
stderr_has 'codes'
expect 1 "$brim" certify other.onnx
stderr_has 'changed'
sed 's/"product_shift":3/"product_shift":0/g' g.onnx >other.onnx
expect 1 "$check" other.onnx g.json
stderr_has 'product_shift is no whole number in 1..20'
expect 1 "$brim" inspect other.onnx
stderr_has 'product_shift is no whole number in 1..20'
sed 's/"product_shift":3/"product_shift":2/g' g.json >other.json
expect 3 "$check" g.onnx other.json
stderr_has "the model's product_shift is 3, the certificate says 2"
expect 0 "$brim" quantize float.onnx -o pruned.onnx --calib "$calib" --prune 1:2 --json
stdout_has '"sparsity": 0.[5-9]'
expect 0 "$brim" quantize float.onnx -o pruned.onnx --calib "$calib" --prune 1:4 --prune-last --saliency moments
no_temporaries

# -v tells about every layer, on stderr.
expect 0 "$brim" quantize float.onnx -o said.onnx --calib "$calib" --abits auto -v
stderr_has "layer 'conv': .* activation codes: error"
stderr_has "layer 'fc': .*-bit weights, .* activation codes, error"
