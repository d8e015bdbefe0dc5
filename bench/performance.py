#!/usr/bin/env python3
"""performance.py - the tables of docs/performance.md, from a real run.

    bench/performance.py [--brim build/release/brim] [--data DIR] [--keep FOLDER] [--from FOLDER]

Runs `brim bench kernels` and `brim bench model` (ResNet-8, DS-CNN), or with --from reads what --keep kept, and rewrites
whatever stands between <!-- NAME --> and <!-- end --> in the page. The page's text is nobody's output.
"""
import argparse
import json
import pathlib
import re
import resource
import statistics
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "performance.md"
MODELS = ["resnet8-cifar10-int8-qdq.onnx", "dscnn-kws-int8-qdq.onnx"]
# Every addition of 1,000 images on saturating 16-bit registers, overflows counted, on two cores.
COUNTED = ["resnet8-cifar10-int8-qdq.onnx", "cifar:{d}/cifar10/test_first1000.bin.gz", "16s"]


def table(headings, rows):
    lines = ["| " + " | ".join(headings) + " |", "|" + "---|" * len(headings)]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows])


def number(x):
    return f"{x:.0f}" if x >= 100 else f"{x:.1f}" if x >= 10 else f"{x:.2f}"


def limits(run):
    rows = [[f"`{x['name']}`", x["what"], number(x["gmacs"]), number(x["per_cycle"])] for x in run["limits"]]
    return table(["probe", "instructions", "GMAC/s", "per cycle"], rows)


def goals(run, runs, seconds, wasm):
    rows = []
    for goal in run["goals"]:
        bar = f"{goal['bar']:g}" + (" on every shape" if goal["each"] else "")
        if goal["shapes"] == 0:
            rows.append([goal["what"], bar, "not measured", "", ""])
        else:
            spread = f"{number(goal['least'])} .. {number(goal['most'])}"
            rows.append([goal["what"], bar, number(goal["mean"]), spread, "yes" if goal["reached"] else "**no**"])
    ratios = [x["ratio"] for model in runs for x in model["lines"] if "ratio" in x]
    if ratios:
        mean = statistics.geometric_mean(ratios)
        rows.append(["ResNet-8 and DS-CNN, batch 1 and 64, images/s / onnxruntime", "1 on every line", number(mean),
                     f"{number(min(ratios))} .. {number(max(ratios))}", "yes" if min(ratios) >= 1 else "**no**"])
    if wasm:
        ratios = node_ratios(wasm)
        mean = statistics.geometric_mean(ratios)
        rows.append(["WASM relaxed SIMD in node: certified 16-bit GEMM / best 32-bit GEMM", "1.9", number(mean),
                     f"{number(min(ratios))} .. {number(max(ratios))}", "yes" if mean >= 1.9 else "**no**"])
    halves = [x["processor"] / 2 for x in seconds]
    middle = statistics.median(halves)
    rows.append(["ResNet-8, 1,000 images, saturating 16 bits, counted, two cores: seconds", "2 at most", number(middle),
                 f"{number(min(halves))} .. {number(max(halves))}", "yes" if middle < 2 else "**no**"])
    return table(["ratio", "at least", "measured", "from .. to", "reached"], rows)


def family(run, name, how):
    """Implementations by shapes: 1e9 multiply-accumulates a second, and the share of the limit when warm."""
    lines = [x for x in run["lines"] if x["family"] == name]
    shapes = list(dict.fromkeys(x["shape"] for x in lines))
    rows = []
    for what, kind in dict.fromkeys((x["name"], x["kind"]) for x in lines):
        row = [what, kind]
        for shape in shapes:
            found = [x for x in lines if (x["name"], x["kind"], x["shape"]) == (what, kind, shape)]
            cell = number(found[0][how]) if found else ""
            if found and f"{how}_share" in found[0]:
                cell += f" ({100 * found[0][f'{how}_share']:.0f} %)"
            row.append(cell)
        rows.append(row)
    return table(["", ""] + shapes, rows)


def models(runs):
    rows = []
    for run in runs:
        for x in run["lines"]:
            peer = [number(x["peer_images_per_second"]), number(x["ratio"]),
                    f"{number(x['least'])} .. {number(x['most'])}"] if "ratio" in x else ["", "", ""]
            rows.append([pathlib.Path(run["model"]).stem, str(x["batch"]), number(x["images_per_second"])] + peer)
    who = next((run["peer"] for run in runs if run["peer"]), "peer")
    return table(["model", "batch", "brim, images/s", f"{who}, images/s", "ratio", "rounds from .. to"], rows)


