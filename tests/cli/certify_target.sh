# Named targets: the table, refuted and proven, JSON, a file of one's own, data, what cannot be judged.
expect 0 "$brim" certify qdq.onnx --target x86-maddubs
stdout_has '^target   x86-maddubs, 16/2s,32$'
stdout_has '^conv    *4  *4  *8  *0  *0  *16,17  *-32640  proven$'
stdout_has '^at risk  0 of 14 registers (0.00 %), 0 of 7 channels (0 %)$'
stdout_has '^proven: no input can overflow any register$'
stderr_is_empty

# In any order 127 may meet 2.
expect 3 "$brim" certify qdq.onnx --target x86-maddubs-any
one_error
stderr_has "layer 'conv', channel 2, stage 1: a sum reaches 32895, which needs 17 bits, the register of target 'x86-maddubs-any' has 16"
stdout_has '^refuted$'
expect 3 "$brim" certify qdq.onnx --target x86-maddubs-any --json
for key in target datapath order verdict layers name k n groups variable wide fits x_min x_max w_min w_max registers \
    at_risk channels_at_risk need worst channel stage value outside_bits witness meet x; do
    stdout_has "\"$key\":"
done

expect 0 "$brim" certify qdq.onnx --target acc32
stdout_has '^proven: no input can overflow any register$'
stderr_is_empty
expect 0 "$brim" certify qdq.onnx --target acc20
expect 3 "$brim" certify qdq.onnx --target acc12
expect 0 "$brim" certify integer.onnx --target x86-maddubs

# Which products meet is the target's affair.
cat >mine.json <<'T'
{"brim_targets": 1, "targets": [{"name": "mine", "what": "neighbours 3 apart", "datapath": "16/2s,32", "order": "exact",
  "input": {"min": 0, "max": 255}, "weight": {"min": -128, "max": 127}, "convolution": {"lanes": 3}, "depthwise": "wide",
  "matrix": {}, "source": {"project": "test", "file": "mine.c"}}]}
T
expect 3 "$brim" certify qdq.onnx --target mine --targets mine.json
stderr_has "channel 2, stage 1: a sum reaches 32895"
sed 's/"lanes"/"lines"/' mine.json >bad.json
expect 1 "$brim" certify qdq.onnx --target mine --targets bad.json
one_error
stderr_has "bad.json: target 'mine': field 'convolution.lines': is not known"
expect 1 "$brim" certify qdq.onnx --target mine --targets nowhere.json
stderr_has 'nowhere.json'
expect 2 "$brim" certify qdq.onnx --target mine
stderr_has "target 'mine' is not known, expected one of x86-maddubs, x86-maddubs-any, "
expect 2 "$brim" certify qdq.onnx --target acc16 --datapath 16
stderr_has '\-\-datapath does not go with --target'
expect 2 "$brim" certify qdq.onnx --data synth:glyphs
stderr_has '\-\-data goes with --target'

# Real inputs.
expect 0 "$brim" quantize float.onnx -o q.onnx --calib 'synth:glyphs?limit=16' --wbits 8 --abits 8 --datapath 32
expect 3 "$brim" certify q.onnx --target acc12 --data 'synth:glyphs?limit=40'
stdout_has '^data     40 samples: [1-9][0-9]* of '
stdout_has '^top-1    '
expect 3 "$brim" certify q.onnx --target acc12 --data 'synth:glyphs?limit=40' --json
for key in data samples changed top1 top1_exact outputs overflowed; do
    stdout_has "\"$key\":"
done
expect 0 "$brim" certify q.onnx --target acc32 --data 'synth:glyphs?limit=40'
stdout_has '^data     40 samples: 0 of [0-9]* sums overflowed (0.0000 %), 0 predictions changed (0.00 %)$'
expect 1 "$brim" certify q.onnx --target acc12 --data npy:nowhere.npy
one_error
expect 2 "$brim" certify q.onnx --target acc12 --data nowhere

expect 0 "$brim" run q.onnx --target acc12 --data 'synth:glyphs?limit=40'
stdout_has '^conv  *25  *4  *12  *[1-9][0-9]*  '
expect 2 "$brim" run q.onnx --target acc12 --datapath 12 --data 'synth:glyphs?limit=40'
stderr_has '\-\-datapath does not go with --target'
expect 2 "$brim" run q.onnx --targets mine.json --data 'synth:glyphs?limit=40'
expect 1 "$brim" run q.onnx --target wasm-relaxed --data 'synth:glyphs?limit=40'
stderr_has "do not fit the operands of target 'wasm-relaxed'"

# What is no integer model, and products of two computed tensors.
expect 1 "$brim" certify float.onnx --target x86-maddubs
stderr_has 'the model is float, expected integer dot layers: quantize it first (brim quantize)'
expect 3 "$brim" certify product.onnx --target x86-maddubs
stderr_has "layer 'scores', channel 1, stage 1: a sum reaches -65280"
stdout_has '^scores  6  -'
expect 1 "$brim" certify dynamic.onnx --target x86-maddubs
one_error
stderr_has "node 'scores' (MatMulInteger): dimension 1 of 'a' is not known, so neither is the length of its sums"

# Dynamic quantization: kernels that multiply codes as they are can be asked, the others cannot.
cp "$here/../fuzz/corpus/onnx/dynamic.onnx" zeros.onnx
expect 0 "$brim" certify zeros.onnx --target x86-maddubs
stdout_has '^fc  *32  *2  *32  *0 '
expect 0 "$brim" certify zeros.onnx --target acc32
expect 1 "$brim" certify zeros.onnx --target cmsis-smlad
one_error
stderr_has "': finds its zero point at run time"
