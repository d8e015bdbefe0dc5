/* linalg.h - dense factorizations in float64. SPDX-License-Identifier: Apache-2.0 */
#ifndef BRIM_QUANTIZE_LINALG_H
#define BRIM_QUANTIZE_LINALG_H

#include "base/ctx.h"

/* A and r with H(order, order) + d I = (diag(r) A)^T (diag(r) A), A unit lower triangular.
 * Positions with H_kk = 0 stand alone with a diagonal of 1. d starts at damp times the mean
 * diagonal and grows tenfold on failure up to 0.1 times it; BRIM_ERR_ARG then. */
struct brim_factor {
    size_t k;
    const double *h;     /* [k][k] */
    const size_t *order; /* [k] */
    double *a;           /* out [k][k] */
    double *r;           /* out [k] */
    double damp;         /* in: share of the mean diagonal; out: what was added */
};
BRIM_NODISCARD brim_status brim_factor(brim_ctx *ctx, struct brim_factor *f);

/* x[k][n] := (H + d I)^-1 x, in processing order. */
void brim_factor_solve(const struct brim_factor *f, double *x, size_t n);

#endif
