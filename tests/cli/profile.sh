# The microscope: text, JSON, CSV; the same document beside a run; whatever is asked for wrongly.
expect 0 "$brim" quantize float.onnx -o q.onnx --calib 'synth:glyphs?limit=40' --datapath 20
expect 0 "$brim" profile q.onnx --data 'synth:glyphs?limit=6' --widths 8..24
for word in need certified persistent product natural wrap 'no overflow from'; do
    stdout_has "$word"
done
expect 0 "$brim" profile q.onnx --data 'synth:glyphs?limit=6' --json --threads 1 --csv a.csv
for key in samples top1 widths seconds orders order no_overflow no_change layers name k n left_out \
    outputs need product_need range prefix total prefix_bits total_bits product_bits cells width \
    transient persistent examined predictions at first sample layer channel position step least most bits; do
    stdout_has "\"$key\": "
done
stdout_has '"predictions": null'
[ "$(head -1 a.csv)" = layer,width,order,outputs,transient,persistent,product,examined ] || fail "CSV heading"
[ $((($(wc -l <a.csv) - 1) % (17 * 4))) -eq 0 ] || fail "a.csv has $(wc -l <a.csv) lines"
expect 0 "$brim" profile q.onnx --data 'synth:glyphs?limit=6' --threads 2 --csv b.csv -q
cmp -s a.csv b.csv || fail "counts differ between 1 and 2 threads"
expect 0 "$brim" profile q.onnx --data 'synth:glyphs?limit=6' --widths 12 --order q1,natural --top 0
stdout_has 'predictions that change'
expect 0 "$brim" profile q.onnx --data 'synth:glyphs?limit=6' --widths 12 --no-predictions --json
stdout_has '"predictions": null'
expect 0 "$brim" profile q.onnx --data 'synth:glyphs?limit=6' --at 32
stdout_has 'nothing leaves 32 bits'
expect 0 "$brim" run q.onnx --data 'synth:glyphs?limit=6' --profile p.json
grep -q '"product_bits": ' p.json || fail "p.json is no profile"
expect 0 "$brim" quantize control_float.onnx -o control_q.onnx --calib 'synth:glyphs?limit=40' --datapath 20
expect 0 "$brim" profile control_q.onnx --data 'synth:glyphs?limit=2' --widths 8..10
stdout_has '^\\x1b\[2m '

wrong() {
    pattern=$1
    shift
    expect 2 "$brim" profile q.onnx --data 'synth:glyphs?limit=6' "$@" --csv c.csv
    stdout_is_empty
    one_error
    stderr_has "$pattern"
    no_file c.csv
}
wrong 'widths: 12..10 is an empty range' --widths 12..10
wrong 'widths: 1..8, expected widths in 2..32' --widths 1..8
wrong 'widths: 8..33, expected widths in 2..32' --widths 8..33
wrong "widths: 'wide', expected A..B" --widths wide
wrong "widths: '8..', expected A..B" --widths 8..
wrong "order: order 'sorted', expected natural, wrap, q, q1..q1000 or g" --order natural,sorted
wrong "order: order 'q0', expected" --order q0
wrong "order: order ''" --order natural,
wrong 'exclude each other' --predictions --no-predictions
wrong "at: '33'" --at 33
expect 2 "$brim" profile q.onnx
stderr_has 'expected --data DATA'
expect 1 "$brim" profile float.onnx --data 'synth:glyphs?limit=6' --csv c.csv
one_error
stderr_has 'quantize it first'
no_file c.csv
expect 1 "$brim" run float.onnx --data 'synth:glyphs?limit=6' --profile f.json
one_error
stderr_has 'quantize it first'
no_file f.json
# Layers whose vectors have scales are left out, with or without integers for them.
for bits in 0 4; do
    expect 0 "$brim" quantize "$here/../../examples/glyphs/glyphs.onnx" -o v.onnx \
        --calib 'synth:glyphs?limit=40' --vector 8 --scale-bits $bits --datapath 20/8,32
    expect 0 "$brim" profile v.onnx --data 'synth:glyphs?limit=6' --widths 15..17
    stdout_has '^left out: conv2, its vectors have scales of their own$'
    stdout_has '^conv1 *16 '
    stdout_has '^16 *- *- *- *-$'
done
expect 1 "$brim" profile q.onnx --data 'synth:glyphs?limit=6' --csv nowhere/c.csv
one_error
no_temporaries
