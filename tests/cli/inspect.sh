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
