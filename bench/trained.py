#!/usr/bin/env python3
"""trained.py - networks trained for narrow accumulators: the tables of docs/results.md, "Trained".

    bench/trained.py BUILD DATA [resnet8|mnist|pqs|NAME...] [--threads 2] [--keep FOLDER]

A name is a row's, or that of a table; all of them otherwise. Every row is one `brim train`; what it writes is certified by brim
train itself and re-checked here by brim-check. Figures are of the test images, by `brim run` and `brim profile`. MNIST leaves
5,000 training images out, on which the epoch to keep is chosen. CIFAR-10 has 20,000 to train on and chooses on the test images, so
the last epoch is told as well, which nothing has chosen. Exits 1 when a row misses what it should reach.
Seconds are of processor time (of the clock where a run was resumed); an epoch of ResNet-8 takes about 25, one of the MLP 2. With
--keep, models and checkpoints stay in FOLDER, and a row that was interrupted goes on from there.
"""
import argparse
import json
import os
import pathlib
import resource
import subprocess
import sys
import tempfile

CIFAR_TEST = "cifar:{d}/cifar10/test_first1000.bin.gz"
CIFAR = ["--data", "cifar:{d}/cifar10/data_batch_1.bin.gz,{d}/cifar10/data_batch_2.bin.gz", "--val", CIFAR_TEST,
         "--augment", "flip,shift4"]  # zeros outside do not suit the float model (docs/train.md)
MNIST = "idx:{d}/mnist/%s-images-idx3-ubyte.gz:{d}/mnist/%s-labels-idx1-ubyte.gz?scale=%s"
RESNET8 = "{d}/mlperf-tiny/models/resnet8-cifar10-float.onnx"
RESNET8_BN = "{d}/mlperf-tiny/models/resnet8-cifar10-float-bn.onnx"
MNIST8 = "{d}/models-mnist/mnist-8.onnx"


def mnist(scale):
    train = MNIST % ("train", "train", scale)
    return ["--data", train + "&limit=55000", "--val", train + "&offset=55000"], MNIST % ("t10k", "t10k", scale)


PIXELS = mnist("0.00392156862745098")
BYTES = mnist("1")  # mnist-8 reads 0..255

# ---- ResNet-8 from the float model: weights, inputs, register, epochs, learning rate, what to reach ----
RESNET = {
    "w8a8p16": ("8", "8", "16", 6, 1e-4, 87.0),
    "w4a4p16": ("4", "4", "16", 5, 3e-4, 86.5),
    "w4a4p14": ("4", "4", "14", 5, 3e-4, 86.0),
    "w4a4p12": ("4", "4", "12", 5, 3e-4, 85.0),
    "freep12": ("8", "auto", "12", 8, 2e-4, 86.5),
    "freep11": ("8", "auto", "11", 5, 2e-4, 85.0),
    "freep10": ("8", "auto", "10", 5, 3e-4, 82.0),
    "project": ("4", "4", "14", 5, 3e-4, None),
}
RESNET_OPTIONS = ["--method", "a2q+", "--norm", "per-sign", "--distill", "0.5:4", "--warmup", "0.2", "-b", "32",
                  "--layer", "conv1:datapath=16", "--layer", "fc1:datapath=16"]

# ---- MLP 784-256-256-10 from the float one of the first row: options, points below it that are allowed ----
MLP = {
    "a2q-w8a8p16": (["-m", "a2q", "--init", "quantize", "-w", "8", "-a", "8", "--datapath", "16", "--lr", "2e-3", "-e", "8"], 0.5),
    "a2q+-w8a8p16": (["-m", "a2q+", "-w", "8", "-a", "8", "--datapath", "16"], 0.5),
    "per-sign-w8a8p16": (["-m", "a2q+", "--norm", "per-sign", "-w", "8", "-a", "8", "--datapath", "16"], 0.5),
    "a2q+-w4a4p12": (["-m", "a2q+", "-w", "4", "-a", "4", "--datapath", "12"], 1.0),
    "per-sign-w4a4p12": (["-m", "a2q+", "--norm", "per-sign", "-w", "4", "-a", "4", "--datapath", "12"], 1.0),
    "a2q+-w4a4p10": (["-m", "a2q+", "--init", "quantize", "-w", "4", "-a", "4", "--datapath", "10"], 2.5),
    "per-sign-w4a4p10": (["-m", "a2q+", "--norm", "per-sign", "-w", "4", "-a", "4", "--datapath", "10"], 2.5),
}
MLP_OPTIONS = ["-b", "128", "-e", "5", "--lr", "1e-3", "--edge-bits", "auto"]

