#!/usr/bin/env python3
"""pqs.py - the PQS tables of docs/results.md: width x order of addition x pruning, without retraining.

    bench/pqs.py --data DIR [--brim build/release/brim] [--models resnet8,mnist8] [--bits 5/5] [--prune none,2:4,...]
    bench/pqs.py --data DIR --models resnet8 --bits 6/5,5/6,6/6 --prune none,2:4 --brief
    bench/pqs.py --data DIR --models dscnn --prune none --widths 10..16 --orders natural,g,wrap

Each model is quantized without a budget (PQS is about the order at run time, not about constrained weights), pruned
before (P->Q, by the second-moment saliency) or after (Q->P, rows that begin with "last "), and profiled: one exact run
tells the overflow shares of every width, and one run for each width and order its predictions. Prints two tables: for every
model, pruning and width the shares of overflow and top-1 in each order, the last widths that are alike as one row (--brief:
not this table); and the two narrowest widths from which each order stays within one point of the float model, and of the
model's own exact sums. DIR is the data folder; rows of one model need its files alone. A pruning takes 40 to 60 seconds of one
core with q1, 10 without.
"""
import argparse
import json
import pathlib
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[1]
KEYWORDS = ("idx:{d}/mlperf-tiny/kws01-mfcc-idx3-int8.gz:{d}/mlperf-tiny/kws01-labels-idx1-ubyte.gz"
            "?scale=0.5847029089927673&zero=83")
MODELS = {
    "resnet8": ("{d}/mlperf-tiny/models/resnet8-cifar10-float.onnx",
                "cifar:{d}/cifar10/data_batch_1.bin.gz?limit=1000",
                "cifar:{d}/cifar10/test_first1000.bin.gz"),
    "mnist8": ("{d}/models-mnist/mnist-8.onnx",
               "idx:{d}/mnist/train-images-idx3-ubyte.gz:{d}/mnist/train-labels-idx1-ubyte.gz?limit=1000",
               "idx:{d}/mnist/t10k-images-idx3-ubyte.gz:{d}/mnist/t10k-labels-idx1-ubyte.gz"),
    "dscnn": ("{d}/mlperf-tiny/models/dscnn-kws-float.onnx", KEYWORDS + "&offset=0&limit=500",
              KEYWORDS + "&offset=500&limit=500"),
}


def run(*command):
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{' '.join(command)}: {done.stderr.strip()}")
    return json.loads(done.stdout)


def prune_options(text):
    if text == "none":
        return []
    last, pattern = text.startswith("last "), text.split(" ")[-1]
    return ["--prune", pattern] + (["--prune-last"] if last else ["--saliency", "moments"])


def profile(args, model, bits, prune):
    """Float top-1 and the profile of the quantized model."""
    path, calib, test = (text.format(d=args.data) for text in MODELS[model])
    common = ["--threads", str(args.threads), "--json"]
    wbits, abits = bits.split("/")
    with tempfile.TemporaryDirectory() as folder:
        out = f"{folder}/q.onnx"
        run(args.brim, "quantize", path, "-o", out, "--calib", calib, "--wbits", wbits, "--abits", abits,
            "--input-bits", abits, "--solver", args.solver, "--budget", "none", *prune_options(prune), *common)
        measure = [args.brim, "profile", out, "--data", test, "--widths", args.widths, "--top", "0", *common]
        shares = ["--order", args.orders, "--sampled", str(args.sampled)]
        result = run(*measure, *shares, "--predictions" if args.shares_only == "" else "--no-predictions")
        if args.shares_only != "":
            result["predictions"] = run(*measure, "--order", ",".join(told(args)), "--sampled", "0",
                                        "--predictions")["predictions"]
    return run(args.brim, "run", path, "--data", test, *common)["top1"], result


def share(result, width, order, kind):
    """Of all the model's dot products; transient of those that were examined."""
    cells = [(cell, layer) for layer in result["layers"] if layer["left_out"] is None for cell in layer["cells"]
             if cell["width"] == width and cell["order"] == order]
    total = sum(layer["outputs"] for _, layer in cells)
    if kind == "transient":
        return sum(cell[kind] / cell["examined"] * layer["outputs"] for cell, layer in cells) / total
    return sum(cell[kind] for cell, _ in cells) / total


