#!/usr/bin/env python3
"""vectors.py - the VS-Quant grid of docs/results.md: widths x vector length x scale bits x input scales.

    bench/vectors.py [--brim build/release/brim] [--data DIR] [--solver rtn] [--budget none] [--threads 2]
    bench/vectors.py --solver optq --against rtn --rows '4/4 | 16'
    bench/vectors.py --solver optq --budget exact --inner 12 --rows '| 16 | 6 | none'
    bench/vectors.py --solver optq --scale-product 4 --rows '| 16 |'

ResNet-8, 1,000 calibration images, the first 1,000 CIFAR-10 test images. One line for each (W/A, V, Ms, input scales):
the inner and outer widths that the certificate asks for, bits of a weight with its share of scales, top-1, and the
divergence from the float network: the mean of KL(float || quantized) in nats, with its standard error. --against SOLVER
adds the same with that solver, and the mean difference over the same images with its standard error. Activation widths
`auto` are chosen per layer, at most 8 bits, and only where --inner leaves something to choose. A row takes some 8 seconds. Exits 1 when a certificate is refused, or a bar is missed: the rows of BARS.
"""
import argparse
import array
import json
import math
import pathlib
import re
import statistics
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[1]
MODEL = "{d}/mlperf-tiny/models/resnet8-cifar10-float.onnx"
CALIB = "cifar:{d}/cifar10/data_batch_1.bin.gz?limit=1000"
TEST = "cifar:{d}/cifar10/test_first1000.bin.gz"
WIDTHS = [("4", "4"), ("4", "8"), ("6", "6")]
UNDER_LIMIT = [("4", "auto")]  # too, where --inner asks for a choice of codes
LENGTHS = ["16", "32", "64"]
SCALES = [("0", "none"), ("4", "none"), ("6", "none"), ("4", "static"), ("6", "static"), ("4", "dynamic"),
          ("6", "dynamic")]
# (inner width, W, A, V, Ms, inputs) -> least top-1: float 88.1 less 2 points at W4A4, less 1 at W4A8; with an inner
# register of 12 bits, one point less than without a limit (87.7)
BARS = {("32", "4", "4", "16", "6", "dynamic"): 86.1, ("32", "4", "4", "16", "4", "dynamic"): 86.1,
        ("32", "4", "8", "16", "6", "static"): 87.1, ("12", "4", "auto", "16", "6", "none"): 86.7}


def run(*command):
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{' '.join(command)}: {done.stderr.strip()}")
    return done.stdout


def log_softmax(path):
    """Rows of an .npy file of float32."""
    raw = pathlib.Path(path).read_bytes()
    body = 10 + int.from_bytes(raw[8:10], "little")
    count = int(re.search(rb"'shape': \((\d+),", raw).group(1))
    values = array.array("f", raw[body:])
    width = len(values) // count
    rows = []
    for i in range(count):
        row = values[i * width:(i + 1) * width]
        top = max(row)
        whole = top + math.log(sum(math.exp(v - top) for v in row))
        rows.append([v - whole for v in row])
    return rows


def divergence(reference, rows):
    """KL(reference || row) of each sample."""
    return [sum(math.exp(a) * (a - b) for a, b in zip(x, y)) for x, y in zip(reference, rows)]


def with_error(values):
    return f"{statistics.fmean(values):.3f} ± {statistics.stdev(values) / math.sqrt(len(values)):.3f}"


def measure(args, w, a, solver, options):
    """Widths that the certificate needs, bits per weight, top-1, divergences."""
    with tempfile.TemporaryDirectory() as folder:
        out, cert = f"{folder}/q.onnx", f"{folder}/q.json"
        quantized = json.loads(run(args.brim, "quantize", MODEL.format(d=args.data), "-o", out, "--calib",
                                   CALIB.format(d=args.data), "--wbits", w, "--abits", a, "--solver", solver,
                                   "--budget", args.budget, "--threads", str(args.threads), "--json", *options))
        run(args.brim, "certify", out, "-o", cert)
        run(args.brim + "-check", out, cert)
        result = json.loads(run(args.brim, "run", out, "--data", TEST.format(d=args.data), "--no-count", "--threads",
                                str(args.threads), "--json", "-o", f"{folder}/y.npy"))
        rows = log_softmax(f"{folder}/y.npy")
    vectors = [layer for layer in quantized["layers"] if layer["vector"]] or quantized["layers"]
    need = [max(stage) for stage in zip(*(layer["need"] for layer in vectors))]
    bits = max(layer["weight_bits"] for layer in vectors)
    return ", ".join(str(n) if n else "float" for n in need), bits, 100 * result["top1"], divergence(args.floats, rows)


def float_rows(args):
    with tempfile.TemporaryDirectory() as folder:
        run(args.brim, "run", MODEL.format(d=args.data), "--data", TEST.format(d=args.data), "-o", f"{folder}/y.npy")
        return log_softmax(f"{folder}/y.npy")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--brim", default=str(ROOT / "build/release/brim"))
    parser.add_argument("--data", default=str(ROOT.parent / "shared/data"))
    parser.add_argument("--solver", default="rtn")
    parser.add_argument("--budget", default="none")
    parser.add_argument("--inner", default="32", help="width of the vectors' register")
    parser.add_argument("--outer", default="48", help="width of the register behind them")
    parser.add_argument("--scale-product", default="", help="bits kept of products of two scales")
    parser.add_argument("--against", default="", help="a solver to compare with, image by image")
    parser.add_argument("--rows", default="", help="only rows whose text contains this")
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    args.floats = float_rows(args)
    more = f" {args.against} | difference |" if args.against else ""
    print("| W/A | V | Ms | input scales | needs | bits per weight | top-1 | divergence |" + more)
    print("|---|---|---|---|---|---|---|---|" + ("---|---|" if more else ""))
    short = 0
    for w, a in WIDTHS + (UNDER_LIMIT if args.inner != "32" else []):
        rows = [("-", "-", "none")] + [(v, ms, inputs) for v in LENGTHS for ms, inputs in SCALES]
        for v, ms, inputs in rows:
            text = f"| {w}/{a} | {v} | {ms} | {inputs} |"
            if args.rows not in text:
                continue
            options = [] if v == "-" else ["--vector", v, "--scale-bits", ms, "--vector-inputs", inputs, "--datapath",
                                           f"{args.inner}/{v},{args.outer}"]
            if args.scale_product and inputs != "none":
                options += ["--scale-product", args.scale_product]
            need, bits, top1, kl = measure(args, w, a, args.solver, options)
            bar = BARS.get((args.inner, w, a, v, ms, inputs)) if args.solver == "rtn" or args.inner != "32" else None
            missed = bar is not None and round(top1, 1) < bar
            short += missed
            line = f"{text} {need} | {bits:g} | {top1:.1f} | {with_error(kl)} |"
            if args.against:
                other = measure(args, w, a, args.against, options)
                line += f" {other[2]:.1f}, {with_error(other[3])} | {with_error([x - y for x, y in zip(kl, other[3])])} |"
            print(line + (f" <-- below {bar}" if missed else ""), flush=True)
    return 1 if short else 0


sys.exit(main())
