/* layer.c - see layer.h: order, factor, target, norms. SPDX-License-Identifier: Apache-2.0 */
#include "quantize/layer.h"

#include <cblas.h>
#include <stdlib.h>

#include "quantize/linalg.h"

struct ranked {
    double h;
    size_t i;
};

static int descending(const void *a, const void *b)
{
    const struct ranked *x = a;
    const struct ranked *y = b;

    if (x->h != y->h) {
        return x->h > y->h ? -1 : 1;
    }
    return x->i < y->i ? -1 : 1;
}

static brim_status make_order(struct brim_layer *l)
{
    struct ranked *r = brim_alloc(l->ctx, l->k, sizeof *r);

    if (r == NULL) {
        return BRIM_ERR_NOMEM;
    }
    for (size_t i = 0; i < l->k; i++) {
        r[i] = (struct ranked){l->p->h[i * l->k + i], i};
    }
    qsort(r, l->k, sizeof *r, descending);
    for (size_t t = 0; t < l->k; t++) {
        l->order[t] = r[t].i;
    }
    brim_free(l->ctx, r);
    return BRIM_OK;
}

/* out[t][c] = weight of processed column t; 0 where the input never moves. */
static void gather_weights(const struct brim_layer *l, double *out)
{
    for (size_t t = 0; t < l->k; t++) {
        const size_t i = l->order[t];
        const bool dead = !(l->p->h[i * l->k + i] > 0.0);
        for (size_t c = 0; c < l->n; c++) {
            out[t * l->n + c] = dead ? 0.0 : (double)l->p->w[c * l->k + i];
        }
    }
}

/* W* (transposed): (H + d I)^-1 ((G + d I) W^T + E^T). E needs G. */
static brim_status make_target(struct brim_layer *l, const struct brim_factor *f)
{
    const size_t k = l->k;
    double *g;
    double *w;

    gather_weights(l, l->target);
    if (l->p->g == NULL) {
        return BRIM_OK;
    }
    g = brim_alloc(l->ctx, k * k, sizeof(double));
    w = brim_alloc(l->ctx, k * l->n, sizeof(double));
    if (g == NULL || w == NULL) {
        brim_free(l->ctx, g);
        brim_free(l->ctx, w);
        return BRIM_ERR_NOMEM;
    }
    for (size_t t = 0; t < k; t++) {
        const double *row = l->p->g + l->order[t] * k;
        const bool dead = !(l->p->h[l->order[t] * k + l->order[t]] > 0.0);
        for (size_t j = 0; j < k; j++) {
            g[t * k + j] = dead ? 0.0 : row[l->order[j]];
        }
        for (size_t c = 0; c < l->n; c++) {
            w[t * l->n + c] = (double)l->p->w[c * k + l->order[t]];
        }
    }
    cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, (blasint)k, (blasint)l->n, (blasint)k,
                1.0, g, (blasint)k, w, (blasint)l->n, l->damp, l->target, (blasint)l->n);
    for (size_t t = 0; l->p->e != NULL && t < k; t++) {
        const bool dead = !(l->p->h[l->order[t] * k + l->order[t]] > 0.0);
        for (size_t c = 0; !dead && c < l->n; c++) {
            l->target[t * l->n + c] += l->p->e[c * k + l->order[t]];
        }
    }
    brim_factor_solve(f, l->target, l->n);
    brim_free(l->ctx, g);
    brim_free(l->ctx, w);
    return BRIM_OK;
}

static brim_status make_norms(struct brim_layer *l)
{
    double *copy = brim_alloc(l->ctx, l->k * l->n, sizeof(double));

    if (copy == NULL) {
        return BRIM_ERR_NOMEM;
    }
    for (size_t i = 0; i < l->k * l->n; i++) {
        copy[i] = l->target[i];
    }
    brim_layer_errors(l, copy, l->n, l->norm);
    brim_free(l->ctx, copy);
    return BRIM_OK;
}

void brim_layer_reach(struct brim_layer *l)
{
    for (size_t c = 0; c < l->n; c++) {
        l->w_max[c] = 0.0;
    }
    for (size_t t = 0; t < l->k; t++) {
        for (size_t c = 0; c < l->n; c++) {
            const double w = l->target[t * l->n + c];
            const double unit = brim_layer_unit(l, c, l->order[t]);
            const double a = unit > 0.0 ? (w < 0.0 ? -w : w) / unit : 0.0;
            l->w_max[c] = a > l->w_max[c] ? a : l->w_max[c];
        }
    }
}

brim_status brim_layer_prepare(struct brim_layer *l)
{
    struct brim_arena *a = &l->arena;
    struct brim_factor f;

    l->order = brim_arena_alloc(a, l->k, sizeof(size_t));
    l->pull = brim_arena_alloc(a, l->k * l->k, sizeof(double));
    l->r = brim_arena_alloc(a, l->k, sizeof(double));
    l->target = brim_arena_alloc(a, l->k * l->n, sizeof(double));
    l->norm = brim_arena_alloc(a, l->n, sizeof(double));
    l->w_max = brim_arena_alloc(a, l->n, sizeof(double));
    if (l->order == NULL || l->pull == NULL || l->r == NULL || l->target == NULL ||
        l->norm == NULL || l->w_max == NULL) {
        return BRIM_ERR_NOMEM;
    }
    BRIM_TRY(make_order(l));
    f = (struct brim_factor){.k = l->k,
                             .h = l->p->h,
                             .order = l->order,
                             .a = l->pull,
                             .r = l->r,
                             .damp = l->par.damping};
    BRIM_TRY(brim_factor(l->ctx, &f));
    l->damp = f.damp;
    BRIM_TRY(make_target(l, &f));
    BRIM_TRY(make_norms(l));
    BRIM_TRY(brim_layer_units(l, false));
    if (l->par.solver == BRIM_SOLVER_GPFQ) {
        BRIM_TRY(brim_gpfq_prepare(l));
    }
    if (l->par.solver == BRIM_SOLVER_QRONOS) {
        BRIM_TRY(brim_qronos_prepare(l));
    }
    return BRIM_OK;
}

void brim_layer_free(struct brim_layer *l)
{
    brim_arena_free(&l->arena);
}

void brim_layer_errors(const struct brim_layer *l, double *e, size_t m, double *err)
{
    for (size_t j = 0; j < m; j++) {
        err[j] = 0.0;
    }
    for (size_t t = 0; t < l->k; t++) {
        for (size_t j = 0; j < m; j++) {
            err[j] -= l->damp * e[t * m + j] * e[t * m + j];
        }
    }
    cblas_dtrmm(CblasRowMajor, CblasLeft, CblasLower, CblasNoTrans, CblasUnit, (blasint)l->k,
                (blasint)m, 1.0, l->pull, (blasint)l->k, e, (blasint)m); /* layer.h (1) */
    for (size_t t = 0; t < l->k; t++) {
        const double r2 = l->r[t] * l->r[t];
        for (size_t j = 0; j < m; j++) {
            err[j] += r2 * e[t * m + j] * e[t * m + j];
        }
    }
    for (size_t j = 0; j < m; j++) {
        err[j] = err[j] > 0.0 ? err[j] : 0.0;
    }
}
