# What a data description holds.
expect 0 "$brim" data 'synth:glyphs?limit=30'
stdout_has '^samples  30$'
stdout_has '^shape    1 x 28 x 28$'
expect 0 "$brim" data 'synth:glyphs?limit=30' --json -o glyphs.npz
for key in samples shape min max mean labels; do
    stdout_has "\"$key\": "
done
cp out first
expect 0 "$brim" data npz:glyphs.npz --json
cmp -s first out || fail "what was written is not what is read"
expect 1 "$brim" data npy:nan.npy
one_error
stderr_has 'sample 2'
expect 1 "$brim" data npy:nowhere.npy
stderr_has 'nowhere.npy'
expect 2 "$brim" data 'synth:glyphs?limt=3'
one_error
expect 1 "$brim" data 'synth:glyphs?limit=3' -o /nowhere/x.npz
stderr_has '/nowhere/x.npz: cannot write'
