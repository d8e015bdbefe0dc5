/* dot_ordered.h - orders of addition that look at the products: PQS's sorted rounds and sign-greedy,
 * 32 dot products at a time. SPDX-License-Identifier: Apache-2.0 */
#ifndef BRIM_KERNELS_DOT_ORDERED_H
#define BRIM_KERNELS_DOT_ORDERED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BRIM_ORDERED_LANES 32

/* One register for each lane, docs/semantics.md sections 7 and 8. */
struct brim_ordered {
    size_t k;
    bool greedy;
    uint32_t rounds; /* else: of pairing, 0 = until one sign is left */
    int32_t lo, hi;  /* the register's rails, within 31 bits */
    bool count;      /* else only value is filled */
    int16_t *term; /* [k][32] products in K order; the magnitudes of a lane's sum to less than 2^30.
                        Overwritten */
    int32_t *list; /* greedy: [32][k] */
    int32_t value[BRIM_ORDERED_LANES]; /* what the register holds at the end */
    int32_t total[BRIM_ORDERED_LANES]; /* exact */
    int32_t left[BRIM_ORDERED_LANES];  /* 0 or not: some sum left the register */
    int32_t odd[BRIM_ORDERED_LANES];   /* 0 or 1: some product does not fit it */
    int32_t least[BRIM_ORDERED_LANES]; /* extremes of the prefixes in K order, 0 included */
    int32_t most[BRIM_ORDERED_LANES];
};

void brim_ordered_run(struct brim_ordered *s);

#endif
