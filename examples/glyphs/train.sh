#!/bin/sh
# train.sh - train the demo's float model: examples/glyphs/train.sh [BRIM] [OUT.onnx]. Half a minute on two cores.
set -eu
brim=${1:-brim}
out=${2:-glyphs.onnx}
exec "$brim" train --arch cnn:1x28x28-c8-p-c16-p-c32-p-10 -o "$out" \
    --data 'synth:glyphs?seed=1000&limit=20000' --val 'synth:glyphs?seed=2000&limit=2000' \
    --epochs 12 --lr 0.005 --fold-batchnorm
