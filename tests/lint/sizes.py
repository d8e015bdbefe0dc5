#!/usr/bin/env python3
"""sizes.py - files under 800 lines, functions under 60 (kernels and tables of tests exempt), unique names, also of
cloned functions: clang 14 gives their resolvers to the linker."""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
CLONED = re.compile(r"BRIM_CLONES\s+static\s[\w\s*]*?\b(\w+)\(")
FILE_LINES, FUNCTION_LINES = 800, 60


def functions(lines):
    """(name, first line, length) of every function: a '{' and a '}' alone in column 0."""
    start = None
    for i, line in enumerate(lines):
        if line == "{":
            start = i
        elif line == "}" and start is not None:
            head = " ".join(lines[max(0, start - 4):start])
            names = re.findall(r"(\w+)\(", head)
            yield (names[-1] if names else "?", start + 1, i - start - 1)
            start = None


def main():
    bad, seen, cloned = [], {}, {}
    for top in ("include", "src", "cli", "check", "tests", "bench"):
        for path in sorted((ROOT / top).rglob("*.[ch]")):
            rel = path.relative_to(ROOT)
            lines = path.read_text().split("\n")
            if len(lines) > FILE_LINES:
                bad.append(f"{rel}: {len(lines)} lines, at most {FILE_LINES}")
            for name in CLONED.findall("\n".join(lines)):
                if name in cloned:
                    bad.append(f"{rel}: the cloned function {name} is in {cloned[name]} too")
                cloned.setdefault(name, rel)
            if path.suffix == ".c":
                key = path.name
                if key in seen and top in ("src", "cli", "check"):
                    bad.append(f"{rel}: the name is taken by {seen[key]}")
                seen.setdefault(key, rel)
                if top not in ("tests", "bench") and "kernels" not in rel.parts:
                    for name, line, length in functions(lines):
                        if length > FUNCTION_LINES:
                            bad.append(f"{rel}:{line}: {name} has {length} lines, at most {FUNCTION_LINES}")
    print("\n".join(bad) or "sizes: clean")
    return 1 if bad else 0


sys.exit(main())
