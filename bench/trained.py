#!/usr/bin/env python3
"""trained.py - ResNet-8 fine-tuned from the float model for narrow accumulators (docs/results.md, "Trained").

    bench/trained.py BUILD DATA [ROW...]

Every row is one `brim train` from the post-training solution of the same datapath: 20,000 training images, mirrored and shifted, the
float model as teacher, A2Q+ with the exact budget per sign. First and last layer have 8-bit weights and inputs and 16 bits. What is
written is certified by brim train itself and re-checked here by brim-check. Two cores take about 20 s for an epoch.
"""
import argparse
import json
import pathlib
import subprocess
import tempfile

ROWS = {  # weights, inputs, register, epochs, learning rate, what the row should reach
    "w8a8p16": (8, 8, 16, 3, 1e-4, 87.0),
    "w4a4p16": (4, 4, 16, 5, 3e-4, 86.5),
    "w4a4p14": (4, 4, 14, 5, 3e-4, 86.0),
    "w4a4p12": (4, 4, 12, 5, 3e-4, 85.0),
    "freep12": (8, "auto", 12, 5, 2e-4, 86.5),
    "freep11": (8, "auto", 11, 5, 2e-4, 85.0),
    "freep10": (8, "auto", 10, 5, 3e-4, 82.0),
}


def train(brim, data, row, folder):
    w, a, p, epochs, rate, _ = ROWS[row]
    cifar = data / "cifar10"
    out = folder / f"{row}.onnx"
    command = [brim, "train", data / "mlperf-tiny/models/resnet8-cifar10-float.onnx", "-o", out,
               "--data", f"cifar:{cifar}/data_batch_1.bin.gz,{cifar}/data_batch_2.bin.gz",
               "--val", f"cifar:{cifar}/test_first1000.bin.gz", "--augment", "flip,crop4",
               "--method", "a2q+", "--norm", "per-sign", "--init", "quantize", "--distill", "0.5:4", "--warmup", "0.2",
               "-b", 32, "-w", w, "-a", a, "--datapath", p, "-e", epochs, "--lr", rate,
               "--layer", "conv1:datapath=16", "--layer", "fc1:datapath=16", "-q", "--json"]
    report = json.loads(subprocess.run([*map(str, command)], check=True, capture_output=True, text=True).stdout)
    certificate = folder / "certificate.json"
    subprocess.run([brim, "certify", out, "-o", certificate, "-q"], check=True, capture_output=True)
    subprocess.run([brim.parent / "brim-check", out, certificate], check=True, capture_output=True)
    return report


def main():
    p = argparse.ArgumentParser()
    p.add_argument("build", type=pathlib.Path)
    p.add_argument("data", type=pathlib.Path)
    p.add_argument("rows", nargs="*", choices=[[], *ROWS], default=[])
    a = p.parse_args()
    print("| W/A | register | before training | epochs | top-1 | should reach | zero weights | seconds |\n|---|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for row in a.rows or ROWS:
            w, x, register, epochs, _, goal = ROWS[row]
            r = train(a.build.resolve() / "brim", a.data, row, pathlib.Path(folder))
            top = 100 * r["top1"]
            weights = sum(l["k"] * l["n"] for l in r["layers"])
            zeros = sum(l["sparsity"] * l["k"] * l["n"] for l in r["layers"]) / weights
            print(f"| {w}/{x} | `{register}` | {100 * r['epochs'][0]['accuracy']:.1f} | {epochs} | {top:.1f}{'' if top >= goal else ' (short)'} "
                  f"| {goal} | {100 * zeros:.0f} % | {r['seconds']:.0f} |", flush=True)


main()
