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
    # 128 + 2 or 15; a shell may start background jobs with SIGINT ignored: then it must have finished
    case $code in
    130 | 143) no_file out.onnx ;;
    0) [ -s out.onnx ] || fail "finished without a file" ;;
    *) fail "exit code $code" ;;
    esac
    rm -f out.onnx
    no_temporaries
done
