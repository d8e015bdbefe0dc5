# An interrupt in the middle: no partial file, and the shell sees the signal.
for signal in INT TERM; do
    rm -f out err
    "$brim" quantize float.onnx -o out.onnx --calib 'synth:glyphs?limit=20000' --effort 2 >out 2>err &
    pid=$!
    sleep 0.3
    kill -$signal $pid 2>/dev/null
    wait $pid
    code=$?
    last="quantize, interrupted by $signal"
    case $code in
    130 | 143) stderr_has 'interrupted, nothing was written' ;; # 128 + 2 or 15
    *) fail "exit code $code" ;;
    esac
    no_file out.onnx
    no_temporaries
done
