/* gemv.h - exact totals of 1 to 4 rows, weights stored at their own width. SPDX-License-Identifier:
 * Apache-2.0
 *
 *     y[i][c] = epilogue(sum over k of x[i][k] * w[c][k])
 *
 * Each weight serves a few products only, so the time is that of reading the weights: 4-bit codes
 * take half of it, 2-bit codes a quarter. Every variant gives the same bits.
 */
#ifndef BRIM_KERNELS_GEMV_H
#define BRIM_KERNELS_GEMV_H

#include "base/alloc.h"
#include "kernels/epilogue.h"

#define BRIM_GEMV_ROWS 4 /* most */

struct brim_gemv_params {
    const int32_t *w; /* [n][k] codes, each in -2^(bits-1) .. 2^(bits-1)-1; copied */
    size_t n, k;
    unsigned bits;                 /* 2, 4 or 8 */
    int32_t x_min, x_max;          /* of the codes of x: within 0..255, or within -128..127 */
    bool x_signed;                 /* the bytes of x are int8_t */
    struct brim_epilogue epilogue; /* its arrays must outlive the product, offset is copied */
    const char *variant;           /* by name, for tests and benchmarks; NULL = the fastest */
};

struct brim_gemv; /* immutable once created, so it may be shared between threads */

/* BRIM_ERR_ARG: codes out of range, |total + offset| may reach 2^31, k beyond 2^19, or the named
 * variant is unknown or not on this CPU. */
BRIM_NODISCARD brim_status brim_gemv_create(brim_ctx *ctx, const struct brim_gemv_params *p,
                                            struct brim_gemv **gemv);
void brim_gemv_free(brim_ctx *ctx, struct brim_gemv *gemv); /* NULL is fine */

struct brim_gemv_variant;
const struct brim_gemv_variant *brim_gemv_chosen(const struct brim_gemv *gemv);

/* Bytes of scratch that a run needs, 64-byte aligned. */
size_t brim_gemv_scratch(const struct brim_gemv *gemv);

struct brim_gemv_rows {
    size_t m;      /* 1..BRIM_GEMV_ROWS */
    const void *x; /* row i at x + i * x_stride bytes; k of them are read */
    size_t x_stride;
    void *y; /* row i at y + i * y_stride elements: n float, uint8_t or int32_t */
    size_t y_stride;
    void *scratch;
};

void brim_gemv_run(const struct brim_gemv *gemv, const struct brim_gemv_rows *rows);

#endif
