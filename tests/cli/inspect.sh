# What is in a model, as text and as JSON.
expect 0 "$brim" inspect float.onnx
stdout_has '2 dot layers'
stdout_has '^conv *Conv *25 *4 *1 *57600 '
stdout_has '^fc *Gemm *4 *10 '
expect 0 "$brim" inspect qdq.onnx --json
for key in nodes parameters layers name op_type k n groups macs codes type_width need w_bits x_min x_max; do
    stdout_has "\"$key\": "
done
stdout_has '"need": 17'

# Vectors with scales of their own: bits of a weight with its share, the registers of and behind them.
glyphs="$here/../../examples/glyphs/glyphs.onnx"
expect 0 "$brim" quantize "$glyphs" -o v.onnx --calib 'synth:glyphs?limit=40' --wbits 4 --vector 16 --scale-bits 6
expect 0 "$brim" inspect v.onnx
stdout_has '^conv1 *Conv *9 *8 *1 *56448 *4 *- '
stdout_has '^conv2 *Conv *72 *16 *1 *225792 *4.75 *8 '
stdout_has '^fc1 *Gemm *288 *10 *1 *2880 *4.375 *16 *0..255 *17 *1[0-9],2[0-9] '
expect 0 "$brim" inspect v.onnx --json
for key in weight_bits vector scale_bits x_scale_bits product_shift need_outer; do
    stdout_has "\"$key\": "
done
expect 0 "$brim" quantize "$glyphs" -o v.onnx --calib 'synth:glyphs?limit=40' --wbits 4 --vector 16 --scale-bits 0
expect 0 "$brim" inspect v.onnx
stdout_has '^fc1 *Gemm *288 *10 *1 *2880 *6 *16 *0..255 *17 *1[0-9],float '
