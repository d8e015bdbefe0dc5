/* bound.h - registers: their text form, and what any input can do to them.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef BRIM_CHECK_BOUND_H
#define BRIM_CHECK_BOUND_H

#include "check/products.h"

#define MAX_STAGES   4
#define OUTSIDE_BITS 32 /* the register behind the datapath: correction and bias */

struct stage {
    unsigned width;
    uint64_t tile; /* products under one register, 0 = all */
};

struct datapath {
    size_t n_stages;
    struct stage stage[MAX_STAGES];
};

/* stage[,stage]..., stage = width[/tile][s|q[rounds]|g|p]. How a register behaves when it overflows
 * does not matter to a proof that it never does. */
bool datapath_parse(struct check *c, const char *text, struct datapath *dp);

/* Does this stage add up what the registers of vectors, times their factors, hand on? */
bool beyond_vectors(const struct layer *l, const struct datapath *dp, size_t stage);

struct bounds {
    unsigned need[MAX_STAGES]; /* narrowest safe register of each stage */
    size_t worst_channel;
    int64_t sum_min, sum_max; /* of the worst channel */
    unsigned outside_bits;
    bool proven;
};

bool layer_bounds(struct check *c, const struct layer *l, const struct datapath *dp,
                  struct bounds *b);

/* Sums are exact: 2^63 products of 2^48 would fit. */
__extension__ typedef __int128 wide;

/* Bits of the narrowest two's complement register that holds [lo, hi], at least 2. */
unsigned bits_for(wide lo, wide hi);

#endif
