/* sparse.h - exact totals where at most `keep` of every `group` weights are not zero, at the same
 * places for a block of outputs. SPDX-License-Identifier: Apache-2.0
 *
 *     y[i][c] = epilogue(sum over k of x[i][k] * w[c][k])
 *
 * Kept weights are packed densely. A run gathers, for every block of outputs, the codes of x that
 * its weights meet, once for a few rows, and multiplies as gemm does.
 */
#ifndef BRIM_KERNELS_SPARSE_H
#define BRIM_KERNELS_SPARSE_H

#include "base/alloc.h"
#include "kernels/epilogue.h"

struct brim_sparse_params {
    const int32_t *w; /* [n][k] codes, each in -128..127; copied */
    size_t n, k;
    unsigned keep, group;          /* keep < group <= 64; the last group of k may be short */
    unsigned block;                /* outputs that share their pattern: a multiple of 16 */
    int32_t x_min, x_max;          /* of the codes of x: within 0..255, or within -128..127 */
    bool x_signed;                 /* the bytes of x are int8_t */
    struct brim_epilogue epilogue; /* its arrays must outlive the product, offset is copied */
    const char *variant;           /* gemm's, by name; NULL = the fastest */
    const char *gather;            /* brim_sparse_gathers's, by name; NULL = the fastest */
};

struct brim_sparse; /* immutable once created, so it may be shared between threads */

/* BRIM_ERR_ARG: a block keeps more of a group than it may, codes out of range, |total + offset| may
 * reach 2^31, or a named variant is unknown, not on this CPU, or not allowed by the weights. */
BRIM_NODISCARD brim_status brim_sparse_create(brim_ctx *ctx, const struct brim_sparse_params *p,
                                              struct brim_sparse **sparse);
void brim_sparse_free(brim_ctx *ctx, struct brim_sparse *sparse); /* NULL is fine */

/* What multiplies m rows of the first block, and what gathers. */
struct brim_gemm_variant;
struct brim_sparse_gather;
const struct brim_gemm_variant *brim_sparse_chosen(const struct brim_sparse *sparse, size_t m);
const struct brim_sparse_gather *brim_sparse_gather_chosen(const struct brim_sparse *sparse);

/* Bytes of scratch that a run of m rows needs, 64-byte aligned. */
size_t brim_sparse_scratch(const struct brim_sparse *sparse, size_t m);

struct brim_sparse_rows {
    size_t m;
    const void *x; /* row i at x + i * x_stride bytes; k of them are read */
    size_t x_stride;
    void *y; /* row i at y + i * y_stride elements: n float, uint8_t or int32_t */
    size_t y_stride;
    void *scratch;
};

void brim_sparse_run(const struct brim_sparse *sparse, const struct brim_sparse_rows *rows);

#endif
