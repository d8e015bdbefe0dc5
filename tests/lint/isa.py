#!/usr/bin/env python3
"""isa.py ARCHIVE... - each kernel object contains instructions of its own set alone.

The set is the last word of the file's name (gemm_avx2.c); files of src/kernels without one are for every processor, but
for loops that the compiler cloned, whose symbols name a set. Every instruction is given back to the assembler, told to
know that set and no other: its tables decide, and there is no list of instructions here to go stale.
`--self-test` has to find newer instructions that a wrong flag let in.
"""
import os
import pathlib
import re
import subprocess
import sys
import tempfile

import disasm

ROOT = pathlib.Path(__file__).resolve().parents[2]

# What base/cpu.h means by each level, in the assembler's words.
AVX512 = "+avx512f+avx512bw+avx512dq+avx512vl"
SETS = {
    "x86_64": {
        "": "generic64",
        "sse41": "generic64+sse4.1",
        "avx2": "generic64+avx2",
        "avxvnni": "generic64+avx2+avx_vnni",
        "avx512": "generic64" + AVX512,
        "avx512vnni": "generic64" + AVX512 + "+avx512_vnni",
        "avx512vbmi": "generic64" + AVX512 + "+avx512_vnni+avx512_vbmi",
        "amx": "generic64" + AVX512 + "+amx_int8+amx_tile",
    },
    "aarch64": {"": "armv8-a", "neon": "armv8-a", "dotprod": "armv8.2-a+dotprod"},
}
CLONES = {"avx512f": "generic64+avx512f+fma", "avx2": "generic64+avx2+fma", "default": "generic64", "resolver": "generic64"}
# Branches name addresses, not instructions; padding and landing pads are every processor's.
LEFT_OUT = re.compile(r"^(j\w+|call|b|bl|b\..+|cbn?z|tbn?z|adrp?|nop\w*|endbr64|bnd|\.\w+|ret|udf|\(bad\))$")


def family(path):
    """{object: set's name} of the archive's kernels."""
    names = {}
    for source in (ROOT / "src/kernels").rglob("*.c"):
        suffix = source.stem.rsplit("_", 1)[-1]
        folder = source.parent.name
        names[f"{source.name}.o"] = suffix if folder in ("x86", "arm") else ""
    return names


def refused(instructions, known, assembler):
    """The instructions that an assembler that knows `known` alone does not."""
    texts = sorted({re.sub(r"<[^>]*>", "", i.text) for i in instructions if not LEFT_OUT.match(i.mnemonic)})
    run = subprocess.run([assembler, f"-march={known}", "-o", "/dev/null", "-"], input="\n".join(texts) + "\n",
                         capture_output=True, text=True)
    lines = {int(match.group(1)) for match in re.finditer(r":(\d+): Error", run.stderr)}
    return [texts[i - 1] for i in sorted(lines)]


def check(path, names, sets, assembler, objdump):
    bad, seen = [], set()
    for function in disasm.functions(path, objdump):
        if function.object not in names:
            continue
        name = names[function.object]
        clone = function.name.rsplit(".", 1)[-1]
        known = CLONES[clone] if name == "" and clone in CLONES else sets.get(name)
        seen.add(function.object)
        if known is None:
            bad.append(f"{function.object}: no instruction set is named {name}")
            continue
        for text in refused(function.code, known, assembler):
            bad.append(f"{function.object} {function.name}: not of {known}: {text}")
    return len(seen), bad


def self_test():
    wrong = []
    if os.uname().machine != "x86_64":
        return wrong
    source = ROOT / "tests/lint/fixtures/spilling.c"
    with tempfile.TemporaryDirectory() as folder:
        out = pathlib.Path(folder) / "fixture.o"
        subprocess.run(["gcc", "-std=c17", "-O2", "-mavx512f", "-mavx512vnni", "-c", source, "-o", out], check=True)
        for name, fits in (("avx512vnni", True), ("avx512", False), ("avx2", False), ("amx", False)):
            listing = [f for f in disasm.functions(out)]
            bad = [text for f in listing for text in refused(f.code, SETS["x86_64"][name], "as")]
            if bool(bad) == fits:
                wrong.append(f"isa: a VNNI kernel passes as {name}" if bad == [] else f"isa: {name} lacks {bad[0]}")
    return wrong


def main():
    if sys.argv[1:] == ["--self-test"]:
        bad = self_test()
        print("\n".join(bad) or "isa: finds what it must")
        return 1 if bad else 0
    bad, objects = [], 0
    for path in sys.argv[1:]:
        objdump, assembler = disasm.tool("objdump", path), disasm.tool("as", path)
        some, messages = check(path, family(path), SETS["x86_64" if assembler == "as" else "aarch64"], assembler, objdump)
        objects += some
        bad += messages
    print("\n".join(bad[:40]) or f"isa: clean ({objects} objects)")
    return 1 if bad else 0


sys.exit(main())
