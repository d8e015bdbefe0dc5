/* linalg.c - see linalg.h. SPDX-License-Identifier: Apache-2.0
 *
 * H + d I, its order reversed, is factored as L L^T (LAPACK, column major, lower). Column b of L
 * holds L[a][b] at b*k + a. With R[i][t] = L[k-1-i][k-1-t] the matrix in processing order is R R^T,
 * R upper; S = R^T lower, S[t][i] = L[k-1-i][k-1-t], stored at t*k + i: exactly L's array read from
 * its end. So the factor is made by reversing k*k numbers, and no inverse is ever formed. Cost
 * k^3/3 multiply-adds, a quarter of Cholesky, inverse, Cholesky. */
#include "quantize/linalg.h"

#include <cblas.h>
#include <lapacke.h>

static double mean_diagonal(const struct brim_factor *f)
{
    double sum = 0.0;

    for (size_t i = 0; i < f->k; i++) {
        sum += f->h[i * f->k + i];
    }
    return sum / (double)f->k;
}

/* The matrix in reversed processing order; its lower triangle (column major) is what is read. */
static void gather(const struct brim_factor *f, double d)
{
    const size_t k = f->k;

    for (size_t b = 0; b < k; b++) {
        const double *row = f->h + f->order[k - 1 - b] * k;
        double *out = f->a + b * k;
        for (size_t a = b; a < k; a++) {
            out[a] = row[f->order[k - 1 - a]];
        }
        out[b] = out[b] > 0.0 ? out[b] + d : 1.0;
    }
}

static void reverse(double *a, size_t n)
{
    for (size_t i = 0, j = n; i + 1 < j; i++) {
        const double x = a[i];
        a[i] = a[--j];
        a[j] = x;
    }
}

brim_status brim_factor(brim_ctx *ctx, struct brim_factor *f)
{
    const size_t k = f->k;
    const double mean = mean_diagonal(f);
    double share = f->damp;

    for (;;) {
        gather(f, share * mean);
        if (LAPACKE_dpotrf_work(LAPACK_COL_MAJOR, 'L', (lapack_int)k, f->a, (lapack_int)k) == 0) {
            break;
        }
        if (share >= 0.1) {
            return brim_fail(ctx, BRIM_ERR_ARG,
                             "second moments are not positive semidefinite, even with a tenth of "
                             "the mean diagonal added");
        }
        share = share > 0.0 ? share * 10.0 : 1e-8;
        share = share > 0.1 ? 0.1 : share;
    }
    f->damp = share * mean;
    reverse(f->a, k * k);
    for (size_t t = 0; t < k; t++) {
        double *row = f->a + t * k;
        const double inv = 1.0 / row[t];
        f->r[t] = row[t];
        for (size_t i = 0; i < t; i++) {
            row[i] *= inv;
        }
        row[t] = 1.0;
    }
    return BRIM_OK;
}

void brim_factor_solve(const struct brim_factor *f, double *x, size_t n)
{
    const blasint k = (blasint)f->k;
    const blasint m = (blasint)n;

    /* H + d I = A^T r^2 A */
    cblas_dtrsm(CblasRowMajor, CblasLeft, CblasLower, CblasTrans, CblasUnit, k, m, 1.0, f->a, k, x,
                m);
    for (size_t t = 0; t < f->k; t++) {
        for (size_t j = 0; j < n; j++) {
            x[t * n + j] /= f->r[t] * f->r[t];
        }
    }
    cblas_dtrsm(CblasRowMajor, CblasLeft, CblasLower, CblasNoTrans, CblasUnit, k, m, 1.0, f->a, k,
                x, m);
}
