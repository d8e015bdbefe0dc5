# Proven, refuted, and what brim-check thinks of certificates that were changed.
expect 0 "$brim" certify qdq.onnx --datapath 20 -o cert.json
stdout_has '^proven'
expect 0 "$check" qdq.onnx cert.json
stdout_has '^proven: the certificate is true of the model'
stderr_is_empty
expect 0 "$check" -q qdq.onnx cert.json
stdout_is_empty

expect 0 "$brim" certify qdq.onnx --datapath 20 --json
for key in brim_certificate verdict layers name k n groups x_min x_max x_zero datapath need worst channel \
    sum_min sum_max outside_bits codes; do
    stdout_has "\"$key\":"
done
cmp -s out cert.json || fail "--json and -o differ"

expect 3 "$brim" certify qdq.onnx --datapath 12 -o refuted.json
one_error
stderr_has "layer 'conv', channel 0, stage 1: a sum reaches 3060, which needs 13 bits, the register has 12"
stdout_has '^refuted$'
expect 3 "$check" qdq.onnx refuted.json
one_error
stderr_has 'refuted, as the certificate says'

tamper() {
    sed "$1" cert.json >bad.json
    ! cmp -s cert.json bad.json || fail "'$1' changes nothing"
    expect 3 "$check" qdq.onnx bad.json
    stdout_is_empty
    one_error
    stderr_has "$2"
}
tamper 's/"x_max":15/"x_max":14/' "layer 'fc': the model's x_max is 15, the certificate says 14"
tamper 's/"need":\[17\]/"need":[16]/' "layer 'conv': stage 1 needs 17 bits, the certificate says 16"
tamper 's/"datapath":"20"/"datapath":"16"/' "layer 'conv': the model's verdict is 'refuted'"
tamper 's/"codes":"./"codes":"x/' "layer 'conv': the model's codes is"
tamper 's/"groups":2/"groups":1/' "layer 'conv': the model's groups is 2"
tamper 's/"verdict":"proven","layers"/"verdict":"refuted","layers"/' "the model's verdict is 'proven'"
tamper 's/"name":"fc"/"name":"fd"/' "layer 'fc': the certificate has 'fd' in its place"

# One weight of the model: the last byte of conv's weights is the 9 before fc's.
sed 's/"brim_certificate":1/"brim_certificate":2/' cert.json >bad.json
expect 1 "$check" qdq.onnx bad.json
stderr_has 'not a brim certificate of format 1'
expect 1 "$check" qdq.onnx qdq.onnx
stderr_has 'the certificate is not JSON'
expect 1 "$check" truncated.onnx cert.json
stderr_has 'not an ONNX model'
expect 1 "$check" nowhere.onnx cert.json
stderr_has 'nowhere.onnx: No such file'
expect 3 "$check" float.onnx cert.json
stderr_has 'the model has no such integer layer'

expect 1 "$brim" certify qdq.onnx
stderr_has "layer 'conv': the model declares no datapath"
expect 1 "$brim" certify float.onnx --datapath 16
stderr_has 'no integer dot layer'
