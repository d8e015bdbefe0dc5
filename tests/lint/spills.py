#!/usr/bin/env python3
"""spills.py ARCHIVE... - hot loops keep their vectors in registers.

A hot loop is an innermost loop (from the target of a backward branch to the branch) of an object of src/kernels/x86 or
arm that multiplies, looks up or adds narrow vectors. No instruction of it may move a vector from or to the stack: gcc 12 does that
with arrays of vectors, every compiler with more accumulators than there are registers. Pointers into the stack are
followed through moves and additions. `--self-test` compiles fixtures/spilling.c and has to find its spills.
"""
import os
import pathlib
import re
import subprocess
import sys
import tempfile

import disasm

ROOT = pathlib.Path(__file__).resolve().parents[2]

X86_HOT = re.compile(r"^(v?pmadd(ubsw|wd)|vpdp\w+|v?pmul(lw|ld|hw|hrsw)|tdpb\w+|v?padds?[bw]|v?psubs?[bw])$")
X86_VECTOR = re.compile(r"%([xyz]mm|tmm)\d")
X86_MEMORY = re.compile(r"\(%(\w+)")
X86_GENERAL = re.compile(r"%(r\w+|e[abcds]\w|e[sd]i|ebp|esp)")
ARM_HOT = re.compile(r"^([us]ml[as]l2?|[us]mull2?|[us]dot|usdot|mla|mls|sadalp|uadalp|sqadd|tbl|tbx)$")
ARM_VECTOR = re.compile(r"^(ldr|ldur|ldp|str|stur|stp|ld1r?|st1)$")


def loops(code):
    """(first, last) indices of innermost loops, and the branch targets that make them."""
    at = {instruction.address: i for i, instruction in enumerate(code)}
    found = set()
    for i, instruction in enumerate(code):
        if re.match(r"^(j|b[. ]|b$|cbn?z|tbn?z|loop)", instruction.mnemonic) and instruction.operands:
            target = re.match(r"^([0-9a-f]+)\b", instruction.operands[-1])
            first = at.get(int(target.group(1), 16)) if target else None
            if first is not None and first <= i:
                found.add((first, i))
    return [(a, b) for a, b in found if not any((c, d) != (a, b) and a <= c and d <= b for c, d in found)]


def stack_registers(code):
    """For each instruction, the registers that point into the stack before it, in order of the text."""
    framed = any(i.mnemonic == "mov" and i.operands == ["%rsp", "%rbp"] for i in code)
    pointers = {"rsp", "sp"} | ({"rbp"} if framed else set())
    fixed = set(pointers)
    for instruction in code:
        yield instruction, set(pointers)
        ops = instruction.operands
        if not ops:
            continue
        arm = not any("%" in op for op in ops)
        target = (ops[0] if arm else ops[-1]).lstrip("%")
        sources = ops[1:] if arm else ops[:-1]
        low = re.match(r"^(e([abcds][xip])|(r\d+)d)$", target)
        if low and instruction.mnemonic not in ("cmp", "test"):  # clears the upper half
            pointers.discard("r" + low[2] if low[2] else low[3])
        if target in fixed or not re.match(r"^(r[a-d]x|r[sd]i|rbp|r\d+|x\d+)$", target):
            continue
        if instruction.mnemonic in ("cmp", "test", "str", "stp", "push"):
            continue
        named = set(re.findall(r"%(\w+)", " ".join(sources)) if not arm else re.findall(r"\b(sp|x\d+)\b", " ".join(sources)))
        if instruction.mnemonic in ("lea", "mov", "movq") and not (instruction.mnemonic != "lea" and "(" in " ".join(sources)):
            derived = bool(named & pointers)
        elif instruction.mnemonic in ("add", "sub", "addq", "subq", "and"):
            derived = bool(named & pointers) or (not arm and target in pointers)
        else:
            derived = False
        (pointers.add if derived else pointers.discard)(target)


def moves_to_stack(instruction, pointers):
    if X86_VECTOR.search(instruction.text):
        if re.match(r"^(vp?broadcast.*|v?movd|v?movss)$", instruction.mnemonic) or "{1to" in instruction.text:
            return False  # a number, not a vector
        return any(register in pointers for register in X86_MEMORY.findall(instruction.text))
    if ARM_VECTOR.match(instruction.mnemonic) and re.search(r"(^|[{ ,])[qv]\d", " ".join(instruction.operands)):
        base = re.search(r"\[(\w+)", instruction.text)
        return base is not None and base.group(1) in pointers
    return False


def findings(function):
    hot = X86_HOT if any("%" in i.text for i in function.code) else ARM_HOT
    states = list(stack_registers(function.code))
    count = 0
    for first, last in sorted(loops(function.code)):
        body = states[first:last + 1]
        if not any(hot.match(i.mnemonic) for i, _ in body):
            continue
        count += 1
        bad = [i for i, pointers in body if moves_to_stack(i, pointers)]
        if bad:
            yield count, (f"{function.object} {function.name}: the loop at {body[0][0].address:x}..{body[-1][0].address:x} "
                          f"moves {len(bad)} vectors from or to the stack, first: {bad[0].address:x}: {bad[0].text}")
    yield count, None


def check(path, objects, objdump="objdump"):
    """(number of hot loops, messages)."""
    hot, messages = 0, []
    for function in disasm.functions(path, objdump):
        if objects is None or function.object in objects:
            last = 0
            for last, message in findings(function):
                if message:
                    messages.append(message)
            hot += last
    return hot, messages


def self_test():
    wrong = []
    if os.uname().machine != "x86_64":
        return wrong
    source = ROOT / "tests/lint/fixtures/spilling.c"
    with tempfile.TemporaryDirectory() as folder:
        for level in ("-O2", "-O3"):
            out = pathlib.Path(folder) / "spilling.o"
            subprocess.run(["gcc", "-std=c17", level, "-mavx512f", "-mavx512vnni", "-c", source, "-o", out], check=True)
            text = "\n".join(check(out, None)[1])
            major = int(subprocess.run(["gcc", "-dumpversion"], capture_output=True, text=True).stdout.split(".")[0])
            if " too_many: " not in text:
                wrong.append(f"spills: finds no spill in 40 accumulators ({level})")
            if major == 12 and " array_of_vectors: " not in text:
                wrong.append(f"spills: finds no spill in gcc 12's array of vectors ({level})")
            if " named: " in text:
                wrong.append(f"spills: finds a spill where there is none ({level})")
    return wrong


def main():
    if sys.argv[1:] == ["--self-test"]:
        bad = self_test()
        print("\n".join(bad) or "spills: finds what it must")
        return 1 if bad else 0
    objects = {f"{path.name}.o" for folder in ("x86", "arm") for path in (ROOT / "src/kernels" / folder).glob("*.c")}
    bad, hot = [], 0
    for path in sys.argv[1:]:
        some, messages = check(path, objects, disasm.tool("objdump", path))
        hot += some
        bad += messages or ([] if some else [f"spills: {path} has no hot loop"])
    print("\n".join(bad) or f"spills: clean ({hot} hot loops)")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
