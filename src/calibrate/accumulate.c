/* accumulate.c - sums of outer products, block by block. SPDX-License-Identifier: Apache-2.0
 *
 * A block of some thousand rows is multiplied in single precision (ssyrk, sgemm), the product added
 * to double. Blocks and panels depend on sizes only, so the bits do not depend on threads:
 *
 *     h, panel p:   | sgemm  | ssyrk \ |        g, panel p:  | sgemm            |
 *
 * Cost  per row: k*k multiplications for h (the lower triangle), 2*k*k for g.
 */
#include "calibrate/accumulate.h"

#include <cblas.h>

#include "base/intops.h"

#define MIN_ROWS     ((size_t)2048)
#define MAX_ROWS     ((size_t)8192)
#define BLOCK_FLOATS ((size_t)1 << 20)

size_t brim_block_rows(size_t columns)
{
    const size_t n = BLOCK_FLOATS / columns;

    return n < MIN_ROWS ? MIN_ROWS : brim_min_size(n, MAX_ROWS);
}

/* Thin panels starve the matrix kernels (a 144-row panel reached half the rate of the whole), so
 * small layers have few: h whole, g whole or in halves, which also makes three equal parts. */
static size_t h_panels(size_t k)
{
    return k < 1024 ? 1 : 4;
}

static size_t g_panels(size_t k)
{
    return k < 96 ? 1 : k < 1024 ? 2 : 4;
}

/* First row of panel p of n, a multiple of 16. */
static size_t panel_start(size_t k, size_t p, size_t n)
{
    return p == n ? k : k * p / n / 16 * 16;
}

size_t brim_block_panels(size_t k)
{
    return h_panels(k) + g_panels(k);
}

size_t brim_block_scratch(size_t k)
{
    const size_t rows = k < 1024 ? k : k / 4 + 16; /* of the largest panel */

    return rows * k + MAX_ROWS + k;
}

/* sum += column sums; single precision within the block, as everything else. */
static void add_sums(const struct brim_block *b, const float *x, double *sum, float *scratch)
{
    float *ones = scratch, *y = scratch + b->rows;

    for (size_t r = 0; r < b->rows; r++) {
        ones[r] = 1.0f;
    }
    cblas_sgemv(CblasRowMajor, CblasTrans, (blasint)b->rows, (blasint)b->k, 1.0f, x,
                (blasint)b->stride, ones, 1, 0.0f, y, 1);
    for (size_t i = 0; i < b->k; i++) {
        sum[i] += (double)y[i];
    }
}

static void add_h(const struct brim_block *b, size_t p, float *scratch)
{
    const size_t from = panel_start(b->k, p, h_panels(b->k));
    const size_t to = panel_start(b->k, p + 1, h_panels(b->k));
    const blasint m = (blasint)(to - from), k = (blasint)b->k, rows = (blasint)b->rows;
    const blasint stride = (blasint)b->stride;

    if (from > 0) {
        cblas_sgemm(CblasRowMajor, CblasTrans, CblasNoTrans, m, (blasint)from, rows, 1.0f,
                    b->q + from, stride, b->q, stride, 0.0f, scratch, k);
    }
    cblas_ssyrk(CblasRowMajor, CblasLower, CblasTrans, m, rows, 1.0f, b->q + from, stride, 0.0f,
                scratch + from, k);
    for (size_t i = from; i < to; i++) {
        for (size_t j = 0; j <= i; j++) {
            b->h[i * b->k + j] += (double)scratch[(i - from) * b->k + j];
        }
    }
    if (p == 0) {
        add_sums(b, b->q, b->sum_q, scratch);
    }
}

static void add_g(const struct brim_block *b, size_t p, float *scratch)
{
    const size_t from = panel_start(b->k, p, g_panels(b->k));
    const size_t to = panel_start(b->k, p + 1, g_panels(b->k));

    cblas_sgemm(CblasRowMajor, CblasTrans, CblasNoTrans, (blasint)(to - from), (blasint)b->k,
                (blasint)b->rows, 1.0f, b->q + from, (blasint)b->stride, b->f, (blasint)b->stride,
                0.0f, scratch, (blasint)b->k);
    for (size_t i = 0; i < (to - from) * b->k; i++) {
        b->g[from * b->k + i] += (double)scratch[i];
    }
    if (p == 0) {
        add_sums(b, b->f, b->sum_f, scratch);
    }
}

void brim_block_add(const struct brim_block *b, size_t p, float *scratch)
{
    if (p < h_panels(b->k)) {
        add_h(b, p, scratch);
    } else {
        add_g(b, p - h_panels(b->k), scratch);
    }
}

void brim_block_mirror(double *h, size_t k)
{
    for (size_t i = 0; i < k; i++) {
        for (size_t j = 0; j < i; j++) {
            h[j * k + i] = h[i * k + j];
        }
    }
}