# ---- PQS: model, kept, bits of all weights, of all inputs and of the image, pruned last ----
PQS = {
    "resnet8-2:4-55": ("resnet8", "2:4", "5", "5", "7", False),
    "resnet8-2:4-56": ("resnet8", "2:4", "5", "6", "7", False),
    "resnet8-4:16-56": ("resnet8", "4:16", "5", "6", "7", False),
    "resnet8-last-2:4-56": ("resnet8", "2:4", "5", "6", "7", True),
    "mnist8-2:4-55": ("mnist8", "2:4", "5", "5", "5", False),
    "mnist8-4:16-55": ("mnist8", "4:16", "5", "5", "5", False),
    "mnist8-last-2:4-55": ("mnist8", "2:4", "5", "5", "5", True),
    "mnist8-2:4-65": ("mnist8", "2:4", "6", "5", "5", False),
    "mnist8-4:16-65": ("mnist8", "4:16", "6", "5", "5", False),
    "mnist8-2:4-88": ("mnist8", "2:4", "8", "8", "8", False),
}
PQS_MODEL = {
    "resnet8": (RESNET8_BN, CIFAR, CIFAR_TEST, ["-b", "32", "--float-lr", "1e-3", "--lr", "1e-4", "--distill", "0.9:4", "--warmup", "0.2"]),
    "mnist8": (MNIST8, *BYTES, ["-b", "128", "--lr", "3e-4"]),
}
# Stages, epochs of each, epochs after them; whether what is pruned may come back.
PQS_SCHEDULE = {("resnet8", "2:4"): (1, 40, 8, True), ("resnet8", "4:16"): (1, 80, 8, True), ("resnet8", "last"): (2, 8, 8, False),
                ("mnist8", "2:4"): (2, 2, 3, False), ("mnist8", "4:16"): (4, 1, 3, False), ("mnist8", "last"): (2, 2, 3, False)}
PQS_WIDTH, PQS_ALLOWED = "13", 1.0  # of a saturating register; points below float, sign-greedy


class Bench:
    def __init__(self, build, data, folder, threads, keep):
        self.brim, self.check, self.data, self.folder = build / "brim", build / "brim-check", data, folder
        self.threads, self.keep = threads, keep
        self.environment = {**os.environ, "OMP_WAIT_POLICY": "passive"}  # processor time is work, not waiting

    def run(self, *command):
        command = [str(part).format(d=self.data) for part in command]
        done = subprocess.run(command, capture_output=True, text=True, env=self.environment)
        if done.returncode != 0:
            sys.exit(f"{' '.join(command)}: {done.stderr.strip()}")
        return done.stdout

    def train(self, name, *options):
        out = self.folder / f"{name}.onnx"
        state = self.folder / f"{name}.state"
        resume = ["--checkpoint", state, *(["--resume"] if state.exists() else [])] if self.keep else []
        before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
        report = json.loads(self.run(self.brim, "train", *options, *resume, "-o", out, "-q", "--json", "--threads", self.threads))
        processor = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before
        report["cpu"] = sum(e["seconds"] for e in report["epochs"]) if "--resume" in resume else processor
        if report["layers"]:
            certificate = self.folder / "certificate.json"
            self.run(self.brim, "certify", out, "-o", certificate, "-q")
            self.run(self.check, out, certificate)
        return out, report

    def top1(self, model, data):
        return 100 * json.loads(self.run(self.brim, "run", model, "--data", data, "--no-count", "--json"))["top1"]


def zeros(report):
    weights = sum(layer["k"] * layer["n"] for layer in report["layers"])
    return 100 * sum(layer["sparsity"] * layer["k"] * layer["n"] for layer in report["layers"]) / weights


def told(top, goal):
    return f"{top:.1f}{' (short)' if goal is not None and round(top, 1) < goal else ''} | {'' if goal is None else goal}"


def table_resnet8(bench, names):
    print("| W/A | register | start | epochs | before | after | should reach | last epoch | zero weights | seconds |\n" + "|---" * 10 + "|")
    short = 0
    for name in names:
        w, a, register, epochs, rate, goal = RESNET[name]
        start = "project" if name == "project" else "quantize"
        out, r = bench.train(name, RESNET8, *CIFAR, *RESNET_OPTIONS, "--init", start, "-w", w, "-a", a, "--datapath", register, "-e", epochs,
                             "--lr", rate)
        top = bench.top1(out, CIFAR_TEST)
        short += goal is not None and round(top, 1) < goal
        print(f"| {w}/{a} | `{register}` | {start} | {epochs} | {100 * r['epochs'][0]['accuracy']:.1f} | {told(top, goal)} "
              f"| {100 * r['epochs'][-1]['accuracy']:.1f} | {zeros(r):.0f} % | {r['cpu']:.0f} |", flush=True)
    return short


