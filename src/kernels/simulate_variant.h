/* simulate_variant.h - the table of the simulator's inner loops, which driver, tests and benchmarks
 * read. SPDX-License-Identifier: Apache-2.0
 *
 * A pass adds up, in K order, the products of 32 lanes with each of several shared rows, as one
 * register each would. Lanes of 16 bits lie in pairs, so that a pair is one 32-bit word:
 *
 *     panel   [count][16 words][2]   int16_t; lane l = 16*h + d is half h of word d
 *     shared  [count] words          uint32_t, low half for the lanes of half 0, high for half 1
 *
 *     product of lane l = panel half * shared half
 *
 * Two uses: the panel holds 32 outputs' weights and a shared word one input code twice; or a word of
 * the panel holds one row's input code twice and a shared word the weights of two outputs. Results
 * are [rows][32] in lane order.
 *
 * Passes named 16 add in 16-bit lanes and ask that products, times 2^shift where operands are
 * scaled, fit int16; those named 32 add in 32-bit lanes and ask that no sum leaves int32.
 */
#ifndef BRIM_KERNELS_SIMULATE_VARIANT_H
#define BRIM_KERNELS_SIMULATE_VARIANT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BRIM_SIMULATE_LANES 32
#define BRIM_SIMULATE_WORDS 16
#define BRIM_SIMULATE_ROWS  8 /* most shared rows of a call */

struct brim_simulate_tile {
    const int16_t *panel;
    const uint32_t *const *shared; /* [rows] */
    unsigned rows;                 /* 1..BRIM_SIMULATE_ROWS */
    size_t count;                  /* at least 1 */
    size_t tile;                   /* TILES: products a register; the last may have fewer */
    unsigned
        shift; /* SATURATE, TILES: operands are scaled by 2^shift together, results are scaled back */
    int32_t lo, hi; /* CLAMP: the register's rails */
    int32_t *value; /* [rows][32] what the registers hold at the end, rows `stride` apart */
    size_t stride;
    int32_t *least; /* RANGE, PRODUCTS: [rows][32] least and greatest, 0 included */
    int32_t *most;
    int32_t *tile_least; /* TILES_RANGE: of the totals of tiles */
    int32_t *tile_most;
};

enum brim_simulate_pass {
    BRIM_SATURATE16, /* rails -2^15, 2^15 - 1 of the scaled sums */
    BRIM_SATURATE32, /* rails -2^31, 2^31 - 1; may be missing */
    BRIM_CLAMP16,    /* rails lo, hi within int16 */
    BRIM_CLAMP32,
    BRIM_SUM16, /* modulo 2^16 */
    BRIM_SUM32, /* modulo 2^32 */
    /* Sums and the extremes of their prefixes. RANGE16 saturates: where an extreme is -2^15 or
     * 2^15 - 1 a prefix may have left 16 bits, and the lane's results mean nothing. */
    BRIM_RANGE16,
    BRIM_RANGE32,
    BRIM_PRODUCTS16, /* extremes of the products; value is not written */
    BRIM_PRODUCTS32,
    /* Registers of `tile` products each, one after another. */
    BRIM_TILES_SATURATE16, /* value: sum of what they hold, scaled back, modulo 2^32 */
    BRIM_TILES_SUM16,
    BRIM_TILES_RANGE32, /* extremes of all their prefixes, and of their totals; value is not written */
    BRIM_SIMULATE_PASSES
};

typedef void brim_simulate_fn(const struct brim_simulate_tile *tile);

struct brim_simulate_variant {
    const char *name;
    uint32_t isa; /* enum brim_isa */
    brim_simulate_fn *pass[BRIM_SIMULATE_PASSES];
    /* panel[j][d] = x[d][j] for d < 16, j < count: rows of words side by side. Words of rows that
     * are NULL are 0. */
    void (*interleave)(const uint32_t *const x[BRIM_SIMULATE_WORDS], size_t count, uint32_t *panel);
};

/* Oldest first; the first is the scalar reference. */
extern const struct brim_simulate_variant *const brim_simulate_variants[];
extern const size_t brim_simulate_variant_count;

/* The newest that `isa` has. */
const struct brim_simulate_variant *brim_simulate_choose(uint32_t isa);

#endif
