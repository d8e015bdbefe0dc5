/* residual.c - cross moments with the error of a residual branch. SPDX-License-Identifier: Apache-2.0
 *
 * y + r is what the network goes on with. When the prefix has r~ for r, the layer that makes y is
 * better asked for W x + (r - r~) than for W x: the least-squares target of quantize/layer.c takes
 * sum (r - r~) x~^T, gathered here, beside W G. Not in the papers; the effect is small: on ResNet-8 with
 * 5-bit activations the Kullback-Leibler divergence of the outputs from the float network's falls by
 * a tenth, at narrower accumulators nothing is gained or lost.
 *
 * Cost     n*k multiplications a row.
 * Example  r of two channels at three positions: tests/calibrate/test_residual.c: worked_example.
 */
#include "calibrate/residual.h"

#include <cblas.h>

void brim_residual_fill(const struct brim_rows *rows, const float *f, const float *q, float *out)
{
    const size_t n = rows->dot->n, positions = rows->per_sample;

    if (rows->dot->kind == BRIM_DOT_MATMUL) {
        for (size_t i = 0; i < n * positions; i++) {
            out[i] = f[i] - q[i];
        }
        return;
    }
    for (size_t c = 0; c < n; c++) {
        for (size_t i = 0; i < positions; i++) {
            out[i * n + c] = f[c * positions + i] - q[c * positions + i];
        }
    }
}

size_t brim_residual_scratch(size_t n, size_t k)
{
    return n * k;
}

void brim_residual_add(struct brim_moments *m, const float *r, const float *x, size_t rows,
                       float *scratch)
{
    const blasint n = (blasint)m->n, k = (blasint)m->k;

    cblas_sgemm(CblasRowMajor, CblasTrans, CblasNoTrans, n, k, (blasint)rows, 1.0f, r, n, x, k,
                0.0f, scratch, k);
    for (size_t i = 0; i < m->n * m->k; i++) {
        m->e[i] += (double)scratch[i];
    }
    for (size_t i = 0; i < rows; i++) {
        for (size_t c = 0; c < m->n; c++) {
            m->mean_e[c] += (double)r[i * m->n + c];
        }
    }
}