def table_mnist(bench, names):
    data, test = PIXELS
    model, r = bench.train("float", "--arch", "mlp:784-256-256-10", *data, "-m", "float", "-e", 5, "-b", 128, "--lr", "2e-3")
    reference = bench.top1(model, test)
    print("| method | W/A | register | test | should reach | zero weights | seconds |\n" + "|---" * 7 + "|")
    print(f"| float | | | {told(reference, 98.0)} | | {r['cpu']:.0f} |", flush=True)
    short = reference < 98.0
    for name in names:
        options, allowed = MLP[name]
        out, r = bench.train(name, model, *data, *MLP_OPTIONS, "--input-bits", options[options.index("-a") + 1], *options)
        top, goal = bench.top1(out, test), round(reference - allowed, 1)
        short += round(top, 1) < goal
        bits = f"{options[options.index('-w') + 1]}/{options[options.index('-a') + 1]}"
        print(f"| {' '.join(options[1:options.index('-w')])} | {bits} | `{options[options.index('--datapath') + 1]}` | {told(top, goal)} "
              f"| {zeros(r):.0f} % | {r['cpu']:.0f} |", flush=True)
    return short


def table_pqs(bench, names):
    print("| model | kept | W/A | image | float | pruned | exact | natural | q | g | persistent | transient natural | q | g | seconds |\n"
          + "|---" * 15 + "|")
    missed = 0
    for name in names:
        model, keep, w, a, image, last = PQS[name]
        path, data, test, options = PQS_MODEL[model]
        stages, each, after, regrow = PQS_SCHEDULE[model, "last" if last else keep]
        order = ["--prune-last"] if last else ["--init", "quantize", *(["--prune-regrow"] if regrow else [])]
        out, r = bench.train(name.replace(":", "-"), path, *data, "-m", "pqs", "--prune", keep, "--prune-stages", stages, "--prune-epochs", each,
                             "-e", after, *order, "-w", w, "-a", a, "--edge-bits", "auto", "--input-bits", image, *options)
        pruned = "" if last else f"{100 * max(e['accuracy'] for e in r['epochs'] if e['phase'] == 'prune'):.1f}"
        p = json.loads(bench.run(bench.brim, "profile", out, "--data", test, "--widths", f"{PQS_WIDTH}..{PQS_WIDTH}", "--order",
                                 "natural,q,g", "--predictions", "--top", 0, "--json"))
        reference = bench.top1(path, test)
        held = not last and a != "8"  # the others are there to compare with
        short = held and round(100 * p["predictions"][-1]["top1"], 1) < round(reference - PQS_ALLOWED, 1)
        missed += short
        print(f"| {model} | {keep}{', last' if last else ''} | {w}/{a} | {image} | {reference:.1f} | {pruned} | {100 * p['top1']:.1f} "
              f"| {shares(p, short)} | {r['cpu']:.0f} |", flush=True)
    return missed


def shares(profile, short):
    """Accuracy of each order, the last one held to its figure, then shares of all dot products in percent."""
    cells = [(cell, layer["outputs"]) for layer in profile["layers"] if layer["left_out"] is None for cell in layer["cells"]]
    outputs = sum(n for cell, n in cells if cell["order"] == "natural")

    def share(order, kind):
        return f"{100 * sum(c[kind] / c['examined'] * n for c, n in cells if c['order'] == order) / outputs:.2g}"

    top = [f"{100 * p['top1']:.1f}" if p["top1"] is not None else "-" for p in profile["predictions"]]
    top[-1] += " (short)" if short else ""
    return " | ".join([*top, share("natural", "persistent"), *(share(order, "transient") for order in ("natural", "q", "g"))])


TABLES = {"resnet8": (table_resnet8, RESNET), "mnist": (table_mnist, MLP), "pqs": (table_pqs, PQS)}


def main():
    p = argparse.ArgumentParser()
    p.add_argument("build", type=pathlib.Path)
    p.add_argument("data", type=pathlib.Path)
    p.add_argument("names", nargs="*", choices=[[], *TABLES, *RESNET, *MLP, *PQS], default=[])
    p.add_argument("--threads", type=int, default=2)
    p.add_argument("--keep", type=pathlib.Path)
    a = p.parse_args()
    short = 0
    with tempfile.TemporaryDirectory() as folder:
        if a.keep:
            a.keep.mkdir(parents=True, exist_ok=True)
        bench = Bench(a.build.resolve(), a.data, a.keep or pathlib.Path(folder), a.threads, a.keep)
        for table, (make, rows) in TABLES.items():
            wanted = [name for name in rows if not a.names or table in a.names or name in a.names]
            if wanted:
                print(f"\n{table}\n")
                short += make(bench, wanted)
    return 1 if short else 0


sys.exit(main())
