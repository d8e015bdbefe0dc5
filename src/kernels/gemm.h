/* gemm.h - exact totals of many dot products over the same weights. SPDX-License-Identifier:
 * Apache-2.0
 *
 *     y[i][c] = epilogue(sum over k of x[i][k] * w[c][k])
 *
 * Weights are packed once, with what can be proved about them; the fastest variant that the proof
 * and the CPU allow is chosen then. Every variant gives the same bits.
 *
 * A row of x need not lie in one piece: its k codes may be `segments` runs of k / segments codes, at
 * the same offsets in every row. So a convolution is a product over its padded image, without a
 * matrix of patches: a row is an output position, a segment is a kernel row.
 */
#ifndef BRIM_KERNELS_GEMM_H
#define BRIM_KERNELS_GEMM_H

#include "base/alloc.h"
#include "kernels/epilogue.h"

struct brim_gemm_params {
    const int32_t *w; /* [n][k] codes, each in -128..127; copied */
    size_t n, k;
    size_t segments;               /* divides k; 1 = rows lie in one piece */
    int32_t x_min, x_max;          /* of the codes of x: within 0..255, or within -128..127 */
    bool x_signed;                 /* the bytes of x are int8_t */
    struct brim_epilogue epilogue; /* its arrays must outlive the product */
    const char *variant;           /* by name, for tests and benchmarks; NULL = the fastest */
    uint32_t avoid;                /* enum brim_isa: of these sets, nothing unless named */
};

struct brim_gemm; /* immutable once created, so it may be shared between threads */

/* BRIM_ERR_ARG: codes out of range, |total + offset| may reach 2^31, or the named variant is
 * unknown, not on this CPU, or not allowed by the weights. */
BRIM_NODISCARD brim_status brim_gemm_create(brim_ctx *ctx, const struct brim_gemm_params *p,
                                            struct brim_gemm **gemm);
void brim_gemm_free(brim_ctx *ctx, struct brim_gemm *gemm); /* NULL is fine */

struct brim_gemm_variant;
/* What runs products of m rows. */
const struct brim_gemm_variant *brim_gemm_chosen(const struct brim_gemm *gemm, size_t m);

/* Whether the lengths of the segments allow that to read them where they lie, given slack. */
bool brim_gemm_fits(const struct brim_gemm *gemm, size_t m);

/* Products that two 16-bit lanes are certified to add up in every output: 0 = not even pairs, 2 =
 * pairs alone, k = the whole reduction. */
size_t brim_gemm_certified(const struct brim_gemm *gemm);

/* Bytes of scratch that a run of m rows needs, 64-byte aligned. */
size_t brim_gemm_scratch(const struct brim_gemm *gemm, size_t m);

/* Rows of x that are made right before they are read, while they stay in L1. */
struct brim_gemm_source {
    void (*make)(void *state, size_t first, size_t m); /* rows first..first+m-1 */
    void *state;
    const uint8_t *x; /* row i is made of x + i * x_stride, */
    size_t x_stride;  /* which comes into L1 ahead of it */
};

struct brim_gemm_rows {
    size_t m;
    const void *x; /* row i at x + i * x_stride bytes */
    size_t x_stride;
    const size_t *segment; /* [segments] bytes from the row's start; NULL = one after another */
    bool slack;            /* 3 bytes behind every segment may be read, whatever they hold */
    void *y;               /* row i at y + i * y_stride elements: n float, uint8_t or int32_t */
    size_t y_stride;
    void *scratch;
    const struct brim_gemm_source *source; /* NULL: x is there */
};

void brim_gemm_run(const struct brim_gemm *gemm, const struct brim_gemm_rows *rows);

#endif
