# Binary networks of Brevitas: the accuracy of the files, and the least widths that are safe.
if [ ! -f "$data/models-mnist/TFC_1W1A.onnx" ]; then
    echo "skipped: $data/models-mnist/TFC_1W1A.onnx is not here"
    exit 77
fi
digits="idx:$data/mnist/t10k-images-idx3-ubyte.gz:$data/mnist/t10k-labels-idx1-ubyte.gz?scale=0.00392156862745098"
for network in TFC_1W1A:92.96 TFC_1W2A:94.74; do
    model="$data/models-mnist/${network%:*}.onnx"
    expect 0 "$brim" inspect "$model"
    stdout_has '784 *64 *1 *50176 *2 .*-1\.\.1 *13 *11 '
    stdout_has '64 *10 *1 *640 *2 .*-1\.\.1 *10 *8 '
    expect 0 "$brim" run "$model" --data "$digits"
    stdout_has "^top-1 *${network#*:} %"
    expect 0 "$brim" run "$model" --data "$digits&limit=500" --datapath 11
    stdout_has 'MatMul_[0-9]* *784 *64 *11 *32000 *0 *0 *0 '
    expect 0 "$brim" certify "$model" --datapath 11 -o safe.json
    expect 0 "$check" "$model" safe.json
    stdout_has '^proven: the certificate is true of the model'
    expect 3 "$brim" certify "$model" --datapath 10 -o unsafe.json
    stderr_has 'a sum reaches .*784, which needs 11 bits, the register has 10'
    expect 3 "$check" "$model" unsafe.json
    stderr_has 'refuted, as the certificate says'
done
