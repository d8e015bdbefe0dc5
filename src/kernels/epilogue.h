/* epilogue.h - what becomes of an exact total. SPDX-License-Identifier: Apache-2.0
 *
 *     acc = total + offset[c]       modulo 2^32; whoever makes the kernel checks that it fits int32
 *     ACC     acc
 *     CLIPPED acc, or what is nearest to it within least..most
 *     WRAPPED acc modulo most - least + 1, a power of two, within least..most
 *     FLOAT   (float)acc * multiplier[c] (+ bias[c])                two roundings, never fused
 *     CODES   rint(clip((float)acc * multiplier[c], lo, hi)) + zero  half to even; lo, hi integers
 *
 * A product that is not a number clips to lo. y may be the totals where it is as wide.
 * Equal in every bit to docs/semantics.md's requantization, on every instruction set.
 */
#ifndef BRIM_KERNELS_EPILOGUE_H
#define BRIM_KERNELS_EPILOGUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum brim_emit {
    BRIM_EMIT_FLOAT, /* float */
    BRIM_EMIT_CODES, /* uint8_t; an int8_t has the same bytes */
    BRIM_EMIT_ACC,   /* int32_t, as the next ones */
    BRIM_EMIT_CLIPPED,
    BRIM_EMIT_WRAPPED
};

/* Does not ask for a multiplier. */
static inline bool brim_emits_acc(enum brim_emit emit)
{
    return emit >= BRIM_EMIT_ACC;
}

/* Arrays are [n] over output channels, borrowed. */
struct brim_epilogue {
    enum brim_emit emit;
    const int32_t *offset;   /* NULL = 0 */
    const float *multiplier; /* FLOAT and CODES */
    const float *bias;       /* FLOAT; NULL = none */
    float lo, hi;            /* CODES: least and greatest code, less zero */
    int32_t zero;            /* CODES */
    int32_t least, most;     /* CLIPPED and WRAPPED */
};

/* A block of totals: row i, column j at total[i * stride + j]; column j is channel first + j. */
struct brim_epilogue_block {
    const int32_t *total;
    size_t stride;
    size_t rows, columns, first;
    void *y;         /* element (0, 0) of the block */
    size_t y_stride; /* elements between rows */
};

typedef void brim_epilogue_run(const struct brim_epilogue *e, const struct brim_epilogue_block *b);

struct brim_epilogue_variant {
    const char *name;
    uint32_t isa;
    brim_epilogue_run *run;
};

/* Oldest first; the first is the scalar reference. */
extern const struct brim_epilogue_variant brim_epilogue_variants[];
extern const size_t brim_epilogue_variant_count;

/* The newest that `isa` has. */
const struct brim_epilogue_variant *brim_epilogue_choose(uint32_t isa);

/* What the table lists. */
brim_epilogue_run brim_epilogue_scalar, brim_epilogue_neon, brim_epilogue_simd128;
brim_epilogue_run brim_epilogue_sse41, brim_epilogue_avx2, brim_epilogue_avx512;

#endif
