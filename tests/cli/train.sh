# brim train: options, epochs told, checkpoints and interrupts, the model certified and checked.
pixels='scale=0.00392156862745098'
data="synth:glyphs?limit=320&seed=1000&$pixels"
val="synth:glyphs?limit=100&seed=2000&$pixels"
common="--data $data --val $val --batch 32 --epochs 2"

# Float, from nothing: one line of JSON per epoch, the whole as JSON on demand.
expect 0 "$brim" train --arch mlp:784-24-10 -o float-mlp.onnx $common --lr 0.003 --history history.json
stdout_has '^float-mlp.onnx: accuracy .* % (epoch [012] of 2)'
[ "$(grep -c '^{"phase":"float","epoch":' err)" -eq 3 ] || fail 'not one line per epoch'
grep -q '"best": [012],' history.json || fail 'no history'
expect 0 "$brim" run float-mlp.onnx --data "$val"
expect 0 "$brim" train --arch mlp:784-24-10 -o again.onnx $common --lr 0.003 -q --threads 1 --json
stderr_is_empty
for key in epochs phase epoch loss rate accuracy images_per_second seconds best layers top1 peak_rss_mb; do
    stdout_has "\"$key\": "
done
cmp -s float-mlp.onnx again.onnx || fail 'the file depends on the number of threads'

# Towards 16 bits: certified, checked by the other program, clean when it runs.
for method in 'a2q' 'a2q+' 'a2q+ --norm per-sign --init quantize' 'a2q+ --init project'; do
    expect 0 "$brim" train float-mlp.onnx -o q.onnx $common --method $method --datapath 16 -w 6 -a 6
    stdout_has '2 layers certified'
    expect 0 "$brim" certify q.onnx -o cert.json
    expect 0 "$check" q.onnx cert.json
    stderr_is_empty
    expect 0 "$brim" run q.onnx --data "$val" --json
    stdout_has '"persistent": 0'
done
expect 0 "$brim" train float-mlp.onnx -o q.onnx $common --method qat -w 4 -a 4 --distill 0.5:3 --layer 'fc2:wbits=6' --json
stdout_has '"wbits": 6'
expect 0 "$brim" train --arch cnn:1x28x28-c4s2-c8s2-p-10 -o q.onnx $common --method pqs --prune 2:4 --prune-stages 2 \
    --prune-epochs 1 --float-epochs 1 --float-lr 2e-3 --prune-regrow
stdout_has '^conv2 .* 0\.[5-9][0-9]*$'
no_temporaries

# A file of options; the command line wins.
cat >run.conf <<END
# the run above
method = qat      # learned scales
datapath = 32
epochs = 7
resume = no
layer = fc1:wbits=6
END
expect 0 "$brim" train float-mlp.onnx -o q.onnx --config run.conf $common --layer fc1:wbits=3 --json
stdout_has '"wbits": 3'
[ "$(grep -c '"phase": "quantized"' out)" -eq 3 ] || fail 'epochs of the file won'

# Interrupted and resumed: the same file.
expect 0 "$brim" train float-mlp.onnx -o whole.onnx $common --method a2q+ --datapath 16 --augment flip,crop2
long="$common --method a2q+ --datapath 16 --epochs 2000 --checkpoint run.state"
"$brim" train float-mlp.onnx -o out.onnx $long >out 2>err &
pid=$!
for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30; do
    [ -e run.state ] && break
    sleep 0.2
done
kill -INT $pid
wait $pid
code=$?
last='train, interrupted'
[ "$code" -eq 130 ] || fail "exit code $code, expected 130"
stderr_has "interrupted, 'run.state' holds what was done"
no_file out.onnx
no_temporaries
expect 0 test -s run.state

# Bad input: one sentence each.
bad() {
    want=$1
    pattern=$2
    shift 2
    expect "$want" "$brim" train "$@"
    stdout_is_empty
    [ "$(grep -c '^brim: ' err)" -eq 1 ] || fail 'not one sentence'
    stderr_has "$pattern"
    no_file out.onnx
    no_temporaries
}
out="-o out.onnx $common"
bad 2 'one of the two' $out
bad 2 'one of the two' float-mlp.onnx --arch mlp:784-10 $out
bad 2 'expected --val DATA' float-mlp.onnx -o out.onnx --data "$data"
bad 2 "'c8' in 'mlp:784-c8-10'" --arch mlp:784-c8-10 $out
bad 2 "method: 'a3q' is none of" float-mlp.onnx $out --method a3q
bad 2 'other than float' float-mlp.onnx $out --datapath 16
bad 2 'pqs needs --prune' float-mlp.onnx $out --method pqs
bad 2 'needs --method pqs' float-mlp.onnx $out --method qat --prune 2:4
bad 2 'prune-regrow is of float' float-mlp.onnx $out --method pqs --prune 2:4 --prune-last --prune-regrow
bad 2 'need --prune' float-mlp.onnx $out --method qat --prune-regrow
bad 2 'distill: .*2' float-mlp.onnx $out --method qat --distill 2
bad 2 'distill needs a MODEL' --arch mlp:784-10 $out --distill 0.5
bad 2 'resume needs --checkpoint' float-mlp.onnx $out --resume
echo 'epoch = 3' >bad.conf
bad 2 "bad.conf:1: unknown key 'epoch', did you mean epochs" float-mlp.onnx $out --config bad.conf
echo 'epochs' >bad.conf
bad 2 "bad.conf:1: 'epochs', expected NAME = VALUE" float-mlp.onnx $out --config bad.conf
bad 2 'nowhere.conf' float-mlp.onnx $out --config nowhere.conf
bad 1 'the model has 6 classes' --arch mlp:784-6 $out
bad 1 '320 samples, expected at least a batch of 500' --arch mlp:784-10 $out --batch 500
bad 1 "augment: 'spin'" float-mlp.onnx $out --augment spin
bad 1 "'fc1': is quantized already" q.onnx $out
bad 1 'the loss is not a number at step' float-mlp.onnx $out --optimizer sgd --lr 1000 --weight-decay 1000
bad 1 'is the checkpoint of another run' float-mlp.onnx $out --checkpoint run.state --resume
echo nonsense >bad.state
bad 1 'bad.state: is no checkpoint' float-mlp.onnx $out --checkpoint bad.state --resume
bad 1 'nowhere.state' float-mlp.onnx $out --checkpoint nowhere.state --resume
bad 3 "layer 'fc1': a register of 16 bits" float-mlp.onnx $out --method qat --datapath 16
bad 3 "layer 'fc1'" float-mlp.onnx $out --method a2q --datapath 8
bad 1 '/nowhere/x.json: cannot write' float-mlp.onnx $out --history /nowhere/x.json
