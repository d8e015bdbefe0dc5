#!/usr/bin/env python3
"""fix.py - what a model safe for x86-maddubs costs: bits of weight precision, and accuracy.

    bench/fix.py BUILD DATA [--write docs/fix.md]

BUILD has the programs, DATA the models and data sets. The unrepaired models, brim fix with what it is told, and one bit less
for all weights at risk, which is what reduce_range does. Every repaired model is certified by brim fix itself.
"""
import argparse
import json
import pathlib
import re
import subprocess
import tempfile

TARGET = "x86-maddubs"


def run(*command):
    return json.loads(subprocess.run([*map(str, command), "--json"], check=True, capture_output=True, text=True).stdout)


def models(data):
    tiny = data / "mlperf-tiny"
    kws = (f"idx:{tiny}/kws01-mfcc-idx3-int8.gz:{tiny}/kws01-labels-idx1-ubyte.gz"
           "?scale=0.5847029089927673&zero=83&limit=500")
    cifar = f"cifar:{data}/cifar10"
    m = tiny / "models"
    yield ("ResNet-8, as shipped", m / "resnet8-cifar10-int8-qdq.onnx", m / "resnet8-cifar10-float.onnx",
           f"{cifar}/data_batch_1.bin.gz?limit=1000", f"{cifar}/test_first1000.bin.gz")
    yield ("ResNet-8, by brim quantize", None, m / "resnet8-cifar10-float.onnx",
           f"{cifar}/data_batch_1.bin.gz?limit=1000", f"{cifar}/test_first1000.bin.gz")
    yield "DS-CNN, as shipped", m / "dscnn-kws-int8-qdq.onnx", None, kws, f"{kws}&offset=500"
    yield "DS-CNN, by brim quantize", None, m / "dscnn-kws-float.onnx", kws, f"{kws}&offset=500"
    yield "autoencoder, as shipped", m / "ad-autoencoder-int8-qdq.onnx", m / "ad-autoencoder-float.onnx", None, None
    yield "autoencoder, by brim quantize", None, m / "ad-autoencoder-float.onnx", "synth:noise?shape=640&limit=500", None


def ways(calib, origin):
    yield "one bit less", ["--reduce-range"]
    yield "weights, order kept", ["--keep-order"]
    yield "weights", []
    if calib is not None:
        yield "data, order kept", ["--calib", calib, "--keep-order"]
        yield "data", ["--calib", calib]
    if origin is not None:
        yield "one bit less, float weights", ["--origin", origin, "--reduce-range"]
        yield "float weights, order kept", ["--origin", origin, "--keep-order"]
        yield "float weights", ["--origin", origin]
        if calib is not None:
            yield "float weights and data", ["--origin", origin, "--calib", calib]


def top1(brim, model, test):
    return "" if test is None else f"{100 * run(brim, 'run', model, '--data', test)['top1']:.1f}"


def rows(brim, data, folder):
    for name, model, origin, calib, test in models(data):
        if model is None:
            model = folder / "plain.onnx"
            run(brim, "quantize", origin, "-o", model, "--calib", calib, "--wbits", 8, "--abits", 8,
                "--solver", "rtn", "--budget", "none", "--datapath", 32)
            origin = None  # what was rounded is the least-squares target, not these weights
        if name.startswith("autoencoder, as"):
            calib = None
        yield name, "as it is", "", top1(brim, model, test)
        for way, options in ways(calib, origin):
            out = folder / "fixed.onnx"
            report = run(brim, "fix", model, "-o", out, "--target", TARGET, *options)
            yield name, way, f"{report['bits_lost']:.2f}", top1(brim, out, test)


def main():
    p = argparse.ArgumentParser()
    p.add_argument("build", type=pathlib.Path)
    p.add_argument("data", type=pathlib.Path)
    p.add_argument("--write", type=pathlib.Path, help="replace the table of this page")
    a = p.parse_args()
    lines = ["| model | repaired with | bits lost | top-1 |", "|---|---|---|---|"]
    with tempfile.TemporaryDirectory() as folder:
        for row in rows(a.build / "brim", a.data, pathlib.Path(folder)):
            lines.append("| " + " | ".join(row) + " |")
            print(lines[-1], flush=True)
    if a.write:
        text = a.write.read_text()
        table = "\n".join(lines)
        a.write.write_text(re.sub(r"\| model \| repaired with(.*\n)+?(?=\n)", lambda _: table + "\n", text))


main()
