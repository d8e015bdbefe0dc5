# Names in a hostile file never reach the terminal as they are: control bytes are shown as \xNN.
escape=$(printf '\033')
no_escape() {
    ! grep -q "$escape" out err || fail "an escape byte was printed"
}
expect 0 "$brim" inspect control.onnx
stdout_has '^\\x1b\[2m *Conv '
no_escape
expect 0 "$brim" inspect control.onnx --json
stdout_has '"name": "\\u001[Bb]\[2m"'
no_escape
expect 1 "$brim" certify control.onnx
one_error
stderr_has "layer '\\\\x1b\[2m': the model declares no datapath"
no_escape
expect 3 "$brim" certify control.onnx --datapath 12 -o cert.json
stderr_has "layer '\\\\x1b\[2m', channel 0, stage 1"
stdout_has '^\\x1b\[2m '
no_escape
expect 0 "$brim" certify control.onnx --datapath 20 -o cert.json
sed 's/"x_max":255/"x_max":254/' cert.json >bad.json
expect 3 "$check" control.onnx bad.json
one_error
stderr_has "layer '\\\\x1b\[2m': the model's x_max is 255"
no_escape
expect 0 "$brim" quantize control_float.onnx -o q.onnx --calib 'synth:glyphs?limit=40' -v
stdout_has '^\\x1b\[2m '
stderr_has "layer '\\\\x1b\[2m'"
no_escape
expect 0 "$brim" run q.onnx --data 'synth:glyphs?limit=8'
stdout_has '^\\x1b\[2m '
no_escape
# What the user typed is shown the same way, and readable letters stay as they are.
expect 1 "$brim" inspect "nowhere${escape}[2m.onnx"
stderr_has 'nowhere\\x1b\[2m.onnx: '
no_escape
expect 2 "$brim" certify qdq.onnx --thr"${escape}"ads
no_escape
expect 1 "$brim" inspect 'größe.onnx'
stderr_has 'größe.onnx: '
expect 1 "$check" 'größe.onnx' cert.json
stderr_has 'größe.onnx: '
expect 1 "$brim" inspect "$(printf 'c1\302\233m\377.onnx')"
stderr_has 'c1\\xc2\\x9bm\\xff.onnx: '
