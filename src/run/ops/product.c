/* product.c - see product.h. SPDX-License-Identifier: Apache-2.0
 *
 * Lanes run over columns; up to four rows share what is read of b:
 *
 *     for p in 0..k:   y[row][0..31] += a[row][p] * panel[p][0..31]
 *
 * This file alone is compiled with fused multiply-add allowed: a product of two floats has 48 bits,
 * so double holds it, and fusing it with the addition rounds the same sum once as well.
 */
#include "run/ops/product.h"

#include <string.h>

#include "base/clones.h"
#include "base/intops.h"

#define LANES   BRIM_PRODUCT_LANES
#define WIDTH   ((size_t)8) /* doubles of a vector */
#define VECTORS ((size_t)4) /* LANES / WIDTH */
#define ROWS    ((size_t)4)

typedef float floats __attribute__((vector_size(32)));
typedef double doubles __attribute__((vector_size(64)));

void brim_product_pack(const float *b, size_t k, size_t n, bool transposed, float *packed)
{
    for (size_t first = 0; first < n; first += LANES, packed += k * LANES) {
        const size_t count = brim_min_size(LANES, n - first);
        for (size_t p = 0; p < k; p++) {
            float *to = packed + p * LANES;
            for (size_t j = 0; j < count; j++) {
                to[j] = transposed ? b[(first + j) * k + p] : b[p * n + first + j];
            }
            memset(to + count, 0, (LANES - count) * sizeof *to);
        }
    }
}

/* ROWS rows of one panel. */
BRIM_CLONES
static void four_rows(const double *a, const float *panel, size_t k, double *y)
{
    doubles sum[ROWS][VECTORS] = {{{0}}};

    for (size_t p = 0; p < k; p++) {
        for (size_t v = 0; v < VECTORS; v++) {
            floats f;
            memcpy(&f, panel + p * LANES + v * WIDTH, sizeof f);
            const doubles w = __builtin_convertvector(f, doubles);
            for (size_t r = 0; r < ROWS; r++) {
                sum[r][v] += a[r * k + p] * w;
            }
        }
    }
    memcpy(y, sum, sizeof sum);
}

BRIM_CLONES
static void one_row(const double *a, const float *panel, size_t k, double *y)
{
    doubles sum[VECTORS] = {{0}};

    for (size_t p = 0; p < k; p++) {
        for (size_t v = 0; v < VECTORS; v++) {
            floats f;
            memcpy(&f, panel + p * LANES + v * WIDTH, sizeof f);
            sum[v] += a[p] * __builtin_convertvector(f, doubles);
        }
    }
    memcpy(y, sum, sizeof sum);
}

void brim_product_run(const struct brim_product *p)
{
    double y[ROWS * BRIM_PRODUCT_LANES];
    const float *panel = p->packed;

    for (size_t first = 0; first < p->n; first += LANES, panel += p->k * LANES) {
        const size_t count = brim_min_size(LANES, p->n - first);
        for (size_t row = 0; row < p->m;) {
            const size_t rows = p->m - row >= ROWS ? ROWS : 1;
            if (rows == ROWS) {
                four_rows(p->a + row * p->k, panel, p->k, y);
            } else {
                one_row(p->a + row * p->k, panel, p->k, y);
            }
            for (size_t r = 0; r < rows; r++, row++) {
                memcpy(p->y + row * p->n + first, y + r * LANES, count * sizeof *y);
            }
        }
    }
}
