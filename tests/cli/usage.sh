# Help on stdout, usage errors as one line on stderr with exit code 2 and a suggestion.
for verb in inspect import fix quantize train certify run profile data demo bench version help; do
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
usage "unknown verb 'quantise', did you mean 'quantize'" quantise
usage "unknown verb 'xyzzy' (see brim --help)" xyzzy
usage "unknown option '--dathpath', did you mean --datapath" certify --dathpath 16 qdq.onnx
usage "unknown option '-Z'" certify -Z qdq.onnx
usage "expected MODEL" certify
usage "unexpected 'more', expected MODEL" certify qdq.onnx more
usage "threads: '1x', expected a whole number in 0..256" certify qdq.onnx --threads 1x
usage "threads: '257'" certify qdq.onnx --threads=257
usage "threads needs a value: N" certify qdq.onnx --threads
usage "cpu: 'pentium' is none of scalar|" certify qdq.onnx --cpu pentium
BRIM_CPU=pentium usage "BRIM_CPU: 'pentium' is none of scalar|" certify qdq.onnx
expect 0 "$brim" inspect qdq.onnx --cpu scalar
usage "seed: '-1', expected a whole number from 0" certify qdq.onnx --seed -1
usage "seed: ''" certify qdq.onnx --seed ''
usage "json takes no value" certify qdq.onnx --json=yes
usage "solver: 'best' is none of rtn|gpfq|optq|qronos" quantize float.onnx --solver best
usage "wbits: '9', expected 2..8|auto" quantize float.onnx --wbits 9
usage "vector: '4', expected a whole number in 8..128" quantize float.onnx --vector 4
usage "scale-bits: '2', expected 0 or 3..10" quantize float.onnx -o x --calib y --vector 8 --scale-bits 2
usage "scale-bits: '1', expected 0 or 3..10" quantize float.onnx -o x --calib y --vector 8 --scale-bits 1
usage "scale-bits: '11', expected a whole number in 0..10" quantize float.onnx -o x --calib y --vector 8 --scale-bits 11
usage "vector: '129', expected a whole number in 8..128" quantize float.onnx -o x --calib y --vector 129
usage "datapath '16q0': stage 1: bad rounds" run float.onnx --data y --datapath 16q0
usage 'scale-bits, --scale-product, --vector-range, --vector-inputs and --published-order need --vector' quantize float.onnx -o x --calib y --scale-bits 4
usage 'scale-product, .* need --vector' quantize float.onnx -o x --calib y --scale-product 4
usage "scale-product: '0', expected a whole number in 1..20" quantize float.onnx -o x --calib y --vector 8 --scale-product 0
usage 'scale-product needs integer scales' quantize float.onnx -o x --calib y --vector 8 --scale-bits 0 --scale-product 4
usage "prune: '4:4', expected KEEP:GROUP with 1 <= KEEP < GROUP <= 64" quantize float.onnx -o x --calib y --prune 4:4
for pattern in 5:4 0:4 64:64 1:65 -1:4 2:4:8 :4 2:; do
    usage "prune: '$pattern', expected KEEP:GROUP" quantize float.onnx -o x --calib y --prune $pattern
done
usage "prune-block: '0', expected a whole number in 1" quantize float.onnx -o x --calib y --prune 2:4 --prune-block 0
usage "prune: '24', expected KEEP:GROUP" quantize float.onnx -o x --calib y --prune 24
usage 'prune-block, --saliency and --prune-last need --prune' quantize float.onnx -o x --calib y --prune-block 8
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
usage "'memory', expected " bench memory
usage "expected a verb (see brim --help)"
usage "help: unknown verb 'quantise'" help quantise
usage "unexpected 'x', expected no operand" version x
usage "unknown option '--repeatedly-and-for-a-very-long-time-indeed'" bench solver --repeatedly-and-for-a-very-long-time-indeed
usage "expected MODEL" certify --
usage "unexpected '--json', expected MODEL" certify qdq.onnx -- --json
usage "threads: '99999999999999999999'" certify qdq.onnx -j99999999999999999999
usage "threads: '-'" certify qdq.onnx -j -
usage "verbose takes no value" certify qdq.onnx -vv
usage "output: empty, expected CERT.json" certify qdq.onnx --output=
usage "output needs a value: CERT.json" certify qdq.onnx -o
usage "damping: '1e999', expected a number in 0..1" quantize float.onnx --damping 1e999
usage "damping: ''" quantize float.onnx --damping=
usage "batch: '0', expected a whole number in 1..4096" run float.onnx --batch 0
usage "repeat: '100', expected a whole number in 1..99" bench solver --repeat 100
layer() {
    usage "$1" quantize float.onnx -o o.onnx --calib synth:glyphs "--layer=$2"
}
layer "layer: empty, or given more than" ''
layer "layer: ':wbits=4', expected PATTERN" ':wbits=4'
layer "layer: '', expected wbits=2..8" 'conv:'
layer "layer: 'float=1', expected wbits" 'conv:float=1'
layer "layer: 'abits=12', expected" 'conv:wbits=4,abits=12'
layer "layer: 'wbits=', expected" 'conv:wbits='
layer "layer: .*'16/'" 'conv:datapath=16/'
layer "layer: .*" 'conv:datapath=16/8,20,wbits'
layer "layer: longer than 255 characters" "$(printf '%300d' 0):float"
expect 2 "$check"
expect 2 "$check" one
expect 0 "$check" --help
stdout_has '^usage: brim-check'