def node():
    """{shape: {"family variant": GMAC/s}} in node with relaxed SIMD; {} where the tools are missing."""
    for command in (["cmake", "--preset", "wasm-relaxed"],
                    ["cmake", "--build", "--preset", "wasm-relaxed", "--target", "bench_ports_run"]):
        print("running:", *command, file=sys.stderr)
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            print("no WebAssembly:", done.stderr.strip().split("\n")[-1], file=sys.stderr)
            return {}
    lines = re.findall(r"^(\d+x\d+x\d+):(.*) GMAC/s$", done.stdout, re.M)
    return {shape: {name: float(rate) for name, rate in re.findall(r"(\S+) ([\d.]+)", rest)} for shape, rest in lines}


def node_ratios(rates):
    return [x["relaxed-16"] / max(x[name] for name in x if name.endswith("-32")) for x in rates.values()]


def node_table(rates):
    names = list(next(iter(rates.values()), {}))
    return table([""] + list(rates), [[name] + [number(x[name]) for x in rates.values()] for name in names])


def counted(seconds):
    processor, wall = (statistics.median(x[what] for x in seconds) for what in ("processor", "wall"))
    return (f"ResNet-8, 1,000 images on a saturating 16-bit datapath with event counts (`brim run MODEL --data ... --datapath "
            f"{COUNTED[2]} --threads 2`, medians of {len(seconds)}): {processor:.2f} s of processor time, half of which two free "
            f"cores need; {wall:.2f} s by the clock on the machine as busy as it was.")


def run_counted(brim, data):
    model, images, datapath = str(data / "mlperf-tiny/models" / COUNTED[0]), COUNTED[1].format(d=data), COUNTED[2]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    wall = measure(brim, "run", model, "--data", images, "--datapath", datapath, "--threads", "2")["seconds"]
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return {"wall": wall, "processor": after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime}


def models_of(data):
    return [str(data / "mlperf-tiny/models" / m) for m in MODELS]


def measure(brim, *arguments):
    print("running:", brim, *arguments, file=sys.stderr)
    done = subprocess.run([brim, *arguments, "--json"], stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"brim {' '.join(arguments)}: exit code {done.returncode}")
    return json.loads(done.stdout)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--brim", default=str(ROOT / "build/release/brim"))
    parser.add_argument("--data", type=pathlib.Path, default=ROOT.parent / "shared/data")
    parser.add_argument("--repeat", default="11")
    parser.add_argument("--keep", help="folder for the runs' JSON")
    parser.add_argument("--from", dest="source", help="folder of an earlier --keep")
    args = parser.parse_args()
    if args.source:
        folder = pathlib.Path(args.source)
        kernels = json.loads((folder / "kernels.json").read_text())
        runs = json.loads((folder / "models.json").read_text())
        seconds = json.loads((folder / "counted.json").read_text())
        wasm = json.loads((folder / "wasm.json").read_text())
    else:
        kernels = measure(args.brim, "bench", "kernels", "--repeat", args.repeat)
        runs = [measure(args.brim, "bench", "model", m, "--repeat", args.repeat) for m in models_of(args.data)]
        seconds = [run_counted(args.brim, args.data) for _ in range(5)]
        wasm = node()
    if args.keep:
        folder = pathlib.Path(args.keep)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "kernels.json").write_text(json.dumps(kernels, indent=1))
        (folder / "models.json").write_text(json.dumps(runs, indent=1))
        (folder / "counted.json").write_text(json.dumps(seconds))
        (folder / "wasm.json").write_text(json.dumps(wasm))
    parts = {"limits": lambda: limits(kernels), "goals": lambda: goals(kernels, runs, seconds, wasm), "models": lambda: models(runs),
             "counted": lambda: counted(seconds),
             "wasm": lambda: node_table(wasm) if wasm else "Not measured."}
    for name in dict.fromkeys(x["family"] for x in kernels["lines"]):
        for how in ("cold", "warm"):
            parts[f"{name} {how}"] = lambda name=name, how=how: family(kernels, name, how)

    def fill(match):
        make = parts.get(match[1])
        return f"<!-- {match[1]} -->\n{make() if make else 'Not measured.'}\n<!-- end -->"

    PAGE.write_text(re.sub(r"<!-- ([a-z]+(?: cold| warm)?) -->\n.*?<!-- end -->", fill, PAGE.read_text(), flags=re.S))


main()
