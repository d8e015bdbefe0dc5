#!/usr/bin/env python3
"""banned.py - calls that the library does not make: it never prints, exits or aborts, allocates only
through base/alloc.c, and uses no unbounded or locale-bound string function."""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
BANNED = ("malloc calloc realloc free printf puts putchar exit _exit abort sprintf vsprintf strcpy strcat "
          "gets atoi atol atof rand srand strtok alloca lrint lrintf setlocale").split()
ALLOWED = {"src/base/alloc.c": {"malloc", "free"}, "src/base/ctx.c": {"malloc", "free"}}
# Members and libraries' own release calls read as "x->free(" or "cblas_free(": only bare calls count.
CALL = re.compile(r"(?<![\w.>])(" + "|".join(BANNED) + r")\s*\(")
COMMENT = re.compile(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\])*"', re.S)


def main():
    bad = []
    for path in sorted((ROOT / "src").rglob("*.[ch]")):
        rel = str(path.relative_to(ROOT))
        text = COMMENT.sub(lambda m: "\n" * m.group().count("\n"), path.read_text())
        for i, line in enumerate(text.split("\n"), 1):
            for name in CALL.findall(line):
                if name not in ALLOWED.get(rel, ()):
                    bad.append(f"{rel}:{i}: calls {name}")
            if re.search(r"\bTODO\b|\bFIXME\b|\bXXX\b", line):
                bad.append(f"{rel}:{i}: a note to self belongs in an issue")
    print("\n".join(bad) or "banned: clean")
    return 1 if bad else 0


sys.exit(main())
