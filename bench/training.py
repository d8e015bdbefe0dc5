#!/usr/bin/env python3
"""training.py - images per second of training steps: brim against PyTorch, taking turns.

    bench/training.py [--build build/release] [--model resnet8-cifar10-float-bn.onnx] [--threads 2] [--batch 64]

A step is forward, loss and backward of ResNet-8 on random images, without optimizer. Every round gives each
candidate some steps in the same minute of the same machine and takes its best; figures are medians of the rounds, and
the ratios are medians over the rounds of the quotient within one round. With --threads 1 times are CPU time. PyTorch is
the interpreter's, or that of build/torch, which --install makes (pinned, from PyPI); without one only brim is measured,
and a line says so.
"""
import argparse
import os
import pathlib
import statistics
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]
PINNED = ["torch==2.2.2", "numpy<2"]
BRIM = {"brim float": ("float", "8/8"), "brim QAT 4/4": ("qat", "4/4"), "brim QAT 8/8": ("qat", "8/8")}
PEERS = ["PyTorch", "PyTorch channels_last"]


def options():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--build", type=pathlib.Path, default=ROOT / "build/release")
    p.add_argument("--model", type=pathlib.Path,
                   default=ROOT / "../shared/data/mlperf-tiny/models/resnet8-cifar10-float-bn.onnx")
    p.add_argument("--threads", type=int, default=2)
    p.add_argument("--batch", type=int, default=64)
    p.add_argument("--rounds", type=int, default=7)
    p.add_argument("--steps", type=int, default=8, help="of each candidate in a round, after two that do not count")
    p.add_argument("--install", action="store_true", help="make build/torch with PyTorch from PyPI")
    p.add_argument("--torch-steps", action="store_true", help=argparse.SUPPRESS)
    p.add_argument("--channels-last", action="store_true", help=argparse.SUPPRESS)
    return p.parse_args()


# ---- PyTorch: a process that answers as bench_training does ----

def resnet8(nn):
    """The model of bench_training's file, with BatchNormalization."""
    class Block(nn.Module):
        def __init__(self, c_in, c, stride):
            super().__init__()
            self.body = nn.Sequential(nn.Conv2d(c_in, c, 3, stride, 1), nn.BatchNorm2d(c, 1e-3), nn.ReLU(inplace=True),
                                      nn.Conv2d(c, c, 3, 1, 1), nn.BatchNorm2d(c, 1e-3))
            self.skip = nn.Conv2d(c_in, c, 1, stride) if stride > 1 else nn.Identity()
            self.relu = nn.ReLU(inplace=True)

        def forward(self, x):
            return self.relu(self.skip(x) + self.body(x))

    return nn.Sequential(nn.Conv2d(3, 16, 3, 1, 1), nn.BatchNorm2d(16, 1e-3), nn.ReLU(inplace=True), Block(16, 16, 1),
                         Block(16, 32, 2), Block(32, 64, 2), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10))


def torch_steps(o):
    import time

    import torch
    torch.set_num_threads(o.threads)
    torch.manual_seed(1)
    layout = torch.channels_last if o.channels_last else torch.contiguous_format
    model = resnet8(torch.nn).to(memory_format=layout).train()
    x = torch.rand(o.batch, 3, 32, 32).to(memory_format=layout)
    y = torch.randint(0, 10, (o.batch,))
    loss = torch.nn.CrossEntropyLoss()
    clock = time.process_time if o.threads == 1 else time.perf_counter
    for line in sys.stdin:
        times = []
        for _ in range(int(line)):
            start = clock()
            model.zero_grad(set_to_none=True)
            loss(model(x), y).backward()
            times.append(1e3 * (clock() - start))
        print(*(f"{t:.4f}" for t in times), flush=True)


def find_torch(o):
    """A Python that has PyTorch, and its version."""
    venv = ROOT / "build/torch"
    if o.install and not venv.exists():
        subprocess.run([sys.executable, "-m", "venv", venv], check=True)
        subprocess.run([venv / "bin/pip", "install", "--quiet", *PINNED], check=True)
    for python in (sys.executable, venv / "bin/python"):
        if os.path.exists(python):
            r = subprocess.run([python, "-c", "import torch; print(torch.__version__)"], capture_output=True, text=True)
            if r.returncode == 0:
                return str(python), r.stdout.strip()
    return None, None


# ---- taking turns ----

class Candidate:
    def __init__(self, name, command):
        self.name, self.rounds = name, []
        self.process = subprocess.Popen([str(c) for c in command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def steps(self, n):
        self.process.stdin.write(f"{n}\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        if not answer:
            sys.exit(f"training.py: {self.name} has stopped")
        return [float(t) for t in answer.split()]

    def turn(self, n):
        self.rounds.append(min(self.steps(n + 2)[2:]))


def candidates(o):
    program = o.build / "tests/bench_training"
    if not program.exists():
        sys.exit(f"training.py: no {program}: cmake --build --preset release --target bench_training")
    made = [Candidate(name, [program, o.model, o.threads, o.batch, *how]) for name, how in BRIM.items()]
    python, version = find_torch(o)
    if python is None:
        print("PyTorch is not there (bench/training.py --install makes build/torch): brim alone")
        return made
    print(f"PyTorch {version}")
    own = [python, __file__, "--torch-steps", "--threads", o.threads, "--batch", o.batch]
    return made + [Candidate(PEERS[0], own), Candidate(PEERS[1], own + ["--channels-last"])]


def main():
    o = options()
    if o.torch_steps:
        return torch_steps(o)
    all_of = candidates(o)
    for _ in range(o.rounds):
        for c in all_of:
            c.turn(o.steps)
    base = all_of[0].rounds
    print(f"ResNet-8, batch {o.batch}, {o.threads} threads; rate / brim float: median over {o.rounds} rounds")
    print(f"{'':24}{'ms/step':>9}{'images/s':>10}{'ratio':>7}")
    for c in all_of:
        ratio = statistics.median(b / t for b, t in zip(base, c.rounds))
        ms = statistics.median(c.rounds)
        print(f"{c.name:24}{ms:9.2f}{1e3 * o.batch / ms:10.0f}{ratio:7.2f}")
        c.process.stdin.close()
        c.process.wait()


main()
