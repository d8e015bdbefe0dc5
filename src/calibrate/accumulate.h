/* accumulate.h - sums of outer products, block by block. SPDX-License-Identifier: Apache-2.0 */
#ifndef BRIM_CALIBRATE_ACCUMULATE_H
#define BRIM_CALIBRATE_ACCUMULATE_H

#include "base/ctx.h"

/* One group's share of a block: rows of k columns, `stride` floats apart. */
struct brim_block {
    const float *q, *f; /* X~ and X */
    size_t rows, stride, k;
    double *h, *g;         /* [k][k]; of h only the lower triangle */
    double *sum_q, *sum_f; /* [k] column sums */
};

/* Parts (panels of rows of h, then of g) that can be added independently. */
size_t brim_block_panels(size_t k);
/* Floats of scratch for a part of a block of at most brim_block_rows(). */
size_t brim_block_scratch(size_t k);
/* h += X~^T X~, g += X~^T X, sums += columns: part `p` of it. */
void brim_block_add(const struct brim_block *b, size_t p, float *scratch);

/* The same for BRIM_ROW_LANES groups at once, whose columns lie side by side: tap i of group l at
 * column i * BRIM_ROW_LANES + l. The first n of them count; h, g and the sums are those of the
 * first, the others behind it. */
struct brim_lane_block {
    const float *q, *f;
    size_t rows, stride, k, n;
    double *h, *g, *sum_q, *sum_f;
};
void brim_lane_block_add(const struct brim_lane_block *b);

/* Rows that make a block: enough to hide adding k*k doubles behind rows*k*k multiplications, few
 * enough that single precision keeps its digits. */
size_t brim_block_rows(size_t columns);

/* Copy the lower triangle of h to the upper. */
void brim_block_mirror(double *h, size_t k);

#endif
