# Help on stdout, usage errors as one line on stderr with exit code 2 and a suggestion.
for verb in inspect quantize certify run data demo bench version help; do
    expect 0 "$brim" $verb --help
    stdout_has "^usage: brim $verb"
    stdout_has '--json'
    stdout_has '--threads'
    stderr_is_empty
    expect 0 "$brim" help
    stdout_has "^  $verb "
done
expect 0 "$brim" --version
stdout_has '^brim [0-9]*\.[0-9]*\.[0-9]*$'
expect 0 "$brim" version --json
stdout_has '"version": "[0-9]'
expect 0 "$brim" help --json
stdout_has '"name": "certify"'

usage() {
    pattern=$1
    shift
    expect 2 "$brim" "$@"
    stdout_is_empty
    one_error
    stderr_has "$pattern"
}
expect 2 "$brim"
usage "unknown verb 'quantise', did you mean 'quantize'" quantise
usage "unknown verb 'xyzzy' (see brim --help)" xyzzy
usage "unknown option '--dathpath', did you mean --datapath" certify --dathpath 16 qdq.onnx
usage "unknown option '-Z'" certify -Z qdq.onnx
usage "expected MODEL" certify
usage "unexpected 'more', expected MODEL" certify qdq.onnx more
usage "threads: '1x', expected a whole number in 0..256" certify qdq.onnx --threads 1x
usage "threads: '257'" certify qdq.onnx --threads=257
usage "threads needs a value: N" certify qdq.onnx --threads
usage "seed: '-1', expected a whole number from 0" certify qdq.onnx --seed -1
usage "seed: ''" certify qdq.onnx --seed ''
usage "json takes no value" certify qdq.onnx --json=yes
usage "solver: 'best' is none of rtn|gpfq|optq|qronos" quantize float.onnx --solver best
usage "wbits: '9', expected 2..8|auto" quantize float.onnx --wbits 9
usage "abits: '12', expected 2..8|16|auto" quantize float.onnx --abits 12
usage "damping: 'nan', expected a number in 0..1" quantize float.onnx --damping nan
usage "damping: '0x1p-3'" quantize float.onnx --damping 0x1p-3
usage "expected --output" quantize float.onnx --calib synth:glyphs
usage "expected --calib" quantize float.onnx -o out.onnx
usage "datapath: .*'16/'" quantize float.onnx -o out.onnx --calib synth:glyphs --datapath 16/
usage "datapath: .*'1'" certify qdq.onnx --datapath 1
usage "layer: 'wbits=9', expected" quantize float.onnx -o o.onnx --calib synth:glyphs --layer 'conv:wbits=9'
usage "layer: 'conv', expected PATTERN" quantize float.onnx -o o.onnx --calib synth:glyphs --layer conv
usage "expected --data DATA" run float.onnx
usage "unknown" run float.onnx --data nonsense:x
usage "'memory', expected solver" bench memory
expect 2 "$check"
expect 2 "$check" one
expect 0 "$check" --help
stdout_has '^usage: brim-check'
