#!/usr/bin/env python3
"""vectors.py - the VS-Quant grid of docs/results.md: widths x vector length x scale bits x input scales.

    bench/vectors.py [--brim build/release/brim] [--data DIR] [--solver rtn] [--budget none] [--threads 2]

ResNet-8, 1,000 calibration images, top-1 on the first 1,000 CIFAR-10 test images. One line for each (W/A, V, Ms, input
scales): the inner and outer widths that the certificate asks for, bits of a weight with its share of scales, top-1.
Exits 1 when a certificate is refused, or a bar is missed: the rows of BARS.
"""
import argparse
import json
import pathlib
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[1]
MODEL = "{d}/mlperf-tiny/models/resnet8-cifar10-float.onnx"
CALIB = "cifar:{d}/cifar10/data_batch_1.bin.gz?limit=1000"
TEST = "cifar:{d}/cifar10/test_first1000.bin.gz"
WIDTHS = [("4", "4"), ("4", "8"), ("6", "6")]
LENGTHS = ["16", "32", "64"]
SCALES = [("0", "none"), ("4", "none"), ("6", "none"), ("4", "static"), ("6", "static"), ("4", "dynamic"),
          ("6", "dynamic")]
# (W, A, V, Ms, inputs) -> least top-1: float 88.1 less 2 points at W4A4, less 1 at W4A8
BARS = {("4", "4", "16", "6", "dynamic"): 86.1, ("4", "4", "16", "4", "dynamic"): 86.1,
        ("4", "8", "16", "6", "static"): 87.1}


def run(*command):
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{' '.join(command)}: {done.stderr.strip()}")
    return done.stdout


def measure(args, w, a, options):
    """Widths that the certificate needs, bits per weight, top-1."""
    with tempfile.TemporaryDirectory() as folder:
        out, cert = f"{folder}/q.onnx", f"{folder}/q.json"
        quantized = json.loads(run(args.brim, "quantize", MODEL.format(d=args.data), "-o", out, "--calib",
                                   CALIB.format(d=args.data), "--wbits", w, "--abits", a, "--solver", args.solver,
                                   "--budget", args.budget, "--threads", str(args.threads), "--json", *options))
        run(args.brim, "certify", out, "-o", cert)
        run(args.brim + "-check", out, cert)
        result = json.loads(run(args.brim, "run", out, "--data", TEST.format(d=args.data), "--no-count", "--threads",
                                str(args.threads), "--json"))
    vectors = [layer for layer in quantized["layers"] if layer["vector"]] or quantized["layers"]
    need = [max(stage) for stage in zip(*(layer["need"] for layer in vectors))]
    bits = max(layer["weight_bits"] for layer in vectors)
    return ", ".join(str(n) if n else "float" for n in need), bits, 100 * result["top1"]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--brim", default=str(ROOT / "build/release/brim"))
    parser.add_argument("--data", default=str(ROOT.parent / "shared/data"))
    parser.add_argument("--solver", default="rtn")
    parser.add_argument("--budget", default="none")
    parser.add_argument("--inner", default="32", help="width of the vectors' register")
    parser.add_argument("--outer", default="48", help="width of the register behind them")
    parser.add_argument("--rows", default="", help="only rows whose text contains this")
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    print("| W/A | V | Ms | input scales | needs | bits per weight | top-1 |\n|---|---|---|---|---|---|---|")
    short = 0
    for w, a in WIDTHS:
        rows = [("-", "-", "none")] + [(v, ms, inputs) for v in LENGTHS for ms, inputs in SCALES]
        for v, ms, inputs in rows:
            text = f"| {w}/{a} | {v} | {ms} | {inputs} |"
            if args.rows not in text:
                continue
            options = [] if v == "-" else ["--vector", v, "--scale-bits", ms, "--vector-inputs", inputs, "--datapath",
                                           f"{args.inner}/{v},{args.outer}"]
            need, bits, top1 = measure(args, w, a, options)
            bar = BARS.get((w, a, v, ms, inputs)) if args.solver == "rtn" and args.inner == "32" else None
            missed = bar is not None and round(top1, 1) < bar
            short += missed
            print(f"{text} {need} | {bits:g} | {top1:.1f} |{' <-- below ' + str(bar) if missed else ''}", flush=True)
    return 1 if short else 0


sys.exit(main())
