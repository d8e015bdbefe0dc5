/* dot_gemm.c - totals by floating-point matrix products, exact while every partial sum is an
 * integer of the mantissa. SPDX-License-Identifier: Apache-2.0
 *
 * For codes of more than 8 bits. Scratch: [block][k] inputs and [block][outputs] totals; a mebibyte
 * of inputs at a time stays in the caches.
 */
#include "base/intops.h"
#include "kernels/dot_kernel.h"

#include <cblas.h>

brim_status brim_dot_gemm_pack(brim_ctx *ctx, struct brim_dot_kernel *d)
{
    const bool f32 = d->plan.path == BRIM_DOT_GEMM_F32;
    const size_t size = f32 ? sizeof(float) : sizeof(double), count = d->n * d->k;
    const size_t target = ((size_t)1 << 20) / size / (d->k + d->outputs);
    size_t width;

    d->block = brim_min_size(brim_max_size(target, 16), 1024);
    if (!brim_add_size(d->k, d->outputs, &width) || !brim_mul_size(width, size, &width) ||
        !brim_mul_size(d->block, width, &d->scratch)) {
        return brim_fail(ctx, BRIM_ERR_NOMEM, "%zu weights: too large", d->k);
    }
    d->real = brim_alloc(ctx, count, size);
    if (d->real == NULL) {
        return BRIM_ERR_NOMEM;
    }
    for (size_t i = 0; i < count; i++) {
        if (f32) {
            ((float *)d->real)[i] = (float)d->w[i];
        } else {
            ((double *)d->real)[i] = (double)d->w[i];
        }
    }
    return BRIM_OK;
}

static void gemm_f32(const struct brim_dot_kernel *d, const struct brim_dot_rows *r, size_t first,
                     size_t m)
{
    float *x = r->scratch, *y = x + d->block * d->k;
    const float *w = (const float *)d->real + r->group * d->outputs * d->k;

    for (size_t i = 0; i < m; i++) {
        const int32_t *from = brim_dot_row(r, first + i);

        for (size_t j = 0; j < d->k; j++) {
            x[i * d->k + j] = (float)from[j];
        }
    }
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, (blasint)m, (blasint)d->outputs,
                (blasint)d->k, 1.0f, x, (blasint)d->k, w, (blasint)d->k, 0.0f, y,
                (blasint)d->outputs);
    for (size_t i = 0; i < m; i++) {
        for (size_t c = 0; c < d->outputs; c++) {
            const int64_t total = (int64_t)y[i * d->outputs + c];

            brim_dot_write(r, first + i, c, brim_dot_finish(&d->plan.lanes.stage[0], total));
        }
    }
}

static void gemm_f64(const struct brim_dot_kernel *d, const struct brim_dot_rows *r, size_t first,
                     size_t m)
{
    double *x = r->scratch, *y = x + d->block * d->k;
    const double *w = (const double *)d->real + r->group * d->outputs * d->k;

    for (size_t i = 0; i < m; i++) {
        const int32_t *from = brim_dot_row(r, first + i);

        for (size_t j = 0; j < d->k; j++) {
            x[i * d->k + j] = (double)from[j];
        }
    }
    cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasTrans, (blasint)m, (blasint)d->outputs,
                (blasint)d->k, 1.0, x, (blasint)d->k, w, (blasint)d->k, 0.0, y,
                (blasint)d->outputs);
    for (size_t i = 0; i < m; i++) {
        for (size_t c = 0; c < d->outputs; c++) {
            const int64_t total = (int64_t)y[i * d->outputs + c];

            brim_dot_write(r, first + i, c, brim_dot_finish(&d->plan.lanes.stage[0], total));
        }
    }
}

void brim_dot_gemm_run(const struct brim_dot_kernel *d, const struct brim_dot_rows *r)
{
    for (size_t first = 0; first < r->m; first += d->block) {
        const size_t m = brim_min_size(d->block, r->m - first);

        if (d->plan.path == BRIM_DOT_GEMM_F32) {
            gemm_f32(d, r, first, m);
        } else {
            gemm_f64(d, r, first, m);
        }
    }
}
