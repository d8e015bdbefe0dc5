#!/usr/bin/env python3
"""layers.py - which room may open which door (docs/design.md section 4). Fails on any other #include."""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
LOW = ["base", "datapath", "kernels", "graph", "target", "data", "onnx", "tflite", "run"]
STAGES = ["calibrate", "prune", "quantize", "certify", "fix", "train"]
MAY = {
    "base": ["base"],
    "datapath": LOW[:2],
    "kernels": LOW[:3],
    "graph": LOW[:4],
    "target": ["base", "datapath", "graph", "target"],
    "data": ["base", "data"],
    "onnx": ["base", "datapath", "kernels", "graph", "onnx"],
    "tflite": ["base", "datapath", "kernels", "graph", "tflite"],
    "run": LOW,
    **{stage: LOW + [stage] for stage in STAGES},
    # certify sees only integers: never how the weights were made.
    "certify": ["base", "datapath", "graph", "target", "certify"],
    "report": LOW + STAGES + ["report"],
    "export": LOW + STAGES + ["export"],
    "api": LOW + STAGES + ["report", "export", "api"],
}
INCLUDE = re.compile(r'^\s*#\s*include\s+([<"])([^>"]+)[>"]', re.M)
GENERATED = {"onnx.pb-c.h"}


def check(path):
    rel = path.relative_to(ROOT)
    top, room = rel.parts[0], rel.parts[1]
    for bracket, name in INCLUDE.findall(path.read_text()):
        first = name.split("/")[0]
        if top == "include":
            if first != "brim" and "/" in name or bracket == '"':
                yield f"{rel}: a public header includes {name}"
        elif top == "cli":
            if (bracket == '"' and first != "cli") or (first in MAY):
                yield f"{rel}: the command line includes {name}, allowed are <brim/...> and cli/"
        elif top == "check":
            if first == "brim" or first in MAY:
                yield f"{rel}: the checker includes {name}, it shares nothing with the library"
        elif top == "tests":
            if room == "oracle" and (first == "brim" or first in MAY):
                yield f"{rel}: the oracle includes {name}, it shares nothing with the library"
        elif bracket == '"' and name not in GENERATED and first != "brim":
            if "/" not in name or ".." in name:
                yield f"{rel}: {name} is not rooted"
            elif first not in MAY[room]:
                yield f"{rel}: {room}/ may not include {name}"


def main():
    bad = []
    for top in ("include", "src", "cli", "check", "tests"):
        for path in sorted((ROOT / top).rglob("*.[ch]")):
            bad += check(path)
    print("\n".join(bad) or "layers: clean")
    return 1 if bad else 0


sys.exit(main())
