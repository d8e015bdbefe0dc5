#!/usr/bin/env python3
"""arm_counts.py [ARCHIVE] - vector instructions of AArch64's hot loops, for 16 products each.

There is no such machine here to time: the table counts what gcc made of the loops, loads of x and w included. A loop
is the innermost one with the most multiplications, or lookups, of a function; what one of these does is in PRODUCTS.

    cmake --preset aarch64 && cmake --build --preset aarch64 && bench/arm_counts.py
"""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests/lint"))
import disasm  # noqa: E402
import spills  # noqa: E402

# Products of one instruction: 8 or 16 lanes; udot and sdot 4 in each of 4; a lookup resolves 2 weights of 16 outputs.
PRODUCTS = {"smull": 8, "smull2": 8, "smlal": 8, "smlal2": 8, "umull": 8, "umull2": 8, "umlal": 8, "umlal2": 8,
            "sdot": 16, "udot": 16, "tbl": 32}
VECTOR = re.compile(r"(^|[{ ,])[qv]\d")
# The largest tile of each kernel: object, function, what the table calls it.
ROWS = [
    ("gemm_neon.c.o", "tile32_2", "gemm neon-32", "2 rows x 16 outputs"),
    ("gemm_neon.c.o", "pair_2", "gemm neon-pair", "2 x 16"),
    ("gemm_neon.c.o", "tile16_3", "gemm neon-16", "3 x 16"),
    ("gemm_dotprod.c.o", "tile5", "gemm dotprod", "5 x 16"),
    ("gemv_neon.c.o", "run8", "gemv neon, 8 bits", "1 x 16"),
    ("gemv_neon.c.o", "run4", "gemv neon, 4 bits", "1 x 16"),
    ("gemv_neon.c.o", "run2", "gemv neon, 2 bits", "1 x 16"),
    ("gemv_dotprod.c.o", "tile8_1", "gemv dotprod, 8 bits", "1 x 16"),
    ("gemv_dotprod.c.o", "tile4_1", "gemv dotprod, 4 bits", "1 x 16"),
    ("gemv_dotprod.c.o", "tile2_1", "gemv dotprod, 2 bits", "1 x 16"),
    ("lookup_neon.c.o", "tile1", "lookup neon", "1 x 64"),
    ("lookup_neon.c.o", "tile4", "lookup neon", "4 x 64"),
]


def count(function):
    """(vector instructions, products) of the loop that multiplies most."""
    best = (0, 0)
    for first, last in spills.loops(function.code):
        body = function.code[first:last + 1]
        products = sum(PRODUCTS.get(i.mnemonic, 0) for i in body)
        vectors = sum(bool(VECTOR.search(" ".join(i.operands))) for i in body)
        best = max(best, (products, -vectors))
    return -best[1], best[0]


def main():
    archive = sys.argv[1] if len(sys.argv) > 1 else ROOT / "build/aarch64/libbrim.a"
    found = {(f.object, f.name): f for f in disasm.functions(archive, disasm.tool("objdump", archive))}
    print("| kernel | tile | vector instructions | products | for 16 products |\n|---|---|---|---|---|")
    for name, function, title, tile in ROWS:
        vectors, products = count(found[name, function])
        print(f"| {title} | {tile} | {vectors} | {products} | {16 * vectors / products:.2f} |")


main()