def percent(value):
    return "0" if value == 0 else f"{100 * value:.2g}" if value < 0.1 else f"{100 * value:.1f}"


def told(args):
    """Orders whose predictions are run."""
    return [order for order in args.orders.split(",") if order not in args.shares_only.split(",")]


def head(args):
    transient = [order for order in args.orders.split(",") if order != "wrap"]
    cells = ["model", "W/A", "pruned", "P", "persistent", "product"] + [f"transient {order}" for order in transient]
    cells += [f"top-1 {order}" for order in told(args)]
    return "| " + " | ".join(cells) + " |\n" + "|---" * len(cells) + "|"


def width_row(args, result, width):
    """Shares and top-1 of one width."""
    orders = args.orders.split(",")
    top1 = {(p["width"], p["order"]): p["top1"] for p in result["predictions"]}
    row = [percent(share(result, width, orders[0], kind)) for kind in ("persistent", "product")]
    row += [percent(share(result, width, order, "transient")) for order in orders if order != "wrap"]
    return row + ["-" if top1[width, order] is None else f"{100 * top1[width, order]:.1f}" for order in told(args)]


def print_model(args, result, title):
    """A row for every width, but one for all the last that are alike."""
    first, last = result["widths"]
    rows = [width_row(args, result, width) for width in range(first, last + 1)]
    alike = len(rows) - 1
    while alike > 0 and rows[alike - 1] == rows[-1]:
        alike -= 1
    for i, row in enumerate(rows[:alike + 1]):
        width = f"{first + i}..{last}" if i == alike < len(rows) - 1 else str(first + i)
        print("| " + " | ".join(title + [width] + row) + " |", flush=True)


def narrowest(result, order, floor):
    """The width from which, to the widest profiled, top-1 is never below the floor."""
    width = None
    for p in sorted((p for p in result["predictions"] if p["order"] == order), key=lambda p: -p["width"]):
        if p["top1"] is None or round(p["top1"], 4) < floor:
            break
        width = p["width"]
    return str(width) if width is not None else "-"


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--brim", default=str(ROOT / "build/release/brim"))
    parser.add_argument("--data", required=True, help="folder of the data sets and models")
    parser.add_argument("--models", default="resnet8,mnist8")
    parser.add_argument("--bits", default="5/5", help="list of W/A")
    parser.add_argument("--prune", default="none,2:4,1:4,4:16,last 2:4,last 1:4,last 4:16")
    parser.add_argument("--orders", default="natural,q1,q,g,wrap")
    parser.add_argument("--shares-only", default="", help="orders whose predictions are not run: rounds take longest")
    parser.add_argument("--widths", default="10..20")
    parser.add_argument("--sampled", type=int, default=1000)
    parser.add_argument("--solver", default="optq")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--brief", action="store_true", help="only the table of narrowest widths")
    args = parser.parse_args()
    orders = told(args)
    summary = ["| model | W/A | pruned | float | exact |" + "".join(f" {order} |" for order in orders),
               "|---" * (5 + len(orders)) + "|"]
    print("\n".join(summary) if args.brief else head(args), flush=True)
    for model in args.models.split(","):
        for bits in args.bits.split(","):
            for prune in args.prune.split(","):
                reference, result = profile(args, model, bits, prune)
                if not args.brief:
                    print_model(args, result, [model, bits, prune])
                row = [model, bits, prune, f"{100 * reference:.1f}", f"{100 * result['top1']:.1f}"]
                row += [f"{narrowest(result, order, round(reference - 0.01, 4))}, "
                        f"{narrowest(result, order, round(result['top1'] - 0.01, 4))}" for order in orders]
                summary.append("| " + " | ".join(row) + " |")
                if args.brief:
                    print(summary[-1], flush=True)
    if not args.brief:
        print("\n" + "\n".join(summary))


main()
