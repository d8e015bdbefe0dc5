/* lookup_variant.h - the table of lookup's inner loops, which packer, selector, tests and benchmarks
 * read. SPDX-License-Identifier: Apache-2.0
 *
 * A step is one lookup: `weights` consecutive weights of an output choose an entry of the table of
 * the `weights` inputs they meet. The table has one entry for every combination of 2-bit weights:
 *
 *     entry e = sum over j < weights of value[e >> 2*j & 3] * x[j]  mod 256,   value = {0, 1, -2, -1}
 *
 * x is already centred (brim_lookup_build's flip and add). Steps come in pairs, outputs in panels of
 * 64, and the reduction in blocks of whole pairs:
 *
 *     weights = 2    index [block][panel][pair][64 outputs]     first step in bits 0..3, second in 4..7
 *     weights = 3    index [block][panel][step][64 outputs]     bits 0..5, the others 0
 *
 * A variant sums `tile` steps in 8 bits, then adds these sums into 16 bits: its state, in whatever
 * form and order is cheapest. The packer has proven that the sums fit (lookup.h).
 */
#ifndef BRIM_KERNELS_LOOKUP_VARIANT_H
#define BRIM_KERNELS_LOOKUP_VARIANT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BRIM_LOOKUP_PANEL 64 /* outputs */
#define BRIM_LOOKUP_ALIGN                                                                          \
    32 /* steps: blocks but the last are multiples, tables have room for one */

/* Tables of `rows` rows. */
struct brim_lookup_build {
    unsigned rows;
    const uint8_t *x; /* row i at x + i * x_stride, 64 more bytes may be read behind the last */
    size_t x_stride;
    size_t steps;      /* even */
    uint8_t flip, add; /* centred x = (x ^ flip) + add mod 256 */
    uint8_t *table;    /* [steps rounded up to BRIM_LOOKUP_ALIGN][rows][4^weights] */
};

/* Adds `steps` lookups of one block to the state of rows x (64 * panels) outputs. */
struct brim_lookup_tile {
    unsigned rows, panels; /* 1..variant's */
    const uint8_t *table;  /* [steps][rows][4^weights] */
    const uint8_t *index;  /* [panels][...], contiguous */
    size_t steps;          /* even */
    size_t tile;           /* even: so many consecutive steps fit 8 bits */
    uint16_t *state;       /* [panels][rows][64] */
    bool first;            /* whatever the state holds, it begins at 0 */
};

/* Totals from the state of one panel: at most 64 columns. */
struct brim_lookup_finish {
    unsigned rows;
    const uint16_t *state; /* [rows][64] */
    uint32_t tiles;        /* that the state has added up */
    int32_t *y;            /* row i at y + i * y_stride, 64 columns */
    size_t y_stride;
    bool add; /* to what y holds */
};

/* Cycles for each k of a row: what brim_lookup_pays() weighs. Measured, in cache. */
struct brim_lookup_cost {
    double panel;  /* the lookups of a panel */
    double single; /* of a panel, divided by the rows of a tile: indices, their unpacking */
    double widen;  /* of a panel, divided by the products of a tile */
    double table;  /* building */
};

struct brim_lookup_variant {
    const char *name; /* "avx2" */
    uint32_t isa;     /* enum brim_isa */
    unsigned weights; /* of a step: 2 or 3 */
    unsigned rows, panels;
    unsigned block; /* most steps of a block: tables of `rows` rows stay in the first-level cache */
    unsigned rank;  /* where costs are not known, the allowed variant of highest rank runs */
    struct brim_lookup_cost cost; /* 0: never chosen over multiplying */
    void (*build)(const struct brim_lookup_build *build);
    void (*run)(const struct brim_lookup_tile *tile);
    void (*finish)(const struct brim_lookup_finish *finish);
};

extern const struct brim_lookup_variant brim_lookup_scalar, brim_lookup_avx2, brim_lookup_avx512,
    brim_lookup_avx512vbmi, brim_lookup_neon, brim_lookup_relaxed, brim_lookup_simd128;

/* What the variants of AVX-512 share with AVX2's. */
void brim_lookup_build_avx2(const struct brim_lookup_build *b);
void brim_lookup_finish_avx2(const struct brim_lookup_finish *f);

/* The first is the scalar reference. */
extern const struct brim_lookup_variant *const brim_lookup_variants[];
extern const size_t brim_lookup_variant_count;

/* The one that `isa` has with the least costs for many rows of n outputs, or without costs the one of
 * highest rank, of those with at most `weights` in a step. */
const struct brim_lookup_variant *brim_lookup_choose(uint32_t isa, size_t n, unsigned weights);

const struct brim_lookup_variant *brim_lookup_find(const char *name); /* NULL: none */

#endif
