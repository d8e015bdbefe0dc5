# brim bench: parts, their options, the keys that scripts rely on. Speed itself is no test's business.
json_keys() {
    for key in "$@"; do
        stdout_has "\"$key\": "
    done
}
usage() {
    pattern=$1
    shift
    expect 2 "$brim" bench "$@"
    stdout_is_empty
    one_error
    stderr_has "$pattern"
}
expect 0 "$brim" bench --help
stdout_has '^model '
usage "expected " # no part
usage "'memory', expected " memory

# Models: a line a batch; without a peer there is nothing to compare with.
expect 0 "$brim" bench model --help
stdout_has '^usage: brim bench model MODEL'
usage "batch: '1,0', expected at most 16 whole numbers in 1..4096" model qdq.onnx --batch 1,0
usage "batch: '1,', expected" model qdq.onnx --batch 1,
usage "expected MODEL" model
usage "unknown option '--k'" model qdq.onnx --k 8
expect 0 "$brim" bench model qdq.onnx --batch 1,3 --repeat 2 --peer none
stdout_has '^one core, medians of 2 rounds, peer: none$'
stdout_has '^1  *[0-9][0-9]*$'
stdout_has '^3  *[0-9][0-9]*$'
stderr_is_empty
expect 0 "$brim" bench model qdq.onnx --batch 2 --repeat 1 --peer none --json
json_keys model repeat peer lines batch images_per_second
expect 0 "$brim" bench model qdq.onnx --batch 1 --repeat 1 --peer /nowhere/python
stderr_has '^brim: no onnxruntime to compare with: /nowhere/python: No such file'
expect 0 "$brim" bench model qdq.onnx --batch 1 --repeat 1 --peer /bin/true
stderr_has '^brim: no onnxruntime to compare with: /bin/true: '
expect 1 "$brim" bench model qdq.onnx --repeat 1 --peer none --data "csv:nothing.csv"
one_error
expect 1 "$brim" bench model nothing.onnx --peer none
one_error

# A peer that speaks the protocol: as many seconds as it is asked for runs.
cat >peer <<'END'
#!/bin/sh
echo ready nobody 1.0
while read -r word count rest; do
    case $word in
    batch) head -c $((4 * count * rest)) >images ;;
    run) echo "$count" ;;
    esac
done
END
chmod +x peer
if [ -n "$(command -v head)" ]; then
    expect 0 "$brim" bench model qdq.onnx --batch 1 --repeat 3 --peer ./peer --json
    json_keys peer_images_per_second ratio least most
    stdout_has '"peer_images_per_second": 1.0'
    stdout_has '"peer": "nobody 1.0"'
fi

# Kernels: limits, lines, and the ratios to reach; without peers unless a module of them is there.
expect 0 "$brim" bench kernels --help
stdout_has '^usage: brim bench kernels'
usage "repeat: '0', expected a whole number in 1..99" kernels --repeat 0
usage "no family 'gem', expected one of conv" kernels --family gem
usage "no shape '1x1x1' in family gemm" kernels --family gemm --shape 1x1x1
usage "unexpected 'more', expected" kernels more more
usage "MODEL goes with --list" kernels qdq.onnx
expect 1 "$brim" bench kernels --quick --peers ./nothing.so
one_error
stderr_has 'nothing.so: cannot open'
expect 0 "$brim" bench kernels --quick --repeat 1 --peers none --family gemm --cpu scalar
stdout_has '^gemm  *128x768x768  *whole  *scalar '
stdout_has '^VNNI GEMM .*not measured$'
expect 0 "$brim" bench kernels --quick --repeat 2 --peers none --family gemm --json
json_keys repeat cpu ghz limits lines family shape kind name peer cold warm per_cycle goals what bar each shapes
stdout_has '"peer": false'
for family in conv depthwise gemv lookup sparse simulate; do
    expect 0 "$brim" bench kernels --quick --repeat 1 --peers none --family $family
    stdout_has "^$family  "
done

# What there is, and what is chosen; a level leaves newer kernels out.
expect 0 "$brim" bench kernels --list
stdout_has '^scalar  *yes  *plain C$'
stdout_has '^gemm  *scalar  *yes  *any'
expect 0 "$brim" bench kernels --list qdq.onnx --cpu scalar
stdout_has '^layer '
if grep -q '^gemm .* yes .*AVX' out; then
    fail "a newer kernel is usable at level scalar"
fi
expect 0 "$brim" bench kernels --list qdq.onnx --json
json_keys levels kernels family name cpu asks present layers k n datapath kernel why
expect 1 "$brim" bench kernels --list nothing.onnx
one_error
