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

#include "base/alloc.h"
#include "base/intops.h"
#include "base/parallel.h"
#include "brim/quantize.h"

#define MIN_ROWS     ((size_t)2048)
#define MAX_ROWS     ((size_t)8192)
#define BLOCK_FLOATS ((size_t)1 << 20)
#define MIN_PANEL    ((size_t)48)

size_t brim_block_rows(size_t columns)
{
    const size_t n = BLOCK_FLOATS / columns;

    return n < MIN_ROWS ? MIN_ROWS : brim_min_size(n, MAX_ROWS);
}

/* Four panels, of a multiple of 16 rows and at least MIN_PANEL. */
static size_t panel_size(size_t k)
{
    const size_t quarter = (k / 4 + 15) / 16 * 16;

    return brim_max_size(quarter, MIN_PANEL);
}

size_t brim_block_panels(size_t k)
{
    return (k + panel_size(k) - 1) / panel_size(k);
}

size_t brim_block_scratch(size_t k)
{
    return brim_min_size(panel_size(k), k) * k;
}

static void add_sums(const struct brim_block *b, size_t from, size_t to)
{
    for (size_t r = 0; r < b->rows; r++) {
        const float *q = b->q + r * b->stride, *f = b->f + r * b->stride;
        for (size_t i = from; i < to; i++) {
            b->sum_q[i] += (double)q[i];
            b->sum_f[i] += (double)f[i];
        }
    }
}

void brim_block_add(const struct brim_block *b, size_t p, float *scratch)
{
    const size_t from = p * panel_size(b->k), to = brim_min_size(from + panel_size(b->k), b->k);
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
    cblas_sgemm(CblasRowMajor, CblasTrans, CblasNoTrans, m, k, rows, 1.0f, b->q + from, stride,
                b->f, stride, 0.0f, scratch, k);
    for (size_t i = 0; i < (to - from) * b->k; i++) {
        b->g[from * b->k + i] += (double)scratch[i];
    }
    if (b->sum_q != NULL) {
        add_sums(b, from, to);
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
